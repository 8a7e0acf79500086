"""The optimisers: their parameters and their state; one step is `_math/update.pxd`.

Every learning rate is a number, a schedule of `bpcore.schedules`, or any
callable f(step) -> float of the number of updates already done.
"""

from __future__ import annotations

import copy
import weakref
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bpcore import schedules, validation
from bpcore.cpu import kernels
from bpcore.memory import aligned_zeros

if TYPE_CHECKING:
    from collections.abc import Callable

    from bpcore.layers import _Array
    from bpcore.network import Network

    _LearningRate = float | schedules.Schedule | Callable[[int], float]


class Optimizer:
    """What every optimiser shares: the learning rate, the state, one step.

    The state belongs to the first network that the optimiser updates.

    Attributes
    ----------
    learning_rate : float, Schedule or callable
    steps : int
        Updates done.
    state : dict of str to ndarray of shape (n_parameters,)
        Empty before the first update.
    """

    settings: ClassVar[tuple[str, ...]] = ("learning_rate",)
    state_names: ClassVar[tuple[str, ...]] = ()
    full_batch_only: ClassVar[bool] = False
    number_only: ClassVar[bool] = False

    def __init__(self, learning_rate: _LearningRate) -> None:
        self.learning_rate = learning_rate
        self.state: dict[str, _Array] = {}
        self._counter = np.zeros(1, np.int64)  # the kernels count in it, in one go with the update
        self._careful = False
        self._network: weakref.ref[Network] | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        """Check a learning rate; refuse to change any other setting after the constructor."""
        if name == "learning_rate":
            if not callable(value):
                value = validation.real_number(value, name, low=0, open_low=True)
            elif self.number_only:
                raise TypeError(
                    f"learning_rate is {value!r}, {type(self).__name__} wants a number: the first "
                    "step of every parameter"
                )
        elif name in self.settings and name in self.__dict__:
            raise AttributeError(
                f"{name} of an optimizer is set once: make a new {type(self).__name__}({name}=...)"
            )
        super().__setattr__(name, value)

    @property
    def steps(self) -> int:
        """Updates done."""
        return int(self._counter[0])

    @steps.setter
    def steps(self, steps: int) -> None:
        self._counter[0] = validation.non_negative_integer(steps, "steps")

    def update(self, network: Network) -> None:
        """Change network.parameters by one step along network.gradient.

        Parameters
        ----------
        network : Network
            With the gradient that backward or backpropagate left.

        Raises
        ------
        FloatingPointError
            The gradient holds NaN or Inf; nothing is changed.
        ValueError
            The optimiser holds the state of another network, or its learning rate at this step
            is not a positive number.
        """
        from bpcore.network import Network

        if not isinstance(network, Network):
            raise TypeError(f"network is a {type(network).__name__}, wanted a bpcore.Network")
        if not kernels.fits(network.gradient, network.gradient):
            raise FloatingPointError(
                "the gradient holds NaN or Inf; the parameters are left as they were"
            )
        self.check_owner(network)
        rate = self.rate(self.steps)
        self.prepare(network)
        self.step(network, rate)

    def step(self, network: Network, rate: float, calm: bool | None = None) -> None:
        """Take a step along a finite gradient; one that overflows is taken back.

        Parameters
        ----------
        network : Network
            That prepare was called with.
        rate : float
        calm : bool, optional
            False: the kernels have found already that the step might overflow.

        Raises
        ------
        FloatingPointError
            The step makes a parameter or the state overflow; both are as before.
        """
        arguments = (
            self.rule(),
            network.parameters,
            network.gradient,
            *self.state_vectors(),
            rate,
            self._counter,
        )
        if calm is not False and not self._careful and kernels.update_parameters(*arguments, True):
            return
        self._careful = True  # a state that has grown large makes later calm steps overflow too
        snapshot = kernels.Snapshot([network.parameters, *self.state.values()], self._counter)
        snapshot.take()
        kernels.update_parameters(*arguments, False)
        if not snapshot.is_finite():
            snapshot.put_back()
            raise FloatingPointError(
                f"step {self.steps + 1} with the learning rate {rate:g} makes a parameter or the "
                "optimizer's state overflow; it was taken back"
            )

    def check_owner(self, network: Network) -> None:
        """Raise if the state or the count of steps is another network's."""
        theta = network.parameters
        for vector in self.state.values():
            if (vector.size, vector.dtype) != (theta.size, theta.dtype):
                raise ValueError(
                    f"the optimizer holds the state of a network of {vector.size} parameters in "
                    f"{vector.dtype}, this one has {theta.size} in {theta.dtype}: make a new "
                    "optimizer"
                )
        if (
            self._network is not None
            and self._network() is not network
            and (self.state or self.steps)
        ):
            raise ValueError(
                "the optimizer has trained another network: make a new one, or a copy by "
                "copy.deepcopy, whose next network takes its state over"
            )

    def prepare(self, network: Network) -> None:
        """Make the state for a network, or check that it is this one's."""
        self.check_owner(network)
        if len(self.state) < len(self.state_names):
            theta = network.parameters
            self.state = {name: aligned_zeros(theta.size, theta.dtype) for name in self.state_names}
            self.start()
        if self._network is None or self._network() is not network:
            self._network = weakref.ref(network)

    def start(self) -> None:
        """Set the state before the first step, where zeros will not do."""

    def state_vectors(self) -> tuple[_Array | None, _Array | None]:
        """Return the first and second state vector, None where the rule has none."""
        vectors = [self.state[name] for name in self.state_names]
        return (*vectors, None, None)[:2]  # type: ignore[return-value]

    def rule(self) -> dict[str, Any]:
        """Return the settings as the kernels take them."""
        values = {name: getattr(self, name) for name in self.settings if name != "learning_rate"}
        return {"kind": type(self).__name__, **values}

    def rate(self, step: int) -> float:
        """Return the learning rate after `step` updates."""
        if not callable(self.learning_rate):
            return self.learning_rate
        value = self.learning_rate(step)
        return validation.real_number(value, f"learning_rate({step})", low=0, open_low=step == 0)

    def rates(self, step: int, count: int) -> _Array:
        """Return the learning rates of `count` updates from `step` on, as float64: one for each,
        or, where they are a number, one for all."""
        if not callable(self.learning_rate):
            return np.array([self.learning_rate], np.float64)
        steps = range(step, step + count)
        if isinstance(self.learning_rate, schedules.Schedule):
            values = np.asarray(self.learning_rate(np.arange(step, step + count)), np.float64)
            wrong = ~(np.isfinite(values) & (values >= 0))
            if wrong.any():
                self.rate(steps[int(np.argmax(wrong))])
            return values
        return np.array([self.rate(k) for k in steps], np.float64)

    def get_config(self) -> dict[str, Any]:
        """Return the class's name and settings as plain values, for checkpoints.

        Raises
        ------
        ValueError
            The learning rate is a callable that is no Schedule.
        """
        rate = self.learning_rate
        if isinstance(rate, schedules.Schedule):
            rate = rate.to_dict()  # type: ignore[assignment]
        elif callable(rate):
            raise ValueError(
                "the learning rate is a callable, which a file cannot hold: use a schedule of "
                "bpcore.schedules"
            )
        config = {name: getattr(self, name) for name in self.settings}
        return {"name": type(self).__name__, **config, "learning_rate": rate}

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.settings)
        return f"{type(self).__name__}({values})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_network": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __copy__(self) -> Optimizer:
        return copy.deepcopy(self)


