"""What the parameters that both estimators share may be, and the network they describe."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval, InvalidParameterError, Options, StrOptions

from bpcore.layers import ACTIVATIONS

# scikit-learn's names of activations that have another one here
KERNEL_NAMES = {"logistic": "sigmoid"}
# softmax is the output's, whose gradient is written for it
HIDDEN = {"logistic", *ACTIVATIONS} - {"softmax"}
FLOATS: tuple[Any, ...] = (np.float64, np.float32)


CONSTRAINTS: dict[str, Any] = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [StrOptions(HIDDEN), list, tuple],
    "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "beta_1": [Interval(Real, 0, 1, closed="left")],
    "beta_2": [Interval(Real, 0, 1, closed="left")],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "n_iter_no_change": [
        Interval(Integral, 1, None, closed="left"),
        Options(Real, {np.inf}),
    ],
    "max_fun": [Interval(Integral, 1, None, closed="left")],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "callbacks": [list, tuple],
    "progress": ["boolean"],
    "n_threads": [None, Interval(Integral, 1, None, closed="left")],
    "dtype": [None, StrOptions({"float32", "float64"}), np.dtype, Options(type, set(FLOATS))],
}


def hidden_sizes(estimator: Any) -> list[int]:
    """Return hidden_layer_sizes as a list of positive ints."""
    given = estimator.hidden_layer_sizes
    sizes = list(given) if hasattr(given, "__iter__") else [given]
    for size in sizes:
        if not isinstance(size, Integral) or isinstance(size, (bool, np.bool_)):
            raise InvalidParameterError(
                f"The 'hidden_layer_sizes' parameter of {type(estimator).__name__} must be a "
                f"positive integer or a sequence of them. Got {given!r} instead."
            )
        if size <= 0:
            raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return [int(size) for size in sizes]


def activations_of(estimator: Any, n_hidden: int) -> list[str]:
    """Return the kernels' names: one for each hidden layer, and again that of the last one."""
    given = estimator.activation
    names = [given] * max(1, n_hidden) if isinstance(given, str) else list(given)
    for name in names:
        if not isinstance(name, str) or name not in HIDDEN:
            raise InvalidParameterError(
                f"The 'activation' parameter of {type(estimator).__name__} must be made of "
                f"{', '.join(sorted(HIDDEN))}. Got {name!r} instead."
            )
    if not isinstance(given, str) and len(names) != n_hidden:
        raise ValueError(
            f"activation has {len(names)} names, wanted one for each of the {n_hidden} hidden "
            "layers, or a single name for all of them"
        )
    names = [KERNEL_NAMES.get(name, name) for name in names]
    return [*names[:n_hidden], names[-1] if names else "identity"]
