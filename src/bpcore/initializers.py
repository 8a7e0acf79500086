"""The values W and b start from.

A layer draws W before b, and a network draws its first layer first, all from one NumPy
`Generator` in float64; the values are cast to the layer's dtype afterwards. One seed therefore
gives the same network in float32 and in float64, but for the rounding.
"""

from __future__ import annotations

import math
import operator
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, DTypeLike

# name: (distribution, its scale from the fans n_in and n_out).
# The scale is the half-width of a uniform interval around 0, the standard deviation of a normal.
_SCALES: dict[str, tuple[str, Callable[[int, int], float]]] = {
    "glorot_uniform": ("uniform", lambda n_in, n_out: math.sqrt(6.0 / (n_in + n_out))),
    "glorot_normal": ("normal", lambda n_in, n_out: math.sqrt(2.0 / (n_in + n_out))),
    "he_uniform": ("uniform", lambda n_in, n_out: math.sqrt(6.0 / n_in)),
    "he_normal": ("normal", lambda n_in, n_out: math.sqrt(2.0 / n_in)),
    "lecun_uniform": ("uniform", lambda n_in, n_out: math.sqrt(3.0 / n_in)),
    "lecun_normal": ("normal", lambda n_in, n_out: math.sqrt(1.0 / n_in)),
    "standard_normal": ("normal", lambda n_in, n_out: 1.0),
}

INITIALIZERS = (*_SCALES, "zeros")
"""Every initialiser that has a name."""

_DEFAULTS = {
    "sigmoid": "glorot_uniform",
    "tanh": "glorot_uniform",
    "relu": "he_uniform",
    "leaky_relu": "he_uniform",
    "elu": "he_uniform",
    "selu": "lecun_normal",
    "gelu": "he_uniform",
    "silu": "he_uniform",
    "softplus": "glorot_uniform",
    "softsign": "glorot_uniform",
    "hard_sigmoid": "glorot_uniform",
    "exp": "glorot_uniform",
    "identity": "glorot_uniform",
    "softmax": "glorot_uniform",
}


def default_for(activation: str) -> str:
    """Return the name of the initialiser of W that suits an activation.

    Parameters
    ----------
    activation : str
        Name of the activation that follows the weights.

    Returns
    -------
    str
        ``"he_uniform"`` for relu, leaky_relu, elu, gelu and silu (He et al. 2015),
        ``"lecun_normal"`` for selu (Klambauer et al. 2017), ``"glorot_uniform"`` for the others
        (Glorot and Bengio 2010).

    Raises
    ------
    ValueError
        If there is no activation of that name.
    """
    if not isinstance(activation, str) or activation not in _DEFAULTS:
        raise ValueError(
            f"activation is {activation!r}, wanted one of {', '.join(sorted(_DEFAULTS))}"
        )
    return _DEFAULTS[activation]


def draw(
    initializer: str | ArrayLike,
    n_inputs: int,
    n_outputs: int,
    rng: np.random.Generator,
    dtype: DTypeLike,
) -> np.ndarray[Any, Any]:
    """Return the first W of a layer, drawn from `rng` or copied from an array.

    Parameters
    ----------
    initializer : str or array_like of shape (n_outputs, n_inputs)
        With n_in = `n_inputs` and n_out = `n_outputs`:

        - ``"glorot_uniform"``: uniform within ±sqrt(6 / (n_in + n_out))
        - ``"glorot_normal"``: normal of standard deviation sqrt(2 / (n_in + n_out))
        - ``"he_uniform"``: uniform within ±sqrt(6 / n_in)
        - ``"he_normal"``: normal of standard deviation sqrt(2 / n_in)
        - ``"lecun_uniform"``: uniform within ±sqrt(3 / n_in)
        - ``"lecun_normal"``: normal of standard deviation sqrt(1 / n_in)
        - ``"standard_normal"``: normal of standard deviation 1
        - ``"zeros"``: zeros; nothing is drawn
        - an array: its values; nothing is drawn
    n_inputs, n_outputs : int
        Size of the layer, each at least 1.
    rng : numpy.random.Generator
        Advanced by n_outputs * n_inputs draws in float64, row after row.
    dtype : data-type
        float32 or float64.

    Returns
    -------
    numpy.ndarray of shape (n_outputs, n_inputs)
        A new, C-contiguous array of `dtype`.

    Raises
    ------
    ValueError
        If the name, a size, the dtype, the array's shape or one of its values will not do.
    TypeError
        If a size is not an integer, the array is not of real numbers, or `rng` not a Generator.
    """
    n_in, n_out = _size("n_inputs", n_inputs), _size("n_outputs", n_outputs)
    return _draw(initializer, (n_out, n_in), (n_in, n_out), rng, dtype, "weight_initializer")


