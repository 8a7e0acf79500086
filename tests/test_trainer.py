"""Training: order of the samples, weights, callbacks, interrupts, divergence, settings."""

import copy
import math
import signal
import threading
import time

import numpy as np
import pytest
from conftest import RTOL
from helpers import optional
from numpy.testing import assert_allclose, assert_array_equal

import bpcore as bp
from bpcore import schedules

OPTIMIZERS = {
    "SGD": lambda rate=0.05: bp.SGD(rate),
    "momentum": lambda rate=0.05: bp.SGD(rate, 0.9),
    "Nesterov": lambda rate=0.05: bp.SGD(rate, 0.9, True),
    "Adam": lambda rate=0.01: bp.Adam(rate),
    "AdamW": lambda rate=0.01: bp.AdamW(rate),
    "RMSProp": lambda rate=0.01: bp.RMSProp(rate),
    "Adagrad": lambda rate=0.1: bp.Adagrad(rate),
    "Rprop": lambda rate=0.01: bp.Rprop(rate),
}


def made(dtype="float32", **options):
    return bp.mlp([3, 5, 2], "tanh", dtype=dtype, rng=0, **options)


def squared(a, y):
    with np.errstate(over="ignore"):  # of the tests that diverge
        return float(np.square(a - y).sum() / len(a)), 2 * (a - y) / len(a)


@pytest.fixture
def data(rng):
    return rng.standard_normal((23, 3)).astype("float32"), rng.random((23, 2)).astype("float32")


class Log(bp.Callback):
    """Writes down each call with the steps done; may raise, or stop the training."""

    def __init__(self, every=None, *, name="", log=None, raises=None, stop_at=None):
        self.every, self.name, self.raises, self.stop_at = every, name, raises, stop_at
        self.log = [] if log is None else log

    def note(self, event, trainer):
        self.log.append((self.name + event, trainer.optimizer.steps))
        if self.raises == event:
            raise RuntimeError(self.name + event)
        trainer.stop_training |= self.stop_at == (event, trainer.optimizer.steps)

    def on_train_begin(self, trainer):
        self.note("begin", trainer)

    def on_epoch_end(self, trainer):
        self.note("epoch", trainer)

    def on_steps(self, trainer):
        self.note("steps", trainer)

    def on_train_end(self, trainer):
        self.note("end", trainer)


