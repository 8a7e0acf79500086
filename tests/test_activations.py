"""Every activation and its derivative, in units in the last place, over all exponents.

float32 is held against float64 of NumPy and SciPy, float64 against `decimal` with 60 digits. Points
go in through Dense(1, 1) with W = 1 and b = 0, so that z is exactly what is given.
"""

import math
from decimal import MAX_EMAX, MIN_EMIN, Decimal, localcontext
from functools import cache

import numpy as np
import pytest
from conftest import RTOL
from helpers import numerical_gradient, relative_error
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special

import bpcore as bp

LAMBDA, ALPHA = "1.0507009873554805", "1.6732632423543772"
ELEMENTWISE = tuple(name for name in bp.ACTIVATIONS if name != "softmax")

# The largest errors of σ and σ', in ulp of the right result, or of an intermediate of the size that
# SIZES and SLOPE_SIZES give, if that is larger. exp itself is good to 1.1 ulp; what takes it on
# through some more operations is good to 3.
BOUNDS = {
    "sigmoid": (2.5, 3),
    "tanh": (3, 2),
    "relu": (0, 0),
    "leaky_relu": (1, 0.5),  # 0.01 is itself rounded
    "elu": (2.5, 1),
    "selu": (2.5, 2),
    "gelu": (9, 9),  # e^(-z²/2) and a quotient of polynomials of degrees 10 and 11
    "silu": (3.5, 3.5),  # sigmoid's, and the product's
    "softplus": (3, 3),
    "softsign": (2, 4),  # its derivative squares a quotient that is off by 1.5
    "hard_sigmoid": (1, 0.5),
    "exp": (1.5, 1.5),
    "identity": (0, 0),
}


def subnormal_factor(z):
    """z sigmoid(z) has no more digits than the factor that may be subnormal."""
    return np.abs(z) * np.finfo(z.dtype).tiny


def normal_slope(z):
    """Φ(z) + z φ(z) cancels near z = -0.75: |z| φ(z)."""
    with np.errstate(over="ignore"):
        return np.abs(z) * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)


SIZES = {
    "silu": subnormal_factor,
    "hard_sigmoid": lambda z: np.full_like(z, 0.5),  # z/6 + 1/2 cancels near -3
}
SLOPE_SIZES = {
    "sigmoid": special.expit,  # a (1 - a): 1 - a cancels where a comes near 1
    "tanh": np.ones_like,  # (1 - a) (1 + a) cancels on both sides
    "elu": lambda z: 1.0 * (z < 0),  # a + 1 cancels
    "selu": lambda z: 1.76 * (z < 0),  # a + λα cancels
    "gelu": normal_slope,
    "silu": lambda z: np.maximum((1 + np.abs(z)) * special.expit(z), subnormal_factor(z)),
}


# Activation: σ and σ' in float64, right to its last digits but one.
def expm1_branch(z, scale, alpha):
    return scale * np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0)))


def exp_branch(z, scale, alpha):
    return scale * np.where(z > 0, 1, alpha * np.exp(np.minimum(z, 0)))


IN_FLOAT64 = {
    "sigmoid": (special.expit, lambda z: special.expit(z) * special.expit(-z)),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0), lambda z: 1.0 * (z > 0)),
    "leaky_relu": (lambda z: np.where(z > 0, z, 0.01 * z), lambda z: np.where(z > 0, 1, 0.01)),
    "elu": (lambda z: expm1_branch(z, 1, 1), lambda z: exp_branch(z, 1, 1)),
    "selu": (
        lambda z: expm1_branch(z, float(LAMBDA), float(ALPHA)),
        lambda z: exp_branch(z, float(LAMBDA), float(ALPHA)),
    ),
    "gelu": (
        lambda z: z * special.ndtr(z),
        lambda z: special.ndtr(z) + z * np.exp(-z * z / 2) / math.sqrt(2 * math.pi),
    ),
    "silu": (
        lambda z: z * special.expit(z),
        lambda z: special.expit(z) * (1 + z * special.expit(-z)),
    ),
    "softplus": (lambda z: np.logaddexp(0, z), special.expit),
    "softsign": (lambda z: z / (1 + np.abs(z)), lambda z: (1 + np.abs(z)) ** -2.0),
    "hard_sigmoid": (
        lambda z: np.clip((z + 3) / 6, 0, 1),
        lambda z: np.where(np.abs(z) < 3, 1 / 6, 0),
    ),
    "exp": (np.exp, np.exp),
    "identity": (lambda z: z, np.ones_like),
}


