"""Layers in turn: forward, backward with the cached ∂C/∂a looked up, training."""

import math
import warnings
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from bpcore.reference import checks
from bpcore.reference.activations import delta_from
from bpcore.reference.layers import Dense, rows
from bpcore.reference.losses import FUSED, LOSSES, sample_shares
from bpcore.reference.optimizers import Rprop, from_configuration


@dataclass
class History:
    """A value an epoch: the training loss with its penalties, and the loss on validation data."""

    loss: list = field(default_factory=list)
    validation_loss: list = field(default_factory=list)


class Network:
    """Layers one after the other, and a loss; as `bpcore.Network`.

    Parameters
    ----------
    layers : sequence of Dense or bpcore.Dense
        A `Dense` of this package becomes the network's own; another's values are copied.
    loss : str or callable
        A name in `bpcore.reference.losses.LOSSES`, or f(a, y) -> (C, ∂C/∂a), which gets a as
        forward returns it, and y as it is given.
    dtype : data-type, optional
        float32 or float64; by default the layers'.
    rng : int or numpy.random.Generator, optional
        Draw every layer anew from it.

    Attributes
    ----------
    parameters, gradient : numpy.ndarray, 1-D
        The memory of every layer's W, b and dW, db: W before b, the first layer first.
    """

    def __init__(self, layers, loss="squared_error", *, dtype=None, rng=None):
        layers = [_own(layer) for layer in layers]
        checks.checked_layers(layers, loss, dtype)
        if message := checks.domain_warning(layers[-1].activation, loss):
            warnings.warn(message, UserWarning, stacklevel=2)
        self.layers, self.loss = layers, loss
        self.dtype = layers[0].dtype if dtype is None else np.dtype(dtype)
        self.n_inputs, self.n_outputs = layers[0].n_inputs, layers[-1].n_outputs
        self._fused = None if callable(loss) else FUSED.get((layers[-1].activation, loss))
        self._gather(None if rng is None else np.random.default_rng(rng))

    def _gather(self, rng):
        """Move every W, b, dW, db into the two flat vectors."""
        size = sum(layer.W.size + layer.b.size for layer in self.layers)
        self.parameters, self.gradient = np.zeros(size, self.dtype), np.zeros(size, self.dtype)
        start = 0
        for layer in self.layers:
            W, b = (layer.W, layer.b) if rng is None else layer.draw(rng, self.dtype)
            middle, end = start + W.size, start + W.size + b.size
            layer.place(
                self.parameters[start:middle].reshape(W.shape),
                self.parameters[middle:end],
                self.gradient[start:middle].reshape(W.shape),
                self.gradient[middle:end],
            )
            layer.W[...], layer.b[...] = W, b
            start = end

    def forward(self, X):
        """Return a of the last layer; every layer keeps its a_in, z, a."""
        a = X
        for layer in self.layers:
            a = layer.forward(a)
        return a

    def backward(self, Y, sample_weight=None):
        """Return C of the last forward; fill every layer's da, delta, dW, db."""
        last = self.layers[-1]
        if last.a is None:
            raise RuntimeError("backward needs what a forward keeps; call forward(X) first")
        n = len(rows(last.a))
        y = self._targets(Y, n, last.a.ndim == 1)
        share = sample_shares(n, self._weight(sample_weight, n))
        C = self._backward(y, share)
        if self._fused:  # which went by ∂C/∂a, and straight to ∂C/∂z
            last.da = (LOSSES[self.loss](rows(last.a), y)[1] * share).reshape(last.a.shape)
        return C

    def backpropagate(self, da):
        """Return ∂C/∂X, given ∂C/∂a of the last layer; fill every layer's da, delta, dW, db."""
        for layer in reversed(self.layers):
            da = layer.backward(da)
        return da

    def _backward(self, y, share):
        """Return C. The last layer's ∂C/∂a is the loss's, the others look theirs up."""
        last = self.layers[-1]
        C, d = self._cost(last.z, last.a, y, share)
        if self._fused:
            last.accumulate(None, d)
        else:
            last.accumulate(d, delta_from(last.activation, d, last.z, last.a))
        above = last
        for layer in self.layers[-2::-1]:
            da = above.look_up()
            layer.accumulate(da, delta_from(layer.activation, da, layer.z, layer.a))
            above = layer
        return C

    def _cost(self, z, a, y, share):
        """C = Σ_i s_i C_i;  with it ∂C/∂z if loss and last activation are fused, else ∂C/∂a."""
        if callable(self.loss):
            C, da = self.loss(a, y)
            return float(C), checks.checked_da(da, a)
        loss = LOSSES[self.loss]
        C_i, d = self._fused(rows(z), rows(a), y) if self._fused else loss(rows(a), y)
        d *= share
        return float((share * C_i).sum()), d.reshape(a.shape)

    def predict(self, X, out=None):
        """Return a of the last layer, in `out` if that is given; keep nothing."""
        a = checks.checked_X(X, self.n_inputs, self.dtype)
        for layer in self.layers:
            a = layer.activate(layer.affine(a))
        if out is None:
            return a
        if out.shape != a.shape or out.dtype != a.dtype:
            raise ValueError(f"out is {out.dtype} {out.shape}, wanted {a.dtype} {a.shape}")
        out[...] = a
        return out

    def evaluate(self, X, Y, sample_weight=None):
        """Return C; keep nothing."""
        return self._evaluate(*self._data(X, Y, sample_weight))

    def _evaluate(self, X, y, weight):
        z = a = X
        for layer in self.layers:
            z = layer.affine(a)
            a = layer.activate(z)
        return self._cost(z, a, y, sample_shares(len(rows(X)), weight))[0]

    def loss_and_gradient(self, theta, X, Y, sample_weight=None):
        """Set the parameters to `theta`; return C and a copy of the gradient in theta's dtype."""
        theta = np.asarray(theta)
        if theta.shape != self.parameters.shape:
            raise ValueError(f"theta has shape {theta.shape}, wanted {self.parameters.shape}")
        X, y, weight = self._data(X, Y, sample_weight)
        self.parameters[...] = theta
        self.forward(X)
        C = self._backward(y, sample_shares(len(rows(X)), weight))
        return C, self.gradient.astype(theta.dtype)

    def fit(
        self,
        X,
        Y,
        epochs=10,
        batch_size=32,
        optimizer=None,
        *,
        shuffle=True,
        sample_weight=None,
        validation_data=None,
        rng=None,
        l1=0.0,
        l2=0.0,
        clip_norm=None,
    ):
        """Train, and return the `History`.

        The parameters are those of `bpcore.Network.fit`, but for callbacks, progress and threads.
        An optimiser of `bpcore` is read for its parameters and starts afresh; one of
        `bpcore.reference.optimizers` goes on from its state.

        Raises
        ------
        ValueError, TypeError
            If data or parameters do not fit; nothing is changed then.
        ArithmeticError
            If training diverges; the weights are then those before that epoch.
        """
        X, y, weight = self._rows_of_data(X, Y, sample_weight)
        validation = None if validation_data is None else self._rows_of_data(*validation_data)
        optimizer = from_configuration(optimizer)
        epochs, n = checks.checked_count("epochs", epochs), len(X)
        batch_size = n if batch_size is None else checks.checked_count("batch_size", batch_size)
        if isinstance(optimizer, Rprop) and batch_size < n:
            raise ValueError(f"Rprop wants the full batch of {n}, batch_size is {batch_size}")
        checks.check_penalties(l1, l2, clip_norm)
        rng, history = np.random.default_rng(rng), History()
        for epoch in range(epochs):
            before = self.parameters.copy()
            order = rng.permutation(n) if shuffle else None
            with np.errstate(over="ignore", invalid="ignore"):  # told below, once
                loss = self._epoch(X, y, weight, order, batch_size, optimizer, l1, l2, clip_norm)
            if not (math.isfinite(loss) and np.isfinite(self.parameters).all()):
                self.parameters[...] = before
                raise ArithmeticError(
                    f"training diverged in epoch {epoch} with loss {loss}; the weights are those "
                    "before it. Take a smaller learning rate, or clip_norm"
                )
            history.loss.append(loss)
            if validation is not None:
                history.validation_loss.append(self._evaluate(*validation))
        return history

    def _epoch(self, X, y, weight, order, batch_size, optimizer, l1, l2, clip_norm):
        """Return the mean of the batches' C, each before its update, weighted by their Σ w."""
        total, total_weight = 0.0, 0.0
        for start in range(0, len(X), batch_size):
            batch = slice(start, start + batch_size)
            batch = batch if order is None else order[batch]
            w = None if weight is None else weight[batch]
            self.forward(X[batch])
            C = self._backward(y[batch], sample_shares(len(self.layers[0].a_in), w))
            C += self._penalise(l1, l2)
            self._clip(clip_norm)
            optimizer.update(self)
            w = len(self.layers[0].a_in) if w is None else float(w.sum())
            total, total_weight = total + w * C, total_weight + w
        return total / total_weight

    def _penalise(self, l1, l2):
        """C ← C + l1 Σ |W| + l2/2 Σ W²;  ∂C/∂W ← ∂C/∂W + l1 sign W + l2 W;  not of b."""
        penalty = 0.0
        for layer in self.layers:
            if l1:
                penalty += l1 * float(np.abs(layer.W).sum())
                layer.dW += l1 * np.sign(layer.W)
            if l2:
                penalty += l2 / 2 * float((layer.W * layer.W).sum())
                layer.dW += l2 * layer.W
        return penalty

    def _clip(self, clip_norm):
        """g ← g min(1, clip_norm / ‖g‖), over all parameters; the norm in float64."""
        if clip_norm is not None:
            norm = float(np.linalg.norm(self.gradient.astype(np.float64)))
            if norm > clip_norm:
                self.gradient *= clip_norm / norm

    def _rows_of_data(self, X, Y, sample_weight=None):
        """Return `_data`, with one sample as a row."""
        if np.ndim(X) == 1:
            X, Y = np.asarray(X)[np.newaxis], np.asarray(Y)[np.newaxis]
        return self._data(X, Y, sample_weight)

    def _data(self, X, Y, sample_weight=None):
        """Return X, Y and the weights checked and in the network's dtype."""
        X = checks.checked_X(X, self.n_inputs, self.dtype)
        n = len(rows(X))
        if n == 0:
            raise ValueError("X has 0 rows, wanted at least 1")
        y, weight = self._targets(Y, n, X.ndim == 1), self._weight(sample_weight, n)
        checks.check_values(X, y, self.loss)
        if weight is not None and not weight.sum() > 0:
            raise ValueError("sample_weight sums to 0, wanted a sample that counts")
        return X, y, weight

    def _targets(self, Y, n, one_sample):
        """Return Y as rows for a loss with a name, as it is for a callable."""
        Y = np.asarray(Y)
        if callable(self.loss):
            if not one_sample and Y.shape[:1] != (n,):
                raise ValueError(f"Y has shape {Y.shape}, wanted {n} rows: one a sample")
            return Y
        Y = Y[np.newaxis] if one_sample else Y
        return checks.checked_Y(Y, n, self.n_outputs, self.loss, self.dtype)

    def _weight(self, sample_weight, n):
        return checks.checked_weight(sample_weight, n, self.loss, self.dtype)


