"""Teams of threads: the same bits as one thread, never more threads than allowed, no deadlock."""

import gc
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers import hired, targets_for
from numpy.testing import assert_array_equal

import bpcore as bp
from bpcore import threads
from bpcore.cpu import kernels

RULES = {
    "sgd": lambda: bp.SGD(0.01),
    "momentum": lambda: bp.SGD(0.01, momentum=0.9, nesterov=True),
    "adam": lambda: bp.Adam(1e-3),
    "rprop": lambda: bp.Rprop(),
}


@pytest.fixture
def always(monkeypatch):
    """Teams of all that is wanted, however many processors there are and whatever is faster."""

    def choose(self, worth):
        if self._pool is None and self.wanted > 1:
            self._hire()
        return self.wanted > 1, 1.0

    monkeypatch.setattr(threads.Team, "choose", choose)
    monkeypatch.setattr(threads, "default_threads", lambda: 8)


def trained(n_threads, sizes, batch_size, optimizer, X, Y, **options):
    """The parameters, optimiser state and losses after two epochs; the size of the team."""
    weight = options.pop("sample_weight", None)
    loss, hidden = options.pop("loss", "squared_error"), options.pop("hidden", "tanh")
    net = bp.mlp(sizes, hidden, options.pop("output", "identity"), loss, dtype=X.dtype, rng=3)
    trainer = bp.Trainer(net, optimizer(), batch_size, n_threads=n_threads, rng=5, **options)
    history = trainer.run(X, Y, epochs=2, sample_weight=weight)
    state = [net.parameters, *trainer.optimizer.state.values(), np.array(history.loss)]
    return state, trainer._training.threads


@pytest.mark.parametrize(
    ("rule", "batch_size"),
    [
        *((rule, size) for rule in ("sgd", "momentum", "adam") for size in (64, None)),
        ("rprop", None),
    ],
)
@pytest.mark.parametrize("hidden", ["tanh", "relu"])
def test_the_same_bits(rule, batch_size, hidden, dtype, always, rng):
    """Every size of the team, odd widths, a last batch that is smaller, several blocks.

    With relu a thread's share decides whether its products skip zeros.
    """
    X = rng.standard_normal((700, 33)).astype(dtype)
    Y = rng.standard_normal((700, 3)).astype(dtype)
    X[rng.random(X.shape) < rng.random((700, 1))] = 0
    alone, size = trained(1, (33, 170, 17, 3), batch_size, RULES[rule], X, Y, hidden=hidden)
    assert size == 1
    for n_threads in (2, 3):
        state, size = trained(
            n_threads, (33, 170, 17, 3), batch_size, RULES[rule], X, Y, hidden=hidden
        )
        assert size == n_threads
        for found, wanted in zip(state, alone, strict=True):
            assert_array_equal(found, wanted)


@pytest.mark.parametrize("shape", [(400, 64), (400, 300), (16, 4001)], ids=str)
@pytest.mark.parametrize("shuffle", [True, False])
def test_the_same_bits_of_a_first_layer_by_columns(shape, shuffle, dtype, level, always, rng):
    """Each member has its panels of outputs, or with 64 none, and its rows; the last panel may be
    one output, and the last batch is short and goes by rows."""
    X = rng.standard_normal((483, shape[0])).astype(dtype)
    Y = rng.standard_normal((483, 3)).astype(dtype)
    sizes, told = (*shape, 3), {"shuffle": shuffle}
    alone, _ = trained(1, sizes, 24, RULES["sgd"], X, Y, **told)
    for n_threads in (2, 3):
        state, size = trained(n_threads, sizes, 24, RULES["sgd"], X, Y, **told)
        assert size == n_threads
        for found, wanted in zip(state, alone, strict=True):
            assert_array_equal(found, wanted)


@pytest.mark.parametrize("sizes", [(5, 4000, 3), (100, 300, 3), (200, 150, 7, 5)], ids=str)
@pytest.mark.parametrize("rows", [2, 3, 5])
def test_the_same_bits_where_a_share_is_one_row(sizes, rows, dtype, level, always, rng):
    """It is summed as the batch is, not as a batch of one sample."""
    X = rng.standard_normal((72 + rows, sizes[0])).astype(dtype)
    Y = rng.standard_normal((72 + rows, sizes[-1])).astype(dtype)
    alone, _ = trained(1, sizes, 24, RULES["sgd"], X, Y)
    for n_threads in (2, 3):
        state, size = trained(n_threads, sizes, 24, RULES["sgd"], X, Y)
        assert size == n_threads
        for found, wanted in zip(state, alone, strict=True):
            assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    "options",
    [
        {"l1": 1e-3, "l2": 1e-2},
        {"l2": 1e-2},
        {"clip_norm": 0.1},
        {"clip_norm": 0.1, "l2": 1e-2, "shuffle": False},
        {"shuffle": False},
        {"loss": "cross_entropy", "output": "softmax"},
    ],
    ids=lambda options: "-".join(options),
)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_same_bits_with_options(options, weighted, always, rng):
    """Of epochs long enough that no step looks at its gradient before the update."""
    X = rng.standard_normal((633, 40)).astype(np.float32)
    Y = rng.standard_normal((633, 5)).astype(np.float32)
    if "loss" in options:
        Y = rng.integers(0, 5, 633)
    if weighted:
        options = {**options, "sample_weight": rng.uniform(0, 2, 633)}
    alone, _ = trained(1, (40, 128, 5), 50, RULES["adam"], X, Y, **options)
    team, size = trained(3, (40, 128, 5), 50, RULES["adam"], X, Y, **options)
    assert size == 2  # 50 rows of this size are work for two
    for found, wanted in zip(team, alone, strict=True):
        assert_array_equal(found, wanted)


