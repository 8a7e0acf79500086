"""The asv suite: every benchmark runs, both sides do the same work, paired timing tells ratios."""

import dataclasses
import gc
import importlib
import inspect
import itertools
import json
import math
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
if not BENCHMARKS.is_dir():
    pytest.skip("the suite is in the checkout, not beside these tests", allow_module_level=True)

PREFIXES = ("time_", "timeraw_", "track_", "peakmem_")


def load_suite():
    """Return the suite's modules by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        names = [found.name for found in pkgutil.iter_modules([str(BENCHMARKS / "suite")])]
        return {name: importlib.import_module(f"suite.{name}") for name in names}


SUITE = load_suite()
cases, paired = SUITE["_cases"], SUITE["_paired"]


def benchmarks():
    """Yield class and method of every benchmark, with its smallest parameters.

    Parameters stand in order of size, so the first are the smallest; both implementations run.
    """
    for module in SUITE.values():
        for _, cls in inspect.getmembers(module, inspect.isclass):
            methods = [name for name in vars(cls) if name.startswith(PREFIXES)]
            if cls.__module__ != module.__name__ or not methods:
                continue
            smallest = (p if p is cases.IMPLS else p[:1] for p in cls.params)
            for name, parameters in itertools.product(methods, itertools.product(*smallest)):
                label = "-".join([cls.__name__, name, *map(str, parameters)])
                yield pytest.param(cls, name, parameters, id=label)


@pytest.mark.parametrize(("cls", "name", "parameters"), [*benchmarks()])
def test_benchmark_runs(cls, name, parameters, monkeypatch):
    for constant in ("BURSTS", "PAIRS", "MINIMUM_PAIRS"):
        monkeypatch.setattr(paired, constant, 1)
    assert len(cls.param_names) == len(cls.params)
    benchmark = cls()
    if hasattr(benchmark, "setup"):
        benchmark.setup(*parameters)
    result = getattr(benchmark, name)(*parameters)
    if name.startswith("track_"):
        assert cls.unit == "ratio"
        assert 0 < result < math.inf
    else:
        assert cases.IMPLS in cls.params
    if name.startswith("timeraw_"):
        code = result if isinstance(result, str) else "\n".join(reversed(result))
        subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize("name", cases.CASES)
def test_both_sides_do_the_same_work(name):
    case = cases.CASES[name]
    few = dataclasses.replace(case, n_samples=min(case.n_samples, 2 * case.batch_size))
    ours, reference = (cases.epoch(impl, few)().loss for impl in ("bpcore", "reference"))
    # One epoch at a learning rate that hardly moves the weights: the loss is a sum of at most
    # 10,000 float32 samples, whose order of summing is all that the two may differ in.
    assert ours == pytest.approx(reference, rel=1e-5)


@pytest.mark.parametrize(
    ("module", "name"),
    [("bpcore", "Perceptron"), ("bpcore.reference", "Perceptron"), ("bpcore.quantum", "Dense")],
)
def test_a_missing_feature_is_skipped(module, name):
    with pytest.raises(NotImplementedError, match=rf"{name}|{module}"):
        cases.require(module, name)


def test_a_broken_import_is_a_failure(tmp_path, monkeypatch):
    (tmp_path / "broken_feature.py").write_text("import no_such_dependency")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="no_such_dependency"):
        cases.require("broken_feature", "Dense")


def settings():
    """Return asv's settings; JSON has no comments, asv's has."""
    lines = (BENCHMARKS / "asv.conf.json").read_text(encoding="utf-8").splitlines()
    return json.loads("\n".join(line for line in lines if not line.strip().startswith("//")))


def test_configuration_names_what_exists():
    assert (BENCHMARKS / settings()["benchmark_dir"] / "__init__.py").is_file()
    assert (BENCHMARKS / settings()["repo"] / "pyproject.toml").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="the processor's time is too coarse there")
@pytest.mark.parametrize(("threads", "clock"), [("1", "process_time"), ("2", "perf_counter")])
def test_processor_time_only_where_one_thread_works(threads, clock):
    matrix = settings()["matrix"]["env_nobuild"]
    assert set(map(tuple, matrix.values())) == {("1",)}
    code = "from suite._paired import clock; print(clock.__name__)"
    environment = os.environ | dict.fromkeys(matrix, "1") | {"BPCORE_NUM_THREADS": threads}
    run = [sys.executable, "-c", code]
    result = subprocess.run(
        run, cwd=BENCHMARKS, env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == clock


class Machine:
    """A clock that only calls advance, and a record of who called."""

    def __init__(self, monkeypatch):
        self.now, self.speed, self.calls = 0.0, 1.0, []
        monkeypatch.setattr(paired, "clock", lambda: self.now)

    def work(self, name, seconds):
        """Return a call that takes `seconds` at speed 1."""

        def call():
            self.calls.append(name)
            self.now += seconds / self.speed

        return call


@pytest.fixture
def machine(monkeypatch):
    return Machine(monkeypatch)


@pytest.mark.parametrize("seconds", [1e-5, 1e-3, 0.3])
@pytest.mark.parametrize("ratio", [0.01, 1.0, 2.0])
def test_ratio_is_exact_on_a_steady_machine(machine, seconds, ratio):
    call, baseline = machine.work("call", ratio * seconds), machine.work("baseline", seconds)
    assert paired.paired_ratio(call, baseline) == ratio  # to the four digits it gives


def test_bursts_are_long_enough_and_samples_alternate(machine):
    seconds = {"call": 1e-5, "baseline": 4e-4}
    paired.paired_ratio(*(machine.work(name, time) for name, time in seconds.items()))
    runs = [(name, len(list(group))) for name, group in itertools.groupby(machine.calls)]
    assert [name for name, _ in runs] == ["call", "baseline"] * (1 + paired.PAIRS)
    # The first run of each is the calibration; all others are samples of the same size.
    for name, size in set(runs[2:]):
        loops, remainder = divmod(size, paired.BURSTS)
        assert remainder == 0
        assert paired.BURST_SECONDS <= loops * seconds[name] <= 3 * paired.BURST_SECONDS
    assert len(set(runs[2:])) == 2


def test_slow_calls_get_the_fewest_pairs(machine):
    paired.paired_ratio(machine.work("call", 1.0), machine.work("baseline", 2.0))
    assert machine.calls.count("call") == 1 + paired.MINIMUM_PAIRS


def test_slow_drift_does_not_count(machine):
    def slowing(name, seconds):
        def call():
            machine.speed *= 0.995
            machine.work(name, seconds)()

        return call

    # The machine loses about a third of its speed meanwhile, half a per cent a call.
    ratio = paired.paired_ratio(slowing("call", 2e-2), slowing("baseline", 1e-2))
    assert ratio == pytest.approx(2.0, rel=0.03)


@pytest.mark.parametrize("turn", [3e-3, 4e-3, 5e-3, 6e-3])
@pytest.mark.parametrize("seconds", [1e-5, 3e-4, 9e-4])
def test_a_neighbour_on_the_core_does_not_count(machine, turn, seconds):
    # The scheduler gives the core to each of two for a turn; the clock goes on meanwhile.
    def call():
        machine.now += seconds
        if machine.now % (2 * turn) >= turn:
            machine.now += 2 * turn - machine.now % (2 * turn)

    assert paired.paired_ratio(call, call) == pytest.approx(1.0, rel=0.02)


def test_collector_is_held_and_given_back(machine):
    held = []

    def call():
        held.append(gc.isenabled())
        machine.work("call", 1.0)()

    paired.paired_ratio(call, machine.work("baseline", 1.0))
    assert not any(held)
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError):
        paired.paired_ratio(lambda: 1 / 0, call)
    assert gc.isenabled()


@pytest.mark.parametrize(("work", "baseline", "ratio"), [(2, 1, 2.0), (1, 2, 0.5), (1, 1, 1.0)])
def test_ratio_of_known_work_on_the_real_clock(work, baseline, ratio):
    def busy(times):
        return lambda: sum(range(20_000 * times))

    # Nearer to the truth than to half as much again or to a third less, whatever else runs here.
    measured = paired.paired_ratio(busy(work), busy(baseline))
    assert ratio / math.sqrt(1.5) < measured < ratio * math.sqrt(1.5)
