"""Every activation and loss of the reference against plain Python numbers, kinks and extremes."""

import math
import warnings

import numpy as np
import pytest
from helpers import numerical_gradient
from numpy.testing import assert_allclose, assert_array_equal

from bpcore.reference import Dense, Network
from bpcore.reference.activations import ACTIVATIONS, delta_from, normal_cdf, softmax, softmax_delta
from bpcore.reference.losses import FUSED, LOSSES, sample_shares

LAMBDA, ALPHA = 1.0507009873554805, 1.6732632423543772

# One number in, one number out, straight from the definitions.
ONE_BY_ONE = {
    "sigmoid": lambda z: 1 / (1 + math.exp(-z)),
    "tanh": math.tanh,
    "relu": lambda z: max(z, 0.0),
    "leaky_relu": lambda z: z if z > 0 else 0.01 * z,
    "elu": lambda z: z if z > 0 else math.exp(z) - 1,
    "selu": lambda z: LAMBDA * (z if z > 0 else ALPHA * (math.exp(z) - 1)),
    "gelu": lambda z: z * (1 + math.erf(z / math.sqrt(2))) / 2,
    "silu": lambda z: z / (1 + math.exp(-z)),
    "softplus": lambda z: math.log(1 + math.exp(z)),
    "softsign": lambda z: z / (1 + abs(z)),
    "hard_sigmoid": lambda z: min(max(z / 6 + 0.5, 0.0), 1.0),
    "exp": math.exp,
    "identity": lambda z: z,
}

AT_KINKS = [
    ("relu", 0, 0),
    ("leaky_relu", 0, 0.01),
    ("elu", 0, 1),
    ("selu", 0, LAMBDA * ALPHA),
    ("hard_sigmoid", -3, 0),
    ("hard_sigmoid", 3, 0),
]


class TestActivations:
    Z = np.concatenate([np.linspace(-8, 8, 65), [-3.0, 3.0, 1e-9, -1e-9]])

    def test_every_one_is_checked_here(self):
        assert set(ACTIVATIONS) == {*ONE_BY_ONE, "softmax"}

    @pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-15), ("float32", 5e-7)])
    @pytest.mark.parametrize("name", ONE_BY_ONE)
    def test_values(self, name, dtype, tolerance):
        z = self.Z.astype(dtype)
        a = ACTIVATIONS[name].forward(z)
        wanted = [ONE_BY_ONE[name](number) for number in z.tolist()]
        assert a.dtype == dtype
        assert_allclose(a, wanted, rtol=8 * tolerance, atol=tolerance)

    @pytest.mark.parametrize(("name", "z", "wanted"), AT_KINKS)
    def test_derivative_at_kinks(self, name, z, wanted):
        z = np.array([[z]], dtype=np.float64)
        a = ACTIVATIONS[name].forward(z)
        assert_array_equal(delta_from(name, np.ones((1, 1)), z, a), [[wanted]])

    @pytest.mark.parametrize("name", ONE_BY_ONE)
    def test_derivative_by_hand(self, name):
        z = np.array([[-2.25, -0.75, 0.5, 1.75]])
        a = ACTIVATIONS[name].forward(z)
        wanted = [numerical_gradient(ONE_BY_ONE[name], x) for x in z[0].tolist()]
        assert_allclose(delta_from(name, np.ones_like(z), z, a)[0], wanted, rtol=1e-10, atol=1e-12)

    def test_left_tails_keep_their_digits(self):
        z = np.array([-20.0])
        assert_allclose(ACTIVATIONS["sigmoid"].forward(z), math.exp(-20), rtol=1e-8)
        assert_allclose(ACTIVATIONS["softplus"].forward(z), math.exp(-20), rtol=1e-8)
        assert_allclose(normal_cdf(z), 2.7536241186062337e-89, rtol=1e-13)
        assert_allclose(ACTIVATIONS["elu"].forward(np.array([-1e-12])), -1e-12, rtol=1e-11)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("name", ACTIVATIONS)
    def test_extremes_stay_finite(self, name, dtype):
        limits = np.finfo(dtype)
        top = 80 if name == "exp" else math.sqrt(limits.max) if name == "gelu" else limits.max / 4
        z = np.array([[-top, -1e4, -90, -limits.tiny, 0, limits.tiny, 30, 80, top]], dtype)
        a = ACTIVATIONS[name].forward(z)
        delta = delta_from(name, np.ones_like(z), z, a)
        assert a.dtype == delta.dtype == dtype
        assert np.isfinite(a).all()
        assert np.isfinite(delta).all()


