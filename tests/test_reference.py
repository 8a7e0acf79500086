"""The reference network: the worked example in sums and loops, every gradient by differences."""

import math
import warnings

import numpy as np
import pytest
from helpers import distance_to_kinks, numerical_gradient, optional, relative_error, targets_for
from numpy.testing import assert_allclose, assert_array_equal

from bpcore.reference import Dense, Network, mlp
from bpcore.reference.activations import ACTIVATIONS
from bpcore.reference.checks import domain_warning
from bpcore.reference.losses import LOSSES

STEP, MARGIN = 2e-4, 0.03  # of the differences, and how far they keep from kinks


def sigma(z):
    return 1 / (1 + math.exp(-z))


def sigma_prime(z):
    return sigma(z) * (1 - sigma(z))


def worked_example(layers, x, y):
    """C and its gradients for one sample, element by element as in docs/derivation.md.

    Plain Python numbers throughout; `layers` are (W, b) of layers 1, 2 and 3 of the net 3-2-3-5.
    """
    (W1, b1), (W2, b2), (W3, b3) = layers
    z1 = [sum(W1[m][n] * x[n] for n in range(3)) + b1[m] for m in range(2)]
    a1 = [sigma(z) for z in z1]
    z2 = [sum(W2[m][n] * a1[n] for n in range(2)) + b2[m] for m in range(3)]
    a2 = [sigma(z) for z in z2]
    z3 = [sum(W3[m][n] * a2[n] for n in range(3)) + b3[m] for m in range(5)]
    a3 = [sigma(z) for z in z3]
    C = sum((a3[k] - y[k]) ** 2 for k in range(5))

    da3 = [2 * (a3[k] - y[k]) for k in range(5)]
    dW3 = [[2 * (a3[m] - y[m]) * sigma_prime(z3[m]) * a2[n] for n in range(3)] for m in range(5)]
    db3 = [2 * (a3[m] - y[m]) * sigma_prime(z3[m]) for m in range(5)]

    da2 = [sum(da3[m] * sigma_prime(z3[m]) * W3[m][n] for m in range(5)) for n in range(3)]
    dW2 = [[da2[m] * sigma_prime(z2[m]) * a1[n] for n in range(2)] for m in range(3)]
    db2 = [da2[m] * sigma_prime(z2[m]) for m in range(3)]

    da1 = [sum(da2[m] * sigma_prime(z2[m]) * W2[m][n] for m in range(3)) for n in range(2)]
    dW1 = [[da1[m] * sigma_prime(z1[m]) * x[n] for n in range(3)] for m in range(2)]
    db1 = [da1[m] * sigma_prime(z1[m]) for m in range(2)]

    return {
        "C": C,
        "z": [z1, z2, z3],
        "a": [a1, a2, a3],
        "da": [da1, da2, da3],
        "dW": [dW1, dW2, dW3],
        "db": [db1, db2, db3],
        "dx": [sum(da1[m] * sigma_prime(z1[m]) * W1[m][n] for m in range(2)) for n in range(3)],
    }


