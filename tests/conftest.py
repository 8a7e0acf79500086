"""What every test file shares: the processor levels, the dtypes, random numbers, the tolerances."""

import importlib

import numpy as np
import pytest

from bpcore import cpu

# Largest relative errors. A tolerance that is not in this table has its reason beside it.
RTOL = {
    # A few operations on a few numbers, against the same in float64 or Python's numbers.
    "formula": {"float32": 2e-6, "float64": 1e-14},
    # A sum of up to some hundred products, relative to the sum of their magnitudes.
    "product": {"float32": 5e-7, "float64": 1e-15},
    # A forward and backward pass through some layers, relative to the largest element.
    "pass": {"float32": 2e-5, "float64": 5e-14},
    # A gradient against fourth-order central differences, or float32 against float64.
    "gradient": {"float32": 1e-4, "float64": 1e-7},
    # Parameters and losses after some tens of steps.
    "training": {"float32": 1e-4, "float64": 1e-12},
}

LEVELS = tuple(name for name in cpu.supported_levels() if name in cpu.built_levels())

# Every module that does `from bpcore.cpu import kernels`.
USERS_OF_KERNELS = (
    *("layers", "losses", "network", "optimizers", "trainer", "custom_loss", "stretches"),
    "first_look",
)


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    """The name of each dtype in turn."""
    return request.param


def kernels_of(level):
    """Return the compiled module of a level."""
    return importlib.import_module(f"bpcore._kernels_{level}")


def use_level(level, monkeypatch):
    """Let what the test makes use the level's kernels."""
    for name in USERS_OF_KERNELS:
        module = importlib.import_module(f"bpcore.{name}")
        monkeypatch.setattr(module, "kernels", kernels_of(level))


@pytest.fixture(params=LEVELS)
def level(request, monkeypatch):
    """The name of each level that is built and runs here; what the test makes uses its kernels."""
    use_level(request.param, monkeypatch)
    return request.param


@pytest.fixture
def kernels(level):
    """The compiled module of the level."""
    return kernels_of(level)


@pytest.fixture
def rng():
    """A generator that starts the same in every test."""
    return np.random.default_rng(20240607)


@pytest.fixture
def data(rng):
    """X and Y of 23 samples for the network of trainers.made."""
    return rng.standard_normal((23, 3)).astype("float32"), rng.random((23, 2)).astype("float32")