# The same with 60 digits; arguments and results are Decimals.
def exp(z):
    """e^z, and beyond any float 0 or infinity."""
    return z.exp() if abs(z) < 5000 else Decimal("Infinity" if z > 0 else 0)


def expm1(z):
    return exp(z) - 1 if abs(z) > Decimal("1e-20") else z + z * z / 2


def log1p(u):
    return (1 + u).ln() if u > Decimal("1e-20") else u - u * u / 2


def logistic(z):
    return 1 / (1 + exp(-z))


def normal_pdf(z):
    """φ(z) = e^(-z²/2) / √2π."""
    return exp(-z * z / 2) / (2 * PI).sqrt()


def normal_cdf(z):
    """Φ(z) = 1/2 + φ(z) (z + z³/3 + z⁵/15 + …), or φ(z) over Laplace's continued fraction.

    M. Abramowitz & I. Stegun, Handbook of Mathematical Functions (1964), 26.2.11 and 26.2.14; 400
    terms of the latter give 50 digits from 3 on.
    """
    if z > 3:
        return 1 - normal_cdf(-z)
    if z < -3:
        fraction = -z
        for k in range(400, 0, -1):
            fraction = k / fraction - z
        return normal_pdf(z) / fraction
    term, total, k = z, z, 1
    while abs(term) > abs(total) * Decimal("1e-60"):
        k += 2
        term *= z * z / k
        total += term
    return Decimal("0.5") + normal_pdf(z) * total


PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")
SCALE, SCALED_ALPHA = Decimal(LAMBDA), Decimal(LAMBDA) * Decimal(ALPHA)
EXACT = {
    "sigmoid": (logistic, lambda z: logistic(z) * logistic(-z)),
    "tanh": (
        lambda z: -expm1(-2 * z) / (1 + exp(-2 * z)) if z > 0 else expm1(2 * z) / (1 + exp(2 * z)),
        lambda z: 4 * logistic(2 * z) * logistic(-2 * z),
    ),
    "relu": (lambda z: max(z, Decimal(0)), lambda z: Decimal(int(z > 0))),
    "leaky_relu": (lambda z: z if z > 0 else z / 100, lambda z: Decimal(1 if z > 0 else "0.01")),
    "elu": (lambda z: z if z > 0 else expm1(z), lambda z: exp(min(z, Decimal(0)))),
    "selu": (
        lambda z: SCALE * z if z > 0 else SCALED_ALPHA * expm1(z),
        lambda z: SCALE if z > 0 else SCALED_ALPHA * exp(z),
    ),
    "gelu": (lambda z: z * normal_cdf(z), lambda z: normal_cdf(z) + z * normal_pdf(z)),
    "silu": (
        lambda z: z * logistic(z),
        lambda z: logistic(z) * (1 + z * logistic(-z)),
    ),
    "softplus": (lambda z: max(z, Decimal(0)) + log1p(exp(-abs(z))), logistic),
    "softsign": (lambda z: z / (1 + abs(z)), lambda z: 1 / (1 + abs(z)) ** 2),
    "hard_sigmoid": (
        lambda z: min(max((z + 3) / 6, Decimal(0)), Decimal(1)),
        lambda z: Decimal(1) / 6 if abs(z) < 3 else Decimal(0),
    ),
    "exp": (exp, exp),
    "identity": (lambda z: z, lambda z: Decimal(1)),
}


@cache
def points(dtype):
    """Return every kind of number: all exponents, both signs, ends, kinks, the middle densely."""
    info = np.finfo(dtype)
    edges = [0, info.smallest_subnormal, info.tiny, info.eps, 0.5 * math.log(2), 1, 3, 1e30]
    edges += [np.nextafter(info.dtype.type(3), info.dtype.type(x)) for x in (0, 4)]
    edges += [88, 89, 103, 104, info.max / 4, info.max]
    if dtype == "float32":
        strided = np.arange(0, 2**32, 16411, np.uint64).astype(np.uint32).view(np.float32)
        spread = strided[np.isfinite(strided)]
    else:
        rng = np.random.default_rng(1)
        exponents = np.arange(-1074, 1024, 7)
        spread = np.concatenate([
            np.linspace(-40, 40, 401),
            rng.uniform(-6, 6, 400),
            rng.uniform(-760, 720, 100),
            np.ldexp(rng.uniform(1, 2, exponents.size), exponents)
            * rng.choice([-1, 1], exponents.size),
        ])  # fmt: skip
    return np.concatenate([np.array(edges, dtype), -np.array(edges, dtype), spread.astype(dtype)])