@pytest.mark.parametrize("K", [1, 2, 3, 4, 5, 9, 17, 70])
@pytest.mark.parametrize(
    ("loss", "output"),
    [
        *((loss, "identity") for loss in ("squared_error", "mean_squared_error", "huber")),
        *(("mean_absolute_error", "identity"), ("poisson", "exp")),
        *(("binary_cross_entropy", "sigmoid"), ("cross_entropy", "softmax")),
    ],
)
def test_the_same_bits_of_the_loss(loss, output, K, dtype, always, rng):
    """Shares of many rows, and in the last batch of one."""
    X = rng.standard_normal((502, 40)).astype(dtype)
    Y = targets_for(loss, 502, K, rng).astype(dtype)
    options = {"loss": loss, "output": output}
    alone, _ = trained(1, (40, 64, K), 100, RULES["sgd"], X, Y, **options)
    team, size = trained(2, (40, 64, K), 100, RULES["sgd"], X, Y, **options)
    assert size == 2
    for found, wanted in zip(team, alone, strict=True):
        assert_array_equal(found, wanted)


def test_divergence_is_found_by_all(always, rng):
    """No thread goes on, or waits for ever, when the loss stops being finite."""
    X = rng.standard_normal((256, 64)).astype(np.float32)
    Y = 1e18 * rng.standard_normal((256, 8)).astype(np.float32)
    parameters = []
    for n_threads in (1, 3):
        net = bp.mlp((64, 128, 8), "relu", dtype="float32", rng=0)
        trainer = bp.Trainer(net, bp.SGD(1.0), 64, n_threads=n_threads, rng=0)
        with pytest.raises(bp.DivergenceError):
            trainer.run(X, Y, epochs=20)
        parameters.append(net.parameters)
    assert_array_equal(*parameters)


def laid_out(n_threads, dtype, rng):
    """A trainer with Adam's state, its snapshot, and the arguments of `run` for a step."""
    X = rng.standard_normal((128, 40)).astype(dtype)
    net = bp.mlp((40, 70, 33, 5), dtype=dtype, rng=0)
    trainer = bp.Trainer(net, bp.Adam(1e-3), 64, shuffle=False, n_threads=n_threads)
    trainer.run(X, X[:, :5])
    pool = ThreadPoolExecutor(n_threads) if n_threads > 1 else None
    step = (X, X[:, :5].copy(), None, None, None, 64, 0, 2, np.array([1e-3]), n_threads)
    return trainer, trainer._snapshot, step, pool


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_every_share_is_copied_and_looked_at(n_threads, dtype, always, rng):
    """Each member does so with what it updates: together they miss no element."""
    trainer, snapshot, step, pool = laid_out(n_threads, dtype, rng)
    start = None if pool is None else pool.submit
    vectors = [trainer.network.parameters, *trainer.optimizer.state.values()]
    before = [vector.copy() for vector in vectors]
    steps = trainer.optimizer.steps
    trainer._training.run(*step, start, False, snapshot, snapshot)
    assert trainer._training.finite
    assert snapshot.steps == steps == trainer.optimizer.steps - 2
    for vector in vectors:
        vector[...] = np.nan
    snapshot.put_back()
    for vector, old in zip(vectors, before, strict=True):
        assert_array_equal(vector, old)
    second = vectors[2]  # an infinite v makes Adam's step 0, and nothing else infinite
    for k in range(0, second.size, 7):
        kept, second[k] = second[k], np.inf
        trainer._training.run(*step, start, False, None, snapshot)
        assert not trainer._training.finite, k
        second[k] = kept
    trainer._training.run(*step, start, False, None, None)
    assert trainer._training.finite  # nobody looked


