"""The record of training: its lists, arrays, words and picture."""

import math
import sys

import numpy as np
import pytest
from helpers import optional
from numpy.testing import assert_array_equal

from bpcore.history import History


def history_of(loss, validation_loss=()):
    n = len(loss)
    return History(list(loss), list(validation_loss), [0.1] * n, [0.5] * n)


@pytest.fixture
def pyplot():
    matplotlib = optional("matplotlib")
    with matplotlib.rc_context():
        matplotlib.use("Agg")
        import matplotlib.pyplot as plt

        yield plt
        plt.close("all")


class TestAppend:
    def test_a_value_an_epoch(self):
        history = History()
        history.append(2.0, 0.1, 0.5, validation_loss=2.5)
        history.append(loss=1.0, learning_rate=0.05, seconds=0.25, validation_loss=1.5)
        assert history.loss == [2.0, 1.0]
        assert history.validation_loss == [2.5, 1.5]
        assert history.learning_rate == [0.1, 0.05]
        assert history.seconds == [0.5, 0.25]
        assert len(history) == 2

    def test_without_validation_its_list_stays_empty(self):
        history = History()
        history.append(2.0, 0.1, 0.5)
        assert history.validation_loss == []

    def test_validation_in_some_epochs_only(self):
        history = History()
        history.append(3.0, 0.1, 0.5)
        history.append(2.0, 0.1, 0.5, validation_loss=2.5)
        history.append(1.0, 0.1, 0.5)
        assert_array_equal(history.validation_loss, [math.nan, 2.5, math.nan])

    def test_numpy_numbers_become_floats(self):
        history = History()
        history.append(np.float32(2), np.float64(0.5), np.float32(1), np.float32(3))
        values = history.loss + history.validation_loss + history.learning_rate + history.seconds
        assert [type(value) for value in values] == [float] * 4

    def test_histories_share_nothing(self):
        History().append(2.0, 0.1, 0.5)
        assert len(History()) == 0


class TestToDict:
    def test_arrays(self):
        arrays = history_of([2.0, 1.0], [2.5, 1.5]).to_dict()
        assert list(arrays) == ["loss", "validation_loss", "learning_rate", "seconds"]
        assert_array_equal(arrays["loss"], [2.0, 1.0])
        assert_array_equal(arrays["validation_loss"], [2.5, 1.5])
        assert_array_equal(arrays["learning_rate"], [0.1, 0.1])
        assert_array_equal(arrays["seconds"], [0.5, 0.5])
        assert {array.dtype for array in arrays.values()} == {np.dtype(np.float64)}

    @pytest.mark.parametrize("n", [0, 1, 3])
    def test_as_long_as_each_other_without_validation(self, n):
        arrays = history_of([1.0] * n).to_dict()
        assert {array.shape for array in arrays.values()} == {(n,)}
        assert np.isnan(arrays["validation_loss"]).all()

    def test_copies(self):
        history = history_of([2.0])
        history.to_dict()["loss"][0] = 99
        assert history.loss == [2.0]


class TestRepr:
    @pytest.mark.parametrize(
        ("history", "text"),
        [
            (History(), "History(0 epochs)"),
            (history_of([2.0]), "History(1 epoch in 0.5 s, loss 2)"),
            (
                history_of([3, 2, 1.23456], [3, 1.5, 2]),
                "History(3 epochs in 1.5 s, loss 1.235, validation_loss 2, lowest 1.5 at epoch 2)",
            ),
            (
                history_of([3, 2], [math.nan, math.inf]),
                "History(2 epochs in 1 s, loss 2, validation_loss inf)",
            ),
        ],
    )
    def test_says_what_one_wants_to_know(self, history, text):
        assert repr(history) == text


class TestPlot:
    def test_draws_both_curves_with_labels(self, pyplot):
        ax = history_of([3.0, 2.0, 1.0], [3.0, 1.5, 2.0]).plot()
        loss, validation_loss, lowest = ax.lines
        assert_array_equal(loss.get_xydata(), [[1, 3], [2, 2], [3, 1]])
        assert_array_equal(validation_loss.get_xydata(), [[1, 3], [2, 1.5], [3, 2]])
        assert_array_equal(lowest.get_xydata(), [[2, 1.5]])
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "loss")
        labels = [text.get_text() for text in ax.get_legend().get_texts()]
        assert labels == ["training loss", "validation loss", "lowest, 1.5 at epoch 2"]
        assert ax.get_yscale() == "linear"

    def test_training_loss_alone(self, pyplot):
        ax = history_of([3.0, 2.0]).plot()
        assert [line.get_label() for line in ax.lines] == ["training loss"]

    def test_opens_a_figure_of_its_own(self, pyplot):
        other = pyplot.figure().add_subplot()
        assert history_of([3.0, 2.0]).plot().figure is not other.figure

    def test_draws_where_it_is_told(self, pyplot):
        ax = pyplot.figure().add_subplot()
        n_figures = len(pyplot.get_fignums())
        assert history_of([3.0, 2.0]).plot(ax) is ax
        assert len(pyplot.get_fignums()) == n_figures

    @pytest.mark.parametrize(
        ("loss", "validation_loss", "scale"),
        [
            ([10.0, 0.9], [], "log"),
            ([10.0, 1.1], [], "linear"),
            ([10.0, 1.1], [10.0, 0.9], "log"),
            ([10.0, 0.0], [], "linear"),
            ([100.0, -1.0], [], "linear"),
            ([math.inf, 10.0, 2.0], [], "linear"),
            ([math.nan, 10.0, 0.5], [], "log"),
            ([math.nan, math.nan], [], "linear"),
        ],
    )
    def test_logarithmic_when_it_helps(self, pyplot, loss, validation_loss, scale):
        ax = history_of(loss, validation_loss).plot()
        assert ax.get_yscale() == scale
        ax.figure.canvas.draw()

    def test_one_epoch_is_visible(self, pyplot):
        (line,) = history_of([3.0]).plot().lines
        assert line.get_marker() == "o"

    def test_epochs_are_whole_numbers(self, pyplot):
        ax = history_of([3.0, 2.0]).plot()
        ax.figure.canvas.draw()
        assert all(tick == round(tick) for tick in ax.get_xticks())

    def test_saves_a_picture(self, pyplot, tmp_path):
        path = tmp_path / "curves.png"
        history_of([3.0, 2.0], [3.0, 2.5]).plot().figure.savefig(path)
        assert path.read_bytes().startswith(b"\x89PNG")

    def test_nothing_to_draw(self, pyplot):
        with pytest.raises(ValueError, match="0 epochs, nothing to draw: train first"):
            History().plot()

    def test_other_axes(self, pyplot):
        with pytest.raises(TypeError, match="ax is of type Figure, wanted a matplotlib Axes"):
            history_of([1.0]).plot(pyplot.figure())

    def test_names_the_extra_when_matplotlib_is_missing(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        monkeypatch.setitem(sys.modules, "matplotlib.axes", None)
        with pytest.raises(ImportError, match=r"matplotlib.*pip install 'bpcore\[plot\]'"):
            history_of([1.0]).plot()
