"""What this installation is and how it runs here: for bug reports and for benchmark tables."""

import os
from typing import Any, Literal, overload

from bpcore import _cpuid, cpu
from bpcore._version import __version__

__all__ = ["show_config"]


@overload
def show_config(mode: Literal["stdout"] = "stdout") -> None: ...
@overload
def show_config(mode: Literal["dicts"]) -> dict[str, dict[str, Any]]: ...
def show_config(mode: str = "stdout") -> dict[str, dict[str, Any]] | None:
    """Print, or return, the processor level in use, the threads and the versions.

    Parameters
    ----------
    mode : {"stdout", "dicts"}
        Print the configuration, or return it as dictionaries.

    Returns
    -------
    dict of dict or None
        None when printed. Otherwise the keys are

        - ``"bpcore"``: ``version``, ``location``;
        - ``"cpu"``: ``processor``, ``level`` in use, levels ``built`` and ``supported``,
          ``BPCORE_CPU`` or None;
        - ``"threads"``: ``default``, ``BPCORE_NUM_THREADS`` or None;
        - ``"build"``: ``compiler``, ``cython``;
        - ``"runtime"``: ``python``, ``numpy``, ``platform``.

    Raises
    ------
    ValueError
        `mode` is something else, or ``BPCORE_NUM_THREADS`` is not a positive integer.

    Examples
    --------
    >>> import bpcore as bp
    >>> bp.show_config(mode="dicts")["cpu"]["level"] in bp.cpu.LEVELS
    True
    """
    if mode not in ("stdout", "dicts"):
        raise ValueError(f"mode must be 'stdout' or 'dicts', got {mode!r}")
    config = _collect()
    if mode == "dicts":
        return config
    for section, entries in config.items():
        print(f"{section}:")
        for key, value in entries.items():
            print(f"  {key}: {', '.join(value) if isinstance(value, tuple) else value}")
    return None


def _collect() -> dict[str, dict[str, Any]]:
    import platform

    import numpy

    return {
        "bpcore": {"version": __version__, "location": os.path.dirname(__file__)},
        "cpu": {
            "processor": _cpuid.brand() or platform.processor() or platform.machine(),
            "level": cpu.level,
            "built": cpu.built_levels(),
            "supported": cpu.supported_levels(),
            "BPCORE_CPU": os.environ.get("BPCORE_CPU"),
        },
        "threads": {
            "default": cpu.default_threads(),
            "BPCORE_NUM_THREADS": os.environ.get("BPCORE_NUM_THREADS"),
        },
        "build": {"compiler": _cpuid.COMPILER, "cython": _cpuid.CYTHON},
        "runtime": {
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            "numpy": numpy.__version__,
            "platform": platform.platform(),
        },
    }
