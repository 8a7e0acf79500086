"""Training that diverges: found soon, told in words, the last finite weights kept."""

import copy
import math

import numpy as np
import pytest
from helpers import squared
from numpy.testing import assert_array_equal
from trainers import OPTIMIZERS, Log, made

import bpcore as bp


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


class Counting:
    """A laid-out training that counts the steps it runs."""

    def __init__(self, training):
        self.training, self.steps = training, 0

    def __getattr__(self, name):
        return getattr(self.training, name)

    def run(self, *batches_and_span, **how):
        step = self.training.run(*batches_and_span, **how)
        self.steps += step - batches_and_span[6]
        return step


@pytest.mark.parametrize("n_inputs", [1, 784])
@pytest.mark.parametrize("step", [1, 2, 3, 4, 9, 64, 1000, 3999, 4000])
def test_the_step_that_diverged_is_found_soon_however_late_it_shows(rng, step, n_inputs):
    # An infinite weight behind a sigmoid leaves the loss finite.
    X, Y = rng.uniform(0.5, 1.5, (4000, n_inputs)).astype("float32"), np.full((4000, 10), 9.0)
    net = bp.mlp([n_inputs, 10], output="sigmoid", rng=0)
    net.parameters *= 1e-3

    def rate(k):
        return 3e38 if k == step - 1 else 1e-9

    trainer = bp.Trainer(net, bp.SGD(rate), 1, shuffle=False)
    trainer._training = counting = Counting(trainer._lay_out())
    with pytest.raises(bp.DivergenceError, match=f"epoch 1, at step {step} of 4000"):
        trainer.run(X, Y, 1)
    # The epoch, and from its beginning once for each halving: not once for each step.
    assert 4000 <= counting.steps <= 4000 * (1 + 13)
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
