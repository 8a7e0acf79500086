"""What runs between epochs: the base class, early stopping and the progress bar."""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

from bpcore import validation

if TYPE_CHECKING:
    from collections.abc import Callable

    from bpcore.trainer import Trainer

__all__ = [
    "Callback",
    "EarlyStopping",
    "ProgressBar",
    "as_callback",
    "as_callbacks",
    "progress_bar",
]


class Callback:
    """Base class of callbacks: override what is needed, the rest does nothing.

    Each method gets the trainer, and may read `trainer.network`, `trainer.history` and
    `trainer.epoch` (epochs completed), and set `trainer.stop_training` to True.

    Attributes
    ----------
    every : int or None
        Number of training steps between two calls of `on_steps`; None, the default, never calls
        it.

    Examples
    --------
    >>> from bpcore.callbacks import Callback
    >>> class StopAtLoss(Callback):
    ...     def __init__(self, loss):
    ...         self.loss = loss
    ...
    ...     def on_epoch_end(self, trainer):
    ...         trainer.stop_training = trainer.history.loss[-1] <= self.loss
    """

    every: int | None = None

    def on_train_begin(self, trainer: Trainer) -> None:
        """Run once, before the first epoch."""

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Run after each epoch, when the history has its values."""

    def on_steps(self, trainer: Trainer) -> None:
        """Run after every `every` training steps."""

    def on_train_end(self, trainer: Trainer) -> None:
        """Run once, after the last epoch, also when an error or an interrupt ended training."""


class EarlyStopping(Callback):
    """Stop when the loss no longer falls, and put the best parameters back.

    It watches the validation loss, or the training loss when there is no validation data. Training
    stops after `patience` epochs in a row, none of which brought the loss more than `min_delta`
    below what it was at the last epoch that did. However training ends, the parameters of the
    epoch with the lowest loss are put back.

    Each training run starts anew, unless `load_state_dict` was called just before it.

    Parameters
    ----------
    patience : int, default 10
        Epochs without improvement after which training stops, at least 1.
    min_delta : float, default 0.0
        What counts as an improvement, in units of the loss: falling by more than this.
    restore_best : bool, default True
        Whether to put the parameters of the best epoch back when training ends; otherwise the
        network keeps those of the last epoch.

    Attributes
    ----------
    best_loss : float
        Lowest loss seen; infinity before the first epoch.
    best_epoch : int or None
        `trainer.epoch` after the epoch of `best_loss`: 1 for the first. None before it.
    stopped_epoch : int or None
        `trainer.epoch` when this callback stopped the training, None when it did not.
    monitored : "validation_loss", "loss" or None
        The loss watched; None before the first epoch.

    Raises
    ------
    TypeError, ValueError
        When a parameter is of another type or out of range.
    """

    best_loss: float
    best_epoch: int | None
    stopped_epoch: int | None
    monitored: str | None
    _improved_loss: float
    _best_parameters: np.ndarray | None

    def __init__(
        self, patience: int = 10, min_delta: float = 0.0, restore_best: bool = True
    ) -> None:
        _check_parameters(patience, min_delta, restore_best)
        self.patience = patience
        self.min_delta = min_delta
        self.restore_best = restore_best
        self._resuming = False
        self._reset()

    def on_train_begin(self, trainer: Trainer) -> None:
        if not self._resuming:
            self._reset()
        self._resuming = False
        self.stopped_epoch = None
        n, best = trainer.network.parameters.size, self._best_parameters
        if best is not None and best.size != n:
            self._reset()
            raise ValueError(
                f"the loaded state of EarlyStopping is of a network with {best.size} parameters, "
                f"this network has {n}"
            )

    def on_epoch_end(self, trainer: Trainer) -> None:
        history = trainer.history
        if self.monitored is None:
            validated = history.validation_loss and not math.isnan(history.validation_loss[-1])
            self.monitored = "validation_loss" if validated else "loss"
        loss = float(getattr(history, self.monitored)[-1])
        if loss < self.best_loss:
            self.best_loss, self.best_epoch = loss, trainer.epoch
            if self.restore_best:
                self._keep(trainer.network.parameters)
        # A NaN is below nothing, so it counts as an epoch without improvement.
        if loss < self._improved_loss - self.min_delta:
            self._improved_loss, self._waited = loss, 0
        else:
            self._waited += 1
        if self._waited >= self.patience:
            self.stopped_epoch = trainer.epoch
            trainer.stop_training = True

    def on_train_end(self, trainer: Trainer) -> None:
        if self._best_parameters is not None:
            trainer.network.parameters[:] = self._best_parameters

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training needs, as numbers, strings and a copied array.

        Returns
        -------
        dict
            "best_loss", "best_epoch", "monitored", "improved_loss", "waited" and "parameters",
            the last a 1-D array or None.
        """
        best = self._best_parameters
        return {
            "best_loss": self.best_loss,
            "best_epoch": self.best_epoch,
            "monitored": self.monitored,
            "improved_loss": self._improved_loss,
            "waited": self._waited,
            "parameters": None if best is None else best.copy(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the state of another EarlyStopping; the next training run continues from it.

        Parameters
        ----------
        state : dict
            What `state_dict` returned, in a callback at the same point of the same training.

        Raises
        ------
        ValueError
            When the names in `state` are others than those of `state_dict`.
        """
        wanted = self.state_dict().keys()
        if state.keys() != wanted:
            raise ValueError(
                f"the state has {sorted(state)}, wanted {sorted(wanted)}: "
                "give what EarlyStopping.state_dict() returned"
            )
        self.best_loss = state["best_loss"]
        self.best_epoch = state["best_epoch"]
        self.monitored = state["monitored"]
        self._improved_loss = state["improved_loss"]
        self._waited = state["waited"]
        best = state["parameters"]
        self._best_parameters = None if best is None else np.array(best)
        self._resuming = True

    def __repr__(self) -> str:
        return (
            f"EarlyStopping(patience={self.patience}, min_delta={self.min_delta}, "
            f"restore_best={self.restore_best})"
        )

    def _reset(self) -> None:
        self.best_loss = math.inf
        self.best_epoch = None
        self.stopped_epoch = None
        self.monitored = None
        self._improved_loss = math.inf
        self._waited = 0
        self._best_parameters = None

    def _keep(self, parameters: np.ndarray) -> None:
        if self._best_parameters is None:
            self._best_parameters = parameters.copy()
        else:
            self._best_parameters[:] = parameters


class ProgressBar(Callback):
    """A tqdm bar on stderr: epochs done, time left, loss and validation loss.

    Parameters
    ----------
    total_epochs : int
        Epochs of a full bar.

    Raises
    ------
    ImportError
        When tqdm, the extra `progress`, is not installed.
    """

    def __init__(self, total_epochs: int) -> None:
        try:
            from tqdm import tqdm
        except ImportError as error:
            raise ImportError(
                "the progress bar needs tqdm, which is not installed: "
                "pip install 'bpcore[progress]', or train with progress=False"
            ) from error
        self.total_epochs = total_epochs
        self._tqdm = tqdm
        self._bar: Any = None

    def on_train_begin(self, trainer: Trainer) -> None:
        self._bar = self._tqdm(total=self.total_epochs, unit=" epoch", dynamic_ncols=True)

    def on_epoch_end(self, trainer: Trainer) -> None:
        history = trainer.history
        text = f"loss {history.loss[-1]:.4g}"
        if history.validation_loss and not math.isnan(history.validation_loss[-1]):
            text += f", validation loss {history.validation_loss[-1]:.4g}"
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.update()

    def on_train_end(self, trainer: Trainer) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class _EpochEnd(Callback):
    """Calls a function of the trainer after each epoch."""

    def __init__(self, function: Callable[[Trainer], object]) -> None:
        self.function = function

    def on_epoch_end(self, trainer: Trainer) -> None:
        self.function(trainer)


def progress_bar(total_epochs: int) -> ProgressBar:
    """Return a callback that shows a tqdm bar of `total_epochs` epochs.

    Raises
    ------
    ImportError
        When tqdm, the extra `progress`, is not installed.
    """
    return ProgressBar(total_epochs)


def as_callbacks(callbacks: Iterable[Any]) -> list[Callback]:
    """Return the callbacks, each as `as_callback` gives it and with an `every` that will do.

    Parameters
    ----------
    callbacks : iterable of Callback or callable

    Raises
    ------
    TypeError, ValueError
        When it is no iterable, or one of them will not do.
    """
    if not isinstance(callbacks, (tuple, list)) and (
        isinstance(callbacks, Callback) or not isinstance(callbacks, Iterable)
    ):
        raise TypeError(f"callbacks is {callbacks!r}, wanted an iterable of callbacks: [callback]")
    hooks = [as_callback(callback) for callback in callbacks]
    for hook in hooks:
        if hook.every is not None:
            validation.positive_integer(hook.every, f"{type(hook).__name__}.every")
    return hooks


def as_callback(obj: Callback | Callable[[Trainer], object]) -> Callback:
    """Return `obj` if it is a Callback, else a Callback that calls it after each epoch.

    Parameters
    ----------
    obj : Callback or callable
        A callable gets the trainer; what it returns is dropped.

    Raises
    ------
    TypeError
        When `obj` is neither, or is a class of callbacks rather than an instance of it.
    """
    if isinstance(obj, Callback):
        return obj
    if isinstance(obj, type) and issubclass(obj, Callback):
        raise TypeError(
            f"the callback is the class {obj.__name__}, wanted an instance: {obj.__name__}(...)"
        )
    if not callable(obj):
        raise TypeError(
            f"the callback {obj!r} is of type {type(obj).__name__}, wanted a bpcore.Callback "
            "or a callable that takes the trainer"
        )
    return _EpochEnd(obj)


def _check_parameters(patience: object, min_delta: object, restore_best: object) -> None:
    """Raise TypeError or ValueError unless these are parameters of EarlyStopping."""
    if isinstance(patience, bool) or not isinstance(patience, Integral):
        raise TypeError(f"patience is {patience!r}, wanted a whole number of epochs")
    if patience < 1:
        raise ValueError(f"patience is {patience}, wanted at least 1 epoch")
    if isinstance(min_delta, bool) or not isinstance(min_delta, Real):
        raise TypeError(f"min_delta is {min_delta!r}, wanted a number")
    if not 0 <= float(min_delta) < math.inf:
        raise ValueError(f"min_delta is {min_delta}, wanted a finite number, 0 or more")
    if not isinstance(restore_best, (bool, np.bool_)):
        raise TypeError(f"restore_best is {restore_best!r}, wanted True or False")
