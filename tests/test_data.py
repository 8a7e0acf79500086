"""The embedded digits are the documented ones, and the split holds out what it says."""

import hashlib
from importlib.resources import files

import numpy as np
import pytest
from helpers import optional
from numpy.testing import assert_array_equal

from bpcore.data import digits_split, load_digits

# optdigits.names, section 9: "No of examples in testing set".
CLASS_COUNTS = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]

# Of the pixels as bytes, row after row, and of the labels as bytes, both in the original's order.
SHA256_IMAGES = "8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3"
SHA256_LABELS = "8ba4f891220f5e4c9c819638d1602d74b83618f167043c6da52a2a247841ddf0"


def test_shapes_and_types():
    images, labels = load_digits()
    assert images.shape == (1797, 64)
    assert images.dtype == np.uint8
    assert labels.shape == (1797,)
    assert labels.dtype == np.int64


def test_values_are_the_documented_ones():
    images, labels = load_digits()
    assert (images.min(), images.max()) == (0, 16)
    assert np.bincount(labels).tolist() == CLASS_COUNTS
    assert hashlib.sha256(images.tobytes()).hexdigest() == SHA256_IMAGES
    assert hashlib.sha256(labels.astype(np.uint8).tobytes()).hexdigest() == SHA256_LABELS


def test_equals_the_copy_in_scikit_learn():
    datasets = optional("sklearn.datasets")
    images, labels = load_digits()
    theirs = datasets.load_digits()
    assert_array_equal(images, theirs.data)
    assert_array_equal(labels, theirs.target)


def test_every_call_gives_arrays_of_its_own():
    load_digits()[0][:] = 99
    assert load_digits()[0].max() == 16


def test_attribution_ships_beside_the_data():
    text = files("bpcore.data").joinpath("digits-attribution.txt").read_text(encoding="utf-8")
    for name in ("Alpaydin", "Kaynak", "10.24432/C50P49", "CC BY 4.0", "What was changed"):
        assert name in text


def test_data_is_small():
    assert len(files("bpcore.data").joinpath("digits.npz").read_bytes()) < 50_000


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_split_scales_and_keeps_every_image_once(dtype):
    images, labels = load_digits()
    (X, Y), (X_test, Y_test) = digits_split(0.25, rng=3, dtype=dtype)
    assert X.dtype == X_test.dtype == dtype
    assert len(X_test) == round(0.25 * 1797)
    both = np.column_stack([np.vstack([X, X_test]) * 16, np.concatenate([Y, Y_test])])
    whole = np.column_stack([images, labels])
    assert_array_equal(both[np.lexsort(both.T)], whole[np.lexsort(whole.T)])


def test_split_is_shuffled_by_its_seed():
    (X, Y), _ = digits_split(rng=0)
    (X_again, Y_again), _ = digits_split(rng=np.random.default_rng(0))
    assert_array_equal(X, X_again)
    assert_array_equal(Y, Y_again)
    assert not np.array_equal(Y, digits_split(rng=1)[0][1])
    assert not np.array_equal(Y, load_digits()[1][: len(Y)])
    assert not np.array_equal(Y, load_digits()[1][-len(Y) :])


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, 1e-9, 1 - 1e-9, float("nan")])
def test_split_refuses_a_fraction_that_leaves_a_side_empty(fraction):
    with pytest.raises(ValueError, match=r"test_fraction is .*, wanted a number between 0 and 1"):
        digits_split(fraction)


@pytest.mark.parametrize("fraction", ["0.2", None, True])
def test_split_refuses_what_is_no_number(fraction):
    with pytest.raises(TypeError, match="test_fraction is of type"):
        digits_split(fraction)


@pytest.mark.parametrize("dtype", ["float16", "int64", "complex128"])
def test_split_refuses_other_types(dtype):
    with pytest.raises(ValueError, match=f"dtype is {dtype}, wanted float32 or float64"):
        digits_split(dtype=dtype)
