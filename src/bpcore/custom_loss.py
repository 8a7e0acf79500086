"""Training with a loss written in Python: the same steps, the loss called between the passes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from bpcore.cpu import kernels

if TYPE_CHECKING:
    from bpcore.layers import Array
    from bpcore.network import Network


class CustomLossTraining:
    """What `kernels.Training` does, for a network whose loss is a callable f(a, y) -> (C, da).

    The callable gets each batch's rows of Y as they were given.
    """

    def __init__(
        self,
        network: Network,
        parameters: Array,
        gradient: Array,
        rule: dict[str, Any],
        first: Array | None,
        second: Array | None,
        batch_size: int,
        l1: float,
        l2: float,
        clip_norm: float,
    ) -> None:
        self.network = network
        self.rule, self.first, self.second = rule, first, second
        self.l1, self.l2, self.clip_norm = l1, l2, clip_norm
        self.reset_loss()

    @staticmethod
    def checked(X: Array, Y: Any, sample_weight: Any) -> tuple[Any, ...]:
        """Return the data in the order that `run` takes it; Y may be anything with rows."""
        Y = np.asarray(Y)
        if Y.ndim == 0 or len(Y) != len(X):
            raise ValueError(
                f"Y has shape {Y.shape}, wanted a row for each of the {len(X)} samples of X"
            )
        if sample_weight is not None:
            raise ValueError(
                "sample_weight is given, but the loss is a callable of (a, y): weight its da"
            )
        return X, Y, None, None

    def reset_loss(self) -> None:
        """Start the sums of a new epoch."""
        self.loss_sum = self.weight_sum = 0.0

    def run(
        self,
        X: Array,
        Y: Array,
        labels: None,
        weight: None,
        order: Array | None,
        batch_size: int,
        start: int,
        stop: int,
        rates: Array,
        steps: int,
    ) -> int:
        """Run steps start … stop - 1 of an epoch; return the step it got to."""
        for step in range(start, stop):
            rows: Any = slice(step * batch_size, (step + 1) * batch_size)
            rows = rows if order is None else order[rows]
            loss, finite = self.step(X[rows], Y[rows], None, rates[step], steps + step + 1)
            if not finite:
                return step
            n = len(X[rows])
            self.loss_sum += loss * n
            self.weight_sum += n
        return stop

    def step(
        self, X: Array, Y: Any, sample_weight: None, learning_rate: float, step: int
    ) -> tuple[float, bool]:
        """Take one step; return C with the penalties, and whether it and the gradient were finite.

        Where they were not, nothing is updated.
        """
        net = self.network
        if sample_weight is not None:
            self.checked(X, Y, sample_weight)
        loss, da = net._called_loss(net.forward(X).copy(), Y)
        if not (math.isfinite(loss) and np.isfinite(da).all()):
            return loss, False
        net.backpropagate(da)
        for layer in net.layers:
            if self.l1 or self.l2:
                W = layer.W
                loss += float(self.l1 * np.abs(W).sum() + 0.5 * self.l2 * np.square(W).sum())
                layer.dW[...] += self.l1 * np.sign(W) + self.l2 * W
        g = net.gradient
        if self.clip_norm:
            g *= min(1.0, self.clip_norm / max(float(np.linalg.norm(g)), np.finfo(g.dtype).tiny))
        finite = math.isfinite(loss) and bool(np.isfinite(g).all())
        if finite:
            kernels.update_parameters(
                self.rule, net.parameters, g, self.first, self.second, learning_rate, step
            )
        return loss, finite