class SGD(Optimizer):
    """v ← μ v − η g, θ ← θ + v; Nesterov: θ ← θ + μ v − η g with the new v.

    Parameters
    ----------
    learning_rate : float, Schedule or callable, default 0.01
        η, above 0.
    momentum : float, default 0.0
        μ, 0 to below 1.
    nesterov : bool, default False
        Needs a momentum.

    References
    ----------
    Sutskever, Martens, Dahl & Hinton, On the importance of initialization and momentum in deep
    learning, ICML 2013.
    """

    settings = ("learning_rate", "momentum", "nesterov")

    def __init__(
        self, learning_rate: _LearningRate = 0.01, momentum: float = 0.0, nesterov: bool = False
    ) -> None:
        super().__init__(learning_rate)
        self.momentum = validation.real_number(momentum, "momentum", low=0, high=1, open_high=True)
        self.nesterov = validation.boolean(nesterov, "nesterov")
        if nesterov and self.momentum == 0:
            raise ValueError("nesterov is True and momentum is 0, wanted a momentum above 0")

    @property
    def state_names(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("velocity",) if self.momentum else ()


class Adam(Optimizer):
    """m ← β1 m + (1−β1) g, v ← β2 v + (1−β2) g², θ ← θ − η m̂ / (√v̂ + ε).

    m̂ = m / (1 − β1^t) and v̂ = v / (1 − β2^t) correct for the start from zero.

    Parameters
    ----------
    learning_rate : float, Schedule or callable, default 0.001
        η, above 0.
    beta_1, beta_2 : float
        0 to below 1.
    epsilon : float
        ε, above 0.

    References
    ----------
    Kingma & Ba, Adam: A method for stochastic optimization, ICLR 2015.
    """

    settings: ClassVar[tuple[str, ...]] = ("learning_rate", "beta_1", "beta_2", "epsilon")
    state_names = ("m", "v")

    def __init__(
        self,
        learning_rate: _LearningRate = 1e-3,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
    ) -> None:
        super().__init__(learning_rate)
        self.beta_1 = validation.real_number(beta_1, "beta_1", low=0, high=1, open_high=True)
        self.beta_2 = validation.real_number(beta_2, "beta_2", low=0, high=1, open_high=True)
        self.epsilon = validation.real_number(epsilon, "epsilon", low=0, open_low=True)


class AdamW(Adam):
    """θ ← θ − η λ θ for every parameter, then Adam's step: weight decay apart from the gradient.

    Parameters
    ----------
    learning_rate, beta_1, beta_2, epsilon
        As for Adam.
    weight_decay : float, default 0.01
        λ, at least 0.

    References
    ----------
    Loshchilov & Hutter, Decoupled weight decay regularization, ICLR 2019.
    """

    settings: ClassVar[tuple[str, ...]] = (*Adam.settings, "weight_decay")

    def __init__(
        self,
        learning_rate: _LearningRate = 1e-3,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon)
        self.weight_decay = validation.real_number(weight_decay, "weight_decay", low=0)

    def rule(self) -> dict[str, Any]:
        return {**super().rule(), "kind": "Adam"}


class RMSProp(Optimizer):
    """v ← ρ v + (1−ρ) g², θ ← θ − η g / (√v + ε).

    Parameters
    ----------
    learning_rate : float, Schedule or callable, default 0.001
        η, above 0.
    rho : float, default 0.9
        0 to below 1.
    epsilon : float
        ε, above 0.

    References
    ----------
    Tieleman & Hinton, Lecture 6.5 of Neural networks for machine learning, 2012.
    """

    settings = ("learning_rate", "rho", "epsilon")
    state_names = ("v",)

    def __init__(
        self, learning_rate: _LearningRate = 1e-3, rho: float = 0.9, epsilon: float = 1e-8
    ) -> None:
        super().__init__(learning_rate)
        self.rho = validation.real_number(rho, "rho", low=0, high=1, open_high=True)
        self.epsilon = validation.real_number(epsilon, "epsilon", low=0, open_low=True)


class Adagrad(Optimizer):
    """v ← v + g², θ ← θ − η g / (√v + ε).

    Parameters
    ----------
    learning_rate : float, Schedule or callable, default 0.01
        η, above 0.
    epsilon : float
        ε, above 0.

    References
    ----------
    Duchi, Hazan & Singer, Adaptive subgradient methods, JMLR 12, 2011.
    """

    settings = ("learning_rate", "epsilon")
    state_names = ("v",)

    def __init__(self, learning_rate: _LearningRate = 0.01, epsilon: float = 1e-10) -> None:
        super().__init__(learning_rate)
        self.epsilon = validation.real_number(epsilon, "epsilon", low=0, open_low=True)


class Rprop(Optimizer):
    """iRprop−: each parameter's own step, longer while its gradient keeps its sign.

    For full batches only, since it takes the sign of g at its word.

    Parameters
    ----------
    learning_rate : float, default 0.01
        The first step of every parameter.
    eta_minus, eta_plus : float
        Factors of a step when the sign of g turns, or stays.
    min_step, max_step : float
        Bounds of the steps.

    References
    ----------
    Igel & Hüsken, Empirical evaluation of the improved Rprop learning algorithms,
    Neurocomputing 50, 2003.
    """

    settings = ("learning_rate", "eta_minus", "eta_plus", "min_step", "max_step")
    state_names = ("last_gradient", "step_size")
    full_batch_only = True
    number_only = True

    def __init__(
        self,
        learning_rate: float = 0.01,
        eta_minus: float = 0.5,
        eta_plus: float = 1.2,
        min_step: float = 1e-6,
        max_step: float = 50.0,
    ) -> None:
        super().__init__(learning_rate)
        self.eta_minus = validation.real_number(
            eta_minus, "eta_minus", low=0, high=1, open_low=True, open_high=True
        )
        self.eta_plus = validation.real_number(eta_plus, "eta_plus", low=1, open_low=True)
        self.min_step = validation.real_number(min_step, "min_step", low=0, open_low=True)
        self.max_step = validation.real_number(max_step, "max_step", low=self.min_step)

    def start(self) -> None:
        self.state["step_size"][...] = self.learning_rate


OPTIMIZERS = {cls.__name__: cls for cls in (SGD, Adam, AdamW, RMSProp, Adagrad, Rprop)}


def from_config(config: dict[str, Any]) -> Optimizer:
    """Return the optimiser of a `get_config` dict, without its state."""
    values = dict(config)
    cls = OPTIMIZERS[validation.one_of(values.pop("name"), tuple(OPTIMIZERS), "optimizer")]
    if isinstance(values["learning_rate"], dict):
        values["learning_rate"] = schedules.from_dict(values["learning_rate"])
    return cls(**values)
