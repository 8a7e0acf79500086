"""asv benchmarks of bpcore beside its plain NumPy reference; see benchmarks/README.md."""

import sys
from pathlib import Path

# asv finds this package alone; the cases that it shares with compare_peers.py lie beside it.
sys.path.append(str(Path(__file__).parents[1]))
