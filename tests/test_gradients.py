"""Every gradient against fourth-order central differences, the reference, and float32's float64.

Differences need a smooth function: biases and targets are chosen so that no z, a or a - y comes
near a kink of its activation or loss. They are in float64; parameters, X and Y hold numbers that
float32 holds too, so that both dtypes compute the same function.
"""

import copy
import warnings

import numpy as np
import pytest
from conftest import RTOL
from helpers import (
    ERROR_KINKS,
    KINKS,
    LOG_KINKS,
    distance_to_kinks,
    numerical_gradient,
    relative_error,
    targets_for,
)
from numpy.testing import assert_array_equal

import bpcore as bp
from bpcore import reference
from bpcore.reference.activations import ACTIVATIONS as REFERENCE_ACTIVATIONS

NOT_SMOOTH = {**KINKS, "softsign": (0.0,)}  # the second derivative of softsign jumps at 0
STEP, MARGIN = 5e-4, 0.02  # of the differences; they move no z by as much as the margin
FUSED = (("softmax", "cross_entropy"), ("sigmoid", "binary_cross_entropy"))
PAIRS = (
    ("identity", "squared_error"),
    ("tanh", "mean_squared_error"),
    ("softsign", "mean_absolute_error"),
    ("selu", "huber"),
    ("exp", "poisson"),
    ("softplus", "poisson"),
    *FUSED,
    ("hard_sigmoid", "binary_cross_entropy"),
    ("sigmoid", "cross_entropy"),
    ("softmax", "squared_error"),
)


def in_float32(values):
    """Return float64 numbers that float32 holds exactly."""
    return np.asarray(values).astype(np.float32).astype(np.float64)


def quietly(network, layers, loss):
    """Return a network without the warning that outputs leave the domain of the loss."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return network(layers, loss)


def shift_off_kinks(layer, a_in, loss=None):
    """Move each bias by the least that takes its z, and a for the loss, away from all kinks."""
    layer.forward(a_in)
    shifts = np.array(sorted(np.linspace(-4, 4, 161), key=abs))
    shifted = layer.z[:, :, np.newaxis] + shifts
    distance = np.full(shifted.shape, np.inf)
    for kink in NOT_SMOOTH.get(layer.activation, ()):
        distance = np.minimum(distance, np.abs(shifted - kink))
    if layer.activation != "softmax":
        a = REFERENCE_ACTIVATIONS[layer.activation].forward(shifted)
        for kink in LOG_KINKS.get(loss, ()):
            distance = np.minimum(distance, np.abs(a - kink) / 3)
    clear = distance.min(axis=0) > 2 * MARGIN
    layer.b[...] = in_float32(layer.b + shifts[clear.argmax(axis=1)])
    return layer.forward(a_in)


def smooth_case(sizes, activations, loss, n, rng):
    """Return a float64 network, X, Y and weights that keep off every kink."""
    layers = [
        bp.Dense(n_in, n_out, activation, dtype="float64", rng=rng, bias_initializer="zeros")
        for n_in, n_out, activation in zip(sizes, sizes[1:], activations, strict=False)
    ]
    X = a = in_float32(rng.standard_normal((n, sizes[0])))
    for layer in layers:
        # exp of exp of a sum leaves the range of numbers, and hides the rest of a softmax.
        layer.W = in_float32(layer.W * (0.3 if layer.activation == "exp" else 1))
        a = shift_off_kinks(layer, a, loss if layer is layers[-1] else None)
    Y = targets_for(loss, n, sizes[-1], rng)
    if loss in ERROR_KINKS:  # a - y between the kinks or beyond them
        Y = a - rng.choice([-2, -1.4, -0.6, -0.25, 0.25, 0.6, 1.4, 2], a.shape)
    net = quietly(bp.Network, layers, loss)
    net.forward(X)
    Y = in_float32(Y)
    assert distance_to_kinks(net, Y) > MARGIN / (3 if "softmax" in activations else 1)
    return net, X, Y, in_float32(rng.uniform(0.5, 2, n))


def parts(net, vector):
    """Return the slices of a flat vector that are each layer's W and b, by name."""
    start = 0
    for number, layer in enumerate(net.layers, start=1):
        for name in ("W", "b"):
            end = start + getattr(layer, name).size
            yield f"{name}{number}", slice(start, end)
            start = end
    assert start == vector.size