class TestSoftmax:
    def test_values(self):
        z = np.array([[0.5, -1.0, 2.0], [3.0, 3.0, 3.0]])
        for row, a in zip(z.tolist(), softmax(z).tolist(), strict=True):
            assert a == pytest.approx([math.exp(x) / sum(map(math.exp, row)) for x in row])

    def test_delta_is_the_jacobian(self):
        z, da = np.array([[0.5, -1.0, 2.0]]), np.array([[1.0, -2.0, 0.25]])
        (a,), (da_k,) = softmax(z).tolist(), da.tolist()
        wanted = [sum(da_k[k] * a[k] * ((k == m) - a[m]) for k in range(3)) for m in range(3)]
        assert_allclose(softmax_delta(da, softmax(z)), [wanted], rtol=1e-14)

    def test_shift_changes_nothing(self):
        z = np.array([0.5, -1.0, 2.0])
        assert_allclose(softmax(z + 1e6), softmax(z), rtol=1e-9)
        assert_array_equal(softmax(np.array([0.0, 1e300])), [0, 1])


def xlogy(x, y):
    return x * math.log(y) if x else 0.0


def huber(e):
    return e * e / 2 if abs(e) <= 1 else abs(e) - 0.5


# The C of one sample, from the lists a and y.
ONE_SAMPLE = {
    "squared_error": lambda a, y: sum((p - q) ** 2 for p, q in zip(a, y, strict=True)),
    "mean_squared_error": lambda a, y: (
        sum((p - q) ** 2 for p, q in zip(a, y, strict=True)) / len(a)
    ),
    "mean_absolute_error": lambda a, y: sum(abs(p - q) for p, q in zip(a, y, strict=True)) / len(a),
    "huber": lambda a, y: sum(huber(p - q) for p, q in zip(a, y, strict=True)),
    "poisson": lambda a, y: sum(xlogy(q, q / p) - q + p for p, q in zip(a, y, strict=True)),
    "binary_cross_entropy": lambda a, y: (
        -sum(xlogy(q, p) + xlogy(1 - q, 1 - p) for p, q in zip(a, y, strict=True))
    ),
    "cross_entropy": lambda a, y: -sum(xlogy(q, p) for p, q in zip(a, y, strict=True)),
}
A = np.array([[0.25, 0.5, 0.25], [0.125, 0.125, 0.75]])
Y = np.array([[1.0, 0.0, 0.0], [0.25, 0.25, 0.5]])
FAR = np.array([[3.0, -2.0, 0.5], [1.0, 0.0, -1.5]])  # added to A: every branch of huber


