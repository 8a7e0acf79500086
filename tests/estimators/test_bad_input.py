"""Errors of scikit-learn's kind, and clear ones where its own leak from below."""

import numpy as np
import pytest
from pairs import CLASSIFIERS, REGRESSORS, diabetes, digits, fit, need_weights_of_theirs
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.utils._param_validation import InvalidParameterError

from bpcore import Callback
from bpcore.estimators import MLPClassifier, MLPRegressor

BOTH_KINDS = [(CLASSIFIERS, digits), (REGRESSORS, diabetes)]
PARAMETERS = [
    {"solver": "newton"}, {"alpha": -1}, {"alpha": "a"}, {"batch_size": 0}, {"batch_size": 1.5},
    {"learning_rate": "fast"}, {"learning_rate_init": 0}, {"max_iter": 0}, {"shuffle": "yes"},
    {"tol": -1}, {"momentum": 2}, {"validation_fraction": 1.0}, {"beta_1": 1.0}, {"beta_2": -1},
    {"epsilon": 0}, {"n_iter_no_change": 0}, {"max_fun": 0}, {"activation": "none"},
    {"hidden_layer_sizes": -1}, {"hidden_layer_sizes": (3, 0)}, {"random_state": "seed"},
    {"hidden_layer_sizes": None}, {"warm_start": 3},
]  # fmt: skip


@pytest.mark.parametrize(("classes", "data"), BOTH_KINDS, ids=["classifier", "regressor"])
@pytest.mark.parametrize("parameters", PARAMETERS, ids=str)
def test_parameters_as_theirs(classes, data, parameters):
    errors = []
    for cls in classes:
        with pytest.raises((ValueError, TypeError)) as caught:
            cls(**parameters).fit(*data())
        errors.append(caught.type)
    assert errors[0] is errors[1]


@pytest.mark.parametrize("sizes", ["3", 2.5, (2.5,), ["3"], (3, None), [[3, 4]], True, (True,)])
def test_hidden_sizes(sizes):
    with pytest.raises(InvalidParameterError, match="hidden_layer_sizes") as caught:
        MLPClassifier(hidden_layer_sizes=sizes).fit(*digits())
    assert repr(sizes) in str(caught.value)


X, Y = digits(100)
DATA = {
    "NaN": (np.where(X > 0.9, np.nan, X), Y),
    "Inf": (np.where(X > 0.9, np.inf, X), Y),
    "text": (X.astype(str).astype(object) + "a", Y),
    "one dimension": (X[0], Y[:64]),
    "three dimensions": (X.reshape(100, 8, 8), Y),
    "lengths": (X, Y[:-1]),
    "no samples": (X[:0], Y[:0]),
    "no features": (X[:, :0], Y),
    "complex": (X + 1j, Y),
    "NaN in y": (X, np.where(Y > 5, np.nan, Y.astype(float))),
    "no y": (X, None),
}


@pytest.mark.parametrize("case", DATA)
@pytest.mark.parametrize("classes", [CLASSIFIERS, REGRESSORS], ids=["classifier", "regressor"])
def test_data_as_theirs(classes, case):
    errors = []
    for cls in classes:
        with pytest.raises((ValueError, TypeError)) as caught:
            cls().fit(*DATA[case])
        message = str(caught.value).replace("MLPClassifier", "").replace("MLPRegressor", "")
        errors.append((caught.type, message))
    assert errors[0] == errors[1]


@pytest.mark.parametrize("weight", [[1.0], np.full(100, np.nan), np.ones((100, 2)), "a"], ids=repr)
def test_weights_as_theirs(weight):
    need_weights_of_theirs()
    errors = []
    for cls in CLASSIFIERS:
        with pytest.raises((ValueError, TypeError)) as caught:
            cls().fit(X, Y, sample_weight=weight)
        errors.append(caught.type)
    assert errors[0] is errors[1]


