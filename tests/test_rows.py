"""Rows of a batch: shuffled ones are gathered, all are fetched before they are wanted."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import bpcore as bp


def trained(X, Y, batch_size, order_seed=None, weight=None, n_threads=1):
    """Parameters after an epoch; with a seed rows are shuffled."""
    output, loss = ("softmax", "cross_entropy") if Y.ndim == 1 else ("identity", "squared_error")
    sizes = (X.shape[1], 40, 3 if Y.ndim == 1 else Y.shape[1])
    net = bp.mlp(sizes, "tanh", output, loss, dtype=X.dtype, rng=1)
    told = {"shuffle": order_seed is not None, "rng": order_seed, "n_threads": n_threads}
    trainer = bp.Trainer(net, bp.Adam(0.01), batch_size, **told)
    trainer.run(X, Y, sample_weight=weight)
    return net.parameters


@pytest.mark.parametrize("n_inputs", [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 100])
@pytest.mark.parametrize("target", ["labels", "one", "five"])
def test_shuffled_rows_of_every_width(n_inputs, target, dtype, level):
    """X, targets and weights in another order are what they are in that order."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (50, n_inputs)).astype(dtype)
    weight = rng.uniform(0.5, 2, 50).astype(dtype)
    if target == "labels":
        Y = rng.integers(3, size=50)
    else:
        Y = rng.uniform(-1, 1, (50, 1 if target == "one" else 5)).astype(dtype)
    order = np.random.default_rng(3).permutation(50)
    assert_array_equal(
        trained(X, Y, 12, 3, weight), trained(X[order], Y[order], 12, weight=weight[order])
    )


@pytest.mark.parametrize("n_inputs", [2, 50, 3000])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_shuffled_rows_of_large_batches(n_inputs, n_threads, level):
    """More than are fetched a step before, several blocks, and a last batch that is short."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (1300, n_inputs)).astype("f4")
    labels = rng.integers(3, size=1300)
    order = np.random.default_rng(3).permutation(1300)
    assert_array_equal(
        trained(X, labels, 600, 3, n_threads=n_threads),
        trained(X[order], labels[order], 600, n_threads=n_threads),
    )
