"""From scikit-learn's fitted estimators and back: weights, curves, and the solver's state."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import sklearn.neural_network
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer
from sklearn.utils.validation import check_is_fitted

from bpcore.estimators._lbfgs import packed_order
from bpcore.estimators._rules import SGD, Adam, rule_of

if TYPE_CHECKING:
    from bpcore.network import Network

_ACTIVATIONS = {"identity": "identity", "sigmoid": "logistic", "tanh": "tanh", "relu": "relu"}
# Fitted attributes that only one of the two has, or that are converted one by one.
_APART = ("coefs_", "intercepts_", "validation_loss_curve_", "converged_")


def peer_of(cls: type) -> Any:
    """Return scikit-learn's class of the same name."""
    for ours in cls.__mro__:
        if hasattr(sklearn.neural_network, ours.__name__):
            return getattr(sklearn.neural_network, ours.__name__)
    raise TypeError(f"scikit-learn has no estimator like {cls.__name__}")


def from_sklearn(cls: type, fitted: Any) -> Any:
    """Return an estimator of `cls` that predicts and trains on as `fitted` would."""
    if not isinstance(fitted, peer_of(cls)):
        raise TypeError(
            f"fitted is a {type(fitted).__module__}.{type(fitted).__name__}, wanted scikit-learn's "
            f"{peer_of(cls).__name__}"
        )
    check_is_fitted(fitted)
    estimator = cls(**fitted.get_params(deep=False))
    _copy_attributes(fitted, estimator)
    estimator.coefs_ = [np.array(W) for W in fitted.coefs_]
    estimator.intercepts_ = [np.array(b) for b in fitted.intercepts_]
    estimator._bind()
    network = estimator._network
    if hasattr(fitted, "_best_coefs"):
        estimator._best_parameters = _flat(network, fitted._best_coefs, fitted._best_intercepts)
    theirs = getattr(fitted, "_optimizer", None)
    if theirs is not None:
        estimator._optimizer = _rule(estimator, network, theirs)
    return estimator


def to_sklearn(estimator: Any) -> Any:
    """Return scikit-learn's estimator that predicts and trains on as `estimator` would."""
    estimator._check_fitted()
    estimator._bind()
    network = estimator._network
    activations = {layer.activation for layer in network.layers[:-1]}
    if len(activations) > 1 or not activations <= set(_ACTIVATIONS):
        raise ValueError(
            f"activation is {estimator.activation!r}, which scikit-learn does not have; it has "
            "identity, logistic, tanh and relu, one for all hidden layers"
        )
    peer = peer_of(type(estimator))
    given = estimator.get_params(deep=False)
    names = peer._get_param_names()
    losses = ["log_loss", "squared_error"] + ["poisson"] * ("loss" in names)  # since 1.7
    if estimator._loss_name not in losses:
        raise ValueError(
            f"loss is {estimator._loss_name!r}, which scikit-learn {sklearn.__version__} does not "
            f"have; it has {', '.join(losses)}"
        )
    converted = peer(**{name: given[name] for name in names})
    for name in activations:
        converted.activation = _ACTIVATIONS[name]
    _copy_attributes(estimator, converted)
    n_layers = len(network.layers)
    arrays = _arrays(network, network.parameters)
    converted.coefs_, converted.intercepts_ = arrays[:n_layers], arrays[n_layers:]
    best = getattr(estimator, "_best_parameters", None)
    if best is not None and not np.array_equal(best, network.parameters):
        arrays = _arrays(network, best)
    # Weights that were put back are the same lists there, which the next warm start changes.
    converted._best_coefs, converted._best_intercepts = arrays[:n_layers], arrays[n_layers:]
    rule = getattr(estimator, "_optimizer", None)
    if rule is not None:
        converted._optimizer = _optimizer(estimator, network, rule, converted)
    return converted


def _copy_attributes(source: Any, target: Any) -> None:
    """Copy fitted attributes that both have under the same name."""
    private = ("_label_binarizer", "_no_improvement_count", "_random_state")
    for name, value in vars(source).items():
        if name in private or (
            name.endswith("_") and not name.startswith("_") and name not in _APART
        ):
            setattr(target, name, copy.deepcopy(value))


def _flat(network: Network, coefs: list[np.ndarray], intercepts: list[np.ndarray]) -> np.ndarray:
    """Return (n_in, n_out) arrays and biases as one vector in the network's order."""
    vector = np.empty_like(network.parameters)
    vector[packed_order(network)] = np.concatenate([np.ravel(p) for p in (*coefs, *intercepts)])
    return vector


def _arrays(network: Network, vector: np.ndarray) -> list[np.ndarray]:
    """Return a vector in the network's order as (n_in, n_out) arrays, then biases; copies."""
    packed, arrays, start = vector[packed_order(network)], [], 0
    shapes = [layer.W.T.shape for layer in network.layers]
    shapes += [layer.b.shape for layer in network.layers]
    for shape in shapes:
        stop = start + int(np.prod(shape))
        arrays.append(packed[start:stop].reshape(shape).copy())
        start = stop
    return arrays


def _rule(estimator: Any, network: Network, theirs: Any) -> SGD | Adam:
    """Return scikit-learn's optimiser as ours, state included."""
    n_layers = len(network.layers)
    rule = rule_of(estimator, network.parameters)
    if isinstance(rule, Adam):
        scale = rule.gradient_scale
        rule.t = theirs.t
        rule.m = scale * _flat(network, theirs.ms[:n_layers], theirs.ms[n_layers:])
        rule.v = scale**2 * _flat(network, theirs.vs[:n_layers], theirs.vs[n_layers:])
    elif rule.velocity is not None:
        v = theirs.velocities
        rule.velocity = _flat(network, v[:n_layers], v[n_layers:])
    rule.learning_rate = float(theirs.learning_rate)
    return rule


def _optimizer(estimator: Any, network: Network, rule: SGD | Adam, converted: Any) -> Any:
    """Return ours as scikit-learn's."""
    parameters = converted.coefs_ + converted.intercepts_
    if isinstance(rule, Adam):
        settings = (rule.learning_rate_init, rule.beta_1, rule.beta_2, rule.epsilon)
        theirs: Any = AdamOptimizer(parameters, *settings)
        theirs.t = rule.t
        scale = rule.gradient_scale
        theirs.ms = _arrays(network, rule.m / scale)
        theirs.vs = _arrays(network, rule.v / scale**2)
    else:
        theirs = SGDOptimizer(
            parameters,
            rule.learning_rate_init,
            rule.schedule,
            rule.momentum,
            rule.nesterov,
            rule.power_t,
        )
        if rule.velocity is not None:
            theirs.velocities = _arrays(network, rule.velocity)
    theirs.learning_rate = rule.learning_rate
    return theirs
