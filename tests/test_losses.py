"""Every loss: C and ∂C/∂a against the formula in Python's numbers, extremes, labels, domains."""

import math
import warnings

import numpy as np
import pytest
from conftest import RTOL
from helpers import numerical_gradient, relative_error, targets_for
from numpy.testing import assert_allclose, assert_array_equal

import bpcore as bp


def xlogy(x, y):
    """x log y, and 0 log y = 0."""
    return x * math.log(y) if x else 0.0


def sign(e):
    return (e > 0) - (e < 0)


# One output's part of C of a sample of K outputs, and its derivative with respect to a.
ONE_OUTPUT = {
    "squared_error": (lambda a, y, K: (a - y) ** 2, lambda a, y, K: 2 * (a - y)),
    "mean_squared_error": (lambda a, y, K: (a - y) ** 2 / K, lambda a, y, K: 2 * (a - y) / K),
    "mean_absolute_error": (lambda a, y, K: abs(a - y) / K, lambda a, y, K: sign(a - y) / K),
    "huber": (
        lambda a, y, K: (a - y) ** 2 / 2 if abs(a - y) <= 1 else abs(a - y) - 0.5,
        lambda a, y, K: min(max(a - y, -1), 1),
    ),
    "poisson": (lambda a, y, K: xlogy(y, y / a) - y + a, lambda a, y, K: 1 - y / a),
    "binary_cross_entropy": (
        lambda a, y, K: -xlogy(y, a) - xlogy(1 - y, 1 - a),
        lambda a, y, K: (a - y) / (a * (1 - a)),
    ),
    "cross_entropy": (lambda a, y, K: -xlogy(y, a), lambda a, y, K: -y / a),
}
FUSED = {"cross_entropy": "softmax", "binary_cross_entropy": "sigmoid"}
IN_DOMAIN = {
    "binary_cross_entropy": {"sigmoid", "hard_sigmoid", "softmax"},
    "cross_entropy": {"sigmoid", "hard_sigmoid", "softmax"},
    "poisson": {"sigmoid", "hard_sigmoid", "softmax", "exp", "softplus", "relu"},
}


