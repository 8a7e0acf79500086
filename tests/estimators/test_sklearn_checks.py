"""scikit-learn's checks of an estimator, none expected to fail."""

import pairs  # noqa: F401  skips all of this file where there is no scikit-learn
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from bpcore.estimators import MLPClassifier, MLPRegressor

ESTIMATORS = [
    MLPClassifier(),
    MLPRegressor(),
    MLPClassifier(solver="sgd", activation="gelu"),
    MLPRegressor(solver="lbfgs"),
    MLPRegressor(loss="log_cosh"),
]


# The checks do things to warn of: max_iter reached, a check that does not apply.
@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(ESTIMATORS)
def test_estimator(estimator, check):
    check(estimator)
