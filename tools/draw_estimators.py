"""Draw the pictures of docs/estimators.md: curves beside scikit-learn's, and learned weights.

python tools/draw_estimators.py          # writes docs/estimators-curves.png, -weights.png
"""

import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import sklearn.neural_network
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import MinMaxScaler

from bpcore import estimators

DOCS = Path(__file__).resolve().parents[1] / "docs"
STRATEGIES = {
    "constant": {"momentum": 0},
    "momentum": {"nesterovs_momentum": False},
    "Nesterov": {},
    "inverse scaling": {"learning_rate": "invscaling", "momentum": 0},
    "Adam": {"solver": "adam", "learning_rate_init": 0.01},
}


def fitted(module, strategy, max_iter, X, y):
    parameters = {"solver": "sgd", "learning_rate_init": 0.2, **STRATEGIES[strategy]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return module.MLPClassifier(random_state=0, max_iter=max_iter, **parameters).fit(X, y)


def draw_curves():
    """Every strategy of scikit-learn's gallery: its curve broad and pale, ours thin on top."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
    for ax, name, load, max_iter in (
        (axes[0], "iris", load_iris, 400),
        (axes[1], "digits", load_digits, 15),
    ):
        X, y = load(return_X_y=True)
        X = MinMaxScaler().fit_transform(X)
        largest = 0.0
        for k, strategy in enumerate(STRATEGIES):
            theirs = fitted(sklearn.neural_network, strategy, max_iter, X, y).loss_curve_
            ours = fitted(estimators, strategy, max_iter, X, y).loss_curve_
            largest = max(largest, np.abs(np.array(ours) / theirs - 1).max())
            epochs = np.arange(1, len(ours) + 1)
            ax.semilogy(epochs, theirs, color=f"C{k}", lw=6, alpha=0.25)
            ax.semilogy(epochs, ours, color=f"C{k}", lw=1.2, label=strategy)
        ax.set(title=f"{name}: largest relative difference {largest:.0e}", xlabel="epoch")
    axes[0].set_ylabel("loss_curve_")
    figure.legend(*axes[1].get_legend_handles_labels(), loc="outside right center")
    figure.savefig(DOCS / "estimators-curves.png", dpi=90)


def draw_weights():
    """What 32 hidden units of a digits network look for: the rows of the first layer's W."""
    X, y = load_digits(return_X_y=True)
    classifier = estimators.MLPClassifier((32,), alpha=1.0, max_iter=500, random_state=0)
    classifier.fit(X / 16, y)
    W = classifier.network_.layers[0].W
    figure, axes = plt.subplots(4, 8, figsize=(8, 4.2), layout="constrained")
    for ax, row in zip(axes.flat, W, strict=True):
        ax.imshow(row.reshape(8, 8), cmap="RdBu", vmin=-np.abs(W).max(), vmax=np.abs(W).max())
        ax.set_axis_off()
    figure.savefig(DOCS / "estimators-weights.png", dpi=80)


if __name__ == "__main__":
    draw_curves()
    draw_weights()
