"""Networks that nobody chose: random shapes, activations, losses, rules and batches.

What the other tests miss is a path that only a certain shape beside a certain batch takes. Each
seed is one training of some steps, beside the reference; a failure prints what it was.
"""

import numpy as np
import pytest

import bpcore as bp
from bpcore import reference

SMOOTH = ("identity", "sigmoid", "tanh", "gelu", "silu", "softplus", "softsign")
KINKED = ("relu", "leaky_relu", "elu", "selu", "hard_sigmoid")
SUMMED = ("squared_error", "mean_squared_error", "huber", "mean_absolute_error")
RULES = {
    "SGD": lambda: bp.SGD(0.05),
    "momentum": lambda: bp.SGD(0.02, momentum=0.9),
    "Nesterov": lambda: bp.SGD(0.02, momentum=0.9, nesterov=True),
    "Adam": lambda: bp.Adam(0.01),
    "AdamW": lambda: bp.AdamW(0.01, weight_decay=0.1),
    "RMSProp": lambda: bp.RMSProp(0.01),
    "Adagrad": lambda: bp.Adagrad(0.05),
}
WIDTHS = (1, 1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 33, 48, 64, 67, 100, 130)


def drawn(seed, dtype, narrow):
    """Return a random training: what makes the network, the data, and what fit is told.

    Parameters
    ----------
    seed : int
    dtype : {"float32", "float64"}
        In float32 all is smooth, and a rule does not divide by a root: a kink or an ε would make
        much of a rounding.
    narrow : bool
        Widths and batches as of narrow.pxi.
    """
    rng = np.random.default_rng(seed)
    exact = dtype == "float64"
    widths = WIDTHS[:8] if narrow else WIDTHS
    sizes = [int(n) for n in rng.choice(widths, rng.integers(2, 6))]
    sizes[0] = int(rng.integers(1, 18)) if narrow else sizes[0]
    hidden = str(rng.choice(SMOOTH + KINKED if exact else SMOOTH))
    loss, output = str(rng.choice(SUMMED if exact else SUMMED[:2])), str(rng.choice(SMOOTH))
    kind = rng.integers(5)
    if kind == 0 and sizes[-1] > 1:
        loss, output = "cross_entropy", "softmax"
    elif kind == 1:
        loss, output = "binary_cross_entropy", "sigmoid"
    elif kind == 2 and exact:
        loss, output = "poisson", "softplus"
    n = int(rng.integers(1, 80))
    X = rng.uniform(-1, 1, (n, sizes[0]))
    if loss == "cross_entropy" and rng.random() < 0.5:
        Y = rng.integers(sizes[-1], size=n)
    elif loss == "cross_entropy":
        Y = rng.dirichlet(np.ones(sizes[-1]), n)
    else:
        Y = rng.random((n, sizes[-1]))
    told = {
        "epochs": 2,
        "batch_size": int(rng.integers(1, 9) if narrow else rng.choice((1, 2, 3, 7, 16, 33, 80))),
        "shuffle": False,
        "sample_weight": rng.uniform(0.1, 2, n) if rng.random() < 0.3 else None,
        "l2": 0.01 if rng.random() < 0.2 else 0.0,
    }
    rule = str(rng.choice(list(RULES)[: None if exact else 3]))
    return {"sizes": sizes, "hidden": hidden, "output": output, "loss": loss}, X, Y, told, rule


def way(network, start):
    """How far the parameters went, in float64."""
    return network.parameters.astype(np.float64) - start


@pytest.mark.parametrize("narrow", [True, False])
@pytest.mark.parametrize("seed", range(60))
def test_training(seed, narrow, dtype, level):
    made, X, Y, told, rule = drawn(seed, dtype, narrow)
    X = X.astype(dtype)
    Y = Y if Y.dtype == np.int64 else Y.astype(dtype)
    net = bp.mlp(**made, dtype=dtype, rng=seed)
    start = net.parameters.astype(np.float64)
    references = [
        reference.Network(net.layers, made["loss"], dtype=kind) for kind in (dtype, "float64")
    ]
    losses = [
        network.fit(X, Y, optimizer=RULES[rule](), **told).loss for network in (net, *references)
    ]
    truth = way(references[1], start)
    size = np.linalg.norm(truth)
    error, own = (np.linalg.norm(way(one, start) - truth) / size for one in (net, references[0]))
    # In float64 the error is that of the sums alone; in float32 a few times NumPy's.
    bound = 1e-8 if dtype == "float64" else max(1e-3, 8 * own)
    assert error < bound, (made, told, rule, error, own)
    np.testing.assert_allclose(losses[0], losses[2], rtol=1e-8 if dtype == "float64" else 1e-3)
