"""The estimators beside scikit-learn's: the time of ours over theirs, in one process, in turn.

    python benchmarks/estimators.py                 # everything, some minutes
    python benchmarks/estimators.py --only digits --dtypes float32 --repeats 9

Needs `bpcore[sklearn]`. One thread each, except for the grid searches, which use two processes or
two threads; keep the machine otherwise idle. Each line is the median of the pairs' ratios, with
the lowest and the highest, and the median times.
"""

import argparse
import os
import platform
import statistics
import time
import warnings

import joblib
import numpy as np
import scipy
import sklearn
import sklearn.neural_network
from sklearn.datasets import load_diabetes, load_digits, load_iris, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

import bpcore
from bpcore import estimators

FIXED = {"random_state": 0, "tol": 0.0, "n_iter_no_change": 10**6}  # every epoch is run


def digits(dtype):
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(dtype), y


def letters(dtype):
    """20,000 samples of 16 numbers in 26 classes, as the UCI letters have."""
    X, y = make_classification(
        20_000, 16, n_informative=14, n_redundant=0, n_classes=26, n_clusters_per_class=1,
        random_state=0,
    )  # fmt: skip
    return X.astype(dtype), y


def fits(name, data, **parameters):
    """Return a case: fit theirs, fit ours."""

    def case(dtype):
        X, y, *weight = data(dtype)
        for module in (sklearn.neural_network, estimators):
            estimator = getattr(module, name)(**{**FIXED, **parameters})
            yield lambda estimator=estimator: estimator.fit(X, y, *weight)

    return case


def predictions(dtype):
    """Predict one row, a hundred times."""
    X, y = digits(dtype)
    for module in (sklearn.neural_network, estimators):
        fitted = module.MLPClassifier(max_iter=20, **FIXED).fit(X, y)
        yield lambda fitted=fitted: [fitted.predict(X[:1]) for _ in range(100)]


def searches(backend):
    """Return a case: a grid search of 16 small networks, two at a time."""

    def case(dtype):
        X, y = load_iris(return_X_y=True)
        X = X.astype(dtype)
        grid = {"alpha": [1e-4, 1e-3, 1e-2, 1e-1], "learning_rate_init": [0.001, 0.01]}
        for module in (sklearn.neural_network, estimators):
            estimator = module.MLPClassifier((8,), max_iter=200, **FIXED)
            search = GridSearchCV(estimator, grid, cv=2, refit=False)

            def run(search=search):
                with joblib.parallel_backend(backend, n_jobs=2):
                    search.fit(X, y)

            run()  # loky's processes import what they need
            yield run

    return case


def with_weights(data):
    def weighted(dtype):
        X, y = data(dtype)
        return X, y, np.random.default_rng(0).uniform(0.5, 2, len(X))

    return weighted


def diabetes(dtype):
    X, y = load_diabetes(return_X_y=True)
    return X.astype(dtype), y / 100


# name: (what it does, the factor that it is to stay below, the case)
CASES = {
    "digits": (
        "fit, 1797 × 64, hidden 100, Adam, batch 200, 50 epochs",
        1 / 4,
        fits("MLPClassifier", digits, max_iter=50),
    ),
    "letters": (
        "fit, 20,000 × 16, 26 classes, hidden 64, 64, batch 32, 5 epochs",
        1 / 10,
        fits("MLPClassifier", letters, hidden_layer_sizes=(64, 64), batch_size=32, max_iter=5),
    ),
    "predict": ("predict one row of digits, 100 times", 1 / 3, predictions),
    "loky": ("grid search of 16 small networks, 2 processes", 1 / 8, searches("loky")),
    "threads": ("grid search of 16 small networks, 2 threads", 1 / 8, searches("threading")),
    "weights": (
        "fit, digits with sample weights, 50 epochs",
        None,
        fits("MLPClassifier", with_weights(digits), max_iter=50),
    ),
    "sgd": (
        "fit, digits, sgd with Nesterov's momentum, batch 32, 20 epochs",
        None,
        fits("MLPClassifier", digits, solver="sgd", batch_size=32, max_iter=20),
    ),
    "lbfgs": (
        "fit, digits, lbfgs, 50 iterations",
        None,
        fits("MLPClassifier", digits, solver="lbfgs", max_iter=50),
    ),
    "regression": (
        "fit, diabetes 442 × 10, hidden 50, Adam, batch 32, 50 epochs",
        None,
        fits("MLPRegressor", diabetes, hidden_layer_sizes=(50,), batch_size=32, max_iter=50),
    ),
}


def seconds(run):
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def measure(case, dtype, repeats):
    """Return pairs (theirs, ours) of seconds, after one of each that does not count."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs, ours = case(dtype)
        theirs(), ours()
        return [(seconds(theirs), seconds(ours)) for _ in range(repeats)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--dtypes", nargs="+", choices=("float64", "float32"))
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    os.environ["PYTHONWARNINGS"] = "ignore"  # of loky's processes
    print(
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, "
        f"NumPy {np.__version__}, SciPy {scipy.__version__}, scikit-learn {sklearn.__version__}, "
        f"bpcore {bpcore.__version__} ({bpcore.cpu.level})\n"
    )
    print("| case | dtype | scikit-learn, ms | bpcore, ms | ratio (lowest to highest) | wanted |")
    print("|---|---|---|---|---|---|")
    for name in arguments.only:
        what, wanted, case = CASES[name]
        for dtype in arguments.dtypes or ("float64", "float32"):
            pairs = measure(case, dtype, arguments.repeats)
            ratios = sorted(ours / theirs for theirs, ours in pairs)
            theirs, ours = (1e3 * statistics.median(side) for side in zip(*pairs, strict=True))
            print(
                f"| {what} | {dtype} | {theirs:.2f} | {ours:.2f} | "
                f"{statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f}) | "
                f"{'' if wanted is None else f'{wanted:.3f}'} |",
                flush=True,
            )


if __name__ == "__main__":
    with threadpool_limits(1):  # of NumPy's and SciPy's BLAS
        main()
