"""Short epochs look at each gradient, and copy only where a step could overflow."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import bpcore as bp
from bpcore import stretches


@pytest.fixture
def copies(monkeypatch):
    """Count the epochs that a run goes through with copies."""
    taken = []
    once = stretches.Stretches._run_calmly

    def counted(self, *arguments):
        step = once(self, *arguments)
        taken.append(self.count - step)
        return step

    monkeypatch.setattr(stretches.Stretches, "_run_calmly", counted)
    return taken


def trainer_of(optimizer, rng, n_threads=1, batch_size=40):
    net = bp.mlp((6, 20, 3), "tanh", rng=0)
    X, Y = rng.standard_normal((120, 6)), rng.standard_normal((120, 3))
    trainer = bp.Trainer(net, optimizer, batch_size, n_threads=n_threads, rng=1)
    return trainer, X, Y


def test_calm_epochs_end_without_a_copy(level, rng, copies):
    trainer, X, Y = trainer_of(bp.Adam(0.01), rng)
    trainer.run(X, Y, epochs=4)
    assert copies == [0, 0, 0, 0]


def test_long_epochs_are_not_tried(rng, copies):
    trainer, X, Y = trainer_of(bp.Adam(0.01), rng, batch_size=2)
    trainer.run(X, Y)
    assert copies == []


@pytest.mark.parametrize("optimizer", [bp.Adam, bp.SGD, bp.RMSProp], ids=lambda o: o.__name__)
def test_the_steps_are_those_of_a_run_with_copies(level, monkeypatch, optimizer, rng):
    given = {"momentum": 0.9} if optimizer is bp.SGD else {}
    found = []
    for few in (stretches.FEW_STEPS, 0):
        monkeypatch.setattr(stretches, "FEW_STEPS", few)
        trainer, X, Y = trainer_of(optimizer(0.01, **given), np.random.default_rng(3))
        history = trainer.run(X, Y, epochs=5)
        found.append((trainer.network.parameters.copy(), history.loss))
    assert_array_equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]


def test_a_gradient_that_could_overflow_takes_the_copy(level, rng, copies):
    """The third step's is large, and finite: all are taken, that one and later ones on a copy."""
    trainer, X, Y = trainer_of(bp.SGD(1e-12, momentum=0.5), rng)
    Y[80:] *= 1e18
    order = np.arange(120)
    trainer.run(X[order], Y, epochs=3)
    assert copies[0] > 0
    assert len(copies) == 1
    assert np.isfinite(trainer.network.parameters).all()
    assert trainer.optimizer.steps == 9


def test_a_state_that_is_large_takes_the_copy(level, rng, copies):
    """Small gradients are no promise where the velocity carries a weight away, here of an input
    that is always 0, so that no loss tells."""
    trainer, X, Y = trainer_of(bp.SGD(0.01, momentum=0.9), rng, batch_size=None)
    X[:, 0] = 0
    trainer.run(X, Y)
    (velocity,) = trainer.optimizer.state.values()
    trainer.network.layers[0].W[4, 0] = velocity[4 * 6] = 3e38
    before = trainer.network.parameters.copy()
    with pytest.raises(bp.DivergenceError):
        trainer.run(X, Y)
    assert copies == [0, 1]
    assert_array_equal(trainer.network.parameters, before)


def test_a_state_that_a_callback_makes_large_takes_the_copy(level, rng, copies):
    """It may do so after any epoch of a run."""
    trainer, X, Y = trainer_of(bp.SGD(0.01, momentum=0.9), rng, batch_size=None)
    X[:, 0] = 0

    class Enlarge(bp.Callback):
        def on_epoch_end(self, trainer):
            if trainer.epoch == 2:
                (velocity,) = trainer.optimizer.state.values()
                trainer.network.layers[0].W[4, 0] = velocity[4 * 6] = 3e38

    with pytest.raises(bp.DivergenceError):
        trainer.run(X, Y, epochs=9, callbacks=[Enlarge()])
    assert copies == [0, 0, 1]
    assert np.isfinite(trainer.network.parameters).all()


def test_a_late_divergence_goes_back_to_the_last_copy(level, rng, monkeypatch):
    """Of the thirty steps of an epoch with a copy every ten, at the 26th."""
    monkeypatch.setattr(stretches, "SNAPSHOT_SAMPLES", 40)
    net = bp.mlp((6, 20, 3), "tanh", rng=0)
    X, Y = rng.standard_normal((120, 6)), rng.standard_normal((120, 3))
    Y[100:] = 1e30
    trainer = bp.Trainer(net, bp.SGD(0.01, momentum=0.9), 4, shuffle=False)
    with pytest.raises(bp.DivergenceError, match="step 26 of 30"):
        trainer.run(X, Y)
    assert trainer._snapshot.steps == 20
    assert trainer.optimizer.steps == 25
    after = net.parameters.copy()
    again = bp.mlp((6, 20, 3), "tanh", rng=0)
    bp.Trainer(again, bp.SGD(0.01, momentum=0.9), 4, shuffle=False).run(X[:100], Y[:100])
    assert_array_equal(after, again.parameters)


@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize(
    "sizes, batch_size",  # the last two: several slices, and several blocks of one, are kept
    [((240, 300, 301, 3), n) for n in (1, 7, 16, 64, 150, 300)] + [((600, 900, 3), 300)],
)
@pytest.mark.parametrize(
    "optimizer",
    [bp.Adam, bp.AdamW, bp.RMSProp, bp.Adagrad, lambda rate: bp.SGD(rate, momentum=0.9)],
    ids=["Adam", "AdamW", "RMSProp", "Adagrad", "momentum"],
)
def test_a_gradient_that_is_spent_at_once(
    level, dtype, optimizer, sizes, batch_size, n_threads, monkeypatch
):
    """Piece by piece, where parameters and state are larger than a cache: the same bits as with the
    gradient kept, as an epoch of calm steps does."""
    found = []
    for few in (1000, 0):
        monkeypatch.setattr(stretches, "FEW_STEPS", few)
        rng = np.random.default_rng(5)
        net = bp.mlp(sizes, "relu", dtype=dtype, rng=0)
        X, Y = (rng.standard_normal((300, width)).astype(dtype) for width in (sizes[0], 3))
        trainer = bp.Trainer(net, optimizer(0.001), batch_size, n_threads=n_threads, rng=1)
        losses = trainer.run(X[: 4 * batch_size], Y[: 4 * batch_size], epochs=2).loss
        found.append((net.parameters.copy(), losses, net.gradient.copy()))
    assert_array_equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]
    if n_threads == 1 and batch_size <= 16:  # all pieces' gradients were in the first one's place
        kept, spent = (np.count_nonzero(gradient) for _, _, gradient in found)
        assert spent < 0.9 * kept


def test_a_step_of_a_large_network_whose_loss_is_not_finite_updates_nothing(level, dtype, rng):
    net = bp.mlp((240, 300, 301, 3), "relu", dtype=dtype, rng=0)
    X, Y = (rng.standard_normal((32, width)).astype(dtype) for width in (240, 3))
    Y[5] = np.inf
    training = bp.Trainer(net, bp.Adam(), 16)._lay_out()
    before = net.parameters.copy()
    assert training.run(X, Y, None, None, None, 16, 0, 2, np.full(2, 1e-3)) == 0
    assert_array_equal(net.parameters, before)
