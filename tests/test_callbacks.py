"""Early stopping, the progress bar, and what may be a callback."""

import contextlib
import math
import pickle
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import optional
from numpy.testing import assert_array_equal

import bpcore as bp
from bpcore.callbacks import Callback, EarlyStopping, ProgressBar, as_callback, progress_bar
from bpcore.data import digits_split
from bpcore.history import History


class ScriptedTrainer:
    """A trainer whose losses are given; its parameters equal the number of epochs completed."""

    def __init__(self, n_parameters=3):
        self.network = SimpleNamespace(parameters=np.zeros(n_parameters))
        self.history = History()
        self.epoch = 0
        self.stop_training = False

    def run(self, losses, validation_losses=None, callbacks=(), error=None):
        """Train for an epoch a loss; then raise `error`, in the middle of the next, if given."""
        callbacks = [as_callback(callback) for callback in callbacks]
        self.stop_training = False
        for callback in callbacks:
            callback.on_train_begin(self)
        try:
            for i, loss in enumerate(losses):
                self.epoch += 1
                self.network.parameters[:] = self.epoch
                validation_loss = None if validation_losses is None else validation_losses[i]
                self.history.append(loss, 0.1, 0.5, validation_loss)
                for callback in callbacks:
                    callback.on_epoch_end(self)
                if self.stop_training:
                    break
            if error is not None:
                self.network.parameters[:] = -1
                raise error()
        finally:
            for callback in callbacks:
                callback.on_train_end(self)


def stopped_after(early, losses, validation_losses=None):
    """Number of epochs that training takes with this callback, and the parameters left."""
    trainer = ScriptedTrainer()
    trainer.run(losses, validation_losses, [early])
    return trainer.epoch, trainer.network.parameters.tolist()


