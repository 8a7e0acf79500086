"""Training of narrow networks by few samples, whose parameters move into vectors: narrow.pxi.

That the numbers are right at every shape is for test_random_networks; here is what moving could
break: the edges of what is narrow, what comes before and after a stretch, and single steps.
"""

import copy

import numpy as np
import pytest
from conftest import RTOL
from numpy.testing import assert_array_equal

import bpcore as bp
from bpcore import reference, schedules

STATEFUL = {
    "momentum": lambda: bp.SGD(0.02, momentum=0.9, nesterov=True),
    "Adam": lambda: bp.Adam(0.01),
    "AdamW": lambda: bp.AdamW(0.01, weight_decay=0.1),
    "RMSProp": lambda: bp.RMSProp(0.01),
    "Adagrad": lambda: bp.Adagrad(0.05),
}
# By rows and by columns, of several vectors a row, one output, one input, and one layer.
SHAPES = [(3, 2, 3, 5), (10, 1), (16, 2, 4), (1, 4, 1), (5, 4, 4, 4, 4, 2), (4, 4), (2, 8, 1)]


def data(sizes, n, dtype, seed=0):
    """Return X and Y."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (n, sizes[0])).astype(dtype), rng.random((n, sizes[-1])).astype(dtype)


def assert_same_training(sizes, batch_size, dtype, make=bp.Adam, hidden="tanh", sample_weight=None):
    """Assert that a network comes to the parameters and losses of the reference."""
    X, Y = data(sizes, 2 * batch_size + 1, dtype)
    net = bp.mlp(sizes, hidden, dtype=dtype, rng=1)
    truth = reference.Network(net.layers, dtype="float64")
    told = {"epochs": 3, "batch_size": batch_size, "shuffle": False}
    if sample_weight is not None:
        told["sample_weight"] = np.resize(sample_weight, len(X)).astype(dtype)
    loss = net.fit(X, Y, optimizer=make(), **told).loss
    desired = truth.fit(X, Y, optimizer=make(), **told).loss
    # Adam's step divides by a root: what is rounded off a small gradient counts.
    rtol = 10 * RTOL["training"][dtype]
    np.testing.assert_allclose(loss, desired, rtol=rtol)
    np.testing.assert_allclose(net.parameters, truth.parameters, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("batch_size", [1, 2, 7, 8, 9])
@pytest.mark.parametrize("sizes", SHAPES)
def test_shapes(sizes, batch_size, dtype, level):
    assert_same_training(sizes, batch_size, dtype)


@pytest.mark.parametrize("n_outputs", [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17])
@pytest.mark.parametrize("n_inputs", [1, 2, 8, 15, 16, 17])
def test_edges_of_what_is_narrow(n_inputs, n_outputs, dtype, level):
    assert_same_training((n_inputs, n_outputs, 2), 1, dtype)
    assert_same_training((n_inputs, n_outputs, n_outputs), 3, dtype)


@pytest.mark.parametrize("layers", [5, 6, 7, 8, 20])
def test_many_layers(layers, dtype, level):
    """So many that the vectors of all are more than a narrow network may have."""
    assert_same_training((4,) * layers, 2, dtype)


@pytest.mark.parametrize("activation", ["sigmoid", "softplus", "hard_sigmoid", "exp"])
@pytest.mark.parametrize("sizes", [(3, 3, 2), (6, 7, 1), (2, 3, 3, 3)])
def test_activations_that_are_not_0_at_0(sizes, activation, dtype, level):
    """Lanes beyond the outputs would add up in the next layer's rows, and in their gradient."""
    assert_same_training(sizes, 1, dtype, lambda: bp.SGD(0.1), activation)
    assert_same_training(sizes, 2, dtype, lambda: bp.SGD(0.1), activation)


@pytest.mark.parametrize("rule", [lambda: bp.SGD(0.1), bp.Adam], ids=["SGD", "Adam"])
@pytest.mark.parametrize("batch_size", [1, 2])
@pytest.mark.parametrize("sizes", SHAPES)
def test_weights_of_samples(sizes, batch_size, rule, dtype, level):
    """Of a batch of one sample a weight changes no gradient, and the mean loss alone; 0 takes the
    sample out of both."""
    weight = (0.25, 0, 3) if batch_size == 1 else (0.25, 2, 0, 0, 3)
    assert_same_training(sizes, batch_size, dtype, rule, sample_weight=weight)


