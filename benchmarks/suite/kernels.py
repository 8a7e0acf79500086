"""Kernels, each as nearly alone as the public interface lets it be: `Dense` on a batch.

An identity layer is a matrix product and a bias forward, and backward the two products
∂C/∂W = δᵀ a_in and ∂C/∂a_in = δ W. A layer of one input is an activation and little else.
"""

from suite._cases import IMPLS, PACKAGES, require, uniform
from suite._paired import paired_ratio
from suite._settings import Ratio, Timed

SHAPES = {
    (10, 784, 30): 200,
    (32, 64, 26): 500,
    (64, 64, 64): 200,
    (64, 784, 128): 20,
    (256, 256, 256): 10,
    (512, 1024, 1024): 1,
    (10000, 4, 32): 10,
}
"""Batch, inputs, outputs of layers in the epoch cases, and the calls timed together."""

ACTIVATIONS = (
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "silu",
    "softplus",
    "softsign",
    "hard_sigmoid",
    "identity",
    "softmax",
)


def product(impl, shape):
    """Return an identity layer of the shape after a forward call, its input and its ∂C/∂a."""
    batch, n_inputs, n_outputs = shape
    layer = require(PACKAGES[impl], "Dense")(n_inputs, n_outputs, "identity", rng=0)
    a_in, da = uniform((batch, n_inputs)), uniform((batch, n_outputs), seed=1)
    layer.forward(a_in)
    return layer, a_in, da


def activation(impl, name):
    """Return a call that takes 64 × 256 values through the activation, forward and backward.

    64 KiB an array: half of what the C library hands out by mapping new pages, whose first
    touch costs more than the formula, and not the same in every process.
    """
    layer = require(PACKAGES[impl], "Dense")(1, 256, name, rng=0)
    # Both signs, and both the curved and the flat parts of every activation.
    a_in = 8 * uniform((64, 1)) - 4
    layer.W[...] = 2 * uniform((256, 1), seed=1) - 1
    da = uniform((64, 256), seed=2)

    def both_ways():
        layer.forward(a_in)
        layer.backward(da)

    return both_ways


class Products(Timed):
    """Seconds for the calls of `SHAPES`."""

    params = (list(SHAPES), IMPLS)
    param_names = ("batch, inputs, outputs", "impl")

    def setup(self, shape, impl):
        self.layer, self.a_in, self.da = product(impl, shape)
        self.calls = range(SHAPES[shape])

    def time_forward(self, shape, impl):
        for _ in self.calls:
            self.layer.forward(self.a_in)

    def time_backward(self, shape, impl):
        for _ in self.calls:
            self.layer.backward(self.da)


class ProductRatios(Ratio):
    """Time of bpcore's call divided by the reference's."""

    params = (list(SHAPES),)
    param_names = ("batch, inputs, outputs",)

    def setup(self, shape):
        self.ours, self.a_in, self.da = product("bpcore", shape)
        self.reference, _, _ = product("reference", shape)

    def track_forward(self, shape):
        return paired_ratio(
            lambda: self.ours.forward(self.a_in), lambda: self.reference.forward(self.a_in)
        )

    def track_backward(self, shape):
        return paired_ratio(
            lambda: self.ours.backward(self.da), lambda: self.reference.backward(self.da)
        )


class Activations(Timed):
    """Seconds for 20 times forward and backward."""

    params = (ACTIVATIONS, IMPLS)
    param_names = ("activation", "impl")

    def setup(self, name, impl):
        self.both_ways = activation(impl, name)

    def time_forward_backward(self, name, impl):
        for _ in range(20):
            self.both_ways()


class ActivationRatios(Ratio):
    """Time of bpcore's forward and backward divided by the reference's."""

    params = (ACTIVATIONS,)
    param_names = ("activation",)

    def setup(self, name):
        self.ours, self.reference = activation("bpcore", name), activation("reference", name)

    def track_forward_backward(self, name):
        return paired_ratio(self.ours, self.reference)
