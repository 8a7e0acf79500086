"""What the tests of networks share: a small network, data for it."""

import bpcore as bp

KEPT = ("a_in", "z", "a", "da", "delta")


def made(dtype="float32", sizes=(3, 4, 2), **options):
    return bp.mlp(sizes, "tanh", dtype=dtype, rng=0, **options)


def data(rng, n=6, dtype="float32"):
    return rng.standard_normal((n, 3)).astype(dtype), rng.standard_normal((n, 2)).astype(dtype)
