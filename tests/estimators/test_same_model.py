"""The same model, not a similar one: curves, scores and weights beside scikit-learn's."""

import numpy as np
import pytest
from pairs import (
    CLASSIFIERS,
    REGRESSORS,
    assert_same,
    both,
    diabetes,
    digits,
    fit,
    need_weights_of_theirs,
    relative,
)
from scipy.sparse import csc_array, csc_matrix, csr_array, csr_matrix
from sklearn.datasets import make_multilabel_classification

from bpcore.estimators import _data

FIFTY = {"max_iter": 50, "tol": 0.0, "n_iter_no_change": 1000, "random_state": 0}
ACTIVATIONS = ["identity", "logistic", "tanh", "relu"]
SOLVERS = {
    "adam": {"solver": "adam"},
    "constant": {"solver": "sgd", "momentum": 0, "learning_rate_init": 0.1},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False, "learning_rate_init": 0.05},
    "Nesterov": {"solver": "sgd", "learning_rate_init": 0.05},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.5},
    "adaptive": {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "learning_rate_init": 0.2,
        "tol": 0.02,
        "n_iter_no_change": 2,
    },
    "lbfgs": {"solver": "lbfgs"},
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("solver", SOLVERS)
class TestFiftyEpochs:
    def test_classifier(self, solver, activation):
        parameters = {**FIFTY, **SOLVERS[solver], "activation": activation}
        theirs, ours = both(CLASSIFIERS, *digits(), hidden_layer_sizes=(20,), **parameters)
        assert_same(theirs, ours)

    def test_regressor(self, solver, activation):
        parameters = {**FIFTY, **SOLVERS[solver], "activation": activation}
        if solver == "lbfgs":
            # Its line searches multiply rounding errors by ten every other iteration here, for
            # scikit-learn with its samples in another order as well.
            parameters["max_iter"] = 20
        theirs, ours = both(REGRESSORS, *diabetes(), hidden_layer_sizes=(20,), **parameters)
        assert_same(theirs, ours)


WEIGHTS = np.random.default_rng(0).integers(0, 4, 600).astype(float)
CLASSIFICATION = {
    "two classes": (digits(300, 2), {}),
    "strings": ((digits()[0], np.array(list("abcdefghij"))[digits()[1]]), {}),
    "labels": (make_multilabel_classification(200, random_state=0), {}),
    "labels in Fortran's order": (
        tuple(map(np.asfortranarray, make_multilabel_classification(200, random_state=0))),
        {},
    ),
    "labels of 3": (
        (lambda X, y: (X, 3 * y))(*make_multilabel_classification(200, random_state=0)),
        {"batch_size": 20},
    ),
    "one class, stopped": ((digits()[0], np.full(600, 7)), {"early_stopping": True}),
    "sparse": ((csc_matrix(digits()[0]), digits()[1]), {}),
    "no hidden layer": (digits(), {"hidden_layer_sizes": ()}),
    "three hidden layers": (digits(), {"hidden_layer_sizes": (16, 8, 8)}),
    "a last batch of 1": (digits(), {"batch_size": 599}),
    "batches of 1": (digits(60), {"batch_size": 1}),
    "no shuffle": (digits(), {"shuffle": False, "batch_size": 33}),
    "no penalty": (digits(), {"alpha": 0.0}),
    "large penalty": (digits(), {"alpha": 5.0}),
    "other moments": (digits(), {"beta_1": 0.0, "beta_2": 0.5, "epsilon": 1e-2}),
    "momentum of 1": (digits(), {"solver": "sgd", "momentum": 1.0, "learning_rate_init": 1e-4}),
    "pixels to 16": ((digits()[0] * 16, digits()[1]), {}),
    "weights": ((*digits(), WEIGHTS), {"batch_size": 50}),
    "negative weights": ((*digits(), -WEIGHTS - 0.5), {"batch_size": 50}),
    "some negative weights": ((*digits(), WEIGHTS - 0.7), {"batch_size": 50}),
    "negative weights, lbfgs": ((*digits(), -WEIGHTS), {"solver": "lbfgs", "max_iter": 20}),
    "weights, lbfgs": ((*digits(), WEIGHTS), {"solver": "lbfgs"}),
    "weights, sparse": ((csr_matrix(digits()[0]), digits()[1], WEIGHTS), {}),
    "sparse, lbfgs": ((csr_matrix(digits()[0]), digits()[1]), {"solver": "lbfgs"}),
    "probabilities of 0, lbfgs": (
        (digits()[0] * 200, digits()[1]),
        # After 20 scikit-learn itself, given the samples in reverse, is 4e-8 away.
        {"solver": "lbfgs", "max_iter": 14},
    ),
    "stopped": (digits(), {"early_stopping": True, "max_iter": 200, "n_iter_no_change": 5}),
    "two classes, stopped": (digits(300, 2), {"early_stopping": True, "n_iter_no_change": 5}),
    "weights, stopped": ((*digits(), WEIGHTS), {"early_stopping": True}),
    "labels, stopped": (
        make_multilabel_classification(200, random_state=0),
        {"early_stopping": True},
    ),
    "converged": (digits(), {"max_iter": 500, "tol": 1e-3, "n_iter_no_change": 5}),
}
REGRESSION = {
    "targets": (diabetes(3), {}),
    "targets, no penalty": (diabetes(3), {"alpha": 0.0}),
    "targets, lbfgs": (diabetes(3), {"solver": "lbfgs"}),
    "weights": ((*diabetes(), WEIGHTS[:442]), {"batch_size": 50}),
    "targets, weights, stopped": ((*diabetes(3), WEIGHTS[:442]), {"early_stopping": True}),
    "stopped": (diabetes(), {"early_stopping": True, "max_iter": 200}),
}


