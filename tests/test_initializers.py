"""Initialisers: the law of what is drawn, the order of the draws, and what is refused."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from bpcore.initializers import INITIALIZERS, default_for, draw, draw_bias

N_IN, N_OUT = 200, 300

# Half-width of the interval, or standard deviation, for n_in = 200 and n_out = 300.
UNIFORM = {
    "glorot_uniform": math.sqrt(6 / 500),
    "he_uniform": math.sqrt(6 / 200),
    "lecun_uniform": math.sqrt(3 / 200),
}
NORMAL = {
    "glorot_normal": math.sqrt(2 / 500),
    "he_normal": math.sqrt(2 / 200),
    "lecun_normal": math.sqrt(1 / 200),
    "standard_normal": 1.0,
}


def rng(seed=0):
    return np.random.default_rng(seed)


class TestLaw:
    def test_every_name_is_checked_here(self):
        assert set(INITIALIZERS) == {*UNIFORM, *NORMAL, "zeros"}

    @pytest.mark.parametrize("name", UNIFORM)
    def test_uniform(self, name):
        W = draw(name, N_IN, N_OUT, rng(), "float64")
        limit = UNIFORM[name]
        assert W.shape == (N_OUT, N_IN)
        assert 0.999 * limit < np.abs(W).max() <= limit  # 60,000 draws come close to the edge
        # Mean and standard deviation within five standard errors.
        assert abs(W.mean()) < 5 * limit / math.sqrt(3 * W.size)
        assert W.std() == pytest.approx(limit / math.sqrt(3), rel=5 * math.sqrt(0.2 / W.size))

    @pytest.mark.parametrize("name", NORMAL)
    def test_normal(self, name):
        W = draw(name, N_IN, N_OUT, rng(), "float64")
        sd = NORMAL[name]
        assert W.shape == (N_OUT, N_IN)
        assert abs(W.mean()) < 5 * sd / math.sqrt(W.size)
        assert W.std() == pytest.approx(sd, rel=5 / math.sqrt(2 * W.size))
        assert np.mean(np.abs(W) < sd) == pytest.approx(0.6827, abs=0.01)

    def test_zeros(self):
        assert_array_equal(draw("zeros", 3, 2, rng(), "float32"), np.zeros((2, 3), np.float32))

    @pytest.mark.parametrize("name", INITIALIZERS)
    def test_bias_has_the_scale_of_the_weights(self, name):
        b = draw_bias(name, 4, 20_000, rng(), "float64")
        W = draw(name, 4, 20_000, rng(1), "float64")
        assert b.shape == (20_000,)
        assert b.std() == pytest.approx(W.std(), rel=0.05)


class TestDraws:
    @pytest.mark.parametrize("name", INITIALIZERS)
    def test_float32_is_the_rounded_float64(self, name):
        assert_array_equal(
            draw(name, 5, 7, rng(), "float32"),
            draw(name, 5, 7, rng(), "float64").astype(np.float32),
        )

    @pytest.mark.parametrize(("name", "limit"), UNIFORM.items())
    def test_uniform_stream_is_numpys(self, name, limit):
        W = draw(name, N_IN, N_OUT, rng(), "float64")
        assert_allclose(W, rng().uniform(-limit, limit, W.shape), rtol=1e-12)

    @pytest.mark.parametrize(("name", "sd"), NORMAL.items())
    def test_normal_stream_is_numpys(self, name, sd):
        W = draw(name, N_IN, N_OUT, rng(), "float64")
        assert_allclose(W, rng().normal(0, sd, W.shape), rtol=1e-12)

    @pytest.mark.parametrize("name", INITIALIZERS)
    def test_one_by_one(self, name):
        assert draw(name, 1, 1, rng(), "float64").shape == (1, 1)
        assert draw_bias(name, 1, 1, rng(), "float64").shape == (1,)

    @pytest.mark.parametrize("name", ["zeros", np.ones((2, 3))])
    def test_nothing_drawn(self, name):
        used, fresh = rng(), rng()
        draw(name, 3, 2, used, "float64")
        assert used.random() == fresh.random()

    @pytest.mark.parametrize("dtype", ["float32", "float64", np.float32, np.dtype("f8")])
    @pytest.mark.parametrize("name", INITIALIZERS)
    def test_dtype_and_memory(self, name, dtype):
        W = draw(name, 3, 2, rng(), dtype)
        assert W.dtype == np.dtype(dtype)
        assert W.flags.c_contiguous
        assert W.flags.writeable


class TestArray:
    given = np.arange(6.0).reshape(2, 3)

    @pytest.mark.parametrize(
        "array",
        [
            given,
            given.tolist(),
            given.astype(np.int8),
            given.astype(np.float16),
            given.astype(">f8"),
            np.asfortranarray(given),
            np.repeat(given, 2, axis=1)[:, ::2],
        ],
        ids=["float64", "list", "int8", "float16", "big endian", "Fortran", "strided"],
    )
    def test_values(self, array):
        W = draw(array, 3, 2, rng(), "float32")
        assert_array_equal(W, self.given.astype(np.float32))
        assert W.dtype == np.float32
        assert W.flags.c_contiguous

    def test_copied(self):
        given = np.ones((2, 3))
        draw(given, 3, 2, rng(), "float64")[...] = 0
        assert given.sum() == 6

    def test_bias(self):
        assert_array_equal(draw_bias([1, 2], 3, 2, rng(), "float64"), [1.0, 2.0])


class TestDefault:
    @pytest.mark.parametrize(
        ("activation", "name"),
        [
            ("sigmoid", "glorot_uniform"),
            ("tanh", "glorot_uniform"),
            ("relu", "he_uniform"),
            ("leaky_relu", "he_uniform"),
            ("elu", "he_uniform"),
            ("selu", "lecun_normal"),
            ("gelu", "he_uniform"),
            ("silu", "he_uniform"),
            ("softplus", "glorot_uniform"),
            ("softsign", "glorot_uniform"),
            ("hard_sigmoid", "glorot_uniform"),
            ("exp", "glorot_uniform"),
            ("identity", "glorot_uniform"),
            ("softmax", "glorot_uniform"),
        ],
    )
    def test_by_activation(self, activation, name):
        assert default_for(activation) == name

    @pytest.mark.parametrize("activation", ["Relu", "", None, 3, ["relu"]])
    def test_unknown(self, activation):
        with pytest.raises(ValueError, match=r"wanted one of .*relu"):
            default_for(activation)


class TestRefused:
    @pytest.mark.parametrize("function", [draw, draw_bias])
    def test_unknown_name(self, function):
        with pytest.raises(ValueError, match=r"'xavier', wanted one of glorot_uniform, .*array"):
            function("xavier", 3, 2, rng(), "float64")

    @pytest.mark.parametrize(("n_in", "n_out"), [(0, 2), (3, 0), (-1, 2)])
    def test_sizes(self, n_in, n_out):
        with pytest.raises(ValueError, match="wanted at least 1"):
            draw("zeros", n_in, n_out, rng(), "float64")

    @pytest.mark.parametrize("size", [2.0, "2", None, True, [2]])
    def test_sizes_that_are_no_integers(self, size):
        with pytest.raises(TypeError, match=r"n_inputs is .*, wanted an integer"):
            draw("zeros", size, 2, rng(), "float64")

    def test_product_overflows(self):
        with pytest.raises(ValueError, match="make the layer smaller"):
            draw("zeros", 2**40, 2**40, rng(), "float64")

    @pytest.mark.parametrize("dtype", ["float16", "int64", "complex64", "nonsense", None, "O"])
    def test_dtype(self, dtype):
        with pytest.raises(ValueError, match="wanted 'float32' or 'float64'"):
            draw("zeros", 3, 2, rng(), dtype)

    def test_shape(self):
        with pytest.raises(ValueError, match=r"has shape \(3, 2\), wanted \(2, 3\); transpose"):
            draw(np.ones((3, 2)), 3, 2, rng(), "float64")
        with pytest.raises(ValueError, match=r"bias_initializer has shape \(3,\), wanted \(2,\)$"):
            draw_bias(np.ones(3), 3, 2, rng(), "float64")

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_values_not_finite(self, value):
        with pytest.raises(ValueError, match="NaN or infinite"):
            draw(np.full((2, 3), value), 3, 2, rng(), "float64")

    def test_values_not_finite_in_float32(self):
        with pytest.raises(ValueError, match="NaN or infinite in float32"):
            draw(np.full((2, 3), 1e300), 3, 2, rng(), "float32")

    @pytest.mark.parametrize("dtype", ["complex128", "U3", "O", "?"])
    def test_values_not_real(self, dtype):
        with pytest.raises(TypeError, match="wanted real numbers"):
            draw(np.ones((2, 3)).astype(dtype), 3, 2, rng(), "float64")

    @pytest.mark.parametrize("not_a_generator", [0, None, np.random])
    def test_rng(self, not_a_generator):
        with pytest.raises(TypeError, match=r"numpy\.random\.Generator"):
            draw("he_normal", 3, 2, not_a_generator, "float64")
