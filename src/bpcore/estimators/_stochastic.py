"""The epochs of sgd and adam, and what happens between them: curves, stopping, callbacks."""

from __future__ import annotations

import math
import os
import time
import warnings
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from bpcore.callbacks import as_callback, progress_bar
from bpcore.cpu import default_threads
from bpcore.estimators._epochs import CompiledEpochs, SteppedEpochs, Task
from bpcore.estimators._gradients import KernelGradient, NumpyGradient
from bpcore.estimators._rules import rule_of
from bpcore.history import History
from bpcore.threads import Team

if TYPE_CHECKING:
    from bpcore.estimators._data import Data
    from bpcore.network import Network


class FitState:
    """What the callbacks of a fit are given, by the names that a `bpcore.Trainer` has.

    Attributes
    ----------
    estimator : MLPClassifier or MLPRegressor
        The one that is being fitted.
    network : Network
        Its network, which the epochs train.
    history : History
        A value an epoch of this fit.
    epoch : int
        Epochs of this fit that are done.
    stop_training : bool
        Set it to end the fit after the epoch.
    """

    def __init__(self, estimator: Any, network: Network) -> None:
        self.estimator, self.network = estimator, network
        self.history = History()
        self.epoch = 0
        self.stop_training = False
        self._began = time.perf_counter()

    def tell(self, hooks: list[Any], validated: bool) -> None:
        """Add the epoch that has just ended to the history, and call the callbacks."""
        now, estimator = time.perf_counter(), self.estimator
        self.epoch += 1
        self.history.append(
            estimator.loss_,
            estimator._optimizer.learning_rate,
            now - self._began,
            estimator.validation_loss_curve_[-1] if validated else None,
        )
        for hook in hooks:
            hook.on_epoch_end(self)
        self._began = time.perf_counter()


def start(estimator: Any) -> None:
    """Set the fitted attributes as they are before the first epoch."""
    estimator.loss_curve_ = []
    estimator._no_improvement_count = 0
    estimator.best_loss_ = None if estimator.early_stopping else np.inf
    estimator.validation_scores_ = [] if estimator.early_stopping else None
    estimator.best_validation_score_ = -np.inf if estimator.early_stopping else None


def fit(estimator: Any, data: Data, validation_data: Data | None, incremental: bool) -> None:
    """Train the estimator's network until it stops improving, or one epoch if incremental."""
    network, random_state = estimator._network, estimator._random_state
    rule = getattr(estimator, "_optimizer", None)
    if not incremental or rule is None or rule.gradient_scale != estimator._loss.gradient_scale:
        estimator._optimizer = rule_of(estimator, network.parameters)
    if not hasattr(estimator, "loss_curve_"):  # the fit before was lbfgs's
        start(estimator)
    if estimator.early_stopping and validation_data is None:
        data, validation_data = _split(estimator, data, incremental)
    batch_size = _batch_size(estimator, data.n)
    order = np.arange(data.n) if estimator.shuffle else None
    state = FitState(estimator, network)
    # Typed for a Trainer, which a FitState is like enough.
    hooks: list[Any] = [] if incremental else _hooks(estimator)
    if estimator.progress and not incremental:
        hooks.append(progress_bar(estimator.max_iter))
    if not incremental:
        # A warm start that is never better than the fit before keeps its own last weights.
        estimator._best_parameters = network.parameters.copy() if estimator.t_ == 0 else None
    estimator.n_iter_ = 0
    estimator.converged_ = False
    diverged = False
    try:
        with ExitStack() as ends:
            team = ends.enter_context(team_of(estimator))
            epochs = _epochs(estimator, data, order, batch_size, team)
            if epochs.threads == 1:
                ends.enter_context(team.stretch(1))
            for hook in hooks:
                ends.callback(hook.on_train_end, state)
                hook.on_train_begin(state)
            while True:
                if order is not None:  # the draws of sklearn.utils.shuffle, and so its order
                    random_state.shuffle(order)
                loss = math.nan if diverged else epochs.run()
                if math.isnan(loss):  # there is no way back from NaN
                    diverged = True
                    network.parameters[...] = np.nan
                _record(estimator, loss, data.n, validation_data)
                if hooks:
                    state.tell(hooks, validation_data is not None)
                estimator.converged_ = _has_converged(estimator)
                if estimator.converged_ or incremental or state.stop_training:
                    break
                if estimator.n_iter_ == estimator.max_iter:
                    warnings.warn(
                        f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) reached "
                        "and the optimization hasn't converged yet. Raise max_iter or tol.",
                        ConvergenceWarning,
                        stacklevel=5,
                    )
                    break
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=5)
    best = getattr(estimator, "_best_parameters", None)
    if estimator.early_stopping and best is not None and (estimator.converged_ or not incremental):
        network.parameters[...] = best


def _hooks(estimator: Any) -> list[Any]:
    """Return the callbacks, each checked."""
    hooks = [as_callback(hook) for hook in estimator.callbacks]
    for hook in hooks:
        if hook.every is not None:
            raise ValueError(
                f"{type(hook).__name__}.every is {hook.every}, but callbacks of estimators are "
                "called after epochs only: use a bpcore.Trainer to see steps"
            )
    return hooks