@pytest.mark.parametrize("batch_size", [1, 3, 8])
@pytest.mark.parametrize("sizes", SHAPES)
@pytest.mark.parametrize("rule", STATEFUL)
def test_steps_make_a_run(rule, sizes, batch_size, dtype, level):
    """To the bit, and with the gradient of the step in the network's vector."""
    X, Y = data(sizes, 4 * batch_size, dtype)
    nets = [bp.mlp(sizes, "tanh", dtype=dtype, rng=1) for _ in range(2)]
    one, other = (bp.Trainer(net, STATEFUL[rule](), batch_size, shuffle=False) for net in nets)
    loss = one.run(X, Y).loss[0]
    losses = []
    for first in range(0, len(X), batch_size):
        rows = slice(first, first + batch_size)
        truth = reference.Network(nets[1].layers, dtype="float64")
        losses.append(other.step(X[rows], Y[rows]))
        truth.forward(X[rows])
        truth.backward(Y[rows])
        np.testing.assert_allclose(
            nets[1].gradient, truth.gradient, rtol=0,
            atol=RTOL["pass"][dtype] * max(1.0, np.abs(truth.gradient).max()),
        )  # fmt: skip
    assert_array_equal(nets[0].parameters, nets[1].parameters)
    np.testing.assert_allclose(loss, np.mean(losses), rtol=1e-12)


@pytest.mark.parametrize("rule", [lambda: bp.SGD(0.05), *STATEFUL.values()])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_shuffled_rows(batch_size, weighted, rule, dtype, level):
    """X, labels and weights in another order are what they are in that order."""
    rng = np.random.default_rng(4)
    X = rng.uniform(-1, 1, (10, 5)).astype(dtype)
    labels, weight = rng.integers(3, size=10), rng.uniform(0.5, 2, 10) if weighted else None
    order = np.random.default_rng(7).permutation(10)
    nets = [
        bp.mlp((5, 4, 3), "tanh", "softmax", "cross_entropy", dtype=dtype, rng=1) for _ in range(2)
    ]
    nets[0].fit(X, labels, 1, batch_size, rule(), sample_weight=weight, rng=7)
    nets[1].fit(
        X[order], labels[order], 1, batch_size, rule(), shuffle=False,
        sample_weight=weight[order] if weighted else None,
    )  # fmt: skip
    assert_array_equal(nets[0].parameters, nets[1].parameters)


@pytest.mark.parametrize("batch_size", [1, 2])
@pytest.mark.parametrize("rule", [lambda rate: bp.SGD(rate), lambda rate: bp.Adam(rate)])
def test_after_a_divergence(rule, batch_size, dtype, level):
    """The network keeps finite numbers, and the trainer's vectors nothing of what overflowed."""
    sizes = (6, 3, 3, 2)
    X, Y = data(sizes, 20, dtype)
    large = X.copy()
    large[11] = np.finfo(dtype).max / 4
    start = bp.mlp(sizes, "softplus", dtype=dtype, rng=1)
    fresh, used = copy.deepcopy(start), copy.deepcopy(start)
    trainers = [bp.Trainer(net, rule(0.01), batch_size, shuffle=False) for net in (fresh, used)]
    with pytest.raises(bp.DivergenceError):
        trainers[1].run(large, Y * 1e9)
    assert np.isfinite(used.parameters).all()
    used.parameters[...] = start.parameters
    for vector in trainers[1].optimizer.state.values():
        vector[...] = 0
    trainers[1].optimizer.steps = 0
    curves = [trainer.run(X, Y, 2).loss for trainer in trainers]
    assert curves[0] == curves[1]
    assert_array_equal(fresh.parameters, used.parameters)


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_a_step_that_is_not_done_leaves_all_but_the_gradient(batch_size, dtype, level):
    sizes = (4, 3, 2)
    X, Y = data(sizes, batch_size, dtype)
    net = bp.mlp(sizes, "tanh", dtype=dtype, rng=1)
    trainer = bp.Trainer(net, bp.Adam(0.01), batch_size)
    trainer.step(X, Y)
    before = net.parameters.copy(), trainer.optimizer.state["m"].copy(), trainer.optimizer.steps
    with pytest.raises(bp.DivergenceError):
        trainer.step(X, Y * np.finfo(dtype).max)
    assert not np.isfinite(net.gradient).all()
    assert_array_equal(net.parameters, before[0])
    assert_array_equal(trainer.optimizer.state["m"], before[1])
    assert trainer.optimizer.steps == before[2]


@pytest.mark.parametrize("make", [bp.SGD, bp.Adam])
def test_a_schedule_of_learning_rates(make, dtype, level):
    """Each step has its own."""
    assert_same_training((4, 3, 2), 1, dtype, lambda: make(schedules.StepDecay(0.1, 2, 0.5)))


@pytest.mark.parametrize("n", [1, 2, 5, 8, 9, 300])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_step_on_more_samples_than_a_batch(batch_size, n, dtype, level):
    """Which the trainer was laid out for."""
    X, Y = data((5, 4, 8), n, dtype)
    labels = Y.argmax(axis=1)
    net = bp.mlp((5, 4, 8), "tanh", "softmax", "cross_entropy", dtype=dtype, rng=1)
    truth = reference.Network(net.layers, "cross_entropy", dtype="float64")
    truth.forward(X)
    loss = truth.backward(labels)
    trainer = bp.Trainer(net, bp.SGD(0.1, momentum=0.9), batch_size)
    np.testing.assert_allclose(trainer.step(X, labels), loss, rtol=RTOL["training"][dtype])
    np.testing.assert_allclose(
        net.parameters, truth.parameters - 0.1 * truth.gradient, rtol=RTOL["training"][dtype],
        atol=RTOL["training"][dtype],
    )  # fmt: skip