class TestWorkedExample:
    def network(self, dtype="float64"):
        drawn = {"bias_initializer": "standard_normal", "dtype": dtype}
        return mlp([3, 2, 3, 5], "sigmoid", "sigmoid", rng=3, **drawn)

    def layers(self, network):
        return [(layer.W.tolist(), layer.b.tolist()) for layer in network.layers]

    @pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-14), ("float32", 2e-6)])
    def test_one_sample(self, dtype, rtol):
        network = self.network(dtype)
        rng = np.random.default_rng(4)
        x, y = rng.random(3).astype(dtype), rng.random(5).astype(dtype)
        wanted = worked_example(self.layers(network), x.tolist(), y.tolist())

        assert_allclose(network.forward(x), wanted["a"][2], rtol=rtol)
        assert network.backward(y) == pytest.approx(wanted["C"], rel=rtol)
        for number, layer in enumerate(network.layers):
            for name in ("z", "a", "da", "dW", "db"):
                value = getattr(layer, name)
                assert value.dtype == dtype
                assert_allclose(value, wanted[name][number], rtol=10 * rtol, err_msg=name)
            assert_allclose(layer.delta, layer.db)
        assert_allclose(network.backpropagate(network.layers[-1].da), wanted["dx"], rtol=10 * rtol)

    def test_mean_over_samples(self):
        network = self.network()
        rng = np.random.default_rng(5)
        X, Y = rng.random((7, 3)), rng.random((7, 5))
        each = [
            worked_example(self.layers(network), x, y)
            for x, y in zip(X.tolist(), Y.tolist(), strict=True)
        ]
        network.forward(X)
        assert network.backward(Y) == pytest.approx(sum(one["C"] for one in each) / 7, rel=1e-14)
        for number, layer in enumerate(network.layers):
            for name in ("dW", "db"):
                wanted = np.mean([one[name][number] for one in each], axis=0)
                assert_allclose(getattr(layer, name), wanted, rtol=1e-12)
            # The loss puts 1/n into da, the layers only sum.
            assert_allclose(layer.da, [np.divide(one["da"][number], 7) for one in each], rtol=1e-12)

    def test_layer_by_layer(self):
        network = self.network()
        rng = np.random.default_rng(6)
        x, y = rng.random(3), rng.random(5)
        wanted = worked_example(self.layers(network), x.tolist(), y.tolist())
        first, second, third = network.layers
        a = third.forward(second.forward(first.forward(x)))
        dx = first.backward(second.backward(third.backward(2 * (a - y))))
        assert_allclose(dx, wanted["dx"], rtol=1e-13)
        for number, layer in enumerate(network.layers):
            assert_allclose(layer.dW, wanted["dW"][number], rtol=1e-13)


def smooth_case(sizes, activations, loss, n=4):
    """Return a float64 network, X, Y and weights, whose forward keeps off every kink."""
    for seed in range(500):
        rng = np.random.default_rng(seed)
        layers = [
            Dense(
                n_in,
                n_out,
                activation,
                bias_initializer="standard_normal",
                dtype="float64",
                rng=rng,
            )
            for n_in, n_out, activation in zip(sizes, sizes[1:], activations, strict=False)
        ]
        with warnings.catch_warnings():  # outputs out of the loss's domain are wanted here, too
            warnings.simplefilter("ignore", UserWarning)
            network = Network(layers, loss)
        if "exp" in activations:  # of one another they leave the range of numbers
            network.parameters *= 0.3
        X, Y = rng.standard_normal((n, sizes[0])), targets_for(loss, n, sizes[-1], rng)
        network.forward(X)
        if distance_to_kinks(network, Y) > MARGIN:
            return network, X, Y, rng.uniform(0.5, 2, n)
    raise AssertionError(f"no seed keeps {activations} with {loss} off its kinks")


def check_gradient(network, X, Y, weight=None, bound=1e-7):
    def cost(theta):
        network.parameters[...] = theta
        return network.evaluate(X, Y, weight)

    start = network.parameters.copy()
    wanted = numerical_gradient(cost, start, STEP)
    network.parameters[...] = start
    network.forward(X)
    C = network.backward(Y, weight)
    assert pytest.approx(cost(start), rel=1e-14) == C
    end = 0
    for layer in network.layers:  # each on its own: the early ones are small
        for gradient in (layer.dW, layer.db):
            begin, end = end, end + gradient.size
            assert relative_error(gradient.ravel(), wanted[begin:end]) < bound