@pytest.mark.parametrize("case", CLASSIFICATION)
def test_classifier(case):
    data, parameters = CLASSIFICATION[case]
    theirs, ours = both(CLASSIFIERS, *data, **{**FIFTY, "hidden_layer_sizes": (20,), **parameters})
    assert_same(theirs, ours)
    X = data[0]
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-7)
    assert ours.predict(X).dtype == theirs.predict(X).dtype
    assert ours.score(X, data[1]) == theirs.score(X, data[1])


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("rows", [1, 100, 250])
@pytest.mark.parametrize("weight", [None, WEIGHTS], ids=["plain", "weights"])
def test_sparse_in_pieces(monkeypatch, rows, weight, solver):
    X, y = digits()
    monkeypatch.setattr(_data, "_PIECE_BYTES", rows * 64 * 8)
    parameters = {**FIFTY, "solver": solver, "hidden_layer_sizes": (20,), "batch_size": 70}
    sparse, dense = (
        fit(CLASSIFIERS[1](**parameters), data, y, weight) for data in (csr_array(X), X)
    )
    assert_same(dense, sparse, 1e-7 if solver == "lbfgs" else 1e-12)  # lbfgs sums in pieces
    np.testing.assert_array_equal(sparse.predict(csc_array(X)), dense.predict(X))


@pytest.mark.parametrize("case", REGRESSION)
def test_regressor(case):
    data, parameters = REGRESSION[case]
    theirs, ours = both(REGRESSORS, *data, **{**FIFTY, "hidden_layer_sizes": (20,), **parameters})
    assert_same(theirs, ours)
    np.testing.assert_allclose(ours.predict(data[0]), theirs.predict(data[0]), rtol=1e-6)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_poisson(solver):
    pytest.importorskip("sklearn", "1.7", "loss='poisson' is of scikit-learn 1.7")
    X, y = diabetes()
    parameters = {**FIFTY, "solver": solver, "loss": "poisson", "learning_rate_init": 0.01}
    theirs, ours = both(REGRESSORS, X, np.exp(y), hidden_layer_sizes=(20,), **parameters)
    assert_same(theirs, ours)


@pytest.mark.parametrize(
    "parameters",
    [{}, {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.5},
     {"early_stopping": True}],
    ids=["adam", "invscaling", "stopped"],
)  # fmt: skip
def test_warm_starts(parameters):
    X, y = digits()
    pair = [
        cls((20,), warm_start=True, random_state=0, max_iter=12, **parameters)
        for cls in CLASSIFIERS
    ]
    for _ in range(3):
        for estimator in pair:
            fit(estimator, X, y)
    assert_same(*pair)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("classes", [CLASSIFIERS, REGRESSORS], ids=["classifier", "regressor"])
def test_partial_fits(classes, solver):
    need_weights_of_theirs()
    X, y = digits()
    pair = [
        cls(hidden_layer_sizes=(20,), solver=solver, random_state=0, batch_size=32)
        for cls in classes
    ]
    for estimator in pair:
        first = {"classes": np.arange(10)} if classes is CLASSIFIERS else {}
        for k in range(6):
            weight = np.arange(1.0, 101.0) if k % 2 else None  # both kinds of epochs in turn
            estimator.partial_fit(X[100 * k :][:100], y[100 * k :][:100], weight, **first)
            first = {}
    assert_same(*pair)


def test_float32_to_its_rounding():
    X, y = digits()
    theirs, ours = both(CLASSIFIERS, X.astype(np.float32), y, hidden_layer_sizes=(20,), **FIFTY)
    assert_same(theirs, ours, rtol=1e-5)
    assert ours.predict_proba(X.astype(np.float32)).dtype == np.float32
    assert ours.predict_proba(X).dtype == np.float64


@pytest.mark.parametrize(("dtype", "scale"), [("float32", 16), ("float64", 1000)])
@pytest.mark.parametrize("n_classes", [2, 10])
def test_probabilities_near_0(dtype, scale, n_classes):
    X, y = digits(600, n_classes)
    X = (X * scale).astype(dtype)
    theirs, ours = both(CLASSIFIERS, X, y, max_iter=3, random_state=0)
    # With two classes theirs is log(1 - a) of a rounded a.
    rtol = 1e-3 if n_classes == 2 else 1e-5 if dtype == "float32" else 1e-8
    assert relative(ours.loss_curve_, theirs.loss_curve_) < rtol


def test_divergence_ends_as_theirs():
    X, y = diabetes()
    parameters = {"solver": "sgd", "learning_rate_init": 1.0, "max_iter": 20, "random_state": 0}
    for cls in REGRESSORS:
        with (
            pytest.raises(ValueError, match="non-finite parameter weights"),
            np.errstate(all="ignore"),
        ):
            fit(cls(**parameters), X * 1e3, y)
    with np.errstate(all="ignore"):
        theirs, ours = both(REGRESSORS, X * 1e3, y, early_stopping=True, **parameters)
    np.testing.assert_allclose(ours.validation_scores_, theirs.validation_scores_)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X))
