"""Classes are those that scikit-learn's LabelBinarizer finds, warnings included."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.preprocessing import LabelBinarizer

from bpcore.estimators._labels import binarizer_of, places_of

TARGETS = {
    "several": [3, 1, 2, 3, 1],
    "gaps": [30, -10, 2, 30],
    "two": [5, 7, 7, 5],
    "one": [4, 4],
    "one sample": [4],
    "a class a sample": list(range(30)),
    "more than half": [*range(11), *[0] * 10],
    "half": [*range(10), *[0] * 10],
    "twenty classes of twenty": list(range(20)),
    "strings": ["b", "a", "c", "a"],
    "booleans": [True, False, True],
    "whole floats": [1.0, 2.0, 3.0],
    "several labels": [[0, 1, 1], [1, 0, 0]],
}


def told(make):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        return make(), [(warning.category, str(warning.message)) for warning in caught]


@pytest.mark.parametrize("targets", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize("dtype", [None, "int8", "int32", "uint64"])
def test_as_label_binarizer(targets, dtype):
    y = np.array(targets)
    if dtype is not None:
        if y.dtype.kind != "i" or y.min() < 0:
            dtype = None
        y = y.astype(dtype or y.dtype)
    wanted, warned = told(lambda: LabelBinarizer().fit(y))
    found, warns = told(lambda: binarizer_of(y))
    assert warns == warned
    assert found.y_type_ == wanted.y_type_
    assert found.sparse_input_ == wanted.sparse_input_
    assert_array_equal(found.classes_, wanted.classes_, strict=True)
    assert_array_equal(found.transform(y), wanted.transform(y), strict=True)
    assert vars(found).keys() == vars(wanted).keys()


@pytest.mark.parametrize("targets", [[[0, 1], [2, 3]], [0.5, 1.5], np.zeros(0, int)])
def test_refused_as_by_label_binarizer(targets):
    messages = []
    for make in (LabelBinarizer().fit, binarizer_of):
        with pytest.raises(ValueError) as refused:
            make(np.array(targets))
        messages.append(str(refused.value))
    assert messages[0] == messages[1]


@pytest.mark.parametrize("targets", [v for v in TARGETS.values() if np.ndim(v) == 1])
def test_places(targets):
    y = np.array(targets)
    places = places_of(y, np.unique(y))
    assert places.dtype == np.int64
    assert_array_equal(np.unique(y)[places], y)