class TestEarlyStopping:
    @pytest.mark.parametrize(("patience", "epochs"), [(1, 3), (2, 4), (3, 8)])
    def test_patience_counts_epochs_in_a_row(self, patience, epochs):
        losses = [5.0, 4.0, 4.5, 4.0, 3.0, 3.1, 3.2, 3.3, 3.4]
        early = EarlyStopping(patience)
        best_epoch = 2 if epochs < 5 else 5
        assert stopped_after(early, losses) == (epochs, [best_epoch] * 3)
        assert (early.best_epoch, early.best_loss) == (best_epoch, losses[best_epoch - 1])
        assert early.stopped_epoch == epochs

    def test_sets_the_trainers_flag(self):
        trainer = ScriptedTrainer()
        trainer.run([1.0, 2.0], callbacks=[EarlyStopping(1)])
        assert trainer.stop_training is True

    def test_keeps_going_while_the_loss_falls(self):
        early = EarlyStopping(1)
        assert stopped_after(early, [5.0, 4.0, 3.0]) == (3, [3, 3, 3])
        assert early.stopped_epoch is None

    def test_min_delta_asks_for_more_than_that(self):
        # 0.5 below exactly is no improvement; 0.75 in two steps is one.
        losses = [4.0, 3.5, 3.25, 3.0]
        assert stopped_after(EarlyStopping(1, min_delta=0.5), losses)[0] == 2
        assert stopped_after(EarlyStopping(2, min_delta=0.5), losses)[0] == 4
        assert stopped_after(EarlyStopping(2, min_delta=0.7), losses)[0] == 4
        assert stopped_after(EarlyStopping(2, min_delta=0.8), losses)[0] == 3

    def test_best_parameters_are_of_the_lowest_loss_whatever_min_delta(self):
        early = EarlyStopping(3, min_delta=1.0)
        assert stopped_after(early, [4.0, 3.9, 3.8, 3.85]) == (4, [3, 3, 3])
        assert (early.best_epoch, early.best_loss) == (3, 3.8)

    def test_watches_the_validation_loss_when_there_is_one(self):
        early = EarlyStopping(1)
        falling, rising = [3.0, 2.0, 1.0], [1.0, 2.0, 3.0]
        assert stopped_after(early, falling, rising) == (2, [1, 1, 1])
        assert (early.monitored, early.best_loss) == ("validation_loss", 1.0)

    def test_watches_the_loss_otherwise(self):
        early = EarlyStopping(1)
        stopped_after(early, [1.0, 2.0])
        assert early.monitored == "loss"

    def test_second_run_without_validation_watches_the_loss(self):
        trainer, early = ScriptedTrainer(), EarlyStopping(2)
        trainer.run([3.0, 2.0], [1.0, 2.0], [early])
        trainer.run([1.0, 0.9, 0.8, 0.7], None, [early])
        assert early.monitored == "loss"
        assert early.best_epoch == 6

    def test_without_restoring(self):
        early = EarlyStopping(2, restore_best=False)
        assert stopped_after(early, [1.0, 2.0, 3.0]) == (3, [3, 3, 3])
        assert early.best_epoch == 1
        assert early.state_dict()["parameters"] is None

    def test_restores_when_training_runs_out_of_epochs(self):
        assert stopped_after(EarlyStopping(10), [2.0, 1.0, 3.0]) == (3, [2, 2, 2])

    @pytest.mark.parametrize("error", [KeyboardInterrupt, ArithmeticError])
    def test_restores_when_training_breaks_off(self, error):
        trainer = ScriptedTrainer()
        with pytest.raises(error):
            trainer.run([2.0, 1.0, 3.0], callbacks=[EarlyStopping(10)], error=error)
        assert trainer.network.parameters.tolist() == [2, 2, 2]

    def test_breaking_off_before_the_first_epoch_restores_nothing(self):
        trainer = ScriptedTrainer()
        with pytest.raises(KeyboardInterrupt):
            trainer.run([], callbacks=[EarlyStopping()], error=KeyboardInterrupt)
        assert trainer.network.parameters.tolist() == [-1, -1, -1]

    def test_nan_is_no_improvement(self):
        assert stopped_after(EarlyStopping(2), [2.0, math.nan, math.nan, 1.0]) == (3, [1, 1, 1])
        # Of the validation loss too, which stays the one watched.
        early = EarlyStopping(2)
        validation_losses = [2.0, math.nan, math.nan, 1.0]
        assert stopped_after(early, [4.0, 3.0, 2.0, 1.0], validation_losses) == (3, [1, 1, 1])

    def test_only_nan_restores_nothing(self):
        assert stopped_after(EarlyStopping(2), [math.nan] * 5) == (2, [2, 2, 2])

    def test_second_run_starts_anew(self):
        trainer, early = ScriptedTrainer(), EarlyStopping(2)
        trainer.run([1.0, 2.0, 3.0], callbacks=[early])
        trainer.run([9.0, 8.0, 8.5], callbacks=[early])
        assert (early.best_epoch, early.best_loss) == (5, 8.0)
        assert early.stopped_epoch is None
        assert trainer.network.parameters.tolist() == [5, 5, 5]

    def test_another_network_may_be_of_another_size(self):
        early = EarlyStopping(2)
        ScriptedTrainer(3).run([1.0, 2.0], callbacks=[early])
        trainer = ScriptedTrainer(5)
        trainer.run([2.0, 3.0], callbacks=[early])
        assert trainer.network.parameters.tolist() == [1] * 5

    def test_keeps_a_copy_of_its_own(self):
        trainer, early = ScriptedTrainer(), EarlyStopping()
        trainer.run([1.0], callbacks=[early])
        trainer.network.parameters[:] = 7
        assert early.state_dict()["parameters"].tolist() == [1, 1, 1]

    def test_repr(self):
        text = "EarlyStopping(patience=3, min_delta=0.5, restore_best=False)"
        assert repr(EarlyStopping(3, 0.5, False)) == text

    @pytest.mark.parametrize(
        ("parameters", "error", "message"),
        [
            ({"patience": 0}, ValueError, "patience is 0, wanted at least 1 epoch"),
            ({"patience": 2.5}, TypeError, "patience is 2.5, wanted a whole number"),
            ({"patience": True}, TypeError, "patience is True, wanted a whole number"),
            ({"min_delta": -1e-9}, ValueError, "min_delta is -1e-09, wanted a finite number"),
            ({"min_delta": math.nan}, ValueError, "min_delta is nan, wanted a finite number"),
            ({"min_delta": math.inf}, ValueError, "min_delta is inf, wanted a finite number"),
            ({"min_delta": "0"}, TypeError, "min_delta is '0', wanted a number"),
            ({"restore_best": 1}, TypeError, "restore_best is 1, wanted True or False"),
        ],
    )
    def test_refuses(self, parameters, error, message):
        with pytest.raises(error, match=message):
            EarlyStopping(**parameters)

    def test_takes_numpy_numbers(self):
        EarlyStopping(np.int64(3), np.float32(0.5), np.True_)


