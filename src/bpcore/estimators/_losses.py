"""The losses: which kernel computes each, and the same in NumPy for what the kernels lack."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logsumexp, xlogy


class Loss(NamedTuple):
    """How a loss is written for the kernels.

    Attributes
    ----------
    output : str
        Activation of the last layer.
    kernel : str or None
        The loss of `bpcore.Network`; None where only `pointwise` has it.
    gradient_scale : float
        The kernel's gradient over ours.
    value_scale : float
        The kernel's C over ours, the penalty apart.
    averaged : bool
        The value is a mean over the outputs rather than their sum.
    smallest_probability : bool
        Probabilities below the rounding error ε count as ε in the value.
    """

    output: str
    kernel: str | None
    gradient_scale: float = 1.0
    value_scale: float = 1.0
    averaged: bool = False
    smallest_probability: bool = False

    def largest(self, dtype: np.dtype) -> float:
        """Return what the kernels count a sample's loss, or a label's, at most.

        scikit-learn takes logarithms of probabilities from ε on.
        """
        return -math.log(np.finfo(dtype).eps) if self.smallest_probability else math.inf


def loss_of(name: str, output: str, n_outputs: int) -> Loss:
    """Return how the kernels compute a loss.

    The squared error is half the mean over the outputs, its gradient that of half their sum, as
    scikit-learn has it; every other loss is the sum over the outputs.
    """
    if name == "log_loss":
        kernel = "cross_entropy" if output == "softmax" else "binary_cross_entropy"
        return Loss(output, kernel, smallest_probability=True)
    if name == "squared_error":
        return Loss("identity", "squared_error", 2.0, 2.0 * n_outputs, averaged=True)
    if name == "absolute_error":
        return Loss("identity", "mean_absolute_error", 1 / n_outputs, 1 / n_outputs)
    if name == "poisson":
        return Loss("exp", "poisson")
    return Loss("identity", "huber" if name == "huber" else None)


def pointwise(name: str, output: str, z: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the loss of every output of every sample, and ∂/∂z of their sum.

    Parameters
    ----------
    name : str
        A loss of the estimators.
    output : str
        The last activation; only log_loss has a choice, softmax or sigmoid.
    z, y : ndarray of shape (n, n_outputs)
    """
    e = z - y
    if name == "squared_error":
        return 0.5 * e * e, e
    if name == "absolute_error":
        return np.abs(e), np.sign(e)
    if name == "huber":
        c = np.clip(e, -1, 1)
        return c * (e - 0.5 * c), c
    if name == "log_cosh":
        # log cosh e = |e| + log(1 + e^-2|e|) - log 2, which does not overflow
        size = np.abs(e)
        return size + np.log1p(np.exp(-2 * size)) - np.log(2).astype(z.dtype), np.tanh(e)
    if name == "poisson":
        a = np.exp(z)
        return xlogy(y, y) - y * z - y + a, a - y
    if output == "softmax":
        log_a = z - logsumexp(z, axis=1, keepdims=True)
        return -y * log_a, np.exp(log_a) - y
    return np.maximum(z, 0) - y * z + np.log1p(np.exp(-np.abs(z))), expit(z) - y


def from_outputs(name: str, output: str, a: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the loss of every output a of every sample, for curves.

    Probabilities are kept a rounding error away from 0 and 1.
    """
    if name == "log_loss":
        smallest = np.finfo(a.dtype).eps
        a = np.clip(a, smallest, 1 - smallest)
        losses = -xlogy(y, a)
        return losses if output == "softmax" else losses - xlogy(1 - y, 1 - a)
    if name == "poisson":
        with np.errstate(divide="ignore", invalid="ignore"):
            return xlogy(y, y / a) - y + a
    return pointwise(name, output, a, y)[0]


def log_cosh(a: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """Return C = mean over the samples of Σ_k log cosh(a_k - y_k), and ∂C/∂a."""
    a = np.atleast_2d(a)
    losses, delta = pointwise("log_cosh", "identity", a, np.reshape(y, a.shape))
    return float(losses.sum() / len(a)), delta / len(a)
