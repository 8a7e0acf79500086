"""The three products of a layer at every size around the vectors and tiles, and at their edges.

Sizes are those one below, at and above every vector length and tile of every level, in all pairs
of (n, n_inputs), (n, n_outputs) and (n_inputs, n_outputs).
"""

import inspect
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import RTOL
from numpy.testing import assert_array_equal

import bpcore as bp

SIZES = (1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 130)
# n, n_inputs, n_outputs: in each of these Latin squares any two of the three take every pair.
SHAPES = tuple(
    (SIZES[i], SIZES[j], SIZES[(i + j + shift) % len(SIZES)])
    for shift in (0, 5, 11, 16)
    for i in range(len(SIZES))
    for j in range(len(SIZES))
)
SENTINEL = 12345.0  # a number that float32 holds, and that no product here comes to
GUARD = 70  # elements on each side: more than a tile is wide


def assert_sum_close(actual, wanted, magnitude, dtype, what):
    """|actual - wanted| is within rounding of sums whose terms' magnitudes add up to `magnitude`.

    Sums in another order err by half a rounding for each doubling of their length: the 2.
    """
    error = np.abs(actual.astype(np.float64) - wanted) / magnitude
    assert actual.shape == wanted.shape, what
    assert error.max() < 2 * RTOL["product"][dtype], what


