"""Arrays of any layout, type and container: accepted with the bits of clean ones."""

import array

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scenes import FEATURES, OUTPUTS, ROWS, Frame, Scene

import bpcore as bp


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
