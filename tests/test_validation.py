"""Bad input at every door: refused with what was given and wanted, and nothing changed."""

import functools
import math

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scenes import FEATURES, OUTPUTS, ROWS, Scene, Sparse, put, refuse

import bpcore as bp

# ------------------------------------------------------------------------------- refused: values

# name: (the bad array of a clean one, error, words of the message besides the argument's name)
NOT_NUMBERS = {
    "complex": (lambda x: x.astype("complex64"), TypeError, ["complex64", "real numbers"]),
    "strings": (lambda x: x.astype(str), TypeError, ["<U32", "real numbers"]),
    "bytes": (lambda x: x.astype("S8"), TypeError, ["S8", "real numbers"]),
    "object": (lambda x: x.astype(object), TypeError, ["object", "real numbers"]),
    "datetime": (lambda x: x.astype("M8[s]"), TypeError, ["datetime64[s]", "real numbers"]),
    "timedelta": (lambda x: x.astype("m8[s]"), TypeError, ["timedelta64[s]", "real numbers"]),
    "None": (lambda x: None, TypeError, ["object", "real numbers"]),
    "dict": (lambda x: {"x": 1}, TypeError, ["object", "real numbers"]),
    "generator": (lambda x: (row for row in x), TypeError, ["object", "real numbers"]),
    "ragged": (lambda x: [[1.0, 2.0], [3.0]], ValueError, ["rectangular"]),
    "sparse": (lambda x: Sparse(), TypeError, ["Sparse", "dense", ".toarray()"]),
    "masked": (
        lambda x: np.ma.masked_greater(put(x, 0, 99), 50), ValueError, ["masked", "fill or"]
    ),
    "nan": (lambda x: put(x, 4, math.nan), ValueError, ["nan at index", "4", "finite"]),
    "inf": (lambda x: put(x, -1, math.inf), ValueError, ["inf at index", "11", "finite"]),
    "-inf": (lambda x: put(x, 0, -math.inf), ValueError, ["-inf at index", "finite"]),
}  # fmt: skip
# Of rows; the clean array has ROWS of them, of FEATURES or OUTPUTS numbers.
X_SHAPES = {
    "features": (lambda x: x[:, :2], ValueError, ["2 features", "takes 3"]),
    "more features": (lambda x: np.hstack([x, x]), ValueError, ["6 features", "takes 3"]),
    "transposed": (lambda x: x.T, ValueError, ["12 features", "takes 3"]),
    "column": (lambda x: x[:, 0], ValueError, ["12 features", "takes 3"]),
    "no features": (lambda x: x[:, :0], ValueError, ["0 features", "takes 3"]),
    "no rows": (lambda x: x[:0], ValueError, ["0 rows", "at least one"]),
    "empty list": (lambda x: [], ValueError, ["0 features", "takes 3"]),
    "one dimension more": (lambda x: x[None], ValueError, ["3 dimensions", "(n, 3)"]),
    "scalar": (lambda x: 1.5, ValueError, ["0 dimensions", "(n, 3)"]),
}
Y_SHAPES = {
    "rows": (lambda y: y[:-1], ValueError, ["(11, 2)", "(12, 2)"]),
    "no rows": (lambda y: y[:0], ValueError, ["(0, 2)", "(12, 2)"]),
    "outputs": (lambda y: y[:, :1], ValueError, ["(12, 1)", "(12, 2)"]),
    "transposed": (lambda y: y.T, ValueError, ["(2, 12)", "(12, 2)"]),
    "flat": (lambda y: y.ravel(), ValueError, ["(24,)", "(12, 2)"]),
    "one dimension more": (lambda y: y[None], ValueError, ["(1, 12, 2)", "(12, 2)"]),
    "scalar": (lambda y: 1.0, ValueError, ["()", "(12, 2)"]),
}
WEIGHTS = {
    "rows": (lambda w: w[:-1], ValueError, ["(11,)", "(12,)"]),
    "column": (lambda w: w[:, None], ValueError, ["(12, 1)", "(12,)"]),
    "scalar": (lambda w: 1.0, ValueError, ["()", "(12,)"]),
    "negative": (lambda w: put(w, 3, -0.5), ValueError, ["-0.5", "0 or more"]),
    "all zeros": (lambda w: 0 * w, ValueError, ["all zeros", "positive"]),
}

