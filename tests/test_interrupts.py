"""Training after an interrupt or an error: what is left belongs together."""

import signal
import threading
import time

import numpy as np
import pytest
from helpers import squared
from numpy.testing import assert_array_equal
from trainers import Log, made

import bpcore as bp


class InterruptLater(bp.Callback):
    """Sends Ctrl-C so many seconds after the training has done so many steps.

    The seconds are counted from what the training has done, not from when it was called: on a
    machine that is busy with other things it may stand still for longer than that.
    """

    def __init__(self, seconds, after_steps):
        self.after_steps = after_steps
        self.timer = threading.Timer(seconds, self.interrupt)
        self.optimizer = self.sent = self.steps = None

    def interrupt(self):
        self.sent = time.perf_counter()
        self.steps = int(self.optimizer.steps)
        signal.raise_signal(signal.SIGINT)

    def start_when_due(self, trainer):
        self.optimizer = trainer.optimizer
        if self.timer.ident is None and self.optimizer.steps >= self.after_steps:
            self.timer.start()

    on_train_begin = on_epoch_end = start_when_due

    def put_away(self):
        if self.timer.ident is not None:
            self.timer.cancel()
            self.timer.join()


@pytest.fixture
def interrupt_later():
    """A function that makes an `InterruptLater`, whose timer is put away after the test.

    Where SIGINT is ignored, as in the background jobs of a shell, it gets Python's handler.
    """
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    callbacks = []

    def later(seconds, after_steps):
        callbacks.append(InterruptLater(seconds, after_steps))
        return callbacks[-1]

    yield later
    for callback in callbacks:
        callback.put_away()
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
    interrupt = interrupt_later(0.05, after_steps=10)
    with pytest.raises(KeyboardInterrupt):
        trainer.run(X, Y, 10**9, callbacks=[log, interrupt])
    assert time.perf_counter() - interrupt.sent < 1
    assert log.log[-1][0] == "end"
    assert trainer.optimizer.steps >= 10
    assert len(trainer.history) == trainer.epoch
    again = steps_again(trainer, X, Y, 64)
    assert_array_equal(trainer.network.parameters, again.network.parameters)
    for name, vector in trainer.optimizer.state.items():
        assert_array_equal(vector, again.optimizer.state[name])
    trainer.run(X[:64], Y[:64], 1)


def test_interrupt_is_heard_within_an_epoch_of_large_steps(interrupt_later):
    """And within 100 of them, each of which takes a millisecond to update a million weights."""
    X, Y = np.ones((4000, 1000), "float32"), np.ones((4000, 10), "float32")
    trainer = bp.Trainer(bp.mlp([1000, 1000, 10], rng=0), bp.Adam(), 1)
    interrupt = interrupt_later(0.05, after_steps=0)
    with pytest.raises(KeyboardInterrupt):
        trainer.run(X, Y, 100, callbacks=[interrupt])
    assert trainer.optimizer.steps - interrupt.steps < 100
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


def test_an_interrupt_before_the_first_step_goes_back_to_nothing(data, monkeypatch):
    """What was copied in an earlier run is not what this one began with."""
    X, Y = np.tile(data[0], (20, 1)), np.tile(data[1], (20, 1))  # more steps than go without copies
    trainer = bp.Trainer(made(), bp.Adam(), 5, shuffle=False)
    trainer.run(X, Y)
    parameters, steps = trainer.network.parameters, trainer.optimizer.steps
    assert trainer._snapshot.steps >= 0
    parameters[3] = np.nan

    def run(*arguments, **keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer._team, "run", run)
    before = parameters.copy()
    with pytest.raises(KeyboardInterrupt):
        trainer.run(X, Y)
    assert_array_equal(parameters, before)
    assert trainer.optimizer.steps == steps