def test_masked_arrays():
    masked = np.ma.masked_greater(X, 0.9)
    with pytest.raises(ValueError, match="X is a masked array"):
        MLPClassifier().fit(masked, Y)
    with pytest.raises(ValueError, match="y is a masked array"):
        MLPClassifier().fit(X, np.ma.masked_greater(Y, 5))
    with pytest.raises(ValueError, match="sample_weight is a masked array"):
        MLPClassifier().fit(X, Y, np.ma.masked_greater(np.arange(100.0), 5))
    with pytest.raises(ValueError, match="X is a masked array"):
        MLPClassifier().fit(X, Y, validation_data=(masked, Y))
    with pytest.raises(ValueError, match="sample_weight is a masked array"):
        weight = np.ma.masked_greater(np.arange(100.0), 5)
        MLPClassifier().fit(X, Y, validation_data=(X, Y, weight))
    with pytest.raises(ValueError, match="classes is a masked array"):
        MLPClassifier().partial_fit(X, Y, classes=np.ma.masked_equal(np.arange(10), 3))
    with pytest.raises(ValueError, match="output_weight is a masked array"):
        MLPRegressor(output_weight=np.ma.masked_equal([1.0, 2.0], 2)).fit(X, np.c_[Y, Y])
    classifier = fit(MLPClassifier(max_iter=2), np.ma.array(X), Y)  # nothing masked
    regressor = fit(MLPRegressor(max_iter=2), X, Y)
    with pytest.raises(ValueError, match="X is a masked array"):
        classifier.predict(masked)
    for estimator in (classifier, regressor):
        with pytest.raises(ValueError, match="y is a masked array"):
            estimator.score(X, np.ma.masked_greater(Y, 5))
        with pytest.raises(ValueError, match="sample_weight is a masked array"):
            estimator.score(X, Y, np.ma.masked_greater(Y, 5))


class TestPredict:
    def test_before_fit(self):
        for method in ("predict", "predict_proba", "predict_log_proba"):
            with pytest.raises(NotFittedError):
                getattr(MLPClassifier(), method)(X)
        with pytest.raises(NotFittedError):
            _ = MLPRegressor().network_

    @pytest.mark.parametrize(
        "wrong", [X[:, :3], X[0], np.where(X > 0.9, np.nan, X), X[:0], X[:, :, None]]
    )
    def test_as_theirs(self, wrong):
        messages = []
        for cls in CLASSIFIERS:
            classifier = fit(cls(max_iter=2), X, Y)
            with pytest.raises(ValueError) as caught:
                classifier.predict(wrong)
            messages.append(str(caught.value))
        assert messages[0] == messages[1]


