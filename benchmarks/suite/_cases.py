"""The cases: nets, data and optimisers, the same in every run and for both implementations.

Learning rates are so small that the weights hardly move: however often a benchmark trains a net,
each epoch does the work of the first one, and nothing drifts into saturation or into subnormal
numbers, whose arithmetic takes many times longer.
"""

from dataclasses import dataclass
from functools import cache
from importlib import import_module

import numpy as np

IMPLS = ("reference", "bpcore")

PACKAGES = {"reference": "bpcore.reference", "bpcore": "bpcore"}

OPTIMIZERS = {"reference": "bpcore.reference.optimizers", "bpcore": "bpcore"}

LEARNING_RATE = 1e-6


@dataclass(frozen=True)
class Case:
    """One net and the way it is trained.

    Parameters
    ----------
    sizes : tuple of int
        Inputs, hidden units, outputs.
    hidden, output : str
        Activations.
    loss : str
        Loss.
    batch_size : int
        Samples a step.
    optimizer : str
        Class name of the optimiser.
    n_samples : int
        Samples an epoch: so many that NumPy takes tens of milliseconds, which keeps the cost of
        the call from Python a small part of the fastest epoch.
    """

    sizes: tuple
    hidden: str
    output: str
    loss: str
    batch_size: int
    optimizer: str
    n_samples: int


CASES = {
    "tiny": Case((3, 2, 3, 5), "sigmoid", "sigmoid", "squared_error", 1, "SGD", 2000),
    "nielsen": Case((784, 30, 10), "sigmoid", "sigmoid", "squared_error", 10, "SGD", 5000),
    "nielsen batch 1": Case((784, 30, 10), "sigmoid", "sigmoid", "squared_error", 1, "SGD", 1000),
    "rl": Case((8, 64, 64, 4), "tanh", "identity", "squared_error", 64, "Adam", 12800),
    "letters": Case((16, 64, 64, 26), "relu", "softmax", "cross_entropy", 32, "Adam", 6400),
    "mnist128": Case((784, 128, 10), "relu", "softmax", "cross_entropy", 64, "Adam", 3200),
    "mid": Case((64, 256, 256, 10), "relu", "softmax", "cross_entropy", 256, "Adam", 4096),
    "large": Case((1024, 1024, 1024, 10), "relu", "softmax", "cross_entropy", 512, "Adam", 1024),
    "simplechains": Case((4, 32, 16, 4), "tanh", "identity", "squared_error", 10000, "Adam", 10000),
}

INFERENCE = (4, 64, 64, 2)
"""Sizes of the net that predicts one sample, tanh throughout."""


def require(module, name):
    """Return `name` of a module.

    Parameters
    ----------
    module : str
        Dotted name of a module.
    name : str
        Public name in it.

    Raises
    ------
    NotImplementedError
        There is no such module, or no such name in it: asv then skips the benchmark, as it should
        for a commit older than the feature. Any other error of an import is a failure.
    """
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise NotImplementedError(f"no module {module}") from error
    except AttributeError as error:
        raise NotImplementedError(f"{module} has no {name}") from error


def uniform(shape, seed=0):
    """Return float32 numbers, uniform in [0, 1), of this shape and seed."""
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


@cache
def data(case, n_samples):
    """Return X and Y of a case: uniform numbers, and labels where the loss takes them."""
    X = uniform((n_samples, case.sizes[0]), seed=1)
    n_outputs = case.sizes[-1]
    if case.loss == "cross_entropy":
        return X, np.random.default_rng(2).integers(n_outputs, size=n_samples)
    return X, uniform((n_samples, n_outputs), seed=2)


def network(impl, case):
    """Return a new network of the case; its weights come from a fixed seed."""
    return require(PACKAGES[impl], "mlp")(
        case.sizes, hidden=case.hidden, output=case.output, loss=case.loss, rng=0
    )


def optimizer(impl, case):
    """Return a new optimiser of the case, of the implementation's own kind."""
    return require(OPTIMIZERS[impl], case.optimizer)(LEARNING_RATE)


def epoch(impl, case):
    """Return a call that trains the case's network for one epoch and returns the history.

    Parameters
    ----------
    impl : {"reference", "bpcore"}
        Implementation.
    case : Case
        Net and training.

    Returns
    -------
    callable
        Without arguments; every call shuffles alike and begins with a new optimiser.
    """
    net = network(impl, case)
    X, Y = data(case, case.n_samples)

    def train():
        return net.fit(
            X, Y, epochs=1, batch_size=case.batch_size, optimizer=optimizer(impl, case), rng=0
        )

    return train
