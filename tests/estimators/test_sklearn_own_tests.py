"""scikit-learn's own tests of its two classes, run from where it is installed against ours."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pairs  # noqa: F401  skips all of this file where there is no scikit-learn
import pytest

pytest.importorskip("sklearn.neural_network.tests.test_mlp", reason="installed without its tests")

# The tests that reach into what is private to scikit-learn's classes.
LEFT_OUT = {
    "test_gradient": "calls _loss_grad_lbfgs, with the lists of arrays that it works in",
}


def test_all_of_them(tmp_path):
    here = Path(__file__).parent
    paths = [str(here), *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "rebind_mlp", "-p", "no:cacheprovider"]
    command += ["-k", " and ".join(f"not {name}" for name in LEFT_OUT)]
    command += ["--pyargs", "sklearn.neural_network.tests.test_mlp"]
    run = subprocess.run(
        command,
        cwd=tmp_path,  # away from this project's pytest settings
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    report = run.stdout[-4000:] + run.stderr[-2000:]
    assert run.returncode == 0, report
    assert "MLPClassifier is bpcore.estimators" in run.stdout, report
    assert int(re.search(r"(\d+) passed", run.stdout)[1]) > 40, report
    deselected = re.search(r"(\d+) deselected", run.stdout)
    assert int(deselected[1]) == len(LEFT_OUT) <= 4, report
