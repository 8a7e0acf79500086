"""The optimisers: one step of the parameters θ from their gradient g.

η is the learning rate of the step, t = 1, 2, ... its number. Every optimiser works in place on
the network's flat vectors and keeps its own state, made at its first update. The names and the
parameters are the ones of the compiled optimisers, which `from_configuration` reads.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np


class Optimizer:
    """What every optimiser shares: checked parameters, η of the step, the count of steps."""

    steps = 0

    def __post_init__(self):
        for field in fields(self):
            value, wanted = getattr(self, field.name), _RANGES.get(field.name)
            if wanted and not callable(value) and not wanted[0] < float(value) < wanted[1]:
                raise ValueError(
                    f"{field.name} is {value!r}, wanted above {wanted[0]:g} and below {wanted[1]:g}"
                )

    def update(self, network):
        """θ of `network` takes one step along its `gradient`."""
        theta, g = network.parameters, network.gradient
        eta = self.learning_rate
        if callable(eta):
            eta = float(eta(self.steps))
            if not (math.isfinite(eta) and eta >= 0):
                raise ValueError(
                    f"learning_rate({self.steps}) is {eta!r}, wanted a finite number of at least 0"
                )
        if self.steps == 0:
            self.start(theta, eta)
        self.steps += 1
        self.step(theta, g, eta, self.steps)


# Open intervals; "at least 0" is "above the largest number below 0".
_AT_LEAST_0 = math.nextafter(0, -1)
_RANGES = {
    "learning_rate": (0, math.inf),
    "momentum": (_AT_LEAST_0, 1),
    "beta_1": (_AT_LEAST_0, 1),
    "beta_2": (_AT_LEAST_0, 1),
    "rho": (_AT_LEAST_0, 1),
    "epsilon": (0, math.inf),
    "weight_decay": (_AT_LEAST_0, math.inf),
    "eta_minus": (0, 1),
    "eta_plus": (1, math.inf),
    "min_step": (0, math.inf),
    "max_step": (0, math.inf),
}


@dataclass
class SGD(Optimizer):
    """v ← μ v - η g;  θ ← θ + v, with Nesterov's look ahead θ ← θ + μ v - η g (Sutskever 2013)."""

    learning_rate: float | Callable = 0.01
    momentum: float = 0.0
    nesterov: bool = False

    def start(self, theta, eta):
        self.v = np.zeros_like(theta) if self.momentum else None

    def step(self, theta, g, eta, t):
        if not self.momentum:
            theta -= eta * g
            return
        self.v *= self.momentum
        self.v -= eta * g
        theta += self.momentum * self.v - eta * g if self.nesterov else self.v


def adam_step(theta, g, m, v, eta, t, beta_1, beta_2, epsilon):
    """m ← β1 m + (1 - β1) g;  v ← β2 v + (1 - β2) g²;  θ ← θ - η m̂ / (sqrt v̂ + ε).

    m̂ = m / (1 - β1^t), v̂ = v / (1 - β2^t): both averages start from 0, that makes up for it
    (Kingma and Ba 2015, algorithm 1).
    """
    m *= beta_1
    m += (1 - beta_1) * g
    v *= beta_2
    v += (1 - beta_2) * g * g
    size = np.sqrt(v / (1 - beta_2**t))
    size += epsilon
    np.divide(m, size, out=size)
    size *= eta / (1 - beta_1**t)
    theta -= size


@dataclass
class Adam(Optimizer):
    """`adam_step`."""

    learning_rate: float | Callable = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def start(self, theta, eta):
        self.m, self.v = np.zeros_like(theta), np.zeros_like(theta)

    def step(self, theta, g, eta, t):
        adam_step(theta, g, self.m, self.v, eta, t, self.beta_1, self.beta_2, self.epsilon)


@dataclass
class AdamW(Optimizer):
    """θ ← θ - η λ θ, then `adam_step` (Loshchilov and Hutter 2019)."""

    learning_rate: float | Callable = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.01

    def start(self, theta, eta):
        self.m, self.v = np.zeros_like(theta), np.zeros_like(theta)

    def step(self, theta, g, eta, t):
        theta -= eta * self.weight_decay * theta
        adam_step(theta, g, self.m, self.v, eta, t, self.beta_1, self.beta_2, self.epsilon)


@dataclass
class RMSProp(Optimizer):
    """v ← rho v + (1 - rho) g²;  θ ← θ - η g / (sqrt v + ε) (Tieleman and Hinton 2012)."""

    learning_rate: float | Callable = 1e-3
    rho: float = 0.9
    epsilon: float = 1e-8

    def start(self, theta, eta):
        self.v = np.zeros_like(theta)

    def step(self, theta, g, eta, t):
        self.v *= self.rho
        self.v += (1 - self.rho) * g * g
        theta -= eta * g / (np.sqrt(self.v) + self.epsilon)


@dataclass
class Adagrad(Optimizer):
    """v ← v + g²;  θ ← θ - η g / (sqrt v + ε) (Duchi et al. 2011)."""

    learning_rate: float | Callable = 0.01
    epsilon: float = 1e-10

    def start(self, theta, eta):
        self.v = np.zeros_like(theta)

    def step(self, theta, g, eta, t):
        self.v += g * g
        theta -= eta * g / (np.sqrt(self.v) + self.epsilon)


@dataclass
class Rprop(Optimizer):
    """θ ← θ - sign(g) Δ, each parameter with its own Δ; full batch only.

    Δ grows by eta_plus while the sign of g stays, shrinks by eta_minus when it turns; after a turn
    g counts as 0, so θ rests for a step: iRprop- (Igel and Hüsken 2003). The first Δ is η.
    """

    learning_rate: float | Callable = 0.01
    eta_minus: float = 0.5
    eta_plus: float = 1.2
    min_step: float = 1e-6
    max_step: float = 50.0

    def start(self, theta, eta):
        self.size, self.sign = np.full_like(theta, eta), np.zeros_like(theta)

    def step(self, theta, g, eta, t):
        sign = np.sign(g)
        stays, turns = sign * self.sign > 0, sign * self.sign < 0
        self.size[stays] = np.minimum(self.eta_plus * self.size[stays], self.max_step)
        self.size[turns] = np.maximum(self.eta_minus * self.size[turns], self.min_step)
        sign[turns] = 0
        theta -= sign * self.size
        self.sign = sign


OPTIMIZERS = {kind.__name__: kind for kind in (SGD, Adam, AdamW, RMSProp, Adagrad, Rprop)}


def from_configuration(optimizer):
    """Return the optimiser here that has the class name and the parameters of `optimizer`.

    One of this module is returned as it is and goes on with its state; None is Adam(1e-3).
    """
    if optimizer is None:
        return Adam()
    if isinstance(optimizer, Optimizer):
        return optimizer
    kind = OPTIMIZERS.get(type(optimizer).__name__)
    if kind is None:
        raise TypeError(
            f"optimizer is a {type(optimizer).__name__}, wanted one of {', '.join(OPTIMIZERS)}"
        )
    return kind(**{field.name: getattr(optimizer, field.name) for field in fields(kind)})
