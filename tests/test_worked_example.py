"""The net 3-2-3-5 of the derivation, sigmoid throughout, squared error, one sample.

Every quantity is written out in sums and loops over Python's numbers, as docs/derivation.md writes
it, and must be what the kernels compute.
"""

import math
from itertools import pairwise

import numpy as np
import pytest
from conftest import RTOL
from helpers import relative_error
from numpy.testing import assert_array_equal

import bpcore as bp

SIZES = (3, 2, 3, 5)


def σ(z):
    return 1 / (1 + math.exp(-z))


def σ_prime(z):
    return math.exp(-z) / (1 + math.exp(-z)) ** 2


def worked_example(W, b, x, y):
    """Return C, and z, a, da, delta, dW, db as dicts by layer number j = 1, 2, 3; dx; all as lists.

    W[j][m][n] joins input n to output m of layer j; a[0] is x, and L = 3 the last layer.
    """
    L = 3
    rows = {j: range(SIZES[j]) for j in range(L + 1)}

    # Forward: z_m^j = Σ_n w_mn^j a_n^(j-1) + b_m^j, a_m^j = σ(z_m^j).
    a, z = {0: x}, {}
    for j in (1, 2, 3):
        z[j] = [sum(W[j][m][n] * a[j - 1][n] for n in rows[j - 1]) + b[j][m] for m in rows[j]]
        a[j] = [σ(z[j][m]) for m in rows[j]]
    C = sum((a[L][k] - y[k]) ** 2 for k in rows[L])

    # The last layer: ∂C/∂a_k = 2 (a_k - y_k).
    da, delta, dW, db = {L: [2 * (a[L][k] - y[k]) for k in rows[L]]}, {}, {}, {}
    dW[L] = [
        [2 * (a[L][m] - y[m]) * σ_prime(z[L][m]) * a[L - 1][n] for n in rows[L - 1]]
        for m in rows[L]
    ]
    db[L] = [2 * (a[L][m] - y[m]) * σ_prime(z[L][m]) for m in rows[L]]

    # Hidden layers: look up ∂C/∂a_n^j = Σ_m [∂C/∂a_m^(j+1)] σ'(z_m^(j+1)) w_mn^(j+1).
    for j in (2, 1):
        da[j] = [
            sum(da[j + 1][m] * σ_prime(z[j + 1][m]) * W[j + 1][m][n] for m in rows[j + 1])
            for n in rows[j]
        ]
        dW[j] = [[da[j][m] * σ_prime(z[j][m]) * a[j - 1][n] for n in rows[j - 1]] for m in rows[j]]
        db[j] = [da[j][m] * σ_prime(z[j][m]) for m in rows[j]]
    for j in (1, 2, 3):
        delta[j] = [da[j][m] * σ_prime(z[j][m]) for m in rows[j]]
    dx = [sum(da[1][m] * σ_prime(z[1][m]) * W[1][m][n] for m in rows[1]) for n in rows[0]]
    return {"C": C, "z": z, "a": a, "da": da, "delta": delta, "dW": dW, "db": db, "dx": dx}


@pytest.fixture
def layers(level, dtype, rng):
    """The three layers, none of their numbers 0."""
    made = [
        bp.Dense(
            n_in,
            n_out,
            "sigmoid",
            weight_initializer="standard_normal",
            bias_initializer="standard_normal",
            dtype=dtype,
            rng=rng,
        )
        for n_in, n_out in pairwise(SIZES)
    ]
    assert all(type(layer._kernel).__module__ == f"bpcore._kernels_{level}" for layer in made)
    return made


@pytest.fixture
def sample(dtype, rng):
    """x and y of one sample."""
    return rng.normal(size=3).astype(dtype), rng.uniform(size=5).astype(dtype)


def by_hand(layers, x, y):
    W = {j: layer.W.tolist() for j, layer in enumerate(layers, start=1)}
    b = {j: layer.b.tolist() for j, layer in enumerate(layers, start=1)}
    return worked_example(W, b, x.tolist(), y.tolist())


def check_layers(layers, wanted, dtype):
    for j, layer in enumerate(layers, start=1):
        assert relative_error(layer.a_in, wanted["a"][j - 1]) < RTOL["formula"][dtype]
        for name in ("z", "a", "da", "delta", "dW", "db"):
            value = getattr(layer, name)
            assert value.dtype == dtype
            assert relative_error(value, wanted[name][j]) < RTOL["formula"][dtype], (name, j)


