"""The level follows from the registers, BPCORE_CPU forces it, bad settings are told clearly."""

import importlib
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from bpcore import _cpuid, cpu
from bpcore.config import show_config
from bpcore.cpu import Registers, choose_level, levels_from_registers, works_in_halves

ALL = ("baseline", "x86_v3", "x86_v4", "x86_amx")

# Words as processors give them; XCR0 0xe7 is x87, SSE, AVX, opmask and both ZMM states, 0x60000 are
# the two of AMX.
PROCESSORS = {
    "not x86": (Registers(0, 0, 0, 0, 0), ALL[:1]),
    "Core 2, no AVX": (Registers(0x0008E3FD, 0, 0, 0x1, 0), ALL[:1]),
    "Sandy Bridge, AVX without AVX2": (Registers(0x1FBAE3FF, 0, 0, 0x1, 0x7), ALL[:1]),
    "Haswell": (Registers(0x7FFAFBFF, 0x000027AB, 0, 0x21, 0x7), ALL[:2]),
    "Zen 3": (Registers(0x7EF8320B, 0x219C97A9, 0x10000010, 0x75C237FF, 0x207), ALL[:2]),
    "Skylake-SP": (Registers(0x7FFEFBFF, 0xD39FFFFB, 0, 0x121, 0xE7), ALL[:3]),
    "Zen 4": (Registers(0x7EFA320B, 0xF1BF97A9, 0x10000010, 0x75C237FF, 0x2E7), ALL[:3]),
    "Knights Landing, AVX-512 without BW, DQ, VL": (
        Registers(0x7FF8F3BF, 0x1C0D23AB, 0, 0x121, 0xE7),
        ALL[:2],
    ),
    "Sapphire Rapids": (
        Registers(0xFFFA3203, 0xF1BF27EB, 0xBFD14410, 0x121, 0x602E7),
        ALL,
    ),
}
SAPPHIRE_RAPIDS = PROCESSORS["Sapphire Rapids"][0]


@pytest.mark.parametrize("name", PROCESSORS)
def test_levels_of_known_processors(name):
    registers, expected = PROCESSORS[name]
    assert levels_from_registers(registers) == expected


@pytest.mark.parametrize(
    ("xcr0", "expected"),
    [
        pytest.param(0x600E7, ALL, id="everything saved"),
        pytest.param(0x200E7, ALL[:3], id="no tiles"),
        pytest.param(0x400E7, ALL[:3], id="tiles without their shapes"),
        pytest.param(0xE7, ALL[:3], id="no AMX"),
        pytest.param(0x60007, ALL[:2], id="AMX, no ZMM"),
        pytest.param(0x07, ALL[:2], id="no ZMM, no opmask"),
        pytest.param(0xC7, ALL[:2], id="no opmask"),
        pytest.param(0xA7, ALL[:2], id="no lower ZMM halves"),
        pytest.param(0x67, ALL[:2], id="no upper 16 ZMM"),
        pytest.param(0x03, ALL[:1], id="no YMM"),
        pytest.param(0xE3, ALL[:1], id="ZMM without YMM"),
        pytest.param(0x00, ALL[:1], id="XSAVE off"),
    ],
)
def test_wide_registers_count_only_where_the_system_saves_them(xcr0, expected):
    assert levels_from_registers(SAPPHIRE_RAPIDS._replace(xcr0=xcr0)) == expected


@pytest.mark.parametrize(
    ("field", "bits", "expected"),
    [
        ("leaf_1_ecx", (0, 9, 12, 13, 19, 20, 22, 23, 27, 28, 29), ALL[:1]),
        ("leaf_7_ebx", (3, 5, 8), ALL[:1]),
        ("extended_1_ecx", (0, 5), ALL[:1]),
        ("leaf_7_ebx", (16, 17, 28, 30, 31), ALL[:2]),
        ("leaf_7_edx", (22, 24), ALL[:3]),
    ],
)
def test_every_single_instruction_set_of_a_level_is_needed(field, bits, expected):
    for bit in bits:
        lacking = SAPPHIRE_RAPIDS._replace(**{field: getattr(SAPPHIRE_RAPIDS, field) & ~(1 << bit)})
        assert levels_from_registers(lacking) == expected, f"{field} without bit {bit}"