# ------------------------------------------------------------------- what a step, an epoch does


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("loss", ["squared_error", squared], ids=["named", "callable"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_an_epoch_is_its_steps(dtype, data, name, loss, shuffle):
    X, Y = data
    batch = len(X) if name == "Rprop" else 5
    nets = [made(dtype, loss=loss) for _ in range(3)]
    trainers = [bp.Trainer(net, OPTIMIZERS[name](), batch, shuffle=shuffle, l2=0.01, rng=11)
                for net in nets[:2]]  # fmt: skip
    history = trainers[0].run(X, Y, 3)
    order, optimizer = np.random.default_rng(11), OPTIMIZERS[name]()
    tolerance = {"rtol": RTOL["training"][dtype], "atol": RTOL["training"][dtype]}
    for epoch in range(3):
        rows = order.permutation(len(X)) if shuffle else np.arange(len(X))
        total = 0.0
        for k in range(0, len(X), batch):
            x, y = X[rows[k : k + batch]], Y[rows[k : k + batch]]
            nets[2].forward(x)
            C = nets[2].backward(y)
            for layer in nets[2].layers:
                C += 0.005 * float(np.square(layer.W, dtype=float).sum())
                layer.dW[...] += 0.01 * layer.W
            optimizer.update(nets[2])
            assert trainers[1].step(x, y) == pytest.approx(C, rel=RTOL["training"][dtype])
            total += C * len(x)
        assert history.loss[epoch] == pytest.approx(total / len(X), rel=RTOL["training"][dtype])
    assert_array_equal(nets[0].parameters, nets[1].parameters)
    assert_allclose(nets[0].parameters, nets[2].parameters, **tolerance)
    assert {trainer.optimizer.steps for trainer in trainers} == {optimizer.steps}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_penalty_s_gradient_in_the_update(name, dtype, level, rng):
    """A long epoch adds it within the update, and the next step's squares with it; a step before it
    looks at the gradient: the same bits of parameters, state, gradient and loss."""
    samples = 1 if name == "Rprop" else 40
    X, Y = rng.standard_normal((samples, 5)), rng.standard_normal((samples, 3))
    nets = [bp.mlp([5, 19, 3], "tanh", dtype=dtype, rng=3) for _ in range(2)]
    for net in nets:
        net.gradient[...] = 0
    by_run, by_step = (bp.Trainer(net, OPTIMIZERS[name](), 1, shuffle=False, l2=0.3)
                       for net in nets)  # fmt: skip
    steps = min(samples, 10)
    for first in range(0, samples, steps):
        x, y, total = X[first : first + steps], Y[first : first + steps], 0.0
        for k in range(steps):
            total += by_step.step(x[k], y[k])
        assert by_run.run(x, y, 1).loss[-1] == total / steps
    assert_array_equal(nets[0].parameters, nets[1].parameters)
    assert_array_equal(nets[0].gradient, nets[1].gradient)
    for key, vector in by_step.optimizer.state.items():
        assert_array_equal(by_run.optimizer.state[key], vector)
    plain = bp.mlp([5, 19, 3], "tanh", dtype=dtype, rng=3)
    bp.Trainer(plain, OPTIMIZERS[name](), 1, shuffle=False).run(X, Y, 1)
    assert not np.array_equal(plain.parameters, nets[0].parameters)


@pytest.mark.parametrize("name", ["Adam", "AdamW", "RMSProp", "Adagrad"])
@pytest.mark.parametrize("n_inputs", [7, 1000, 1003])
def test_the_penalty_is_added_up_in_one_order(name, n_inputs, dtype, level):
    """Within the update as in a pass of its own: beside a weight of 1, whose square swallows those
    of the others one by one and not their sum, another order gives other bits."""
    net = bp.mlp([n_inputs, 3, 2], "tanh", dtype=dtype, rng=1)
    for layer in net.layers:
        layer.W[...] = 0.9e-8
        layer.W[0, 0] = 1
    optimizer = OPTIMIZERS[name]()
    optimizer.learning_rate = 1e-30
    trainer = bp.Trainer(net, optimizer, 1, shuffle=False, l2=0.25)
    X, Y = np.zeros((16, n_inputs)), np.zeros((16, 2))
    total = 0.0
    for k in range(16):
        total += trainer.step(X[k], Y[k])
    assert trainer.run(X, Y, 1).loss[-1] == total / 16


@pytest.mark.parametrize("n_inputs", [1, 3, 7, 17, 31, 33, 64, 100, 129])
def test_the_penalty_of_layers_of_any_size(n_inputs, dtype, level, rng):
    """λ1 Σ|W| + λ2/2 Σ W² in float64, of weights of both signs; biases cost nothing."""
    net = bp.mlp([n_inputs, 3, 2], "tanh", bias_initializer="standard_normal", dtype=dtype, rng=1)
    x, y = rng.standard_normal(n_inputs), rng.standard_normal(2)
    plain, penalised = (
        bp.Trainer(net, bp.SGD(1e-30), l1=l1, l2=l2).step(x, y) for l1, l2 in ((0, 0), (3.0, 5.0))
    )
    weights = np.concatenate([layer.W.ravel() for layer in net.layers]).astype(np.float64)
    wanted = 3 * np.abs(weights).sum() + 2.5 * np.square(weights).sum()
    assert penalised - plain == pytest.approx(wanted, rel=1e-12)


def test_the_same_seed_gives_the_same_bits(dtype, data):
    nets, losses = [made(dtype) for _ in range(3)], []
    for net, seed in zip(nets, (1, 1, 2), strict=True):
        losses.append(net.fit(*data, 4, 4, rng=seed).loss)
    assert losses[0] == losses[1] != losses[2]
    assert_array_equal(nets[0].parameters, nets[1].parameters)
    assert not np.array_equal(nets[0].parameters, nets[2].parameters)


def test_generator_is_used_where_it_stands(data):
    generator = np.random.default_rng(3)
    nets = made(), made()
    nets[0].fit(*data, 2, 4, rng=generator)
    nets[0].fit(*data, 2, 4, rng=generator)
    assert generator.random() != np.random.default_rng(3).random()
    again = np.random.default_rng(3)
    for _ in range(2):
        nets[1].fit(*data, 2, 4, rng=again)
    assert_array_equal(nets[0].parameters, nets[1].parameters)


@pytest.mark.parametrize("batch_size", [None, 23, 24, 10**6, 2**63, 10**30, np.int64(23)])
def test_batches_larger_than_the_data_are_all_of_them(data, batch_size):
    nets = made(), made()
    nets[0].fit(*data, 2, batch_size, shuffle=False)
    nets[1].fit(*data, 2, 23, shuffle=False)
    assert_array_equal(nets[0].parameters, nets[1].parameters)


@pytest.mark.parametrize("n_threads", [1, 2, 7])
def test_threads_do_not_change_the_bits(data, n_threads):
    nets = made(), made()
    nets[0].fit(*data, 3, 4, rng=0, n_threads=n_threads)
    nets[1].fit(*data, 3, 4, rng=0)
    assert_array_equal(nets[0].parameters, nets[1].parameters)


@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy"])
def test_weights_are_repeated_samples(rng, loss):
    X, counts = rng.standard_normal((9, 3)), np.array([2, 1, 3, 0, 1, 1, 4, 0, 2])
    Y = rng.integers(0, 2, 9) if loss == "cross_entropy" else rng.random((9, 2))
    nets = [made("float64", loss=loss, output="softmax") for _ in range(2)]
    repeated = np.repeat(X, counts, axis=0), np.repeat(Y, counts, axis=0)
    weighted = nets[0].fit(X, Y, 5, None, bp.SGD(0.1), sample_weight=counts / 8,
                           validation_data=(X, Y, counts))  # fmt: skip
    plain = nets[1].fit(*repeated, 5, None, bp.SGD(0.1), validation_data=repeated)
    assert_allclose(nets[0].parameters, nets[1].parameters, rtol=1e-12)
    assert_allclose(weighted.loss, plain.loss, rtol=1e-12)
    assert_allclose(weighted.validation_loss, plain.validation_loss, rtol=1e-12)
    assert nets[0].evaluate(X, Y, counts) == pytest.approx(nets[1].evaluate(*repeated), rel=1e-12)


def test_a_batch_of_weight_zero_changes_nothing_but_the_steps(data):
    X, Y = data[0][:8], data[1][:8]
    net, weight = made(), np.array([1, 1, 1, 1, 0, 0, 0, 0])
    trainer = bp.Trainer(net, bp.SGD(0.1), 4, shuffle=False)
    history = trainer.run(X, Y, 1, sample_weight=weight)
    other = made()
    alone = bp.Trainer(other, bp.SGD(0.1), 4, shuffle=False).run(X[:4], Y[:4], 1)
    assert_array_equal(net.parameters, other.parameters)
    assert history.loss == alone.loss
    assert trainer.optimizer.steps == 2


def test_zero_epochs(data):
    net, log = made(), Log(1)
    before = net.parameters.copy()
    trainer = bp.Trainer(net)
    history = trainer.run(*data, 0, callbacks=[log])
    assert (len(history), trainer.epoch, trainer.optimizer.steps) == (0, 0, 0)
    assert log.log == [("begin", 0), ("end", 0)]
    assert_array_equal(net.parameters, before)


def test_history_over_all_runs(data):
    X, Y = data
    rate = schedules.StepDecay(0.1, 4, 0.5)
    trainer = bp.Trainer(made(), bp.SGD(rate), 6, rng=0)
    assert trainer.run(X, Y, 2) is trainer.history
    trainer.run(X, Y, 1, validation_data=(X, Y))
    history = trainer.history
    assert (len(history), trainer.epoch, trainer.optimizer.steps) == (3, 3, 12)
    assert history.learning_rate == [rate(3), rate(7), rate(11)] == [0.1, 0.05, 0.025]
    assert [math.isnan(loss) for loss in history.validation_loss] == [True, True, False]
    assert history.validation_loss[-1] == trainer.network.evaluate(X, Y)
    assert all(0 < seconds < 10 for seconds in history.seconds)


def test_learning_rate_may_be_any_callable_of_the_steps_done(data):
    steps = []
    trainer = bp.Trainer(made(), bp.SGD(lambda step: steps.append(step) or 0.1 / (step + 1)), 6)
    trainer.run(*data, 2)
    trainer.step(*data)
    assert list(dict.fromkeys(steps)) == list(range(9))
    assert trainer.history.learning_rate == [0.1 / 4, 0.1 / 8]


# -------------------------------------------------------------------------------- callbacks


def test_callbacks_are_called_at_the_right_steps(data):
    log = []
    callbacks = [Log(7, name="a ", log=log), Log(4, name="b ", log=log), Log(name="c ", log=log)]
    bp.Trainer(made(), batch_size=5).run(*data, 3, callbacks=callbacks)  # 5 steps an epoch
    assert log[:3] == [("a begin", 0), ("b begin", 0), ("c begin", 0)]
    assert log[3:-3] == [
        ("b steps", 4), ("a epoch", 5), ("b epoch", 5), ("c epoch", 5), ("a steps", 7),
        ("b steps", 8), ("a epoch", 10), ("b epoch", 10), ("c epoch", 10), ("b steps", 12),
        ("a steps", 14), ("a epoch", 15), ("b epoch", 15), ("c epoch", 15),
    ]  # fmt: skip
    assert sorted(log[-3:]) == [("a end", 15), ("b end", 15), ("c end", 15)]


def test_on_steps_sees_the_parameters_of_that_step_and_may_change_them(data):
    X, Y = data
    seen = []

    class Keep(bp.Callback):
        every = 3

        def on_steps(self, trainer):
            seen.append(trainer.network.parameters.copy())
            trainer.network.parameters[...] *= 0.5

    bp.Trainer(made(), bp.Adam(), 5, shuffle=False).run(X, Y, 2, callbacks=[Keep()])
    net = made()
    trainer = bp.Trainer(net, bp.Adam(), 5)
    for step in range(10):
        rows = slice(5 * (step % 5), 5 * (step % 5) + 5)
        trainer.step(X[rows], Y[rows])
        if step % 3 == 2:
            assert_array_equal(seen.pop(0), net.parameters)
            net.parameters *= 0.5
    assert not seen


@pytest.mark.parametrize(("stop_at", "epochs"), [(("epoch", 10), 2), (("steps", 6), 2), (None, 4)])
def test_stop_training_ends_after_the_epoch(data, stop_at, epochs):
    trainer = bp.Trainer(made(), batch_size=5)
    history = trainer.run(*data, 4, callbacks=[Log(1, stop_at=stop_at)])
    assert len(history) == trainer.epoch == epochs
    assert trainer.stop_training == (stop_at is not None)
    trainer.run(*data, 2)
    assert len(history) == epochs + 2


def test_early_stopping_restores_the_best_weights(data):
    X, Y = data
    kept = []
    trainer = bp.Trainer(made(), bp.SGD(0.5), 4, rng=0)
    early = bp.EarlyStopping(patience=6)
    other = X[::-1], Y
    trainer.run(X, Y, 300, validation_data=other,
                callbacks=[lambda t: kept.append(t.network.parameters.copy()), early])  # fmt: skip
    losses = trainer.history.validation_loss
    assert len(losses) < 300
    best = int(np.argmin(losses))
    assert best == len(losses) - 7
    assert_array_equal(trainer.network.parameters, kept[best])
    assert trainer.network.evaluate(*other) == losses[best]


@pytest.mark.parametrize("event", ["begin", "epoch", "steps", "end"])
def test_every_callback_gets_its_end_when_one_raises(data, event):
    log = []
    callbacks = [Log(2, name="a ", log=log),
                 Log(2, name="b ", log=log, raises=event),
                 Log(2, name="c ", log=log)]  # fmt: skip
    trainer = bp.Trainer(made(), batch_size=5)
    with pytest.raises(RuntimeError, match=f"b {event}"):
        trainer.run(*data, 2, callbacks=callbacks)
    ends = {name for name, _ in log if name.endswith("end")}
    assert {"a end", "b end"} <= ends
    assert ("c end" in ends) == any(name == "c begin" for name, _ in log)
    trainer.run(*data, 1)


def test_progress_bar_of_fit(data, capsys):
    optional("tqdm")
    made().fit(*data, 3, progress=True)
    assert "3/3" in capsys.readouterr().err


# ------------------------------------------------------------- after an interrupt or an error


@pytest.fixture
def interrupt_later():
    """A function that sends Ctrl-C after so many seconds, and the list of when it did.

    Where SIGINT is ignored, as in the background jobs of a shell, it gets Python's handler.
    """
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    sent, timers = [], []

    def interrupt():
        sent.append(time.perf_counter())
        signal.raise_signal(signal.SIGINT)

    def later(seconds):
        timers.append(threading.Timer(seconds, interrupt))
        timers[-1].start()
        return sent

    yield later
    for timer in timers:
        timer.cancel()
        timer.join()
    signal.signal(signal.SIGINT, handler)


def steps_again(trainer, X, Y, batch_size):
    """A new trainer of the same kind after as many steps as this one says that it has done."""
    again = bp.Trainer(made(loss=trainer.network.loss), bp.Adam(), batch_size, shuffle=False)
    whole, rest = divmod(trainer.optimizer.steps, -(-len(X) // batch_size))
    again.run(X, Y, whole)
    for k in range(rest):
        rows = slice(k * batch_size, (k + 1) * batch_size)
        again.step(X[rows], Y[rows])
    return again


@pytest.mark.parametrize("n", [64, 400_000], ids=["short epochs", "long epochs"])
@pytest.mark.parametrize("loss", ["squared_error", squared], ids=["named", "callable"])
def test_interrupt_leaves_weights_state_and_steps_that_belong_together(
    rng, n, loss, interrupt_later
):
    X, Y = rng.standard_normal((n, 3)).astype("float32"), rng.random((n, 2)).astype("float32")
    log = Log()
    trainer = bp.Trainer(made(loss=loss), bp.Adam(), 64, shuffle=False)
    sent = interrupt_later(0.1)
    with pytest.raises(KeyboardInterrupt):
        trainer.run(X, Y, 10**9, callbacks=[log])
    assert time.perf_counter() - sent[0] < 1
    assert log.log[-1][0] == "end"
    assert trainer.optimizer.steps > 10
    assert len(trainer.history) == trainer.epoch
    again = steps_again(trainer, X, Y, 64)
    assert_array_equal(trainer.network.parameters, again.network.parameters)
    for name, vector in trainer.optimizer.state.items():
        assert_array_equal(vector, again.optimizer.state[name])
    trainer.run(X[:64], Y[:64], 1)


def test_interrupt_is_heard_within_an_epoch_of_large_steps(interrupt_later):
    X, Y = np.ones((4000, 1000), "float32"), np.ones((4000, 10), "float32")
    trainer = bp.Trainer(bp.mlp([1000, 1000, 10], rng=0), bp.Adam(), 1)
    sent = interrupt_later(0.05)
    with pytest.raises(KeyboardInterrupt):
        trainer.run(X, Y, 100)
    assert time.perf_counter() - sent[0] < 1
    assert trainer.epoch == 0


def test_loss_that_raises_leaves_weights_and_steps_that_belong_together(data):
    calls = []

    def loss(a, y):
        calls.append(1)
        if len(calls) == 8:
            raise ZeroDivisionError("of the loss")
        return squared(a, y)

    trainer = bp.Trainer(made(loss=loss), bp.Adam(), 5, shuffle=False)
    with pytest.raises(ZeroDivisionError, match="of the loss"):
        trainer.run(*data, 3)
    assert (trainer.optimizer.steps, trainer.epoch) == (7, 1)
    again = steps_again(trainer, *data, 5)
    assert_array_equal(trainer.network.parameters, again.network.parameters)


# ------------------------------------------------------------------------------- divergence


def finite(trainer):
    vectors = [trainer.network.parameters, *trainer.optimizer.state.values()]
    return all(np.isfinite(vector).all() for vector in vectors)


# From steps that grow tenfold to steps that leave the numbers at once.
RATES = {"SGD": (10, 1e30), "momentum": (10, 1e30), "Nesterov": (10, 1e30), "Adam": (1e30, 1e38),
         "AdamW": (1e30, 1e38), "RMSProp": (1e30, 1e38), "Adagrad": (1e30, 1e38)}  # fmt: skip


@pytest.mark.parametrize("loss", ["squared_error", squared], ids=["named", "callable"])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("name", RATES)
def test_divergence_keeps_the_last_finite_weights(dtype, data, name, which, shuffle, loss):
    X, Y = 10 * data[0], 100 * data[1]
    # Its range of exponents is eight times as wide.
    rate = RATES[name][which] ** (8 if dtype == "float64" and RATES[name][which] > 10 else 1)

    def trained():
        net = bp.mlp([3, 2], loss=loss, dtype=dtype, rng=0)
        return bp.Trainer(net, OPTIMIZERS[name](rate), 5, shuffle=shuffle, rng=4)

    trainer = trained()
    with pytest.raises(bp.DivergenceError) as caught:
        trainer.run(X, Y, 1000)
    assert f"epoch {trainer.epoch + 1}," in str(caught.value)
    assert len(trainer.history) == trainer.epoch == trainer.optimizer.steps // 5
    assert np.isfinite(trainer.history.loss).all()
    assert finite(trainer)
    # Runs that are stopped there, and one step later.
    other, last = trained(), trainer.optimizer.steps
    if last:
        with pytest.raises(RuntimeError, match="steps"):
            other.run(X, Y, 1000, callbacks=[Log(last, raises="steps")])
    assert_array_equal(trainer.network.parameters, other.network.parameters)
    for key, vector in other.optimizer.state.items():
        assert_array_equal(trainer.optimizer.state[key], vector)
    with pytest.raises(bp.DivergenceError):
        trained().run(X, Y, 1000, callbacks=[Log(last + 1, raises="steps")])


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("name", RATES)
def test_steps_that_diverge_keep_the_last_finite_weights(data, name, which):
    X, Y = 10 * data[0], 100 * data[1]
    trainer = bp.Trainer(bp.mlp([3, 2], rng=0), OPTIMIZERS[name](RATES[name][which]))
    with pytest.raises(bp.DivergenceError, match="step"):
        for _ in range(1000):
            steps, before = trainer.optimizer.steps, copy.deepcopy(trainer)
            trainer.step(X, Y)
    assert trainer.optimizer.steps == steps
    assert finite(trainer)
    assert_array_equal(trainer.network.parameters, before.network.parameters)
    for key, vector in before.optimizer.state.items():
        assert_array_equal(trainer.optimizer.state[key], vector)


@pytest.mark.parametrize("loss", ["squared_error", squared], ids=["named", "callable"])
@pytest.mark.parametrize("door", ["run", "step", "update"])
@pytest.mark.parametrize("name", [name for name in RATES if name != "Adagrad"])  # whose first is η
def test_update_that_overflows_in_the_only_step(dtype, data, name, door, loss):
    X, Y = data[0], 100 * data[1]
    net = made(dtype, loss=loss)
    trainer = bp.Trainer(net, OPTIMIZERS[name](float(np.finfo(dtype).max) / 2), None)
    before = net.parameters.copy()
    net.forward(X)
    net.backward(1e3 * Y)
    with pytest.raises(ArithmeticError) as caught:
        if door == "update":
            trainer.optimizer.update(net)
        else:
            getattr(trainer, door)(X, 1e3 * Y)
    assert isinstance(caught.value, FloatingPointError if door == "update" else bp.DivergenceError)
    assert_array_equal(net.parameters, before)
    assert trainer.optimizer.steps == 0
    assert all(not vector.any() for vector in trainer.optimizer.state.values())


@pytest.mark.parametrize("name", ["Adam", "AdamW", "RMSProp", "Adagrad"])
def test_state_that_overflows_is_a_divergence(data, name):
    X, Y = 1e9 * data[0], 1e13 * data[1]
    trainer = bp.Trainer(bp.mlp([3, 2], rng=0), OPTIMIZERS[name](), 5)
    before = trainer.network.parameters.copy()
    with pytest.raises(bp.DivergenceError, match="epoch 1"):
        trainer.run(X, Y, 1)
    assert finite(trainer)
    assert_array_equal(trainer.network.parameters, before)


@pytest.mark.parametrize("n_inputs", [1, 784])
@pytest.mark.parametrize("step", [1, 2, 3, 4, 9, 64, 1000, 3999, 4000])
def test_the_step_that_diverged_is_found_soon_however_late_it_shows(rng, step, n_inputs):
    # An infinite weight behind a sigmoid leaves the loss finite.
    X, Y = rng.uniform(0.5, 1.5, (4000, n_inputs)).astype("float32"), np.full((4000, 10), 9.0)
    net = bp.mlp([n_inputs, 10], output="sigmoid", rng=0)
    net.parameters *= 1e-3
    rate = lambda k: 3e38 if k == step - 1 else 1e-9  # noqa: E731
    trainer = bp.Trainer(net, bp.SGD(rate), 1, shuffle=False)
    began = time.perf_counter()
    with pytest.raises(bp.DivergenceError, match=f"epoch 1, at step {step} of 4000"):
        trainer.run(X, Y, 1)
    assert time.perf_counter() - began < 2
    assert trainer.optimizer.steps == step - 1
    assert finite(trainer)


def test_divergence_after_a_callback_changed_the_weights(data):
    class Double(bp.Callback):
        every = 3

        def on_steps(self, trainer):
            trainer.network.parameters[...] *= 2
            changed.append(trainer.network.parameters.copy())

    changed = []
    trainer = bp.Trainer(bp.mlp([3, 2], rng=0), bp.Adam(lambda k: 1e-3 if k < 7 else 3e38), 1)
    with pytest.raises(bp.DivergenceError, match=r"epoch 1, at step [89] of 23"):
        trainer.run(*data, 1, callbacks=[Double()])
    assert len(changed) == 2
    last = np.abs(trainer.network.parameters - changed[-1]).max()
    assert 0 < last < 3e-3  # Adam's steps of 1e-3; undoubled it would be half the weights


def test_loss_that_raises_for_outputs_that_are_not_finite(data):
    def loss(a, y):
        if not np.isfinite(a).all():
            raise ZeroDivisionError("not finite")
        return squared(a, y)

    net = bp.mlp([3, 2], loss=loss, rng=0)
    trainer = bp.Trainer(net, bp.SGD(lambda k: 3e38 if k == 3 else 0.01), 5, shuffle=False)
    with pytest.raises(ZeroDivisionError, match="not finite"):
        trainer.run(*data, 1)
    assert finite(trainer)
    assert trainer.optimizer.steps == 3


def test_divergence_tells_the_callbacks(data):
    log, early = Log(), bp.EarlyStopping()
    trainer = bp.Trainer(bp.mlp([3, 2], rng=0), bp.SGD(10), 5)
    with pytest.raises(bp.DivergenceError):
        trainer.run(*data, 1000, callbacks=[log, early])
    assert log.log[-1][0] == "end"
    assert early.best_epoch is not None
    assert trainer.history.loss[early.best_epoch - 1] == min(trainer.history.loss)


def test_callable_loss_that_is_nan_is_a_divergence(data):
    net = made(loss=lambda a, y: (math.nan, a))
    with pytest.raises(bp.DivergenceError, match="epoch 1"):
        net.fit(*data, 1)
    with pytest.raises(bp.DivergenceError):
        bp.Trainer(net).step(*data)
    assert_array_equal(net.parameters, made().parameters)


def test_clipping_a_gradient_whose_squares_overflow(dtype, data):
    scale = 1e150 if dtype == "float64" else 1e18
    X = data[0].astype(dtype) * scale
    net = bp.mlp([3, 2], dtype=dtype, loss="huber", rng=0)
    before = net.parameters.astype(float)
    bp.Trainer(net, bp.SGD(0.5), None, clip_norm=1e-3).run(X, data[1])
    assert np.linalg.norm(net.parameters - before) == pytest.approx(0.5e-3, rel=1e-4)


# ---------------------------------------------------------------------- settings and arguments


@pytest.mark.parametrize("rate", [0, -0.1, math.nan, math.inf, -math.inf, "0.1", None, True, 1j])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_learning_rate_refused(name, rate):
    with pytest.raises((TypeError, ValueError), match=r"learning_rate is .*wanted a") as caught:
        OPTIMIZERS[name](rate)
    assert repr(rate) in str(caught.value)


@pytest.mark.parametrize("rate", [0, -0.1, math.nan, math.inf, "0.1", None])
@pytest.mark.parametrize("door", ["run", "step", "update"])
def test_learning_rate_that_a_callable_returns_refused(data, rate, door):
    trainer = bp.Trainer(made(), bp.SGD(lambda step: rate))
    trainer.network.forward(data[0])
    trainer.network.backward(data[1])
    before = trainer.network.parameters.copy(), repr(trainer.rng.bit_generator.state)
    with pytest.raises((TypeError, ValueError), match=r"learning_rate\(0\) is"):
        if door == "update":
            trainer.optimizer.update(trainer.network)
        else:
            getattr(trainer, door)(*data)
    assert_array_equal(trainer.network.parameters, before[0])
    assert repr(trainer.rng.bit_generator.state) == before[1]
    assert trainer.optimizer.steps == 0


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: bp.SGD(0.1, 1.0), ValueError, ["momentum is 1.0", "[0, 1)"]),
        (lambda: bp.SGD(0.1, -0.1), ValueError, ["momentum is -0.1"]),
        (lambda: bp.SGD(0.1, nesterov=True), ValueError, ["nesterov", "momentum"]),
        (lambda: bp.SGD(0.1, 0.9, nesterov=1), TypeError, ["nesterov is 1", "True or False"]),
        (lambda: bp.Adam(beta_1=1), ValueError, ["beta_1 is 1"]),
        (lambda: bp.Adam(beta_2=-0.5), ValueError, ["beta_2 is -0.5"]),
        (lambda: bp.Adam(epsilon=0), ValueError, ["epsilon is 0"]),
        (lambda: bp.Adam(epsilon=math.nan), ValueError, ["epsilon is nan"]),
        (lambda: bp.AdamW(weight_decay=-1), ValueError, ["weight_decay is -1"]),
        (lambda: bp.RMSProp(rho="0.9"), TypeError, ["rho is '0.9'"]),
        (lambda: bp.Rprop(eta_minus=1.5), ValueError, ["eta_minus is 1.5"]),
        (lambda: bp.Rprop(eta_plus=0.5), ValueError, ["eta_plus is 0.5"]),
        (lambda: bp.Rprop(min_step=1, max_step=0.5), ValueError, ["max_step is 0.5"]),
        (lambda: bp.Rprop(lambda step: 0.1), TypeError, ["learning_rate", "number"]),
        (lambda: bp.Adam().update("net"), TypeError, ["str", "Network"]),
        (lambda: bp.Trainer("net"), TypeError, ["str", "Network"]),
        (lambda: bp.Trainer(bp.Dense(2, 2)), TypeError, ["Dense", "Network"]),
        (lambda: bp.Trainer(made(), "adam"), TypeError, ["'adam'", "bp.Adam"]),
        (lambda: bp.Trainer(made(), bp.Adam), TypeError, ["Adam", "bp.Adam("]),
    ],
)
def test_optimizers_and_trainers_refuse(make, error, words):
    with pytest.raises(error) as caught:
        make()
    assert type(caught.value) is error
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("batch_size", value) for value in (0, -1, 2.0, True, "32", math.nan)],
        *[("epochs", value) for value in (-1, 1.0, None, True, "3")],
        *[("shuffle", value) for value in (1, None, "yes")],
        *[("progress", value) for value in (1, None, "yes")],
        *[(name, v) for name in ("l1", "l2") for v in (-0.1, math.nan, math.inf, "0", None, True)],
        *[("clip_norm", value) for value in (0, -1, math.nan, math.inf, "1", True)],
        *[("n_threads", value) for value in (0, -1, 1.0, True, "2")],
        *[("callbacks", value) for value in (3, [3], ["x"], [bp.EarlyStopping], None, [None])],
        *[("validation_data", value) for value in (3, (1,), (1, 2, 3, 4), "ab", {})],
        *[("optimizer", value) for value in ("adam", bp.Adam, 0.1)],
    ],
)
def test_settings_of_fit_refused(data, name, value):
    net = made()
    before = net.parameters.copy()
    with pytest.raises((TypeError, ValueError)) as caught:
        net.fit(*data, **{name: value})
    words = {"callbacks": ["callback", "wanted"], "validation_data": ["validation_data", "(X, Y"]}
    for word in words.get(name, [name, "wanted", repr(value)]):
        assert word in str(caught.value)
    assert_array_equal(net.parameters, before)


