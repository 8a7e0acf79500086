"""Training: epochs of compiled steps, and between them what Python has to see."""

from __future__ import annotations

import copy
import math
import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bpcore import validation
from bpcore.callbacks import as_callbacks, progress_bar
from bpcore.cpu import default_threads, kernels
from bpcore.custom_loss import CustomLossTraining
from bpcore.first_look import FirstLook, first_epoch_looks
from bpcore.history import History
from bpcore.network import Network
from bpcore.optimizers import Adam, Optimizer
from bpcore.stretches import DivergenceError, Stretches
from bpcore.threads import Team

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from os import PathLike

    from numpy.typing import ArrayLike

    from bpcore.callbacks import Callback
    from bpcore.layers import _Array, _Rng

# A batch size that no data reach.
FULL_BATCH = 2**40


class Trainer:
    """A network, an optimiser and what they need to train, for one step or many epochs.

    Parameters
    ----------
    network : Network
    optimizer : Optimizer, optional
        By default Adam(1e-3).
    batch_size : int or None, default 32
        Samples a step, the last of an epoch takes what is left; more than there are, or None,
        means all of them.
    shuffle : bool, default True
        A new order of the samples in every epoch.
    l1, l2 : float, default 0.0
        Penalties l1 Σ|W| + l2/2 Σ W² on the weights, added to the loss that is minimised and
        reported.
    clip_norm : float, optional
        Longest gradient, by its Euclidean norm over all parameters; longer ones are scaled down.
    n_threads : int, optional
        Upper bound of the threads of a run, by default BPCORE_NUM_THREADS or the processors
        there are; a run uses more than one where its steps have work for them and that is
        faster. The numbers are the same bits for any. Several trainers may run in threads of
        yours at once.
    rng : int, numpy.random.Generator, SeedSequence or None
        What the samples are shuffled by.

    Attributes
    ----------
    network : Network
    optimizer : Optimizer
    history : History
        A value an epoch, over all runs.
    epoch : int
        Epochs completed.
    stop_training : bool
        Callbacks set it to end the run after the epoch.

    Raises
    ------
    TypeError, ValueError
        Any argument that will not do.

    Examples
    --------
    >>> import bpcore as bp, numpy as np
    >>> X = np.linspace(-1, 1, 64).reshape(-1, 1)
    >>> net = bp.mlp([1, 16, 1], hidden="tanh", rng=0)
    >>> trainer = bp.Trainer(net, bp.Adam(0.02), batch_size=16, rng=0)
    >>> history = trainer.run(X, X**2, epochs=200)
    >>> history.loss[-1] < 1e-3
    True
    """

    def __init__(
        self,
        network: Network,
        optimizer: Optimizer | None = None,
        batch_size: int | None = 32,
        *,
        shuffle: bool = True,
        l1: float = 0.0,
        l2: float = 0.0,
        clip_norm: float | None = None,
        n_threads: int | None = None,
        rng: _Rng = None,
    ) -> None:
        if not isinstance(network, Network):
            raise TypeError(f"network is a {type(network).__name__}, wanted a bpcore.Network")
        optimizer = Adam() if optimizer is None else optimizer
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer is {optimizer!r}, wanted one of bpcore's, as bp.Adam(1e-3)")
        if batch_size is not None:
            batch_size = min(validation.positive_integer(batch_size, "batch_size"), FULL_BATCH)
        if clip_norm is not None:
            clip_norm = validation.real_number(clip_norm, "clip_norm", low=0, open_low=True)
        if n_threads is not None:
            n_threads = validation.positive_integer(n_threads, "n_threads")
        optimizer.check_owner(network)
        self._settings = {
            "network": network,
            "optimizer": optimizer,
            "batch_size": batch_size,
            "shuffle": validation.boolean(shuffle, "shuffle"),
            "l1": validation.real_number(l1, "l1", low=0),
            "l2": validation.real_number(l2, "l2", low=0),
            "clip_norm": clip_norm,
            "n_threads": default_threads() if n_threads is None else n_threads,
        }
        self.rng = np.random.default_rng(rng)
        self.history = History()
        self.epoch = 0
        self.stop_training = False
        # Laid out at the first step, when the data are known to do.
        self._training: Any = None
        self._snapshot: Any = None
        self._team: Any = None

    def step(self, X: ArrayLike, Y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Take one step on one batch: forward, backward and update in a single call.

        Parameters
        ----------
        X : array_like of shape (n, n_inputs), or (n_inputs,) for one sample
        Y : array_like of shape (n, n_outputs), or as for Network.backward
        sample_weight : array_like of shape (n,), optional

        Returns
        -------
        float
            The loss before the update, penalties included.

        Raises
        ------
        TypeError, ValueError
            Data that will not do; nothing is changed.
        DivergenceError
            The loss or the gradient is not finite; nothing is changed.

        Notes
        -----
        The layers' z, a, da and delta, and the gradient vector, are not the
        batch's afterwards: call forward and backward to look at them.

        Plain SGD rounds differently here and in `run`, which never writes the gradient down
        (docs/design.md); all other optimisers give the same bits.
        """
        optimizer, training = self._settings["optimizer"], self._training
        rate = optimizer.learning_rate
        if callable(rate):
            rate = optimizer.rate(optimizer.steps)
        if training is None:
            self._check_step(X, Y, sample_weight)
            training = self._lay_out()
        loss, updated = training.step(X, Y, sample_weight, rate, optimizer._careful)
        if not updated:
            self._step_with_care(loss)
        return loss

    def run(
        self,
        X: ArrayLike,
        Y: ArrayLike,
        epochs: int = 1,
        *,
        sample_weight: ArrayLike | None = None,
        validation_data: tuple[Any, ...] | None = None,
        callbacks: Iterable[Callback | Callable[[Trainer], object]] = (),
        progress: bool = False,
    ) -> History:
        """Train for some epochs, each in compiled stretches that hold no GIL.

        Parameters
        ----------
        X : array_like of shape (n, n_inputs)
            C-contiguous and of the network's dtype it is read where it lies, also when it is
            memory-mapped; otherwise it is converted once.
        Y : array_like of shape (n, n_outputs), or as for Network.backward
        epochs : int, default 1
        sample_weight : array_like of shape (n,), optional
            Each batch's loss is the mean weighted by these.
        validation_data : tuple (X, Y) or (X, Y, sample_weight), optional
            Evaluated after each epoch.
        callbacks : iterable of Callback or of callables f(trainer)
            A plain callable runs at the end of each epoch.
        progress : bool, default False
            A progress bar (extra `progress`).

        Returns
        -------
        History
            `trainer.history`; its loss is the mean over the samples of the losses that each batch
            had before its update, penalties included.

        Raises
        ------
        TypeError, ValueError
            Any argument that will not do; nothing is changed then.
        DivergenceError
            The loss or a weight stopped being finite; the network has the last finite weights.

        Notes
        -----
        A large X that needs no conversion, and its Y, are looked through for NaN and Inf by the
        first epoch, as it reads them, unless a callback would see that; should there be any, all is
        put back.
        """
        epochs = validation.non_negative_integer(epochs, "epochs")
        hooks = as_callbacks(callbacks)
        if validation.boolean(progress, "progress"):
            hooks.append(progress_bar(epochs))
        # Callbacks would see what the first epoch made of NaN.
        later = epochs > 0 and not hooks and first_epoch_looks(self, X)
        data = self._checked(X, Y, sample_weight, look=not later)
        evaluate = None if validation_data is None else self._evaluation(validation_data)
        n = len(data[0])
        batch_size = n if self.batch_size is None else min(self.batch_size, n)
        if self.optimizer.full_batch_only and batch_size < n:
            raise ValueError(
                f"{type(self.optimizer).__name__} needs full batches, batch_size is "
                f"{self.batch_size} for {n} samples: set batch_size=None"
            )
        stretches = Stretches(self, data, batch_size, hooks)
        # Refused, if need be, before anything begins.
        rates = stretches.rates() if epochs else np.empty(0)
        self._lay_out()
        self.stop_training = False
        if not hooks:
            stretches.look = FirstLook(self, *data[:2]) if later else None
            self._run_epochs(epochs, stretches, rates, evaluate, hooks)
            return self.history
        with ExitStack() as ends:  # every callback that began gets its end, whatever happens
            for hook in hooks:
                ends.callback(hook.on_train_end, self)
                hook.on_train_begin(self)
            self._run_epochs(epochs, stretches, rates, evaluate, hooks)
        return self.history

    def save(self, path: str | PathLike[str]) -> None:
        """Write a checkpoint: network, optimiser, random state and history.

        Raises
        ------
        ValueError
            The loss or the learning rate is a callable, which a file cannot hold.
        OSError
            The file cannot be written; one that was there before is left as it was.
        """
        from bpcore.persistence import save_trainer

        save_trainer(self, path)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Trainer:
        """Return the trainer of a checkpoint; to go on is bit-equal to never having stopped.

        Raises
        ------
        OSError, ValueError
            No such file, or not a checkpoint of a trainer.
        """
        from bpcore.persistence import load_trainer

        return load_trainer(path)

    @property
    def network(self) -> Network:
        return self._settings["network"]

    @property
    def optimizer(self) -> Optimizer:
        return self._settings["optimizer"]

    @property
    def batch_size(self) -> int | None:
        return self._settings["batch_size"]

    @property
    def shuffle(self) -> bool:
        return self._settings["shuffle"]

    @property
    def l1(self) -> float:
        return self._settings["l1"]

    @property
    def l2(self) -> float:
        return self._settings["l2"]

    @property
    def clip_norm(self) -> float | None:
        return self._settings["clip_norm"]

    @property
    def n_threads(self) -> int:
        return self._settings["n_threads"]

    def __repr__(self) -> str:
        return (
            f"Trainer({self.network!r}, {self.optimizer!r}, batch_size={self.batch_size}, "
            f"{self.epoch} epochs done)"
        )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_training": None, "_team": None, "_snapshot": None}

    def __copy__(self) -> Trainer:
        return copy.deepcopy(self)

    def _run_epochs(
        self,
        epochs: int,
        stretches: Stretches,
        rates: _Array,
        evaluate: Callable[[], float] | None,
        hooks: list[Callback],
    ) -> None:
        """Run the epochs: the steps, the validation, the history, the callbacks."""
        training, shuffle = self._training, self.shuffle
        for epoch in range(epochs):
            if epoch:
                rates = stretches.rates()
            began = time.perf_counter()
            order = self.rng.permutation(stretches.samples) if shuffle else None
            training.reset_loss()
            stretches.run(order, rates)
            loss = training.loss_sum / training.weight_sum
            validation_loss = None if evaluate is None else evaluate()
            self.epoch += 1
            seconds = time.perf_counter() - began
            self.history.append(loss, rates[-1], seconds, validation_loss)
            for hook in hooks:
                hook.on_epoch_end(self)
            if self.stop_training:
                break

    def _step_with_care(self, loss: float) -> None:
        """Do the update that the kernels left, since it might overflow, or raise."""
        optimizer, network = self.optimizer, self.network
        try:
            if not (math.isfinite(loss) and kernels.fits(network.gradient, network.gradient)):
                raise FloatingPointError(
                    f"step {optimizer.steps + 1} has the loss {loss} and a gradient that is not "
                    "all finite; nothing was updated"
                )
            optimizer.step(network, optimizer.rate(optimizer.steps), calm=False)
        except FloatingPointError as error:
            raise DivergenceError(
                f"{error}: lower the learning rate, set clip_norm, or scale X and Y"
            ) from None

    def _lay_out(self) -> Any:
        """Make the optimiser's state and the kernels' arena, once; return the latter."""
        network, optimizer = self.network, self.optimizer
        optimizer.prepare(network)
        if self._training is None:
            layout: Any = CustomLossTraining
            what: Any = network
            if not callable(network.loss):
                layout, what = kernels.Training, network._kernel
            self._training = layout(
                what,
                network.parameters,
                network.gradient,
                optimizer.rule(),
                *optimizer.state_vectors(),
                optimizer._counter,
                self.batch_size or FULL_BATCH,
                self.l1,
                self.l2,
                self.clip_norm or 0.0,
                self.n_threads,
            )
            vectors = [network.parameters, *optimizer.state.values()]
            self._snapshot = kernels.Snapshot(vectors, optimizer._counter)
            self._team = Team(self.n_threads)
        return self._training

    def _check_step(self, X: Any, Y: Any, sample_weight: Any) -> None:
        """Raise if a first batch will not do."""
        kernel = self.network._kernel
        if callable(self.network.loss):
            kernel.check_samples(X)
        else:
            kernel.check(X, Y, sample_weight)

    def _checked(self, X: Any, Y: Any, sample_weight: Any, look: bool = True) -> tuple[Any, ...]:
        """Return (X, rows or None, labels or None, weights or None), clean.

        Without a `look`, X and Y may come back as they are, NaN and Inf included.
        """
        kernel = self.network._kernel
        if callable(self.network.loss):
            return CustomLossTraining.checked(kernel.check_samples(X, True), Y, sample_weight)
        return kernel.check(X, Y, sample_weight, True, look)

    def _evaluation(self, validation_data: Any) -> Callable[[], float]:
        """Return what gives the loss on validation data, which are looked at here and now."""
        if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
            raise TypeError("validation_data is not a tuple (X, Y) or (X, Y, sample_weight)")
        X, Y = validation_data[:2]
        weight = validation_data[2] if len(validation_data) == 3 else None
        try:
            checked = self._checked(X, Y, weight)
        except (TypeError, ValueError) as error:
            raise type(error)(f"validation_data: {error}") from None
        if callable(self.network.loss):
            return partial(self.network.evaluate, checked[0], checked[1])
        return partial(self.network._kernel.evaluate, *checked)
