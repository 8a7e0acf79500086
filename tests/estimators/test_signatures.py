"""What the two classes promise of themselves: signatures, parameters, docstrings."""

import inspect
import re

import pytest
from pairs import CLASSIFIERS, REGRESSORS
from sklearn.base import clone

from bpcore.estimators import MLPClassifier, MLPRegressor

BOTH = pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])


@pytest.mark.parametrize("classes", [CLASSIFIERS, REGRESSORS], ids=["classifier", "regressor"])
def test_parameters_of_theirs(classes):
    """Scikit-learn's with their defaults, in their order and kind, then ours."""
    theirs, ours = (dict(inspect.signature(cls).parameters) for cls in classes)
    if "loss" not in theirs:  # the regressor's, before 1.7
        ours.pop("loss", None)
    new = {
        "class_weight",
        "output_weight",
        "dropout",
        "callbacks",
        "progress",
        "n_threads",
        "dtype",
    }
    assert list(theirs) == [name for name in ours if name not in new]
    for name, parameter in theirs.items():
        assert (ours[name].default, ours[name].kind) == (parameter.default, parameter.kind)
    assert all(ours[name].kind is inspect.Parameter.KEYWORD_ONLY for name in new & set(ours))


@BOTH
def test_parameters_are_kept(cls):
    parameters = {name: object() for name in inspect.signature(cls).parameters}
    estimator = cls(**parameters)
    assert vars(estimator) == parameters
    assert all(getattr(estimator, name) is value for name, value in parameters.items())
    assert set(cls._get_param_names()) == set(parameters)
    assert set(parameters) - {"loss"} <= set(cls._parameter_constraints) | {"loss"}
    assert (
        clone(cls(alpha=3.0, dropout=0.5)).get_params() == cls(alpha=3.0, dropout=0.5).get_params()
    )


@BOTH
def test_docstrings_are_whole(cls):
    doc = inspect.getdoc(cls)
    for name in inspect.signature(cls).parameters:
        assert re.search(rf"^(\w+, )?{name}(, \w+)? : ", doc, re.MULTILINE), name
    for section in ("Parameters", "Attributes", "References", "Examples"):
        assert doc.count(f"\n\n{section}\n{'-' * len(section)}\n") == 1
    for name, method in inspect.getmembers(cls, callable):
        if not name.startswith(("_", "set_")) and method.__module__.startswith("bpcore"):
            text = inspect.getdoc(method)
            assert not re.search(r"^\s*<", text, re.MULTILINE), name
            for parameter in list(inspect.signature(method).parameters)[1:]:
                assert re.search(rf"^{parameter} : ", text, re.MULTILINE), (name, parameter)
    assert "<" not in doc.replace(">>>", "")
