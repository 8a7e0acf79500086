"""Schedules: each formula by hand, int and array alike, dict and back, and what is refused."""

import copy
import json
import math
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from bpcore import schedules
from bpcore.schedules import (
    Constant,
    CosineDecay,
    ExponentialDecay,
    InverseScaling,
    Schedule,
    StepDecay,
)

# A schedule, and its formula for one step in plain Python.
FORMULAS = [
    (Constant(0.3), lambda t: 0.3),
    (StepDecay(0.3, 4), lambda t: 0.3 * 0.1 ** (t // 4)),
    (StepDecay(0.3, 3, factor=0.5), lambda t: 0.3 * 0.5 ** (t // 3)),
    (ExponentialDecay(0.3, 0.9), lambda t: 0.3 * 0.9**t),
    (ExponentialDecay(0.3, 0.5, decay_steps=8), lambda t: 0.3 * 0.5 ** (t / 8)),
    (CosineDecay(0.3, 10), lambda t: 0.15 * (1 + math.cos(math.pi * min(t, 10) / 10))),
    (
        CosineDecay(0.3, 7, final=0.1),
        lambda t: 0.1 + 0.1 * (1 + math.cos(math.pi * min(t, 7) / 7)),
    ),
    (InverseScaling(0.3), lambda t: 0.3 / math.sqrt(t + 1)),
    (InverseScaling(0.3, power=2), lambda t: 0.3 / (t + 1) ** 2),
]
SCHEDULES = [schedule for schedule, _ in FORMULAS]


@pytest.mark.parametrize(("schedule", "formula"), FORMULAS, ids=repr)
class TestFormula:
    def test_int(self, schedule, formula):
        for t in range(25):
            rate = schedule(t)
            assert type(rate) is float
            assert rate == pytest.approx(formula(t), rel=1e-14)

    def test_array(self, schedule, formula):
        t = np.arange(24).reshape(2, 3, 4)
        rates = schedule(t)
        assert rates.dtype == np.float64
        assert_allclose(rates, np.vectorize(formula)(t), rtol=1e-14)
        rates += 1  # the caller's own, writable

    @pytest.mark.parametrize("kind", [np.int8, np.uint64, np.int64])
    def test_every_integer(self, schedule, formula, kind):
        assert schedule(kind(5)) == pytest.approx(formula(5), rel=1e-14)
        assert_array_equal(schedule(np.array([5], kind)), [schedule(5)])

    def test_empty(self, schedule, formula):
        assert schedule(np.empty(0, int)).shape == (0,)


class TestKnownValues:
    def test_step_decay(self):
        assert_allclose(StepDecay(1, 2)(np.arange(6)), [1, 1, 0.1, 0.1, 0.01, 0.01])

    def test_exponential_decay(self):
        assert_allclose(ExponentialDecay(1, 0.25, 2)(np.arange(5)), [1, 0.5, 0.25, 0.125, 0.0625])

    def test_cosine_decay(self):
        rates = CosineDecay(1, 4, final=0.5)(np.arange(7))
        side = math.sqrt(0.5) / 4
        assert_allclose(rates, [1, 0.75 + side, 0.75, 0.75 - side, 0.5, 0.5, 0.5])

    def test_inverse_scaling(self):
        assert_allclose(InverseScaling(1)(np.array([0, 3, 8])), [1, 1 / 2, 1 / 3])


class TestValue:
    def test_equal_by_value(self):
        assert Constant(1) == Constant(1.0)
        assert StepDecay(0.1, 5) == StepDecay(0.1, 5, 0.1)
        assert StepDecay(0.1, 5) != StepDecay(0.1, 6)
        assert Constant(0.1) != InverseScaling(0.1)
        assert Constant(0.1) != 0.1
        assert len({Constant(1), Constant(1.0), Constant(2)}) == 2

    @pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
    def test_repr_is_the_call(self, schedule):
        assert eval(repr(schedule), vars(schedules)) == schedule

    @pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
    def test_copies(self, schedule):
        assert pickle.loads(pickle.dumps(schedule)) == schedule
        assert copy.deepcopy(schedule) == schedule

    def test_frozen(self):
        schedule = Constant(0.1)
        with pytest.raises(AttributeError, match="make a new one"):
            schedule.learning_rate = 0.2
        with pytest.raises(AttributeError, match="cannot be deleted"):
            del schedule.learning_rate
        assert schedule.learning_rate == 0.1

    def test_attributes_are_plain(self):
        schedule = StepDecay(np.float32(0.5), np.int8(3), factor=1)
        assert type(schedule.learning_rate) is float
        assert type(schedule.step_size) is int
        assert type(schedule.factor) is float


class TestDict:
    @pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
    def test_there_and_back(self, schedule):
        values = json.loads(json.dumps(schedule.to_dict()))
        assert values["name"] == type(schedule).__name__
        assert Schedule.from_dict(values) == schedule
        assert schedules.from_dict(values) == schedule
        assert type(schedule).from_dict(values) == schedule

    def test_contents(self):
        assert StepDecay(0.1, 5).to_dict() == {
            "name": "StepDecay",
            "learning_rate": 0.1,
            "step_size": 5,
            "factor": 0.1,
        }

    @pytest.mark.parametrize(
        ("values", "error", "message"),
        [
            ([], TypeError, "given a list"),
            ({}, ValueError, "name is None, wanted one of Constant"),
            ({"name": "Linear"}, ValueError, "'Linear', wanted one of Constant"),
            ({"name": "Constant"}, ValueError, "parameters none, wanted learning_rate"),
            ({"name": "Constant", "learning_rate": 1, "x": 2}, ValueError, "learning_rate, x"),
            ({"name": "Constant", "learning_rate": -1}, ValueError, "above 0"),
        ],
    )
    def test_refused(self, values, error, message):
        with pytest.raises(error, match=message):
            Schedule.from_dict(values)

    def test_another_class(self):
        with pytest.raises(ValueError, match="'Constant', wanted one of StepDecay"):
            StepDecay.from_dict(Constant(0.1).to_dict())


class TestRefused:
    makers = (
        ("learning_rate", lambda x: Constant(x)),
        ("learning_rate", lambda x: StepDecay(x, 5)),
        ("learning_rate", lambda x: ExponentialDecay(x, 0.5)),
        ("learning_rate", lambda x: CosineDecay(x, 5)),
        ("learning_rate", lambda x: InverseScaling(x)),
        ("factor", lambda x: StepDecay(0.1, 5, factor=x)),
        ("factor", lambda x: ExponentialDecay(0.1, x)),
    )

    @pytest.mark.parametrize(("name", "make"), makers)
    @pytest.mark.parametrize("value", [0, -1.0, math.nan, math.inf, -math.inf, 10**400])
    def test_not_above_0(self, name, make, value):
        with pytest.raises(ValueError, match=f"{name} is .*, wanted a finite number above 0"):
            make(value)

    @pytest.mark.parametrize(("name", "make"), makers)
    @pytest.mark.parametrize("value", [None, "0.1", True, [1, 2], 1j])
    def test_no_number(self, name, make, value):
        with pytest.raises(TypeError, match=f"{name} is .*, wanted a finite number above 0"):
            make(value)

    @pytest.mark.parametrize(
        ("name", "make"),
        [
            ("final", lambda x: CosineDecay(0.1, 5, final=x)),
            ("power", lambda x: InverseScaling(0.1, power=x)),
        ],
    )
    def test_below_0(self, name, make):
        make(0)
        for value in (-1e-9, math.nan, math.inf):
            with pytest.raises(ValueError, match=f"{name} is .*, wanted .* at least 0"):
                make(value)

    @pytest.mark.parametrize(
        ("name", "make"),
        [
            ("step_size", lambda x: StepDecay(0.1, x)),
            ("decay_steps", lambda x: ExponentialDecay(0.1, 0.5, x)),
            ("decay_steps", lambda x: CosineDecay(0.1, x)),
        ],
    )
    def test_counts(self, name, make):
        for value in (0, -3):
            with pytest.raises(ValueError, match=f"{name} is .*, wanted at least 1"):
                make(value)
        for value in (1.5, 2.0, None, "3", True):
            with pytest.raises(TypeError, match=f"{name} is .*, wanted an integer"):
                make(value)

    @pytest.mark.parametrize("step", [1.0, "1", None, True, [0.5]])
    def test_steps_that_are_no_integers(self, step):
        with pytest.raises(TypeError, match="wanted integers"):
            Constant(0.1)(step)

    @pytest.mark.parametrize("step", [-1, [0, -2]])
    def test_negative_steps(self, step):
        with pytest.raises(ValueError, match="wanted at least 0"):
            Constant(0.1)(step)

    def test_no_formula(self):
        with pytest.raises(NotImplementedError, match="define rate"):
            Schedule()(0)
