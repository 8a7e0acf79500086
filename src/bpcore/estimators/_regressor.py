"""MLPRegressor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data

from bpcore.estimators._base import _FLOATS, BaseMLP, refuse_masked

if TYPE_CHECKING:
    from bpcore.estimators._data import Data

_LOSSES = {"squared_error", "poisson", "absolute_error", "huber", "log_cosh"}


class MLPRegressor(RegressorMixin, BaseMLP):
    """A multi-layer perceptron for numbers: scikit-learn's MLPRegressor, trained by bpcore.

    Parameters up to `max_fun` are scikit-learn's and mean the same; those after it are new, and
    their defaults change nothing.

    Parameters
    ----------
    loss : str, default="squared_error"
        With e = a - y: squared_error, half the mean over the outputs of e²; poisson, Σ y log(y/a)
        - y + a with exp as the last activation; and what scikit-learn lacks: absolute_error,
        Σ |e|; huber, Σ e²/2 up to |e| = 1 and |e| - 1/2 beyond; log_cosh, Σ log cosh e.
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
    output_weight : array-like of shape (n_outputs,), optional
        Factors of the outputs' losses.
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
        R² on the validation data, an epoch each, with early_stopping.
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
        identity, or exp for poisson.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X had them.

    Notes
    -----
    The gradient of squared_error is that of half the *sum* over the outputs, as in scikit-learn.

    References
    ----------
    Glorot & Bengio, Understanding the difficulty of training deep feedforward neural networks,
    AISTATS 2010. Kingma & Ba, Adam: A method for stochastic optimization, ICLR 2015.
    Liu & Nocedal, On the limited memory BFGS method, Mathematical Programming 45, 1989.
    Srivastava et al., Dropout, JMLR 15, 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from bpcore.estimators import MLPRegressor
    >>> X = np.linspace(-1, 1, 101).reshape(-1, 1)
    >>> regressor = MLPRegressor(hidden_layer_sizes=(16,), activation="tanh", solver="lbfgs",
    ...                          max_iter=1000, random_state=0)
    >>> regressor.fit(X, np.sin(3 * X[:, 0])).score(X, np.sin(3 * X[:, 0])) > 0.99
    True
    """

    _parameter_constraints: dict = {  # noqa: RUF012  scikit-learn reads it from the class
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions(_LOSSES)],
        "output_weight": [None, "array-like"],
    }

    def __init__(
        self,
        loss="squared_error",
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
        output_weight=None,
        dropout=0.0,
        callbacks=(),
        progress=False,
        n_threads=None,
        dtype=None,
    ):
        self.loss = loss
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
        self.output_weight = output_weight
        self.dropout = dropout
        self.callbacks = callbacks
        self.progress = progress
        self.n_threads = n_threads
        self.dtype = dtype

    @available_if(lambda estimator: estimator._check_solver())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None, *, validation_data=None):
        """Train one epoch more on X and y.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), optional
        validation_data : tuple (X, y) or (X, y, sample_weight), optional
            Scored after the epoch, `validation_loss_curve_`. With early_stopping it decides in
            the place of the samples that would be held out.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Data that will not do; early_stopping after scores on other samples, as fit leaves
            them, without validation_data.

        Notes
        -----
        With early_stopping every call holds out validation_fraction of its samples, of which the
        same number is always parted alike: samples that are given again in the same order are
        either trained on or scored on. Once the score has not risen by tol in more than
        n_iter_no_change calls, `converged_` is True and the best weights are back. Callbacks and
        progress are fit's.
        """
        return self._fit(X, y, sample_weight, validation_data, incremental=True)

    def predict(self, X):
        """Return the network's outputs.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        a = self._forward(X)
        return a.ravel() if a.shape[1] == 1 else a

    @property
    def _loss_name(self) -> str:
        return self.loss

    def _validate_input(self, X: Any, y: Any, incremental: bool, *, reset: bool) -> Any:
        """Return X, y as rows and the number of outputs."""
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=True,
            dtype=_FLOATS,
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if self.loss == "poisson" and y.min() < 0:
            raise ValueError(f"y holds {y.min()}, loss='poisson' wants counts or rates, 0 or more")
        y = y.reshape(-1, 1) if y.ndim == 1 else y
        return X, y, y.shape[1]

    def _validate_held_out(self, X: Any, y: Any) -> tuple[Any, Any]:
        refuse_masked(X=X, y=y)
        X, y, n_outputs = self._validate_input(X, y, True, reset=False)
        if n_outputs != self.n_outputs_:
            raise ValueError(f"validation_data has {n_outputs} targets, y has {self.n_outputs_}")
        return X, y

    def _output_activation(self) -> str:
        return "exp" if self.loss == "poisson" else "identity"

    def _targets(self, y: Any, dtype: np.dtype) -> tuple[np.ndarray, None]:
        return np.require(y, dtype, ["C", "A"]), None

    def _total_weight(self, y: Any, sample_weight: Any, incremental: bool) -> Any:
        return sample_weight

    def _checked_output_weight(self) -> np.ndarray | None:
        """Return output_weight as n_outputs_ numbers of 0 or more."""
        if self.output_weight is None:
            return None
        weight = np.asarray(self.output_weight, np.float64)
        if weight.shape != (self.n_outputs_,) or not (np.isfinite(weight) & (weight >= 0)).all():
            raise ValueError(
                f"output_weight is {self.output_weight!r}, wanted {self.n_outputs_} finite "
                "numbers of 0 or more, one for each output"
            )
        return weight

    def _score(self, a: np.ndarray, data: Data) -> float:
        """Return R² of outputs a, the mean over the outputs; NaN where a is not finite."""
        if not np.isfinite(a).all():
            return float("nan")
        y = np.asarray(data.rows, np.float64)
        residual = np.average((y - a) ** 2, axis=0, weights=data.weight)
        mean = np.average(y, axis=0, weights=data.weight)
        spread = np.average((y - mean) ** 2, axis=0, weights=data.weight)
        # Without spread R² is 1 for a perfect fit, else 0, as sklearn.metrics.r2_score has it.
        r2 = np.where(residual == 0, 1.0, 0.0)
        np.divide(residual, spread, out=r2, where=spread != 0)
        return float(np.where(spread != 0, 1 - r2, r2).mean())
