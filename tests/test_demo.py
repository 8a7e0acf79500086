"""The demonstration: what it reaches, what it prints and writes, and what it refuses."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from helpers import optional
from numpy.testing import assert_allclose

import bpcore as bp
from bpcore import __main__ as demo
from bpcore.data import digits_split
from bpcore.history import History

QUICK = ("--epochs", "2", "--no-reference")


def accuracy_in(text):
    """The test accuracy that was printed, and the same from the counts beside it."""
    percent, right, n = re.search(r"Test accuracy ([\d.]+)%: (\d+) of the (\d+)", text).groups()
    return float(percent) / 100, int(right) / int(n)


class TestWhole:
    def test_as_a_newcomer_runs_it(self, tmp_path):
        optional("matplotlib")
        picture, network = tmp_path / "curves.png", tmp_path / "digits.safetensors"
        arguments = ["--plot", picture, "--save", network]
        done = subprocess.run(
            [sys.executable, "-m", "bpcore", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        printed, counted = accuracy_in(done.stdout)
        assert counted >= 0.97
        assert_allclose(printed, counted, atol=5e-4)
        assert "60 epochs in" in done.stdout
        assert float(re.search(r"speed-up +([\d.]+) times", done.stdout)[1]) > 1
        difference = re.search(r"differ by more than (\S+) of the loss", done.stdout)[1]
        # Where rounding turns a ReLU on for one sample, Adam makes a whole step of it: the float32
        # reference itself comes to be 4e-4 away from the float64 one. Until then it is 1e-7.
        assert float(difference) < 2e-3
        assert "both on 1 thread," in done.stdout
        assert picture.read_bytes().startswith(b"\x89PNG")

        _, (X_test, digits_test) = digits_split(0.2, rng=0)
        guesses = bp.load(network).predict(X_test).argmax(axis=1)
        assert (guesses == digits_test).mean() == counted

    @pytest.mark.parametrize("seed", ["1", "2", "3", "4"])
    def test_other_seeds_reach_it_too(self, capsys, seed):
        assert demo.main(["--no-reference", "--seed", seed]) == 0
        assert accuracy_in(capsys.readouterr().out)[1] >= 0.97

    def test_same_seed_same_network(self, tmp_path, capsys):
        paths = [tmp_path / name for name in ("a", "b", "c")]
        for path, seed in zip(paths, "778", strict=True):
            assert demo.main([*QUICK, "--seed", seed, "--save", str(path)]) == 0
        a, b, c = (bp.load(path).parameters for path in paths)
        assert np.array_equal(a, b)
        assert not np.array_equal(a, c)

    def test_threads_change_nothing(self, tmp_path, capsys):
        paths = [tmp_path / name for name in ("1", "2")]
        for path in paths:
            assert demo.main([*QUICK, "--threads", path.name, "--save", str(path)]) == 0
        a, b = (bp.load(path).parameters for path in paths)
        assert np.array_equal(a, b)

    def test_options_reach_the_training(self, tmp_path, capsys):
        path = tmp_path / "net"
        options = ["--epochs", "3", "--batch-size", "100", "--learning-rate", "0.01", "--seed", "5"]
        assert demo.main([*options, "--no-reference", "--save", str(path)]) == 0
        data = demo._load(5)
        net = bp.mlp([64, 64, 10], output="softmax", loss="cross_entropy", rng=5)
        net.fit(data.X, data.Y, 3, 100, bp.Adam(0.01), rng=5)
        assert np.array_equal(bp.load(path).parameters, net.parameters)

    def test_validates_on_the_held_out_digits(self, tmp_path, capsys, monkeypatch):
        histories, path = [], tmp_path / "net"
        monkeypatch.setattr(demo, "_progress", lambda _: lambda it: histories.append(it.history))
        assert demo.main([*QUICK, "--seed", "5", "--save", str(path)]) == 0
        _, (X_test, digits_test) = digits_split(0.2, rng=5)
        loss = bp.load(path).evaluate(X_test, demo._smoothed(digits_test))
        assert_allclose(histories[-1].validation_loss[-1], loss, rtol=1e-6)

    def test_points_to_what_else_there_is(self, tmp_path, capsys):
        assert demo.main([*QUICK]) == 0
        assert "See also --plot" in capsys.readouterr().out
        assert demo.main([*QUICK, "--save", str(tmp_path / "net")]) == 0
        assert "See also --plot" not in capsys.readouterr().out


class TestProgress:
    def test_bar(self, capsys):
        optional("tqdm")
        assert demo.main([*QUICK]) == 0
        captured = capsys.readouterr()
        assert "2/2" in captured.err
        assert "validation loss" in captured.err
        assert "epoch " not in captured.out

    @pytest.mark.parametrize(
        ("epochs", "lines"),
        [(1, [1]), (5, [1, 2, 3, 4, 5]), (25, [3, 6, 9, 12, 15, 18, 21, 24, 25])],
    )
    def test_plain_lines_when_tqdm_is_missing(self, capsys, monkeypatch, epochs, lines):
        monkeypatch.setitem(sys.modules, "tqdm", None)
        assert demo.main(["--no-reference", "--epochs", str(epochs)]) == 0
        captured = capsys.readouterr()
        assert captured.err == ""
        assert "pip install 'bpcore[progress]'" in captured.out
        shown = re.findall(
            r"^epoch +(\d+)/(\d+), loss ([\d.]+), validation loss ([\d.]+)$", captured.out, re.M
        )
        assert [(int(epoch), int(of)) for epoch, of, _, _ in shown] == [(n, epochs) for n in lines]
        assert all(0.5 < float(loss) < 5 for row in shown for loss in row[2:])


class TestComparison:
    def fake_fit(self, monkeypatch, seconds, losses=((2.0, 1.0), (2.0, 1.0))):
        """Let the trainings take these seconds and come to these losses, bpcore's first."""
        seconds, calls = iter(seconds), []

        def fit(net, data, options, **more):
            ours = isinstance(net, bp.Network)
            calls.append((ours, net.parameters.copy()))
            net.parameters[:] += 1
            return History(loss=list(losses[0 if ours else 1])), next(seconds)

        monkeypatch.setattr(demo, "_fit", fit)
        return calls

    def compare(self):
        net = bp.mlp([64, 64, 10], output="softmax", loss="cross_entropy", rng=0)
        start = net.parameters.copy()
        net.parameters[:] = 0
        demo._compare(net, start, demo._load(0), demo._parse([]))
        return start

    def test_same_weights_in_turn(self, monkeypatch, capsys):
        calls = self.fake_fit(monkeypatch, [1, 1] * 3)
        start = self.compare()
        assert [ours for ours, _ in calls] == [True, False] * 3
        for _, parameters in calls[::2]:
            assert np.array_equal(parameters, start)

    def test_both_begin_alike(self, monkeypatch, capsys):
        fit = demo._fit
        begun = []

        def spy(net, *arguments, **more):
            begun.append(net.parameters.copy())
            return fit(net, *arguments, **more)

        monkeypatch.setattr(demo, "_fit", spy)
        assert demo.main(["--epochs", "1"]) == 0
        assert len(begun) == 7  # the training shown, then three times in turn
        for parameters in begun[1:]:
            assert np.array_equal(parameters, begun[0])

    def test_speed_up_is_the_median_of_the_turns(self, monkeypatch, capsys):
        self.fake_fit(monkeypatch, [0.1, 0.5, 0.1, 0.8, 0.1, 0.6])
        self.compare()
        text = capsys.readouterr().out
        assert re.search(r"NumPy reference +0.600 s", text)
        assert re.search(r"bpcore +0.100 s", text)
        assert re.search(r"speed-up +6.0 times \(5.0 to 8.0 in 3 turns\)", text)

    def test_slow_trainings_run_once(self, monkeypatch, capsys):
        calls = self.fake_fit(monkeypatch, [2.0, 10.0])
        self.compare()
        assert len(calls) == 2
        assert re.search(r"speed-up +5.0 times$", capsys.readouterr().out, re.M)

    def test_says_how_far_the_losses_are_apart(self, monkeypatch, capsys):
        self.fake_fit(monkeypatch, [1, 1] * 3, losses=((2.0, 1.0, 1.0), (2.0, 5.0, 1.0)))
        self.compare()
        assert "differ by more than 0.8 of the loss" in capsys.readouterr().out

    def test_blas_is_kept_to_the_threads(self, monkeypatch):
        for name in demo.BLAS_THREADS:
            monkeypatch.delenv(name, raising=False)
        limits = demo._blas_environment(2)
        assert limits["OPENBLAS_NUM_THREADS"] == limits["MKL_NUM_THREADS"] == "2"
        for name, value in limits.items():
            monkeypatch.setenv(name, value)
        assert demo._blas_environment(2) == {}
        assert demo._blas_environment(1) == dict.fromkeys(demo.BLAS_THREADS, "1")

    @pytest.mark.parametrize("threads", ["1", "2"])
    def test_command_runs_with_that_environment(self, tmp_path, threads):
        # What Python runs at start, in a folder of its own, tells the environment of each process.
        log = tmp_path / "log"
        (tmp_path / "sitecustomize.py").write_text(
            "import os\n"
            f"with open({str(log)!r}, 'a') as log:\n"
            "    print(os.environ.get('OPENBLAS_NUM_THREADS'), file=log)\n"
        )
        paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        environment["OPENBLAS_NUM_THREADS"] = "7"
        done = subprocess.run(
            [sys.executable, "-m", "bpcore", "--epochs", "1", "--threads", threads],
            capture_output=True,
            text=True,
            env=environment,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert log.read_text().split() == ["7", threads]
        assert f"both on {threads} thread" in done.stdout

    @pytest.mark.parametrize(("arguments", "threads"), [([], 1), (["--threads", "2"], 2)])
    def test_bpcore_takes_as_many(self, capsys, monkeypatch, arguments, threads):
        fit, given = bp.Network.fit, []

        def spy(*data, n_threads, **more):
            given.append(n_threads)
            return fit(*data, n_threads=n_threads, **more)

        monkeypatch.setattr(bp.Network, "fit", spy)
        assert demo.main(["--epochs", "1", *arguments]) == 0
        assert given == [threads] * 4

    def test_left_out_when_asked(self, capsys):
        assert demo.main([*QUICK]) == 0
        assert "NumPy" not in capsys.readouterr().out


class TestWords:
    def test_targets_are_probabilities(self):
        Y = demo._smoothed(np.array([3, 0]))
        assert Y.dtype == np.float32
        assert_allclose(Y.sum(axis=1), 1, rtol=1e-6)
        assert Y.argmax(axis=1).tolist() == [3, 0]
        assert_allclose(np.sort(Y[0]), [0.01] * 9 + [0.91], rtol=1e-6)

    def test_least_loss_is_that_of_perfect_outputs(self, capsys):
        assert demo.main([*QUICK]) == 0
        least = -(0.91 * np.log(0.91) + 9 * 0.01 * np.log(0.01))
        assert f"cannot fall below {least:.3f}" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("n_wrong", "captions"),
        [
            (0, ["read as 0", "read as 1", "read as 2", "read as 3"]),
            (1, ["read as 0", "read as 1", "read as 2", "read as 7, is 9"]),
            (2, ["read as 0", "read as 1", "read as 7, is 9", "read as 7, is 9"]),
            (9, ["read as 7, is 9"] * 4),
        ],
    )
    def test_sketches(self, n_wrong, captions):
        digits = np.array([9] * 9 if n_wrong == 9 else [0, 0, 1, 2, 3, 9, 9])
        guesses = digits.copy()
        guesses[len(digits) - n_wrong :] = 7
        X = np.zeros((len(digits), 64), np.float32)
        X[:, 9] = 1  # second row, second column
        data = demo.Data(X, None, None, X, None, digits)
        *rows, words = demo._sketches(data, guesses).split("\n")
        assert re.split(r" {3,}", words) == captions
        assert [row.count("@@") for row in rows] == [0, 4, 0, 0, 0, 0, 0, 0]
        assert rows[1].index("@@") == 2
        assert max(map(len, [*rows, words])) <= 80


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--epochs", "0"], "--epochs: '0' given, wanted a whole number from 1 up"),
            (["--epochs", "1.5"], "--epochs: '1.5' given, wanted a whole number from 1 up"),
            (["--batch-size", "0"], "--batch-size: '0' given"),
            (["--threads", "0"], "--threads: '0' given"),
            (["--seed", "-1"], "--seed: '-1' given, wanted a whole number from 0 up"),
            (["--learning-rate", "0"], "--learning-rate: '0' given, wanted a number above 0"),
            (["--learning-rate", "nan"], "--learning-rate: 'nan' given"),
            (["--learning-rate", "inf"], "--learning-rate: 'inf' given"),
            (["--save", "{tmp}/none/net"], "--save: there is no folder {tmp}/none"),
            (["--plot", "{tmp}/none/a.png"], "--plot: there is no folder {tmp}/none"),
            (["--save", "{tmp}"], "--save: {tmp} is a folder, wanted a file"),
            (["--depth", "3"], "unrecognized arguments: --depth 3"),
        ],
    )
    def test_arguments(self, capsys, tmp_path, arguments, message):
        with pytest.raises(SystemExit) as refused:
            demo.main([argument.format(tmp=tmp_path) for argument in arguments])
        assert refused.value.code == 2
        assert message.format(tmp=tmp_path) in capsys.readouterr().err

    @pytest.mark.parametrize("name", ["curves", "curves.mp3"])
    def test_endings_that_are_no_pictures(self, capsys, tmp_path, name):
        optional("matplotlib")
        with pytest.raises(SystemExit) as refused:
            demo.main(["--plot", str(tmp_path / name)])
        assert refused.value.code == 2
        assert re.search(rf"{name} ends in none of \..*\.png", capsys.readouterr().err)

    def test_plot_without_matplotlib(self, capsys, monkeypatch, tmp_path):
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        with pytest.raises(SystemExit) as refused:
            demo.main(["--plot", str(tmp_path / "curves.png")])
        assert refused.value.code == 1
        captured = capsys.readouterr()
        assert "--plot needs matplotlib" in captured.err
        assert "pip install 'bpcore[plot]'" in captured.err
        assert captured.out == ""

    def test_divergence(self, capsys):
        assert demo.main(["--epochs", "3", "--learning-rate", "1e30"]) == 1
        assert "python -m bpcore: " in capsys.readouterr().err

    def test_file_that_cannot_be_written(self, capsys, monkeypatch, tmp_path):
        def refuse(*arguments):
            raise PermissionError(13, "Permission denied", "net")

        monkeypatch.setattr(bp.Network, "save", refuse)
        assert demo.main([*QUICK, "--save", str(tmp_path / "net")]) == 1
        assert "python -m bpcore: [Errno 13] Permission denied: 'net'" in capsys.readouterr().err

    def test_interrupt(self, capsys, monkeypatch):
        def interrupt(*arguments, **more):
            raise KeyboardInterrupt

        monkeypatch.setattr(demo, "_fit", interrupt)
        assert demo.main([]) == 130
        assert "python -m bpcore: interrupted" in capsys.readouterr().err

    def test_help(self, capsys):
        with pytest.raises(SystemExit) as asked:
            demo.main(["--help"])
        assert asked.value.code == 0
        text = capsys.readouterr().out
        for name in ("epochs", "batch-size", "learning-rate", "seed", "threads", "no-reference"):
            assert f"--{name}" in text
