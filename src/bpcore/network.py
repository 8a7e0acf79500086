"""Layers in a row with a loss at the end, all parameters in one vector."""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from bpcore import validation
from bpcore.cpu import kernels
from bpcore.layers import Dense
from bpcore.losses import check_loss
from bpcore.memory import aligned_zeros

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from os import PathLike

    from numpy.typing import ArrayLike, DTypeLike

    from bpcore.callbacks import Callback
    from bpcore.history import History
    from bpcore.layers import _Array, _Rng
    from bpcore.losses import _Loss
    from bpcore.optimizers import Optimizer
    from bpcore.trainer import Trainer


class Network:
    """A feed-forward network: layers, each feeding the next, and a loss.

    Parameters
    ----------
    layers : sequence of Dense
        Each one's n_inputs is the n_outputs of the one before. The network takes them over:
        their W, b, dW and db become views into `parameters` and `gradient`.
    loss : str or callable, default "squared_error"
        squared_error, mean_squared_error, mean_absolute_error, huber, poisson,
        binary_cross_entropy or cross_entropy, or a function f(a, y) -> (C, da) of the outputs
        and the targets as they were given, which returns the loss and ∂C/∂a.
    dtype : "float32", "float64" or None
        None: the dtype of the layers.
    rng : int, numpy.random.Generator, SeedSequence or None
        Draw every layer's W and b anew from it by their initialisers, first layer first; None
        keeps the values that the layers have.

    Attributes
    ----------
    layers : tuple of Dense
    loss : str or callable
    parameters, gradient : ndarray of shape (n_parameters,)
        All weights and biases, and their gradient: W before b, first layer first; C-contiguous
        and writable.

    Raises
    ------
    TypeError, ValueError
        No layers, sizes that do not join, a layer of another network, an unknown loss or dtype.

    Warns
    -----
    UserWarning
        The last activation leaves the domain of the loss.

    Examples
    --------
    >>> import bpcore as bp
    >>> net = bp.Network([bp.Dense(3, 2), bp.Dense(2, 3), bp.Dense(3, 5)], rng=0)
    >>> a = net.forward([0.1, 0.2, 0.3])
    >>> C = net.backward([0, 1, 0, 0, 0])
    >>> net.layers[0].dW.shape, net.gradient.shape
    ((2, 3), (37,))
    """

    def __init__(
        self,
        layers: Sequence[Dense],
        loss: _Loss = "squared_error",
        *,
        dtype: DTypeLike | None = None,
        rng: _Rng = None,
    ) -> None:
        self._layers = _checked_layers(layers)
        dtype = _common_dtype(self.layers) if dtype is None else validation.dtype_of(dtype)
        self._loss = loss
        name = check_loss(loss, self.layers[-1].activation)
        generator = None if rng is None else np.random.default_rng(rng)
        values = [
            (layer.W, layer.b) if generator is None else layer.draw(generator, dtype)
            for layer in self.layers
        ]
        _check_range(values, dtype)
        count = sum(W.size + b.size for W, b in values)
        self._parameters = aligned_zeros(count, dtype)
        self._gradient = aligned_zeros(count, dtype)
        start = 0
        for layer, (W, b) in zip(self.layers, values, strict=True):
            views = []
            for vector in (self.parameters, self.gradient):
                views.append(vector[start : start + W.size].reshape(W.shape))
                views.append(vector[start + W.size : start + W.size + b.size])
            views[0][...], views[1][...] = W, b
            layer._kernel.bind(*views)
            layer.in_network = True
            start += W.size + b.size
        self._kernel = kernels.Network([layer._kernel for layer in self.layers], name)

    @property
    def layers(self) -> tuple[Dense, ...]:
        return self._layers

    @property
    def loss(self) -> _Loss:
        return self._loss

    @property
    def parameters(self) -> _Array:
        return self._parameters

    @parameters.setter
    def parameters(self, values: ArrayLike) -> None:
        self._parameters[...] = _vector(values, self._parameters, "parameters")

    @property
    def gradient(self) -> _Array:
        return self._gradient

    @gradient.setter
    def gradient(self, values: ArrayLike) -> None:
        self._gradient[...] = _vector(values, self._gradient, "gradient")

    def forward(self, X: ArrayLike) -> _Array:
        """Return the outputs a of the last layer; every layer keeps its a_in, z and a.

        Parameters
        ----------
        X : array_like of shape (n, n_inputs), or (n_inputs,) for one sample

        Returns
        -------
        ndarray of shape (n, n_outputs) or (n_outputs,)

        Raises
        ------
        TypeError, ValueError
            Not real numbers, wrong shape, no rows, NaN or Inf.
        """
        return self._kernel.forward(X)

    def backward(self, Y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the loss C of the last forward; fill every layer's da, delta, dW and db.

        Parameters
        ----------
        Y : array_like of shape (n, n_outputs)
            Targets; (n,) too if n_outputs is 1, class indices (n,) for cross_entropy, and one
            dimension less for one sample.
        sample_weight : array_like of shape (n,), optional
            C is the mean over the samples weighted by these.

        Returns
        -------
        float
            The mean over the samples of the sum over the outputs (docs/derivation.md).

        Raises
        ------
        RuntimeError
            Before forward.
        TypeError, ValueError
            Targets of the wrong shape, dtype or domain.
        """
        if callable(self.loss):
            refuse_weights(sample_weight)
            C, da = self._called_loss(self._kernel.output_copy(), Y)
            self._kernel.backpropagate(da)
            return C
        return self._kernel.backward(Y, sample_weight)

    def backpropagate(self, da: ArrayLike) -> _Array:
        """Return ∂C/∂X for any ∂C/∂a of the last layer; fill da, delta, dW and db as backward.

        For losses of one's own and policy gradients.

        Parameters
        ----------
        da : array_like, the shape of forward's result

        Returns
        -------
        ndarray, the shape of forward's X

        Raises
        ------
        RuntimeError
            Before forward.
        TypeError, ValueError
            Not real numbers, wrong shape, NaN or Inf.
        """
        return self._kernel.backpropagate(da)

    def predict(self, X: ArrayLike, out: _Array | None = None) -> _Array:
        """Return the outputs for X and keep nothing; may run in many threads at once.

        Parameters
        ----------
        X : array_like of shape (n, n_inputs), or (n_inputs,) for one sample
        out : ndarray of shape (n, n_outputs) or (n_outputs,), optional
            C-contiguous, of the network's dtype, apart from X: the result is written here.

        Returns
        -------
        ndarray
            `out`, or a new array.

        Raises
        ------
        TypeError, ValueError
            X as for forward; `out` of another shape, dtype or layout, or overlapping X.
        """
        return self._kernel.predict(X, out)

    def evaluate(self, X: ArrayLike, Y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the loss C on (X, Y) and keep nothing.

        Parameters
        ----------
        X : array_like of shape (n, n_inputs), or (n_inputs,) for one sample
        Y : array_like of shape (n, n_outputs), or as for backward
        sample_weight : array_like of shape (n,), optional

        Returns
        -------
        float
            As backward returns it.

        Raises
        ------
        TypeError, ValueError
            Data of the wrong shape, dtype or domain.
        """
        if callable(self.loss):
            refuse_weights(sample_weight)
            return self._called_loss(self.predict(X), Y)[0]
        kernel = self._kernel
        return kernel.evaluate(*kernel.check(X, Y, sample_weight))

    def loss_and_gradient(
        self, theta: ArrayLike, X: ArrayLike, Y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[float, _Array]:
        """Return C and ∂C/∂theta with the parameters set to theta, for scipy.optimize.minimize.

        Parameters
        ----------
        theta : array_like of shape (n_parameters,)
            Becomes the network's parameters.
        X, Y, sample_weight : array_like
            As for forward and backward.

        Returns
        -------
        float, ndarray of shape (n_parameters,)
            The gradient is a copy.

        Raises
        ------
        TypeError, ValueError
            Any argument that will not do; the parameters are then as before.

        Examples
        --------
        >>> import bpcore as bp, numpy as np
        >>> from scipy.optimize import minimize
        >>> net = bp.mlp([1, 4, 1], hidden="tanh", dtype="float64", rng=0)
        >>> X = np.linspace(-1, 1, 9).reshape(-1, 1)
        >>> result = minimize(net.loss_and_gradient, net.parameters, (X, X**2), jac=True)
        >>> result.fun < 1e-3
        True
        """
        theta = _vector(theta, self.parameters, "theta")
        kernel = self._kernel
        if callable(self.loss):
            refuse_weights(sample_weight)
            X = validation.samples(X, self.layers[0].n_inputs, self.parameters.dtype)
        else:
            checked = kernel.check(X, Y, sample_weight)
        before = self.parameters.copy()
        try:
            self.parameters[...] = theta
            if callable(self.loss):
                self.forward(X)
                return self.backward(Y), self.gradient.copy()
            return kernel.forward_and_backward(*checked), self.gradient.copy()
        except BaseException:  # a callable loss may raise
            self.parameters[...] = before
            raise

    def fit(
        self,
        X: ArrayLike,
        Y: ArrayLike,
        epochs: int = 10,
        batch_size: int | None = 32,
        optimizer: Optimizer | None = None,
        *,
        shuffle: bool = True,
        sample_weight: ArrayLike | None = None,
        validation_data: tuple[Any, ...] | None = None,
        callbacks: Iterable[Callback | Callable[[Trainer], object]] = (),
        progress: bool = False,
        n_threads: int | None = None,
        rng: _Rng = None,
        l1: float = 0.0,
        l2: float = 0.0,
        clip_norm: float | None = None,
    ) -> History:
        """Train on (X, Y); a `Trainer` made for this one run.

        Parameters
        ----------
        X : array_like of shape (n, n_inputs)
        Y : array_like of shape (n, n_outputs), or as for backward
        epochs : int
            Passes over the data.
        batch_size, optimizer, shuffle, n_threads, rng, l1, l2, clip_norm
            See `Trainer`.
        sample_weight, validation_data, callbacks, progress
            See `Trainer.run`.

        Returns
        -------
        History

        Raises
        ------
        TypeError, ValueError
            Any argument that will not do; nothing is changed then.
        DivergenceError
            The loss or a weight stopped being finite.

        Examples
        --------
        >>> import bpcore as bp, numpy as np
        >>> X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
        >>> net = bp.mlp([2, 8, 1], hidden="tanh", output="sigmoid", loss="binary_cross_entropy",
        ...              rng=0)
        >>> history = net.fit(X, [0, 1, 1, 0], epochs=500, optimizer=bp.Adam(0.05), rng=0)
        >>> net.predict(X).round().ravel()
        array([0., 1., 1., 0.], dtype=float32)
        """
        from bpcore.trainer import Trainer

        trainer = Trainer(
            self,
            optimizer,
            batch_size,
            shuffle=shuffle,
            l1=l1,
            l2=l2,
            clip_norm=clip_norm,
            n_threads=n_threads,
            rng=rng,
        )
        return trainer.run(
            X,
            Y,
            epochs,
            sample_weight=sample_weight,
            validation_data=validation_data,
            callbacks=callbacks,
            progress=progress,
        )

    def save(self, path: str | PathLike[str]) -> None:
        """Write the network to a safetensors file, which `bpcore.load` reads.

        Raises
        ------
        ValueError
            The loss is a callable, which a file cannot hold.
        OSError
            The file cannot be written; one that was there before is left as it was.
        """
        from bpcore.persistence import save_network

        save_network(self, path)

    def _called_loss(self, a: _Array, Y: Any) -> tuple[float, _Array]:
        """Return (C, da) of a callable loss, checked."""
        result = self.loss(a, Y)  # type: ignore[operator]
        if not (isinstance(result, tuple) and len(result) == 2):
            raise TypeError(f"the loss returned {type(result).__name__}, wanted a pair (C, da)")
        try:
            return float(result[0]), result[1]
        except (TypeError, ValueError):
            raise TypeError(f"the loss returned C = {result[0]!r}, wanted a number") from None

    def __repr__(self) -> str:
        sizes = "-".join(str(n) for n in [self.layers[0].n_inputs, *_outputs(self.layers)])
        activations = ", ".join(layer.activation for layer in self.layers)
        loss = (
            self.loss if isinstance(self.loss, str) else getattr(self.loss, "__name__", "callable")
        )
        return (
            f"Network({sizes}, {activations}, loss={loss!r}, dtype='{self.parameters.dtype}', "
            f"{self.parameters.size} parameters)"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self.layers, self.loss)

    def __copy__(self) -> Network:
        return copy.deepcopy(self)


def _vector(values: Any, like: _Array, name: str) -> _Array:
    """Return values for all parameters, checked: as they are, or converted."""
    if kernels.fits(values, like):
        return values
    return validation.parameters(values, like.shape, like.dtype, name)


def _rebuilt(layers: tuple[Dense, ...], loss: _Loss) -> Network:
    """Return the network that was pickled or copied; it warned when it was first made."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return Network(layers, loss)


def refuse_weights(sample_weight: Any) -> None:
    """Raise if there are sample weights, for a callable loss."""
    if sample_weight is not None:
        raise ValueError(
            "sample_weight is given, but the loss is a callable of (a, y): weight its da"
        )


def mlp(
    sizes: Sequence[int],
    hidden: str = "relu",
    output: str = "identity",
    loss: _Loss = "squared_error",
    *,
    weight_initializer: str | None = None,
    bias_initializer: str = "zeros",
    dtype: DTypeLike = "float32",
    rng: _Rng = None,
) -> Network:
    """Return a multi-layer perceptron.

    Parameters
    ----------
    sizes : sequence of int
        The number of inputs, then that of each layer's outputs: at least two.
    hidden, output : str
        Activations of the hidden layers and of the last one.
    loss : str or callable
        See `Network`.
    weight_initializer, bias_initializer : str
        Names for all layers, see `bpcore.initializers.draw`; by default each layer takes the
        one that suits its activation.
    dtype : "float32" or "float64"
    rng : int, numpy.random.Generator, SeedSequence or None
        What the weights are drawn from, first layer first.

    Raises
    ------
    TypeError, ValueError
        Fewer than two sizes, a size that is no positive integer, an unknown name.

    Examples
    --------
    >>> import bpcore as bp
    >>> bp.mlp([64, 32, 10], hidden="relu", output="softmax", loss="cross_entropy", rng=0)
    Network(64-32-10, relu, softmax, loss='cross_entropy', dtype='float32', 2410 parameters)
    """
    try:
        sizes = list(sizes)
    except TypeError:
        sizes = [sizes]  # type: ignore[list-item]
    if isinstance(sizes, str) or len(sizes) < 2:
        raise ValueError(f"sizes is {sizes!r}, wanted the inputs and at least one layer's outputs")
    generator = np.random.default_rng(rng)
    activations = [hidden] * (len(sizes) - 2) + [output]
    layers = [
        Dense(
            n_inputs,
            n_outputs,
            activation,
            weight_initializer=weight_initializer,
            bias_initializer=bias_initializer,
            dtype=dtype,
            rng=generator,
        )
        for n_inputs, n_outputs, activation in zip(sizes, sizes[1:], activations, strict=False)
    ]
    return Network(layers, loss)


def _checked_layers(layers: Any) -> tuple[Dense, ...]:
    """Return the layers as a tuple that can become a network."""
    if isinstance(layers, Dense):
        raise TypeError("layers is a Dense, wanted a sequence of them: [layer]")
    try:
        layers = tuple(layers)
    except TypeError:
        raise TypeError(f"layers is {layers!r}, wanted a sequence of bpcore.Dense") from None
    if not layers:
        raise ValueError("layers is empty, wanted at least one Dense")
    for k, layer in enumerate(layers):
        if not isinstance(layer, Dense):
            raise TypeError(f"layers[{k}] is a {type(layer).__name__}, wanted a bpcore.Dense")
        if layer.in_network or layer in layers[:k]:
            raise ValueError(
                f"layers[{k}] belongs to a network already, whose vector holds its weights: "
                "use copy.deepcopy(layer)"
            )
        if k and layer.n_inputs != layers[k - 1].n_outputs:
            raise ValueError(
                f"layers[{k}] takes {layer.n_inputs} inputs, layers[{k - 1}] gives "
                f"{layers[k - 1].n_outputs} outputs: make them equal"
            )
    return layers


def _common_dtype(layers: tuple[Dense, ...]) -> np.dtype:
    """Return the dtype of all layers."""
    dtypes = {layer.dtype for layer in layers}
    if len(dtypes) > 1:
        raise ValueError("the layers are of float32 and of float64: give the network's dtype")
    return dtypes.pop()


def _check_range(values: list[tuple[_Array, _Array]], dtype: np.dtype) -> None:
    """Raise if a finite weight becomes infinite in the network's dtype."""
    largest = np.finfo(dtype).max
    for k, (W, b) in enumerate(values):
        for values_of in (W, b):
            size = np.abs(values_of)
            if (np.isfinite(size) & (size > largest)).any():
                raise ValueError(
                    f"layers[{k}] has weights up to {size.max():g}, wanted at most {largest:g}, "
                    f"the largest number of {dtype}"
                )


def _outputs(layers: tuple[Dense, ...]) -> list[int]:
    return [layer.n_outputs for layer in layers]
