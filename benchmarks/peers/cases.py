"""What is trained and predicted: networks, data and first weights, the same for every library."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

CHECK_STEPS = 20
"""Steps after which all libraries must have come to the same weights."""

EPOCH_OPERATIONS = 2e9
EPOCH_BYTES = 16e6
EPOCH_STEPS = (2, 4000)
"""An epoch has about so many floating-point operations, but no more data than that, and a number of
steps in this range: long enough to hide the call from Python, short enough for the slowest."""


@dataclass(frozen=True)
class Case:
    """One network, and the way it is trained or asked for predictions.

    Parameters
    ----------
    sizes : tuple of int
        Inputs, hidden units, outputs.
    hidden, output, loss : str
        Names as `bpcore.mlp` has them.
    batch_size : int
        Samples a step; for a prediction samples a call, 1 being a vector.
    optimizer : {"SGD", "Adam"}
    learning_rate : float, optional
        By default 0.05 for SGD and 0.001 for Adam.
    full_batch : bool
        An epoch is one step.
    dtype : {"float32", "float64"}
    """

    sizes: tuple
    hidden: str = "relu"
    output: str = "softmax"
    loss: str = "cross_entropy"
    batch_size: int = 64
    optimizer: str = "Adam"
    learning_rate: float | None = None
    full_batch: bool = False
    dtype: str = "float32"

    def __post_init__(self):
        if self.learning_rate is None:
            rate = {"SGD": 0.05, "Adam": 1e-3}[self.optimizer]
            object.__setattr__(self, "learning_rate", rate)

    @property
    def layers(self):
        """(n_inputs, n_outputs, activation) of every layer."""
        activations = [self.hidden] * (len(self.sizes) - 2) + [self.output]
        return [(*pair, name) for pair, name in zip(pairwise(self.sizes), activations, strict=True)]

    @property
    def operations(self):
        """Floating-point operations of the products of a step: 2 of each weight and sample forward,
        2 for ∂C/∂W, and 2 for ∂C/∂a, which the first layer needs not."""
        first, *others = [n_in * n_out for n_in, n_out in pairwise(self.sizes)]
        return self.batch_size * (4 * first + 6 * sum(others))

    @property
    def steps(self):
        """Steps an epoch."""
        if self.full_batch:
            return 1
        bytes_a_step = 4 * self.batch_size * (self.sizes[0] + self.sizes[-1])
        steps = min(EPOCH_OPERATIONS / self.operations, EPOCH_BYTES / bytes_a_step)
        return int(min(max(steps, EPOCH_STEPS[0]), EPOCH_STEPS[1]))

    def initial_parameters(self):
        """Return [(W, b), …]: Glorot's uniform weights and small biases, the same in each dtype."""
        rng = np.random.default_rng(0)
        parameters = []
        for n_in, n_out in pairwise(self.sizes):
            bound = (6 / (n_in + n_out)) ** 0.5
            W, b = rng.uniform(-bound, bound, (n_out, n_in)), rng.uniform(-0.1, 0.1, n_out)
            parameters.append(tuple(array.astype("f4").astype(self.dtype) for array in (W, b)))
        return parameters

    def data(self, steps):
        """Return X and Y of so many steps: uniform numbers, or labels where the loss takes them.

        They are numbers of float32 in each dtype.
        """
        n, rng = steps * self.batch_size, np.random.default_rng(1)
        X = rng.random((n, self.sizes[0]), dtype="f4").astype(self.dtype)
        if self.loss == "cross_entropy":
            return X, rng.integers(self.sizes[-1], size=n)
        Y = rng.random((n, self.sizes[-1]), dtype="f4").astype(self.dtype)
        return X, Y.round() if self.loss == "binary_cross_entropy" else Y

    def describe(self):
        """Return the network, its activations and its training, for a table."""
        net = "-".join(map(str, self.sizes))
        shape = f"{self.hidden} + {self.output}" if len(self.sizes) > 2 else self.output
        return f"{net} {shape}", f"{self.loss.replace('_', ' ')}, {self.training}"

    @property
    def training(self):
        """Batch and optimiser, for a table."""
        return f"{'full ' if self.full_batch else ''}batch {self.batch_size}, {self.optimizer}"


