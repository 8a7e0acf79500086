"""The steps of the solvers, on the kernels' optimisers; state in the network's flat order."""

from __future__ import annotations

from typing import Any

import numpy as np

# Adam's steps are counted from here, where β^t is 0 for every β below 1: the kernel's bias
# corrections are then 1, and ours stand in the learning rate of each step. ε is so added to
# √v rather than to √v̂, which is scikit-learn's form.
_FAR = 2**62
# Adam's rates are computed for at least this many steps at a time.
_STEPS_AHEAD = 512


class Rule:
    """What both solvers share.

    Attributes
    ----------
    gradient_scale : float
        The gradients that the kernels hand over are so many times the loss's. The steps are those
        of the loss's own; the state holds what the kernels make of theirs.
    """

    gradient_scale: float

    def __setstate__(self, state: dict[str, Any]) -> None:
        # The kernels write into the arrays; a file may have been mapped into memory, read-only.
        for name, value in state.items():
            setattr(self, name, np.array(value) if isinstance(value, np.ndarray) else value)


class SGD(Rule):
    """v ← μ v − η g, θ ← θ + v, or Nesterov's θ + μ v − η g.

    Attributes
    ----------
    learning_rate : float
        η of the next step.
    velocity : ndarray of shape (n_parameters,) or None
        v; None without momentum.
    """

    def __init__(
        self,
        like: np.ndarray,
        gradient_scale: float,
        learning_rate_init: float,
        schedule: str,
        momentum: float,
        nesterov: bool,
        power_t: float,
    ) -> None:
        self.gradient_scale = gradient_scale
        self.learning_rate_init = learning_rate_init
        self.learning_rate = float(learning_rate_init)
        self.schedule, self.power_t = schedule, power_t
        self.momentum, self.nesterov = momentum, nesterov
        self.velocity = np.zeros_like(like) if momentum > 0 else None
        self.counter = np.zeros(1, np.int64)

    def vectors(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Return the state, as the kernels take it."""
        return self.velocity, None

    def kernel_rule(self) -> dict[str, Any]:
        """Return the settings as the kernels take them."""
        return {"kind": "SGD", "momentum": float(self.momentum), "nesterov": self.nesterov}

    def rates(self, count: int) -> np.ndarray:
        """Return η of the next `count` steps."""
        return np.full(count, self.learning_rate / self.gradient_scale)

    def epoch_ends(self, samples_seen: int) -> None:
        """Change the learning rate as the schedule wants it."""
        if self.schedule == "invscaling":
            self.learning_rate = float(self.learning_rate_init) / (samples_seen + 1) ** self.power_t

    def slow_down(self) -> bool:
        """Divide an adaptive learning rate by 5; return False where that is no help any more."""
        if self.schedule != "adaptive" or self.learning_rate <= 1e-6:
            return False
        self.learning_rate /= 5.0
        return True


class Adam(Rule):
    """m ← β1 m + (1−β1) g, v ← β2 v + (1−β2) g², θ ← θ − η_t m / (√v + ε).

    η_t = η √(1 − β2^t) / (1 − β1^t), the form at the end of section 2 of Kingma & Ba (2015).

    Attributes
    ----------
    learning_rate : float
        η_t of the last step.
    t : int
        Steps done.
    m, v : ndarray of shape (n_parameters,)
    """

    def __init__(
        self,
        like: np.ndarray,
        gradient_scale: float,
        learning_rate_init: float,
        beta_1: float,
        beta_2: float,
        epsilon: float,
    ) -> None:
        self.gradient_scale = gradient_scale
        self.learning_rate_init = learning_rate_init
        self.learning_rate = float(learning_rate_init)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self.t = 0
        self.m, self.v = np.zeros_like(like), np.zeros_like(like)
        self._rates, self._first = np.empty(0), 0  # η_t from step `_first` on
        self.counter = np.full(1, _FAR, np.int64)

    def vectors(self) -> tuple[np.ndarray, np.ndarray]:
        return self.m, self.v

    def kernel_rule(self) -> dict[str, Any]:
        # A gradient c times ours makes m and √v c times ours, so ε has to be too.
        return {
            "kind": "Adam",
            "beta_1": float(self.beta_1),
            "beta_2": float(self.beta_2),
            "epsilon": float(self.epsilon) * self.gradient_scale,
        }

    def rates(self, count: int) -> np.ndarray:
        start = self.t - self._first
        if not 0 <= start <= self._rates.size - count:
            t = np.arange(self.t + 1, self.t + 1 + max(count, _STEPS_AHEAD), dtype=np.float64)
            self._rates = self.learning_rate_init * np.sqrt(1 - self.beta_2**t)
            self._rates /= 1 - self.beta_1**t
            start, self._first = 0, self.t
        self.t += count
        rates = self._rates[start : start + count]
        self.learning_rate = float(rates[-1])
        return rates

    def epoch_ends(self, samples_seen: int) -> None:
        """Leave everything as it is: η_t depends on the steps alone."""

    def slow_down(self) -> bool:
        return False


def rule_of(estimator: Any, like: np.ndarray) -> SGD | Adam:
    """Return the estimator's solver with a fresh state for parameters `like` these."""
    scale = estimator._loss.gradient_scale
    if estimator.solver == "sgd":
        return SGD(
            like,
            scale,
            estimator.learning_rate_init,
            estimator.learning_rate,
            estimator.momentum,
            estimator.nesterovs_momentum,
            estimator.power_t,
        )
    return Adam(
        like,
        scale,
        estimator.learning_rate_init,
        estimator.beta_1,
        estimator.beta_2,
        estimator.epsilon,
    )
