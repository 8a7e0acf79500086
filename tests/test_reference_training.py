"""Training by the reference: every update by hand, epochs in their order, and what is refused."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from bpcore.reference import Dense, Network, mlp
from bpcore.reference.optimizers import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    RMSProp,
    Rprop,
    from_configuration,
)
from bpcore.schedules import CosineDecay, StepDecay


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
        optimizer = from_configuration(Foreign(configuration))  # one without state
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

    def test_foreign_configuration(self):
        read = from_configuration(Foreign(AdamW(0.5, weight_decay=0.25)))
        assert isinstance(read, AdamW)
        assert (read.learning_rate, read.weight_decay) == (0.5, 0.25)
        assert from_configuration(None) == Adam(1e-3)
        with pytest.raises(TypeError, match="optimizer is a dict, wanted one of SGD, Adam"):
            from_configuration({})


def Foreign(configuration):
    """Another class of the same name with the same attributes: what a compiled optimiser shows."""
    foreign = type(type(configuration).__name__, (), {})()
    vars(foreign).update(vars(configuration))
    return foreign


DATA = np.random.default_rng(9)
X, Y, WEIGHT = DATA.standard_normal((23, 3)), DATA.standard_normal((23, 2)), DATA.random(23)


def network_for_data(dtype="float64"):
    return mlp([3, 4, 2], "tanh", dtype=dtype, rng=0)


class TestFit:
    def by_steps(self, network, epochs, batch_size, seed, weight, l1=0.0, l2=0.0, clip_norm=None):
        """Train with forward and backward alone, with plain SGD; return the losses."""
        rng, losses = np.random.default_rng(seed), []
        for _ in range(epochs):
            order = np.arange(23) if seed is None else rng.permutation(23)
            total = total_weight = 0.0
            for batch in np.split(order, range(batch_size, 23, batch_size)):
                w = None if weight is None else weight[batch]
                size = len(batch) if w is None else w.sum()
                network.forward(X[batch])
                C = network.backward(Y[batch], w)
                for layer in network.layers:
                    C += sum(l1 * abs(v) + 0.5 * l2 * v**2 for v in layer.W.ravel().tolist())
                    layer.dW += l1 * np.sign(layer.W) + l2 * layer.W
                if clip_norm:
                    norm = math.sqrt(sum(g * g for g in network.gradient.tolist()))
                    network.gradient *= min(1, clip_norm / norm)
                network.parameters -= 0.1 * network.gradient
                total, total_weight = total + size * C, total_weight + size
            losses.append(total / total_weight)
        return losses

    @pytest.mark.parametrize("weight", [None, WEIGHT], ids=["unweighted", "weighted"])
    @pytest.mark.parametrize("seed", [None, 5], ids=["in order", "shuffled"])
    @pytest.mark.parametrize("batch_size", [1, 5, 23])
    @pytest.mark.parametrize(
        "penalties",
        [{}, {"l1": 0.01}, {"l2": 0.1}, {"clip_norm": 0.5}, {"l1": 0.1, "l2": 0.1, "clip_norm": 1}],
        ids=str,
    )
    def test_is_its_steps(self, batch_size, seed, weight, penalties):
        trained, by_steps = network_for_data(), network_for_data()
        history = trained.fit(
            X, Y, 3, batch_size, SGD(0.1), shuffle=seed is not None, rng=seed,
            sample_weight=weight, **penalties,
        )  # fmt: skip
        losses = self.by_steps(by_steps, 3, batch_size, seed, weight, **penalties)
        assert_allclose(history.loss, losses, rtol=1e-13)
        assert_allclose(trained.parameters, by_steps.parameters, rtol=1e-12)
        assert history.validation_loss == []

    def test_batch_larger_than_data_is_full_batch(self):
        networks = [network_for_data() for _ in range(3)]
        for network, batch_size in zip(networks, (23, 1000, None), strict=True):
            network.fit(X, Y, 2, batch_size, rng=1)
            assert_array_equal(network.parameters, networks[0].parameters)

    def test_same_seed_same_bits(self):
        first, second = network_for_data("float32"), network_for_data("float32")
        assert first.fit(X, Y, rng=3).loss == second.fit(X, Y, rng=3).loss
        assert_array_equal(first.parameters, second.parameters)

    def test_whole_weights_are_repetitions(self):
        weight = np.arange(23) % 3
        rows = np.repeat(np.arange(23), weight)
        weighted, repeated = network_for_data(), network_for_data()
        weighted.fit(X, Y, 4, None, SGD(0.1), sample_weight=weight)
        repeated.fit(X[rows], Y[rows], 4, None, SGD(0.1))
        assert_allclose(weighted.parameters, repeated.parameters, rtol=1e-12)

    def test_batch_of_weight_0_has_no_gradient(self):
        network, before = network_for_data(), network_for_data().parameters
        weight = np.zeros(23)
        weight[22] = 1
        network.fit(X, Y, 1, 22, SGD(0.1), shuffle=False, sample_weight=weight)
        alone = network_for_data()
        alone.fit(X[22:], Y[22:], 1, 1, SGD(0.1))
        assert_array_equal(network.parameters, alone.parameters)
        network.forward(X)
        assert network.backward(Y, np.zeros(23)) == 0
        assert_array_equal(network.gradient, 0)
        assert not np.array_equal(network.parameters, before)

    def test_validation(self):
        network, plain = network_for_data(), network_for_data()
        history = network.fit(X[:15], Y[:15], 3, rng=0, l2=0.1, validation_data=(X[15:], Y[15:]))
        assert len(history.validation_loss) == 3
        assert history.validation_loss[-1] == network.evaluate(X[15:], Y[15:])  # no penalty in it
        plain.fit(X[:15], Y[:15], 3, rng=0, l2=0.1)
        assert_array_equal(network.parameters, plain.parameters)
        weighted = network.fit(X, Y, 1, validation_data=(X, Y, WEIGHT))
        assert weighted.validation_loss == [network.evaluate(X, Y, WEIGHT)]

    def test_optimizers_learn(self):
        for configuration in (
            SGD(0.1), SGD(0.05, 0.9), SGD(0.05, 0.9, nesterov=True), Adam(0.02), AdamW(0.02),
            RMSProp(0.02), Adagrad(0.2), Rprop(0.01), Adam(CosineDecay(0.05, 100)),
        ):  # fmt: skip
            losses = network_for_data().fit(X, Y, 100, None, configuration).loss
            assert losses[-1] < 0.6 * losses[0], configuration

    def test_foreign_optimizer_starts_afresh(self):
        foreign, own = Foreign(Adam(0.1)), Adam(0.1)
        again, on = network_for_data(), network_for_data()
        for _ in range(2):
            again.fit(X, Y, 1, None, foreign, shuffle=False)
            on.fit(X, Y, 1, None, own, shuffle=False)
        assert own.steps == 2
        assert not np.array_equal(again.parameters, on.parameters)

    @pytest.mark.parametrize(
        "converted",
        [
            X.tolist(), np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2], X.astype(">f8"),
            X.astype(np.longdouble),
        ],
        ids=["list", "Fortran", "strided", "big endian", "longdouble"],
    )  # fmt: skip
    def test_clean_copies_give_the_same(self, converted):
        clean, other = network_for_data(), network_for_data()
        assert clean.fit(X, Y, 2, rng=0).loss == other.fit(converted, Y, 2, rng=0).loss
        assert_array_equal(clean.parameters, other.parameters)

    def test_float32_follows_float64(self):
        double, single = network_for_data(), network_for_data("float32")
        losses = single.fit(X, Y, 5, 4, Adam(0.01), rng=0, l1=1e-3, l2=1e-3, clip_norm=1).loss
        wanted = double.fit(X, Y, 5, 4, Adam(0.01), rng=0, l1=1e-3, l2=1e-3, clip_norm=1).loss
        assert_allclose(losses, wanted, rtol=1e-4)
        assert single.parameters.dtype == single.gradient.dtype == np.float32


class TestRefused:
    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"epochs": 0}, ValueError, "epochs is 0, wanted at least 1"),
            ({"epochs": 1.5}, TypeError, r"epochs is 1\.5, wanted an integer"),
            ({"batch_size": 0}, ValueError, "batch_size is 0, wanted at least 1"),
            ({"l1": -1}, ValueError, "l1 is -1"),
            ({"l2": math.nan}, ValueError, "l2 is nan"),
            ({"clip_norm": 0}, ValueError, "clip_norm is 0"),
            ({"optimizer": "adam"}, TypeError, "optimizer is a str"),
            ({"optimizer": Rprop(), "batch_size": 5}, ValueError, "full batch of 23"),
            ({"sample_weight": np.ones(5)}, ValueError, r"shape \(5,\), wanted \(23,\)"),
            ({"sample_weight": -np.ones(23)}, ValueError, "below 0"),
            ({"sample_weight": np.zeros(23)}, ValueError, "sums to 0"),
            ({"X": X[:, :2]}, ValueError, "X has 2 features, wanted 3"),
            ({"X": X[:5]}, ValueError, r"Y has shape \(23, 2\), wanted \(5, 2\)"),
            ({"X": X[:0]}, ValueError, "X has 0 rows"),
            ({"X": X[np.newaxis]}, ValueError, "X has 3 dimensions"),
            ({"X": np.where(X > 2, np.nan, X)}, ValueError, "X has values that are NaN"),
            ({"X": X * 1j}, TypeError, "X is of dtype complex128, wanted real"),
            ({"X": X.astype(str)}, TypeError, "X is of dtype <U"),
            ({"X": X.astype(object)}, TypeError, "X is of dtype object"),
        ],
    )
    def test_before_anything_changes(self, arguments, error, message):
        network = network_for_data()
        with pytest.raises(error, match=message):
            network.fit(**{"X": X, "Y": Y, **arguments})
        assert_array_equal(network.parameters, network_for_data().parameters)

    def test_divergence_keeps_the_weights(self):
        network, kept = mlp([3, 2], dtype="float64", rng=0), mlp([3, 2], dtype="float64", rng=0)
        optimizer = SGD(lambda step: 0.01 if step < 3 else 1e308)
        with pytest.raises(ArithmeticError, match=r"diverged in epoch 3 .* smaller learning rate"):
            network.fit(X, 10 * Y, 9, None, optimizer, shuffle=False)
        kept.fit(X, 10 * Y, 3, None, SGD(0.01), shuffle=False)
        assert_array_equal(network.parameters, kept.parameters)

    def test_networks(self):
        layer = Dense(3, 2)
        for layers, message in (
            ([], "layers is empty"),
            ([layer, Dense(3, 2)], "layer 1 takes 3 inputs, wanted 2"),
            ([Dense(2, 2)] * 2, "one layer twice"),
            (
                [layer, Dense(2, 2, dtype="float64")],
                "float32 and float64; give the network's dtype",
            ),
        ):
            with pytest.raises(ValueError, match=message):
                Network(layers)
        with pytest.raises(ValueError, match="loss is 'mse', wanted one of squared_error"):
            Network([layer], "mse")
        with pytest.raises(ValueError, match="dtype is 'float16'"):
            Network([layer], dtype="float16")
        with pytest.raises(ValueError, match="sizes has 1 entries"):
            mlp([3])
        with pytest.raises(ValueError, match="activation is 'cube'"):
            Dense(3, 2, "cube")

    def test_calls(self):
        network = network_for_data()
        for layer_or_network in (network, network.layers[0]):
            with pytest.raises(RuntimeError, match=r"call forward\(X\) first"):
                layer_or_network.backward(Y)
        network.forward(X)
        with pytest.raises(ValueError, match=r"da has shape \(23, 1\), wanted \(23, 2\)"):
            network.backpropagate(Y[:, :1])
        with pytest.raises(ValueError, match=r"out is float32 \(23, 2\), wanted float64"):
            network.predict(X, out=np.empty((23, 2), np.float32))
        with pytest.raises(ValueError, match=r"theta has shape \(3,\), wanted \(26,\)"):
            network.loss_and_gradient(np.ones(3), X, Y)
        callable_loss = Network(network_for_data().layers, lambda a, y: (0.0, np.zeros_like(a)))
        with pytest.raises(ValueError, match="takes no sample_weight"):
            callable_loss.evaluate(X, Y, WEIGHT)