@pytest.mark.parametrize(
    ("leaf_1_eax", "expected"),
    [
        pytest.param(0x00A10F11, True, id="Zen 4, family 0x19 model 0x11"),
        pytest.param(0x00A60F12, True, id="Zen 4, family 0x19 model 0x61"),
        pytest.param(0x00B00F21, False, id="Zen 5, family 0x1a"),
        pytest.param(0x00830F10, False, id="Zen 2, family 0x17"),
        pytest.param(0x000806F8, False, id="Sapphire Rapids, family 6"),
        pytest.param(0, False, id="not x86"),
    ],
)
def test_who_works_on_vectors_of_64_bytes_in_halves(leaf_1_eax, expected):
    assert works_in_halves(SAPPHIRE_RAPIDS._replace(leaf_1_eax=leaf_1_eax)) == expected


def test_choose_takes_the_best_that_is_built_and_supported():
    assert choose_level("", ALL, ALL) == "x86_amx"
    assert choose_level("", ALL, ALL[:3]) == "x86_v4"
    assert choose_level("", ALL, ALL[:2]) == "x86_v3"
    assert choose_level("", ALL[:1], ALL) == "baseline"
    assert choose_level("", ("baseline", "x86_v4"), ALL[:2]) == "baseline"


def test_choose_obeys_what_is_forced():
    for name in ALL:
        assert choose_level(name, ALL, ALL) == name


@pytest.mark.parametrize(
    ("forced", "built", "supported", "message"),
    [
        ("avx2", ALL, ALL, r"'avx2' is no level; levels are baseline, x86_v3, x86_v4, x86_amx"),
        ("x86_v4", ALL[:2], ALL, r"'x86_v4' is not in this installation; built are baseline, x86"),
        ("x86_v4", ALL, ALL[:2], r"'x86_v4' does not run on this .*; supported are baseline, x86"),
    ],
)
def test_choose_refuses_what_cannot_be_forced(forced, built, supported, message):
    with pytest.raises(ValueError, match=message):
        choose_level(forced, built, supported)


def test_choose_tells_when_nothing_usable_is_built():
    with pytest.raises(ImportError, match="built for no level, this processor runs baseline"):
        choose_level("", (), ALL[:1])
    with pytest.raises(ImportError, match=r"built for x86_v4, .* runs baseline: install bpcore"):
        choose_level("", ("x86_v4",), ALL[:1])


def test_this_machine():
    assert cpu.built_levels()
    assert cpu.level in cpu.built_levels()
    assert cpu.level in cpu.supported_levels()
    assert cpu.kernels.__name__ == f"bpcore._kernels_{cpu.level}"
    assert set(cpu.built_levels()) | set(cpu.supported_levels()) <= set(cpu.LEVELS)
    assert _cpuid.IS_X86 or cpu.supported_levels() == ("baseline",)


