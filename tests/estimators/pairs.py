"""What the estimators' tests share: scikit-learn's class beside ours, fitted on the same data."""

import warnings

import numpy as np
import pytest
from helpers import NOT_INSTALLED

pytest.importorskip("sklearn", reason=NOT_INSTALLED.format("sklearn"))

import sklearn.neural_network
from sklearn.datasets import load_diabetes, load_digits
from sklearn.exceptions import ConvergenceWarning

from bpcore import estimators

CLASSIFIERS = (sklearn.neural_network.MLPClassifier, estimators.MLPClassifier)
REGRESSORS = (sklearn.neural_network.MLPRegressor, estimators.MLPRegressor)

FEW = {"hidden_layer_sizes": (16,), "max_iter": 20, "random_state": 0}


def digits(n=600, n_classes=10):
    X, y = load_digits(n_class=n_classes, return_X_y=True)
    return X[:n] / 16, y[:n]


def diabetes(n_targets=1):
    X, y = load_diabetes(return_X_y=True)
    y = (y - y.mean()) / y.std()
    return X, y if n_targets == 1 else np.column_stack([y, y[::-1] + X[:, 0], 2 * y])[:, :n_targets]


def fit(estimator, *data, **more):
    """Fit without a word about max_iter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(*data, **more)


def both(classes, X, y, sample_weight=None, **parameters):
    """Return (theirs, ours), fitted on the same data with the same parameters."""
    if sample_weight is not None:
        need_weights_of_theirs()
    weights = () if sample_weight is None else (sample_weight,)
    return tuple(fit(cls(**parameters), X, y, *weights) for cls in classes)


def need_weights_of_theirs():
    pytest.importorskip("sklearn", "1.7", "scikit-learn's two take sample_weight since 1.7")


def relative(ours, theirs):
    """Return the largest |ours - theirs| / |theirs|; inf where the shapes differ."""
    ours, theirs = np.atleast_1d(ours).astype(float), np.atleast_1d(theirs).astype(float)
    if ours.shape != theirs.shape:
        return np.inf
    error = np.abs(ours - theirs)
    return float(np.divide(error, np.abs(theirs), out=error, where=theirs != 0).max(initial=0))


def assert_same(theirs, ours, rtol=1e-8):
    """Curves and numbers agree to rtol, counts exactly, weights to their largest element."""
    for name in ("loss_curve_", "loss_", "best_loss_", "validation_scores_"):
        expected = getattr(theirs, name, None)
        if expected is None:
            assert getattr(ours, name, None) is None
        else:
            assert relative(getattr(ours, name), expected) < rtol, name
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "n_features_in_", "out_activation_"):
        assert getattr(ours, name) == getattr(theirs, name), name
    arrays = zip(theirs.coefs_ + theirs.intercepts_, ours.coefs_ + ours.intercepts_, strict=True)
    for expected, array in arrays:
        assert array.shape == expected.shape
        assert array.dtype == expected.dtype
        # A hundred times the curve's: a loss is a mean, a weight is one number.
        np.testing.assert_allclose(
            array, expected, rtol=0, atol=100 * rtol * max(np.abs(expected).max(), 1e-3)
        )


def numerical_slope(f, x, step=1e-5):
    return (f(x + step) - f(x - step)) / (2 * step)