class TestFit:
    def test_activations(self):
        with pytest.raises(ValueError, match="2 hidden layers"):
            MLPClassifier((3, 4), activation=["relu"]).fit(X, Y)
        with pytest.raises(InvalidParameterError, match="'none'"):
            MLPClassifier((3,), activation=["none"]).fit(X, Y)

    def test_output_weights(self):
        with pytest.raises(ValueError, match="output_weight"):
            MLPRegressor(output_weight=[1.0, 2.0]).fit(X, Y)
        for wrong in ([-1.0], ["a"], [1j], [[1.0]], [np.nan]):
            with pytest.raises(ValueError, match="output_weight is"):
                MLPRegressor(output_weight=wrong).fit(X, Y)

    def test_poisson_of_negative_numbers(self):
        with pytest.raises(ValueError, match="-1"):
            MLPRegressor(loss="poisson").fit(X, Y - 1.0)

    @pytest.mark.parametrize("dtype", ["M8[D]", "m8[s]", "U3", "S3"])
    def test_targets_that_are_no_numbers(self, dtype):
        for cls in REGRESSORS:
            with pytest.raises(TypeError):
                cls().fit(X, Y.astype(dtype))

    def test_callbacks(self):
        with pytest.raises(TypeError, match="callback"):
            MLPClassifier(callbacks=[3]).fit(X, Y)

    def test_callbacks_that_nothing_would_call(self):
        class Steps(Callback):
            every = 2

        with pytest.raises(ValueError, match=r"Steps\.every is 2"):
            MLPClassifier(callbacks=[Steps()]).fit(X, Y)
        for parameters in ({"callbacks": [print]}, {"progress": True}):
            with pytest.raises(ValueError, match="lbfgs has no epochs"):
                MLPClassifier(solver="lbfgs", **parameters).fit(X, Y)

    def test_validation_data(self):
        with pytest.raises(TypeError, match="validation_data"):
            MLPClassifier().fit(X, Y, validation_data=X)
        with pytest.raises(ValueError, match="classes"):
            MLPClassifier().fit(X[:50], Y[:50] % 5, validation_data=(X, Y))
        with pytest.raises(ValueError, match="lbfgs"):
            MLPClassifier(solver="lbfgs").fit(X, Y, validation_data=(X, Y))
        with pytest.raises(ValueError, match="targets"):
            MLPRegressor().fit(X, Y, validation_data=(X, np.column_stack([Y, Y])))

    def test_another_network_in_a_warm_start(self):
        classifier = fit(MLPClassifier((4,), warm_start=True, max_iter=2), X, Y)
        with pytest.raises(ValueError, match="warm_start=False"):
            classifier.set_params(hidden_layer_sizes=(5,)).fit(X, Y)

    def test_unknown_classes(self):
        classifier = fit(MLPClassifier((4,), max_iter=2), X, Y % 5)
        with pytest.raises(ValueError, match="classes"):
            classifier.partial_fit(X, Y)

    def test_a_column_of_y(self):
        for cls in (MLPClassifier, MLPRegressor):
            with pytest.warns(DataConversionWarning):
                cls(hidden_layer_sizes=(4,), tol=10).fit(X, Y.reshape(-1, 1))

    def test_large_batches(self):
        with pytest.warns(UserWarning, match="Got `batch_size`.* from 1000 to 100") as caught:
            MLPClassifier((4,), tol=10, batch_size=1000).fit(X, Y)
        assert caught[0].filename == __file__

    @pytest.mark.parametrize(
        "parameters", [{"solver": "adam"}, {"solver": "lbfgs"}, {"batch_size": 999}], ids=str
    )
    def test_warnings_begin_as_theirs(self, parameters):
        """By that people filter them."""
        begins = []
        for cls in CLASSIFIERS:
            with pytest.warns(UserWarning) as caught:
                cls((4,), max_iter=2, random_state=0, **parameters).fit(X, Y)
            begins.append({str(warning.message)[:24] for warning in caught})
        assert begins[0] == begins[1]

    @pytest.mark.parametrize("solver", ["adam", "lbfgs"])
    def test_not_converged(self, solver):
        with pytest.warns(ConvergenceWarning, match="max_iter") as caught:
            MLPClassifier((4,), max_iter=2, solver=solver).fit(X, Y)
        assert caught[0].filename == __file__  # it points at who called fit

    def test_weights_that_are_all_zero(self):
        with pytest.raises(ValueError, match="times those of their classes, are 0"):
            MLPClassifier(class_weight=dict.fromkeys(range(10), 0.0)).fit(X, Y)
        weight = np.zeros(100)
        with pytest.raises(ValueError):  # where scikit-learn's check does not, ours says so
            MLPClassifier().fit(X, Y, weight)
        weight[0] = 1.0
        with pytest.raises(ValueError, match="held out to stop by all have the weight 0"):
            MLPClassifier(early_stopping=True, random_state=0).fit(X, Y, weight)

    def test_weights_of_a_batch_may_be_zero(self):
        labels = np.arange(100) % 5
        weight = np.repeat([1.0, 0.0], 50)
        parameters = {"hidden_layer_sizes": (4,), "max_iter": 3, "batch_size": 50}
        parameters |= {"shuffle": False, "random_state": 0, "solver": "sgd"}
        half = fit(MLPClassifier(**parameters), X, labels, weight)
        alone = fit(MLPClassifier(**parameters), X[:50], labels[:50])
        np.testing.assert_allclose(half.coefs_[0], alone.coefs_[0], rtol=1e-12)
