"""A pytest plugin that puts bpcore's estimators in the place of scikit-learn's two.

`python -m pytest -p rebind_mlp --pyargs sklearn.neural_network.tests.test_mlp` then runs
scikit-learn's own tests against them.
"""

import sys

import sklearn.neural_network

from bpcore.estimators import MLPClassifier, MLPRegressor

sklearn.neural_network.MLPClassifier = MLPClassifier
sklearn.neural_network.MLPRegressor = MLPRegressor


def pytest_terminal_summary(terminalreporter):
    name = sys.modules["sklearn.neural_network.tests.test_mlp"].MLPClassifier.__module__
    terminalreporter.write_line(f"MLPClassifier is {name}")
