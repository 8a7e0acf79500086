"""Arrays that begin where the kernels read them fastest."""

from __future__ import annotations

from typing import Any

import numpy as np

LINE_BYTES = 64
"""A cache line. A vector that lies across two takes two loads; NumPy's arrays begin anywhere."""
PAGE_BYTES = 4096
"""A vector that lies across two pages takes ten times as long: a step of a tiny network a fifth."""
LONG_BYTES = 1024
"""From here on arrays begin at a page. A processor compares the places of loads and earlier stores
within their pages first: where an array begins a little further into one than another, loads of the
one wait for stores to the other, and Adam's step takes up to 1.7 times as long."""


def aligned_bytes(size: int) -> np.ndarray[Any, Any]:
    """Return zero bytes that begin at a page or, if few, at a cache line, and lie in one page."""
    if size >= LONG_BYTES:
        raw = np.zeros(size + PAGE_BYTES, np.uint8)
        start = -raw.__array_interface__["data"][0] % PAGE_BYTES
        return raw[start : start + size]
    reach = size + LINE_BYTES  # as far as a vector at their end reaches
    raw = np.zeros(LINE_BYTES + 2 * reach, np.uint8)
    address = raw.__array_interface__["data"][0]
    start = -address % LINE_BYTES
    left = -(address + start) % PAGE_BYTES  # of the page; 0 at its beginning
    if left < reach:
        start += left
    return raw[start : start + size]


def aligned_zeros(count: int, dtype: np.dtype) -> np.ndarray[Any, Any]:
    """Return a vector of zeros, placed likewise."""
    return aligned_bytes(count * dtype.itemsize).view(dtype)
