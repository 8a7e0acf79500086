"""What the tests of validation share: a network with its trainer and data, odd containers."""

import numpy as np
import pytest

import bpcore as bp

ROWS, FEATURES, OUTPUTS = 12, 3, 2


class Scene:
    """A trainer that has run, its network after forward and backward, and clean data.

    The numbers of the data are eighths, which every type of float holds exactly.
    """

    def __init__(self, dtype="float32", loss="squared_error", output="identity", labels=False):
        rng = np.random.default_rng(7)
        self.X = (rng.integers(-16, 17, (ROWS, FEATURES)) / 8).astype(dtype)
        self.Y = (rng.integers(0, 5, (ROWS, OUTPUTS)) / 4).astype(dtype)
        if loss == "cross_entropy":
            self.Y[:, 1] = 1 - self.Y[:, 0]
        if labels:
            self.Y = rng.integers(0, OUTPUTS, ROWS)
        self.w = (rng.integers(1, 9, ROWS) / 8).astype(dtype)
        self.net = bp.mlp([FEATURES, 4, OUTPUTS], "tanh", output, loss, dtype=dtype, rng=0)
        self.optimizer = bp.Adam(0.01)
        self.trainer = bp.Trainer(self.net, self.optimizer, batch_size=5, rng=3)
        self.trainer.run(self.X, self.Y, 2, validation_data=(self.X, self.Y))
        self.net.forward(self.X)
        self.net.backward(self.Y)

    def contents(self, *held):
        """Every value that a refused call must leave alone, and those of the caller's arrays."""
        kept = [
            getattr(layer, name)
            for layer in self.net.layers
            for name in ("W", "b", "dW", "db", "a_in", "z", "a", "da", "delta")
        ]
        arrays = [self.net.parameters, self.net.gradient, *kept, self.X, self.Y, self.w]
        arrays += [*self.optimizer.state.values(), *(x for x in held if isinstance(x, np.ndarray))]
        return (
            [None if x is None else (x.shape, x.dtype, x.flags.writeable, x.tobytes())
             for x in arrays],
            self.optimizer.steps, list(self.optimizer.state), self.optimizer.learning_rate,
            self.trainer.epoch, vars(self.trainer.history).copy(), self.trainer.stop_training,
            len(self.trainer.history), repr(self.trainer.rng.bit_generator.state),
        )  # fmt: skip


def refuse(scene, call, error, words, *held):
    """Assert that the call is refused with a message that holds all words, and changes nothing."""
    before = scene.contents(*held)
    with pytest.raises(error) as caught:
        call()
    # A subclass could be anything that went wrong on the way: MemoryError's, JSONDecodeError, ...
    assert type(caught.value) in (TypeError, ValueError)
    message = str(caught.value)
    missing = [word for word in words if word not in message]
    assert not missing, f"{missing} not in {message!r}"
    assert scene.contents(*held) == before


class Sparse:
    """What scipy.sparse's arrays have in common."""

    shape = (ROWS, FEATURES)

    def toarray(self):
        return np.zeros(self.shape)


class Frame:
    """A table of another library that NumPy can read."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)


def put(x, index, value):
    """A copy of x with one element changed."""
    x = np.array(x)
    x[index] = value
    return x