@pytest.mark.skipif(not os.path.exists("/proc/cpuinfo"), reason="no /proc/cpuinfo here")
def test_supported_levels_agree_with_the_operating_system():
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        flags = next((set(line.split()) for line in lines if line.startswith("flags")), set())
    if not flags:
        pytest.skip("/proc/cpuinfo lists no flags on this processor")
    v3 = {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"} <= flags
    v4 = v3 and {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"} <= flags
    amx = v4 and {"amx_tile", "amx_bf16"} <= flags and _cpuid.may_use_tiles()
    assert cpu.supported_levels() == ALL[: 1 + v3 + v4 + amx]


def test_without_the_system_s_leave_amx_is_not_used(monkeypatch):
    for leave, expected in ((True, ALL), (False, ALL[:3])):
        asked = SimpleNamespace(
            registers=lambda: SAPPHIRE_RAPIDS, may_use_tiles=lambda leave=leave: leave
        )
        monkeypatch.setattr(cpu, "_cpuid", asked)
        assert cpu.supported_levels() == expected


def usable_levels():
    return [name for name in cpu.supported_levels() if name in cpu.built_levels()]


@pytest.mark.parametrize("level", usable_levels())
def test_levels_import_side_by_side_with_the_same_names(level):
    module = importlib.import_module(f"bpcore._kernels_{level}")
    assert public_names(module) == public_names(cpu.kernels)


def public_names(module):
    return sorted(name for name in vars(module) if not name.startswith("_"))


def run_python(code, **environment):
    """Run `code` in a new interpreter; return its completed process."""
    unset = ("BPCORE_CPU", "BPCORE_NUM_THREADS")
    env = {key: value for key, value in os.environ.items() if key not in unset}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=env | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


PRINT_LEVEL = "import bpcore.cpu as cpu; print(cpu.level, cpu.kernels.__name__)"


def test_environment_without_force_takes_the_best():
    result = run_python(PRINT_LEVEL)
    best = usable_levels()[-1]
    assert result.stdout.split() == [best, f"bpcore._kernels_{best}"], result.stderr


@pytest.mark.parametrize("level", usable_levels())
def test_environment_forces_a_level(level):
    result = run_python(PRINT_LEVEL, BPCORE_CPU=level)
    assert result.stdout.split() == [level, f"bpcore._kernels_{level}"], result.stderr


def test_environment_with_empty_force_counts_as_unset():
    assert run_python(PRINT_LEVEL, BPCORE_CPU="").returncode == 0


@pytest.mark.parametrize("value", ["avx2", "X86_V3", "x86_v3,baseline", " "])
def test_environment_with_unknown_level_fails_at_import(value):
    result = run_python("import bpcore", BPCORE_CPU=value)
    assert result.returncode != 0
    assert f"ValueError: BPCORE_CPU={value!r} is no level" in result.stderr


def test_environment_with_unusable_level_fails_at_import():
    unusable = [name for name in cpu.LEVELS if name not in usable_levels()]
    if not unusable:
        pytest.skip("every level is built and supported here")
    result = run_python("import bpcore", BPCORE_CPU=unusable[-1])
    assert result.returncode != 0
    assert f"ValueError: BPCORE_CPU={unusable[-1]!r}" in result.stderr


def test_default_threads_follow_the_environment(monkeypatch):
    monkeypatch.setenv("BPCORE_NUM_THREADS", " 3 ")
    assert cpu.default_threads() == 3
    monkeypatch.setenv("BPCORE_NUM_THREADS", "")
    unset = cpu.default_threads()
    monkeypatch.delenv("BPCORE_NUM_THREADS")
    assert cpu.default_threads() == unset >= 1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_default_threads_follow_the_affinity(monkeypatch):
    monkeypatch.delenv("BPCORE_NUM_THREADS", raising=False)
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert cpu.default_threads() == 1
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize("value", ["0", "-1", "2.0", "two", "1e3", "٢", "²"])
def test_default_threads_refuse_what_is_no_positive_integer(monkeypatch, value):
    monkeypatch.setenv("BPCORE_NUM_THREADS", value)
    with pytest.raises(ValueError, match=r"BPCORE_NUM_THREADS=.*, it must be a positive integer"):
        cpu.default_threads()


def test_show_config_returns_dicts(monkeypatch):
    monkeypatch.setenv("BPCORE_NUM_THREADS", "2")
    config = show_config(mode="dicts")
    assert set(config) == {"bpcore", "cpu", "threads", "build", "runtime"}
    assert config["cpu"]["level"] == cpu.level
    assert config["cpu"]["built"] == cpu.built_levels()
    assert config["threads"] == {"default": 2, "BPCORE_NUM_THREADS": "2"}
    assert config["build"]["cython"].startswith("3.")
    assert config["build"]["compiler"]


def test_show_config_prints_the_same(capsys):
    assert show_config() is None
    printed = capsys.readouterr().out
    for section, entries in show_config(mode="dicts").items():
        assert f"{section}:\n" in printed
        for key in entries:
            assert f"  {key}: " in printed


def test_show_config_refuses_other_modes():
    with pytest.raises(ValueError, match="mode must be 'stdout' or 'dicts', got 'json'"):
        show_config(mode="json")
