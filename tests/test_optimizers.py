"""Every optimiser, number by number: update, Trainer.step and Trainer.run take the same steps."""

import math

import numpy as np
import pytest
from conftest import RTOL
from helpers import relative_error
from numpy.testing import assert_allclose, assert_array_equal

import bpcore as bp
from bpcore import schedules


# One parameter's step in Python's numbers: θ, g, t = 1, 2, … and its own state.
def sgd(theta, g, t, state, eta=0.1):
    return theta - eta * g


def momentum(theta, g, t, state, eta=0.1, mu=0.9):
    state["velocity"] = mu * state.get("velocity", 0.0) - eta * g
    return theta + state["velocity"]


def nesterov(theta, g, t, state, eta=0.1, mu=0.9):
    state["velocity"] = mu * state.get("velocity", 0.0) - eta * g
    return theta + mu * state["velocity"] - eta * g


def adam(theta, g, t, state, eta=0.05, beta_1=0.8, beta_2=0.95, epsilon=1e-3):
    state["m"] = beta_1 * state.get("m", 0.0) + (1 - beta_1) * g
    state["v"] = beta_2 * state.get("v", 0.0) + (1 - beta_2) * g**2
    m_hat, v_hat = state["m"] / (1 - beta_1**t), state["v"] / (1 - beta_2**t)
    return theta - eta * m_hat / (math.sqrt(v_hat) + epsilon)


def adamw(theta, g, t, state, eta=0.05, weight_decay=0.2):
    return adam(theta - eta * weight_decay * theta, g, t, state, eta)


def default_adam(theta, g, t, state):
    return adam(theta, g, t, state, 1e-3, 0.9, 0.999, 1e-8)


def rmsprop(theta, g, t, state, eta=0.05, rho=0.7, epsilon=1e-3):
    state["v"] = rho * state.get("v", 0.0) + (1 - rho) * g**2
    return theta - eta * g / (math.sqrt(state["v"]) + epsilon)


def adagrad(theta, g, t, state, eta=0.05, epsilon=1e-3):
    state["v"] = state.get("v", 0.0) + g**2
    return theta - eta * g / (math.sqrt(state["v"]) + epsilon)


def rprop(theta, g, t, state, first=0.1, minus=0.25, plus=1.5, low=0.01, high=0.3):
    step, last = state.get("step_size", first), state.get("last_gradient", 0.0)
    if g * last > 0:
        step = min(step * plus, high)
    elif g * last < 0:
        step, g = max(step * minus, low), 0.0
    state["step_size"], state["last_gradient"] = step, g
    return theta - step * ((g > 0) - (g < 0))


