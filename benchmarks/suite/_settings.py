"""How asv takes its samples here, in one place; benchmark classes inherit it."""


class Timed:
    """Settings of `time_` benchmarks."""

    # One timed call a sample. A benchmark of something quick loops inside its own body instead:
    # since asv-runner 0.3 asv runs setup before every timed call, whatever `number` is, and so
    # never times two calls in a row.
    number = 1
    # 10 samples a process, fewer of what is slow, but never below 5: with two processes that
    # makes 10 to 20 a commit, and asv's test of significance wants at least 6 beside 6.
    repeat = (5, 10, 0.5)
    # Two processes a commit: the layout of memory differs from one process to the next, and moves
    # a small kernel by several per cent. `asv continuous` alternates the commits between rounds.
    rounds = 2
    # Nothing is compiled at run time: the first calls only fill caches and wake the clock.
    warmup_time = 0.05
    # Raised by hand when a benchmark means something else; without it asv drops the history of a
    # benchmark whenever its text is edited, and not when a case it uses changes.
    version = "1"


class Ratio:
    """Settings of `track_` benchmarks of bpcore's time divided by the reference's."""

    unit = "ratio"
    version = "1"
