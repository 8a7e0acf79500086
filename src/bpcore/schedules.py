"""Learning rates that change with the step.

A schedule is a function of the number of updates already done, t = 0, 1, 2, ...: called with an
int it gives a float, called with an array of ints a float64 array of the same shape. Schedules
are immutable, compare by value, and turn into plain dicts for checkpoints.
"""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any, ClassVar, overload

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Constant",
    "CosineDecay",
    "ExponentialDecay",
    "InverseScaling",
    "Schedule",
    "StepDecay",
    "from_dict",
]


class Schedule:
    """What every schedule shares: checked steps, comparison by value, conversion to a dict.

    A subclass names its parameters in `parameters`, hands their checked values to
    ``super().__init__`` and writes its formula as `rate`.
    """

    parameters: ClassVar[tuple[str, ...]] = ()

    def __init__(self, **values: float | int) -> None:
        self.__dict__.update(values)

    def rate(self, t: NDArray[np.float64]) -> NDArray[np.float64] | float:
        """Return η at the steps `t`, a float64 array of whole numbers of at least 0."""
        raise NotImplementedError(f"{type(self).__name__} has no formula; define rate(self, t)")

    @overload
    def __call__(self, step: int) -> float: ...
    @overload
    def __call__(self, step: ArrayLike) -> float | NDArray[np.float64]: ...
    def __call__(self, step: Any) -> Any:
        """Return the learning rate at `step`.

        Parameters
        ----------
        step : int or array_like of int
            Number of updates already done, at least 0.

        Returns
        -------
        float or numpy.ndarray of float64
            A float for an int, an array of the same shape for an array.

        Raises
        ------
        TypeError
            If `step` is not of integers.
        ValueError
            If a step is negative.
        """
        steps = np.asarray(step)
        if steps.dtype.kind not in "iu":
            raise TypeError(f"step is of dtype {steps.dtype}, wanted integers: updates done")
        if steps.size and steps.min() < 0:
            raise ValueError(f"step is {steps.min()}, wanted at least 0: updates done")
        rates = np.array(self.rate(steps.astype(np.float64)))
        if rates.shape != steps.shape:  # one for all
            rates = np.broadcast_to(rates, steps.shape).copy()
        return float(rates) if steps.ndim == 0 else rates

    def to_dict(self) -> dict[str, Any]:
        """Return the schedule as plain Python values: its class under "name", its parameters."""
        return {"name": type(self).__name__, **self._values()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Schedule:
        """Return the schedule that `to_dict` wrote.

        Parameters
        ----------
        values : dict
            "name", and the parameters of the class of that name.

        Returns
        -------
        Schedule
            Of the class named; called on a subclass, that class or an error.

        Raises
        ------
        TypeError
            If `values` is not a dict.
        ValueError
            If the name is unknown or another class's, a parameter is missing or unknown, or a
            value will not do.
        """
        if not isinstance(values, dict):
            raise TypeError(f"a schedule is read from a dict, given a {type(values).__name__}")
        classes = {kind.__name__: kind for kind in _SCHEDULES if issubclass(kind, cls)}
        name = values.get("name")
        if name not in classes:
            raise ValueError(f"schedule name is {name!r}, wanted one of {', '.join(classes)}")
        kind = classes[name]
        given = {key: value for key, value in values.items() if key != "name"}
        if set(given) != set(kind.parameters):
            raise ValueError(
                f"{name} has parameters {', '.join(map(str, given)) or 'none'}, "
                f"wanted {', '.join(kind.parameters)}"
            )
        return kind(**given)

    def _values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.parameters}

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), *self._values().values()))

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in self._values().items())
        return f"{type(self).__name__}({inside})"

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(
            f"{type(self).__name__} does not change, {name!r} cannot be set; make a new one"
        )

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} does not change, {name!r} cannot be deleted")


class Constant(Schedule):
    """η(t) = η.

    Parameters
    ----------
    learning_rate : float
        η, finite and above 0.
    """

    learning_rate: float
    parameters = ("learning_rate",)

    def __init__(self, learning_rate: float) -> None:
        super().__init__(learning_rate=_positive("learning_rate", learning_rate))

    def rate(self, t: NDArray[np.float64]) -> NDArray[np.float64] | float:
        return self.learning_rate