def quiet_network(layers, loss):
    """Return a network without the warning about outputs out of the loss's domain."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return bp.Network(layers, loss)


def passing_on(loss, width, dtype, activation="identity"):
    """Return a network whose z is its input."""
    layer = bp.Dense(width, width, activation, weight_initializer=np.eye(width), dtype=dtype)
    return quiet_network([layer], loss)


def at(loss, a, y, dtype, sample_weight=None):
    """Return C and ∂C/∂a at these outputs and targets."""
    a = np.asarray(a, dtype)
    net = passing_on(loss, a.shape[-1], dtype)
    assert_array_equal(net.forward(a), a)
    C = net.backward(y, sample_weight)
    assert net.evaluate(a, y, sample_weight) == C
    assert net.layers[0].da.dtype == dtype
    return C, net.layers[0].da


def by_hand(loss, a, y, weight=None):
    """Return C and ∂C/∂a from the formulas, sample by sample and output by output."""
    C_of, da_of = ONE_OUTPUT[loss]
    n, K = len(a), len(a[0])
    weight = [1.0] * n if weight is None else weight
    share = [w / sum(weight) for w in weight]
    C = math.fsum(share[i] * C_of(a[i][k], y[i][k], K) for i in range(n) for k in range(K))
    return C, [[share[i] * da_of(a[i][k], y[i][k], K) for k in range(K)] for i in range(n)]


def outputs_and_targets(loss, n, K, rng, dtype):
    y = targets_for(loss, n, K, rng).astype(dtype)
    if loss in ("poisson", "cross_entropy", "binary_cross_entropy"):
        return rng.uniform(0.05, 0.95, (n, K)).astype(dtype), y
    return (y + rng.choice([-3, -1.5, -0.5, 0.25, 0.75, 2], (n, K))).astype(dtype), y


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n", "K"), [(1, 1), (1, 4), (3, 1), (6, 5)])
@pytest.mark.parametrize("loss", bp.LOSSES)
def test_formula(loss, n, K, weighted, dtype, level, rng):
    a, y = outputs_and_targets(loss, n, K, rng, dtype)
    weight = rng.uniform(0.5, 3, n).astype(dtype) if weighted else None
    C, da = at(loss, a, y, dtype, weight)
    wanted = by_hand(loss, a.tolist(), y.tolist(), None if weight is None else weight.tolist())
    assert C == pytest.approx(wanted[0], rel=RTOL["formula"][dtype])
    assert_allclose(da, wanted[1], rtol=RTOL["formula"][dtype])


# Rows that share vectors, end in parts of them or fill several; more rows than are added up at a
# time, and rows that are wider.
SIZES = [(70, 1), (17, 2), (150, 2), (33, 3), (65, 4), (1, 6), (19, 7), (130, 8), (40, 9), (21, 17)]
SIZES += [(18, 1100)]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n", "K"), SIZES)
@pytest.mark.parametrize("loss", bp.LOSSES)
def test_many_rows(loss, n, K, weighted, dtype, level, rng):
    a, y = outputs_and_targets(loss, n, K, rng, dtype)
    weight = rng.uniform(0.5, 3, n).astype(dtype) if weighted else None
    C, da = at(loss, a, y, dtype, weight)
    wanted = by_hand(loss, a.tolist(), y.tolist(), None if weight is None else weight.tolist())
    assert C == pytest.approx(wanted[0], rel=RTOL["formula"][dtype])
    assert relative_error(da, np.array(wanted[1])) < RTOL["formula"][dtype]


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize(("n", "K"), SIZES)
@pytest.mark.parametrize(("loss", "output"), FUSED.items())
def test_many_fused_rows(loss, output, n, K, labelled, dtype, level, rng):
    z = rng.normal(size=(n, K)).astype(dtype)
    labels = rng.integers(0, K, n)
    y = np.eye(K)[labels] if labelled else targets_for(loss, n, K, rng).astype(dtype)
    net = passing_on(loss, K, dtype, output)
    a = net.forward(z)
    C = net.backward(labels if labelled and output == "softmax" else y)
    exact = np.exp(z.astype(np.float64))
    exact = exact / exact.sum(axis=1, keepdims=True) if output == "softmax" else exact / (1 + exact)
    wanted = by_hand(loss, exact.tolist(), y.tolist())[0]
    assert C == pytest.approx(wanted, rel=RTOL["formula"][dtype], abs=RTOL["formula"][dtype])
    assert_allclose(net.layers[0].delta, (a - y) / n, rtol=0, atol=RTOL["formula"][dtype])


@pytest.mark.parametrize(
    ("loss", "a", "y", "C", "da"),
    [
        ("squared_error", [3, 1], [1, 2], 5, [4, -2]),
        ("mean_squared_error", [3, 1], [1, 2], 2.5, [2, -1]),
        ("mean_absolute_error", [3, 1, 1, 0], [1, 2, 1, 0], 0.75, [0.25, -0.25, 0, 0]),
        ("huber", [3, 1, 1, 2], [1, 2.5, 1.25, 1], 3.03125, [1, -1, -0.25, 1]),
        ("poisson", [4, 0.5], [1, 0], 3.5 - math.log(4), [0.75, 1]),
        ("binary_cross_entropy", [0.25, 0.25], [1, 0], math.log(16 / 3), [-4, 4 / 3]),
        ("cross_entropy", [0.25, 0.75], [1, 0], math.log(4), [-4, 0]),
    ],
)
def test_numbers(loss, a, y, C, da, dtype, level):
    """Straight from a sheet of paper."""
    found = at(loss, [a], [y], dtype)
    assert found[0] == pytest.approx(C, rel=RTOL["formula"][dtype])
    assert_allclose(found[1], [da], rtol=RTOL["formula"][dtype])


@pytest.mark.parametrize("n", [1, 5])
@pytest.mark.parametrize(("loss", "output"), FUSED.items())
def test_fused(loss, output, n, dtype, level, rng):
    """With the fused output δ = (a - y) s, C is what the formula gives, and da is kept too."""
    z, y = rng.normal(size=(n, 4)).astype(dtype), targets_for(loss, n, 4, rng).astype(dtype)
    weight = rng.uniform(0.5, 3, n).astype(dtype)
    net = passing_on(loss, 4, dtype, output)
    a = net.forward(z)
    C = net.backward(y, weight)
    exact = np.exp(z.astype(np.float64))
    exact = exact / exact.sum(axis=1, keepdims=True) if output == "softmax" else exact / (1 + exact)
    wanted = by_hand(loss, exact.tolist(), y.tolist(), weight.tolist())
    share = (weight / weight.sum())[:, np.newaxis]
    layer = net.layers[0]
    assert C == pytest.approx(wanted[0], rel=RTOL["formula"][dtype])
    assert_allclose(layer.delta, (exact - y) * share, rtol=0, atol=RTOL["formula"][dtype])
    assert relative_error(layer.da, wanted[1]) < RTOL["pass"][dtype]
    assert net.evaluate(z, y, weight) == pytest.approx(C, rel=RTOL["formula"][dtype])
    # The long way round gives the same delta.
    net.backpropagate(layer.da)
    assert_allclose(layer.delta, (a - y) * share, rtol=0, atol=RTOL["pass"][dtype])


@pytest.mark.parametrize("loss", bp.LOSSES)
def test_da_is_the_slope_of_C(loss, level, rng):
    a, y = outputs_and_targets(loss, 3, 4, rng, "float64")
    net = passing_on(loss, 4, "float64")
    net.forward(a)
    net.backward(y)
    wanted = numerical_gradient(lambda a: net.evaluate(a, y), a, 2e-4)
    assert relative_error(net.layers[0].da, wanted) < RTOL["gradient"]["float64"]


@pytest.mark.parametrize("n", [1, 90, 97, 192, 500])
@pytest.mark.parametrize("loss", [*bp.LOSSES, "labels"])
def test_evaluate_is_the_loss_of_backward(loss, n, dtype, level, rng):
    """However many samples evaluate takes through the layers at a time."""
    name = "cross_entropy" if loss == "labels" else loss
    output = {"poisson": "exp", **FUSED}.get(name, "tanh")
    net = bp.mlp([3, 5, 2], "tanh", output, name, dtype=dtype, rng=rng)
    X = rng.normal(size=(n, 3))
    Y = rng.integers(0, 2, n) if loss == "labels" else targets_for(name, n, 2, rng)
    weight = rng.uniform(0, 1, n) * np.linspace(1, 3, n)
    net.forward(X)
    for w in (None, weight):
        C = net.backward(Y, w)
        assert net.evaluate(X, Y, w) == pytest.approx(C, rel=RTOL["formula"][dtype])
        assert C == pytest.approx(wanted_mean(net, X, Y, w), rel=RTOL["formula"][dtype])


def wanted_mean(net, X, Y, weight):
    """Return the mean, by their weights, of the losses that the samples have one by one."""
    each = [net.evaluate(x, y) for x, y in zip(X, Y, strict=True)]
    return np.average(each, weights=weight)


class TestExtremes:
    @pytest.mark.parametrize("scale", [1.0, 1e4])
    def test_softmax_logits(self, scale, dtype, level):
        z = np.array([[30, -30, 0]]) * scale
        net = passing_on("cross_entropy", 3, dtype, "softmax")
        for label, wanted in ((1, 60 * scale), (2, 30 * scale)):
            net.forward(z)
            assert net.backward([label]) == pytest.approx(wanted, rel=RTOL["formula"][dtype])
            assert_allclose(net.layers[0].delta, np.eye(3)[[0]] - np.eye(3)[[label]], atol=1e-12)
            # A label's C is taken from a, a row's from z.
            assert net.evaluate(z, np.eye(3)[[label]]) == pytest.approx(
                net.evaluate(z, [label]), rel=RTOL["formula"][dtype]
            )
        net.forward(z)
        assert 0 <= net.backward([0]) < 1e-12
        assert np.isfinite(net.layers[0].da).all()

    @pytest.mark.parametrize("K", [5, 9, 40])
    def test_the_largest_logit_stands_anywhere(self, K, dtype, level):
        """All the others' a have underflowed."""
        net = passing_on("cross_entropy", K, dtype, "softmax")
        z = 1e4 * np.eye(K)
        labels = (np.arange(K) + 1) % K
        for Y in (labels, np.eye(K)[labels]):
            assert net.evaluate(z, Y) == pytest.approx(1e4, rel=RTOL["formula"][dtype])

    @pytest.mark.parametrize("scale", [1.0, 1e4, 1e30])
    def test_sigmoid_logits(self, scale, dtype, level):
        z = np.array([[40, -40, 0]]) * scale
        net = passing_on("binary_cross_entropy", 3, dtype, "sigmoid")
        net.forward(z)
        C = net.backward([[0, 1, 1]])
        assert C == pytest.approx(80 * scale + math.log(2), rel=RTOL["formula"][dtype])
        assert_allclose(net.layers[0].delta, [[1, -1, -0.5]], atol=1e-12)
        assert np.isfinite(net.layers[0].da).all()

    @pytest.mark.parametrize("z", [1, 4, 10, 15, 30, 80])
    def test_small_costs_keep_their_digits(self, z, dtype, level):
        """C = log(1 + e^-z) where y = 1, and where y = 0 and z is negative."""
        net = passing_on("binary_cross_entropy", 1, dtype, "sigmoid")
        wanted = math.log1p(math.exp(-z))
        wanted = pytest.approx(wanted, rel=RTOL["formula"][dtype], abs=0)
        assert net.evaluate([z], [1]) == wanted
        assert net.evaluate([-z], [0]) == wanted

    @pytest.mark.parametrize("loss", bp.LOSSES)
    def test_ends_of_the_domain_stay_finite(self, loss, dtype, level):
        info = np.finfo(dtype)
        a = [[0, 1, info.tiny / 2, info.tiny, 1 - info.epsneg, 1 + info.eps, -1, 2]]
        for k in (0, 1):
            y = np.eye(8)[[k]] if loss == "cross_entropy" else np.full((1, 8), float(k))
            C, da = at(loss, a, y, dtype)
            assert math.isfinite(C)
            assert np.isfinite(da).all()

    def test_logarithms_end_at_tiny(self, dtype, level):
        """log max(a, tiny), whose derivative is 0 below tiny and 1/a at it."""
        info = np.finfo(dtype)
        tiny, log = float(info.tiny), math.log(info.tiny)
        below, at_it = [[tiny / 2, -1.0]], [[tiny, 0.5]]
        C, da = at("poisson", below, [[1, 1]], dtype)
        assert C == pytest.approx(-2 * log - 2 + tiny / 2 - 1, rel=RTOL["formula"][dtype])
        assert_array_equal(da, [[1, 1]])
        assert_allclose(at("poisson", at_it, [[1, 0]], dtype)[1], [[1 - 1 / tiny, 1]], rtol=1e-6)
        C, da = at("cross_entropy", below, [[0.5, 0.5]], dtype)
        assert C == pytest.approx(-log, rel=RTOL["formula"][dtype])
        assert_array_equal(da, [[0, 0]])
        assert_allclose(at("cross_entropy", at_it, [[1, 0]], dtype)[1], [[-1 / tiny, 0]])
        C, da = at("binary_cross_entropy", [[0, 1]], [[1, 0]], dtype)
        assert C == pytest.approx(-2 * log, rel=RTOL["formula"][dtype])
        assert_array_equal(da, [[0, 0]])
        C, da = at("binary_cross_entropy", [[-1, 2]], [[1, 0]], dtype)
        assert C == pytest.approx(-2 * log, rel=RTOL["formula"][dtype])
        assert_array_equal(da, [[0, 0]])

    def test_counts_of_zero(self, dtype, level):
        """0 log 0 = 0."""
        C, da = at("poisson", [[0.5, 2]], [[0, 0]], dtype)
        assert pytest.approx(2.5) == C
        assert_array_equal(da, [[1, 1]])

    def test_a_sample_of_no_weight_counts_for_nothing(self, dtype, level):
        """Even if its loss is beyond all numbers."""
        net = passing_on("squared_error", 1, dtype)
        big = np.finfo(dtype).max
        net.forward([[1], [big]])
        assert net.backward([[0], [-big]], [2, 0]) == 1
        assert_array_equal(net.layers[0].da[0], [2])