def _own(layer):
    """Return a layer of this package: `layer` itself, or a copy of a compiled one."""
    if isinstance(layer, Dense):
        return layer
    own = Dense(
        layer.n_inputs,
        layer.n_outputs,
        layer.activation,
        weight_initializer=getattr(layer, "weight_initializer", None),
        bias_initializer=getattr(layer, "bias_initializer", "zeros"),
        dtype=layer.W.dtype,
    )
    own.W[...], own.b[...] = layer.W, layer.b
    return own


def mlp(
    sizes,
    hidden="relu",
    output="identity",
    loss="squared_error",
    *,
    weight_initializer=None,
    bias_initializer="zeros",
    dtype="float32",
    rng=None,
):
    """Return the `Network` of these sizes: the inputs, every layer's outputs in turn."""
    if len(sizes) < 2:
        raise ValueError(f"sizes has {len(sizes)} entries, wanted at least 2: inputs and outputs")
    rng = np.random.default_rng(rng)
    layers = [
        Dense(
            n_inputs,
            n_outputs,
            hidden if number < len(sizes) - 1 else output,
            weight_initializer=weight_initializer,
            bias_initializer=bias_initializer,
            dtype=dtype,
            rng=rng,
        )
        for number, (n_inputs, n_outputs) in enumerate(pairwise(sizes), start=1)
    ]
    return Network(layers, loss)
