"""Networks: one vector of parameters, what the layers keep, copies, `out=`."""

import copy
import gc
import pickle

import numpy as np
import pytest
from conftest import RTOL
from helpers import squared
from networks import KEPT, data, made
from numpy.testing import assert_allclose, assert_array_equal

import bpcore as bp

# ---------------------------------------------------------------------------------- parameters


@pytest.mark.parametrize("vector", ["parameters", "gradient"])
def test_layers_arrays_are_views_in_order(dtype, vector):
    net = made(dtype)
    theta = getattr(net, vector)
    assert (theta.shape, theta.dtype, theta.ndim) == ((26,), np.dtype(dtype), 1)
    assert theta.flags.c_contiguous
    assert theta.flags.writeable
    theta[...] = np.arange(26)
    W, b = ("W", "b") if vector == "parameters" else ("dW", "db")
    first, last = net.layers
    assert_array_equal(getattr(first, W), np.arange(12).reshape(4, 3))
    assert_array_equal(getattr(first, b), np.arange(12, 16))
    assert_array_equal(getattr(last, W), np.arange(16, 24).reshape(2, 4))
    assert_array_equal(getattr(last, b), [24, 25])
    getattr(last, b)[...] = -1
    assert_array_equal(theta[24:], [-1, -1])


def test_views_stay_the_same_arrays_through_training(rng):
    net = made()
    held = [net.parameters, net.gradient, *(x for r in net.layers for x in (r.W, r.b, r.dW, r.db))]
    X, Y = data(rng)
    net.fit(X, Y, 2)
    net.forward(X)
    net.backward(Y)
    net.loss_and_gradient(net.parameters + 1, X, Y)
    now = [net.parameters, net.gradient, *(x for r in net.layers for x in (r.W, r.b, r.dW, r.db))]
    assert all(x is y for x, y in zip(held, now, strict=True))


def test_writing_parameters_changes_the_outputs(rng):
    X, _ = data(rng)
    net, other = made(), bp.mlp([3, 4, 2], "tanh", rng=1)
    net.parameters[...] = other.parameters
    assert_array_equal(net.predict(X), other.predict(X))
    assert_array_equal(net.forward(X), other.forward(X))


@pytest.mark.parametrize("name", ["parameters", "gradient"])
def test_assigned_vectors_are_copied_in(dtype, rng, name):
    net = made(dtype)
    vector, values = getattr(net, name), rng.standard_normal(26)
    setattr(net, name, values)
    assert getattr(net, name) is vector
    assert_array_equal(vector, values.astype(dtype))
    assert_array_equal(net.layers[1].b if name == "parameters" else net.layers[1].db, vector[24:])
    net.parameters += 1
    net.gradient *= 2
    assert getattr(net, name) is vector
    for bad in (values[1:], np.full(26, np.nan), values.astype(complex)):
        with pytest.raises((TypeError, ValueError), match=name):
            setattr(net, name, bad)


@pytest.mark.parametrize(("name", "value"), [("layers", ()), ("loss", "huber")])
def test_what_the_kernels_would_not_notice_cannot_be_assigned(name, value):
    net = made()
    before = getattr(net, name)
    with pytest.raises(AttributeError):
        setattr(net, name, value)
    assert getattr(net, name) is before


def test_layers_outlive_their_network(rng):
    net = made()
    X, _ = data(rng)
    a, layers, theta = net.predict(X), net.layers, net.parameters
    del net
    gc.collect()
    junk = [np.full(26, np.nan, "float32") for _ in range(100)]
    assert_array_equal(layers[1].forward(layers[0].forward(X)), a)
    del layers
    gc.collect()
    assert np.isfinite(theta).all()
    assert len(junk) == 100


# -------------------------------------------------------------------------- forward, backward


def test_backward_before_forward(rng):
    net = made()
    for call in (net.backward, net.backpropagate):
        with pytest.raises(RuntimeError, match=r"call forward\(X\) first"):
            call(data(rng)[1])
    net.predict(data(rng)[0])
    with pytest.raises(RuntimeError, match=r"call forward\(X\) first"):
        net.backward(data(rng)[1])


@pytest.mark.parametrize("k", [0, 1, 2])
def test_backward_after_one_layer_ran_by_itself(rng, k):
    net = made(sizes=(3, 3, 3, 3))
    X = rng.standard_normal((6, 3))
    net.forward(X)
    net.layers[k].forward(X)
    before = net.gradient.copy()
    for call in (net.backward, net.backpropagate):
        with pytest.raises(RuntimeError, match=r"different batches.*forward"):
            call(X)
    assert_array_equal(net.gradient, before)
    net.forward(X)
    net.backward(X)


