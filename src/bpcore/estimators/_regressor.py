"""MLPRegressor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data

from bpcore.estimators._base import BaseMLP, refuse_masked
from bpcore.estimators._docs import documented
from bpcore.estimators._parameters import CONSTRAINTS, FLOATS

if TYPE_CHECKING:
    from bpcore.estimators._data import Data

_LOSSES = {"squared_error", "poisson", "absolute_error", "huber", "log_cosh"}


@documented
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
    <parameters of scikit-learn's>
    output_weight : array-like of shape (n_outputs,), optional
        Factors of the outputs' losses.
    <parameters that are new>

    Attributes
    ----------
    <attributes>
    out_activation_ : str
        identity, or exp for poisson.

    Notes
    -----
    The gradient of squared_error is that of half the *sum* over the outputs, as in scikit-learn.

    <references>

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
        **CONSTRAINTS,
        "loss": [StrOptions(_LOSSES)],
        "output_weight": [None, "array-like"],
    }
    loss: str
    output_weight: Any

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
        self._keep(locals())

    @available_if(lambda estimator: estimator._check_solver())
    @_fit_context(prefer_skip_nested_validation=True)
    @documented
    def partial_fit(self, X, y, sample_weight=None, *, validation_data=None):
        """Train one epoch more on X and y.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), optional
        <validation_data>

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Data that will not do; early_stopping after scores on other samples, as fit leaves
            them, without validation_data.

        <holding out>
        """
        return self._fit(X, y, sample_weight, validation_data, incremental=True)

    @documented
    def score(self, X, y, sample_weight=None):
        """Return R², the mean over the targets.

        <data to score on>

        Returns
        -------
        float
        """
        refuse_masked(X=X, y=y, sample_weight=sample_weight)
        return super().score(X, y, sample_weight=sample_weight)

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
            dtype=FLOATS,
            reset=reset,
        )
        if y.dtype.kind not in "buif":
            raise TypeError(
                f"y has dtype {y.dtype}, a regressor wants numbers: convert it with .astype(float)"
            )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if self.loss == "poisson" and y.min() < 0:
            raise ValueError(f"y holds {y.min()}, loss='poisson' wants counts or rates, 0 or more")
        y = y.reshape(-1, 1) if y.ndim == 1 else y
        return X, y, y.shape[1]

    def _validate_held_out(self, X: Any, y: Any) -> tuple[Any, Any]:
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
        refuse_masked(output_weight=self.output_weight)
        try:
            weight = np.asarray(self.output_weight, np.float64)
        except (TypeError, ValueError):
            weight = np.full(1, np.nan)
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
