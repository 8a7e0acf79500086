"""A layer: a = σ(W a_in + b), and its backward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bpcore import initializers, validation
from bpcore.cpu import kernels

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike

    _Array = np.ndarray[Any, Any]
    _Rng = int | np.random.Generator | np.random.SeedSequence | None

ACTIVATIONS = tuple(kernels.ACTIVATIONS)


class Dense:
    """A fully connected layer, z = W a_in + b and a = σ(z).

    Alone, or inside a `Network`, whose vectors its W, b, dW and db then are views of.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Sizes, each at least 1.
    activation : str, default "sigmoid"
        σ: one of sigmoid, tanh, relu, leaky_relu, elu, selu, gelu, silu, softplus, softsign,
        hard_sigmoid, exp, identity, softmax.
    weight_initializer : str or array_like of shape (n_outputs, n_inputs), optional
        See `bpcore.initializers.draw`; by default the one that suits the activation.
    bias_initializer : str or array_like of shape (n_outputs,), default "zeros"
    dtype : "float32" or "float64"
    rng : int, numpy.random.Generator, SeedSequence or None
        What W and b are drawn from; None for fresh entropy.

    Attributes
    ----------
    W, dW : ndarray of shape (n_outputs, n_inputs)
        Weights and ∂C/∂W. Assigning to W or b copies the values in.
    b, db : ndarray of shape (n_outputs,)
        Biases and ∂C/∂b.
    a_in : ndarray of shape (n, n_inputs) or (n_inputs,)
        A copy of forward's input; None before it, as z and a are.
    z, a : ndarray of shape (n, n_outputs) or (n_outputs,)
        What forward computed.
    da, delta : ndarray, as a
        ∂C/∂a and ∂C/∂z = ∂C/∂a σ'(z), kept by backward; None until it ran.

    Raises
    ------
    TypeError, ValueError
        A size, name, dtype or array that will not do.

    Notes
    -----
    The formulas are those of docs/derivation.md, computed in `_math/affine.pxd`
    and `_math/activation.pxd`. An array that you hold is never overwritten by a
    later call, except W, b, dW and db.

    Examples
    --------
    >>> import bpcore as bp
    >>> layer = bp.Dense(3, 2, "identity", weight_initializer=[[1, 2, 3], [4, 5, 6]])
    >>> layer.forward([1, 0, -1])
    array([-2., -2.], dtype=float32)
    >>> layer.backward([1, 0])  # ∂C/∂a_in for C = a_1
    array([1., 2., 3.], dtype=float32)
    >>> layer.dW
    array([[ 1.,  0., -1.],
           [ 0.,  0., -0.]], dtype=float32)
    """

    def __init__(
        self,
        n_inputs: int,
        n_outputs: int,
        activation: str = "sigmoid",
        *,
        weight_initializer: str | ArrayLike | None = None,
        bias_initializer: str | ArrayLike = "zeros",
        dtype: DTypeLike = "float32",
        rng: _Rng = None,
    ) -> None:
        dtype = validation.dtype_of(dtype)
        n_inputs, n_outputs = validation.layer_sizes(n_inputs, n_outputs, dtype)
        self._activation = validation.one_of(activation, ACTIVATIONS, "activation")
        if weight_initializer is None:
            weight_initializer = initializers.default_for(activation)
        self.weight_initializer = weight_initializer
        self.bias_initializer = bias_initializer
        self.in_network = False
        sizes = (n_inputs, n_outputs, np.random.default_rng(rng), dtype)
        W = initializers.draw(weight_initializer, *sizes)
        b = initializers.draw_bias(bias_initializer, *sizes)
        self._kernel = kernels.Layer(
            kernels.ACTIVATIONS[activation], W, b, np.zeros_like(W), np.zeros_like(b)
        )

    def forward(self, x: ArrayLike) -> _Array:
        """Return a = σ(W a_in + b), and keep a_in, z and a.

        Parameters
        ----------
        x : array_like of shape (n, n_inputs), or (n_inputs,) for one sample
            The layer's input a_in, n samples of finite numbers.

        Returns
        -------
        ndarray of shape (n, n_outputs) or (n_outputs,)

        Raises
        ------
        TypeError, ValueError
            Not real numbers, wrong shape, no rows, NaN or Inf.
        """
        return self._kernel.forward(x)

    def backward(self, da: ArrayLike) -> _Array:
        """Return ∂C/∂a_in = δ W; keep da, and fill delta = da σ'(z), dW = δᵀ a_in, db = Σ δ.

        Parameters
        ----------
        da : array_like, the shape of the last forward's a
            ∂C/∂a, looked up from the layer above or given by the loss.

        Returns
        -------
        ndarray, the shape of the last forward's input

        Raises
        ------
        RuntimeError
            Before any forward.
        TypeError, ValueError
            Not real numbers, wrong shape, NaN or Inf.
        """
        return self._kernel.backward(da)

    def draw(self, rng: np.random.Generator, dtype: np.dtype) -> tuple[_Array, _Array]:
        """Return a first W and b by the layer's initialisers, drawn from rng in this order."""
        sizes = (self.n_inputs, self.n_outputs, rng, dtype)
        return (
            initializers.draw(self.weight_initializer, *sizes),
            initializers.draw_bias(self.bias_initializer, *sizes),
        )

    @property
    def n_inputs(self) -> int:
        return self._kernel.n_inputs

    @property
    def n_outputs(self) -> int:
        return self._kernel.n_outputs

    @property
    def activation(self) -> str:
        return self._activation

    @property
    def dtype(self) -> np.dtype:
        return self._kernel.W.dtype

    @property
    def W(self) -> _Array:
        return self._kernel.W

    @W.setter
    def W(self, values: ArrayLike) -> None:
        self._kernel.W[...] = validation.parameters(values, self.W.shape, self.dtype, "W")

    @property
    def b(self) -> _Array:
        return self._kernel.b

    @b.setter
    def b(self, values: ArrayLike) -> None:
        self._kernel.b[...] = validation.parameters(values, self.b.shape, self.dtype, "b")

    @property
    def dW(self) -> _Array:
        return self._kernel.dW

    @property
    def db(self) -> _Array:
        return self._kernel.db

    @property
    def a_in(self) -> _Array | None:
        return self._kernel.a_in

    @property
    def z(self) -> _Array | None:
        return self._kernel.z

    @property
    def a(self) -> _Array | None:
        return self._kernel.a

    @property
    def da(self) -> _Array | None:
        return self._kernel.da

    @property
    def delta(self) -> _Array | None:
        return self._kernel.delta

    def __repr__(self) -> str:
        return (
            f"Dense({self.n_inputs}, {self.n_outputs}, {self.activation!r}, dtype='{self.dtype}')"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self.n_inputs, self.n_outputs, self.activation, self.W, self.b,
                          self.weight_initializer, self.bias_initializer)  # fmt: skip


def _rebuilt(n_inputs, n_outputs, activation, W, b, weight_initializer, bias_initializer):
    """Return the layer that was pickled or copied, bit for bit; it belongs to no network."""
    layer = Dense(n_inputs, n_outputs, activation, weight_initializer="zeros", dtype=W.dtype)
    layer._kernel.W[...], layer._kernel.b[...] = W, b
    layer.weight_initializer, layer.bias_initializer = weight_initializer, bias_initializer
    return layer
