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


CHECKS = parametrize_with_checks(ESTIMATORS)


# The checks do things to warn of: max_iter reached, a check that does not apply.
@pytest.mark.filterwarnings("ignore")
# A list of them: scikit-learn before 1.8 hands over a generator, which pytest 9 warns of.
@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_estimator(estimator, check):
    check(estimator)