@pytest.mark.parametrize("loss", ["squared_error", "huber", "mean_absolute_error"])
def test_layer_by_layer_is_the_networks_backward(dtype, rng, loss):
    net = made(dtype, (3, 5, 4, 2), loss=loss)
    X, Y = data(rng, dtype=dtype)
    a = net.forward(X)
    net.backward(Y)
    gradient = net.gradient.copy()
    alone = [copy.deepcopy(layer) for layer in net.layers]
    x = X
    for layer in alone:
        x = layer.forward(x)
    assert_array_equal(x, a)
    da = net.layers[-1].da
    for layer, own in zip(net.layers[::-1], alone[::-1], strict=True):
        assert_array_equal(layer.da, da)
        da = own.backward(da)
        assert_array_equal(layer.delta, own.delta)
    assert_array_equal(np.concatenate([x.ravel() for r in alone for x in (r.dW, r.db)]), gradient)
    assert_array_equal(net.backpropagate(net.layers[-1].da), da)
    assert_array_equal(net.gradient, gradient)


def test_arrays_that_are_held_are_never_written_to_again(dtype, rng):
    net, held, copies = made(dtype), [], []
    for n in (4, 4, 1, 4, 7):
        X, Y = data(rng, n)
        held += [net.forward(X), net.predict(X)]
        net.backward(Y)
        held += [getattr(layer, name) for layer in net.layers for name in KEPT]
        held += [net.backpropagate(Y)]
        net.fit(X, Y, 1)
        copies += [x.copy() for x in held[len(copies) :]]
    for x, y in zip(held, copies, strict=True):
        assert_array_equal(x, y)


def test_a_of_one_layer_is_a_in_of_the_next(rng):
    net = made()
    X, Y = data(rng)
    a = net.forward(X)
    assert net.layers[1].a_in is net.layers[0].a
    assert net.layers[1].a is a
    assert_array_equal(net.layers[0].a_in, X)
    assert net.layers[0].da is None
    net.backward(Y)
    for layer in net.layers:
        assert layer.da.shape == layer.delta.shape == layer.a.shape


def test_predict_evaluate_and_training_keep_nothing_in_the_layers(rng):
    net = made()
    X, Y = data(rng)
    net.predict(X)
    net.evaluate(X, Y)
    assert all(getattr(layer, name) is None for layer in net.layers for name in KEPT)
    assert not net.gradient.any()
    assert not np.shares_memory(net.predict(X), net.predict(X))
    assert_array_equal(net.predict(X), net.forward(X))
    assert net.evaluate(X, Y) == pytest.approx(net.backward(Y), rel=1e-6)  # in blocks there


@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy"])
def test_one_sample_is_a_batch_of_one(dtype, rng, loss):
    net = made(dtype, loss=loss, output="softmax")
    x, y = rng.standard_normal(3), np.array([0.25, 0.75])
    a = net.forward(x[None])
    C = net.backward(y[None])
    dX, gradient = net.backpropagate(y[None]), net.gradient.copy()
    assert_array_equal(net.forward(x), a[0], strict=True)
    assert net.backward(y) == C
    assert net.layers[0].z.shape == net.layers[0].delta.shape == (4,)
    assert_array_equal(net.backpropagate(y), dX[0], strict=True)
    assert_array_equal(net.gradient, gradient)
    assert_array_equal(net.predict(x), a[0], strict=True)
    assert net.evaluate(x, y) == C
    trainers = [bp.Trainer(copy.deepcopy(net)) for _ in range(2)]
    assert trainers[0].step(x, y) == trainers[1].step(x[None], y[None])
    assert_array_equal(trainers[0].network.parameters, trainers[1].network.parameters)
    if loss == "cross_entropy":
        assert net.backward(1) == net.evaluate(x[None], [1])


def test_one_output_takes_flat_targets(rng):
    net = made(sizes=(3, 4, 1))
    X, y = rng.standard_normal((5, 3)), rng.standard_normal(5)
    net.forward(X)
    assert net.backward(y) == net.backward(y[:, None])
    assert net.evaluate(X, y) == net.evaluate(X, y[:, None])
    assert net.evaluate(X[0], y[0]) == net.evaluate(X[0], y[:1])


@pytest.mark.parametrize("n", [1, 2, 95, 96, 97, 300])
def test_predict_in_blocks_is_forward(dtype, rng, n):
    net = made(dtype, (3, 33, 17, 2))
    X, Y = data(rng, n)
    tolerance = RTOL["pass"][dtype]
    assert_allclose(net.predict(X), net.forward(X), rtol=tolerance, atol=tolerance)
    assert net.evaluate(X, Y) == pytest.approx(net.backward(Y), rel=tolerance)


