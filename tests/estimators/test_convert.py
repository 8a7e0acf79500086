"""From scikit-learn and back: the same predictions, and the same training from there on."""

import numpy as np
import pytest
from pairs import CLASSIFIERS, REGRESSORS, assert_same, diabetes, digits, fit
from sklearn.exceptions import NotFittedError

from bpcore.estimators import MLPClassifier, MLPRegressor

CASES = {
    "adam": {},
    "sgd": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1},
    "plain sgd": {"solver": "sgd", "momentum": 0.0},
    "logistic": {"activation": "logistic"},
    "float32": {"tol": 1e-3},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("classes", [CLASSIFIERS, REGRESSORS], ids=["classifier", "regressor"])
def test_there_and_back(classes, case):
    X, y = digits() if classes is CLASSIFIERS else diabetes(3)
    X = X.astype("f") if case == "float32" else X
    theirs = fit(
        classes[0](hidden_layer_sizes=(12, 6), max_iter=8, random_state=0, **CASES[case]), X, y
    )
    ours = classes[1].from_sklearn(theirs)
    back = ours.to_sklearn()
    assert type(back) is classes[0]
    assert back.get_params() == theirs.get_params()
    np.testing.assert_array_equal(back.predict(X), theirs.predict(X))
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-4, atol=1e-5)
    for _ in range(3):
        for estimator in (theirs, ours, back):
            estimator.partial_fit(X, y)
    rtol = 1e-5 if case == "float32" else 1e-10
    assert_same(theirs, ours, rtol)
    assert_same(theirs, back, rtol)


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_warm_starts_go_on(solver):
    X, y = digits()
    parameters = {"solver": solver, "early_stopping": solver == "adam", "warm_start": True}
    parameters["learning_rate_init"] = 0.1  # later fits are no better
    theirs = fit(CLASSIFIERS[0]((12,), max_iter=8, random_state=0, **parameters), X, y)
    ours = MLPClassifier.from_sklearn(theirs)
    back = ours.to_sklearn()
    for _ in range(3):
        for estimator in (theirs, ours, back):
            fit(estimator, X, y)
    assert_same(theirs, ours)
    assert_same(theirs, back)


def test_is_a_copy():
    X, y = digits()
    theirs = fit(CLASSIFIERS[0]((12,), max_iter=2), X, y)
    ours = MLPClassifier.from_sklearn(theirs)
    ours.coefs_[0][...] = 0
    assert theirs.coefs_[0].any()
    assert MLPClassifier.from_sklearn(theirs).to_sklearn().coefs_[0] is not theirs.coefs_[0]


def test_what_scikit_learn_lacks():
    X, y = diabetes()
    parameters = {"hidden_layer_sizes": (4, 4), "max_iter": 2}
    with pytest.raises(ValueError, match="gelu"):
        fit(MLPRegressor(activation="gelu", **parameters), X, y).to_sklearn()
    with pytest.raises(ValueError, match="one for all"):
        fit(MLPRegressor(activation=["relu", "tanh"], **parameters), X, y).to_sklearn()
    with pytest.raises(ValueError, match="huber"):
        fit(MLPRegressor(loss="huber", **parameters), X, y).to_sklearn()
    poisson = fit(MLPRegressor(loss="poisson", **parameters), X, np.exp(y))
    if "loss" in REGRESSORS[0]().get_params():  # since scikit-learn 1.7
        theirs = poisson.to_sklearn()
        np.testing.assert_allclose(theirs.predict(X), poisson.predict(X), rtol=1e-10)
    else:
        with pytest.raises(ValueError, match="poisson"):
            poisson.to_sklearn()
    one = fit(MLPRegressor(activation=["sigmoid", "sigmoid"], **parameters), X, y).to_sklearn()
    assert one.activation == "logistic"


def test_what_is_refused():
    with pytest.raises(TypeError, match="MLPRegressor"):
        MLPClassifier.from_sklearn(REGRESSORS[0]())
    with pytest.raises(NotFittedError):
        MLPClassifier.from_sklearn(CLASSIFIERS[0]())
    with pytest.raises(NotFittedError):
        MLPClassifier().to_sklearn()
