"""Checks of an array's values: every place is looked at, and once."""

import functools
import math

import numpy as np
import pytest
from scenes import FEATURES, OUTPUTS, ROWS, Scene, put, refuse

import bpcore as bp
from bpcore import validation


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_found_at_every_place(dtype, wrong):
    net = bp.mlp([1, 1], dtype=dtype)
    sizes = [*range(1, 70), 8191, 8192, 8193, 16384, 100_000, 100_001]
    for size in sizes:
        X = np.full((size, 1), np.finfo(dtype).max / 2, dtype)
        X[::2] *= -1
        net.predict(X[:size])
        for place in {0, size // 2, size - 2, size - 1, 8191, 8192} & set(range(size)):
            kept, X[place] = X[place].copy(), wrong
            with pytest.raises(ValueError, match=rf"X holds {wrong} at index \({place}, 0\)"):
                net.predict(X)
            X[place] = kept


@pytest.mark.parametrize("size", [1, 5, 16, 17, 1000, 8192, 8193])
@pytest.mark.parametrize(
    ("loss", "good", "bad"),
    [
        ("binary_cross_entropy", [0, 1, 0.5], [-1e-6, 1.0001, math.nan, math.inf]),
        ("poisson", [0, 1e30, 2], [-1e-6, math.nan, math.inf, -math.inf]),
        ("cross_entropy", [1, 1.0008, 0.9992, 1.00098], [1.002, 0.998, -1, math.nan, math.inf]),
    ],
)
def test_targets_outside_the_domain_are_found_at_every_place(dtype, loss, good, bad, size):
    output = {"poisson": "exp", "cross_entropy": "softmax"}.get(loss, "sigmoid")
    net = bp.mlp([1, 1], output=output, loss=loss, dtype=dtype)
    X, Y = np.zeros((size, 1), dtype), np.resize(good, (size, 1)).astype(dtype)
    net.evaluate(X, Y)
    for place in {0, size // 2, size - 1}:
        for value in bad:
            wrong = put(Y, place, value)
            with pytest.raises(ValueError, match=r"Y (holds|sums)"):
                net.evaluate(X, wrong)


def test_bounds_of_weights(dtype):
    net, X, Y = bp.mlp([1, 1], dtype=dtype), np.zeros((40, 1), dtype), np.zeros((40, 1), dtype)
    numbers = np.finfo(dtype)
    for place in (0, 7, 39):
        weight = np.zeros(40, dtype)
        with pytest.raises(ValueError, match="sample_weight is all zeros"):
            net.evaluate(X, Y, weight)
        weight[place] = numbers.smallest_normal if dtype == "float32" else 1e-299
        net.evaluate(X, Y, weight)
        weight[place] = numbers.max if dtype == "float32" else 1e299
        net.evaluate(X, Y, weight)
        for wrong, words in ((-1e-30, "holds"), (math.nan, "nan"), (math.inf, "inf")):
            with pytest.raises(ValueError, match=f"sample_weight.*{words}"):
                net.evaluate(X, Y, put(weight, 39 - place, wrong))
    if dtype == "float64":
        for value in (1e-303, 1e299):  # forty of them
            with pytest.raises(ValueError, match="sample_weight sums to"):
                net.evaluate(X, Y, np.full(40, value))


@pytest.mark.parametrize(
    "loss", ["squared_error", "huber", "binary_cross_entropy", "cross_entropy", "poisson"]
)
@pytest.mark.parametrize("door", ["evaluate", "loss_and_gradient", "step", "run", "backward"])
def test_arrays_are_looked_at_once(dtype, monkeypatch, loss, door):
    """The kernels see to what is clean; what is not is converted once, whatever comes after."""
    output = {"cross_entropy": "softmax", "poisson": "exp"}.get(loss, "sigmoid")
    scene = Scene(dtype, loss, output)
    looks = []
    real = validation._real
    monkeypatch.setattr(
        validation, "_real", lambda x, name, dtype: looks.append(name) or real(x, name, dtype)
    )
    theta = scene.net.parameters.copy()
    calls = {
        "evaluate": scene.net.evaluate,
        "loss_and_gradient": functools.partial(scene.net.loss_and_gradient, theta),
        "step": scene.trainer.step,
        "run": lambda X, Y, w: scene.trainer.run(
            X, Y, 3, sample_weight=w, validation_data=(X, Y, w)
        ),
        "backward": lambda X, Y, w: (scene.net.forward(X), scene.net.backward(Y, w)),
    }
    calls[door](scene.X, scene.Y, scene.w)
    assert looks == []
    foreign = [x.astype("float64" if dtype == "float32" else "float32")
               for x in (scene.X, scene.Y, scene.w)]  # fmt: skip
    calls[door](*foreign)
    wanted = ["X", "Y", "sample_weight"] * (2 if door == "run" else 1)
    assert looks == wanted


def test_clean_labels_are_looked_at_by_the_kernels(monkeypatch):
    scene = Scene(loss="cross_entropy", output="softmax", labels=True)
    monkeypatch.delattr(validation, "targets")
    scene.trainer.run(scene.X, scene.Y, validation_data=(scene.X, scene.Y))
    scene.trainer.step(scene.X, scene.Y, scene.w)
    for place in (0, ROWS - 1):
        for wrong in (-1, OUTPUTS, np.iinfo(np.int64).max, np.iinfo(np.int64).min):
            with pytest.raises(AttributeError, match="targets"):
                scene.net.evaluate(scene.X, put(scene.Y, place, wrong))


def test_nan_in_the_last_row_of_much_data_changes_nothing():
    scene = Scene()
    scene.X = np.zeros((100_001, FEATURES), "float32")
    scene.Y = np.zeros((100_001, OUTPUTS), "float32")
    for X, Y, name in ((put(scene.X, (-1, -1), math.nan), scene.Y, "X"),
                       (scene.X, put(scene.Y, (-1, -1), math.nan), "Y")):  # fmt: skip
        for call in (scene.trainer.run, scene.net.fit, scene.trainer.step, scene.net.evaluate):
            refuse(
                scene, functools.partial(call, X, Y), ValueError, [name, "nan at index (100000, "]
            )


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 121])
def test_predict_notices_nan_in_the_last_row(n, dtype):
    """It looks at one z of each row, four rows at a time."""
    net = bp.mlp((3, 2), dtype=dtype, rng=0)
    X = np.ones((n, 3), dtype)
    X[-1, 1] = np.nan
    with pytest.raises(ValueError, match=r"NaN|finite"):
        net.predict(X)
