"""The training curves that scikit-learn's gallery documents, to the six decimals it prints."""

import pytest
from pairs import fit
from sklearn.datasets import load_digits, load_iris
from sklearn.preprocessing import MinMaxScaler

from bpcore.estimators import MLPClassifier

STRATEGIES = {
    "constant": {"momentum": 0},
    "momentum": {"nesterovs_momentum": False},
    "Nesterov": {},
    "inverse scaling": {"learning_rate": "invscaling", "momentum": 0},
    "inverse scaling, momentum": {"learning_rate": "invscaling", "nesterovs_momentum": False},
    "inverse scaling, Nesterov": {"learning_rate": "invscaling"},
    "Adam": {"solver": "adam", "learning_rate_init": 0.01},
}
# auto_examples/neural_networks/plot_mlp_training_curves of scikit-learn 1.9
PRINTED = {
    ("iris", "constant"): "0.980000 0.096950",
    ("iris", "momentum"): "0.980000 0.049530",
    ("iris", "Nesterov"): "0.980000 0.049540",
    ("iris", "inverse scaling"): "0.360000 0.978444",
    ("iris", "inverse scaling, momentum"): "0.860000 0.504185",
    ("iris", "inverse scaling, Nesterov"): "0.860000 0.503452",
    ("iris", "Adam"): "0.980000 0.045311",
    ("digits", "constant"): "0.956038 0.243802",
    ("digits", "momentum"): "0.992766 0.041297",
    ("digits", "Nesterov"): "0.993879 0.042898",
    ("digits", "inverse scaling"): "0.638843 1.855465",
    ("digits", "inverse scaling, momentum"): "0.909293 0.318387",
    ("digits", "inverse scaling, Nesterov"): "0.912632 0.290584",
    ("digits", "Adam"): "0.991653 0.045934",
}


@pytest.mark.parametrize(("dataset", "strategy"), PRINTED)
def test_score_and_loss(dataset, strategy):
    load, epochs = {"iris": (load_iris, 400), "digits": (load_digits, 15)}[dataset]
    X, y = load(return_X_y=True)
    X = MinMaxScaler().fit_transform(X)
    parameters = {"solver": "sgd", "learning_rate_init": 0.2, **STRATEGIES[strategy]}
    classifier = fit(MLPClassifier(random_state=0, max_iter=epochs, **parameters), X, y)
    printed = f"{classifier.score(X, y):.6f} {classifier.loss_:.6f}"
    assert printed == PRINTED[dataset, strategy]