def test_network(layers, sample, dtype):
    x, y = sample
    wanted = by_hand(layers, x, y)
    net = bp.Network(layers)
    assert relative_error(net.forward(x), wanted["a"][3]) < RTOL["formula"][dtype]
    assert net.backward(y) == pytest.approx(wanted["C"], rel=RTOL["formula"][dtype])
    check_layers(net.layers, wanted, dtype)
    dx = net.backpropagate(net.layers[-1].da)
    assert relative_error(dx, wanted["dx"]) < RTOL["formula"][dtype]
    check_layers(net.layers, wanted, dtype)


def test_gradient_vector_holds_the_same(layers, sample, dtype):
    x, y = sample
    wanted = by_hand(layers, x, y)
    net = bp.Network(layers)
    net.forward(x)
    net.backward(y)
    flat = [
        number for j in (1, 2, 3) for row in [*wanted["dW"][j], wanted["db"][j]] for number in row
    ]
    assert relative_error(net.gradient, flat) < RTOL["formula"][dtype]


def test_layer_by_layer(layers, sample, dtype):
    """Each layer alone: forward up, then each ∂C/∂a looked up one layer down."""
    x, y = sample
    wanted = by_hand(layers, x, y)
    first, second, third = layers
    a = third.forward(second.forward(first.forward(x)))
    dx = first.backward(second.backward(third.backward(2 * (a - y))))
    assert relative_error(dx, wanted["dx"]) < RTOL["formula"][dtype]
    check_layers(layers, wanted, dtype)


def test_layer_by_layer_inside_the_network(layers, sample, dtype):
    x, y = sample
    wanted = by_hand(layers, x, y)
    net = bp.Network(layers)
    net.forward(x)
    net.backward(y)
    gradient = net.gradient.copy()
    net.gradient[...] = np.nan
    first, second, third = net.layers
    a = third.forward(second.forward(first.forward(x)))
    first.backward(second.backward(third.backward(2 * (a - y))))
    check_layers(layers, wanted, dtype)
    assert_array_equal(net.gradient, gradient)


def test_one_row_is_the_sample(layers, sample):
    """1-D and 2-D give the same bits, but for the dimension."""
    x, y = sample
    net = bp.Network(layers)
    a = net.forward(x)
    C = net.backward(y)
    flat = {name: [getattr(layer, name) for layer in layers] for name in ("z", "a", "da", "delta")}
    gradient = net.gradient.copy()
    dx = net.backpropagate(net.layers[-1].da)

    assert_array_equal(net.forward(x.reshape(1, 3)), [a])
    assert net.backward(y.reshape(1, 5)) == C
    assert_array_equal(net.gradient, gradient)
    for name, values in flat.items():
        for layer, value in zip(layers, values, strict=True):
            assert value.shape == (layer.n_outputs,)
            assert_array_equal(getattr(layer, name), [value])
    assert_array_equal(net.backpropagate(net.layers[-1].da), [dx])


def test_mean_over_samples(layers, dtype, rng):
    """C is the mean over the samples; da holds the 1/n, the layers only sum."""
    X, Y = rng.normal(size=(7, 3)).astype(dtype), rng.uniform(size=(7, 5)).astype(dtype)
    each = [by_hand(layers, x, y) for x, y in zip(X, Y, strict=True)]
    net = bp.Network(layers)
    net.forward(X)
    wanted = sum(one["C"] for one in each) / 7
    assert net.backward(Y) == pytest.approx(wanted, rel=RTOL["formula"][dtype])
    for j, layer in enumerate(net.layers, start=1):
        for name in ("dW", "db"):
            wanted = sum(np.array(one[name][j]) for one in each) / 7
            assert relative_error(getattr(layer, name), wanted) < RTOL["formula"][dtype]
        for name in ("da", "delta"):
            wanted = np.array([one[name][j] for one in each]) / 7
            assert relative_error(getattr(layer, name), wanted) < RTOL["formula"][dtype]


def test_one_step_descends(layers, sample, dtype):
    """One step of SGD takes η times the written-out gradient off the parameters."""
    x, y = sample
    wanted = by_hand(layers, x, y)
    net = bp.Network(layers)
    before = [(layer.W.copy(), layer.b.copy()) for layer in net.layers]
    trainer = bp.Trainer(net, bp.SGD(0.5), batch_size=1, shuffle=False)
    history = trainer.run(x.reshape(1, 3), y.reshape(1, 5))
    assert history.loss[0] == pytest.approx(wanted["C"], rel=RTOL["formula"][dtype])
    for j, (layer, (W, b)) in enumerate(zip(net.layers, before, strict=True), start=1):
        new_W, new_b = W - 0.5 * np.array(wanted["dW"][j]), b - 0.5 * np.array(wanted["db"][j])
        assert relative_error(layer.W, new_W) < RTOL["formula"][dtype]
        assert relative_error(layer.b, new_b) < RTOL["formula"][dtype]