def test_nan_in_a_late_row_leaves_out_as_it_was(dtype, rng):
    net, X = made(dtype), np.zeros((1000, 3), dtype)
    X[999, 1] = np.nan
    out = rng.standard_normal((1000, 2)).astype(dtype)
    kept = out.copy()
    with pytest.raises(ValueError, match=r"X holds nan at index \(999, 1\)"):
        net.predict(X, out=out)
    assert_array_equal(out, kept)


def test_loss_and_gradient(dtype, rng):
    net = made(dtype)
    X, Y = data(rng, dtype=dtype)
    theta = rng.standard_normal(26)
    C, g = net.loss_and_gradient(theta, X, Y)
    assert_array_equal(net.parameters, theta.astype(dtype))
    net.forward(X)
    assert net.backward(Y) == C
    assert_array_equal(net.gradient, g)
    assert not np.shares_memory(net.gradient, g)
    assert net.loss_and_gradient(net.parameters, X, Y)[0] == C


# -------------------------------------------------------------------------------------- copies


@pytest.mark.parametrize("kind", ["deepcopy", "copy", "pickle"])
def test_copies_share_nothing(dtype, kind, rng):
    net = made(dtype, loss="huber")
    X, Y = data(rng)
    net.fit(X, Y, 1)
    make = {"copy": copy.copy, "deepcopy": copy.deepcopy,
            "pickle": lambda net: pickle.loads(pickle.dumps(net))}  # fmt: skip
    other = make[kind](net)
    assert repr(other) == repr(net)
    assert_array_equal(other.parameters, net.parameters, strict=True)
    assert_array_equal(other.predict(X), net.predict(X), strict=True)
    for x in (net.parameters, net.gradient):
        assert not np.shares_memory(x, other.parameters)
        assert not np.shares_memory(x, other.gradient)
    assert not any(x is y for x, y in zip(net.layers, other.layers, strict=True))
    for each in (net, other):
        each.fit(X, Y, 2, optimizer=bp.Adam(), rng=0)
    assert_array_equal(other.parameters, net.parameters)


def test_copies_keep_weights_that_are_not_finite():
    net = made()
    net.parameters[3] = np.inf
    assert_array_equal(copy.deepcopy(net).parameters, net.parameters)
    assert_array_equal(pickle.loads(pickle.dumps(net)).parameters, net.parameters)


def test_repr():
    assert repr(made(loss="huber")) == (
        "Network(3-4-2, tanh, identity, loss='huber', dtype='float32', 26 parameters)"
    )
    assert "loss='squared'" in repr(made(loss=squared))


@pytest.mark.parametrize("n_layers", [1, 2, 8, 9, 30])
def test_predict_and_evaluate_of_many_layers(dtype, rng, n_layers):
    net = bp.mlp([3] * (n_layers + 1), "tanh", dtype=dtype, rng=0)
    X, Y = rng.standard_normal((2, 7, 3)).astype(dtype)
    assert_allclose(net.predict(X), net.forward(X), rtol=RTOL["formula"][dtype])
    assert net.evaluate(X, Y) == pytest.approx(net.backward(Y), rel=RTOL["formula"][dtype])


@pytest.mark.parametrize("sizes", [(1, 1), (3, 40), (40, 2), (17, 33, 3), (128, 128, 2)])
@pytest.mark.parametrize("n", [1, 7, 300])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_predict_finds_what_is_not_finite(bad, n, sizes, dtype, level, rng):
    """By the first z, however it is summed: with weights of 0, under relu, in the last sample."""
    for weights in (0, 1):
        net = bp.mlp(sizes, "relu", dtype=dtype, rng=0)
        net.layers[0].W[...] *= weights
        X = rng.random((n, sizes[0])).astype(dtype)
        Y = np.zeros((n, sizes[-1]), dtype)
        for row, column in ((0, 0), (n - 1, sizes[0] - 1), (n // 2, sizes[0] // 2)):
            broken = X.copy()
            broken[row, column] = bad
            with pytest.raises(ValueError, match="X"):
                net.predict(broken)
            with pytest.raises(ValueError, match="X"):
                net.evaluate(broken, Y)
        assert np.isfinite(net.predict(X)).all()


def test_predict_takes_finite_numbers_that_overflow(dtype, level):
    """A z may be infinite though X is finite: that is no fault of X."""
    net = bp.mlp([40, 40, 2], "relu", dtype=dtype, rng=0)
    net.layers[0].W[...] = 100
    X = np.full((300, 40), np.finfo(dtype).max, dtype)
    assert not np.isfinite(net.predict(X)).all()
