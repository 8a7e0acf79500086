"""What tests share: the gradient check of every derivative, cases to check it on, a stand-in."""

import threading

import numpy as np
import pytest

# The tests of an installation without extras tell what they leave out. CI installs the extra
# `test`, which brings all of these modules, and so leaves out nothing.
NOT_INSTALLED = "{} is optional; the extra `test` installs it"


def optional(name):
    """Return a module that bpcore can do without, or skip the test."""
    return pytest.importorskip(name, reason=NOT_INSTALLED.format(name))


def squared(a, y):
    """Return the squared error, a mean over samples, and ∂C/∂a: a loss of one's own."""
    with np.errstate(over="ignore"):  # of the tests that diverge
        return float(np.square(a - y).sum() / len(a)), 2 * (a - y) / len(a)


def numerical_gradient(f, x, step=1e-3):
    """Return the gradient of a function by fourth-order central differences, in float64.

    ∂f/∂x_k = (8 (f(x + h e_k) - f(x - h e_k)) - (f(x + 2h e_k) - f(x - 2h e_k))) / 12h + O(h⁴)

    Parameters
    ----------
    f : callable
        Takes an array of the shape of `x`, returns a number. What it is given changes afterwards.
    x : array_like
        Where the gradient is taken; f must be smooth within 2 `step` of it, so keep off kinks.
    step : float
        h. The default balances the error of the formula, of order h⁴ ∂⁵f, with the rounding of f,
        of order 2e-16 f / h, for x and derivatives of order 1.

    Returns
    -------
    numpy.ndarray of float64, of the shape of `x`
    """
    x = np.array(x, dtype=np.float64)
    gradient = np.empty_like(x)
    for k in np.ndindex(x.shape):
        centre = x[k]
        values = []
        for shift in (step, -step, 2 * step, -2 * step):
            x[k] = centre + shift
            values.append(float(f(x)))
        x[k] = centre
        gradient[k] = (8 * (values[0] - values[1]) - (values[2] - values[3])) / (12 * step)
    return gradient


def relative_error(actual, desired):
    """Return max |actual - desired| / max(|actual|, |desired|), over whole arrays; 0 for 0 and 0.

    Relative to the largest element, not element by element: those near 0 hold no more digits than
    that. NaN anywhere gives NaN, which no bound lets pass.
    """
    actual, desired = np.asarray(actual, np.float64), np.asarray(desired, np.float64)
    if actual.shape != desired.shape:
        raise AssertionError(f"actual has shape {actual.shape}, desired {desired.shape}")
    if actual.size == 0:
        return 0.0
    size = max(np.abs(actual).max(), np.abs(desired).max())
    error = np.abs(actual - desired).max()
    return float(error / size) if size != 0 else 0.0


# Where an activation, or a loss as a function of e = a - y or of a, is not smooth.
KINKS = {
    "relu": (0.0,),
    "leaky_relu": (0.0,),
    "elu": (0.0,),
    "selu": (0.0,),
    "hard_sigmoid": (-3.0, 3.0),
}
ERROR_KINKS = {"mean_absolute_error": (0.0,), "huber": (-1.0, 1.0)}
LOG_KINKS = {"poisson": (0.0,), "binary_cross_entropy": (0.0, 1.0), "cross_entropy": (0.0,)}


def distance_to_kinks(network, y):
    """Return how far the last forward kept from every kink of the activations and the loss.

    Parameters
    ----------
    network : Network
        With the `activation`, `z` and `a` of its `layers`, and its `loss` by name.
    y : numpy.ndarray of shape (n, n_outputs)
        The targets as rows.

    Returns
    -------
    float
        inf for a network and a loss without kinks. The logarithm of an output counts a third of
        its distance: it grows steep long before its end.
    """
    last = network.layers[-1]
    places = [
        np.abs(layer.z - kink)
        for layer in network.layers
        for kink in KINKS.get(layer.activation, ())
    ]
    places += [np.abs(last.a - y - kink) for kink in ERROR_KINKS.get(network.loss, ())]
    fused = (last.activation, network.loss) in (
        ("softmax", "cross_entropy"),
        ("sigmoid", "binary_cross_entropy"),
    )
    if not fused:
        places += [np.abs(last.a - kink) / 3 for kink in LOG_KINKS.get(network.loss, ())]
    return min((float(place.min()) for place in places), default=np.inf)


def targets_for(loss, n, n_outputs, rng):
    """Return random targets from the inside of the loss's domain, (n, n_outputs) float64 rows."""
    if loss == "cross_entropy":
        return rng.dirichlet(np.ones(n_outputs), n)
    if loss == "binary_cross_entropy":
        return rng.uniform(0.05, 0.95, (n, n_outputs))
    if loss == "poisson":
        return rng.uniform(0.1, 3, (n, n_outputs))
    return rng.standard_normal((n, n_outputs))


def foreign_copy(configuration):
    """Another class of the same name with the same attributes: what a compiled optimiser shows."""
    foreign = type(type(configuration).__name__, (), {})()
    vars(foreign).update(vars(configuration))
    return foreign


def hired():
    """The threads of all teams."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("bpcore")]
