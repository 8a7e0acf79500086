"""asv benchmarks of bpcore beside its plain NumPy reference; see benchmarks/README.md.

One thread on both sides unless the environment says otherwise: the reference's matrix products
are BLAS's, which would start a thread a core, and a ratio is only fair when both sides have the
same cores. Set here, before any benchmark module imports NumPy, because BLAS reads its variables
once, when it is loaded.
"""

import os

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "BPCORE_NUM_THREADS",
)

for _variable in THREAD_VARIABLES:
    os.environ.setdefault(_variable, "1")