class TestGradient:
    @pytest.mark.parametrize("loss", LOSSES)
    @pytest.mark.parametrize("activation", ACTIVATIONS)
    def test_every_activation_and_loss(self, activation, loss):
        check_gradient(*smooth_case([3, 4, 3], [activation] * 2, loss))

    @pytest.mark.parametrize("n_layers", [1, 2, 3, 4, 5])
    @pytest.mark.parametrize("activation", ACTIVATIONS)
    def test_depth(self, activation, n_layers):
        sizes = [2, 3, 2, 4, 3, 2][: n_layers + 1]
        check_gradient(*smooth_case(sizes, [activation] * n_layers, "squared_error", n=3))

    @pytest.mark.parametrize(
        ("output", "loss"), [("softmax", "cross_entropy"), ("sigmoid", "binary_cross_entropy")]
    )
    @pytest.mark.parametrize("sizes", [[5, 4], [1, 1, 2], [2, 70, 3], [3, 4, 4, 4, 3]])
    def test_fused(self, output, loss, sizes):
        check_gradient(*smooth_case(sizes, ["tanh"] * (len(sizes) - 2) + [output], loss))

    @pytest.mark.parametrize("activation", ACTIVATIONS)
    def test_backpropagate(self, activation):
        network, X, _, _ = smooth_case([3, 4, 2], [activation] * 2, "squared_error")
        R = np.random.default_rng(1).standard_normal((4, 2))
        network.forward(X)
        dX = network.backpropagate(R)
        gradient = network.gradient.copy()
        wanted = numerical_gradient(lambda X: (R * network.predict(X)).sum(), X, STEP)
        assert relative_error(dX, wanted) < 1e-7

        def cost(theta):
            network.parameters[...] = theta
            return (R * network.predict(X)).sum()

        wanted = numerical_gradient(cost, network.parameters.copy(), STEP)
        assert relative_error(gradient, wanted) < 1e-7

    @pytest.mark.parametrize("loss", LOSSES)
    def test_da_of_the_last_layer(self, loss):
        output = {"cross_entropy": "softmax", "binary_cross_entropy": "sigmoid", "poisson": "exp"}
        network, X, Y, weight = smooth_case([2, 3], [output.get(loss, "tanh")], loss)
        a = network.forward(X)
        network.backward(Y, weight)
        last = network.layers[-1]
        share = weight / weight.sum()
        wanted = numerical_gradient(lambda a: share @ LOSSES[loss](a, Y)[0][:, 0], a, 1e-5)
        assert relative_error(last.da, wanted) < 1e-7
        assert_allclose(last.backward(last.da), last.delta @ last.W)

    @pytest.mark.parametrize("loss", LOSSES)
    @pytest.mark.parametrize("activation", ACTIVATIONS)
    def test_float32(self, activation, loss):
        network, X, Y, weight = smooth_case([3, 4, 3], [activation] * 2, loss)
        network.forward(X)
        C = network.backward(Y, weight)
        wanted = network.gradient.copy()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            single = Network(network.layers, loss, dtype="float32")
        assert single.forward(X).dtype == np.float32
        single_C = single.backward(Y, weight)
        if not domain_warning(activation, loss):  # outside it C holds log tiny of the dtype
            assert single_C == pytest.approx(C, rel=1e-5)
        assert relative_error(single.gradient, wanted) < 1e-4
        for layer in single.layers:
            for name in ("W", "b", "a_in", "z", "a", "da", "delta", "dW", "db"):
                assert getattr(layer, name).dtype == np.float32, name

    def test_callable_loss(self):
        def fourth_powers(a, y):
            e = a - y
            return (e**4).sum() / len(a), 4 * e**3 / len(a)

        network, X, Y, _ = smooth_case([3, 4, 3], ["tanh", "identity"], "squared_error")
        check_gradient(Network(network.layers, fourth_powers), X, Y)

    def test_callable_loss_gets_what_is_given(self):
        def loss(a, y):
            given.append((a.shape, y.dtype, y.shape))
            return 1.5, np.zeros_like(a)

        given, network = [], Network([Dense(2, 3, rng=0)], loss)
        labels = np.array(["red", "tan"])
        network.forward(np.ones((2, 2)))
        assert network.backward(labels) == network.evaluate(np.ones((2, 2)), labels) == 1.5
        assert network.fit(np.ones((2, 2)), labels, 1, 1).loss == [1.5]
        assert network.evaluate(np.ones(2), labels[0]) == 1.5
        assert given == [
            *[((2, 3), labels.dtype, (2,))] * 2,
            *[((1, 3), labels.dtype, (1,))] * 2,
            ((3,), labels.dtype, ()),
        ]