class TestTargets:
    X = np.array([[0.5, -1.0], [2.0, 0.0], [1.0, 1.0], [0.0, 3.0]])

    @pytest.mark.parametrize("kind", ["int64", "int8", "uint8", "int16", ">i4", "uint64", "list"])
    @pytest.mark.parametrize("output", ["softmax", "sigmoid"])
    def test_labels_are_one_hot_rows(self, output, kind, dtype, level):
        net = bp.Network([bp.Dense(2, 3, output, dtype=dtype, rng=0)], "cross_entropy")
        labels = [2, 0, 1, 2] if kind == "list" else np.array([2, 0, 1, 2], kind)
        rows = np.eye(3)[[2, 0, 1, 2]]
        weight = [1, 2, 0, 1]
        for w in (None, weight):
            net.forward(self.X)
            C, gradient, da = net.backward(labels, w), net.gradient.copy(), net.layers[0].da
            assert net.backward(rows, w) == pytest.approx(C, rel=RTOL["formula"][dtype])
            assert_allclose(net.gradient, gradient, rtol=RTOL["formula"][dtype], atol=1e-7)
            assert_allclose(net.layers[0].da, da, rtol=RTOL["formula"][dtype])
            assert net.evaluate(self.X, labels, w) == pytest.approx(C, rel=RTOL["formula"][dtype])
        net.forward(self.X[1])
        assert (
            net.backward(0) == net.backward(np.int32(0)) == pytest.approx(net.backward([1, 0, 0]))
        )

    @pytest.mark.parametrize("loss", [name for name in bp.LOSSES if name != "cross_entropy"])
    def test_flat_y_for_one_output(self, loss, dtype, level):
        net = quiet_network([bp.Dense(2, 1, "sigmoid", dtype=dtype, rng=0)], loss)
        y = np.array([0.25, 0.5, 0.75, 1])
        assert net.evaluate(self.X, y) == net.evaluate(self.X, y[:, np.newaxis])
        assert net.evaluate(self.X[0], 0.25) == net.evaluate(self.X[0], [0.25])

    def test_weights_are_repetitions(self, dtype, level):
        net = bp.mlp([2, 3], dtype=dtype, rng=0)
        Y = np.arange(12).reshape(4, 3)
        rows = [0, 2, 2, 3, 3, 3]
        weighted = net.evaluate(self.X, Y, [1, 0, 2, 3])
        wanted = net.evaluate(self.X[rows], Y[rows])
        assert weighted == pytest.approx(wanted, rel=RTOL["formula"][dtype])


