"""The losses: of every sample C, and ∂C/∂a.

A loss takes the outputs `a` and the targets `y`, both (n, K), and returns C_i, (n, 1), and
∂C_i/∂a, (n, K). The cost of all samples is C = Σ_i s_i C_i, with the shares s_i of
`sample_shares`: a loss's ∂C_i/∂a becomes ∂C/∂a by the factor s_i, and layers only sum.
float32 stays float32.

Logarithms are taken of max(a, tiny), tiny the smallest normal number of the dtype, so that C
stays finite; below tiny such a logarithm is flat and its derivative 0.
"""

import numpy as np


def per_sample(terms):
    """Σ_k of the terms of a sample; (n, K) -> (n, 1)."""
    return terms.sum(axis=-1, keepdims=True)


def squared_error(a, y):
    """C = Σ_k (a_k - y_k)²;  ∂C/∂a_k = 2 (a_k - y_k)."""
    e = a - y
    return per_sample(e * e), 2 * e


def mean_squared_error(a, y):
    """C = 1/K Σ_k (a_k - y_k)²;  ∂C/∂a_k = 2/K (a_k - y_k)."""
    e, K = a - y, a.shape[-1]
    return per_sample(e * e) / K, 2 / K * e


def mean_absolute_error(a, y):
    """C = 1/K Σ_k |a_k - y_k|;  ∂C/∂a_k = sign(a_k - y_k) / K  [0 at 0]."""
    e, K = a - y, a.shape[-1]
    return per_sample(np.abs(e)) / K, np.sign(e) / K


def huber(a, y):
    """C = Σ_k e²/2 for |e| <= 1, else |e| - 1/2, with e = a_k - y_k;  ∂C/∂a_k = e within ±1.

    With c = e kept within ±1 both cases are c (e - c/2) (Huber 1964, threshold 1).
    """
    e = a - y
    c = np.clip(e, -1, 1)
    return per_sample(c * (e - c / 2)), c


def poisson(a, y):
    """C = Σ_k y_k log(y_k / a_k) - y_k + a_k, 0 log 0 = 0;  ∂C/∂a_k = 1 - y_k / a_k.

    Half the deviance of the Poisson distribution of mean a.
    """
    tiny = np.finfo(a.dtype).tiny
    a1 = np.maximum(a, tiny)
    C = per_sample(y * (np.log(np.maximum(y, tiny)) - np.log(a1)) - y + a)
    return C, 1 - np.where(a < tiny, 0, y / a1)


def binary_cross_entropy(a, y):
    """C = Σ_k -y_k log a_k - (1 - y_k) log(1 - a_k);  ∂C/∂a_k = (1 - y_k)/(1 - a_k) - y_k/a_k."""
    tiny = np.finfo(a.dtype).tiny
    a1, a0 = np.maximum(a, tiny), np.maximum(1 - a, tiny)
    C = per_sample(-y * np.log(a1) - (1 - y) * np.log(a0))
    return C, np.where(1 - a < tiny, 0, (1 - y) / a0) - np.where(a < tiny, 0, y / a1)


def cross_entropy(a, y):
    """C = -Σ_k y_k log a_k;  ∂C/∂a_k = -y_k / a_k."""
    tiny = np.finfo(a.dtype).tiny
    a1 = np.maximum(a, tiny)
    return per_sample(-y * np.log(a1)), np.where(a < tiny, 0, -y / a1)


# The two below belong to one activation each and return ∂C_i/∂z in place of ∂C_i/∂a. Derivative
# of the activation and of the logarithm cancel to a - y, and C is taken from z, with no logarithm
# of an a that was rounded to 0 or 1.


def sigmoid_binary_cross_entropy(z, a, y):
    """C = Σ_k log(1 + e^(z_k)) - y_k z_k;  ∂C/∂z_k = a_k - y_k;  for a = sigmoid(z).

    log(1 + e^z) = max(z, 0) + log(1 + e^-|z|), in which nothing overflows.
    """
    C = per_sample((np.maximum(z, 0) - y * z) + np.log1p(np.exp(-np.abs(z))))
    return C, a - y


def softmax_cross_entropy(z, a, y):
    """C = Σ_k y_k (log Σ_j e^(z_j) - z_k);  ∂C/∂z_k = a_k - y_k;  for a = softmax(z).

    log Σ_j e^(z_j) = max z - log max a, which takes no e^z again; max a is at least 1/K.
    """
    log_a = z - z.max(axis=-1, keepdims=True) + np.log(a.max(axis=-1, keepdims=True))
    return per_sample(-y * log_a), a - y


LOSSES = {
    "squared_error": squared_error,
    "mean_squared_error": mean_squared_error,
    "mean_absolute_error": mean_absolute_error,
    "huber": huber,
    "poisson": poisson,
    "binary_cross_entropy": binary_cross_entropy,
    "cross_entropy": cross_entropy,
}

FUSED = {
    ("sigmoid", "binary_cross_entropy"): sigmoid_binary_cross_entropy,
    ("softmax", "cross_entropy"): softmax_cross_entropy,
}


def sample_shares(n, weight=None):
    """s_i = w_i / Σ_j w_j, (n, 1); the number 1/n without weights; 0 where Σ w = 0."""
    if weight is None:
        return 1 / n if n else 0.0
    total = weight.sum()
    return (weight / total if total > 0 else np.zeros_like(weight))[:, np.newaxis]
