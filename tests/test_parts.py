"""Products on the matrix unit, whose float32 numbers are sums of three bfloat16 parts."""

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import LEVELS, RTOL, kernels_of, use_level
from numpy.testing import assert_array_equal

import bpcore as bp

LEVEL = "x86_amx"
# Elsewhere there is nothing to test: the functions of this level are empty in the others, whose own
# products test_affine and test_skip test. It runs wherever CI finds a processor with AMX.
pytestmark = pytest.mark.skipif(LEVEL not in LEVELS, reason="no AMX here, or not built")

# n, n_inputs, n_outputs: around strips of 16, pairs of them, 32 k, and beyond what is packed at a
# time: 128 or 512 k, 256 rows.
SHAPES = (
    (128, 128, 128), (130, 161, 143), (257, 130, 260), (300, 600, 150), (131, 1040, 290),
    (159, 513, 127), (512, 140, 270), (111, 257, 300), (1100, 134, 158),
)  # fmt: skip


@pytest.fixture
def level(monkeypatch):
    """This one level."""
    use_level(LEVEL, monkeypatch)
    return LEVEL


def products(level, X, W, b, delta):
    """Return z, ∂C/∂a_in and ∂C/∂W of a layer of this level."""
    dW, db = np.empty_like(W), np.empty_like(b)
    kernels = kernels_of(level)
    layer = kernels.Layer(kernels.ACTIVATIONS["identity"], W, b, dW, db)
    return layer.forward(X), layer.backward(delta), dW


@pytest.mark.parametrize("shape", SHAPES)
def test_nearer_to_the_sum_than_float32_products(shape, rng):
    """Than NumPy's, whose products are rounded as multiply-adds are."""
    n, n_inputs, n_outputs = shape
    names = kernels_of(LEVEL).in_parts(n_inputs, n_outputs, n)
    assert "backward" in names
    X, W, delta = numbers = [
        rng.standard_normal(s).astype("float32")
        for s in ((n, n_inputs), (n_outputs, n_inputs), (n, n_outputs))
    ]
    plain = (X @ W.T, delta @ W, delta.T @ X)
    found = products(LEVEL, X, W, np.zeros(n_outputs, "float32"), delta)
    X, W, delta = (array.astype("float64") for array in numbers)
    exact = (X @ W.T, delta @ W, delta.T @ X)
    magnitudes = (np.abs(X) @ np.abs(W).T, np.abs(delta) @ np.abs(W), np.abs(delta.T) @ np.abs(X))
    for name, ours, theirs, wanted, size in zip(
        ("forward", "backward", "gradient"), found, plain, exact, magnitudes, strict=True
    ):
        error = np.abs(ours - wanted) / size
        assert error.max() < RTOL["product"]["float32"], name
        if name in names:
            assert (error**2).mean() < (((theirs - wanted) / size) ** 2).mean(), name


def test_three_parts_are_the_whole_number(level, rng):
    """Times 1 every number comes out as it went in, with all of its 24 bits."""
    layer = bp.Dense(192, 192, "identity")
    layer.W[...], layer.b[...] = np.eye(192), 0
    sizes = np.exp2(rng.integers(-100, 127, (160, 192)))
    X = (sizes * rng.uniform(1, 2, (160, 192)) * rng.choice([-1, 1], (160, 192))).astype("float32")
    X[0, :4] = 1, -1 + 2**-24, 2 - 2**-23, 1 + 2**-8 + 2**-16
    X[1, :3] = 0, -0.0, 3.39e38
    assert kernels_of(level).in_parts(192, 192, 160) == {"forward", "backward", "gradient"}
    assert_array_equal(layer.forward(X), X)
    assert_array_equal(layer.backward(X), X)


