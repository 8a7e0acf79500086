"""What training recorded: losses, learning rates and times, a value an epoch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = ["History"]


class History:
    """Losses, learning rates and times of a training run, one value an epoch.

    Parameters
    ----------
    loss, validation_loss, learning_rate, seconds : iterable of float, optional
        What the lists begin with.

    Attributes
    ----------
    loss : list of float
        Weighted mean over the epoch's samples of the loss each had before its update, penalties
        included, in the loss's own units.
    validation_loss : list of float
        Loss on the validation data after the epoch; empty when there was none. When only some
        epochs had validation data the others are NaN, so that the list is as long as `loss`.
    learning_rate : list of float
        Learning rate of the epoch's last update.
    seconds : list of float
        Wall time of the epoch, in seconds.

    Examples
    --------
    >>> from bpcore.history import History
    >>> history = History()
    >>> history.append(loss=2.0, learning_rate=0.1, seconds=0.5, validation_loss=2.5)
    >>> history.append(loss=1.0, learning_rate=0.1, seconds=0.5, validation_loss=1.5)
    >>> history
    History(2 epochs in 1 s, loss 1, validation_loss 1.5, lowest 1.5 at epoch 2)
    >>> history.to_dict()["loss"]
    array([2., 1.])
    """

    def __init__(
        self,
        loss: Iterable[float] = (),
        validation_loss: Iterable[float] = (),
        learning_rate: Iterable[float] = (),
        seconds: Iterable[float] = (),
    ) -> None:
        self.loss = list(loss)
        self.validation_loss = list(validation_loss)
        self.learning_rate = list(learning_rate)
        self.seconds = list(seconds)

    def append(
        self,
        loss: float,
        learning_rate: float,
        seconds: float,
        validation_loss: float | None = None,
    ) -> None:
        """Add an epoch; `validation_loss` is None when there was no validation data."""
        if validation_loss is not None and not self.validation_loss:
            self.validation_loss.extend([math.nan] * len(self.loss))
        if validation_loss is not None:
            self.validation_loss.append(float(validation_loss))
        elif self.validation_loss:
            self.validation_loss.append(math.nan)
        self.loss.append(float(loss))
        self.learning_rate.append(float(learning_rate))
        self.seconds.append(float(seconds))

    def to_dict(self) -> dict[str, NDArray[np.float64]]:
        """Return the lists as arrays, ready for `pandas.DataFrame` or `numpy.savez`.

        Returns
        -------
        dict of str to ndarray of float64, each of shape (epochs,)
            "loss", "validation_loss" (NaN where there was no validation data), "learning_rate"
            and "seconds".
        """
        arrays = {name: np.array(values, dtype=np.float64) for name, values in vars(self).items()}
        if not self.validation_loss:
            arrays["validation_loss"] = np.full(len(self.loss), math.nan)
        return arrays

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the learning curves: loss over epochs, with the lowest validation loss marked.

        The losses are on a logarithmic scale when all are positive and span more than a factor
        of ten. Epochs whose loss is not finite leave a gap.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure of pyplot when None.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            When matplotlib, the extra `plot`, is not installed.
        TypeError
            When `ax` is not a matplotlib Axes.
        ValueError
            When there is no epoch to draw.
        """
        try:
            from matplotlib.axes import Axes
            from matplotlib.ticker import MaxNLocator
        except ImportError as error:
            raise ImportError(
                "History.plot needs matplotlib, which is not installed: pip install 'bpcore[plot]'"
            ) from error
        if not self.loss:
            raise ValueError("the history has 0 epochs, nothing to draw: train first")
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.subplots()[1]
        elif not isinstance(ax, Axes):
            raise TypeError(f"ax is of type {type(ax).__name__}, wanted a matplotlib Axes or None")
        lists = {"training loss": self.loss, "validation loss": self.validation_loss}
        curves = {label: np.array(values) for label, values in lists.items() if values}
        for label, values in curves.items():
            # A dot for a single epoch: a line through one point is invisible.
            marker = "o" if len(values) == 1 else None
            ax.plot(1 + np.arange(len(values)), values, marker=marker, label=label)
        lowest = _lowest(self.validation_loss)
        if lowest is not None:
            value = self.validation_loss[lowest]
            label = f"lowest, {value:.3g} at epoch {lowest + 1}"
            ax.plot(lowest + 1, value, "o", color=ax.lines[-1].get_color(), label=label)
        if _spans_a_decade(np.concatenate(list(curves.values()))):
            ax.set_yscale("log")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        ax.set_xlabel("epoch")
        ax.set_ylabel("loss")
        ax.legend()
        return ax

    def __len__(self) -> int:
        return len(self.loss)

    def __repr__(self) -> str:
        n = len(self)
        if n == 0:
            return "History(0 epochs)"
        epochs = "1 epoch" if n == 1 else f"{n} epochs"
        parts = [f"{epochs} in {sum(self.seconds):.3g} s", f"loss {self.loss[-1]:.4g}"]
        if self.validation_loss:
            parts.append(f"validation_loss {self.validation_loss[-1]:.4g}")
        lowest = _lowest(self.validation_loss)
        if lowest is not None:
            parts.append(f"lowest {self.validation_loss[lowest]:.4g} at epoch {lowest + 1}")
        return f"History({', '.join(parts)})"


def _lowest(values: Sequence[float]) -> int | None:
    """Index of the lowest finite value, the first of equals; None when there is none."""
    finite = [i for i, value in enumerate(values) if math.isfinite(value)]
    return min(finite, key=values.__getitem__, default=None)


def _spans_a_decade(values: NDArray[np.float64]) -> bool:
    """Whether the finite values are all positive and the largest over ten times the smallest."""
    values = values[np.isfinite(values)]
    return bool(values.size > 0 and values.min() > 0 and values.max() > 10 * values.min())
