"""The epochs of `epochs.py` at each CPU level, which a process chooses once, when it imports."""

import os
import subprocess
import sys
from pathlib import Path

from suite._cases import CASES
from suite._settings import Ratio

LEVELS = ("baseline", "x86_v3", "x86_v4", "x86_amx")  # the first is one that every processor has

CHILD = """
import sys
from suite._cases import CASES, epoch
from suite._paired import paired_ratio
case = CASES[sys.argv[1]]
print(paired_ratio(epoch("bpcore", case), epoch("reference", case)))
"""


class LevelRatios(Ratio):
    """Time of bpcore's epoch at a level divided by the reference's, each in a new process."""

    # `large` is left to EpochRatios: there the memory counts, and its epochs take seconds.
    params = ([name for name in CASES if name != "large"], LEVELS)
    param_names = ("case", "level")
    timeout = 300

    def setup(self, case, level):
        from bpcore import cpu

        if level not in set(cpu.built_levels()) & set(cpu.supported_levels()):
            raise NotImplementedError(f"{level} is not built, or does not run on this processor")

    def track_epoch(self, case, level):
        path = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
        found = subprocess.run(
            [sys.executable, "-c", CHILD, case],
            env={**os.environ, "BPCORE_CPU": level, "PYTHONPATH": path},
            check=True,
            capture_output=True,
            text=True,
        )
        return float(found.stdout)
