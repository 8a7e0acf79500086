"""Memory: what training allocates, what it reads in place, leaks, and `predict(out=)`."""

import gc
import os
import subprocess
import sys
import textwrap
import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import bpcore as bp
from bpcore.memory import LINE_BYTES, LONG_BYTES, PAGE_BYTES, aligned_zeros

linux = pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="reads /proc")


def squared(a, y):
    return float(np.square(a - y).sum() / len(a)), 2 * (a - y) / len(a)


def peak_of(call):
    """Bytes at the height of a call above those before it, of Python's and NumPy's allocators."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        call()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def resident():
    """Bytes of this process that no file stands behind, malloc's included."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon")) * 1024


def run_alone(code, folder):
    """What code prints in a process of its own, with numpy and bpcore imported."""
    code = "import numpy as np, bpcore as bp\n" + textwrap.dedent(code)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
    )
    return result.stdout


# ------------------------------------------------------------------------- training allocates


@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy"])
@pytest.mark.parametrize("weighted", [False, True])
def test_training_allocates_nothing_for_the_samples(dtype, loss, weighted):
    def peak(n):
        rng = np.random.default_rng(0)
        X = rng.standard_normal((n, 20)).astype(dtype)
        Y = rng.integers(0, 4, n) if loss == "cross_entropy" else rng.random((n, 4)).astype(dtype)
        w = np.ones(n, dtype) if weighted else None
        net = bp.mlp([20, 8, 4], output="softmax", loss=loss, dtype=dtype, rng=0)
        trainer = bp.Trainer(net, batch_size=100, shuffle=False)
        trainer.run(X[:200], Y[:200])
        return peak_of(lambda: trainer.run(X, Y, 2, sample_weight=w))

    # A copy of the labels, 8 bytes a sample, and the learning rate of each step, 8 bytes for 100:
    # a copy of X would be 80 or 160 bytes a sample, its finiteness as bools 20.
    a_sample = (8 if loss == "cross_entropy" else 0) + 0.1
    assert peak(40_000) - peak(10_000) < 30_000 * a_sample + 5000


def test_shuffling_allocates_the_order(dtype):
    def peak(n):
        X, Y = np.ones((n, 20), dtype), np.ones((n, 4), dtype)
        trainer = bp.Trainer(bp.mlp([20, 8, 4], dtype=dtype), batch_size=100)
        trainer.run(X[:200], Y[:200])
        return peak_of(lambda: trainer.run(X, Y, 2))

    # The order of the next epoch may be drawn before that of the last is let go.
    assert 30_000 * 8 <= peak(40_000) - peak(10_000) < 30_000 * 16.2 + 5000


def test_training_allocates_nothing_for_a_step(dtype):
    X, Y = np.ones((4000, 20), dtype), np.ones((4000, 4), dtype)

    def peak(batch_size, epochs):
        trainer = bp.Trainer(bp.mlp([20, 8, 4], dtype=dtype), batch_size=batch_size, shuffle=False)
        trainer.run(X, Y)
        return peak_of(lambda: trainer.run(X, Y, epochs))

    assert peak(1, 1) - peak(100, 1) < 2000
    assert peak(10, 21) - peak(10, 1) < 20 * 500  # of history


def test_training_allocates_no_copy_of_the_parameters(dtype):
    X, Y = np.ones((8, 20), dtype), np.ones((8, 4), dtype)
    net = bp.mlp([20, 3000, 4], dtype=dtype)
    trainer = bp.Trainer(net, batch_size=8, shuffle=False)
    trainer.run(X, Y)
    assert peak_of(lambda: trainer.run(X, Y, 3)) < net.parameters.nbytes / 4


@pytest.mark.parametrize("layers", [[20, 8, 4], [20, 300, 4]])
def test_predict_and_evaluate_allocate_the_result_only(dtype, layers):
    net = bp.mlp(layers, dtype=dtype)
    X, Y = np.ones((40_000, 20), dtype), np.ones((40_000, 4), dtype)
    out = np.empty_like(Y)
    net.predict(X, out)
    assert peak_of(lambda: net.predict(X, out)) < 5000
    assert peak_of(lambda: net.evaluate(X, Y)) < 5000
    assert peak_of(lambda: net.predict(X)) < out.nbytes + 5000


