"""What users put around an estimator: pipelines, searches, pickles, threads, routing."""

import copy
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest
from helpers import optional
from pairs import CLASSIFIERS, diabetes, digits, fit
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingClassifier, StackingClassifier
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_score, learning_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bpcore.estimators import MLPClassifier, MLPRegressor

joblib = optional("joblib")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def small(**parameters):
    return MLPClassifier((8,), max_iter=10, random_state=0, learning_rate_init=0.05, **parameters)


class TestCopies:
    @pytest.mark.parametrize(
        "copied",
        [copy.copy, copy.deepcopy, lambda estimator: pickle.loads(pickle.dumps(estimator))],
        ids=["copy", "deepcopy", "pickle"],
    )
    def test_goes_on_like_the_original(self, copied):
        X, y = digits()
        classifier = fit(small(), X, y)
        twin = copied(classifier)
        np.testing.assert_array_equal(twin.predict_proba(X), classifier.predict_proba(X))
        classifier.partial_fit(X, y)
        twin.partial_fit(X, y)
        assert twin.loss_curve_ == classifier.loss_curve_
        twin.network_.parameters[...] = 0
        assert classifier.coefs_[0].any()

    @pytest.mark.parametrize("mmap_mode", [None, "r"])
    def test_joblib_file(self, tmp_path, mmap_mode):
        X, y = digits()
        classifier = fit(small(), X, y)
        joblib.dump(classifier, tmp_path / "mlp.joblib")
        loaded = joblib.load(tmp_path / "mlp.joblib", mmap_mode=mmap_mode)
        np.testing.assert_array_equal(loaded.predict_proba(X), classifier.predict_proba(X))
        loaded.partial_fit(X, y)

    def test_clone_is_unfitted(self):
        twin = clone(fit(small(class_weight={0: 2.0}), *digits()))
        assert not hasattr(twin, "coefs_")
        assert twin.class_weight == {0: 2.0}


class TestTools:
    def test_pipeline_and_dataframe(self):
        pandas = optional("pandas")
        X, y = digits()
        frame = pandas.DataFrame(X, columns=[f"pixel {k}" for k in range(64)])
        classifier = fit(small(early_stopping=True), frame, y)
        assert list(classifier.feature_names_in_) == list(frame.columns)
        np.testing.assert_array_equal(
            classifier.predict(frame), classifier._decoded(classifier.network_.predict(X))
        )
        with pytest.warns(UserWarning, match="feature names"):
            classifier.predict(X)
        pipeline = make_pipeline(StandardScaler(), small()).set_output(transform="pandas")
        assert pipeline.fit(frame, y).score(frame, y) > 0.8

    @pytest.mark.parametrize("backend", ["threading", "loky"])
    def test_grid_search(self, backend):
        X, y = digits(300)
        grid = {"alpha": [1e-4, 1.0], "hidden_layer_sizes": [(4,), (8,)]}
        results = []
        for cls in CLASSIFIERS:
            estimator = cls(max_iter=5, random_state=0)
            with joblib.parallel_backend(backend, n_jobs=2):
                search = GridSearchCV(estimator, grid, cv=2).fit(X, y)
            results.append(search.cv_results_["mean_test_score"])
        np.testing.assert_allclose(results[1], results[0])

    def test_scores(self):
        X, y = digits(300)
        assert cross_val_score(small(), X, y, cv=3).shape == (3,)
        sizes, train, test = learning_curve(small(), X, y, cv=2, train_sizes=[0.5, 1.0])
        assert train.shape == test.shape == (len(sizes), 2)
        importance = permutation_importance(fit(small(), X, y), X[:100], y[:100], n_repeats=2)
        assert importance.importances_mean.shape == (64,)

    def test_meta_estimators(self):
        X, y = digits(300, 3)
        for meta in (
            CalibratedClassifierCV(small(), cv=2),
            BaggingClassifier(small(), n_estimators=2),
            StackingClassifier([("mlp", small())], cv=2),
        ):
            assert meta.fit(X, y).score(X, y) > 0.8
        X, y = diabetes()
        regressor = MLPRegressor("squared_error", (8,), solver="lbfgs", max_iter=50, random_state=0)
        wrapped = TransformedTargetRegressor(regressor, transformer=StandardScaler())
        assert wrapped.fit(X, 100 * y).score(X, 100 * y) > 0.4

    def test_metadata_routing(self):
        X, y = digits(300)
        weight = np.arange(300) % 3 + 1.0
        with config_context(enable_metadata_routing=True):
            estimator = small().set_fit_request(sample_weight=True)
            estimator = estimator.set_score_request(sample_weight=True)
            routed = cross_val_score(estimator, X, y, cv=2, params={"sample_weight": weight})
        plain = cross_val_score(small(), X, y, cv=2)
        assert not np.array_equal(routed, plain)


class TestThreads:
    def test_fits_side_by_side(self):
        X, y = digits()
        expected = fit(small(), X, y).loss_curve_
        estimators = [small() for _ in range(4)]
        threads = [threading.Thread(target=e.fit, args=(X, y)) for e in estimators]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(e.loss_curve_ == expected for e in estimators)

    def test_predictions_from_one(self):
        X, y = digits()
        classifier = fit(small(), X, y)
        expected = classifier.predict(X)
        results = joblib.Parallel(4, prefer="threads")(
            joblib.delayed(classifier.predict)(X) for _ in range(16)
        )
        assert all(np.array_equal(result, expected) for result in results)


def test_the_library_itself_needs_no_scikit_learn():
    code = """
import sys
import bpcore
assert not any(name.partition(".")[0] in ("sklearn", "scipy") for name in sys.modules)
sys.modules["sklearn"] = None
try:
    import bpcore.estimators
except ImportError as error:
    assert 'pip install "bpcore[sklearn]"' in str(error), error
else:
    raise AssertionError("bpcore.estimators came without scikit-learn")
"""
    subprocess.run([sys.executable, "-c", code], check=True)