class TestState:
    losses = (5.0, 3.0, 4.0, 3.5, 3.2, 3.1)

    @pytest.mark.parametrize("n", range(6))
    def test_resumed_training_ends_as_if_it_had_not_stopped(self, n):
        whole, whole_early = ScriptedTrainer(), EarlyStopping(3)
        whole.run(self.losses, callbacks=[whole_early])

        trainer, states = ScriptedTrainer(), [pickle.dumps(EarlyStopping(3).state_dict())]
        first = EarlyStopping(3)
        trainer.run(
            self.losses[:n],
            callbacks=[first, lambda _: states.append(pickle.dumps(first.state_dict()))],
        )
        resumed = EarlyStopping(3)
        resumed.load_state_dict(pickle.loads(states[-1]))
        if not trainer.stop_training:
            trainer.run(self.losses[n:], callbacks=[resumed])
        assert trainer.epoch == whole.epoch == 5
        assert resumed.best_epoch == whole_early.best_epoch == 2
        assert resumed.best_loss == whole_early.best_loss
        assert_array_equal(trainer.network.parameters, whole.network.parameters)

    def test_counts_for_the_next_run_only(self):
        early = EarlyStopping(3)
        ScriptedTrainer().run([1.0, 2.0, 3.0, 4.0], callbacks=[early])
        assert early.stopped_epoch == 4
        state = early.state_dict()
        early.load_state_dict({**state, "waited": 0})
        trainer = ScriptedTrainer()
        trainer.run([5.0], callbacks=[early])
        assert early.best_loss == 1.0
        assert early.stopped_epoch is None
        trainer.run([5.0], callbacks=[early])
        assert early.best_loss == 5.0

    def test_is_a_copy_both_ways(self):
        early = EarlyStopping()
        ScriptedTrainer().run([1.0], callbacks=[early])
        state = early.state_dict()
        other = EarlyStopping()
        other.load_state_dict(state)
        state["parameters"][:] = 99
        assert early.state_dict()["parameters"].tolist() == [1, 1, 1]
        assert other.state_dict()["parameters"].tolist() == [1, 1, 1]

    def test_refuses_other_names(self):
        state = EarlyStopping().state_dict()
        del state["waited"]
        with pytest.raises(ValueError, match=r"give what EarlyStopping\.state_dict"):
            EarlyStopping().load_state_dict(state)

    def test_refuses_another_network_before_training(self):
        early = EarlyStopping()
        ScriptedTrainer(3).run([1.0], callbacks=[early])
        early.load_state_dict(early.state_dict())
        with pytest.raises(ValueError, match="with 3 parameters, this network has 5"):
            early.on_train_begin(ScriptedTrainer(5))


