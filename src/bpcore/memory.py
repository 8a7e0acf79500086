"""Arrays that begin where the kernels read them fastest."""

from __future__ import annotations

from typing import Any

import numpy as np

LINE_BYTES = 64
"""A cache line. A vector that lies across two takes two loads; NumPy's arrays begin anywhere."""
PAGE_BYTES = 4096
"""A vector that lies across two pages takes ten times as long: a step of a tiny network a fifth."""


def aligned_bytes(size: int) -> np.ndarray[Any, Any]:
    """Return zero bytes that begin at a cache line and, if a page holds them, lie in one page."""
    reach = size + LINE_BYTES  # as far as a vector at their end reaches
    raw = np.zeros(size + LINE_BYTES + (reach if reach <= PAGE_BYTES else 0), np.uint8)
    address = raw.__array_interface__["data"][0]
    start = -address % LINE_BYTES
    left = -(address + start) % PAGE_BYTES  # of the page; 0 at its beginning
    if left < reach <= PAGE_BYTES:
        start += left
    return raw[start : start + size]


def aligned_zeros(count: int, dtype: np.dtype) -> np.ndarray[Any, Any]:
    """Return a vector of zeros, placed likewise."""
    return aligned_bytes(count * dtype.itemsize).view(dtype)
