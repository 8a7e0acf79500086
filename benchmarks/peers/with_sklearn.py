"""scikit-learn's MLPs: `partial_fit` on all rows is an epoch of mini-batches in their order.

Its squared error is 1/2 of the mean over the outputs where it is reported, and has the gradient of
1/2 of their sum: half of ours. Twice the learning rate makes the steps of SGD the same; for Adam,
which divides the scale out, half of ε does. Its ε is added before the bias correction, which moves
the weights a little otherwise in the first steps.
"""

from dataclasses import replace

import numpy as np
import sklearn
from sklearn.neural_network import MLPClassifier, MLPRegressor

HIDDEN = {"identity": "identity", "sigmoid": "logistic", "tanh": "tanh", "relu": "relu"}


def version():
    return sklearn.__version__


def estimator(case):
    """Return an estimator of the case, begun and with its initial parameters.

    Raises
    ------
    NotImplementedError
        An activation or a pair of output and loss that scikit-learn has not.
    """
    kind = case.output, case.loss
    regression = case.loss == "squared_error"
    makes = {("identity", "squared_error"), ("softmax", "cross_entropy")}
    if case.sizes[-1] == 1:
        makes.add(("sigmoid", "binary_cross_entropy"))
    if case.hidden not in HIDDEN or kind not in makes:
        raise NotImplementedError(f"scikit-learn has no {case.hidden} + {' + '.join(kind)}")
    settings = {
        "hidden_layer_sizes": case.sizes[1:-1],
        "activation": HIDDEN[case.hidden],
        "solver": case.optimizer.lower(),
        "learning_rate_init": case.learning_rate,
        "batch_size": case.batch_size,
        "alpha": 0.0,
        "momentum": 0.0,
        "shuffle": False,
        "random_state": 0,
    }
    if regression:
        scale = {"sgd": {"learning_rate_init": 2 * case.learning_rate}, "adam": {"epsilon": 5e-9}}
        settings |= scale[settings["solver"]]
    net = (MLPRegressor if regression else MLPClassifier)(**settings)
    net.partial_fit(*targets(case, *case.data(1)), **classes(case))
    reset(net, case)
    return net


def reset(net, case):
    """Set the initial parameters, and have the next call make a new optimiser."""
    for k, (W, b) in enumerate(case.initial_parameters()):
        net.coefs_[k], net.intercepts_[k] = W.T.copy(), b
    del net._optimizer


def targets(case, X, Y):
    """Return X and Y as scikit-learn takes them."""
    return X, Y[:, 0] if Y.ndim == 2 and Y.shape[1] == 1 else Y


def classes(case):
    """Return the argument that tells a classifier its classes."""
    if case.loss == "squared_error":
        return {}
    return {"classes": np.arange(max(2, case.sizes[-1]))}


class Training:
    def __init__(self, case, threads):
        self.case, self.net, self.classes = case, estimator(case), classes(case)

    def load(self, X, Y):
        return targets(self.case, X, Y)

    def reset(self):
        if hasattr(self.net, "_optimizer"):
            reset(self.net, self.case)

    def train(self, data):
        self.net.partial_fit(*data, **self.classes)

    def parameters(self):
        pairs = zip(self.net.coefs_, self.net.intercepts_, strict=True)
        return [(W.T, b) for W, b in pairs]


class Prediction:
    def __init__(self, case, threads):
        output = case.output
        if output == "tanh":  # only an attribute away: predict applies whatever stands there
            case = replace(case, output="identity")
        net = estimator(case)
        net.out_activation_ = HIDDEN.get(output, output)
        predict = net.predict_proba if output == "softmax" else net.predict
        one = case.batch_size == 1
        self.call = (lambda x: predict(x[np.newaxis])[0]) if one else predict
