"""Threads of Python: what may run at once on one network, and that the GIL is let go."""

import copy
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import LEVELS
from numpy.testing import assert_array_equal

import bpcore as bp


def in_threads(call, arguments, n_threads=4):
    """[call(x) for x in arguments], begun at the same moment in several threads."""
    barrier = threading.Barrier(n_threads)

    def work(k):
        barrier.wait()
        return [(i, call(arguments[i])) for i in range(k, len(arguments), n_threads)]

    with ThreadPoolExecutor(n_threads) as pool:
        results = dict(pair for pairs in pool.map(work, range(n_threads)) for pair in pairs)
    return [results[i] for i in range(len(arguments))]


def made(dtype="float32", loss="squared_error", sizes=(7, 40, 30, 4)):
    return bp.mlp(sizes, "tanh", "softmax", loss, dtype=dtype, rng=0)


@pytest.fixture
def quick_switches():
    """Threads that take turns far more often than they would."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("quick_switches")
def test_predict_on_one_network(dtype, rng):
    net = made(dtype)
    # Sizes of one row, and below, at and above those of a block.
    data = [rng.standard_normal((int(n), 7)).astype(dtype) for n in rng.integers(1, 300, 300)]
    data[::7] = [x[0] for x in data[::7]]
    wanted = [net.predict(x) for x in data]
    for value, expected in zip(in_threads(net.predict, data), wanted, strict=True):
        assert_array_equal(value, expected, strict=True)


@pytest.mark.usefixtures("quick_switches")
def test_predict_and_evaluate_while_a_layer_and_the_network_run(rng):
    net = made(loss="cross_entropy")
    X, Y = rng.standard_normal((200, 7)).astype("float32"), rng.integers(0, 4, 200)
    wanted, C = net.predict(X), net.evaluate(X, Y)

    def work(k):
        if k % 4 == 0:
            assert_array_equal(net.predict(X), wanted)
        elif k % 4 == 1:
            assert net.evaluate(X, Y) == C
        elif k % 4 == 2:
            net.layers[0].forward(X[: 1 + k % 200])
        else:
            out = np.empty_like(wanted)
            assert_array_equal(net.predict(X, out), wanted)

    in_threads(work, range(800))


@pytest.mark.usefixtures("quick_switches")
@pytest.mark.parametrize("optimizer", [bp.SGD(0.1), bp.Adam()], ids=repr)
def test_training_of_different_networks(dtype, rng, optimizer):
    X, Y = rng.standard_normal((333, 7)).astype(dtype), rng.integers(0, 4, 333)

    def train(seed):
        net = bp.mlp([7, 20, 4], output="softmax", loss="cross_entropy", dtype=dtype, rng=seed)
        history = net.fit(X, Y, 5, 16, copy.deepcopy(optimizer), rng=seed,
                          validation_data=(X, Y))  # fmt: skip
        return net.parameters, history.loss, history.validation_loss

    wanted = [train(seed) for seed in range(12)]
    for values, expected in zip(in_threads(train, range(12)), wanted, strict=True):
        for x, y in zip(values, expected, strict=True):
            assert_array_equal(x, y)


def test_predict_while_the_network_trains(rng):
    net = made()
    X, Y = rng.standard_normal((5000, 7)).astype("float32"), rng.random((5000, 4))
    done = threading.Event()

    def watch():
        count = 0
        while not done.is_set():
            a = net.predict(X[:50])
            assert np.isfinite(a).all()
            np.testing.assert_allclose(a.sum(axis=1), 1, rtol=1e-5)
            count += 1
        return count

    alone = made()
    alone.fit(X, Y, 5, rng=0)
    with ThreadPoolExecutor(2) as pool:
        counts = [pool.submit(watch) for _ in range(2)]
        net.fit(X, Y, 5, rng=0)
        done.set()
        assert all(count.result() > 0 for count in counts)
    assert_array_equal(net.parameters, alone.parameters)


@pytest.mark.parametrize("call", ["predict", "forward", "backward", "evaluate", "fit"])
def test_the_gil_is_let_go(call):
    net, ticks, done = bp.mlp([100, 500, 500, 10], rng=0), [], threading.Event()

    def tick():
        while not done.wait(1e-3):
            ticks.append(time.perf_counter())

    thread = threading.Thread(target=tick)
    thread.start()
    n, began, ended = 2000, 0.0, 0.0
    while ended - began < 0.05:  # shorter is too quick to tell
        n *= 2
        X, Y = np.zeros((n, 100), "float32"), np.zeros((n, 10), "float32")
        net.forward(X)
        long = {
            "predict": lambda: net.predict(X),  # noqa: B023
            "forward": lambda: net.forward(X),  # noqa: B023
            "backward": lambda: net.backward(Y),  # noqa: B023
            "evaluate": lambda: net.evaluate(X, Y),  # noqa: B023
            "fit": lambda: net.fit(X, Y, 1, None),  # noqa: B023
        }[call]
        began = time.perf_counter()
        long()
        ended = time.perf_counter()
    done.set()
    thread.join()
    # With the GIL held nothing ticks between the first and the last milliseconds.
    assert sum(began + 0.01 < t < ended - 0.01 for t in ticks) >= 2


ABUSE = """
import random, sys, threading
import numpy as np
import bpcore as bp

sys.setswitchinterval(1e-6)
net = bp.mlp([30, 200, 200, 10], rng=0)
trainer = bp.Trainer(net, batch_size=64)
refused = done = 0

def work(seed):
    global refused, done
    random.seed(seed)
    for _ in range(150):
        n = random.randint(1, 2000)
        X, Y = np.zeros((n, 30), "float32"), np.zeros((n, 10), "float32")
        call = random.choice([
            lambda: net.forward(X), lambda: net.backward(Y), lambda: net.backpropagate(Y),
            lambda: net.layers[1].forward(np.zeros((n, 200))), lambda: net.predict(X),
            lambda: net.layers[0].backward(np.zeros((n, 200))), lambda: trainer.step(X, Y),
            lambda: trainer.run(X, Y, 1), lambda: net.evaluate(X, Y),
        ])
        try:
            call()
            done += 1
        except (RuntimeError, ValueError):
            refused += 1

threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
net.forward(np.zeros((3, 30)))
net.backward(np.zeros((3, 10)))
trainer.step(np.zeros((3, 30)), np.zeros((3, 10)))
assert done > 100, (done, refused)
assert np.isfinite(net.parameters).all()
print("alive")
"""


@pytest.mark.parametrize("level", LEVELS)
def test_what_may_not_run_at_once_is_refused_or_works_but_never_crashes(level, tmp_path):
    result = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", ABUSE],
        env={**os.environ, "BPCORE_CPU": level, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (result.returncode, result.stdout) == (0, "alive\n"), result.stderr[-3000:]
