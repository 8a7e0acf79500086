"""Arrays that begin where the kernels read them fastest."""

from __future__ import annotations

from typing import Any

import numpy as np

LINE_BYTES = 64
"""A cache line. A vector that lies across two takes two loads; NumPy's arrays begin anywhere."""


def aligned_zeros(count: int, dtype: np.dtype) -> np.ndarray[Any, Any]:
    """Return a vector of zeros that begins at a cache line."""
    raw = np.zeros(count * dtype.itemsize + LINE_BYTES, np.uint8)
    start = -raw.__array_interface__["data"][0] % LINE_BYTES
    return raw[start : start + count * dtype.itemsize].view(dtype)