def guarded(*shapes, dtype, fill, rng=None):
    """Return a vector full of `fill`, and views in it of these shapes, `GUARD` apart."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    vector = np.full(sum(sizes) + GUARD * (len(sizes) + 1), fill, dtype)
    views, start = [], GUARD
    for shape, size in zip(shapes, sizes, strict=True):
        views.append(vector[start : start + size].reshape(shape))
        if rng is not None:
            views[-1][...] = rng.standard_normal(shape)
        start += size + GUARD
    return vector, views


def outside(vector, views):
    """Return what `vector` holds outside of the views."""
    mask = np.ones(vector.size, bool)
    for view in views:
        start = (view.ctypes.data - vector.ctypes.data) // vector.itemsize
        mask[start : start + view.size] = False
    return vector[mask]


def test_shapes_cover_every_pair():
    for first, second in ((0, 1), (0, 2), (1, 2)):
        pairs = {(shape[first], shape[second]) for shape in SHAPES}
        assert len(pairs) == len(SIZES) ** 2


def test_products(kernels, dtype, rng):
    """z = a_in Wᵀ + b, ∂C/∂a_in = δ W, ∂C/∂W = δᵀ a_in, ∂C/∂b = Σ δ, against float64.

    W, b, dW and db lie between NaN: a read or a write past their ends shows.
    """
    largest = max(SIZES)
    numbers = rng.standard_normal((5, largest, largest)).astype(dtype)
    doubles = numbers.astype(np.float64)
    for n, n_inputs, n_outputs in SHAPES:
        what = f"n={n}, n_inputs={n_inputs}, n_outputs={n_outputs}"
        x, delta = numbers[0, :n, :n_inputs].copy(), numbers[1, :n, :n_outputs].copy()
        vector, arrays = guarded(
            (n_outputs, n_inputs), (n_outputs,), (n_outputs, n_inputs), (n_outputs,),
            dtype=dtype, fill=np.nan,
        )  # fmt: skip
        W, b, dW, db = arrays
        W[...], b[...] = numbers[2, :n_outputs, :n_inputs], numbers[3, 0, :n_outputs]
        layer = kernels.Layer(kernels.ACTIVATIONS["identity"], W, b, dW, db)
        z = layer.forward(x)
        dx = layer.backward(delta)

        x64, delta64 = doubles[0, :n, :n_inputs], doubles[1, :n, :n_outputs]
        W64, b64 = doubles[2, :n_outputs, :n_inputs], doubles[3, 0, :n_outputs]
        magnitude = np.abs(x64) @ np.abs(W64).T + np.abs(b64)
        assert_sum_close(z, x64 @ W64.T + b64, magnitude, dtype, f"z, {what}")
        assert_sum_close(dx, delta64 @ W64, np.abs(delta64) @ np.abs(W64), dtype, f"dx, {what}")
        magnitude = np.abs(delta64).T @ np.abs(x64)
        assert_sum_close(dW, delta64.T @ x64, magnitude, dtype, f"dW, {what}")
        magnitude = np.abs(delta64).sum(axis=0)
        assert_sum_close(db, delta64.sum(axis=0), magnitude, dtype, f"db, {what}")
        assert np.isnan(outside(vector, arrays)).all(), what
        assert_array_equal(W, numbers[2, :n_outputs, :n_inputs])


# Every width of an edge of every level, few and many samples.
EDGES = tuple(
    (n, n_inputs, n_outputs)
    for n in (1, 4, 5, 13, 17, 40)
    for n_inputs, n_outputs in zip((*range(1, 34), 65, 67), (*range(33, 0, -1), 3, 64), strict=True)
)


def test_predict_stays_inside(level, dtype, rng):
    """Inputs and outputs of predict lie where the caller has them: between NaN and sentinels."""
    for n, n_inputs, n_outputs in EDGES:
        net = bp.Network([bp.Dense(n_inputs, n_outputs, "identity", dtype=dtype, rng=rng)])
        _, [X] = guarded((n, n_inputs), dtype=dtype, fill=np.nan, rng=rng)
        vector, [out] = guarded((n, n_outputs), dtype=dtype, fill=SENTINEL)
        assert net.predict(X, out=out) is out
        what = f"n={n}, n_inputs={n_inputs}, n_outputs={n_outputs}"
        assert (outside(vector, [out]) == SENTINEL).all(), what
        x64, W64 = X.astype(np.float64), net.layers[0].W.astype(np.float64)
        assert_sum_close(out, x64 @ W64.T, np.abs(x64) @ np.abs(W64).T, dtype, what)


def rebind(net, parameters, gradient):
    """Let these be the vectors of a network of one layer."""
    [layer] = net.layers
    cut, shape = layer.W.size, layer.W.shape
    views = [parameters[:cut].reshape(shape), parameters[cut:]]
    views += [gradient[:cut].reshape(shape), gradient[cut:]]
    net._parameters, net._gradient = parameters, gradient
    layer._kernel.bind(*views)
    assert layer.W.ctypes.data == parameters.ctypes.data


@pytest.mark.parametrize("batch_size", [1, 6, None])
@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_training_stays_inside(level, dtype, momentum, batch_size, rng):
    """A step reads X and Y in place, and writes the parameters, the gradient and nothing else.

    A batch longer than the block that the scratch memory holds is added up block by block.
    """
    eta = 1 / 128
    for n, n_inputs, n_outputs in EDGES[:: 5 if batch_size == 1 else 3]:
        what = f"n={n}, n_inputs={n_inputs}, n_outputs={n_outputs}"
        net = bp.Network([bp.Dense(n_inputs, n_outputs, "identity", dtype=dtype)])
        count = net.parameters.size
        vectors, flat = zip(
            *[guarded((count,), dtype=dtype, fill=np.nan) for _ in range(3)], strict=True
        )
        (theta,), (gradient,), (velocity,) = flat
        theta[...], gradient[...], velocity[...] = rng.standard_normal(count), 0, 0
        rebind(net, theta, gradient)
        optimizer = bp.SGD(eta, momentum)
        if momentum:
            optimizer.state = {"velocity": velocity}
        _, [X, Y] = guarded((n, n_inputs), (n, n_outputs), dtype=dtype, fill=np.nan, rng=rng)

        W, b = (array.astype(np.float64) for array in (net.layers[0].W, net.layers[0].b))
        x = X.astype(np.float64)
        da = 2 * (x @ W.T + b - Y) / n
        wanted = np.concatenate([(W - eta * da.T @ x).ravel(), b - eta * da.sum(axis=0)])
        sizes = 2 * (np.abs(x) @ np.abs(W).T + np.abs(b) + np.abs(Y)) / n
        magnitude = np.abs(theta) + eta * np.concatenate(
            [(sizes.T @ np.abs(x)).ravel(), sizes.sum(axis=0)]
        )
        trainer = bp.Trainer(net, optimizer, batch_size, shuffle=False)
        if batch_size is None:
            trainer.run(X, Y)
        else:
            trainer.step(X, Y)
        assert_sum_close(theta, wanted, magnitude, dtype, what)
        assert net.parameters is theta
        for vector, view in zip(vectors, flat, strict=True):
            assert np.isnan(outside(vector, view)).all(), what


@pytest.mark.parametrize("shapes", [(5, 3, 2), (33, 17, 70), (64, 130, 31)])
def test_a_row_does_not_depend_on_its_batch(level, dtype, shapes, rng):
    """The same bits for any 128 rows or more, and for any place among fewer."""
    net = bp.mlp(shapes, "tanh", "softmax", dtype=dtype, rng=rng)
    X = rng.standard_normal((300, shapes[0])).astype(dtype)
    a = net.predict(X)
    for first, last in ((0, 128), (0, 197), (1, 300), (3, 170), (95, 299), (160, 288)):
        assert_array_equal(net.predict(X[first:last]), a[first:last])
    for n in (1, 2, 3, 4, 7, 13, 31, 60):
        few = net.predict(X[:n])
        for row in range(0, n, 1 if n < 32 else 7):
            turned = np.roll(X[:n], row, axis=0)
            assert_array_equal(net.predict(turned), np.roll(few, row, axis=0))
        # Dot products add up in another order than tiles do.
        assert np.abs(few - a[:n]).max() < RTOL["pass"][dtype]
    assert_array_equal(net.predict(X[:1])[0], net.predict(X[0]))


@pytest.mark.parametrize("n", [1, 3, 4, 5, 16, 17, 200])
def test_every_call_gives_the_same_outputs(level, dtype, n, rng):
    """forward, predict and the layers one by one."""
    net = bp.mlp((33, 17, 70, 3), "tanh", dtype=dtype, rng=rng)
    X = rng.standard_normal((n, 33)).astype(dtype)
    a = net.forward(X)
    assert_array_equal(net.predict(X), a)
    by_layer = X
    for layer in net.layers:
        by_layer = layer.forward(by_layer)
    assert_array_equal(by_layer, a)


# Arrays that end where a page does, with a page behind them that must not be touched.
LAST_BYTES = """
import ctypes, mmap, sys
import numpy as np
import bpcore as bp