def test_stretches_that_look_and_that_do_not():
    """Who is late from one stretch must not take the next one's wishes for its own, and wait for
    ever. In a process of its own, which can be ended."""
    code = """
import numpy as np, bpcore as bp
from concurrent.futures import ThreadPoolExecutor
X = np.ones((128, 64), "float32")
net = bp.mlp((64, 96, 64), dtype="float32", rng=0)
trainer = bp.Trainer(net, bp.Adam(1e-9), 64, shuffle=False, n_threads=2)
trainer.run(X, X)
pool = ThreadPoolExecutor(2)
step = (X, X, None, None, None, 64, 0, 2, np.array([0.0]), 2, pool.submit, False)
for k in range(20000):
    look = trainer._snapshot if k % 2 else None
    trainer._training.run(*step, look, look)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_small_steps_take_one_thread(rng):
    net = bp.mlp((3, 2, 5), rng=0)
    trainer = bp.Trainer(net, batch_size=8, n_threads=4)
    trainer.run(rng.standard_normal((8, 3)), rng.standard_normal((8, 5)))
    assert trainer._training.threads == 1
    assert trainer._training.team_size(8) == 1


def test_a_small_data_set_takes_one_thread_of_a_large_batch(rng):
    """batch_size=None is any number of samples; what counts is how many there are."""
    net = bp.mlp((64, 64, 5), rng=0)
    trainer = bp.Trainer(net, batch_size=None, n_threads=4)
    trainer.run(rng.standard_normal((4, 64)), rng.standard_normal((4, 5)))
    assert trainer._training.threads == 4
    assert trainer._training.team_size(4) == 1


def test_an_interrupted_start_lets_all_go_home(always, rng, monkeypatch):
    """The first of the others waits to begin when starting the second fails."""
    X, Y = rng.standard_normal((256, 64)), rng.standard_normal((256, 64))
    net = bp.mlp((64, 64, 64), rng=0)
    trainer = bp.Trainer(net, batch_size=256, n_threads=3, rng=0)
    start = threads.Team._start

    def failing(self, call, index):
        if index == 2:
            raise KeyboardInterrupt
        return start(self, call, index)

    monkeypatch.setattr(threads.Team, "_start", failing)
    before = net.parameters.copy()
    with pytest.raises(KeyboardInterrupt):
        trainer.run(X, Y)
    assert_array_equal(net.parameters, before)
    for _ in range(50):  # and when the first rests, to be called by its flag
        monkeypatch.setattr(threads.Team, "_start", start)
        trainer.run(X, Y)
        before = net.parameters.copy()
        monkeypatch.setattr(threads.Team, "_start", failing)
        try:
            trainer.run(X, Y)
        except KeyboardInterrupt:
            assert_array_equal(net.parameters, before)  # unless the second rested as well
    monkeypatch.undo()
    trainer.run(X, Y)
    assert hired()
    del trainer
    gc.collect()
    patience = time.monotonic() + 10
    while hired() and time.monotonic() < patience:
        time.sleep(0.01)
    assert not hired()


@pytest.mark.parametrize("pause", [0, 2e-5, 1e-4, 1e-3])
def test_stretches_close_together_and_far_apart(pause, always, rng):
    """Whether a thread still rests, is just leaving or has left when the next stretch calls."""
    X = rng.standard_normal((128, 64)).astype(np.float32)
    nets = [bp.mlp((64, 96, 64), dtype="float32", rng=0) for _ in range(2)]
    for n_threads, net in enumerate(nets, 1):
        trainer = bp.Trainer(net, batch_size=None, n_threads=n_threads, shuffle=False)
        for _ in range(200):
            trainer.run(X, X)
            until = time.perf_counter() + pause * rng.random()
            while time.perf_counter() < until:
                pass
        assert trainer._training.threads == n_threads
    assert_array_equal(nets[0].parameters, nets[1].parameters)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_fork_hires_threads_of_its_own():
    code = """
import os
import numpy as np, bpcore as bp
from bpcore import threads
from bpcore.cpu import kernels
threads.Team.choose = lambda self, worth: (worth > 1, 1.0)
X, Y = np.ones((512, 64)), np.ones((512, 8))
trainer = bp.Trainer(bp.mlp([64, 64, 8]), batch_size=512, n_threads=2)
trainer.run(X, Y)
if os.fork() == 0:
    trainer.run(X, Y)
    os._exit(3)
_, status = os.wait()
assert os.waitstatus_to_exitcode(status) == 3
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("samples", [1000, 1024, 1040, 1100])
def test_the_same_bits_where_the_last_batch_has_fewer_slices(samples, always):
    """1,000 samples in batches of 256: two slices, and one in the last batch of 232."""
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((samples, 64)), rng.standard_normal((samples, 5))
    for batch in (256, 512):
        alone, _ = trained(1, (64, 128, 64, 5), batch, RULES["adam"], X, Y)
        for size in (2, 3, 5):
            team, found = trained(size, (64, 128, 64, 5), batch, RULES["adam"], X, Y)
            assert found == size
            for here, wanted in zip(team, alone, strict=True):
                assert_array_equal(here, wanted)


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) == 1,
    reason="Linux can move a thread, where it has another processor to move to",
)
def test_a_thread_leaves_the_processor_it_shares():
    allowed = os.sched_getaffinity(0)
    for _ in range(20):
        before, after = kernels.leave_own_processor()
        assert {before, after} <= allowed
        assert os.sched_getaffinity(0) == allowed  # and may come back
        if before != after:  # where it has only just arrived it may already have been moved back
            return
    pytest.fail(f"still on processor {before} after twenty moves")


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="only Linux says where a thread may run"
)
def test_a_thread_with_one_processor_stays_there():
    """In a process of its own: its limits are not this one's."""
    code = (
        "import os\n"
        "from bpcore.cpu import kernels\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "before, after = kernels.leave_own_processor()\n"
        "assert before == after == min(os.sched_getaffinity(0))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
