"""What the weights start from: Glorot's uniform draws, in the order scikit-learn makes them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np


def draw_parameters(
    sizes: Sequence[int],
    activations: Sequence[str],
    random_state: np.random.RandomState,
    dtype: np.dtype,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return weights of shape (n_in, n_out) and biases, layer by layer, weights before biases.

    Parameters
    ----------
    sizes : sequence of int
        Units of every layer, inputs first.
    activations : sequence of str
        One for each layer of weights; the last layer takes that of the last hidden one.
    random_state : numpy.random.RandomState
    dtype : dtype
        The draws are of float64 and then rounded to it.

    References
    ----------
    Glorot & Bengio, Understanding the difficulty of training deep feedforward neural networks,
    AISTATS 2010: uniform within ±√(6 / (n_in + n_out)); a third of that variance for the
    logistic function.
    """
    coefs, intercepts = [], []
    for n_in, n_out, activation in zip(sizes, sizes[1:], activations, strict=False):
        bound = math.sqrt((2.0 if activation == "sigmoid" else 6.0) / (n_in + n_out))
        coefs.append(random_state.uniform(-bound, bound, (n_in, n_out)).astype(dtype, copy=False))
        intercepts.append(random_state.uniform(-bound, bound, n_out).astype(dtype, copy=False))
    return coefs, intercepts