class TestContract:
    def test_views(self):
        network = mlp([3, 4, 2], dtype="float64", rng=0)
        assert network.parameters.shape == network.gradient.shape == (3 * 4 + 4 + 4 * 2 + 2,)
        for vector, names in ((network.parameters, "W b"), (network.gradient, "dW db")):
            vector[...] = np.arange(vector.size)
            parts = [getattr(layer, n).ravel() for layer in network.layers for n in names.split()]
            assert all(np.shares_memory(part, vector) for part in parts)
            assert_array_equal(np.concatenate(parts), vector)
            assert vector.flags.c_contiguous

    def test_seed(self):
        rng = np.random.default_rng(5)
        W1 = rng.uniform(-math.sqrt(6 / 3), math.sqrt(6 / 3), (4, 3))
        b1 = rng.standard_normal(4)
        W2 = rng.uniform(-math.sqrt(6 / 6), math.sqrt(6 / 6), (2, 4))
        b2 = rng.standard_normal(2)
        wanted = np.concatenate([W1.ravel(), b1, W2.ravel(), b2])
        normal = {"bias_initializer": "standard_normal"}
        network = mlp([3, 4, 2], dtype="float64", rng=5, **normal)
        assert_array_equal(network.parameters, wanted)
        layers = [Dense(3, 4, "relu", **normal), Dense(4, 2, "identity", **normal)]
        assert_array_equal(Network(layers, rng=5).parameters, wanted.astype(np.float32))
        assert_array_equal(Network(layers, dtype="float64", rng=5).parameters, wanted)

    def test_defaults(self):
        assert Dense(3, 2).activation == "sigmoid"
        assert Dense(3, 2).dtype == np.float32
        network = mlp([3, 4, 2], rng=0)
        assert [layer.activation for layer in network.layers] == ["relu", "identity"]
        assert network.loss == "squared_error"

    def test_foreign_layers_are_copied(self):
        class Foreign:  # what a compiled layer shows of itself
            n_inputs, n_outputs, activation = 3, 2, "tanh"
            W, b = np.ones((2, 3)), np.zeros(2)

        network = Network([Foreign()])
        assert network.dtype == np.float64
        assert_array_equal(network.layers[0].W, Foreign.W)
        assert not np.shares_memory(network.parameters, Foreign.W)

    @pytest.mark.parametrize("output", ["softmax", "tanh"])
    def test_one_sample_is_a_row(self, output):
        loss = "cross_entropy" if output == "softmax" else "squared_error"
        network = mlp([3, 4, 2], output=output, loss=loss, dtype="float64", rng=0)
        x, y = np.array([0.5, -1, 2]), np.array([0.25, 0.75])
        a = network.forward(x)
        assert a.shape == (2,)
        C, gradient = network.backward(y), network.gradient.copy()
        kept = [(layer.da, layer.delta) for layer in network.layers]
        assert network.evaluate(x, y) == C
        assert_array_equal(network.forward(x[np.newaxis]), [a])
        assert network.backward(y[np.newaxis]) == C
        assert_array_equal(network.gradient, gradient)
        for layer, (da, delta) in zip(network.layers, kept, strict=True):
            assert da.shape == delta.shape == (layer.n_outputs,)
            assert_array_equal(layer.da, [da])
            assert_array_equal(layer.delta, [delta])
        assert network.backpropagate(network.layers[-1].da).shape == (1, 3)
        assert_array_equal(network.predict(x), a)

    def test_no_rows(self):
        network = mlp([3, 2], rng=0)
        assert network.forward(np.empty((0, 3))).shape == network.predict(np.empty((0, 3))).shape
        assert network.backward(np.empty((0, 2))) == 0
        assert_array_equal(network.gradient, 0)

    def test_predict_keeps_nothing(self):
        network = mlp([3, 4, 2], dtype="float64", rng=0)
        X = np.ones((5, 3))
        out = np.empty((5, 2))
        assert network.predict(X, out=out) is out
        assert network.layers[0].z is None
        assert_array_equal(out, network.forward(X))

    def test_loss_and_gradient(self):
        network, X, Y, _ = smooth_case([3, 4, 2], ["tanh", "identity"], "squared_error")
        theta = network.parameters + 0.5
        C, gradient = network.loss_and_gradient(theta, X, Y)
        assert_array_equal(network.parameters, theta)
        assert network.evaluate(X, Y) == C
        network.gradient[...] = 0
        assert gradient.any()

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_scipy_minimises(self, dtype):
        minimize = optional("scipy.optimize").minimize
        network = mlp([1, 8, 1], hidden="tanh", dtype=dtype, rng=0)
        X = np.linspace(-1, 1, 20)[:, np.newaxis]
        found = minimize(
            network.loss_and_gradient,
            network.parameters.astype(np.float64),
            args=(X, np.sin(3 * X)),
            jac=True,
            method="L-BFGS-B",
        )
        assert found.fun < 1e-3
