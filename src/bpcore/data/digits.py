"""The UCI optical handwritten digits: 1797 images of 8 x 8 pixels, written by 13 people.

E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning
Repository, doi 10.24432/C50P49, licensed CC BY 4.0. digits-attribution.txt, beside this file, says
what was taken and what was changed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    _Images = NDArray[np.float32] | NDArray[np.float64]
    _Labels = NDArray[np.int64]

__all__ = ["digits_split", "load_digits"]

# An image is a 32 x 32 bitmap cut into 4 x 4 blocks; a pixel counts the black dots in its block.
LARGEST_PIXEL = 16


def load_digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Load the handwritten digits as they are in the repository.

    Every call reads the file anew, so the arrays are the caller's to change.

    Returns
    -------
    images : ndarray of uint8, shape (1797, 64)
        One digit a row, its 8 x 8 pixels row after row; a pixel is the number of black dots in a
        block of 4 x 4, from 0 (white) to 16 (black).
    labels : ndarray of int64, shape (1797,)
        The digit written, from 0 to 9.

    See Also
    --------
    digits_split : the same digits scaled, shuffled and split, ready for training.

    References
    ----------
    E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine
    Learning Repository, doi 10.24432/C50P49, CC BY 4.0.

    Examples
    --------
    >>> from bpcore.data import load_digits
    >>> images, labels = load_digits()
    >>> images.shape, labels[:5].tolist()
    ((1797, 64), [0, 1, 2, 3, 4])
    >>> images[0].reshape(8, 8)[:3].tolist()
    [[0, 0, 5, 13, 9, 1, 0, 0], [0, 0, 13, 15, 10, 15, 5, 0], [0, 3, 15, 2, 0, 11, 8, 0]]
    """
    with np.load(os.path.join(os.path.dirname(__file__), "digits.npz")) as arrays:
        return arrays["images"], arrays["labels"].astype(np.int64)


def digits_split(
    test_fraction: float = 0.2,
    rng: int | np.random.Generator = 0,
    dtype: DTypeLike = "float32",
) -> tuple[tuple[_Images, _Labels], tuple[_Images, _Labels]]:
    """Load the digits, scale the pixels to 0..1, shuffle, and hold a part out for testing.

    Parameters
    ----------
    test_fraction : float, default 0.2
        The part held out, between 0 and 1; rounded to whole images, at least one on each side.
    rng : int or numpy.random.Generator, default 0
        Seed of the shuffle: the same seed gives the same split.
    dtype : "float32" or "float64", default "float32"
        Type of the pixels.

    Returns
    -------
    train, test : (X, Y) and (X, Y)
        X of shape (n, 64) and the given dtype, pixels from 0 to 1; Y of shape (n,), int64, the
        digits from 0 to 9. No image is in both.

    Raises
    ------
    TypeError
        When `test_fraction` is not a number or `dtype` not a type of numbers.
    ValueError
        When `test_fraction` leaves either side empty or `dtype` is another type.

    Examples
    --------
    >>> from bpcore.data import digits_split
    >>> (X, Y), (X_test, Y_test) = digits_split(test_fraction=0.2, rng=0)
    >>> X.shape, Y.shape, X_test.shape, Y_test.shape
    ((1438, 64), (1438,), (359, 64), (359,))
    """
    dtype = np.dtype(dtype)
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"dtype is {dtype}, wanted float32 or float64")
    images, labels = load_digits()
    n_test = _n_test(test_fraction, len(labels))
    X = (images / LARGEST_PIXEL).astype(dtype)  # exact: sixteenths
    order = np.random.default_rng(rng).permutation(len(labels))
    test, train = order[:n_test], order[n_test:]
    return (X[train], labels[train]), (X[test], labels[test])


def _n_test(test_fraction: float, n: int) -> int:
    """Number of images held out of n: test_fraction * n, rounded."""
    if isinstance(test_fraction, bool) or not isinstance(
        test_fraction, (int, float, np.integer, np.floating)
    ):
        given = type(test_fraction).__name__
        raise TypeError(f"test_fraction is of type {given}, wanted a number between 0 and 1")
    n_test = round(test_fraction * n) if 0 < test_fraction < 1 else 0
    if not 0 < n_test < n:
        raise ValueError(
            f"test_fraction is {test_fraction}, wanted a number between 0 and 1 that leaves at "
            f"least one of the {n} images on each side"
        )
    return n_test
