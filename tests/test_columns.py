"""The first layer by columns, as plain SGD's steps of few samples keep it: the reference's numbers,
and the same bits wherever a stretch of steps ends. Of threads test_team.py tells."""

import numpy as np
import pytest
from conftest import RTOL
from helpers import relative_error
from numpy.testing import assert_array_equal

import bpcore as bp
from bpcore import reference

# Inputs and outputs: whole vectors of every level and none, one panel of V and several, a panel of
# a single vector at the end; the last two leave too many lanes of V empty, but of short vectors.
SHAPES = [(1, 8), (3, 7), (7, 16), (16, 33), (17, 30), (31, 48), (33, 32), (65, 15), (100, 100),
          (130, 64), (100, 17), (200, 20)]  # fmt: skip
BATCHES = [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 17, 24, 25]


def problem(n_inputs, n_hidden, dtype, n=60, seed=0):
    """Return a network, X and Y."""
    rng = np.random.default_rng(seed)
    net = bp.mlp([n_inputs, n_hidden, 3], "tanh", dtype=dtype, rng=1)
    X, Y = rng.uniform(-1, 1, (n, n_inputs)), rng.uniform(-1, 1, (n, 3))
    return net, X.astype(dtype), Y.astype(dtype)


def trained(shape, batch_size, dtype="float32", epochs=2, runs=1, **told):
    """Return the parameters after so many epochs, in so many runs."""
    net, X, Y = problem(*shape, dtype)
    trainer = bp.Trainer(net, bp.SGD(0.02), batch_size, rng=2, **told)
    for _ in range(runs):
        trainer.run(X, Y, epochs // runs)
    return net.parameters


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("batch_size", BATCHES)
def test_every_batch_and_width(shape, batch_size, dtype, level):
    net, X, Y = problem(*shape, dtype)
    before, plain = net.parameters.astype("f8"), reference.Network(net.layers, net.loss)
    given = {"epochs": 2, "batch_size": batch_size, "shuffle": False}
    wanted = plain.fit(X, Y, optimizer=bp.SGD(0.02), **given)
    history = net.fit(X, Y, optimizer=bp.SGD(0.02), **given)
    rtol = RTOL["training"][dtype]
    np.testing.assert_allclose(history.loss, wanted.loss, rtol=rtol)
    assert relative_error(net.parameters - before, plain.parameters - before) < rtol


@pytest.mark.parametrize("shape", [(16, 33), (17, 30), (130, 64)], ids=str)
@pytest.mark.parametrize("batch_size", [4, 7, 10, 24])
def test_stretches_and_order(shape, batch_size, dtype, level):
    """W comes back from V as it was: after every epoch, or after the last, whose last batch is
    short and may go by rows."""
    wanted = trained(shape, batch_size, dtype)
    assert_array_equal(trained(shape, batch_size, dtype, runs=2), wanted)
    net, X, Y = problem(*shape, dtype)
    order = np.random.default_rng(2)
    trainer = bp.Trainer(net, bp.SGD(0.02), batch_size, shuffle=False)
    for _ in range(2):
        rows = order.permutation(len(X))
        trainer.run(X[rows], Y[rows])
    assert_array_equal(net.parameters, wanted)


@pytest.mark.parametrize("batch_size", [4, 12])
def test_steps_one_by_one(batch_size, dtype, level):
    """Each makes V anew, and keeps its gradient."""
    net, X, Y = problem(17, 30, dtype)
    trainer = bp.Trainer(net, bp.SGD(0.02), batch_size)
    before = net.parameters.copy()
    for first in range(0, len(X), batch_size):
        trainer.step(X[first : first + batch_size], Y[first : first + batch_size])
    wanted = trained((17, 30), batch_size, dtype, epochs=1, shuffle=False)
    rtol = RTOL["training"][dtype]
    assert relative_error(net.parameters - before, wanted - before) < rtol


def test_a_step_that_diverges_comes_back_as_well(dtype, level):
    """The weights before it, by rows."""
    net, X, Y = problem(17, 30, dtype)
    Y[41] = np.finfo(dtype).max  # its square is Inf
    with pytest.raises(bp.DivergenceError):
        bp.Trainer(net, bp.SGD(0.02), 10, shuffle=False).run(X, Y)
    other, X, Y = problem(17, 30, dtype)
    bp.Trainer(other, bp.SGD(0.02), 10, shuffle=False).run(X[:40], Y[:40])
    assert_array_equal(net.parameters, other.parameters)


def test_predictions_between_runs(level):
    """A network whose training went by columns is the one that its W tells of."""
    net, X, Y = problem(17, 30, "float32")
    trainer = bp.Trainer(net, bp.SGD(0.02), 10)
    for _ in range(3):
        trainer.run(X, Y)
        plain = reference.Network(net.layers, net.loss)
        wanted = plain.predict(X.astype("f8"))
        assert relative_error(net.predict(X), wanted) < RTOL["pass"]["float32"]