@cache
def right(name, dtype):
    """Return σ and σ' at `points(dtype)`, each as a float64 array and the rest that it leaves."""
    z = points(dtype)
    if dtype == "float32":
        with np.errstate(all="ignore"):
            return [(f(z.astype(np.float64)), 0.0) for f in IN_FLOAT64[name]]
    with localcontext(prec=60, Emax=MAX_EMAX, Emin=MIN_EMIN) as context:
        context.traps = dict.fromkeys(context.traps, False)
        pairs = []
        for f in EXACT[name]:
            exact = [f(Decimal(x)) for x in z.tolist()]
            nearest = np.array([float(x) for x in exact])
            rest = [float(x - Decimal(y)) if math.isfinite(y) else 0.0
                    for x, y in zip(exact, nearest.tolist(), strict=True)]  # fmt: skip
            pairs.append((nearest, np.array(rest)))
    return pairs


def check_ulps(actual, wanted, size, bound, z):
    """|actual - wanted| is at most `bound` times the spacing at max(|wanted|, size)."""
    nearest, rest = wanted
    assert not np.isnan(actual).any(), f"NaN at {z[np.isnan(actual)][:5]}"
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        rounded = nearest.astype(actual.dtype)
        finite = np.isfinite(rounded)
        assert_array_equal(actual[~finite], rounded[~finite])
        spacing = np.spacing(np.maximum(np.abs(rounded), size).astype(actual.dtype))
        error = np.abs((actual - nearest) - rest)[finite] / spacing[finite].astype(np.float64)
    worst = error.argmax()
    assert error[worst] <= bound, (
        f"{error[worst]:.3g} ulp at z = {z[finite][worst]!r}: {actual[finite][worst]!r}"
    )


def single(name, dtype, level):
    """Return Dense(1, 1) with W = 1, b = 0."""
    return bp.Dense(1, 1, name, weight_initializer=[[1]], dtype=dtype)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_forward_and_derivative(name, dtype, level):
    z = points(dtype)
    layer = single(name, dtype, level)
    a = layer.forward(z.reshape(-1, 1)).ravel()
    forward, slope = right(name, dtype)
    assert_array_equal(layer.z.ravel(), z)
    size = SIZES.get(name, np.zeros_like)(z)
    check_ulps(a, forward, size, BOUNDS[name][0], z)

    with np.errstate(over="ignore"):
        size = SLOPE_SIZES.get(name, np.zeros_like)(z)
    layer.backward(np.ones((z.size, 1)))
    check_ulps(layer.delta.ravel(), slope, size, BOUNDS[name][1], z)
    one = layer.delta
    layer.backward(np.full((z.size, 1), -2.0))
    with np.errstate(over="ignore"):
        assert_array_equal(layer.delta, -2 * one)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_derivative_is_the_slope(name, level):
    """σ' against differences of σ alone, in case both references err alike."""
    layer = single(name, "float64", level)
    z = np.array([-2.25, -0.75, 0.5, 1.75])
    layer.forward(z.reshape(-1, 1))
    layer.backward(np.ones((4, 1)))
    slope = layer.delta.ravel().copy()
    wanted = [numerical_gradient(lambda x: layer.forward([x])[0], x).item() for x in z]
    assert relative_error(slope, wanted) < RTOL["gradient"]["float64"]


@pytest.mark.parametrize(
    ("name", "z", "wanted"),
    [
        ("relu", 0, 0),
        ("leaky_relu", 0, 0.01),
        ("elu", 0, 1),
        ("selu", 0, float(LAMBDA) * float(ALPHA)),
        ("hard_sigmoid", -3, 0),
        ("hard_sigmoid", 3, 0),
    ],
)
def test_derivative_at_kinks(name, z, wanted, dtype, level):
    layer = single(name, dtype, level)
    layer.forward([z])
    layer.backward([1])
    assert_allclose(layer.delta, [wanted], rtol=RTOL["formula"][dtype])


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("sigmoid", 0, 1),
        ("tanh", -1, 1),
        ("relu", 0, np.inf),
        ("leaky_relu", -np.inf, np.inf),
        ("elu", -1, np.inf),
        ("selu", -float(LAMBDA) * float(ALPHA), np.inf),
        ("softplus", 0, np.inf),
        ("hard_sigmoid", 0, 1),
        ("exp", 0, np.inf),
        ("identity", -np.inf, np.inf),
    ],
)
def test_limits(name, low, high, dtype, level):
    """Where W a_in overflows to ±Inf, a is σ's limit."""
    layer = single(name, dtype, level)
    layer.W = [[np.finfo(dtype).max]]
    a = layer.forward([[-4.0], [4.0]])
    assert_array_equal(layer.z, [[-np.inf], [np.inf]])
    assert_allclose(a, [[low], [high]], rtol=RTOL["formula"][dtype])


