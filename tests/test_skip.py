"""Products that pass over zeros: the numbers of the tiles, and fewer of them."""

import copy

import numpy as np
import pytest
from conftest import RTOL
from numpy.testing import assert_array_equal

import bpcore as bp
from bpcore import _cpuid, cpu, reference
from bpcore.cpu import Registers, works_in_halves

# n, n_inputs, n_outputs: few terms a sum; around vectors and panels of every level, beyond one
# piece of k or rows, nearly two of rows; rows that lie whole pages apart.
SHAPES = (
    (40, 11, 60), (8, 17, 33), (9, 64, 64), (16, 100, 100), (33, 31, 130), (64, 129, 65),
    (130, 70, 40),
    (129, 64, 40), (300, 257, 100), (40, 300, 290), (250, 40, 600), (64, 128, 128), (128, 64, 256),
    (130, 1024, 288), (470, 512, 70),
)  # fmt: skip


def mostly_zeros(rng, shape, dtype, share=0.3):
    """Return random numbers, of which so many are not 0."""
    numbers = rng.standard_normal(shape)
    return np.where(rng.random(shape) < share, numbers, 0).astype(dtype)


def layers(n_inputs, n_outputs, dtype, rng):
    """Return two layers with the same weights: δ of the first may hold zeros to skip."""
    skips = bp.Dense(n_inputs, n_outputs, "relu", dtype=dtype)
    tiles = bp.Dense(n_inputs, n_outputs, "identity", dtype=dtype)
    skips.W[...] = tiles.W[...] = rng.standard_normal((n_outputs, n_inputs))
    skips.b[...] = tiles.b[...] = rng.standard_normal(n_outputs) - 0.5 * n_inputs**0.5
    return skips, tiles


def assert_same_gradient(found, wanted, shape, dtype, kernels):
    """The same bits; but where the matrix unit takes the gradient if it has no zeros to skip."""
    n, n_inputs, n_outputs = shape
    if dtype == "float32" and "gradient" in kernels.in_parts(n_inputs, n_outputs, n):
        assert np.abs(found - wanted).max() < RTOL["product"][dtype] * n * np.abs(wanted).max()
    else:
        assert_array_equal(found, wanted)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_numbers_of_the_tiles(kernels, dtype, shape, rng):
    """The same bits; and against float64, so that not both are wrong."""
    n, n_inputs, n_outputs = shape
    skips, tiles = layers(n_inputs, n_outputs, dtype, rng)
    x = mostly_zeros(rng, (n, n_inputs), dtype)
    da = rng.standard_normal((n, n_outputs)).astype(dtype)
    a = skips.forward(x)
    # Behind a layer that leaves x as it is, and has no zeros in general, tiles take x.
    same = bp.Dense(n_inputs, n_inputs, "identity", dtype=dtype)
    same.W[...], same.b[...] = np.eye(n_inputs), 0
    net = bp.Network([same, tiles], loss="squared_error", dtype=dtype)
    assert_array_equal(skips.z, net.forward(x))
    assert 0.05 < (a > 0).mean() < 0.6

    dx = skips.backward(da)
    assert_array_equal(dx, net.backpropagate(skips.delta))
    assert_same_gradient(skips.dW, net.layers[1].dW, shape, dtype, kernels)
    assert_array_equal(skips.db, net.layers[1].db)

    X, W, D = (array.astype(np.float64) for array in (x, skips.W, np.where(a > 0, da, 0)))
    for found, left, right in ((skips.z - skips.b, X, W.T), (dx, D, W), (skips.dW, D.T, X)):
        error = np.abs(found - left @ right) / (np.abs(left) @ np.abs(right) + n_inputs**0.5 + 4)
        assert error.max() < 2 * RTOL["product"][dtype]


def test_zeros_are_passed_over(level, dtype, rng):
    """Nobody meets what only zeros would be multiplied by: not Inf, of which the product is NaN."""
    n, n_inputs, n_outputs = 64, 72, 144
    layer, _ = layers(n_inputs, n_outputs, dtype, rng)
    x = mostly_zeros(rng, (n, n_inputs), dtype)
    x[:, 7] = 0
    layer.W[:, 7] = np.inf
    assert np.isfinite(layer.forward(x)).all()

    layer.W[:, 7] = 0
    layer.b[11] = -1e6
    layer.forward(x)
    layer.W[11] = np.inf  # δ of unit 11 is 0
    assert np.isfinite(layer.backward(rng.standard_normal((n, n_outputs)))).all()
    layer.W[11] = 0

    da = rng.standard_normal((n, n_outputs)).astype(dtype)
    da[5] = 0
    layer.forward(x)
    layer.a_in[5] = np.inf
    layer.backward(da)
    assert np.isfinite(layer.dW).all()