def _split(estimator: Any, data: Data, incremental: bool) -> tuple[Data, Data]:
    """Return data to train on and data to stop by, as train_test_split parts them.

    Calls of partial_fit part the same number of samples alike, so that no sample of a batch that
    comes again is trained on in one call and scored on in another.
    """
    random_state = estimator._random_state
    if incremental:
        if not hasattr(estimator, "_held_out_seed"):
            estimator._held_out_seed = int(random_state.randint(2**31 - 1))
        random_state = estimator._held_out_seed
    trained, held_out = train_test_split(
        np.arange(data.n),
        random_state=random_state,
        test_size=estimator.validation_fraction,
        stratify=_strata(estimator, data, incremental),
    )
    if len(held_out) < 2:
        raise ValueError(
            f"The validation set is too small: it has {len(held_out)} of {data.n} samples. "
            "Raise validation_fraction, fit on more samples or pass validation_data=(X_val, y_val)"
        )
    held_out = data.select(held_out)
    if held_out.weight is not None and not held_out.weight.any():
        raise ValueError(
            f"the {held_out.n} samples held out to stop by all have the weight 0: raise "
            "validation_fraction or pass validation_data=(X_val, y_val)"
        )
    return data.select(trained), held_out


def _strata(estimator: Any, data: Data, incremental: bool) -> np.ndarray | None:
    """Return the class of every sample where both parts of a split are to have its share of both.

    As in scikit-learn that is with two classes. A batch of partial_fit may hold too few of one.
    """
    if not (is_classifier(estimator) and estimator.n_outputs_ == 1):
        return None
    positive: np.ndarray = data.rows.astype(bool)
    if incremental:
        counts = np.unique(positive, return_counts=True)[1]
        if counts.min() < 2 or estimator.validation_fraction * data.n <= len(counts) - 1:
            return None
    return positive


def _batch_size(estimator: Any, n: int) -> int:
    if estimator.batch_size == "auto":
        return min(200, n)
    if estimator.batch_size > n:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped "
            f"from {estimator.batch_size} to {n}",
            stacklevel=6,
        )
    return int(min(estimator.batch_size, n))


def _epochs(
    estimator: Any, data: Data, order: np.ndarray | None, batch_size: int, team: Team
) -> CompiledEpochs | SteppedEpochs:
    """Return what runs the epochs: one compiled call each wherever that can be."""
    network, loss, alpha = estimator._network, estimator._loss, estimator.alpha
    task = Task(network, data, order, batch_size, estimator._optimizer, alpha, loss)
    if needs_numpy(estimator, data):
        return SteppedEpochs(task, numpy_gradient(estimator))
    if data.weight is None:
        return CompiledEpochs(task, team)
    return SteppedEpochs(task, KernelGradient(network, loss, batch_size, task.steps, team))


def team_of(estimator: Any) -> Team:
    """Return the threads of a fit, at most n_threads.

    By default as many as a `bpcore.Trainer` takes, but no more than OMP_NUM_THREADS, by which
    joblib tells each of its processes how many are its share.
    """
    if estimator.n_threads is not None:
        return Team(int(estimator.n_threads))
    share = os.environ.get("OMP_NUM_THREADS", "")
    wanted = default_threads()
    return Team(min(wanted, int(share)) if share.isdecimal() and int(share) > 0 else wanted)


def needs_numpy(estimator: Any, data: Data) -> bool:
    """Return whether the kernels lack something that the loss, dropout or the weights need.

    They divide by the sum of a batch's weights only where it is above 0.
    """
    return bool(
        estimator._loss.kernel is None
        or (data.weight is not None and data.weight.min() < 0)
        or estimator.dropout
        or getattr(estimator, "output_weight", None) is not None
    )


def numpy_gradient(estimator: Any) -> NumpyGradient:
    """Return the gradient with the loss in NumPy."""
    return NumpyGradient(
        estimator._network,
        estimator._loss_name,
        estimator._loss,
        estimator.dropout,
        estimator._random_state,
        estimator._checked_output_weight(),
    )


def _record(estimator: Any, loss: float, n: int, validation_data: Data | None) -> None:
    """Append the epoch to the curves, and count it if it is no better than those before."""
    estimator.n_iter_ += 1
    estimator.t_ += n
    estimator.loss_ = loss
    estimator.loss_curve_.append(loss)
    if estimator.verbose:
        print(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")
    if validation_data is not None:
        score, validation_loss = estimator._validate(validation_data)
        if not hasattr(estimator, "validation_loss_curve_"):
            estimator.validation_loss_curve_ = []
        estimator.validation_loss_curve_.append(validation_loss)
    if estimator.early_stopping:
        if estimator.validation_scores_ is None:  # switched on for a warm start
            estimator.validation_scores_, estimator.best_validation_score_ = [], -np.inf
        estimator.validation_scores_.append(score)
        if estimator.verbose:
            print(f"Validation score: {score:f}")
        worse = score < estimator.best_validation_score_ + estimator.tol
        if score > estimator.best_validation_score_:
            estimator.best_validation_score_ = score
            estimator._best_parameters = estimator._network.parameters.copy()
    else:
        if estimator.best_loss_ is None:  # switched off for a warm start
            estimator.best_loss_ = np.inf
        worse = loss > estimator.best_loss_ - estimator.tol
        if loss < estimator.best_loss_:
            estimator.best_loss_ = loss
    estimator._no_improvement_count = estimator._no_improvement_count + 1 if worse else 0
    estimator._optimizer.epoch_ends(estimator.t_)


def _has_converged(estimator: Any) -> bool:
    """Return whether to stop; an adaptive learning rate is lowered first."""
    if not estimator._no_improvement_count > estimator.n_iter_no_change:
        return False
    slower = estimator._optimizer.slow_down()
    if slower:
        estimator._no_improvement_count = 0
    if estimator.verbose:
        what = "Validation score" if estimator.early_stopping else "Training loss"
        then = f"learning rate lowered to {estimator._optimizer.learning_rate:g}"
        print(
            f"{what} no better by tol={estimator.tol:g} in {estimator.n_iter_no_change} epochs: "
            + (then if slower else "stopping.")
        )
    return not slower
