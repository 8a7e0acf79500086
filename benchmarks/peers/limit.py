"""The limit of one core: how many multiplications and additions it can do at all.

    python -m peers.limit float32 0

prints both measurements on core 0 as JSON, in operations a second.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

# Twelve independent sums: more than the latency of a fused multiply-add times those begun a cycle.
SOURCE = """
#include <stdio.h>
#include <time.h>
typedef REAL vector __attribute__((vector_size(BYTES)));
int main(void) {
    vector sums[12], factor;
    for (int lane = 0; lane < (int)(BYTES / sizeof(REAL)); lane++) factor[lane] = 0.999f;
    for (int k = 0; k < 12; k++) sums[k] = factor * (REAL)k;
    double best = 0;
    for (int repeat = 0; repeat < 20; repeat++) {
        clock_t start = clock();
        for (long step = 0; step < STEPS; step++)
            for (int k = 0; k < 12; k++) sums[k] = sums[k] * factor + factor;
        double rate = 2.0 * 12 * STEPS * (BYTES / sizeof(REAL)) * CLOCKS_PER_SEC
                      / (double)(clock() - start);
        if (rate > best) best = rate;
    }
    REAL total = 0;
    for (int k = 0; k < 12; k++) total += sums[k][0];
    fprintf(stderr, "%f", (double)total);  /* so that nothing is left out */
    printf("%.0f", best);
    return 0;
}
"""


def by_fma_loop(dtype):
    """Return the operations a second of a loop of multiply-adds in C, or None without a compiler.

    Parameters
    ----------
    dtype : {"float32", "float64"}

    Returns
    -------
    float or None
        The best over vectors of 16, 32 and 64 bytes.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    real = {"float32": "float", "float64": "double"}[dtype]
    rates = []
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "limit.c"), Path(folder, "limit")
        source.write_text(SOURCE, encoding="utf-8")
        flags = ["-O3", "-march=native", "-ffp-contract=fast", f"-DREAL={real}", "-DSTEPS=2000000L"]
        for size in (16, 32, 64):
            build = [compiler, *flags, f"-DBYTES={size}", str(source), "-o", str(program)]
            if subprocess.run(build, capture_output=True, check=False).returncode == 0:
                run = subprocess.run([program], capture_output=True, text=True, check=True)
                rates.append(float(run.stdout))
    return max(rates, default=None)


def by_product(dtype, clock=time.process_time):
    """Return the operations a second of NumPy's best matrix product."""
    best = 0.0
    for n in (64, 128, 192, 256, 384, 512, 768, 1024):
        A = np.random.default_rng(0).random((n, n), dtype=dtype)
        out = np.empty_like(A)
        for _ in range(5):
            loops, start = max(1, int(1e8 / n**3)), clock()
            for _ in range(loops):
                np.matmul(A, A, out=out)
            best = max(best, 2 * n**3 * loops / (clock() - start))
    return best


def rates(dtype):
    """Return both limits of one core by name, in operations a second."""
    return {"fma_loop": by_fma_loop(dtype), "numpy_product": by_product(dtype)}


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [int(sys.argv[2])])
    print(json.dumps(rates(sys.argv[1])))
