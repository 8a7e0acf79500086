"""One layer: z = W a_in + b and a = sigma(z), and the way back.

The arrays of a layer have a row a sample; for one sample given 1-D they are that row itself.
Indices: i sample, m output, n input.
"""

import numpy as np

from bpcore import initializers
from bpcore.reference.activations import ACTIVATIONS, delta_from
from bpcore.reference.checks import checked_da, checked_X


def rows(x):
    """Return x with a row a sample: (K,) as (1, K), (n, K) as it is; a view."""
    return x.reshape(-1, x.shape[-1])


class Dense:
    """A fully connected layer, with the parameters and the arrays of `bpcore.Dense`.

    Parameters
    ----------
    n_inputs, n_outputs : int
    activation : str
        A name in `bpcore.reference.activations.ACTIVATIONS`.
    weight_initializer, bias_initializer : str or array_like, optional
        See `bpcore.initializers.draw`; W by default as suits the activation.
    dtype : data-type
        float32 or float64.
    rng : int or numpy.random.Generator, optional

    Attributes
    ----------
    W, dW : numpy.ndarray of shape (n_outputs, n_inputs)
    b, db : numpy.ndarray of shape (n_outputs,)
    a_in : numpy.ndarray of shape (n, n_inputs) or (n_inputs,)
        With `z` and `a` what the last forward kept.
    z, a, da, delta : numpy.ndarray of shape (n, n_outputs) or (n_outputs,)
        `da` and `delta` are what the last backward kept, as are `dW` and `db`.
    """

    def __init__(
        self,
        n_inputs,
        n_outputs,
        activation="sigmoid",
        *,
        weight_initializer=None,
        bias_initializer="zeros",
        dtype="float32",
        rng=None,
    ):
        default = initializers.default_for(activation)
        self.n_inputs, self.n_outputs, self.activation = n_inputs, n_outputs, activation
        self.weight_initializer = default if weight_initializer is None else weight_initializer
        self.bias_initializer = bias_initializer
        W, b = self.draw(np.random.default_rng(rng), dtype)
        self.place(W, b, np.zeros_like(W), np.zeros_like(b))

    def draw(self, rng, dtype):
        """Return a new W and b, drawn in this order."""
        size = (self.n_inputs, self.n_outputs, rng, dtype)
        W = initializers.draw(self.weight_initializer, *size)
        return W, initializers.draw_bias(self.bias_initializer, *size)

    def place(self, W, b, dW, db):
        """Take these arrays as the memory of W, b, dW, db; forget what was kept."""
        self.W, self.b, self.dW, self.db, self.dtype = W, b, dW, db, W.dtype
        self.a_in = self.z = self.a = self.da = self.delta = None

    def affine(self, a_in):
        """z_im = Σ_n W_mn a_in_in + b_m."""
        z = a_in @ self.W.T
        z += self.b
        return z

    def activate(self, z):
        """a = sigma(z)."""
        return ACTIVATIONS[self.activation].forward(z)

    def forward(self, a_in):
        """Return a; keep a_in, z, a."""
        self.a_in = checked_X(a_in, self.n_inputs, self.dtype)
        self.z = self.affine(self.a_in)
        self.a = self.activate(self.z)
        return self.a

    def backward(self, da):
        """Return ∂C/∂a_in, given ∂C/∂a; keep da, delta; fill dW, db."""
        da = checked_da(da, self.a)
        self.accumulate(da, delta_from(self.activation, da, self.z, self.a))
        return self.look_up()

    def accumulate(self, da, delta):
        """∂C/∂W_mn = Σ_i delta_im a_in_in;  ∂C/∂b_m = Σ_i delta_im; keep da, delta."""
        self.da, self.delta = da, delta
        delta, a_in = rows(delta), rows(self.a_in)
        np.matmul(delta.T, a_in, out=self.dW)
        delta.sum(axis=0, out=self.db)

    def look_up(self):
        """∂C/∂a_in_in = Σ_m delta_im W_mn, the ∂C/∂a of the layer before."""
        return self.delta @ self.W