class TestDomains:
    @pytest.mark.parametrize("output", bp.ACTIVATIONS)
    @pytest.mark.parametrize("loss", bp.LOSSES)
    def test_warning_names_the_right_activation(self, loss, output):
        layers = [bp.Dense(2, 3, output, rng=0)]
        if output in IN_DOMAIN.get(loss, bp.ACTIVATIONS):
            bp.Network(layers, loss)  # a warning would be an error
            return
        preferred = {"poisson": "exp"}.get(loss) or FUSED[loss]
        with pytest.warns(UserWarning, match=rf"{loss} wants .*'{output}'.*use '{preferred}'") as w:
            bp.Network(layers, loss)
        assert w[0].filename == __file__

    def test_a_callable_has_no_domain(self):
        bp.Network([bp.Dense(2, 3, "identity")], lambda a, y: (0.0, a - y))

    @pytest.mark.parametrize(
        ("loss", "output", "Y", "error", "message"),
        [
            ("cross_entropy", "softmax", [0, 1, 2, 3], ValueError, "class index 3, wanted 0 to 2"),
            ("cross_entropy", "softmax", [0, 1, 2, -1], ValueError, "class index -1, wanted 0 to"),
            ("cross_entropy", "softmax", [0.0, 1.0, 2.0, 0.0], TypeError, "class indices"),
            ("cross_entropy", "softmax", [0, 1, 2], ValueError, r"shape \(3,\), wanted \(4, 3\)"),
            ("cross_entropy", "softmax", [[0.5] * 3] * 4, ValueError, "row 0 of Y sums to 1.5"),
            ("cross_entropy", "softmax", [[1.5, -0.5, 0]] * 4, ValueError, "Y holds -0.5, cross"),
            ("poisson", "exp", [[-1.0] * 3] * 4, ValueError, "Y holds -1.0, poisson wants"),
            ("binary_cross_entropy", "sigmoid", [[2.0] * 3] * 4, ValueError, "Y holds 2.0, binary"),
            ("binary_cross_entropy", "sigmoid", [[-1.0] * 3] * 4, ValueError, "Y holds -1.0, bin"),
            ("squared_error", "tanh", [[np.nan] * 3] * 4, ValueError, "Y holds nan at index"),
            ("squared_error", "tanh", [1.0] * 4, ValueError, r"shape \(4,\), wanted \(4, 3\)"),
        ],
    )
    def test_targets_out_of_it_are_refused(self, loss, output, Y, error, message, level):
        net = bp.Network([bp.Dense(2, 3, output, rng=0)], loss)
        before = net.parameters.copy()
        net.forward(TestTargets.X)
        for call in (
            lambda: net.backward(Y),
            lambda: net.evaluate(TestTargets.X, Y),
            lambda: net.fit(TestTargets.X, Y),
            lambda: bp.Trainer(net).step(TestTargets.X, Y),
        ):
            with pytest.raises(error, match=message):
                call()
        assert_array_equal(net.parameters, before)
        assert_array_equal(net.gradient, 0)
