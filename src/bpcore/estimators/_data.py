"""Samples, targets and weights as the kernels take them; sparse rows are unpacked in pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy.sparse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Sparse rows are made dense about this many bytes at a time.
_PIECE_BYTES = 32 * 2**20


class Data(NamedTuple):
    """What is trained or scored on: validated, C-contiguous, of the network's dtype.

    Attributes
    ----------
    X : ndarray or CSR of shape (n, n_features)
    rows : ndarray of shape (n, n_outputs) or None
        Targets; None where there are labels.
    labels : ndarray of shape (n,) or None
        Indices of classes, int64.
    weight : ndarray of shape (n,) or None
    """

    X: Any
    rows: Any
    labels: Any
    weight: Any

    @property
    def n(self) -> int:
        return self.X.shape[0]

    def take(self, indices: Any) -> Data:
        """Return these samples, X dense."""
        return Data(
            dense(self.X[indices]),
            None if self.rows is None else self.rows[indices],
            None if self.labels is None else self.labels[indices],
            None if self.weight is None else self.weight[indices],
        )

    def select(self, indices: Any) -> Data:
        """Return these samples, X as it is."""
        return self.take(indices)._replace(X=self.X[indices])


class Piece(NamedTuple):
    """Steps `start` to `stop` - 1 of an epoch lie in `data`, from its step 0 on if it was cut."""

    data: Data
    order: np.ndarray | None
    start: int
    stop: int
    offset: int


def samples_of(X: Any, dtype: np.dtype) -> Any:
    """Return validated X in the network's dtype: C-contiguous and aligned, or CSR."""
    if scipy.sparse.issparse(X):
        return X.tocsr().astype(dtype, copy=False)
    return np.asarray(np.require(X, dtype, ["C", "A"]))


def dense(X: Any) -> np.ndarray:
    """Return rows as a dense C-contiguous array."""
    return X.toarray() if scipy.sparse.issparse(X) else X


def rows_in_a_piece(X: Any) -> int:
    """Return how many rows of a sparse X are unpacked at a time."""
    return max(1, _PIECE_BYTES // max(1, X.shape[1] * X.dtype.itemsize))


def pieces(data: Data, order: np.ndarray | None, batch_size: int) -> Iterable[Piece]:
    """Return an epoch's steps: all at once, or cut where sparse rows fill a piece."""
    steps = -(-data.X.shape[0] // batch_size)
    if isinstance(data.X, np.ndarray):
        return (Piece(data, order, 0, steps, 0),)
    return _unpacked(data, order, batch_size, steps)


def _unpacked(data: Data, order: np.ndarray | None, batch_size: int, steps: int) -> Iterator[Piece]:
    at_once = max(1, rows_in_a_piece(data.X) // batch_size)
    for start in range(0, steps, at_once):
        stop = min(start + at_once, steps)
        rows: Any = slice(start * batch_size, stop * batch_size)
        yield Piece(data.take(rows if order is None else order[rows]), None, start, stop, start)
