"""Every optimiser of the reference, step by step, against plain Python numbers."""

import math

import numpy as np
import pytest
from helpers import foreign_copy
from numpy.testing import assert_allclose, assert_array_equal

from bpcore.reference import Dense, Network
from bpcore.reference.optimizers import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    RMSProp,
    Rprop,
    from_configuration,
)
from bpcore.schedules import StepDecay


def by_hand(theta, gradients, rule):
    """One parameter through a list of gradients, in plain Python numbers; `rule` keeps a dict."""
    state, path = {}, []
    for t, g in enumerate(gradients, start=1):
        theta = rule(theta, g, t, state)
        path.append(theta)
    return path


def sgd(theta, g, t, state):
    return theta - 0.1 * g


def momentum(theta, g, t, state):
    state["v"] = 0.9 * state.get("v", 0.0) - 0.1 * g
    return theta + state["v"]


def nesterov(theta, g, t, state):
    state["v"] = 0.9 * state.get("v", 0.0) - 0.1 * g
    return theta + 0.9 * state["v"] - 0.1 * g


def adam(theta, g, t, state, eta=0.05, beta_1=0.8, beta_2=0.95, epsilon=1e-3):
    state["m"] = beta_1 * state.get("m", 0.0) + (1 - beta_1) * g
    state["v"] = beta_2 * state.get("v", 0.0) + (1 - beta_2) * g**2
    m_hat, v_hat = state["m"] / (1 - beta_1**t), state["v"] / (1 - beta_2**t)
    return theta - eta * m_hat / (math.sqrt(v_hat) + epsilon)


def adamw(theta, g, t, state):
    return adam(theta - 0.05 * 0.2 * theta, g, t, state)


def scheduled_adam(theta, g, t, state):
    return adam(theta, g, t, state, eta=0.05 if t <= 2 else 0.025 if t <= 4 else 0.0125)


def rmsprop(theta, g, t, state):
    state["v"] = 0.7 * state.get("v", 0.0) + 0.3 * g**2
    return theta - 0.05 * g / (math.sqrt(state["v"]) + 1e-3)


def adagrad(theta, g, t, state):
    state["v"] = state.get("v", 0.0) + g**2
    return theta - 0.05 * g / (math.sqrt(state["v"]) + 1e-3)


def rprop(theta, g, t, state):
    step, last = state.get("step", 0.1), state.get("last", 0.0)
    if g * last > 0:
        step = min(step * 1.5, 0.3)
    elif g * last < 0:
        step, g = max(step * 0.25, 0.01), 0.0
    state["step"], state["last"] = step, g
    return theta - step * ((g > 0) - (g < 0))


