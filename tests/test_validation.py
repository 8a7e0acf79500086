"""Bad input at every door: refused with what was given and wanted and nothing changed, or accepted
with the bits of a clean array.
"""

import array
import functools
import math

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import bpcore as bp
from bpcore import validation

ROWS, FEATURES, OUTPUTS = 12, 3, 2


class Scene:
    """A trainer that has run, its network after forward and backward, and clean data.

    The numbers of the data are eighths, which every type of float holds exactly.
    """

    def __init__(self, dtype="float32", loss="squared_error", output="identity", labels=False):
        rng = np.random.default_rng(7)
        self.X = (rng.integers(-16, 17, (ROWS, FEATURES)) / 8).astype(dtype)
        self.Y = (rng.integers(0, 5, (ROWS, OUTPUTS)) / 4).astype(dtype)
        if loss == "cross_entropy":
            self.Y[:, 1] = 1 - self.Y[:, 0]
        if labels:
            self.Y = rng.integers(0, OUTPUTS, ROWS)
        self.w = (rng.integers(1, 9, ROWS) / 8).astype(dtype)
        self.net = bp.mlp([FEATURES, 4, OUTPUTS], "tanh", output, loss, dtype=dtype, rng=0)
        self.optimizer = bp.Adam(0.01)
        self.trainer = bp.Trainer(self.net, self.optimizer, batch_size=5, rng=3)
        self.trainer.run(self.X, self.Y, 2, validation_data=(self.X, self.Y))
        self.net.forward(self.X)
        self.net.backward(self.Y)

    def contents(self, *held):
        """Every value that a refused call must leave alone, and those of the caller's arrays."""
        kept = [
            getattr(layer, name)
            for layer in self.net.layers
            for name in ("W", "b", "dW", "db", "a_in", "z", "a", "da", "delta")
        ]
        arrays = [self.net.parameters, self.net.gradient, *kept, self.X, self.Y, self.w]
        arrays += [*self.optimizer.state.values(), *(x for x in held if isinstance(x, np.ndarray))]
        return (
            [None if x is None else (x.shape, x.dtype, x.flags.writeable, x.tobytes())
             for x in arrays],
            self.optimizer.steps, list(self.optimizer.state), self.optimizer.learning_rate,
            self.trainer.epoch, vars(self.trainer.history).copy(), self.trainer.stop_training,
            len(self.trainer.history), repr(self.trainer.rng.bit_generator.state),
        )  # fmt: skip


def refuse(scene, call, error, words, *held):
    """Assert that the call is refused with a message that holds all words, and changes nothing."""
    before = scene.contents(*held)
    with pytest.raises(error) as caught:
        call()
    # A subclass could be anything that went wrong on the way: MemoryError's, JSONDecodeError, ...
    assert type(caught.value) in (TypeError, ValueError)
    message = str(caught.value)
    missing = [word for word in words if word not in message]
    assert not missing, f"{missing} not in {message!r}"
    assert scene.contents(*held) == before


class Sparse:
    """What scipy.sparse's arrays have in common."""

    shape = (ROWS, FEATURES)

    def toarray(self):
        return np.zeros(self.shape)


