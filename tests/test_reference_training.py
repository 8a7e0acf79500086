"""Training by the reference: epochs step by step and in their order, and what is refused."""

import math

import numpy as np
import pytest
from helpers import foreign_copy
from numpy.testing import assert_allclose, assert_array_equal

from bpcore.reference import Dense, Network, mlp
from bpcore.reference.optimizers import SGD, Adagrad, Adam, AdamW, RMSProp, Rprop
from bpcore.schedules import CosineDecay

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

    def test_defaults(self):
        rows = np.arange(70) % 23
        plain, spelt = network_for_data(), network_for_data()
        history = plain.fit(X[rows], Y[rows], rng=0)
        wanted = spelt.fit(X[rows], Y[rows], 10, 32, Adam(1e-3), shuffle=True, rng=0)
        assert history == wanted
        assert len(history.loss) == 10

    def test_no_penalty_on_a_weight_of_0(self):
        network = mlp([3, 2], dtype="float64", weight_initializer="zeros")
        plain = mlp([3, 2], dtype="float64", weight_initializer="zeros")
        network.fit(X, Y, 1, None, SGD(0.1), rng=0, l1=0.5)
        plain.fit(X, Y, 1, None, SGD(0.1), rng=0)
        assert_array_equal(network.parameters, plain.parameters)

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
        foreign, own = foreign_copy(Adam(0.1)), Adam(0.1)
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
