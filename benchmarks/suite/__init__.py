"""asv benchmarks of bpcore beside its plain NumPy reference; see benchmarks/README.md."""
