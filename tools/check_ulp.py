"""The elementary functions' largest float32 errors, over all 2^32 arguments or some of them.

    python tools/check_ulp.py --all                     # about two minutes a function
    python tools/check_ulp.py --all --level x86_v3 tanh
    python tools/check_ulp.py                           # every 61st argument

Holds every level that is built and runs here against float64, prints each error in units in the
last place with the argument where it is, and exits with 1 if one exceeds the bound in
tests/ulps.py. Needs SciPy.
"""

import argparse
import importlib
import sys
import time
from pathlib import Path

import numpy as np

from bpcore import cpu

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
import ulps

CHUNK = 2**16  # arrays that stay in the second-level cache


def worst(name, kernels, stride):
    """Return for each level the largest error and its argument."""
    found = {level: (0.0, np.float32(0)) for level in kernels}
    for start in range(0, 2**32, CHUNK * stride):
        bits = np.arange(start, min(start + CHUNK * stride, 2**32), stride, dtype=np.uint64)
        z = ulps.domain(name, bits.astype(np.uint32).view(np.float32))
        if z.size == 0:
            continue
        exact = ulps.reference(name, z, np.float64)
        scale = ulps.ulps_per_unit(exact, np.float32)
        for level, module in kernels.items():
            error = ulps.errors(module.elementwise(name, z), exact, scale)
            k = error.argmax()
            if error[k] > found[level][0]:
                found[level] = (float(error[k]), z[k])
    return found


def main():
    levels = [level for level in cpu.supported_levels() if level in cpu.built_levels()]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="function", help=", ".join(ulps.BOUNDS))
    parser.add_argument("--all", action="store_true", help="every argument")
    parser.add_argument("--level", action="append", choices=levels, help="only this level")
    options = parser.parse_args()
    if unknown := set(options.names) - set(ulps.BOUNDS):
        parser.error(f"no such function: {', '.join(sorted(unknown))}")

    kernels = {
        level: importlib.import_module(f"bpcore._kernels_{level}")
        for level in options.level or levels
    }
    failed = False
    for name in options.names or ulps.BOUNDS:
        start = time.perf_counter()
        for level, (error, z) in worst(name, kernels, 1 if options.all else 61).items():
            bound = ulps.bound(name, "float32", level)
            failed |= error > bound
            verdict = f"above {bound}" if error > bound else "ok"
            print(f"{name:9} {level:9} {error:8.4f} ulp at {z!r:30} {verdict}")
        print(f"{name:9} took {time.perf_counter() - start:.0f} s", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
