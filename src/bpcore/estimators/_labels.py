"""Classes, and each sample's among them."""

from __future__ import annotations

import numpy as np
from sklearn.preprocessing import LabelBinarizer

# From this many samples on scikit-learn warns where more than half are of a class of their own.
_FEW = 20


def binarizer_of(y: np.ndarray) -> LabelBinarizer:
    """Return scikit-learn's LabelBinarizer, fitted to validated y.

    Its `fit` looks three times for what kind of targets y holds, which takes as long as forty
    epochs of a small network: of whole numbers in one dimension there is nothing to find out but
    the classes.
    """
    binarizer = LabelBinarizer()
    if y.ndim != 1 or y.dtype.kind not in "iu" or len(y) == 0:
        return binarizer.fit(y)
    classes = np.unique(y)
    if len(y) > _FEW and len(classes) > len(y) // 2:
        return binarizer.fit(y)
    binarizer.y_type_ = "multiclass" if len(classes) > 2 else "binary"
    binarizer.sparse_input_ = False
    binarizer.classes_ = classes
    return binarizer


def places_of(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the index of every label among the sorted classes, int64."""
    whole = y.dtype.kind in "iu" and classes.dtype.kind in "iu"
    if whole and int(classes[-1]) - int(classes[0]) == len(classes) - 1:  # 0, 1, 2, …: no search
        return np.subtract(y, classes[0], dtype=np.int64, casting="unsafe")
    return np.searchsorted(classes, y).astype(np.int64, copy=False)