def check_differences(net, cost, gradient, rng, per_part=None):
    """The gradient of each W and b agrees with differences of `cost`, a function of parameters.

    Of every parameter, or (per_part) of two random directions through all of a W or b and of so
    many single parameters: a wrong element anywhere shows in the directions.
    """
    start = net.parameters.copy()
    for name, part in parts(net, gradient):
        size = part.stop - part.start
        if per_part is None or size <= per_part + 2:
            directions = np.eye(size)
        else:
            random = rng.standard_normal((2, size)) / np.sqrt(size)
            single = np.eye(size)[rng.choice(size, per_part, replace=False)]
            directions = np.concatenate([random, single])
        theta = start.copy()

        def along(t, part=part, directions=directions, theta=theta):
            theta[part] = start[part] + t @ directions
            return cost(theta)

        wanted = numerical_gradient(along, np.zeros(len(directions)), STEP)
        found = directions @ gradient[part]
        # Relative to the whole part: the largest of the sampled elements may happen to be small.
        error = np.abs(found - wanted).max() / max(
            np.abs(wanted).max(), np.abs(gradient[part]).max()
        )
        assert error < RTOL["gradient"]["float64"], f"{name}: {error:.2g}"
    net.parameters[...] = start


def cost_of(net, X, Y, weight=None):
    def cost(theta):
        net.parameters[...] = theta
        return net.evaluate(X, Y, weight)

    return cost


def in_dtype(net, dtype):
    """Return the same network with copies of its layers, in another dtype."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return bp.Network(copy.deepcopy(net.layers), net.loss, dtype=dtype)


def check_float32(net, X, Y, weight, C):
    """float32 gives the loss and the gradients of each layer that float64 gives."""
    single = in_dtype(net, "float32")
    single.forward(X)
    found = single.backward(Y, weight)
    assert single.gradient.dtype == np.float32
    a = net.layers[-1].a
    if net.loss not in LOG_KINKS or ((a > 0) & (a < 1)).all():  # else C holds the dtype's log tiny
        assert found == pytest.approx(C, rel=RTOL["pass"]["float32"])
    for name, part in parts(net, net.gradient):
        error = relative_error(single.gradient[part], net.gradient[part])
        assert error < RTOL["gradient"]["float32"], f"{name}: {error:.2g}"


def check_reference(net, X, Y, weight, dtype):
    """All that the layers hold is what the plain formulas give."""
    net = in_dtype(net, dtype)
    plain = quietly(reference.Network, net.layers, net.loss)
    X, Y = X.astype(dtype), Y.astype(dtype)
    net.forward(X)
    plain.forward(X)
    C = net.backward(Y, weight)
    assert plain.backward(Y, weight) == pytest.approx(C, rel=RTOL["pass"][dtype])
    for number, (layer, wanted) in enumerate(zip(net.layers, plain.layers, strict=True), start=1):
        for name in ("a_in", "z", "a", "da", "delta", "dW"):
            error = relative_error(getattr(layer, name), getattr(wanted, name))
            assert error < RTOL["pass"][dtype], f"{name} of layer {number}: {error:.2g}"
        # db is a sum of deltas that may cancel: its error is one of their size.
        error = np.abs(layer.db - wanted.db).max() / np.abs(wanted.delta).sum(axis=0).max()
        assert error < RTOL["pass"][dtype], f"db of layer {number}: {error:.2g}"


def check_steps(net, X, Y, weight, C, gradient):
    """Steps of SGD, the guarded one and the epoch's, take η g off the parameters."""
    for batch_size in (len(X), 2):  # 2: a guarded step adds the gradient up in blocks of 2
        for run in (False, True) if batch_size == len(X) else (False,):
            stepped = in_dtype(net, "float64")
            trainer = bp.Trainer(stepped, bp.SGD(1.0), batch_size, shuffle=False)
            if run:
                loss = trainer.run(X, Y, sample_weight=weight).loss[0]
            else:
                loss = trainer.step(X, Y, weight)
            assert loss == pytest.approx(C, rel=RTOL["pass"]["float64"])
            for name, part in parts(net, gradient):
                taken = net.parameters[part] - stepped.parameters[part]
                size = max(np.abs(gradient[part]).max(), np.abs(net.parameters[part]).max())
                error = np.abs(taken - gradient[part]).max() / size
                assert error < RTOL["pass"]["float64"], f"{name}: {error:.2g}"


