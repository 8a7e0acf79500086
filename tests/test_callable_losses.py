"""Losses of one's own: what they are given, what they may return."""

import re

import numpy as np
import pytest
from conftest import RTOL
from helpers import squared
from networks import data, made
from numpy.testing import assert_allclose, assert_array_equal

import bpcore as bp


def test_callable_loss_is_the_same_as_by_name(dtype, rng):
    own, named = made(dtype, loss=squared), made(dtype)
    X, Y = data(rng, dtype=dtype)
    for net in (own, named):
        net.forward(X)
    assert own.backward(Y) == pytest.approx(named.backward(Y), rel=RTOL["pass"][dtype])
    assert_allclose(own.gradient, named.gradient, rtol=0, atol=RTOL["pass"][dtype])
    assert own.evaluate(X, Y) == pytest.approx(named.evaluate(X, Y), rel=RTOL["pass"][dtype])


def test_callable_loss_gets_the_targets_as_given_and_outputs_of_its_own(rng):
    seen = []

    def loss(a, y):
        seen.append(y)
        da = np.ones_like(a)
        a[...] = 77
        return 0.0, da

    net = made(loss=loss)
    X, _ = data(rng)
    a = net.forward(X).copy()
    token = object()
    net.backward(token)
    net.evaluate(X, token)
    assert seen == [token, token]
    assert_array_equal(net.layers[-1].a, a)


@pytest.mark.parametrize(
    ("result", "error", "words"),
    [
        (1.0, TypeError, ["float", "(C, da)"]),
        ((1.0, 2.0, 3.0), TypeError, ["tuple", "(C, da)"]),
        ((1.0, np.ones((6, 3))), ValueError, ["da", "3", "2"]),
        ((1.0, np.ones((5, 2))), ValueError, ["da", "(5, 2)", "(6, 2)"]),
        ((1.0, np.full((6, 2), "x")), TypeError, ["da", "<U1"]),
        ((1.0, np.ones((6, 2), complex)), TypeError, ["da", "complex"]),
        (("one", np.ones((6, 2))), TypeError, ["C", "'one'"]),
        ((1j, np.ones((6, 2))), TypeError, ["C", "1j"]),
        ((None, np.ones((6, 2))), TypeError, ["C", "None"]),
    ],
    ids=lambda value: type(value[0]).__name__ if isinstance(value, tuple) else "",
)
@pytest.mark.parametrize("door", ["backward", "fit"])
def test_callable_loss_that_returns_something_else(rng, result, error, words, door):
    net = made(loss=lambda a, y: result)
    X, Y = data(rng)
    net.forward(X)
    before = net.gradient.copy(), net.parameters.copy()
    with pytest.raises(error) as caught:
        net.backward(Y) if door == "backward" else net.fit(X, Y, 1)
    for word in words:
        assert word in str(caught.value)
    assert_array_equal(net.gradient, before[0])
    assert_array_equal(net.parameters, before[1])


def test_callable_loss_whose_da_is_nan(rng):
    # In training it is a divergence: test_divergence.py.
    net, (X, Y) = made(loss=lambda a, y: (1.0, np.full_like(a, np.nan))), data(rng)
    net.forward(X)
    with pytest.raises(ValueError, match="da holds nan"):
        net.backward(Y)
    assert not net.gradient.any()


def test_loss_and_gradient_of_a_callable_loss_that_raises(rng):
    net, (X, Y) = made(loss=squared), data(rng)
    before = net.parameters.copy()
    with pytest.raises(ValueError, match="shapes"):
        net.loss_and_gradient(before + 1, X, Y[1:])
    assert_array_equal(net.parameters, before)


@pytest.mark.parametrize("door", ["backward", "evaluate", "loss_and_gradient", "fit", "step"])
def test_callable_loss_takes_no_sample_weight(rng, door):
    net = made(loss=squared)
    X, Y = data(rng)
    net.forward(X)
    w, theta = np.ones(6), net.parameters.copy()
    call = {
        "backward": lambda: net.backward(Y, w),
        "evaluate": lambda: net.evaluate(X, Y, w),
        "loss_and_gradient": lambda: net.loss_and_gradient(theta + 1, X, Y, w),
        "fit": lambda: net.fit(X, Y, sample_weight=w),
        "step": lambda: bp.Trainer(net).step(X, Y, w),
    }[door]
    with pytest.raises(ValueError, match=re.escape("sample_weight is given, but the loss is a")):
        call()
    assert_array_equal(net.parameters, theta)
