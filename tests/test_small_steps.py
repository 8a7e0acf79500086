"""Plain SGD's steps in float32: each rounds a weight once, however many samples it sums."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import bpcore as bp

# One sample, a few, the sums that end with W up to the longest and the first beyond, several
# blocks, and several slices.
SAMPLES = (1, 2, 7, 10, 12, 13, 33, 64, 65, 128, 700, 3000)


def a_step(net, X, Y, learning_rate):
    """Return the parameters, in float64, before and after a step on all of X."""
    before = net.parameters.astype(float)
    bp.Trainer(net, bp.SGD(learning_rate), len(X), shuffle=False).run(X, Y)
    return before, net.parameters.astype(float)


@pytest.mark.parametrize("n", SAMPLES)
@pytest.mark.parametrize("hidden", ["tanh", "relu"])
@pytest.mark.parametrize("sizes", [(3, 40, 2), (40, 33, 20), (150, 140, 3)])
def test_a_weight_is_rounded_once(sizes, hidden, n, level, rng):
    """Steps of a few units in the last place, each sample's far below one, arrive whole."""
    net, exact = (
        bp.mlp(sizes, hidden, "identity", "squared_error", dtype=dtype, rng=1)
        for dtype in ("float32", "float64")
    )
    signs = rng.choice([-1, 1], len(net.parameters))
    net.parameters[...] = signs * rng.uniform(0.5, 1, len(signs))
    exact.parameters[...] = net.parameters
    X = rng.uniform(0, 1 / sizes[0], (n, sizes[0])).astype("float32")
    Y = rng.standard_normal((n, sizes[-1])).astype("float32")
    exact.forward(X.astype(float))
    exact.backward(Y.astype(float))
    ulp = 2.0**-24  # of numbers between 0.5 and 1
    learning_rate = 3 * ulp / np.abs(exact.gradient).mean()
    before, after = a_step(net, X, Y, learning_rate)
    inside = (np.abs(before - learning_rate * exact.gradient) < 1) & (exact.gradient != 0)
    # Half a unit is the rounding's; the gradient's own error is a thousandth of a step.
    off = np.abs(after - (before - learning_rate * exact.gradient))[inside] / ulp
    assert off.max() < 0.55
    assert 0.2 < off.mean() < 0.3  # what rounding to the nearest leaves: W moved in whole units


@pytest.mark.parametrize("n", [8, 11, 16, 32, 64, 80])
def test_the_same_bits_where_zeros_are_passed_over(n, dtype, level, rng):
    """Sixteen outputs of relu, most of them 0, are looked through; seven of them alone are not."""
    n_inputs = 40
    W = rng.integers(-512, 512, (16, n_inputs)) / 1024
    X = rng.integers(-2, 3, (n, n_inputs)).astype(dtype)
    Y = rng.integers(-2, 3, (n, 16)).astype(dtype)
    b = -np.quantile(X @ W.T, 0.9, axis=0).round()  # z is exact, in any order of its sum
    rows = []
    for outputs in (16, 7):
        net = bp.mlp((n_inputs, outputs), output="relu", loss="squared_error", dtype=dtype, rng=0)
        net.layers[0].W[...], net.layers[0].b[...] = W[:outputs], b[:outputs]
        assert 0 < (net.predict(X) > 0).mean() < 0.3
        a_step(net, X, Y[:, :outputs], 0.01)
        rows.append(net.layers[0].W[:7])
    assert (rows[0] != W[:7]).any()
    assert_array_equal(rows[0], rows[1])
