"""The solver lbfgs: SciPy's L-BFGS-B over the loss of all samples and its gradient."""

from __future__ import annotations

import math
import warnings
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.optimize
import scipy.sparse
from sklearn.exceptions import ConvergenceWarning

from bpcore.estimators._data import rows_in_a_piece
from bpcore.estimators._epochs import Penalty
from bpcore.estimators._gradients import KernelGradient
from bpcore.estimators._stochastic import needs_numpy, numpy_gradient, team_of

if TYPE_CHECKING:
    from bpcore.estimators._data import Data
    from bpcore.network import Network
    from bpcore.threads import Team


def fit(estimator: Any, data: Data) -> None:
    """Minimise the penalised loss of all samples."""
    network = estimator._network
    iteration = 0

    def report(intermediate_result: scipy.optimize.OptimizeResult) -> None:
        nonlocal iteration
        iteration += 1
        print(f"Iteration {iteration}, loss = {intermediate_result.fun:.8f}")

    with ExitStack() as ends:
        team = ends.enter_context(team_of(estimator))
        objective = _Objective(estimator, data, team)
        if objective.threads == 1:
            ends.enter_context(team.stretch(1))
        result = scipy.optimize.minimize(
            objective,
            network.parameters[objective.order],
            method="L-BFGS-B",
            jac=True,
            callback=report if estimator.verbose else None,
            options={
                "maxfun": estimator.max_fun,
                "maxiter": estimator.max_iter,
                "gtol": estimator.tol,
            },
        )
    if result.status != 0:
        warnings.warn(
            f"lbfgs failed to converge after {result.nit} iteration(s) (status={result.status}) "
            f"and {result.nfev} evaluations:\n{result.message}\nRaise "
            f"max_iter={estimator.max_iter} or max_fun={estimator.max_fun}, or scale the data.",
            ConvergenceWarning,
            stacklevel=5,
        )
    estimator.n_iter_ = min(result.nit, estimator.max_iter)
    estimator.loss_ = float(result.fun)
    estimator.converged_ = bool(result.status == 0)
    network.parameters[objective.order] = result.x


class _Objective:
    """The loss and its gradient as functions of θ, in the order that scikit-learn packs it.

    First all weights, each layer's as (n_in, n_out), then all biases: sums over θ then round
    as scikit-learn's do.
    """

    def __init__(self, estimator: Any, data: Data, team: Team) -> None:
        self._estimator, self._network, self._data = estimator, estimator._network, data
        self._penalty = Penalty(estimator._network, estimator.alpha, estimator._loss)
        self.order = packed_order(estimator._network)
        self._rows = rows_in_a_piece(data.X) if scipy.sparse.issparse(data.X) else data.n
        self._gradient = (
            numpy_gradient(estimator)
            if needs_numpy(estimator, data)
            else KernelGradient(
                estimator._network, estimator._loss, min(self._rows, data.n), 1, team
            )
        )
        self.threads: int = self._gradient.threads

    def __call__(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        net = self._network
        net.parameters[self.order] = theta
        C, total = self._all_samples()
        if not math.isfinite(C):
            return math.inf, self._packed_gradient()
        C += self._penalty.add(total)
        return C, self._packed_gradient()

    def _packed_gradient(self) -> np.ndarray:
        gradient = self._network.gradient[self.order].astype(np.float64)
        return gradient / self._estimator._loss.gradient_scale

    def _all_samples(self) -> tuple[float, float]:
        """Return C without penalty and Σw, the gradient in the network's vector."""
        data, rows, net = self._data, self._rows, self._network
        if rows >= data.n and not scipy.sparse.issparse(data.X):
            return self._gradient(data, None, data.n, 0)
        loss, weight, gradient = 0.0, 0.0, np.zeros_like(net.gradient)
        for first in range(0, data.n, rows):
            piece = data.take(slice(first, first + rows))
            C, total = self._gradient(piece, None, piece.n, 0)
            loss += C * total
            weight += total
            gradient += net.gradient * gradient.dtype.type(total)
        net.gradient[...] = gradient / weight
        return loss / weight, weight


def packed_order(network: Network) -> np.ndarray:
    """Return the places in `network.parameters` of scikit-learn's packed parameters."""
    weights, biases, start = [], [], 0
    for layer in network.layers:
        stop = start + layer.W.size
        weights.append(np.arange(start, stop).reshape(layer.W.shape).T.ravel())
        start = stop + layer.b.size
        biases.append(np.arange(stop, start))
    return np.concatenate(weights + biases)
