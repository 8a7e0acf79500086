"""The demonstration, `python -m bpcore`: train a network on handwritten digits and time it.

A network 64-64-10 learns the digits of `bpcore.data`, with a fifth of them held out. Then the
same training, from the same weights and with the same shuffles, is done in plain NumPy by
`bpcore.reference`, and the two are timed against each other.
"""

import argparse
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import bpcore as bp
from bpcore import reference
from bpcore.callbacks import Callback, progress_bar
from bpcore.data import digits_split

if TYPE_CHECKING:
    from bpcore.trainer import Trainer

PROG = "python -m bpcore"

# Targets are smoothed (Szegedy et al. 2016, section 7): 0.91 for the digit, 0.01 for each other.
# The held-out digits are then 98.6 % right, with plain targets 97.8 %: means of 40 seeds.
SMOOTHING = 0.1

# How the libraries that NumPy multiplies matrices with are told their number of threads.
BLAS_THREADS = (
    "BLIS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)

SHADES = " .:-=+*#%@"  # of a pixel, from white to black


class Data(NamedTuple):
    """Digits to train on and held out: pixels (n, 64), targets (n, 10) and digits (n,)."""

    X: np.ndarray
    Y: np.ndarray
    digits: np.ndarray
    X_test: np.ndarray
    Y_test: np.ndarray
    digits_test: np.ndarray


class PlainLines(Callback):
    """Ten lines a training: what stands in for the progress bar when tqdm is not installed."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self.stride = math.ceil(epochs / 10)

    def on_epoch_end(self, trainer: "Trainer") -> None:
        if trainer.epoch % self.stride == 0 or trainer.epoch == self.epochs:
            history = trainer.history
            print(
                f"epoch {trainer.epoch:{len(str(self.epochs))}}/{self.epochs}, "
                f"loss {history.loss[-1]:.4f}, validation loss {history.validation_loss[-1]:.4f}"
            )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demonstration; return the exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the program's name; those of the command line when None.

    Returns
    -------
    int
        0, or 1 when training diverged or a file could not be written, or 130 on an interrupt.

    Raises
    ------
    SystemExit
        With code 2 when an argument is wrong, 1 when it needs a package that is not installed, 0
        after ``--help``.
    """
    options = _parse(argv)
    try:
        _run(options)
    except KeyboardInterrupt:
        print(f"{PROG}: interrupted", file=sys.stderr)
        return 130
    except (ArithmeticError, OSError) as error:
        print(f"{PROG}: {error}", file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace) -> None:
    data = _load(options.seed)
    net = bp.mlp([64, 64, 10], output="softmax", loss="cross_entropy", rng=options.seed)
    start = net.parameters.copy()
    print(
        f"A network 64-64-10 learns {len(data.X)} handwritten digits of 8 x 8 pixels; "
        f"{len(data.X_test)} more are held out.\n"
        f"(Targets are {data.Y.max():.2f} for the right digit, {data.Y.min():.2f} for each other: "
        f"the loss cannot fall below {_entropy(data.Y[0]):.3f}.)",
        flush=True,  # the bar is on stderr, which is not buffered
    )
    history, seconds = _fit(
        net,
        data,
        options,
        n_threads=options.threads,
        validation_data=(data.X_test, data.Y_test),
        callbacks=[_progress(options.epochs)],
    )
    guesses = net.predict(data.X_test).argmax(axis=1)
    n_right = int((guesses == data.digits_test).sum())
    print(
        f"{_epochs(options.epochs)} in {seconds:.2g} s. "
        f"Test accuracy {n_right / len(guesses):.1%}: "
        f"{n_right} of the {len(guesses)} held-out digits are right.\n"
    )
    print(_sketches(data, guesses))
    if options.save:
        net.save(options.save)
        print(f"\nThe network is in {options.save}; bpcore.load reads it.")
    if options.plot:
        _plot(history, options.plot)
        print(f"\nThe learning curves are in {options.plot}.")
    if options.reference:
        _compare(net, start, data, options)
    if not (options.save or options.plot):
        print("\nSee also --plot curves.png, --save digits.safetensors and --help.")


def _load(seed: int) -> Data:
    (X, digits), (X_test, digits_test) = digits_split(0.2, rng=seed)
    return Data(X, _smoothed(digits), digits, X_test, _smoothed(digits_test), digits_test)


def _smoothed(digits: np.ndarray) -> np.ndarray:
    """Return targets, (n,) -> (n, 10): SMOOTHING spread over all ten, the rest on the digit."""
    return (1 - SMOOTHING) * np.eye(10, dtype=np.float32)[digits] + np.float32(SMOOTHING / 10)


def _entropy(y: np.ndarray) -> float:
    """Return -Σ_k y_k log y_k: the cross-entropy of outputs that equal their targets."""
    return float(-(y * np.log(y)).sum())


def _fit(
    net: "bp.Network | reference.Network", data: Data, options: argparse.Namespace, **more: Any
) -> tuple[Any, float]:
    """Train; return the history and the wall time in seconds."""
    begin = time.perf_counter()
    history = net.fit(
        data.X,
        data.Y,
        epochs=options.epochs,
        batch_size=options.batch_size,
        optimizer=bp.Adam(options.learning_rate),
        rng=options.seed,
        **more,
    )
    return history, time.perf_counter() - begin


def _progress(epochs: int) -> Callback:
    """Return the progress bar, or what stands in for it."""
    try:
        return progress_bar(epochs)
    except ImportError:
        print("(A progress bar comes with tqdm: pip install 'bpcore[progress]')")
        return PlainLines(epochs)


def _sketches(data: Data, guesses: np.ndarray) -> str:
    """Draw four held-out digits side by side, at most two of them misread ones."""
    is_right = guesses == data.digits_test
    wrong = np.flatnonzero(~is_right)
    # One of each digit among the right ones, so that they are not all the same.
    right = np.flatnonzero(is_right)[np.unique(guesses[is_right], return_index=True)[1]]
    shown = np.concatenate([right[: 4 - min(len(wrong), 2)], wrong])[:4]
    shades = np.rint(data.X_test[shown] * (len(SHADES) - 1)).astype(int).reshape(-1, 8, 8)
    lines = [
        "   ".join("".join(2 * SHADES[shade] for shade in image[row]) for image in shades)
        for row in range(8)
    ]
    captions = [
        f"read as {guess}" + ("" if guess == digit else f", is {digit}")
        for guess, digit in zip(guesses[shown], data.digits_test[shown], strict=True)
    ]
    lines.append("   ".join(f"{caption:16}" for caption in captions))
    return "\n".join(line.rstrip() for line in lines)


def _plot(history: bp.History, path: Path) -> None:
    # A figure of its own: pyplot would look for a window system.
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    ax = history.plot(figure.subplots())
    ax.set_title("Handwritten digits, 64-64-10")
    figure.savefig(path)


def _compare(net: bp.Network, start: np.ndarray, data: Data, options: argparse.Namespace) -> None:
    """Time the training against the reference's, in turn, and print what came of it."""
    on = "1 thread" if options.threads == 1 else f"{options.threads} threads"
    print(
        f"\nThe same {_epochs(options.epochs)} in plain NumPy (same weights, same shuffles) and in "
        f"bpcore,\nboth on {on}, without bar and validation:",
        flush=True,
    )
    ours: list[float] = []
    theirs: list[float] = []
    # Three times each, if that is quick: one short run tells of the machine as much as of us.
    while len(ours) < 3 and sum(theirs) < 3:
        net.parameters[:] = start
        plain = reference.Network(net.layers, net.loss)
        history, seconds = _fit(net, data, options, n_threads=options.threads)
        ours.append(seconds)
        plain_history, seconds = _fit(plain, data, options)
        theirs.append(seconds)
    ratios = [their / our for our, their in zip(ours, theirs, strict=True)]
    spread = f" ({min(ratios):.1f} to {max(ratios):.1f} in {len(ratios)} turns)"
    print(f"  NumPy reference {median(theirs):8.3f} s")
    print(f"  bpcore          {median(ours):8.3f} s")
    print(f"  speed-up        {median(ratios):8.1f} times{spread if len(ratios) > 1 else ''}")
    difference = np.abs(np.array(history.loss) / np.array(plain_history.loss) - 1).max()
    accuracy = (plain.predict(data.X_test).argmax(axis=1) == data.digits_test).mean()
    print(
        f"In no epoch do their losses differ by more than {difference:.1g} of the loss; "
        f"NumPy's test accuracy is {accuracy:.1%}."
    )


def _blas_environment(threads: int) -> dict[str, str]:
    """Return what has to change in the environment to keep NumPy's BLAS to so many threads."""
    wanted = str(threads)
    return {name: wanted for name in BLAS_THREADS if os.environ.get(name) != wanted}


def _epochs(n: int) -> str:
    return "1 epoch" if n == 1 else f"{n} epochs"


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        PROG, description="Train a network on handwritten digits, and time it against plain NumPy."
    )
    add = parser.add_argument
    add("--epochs", type=_count, default=60, metavar="N", help="passes over the digits (60)")
    add("--batch-size", type=_count, default=32, metavar="N", help="digits to an update (32)")
    add("--learning-rate", type=_rate, default=0.005, metavar="RATE", help="Adam's (0.005)")
    add("--seed", type=_seed, default=0, metavar="N", help="of split, weights and shuffles (0)")
    add("--threads", type=_count, default=1, metavar="N", help="of bpcore and of NumPy (1)")
    add("--no-reference", dest="reference", action="store_false", help="leave NumPy out")
    add("--plot", type=Path, metavar="PATH", help="write the learning curves, as in curves.png")
    add("--save", type=Path, metavar="PATH", help="write the network, as in digits.safetensors")
    options = parser.parse_args(argv)
    for name in ("plot", "save"):
        path = getattr(options, name)
        if path is not None and not path.parent.is_dir():
            parser.error(f"argument --{name}: there is no folder {path.parent}")
        if path is not None and path.is_dir():
            parser.error(f"argument --{name}: {path} is a folder, wanted a file")
    if options.plot is not None:
        _check_picture(parser, options.plot)
    return options


