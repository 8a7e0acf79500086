"""The elementary functions' error bounds, and errors in units in the last place.

Shared by test_elementary.py and tools/check_ulp.py.
"""

import numpy as np
from scipy import special

# The largest errors in float32, over every argument, and in float64, at any level.
BOUNDS = {
    "exp": (1.1, 1.1),
    "log1p": (1.4, 1.4),
    "tanh": (1.25, 1.25),
    "sigmoid": (1.75, 1.75),
    "softplus": (2, 2.25),
    "elu": (1.5, 1.5),  # e^z - 1 for z <= 0
    "gelu": (6, 9),
}


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softplus(z):
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def elu(z):
    return np.where(z > 0, z, np.expm1(np.minimum(z, 0)))


def gelu(z):
    """max(z, 0) - |z| Φ(-|z|), in float64."""
    x = np.minimum(np.abs(z), 40)
    return np.maximum(z, 0) - x * special.ndtr(-x)


# For float32 in float64; but for gelu, for float64 in long double.
REFERENCES = {
    "exp": np.exp,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "softplus": softplus,
    "elu": elu,
    "gelu": gelu,
}


def domain(name, z):
    """Return the elements of z that the function `name` takes; NaN is one."""
    return z[~((z < 0) | (z > 1))] if name == "log1p" else z


def reference(name, z, wider):
    """Return the function's values in the type `wider`."""
    with np.errstate(all="ignore"):
        return REFERENCES[name](z.astype(wider))


def errors(a, exact):
    """Return |a - exact| over the spacing of a's type at `exact`, which is of a wider type.

    Below the normal numbers that is the spacing of the subnormal ones. Where `exact` is NaN or
    overflows, the error is 0 for the same in a and infinite for anything else.
    """
    info = np.finfo(a.dtype)
    with np.errstate(all="ignore"):
        exponent = np.maximum(np.frexp(exact)[1] - 1, info.minexp)
        error = np.abs(a - exact) * np.ldexp(exact.dtype.type(1), info.nmant - exponent)
        rounded = exact.astype(a.dtype)
    special = ~np.isfinite(rounded)
    same = (a == rounded) | (np.isnan(a) & np.isnan(rounded))
    error[special] = np.where(same[special], 0, np.inf)
    error[np.isnan(error)] = np.inf
    return error
