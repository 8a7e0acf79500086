"""What a team of threads measures before it chooses, and how many threads it may have."""

import os
import subprocess
import sys

import pytest
from helpers import hired, optional

from bpcore import threads


def measured(many, one):
    """A team whose first trials, of ten steps each, took so many seconds."""
    team = threads.Team(2)
    team.choose(2)
    for _ in range(team.TRIALS):
        team.record(True, 10, many)
        team.record(False, 10, one)
    return team


def next_trial(team):
    """What `choose` says when it next wants a trial."""
    return next(choice for _ in range(5000) if (choice := team.choose(2))[1] < 1)


class TestReservations:
    def test_no_more_than_the_processors(self, monkeypatch):
        monkeypatch.setattr(threads, "default_threads", lambda: 3)
        with (
            threads.Team(2) as first,
            threads.Team(2) as second,
            first.stretch(2) as (one, _),
            second.stretch(2) as (two, start),
        ):
            assert (one, two, start) == (2, 1, None)
            with threads.Team(2).stretch(2) as (three, _):
                assert three == 1
        assert threads._running == 0

    def test_the_processors_are_counted_now_and_then(self, monkeypatch):
        """A team that is new asks at once, one that has just asked does not."""
        counts = iter([1, 2, 3])
        now = [50.0]
        monkeypatch.setattr(threads, "default_threads", lambda: next(counts))
        monkeypatch.setattr(threads.time, "perf_counter", lambda: now[0])
        first = threads.Team(8)
        sizes = []
        for team, seconds in (
            (first, 0.0),
            (first, 0.9 * first.COUNT_EVERY),
            (threads.Team(8), 0.0),
            (first, 0.2 * first.COUNT_EVERY),
        ):
            now[0] += seconds
            sizes.append(team.reserve(8))
            team.release(sizes[-1])
        assert sizes == [1, 1, 2, 3]

    def test_goes_on_with_what_is_faster(self):
        team = threads.Team(2)
        seconds = {False: iter([1.2, 1.1, 3.0]), True: iter([2.0, 1.0, 2.0, 40.0, 50.0])}
        before = hired()  # those of other teams may be on their way out
        for trial in range(2 * team.TRIALS):
            many, part = team.choose(2)
            assert many == (trial < team.TRIALS)  # a run of few steps has had them
            assert part < 1
            assert set(hired()) - set(before)
            team.record(many, 10, next(seconds[many]))
        assert team.choose(2) == (True, 1.0)  # its best was better
        for slow in seconds[True]:
            team.record(True, 10, slow)
        assert team.choose(2) == (False, 1.0)
        tried = [team.choose(2) for _ in range(team.TRY_FIRST)]
        assert tried.count((True, team.TRY_LENGTH)) == 2
        assert tried.count((False, 1.0)) == team.TRY_FIRST - 2
        assert team.choose(1) == (False, 1.0)
        assert team.choose(3)[1] < 1  # another size of step: measured anew

    def test_a_hitch_is_not_the_rule(self):
        """One stretch that something held up for long leaves the choice as it was; many do not."""
        team = measured(many=1.0, one=1.6)
        assert team.choose(2) == (True, 1.0)
        team.record(True, 10, 1000.0)
        assert team.choose(2) == (True, 1.0)
        for _ in range(3):
            team.record(True, 10, 1000.0)
        assert team.choose(2) == (False, 1.0)

    def test_what_is_slower_on_the_whole_is_left(self):
        """Beside a busy process one stretch in five waits for a time slice: the mean counts."""
        team = measured(many=1.0, one=1.6)
        for k in range(40):
            if team.choose(2) == (False, 1.0):
                break
            team.record(True, 10, 6.0 if k % 5 == 4 else 1.0)
        else:
            pytest.fail("goes on with threads that take 2.0 instead of 1.6")

    def test_threads_that_slept_are_tried_twice(self):
        """The first time wakes them, and what it takes is forgotten."""
        team = measured(many=2.0, one=1.6)
        for waking, counts, goes_on in ((0.1, 1.8, False), (90.0, 1.0, True)):
            trial = next_trial(team)
            team.record(True, 10, waking)
            assert team.choose(2) == trial == (True, team.TRY_LENGTH)
            team.record(True, 10, counts)
            assert team.choose(2) == (goes_on, 1.0)

    def test_another_size_of_step_is_measured_anew(self):
        """Also where the last stretch was to wake the threads, which does not count."""
        team = measured(many=2.0, one=1.6)
        next_trial(team)
        for _ in range(team.TRIALS):
            assert team.choose(3)[0]
            team.record(True, 10, 1.0)
        assert not team.choose(3)[0]
        team.record(False, 10, 1.9)
        assert team.choose(3) == (True, 1.0)

    def test_trials_in_vain_become_rare(self):
        team = measured(many=2.0, one=1.6)

        def until_the_next_trial():
            for k in range(5000):
                many, part = team.choose(2)
                if part < 1:
                    if many:
                        assert team.choose(2) == (True, part)
                    return k
            return None

        apart = [until_the_next_trial() for _ in range(7)]
        assert apart == [10, 22, 46, 94, 190, 382, 766]
        assert [until_the_next_trial() for _ in range(2)] == [798, 798]
        team.record(True, 10, 1.0)  # the last one was not in vain,
        assert until_the_next_trial() == 798
        assert until_the_next_trial() == 49  # as they are still faster

    def test_one_that_is_much_slower_is_not_tried_again(self):
        team = threads.Team(2)
        for _ in range(team.TRIALS):
            assert team.choose(2)[0]
            team.record(True, 10, 1.0)
        assert not team.choose(2)[0]
        team.record(False, 10, 1.9)
        assert team.choose(2) == (True, 1.0)

    def test_stretches_are_whole_where_others_have_the_processors(self):
        """A trial of many threads that gets one says nothing of many, and must come to an end."""
        team = threads.Team(2)
        lengths = []
        for _ in range(20):
            _, part = team.choose(2)
            lengths.append(part)
            team.record(False, 10, 1.0)
        assert lengths[-10:] == [1.0] * 10

    def test_steps_without_a_choice_say_nothing(self):
        """A small batch between large ones must not count as what a large one takes."""

        class Training:
            def __init__(self, worth):
                self.worth = worth

            def team_size(self, batch_size):
                return self.worth

            def run(self, batch_size, start, stop, rates, threads_, *_):
                assert threads_ == threads._running == 1
                return stop

        with threads.Team(2) as team:
            team.choose(2)
            team.record(False, 10, 5.0)
            assert team.run(Training(1), (8,), 0, 20, None, 7) == (7, 7)
            assert team.run(Training(1), (8,), 14, 20, None, 7) == (20, 20)
            assert team._seconds == {False: 0.5}
            assert threads._running == 0

    @pytest.mark.parametrize(
        ("stop", "length", "tried"), [(100, 50, 5), (100, 1000, 10), (13, 1000, 1), (3, 1000, 1)]
    )
    def test_a_trial_is_a_part_of_what_there_is(self, stop, length, tried):
        """A stretch may be to end long before its length: a trial of it is as short."""

        class Training:
            def team_size(self, batch_size):
                return 2

            def run(self, batch_size, start, stop, *_):
                return stop

        with threads.Team(2) as team:
            assert team.run(Training(), (8,), 0, stop, None, length) == (tried, tried)
            until = min(stop, tried + length)
            team._trials = {False: team.TRIALS, True: team.TRIALS}
            team._seconds = {False: 1.0, True: 2.0}
            assert team.run(Training(), (8,), tried, stop, None, length) == (until, until)

    def test_a_stretch_of_no_steps_says_nothing(self):
        team = threads.Team(2)
        for _ in range(team.TRIALS + 1):
            assert team.choose(2)[0] is True
            team.record(True, 0, 1.0)


def test_environment_variable_and_threadpoolctl():
    """Both hold for a run; the limit ends with the `with`."""
    optional("threadpoolctl")
    code = """
import threadpoolctl, bpcore as bp
from bpcore.threads import get_limit
assert get_limit() == 3
with threadpoolctl.threadpool_limits(1):
    assert get_limit() == 1
assert get_limit() == 3
with threadpoolctl.threadpool_limits(2, user_api="bpcore"):
    assert get_limit() == 2
assert [lib["num_threads"] for lib in threadpoolctl.threadpool_info()
        if lib["user_api"] == "bpcore"] == [3]
"""
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={**os.environ, "BPCORE_NUM_THREADS": "3"}
    )