class StepDecay(Schedule):
    """η(t) = η factor^floor(t / step_size).

    Parameters
    ----------
    learning_rate : float
        η at the first step, finite and above 0.
    step_size : int
        Updates between one change and the next, at least 1.
    factor : float
        What each change multiplies η by, finite and above 0.
    """

    learning_rate: float
    step_size: int
    factor: float
    parameters = ("learning_rate", "step_size", "factor")

    def __init__(self, learning_rate: float, step_size: int, factor: float = 0.1) -> None:
        super().__init__(
            learning_rate=_positive("learning_rate", learning_rate),
            step_size=_count("step_size", step_size),
            factor=_positive("factor", factor),
        )

    def rate(self, t: NDArray[np.float64]) -> NDArray[np.float64] | float:
        return self.learning_rate * self.factor ** np.floor_divide(t, self.step_size)


class ExponentialDecay(Schedule):
    """η(t) = η factor^(t / decay_steps).

    Parameters
    ----------
    learning_rate : float
        η at the first step, finite and above 0.
    factor : float
        What `decay_steps` updates multiply η by, finite and above 0.
    decay_steps : int
        At least 1.
    """

    learning_rate: float
    factor: float
    decay_steps: int
    parameters = ("learning_rate", "factor", "decay_steps")

    def __init__(self, learning_rate: float, factor: float, decay_steps: int = 1) -> None:
        super().__init__(
            learning_rate=_positive("learning_rate", learning_rate),
            factor=_positive("factor", factor),
            decay_steps=_count("decay_steps", decay_steps),
        )

    def rate(self, t: NDArray[np.float64]) -> NDArray[np.float64] | float:
        return self.learning_rate * self.factor ** (t / self.decay_steps)


class CosineDecay(Schedule):
    """η(t) = final + (η - final) (1 + cos(π min(t, T) / T)) / 2, with T = decay_steps.

    Half a cosine from η at the first step down to `final` at step T, and `final` from there on
    (Loshchilov and Hutter 2017, without restarts).

    Parameters
    ----------
    learning_rate : float
        η at the first step, finite and above 0.
    decay_steps : int
        T, at least 1.
    final : float
        The learning rate, not a fraction of one, at step T and after; finite, at least 0.
    """

    learning_rate: float
    decay_steps: int
    final: float
    parameters = ("learning_rate", "decay_steps", "final")

    def __init__(self, learning_rate: float, decay_steps: int, final: float = 0.0) -> None:
        super().__init__(
            learning_rate=_positive("learning_rate", learning_rate),
            decay_steps=_count("decay_steps", decay_steps),
            final=_not_negative("final", final),
        )

    def rate(self, t: NDArray[np.float64]) -> NDArray[np.float64] | float:
        done = np.minimum(t, self.decay_steps) / self.decay_steps
        return self.final + (self.learning_rate - self.final) * (1 + np.cos(math.pi * done)) / 2


class InverseScaling(Schedule):
    """η(t) = η / (t + 1)^power.

    Parameters
    ----------
    learning_rate : float
        η at the first step, finite and above 0.
    power : float
        Finite, at least 0.
    """

    learning_rate: float
    power: float
    parameters = ("learning_rate", "power")

    def __init__(self, learning_rate: float, power: float = 0.5) -> None:
        super().__init__(
            learning_rate=_positive("learning_rate", learning_rate),
            power=_not_negative("power", power),
        )

    def rate(self, t: NDArray[np.float64]) -> NDArray[np.float64] | float:
        return self.learning_rate / (t + 1) ** self.power


_SCHEDULES = (Constant, StepDecay, ExponentialDecay, CosineDecay, InverseScaling)


def from_dict(values: dict[str, Any]) -> Schedule:
    """Return the schedule that `Schedule.to_dict` wrote; see `Schedule.from_dict`."""
    return Schedule.from_dict(values)


def _real(name: str, value: float, wanted: str) -> float:
    try:
        if isinstance(value, (bool, np.bool_, str, bytes)):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} is {value!r}, wanted {wanted}") from None
    except OverflowError:  # an int beyond the largest float64
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name} is {value!r}, wanted {wanted}")
    return number


def _positive(name: str, value: float) -> float:
    wanted = "a finite number above 0"
    number = _real(name, value, wanted)
    if not number > 0:
        raise ValueError(f"{name} is {value!r}, wanted {wanted}")
    return number


def _not_negative(name: str, value: float) -> float:
    wanted = "a finite number of at least 0"
    number = _real(name, value, wanted)
    if not number >= 0:
        raise ValueError(f"{name} is {value!r}, wanted {wanted}")
    return number


def _count(name: str, value: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} is {value!r}, wanted an integer of at least 1")
    if number < 1:
        raise ValueError(f"{name} is {number}, wanted at least 1")
    return number
