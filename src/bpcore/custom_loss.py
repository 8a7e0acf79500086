"""Training with a loss written in Python: the same steps, the loss called between the passes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from bpcore.cpu import kernels
from bpcore.network import refuse_weights

if TYPE_CHECKING:
    from bpcore.layers import _Array
    from bpcore.network import Network


class CustomLossTraining:
    """What `kernels.Training` does, for a network whose loss is a callable f(a, y) -> (C, da).

    The callable gets each batch's rows of Y as they were given.
    """

    def __init__(
        self,
        network: Network,
        parameters: _Array,
        gradient: _Array,
        rule: dict[str, Any],
        first: _Array | None,
        second: _Array | None,
        counter: _Array,
        batch_size: int,
        l1: float,
        l2: float,
        clip_norm: float,
        threads: int = 1,
    ) -> None:
        self.network = network
        self.rule, self.first, self.second, self.counter = rule, first, second, counter
        self.l1, self.l2, self.clip_norm = l1, l2, clip_norm
        self.finite = True
        self.reset_loss()

    @staticmethod
    def checked(X: _Array, Y: Any, sample_weight: Any) -> tuple[Any, ...]:
        """Return the data in the order that `run` takes it; Y may be anything with rows."""
        Y = np.asarray(Y)
        if Y.ndim == 0 or len(Y) != len(X):
            raise ValueError(
                f"Y has shape {Y.shape}, wanted a row for each of the {len(X)} samples of X"
            )
        refuse_weights(sample_weight)
        return X, Y, None, None

    def team_size(self, batch_size: int) -> int:
        """Return 1: the loss is Python's."""
        return 1

    def reset_loss(self) -> None:
        """Start the sums of a new epoch."""
        self.loss_sum = self.weight_sum = 0.0

    def run(
        self,
        X: _Array,
        Y: _Array,
        labels: None,
        weight: None,
        order: _Array | None,
        batch_size: int,
        start: int,
        stop: int,
        rates: _Array,
        threads: int = 1,
        start_thread: None = None,
        calm: bool = False,
        take: Any = None,
        look: Any = None,
    ) -> int:
        """Run steps start … stop - 1 of an epoch; return the step it got to.

        All as `kernels.Training.run` has it.
        """
        if take is not None:
            take.take()
        step = self._run(X, Y, order, batch_size, start, stop, rates, calm)
        self.finite = look is None or look.is_finite()
        return step

    def _run(
        self,
        X: _Array,
        Y: _Array,
        order: _Array | None,
        batch_size: int,
        start: int,
        stop: int,
        rates: _Array,
        calm: bool,
    ) -> int:
        for step in range(start, stop):
            rows: Any = slice(step * batch_size, (step + 1) * batch_size)
            rows = rows if order is None else order[rows]
            loss = self.gradient(X[rows], Y[rows])
            if not (math.isfinite(loss) and np.isfinite(self.network.gradient).all()):
                return step
            if not self.update(rates[min(step, len(rates) - 1)], calm):
                return step
            n = len(X[rows])
            self.loss_sum += loss * n
            self.weight_sum += n
        return stop

    def step(
        self, X: _Array, Y: Any, sample_weight: Any, learning_rate: float, careful: bool
    ) -> tuple[float, bool]:
        """Take one step; return C with the penalties, and whether the update was done.

        It is not where C or the gradient is not finite, or where it could
        overflow or `careful` is True.
        """
        refuse_weights(sample_weight)
        loss = self.gradient(X, Y)
        return loss, math.isfinite(loss) and not careful and self.update(learning_rate, True)

    def update(self, learning_rate: float, calm_only: bool) -> bool:
        """Update along the network's gradient; return whether it was done."""
        net = self.network
        return kernels.update_parameters(
            self.rule,
            net.parameters,
            net.gradient,
            self.first,
            self.second,
            learning_rate,
            self.counter,
            calm_only,
        )

    def gradient(self, X: _Array, Y: Any) -> float:
        """Return C and fill the network's gradient, penalties and clipping included."""
        net = self.network
        loss, da = net._called_loss(net.forward(X).copy(), Y)
        numbers = np.asarray(da).dtype.kind in "fiu"  # what is not, backpropagate refuses
        if not math.isfinite(loss) or (numbers and not np.isfinite(da).all()):
            return math.nan
        net.backpropagate(da)
        for layer in net.layers:
            if self.l1 or self.l2:
                W = layer.W
                loss += float(self.l1 * np.abs(W).sum() + 0.5 * self.l2 * np.square(W).sum())
                layer.dW[...] += self.l1 * np.sign(W) + self.l2 * W
        if self.clip_norm:
            g = net.gradient
            largest = float(np.abs(g).max())
            if largest > 0:
                norm = largest * float(np.linalg.norm(g / largest))
                g *= min(1.0, self.clip_norm / norm)
        return loss
