"""Training: what a step and an epoch do, order of the samples, weights, callbacks."""

import math

import numpy as np
import pytest
from conftest import RTOL
from helpers import optional, squared
from numpy.testing import assert_allclose, assert_array_equal
from trainers import OPTIMIZERS, Log, made

import bpcore as bp
from bpcore import schedules


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
