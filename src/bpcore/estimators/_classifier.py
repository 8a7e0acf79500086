"""MLPClassifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d, compute_sample_weight
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels
from sklearn.utils.validation import validate_data

from bpcore.estimators._base import _FLOATS, BaseMLP, refuse_masked

if TYPE_CHECKING:
    from bpcore.estimators._data import Data


class MLPClassifier(ClassifierMixin, BaseMLP):
    """A multi-layer perceptron that classifies: scikit-learn's MLPClassifier, trained by bpcore.

    The loss is the mean over the samples of -Σ y log a. Parameters up to `max_fun` are
    scikit-learn's and mean the same; those after it are new, and their defaults change nothing.

    Parameters
    ----------
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
    class_weight : dict, list of dict, "balanced" or None, default=None
        Weights of the classes, which multiply sample_weight; "balanced": n / (n_classes n_class).
    dropout : float, default=0.0
        Share of every hidden layer's outputs that is set to 0 in training, 0 to below 1.
    callbacks : list of `bpcore.Callback` or of callables, default=()
        Called with the state of the fit: `estimator`, `network`, `history`, `epoch`, and
        `stop_training` to set. A plain callable runs after every epoch.
    progress : bool, default=False
        A progress bar (extra `progress`).
    n_threads : int, optional
        Upper bound of the threads of a fit, by default BPCORE_NUM_THREADS or the processors there
        are, and no more than OMP_NUM_THREADS, by which joblib tells its processes their share.
        More than one take part where the batches have work for them and that is faster; the
        numbers are the same bits for any. Fits in threads of yours run side by side.
    dtype : {"float32", "float64"}, optional
        Of the weights and the arithmetic; by default that of X (float64 for lbfgs).

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
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
        The accuracy on the validation data, an epoch each, with early_stopping.
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
    out_activation_ : str
        softmax, or logistic for two classes and for several labels.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X had them.

    References
    ----------
    Glorot & Bengio, Understanding the difficulty of training deep feedforward neural networks,
    AISTATS 2010. Kingma & Ba, Adam: A method for stochastic optimization, ICLR 2015.
    Liu & Nocedal, On the limited memory BFGS method, Mathematical Programming 45, 1989.
    Srivastava et al., Dropout, JMLR 15, 2014.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from bpcore.estimators import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = MLPClassifier((16,), solver="lbfgs", random_state=0)
    >>> classifier.fit(X, y).score(X, y) > 0.95
    True
    >>> classifier.network_
    Network(4-16-3, relu, softmax, loss='cross_entropy', dtype='float64', 131 parameters)
    """

    _parameter_constraints: dict = {  # noqa: RUF012  scikit-learn reads it from the class
        **BaseMLP._parameter_constraints,
        "class_weight": [None, dict, list, StrOptions({"balanced"})],
    }
    _loss_name = "log_loss"

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        class_weight=None,
        dropout=0.0,
        callbacks=(),
        progress=False,
        n_threads=None,
        dtype=None,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.class_weight = class_weight
        self.dropout = dropout
        self.callbacks = callbacks
        self.progress = progress
        self.n_threads = n_threads
        self.dtype = dtype

    @available_if(lambda estimator: estimator._check_solver())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None, classes=None, *, validation_data=None):
        """Train one epoch more on X and y.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Not every class has to be in it.
        sample_weight : array-like of shape (n_samples,), optional
        classes : array-like of shape (n_classes,), optional
            All classes there are; the first call needs them.
        validation_data : tuple (X, y) or (X, y, sample_weight), optional
            Scored after the epoch, `validation_loss_curve_`. With early_stopping it decides in
            the place of the samples that would be held out.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Data that will not do; classes missing, or others than before; early_stopping after
            scores on other samples, as fit leaves them, without validation_data.

        Notes
        -----
        With early_stopping every call holds out validation_fraction of its samples, of which the
        same number is always parted alike: samples that are given again in the same order are
        either trained on or scored on. Once the score has not risen by tol in more than
        n_iter_no_change calls, `converged_` is True and the best weights are back. Callbacks and
        progress are fit's.
        """
        if _check_partial_fit_first_call(self, classes):
            self._label_binarizer = LabelBinarizer()
            multilabel = type_of_target(y).startswith("multilabel")
            self._label_binarizer.fit(y if multilabel else classes)
        return self._fit(X, y, sample_weight, validation_data, incremental=True)

    def predict(self, X):
        """Return the most probable class of every sample.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,), or (n_samples, n_classes) of 0 and 1 for several labels
        """
        return self._decoded(self._forward(X))

    def predict_proba(self, X):
        """Return the probability of every class.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        a = self._forward(X)
        if self.n_outputs_ == 1:
            a = a.ravel()
            return np.vstack([1 - a, a]).T
        return a

    def predict_log_proba(self, X):
        """Return the logarithm of `predict_proba`.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        a = self.predict_proba(X)
        return np.log(a, out=a)

    def _decoded(self, a: np.ndarray) -> Any:
        """Return the classes of outputs a."""
        if self._label_binarizer.y_type_ == "multiclass":
            return self.classes_[a.argmax(axis=1)]
        if self.n_outputs_ == 1:
            a = a.ravel()
            if len(self.classes_) == 2:
                return self.classes_[(a > 0.5).astype(np.intp)]
        return self._label_binarizer.inverse_transform(a)

    def _validate_input(self, X: Any, y: Any, incremental: bool, *, reset: bool) -> Any:
        """Return X, y and the number of outputs; learn the classes, or hold y to them."""
        X, y = self._checked(X, y, reset)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            classes = unique_labels(y)
            if self.warm_start:
                if set(classes) != set(self.classes_):
                    raise ValueError(
                        "warm_start can only be used where `y` has the same classes as in the "
                        f"previous call to fit. Previously got {self.classes_}, `y` has {classes}"
                    )
            else:
                self._check_classes(classes)
        if self._label_binarizer.y_type_ == "multiclass":
            return X, y, len(self.classes_)
        return X, y, y.shape[1] if y.ndim == 2 else 1

    def _checked(self, X: Any, y: Any, reset: bool) -> tuple[Any, Any]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            dtype=_FLOATS,
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y

    def _check_classes(self, classes: np.ndarray) -> None:
        unknown = np.setdiff1d(classes, self.classes_, assume_unique=True)
        if len(unknown):
            raise ValueError(f"y has the classes {unknown}, this classifier knows {self.classes_}")

    def _validate_held_out(self, X: Any, y: Any) -> tuple[Any, Any]:
        refuse_masked(X=X, y=y)
        X, y = self._checked(X, y, reset=False)
        self._check_classes(unique_labels(y))
        return X, y

    def _output_activation(self) -> str:
        return "softmax" if self._label_binarizer.y_type_ == "multiclass" else "logistic"

    def _targets(self, y: Any, dtype: np.dtype) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Return (rows, None), or (None, labels) where one of several classes is right."""
        if self._label_binarizer.y_type_ == "multiclass" and y.ndim == 1:
            return None, np.searchsorted(self.classes_, y).astype(np.int64, copy=False)
        return self._label_binarizer.transform(y).astype(dtype), None

    def _total_weight(self, y: Any, sample_weight: Any, incremental: bool) -> Any:
        """Return sample_weight times the weights of the classes."""
        if self.class_weight is None:
            return sample_weight
        if incremental and self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' needs all of y, which partial_fit does not see: give the "
                "weights as a dict, from sklearn.utils.class_weight.compute_class_weight"
            )
        weight = compute_sample_weight(self.class_weight, y)
        return weight if sample_weight is None else weight * sample_weight

    def _score(self, a: np.ndarray, data: Data) -> float:
        """Return the accuracy of outputs a."""
        if data.labels is not None:
            hits = a.argmax(axis=1) == data.labels
        else:
            hits = ((a > 0.5) == (data.rows > 0.5)).all(axis=1)
        return float(np.average(hits, weights=data.weight))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
