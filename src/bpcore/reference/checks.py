"""What the reference refuses, and how it brings data to one form: a row a sample, one dtype."""

import math
import operator
from itertools import pairwise

import numpy as np

from bpcore.reference.losses import LOSSES

_PROBABILITIES = ("sigmoid", "hard_sigmoid", "softmax")
_DOMAINS = {  # loss: (activations whose range lies in the loss's domain, the one to take)
    "poisson": ((*_PROBABILITIES, "relu", "softplus", "exp"), "'exp' or 'softplus'"),
    "binary_cross_entropy": (_PROBABILITIES, "'sigmoid'"),
    "cross_entropy": (_PROBABILITIES, "'softmax'"),
}


def checked_X(X, n_inputs, dtype):
    """Return X, (n, n_inputs) or (n_inputs,), in `dtype`; X itself if it is already."""
    X = np.asarray(X)
    if X.dtype != dtype:
        X = _real(X, "X").astype(dtype)
    if X.ndim not in (1, 2):
        raise ValueError(f"X has {X.ndim} dimensions, wanted 2, or 1 for one sample")
    if X.shape[-1] != n_inputs:
        raise ValueError(f"X has {X.shape[-1]} features, wanted {n_inputs}")
    return X


def checked_da(da, a):
    """Return ∂C/∂a as an array of the shape and dtype of `a`."""
    if a is None:
        raise RuntimeError("backward needs what a forward keeps; call forward(X) first")
    da = np.asarray(da)
    if da.dtype != a.dtype:
        da = _real(da, "da").astype(a.dtype)
    if da.shape != a.shape:
        raise ValueError(f"da has shape {da.shape}, wanted {a.shape}, the shape of a")
    return da


def checked_layers(layers, loss, dtype):
    """Raise ValueError unless each layer takes what the one before it gives, in one dtype."""
    if not layers:
        raise ValueError("layers is empty, wanted at least 1 layer")
    if len({id(layer) for layer in layers}) < len(layers):
        raise ValueError("layers has one layer twice, wanted different ones")
    for number, (below, above) in enumerate(pairwise(layers), start=1):
        if below.n_outputs != above.n_inputs:
            raise ValueError(
                f"layer {number} takes {above.n_inputs} inputs, "
                f"wanted {below.n_outputs}: the outputs of layer {number - 1}"
            )
    dtypes = sorted({layer.dtype.name for layer in layers})
    if dtype is None and len(dtypes) > 1:
        raise ValueError(f"layers are of {' and '.join(dtypes)}; give the network's dtype")
    if dtype is not None and np.dtype(dtype).name not in ("float32", "float64"):
        raise ValueError(f"dtype is {dtype!r}, wanted 'float32' or 'float64'")
    if not callable(loss) and loss not in LOSSES:
        raise ValueError(f"loss is {loss!r}, wanted one of {', '.join(LOSSES)}, or f(a, y)")


def domain_warning(activation, loss):
    """Return what to say about outputs that leave the domain of the loss, "" if they do not."""
    if callable(loss) or loss not in _DOMAINS or activation in _DOMAINS[loss][0]:
        return ""
    return (
        f"{activation!r} outputs leave the domain of the loss {loss!r}; "
        f"take {_DOMAINS[loss][1]} for the last layer"
    )


def checked_Y(Y, n, n_outputs, loss, dtype):
    """Return Y as (n, n_outputs) in `dtype`, class indices as one-hot rows."""
    Y = _real(np.asarray(Y), "Y")
    if Y.shape == (n,) and loss == "cross_entropy" and (n_outputs > 1 or Y.dtype.kind in "iu"):
        return one_hot(Y, n_outputs, dtype)
    if Y.shape == (n,) and n_outputs == 1:
        Y = Y[:, np.newaxis]
    if Y.shape != (n, n_outputs):
        labels = f", or class indices of shape ({n},)" if loss == "cross_entropy" else ""
        raise ValueError(f"Y has shape {Y.shape}, wanted ({n}, {n_outputs}){labels}")
    return Y.astype(dtype, copy=False)


def one_hot(labels, n_outputs, dtype):
    """Return for every class index the row that is 1 there and 0 elsewhere; (n,) -> (n, K)."""
    if labels.dtype.kind not in "iu":
        raise TypeError(f"class indices are of dtype {labels.dtype}, wanted integers")
    if labels.size and not 0 <= labels.min() <= labels.max() < n_outputs:
        raise ValueError(
            f"class indices run from {labels.min()} to {labels.max()}, wanted 0 to {n_outputs - 1}"
        )
    indicators = np.zeros((labels.size, n_outputs), dtype)
    indicators[np.arange(labels.size), labels] = 1
    return indicators


def check_values(X, Y, loss):
    """Raise ValueError if X or Y are not finite, or Y not in the domain of a loss with a name."""
    for name, values in (("X", X),) if callable(loss) else (("X", X), ("Y", Y)):
        if not np.isfinite(values).all():
            raise ValueError(f"{name} has values that are NaN or infinite; drop or fill them")
    if loss in ("poisson", "cross_entropy") and Y.min() < 0:
        raise ValueError(f"Y goes down to {Y.min()}, {loss} wants at least 0")
    if loss == "binary_cross_entropy" and not 0 <= Y.min() <= Y.max() <= 1:
        raise ValueError(f"Y runs from {Y.min()} to {Y.max()}, {loss} wants 0 to 1")
    if loss == "cross_entropy" and np.abs(Y.sum(axis=-1) - 1).max() > 1e-3:
        raise ValueError("rows of Y do not sum to 1; cross_entropy wants probabilities")


def checked_weight(sample_weight, n, loss, dtype):
    """Return the sample weights as (n,) in `dtype`, or None."""
    if sample_weight is None:
        return None
    if callable(loss):
        raise ValueError("a loss f(a, y) takes no sample_weight; weight the samples inside it")
    weight = _real(np.atleast_1d(sample_weight), "sample_weight").astype(dtype, copy=False)
    if weight.shape != (n,):
        raise ValueError(f"sample_weight has shape {weight.shape}, wanted ({n},)")
    if not (np.isfinite(weight).all() and (weight >= 0).all()):
        raise ValueError("sample_weight has values below 0, NaN or infinite")
    return weight


def checked_count(name, value):
    """Return an integer of at least 1."""
    try:
        count = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {value!r}, wanted an integer of at least 1") from None
    if count < 1:
        raise ValueError(f"{name} is {count}, wanted at least 1")
    return count


def check_penalties(l1, l2, clip_norm):
    """Raise ValueError unless l1 and l2 are at least 0 and clip_norm is None or above 0."""
    for name, value in (("l1", l1), ("l2", l2)):
        if not 0 <= value < math.inf:
            raise ValueError(f"{name} is {value!r}, wanted a finite number of at least 0")
    if clip_norm is not None and not 0 < clip_norm < math.inf:
        raise ValueError(f"clip_norm is {clip_norm!r}, wanted a finite number above 0, or None")


def _real(values, name):
    if values.dtype.kind not in "biuf":
        raise TypeError(f"{name} is of dtype {values.dtype}, wanted real numbers")
    return values