@pytest.mark.parametrize("n", [1, 2, 7, 33, 260])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_an_element_does_not_depend_on_its_place(name, n, dtype, level, rng):
    """The same bits in the loop over vectors as in the elements that are left."""
    z = rng.uniform(-4, 4, n).astype(dtype)
    layer = single(name, dtype, level)
    a = layer.forward(z.reshape(-1, 1))
    layer.backward(np.ones((n, 1)))
    delta = layer.delta
    for k in {0, n // 2, n - 2, n - 1} - {-1}:
        assert layer.forward(z[k : k + 1]) == a[k]
        layer.backward([1])
        assert layer.delta == delta[k]


class TestSoftmax:
    def through(self, z, dtype):
        """Return a layer whose z and a are of these logits."""
        width = z.shape[1]
        layer = bp.Dense(width, width, "softmax", weight_initializer=np.eye(width), dtype=dtype)
        layer.forward(z)
        assert_array_equal(layer.z, z)
        return layer

    @pytest.mark.parametrize("width", [1, 2, 3, 10, 33])
    def test_values(self, width, dtype, level, rng):
        z = rng.normal(0, 3, (6, width)).astype(dtype)
        a = self.through(z, dtype).a
        for row, outputs in zip(z.tolist(), a.tolist(), strict=True):
            total = sum(math.exp(x) for x in row)
            wanted = [math.exp(x) / total for x in row]
            assert_allclose(outputs, wanted, rtol=RTOL["formula"][dtype])
        assert_allclose(a.sum(axis=1), 1, rtol=RTOL["formula"][dtype])

    @pytest.mark.parametrize("width", [1, 2, 3, 10, 33])
    def test_backward_is_the_jacobian(self, width, dtype, level, rng):
        """δ_m = Σ_k da_k ∂a_k/∂z_m, ∂a_k/∂z_m = a_k ([k = m] - a_m), written out."""
        z, da = rng.normal(size=(2, 5, width)).astype(dtype)
        layer = self.through(z, dtype)
        layer.backward(da)
        for i in range(5):
            a = [math.exp(x) for x in z[i].tolist()]
            a = [x / sum(a) for x in a]
            wanted = [
                sum(da.tolist()[i][k] * a[k] * ((k == m) - a[m]) for k in range(width))
                for m in range(width)
            ]
            assert_allclose(layer.delta[i], wanted, rtol=0, atol=RTOL["formula"][dtype])

    def test_extremes(self, dtype, level):
        top = np.finfo(dtype).max / 4
        z = np.array([[0, 1e4, -1e4], [top, -top, top], [-top, -top, -top], [90, 89, -90]], dtype)
        a = self.through(z, dtype).a
        e = math.exp(-1)
        wanted = [
            [0, 1, 0],
            [0.5, 0, 0.5],
            [1 / 3] * 3,
            [1 / (1 + e), e / (1 + e), math.exp(-180) / (1 + e)],
        ]
        assert_allclose(a, wanted, rtol=RTOL["formula"][dtype], atol=np.finfo(dtype).tiny)

    @pytest.mark.parametrize("width", [2, 7, 8, 9, 16, 17, 31, 33, 50])
    def test_the_largest_is_found_wherever_it_stands(self, width, dtype, level):
        """Without it e^z would overflow."""
        z = np.full((width, width), -1e4, dtype)
        np.fill_diagonal(z, 1e4)
        assert_array_equal(self.through(z, dtype).a, np.eye(width, dtype=dtype))

    def test_a_shift_changes_nothing(self, dtype, level):
        z = np.array([[0.5, -1.0, 2.0]], dtype)
        assert_array_equal(self.through(z + 1024, dtype).a, self.through(z, dtype).a)