@pytest.mark.parametrize("shape", [(64, 150, 144), (70, 64, 61), (300, 257, 100)])
def test_a_gradient_passes_over_its_input_s_zeros(kernels, dtype, shape, rng):
    """Where a_in has zeros and δ has none: the bits of the tiles; Inf of δ may meet zeros."""
    n, n_inputs, n_outputs = shape
    skips = bp.Dense(n_inputs, n_outputs, "selu", dtype=dtype, rng=rng)
    skips.b[...] = 100  # σ' = 1.05
    x = mostly_zeros(rng, (n, n_inputs), dtype, share=0.1)
    x[5] = 0
    da = rng.standard_normal((n, n_outputs)).astype(dtype)
    skips.forward(x)
    skips.backward(da)
    dW = skips.dW.copy()
    same = bp.Dense(n_inputs, n_inputs, "identity", dtype=dtype)
    same.W[...], same.b[...] = np.eye(n_inputs), 0
    net = bp.Network([same, copy.deepcopy(skips)], loss="squared_error", dtype=dtype)
    net.forward(x)
    net.backpropagate(da)
    assert_same_gradient(dW, net.layers[1].dW, shape, dtype, kernels)

    da[5] = np.finfo(dtype).max
    skips.backward(da)
    assert np.isposinf(skips.delta[5]).all()
    assert_array_equal(skips.dW, dW)


def test_nan_is_no_zero(level, dtype, rng):
    net = bp.mlp((20, 72, 40), "relu", "identity", dtype=dtype, rng=rng)
    net.layers[0].b[...] = -1000
    X = rng.standard_normal((64, 20))
    assert np.isfinite(net.forward(X)).all()
    net.layers[0].b[7] = np.nan
    assert np.isnan(net.forward(X)).all()


def test_dense_numbers_take_the_tiles(level, dtype, rng):
    """Where few are zero, tiles are faster: there 0 is multiplied like any number."""
    layer, _ = layers(40, 72, dtype, rng)
    x = mostly_zeros(rng, (64, 40), dtype, share=0.95)
    x[:, 7] = 0
    layer.W[:, 7] = np.inf
    assert np.isnan(layer.forward(x)).all()


def test_what_a_look_found_holds_for_seven_products_more(level, dtype, rng):
    """After dense numbers no zeros of sparse ones are passed over, and the other way round."""
    layer, _ = layers(40, 72, dtype, rng)
    layer.W[:, 7] = np.inf
    few, many = (mostly_zeros(rng, (64, 40), dtype, share=share) for share in (0.2, 0.95))
    few[:, 7] = many[:, 7] = 0
    passed_over = [np.isfinite(layer.forward(x)).all() for x in (many, *[few] * 12, *[many] * 5)]
    assert passed_over == [False] * 8 + [True] * 8 + [False] * 2


def test_a_processor_that_works_in_halves_passes_over_more(level, kernels, dtype, rng):
    """With AVX-512, where six tenths of X are not 0; no other level has such vectors."""
    x = mostly_zeros(rng, (64, 64), dtype, share=0.6)
    x[:, 7] = 0
    passed_over = {}
    try:
        for halves in (False, True):
            kernels.work_in_halves(halves)
            layer, _ = layers(64, 64, dtype, rng)
            layer.W[:, 7] = np.inf
            passed_over[halves] = bool(np.isfinite(layer.forward(x)).all())
    finally:
        registers = Registers(*_cpuid.registers())
        kernels.work_in_halves(kernels is cpu.kernels and works_in_halves(registers))
    if level in ("x86_v4", "x86_amx"):
        assert passed_over == {False: False, True: True}
    else:
        assert passed_over[False] == passed_over[True]


@pytest.mark.parametrize("optimizer", [bp.SGD(0.01), bp.Adam(0.01)], ids=["sgd", "adam"])
def test_training_takes_the_same_steps(level, dtype, optimizer, rng):
    """A run of a ReLU network, whose products skip, is the reference's, where nothing does."""
    sizes = (24, 70, 50, 3)
    net = bp.mlp(sizes, "relu", "softmax", "cross_entropy", dtype=dtype, rng=0)
    plain = reference.mlp(sizes, "relu", "softmax", "cross_entropy", dtype="float64", rng=0)
    plain.parameters[...] = net.parameters
    X, y = mostly_zeros(rng, (90, sizes[0]), dtype), rng.integers(3, size=90)
    given = {"epochs": 10, "batch_size": 45, "shuffle": False}
    history = net.fit(X, y, optimizer=copy.deepcopy(optimizer), **given)
    wanted = plain.fit(X.astype("float64"), y, optimizer=copy.deepcopy(optimizer), **given)
    assert np.allclose(history.loss, wanted.loss, rtol=RTOL["training"][dtype], atol=0)