def halving(step):
    return 0.05 * 0.5 ** (step // 2)


def halving_adam(theta, g, t, state):
    return adam(theta, g, t, state, eta=halving(t - 1))


def halving_adamw(theta, g, t, state):
    return adamw(theta, g, t, state, eta=halving(t - 1))


def halving_nesterov(theta, g, t, state):
    return nesterov(theta, g, t, state, eta=halving(t - 1))


SETTINGS = {"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3}
RULES = {
    "SGD": (lambda: bp.SGD(0.1), sgd),
    "momentum": (lambda: bp.SGD(0.1, momentum=0.9), momentum),
    "Nesterov": (lambda: bp.SGD(0.1, momentum=0.9, nesterov=True), nesterov),
    "Nesterov, callable": (lambda: bp.SGD(halving, 0.9, nesterov=True), halving_nesterov),
    "Adam": (lambda: bp.Adam(0.05, **SETTINGS), adam),
    "Adam, defaults": (bp.Adam, default_adam),
    "Adam, schedule": (
        lambda: bp.Adam(schedules.StepDecay(0.05, 2, 0.5), **SETTINGS),
        halving_adam,
    ),
    "AdamW": (lambda: bp.AdamW(0.05, **SETTINGS, weight_decay=0.2), adamw),
    "AdamW, callable": (
        lambda: bp.AdamW(halving, **SETTINGS, weight_decay=0.2),
        halving_adamw,
    ),
    "RMSProp": (lambda: bp.RMSProp(0.05, rho=0.7, epsilon=1e-3), rmsprop),
    "Adagrad": (lambda: bp.Adagrad(0.05, epsilon=1e-3), adagrad),
    "Rprop": (lambda: bp.Rprop(0.1, 0.25, 1.5, 0.01, 0.3), rprop),
}
# Columns are parameters: steady, turning, resting at 0, growing, one turn, tiny, tiny and turning,
# two turns.
GRADIENTS = np.array(
    [
        [0.5, 1.0, 0.0, 0.1, 2.0, 1e-9, 1e-5, -0.25],
        [0.5, -1.0, 0.3, 0.2, 2.0, 1e-9, -1e-5, 0.25],
        [0.4, 1.0, 0.0, 0.4, -2.0, 1e-9, 1e-5, 0.25],
        [0.3, -0.5, 0.0, 0.8, -2.0, 0.0, 0.0, 0.5],
        [0.2, 0.5, -0.2, 1.6, -2.0, 1e-9, 1e-5, 0.5],
        [0.1, 0.5, -0.2, 3.2, 2.0, 1e-9, 1e-5, -1.0],
        [0.1, 0.5, -0.2, 3.2, 2.0, 1e-9, 1e-5, -1.0],
    ]
)
START = [1.0, -1.0, 0.5, 2.0, -0.25, 0.125, -3.0, 0.75]


def eight_parameters(dtype):
    net = bp.Network([bp.Dense(7, 1, "identity", dtype=dtype)])
    net.parameters[...] = START
    return net


class TestUpdate:
    @pytest.mark.parametrize("name", RULES)
    def test_by_hand(self, name, dtype, level):
        make, rule = RULES[name]
        optimizer, net = make(), eight_parameters(dtype)
        theta, states = list(START), [{} for _ in START]
        for t, gradient in enumerate(GRADIENTS.astype(dtype).tolist(), start=1):
            assert optimizer.steps == t - 1
            net.gradient[...] = gradient
            optimizer.update(net)
            theta = [
                rule(*pair, t, own) for *pair, own in zip(theta, gradient, states, strict=True)
            ]
            assert net.parameters.dtype == dtype
            # Absolute, for numbers of order 1: θ may pass near 0.
            assert_allclose(net.parameters, theta, rtol=0, atol=RTOL["formula"][dtype])
            assert_array_equal(net.gradient, np.asarray(gradient, dtype))
        assert set(optimizer.state) == set(states[0])
        for name, vector in optimizer.state.items():
            assert vector.dtype == dtype
            wanted = [state[name] for state in states]
            assert_allclose(vector, wanted, rtol=10 * RTOL["formula"][dtype], atol=1e-7)

    @pytest.mark.parametrize("count", [1, 2, 3, 15, 16, 17, 33, 100])
    @pytest.mark.parametrize("name", RULES)
    def test_every_element_alike(self, name, count, dtype, level, rng):
        """The loop over vectors and the elements that are left give one parameter's bits."""
        make, _ = RULES[name]
        net = bp.Network([bp.Dense(count, 1, "identity", dtype=dtype)])
        net.parameters[...] = 0.5
        optimizer = make()
        for g in (0.25, 0.5, -0.125):
            net.gradient[...] = g
            optimizer.update(net)
        assert_array_equal(net.parameters, net.parameters[0])
        assert net.parameters[0] != 0.5

    @pytest.mark.parametrize("name", ["momentum", "Nesterov", "Adam, defaults", "RMSProp"])
    def test_what_decays_does_not_stay_subnormal(self, name, dtype, level):
        """Rounded, the smallest number times 0.9 is itself; processors are slow with subnormals."""
        net, optimizer = eight_parameters(dtype), RULES[name][0]()
        net.gradient[...] = 0
        optimizer.update(net)
        for vector in optimizer.state.values():
            vector[...] = np.finfo(dtype).tiny * np.where(np.arange(8) % 2, -1, 1)
        optimizer.update(net)
        for vector in optimizer.state.values():
            assert_array_equal(vector, np.zeros(8, dtype))

    def test_weight_decay_is_of_every_parameter_and_apart_from_the_gradient(self, dtype, level):
        net = eight_parameters(dtype)
        optimizer = bp.AdamW(0.1, weight_decay=0.5)
        for t in (1, 2):
            net.gradient[...] = 0
            optimizer.update(net)
            wanted = np.array(START) * 0.95**t
            assert_allclose(net.parameters, wanted, rtol=RTOL["formula"][dtype])
        assert not optimizer.state["v"].any()

    def test_bias_correction_makes_the_first_step_the_learning_rate(self, dtype, level):
        """m̂ = g and v̂ = g² at t = 1, so that every parameter moves by η sign(g)."""
        net = eight_parameters(dtype)
        net.gradient[...] = [0.5, -2, 1e3, -1e-3, 0.1, 7, -0.01, 1]
        bp.Adam(0.25).update(net)
        moved = net.parameters - START
        assert_allclose(moved, -0.25 * np.sign(net.gradient), rtol=1e-4)  # ε beside 1e-3

    def test_root_and_quotient_to_a_few_ulp(self, dtype, level, rng):
        """Of all magnitudes whose square is a normal number; Adagrad's first step is both."""
        info, n = np.finfo(dtype), 100_001
        bound = math.sqrt(info.max) / 4
        g = np.exp(rng.uniform(-math.log(bound), math.log(bound), n)).astype(dtype)
        g *= rng.choice([-1, 1], n)
        g[7] = 0
        net = bp.Network([bp.Dense(n - 1, 1, "identity", dtype=dtype)])
        net.parameters[...] = 0
        net.gradient[...] = g
        bp.Adagrad(0.25, epsilon=1e-12).update(net)
        exact = g.astype(np.longdouble)
        exact = -np.longdouble(0.25) * exact / (abs(exact) + np.longdouble(1e-12))
        # g², its root, ε, the quotient and the last product are each rounded once.
        assert_allclose(net.parameters, exact.astype(dtype), rtol=4 * info.eps)

    def test_rprop_takes_signs_not_products(self, dtype, level):
        net, optimizer = eight_parameters(dtype), bp.Rprop(0.1)
        for _ in range(2):
            net.gradient[...] = np.finfo(dtype).tiny  # whose square is 0
            optimizer.update(net)
        assert_allclose(net.parameters, np.array(START) - 0.1 - 0.12, rtol=0, atol=1e-6)

    def test_not_finite_gradients_change_nothing(self, dtype, level):
        for name, (make, _) in RULES.items():
            for bad in (np.nan, np.inf):
                net, optimizer = eight_parameters(dtype), make()
                net.gradient[...] = 1
                optimizer.update(net)
                theta = net.parameters.copy()
                state = {key: vector.copy() for key, vector in optimizer.state.items()}
                net.gradient[3] = bad
                with pytest.raises(FloatingPointError, match="left as they were"):
                    optimizer.update(net)
                assert_array_equal(net.parameters, theta, name)
                assert optimizer.steps == 1
                for key, vector in state.items():
                    assert_array_equal(optimizer.state[key], vector, name)


@pytest.mark.parametrize("name", RULES)
def test_step_and_run_are_update(name, dtype, level, rng):
    """forward, backward, update; Trainer.step; Trainer.run: the same steps, state and losses."""
    make, _ = RULES[name]
    X, Y = rng.standard_normal((12, 3)), rng.standard_normal((12, 2))
    batch = 12 if name == "Rprop" else 4
    batches = [slice(first, first + batch) for first in range(0, 12, batch)] * 2
    nets = [bp.mlp([3, 5, 2], "tanh", dtype=dtype, rng=7) for _ in range(3)]
    optimizers = [make() for _ in nets]

    losses = []
    for rows in batches:
        nets[0].forward(X[rows])
        losses.append(nets[0].backward(Y[rows]))
        optimizers[0].update(nets[0])
    trainer = bp.Trainer(nets[1], optimizers[1], batch, shuffle=False)
    by_step = [trainer.step(X[rows], Y[rows]) for rows in batches]
    trainer = bp.Trainer(nets[2], optimizers[2], batch, shuffle=False)
    by_run = trainer.run(X, Y, epochs=2).loss

    rtol = RTOL["pass"][dtype]
    assert_allclose(by_step, losses, rtol=rtol)
    assert_allclose(by_run, np.mean(np.reshape(losses, (2, -1)), axis=1), rtol=rtol)
    for net, optimizer in zip(nets[1:], optimizers[1:], strict=True):
        assert optimizer.steps == len(batches)
        assert relative_error(net.parameters, nets[0].parameters) < rtol
        for key, vector in optimizers[0].state.items():
            assert relative_error(optimizer.state[key], vector) < 10 * rtol  # squares of g in v


SCHEDULES = {
    "number": (0.5, lambda t: 0.5),
    "Constant": (schedules.Constant(0.5), lambda t: 0.5),
    "StepDecay": (schedules.StepDecay(0.5, 3, 0.25), lambda t: 0.5 * 0.25 ** (t // 3)),
    "ExponentialDecay": (schedules.ExponentialDecay(0.5, 0.5, 2), lambda t: 0.5 * 0.5 ** (t / 2)),
    "CosineDecay": (
        schedules.CosineDecay(0.5, 8, 0.125),
        lambda t: 0.125 + 0.375 * (1 + math.cos(math.pi * min(t, 8) / 8)) / 2,
    ),
    "InverseScaling": (schedules.InverseScaling(0.5, 0.75), lambda t: 0.5 / (t + 1) ** 0.75),
    "callable": (lambda step: 1 / (2 + step), lambda t: 1 / (2 + t)),
}


class Path(bp.Callback):
    """Keeps the bias after every step."""

    every = 1

    def __init__(self):
        self.biases = []

    def on_steps(self, trainer):
        self.biases.append(float(trainer.network.layers[0].b[0]))


class TestLearningRate:
    """C = |a - y| with y far below: ∂C/∂b is 1 at every step, so that b falls by the rate."""

    X, Y = np.zeros((10, 1)), np.full((10, 1), -100.0)

    def network(self, dtype):
        return bp.mlp([1, 1], loss="mean_absolute_error", dtype=dtype, rng=0)

    @pytest.mark.parametrize("every", [None, 1])
    @pytest.mark.parametrize("name", SCHEDULES)
    def test_rate_of_every_step(self, name, every, dtype, level):
        """Counted over batches and epochs, the step before the update: 0, 1, …"""
        rate, wanted = SCHEDULES[name]
        path = np.cumsum([wanted(t) for t in range(12)])
        trainer = bp.Trainer(self.network(dtype), bp.SGD(rate), batch_size=3, rng=0)
        callback = Path()
        callback.every = every
        trainer.run(self.X, self.Y, 3, callbacks=[callback])
        assert trainer.optimizer.steps == 12
        tolerance = {"rtol": RTOL["formula"][dtype], "atol": RTOL["formula"][dtype]}
        assert_allclose(trainer.network.layers[0].b, [-path[-1]], **tolerance)
        assert_allclose(trainer.history.learning_rate, [wanted(t) for t in (3, 7, 11)], rtol=1e-15)
        if every:
            assert_allclose(callback.biases, -path, **tolerance)

    @pytest.mark.parametrize("name", SCHEDULES)
    def test_rate_of_step_and_update(self, name, dtype, level):
        rate, wanted = SCHEDULES[name]
        stepped, updated = self.network(dtype), self.network(dtype)
        trainer, optimizer = bp.Trainer(stepped, bp.SGD(rate)), bp.SGD(rate)
        fallen = 0.0
        for t in range(9):
            trainer.step(self.X, self.Y)
            updated.forward(self.X)
            updated.backward(self.Y)
            optimizer.update(updated)
            fallen += wanted(t)
            for net in (stepped, updated):
                assert net.layers[0].b[0] == pytest.approx(-fallen, rel=RTOL["formula"][dtype])

    def test_a_callable_gets_each_step_once(self, level):
        asked = []

        def rate(step):
            asked.append(step)
            return 0.1

        trainer = bp.Trainer(self.network("float32"), bp.SGD(rate), batch_size=4)
        trainer.run(self.X, self.Y, 2)
        trainer.step(self.X, self.Y)
        assert asked == [0, 1, 2, 3, 4, 5, 6]
        assert all(type(step) is int for step in asked)

    @pytest.mark.parametrize("value", [-1.0, math.nan, math.inf, "fast", None])
    def test_a_callable_that_gives_no_rate(self, value, level):
        optimizer = bp.SGD(lambda step: 0.5 if step < 2 else value)
        net = self.network("float64")
        trainer = bp.Trainer(net, optimizer, batch_size=5)
        trainer.run(self.X, self.Y)
        for call in (
            lambda: trainer.run(self.X, self.Y),
            lambda: trainer.step(self.X, self.Y),
            lambda: optimizer.update(net),
        ):
            with pytest.raises((ValueError, TypeError), match=r"learning_rate\(2\) is"):
                call()
        assert net.layers[0].b[0] == pytest.approx(-1)
        assert optimizer.steps == 2


class TestRefused:
    @pytest.mark.parametrize("rate", [0, -0.1, math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize("make", [bp.SGD, bp.Adam, bp.AdamW, bp.RMSProp, bp.Adagrad, bp.Rprop])
    def test_learning_rate(self, make, rate):
        with pytest.raises(ValueError, match=r"learning_rate is .*, wanted a finite number"):
            make(rate)

    @pytest.mark.parametrize(
        ("make", "error", "message"),
        [
            (lambda: bp.SGD("0.1"), TypeError, "learning_rate is '0.1'"),
            (lambda: bp.SGD(True), TypeError, "learning_rate is True"),
            (lambda: bp.SGD(momentum=1), ValueError, "momentum is 1"),
            (lambda: bp.SGD(momentum=-0.1), ValueError, "momentum is -0.1"),
            (lambda: bp.SGD(nesterov=True), ValueError, "nesterov is True and momentum is 0"),
            (lambda: bp.SGD(momentum=0.9, nesterov=1), TypeError, "nesterov is 1"),
            (lambda: bp.Adam(beta_1=1), ValueError, "beta_1 is 1"),
            (lambda: bp.Adam(beta_2=-0.5), ValueError, "beta_2 is -0.5"),
            (lambda: bp.Adam(epsilon=0), ValueError, "epsilon is 0"),
            (lambda: bp.AdamW(weight_decay=-1), ValueError, "weight_decay is -1"),
            (lambda: bp.RMSProp(rho=1), ValueError, "rho is 1"),
            (lambda: bp.Adagrad(epsilon=math.nan), ValueError, "epsilon is nan"),
            (lambda: bp.Rprop(lambda step: 0.1), TypeError, "Rprop wants a number"),
            (lambda: bp.Rprop(eta_minus=1), ValueError, "eta_minus is 1"),
            (lambda: bp.Rprop(eta_plus=1), ValueError, "eta_plus is 1"),
            (lambda: bp.Rprop(min_step=0), ValueError, "min_step is 0"),
            (lambda: bp.Rprop(min_step=1, max_step=0.5), ValueError, "max_step is 0.5"),
        ],
    )
    def test_settings(self, make, error, message):
        with pytest.raises(error, match=message):
            make()

    @pytest.mark.parametrize("batch_size", [1, 9])
    def test_rprop_on_part_of_the_data(self, batch_size, level):
        net = TestLearningRate().network("float32")
        before = net.parameters.copy()
        with pytest.raises(ValueError, match="Rprop needs full batches, batch_size is"):
            net.fit(TestLearningRate.X, TestLearningRate.Y, 1, batch_size, bp.Rprop())
        assert_array_equal(net.parameters, before)
        net.fit(TestLearningRate.X, TestLearningRate.Y, 1, 10, bp.Rprop())
        assert_allclose(net.layers[0].b, [-0.01], rtol=1e-6)

    def test_state_of_another_network(self, level):
        optimizer = bp.Adam()
        first, same_size = eight_parameters("float32"), eight_parameters("float32")
        optimizer.update(first)
        for other in (same_size, eight_parameters("float64"), bp.mlp([2, 2])):
            with pytest.raises(
                ValueError,
                match=r"the optimizer (holds the state of|has trained) another|network of",
            ):
                optimizer.update(other)
        optimizer.update(first)
        assert optimizer.steps == 2

    def test_defaults(self):
        for make, wanted in (
            (bp.SGD, {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False}),
            (bp.Adam, {"learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}),
            (bp.AdamW, {"learning_rate": 1e-3, "epsilon": 1e-8, "weight_decay": 0.01}),
            (bp.RMSProp, {"learning_rate": 1e-3, "rho": 0.9, "epsilon": 1e-8}),
            (bp.Adagrad, {"learning_rate": 0.01, "epsilon": 1e-10}),
            (bp.Rprop, {"learning_rate": 0.01, "eta_minus": 0.5, "eta_plus": 1.2}),
            (bp.Rprop, {"min_step": 1e-6, "max_step": 50.0}),
        ):
            optimizer = make()
            assert {name: getattr(optimizer, name) for name in wanted} == wanted
            assert optimizer.steps == 0
            assert optimizer.state == {}


def test_the_state_begins_at_a_cache_line():
    """So does a network's vector: a vector register across two lines takes two loads."""
    for sizes in ((3, 2), (784, 30, 10)):
        net, optimizer = bp.mlp(sizes), bp.Adam()
        optimizer.prepare(net)
        for vector in (net.parameters, net.gradient, *optimizer.state.values()):
            assert vector.ctypes.data % 64 == 0
            assert not vector.any() or vector is net.parameters
