"""An epoch: in one compiled call where the kernels know all of it, else step by step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from bpcore.cpu import kernels
from bpcore.estimators._data import Data, pieces
from bpcore.trainer import STRETCH_OPERATIONS

if TYPE_CHECKING:
    from bpcore.estimators._losses import Loss
    from bpcore.estimators._rules import SGD, Adam
    from bpcore.network import Network


class CompiledEpochs:
    """Epochs without weights: every batch is one step of `kernels.Training`.

    The penalty is α/2n ΣW² with n the samples of the batch, so a last, smaller batch has a
    Training of its own, which shares parameters and state.
    """

    def __init__(
        self,
        network: Network,
        data: Data,
        batch_size: int,
        rule: SGD | Adam,
        alpha: float,
        loss: Loss,
    ) -> None:
        self._data, self._batch_size, self._rule, self._loss = data, batch_size, rule, loss
        self._steps = -(-data.n // batch_size)
        operations = 6 * batch_size * network.parameters.size
        self._stretch = max(1, int(STRETCH_OPERATIONS / operations))
        full, rest = divmod(data.n, batch_size)
        self._full = full
        self._whole = self._training(network, alpha, batch_size)
        self._rest: Any = self._training(network, alpha, rest) if rest else None

    def _training(self, network: Network, alpha: float, n: int) -> Any:
        """Return the kernel for batches of n samples."""
        scale = self._loss.gradient_scale
        return kernels.Training(
            network._kernel,
            network.parameters,
            network.gradient,
            self._rule.kernel_rule(),
            *self._rule.vectors(),
            self._rule.counter,
            n,
            0.0,
            scale * alpha / n,
            0.0,
            largest_loss=self._loss.largest(network.parameters.dtype),
        )

    def run(self, order: np.ndarray | None) -> float:
        """Train one epoch; return the mean loss of its samples, NaN where it is not finite."""
        rates = self._rule.rates(self._steps)
        self._whole.reset_loss()
        total = 0.0
        for data, rows, start, stop, offset in pieces(self._data, order, self._batch_size):
            here = rates[offset:]
            middle = min(stop, self._full)
            if not self._stretches(self._whole, data, rows, start - offset, middle - offset, here):
                return math.nan
            if middle < stop:
                self._rest.reset_loss()
                if not self._stretches(
                    self._rest, data, rows, middle - offset, stop - offset, here
                ):
                    return math.nan
                total = self._rest.loss_sum
        return (self._whole.loss_sum + total) / self._data.n / self._loss.value_scale

    def _stretches(
        self,
        training: Any,
        data: Data,
        order: np.ndarray | None,
        step: int,
        stop: int,
        rates: np.ndarray,
    ) -> bool:
        """Run the steps, between stretches of which signals are heard; return False at a NaN."""
        while step < stop:
            until = min(step + self._stretch, stop)
            step = training.run(*data, order, self._batch_size, step, until, rates)
            if step < until:
                return False
        return True


class SteppedEpochs:
    """Epochs with a gradient of their own: a call for the gradient, one for the update.

    For weights, where the penalty of every batch is another, α / 2Σw ΣW², and for what
    `NumpyGradient` does.
    """

    def __init__(
        self,
        network: Network,
        data: Data,
        batch_size: int,
        rule: SGD | Adam,
        alpha: float,
        loss: Loss,
        gradient: Any,
    ) -> None:
        self._network, self._data, self._batch_size = network, data, batch_size
        self._rule, self._gradient = rule, gradient
        self._penalty = Penalty(network, alpha, loss)
        self._steps = -(-data.n // batch_size)

    def run(self, order: np.ndarray | None) -> float:
        """Train one epoch; return the mean loss of its samples, NaN where it is not finite."""
        net, rule = self._network, self._rule
        rates, kernel_rule = rule.rates(self._steps), rule.kernel_rule()
        first, second = rule.vectors()
        accumulated = 0.0
        for data, rows, start, stop, offset in pieces(self._data, order, self._batch_size):
            for step in range(start, stop):
                C, total = self._gradient(data, rows, self._batch_size, step - offset)
                if not math.isfinite(C):
                    return math.nan
                if total == 0:  # nothing in this batch counts
                    continue
                C += self._penalty.add(total)
                accumulated += C * min(self._batch_size, self._data.n - step * self._batch_size)
                kernels.update_parameters(
                    kernel_rule,
                    net.parameters,
                    net.gradient,
                    first,
                    second,
                    rates[step],
                    rule.counter,
                    False,
                )
        return accumulated / self._data.n


class Penalty:
    """α / 2Σw ΣW², for the weights of all layers and not the biases."""

    def __init__(self, network: Network, alpha: float, loss: Loss) -> None:
        self._alpha, self._scale = float(alpha), loss.gradient_scale
        self._layers = [(layer.W.reshape(-1), layer.dW.reshape(-1)) for layer in network.layers]

    def add(self, total: float) -> float:
        """Add its gradient, scaled as the loss's is, to the network's; return its value.

        Parameters
        ----------
        total : float
            Σw of the batch.
        """
        if self._alpha == 0:
            return 0.0
        share, squares = self._alpha / total, 0.0
        for W, dW in self._layers:
            squares += float(np.dot(W, W))
            dW += W * W.dtype.type(self._scale * share)
        return 0.5 * share * squares
