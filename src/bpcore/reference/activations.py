"""The activations a = sigma(z), and below each its derivative.

Every function takes and returns arrays of one shape and dtype; float32 stays float32. A
derivative takes z and the a that its forward gave, and uses whichever is cheaper. At a kink it is
the value in brackets.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

LEAKY_SLOPE = 0.01
SELU_SCALE = 1.0507009873554805  # lambda and alpha of Klambauer et al. 2017, equation 14
SELU_ALPHA = 1.6732632423543772


@np.errstate(over="ignore")  # where e^-z overflows to inf, 1 / inf = 0 is the right a
def sigmoid(z):
    """a = 1 / (1 + e^-z)."""
    return 1 / (1 + np.exp(-z))


def sigmoid_derivative(z, a):
    """da/dz = a (1 - a)."""
    return a * (1 - a)


def tanh(z):
    """a = tanh z."""
    return np.tanh(z)


def tanh_derivative(z, a):
    """da/dz = 1 - a²."""
    return 1 - a * a


def relu(z):
    """a = max(z, 0)."""
    return np.maximum(z, 0)


def relu_derivative(z, a):
    """da/dz = 1 for z > 0, else 0  [0 at 0]."""
    return z > 0


def leaky_relu(z):
    """a = z for z > 0, else 0.01 z."""
    return np.maximum(z, LEAKY_SLOPE * z)


def leaky_relu_derivative(z, a):
    """da/dz = 1 for z > 0, else 0.01  [0.01 at 0]."""
    return np.where(z > 0, 1, LEAKY_SLOPE).astype(z.dtype)


def elu(z):
    """a = z for z > 0, else e^z - 1 (Clevert et al. 2016, with alpha = 1)."""
    return np.maximum(z, 0) + np.expm1(np.minimum(z, 0))


def elu_derivative(z, a):
    """da/dz = 1 for z > 0, else e^z."""
    return np.exp(np.minimum(z, 0))


def selu(z):
    """a = lambda z for z > 0, else lambda alpha (e^z - 1) (Klambauer et al. 2017)."""
    return SELU_SCALE * (np.maximum(z, 0) + SELU_ALPHA * np.expm1(np.minimum(z, 0)))


def selu_derivative(z, a):
    """da/dz = lambda for z > 0, else lambda alpha e^z  [lambda alpha at 0]."""
    return SELU_SCALE * np.where(z > 0, 1, SELU_ALPHA * np.exp(np.minimum(z, 0)))


def normal_cdf(z):
    """Phi(z) = erfc(-z / sqrt 2) / 2; not (1 + erf) / 2, which loses the left tail.

    NumPy has neither: `math.erfc` is taken element by element, in float64.
    """
    erfc = np.frompyfunc(math.erfc, 1, 1)
    return (0.5 * erfc(-math.sqrt(0.5) * z.astype(np.float64))).astype(z.dtype)


@np.errstate(over="ignore")  # where z² overflows to inf, e^-inf = 0 is the right density
def normal_pdf(z):
    """phi(z) = e^(-z² / 2) / sqrt(2 pi)."""
    return np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


def gelu(z):
    """a = z Phi(z) (Hendrycks and Gimpel 2016, exact)."""
    return z * normal_cdf(z)


def gelu_derivative(z, a):
    """da/dz = Phi(z) + z phi(z)."""
    return normal_cdf(z) + z * normal_pdf(z)


def silu(z):
    """a = z sigmoid(z)."""
    return z * sigmoid(z)


def silu_derivative(z, a):
    """da/dz = s + a (1 - s), with s = sigmoid(z)."""
    s = sigmoid(z)
    return s + a * (1 - s)


def softplus(z):
    """a = log(1 + e^z)."""
    return np.logaddexp(0, z)


def softplus_derivative(z, a):
    """da/dz = sigmoid(z)."""
    return sigmoid(z)


def softsign(z):
    """a = z / (1 + |z|)."""
    return z / (1 + np.abs(z))


def softsign_derivative(z, a):
    """da/dz = 1 / (1 + |z|)²."""
    return (1 / (1 + np.abs(z))) ** 2


def hard_sigmoid(z):
    """a = z / 6 + 1 / 2, kept within 0 and 1."""
    return np.clip(z / 6 + 0.5, 0, 1)


def hard_sigmoid_derivative(z, a):
    """da/dz = 1 / 6 for -3 < z < 3, else 0  [0 at both kinks]."""
    return np.where(np.abs(z) < 3, 1 / 6, 0).astype(z.dtype)


def exp(z):
    """a = e^z."""
    return np.exp(z)


def exp_derivative(z, a):
    """da/dz = a."""
    return a


def identity(z):
    """a = z."""
    return z


def identity_derivative(z, a):
    """da/dz = 1."""
    return 1


def softmax(z):
    """a_k = e^(z_k) / Σ_j e^(z_j), over the outputs; shifted by max z, so that none overflows."""
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_delta(da, a):
    """delta_m = a_m (da_m - Σ_k da_k a_k).

    Every a_k depends on every z_m, ∂a_k/∂z_m = a_k ((k = m) - a_m): there is no da/dz of one
    output alone.
    """
    return a * (da - (da * a).sum(axis=-1, keepdims=True))


class Activation(NamedTuple):
    """z -> a, and z, a -> da/dz; no such derivative for softmax."""

    forward: Callable
    derivative: Callable | None


ACTIVATIONS = {
    "sigmoid": Activation(sigmoid, sigmoid_derivative),
    "tanh": Activation(tanh, tanh_derivative),
    "relu": Activation(relu, relu_derivative),
    "leaky_relu": Activation(leaky_relu, leaky_relu_derivative),
    "elu": Activation(elu, elu_derivative),
    "selu": Activation(selu, selu_derivative),
    "gelu": Activation(gelu, gelu_derivative),
    "silu": Activation(silu, silu_derivative),
    "softplus": Activation(softplus, softplus_derivative),
    "softsign": Activation(softsign, softsign_derivative),
    "hard_sigmoid": Activation(hard_sigmoid, hard_sigmoid_derivative),
    "exp": Activation(exp, exp_derivative),
    "identity": Activation(identity, identity_derivative),
    "softmax": Activation(softmax, None),
}


def delta_from(activation, da, z, a):
    """∂C/∂z = ∂C/∂a · da/dz, of the named activation; all of one shape."""
    if activation == "softmax":
        return softmax_delta(da, a)
    return da * ACTIVATIONS[activation].derivative(z, a)