X_DOORS = {
    "layer.forward": lambda s, x: s.net.layers[0].forward(x),
    "forward": lambda s, x: s.net.forward(x),
    "predict": lambda s, x: s.net.predict(x),
    "evaluate": lambda s, x: s.net.evaluate(x, s.Y),
    "loss_and_gradient": lambda s, x: s.net.loss_and_gradient(s.net.parameters + 1, x, s.Y),
    "fit": lambda s, x: s.net.fit(x, s.Y, rng=0),
    "step": lambda s, x: s.trainer.step(x, s.Y),
    "run": lambda s, x: s.trainer.run(x, s.Y),
    "validation_data": lambda s, x: s.trainer.run(s.X, s.Y, validation_data=(x, s.Y)),
}
Y_DOORS = {
    "backward": lambda s, y: s.net.backward(y),
    "evaluate": lambda s, y: s.net.evaluate(s.X, y),
    "loss_and_gradient": lambda s, y: s.net.loss_and_gradient(s.net.parameters + 1, s.X + 1, y),
    "fit": lambda s, y: s.net.fit(s.X, y, rng=0),
    "step": lambda s, y: s.trainer.step(s.X, y),
    "run": lambda s, y: s.trainer.run(s.X, y),
    "validation_data": lambda s, y: s.trainer.run(s.X, s.Y, validation_data=(s.X, y)),
}
WEIGHT_DOORS = {
    "backward": lambda s, w: s.net.backward(s.Y, w),
    "evaluate": lambda s, w: s.net.evaluate(s.X, s.Y, w),
    "loss_and_gradient": lambda s, w: s.net.loss_and_gradient(
        s.net.parameters + 1, s.X + 1, s.Y, w
    ),
    "fit": lambda s, w: s.net.fit(s.X, s.Y, sample_weight=w, rng=0),
    "step": lambda s, w: s.trainer.step(s.X, s.Y, w),
    "run": lambda s, w: s.trainer.run(s.X, s.Y, sample_weight=w),
    "validation_data": lambda s, w: s.trainer.run(s.X, s.Y, validation_data=(s.X, s.Y, w)),
}


@pytest.fixture
def scene():
    return Scene()


@pytest.mark.parametrize("bad", [*NOT_NUMBERS, *X_SHAPES])
@pytest.mark.parametrize("door", X_DOORS)
def test_x_refused(scene, door, bad):
    make, error, words = {**NOT_NUMBERS, **X_SHAPES}[bad]
    x = make(scene.X)
    name = "a_in" if door == "layer.forward" else "X"
    words = [name, *words, *(["validation_data"] if door == "validation_data" else [])]
    refuse(scene, lambda: X_DOORS[door](scene, x), error, words, x)


@pytest.mark.parametrize("door", X_DOORS)
def test_number_that_overflows_float32_refused(scene, door):
    x = put(scene.X.astype("float64"), (2, 1), 1e39)
    words = ["1e+39 at index (2, 1)", "finite in float32"]
    refuse(scene, lambda: X_DOORS[door](scene, x), ValueError, words, x)


@pytest.mark.parametrize("bad", [*NOT_NUMBERS, *Y_SHAPES])
@pytest.mark.parametrize("door", Y_DOORS)
def test_y_refused(scene, door, bad):
    make, error, words = {**NOT_NUMBERS, **Y_SHAPES}[bad]
    y = make(scene.Y)
    refuse(scene, lambda: Y_DOORS[door](scene, y), error, ["Y", *words], y)


@pytest.mark.parametrize("bad", [bad for bad in [*NOT_NUMBERS, *WEIGHTS] if bad != "None"])
@pytest.mark.parametrize("door", WEIGHT_DOORS)
def test_sample_weight_refused(scene, door, bad):
    make, error, words = {**NOT_NUMBERS, **WEIGHTS}[bad]
    w = make(scene.w)
    refuse(scene, lambda: WEIGHT_DOORS[door](scene, w), error, ["sample_weight", *words], w)


@pytest.mark.parametrize("bad", [*NOT_NUMBERS, *Y_SHAPES])
@pytest.mark.parametrize("door", ["layer.backward", "backpropagate"])
def test_da_refused(scene, door, bad):
    make, error, _ = {**NOT_NUMBERS, **Y_SHAPES}[bad]
    da = make(scene.Y)
    call = scene.net.layers[-1].backward if door == "layer.backward" else scene.net.backpropagate
    refuse(scene, lambda: call(da), error, ["da"], da)


@pytest.mark.parametrize("bad", NOT_NUMBERS)
@pytest.mark.parametrize("name", ["W", "b", "theta"])
def test_parameters_refused(scene, name, bad):
    make, error, words = NOT_NUMBERS[bad]
    good = {"W": scene.net.layers[0].W, "b": np.zeros(ROWS), "theta": scene.net.parameters}[name]
    values = make(np.resize(good, ROWS))
    if name == "theta":
        call = functools.partial(scene.net.loss_and_gradient, values, scene.X, scene.Y)
    else:
        call = functools.partial(setattr, scene.net.layers[0], name, values)
    refuse(scene, call, error, [name, *words], values)


@pytest.mark.parametrize("values", [np.zeros((3, 4)), np.zeros(12), np.zeros((4, 2)), 0.0])
def test_w_of_another_shape_refused(scene, values):
    words = ["W has shape", str(np.shape(values)), "(4, 3)"]
    refuse(scene, lambda: setattr(scene.net.layers[0], "W", values), ValueError, words)


