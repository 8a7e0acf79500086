"""The names of the losses, and which outputs each of them is made for.

The formulas stand in `_math/loss.pxd`, and in plain NumPy in `bpcore.reference`.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from bpcore import validation
from bpcore.cpu import kernels

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    _Loss = str | Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]]

LOSSES = tuple(name for name in kernels.LOSSES if name != "callable")

# loss: (where its outputs must lie, the output activations that lie there, the one to prefer)
_DOMAINS = {
    "binary_cross_entropy": ("0 to 1", ("sigmoid", "hard_sigmoid", "softmax"), "sigmoid"),
    "cross_entropy": ("0 to 1", ("softmax", "sigmoid", "hard_sigmoid"), "softmax"),
    "poisson": (
        "0 or more",
        ("exp", "softplus", "relu", "sigmoid", "hard_sigmoid", "softmax"),
        "exp",
    ),
}


def check_loss(loss: _Loss, output: str) -> str:
    """Return the kernels' name of a loss: its own, or "callable".

    Parameters
    ----------
    loss : str or callable
    output : str
        The activation of the last layer.

    Raises
    ------
    TypeError, ValueError
        Neither a callable nor the name of a loss.

    Warns
    -----
    UserWarning
        The activation leaves the domain of the loss; there the loss is clipped
        and its gradient is 0.
    """
    if callable(loss):
        return "callable"
    validation.one_of(loss, LOSSES, "loss")
    if loss in _DOMAINS:
        interval, activations, preferred = _DOMAINS[loss]
        if output not in activations:
            warnings.warn(
                f"{loss} wants outputs of {interval}, which {output!r} does not keep to; outside, "
                f"the loss is clipped and its gradient is 0: use {preferred!r} as the last "
                "layer's activation",
                UserWarning,
                stacklevel=3,
            )
    return loss