@pytest.mark.parametrize("dtype", ["float32"])
@linux
def test_memory_mapped_data_are_read_in_place(tmp_path, dtype):
    # 320 MB that take no room on the disk; the check of the values and an epoch read them through.
    rows, features = 500_000, 160
    with open(tmp_path / "X.bin", "wb") as file:
        file.truncate(rows * features * 4)
    code = f"""
        import tracemalloc
        X = np.memmap("X.bin", dtype="{dtype}", mode="r", shape=({rows}, {features}))
        Y = np.zeros(({rows}, 1), "{dtype}")

        def private():
            with open("/proc/self/smaps_rollup") as file:
                lines = dict(line.split(":") for line in file if ":" in line)
            return int(lines["Private_Dirty"].split()[0]) / 1024

        class Watch(bp.Callback):
            every = 1000

            def on_steps(self, trainer):
                peaks.append(private())

        net = bp.mlp([{features}, 4, 1], dtype="{dtype}", rng=0)
        net.fit(X[:100], Y[:100], 1)
        before = private()
        peaks = [before]
        tracemalloc.start()
        net.fit(X, Y, 1, batch_size=100, callbacks=[Watch()], validation_data=(X, Y), rng=0)
        net.predict(X)
        print(max(peaks) - before, tracemalloc.get_traced_memory()[1] / 2**20, len(peaks))
    """
    private, traced, count = map(float, run_alone(code, tmp_path).split())
    assert count == 6
    # 4 MB for the order of the shuffled rows; X has 305.
    assert private < 12
    assert traced < 12


def test_a_foreign_dtype_is_converted_once(rng):
    X, Y = rng.standard_normal((20_000, 20)), rng.random((20_000, 4))
    net = bp.mlp([20, 8, 4], rng=0)
    net.fit(X[:100], Y[:100], 1)
    wanted = (X.nbytes + Y.nbytes) / 2
    # The order of 8 bytes a sample twice; bools for a moment do no harm.
    assert wanted < peak_of(lambda: net.fit(X, Y, 3)) < 1.5 * wanted + 16 * len(X)


def test_views_are_trained_on_in_place(rng):
    whole = rng.standard_normal((40_000, 20)).astype("float32")
    Y = whole[:, :4].copy()
    trainer = bp.Trainer(bp.mlp([20, 4]), batch_size=100, shuffle=False)
    trainer.run(whole[:200], Y[:200])
    assert peak_of(lambda: trainer.run(whole[5:-5], Y[5:-5])) < 20_000
    whole.flags.writeable = False
    assert peak_of(lambda: trainer.run(whole, Y)) < 20_000


# ------------------------------------------------------------------------------------- leaks


def calls():
    """Every call of the library that handles arrays, and how each fails."""
    rng = np.random.default_rng(0)
    X, Y = rng.random((5, 3)).astype("float32"), rng.random((5, 4)).astype("float32")
    labels = np.arange(5) % 4
    net = bp.mlp([3, 6, 4], output="softmax", loss="cross_entropy", rng=0)
    Y /= Y.sum(axis=1, keepdims=True)
    layer, own = bp.Dense(3, 4, rng=0), bp.mlp([3, 4], loss=squared, rng=0)
    trainer, callable_trainer = bp.Trainer(net, rng=0), bp.Trainer(own, rng=0)
    short = X[:, :2]

    def fails(call, *arguments):
        with pytest.raises((TypeError, ValueError)):
            call(*arguments)

    def diverges():
        with pytest.raises(bp.DivergenceError):
            bp.mlp([3, 4]).fit(X, Y, 3, optimizer=bp.SGD(3e38))

    return {
        "layer": lambda: layer.backward(layer.forward(X)),
        "foreign": lambda: layer.backward(layer.forward(X.tolist()).astype(float)),
        "network": lambda: (net.forward(X), net.backward(labels), net.backpropagate(Y)),
        "rows": lambda: (net.forward(X), net.backward(Y, [1, 2, 3, 4, 5])),
        "one": lambda: (net.forward(X[0]), net.backward(1), net.predict(X[0])),
        "predict": lambda: (net.predict(X), net.evaluate(X, Y)),
        "theta": lambda: net.loss_and_gradient(net.parameters, X, Y),
        "step": lambda: trainer.step(X, Y),
        "own loss": lambda: (own.forward(X), own.backward(Y), callable_trainer.step(X, Y)),
        "make": lambda: bp.Network([bp.Dense(3, 6), bp.Dense(6, 4)], rng=0).forward(X),
        "fit": lambda: bp.mlp([3, 6, 4]).fit(X, Y, 2, validation_data=(X, Y)),
        "features": lambda: [fails(f, short) for f in (layer.forward, net.forward, net.predict)],
        "targets": lambda: fails(net.evaluate, X, short),
        "labels": lambda: fails(trainer.step, X, labels + 4),
        "fit's data": lambda: fails(net.fit, X, short),
        "diverges": diverges,
    }


