"""benchmarks/estimators.py runs and prints a table."""

import subprocess
import sys
from pathlib import Path

import pairs  # noqa: F401  skips all of this file where there is no scikit-learn
import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "estimators.py"


@pytest.mark.skipif(not SCRIPT.exists(), reason="in the checkout, not beside these tests alone")
def test_a_table():
    options = ["--only", "predict", "regression", "--dtypes", "float32", "--repeats", "1"]
    command = [sys.executable, str(SCRIPT), *options]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [line.split("|")[1:-1] for line in run.stdout.splitlines() if line.startswith("|")]
    assert len(rows) == 4
    for row in rows[2:]:
        theirs, ours, ratio = float(row[2]), float(row[3]), float(row[4].split()[0])
        assert theirs > ours > 0
        assert abs(ratio - ours / theirs) < 0.01
