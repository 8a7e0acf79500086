"""Real data that ships with the package."""

from bpcore.data.digits import digits_split, load_digits

__all__ = ["digits_split", "load_digits"]
