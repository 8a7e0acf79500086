"""The paragraphs that docstrings of both classes share."""

from __future__ import annotations

import re
from typing import Any, TypeVar

_Documented = TypeVar("_Documented", bound=Any)

_PARAGRAPHS = {
    "<parameters of scikit-learn's>": """\
hidden_layer_sizes : int or array-like of int, default=(100,)
    Units of each hidden layer; empty for none.
activation : str or list of str, default="relu"
    Of the hidden layers, one name for all or one for each: identity, logistic (sigmoid is the
    same), tanh, relu, and what scikit-learn lacks: leaky_relu, elu, selu, gelu, silu,
    softplus, softsign, hard_sigmoid, exp.
solver : {"adam", "sgd", "lbfgs"}, default="adam"
    The first two go through the data in batches, lbfgs takes all of them in every step.
alpha : float, default=0.0001
    Penalty: alpha / 2n ΣW² is added to the loss, n the samples of the batch (or the sum of
    their weights). Biases are free.
batch_size : int or "auto", default="auto"
    "auto": 200, or all samples if there are fewer.
learning_rate : {"constant", "invscaling", "adaptive"}, default="constant"
    For sgd. "invscaling": learning_rate_init / (t + 1)^power_t with t the samples seen at the
    end of the epoch before. "adaptive": divided by 5 instead of stopping, down to 1e-6.
learning_rate_init : float, default=0.001
    For sgd and adam.
power_t : float, default=0.5
    See learning_rate.
max_iter : int, default=200
    Epochs at most; iterations for lbfgs.
shuffle : bool, default=True
    A new order of the samples in every epoch.
random_state : int, RandomState or None, default=None
    What weights, shuffles, the held-out samples and dropout are drawn from, in scikit-learn's
    order: the same seed gives the same model.
tol : float, default=0.0001
    An epoch counts as an improvement if the loss falls, or the validation score rises, by
    this. For lbfgs the largest gradient to stop at.
verbose : bool or int, default=False
    Print the loss of every epoch.
warm_start : bool, default=False
    fit goes on from the weights that are there.
momentum : float, default=0.9
    For sgd, 0 to 1.
nesterovs_momentum : bool, default=True
    For sgd with momentum.
early_stopping : bool, default=False
    Hold out validation_fraction of the samples, stop by the score on them, and keep the
    weights that had the best one.
validation_fraction : float, default=0.1
    See early_stopping.
beta_1, beta_2 : float, default=0.9, 0.999
    For adam, 0 to below 1.
epsilon : float, default=1e-8
    For adam: added to √v, before the corrections for the start from zero.
n_iter_no_change : int or inf, default=10
    Stop after more epochs than these without an improvement.
max_fun : int, default=15000
    For lbfgs: evaluations of the loss at most.
""",
    "<parameters that are new>": """\
dropout : float, default=0.0
    Share of every hidden layer's outputs that is set to 0 in training, 0 to below 1.
callbacks : list of `bpcore.Callback` or of callables, default=()
    Called with the state of the fit: `estimator`, `network`, `history`, `epoch`, and
    `stop_training` to set. A plain callable runs after every epoch. Not for lbfgs.
progress : bool, default=False
    A progress bar (extra `progress`). Not for lbfgs.
n_threads : int, optional
    Upper bound of the threads of a fit, by default BPCORE_NUM_THREADS or the processors there
    are, and no more than OMP_NUM_THREADS, by which joblib tells its processes their share.
    More than one take part where the batches have work for them and that is faster; the
    numbers are the same bits for any. Fits in threads of yours run side by side.
dtype : {"float32", "float64"} or dtype, optional
    Of the weights and the arithmetic; by default that of X (float64 for lbfgs).
""",
    "<attributes>": """\
coefs_ : list of ndarray of shape (n_in, n_out)
    The weights: transposed views of `network_`'s, so a change of one is a change of the other.
intercepts_ : list of ndarray of shape (n_out,)
    The biases, views as well.
network_ : bpcore.Network
    The network inside, with its layers and their gradients.
loss_ : float
    The loss of the last epoch, penalty included; for lbfgs the lowest.
loss_curve_ : list of float
    The mean over the samples of the loss each batch had before its step, an epoch each. Not
    for lbfgs, as all of the following up to `validation_loss_curve_`.
best_loss_ : float or None
    The lowest of `loss_curve_`; None with early_stopping.
validation_scores_ : list of float or None
    The accuracy, or R², on the validation data, an epoch each, with early_stopping.
best_validation_score_ : float or None
    The highest of them.
validation_loss_curve_ : list of float
    The loss without penalty on the validation data, an epoch each, where there are any.
converged_ : bool
    Whether the last fit or partial_fit ended for want of improvement (lbfgs: of a slope).
t_ : int
    Samples seen in training.
n_iter_ : int
    Epochs of the last fit, or iterations of lbfgs.
n_layers_, n_outputs_ : int
    Layers, inputs and outputs counted; outputs.
n_features_in_ : int
feature_names_in_ : ndarray of str
    Only where X had them.
""",
    "<references>": """\
References
----------
Glorot & Bengio, Understanding the difficulty of training deep feedforward neural networks,
AISTATS 2010. Kingma & Ba, Adam: A method for stochastic optimization, ICLR 2015.
Liu & Nocedal, On the limited memory BFGS method, Mathematical Programming 45, 1989.
Srivastava et al., Dropout, JMLR 15, 2014.
""",
    "<validation_data>": """\
validation_data : tuple (X, y) or (X, y, sample_weight), optional
    Scored after the epoch, `validation_loss_curve_`. With early_stopping it decides in the place
    of the samples that would be held out.
""",
    "<holding out>": """\
Notes
-----
With early_stopping every call holds out validation_fraction of its samples, of which the same
number is always parted alike: samples that are given again in the same order are either trained
on or scored on. Once the score has not risen by tol in more than n_iter_no_change calls,
`converged_` is True and the best weights are back. Callbacks and progress are fit's.
""",
    "<data to score on>": """\
Parameters
----------
X : array-like or sparse matrix of shape (n_samples, n_features)
y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    What would be right.
sample_weight : array-like of shape (n_samples,), optional
""",
    "<probabilities>": """\
Parameters
----------
X : array-like or sparse matrix of shape (n_samples, n_features)

Returns
-------
ndarray of shape (n_samples, n_classes)
    In the order of `classes_`.
""",
}
_NAME = re.compile(rf"^( *)({'|'.join(map(re.escape, _PARAGRAPHS))})$", re.MULTILINE)


def documented(thing: _Documented) -> _Documented:
    """Put the paragraphs that the docstring of a class or a function names in their places."""

    def paragraph(match: re.Match[str]) -> str:
        lines = _PARAGRAPHS[match[2]].splitlines()
        return "\n".join(match[1] + line if line else "" for line in lines)

    if thing.__doc__ is not None:  # it is under python -OO
        thing.__doc__ = _NAME.sub(paragraph, thing.__doc__)
    return thing