class Frame:
    """A table of another library that NumPy can read."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)


def put(x, index, value):
    """A copy of x with one element changed."""
    x = np.array(x)
    x[index] = value
    return x


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


# --------------------------------------------------------------------- accepted: the same bits


def unaligned(x):
    raw = np.zeros(x.nbytes + 1, np.uint8)
    view = raw[1:].view(x.dtype).reshape(x.shape)
    view[...] = x
    assert not view.flags.aligned
    return view


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def strided(x):
    wide = np.full((2 * x.shape[0], *(3 * k for k in x.shape[1:])), np.nan, x.dtype)
    view = wide[(slice(None, None, 2), *(slice(1, None, 3) for _ in x.shape[1:]))]
    view[...] = x
    return view


def reverse(x):
    return np.ascontiguousarray(x[::-1])[::-1]


def memory_mapped(x, folder):
    x.tofile(folder / "x.bin")
    return np.memmap(folder / "x.bin", dtype=x.dtype, mode="r", shape=x.shape)


class Subclass(np.ndarray):
    pass


FOREIGN = {
    "list": lambda x, folder: x.tolist(),
    "tuple": lambda x, folder: tuple(map(tuple, x)) if x.ndim == 2 else tuple(x),
    "read-only": lambda x, folder: read_only(x),
    "strided": lambda x, folder: strided(x),
    "reversed": lambda x, folder: reverse(x),
    "Fortran": lambda x, folder: np.asfortranarray(x),
    "big-endian": lambda x, folder: x.astype(x.dtype.newbyteorder(">")),
    "unaligned": lambda x, folder: unaligned(x),
    "memory-mapped": lambda x, folder: memory_mapped(x, folder),
    "unmasked": lambda x, folder: np.ma.MaskedArray(x.copy()),
    "subclass": lambda x, folder: x.copy().view(Subclass),
    "frame": lambda x, folder: Frame(x),
    "memoryview": lambda x, folder: memoryview(x),
    "float16": lambda x, folder: x.astype("float16"),
    "float32": lambda x, folder: x.astype("float32"),
    "float64": lambda x, folder: x.astype("float64"),
    "longdouble": lambda x, folder: x.astype(np.longdouble),
}
FOREIGN_LABELS = {
    name: make
    for name, make in FOREIGN.items()
    if name not in ("float16", "float32", "float64", "longdouble", "strided")
} | {
    name: lambda y, folder, name=name: y.astype(name)
    for name in ("int8", "uint8", "int16", "int32", "uint32", "int64", "uint64", ">i4")
}


def results(scene, X, Y, w):
    """What every door computes of the data."""
    net = scene.net
    values = [net.predict(X), net.forward(X), net.backward(Y, w), net.gradient.copy()]
    values += [layer.a_in.copy() for layer in net.layers]
    values += [net.evaluate(X, Y, w), *net.loss_and_gradient(net.parameters.copy(), X, Y, w)]
    values += [scene.trainer.step(X, Y, w), net.parameters.copy()]
    history = scene.trainer.run(X, Y, 2, sample_weight=w, validation_data=(X, Y, w))
    values += [history.loss, history.validation_loss, net.parameters.copy()]
    return values


def assert_same_bits(given, clean):
    for x, y in zip(given, clean, strict=True):
        assert np.asarray(x).dtype == np.asarray(y).dtype
        assert_array_equal(x, y, strict=True)


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_arrays_give_the_bits_of_clean_ones(dtype, kind, tmp_path):
    scene = Scene(dtype)
    arrays = [scene.X, scene.Y, scene.w]
    if kind not in ("float16", "float32"):  # which hold no more than the eighths
        arrays = [(x * np.pi).astype(dtype) for x in arrays]
    clean = results(Scene(dtype), *arrays)
    foreign = []
    for k, x in enumerate(arrays):
        folder = tmp_path / str(k)
        folder.mkdir()
        foreign.append(FOREIGN[kind](x, folder))
    before = [np.array(x) for x in foreign]
    assert_same_bits(results(scene, *foreign), clean)
    for x, y in zip(foreign, before, strict=True):
        assert_array_equal(np.array(x), y)


def test_unaligned_arrays_are_copied(dtype):
    # Not every processor reads them; those that do would not show it.
    x = unaligned(np.ones((ROWS, FEATURES), dtype))
    clean = bp.validation.samples(x, FEATURES, np.dtype(dtype))
    assert clean.flags.aligned
    assert clean.flags.c_contiguous


@pytest.mark.parametrize("kind", FOREIGN_LABELS)
def test_foreign_labels_give_the_bits_of_clean_ones(kind, tmp_path):
    scene = Scene(loss="cross_entropy", output="softmax", labels=True)
    clean = results(Scene(loss="cross_entropy", output="softmax", labels=True),
                    scene.X, scene.Y, None)  # fmt: skip
    y = FOREIGN_LABELS[kind](scene.Y, tmp_path)
    assert_same_bits(results(scene, scene.X, y, None), clean)


@pytest.mark.parametrize("kind", ["bool", "int8", "uint16", "int64"])
def test_integers_and_bools_are_numbers(dtype, kind):
    X = np.random.default_rng(0).integers(0, 2, (ROWS, FEATURES)).astype(kind)
    Y, w = X[:, :OUTPUTS], np.ones(ROWS, kind)
    clean = results(Scene(dtype), X.astype(dtype), Y.astype(dtype), w.astype(dtype))
    assert_same_bits(results(Scene(dtype), X, Y, w), clean)


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_da_and_parameters_give_the_bits_of_clean_ones(dtype, kind, tmp_path):
    clean, given = Scene(dtype), Scene(dtype)
    da = FOREIGN[kind](clean.Y, tmp_path)
    assert_same_bits([given.net.backpropagate(da), given.net.gradient],
                     [clean.net.backpropagate(clean.Y), clean.net.gradient])  # fmt: skip
    layer, clean_layer = given.net.layers[-1], clean.net.layers[-1]
    assert_same_bits([layer.backward(da), layer.dW],
                     [clean_layer.backward(clean.Y), clean_layer.dW])  # fmt: skip
    W = (clean.X[:4] / 4).astype(dtype)
    for scene, values in ((given, FOREIGN[kind](W, tmp_path)), (clean, W)):
        scene.net.layers[0].W = values
    assert_array_equal(given.net.parameters, clean.net.parameters)
    assert_array_equal(given.net.layers[0].W, W)


def test_array_module_and_one_sample():
    predict, row = Scene().net.predict, Scene().X[0]
    assert_array_equal(predict(array.array("d", row)), predict(row))
    assert_array_equal(predict(range(3)), predict(np.arange(3.0)))


# ------------------------------------------------------------------------ one look at clean arrays


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