@pytest.mark.parametrize("loss", bp.LOSSES)
@pytest.mark.parametrize("activation", bp.ACTIVATIONS)
def test_every_activation_and_loss(activation, loss, level, rng):
    net, X, Y, weight = smooth_case([3, 4, 3], [activation] * 2, loss, 5, rng)
    net.forward(X)
    C = net.backward(Y, weight)
    gradient = net.gradient.copy()
    assert net.evaluate(X, Y, weight) == pytest.approx(C, rel=RTOL["formula"]["float64"])
    check_float32(net, X, Y, weight, C)
    check_differences(net, cost_of(net, X, Y, weight), gradient, rng)
    check_steps(net, X, Y, weight, C, gradient)
    for dtype in ("float32", "float64"):
        check_reference(net, X, Y, weight, dtype)


@pytest.mark.parametrize("seed", range(30))
def test_random_networks(seed, level):
    """1 to 5 layers, widths 1 to 70, batches from one sample on, any hidden activations."""
    rng = np.random.default_rng(seed)
    output, loss = PAIRS[seed % len(PAIRS)]
    n_layers = 1 + seed % 5
    sizes = rng.integers(1, 71, n_layers + 1).tolist()
    if output == "softmax":  # many outputs are all near 0, where squares and logs are not smooth
        sizes[-1] = 2 + seed % 6
    hidden = rng.choice([name for name in bp.ACTIVATIONS if name != "exp"], n_layers - 1).tolist()
    n = (1, 2, 5, 17, 40)[seed // 5 % 5]
    net, X, Y, weight = smooth_case(sizes, [*hidden, output], loss, n, rng)
    net.forward(X)
    C = net.backward(Y, weight)
    gradient = net.gradient.copy()
    check_float32(net, X, Y, weight, C)
    check_differences(net, cost_of(net, X, Y, weight), gradient, rng, per_part=4)
    check_steps(net, X, Y, weight, C, gradient)
    for dtype in ("float32", "float64"):
        check_reference(net, X, Y, weight, dtype)


SIZES = (1, 3, 7, 17, 31, 33, 70, 100)


@pytest.mark.parametrize("n", SIZES)
def test_awkward_sizes(n, level, rng):
    """All pairs with n_inputs, n_outputs."""
    for j, n_inputs in enumerate(SIZES):
        for n_outputs in (SIZES[(SIZES.index(n) + j) % 8], SIZES[(SIZES.index(n) + 3 * j + 1) % 8]):
            sizes, activations = [n_inputs, n_outputs, 2], ["softsign", "identity"]
            net, X, Y, weight = smooth_case(sizes, activations, "squared_error", n, rng)
            net.forward(X)
            C = net.backward(Y, weight)
            gradient = net.gradient.copy()
            check_float32(net, X, Y, weight, C)
            check_differences(net, cost_of(net, X, Y, weight), gradient, rng, per_part=1)
            for dtype in ("float32", "float64"):
                check_reference(net, X, Y, weight, dtype)


@pytest.mark.parametrize("activation", bp.ACTIVATIONS)
def test_backpropagate(activation, level, rng):
    """From any ∂C/∂a: here C = Σ R a, whose ∂C/∂a is R."""
    net, X, _, _ = smooth_case([3, 4, 2], [activation] * 2, "squared_error", 4, rng)
    R = rng.standard_normal((4, 2))
    net.forward(X)
    dX = net.backpropagate(R)
    gradient = net.gradient.copy()
    assert_array_equal(net.layers[-1].da, R)
    wanted = numerical_gradient(lambda X: (R * net.predict(X)).sum(), X, STEP)
    assert relative_error(dX, wanted) < RTOL["gradient"]["float64"]

    def cost(theta):
        net.parameters[...] = theta
        return (R * net.predict(X)).sum()

    check_differences(net, cost, gradient, rng)
    single = in_dtype(net, "float32")
    single.forward(X)
    assert relative_error(single.backpropagate(R), dX) < RTOL["gradient"]["float32"]
    plain = reference.Network(net.layers)
    plain.forward(X)
    assert relative_error(dX, plain.backpropagate(R)) < RTOL["pass"]["float64"]


def test_backpropagate_goes_on_from_backward(level, dtype, rng):
    """Given the da that backward left, it leaves what backward left."""
    net = bp.mlp([5, 4, 3], "tanh", "softmax", "cross_entropy", dtype=dtype, rng=rng)
    X = rng.standard_normal((6, 5))
    net.forward(X)
    net.backward(rng.integers(3, size=6))
    gradient = net.gradient.copy()
    net.backpropagate(net.layers[-1].da)
    assert relative_error(net.gradient, gradient) < RTOL["pass"][dtype]


def fourth_powers(a, y):
    """C = mean over samples of Σ_k (a_k - y_k)⁴."""
    e = a - y
    return (e**4).sum() / len(a), 4 * e**3 / len(a)


@pytest.mark.parametrize("activation", ["sigmoid", "softmax", "identity"])
def test_callable_loss(activation, level, rng):
    net, X, Y, _ = smooth_case([3, 4, 3], ["tanh", activation], "squared_error", 5, rng)
    net = bp.Network(copy.deepcopy(net.layers), fourth_powers)
    net.forward(X)
    C = net.backward(Y)
    gradient = net.gradient.copy()
    assert pytest.approx(net.evaluate(X, Y), rel=RTOL["formula"]["float64"]) == C
    assert pytest.approx(fourth_powers(net.predict(X), Y)[0]) == C
    check_differences(net, cost_of(net, X, Y), gradient, rng)
    check_steps(net, X, Y, None, C, gradient)
    check_reference(net, X, Y, None, "float64")


@pytest.mark.parametrize("loss", bp.LOSSES)
def test_weights_of_zero_and_repetitions(loss, level, dtype, rng):
    """Weight 0 leaves a sample out, weight 2 takes it twice."""
    output = {"cross_entropy": "softmax", "poisson": "exp"}.get(loss, "sigmoid")
    net = bp.mlp([3, 4, 3], "tanh", output, loss, dtype=dtype, rng=rng)
    X, Y = rng.standard_normal((6, 3)), targets_for(loss, 6, 3, rng)
    rows = [0, 2, 2, 3, 5, 5]
    net.forward(X[rows])
    C, gradient = net.backward(Y[rows]), net.gradient.copy()
    net.forward(X)
    assert net.backward(Y, [1, 0, 2, 1, 0, 2]) == pytest.approx(C, rel=RTOL["formula"][dtype])
    assert relative_error(net.gradient, gradient) < RTOL["pass"][dtype]
    assert not net.layers[0].delta[[1, 4]].any()


def test_loss_and_gradient(level, dtype, rng):
    """What scipy.optimize asks for: C and a copy of the gradient at theta."""
    net = bp.mlp([3, 4, 2], "tanh", dtype=dtype, rng=rng)
    X, Y, weight = rng.standard_normal((5, 3)), rng.standard_normal((5, 2)), rng.random(5)
    theta = rng.standard_normal(net.parameters.size).astype(dtype)
    C, gradient = net.loss_and_gradient(theta, X, Y, weight)
    assert_array_equal(net.parameters, theta)
    assert pytest.approx(net.evaluate(X, Y, weight), rel=RTOL["formula"][dtype]) == C
    net.forward(X)
    assert net.backward(Y, weight) == C
    assert_array_equal(gradient, net.gradient)
    assert not np.shares_memory(gradient, net.gradient)
