"""JAX: an epoch is one jitted `lax.scan` over its batches, with the parameters' buffers donated."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

ACTIVATIONS = {
    "identity": lambda z: z,
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "gelu": partial(jax.nn.gelu, approximate=False),
    "silu": jax.nn.silu,
    "softmax": jax.nn.softmax,
}


def version():
    return jax.__version__


def initial(case):
    """Return the initial parameters as JAX's arrays."""
    jax.config.update("jax_enable_x64", case.dtype == "float64")
    return [(jnp.array(W), jnp.array(b)) for W, b in case.initial_parameters()]


def last_z(case, parameters, a):
    """Return z of the last layer."""
    *hidden, (W_last, b_last) = parameters
    for W, b in hidden:
        a = ACTIVATIONS[case.hidden](a @ W.T + b)
    return a @ W_last.T + b_last


def loss(parameters, case, X, Y):
    """Return C, the mean over the samples."""
    z = last_z(case, parameters, X)
    if case.loss == "cross_entropy":
        log_a = jax.nn.log_softmax(z)
        return -jnp.take_along_axis(log_a, Y[:, None], axis=1).mean()
    if case.loss == "binary_cross_entropy":
        return (jax.nn.softplus(z) - Y * z).sum() / len(X)
    return ((ACTIVATIONS[case.output](z) - Y) ** 2).sum() / len(X)


def update(case, state, gradient):
    """Return the state after a step."""
    parameters, m, v, t = state
    rate = case.learning_rate
    if case.optimizer == "SGD":
        return jax.tree.map(lambda theta, g: theta - rate * g, parameters, gradient), m, v, t
    t = t + 1
    rate, correction = rate / (1 - 0.9**t), lax.rsqrt(1 - 0.999**t)
    m = jax.tree.map(lambda m, g: 0.9 * m + (1 - 0.9) * g, m, gradient)
    v = jax.tree.map(lambda v, g: 0.999 * v + (1 - 0.999) * g * g, v, gradient)
    step = lambda theta, m, v: theta - rate * m / (jnp.sqrt(v) * correction + 1e-8)  # noqa: E731
    return jax.tree.map(step, parameters, m, v), m, v, t


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def epoch(case, state, X, Y):
    """Return the state after a step on each of the batches."""

    def step(state, batch):
        return update(case, state, jax.grad(loss)(state[0], case, *batch)), None

    return lax.scan(step, state, (X, Y))[0]


class Training:
    def __init__(self, case, threads):
        self.case = case
        initial(case)

    def load(self, X, Y):
        batches = (-1, self.case.batch_size)
        return tuple(jnp.array(rows.reshape(*batches, *rows.shape[1:])) for rows in (X, Y))

    def reset(self):
        parameters = initial(self.case)
        m, v = ([(0 * W, 0 * b) for W, b in parameters] for _ in range(2))
        if self.case.optimizer == "SGD":
            m = v = ()
        self.state = parameters, m, v, jnp.zeros((), self.case.dtype)

    def train(self, data):
        self.state = jax.block_until_ready(epoch(self.case, self.state, *data))

    def parameters(self):
        return [(np.asarray(W), np.asarray(b)) for W, b in self.state[0]]


class Prediction:
    def __init__(self, case, threads):
        parameters = initial(case)

        @jax.jit
        def forward(X):
            return ACTIVATIONS[case.output](last_z(case, parameters, X))

        self.call = lambda X: np.asarray(forward(X))