def _check_picture(parser: argparse.ArgumentParser, path: Path) -> None:
    """Exit unless matplotlib is there and can write such a file: before training, not after."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        parser.exit(
            1,
            f"{PROG}: --plot needs matplotlib, which is not installed: "
            "pip install 'bpcore[plot]'\n",
        )
    kinds = sorted(Figure().canvas.get_supported_filetypes())
    if path.suffix[1:].lower() not in kinds:
        parser.error(f"argument --plot: {path} ends in none of .{', .'.join(kinds)}")


def _count(text: str) -> int:
    return _number(text, int, "a whole number from 1 up", lambda value: value >= 1)


def _seed(text: str) -> int:
    return _number(text, int, "a whole number from 0 up", lambda value: value >= 0)


def _rate(text: str) -> float:
    return _number(text, float, "a number above 0", lambda value: 0 < value < math.inf)


def _number(text: str, kind: type, wanted: str, accepts: Callable[[Any], bool]) -> Any:
    """Return the number in `text`, or tell argparse what was wanted."""
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not accepts(value):
        raise argparse.ArgumentTypeError(f"{text!r} given, wanted {wanted}")
    return value


def _start() -> int:
    """Run the demonstration, in a process whose BLAS has the number of threads asked for.

    BLAS by itself takes every processor, and for matrices this small that can make NumPy several
    times slower: no fair comparison. It reads its limit when it is loaded, which importing bpcore
    has just done, so the demonstration runs in a new process.
    """
    limits = _blas_environment(_parse(None).threads)
    if not limits:
        return main()
    try:
        command = [sys.executable, *sys.orig_argv[1:]]
        return subprocess.call(command, env={**os.environ, **limits})
    except KeyboardInterrupt:  # which the new process gets too, and answers
        return 130


if __name__ == "__main__":
    sys.exit(_start())