@pytest.mark.parametrize("name", calls())
def test_calls_leave_nothing_behind(name):
    call = calls()[name]

    def many(n):
        for _ in range(n):
            call()
        gc.collect()

    many(20)  # caches of the interpreter fill up
    tracemalloc.start(3)
    try:
        many(10)
        before = tracemalloc.take_snapshot()
        many(100)
        changes = tracemalloc.take_snapshot().compare_to(before, "lineno")
    finally:
        tracemalloc.stop()
    grown = [change for change in changes if change.count_diff >= 50]
    assert not grown, "\n".join(map(str, grown))


def test_reference_counts(rng):
    X, Y = rng.random((5, 3)).astype("float32"), rng.random((5, 4)).astype("float32")
    labels, w, out = np.zeros(5, "int64"), np.ones(5, "float32"), np.empty((5, 4), "float32")
    net = bp.mlp([3, 6, 4], output="softmax", loss="cross_entropy", rng=0)
    held = [X, Y, labels, w, out, net.parameters, net.gradient, None, net.parameters.dtype]
    Y /= Y.sum(axis=1, keepdims=True)
    trainer = bp.Trainer(net)

    def work():
        for y in (Y, labels):
            net.forward(X)
            net.backward(y, w)
            net.predict(X, out)
            net.evaluate(X, y, w)
            net.loss_and_gradient(net.parameters, X, y, w)
            trainer.step(X, y, w)
            trainer.run(X, y, 2, sample_weight=w, validation_data=(X, y, w))
            net.layers[0].backward(net.layers[0].forward(X))
            with pytest.raises(ValueError, match="out has shape"):
                net.predict(X, X)
        net.forward(X)

    work()
    gc.collect()
    before = [sys.getrefcount(thing) for thing in held]
    for _ in range(50):
        work()
    gc.collect()
    after = [sys.getrefcount(thing) for thing in held]
    assert all(abs(x - y) < 25 for x, y in zip(before, after, strict=True)), (before, after)


@linux
@pytest.mark.parametrize("name", ["predict", "evaluate", "forward", "step", "trainer", "network"])
def test_memory_of_the_kernels_is_given_back(name):
    # Wide enough that a call's own memory is about 1 MB.
    net = bp.mlp([40, 800, 800, 4], rng=0)
    X, Y = np.ones((100, 40), "float32"), np.ones((100, 4), "float32")
    trainer = bp.Trainer(net, batch_size=100)
    call = {
        "predict": lambda: net.predict(X),
        "evaluate": lambda: net.evaluate(X, Y),
        "forward": lambda: (net.forward(X), net.backward(Y)),
        "step": lambda: trainer.step(X, Y),
        "trainer": lambda: bp.Trainer(net, batch_size=100).step(X, Y),
        "network": lambda: bp.Network([bp.Dense(500, 500, weight_initializer="zeros")]),
    }[name]
    for _ in range(5):
        call()
    gc.collect()
    before = resident()
    for _ in range(60):
        call()
    gc.collect()
    assert resident() - before < 20e6


@linux
def test_kernels_see_all_of_their_memory_before_they_use_it(rng):
    # Memory that malloc gives out again holds what was there; the results must not depend on it.
    X, Y = rng.random((37, 13)).astype("float32"), rng.random((37, 5)).astype("float32")

    def results():
        net = bp.mlp([13, 17, 5], "tanh", rng=0)
        values = [net.predict(X), np.array(net.evaluate(X, Y)), net.forward(X)]
        net.fit(X, Y, 3, 8, rng=0)
        return [*values, net.parameters]

    wanted = results()
    for fill in (0x00, 0xFF, 0x7F):
        for size in (1 << k for k in range(6, 20)):
            held = [np.full(size, fill, np.uint8) for _ in range(4)]
            del held
        for value, expected in zip(results(), wanted, strict=True):
            assert_array_equal(value, expected)


# -------------------------------------------------------------------------------------- out=


