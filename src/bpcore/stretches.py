"""An epoch's steps in stretches, and the way back from one that diverged.

Between stretches signals and callbacks get their turn. Weights can overflow in an update; rather
than look at every weight after every step, parameters and state are copied now and then and looked
at before the next copy, and if need be it is run again from the last one. Where that would be every
few steps, a look at each gradient, which bounds the update, is cheaper than the copy
(docs/design.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bpcore.cpu import kernels

if TYPE_CHECKING:
    from bpcore.callbacks import Callback
    from bpcore.first_look import FirstLook
    from bpcore.layers import _Array
    from bpcore.trainer import Trainer

# A compiled stretch of steps lasts ten milliseconds or so: about this many operations. Updating a
# weight takes as long as so many, more where weights and state come from memory.
STRETCH_OPERATIONS = 2.4e9
UPDATE_OPERATIONS = 60
# Parameters and optimiser state are copied about once in this many samples, which costs less than
# 1 % of the steps in between and bounds how much is run again after a divergence.
SNAPSHOT_SAMPLES = 8000
# Steps from one copy to the next, up to which it costs more than a look at each gradient.
FEW_STEPS = 8


class DivergenceError(ArithmeticError):
    """The loss, the gradient or a weight stopped being finite; the last finite weights are kept."""


def stretch_length(batch_size: int, n_parameters: int) -> int:
    """Return how many steps make a stretch."""
    operations = (6 * batch_size + UPDATE_OPERATIONS) * n_parameters
    return max(1, int(STRETCH_OPERATIONS / operations))


class Stretches:
    """The steps of a run's epochs: what is the same in all of them is worked out once.

    Parameters
    ----------
    trainer : Trainer
        Laid out before `run`.
    data : tuple
        X, rows or None, labels or None, weights or None; clean.
    batch_size : int
        At most the samples of X.
    hooks : list of Callback

    Attributes
    ----------
    samples : int
    count : int
        Steps an epoch.
    look : FirstLook or None
        Of X that the next epoch looks through.
    """

    def __init__(
        self, trainer: Trainer, data: tuple[Any, ...], batch_size: int, hooks: list[Callback]
    ) -> None:
        self._trainer, self._optimizer = trainer, trainer.optimizer
        self._data, self._batch_size = data, batch_size
        self.samples = len(data[0])
        self.count = -(-self.samples // batch_size)
        self._by_steps = [(hook, hook.every) for hook in hooks if hook.every is not None]
        self._length = stretch_length(batch_size, trainer.network.parameters.size)
        self._apart = max(1, SNAPSHOT_SAMPLES // batch_size)
        # Gradient descent without a state adds each gradient to the weights as it is summed.
        self._calm = (
            min(self.count, self._apart) <= FEW_STEPS
            and bool(self._optimizer.state_names)
            and not self._by_steps
        )
        self._rate: Any = None
        self._rates: Any = None
        self._largest_rate = 0.0
        self.look: FirstLook | None = None

    def rates(self) -> _Array:
        """Return the learning rates of the next epoch's steps, or the one of all, made once."""
        rate = self._optimizer.learning_rate
        if rate is not self._rate or callable(rate):
            self._rate = rate
            self._rates = self._optimizer.rates(self._optimizer.steps, self.count)
            self._largest_rate = float(self._rates.max()) if callable(rate) else float(rate)
        return self._rates

    def run(self, order: _Array | None, rates: _Array) -> None:
        """Run an epoch's steps.

        Raises
        ------
        ValueError
            X is not finite, and it is the epoch that looks; all is as it was before the run.
        DivergenceError
            The loss or a weight stopped being finite; parameters, state and steps are those
            before that step.
        """
        try:
            self._run(order, rates)
        finally:
            if self.look is not None:
                self.look.end()
                self.look = None

    def _run(self, order: _Array | None, rates: _Array) -> None:
        """Run an epoch's steps, as `run` does."""
        trainer, optimizer, count = self._trainer, self._optimizer, self.count
        training, snapshot, team = trainer._training, trainer._snapshot, trainer._team
        batches = (*self._data, order, self._batch_size)
        before = int(optimizer.steps)
        step = self._run_calmly(batches, rates) if self._calm else 0
        if step == count:
            return
        snapshot.forget()
        take, diverged = True, False
        kept = step  # the step before which the last copy was taken
        try:
            while step < count and not diverged:
                kept = step if take else kept
                stop = min(count, kept + self._apart)
                for _, every in self._by_steps:
                    stop = min(stop, step + every - (before + step) % every)
                # What is not finite stays so: it is looked for before anyone sees or copies it.
                step, until = team.run(
                    training, batches, step, stop, rates, self._length, snapshot=snapshot, take=take
                )
                diverged = step < until or not training.finite
                take = step - kept >= self._apart
                for hook, every in self._by_steps:
                    if optimizer.steps % every == 0 and not diverged:
                        hook.on_steps(trainer)
                        take = True
        except BaseException:
            # An interrupt may come before the look at the weights: it must not leave NaN either.
            if snapshot.steps >= 0 and not snapshot.is_finite():
                self._recover(batches, rates, before)
            raise
        if diverged and self.look is not None:
            self.look.refuse()
        if diverged:
            step = self._recover(batches, rates, before)
            raise DivergenceError(
                f"training diverged in epoch {trainer.epoch + 1}, at step {step + 1} of "
                f"{count}: the loss, a weight or the optimizer's state is no longer finite. The "
                "network keeps the last finite weights, those before that step; lower the learning "
                f"rate ({rates[min(step, len(rates) - 1)]:g}), set clip_norm, or scale X and Y"
            )

    def _run_calmly(self, batches: tuple[Any, ...], rates: _Array) -> int:
        """Run steps that cannot make anything overflow; return the first that could, or the count.

        Their gradients are small, and what the optimizer remembers of others must be, whatever a
        callback has made of it. An epoch that has another step is the last that is tried this way.
        """
        training, team = self._trainer._training, self._trainer._team
        step = until = 0
        if not kernels.is_calm_state(training.rule, training.first, self._largest_rate):
            self._calm = False
            return 0
        while step == until and step < self.count:
            step, until = team.run(
                training, batches, step, self.count, rates, self._length, calm=True
            )
        self._calm = step == self.count
        return step

    def _recover(self, batches: tuple[Any, ...], rates: _Array, before: int) -> int:
        """Run again from the snapshot to the last step that leaves all finite; return that step.

        `before` is the number of updates when the epoch began. What is not finite stays so, so
        the step is found by halving.
        """
        training, snapshot = self._trainer._training, self._trainer._snapshot
        first = finite = snapshot.steps - before
        wrong = self._optimizer.steps - before + 1
        stop = wrong - 1
        while True:
            snapshot.put_back()
            training.run(*batches, first, stop, rates)
            if snapshot.is_finite():
                finite = stop
            else:
                wrong = stop
            if wrong - finite <= 1 and stop == finite:
                return finite
            stop = (finite + wrong) // 2
