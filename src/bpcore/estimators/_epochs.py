"""An epoch: in one compiled call where the kernels know all of it, else step by step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bpcore.cpu import kernels
from bpcore.estimators._data import Data, Piece, pieces
from bpcore.stretches import stretch_length

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bpcore.estimators._losses import Loss
    from bpcore.estimators._rules import SGD, Adam
    from bpcore.network import Network
    from bpcore.threads import Team


class Task(NamedTuple):
    """What the epochs of a fit train, on what, and how."""

    network: Network
    data: Data
    order: np.ndarray | None  # row i of an epoch is order[i], shuffled in place between epochs
    batch_size: int
    rule: SGD | Adam
    alpha: float
    loss: Loss

    @property
    def steps(self) -> int:
        """Steps an epoch."""
        return -(-self.data.n // self.batch_size)

    def pieces(self) -> Iterable[Piece]:
        """Return an epoch's steps in pieces that lie in memory, dense."""
        return pieces(self.data, self.order, self.batch_size)


class CompiledEpochs:
    """Epochs without weights: every batch is one step of `kernels.Training`.

    The penalty is α/2n ΣW² with n the samples of the batch, so a last, smaller batch has a
    Training of its own, which shares parameters and state.

    The kernel's C is value_scale times the loss plus gradient_scale times the penalty. Where the
    two differ (the squared error of several outputs), it is not the value that is wanted, and the
    penalty is added up between steps.
    """

    def __init__(self, task: Task, team: Team) -> None:
        self._task, self._team = task, team
        self._stretch = stretch_length(task.batch_size, task.network.parameters.size)
        self._share = 1 - task.loss.gradient_scale / task.loss.value_scale
        self._penalty: Any = None
        if task.alpha and self._share:
            self._penalty, self._stretch = Penalty(task.network, task.alpha, task.loss), 1
        self._n, self._steps = task.data.n, task.steps
        self._full, rest = divmod(self._n, task.batch_size)
        self._whole = self._training(task.batch_size)
        self._rest: Any = self._training(rest) if rest else None
        self.threads: int = self._whole.threads
        # Dense samples are where they are in every epoch.
        self._dense = tuple(self._batches()) if isinstance(task.data.X, np.ndarray) else None

    def _batches(self) -> Iterator[tuple[tuple[Any, ...], int, int, int]]:
        """Yield what `kernels.Training.run` takes of each piece, and its steps."""
        for data, order, start, stop, offset in self._task.pieces():
            yield (*data, order, self._task.batch_size), start, stop, offset

    def _training(self, n: int) -> Any:
        """Return the kernel for batches of n samples."""
        network, rule, loss = self._task.network, self._task.rule, self._task.loss
        return kernels.Training(
            network._kernel,
            network.parameters,
            network.gradient,
            rule.kernel_rule(),
            *rule.vectors(),
            rule.counter,
            n,
            0.0,
            loss.gradient_scale * self._task.alpha / n,
            0.0,
            self._team.wanted,
            loss.largest(network.parameters.dtype),
        )

    def run(self) -> float:
        """Train one epoch; return the mean loss of its samples, NaN where it is not finite."""
        task = self._task
        rates = task.rule.rates(self._steps)
        self._whole.reset_loss()
        self._penalties = total = 0.0
        for batches, start, stop, offset in self._dense or self._batches():
            here = rates[offset:] if offset else rates
            middle = min(stop, self._full)
            if not self._stretches(self._whole, batches, start - offset, middle - offset, here):
                return math.nan
            if middle < stop:
                self._rest.reset_loss()
                if not self._stretches(self._rest, batches, middle - offset, stop - offset, here):
                    return math.nan
                total = self._rest.loss_sum
        loss = (self._whole.loss_sum + total) / task.loss.value_scale
        return (loss + self._share * self._penalties) / self._n

    def _stretches(
        self, training: Any, batches: tuple[Any, ...], step: int, stop: int, rates: np.ndarray
    ) -> bool:
        """Run the steps, between stretches of which signals are heard; return False at a NaN."""
        while step < stop:
            if self._penalty is not None:  # α/2n ΣW² for each of n samples
                self._penalties += self._penalty.value(1.0)
            done, until = run_stretch(
                training, self._team, batches, step, stop, rates, self._stretch
            )
            if done < until:
                return False
            step = done
        return True


def run_stretch(
    training: Any,
    team: Team,
    batches: tuple[Any, ...],
    step: int,
    stop: int,
    rates: np.ndarray,
    length: int = 1,
) -> tuple[int, int]:
    """Do as `Team.run` does."""
    if training.threads == 1:  # reserved for all of the fit: small steps are done sooner than that
        until = min(step + length, stop)
        return training.run(*batches, step, until, rates), until
    return team.run(training, batches, step, stop, rates, length)


class SteppedEpochs:
    """Epochs with a gradient of their own: a call for the gradient, one for the update.

    For weights, where the penalty of every batch is another, α / 2Σw ΣW², and for what
    `NumpyGradient` does.
    """

    def __init__(self, task: Task, gradient: Any) -> None:
        self._task, self._gradient = task, gradient
        self.threads: int = gradient.threads
        self._penalty = Penalty(task.network, task.alpha, task.loss)

    def run(self) -> float:
        """Train one epoch; return the mean loss of its samples, NaN where it is not finite."""
        net, rule, n = self._task.network, self._task.rule, self._task.data.n
        batch_size = self._task.batch_size
        rates, kernel_rule = rule.rates(self._task.steps), rule.kernel_rule()
        first, second = rule.vectors()
        accumulated = 0.0
        for data, rows, start, stop, offset in self._task.pieces():
            for step in range(start, stop):
                C, total = self._gradient(data, rows, batch_size, step - offset)
                if not math.isfinite(C):
                    return math.nan
                if total == 0:  # nothing in this batch counts
                    continue
                C += self._penalty.add(total)
                accumulated += C * min(batch_size, n - step * batch_size)
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
        return accumulated / n


class Penalty:
    """α / 2Σw ΣW², for the weights of all layers and not the biases."""

    def __init__(self, network: Network, alpha: float, loss: Loss) -> None:
        self._alpha, self._scale = float(alpha), loss.gradient_scale
        self._layers = [(layer.W.reshape(-1), layer.dW.reshape(-1)) for layer in network.layers]

    def value(self, total: float) -> float:
        """Return it for weights that sum to `total`."""
        return 0.5 * self._alpha / total * sum(float(np.dot(W, W)) for W, _ in self._layers)

    def add(self, total: float) -> float:
        """Add its gradient, scaled as the loss's is, to the network's; return its value.

        Parameters
        ----------
        total : float
            Σw of the batch.
        """
        if self._alpha == 0:
            return 0.0
        value = self.value(total)
        for W, dW in self._layers:
            dW += W * W.dtype.type(self._scale * self._alpha / total)
        return value
