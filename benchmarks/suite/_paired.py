"""Paired timing: two calls measured in turn inside one process, and the median of their ratios.

The clock, the temperature and the neighbours of a machine drift by tens of per cent within
seconds. Two samples taken one after the other share almost all of that, so the ratio of a pair is
far steadier than either time, and the median over the pairs drops those a neighbour fell into.

The clock is the processor's time of this process, which stands still while a neighbour has the
core; it is right where one thread does all the work, as asv.conf.json has it. With more threads it
is the wall's. There a neighbour does not fall in at random: the scheduler hands the core over every
few milliseconds, and when that keeps step with the samples it lands on the same side of every
pair. A sample is therefore the fastest of several bursts, each shorter than such a turn.
"""

import gc
import os
import time
from itertools import repeat
from math import inf
from statistics import median

# As asv.conf.json sets them. Not set here: asv has imported NumPy by now, and with it BLAS, which
# reads its variables once.
ONE_THREAD = all(
    os.environ.get(variable) == "1"
    for variable in ("OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "BPCORE_NUM_THREADS")
)

# On Windows the processor's time ticks 64 times a second, too coarse for a burst.
if ONE_THREAD and time.get_clock_info("process_time").resolution <= 1e-6:
    clock = time.process_time
else:
    clock = time.perf_counter

BURST_SECONDS = 0.001
"""Least length of a burst of calls: a thousand times what the clock resolves, and a fraction of the
turn for which the scheduler gives a core to somebody else."""

BURSTS = 5
"""Bursts of a sample."""

SAMPLE_SECONDS = 0.02
"""A sample of slow calls begins no further burst after this time. Calls so long outlast the
scheduler's turns: each side gets its fair share of the core."""

PAIRS = 41
"""Pairs taken when the calls are quick; an odd number, so that the median is one of them."""

MINIMUM_PAIRS = 7
"""Pairs taken however slow the calls are: three may be disturbed, and the median still lies among
the others."""

BUDGET_SECONDS = 1.0
"""No further pair is begun after this time, once there are `MINIMUM_PAIRS`."""


def burst(call, loops):
    """Return the seconds that `loops` calls in a row take, at least 1."""
    start = clock()
    for _ in repeat(None, loops):
        call()
    return clock() - start


def loops_for(call):
    """Return how many calls a burst needs to be long enough; finding it warms the call up."""
    loops = 1
    while True:
        seconds = burst(call, loops)
        if seconds >= BURST_SECONDS:
            return loops
        # The first calls are cold, so a guess from them is too low: it grows at least twofold,
        # and at most tenfold, because a clock that saw nothing says nothing.
        wanted = 1.2 * loops * BURST_SECONDS / max(seconds, 1e-9)
        loops = int(min(max(wanted, 2 * loops), 10 * loops))


def sample(call, loops):
    """Return the seconds one call takes, in the fastest of some bursts of `loops` calls."""
    start, fastest = clock(), inf
    for _ in range(BURSTS):
        fastest = min(fastest, burst(call, loops))
        if clock() - start >= SAMPLE_SECONDS:
            break
    return fastest / loops


def paired_ratio(call, baseline):
    """Time of `call` divided by the time of `baseline`, the median over alternating pairs.

    Each side first finds its own number of calls a burst, so that both samples of a pair are long
    enough to time however different the two are. Then the two alternate, call, baseline, call,
    baseline, with the garbage collector held.

    Parameters
    ----------
    call, baseline : callable
        Called without arguments; each call is to do the same work as the one before.

    Returns
    -------
    float
        Ratio of the times, to four digits; below 1 when `call` is the faster one.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        call_loops, baseline_loops = loops_for(call), loops_for(baseline)
        end = clock() + BUDGET_SECONDS
        ratios = []
        while len(ratios) < PAIRS and (len(ratios) < MINIMUM_PAIRS or clock() < end):
            ratios.append(sample(call, call_loops) / sample(baseline, baseline_loops))
    finally:
        if collecting:
            gc.enable()
    return float(f"{median(ratios):.4g}")  # what is beyond is noise, and fills asv's tables