def bad_outs(net, X):
    shape, dtype = (12, 2), net.parameters.dtype
    good = np.zeros(shape, dtype)
    read_only, raw = good.copy(), np.zeros(good.nbytes + 1, np.uint8)
    read_only.flags.writeable = False
    return {
        "shape": (np.zeros((12, 3), dtype), ValueError, ["(12, 3)", "(12, 2)"]),
        "rows": (good[:-1], ValueError, ["(11, 2)", "(12, 2)"]),
        "flat": (good.ravel(), ValueError, ["(24,)", "(12, 2)"]),
        "dtype": (good.astype("float16"), TypeError, ["f2", dtype.str]),
        "integers": (good.astype("i4"), TypeError, ["i4", dtype.str]),
        "byte order": (good.astype(dtype.newbyteorder()), TypeError, [dtype.str]),
        "Fortran": (np.asfortranarray(good), ValueError, ["C-contiguous"]),
        "strided": (np.zeros((12, 4), dtype)[:, ::2], ValueError, ["C-contiguous"]),
        "read-only": (read_only, ValueError, ["writable"]),
        "unaligned": (raw[1:].view(dtype).reshape(shape), ValueError, ["aligned"]),
        "list": (good.tolist(), TypeError, ["list", "numpy array"]),
        "input": (X.ravel()[:24].reshape(shape), ValueError, ["shares memory"]),
        "input's end": (X.ravel()[-24:].reshape(shape), ValueError, ["shares memory"]),
        "parameters": (net.parameters[:24].reshape(shape), ValueError, ["shares memory"]),
    }


@pytest.fixture
def predictor(dtype, rng):
    return bp.mlp([3, 4, 2], dtype=dtype, rng=0), rng.standard_normal((12, 3)).astype(dtype)


@pytest.mark.parametrize("bad", bad_outs(bp.mlp([3, 4, 2]), np.zeros((12, 3), "f4")))
def test_out_refused(predictor, bad):
    net, X = predictor
    out, error, words = bad_outs(net, X)[bad]
    before = [np.array(x).tobytes() for x in (out, X, net.parameters)]
    with pytest.raises(error) as caught:
        net.predict(X, out)
    for word in ["out", *words]:
        assert word in str(caught.value)
    assert [np.array(x).tobytes() for x in (out, X, net.parameters)] == before


@pytest.mark.parametrize("view", [memoryview, lambda x: x.reshape(3, 12).T, lambda x: x[::-1]])
def test_out_under_a_foreign_view_of_the_input(predictor, view):
    net, X = predictor
    out = X.ravel()[:24].reshape(12, 2)
    before = X.copy()
    with pytest.raises(ValueError, match="out shares memory"):
        net.predict(view(X), out)
    assert_array_equal(X, before)


def test_out_is_what_comes_back(predictor):
    net, X = predictor
    out, row = np.full((12, 2), np.nan, X.dtype), np.full(2, np.nan, X.dtype)
    assert net.predict(X, out) is out
    assert_array_equal(out, net.predict(X))
    assert net.predict(X[0], out=row) is row
    assert_array_equal(row, net.predict(X[0]))
    with pytest.raises(ValueError, match=r"\(12, 2\), wanted \(2,\)"):
        net.predict(X[0], out)


def test_out_may_be_part_of_a_larger_array(predictor):
    net, X = predictor
    large = np.zeros((3, 12, 2), X.dtype)
    net.predict(X, large[1])
    assert_array_equal(large[1], net.predict(X))
    assert not large[[0, 2]].any()


def test_out_that_is_refused_for_its_input_is_not_touched(predictor):
    net, X = predictor
    out = np.zeros((12, 2), X.dtype)
    with pytest.raises(ValueError, match="nan"):
        net.predict(np.full_like(X, np.nan), out)
    assert not out.any()


@pytest.mark.parametrize("count", [0, 1, 37, 255, 256, 1000, 1024, 1025, 5000])
def test_vectors_begin_at_a_page_and_small_ones_lie_in_one(count, rng):
    """A vector read at a small one's end may reach as far as a line beyond it."""
    kept = []
    for _ in range(300):
        kept.append(np.empty(rng.integers(1, 6000), np.uint8))  # so that addresses differ
        array = aligned_zeros(count, np.dtype("float32"))
        kept.append(array)
        start = array.__array_interface__["data"][0]
        assert array.shape == (count,)
        assert not array.any()
        if array.nbytes >= LONG_BYTES:
            assert start % PAGE_BYTES == 0
        elif count:
            assert start % LINE_BYTES == 0
            assert start % PAGE_BYTES + array.nbytes + LINE_BYTES <= PAGE_BYTES


def test_a_network_s_vectors_do(rng):
    for _ in range(50):
        net = bp.mlp((3, 2, 3, 5), "sigmoid", rng=rng)
        for array in (net.parameters, net.gradient):
            start = array.__array_interface__["data"][0]
            assert start % LINE_BYTES == 0
            assert start // PAGE_BYTES == (start + array.nbytes) // PAGE_BYTES
