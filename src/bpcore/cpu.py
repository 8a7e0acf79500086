"""Which processor level runs here, and how many threads to use by default.

The kernels are compiled once per level (see setup.py); the best one that is built, and that both
the processor and the operating system can run, is imported as `kernels`. The environment variable
``BPCORE_CPU`` forces one.

The registers are read directly: a compiler's ``__builtin_cpu_supports`` has been seen to leave out
whether the operating system saves the wide registers.
"""

import importlib
import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

from bpcore import _cpuid

LEVELS = ("baseline", "x86_v3", "x86_v4", "x86_amx")
"""Every level there is, lowest first: SSE2 or NEON, AVX2 with FMA, AVX-512, AVX-512 with AMX."""


class Registers(NamedTuple):
    """The CPUID and XGETBV words that decide the level, and the last one, which tells the
    processor's family; each an unsigned 32-bit integer."""

    leaf_1_ecx: int
    leaf_7_ebx: int
    leaf_7_edx: int
    extended_1_ecx: int
    xcr0: int
    leaf_1_eax: int = 0


def _bits(*positions: int) -> int:
    return sum(1 << position for position in positions)


# x86-64 psABI, "Micro-Architecture Levels", for the instructions; Intel SDM volume 1, section 13.3,
# for the state in XCR0 that the operating system must save: SSE 1, AVX 2, opmask 5, ZMM 6 and 7,
# tiles' shapes 17 and tiles 18.
_X86_V3 = Registers(
    # SSE3, SSSE3, FMA, CMPXCHG16B, SSE4.1, SSE4.2, MOVBE, POPCNT, OSXSAVE, AVX, F16C
    leaf_1_ecx=_bits(0, 9, 12, 13, 19, 20, 22, 23, 27, 28, 29),
    leaf_7_ebx=_bits(3, 5, 8),  # BMI1, AVX2, BMI2
    leaf_7_edx=0,
    extended_1_ecx=_bits(0, 5),  # LAHF, LZCNT
    xcr0=_bits(1, 2),
)
_X86_V4 = Registers(
    leaf_1_ecx=_X86_V3.leaf_1_ecx,
    leaf_7_ebx=_X86_V3.leaf_7_ebx | _bits(16, 17, 28, 30, 31),  # AVX512F, DQ, CD, BW, VL
    leaf_7_edx=0,
    extended_1_ecx=_X86_V3.extended_1_ecx,
    xcr0=_X86_V3.xcr0 | _bits(5, 6, 7),
)
_X86_AMX = _X86_V4._replace(
    leaf_7_edx=_bits(22, 24),  # AMX-BF16, AMX-TILE
    xcr0=_X86_V4.xcr0 | _bits(17, 18),
)


def levels_from_registers(registers: Registers) -> tuple[str, ...]:
    """Return the levels that a processor with these registers runs, lowest first.

    Parameters
    ----------
    registers : Registers
        Zeros throughout for a processor that is not x86.

    Returns
    -------
    tuple of str
        Begins with "baseline"; a level is there only if every lower one is.
    """
    supported = ["baseline"]
    for level, needed in (("x86_v3", _X86_V3), ("x86_v4", _X86_V4), ("x86_amx", _X86_AMX)):
        if any(word & bits != bits for word, bits in zip(registers, needed, strict=True)):
            break
        supported.append(level)
    return tuple(supported)


def works_in_halves(registers: Registers) -> bool:
    """Return whether a processor with these registers works on a vector of 64 bytes in two halves.

    That is AMD's family 0x19, of which Zen 4 has AVX-512. There it pays more often to pass over
    zeros, and less often to copy what is to be read several times.

    Parameters
    ----------
    registers : Registers
        As for `levels_from_registers`.

    Returns
    -------
    bool
    """
    base, extended = registers.leaf_1_eax >> 8 & 0xF, registers.leaf_1_eax >> 20 & 0xFF
    return base + extended == 0x19


def supported_levels() -> tuple[str, ...]:
    """Return the levels that this processor and operating system run, lowest first.

    Linux gives a process AMX's tiles when it is asked to; here it is.
    """
    levels = levels_from_registers(Registers(*_cpuid.registers()))
    return levels if "x86_amx" not in levels or _cpuid.may_use_tiles() else levels[:-1]


def built_levels() -> tuple[str, ...]:
    """Return the levels whose kernels are in this installation, lowest first."""
    return tuple(name for name in LEVELS if find_spec(f"bpcore._kernels_{name}") is not None)


def choose_level(forced: str, built: tuple[str, ...], supported: tuple[str, ...]) -> str:
    """Return the level to use.

    Parameters
    ----------
    forced : str
        The value of ``BPCORE_CPU``; "" for the best level that is both built and supported.
    built, supported : tuple of str
        Levels, lowest first.

    Raises
    ------
    ValueError
        `forced` is no level, or not built, or not supported.
    ImportError
        Nothing is forced, and no supported level is built.
    """
    if not forced:
        usable = [name for name in supported if name in built]
        if not usable:
            raise ImportError(
                f"bpcore's kernels are built for {_listed(built)}, this processor runs "
                f"{_listed(supported)}: install bpcore again with `pip install` (in a checkout: "
                "`pip install -e .`), with BPCORE_LEVELS unset"
            )
        return usable[-1]
    if forced not in LEVELS:
        raise ValueError(f"BPCORE_CPU={forced!r} is no level; levels are {_listed(LEVELS)}")
    if forced not in built:
        raise ValueError(
            f"BPCORE_CPU={forced!r} is not in this installation; built are {_listed(built)}"
        )
    if forced not in supported:
        raise ValueError(
            f"BPCORE_CPU={forced!r} does not run on this processor and operating system; "
            f"supported are {_listed(supported)}"
        )
    return forced


def default_threads() -> int:
    """Return how many threads to use where the caller says nothing.

    Returns
    -------
    int
        ``BPCORE_NUM_THREADS`` where it is set, else the number of processors that this process
        may run on.

    Raises
    ------
    ValueError
        ``BPCORE_NUM_THREADS`` is set to something other than a positive integer.
    """
    text = os.environ.get("BPCORE_NUM_THREADS", "").strip()
    if text:
        if not (text.isascii() and text.isdigit() and int(text) > 0):
            raise ValueError(f"BPCORE_NUM_THREADS={text!r}, it must be a positive integer")
        return int(text)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "no level"


level: str = choose_level(os.environ.get("BPCORE_CPU", ""), built_levels(), supported_levels())
"""The level in use."""

if TYPE_CHECKING:
    from bpcore import _kernels as kernels
else:
    kernels = importlib.import_module(f"bpcore._kernels_{level}")
    # The stub is written once, for the name that the module has without its level.
    sys.modules["bpcore._kernels"] = kernels
kernels.work_in_halves(works_in_halves(Registers(*_cpuid.registers())))