@pytest.mark.parametrize("steps", [398, 399, 400, 401, 39_999, 40_001, 1_000_000])
def test_late_steps_of_adam(steps, dtype, level):
    """β^t is not computed where 1 - β^t is 1: from t = 400 of β1 on, and 40,000 of β2."""
    X, Y = data((3, 2), 1, dtype)
    net = bp.mlp((3, 2), dtype=dtype, rng=1)
    start = net.parameters.astype(np.float64)
    net.forward(X)
    net.backward(Y)
    g = net.gradient.astype(np.float64)
    m, v = 0.1 * g / (1 - 0.9 ** (steps + 1)), 0.001 * g * g / (1 - 0.999 ** (steps + 1))
    trainer = bp.Trainer(net, bp.Adam(0.01), 1)
    trainer.optimizer.steps = steps
    trainer.run(X, Y)
    desired = start - 0.01 * m / (np.sqrt(v) + 1e-8)
    np.testing.assert_allclose(net.parameters, desired, rtol=RTOL["training"][dtype])


UNITS = [
    ("identity", "squared_error"), ("identity", "huber"), ("identity", "mean_absolute_error"),
    ("sigmoid", "binary_cross_entropy"), ("sigmoid", "squared_error"),
    ("tanh", "mean_squared_error"), ("relu", "squared_error"), ("softplus", "squared_error"),
    ("gelu", "huber"), ("softmax", "squared_error"),
]  # fmt: skip


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize("n_inputs", [1, 2, 3, 4, 5, 8, 9, 16, 17])
def test_units(n_inputs, batch_size, dtype, level):
    """One layer of one output, by SGD: W in registers, samples in lanes; a last, smaller batch."""
    X, Y = data((n_inputs, 1), 2 * batch_size + 1, dtype)
    for activation, loss in UNITS:
        net = bp.mlp((n_inputs, 1), output=activation, loss=loss, dtype=dtype, rng=1)
        truth = reference.Network(net.layers, loss, dtype="float64")
        told = {"epochs": 3, "batch_size": batch_size, "shuffle": False}
        curve = net.fit(X, Y, optimizer=bp.SGD(0.1), **told).loss
        desired = truth.fit(X, Y, optimizer=bp.SGD(0.1), **told).loss
        rtol = 10 * RTOL["training"][dtype]
        np.testing.assert_allclose(curve, desired, rtol=rtol, err_msg=f"{activation} {loss}")
        np.testing.assert_allclose(
            net.parameters, truth.parameters, rtol=rtol, atol=rtol, err_msg=f"{activation} {loss}"
        )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("batch_size", [1, 3, 8])
@pytest.mark.parametrize("n_inputs", [2, 9])
def test_shuffled_units(n_inputs, batch_size, weighted, dtype, level):
    """Rows in another order, as in test_shuffled_rows; weights of 1 change bits at most."""
    X, Y = data((n_inputs, 1), 2 * batch_size + 1, dtype)
    order = np.random.default_rng(7).permutation(len(X))
    nets = [bp.mlp((n_inputs, 1), output="tanh", dtype=dtype, rng=1) for _ in range(2)]
    weight = np.ones(len(X)) if weighted else None
    nets[0].fit(X, Y, 1, batch_size, bp.SGD(0.1), rng=7, sample_weight=weight)
    nets[1].fit(X[order], Y[order], 1, batch_size, bp.SGD(0.1), shuffle=False)
    compare = np.testing.assert_allclose if weighted else np.testing.assert_array_equal
    rtol = {"rtol": RTOL["training"][dtype]} if weighted else {}
    compare(nets[0].parameters, nets[1].parameters, **rtol)


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("wrong", [0, 13, 19])
def test_a_unit_that_diverges(wrong, batch_size, dtype, level):
    """At any step: the weights are those before it, W and b both."""
    X, Y = data((3, 1), 20, dtype)
    Y[wrong] = np.finfo(dtype).max / 2
    net = bp.mlp((3, 1), dtype=dtype, rng=1)
    truth = copy.deepcopy(net)
    with pytest.raises(bp.DivergenceError):
        net.fit(X, Y, 1, batch_size, bp.SGD(0.1), shuffle=False)
    done = wrong // batch_size * batch_size
    if done:
        truth.fit(X[:done], Y[:done], 1, batch_size, bp.SGD(0.1), shuffle=False)
    assert_array_equal(net.parameters, truth.parameters)
