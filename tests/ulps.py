"""The elementary functions' error bounds, and errors in units in the last place.

Shared by test_elementary.py and tools/check_ulp.py.
"""

import numpy as np
from scipy import special

# The largest errors in float32, over every argument, and in float64.
BOUNDS = {
    "exp": (1.1, 1.1),
    "log": (1.1, 1.1),
    "log1p": (1.4, 1.4),
    "tanh": (2, 1.65),
    "sigmoid": (1.75, 1.75),
    "softplus": (2.25, 2.25),
    "elu": (1.5, 1.5),  # e^z - 1 for z <= 0
    "gelu": (6, 9),
}
# With AVX-512 tanh goes other ways: by a table in float32, by looked-up powers of two in float64.
AVX512_BOUNDS = {"tanh": (1.31, 1.3)}


def bound(name, dtype, level):
    """Return the bound of a function's error at a level."""
    bounds = BOUNDS | AVX512_BOUNDS if level in ("x86_v4", "x86_amx") else BOUNDS
    return bounds[name][dtype == "float64"]


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
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "softplus": softplus,
    "elu": elu,
    "gelu": gelu,
}


def domain(name, z):
    """Return the elements of z that the function `name` takes; NaN is one."""
    if name == "log":
        return z[~(z < np.finfo(z.dtype).tiny)]
    return z[~((z < 0) | (z > 1))] if name == "log1p" else z


def reference(name, z, wider):
    """Return the function's values in the type `wider`."""
    with np.errstate(all="ignore"):
        return REFERENCES[name](z.astype(wider))


def ulps_per_unit(exact, dtype):
    """Return 1 over the spacing of `dtype` at `exact`, that of its subnormal numbers below them."""
    info = np.finfo(dtype)
    exponent = np.maximum(np.frexp(exact)[1] - 1, info.minexp)
    return np.ldexp(exact.dtype.type(1), info.nmant - exponent)


def errors(a, exact, scale=None):
    """Return |a - exact| in units in the last place, `scale` being ulps_per_unit of them.

    `exact` is of a wider type than a. Where it is NaN or overflows in a's type, the error is 0 for
    the same in a.
    """
    scale = ulps_per_unit(exact, a.dtype) if scale is None else scale
    with np.errstate(all="ignore"):
        error = np.abs(a - exact) * scale
        odd = np.flatnonzero(~(error < np.inf))
        rounded = exact[odd].astype(a.dtype)
    same = (a[odd] == rounded) | (np.isnan(a[odd]) & np.isnan(rounded))
    error[odd] = np.where(same, 0, np.inf)
    return error