PAGE = mmap.PAGESIZE
libc = ctypes.CDLL(None, use_errno=True)

def at_the_end(shape, dtype):
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    pages = -(-size // PAGE)
    memory = mmap.mmap(-1, (pages + 1) * PAGE)
    first = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    assert libc.mprotect(ctypes.c_void_p(first + pages * PAGE), ctypes.c_size_t(PAGE), 0) == 0
    array = np.frombuffer(memory, np.uint8)[pages * PAGE - size : pages * PAGE]
    return array.view(dtype).reshape(shape)

def run(dtype, n, n_inputs, n_outputs):
    print(dtype, n, n_inputs, n_outputs, flush=True)
    X, Y = at_the_end((n, n_inputs), dtype), at_the_end((n, n_outputs), dtype)
    layer = bp.Dense(n_inputs, n_outputs, "tanh", dtype=dtype)
    kinds = (n_outputs, n_inputs), (n_outputs,)
    layer._kernel.bind(*(at_the_end(shape, dtype) for shape in kinds * 2))
    layer.forward(X)
    layer.backward(Y)
    for optimizer, batch_size in ((bp.SGD(), n), (bp.Adam(), n), (bp.Adam(), 2), (bp.Adam(), 1)):
        net = bp.Network([bp.Dense(n_inputs, n_outputs, "tanh", dtype=dtype)])
        vectors = [at_the_end(net.parameters.shape, dtype) for _ in range(4)]
        rebind(net, *vectors[:2])
        net.predict(X, at_the_end((n, n_outputs), dtype))
        net.forward(X)
        net.backward(Y)
        optimizer.state = dict(zip(optimizer.state_names, vectors[2:]))
        trainer = bp.Trainer(net, optimizer, batch_size, l1=0.1, l2=0.1, clip_norm=1.0)
        trainer.step(X, Y)
        trainer.run(X, Y)

for n in (1, 5, 17):
    for n_inputs, n_outputs in zip((*range(1, 34, 2), 65), (*range(33, 0, -2), 64)):
        for dtype in ("float32", "float64"):
            run(dtype, n, n_inputs, n_outputs)
print("done")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="mprotect is POSIX")
def test_nothing_is_read_past_an_array(level):
    """The last element of every array is the last byte of a page; the next page is closed."""
    environment = {**os.environ, "BPCORE_CPU": level}
    ran = subprocess.run(
        [sys.executable, "-c", inspect.getsource(rebind) + LAST_BYTES],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    last = ran.stdout.strip().rpartition("\n")[2]
    assert ran.returncode == 0, f"ended with {ran.returncode} at {last}: {ran.stderr}"
    assert last == "done"


@pytest.mark.parametrize(
    ("n", "n_inputs", "n_outputs"),
    [(300, 1024, 70), (300, 70, 1024), (13, 1024, 1024), (520, 300, 290), (600, 5, 33)],
)
def test_beyond_one_piece(n, n_inputs, n_outputs, level, dtype, rng):
    """More rows and more k than a product takes at a time; rows that lie whole pages apart."""
    layer = bp.Dense(n_inputs, n_outputs, "identity", dtype=dtype, rng=rng)
    layer.b[...] = rng.standard_normal(n_outputs)
    x, da = rng.standard_normal((n, n_inputs)), rng.standard_normal((n, n_outputs))
    x, da = x.astype(dtype), da.astype(dtype)
    z, dx = layer.forward(x).copy(), layer.backward(da)
    X, D, W = (array.astype(np.float64) for array in (x, da, layer.W))
    for found, left, right in (
        (z - layer.b, X, W.T),
        (dx, D, W),
        (layer.dW, D.T, X),
        (layer.db[:, np.newaxis], D.T, np.ones((n, 1))),
    ):
        magnitude = np.abs(left) @ np.abs(right) + 4  # 4: b was added to z and is taken off again
        assert_sum_close(found, left @ right, magnitude, dtype, (n, n_inputs, n_outputs))


def test_a_run_beyond_one_piece(level, dtype, rng):
    """Training has room of its own for rows whole pages apart, and sums a batch in blocks."""
    net = bp.mlp((1024, 1024, 4), "tanh", dtype=dtype, rng=rng)
    X, Y = rng.standard_normal((260, 1024)), rng.standard_normal((260, 4))
    net.forward(X)
    net.backward(Y)
    wanted = net.parameters - 0.01 * net.gradient
    bp.Trainer(net, bp.SGD(0.01), batch_size=None, shuffle=False).run(X, Y)
    assert np.abs(net.parameters - wanted).max() < 10 * RTOL["product"][dtype]