class TestLosses:
    def test_every_one_is_checked_here(self):
        assert set(LOSSES) == set(ONE_SAMPLE)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("name", LOSSES)
    def test_values(self, name, dtype):
        a = A + FAR if name in ("huber", "mean_absolute_error") else A
        C, da = LOSSES[name](a.astype(dtype), Y.astype(dtype))
        wanted = [[ONE_SAMPLE[name](*pair)] for pair in zip(a.tolist(), Y.tolist(), strict=True)]
        assert C.dtype == da.dtype == dtype
        assert_allclose(C, wanted, rtol=1e-6 if dtype == "float32" else 1e-14)

    @pytest.mark.parametrize(
        ("name", "a", "y", "wanted"),
        [
            ("squared_error", [3.0, 1.0], [1.0, 2.0], [4, -2]),
            ("mean_squared_error", [3.0, 1.0], [1.0, 2.0], [2, -1]),
            (
                "mean_absolute_error",
                [3.0, 1.0, 1.0, 0.0],
                [1.0, 2.0, 1.0, 0.0],
                [0.25, -0.25, 0, 0],
            ),
            ("huber", [3.0, 1.0, 1.0, 2.0], [1.0, 2.5, 1.25, 1.0], [1, -1, -0.25, 1]),
            ("poisson", [4.0, 0.5], [1.0, 0.0], [0.75, 1]),
            ("binary_cross_entropy", [0.25, 0.25], [1.0, 0.0], [-4, 4 / 3]),
            ("cross_entropy", [0.25, 0.75], [1.0, 0.0], [-4, 0]),
        ],
    )
    def test_da(self, name, a, y, wanted):
        assert_allclose(LOSSES[name](np.array([a]), np.array([y]))[1], [wanted], rtol=1e-15)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("name", LOSSES)
    def test_ends_of_the_domain_stay_finite(self, name, dtype):
        tiny = np.finfo(dtype).tiny
        a = np.array([[0, 1, tiny / 2, tiny, 1 - np.finfo(dtype).epsneg, -1, 2]], dtype)
        for y in (np.zeros_like(a), np.ones_like(a)):
            C, da = LOSSES[name](a, y)
            assert np.isfinite(C).all()
            assert np.isfinite(da).all()

    @pytest.mark.parametrize(
        ("name", "flat"), [("poisson", 1), ("binary_cross_entropy", 1), ("cross_entropy", 0)]
    )
    def test_below_tiny_the_logarithm_is_flat(self, name, flat):
        tiny = np.finfo(np.float64).tiny
        a, y = np.array([[tiny / 2, 0.0, -1.0]]), np.ones((1, 3))
        rest = (1 - y) / (1 - a) if name == "binary_cross_entropy" else flat
        assert_array_equal(LOSSES[name](a, y)[1], np.broadcast_to(rest, (1, 3)))

    @pytest.mark.parametrize("name", ["poisson", "binary_cross_entropy", "cross_entropy"])
    def test_at_tiny_it_is_steep(self, name):
        tiny = np.finfo(np.float64).tiny
        da = LOSSES[name](np.array([[tiny]]), np.ones((1, 1)))[1]
        assert_allclose(da, [[-1 / tiny]])
        if name == "binary_cross_entropy":  # 1 - a is rounded to multiples of 1e-16
            da = LOSSES[name](np.array([[1 - 2.0**-53]]), np.zeros((1, 1)))[1]
            assert_allclose(da, [[2.0**53]])


class TestFused:
    @pytest.mark.parametrize(("activation", "loss"), FUSED)
    def test_equals_the_two_apart(self, activation, loss):
        z = np.random.default_rng(0).normal(0, 3, (6, 4))
        y = np.random.default_rng(1).dirichlet(np.ones(4), 6)
        a = ACTIVATIONS[activation].forward(z)
        C, delta = FUSED[activation, loss](z, a, y)
        C_apart, da = LOSSES[loss](a, y)
        assert_allclose(C, C_apart, rtol=1e-12)
        assert_allclose(delta, delta_from(activation, da, z, a), rtol=1e-12, atol=1e-15)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_extremes(self, dtype):
        z = np.array([[1e4, -1e4, 0]], dtype)
        a = ACTIVATIONS["softmax"].forward(z)
        for y, wanted in (([1, 0, 0], 0), ([0, 1, 0], 2e4), ([0, 0, 1], 1e4)):
            C, delta = FUSED["softmax", "cross_entropy"](z, a, np.array([y], dtype))
            assert_array_equal(C, [[wanted]])
            assert_array_equal(delta, [np.subtract([1, 0, 0], y)])
        a = ACTIVATIONS["sigmoid"].forward(z)
        for y, wanted in (([1, 0, 1], math.log(2)), ([0, 1, 1], 2e4 + math.log(2))):
            C, delta = FUSED["sigmoid", "binary_cross_entropy"](z, a, np.array([y], dtype))
            assert_allclose(C, [[wanted]], rtol=1e-6)
            assert_array_equal(delta, [np.subtract([1, 0, 0.5], y)])

    def test_small_costs_keep_their_digits(self):
        z = np.array([[40.0]])
        C, _ = FUSED["sigmoid", "binary_cross_entropy"](z, np.ones((1, 1)), np.ones((1, 1)))
        assert_allclose(C, [[math.exp(-40)]], rtol=1e-14)


