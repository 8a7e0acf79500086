"""How many threads a training run may use, and the threads themselves.

A team of threads takes each training step together (docs/kernels.md); its numbers are the same
bits whatever its size, so the size is chosen anew for every stretch of steps: no more threads than
the trainer's `n_threads`, than the step has work for, and than there are processors that no other
training run of this process is using.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

from bpcore._version import __version__
from bpcore.cpu import default_threads, kernels

if TYPE_CHECKING:
    from concurrent.futures import Future

    _Start = Callable[[Callable[[int], None], int], Future[None]]

__all__ = ["Team", "get_limit", "set_limit"]

_lock = Lock()
_running = 0  # threads that take training steps just now
_limit: int | None = None
_registered = False


def set_limit(n_threads: int | None) -> None:
    """Let no training run of this process use more threads than this; None: no limit."""
    global _limit
    _limit = n_threads


def get_limit() -> int:
    """Return how many threads a training run may use at most, whatever its `n_threads`."""
    return _limited(default_threads())


def _limited(processors: int) -> int:
    return processors if _limit is None else min(_limit, processors)


class Team:
    """The threads of a trainer: none before they are wanted, gone with it, or after a `with`.

    Whether more threads are faster depends on who else uses the processors, and that changes:
    a team measures its steps with all threads and with one, up to three times each to begin with,
    goes on with what is faster, and now and then tries the other for a short stretch. All come
    first, and one that is much slower is not tried again: a run may have few steps, and long ones.
    Threads that have been idle are asleep, and to wake them takes as long as some steps: they are
    tried twice running, and the second time counts. Where they do not last until the next trial,
    it comes after twice as many stretches: beside a busy process each may cost a time slice.
    """

    TRIALS = 3
    MUCH = 1.25  # times slower
    TRY_FIRST = 12  # stretches: the trials to begin with are few and short, and may have erred;
    TRY_EVERY = 50  # from then on, and
    TRY_AT_LEAST_EVERY = 800
    TRY_LENGTH = 0.1  # of a stretch
    FORGET = 1 / 16  # a measurement moves the memory by so much,
    MOST = 8.0  # and counts as so many times slower at most: one hitch is not the rule
    COUNT_EVERY = 0.02  # seconds: to count the processors takes as long as a small step

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self._pool: Any = None
        self._counted = (-math.inf, 1)  # when the processors were, and how many there were
        self._process = 0  # that the threads of the pool belong to: a fork takes none along
        self._measure_anew(0)

    def __enter__(self) -> Team:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def _measure_anew(self, worth: int) -> None:
        """Forget what was measured of steps with work for another number of threads."""
        self._worth = worth
        self._stretches = 0
        self._apart = self.TRY_FIRST  # stretches between two trials
        self._due = self._apart  # stretch of the next one
        self._trying = self._waking = False  # what was chosen last is a trial, or to wake threads
        self._trials = {False: 0, True: 0}
        self._seconds: dict[bool, float] = {}  # of a step, with many threads (True) and with one

    def choose(self, worth: int) -> tuple[bool, float]:
        """Return whether to use more than one thread, and for which part of a stretch.

        `worth` is the number of threads that a step has work for.
        """
        if min(worth, self.wanted) == 1:
            return False, 1.0
        if worth != self._worth:
            self._measure_anew(worth)
        self._stretches += 1
        one, many = self._trials[False], self._trials[True]
        self._trying = True
        if many < self.TRIALS:
            self._hire()
            # Where others have the processors a trial of many gets one: ask on, in whole stretches
            return True, self.TRY_LENGTH if one <= self.TRIALS else 1.0
        if one == 0 or (one < self.TRIALS and not self._is_much_slower(False)):
            return False, self.TRY_LENGTH
        if self._waking:
            self._waking = False
            return True, self.TRY_LENGTH
        faster = self._seconds[True] < self._seconds[False]
        if self._stretches >= self._due:
            self._apart = (
                self.TRY_EVERY if faster else min(2 * self._apart, self.TRY_AT_LEAST_EVERY)
            )
            self._due = self._stretches + self._apart
            self._waking = not faster
            return not faster, self.TRY_LENGTH
        self._trying = False
        return faster, 1.0

    def run(
        self,
        training: Any,
        batches: tuple[Any, ...],
        step: int,
        stop: int,
        rates: Any,
        length: int = 1,
        calm: bool = False,
        snapshot: Any = None,
        take: bool = False,
    ) -> tuple[int, int]:
        """Run some of the steps from `step` on, with all threads where that is faster.

        Parameters
        ----------
        training : kernels.Training
        batches : tuple
            Data, order and batch size, as `training.run` takes them.
        step, stop : int
            The first of the steps, and the end of them.
        rates : ndarray
        length : int
            So many steps at most.
        calm : bool
            As `training.run` takes it.
        snapshot : kernels.Snapshot, optional
            What is looked at for NaN and Inf if it gets to `stop`, and
        take : bool, default False
            is taken before the first step.

        Returns
        -------
        tuple of int
            The step it got to, and the one it was to get to.
        """
        worth = training.team_size(batches[-1])
        # Of one thread there is nothing to choose and to time.
        many, part = (False, 1.0) if worth == 1 else self.choose(worth)
        until = step + max(1, int(part * min(length, stop - step)))
        threads = self.reserve(worth if many else 1)
        try:
            start_thread = self._starter() if threads > 1 else None
            began = time.perf_counter()
            done = training.run(
                *batches,
                step,
                until,
                rates,
                threads,
                start_thread,
                calm,
                snapshot if take else None,
                snapshot if until == stop else None,
            )
            seconds = time.perf_counter() - began
        finally:
            self.release(threads)
        if worth > 1:
            self.record(threads > 1, done - step, seconds)
        return done, until

    @contextmanager
    def stretch(self, size: int) -> Iterator[tuple[int, _Start | None]]:
        """Reserve threads for a stretch, up to `size`: their number, and what starts one."""
        size = self.reserve(size)
        try:
            yield size, self._starter() if size > 1 else None
        finally:
            self.release(size)

    def reserve(self, size: int) -> int:
        """Take threads for a stretch, up to `size` and at least one; return their number."""
        global _running
        if not _registered and "threadpoolctl" in sys.modules:
            _register_with_threadpoolctl()
        if size == 1:
            with _lock:
                _running += 1
            return 1
        limit = _limited(self._processors())
        with _lock:
            size = max(1, min(size, self.wanted, limit - _running))
            _running += size
        return size

    def _processors(self) -> int:
        """Return `default_threads()` as it was at most COUNT_EVERY seconds ago."""
        now = time.perf_counter()
        if now - self._counted[0] > self.COUNT_EVERY:
            self._counted = now, default_threads()
        return self._counted[1]

    def release(self, size: int) -> None:
        """Give them back."""
        global _running
        with _lock:
            _running -= size

    def record(self, many: bool, steps: int, seconds: float) -> None:
        """Remember how long steps took with many threads, or with one.

        What else runs on the processors only ever makes them slower: in a trial, which is short, a
        faster measurement counts at once. Else it is the mean of the last ones that counts.
        """
        if not steps or (many and self._waking):
            return
        self._trials[many] += 1
        took = seconds / steps
        known = self._seconds.get(many, took)
        if self._trying and took < known:
            self._seconds[many] = took
        else:
            self._seconds[many] = known + self.FORGET * (min(took, self.MOST * known) - known)

    def _is_much_slower(self, many: bool) -> bool:
        """Return whether steps of this kind took much longer than those of the other."""
        return self._seconds[many] > self.MUCH * self._seconds[not many]

    def _starter(self) -> _Start:
        """Return what starts one of the threads, which are there: before anything is timed."""
        self._hire()
        return self._start

    def _hire(self) -> None:
        if self._pool is not None and self._process == os.getpid():
            return
        from concurrent.futures import ThreadPoolExecutor

        self._process = os.getpid()
        self._pool = ThreadPoolExecutor(self.wanted - 1, thread_name_prefix="bpcore")
        self._pool.submit(int).result()

    def _start(self, call: Callable[[int], None], index: int) -> Future[None]:
        future: Future[None] = self._pool.submit(call, index)
        return future


def _register_with_threadpoolctl() -> None:
    """Make `threadpoolctl.threadpool_limits` hold for bpcore, where threadpoolctl is in use."""
    global _registered
    threadpoolctl: Any = sys.modules.get("threadpoolctl")
    if _registered or threadpoolctl is None or not hasattr(threadpoolctl, "register"):
        return
    _registered = True

    controller = type(
        "BpcoreController",
        (threadpoolctl.LibController,),
        {
            "user_api": "bpcore",
            "internal_api": "bpcore",
            "filename_prefixes": (kernels.__name__.rpartition(".")[2],),
            "get_num_threads": lambda _: get_limit(),
            # A limit of all processors is none: what threadpoolctl restores.
            "set_num_threads": lambda _, count: set_limit(
                None if count >= default_threads() else count
            ),
            "get_version": lambda _: __version__,
        },
    )
    threadpoolctl.register(controller)


_register_with_threadpoolctl()