REGRESSION = {"output": "identity", "loss": "squared_error"}
SIGMOIDS = {"hidden": "sigmoid", "output": "sigmoid", "loss": "squared_error", "optimizer": "SGD"}

TRAINING = {
    "tiny": Case((3, 2, 3, 5), **SIGMOIDS, batch_size=1),
    "nielsen": Case((784, 30, 10), **SIGMOIDS, batch_size=10),
    "nielsen_1": Case((784, 30, 10), **SIGMOIDS, batch_size=1),
    "rl": Case((8, 64, 64, 4), "tanh", **REGRESSION, batch_size=64),
    "letters": Case((16, 64, 64, 26), batch_size=32),
    "mnist128": Case((784, 128, 10), batch_size=64),
    "mid": Case((64, 256, 256, 10), batch_size=256),
    "large": Case((1024, 1024, 1024, 10), batch_size=512),
    "simplechains": Case((4, 32, 16, 4), "tanh", **REGRESSION, batch_size=10000, full_batch=True),
}

OTHERS = {
    "xor": Case((2, 8, 1), "tanh", "sigmoid", "binary_cross_entropy", batch_size=4),
    "odd": Case((17, 31, 33, 7), batch_size=17),
    "wide_in": Case((10, 100, 1), **REGRESSION, batch_size=200),
    "deep": Case((20, 50, 50, 50, 2), "tanh", **REGRESSION, batch_size=32),
    "gelu": Case((100, 100, 100), "gelu", **REGRESSION, batch_size=100),
    "logistic": Case((30, 1), "relu", "sigmoid", "binary_cross_entropy", batch_size=64),
    "autoencoder": Case((256, 64, 256), "sigmoid", "sigmoid", "squared_error", batch_size=128),
    "dynamics": Case((8, 128, 128, 128, 8), "silu", **REGRESSION, batch_size=256),
    "mid_tanh": Case((64, 256, 256, 10), "tanh", batch_size=256),
    "flat": Case((512, 512, 10), batch_size=16),
    "fives": Case((5, 5, 5, 5, 5, 5), "tanh", **REGRESSION, batch_size=1, optimizer="SGD"),
    "broad": Case((64, 2048, 10), batch_size=64),
    "online": Case((100, 40, 3), batch_size=1),
    "line": Case((10, 1), **REGRESSION, batch_size=1, optimizer="SGD", learning_rate=1e-3),
    "seven": Case((2, 2, 1), "tanh", **REGRESSION, batch_size=1, optimizer="SGD"),
}

PREDICTION = {
    "one sample": Case((4, 64, 64, 2), "tanh", "tanh", "squared_error", batch_size=1),
    "10,000 samples": Case((4, 64, 64, 2), "tanh", "tanh", "squared_error", batch_size=10000),
    "10,000 images": Case((784, 128, 10), batch_size=10000),
}

WIDTHS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048)
AWKWARD_WIDTHS = (7, 9, 12, 15, 17, 24, 31, 33, 48, 63, 65, 100, 127, 129, 200, 300, 500, 700, 1500)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
AWKWARD_BATCHES = (3, 5, 6, 7, 11, 13, 17, 24, 31, 33, 48, 63, 65, 100, 200, 500, 1000, 3000)


def of_width(width, batch_size=64):
    """Return the case of the curve of step time against width."""
    # The more units add up, the smaller the steps that do not diverge.
    curve = {"optimizer": "SGD", "learning_rate": 0.2 / width}
    return Case((width,) * 3, **REGRESSION, **curve, batch_size=batch_size)


def of_batch(batch_size):
    """Return the case of the curve of step time against batch."""
    return of_width(64, batch_size)