class TestTargets:
    def network(self, output="softmax", loss="cross_entropy", n_outputs=3, dtype="float64"):
        return Network([Dense(2, n_outputs, output, dtype=dtype, rng=0)], loss)

    X = np.array([[0.5, -1.0], [2.0, 0.0], [1.0, 1.0], [0.0, 3.0]])

    @pytest.mark.parametrize("output", ["softmax", "sigmoid"])
    @pytest.mark.parametrize("kind", [np.int64, np.uint8, np.int16, ">i4"])
    def test_labels_are_one_hot_rows(self, output, kind):
        network, labels = self.network(output), np.array([2, 0, 1, 2], kind)
        network.forward(self.X)
        C, gradient = network.backward(labels), network.gradient.copy()
        assert network.backward(np.eye(3)[labels.astype(int)]) == C
        assert_array_equal(network.gradient, gradient)
        assert network.evaluate(self.X, labels) == C
        network.forward(self.X[1])
        assert network.backward(0) == network.backward([1, 0, 0])

    def test_flat_y_for_one_output(self):
        network = self.network("identity", "squared_error", 1)
        y = np.array([1.0, 2, 3, 4])
        assert network.evaluate(self.X, y) == network.evaluate(self.X, y[:, np.newaxis])
        assert network.evaluate(self.X[0], 1.0) == network.evaluate(self.X[0], [1.0])

    @pytest.mark.parametrize(
        ("loss", "Y", "error", "message"),
        [
            ("cross_entropy", [0, 1, 2, 3], ValueError, "from 0 to 3, wanted 0 to 2"),
            ("cross_entropy", [0, 1, 2, -1], ValueError, "from -1 to 2, wanted 0 to 2"),
            ("cross_entropy", [0.0, 1.0, 2.0, 0.0], TypeError, "float64, wanted integers"),
            ("cross_entropy", [0, 1, 2], ValueError, r"shape \(3,\), wanted \(4, 3\), or class"),
            ("cross_entropy", np.full((4, 3), 0.5), ValueError, "do not sum to 1"),
            ("cross_entropy", np.tile([1.5, -0.5, 0], (4, 1)), ValueError, "at least 0"),
            ("poisson", np.full((4, 3), -1), ValueError, "goes down to -1.0, poisson wants"),
            ("binary_cross_entropy", np.full((4, 3), 2), ValueError, "wants 0 to 1"),
            ("squared_error", np.full((4, 3), np.nan), ValueError, "Y has values that are NaN"),
            ("squared_error", np.ones(4), ValueError, r"shape \(4,\), wanted \(4, 3\)$"),
            ("squared_error", np.ones((4, 2)), ValueError, r"wanted \(4, 3\)$"),
            ("squared_error", np.full((4, 3), 1j), TypeError, "complex128, wanted real"),
            ("squared_error", np.full((4, 3), "1"), TypeError, "wanted real"),
        ],
    )
    def test_refused(self, loss, Y, error, message):
        output = {"poisson": "exp", "binary_cross_entropy": "sigmoid", "squared_error": "tanh"}
        network = self.network(output.get(loss, "softmax"), loss)
        before = network.parameters.copy()
        for call in (network.evaluate, network.fit):
            with pytest.raises(error, match=message):
                call(self.X, Y)
        assert_array_equal(network.parameters, before)

    @pytest.mark.parametrize(
        ("output", "loss", "right"),
        [
            ("identity", "binary_cross_entropy", "'sigmoid'"),
            ("relu", "cross_entropy", "'softmax'"),
            ("tanh", "poisson", "'exp' or 'softplus'"),
        ],
    )
    def test_outputs_out_of_the_domain(self, output, loss, right):
        with pytest.warns(UserWarning, match=f"{output}.*{loss}.*take {right}"):
            self.network(output, loss)

    def test_outputs_in_the_domain(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            self.network("softplus", "poisson")
            self.network("hard_sigmoid", "binary_cross_entropy")


class TestShares:
    def test_values(self):
        assert sample_shares(4) == 0.25
        assert sample_shares(0) == 0
        assert_array_equal(sample_shares(3, np.array([1.0, 0, 3])), [[0.25], [0], [0.75]])
        assert_array_equal(sample_shares(2, np.zeros(2)), [[0], [0]])
