"""∂C/∂θ of one batch, penalties apart, in the network's gradient vector: by kernel, or by NumPy.

Both leave `Loss.gradient_scale` times the gradient there, since that is what the compiled epochs
work with, and an optimiser's state has to suit either.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from bpcore.cpu import kernels
from bpcore.estimators._epochs import run_stretch
from bpcore.estimators._losses import pointwise

if TYPE_CHECKING:
    from bpcore.estimators._data import Data
    from bpcore.estimators._losses import Loss
    from bpcore.network import Network
    from bpcore.threads import Team


class KernelGradient:
    """The gradient of a batch by one compiled call, which leaves the parameters as they are.

    A step of `kernels.Training` keeps its gradient wherever it has a momentum, and with a
    learning rate of 0 from a velocity of 0 it goes nowhere.
    """

    def __init__(
        self, network: Network, loss: Loss, batch_size: int, steps: int, team: Team
    ) -> None:
        self._loss, self._team = loss, team
        self._rates = np.zeros(steps)
        self._training = kernels.Training(
            network._kernel,
            network.parameters,
            network.gradient,
            {"kind": "SGD", "momentum": 0.5},
            np.zeros_like(network.parameters),
            None,
            np.zeros(1, np.int64),
            batch_size,
            0.0,
            0.0,
            0.0,
            team.wanted,
            loss.largest(network.parameters.dtype),
        )

    @property
    def threads(self) -> int:
        """How many a batch has work for at most."""
        return self._training.threads

    def __call__(
        self, data: Data, order: np.ndarray | None, batch_size: int, step: int
    ) -> tuple[float, float]:
        """Return C of batch `step` and the sum of its weights; C is NaN if it is not finite."""
        training = self._training
        training.reset_loss()
        batches = (*data, order, batch_size)
        done, _ = run_stretch(training, self._team, batches, step, step + 1, self._rates)
        if done == step:
            return math.nan, math.nan
        total = training.weight_sum
        return training.loss_sum / total / self._loss.value_scale if total else 0.0, total


class NumpyGradient:
    """The same with the loss in NumPy: for dropout, weighted outputs, and losses without a kernel.

    Parameters
    ----------
    network : Network
    name : str
        The loss.
    loss : Loss
    dropout : float
        Share of every hidden layer's outputs that is set to 0, anew for every batch; the others
        are divided by 1 - dropout (Srivastava et al. 2014).
    random_state : numpy.random.RandomState
        What dropout draws from.
    output_weight : ndarray of shape (n_outputs,) or None
        Factors of the outputs' losses.
    """

    threads = 1

    def __init__(
        self,
        network: Network,
        name: str,
        loss: Loss,
        dropout: float,
        random_state: np.random.RandomState,
        output_weight: np.ndarray | None,
    ) -> None:
        self._name, self._loss = name, loss
        self._dropout, self._random_state = dropout, random_state
        self._output_weight = output_weight
        last = network.layers[-1]
        # The last layer once more, without its activation: `pointwise` starts from z.
        linear = kernels.Layer(kernels.ACTIVATIONS["identity"], last.W, last.b, last.dW, last.db)
        self._layers: list[Any] = [layer._kernel for layer in network.layers[:-1]] + [linear]

    def __call__(
        self, data: Data, order: np.ndarray | None, batch_size: int, step: int
    ) -> tuple[float, float]:
        rows: Any = slice(step * batch_size, (step + 1) * batch_size)
        batch = (
            data
            if batch_size >= data.n and order is None
            else data.take(rows if order is None else order[rows])
        )
        try:
            return self._batch(batch)
        except ValueError:  # a layer was given numbers that are not finite
            return math.nan, math.nan

    def _batch(self, batch: Data) -> tuple[float, float]:
        a, masks = batch.X, []
        for layer in self._layers[:-1]:
            a = layer.forward(a)
            if self._dropout:
                kept = self._random_state.random_sample(a.shape) >= self._dropout
                masks.append((kept / (1 - self._dropout)).astype(a.dtype))
                a = a * masks[-1]
        z = self._layers[-1].forward(a)
        y = batch.rows
        if y is None:
            y = np.zeros_like(z)
            y[np.arange(len(z)), batch.labels] = 1
        with np.errstate(over="ignore", invalid="ignore"):
            losses, delta = pointwise(self._name, self._loss.output, z, y)
        if self._output_weight is not None:
            losses, delta = losses * self._output_weight, delta * self._output_weight
        share, total = self._share(batch)
        scaled = self._loss.gradient_scale * share
        delta = (delta * scaled).astype(z.dtype, copy=False)
        for k, layer in reversed(list(enumerate(self._layers))):
            delta = layer.backward(delta)
            if self._dropout and k:
                delta *= masks[k - 1]
        value = float((losses * share).sum())
        return (value / z.shape[1] if self._loss.averaged else value), total

    @staticmethod
    def _share(batch: Data) -> tuple[Any, float]:
        """Return what every sample counts, w_i / Σ w, and Σ w."""
        if batch.weight is None:
            return 1.0 / batch.n, float(batch.n)
        total = float(batch.weight.sum(dtype=np.float64))
        return (batch.weight / total)[:, None] if total else 0.0, total
