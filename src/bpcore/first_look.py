"""Are X and Y finite? Large ones are not looked through before they are trained on: the first epoch
tells.

A pass of its own over X takes as long as its memory; of nielsen's, a tenth of an epoch. But NaN or
Inf of a sample leave none of the first layer's z finite, of which one for each sample is looked at
as the first epoch makes it; and those of a target leave no loss finite that takes all numbers,
unless its sample weighs nothing. Where one is not, and it is X or Y, everything is put back: the
caller sees an error that came before anything changed, as for any other argument.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bpcore import validation
from bpcore.cpu import kernels

if TYPE_CHECKING:
    from bpcore.layers import _Array
    from bpcore.trainer import Trainer

# Numbers that are looked through in a few microseconds, which to keep a way back takes, too.
FEW = 100_000
# Inputs of a network that may be a narrow one, and samples a batch: its steps do not look
# (narrow.pxi).
NARROW = 16
NARROW_SAMPLES = 8


def first_epoch_looks(trainer: Trainer, X: Any) -> bool:
    """Return whether X is large enough, and needs no conversion, which looks anyway.

    To keep a way back is to copy parameters and state.
    """
    if not isinstance(X, np.ndarray) or X.size <= FEW or X.ndim != 2:
        return False
    if X.shape[1] <= NARROW and min(trainer.batch_size or len(X), len(X)) <= NARROW_SAMPLES:
        return False
    network = trainer.network
    kept = network.parameters.size * (1 + len(trainer.optimizer.state_names))
    return not callable(network.loss) and X.size > 4 * kept and network._kernel.is_samples(X)


class FirstLook:
    """Watches a run's first epoch, and knows the way back to before it.

    Parameters
    ----------
    trainer : Trainer
        Laid out.
    X : ndarray of shape (n, n_inputs)
    Y : ndarray of shape (n, n_outputs), or None
        Both clean, but for NaN and Inf.
    """

    def __init__(self, trainer: Trainer, X: _Array, Y: _Array | None) -> None:
        self._trainer, self._X, self._Y = trainer, X, Y
        network, optimizer = trainer.network, trainer.optimizer
        vectors = [network.parameters, network.gradient, *optimizer.state.values()]
        self._before = kernels.Snapshot(vectors, optimizer._counter)
        self._before.take()
        self._random = trainer.rng.bit_generator.state if trainer.shuffle else None
        trainer._training.watch(True)

    def refuse(self) -> None:
        """Raise what validation has to say of X and Y, if they are not finite, with all as it was
        before.

        Raises
        ------
        ValueError
        """
        kernel, dtype = self._trainer.network._kernel, self._trainer.network.parameters.dtype
        try:
            validation.samples(self._X, kernel.n_inputs, dtype)
            if self._Y is not None:
                n = len(self._X)
                validation.targets(self._Y, n, kernel.n_outputs, False, dtype, kernel.loss_name)
        except ValueError:
            self._before.put_back()
            if self._random is not None:
                self._trainer.rng.bit_generator.state = self._random
            raise

    def end(self) -> None:
        """The first epoch is over: all of X and Y was seen."""
        self._trainer._training.watch(False)