def test_one_callback_without_a_list_is_taken_or_refused_in_a_sentence(data):
    try:
        made().fit(*data, callbacks=bp.EarlyStopping())
    except TypeError as error:
        assert "EarlyStopping" in str(error)
        assert "wanted" in str(error)


@pytest.mark.parametrize("every", [0, -1, 1.5, True, "2"])
def test_every_refused_before_training(data, every):
    trainer, log = bp.Trainer(made(), rng=0), Log()
    state = repr(trainer.rng.bit_generator.state)
    with pytest.raises((TypeError, ValueError), match=f"every.*{every!r}.*wanted"):
        trainer.run(*data, 1, callbacks=[log, Log(every)])
    assert log.log == []
    assert repr(trainer.rng.bit_generator.state) == state


def test_rprop_wants_full_batches(data):
    with pytest.raises(ValueError, match=r"batch_size is 5 for 23 samples: set batch_size=None"):
        made().fit(*data, 1, 5, bp.Rprop())


def test_settings_cannot_be_assigned():
    trainer = bp.Trainer(made())
    for name in ("network", "optimizer", "batch_size", "l1", "l2", "clip_norm", "n_threads"):
        before = getattr(trainer, name)
        with pytest.raises(AttributeError):
            setattr(trainer, name, 3)
        assert getattr(trainer, name) is before