def test_a_product_is_as_if_rounded_once(level, rng):
    """What the parts leave out of one product is far below its rounding, and has no sign."""
    layer = bp.Dense(192, 192, "identity")
    weights = rng.uniform(1, 2, 192).astype("float32")
    layer.W[...], layer.b[...] = np.diag(weights), 0
    X = rng.uniform(1, 2, (160, 192)).astype("float32")
    exact = X.astype("float64") * weights
    error, rounding = layer.forward(X) / exact - 1, (X * weights) / exact - 1
    # 2^-27 beside the rounding's 2.5e-8, their squares added up: 4 %.
    assert np.sqrt((error**2).mean()) < 1.05 * np.sqrt((rounding**2).mean())
    assert abs(error.mean()) < 1e-9


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_in_its_column(level, bad, rng):
    net = bp.mlp((140, 150, 160), "tanh", rng=rng)
    X = rng.standard_normal((200, 140)).astype("float32")
    net.layers[0].b[17] = bad  # whose tanh is 1, unless it is NaN
    net.layers[1].W[5, 3] = bad
    found = net.predict(X)
    assert not np.isfinite(found[:, 5]).any()
    assert np.isfinite(np.delete(found, 5, axis=1)).all() == np.isinf(bad)


@pytest.mark.parametrize("optimizer", [bp.SGD(0.01), bp.Adam(0.001)], ids=["sgd", "adam"])
@pytest.mark.parametrize("batch_size", [200, 530, 1300], ids=["block", "blocks", "slices"])
def test_the_bits_do_not_depend_on_the_threads(level, optimizer, batch_size, rng):
    sizes = (130, 200, 150, 10)
    X, y = rng.standard_normal((1300, 130)), rng.integers(10, size=1300)
    runs = []
    for n_threads in (1, 2, 3, 5):
        net = bp.mlp(sizes, "relu", "softmax", "cross_entropy", rng=0)
        trainer = bp.Trainer(net, copy.deepcopy(optimizer), batch_size, n_threads=n_threads, rng=0)
        history = trainer.run(X, y, epochs=3)
        runs.append((net.parameters.copy(), history.loss))
    for parameters, loss in runs[1:]:
        assert_array_equal(parameters, runs[0][0])
        assert loss == runs[0][1]


@pytest.mark.parametrize("hidden", ["tanh", "relu"])
def test_training_is_float64_s(level, hidden, rng):
    """In blocks and slices, with a gradient that adds up."""
    X, Y = rng.standard_normal((1300, 70)), rng.standard_normal((1300, 40))
    nets = {d: bp.mlp((70, 180, 160, 40), hidden, dtype=d, rng=0) for d in ("float32", "float64")}
    nets["float64"].parameters[...] = nets["float32"].parameters
    start = nets["float64"].parameters.copy()
    assert kernels_of(level).in_parts(180, 160, 650) == {"forward", "backward", "gradient"}
    for net in nets.values():
        bp.Trainer(net, bp.SGD(0.05), None, shuffle=False).run(X, Y, epochs=5)
    way = nets["float64"].parameters - start
    # 6e-7 at every other level, too.
    error = np.linalg.norm(nets["float32"].parameters - start - way) / np.linalg.norm(way)
    assert error < 2e-6


def test_threads_have_tiles_of_their_own(level, rng):
    """Two networks of different shapes predict at the same time."""
    nets = [bp.mlp(sizes, "tanh", rng=rng) for sizes in ((140, 150, 170), (300, 130, 129))]
    inputs = [rng.standard_normal((513, net.layers[0].n_inputs)).astype("float32") for net in nets]
    alone = [net.predict(X) for net, X in zip(nets, inputs, strict=True)]

    def same(k):
        return all(np.array_equal(nets[k].predict(inputs[k]), alone[k]) for _ in range(60))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(same, [0, 1, 0, 1]))


@pytest.mark.parametrize(
    ("n", "sizes"),
    [
        (1000, (784, 128, 10)),
        (300, (160, 161, 143)),
        (545, (1100, 134, 258)),
        (2000, (64, 200, 64)),
    ],
)
def test_weights_packed_once_give_the_same_bits(n, sizes, level, rng):
    """predict packs W once for all blocks of samples, forward for its one."""
    net = bp.mlp(sizes, "tanh", bias_initializer="standard_normal", dtype="float32", rng=2)
    assert "forward" in kernels_of(LEVEL).in_parts(*sizes[:2], n)
    X = rng.standard_normal((n, sizes[0])).astype("float32")
    assert_array_equal(net.predict(X), net.forward(X))
    Y = rng.standard_normal((n, sizes[-1]))
    assert net.evaluate(X, Y) == pytest.approx(net.backward(Y), rel=1e-6)