def draw_bias(
    initializer: str | ArrayLike,
    n_inputs: int,
    n_outputs: int,
    rng: np.random.Generator,
    dtype: DTypeLike,
) -> np.ndarray[Any, Any]:
    """Return the first b of a layer: as `draw`, but of shape (n_outputs,).

    A named initialiser takes its scale from the layer's `n_inputs` and `n_outputs`, as W does.

    Parameters
    ----------
    initializer : str or array_like of shape (n_outputs,)
        As in `draw`.
    n_inputs, n_outputs : int
        Size of the layer, each at least 1.
    rng : numpy.random.Generator
        Advanced by n_outputs draws in float64.
    dtype : data-type
        float32 or float64.

    Returns
    -------
    numpy.ndarray of shape (n_outputs,)
        A new, contiguous array of `dtype`.

    Raises
    ------
    ValueError, TypeError
        As in `draw`.
    """
    n_in, n_out = _size("n_inputs", n_inputs), _size("n_outputs", n_outputs)
    return _draw(initializer, (n_out,), (n_in, n_out), rng, dtype, "bias_initializer")


def _draw(
    initializer: str | ArrayLike,
    shape: tuple[int, ...],
    fans: tuple[int, int],
    rng: np.random.Generator,
    dtype: DTypeLike,
    argument: str,
) -> np.ndarray[Any, Any]:
    dtype = _floating(dtype)
    if math.prod(shape) > sys.maxsize // 8:  # 8 bytes a float64, in which everything is drawn
        raise ValueError(
            f"n_outputs x n_inputs is {' x '.join(map(str, shape))}, "
            f"wanted at most {sys.maxsize // 8} weights; make the layer smaller"
        )
    if not isinstance(initializer, str):
        return _from_array(initializer, shape, dtype, argument)
    if initializer == "zeros":
        return np.zeros(shape, dtype)
    if initializer not in _SCALES:
        raise ValueError(
            f"{argument} is {initializer!r}, "
            f"wanted one of {', '.join(INITIALIZERS)}, or an array of shape {shape}"
        )
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"rng is a {type(rng).__name__}, wanted a numpy.random.Generator; "
            "make one with numpy.random.default_rng(seed)"
        )
    distribution, scale_of = _SCALES[initializer]
    scale = scale_of(*fans)
    if distribution == "uniform":
        return rng.uniform(-scale, scale, shape).astype(dtype, copy=False)
    return (scale * rng.standard_normal(shape)).astype(dtype, copy=False)


def _from_array(
    values: ArrayLike, shape: tuple[int, ...], dtype: np.dtype[Any], argument: str
) -> np.ndarray[Any, Any]:
    if np.ma.is_masked(values):
        raise ValueError(f"{argument} is a masked array with masked values; fill them first")
    given = np.asarray(values)
    if given.dtype.kind not in "fiu":
        raise TypeError(
            f"{argument} is of dtype {given.dtype}, wanted real numbers; "
            f"give an array of {dtype.name}, or one of {', '.join(INITIALIZERS)}"
        )
    if given.shape != shape:
        raise ValueError(
            f"{argument} has shape {given.shape}, wanted {shape}"
            + ("; transpose it" if given.shape == shape[::-1] else "")
        )
    with np.errstate(over="ignore"):  # what overflows to inf is refused below
        array = np.array(given, dtype=dtype, order="C")
    if not np.isfinite(array).all():
        raise ValueError(
            f"{argument} has values that are NaN or infinite in {dtype.name}; wanted finite ones"
        )
    return array


def _size(name: str, value: int) -> int:
    try:
        size = operator.index(value)
    except TypeError:
        size = None
    if size is None or isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} is {value!r}, wanted an integer of at least 1")
    if size < 1:
        raise ValueError(f"{name} is {size}, wanted at least 1")
    return size


def _floating(dtype: DTypeLike) -> np.dtype[Any]:
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = np.dtype(np.void)
    if dtype is None or found not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ValueError(f"dtype is {dtype!r}, wanted 'float32' or 'float64'")
    return found