class TestWithTrainer:
    """The same, asked of the trainer that there is: its losses, its checkpoints, its errors."""

    @pytest.fixture
    def data(self):
        (X, Y), _ = digits_split(rng=0, dtype="float64")
        return (X[:60], Y[:60]), (X[60:200], Y[60:200])

    def trainer(self, optimizer=None):
        net = bp.mlp([64, 32, 10], "tanh", "softmax", "cross_entropy", dtype="float64", rng=0)
        return bp.Trainer(net, optimizer or bp.Adam(0.02), batch_size=20, rng=0)

    def test_stops_and_restores(self, data):
        train, validation = data
        trainer, early = self.trainer(), EarlyStopping(5)
        history = trainer.run(*train, epochs=500, validation_data=validation, callbacks=[early])
        assert trainer.epoch == len(history) == early.stopped_epoch == early.best_epoch + 5 < 500
        assert early.best_loss == min(history.validation_loss)
        assert early.best_loss == history.validation_loss[early.best_epoch - 1]
        assert trainer.network.evaluate(*validation) == early.best_loss

    def test_goes_on_from_a_checkpoint(self, data, tmp_path):
        train, validation = data
        whole, whole_early = self.trainer(), EarlyStopping(8)
        states = []

        def checkpoint(trainer):
            if trainer.epoch == 12:
                trainer.save(tmp_path / "checkpoint")
                states.append(whole_early.state_dict())

        callbacks = [whole_early, checkpoint]
        whole.run(*train, epochs=500, validation_data=validation, callbacks=callbacks)
        resumed, early = bp.Trainer.load(tmp_path / "checkpoint"), EarlyStopping(8)
        early.load_state_dict(states[0])
        resumed.run(*train, epochs=500, validation_data=validation, callbacks=[early])
        assert resumed.epoch == whole.epoch
        assert early.best_epoch == whole_early.best_epoch
        assert_array_equal(resumed.network.parameters, whole.network.parameters)
        assert resumed.history.validation_loss == whole.history.validation_loss

    @pytest.mark.parametrize("error", [KeyboardInterrupt, bp.DivergenceError])
    def test_restores_when_it_breaks_off(self, data, error):
        train, validation = data

        def rate(step):
            if step < 30 or error is bp.DivergenceError:
                return 0.1 if step < 30 else 1e308
            raise KeyboardInterrupt

        trainer, early = self.trainer(bp.SGD(rate)), EarlyStopping(100)
        with pytest.raises(error):
            trainer.run(*train, epochs=50, validation_data=validation, callbacks=[early])
        assert early.best_epoch <= 11
        assert trainer.network.evaluate(*validation) == early.best_loss

    def test_progress(self, data, capsys):
        optional("tqdm")
        train, validation = data
        self.trainer().run(*train, epochs=3, validation_data=validation, progress=True)
        assert "3/3" in capsys.readouterr().err


class TestProgressBar:
    @pytest.fixture
    def stderr(self, capsys):
        optional("tqdm")
        return lambda: capsys.readouterr().err

    def test_shows_epochs_and_losses(self, stderr):
        ScriptedTrainer().run([2.0, 1.25], [3.0, 1.5], [progress_bar(2)])
        last = stderr().rstrip().split("\r")[-1]
        assert "100%" in last
        assert "2/2" in last
        assert "loss 1.25, validation loss 1.5" in last

    def test_without_validation(self, stderr):
        ScriptedTrainer().run([2.0, 1.25], callbacks=[progress_bar(2)])
        text = stderr()
        assert "loss 1.25]" in text
        assert "validation" not in text

    @pytest.mark.parametrize("error", [None, KeyboardInterrupt])
    def test_ends_its_line_however_training_ends(self, stderr, error):
        bar, held = progress_bar(5), []  # held, or the collector would close it
        callbacks = [bar, lambda _: held.append(bar._bar)]
        with contextlib.suppress(KeyboardInterrupt):
            ScriptedTrainer().run([2.0], callbacks=callbacks, error=error)
        text = stderr()
        assert "1/5" in text
        assert text.endswith("\n")

    def test_may_be_used_again_and_closed_twice(self, stderr):
        bar = progress_bar(2)
        ScriptedTrainer().run([2.0, 1.0], callbacks=[bar])
        bar.on_train_end(ScriptedTrainer())
        assert "2/2" in stderr()
        ScriptedTrainer().run([2.0, 1.0], callbacks=[bar])
        assert "2/2" in stderr()

    def test_names_the_extra_when_tqdm_is_missing(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "tqdm", None)
        with pytest.raises(ImportError, match=r"tqdm.*pip install 'bpcore\[progress\]'"):
            ProgressBar(2)


class TestAsCallback:
    def test_passes_callbacks_through(self):
        early = EarlyStopping()
        assert as_callback(early) is early

    def test_wraps_a_function_called_after_each_epoch(self):
        epochs = []
        ScriptedTrainer().run([3.0, 2.0], callbacks=[lambda trainer: epochs.append(trainer.epoch)])
        assert epochs == [1, 2]

    def test_base_class_does_nothing(self):
        callback, trainer = Callback(), ScriptedTrainer()
        assert callback.every is None
        assert callback.on_steps(trainer) is None
        trainer.run([1.0], callbacks=[callback])

    def test_refuses_a_class(self):
        with pytest.raises(TypeError, match=r"the class EarlyStopping, wanted an instance"):
            as_callback(EarlyStopping)

    @pytest.mark.parametrize("obj", [None, 3, "early"])
    def test_refuses_anything_else(self, obj):
        message = f"the callback {obj!r} is of type {type(obj).__name__}, wanted a bpcore.Callback"
        with pytest.raises(TypeError, match=message):
            as_callback(obj)