@pytest.mark.parametrize(
    "bad", ["X", "Y", "sample_weight", "validation_data", "epochs", "callbacks", "learning_rate"]
)
def test_optimizer_of_a_refused_fit_is_free_for_another_network(scene, bad):
    optimizer = bp.Adam()
    arguments = {"X": scene.X, "Y": scene.Y, "optimizer": optimizer}
    if bad == "learning_rate":
        optimizer.learning_rate = lambda step: -1.0
    else:
        arguments[bad] = np.zeros((2, 2))
    with pytest.raises((TypeError, ValueError)):
        scene.net.fit(**arguments)
    assert (optimizer.state, optimizer.steps) == ({}, 0)
    optimizer.learning_rate = 0.1
    other = bp.mlp([FEATURES, 9, OUTPUTS])
    other.fit(scene.X, scene.Y, 1, optimizer=optimizer)
    assert optimizer.steps == 1


# ------------------------------------------------------------------------------ refused: domains

LABELS = {
    "negative": (lambda y: put(y, 3, -1), ValueError, ["class index -1", "0 to 1"]),
    "too large": (lambda y: put(y, 3, OUTPUTS), ValueError, ["class index 2", "0 to 1"]),
    "huge": (
        lambda y: put(y.astype("uint64"), 3, 2**64 - 1),
        ValueError,
        ["class index 18446744073709551615", "0 to 1"],
    ),
    "floats": (lambda y: y.astype("float32"), TypeError, ["float32", "class indices", "integers"]),
    "bools": (lambda y: y.astype(bool), TypeError, ["bool", "class indices"]),
    "probabilities of one class": (lambda y: np.full(ROWS, 0.5), TypeError, ["class indices"]),
    "strings": (lambda y: y.astype(str), TypeError, ["<U21", "class indices"]),
    "object": (lambda y: y.astype(object), TypeError, ["object", "class indices"]),
    "masked": (lambda y: np.ma.masked_equal(put(y, 0, 1), 1), ValueError, ["masked"]),
    "column": (lambda y: y[:, None], ValueError, ["(12, 1)", "(12, 2)", "(12,)"]),
    "too few": (lambda y: y[:-1], ValueError, ["(11,)", "(12, 2)", "(12,)"]),
    "rows that do not sum to one": (
        lambda y: np.full((ROWS, OUTPUTS), 0.25), ValueError, ["sums to 0.5", "sum to 1"]
    ),
    "negative probability": (
        lambda y: np.tile([1.5, -0.5], (ROWS, 1)), ValueError, ["-0.5", "probabilities"]
    ),
}  # fmt: skip


@pytest.mark.parametrize("bad", LABELS)
@pytest.mark.parametrize("door", Y_DOORS)
def test_labels_refused(door, bad):
    scene = Scene(loss="cross_entropy", output="softmax", labels=True)
    make, error, words = LABELS[bad]
    y = make(scene.Y)
    refuse(scene, lambda: Y_DOORS[door](scene, y), error, ["Y", *words], y)


@pytest.mark.parametrize(
    ("loss", "output", "value", "words"),
    [
        ("binary_cross_entropy", "sigmoid", 1.5, ["1.5", "0 to 1"]),
        ("binary_cross_entropy", "sigmoid", -0.5, ["-0.5", "0 to 1"]),
        ("binary_cross_entropy", "sigmoid", 2, ["2.0", "0 to 1"]),
        ("poisson", "exp", -1.0, ["-1.0", "0 or more"]),
    ],
)
@pytest.mark.parametrize("door", Y_DOORS)
def test_targets_outside_the_domain_refused(door, loss, output, value, words):
    scene = Scene(loss=loss, output=output)
    y = put(scene.Y, (4, 1), value)
    refuse(scene, lambda: Y_DOORS[door](scene, y), ValueError, ["Y", loss, *words], y)


def test_labels_changed_while_training_do_not_reach_outside_the_arrays():
    def weights(change):
        scene = Scene(loss="cross_entropy", output="softmax", labels=True)
        y = scene.Y.astype("int64")
        scene.trainer.run(scene.X, y, 3, callbacks=[lambda trainer: change(y)])
        return scene.net.parameters

    unchanged = weights(lambda y: None)
    # Small enough to stay inside the process whatever happens.
    assert_array_equal(weights(lambda y: y.fill(OUTPUTS + 5)), unchanged)


def test_weights_whose_sum_overflows(dtype):
    scene = Scene(dtype)
    w = np.full(ROWS, np.finfo(dtype).max)
    expected = scene.net.backward(scene.Y), scene.net.gradient.copy()
    try:
        C = scene.net.backward(scene.Y, w)
    except ValueError as error:
        assert "sample_weight" in str(error)
    else:  # accepted: then it is the plain mean
        np.testing.assert_allclose(C, expected[0], rtol=1e-5)
        np.testing.assert_allclose(scene.net.gradient, expected[1], rtol=1e-4)
