"""The cases: nets, data and optimisers, the same in every run and for both implementations.

Learning rates are so small that the weights hardly move: however often a benchmark trains a net,
each epoch does the work of the first one, and nothing drifts into saturation or into subnormal
numbers, whose arithmetic takes many times longer.
"""

from dataclasses import dataclass
from functools import cache
from importlib import import_module

import numpy as np
from peers import cases

IMPLS = ("reference", "bpcore")

PACKAGES = {"reference": "bpcore.reference", "bpcore": "bpcore"}

OPTIMIZERS = {"reference": "bpcore.reference.optimizers", "bpcore": "bpcore"}

LEARNING_RATE = 1e-6


@dataclass(frozen=True)
class Case(cases.Case):
    """A network that other libraries are timed on too, and an epoch's length.

    Parameters
    ----------
    n_samples : int
        Samples an epoch: so many that NumPy takes tens of milliseconds, which keeps the cost of
        the call from Python a small part of the fastest epoch.
    """

    n_samples: int = 0


N_SAMPLES = {
    "tiny": 2000,
    "nielsen": 5000,
    "nielsen batch 1": 1000,
    "rl": 12800,
    "letters": 6400,
    "mnist128": 3200,
    "mid": 4096,
    "large": 1024,
    "simplechains": 10000,
}
"""An epoch's samples by the names that asv's history has."""

CASES = {
    name: Case(**vars(cases.TRAINING[name.replace(" batch ", "_")]), n_samples=n_samples)
    for name, n_samples in N_SAMPLES.items()
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