@pytest.mark.parametrize("kind", ["run", "step", "update"])
def test_learning_rate_assigned_between_steps(data, kind):
    nets = made(), made()
    for net, rates in ((nets[0], (0.1, 0.01)), (nets[1], (0.1, 0.1))):
        trainer = bp.Trainer(net, bp.SGD(rates[0]), None, shuffle=False)
        trainer.step(*data)
        trainer.optimizer.learning_rate = rates[1]
        before = net.parameters.copy()
        net.forward(data[0])
        net.backward(data[1])
        trainer.optimizer.update(net) if kind == "update" else getattr(trainer, kind)(*data)
        net.change = net.parameters - before
    assert_allclose(10 * nets[0].change, nets[1].change, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("batch_size", [5, None])
def test_learning_rate_assigned_by_a_callback(data, batch_size):
    def halve(trainer):
        trainer.optimizer.learning_rate /= 2

    trainer, plain = (bp.Trainer(made(), bp.SGD(0.1), batch_size, shuffle=False) for _ in range(2))
    trainer.run(*data, 3, callbacks=[halve])
    assert trainer.history.learning_rate == [0.1, 0.05, 0.025]
    for rate in (0.1, 0.05, 0.025):
        plain.optimizer.learning_rate = rate
        plain.run(*data, 1)
    assert_array_equal(trainer.network.parameters, plain.network.parameters)


@pytest.mark.parametrize("rate", [-1.0, 0, math.nan, "x"])
def test_learning_rate_assigned_is_checked(data, rate):
    trainer = bp.Trainer(made(), bp.SGD(0.1))
    before = trainer.network.parameters.copy()
    with pytest.raises((TypeError, ValueError), match="learning_rate is"):
        trainer.optimizer.learning_rate = rate
        trainer.run(*data, 1)
    assert_array_equal(trainer.network.parameters, before)


@pytest.mark.parametrize("alive", [True, False])
def test_optimizer_of_another_network_refused(data, alive):
    optimizer = bp.Adam()
    net = made()
    net.fit(*data, 1, optimizer=optimizer)
    if not alive:
        del net
    with pytest.raises(ValueError, match=r"another network.*make a new"):
        made().fit(*data, 1, optimizer=optimizer)
    assert optimizer.steps == 1


def test_copies_of_network_and_optimizer_go_on_alike(data):
    trainer = bp.Trainer(made(), bp.Adam(), 5, rng=0)
    trainer.run(*data, 2)
    net, optimizer = copy.deepcopy((trainer.network, trainer.optimizer))
    for each in (trainer, bp.Trainer(net, optimizer, 5)):
        each.step(*data)
    assert_array_equal(net.parameters, trainer.network.parameters)
    other = copy.deepcopy(trainer)
    for each in (trainer, other):
        each.run(*data, 2)
    assert_array_equal(trainer.network.parameters, other.network.parameters)
    assert trainer.history.loss == other.history.loss
    assert other.optimizer is not trainer.optimizer


def test_repr():
    assert repr(bp.SGD(0.1, 0.9)) == "SGD(learning_rate=0.1, momentum=0.9, nesterov=False)"
    text = repr(bp.Trainer(made(), bp.Adam(), 7))
    for word in ("Trainer(", "3-5-2", "Adam(", "batch_size=7", "0 epochs"):
        assert word in text