adam_configuration = {"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3}
RULES = {
    "SGD": (SGD(0.1), sgd),
    "momentum": (SGD(0.1, momentum=0.9), momentum),
    "Nesterov": (SGD(0.1, momentum=0.9, nesterov=True), nesterov),
    "Adam": (Adam(0.05, **adam_configuration), adam),
    "Adam, StepDecay": (Adam(StepDecay(0.05, 2, 0.5), **adam_configuration), scheduled_adam),
    "Adam, callable": (Adam(lambda t: 0.05 / 2 ** (t // 2), **adam_configuration), scheduled_adam),
    "AdamW": (AdamW(0.05, **adam_configuration, weight_decay=0.2), adamw),
    "RMSProp": (RMSProp(0.05, rho=0.7, epsilon=1e-3), rmsprop),
    "Adagrad": (Adagrad(0.05, epsilon=1e-3), adagrad),
    "Rprop": (Rprop(0.1, 0.25, 1.5, 0.01, 0.3), rprop),
}
# Columns are parameters: steady, turning, resting at 0, growing, one turn, tiny.
GRADIENTS = np.array(
    [
        [0.5, 1.0, 0.0, 0.1, 2.0, 1e-9],
        [0.5, -1.0, 0.3, 0.2, 2.0, -1e-9],
        [0.4, 1.0, 0.0, 0.4, -2.0, 1e-9],
        [0.3, -0.5, 0.0, 0.8, -2.0, 0.0],
        [0.2, 0.5, -0.2, 1.6, -2.0, 1e-9],
        [0.1, 0.5, -0.2, 3.2, 2.0, 1e-9],
    ]
)


def small_network(dtype="float64"):
    network = Network([Dense(5, 1, "identity", dtype=dtype)])
    network.parameters[...] = [1.0, -1.0, 0.5, 2.0, -0.25, 0.125]
    return network


class TestUpdates:
    @pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-13), ("float32", 1e-5)])
    @pytest.mark.parametrize("name", RULES)
    def test_by_hand(self, name, dtype, rtol):
        configuration, rule = RULES[name]
        optimizer = from_configuration(foreign_copy(configuration))  # one without state
        network = small_network(dtype)
        paths = [
            by_hand(theta, gradients, rule)
            for theta, gradients in zip(
                network.parameters.tolist(), GRADIENTS.T.tolist(), strict=True
            )
        ]
        for t, wanted in enumerate(np.transpose(paths)):
            assert optimizer.steps == t
            network.gradient[...] = GRADIENTS[t]
            optimizer.update(network)
            assert network.parameters.dtype == dtype
            assert_allclose(network.parameters, wanted, rtol=rtol, atol=rtol)
        for value in vars(optimizer).values():
            assert getattr(value, "dtype", network.dtype) == dtype

    def test_rprop_takes_signs_not_products(self):
        network, optimizer = small_network("float32"), Rprop(0.1)
        for _ in range(2):
            network.gradient[...] = 1e-30  # whose square is 0 in float32
            optimizer.update(network)
        start = small_network().parameters
        assert_allclose(network.parameters, start - 0.1 - 0.12, rtol=1e-5)

    def test_defaults(self):
        assert vars(SGD()) == {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False}
        adam = {"learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}
        assert vars(Adam()) == adam
        assert vars(AdamW()) == {**adam, "weight_decay": 0.01}
        assert vars(RMSProp()) == {"learning_rate": 1e-3, "rho": 0.9, "epsilon": 1e-8}
        assert vars(Adagrad()) == {"learning_rate": 0.01, "epsilon": 1e-10}
        steps = {"min_step": 1e-6, "max_step": 50.0}
        assert vars(Rprop()) == {"learning_rate": 0.01, "eta_minus": 0.5, "eta_plus": 1.2, **steps}

    @pytest.mark.parametrize("rate", [0, -1.0, math.nan, math.inf])
    def test_learning_rate_refused(self, rate):
        with pytest.raises(ValueError, match="learning_rate is"):
            SGD(rate)
        with pytest.raises(ValueError, match="beta_1 is 1"):
            Adam(beta_1=1)
        if rate != 0:
            with pytest.raises(ValueError, match=r"learning_rate\(0\) is"):
                SGD(lambda step: rate).update(small_network())

    def test_learning_rate_0_of_a_schedule(self):
        network = small_network()
        network.gradient[...] = 1
        SGD(lambda step: 0.0).update(network)
        assert_array_equal(network.parameters, small_network().parameters)

    @pytest.mark.parametrize(
        ("kind", "name", "refused", "taken"),
        [
            (SGD, "momentum", [-1e-9, 1, math.nan], [0, 0.999]),
            (Adam, "beta_1", [-1e-9, 1, math.nan], [0, 0.999]),
            (AdamW, "beta_2", [-1e-9, 1, math.nan], [0, 0.999]),
            (RMSProp, "rho", [-1e-9, 1, math.nan], [0, 0.999]),
            (Adagrad, "epsilon", [-1e-9, 0, math.inf], [1e-300, 1]),
            (AdamW, "weight_decay", [-1e-9, math.inf], [0, 1]),
            (Rprop, "eta_minus", [0, 1], [0.01, 0.99]),
            (Rprop, "eta_plus", [1, math.inf], [1.01, 2]),
            (Rprop, "min_step", [0, math.inf], [1e-300, 1]),
            (Rprop, "max_step", [0, math.inf], [1e-300, 1]),
        ],
    )
    def test_ranges(self, kind, name, refused, taken):
        for value in refused:
            with pytest.raises(ValueError, match=f"{name} is {value}, wanted"):
                kind(**{name: value})
        for value in taken:
            assert getattr(kind(**{name: value}), name) == value

    def test_foreign_configuration(self):
        read = from_configuration(foreign_copy(AdamW(0.5, weight_decay=0.25)))
        assert isinstance(read, AdamW)
        assert (read.learning_rate, read.weight_decay) == (0.5, 0.25)
        assert from_configuration(None) == Adam(1e-3)
        with pytest.raises(TypeError, match="optimizer is a dict, wanted one of SGD, Adam"):
            from_configuration({})
