"""Libraries side by side: tables and numbers come out, and other work than ours is refused."""

import dataclasses
import importlib
import json
import os
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
if not BENCHMARKS.is_dir():
    pytest.skip("the script is in the checkout, not beside these tests", allow_module_level=True)

IMPOSTOR = """
from peers import with_reference

def version():
    return "1"

class Training(with_reference.Training):
    def train(self, data):
        X, Y = data
        super().train((X, {targets}))

class Prediction(with_reference.Prediction):
    def __init__(self, case, threads):
        super().__init__(case, threads)
        right = self.call
        self.call = lambda X: {outputs}
"""


@pytest.fixture
def script(monkeypatch, tmp_path):
    """The module, and libraries `impostors.other` and `impostors.failing` for its processes."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    package = tmp_path / "impostors"
    package.mkdir()
    (package / "__init__.py").touch()
    other = IMPOSTOR.format(targets="1 - Y", outputs="right(X) + 0.01")
    (package / "other.py").write_text(other, encoding="utf-8")
    failing = IMPOSTOR.format(targets="Y[:-1]", outputs="1 / 0")
    (package / "failing.py").write_text(failing, encoding="utf-8")
    paths = [str(tmp_path), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    return importlib.import_module("compare_peers")


@pytest.fixture
def run(script, tmp_path):
    """Return a call that compares some libraries in some cases: exit status and results."""

    def compare(cases, peers):
        core = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
        out = tmp_path / "out"
        options = ["--quick", "--core", str(core), "--out", str(out), "--cases", cases]
        status = script.main([*options, "--peers", peers])
        return status, json.loads((out / "results.json").read_text(encoding="utf-8")), out

    return compare


def test_tables_and_numbers(run):
    status, document, out = run("tiny,one sample", "bpcore,reference,no.such_library")
    assert status == 0
    assert list(document["missing"]) == ["no.such_library"]
    assert [result["case"] for result in document["results"]] == ["tiny", "one sample"]
    for result in document["results"]:
        for answer in result["libraries"].values():
            low, high = answer["quartiles"]
            assert 0 < low <= answer["seconds"] <= high
            assert len(answer["samples"]) == document["settings"]["repeats"]
    table = (out / "tables.md").read_text(encoding="utf-8")
    for row in ("| tiny | 3-2-3-5 sigmoid + sigmoid |", "| one sample | 4-64-64-2 tanh + tanh |"):
        assert row in table
    assert "geometric mean over 1 cases" in table


@pytest.mark.parametrize("impostor", ["other", "failing"])
def test_other_work_is_refused(run, capsys, impostor):
    status, document, out = run("tiny,one sample", f"bpcore,impostors.{impostor}")
    assert status == 1
    for result in document["results"]:
        answer = result["libraries"][f"impostors.{impostor}"]
        assert "seconds" not in answer
        assert "seconds" in result["libraries"]["bpcore"]
        assert ("not the same work" in answer["error"]) == (impostor == "other")
    assert "**error**" in (out / "tables.md").read_text(encoding="utf-8")
    assert capsys.readouterr().err.count("ERROR") == 2


def test_unknown_case_is_refused(script, tmp_path):
    with pytest.raises(SystemExit, match="no case giant"):
        script.main(["--cases", "giant", "--out", str(tmp_path)])


def test_every_library_gets_the_same_numbers_in_each_dtype(script):
    for case in (case for group in script.groups().values() for case, _ in group.values()):
        assert case.steps >= 1
        if case.operations < 1e6:
            double = dataclasses.replace(case, dtype="float64")
            assert (case.data(2)[0] == double.data(2)[0]).all()
            for single, wide in zip(*(c.initial_parameters() for c in (case, double)), strict=True):
                assert (single[0] == wide[0]).all()
                assert (single[1] == wide[1]).all()


def test_cliffs_and_sections(script, tmp_path):
    times = {8: 1.0, 16: 2.0, 17: 4.0, 32: 4.0}
    names = {"group": "width", "libraries": {}}
    results = [
        {**names, "case": f"width {w}", "libraries": {"bpcore": {"seconds": t}}}
        for w, t in times.items()
    ]
    (cliff,) = script.report.cliffs({"results": results})
    assert cliff.startswith("cliff: width 17")
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- table: x -->\nold\n<!-- end -->\nb\n<!-- table: y -->\n<!-- end -->\n")
    script.report.fill(page, {"x": "new"})
    expected = "a\n<!-- table: x -->\nnew\n<!-- end -->\nb\n<!-- table: y -->\n<!-- end -->\n"
    assert page.read_text() == expected
