"""What the classifier and the regressor share: parameters, the door, the network, one fit."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from bpcore.estimators import _convert, _lbfgs, _stochastic
from bpcore.estimators._data import Data, rows_in_a_piece, samples_of
from bpcore.estimators._initialize import draw_parameters
from bpcore.estimators._losses import from_outputs, log_cosh, loss_of
from bpcore.estimators._parameters import (
    CONSTRAINTS,
    FLOATS,
    KERNEL_NAMES,
    activations_of,
    hidden_sizes,
)
from bpcore.layers import Dense
from bpcore.network import Network
from bpcore.validation import dtype_of

if TYPE_CHECKING:
    from bpcore.estimators._losses import Loss


class BaseMLP(BaseEstimator):
    """Parameters, fit and raw predictions of both estimators."""

    # Written here once for those who read or complete them; each class's __init__ sets its own.
    hidden_layer_sizes: Any
    activation: Any
    solver: str
    alpha: float
    batch_size: Any
    learning_rate: str
    learning_rate_init: float
    power_t: float
    max_iter: int
    shuffle: bool
    random_state: Any
    tol: float
    verbose: Any
    warm_start: bool
    momentum: float
    nesterovs_momentum: bool
    early_stopping: bool
    validation_fraction: float
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: float
    max_fun: int
    dropout: float
    callbacks: Any
    progress: bool
    n_threads: int | None
    dtype: Any

    _parameter_constraints = CONSTRAINTS

    def _keep(self, given: dict[str, Any]) -> None:
        """Set the parameters as they were given to __init__, unlooked at, as clone wants it.

        `given` is the __init__'s locals(): its signature is then the only list of them.
        """
        for name, value in given.items():
            if name != "self":
                setattr(self, name, value)

    @property
    def network_(self) -> Network:
        """The `bpcore.Network` inside; its weights are those of `coefs_`, no copies."""
        self._check_fitted()
        self._bind()
        return self._network

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, validation_data=None):
        """Train the network on X and y.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Sparse rows are unpacked some megabytes at a time.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels, or numbers for the regressor.
        sample_weight : array-like of shape (n_samples,), optional
            Every batch's loss is the mean weighted by these.
        validation_data : tuple (X, y) or (X, y, sample_weight), optional
            Scored after every epoch: `validation_loss_curve_`. With early_stopping it decides in
            the place of the samples that would be held out. Not for lbfgs.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Data or a parameter that will not do, or a training that diverged.

        Warns
        -----
        ConvergenceWarning
            max_iter was reached first.
        """
        return self._fit(X, y, sample_weight, validation_data, incremental=False)

    @classmethod
    def from_sklearn(cls, fitted):
        """Return this estimator with the weights and the state of scikit-learn's.

        It predicts the same, and partial_fit and warm starts go on as there.

        Parameters
        ----------
        fitted : sklearn.neural_network.MLPClassifier or MLPRegressor
            Is not changed.

        Returns
        -------
        MLPClassifier or MLPRegressor

        Raises
        ------
        TypeError
            Another kind of estimator.
        NotFittedError
            It has no weights yet.
        """
        return _convert.from_sklearn(cls, fitted)

    def to_sklearn(self):
        """Return scikit-learn's estimator with these weights and this state.

        Parameters that scikit-learn lacks are left behind; they matter in training only.

        Returns
        -------
        sklearn.neural_network.MLPClassifier or MLPRegressor

        Raises
        ------
        ValueError
            An activation or a loss that scikit-learn does not have.
        NotFittedError
            Before fit.
        """
        return _convert.to_sklearn(self)

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, validation_data: Any, *, incremental: bool
    ) -> BaseMLP:
        hidden = hidden_sizes(self)
        activations = activations_of(self, len(hidden))
        dtype = None if self.dtype is None else dtype_of(self.dtype)
        if self.solver == "lbfgs" and (len(self.callbacks) or self.progress):
            raise ValueError(
                "callbacks or progress are given, but lbfgs has no epochs to tell of: use "
                "solver='adam' or 'sgd', or leave them out"
            )
        if self.dropout and self.solver == "lbfgs":
            raise ValueError(
                f"dropout is {self.dropout}, which lbfgs cannot have, since its loss must not "
                "change between evaluations: use solver='adam' or 'sgd', or dropout=0"
            )
        if not incremental:
            self.__dict__.pop("_held_out_seed", None)
        elif self.early_stopping and validation_data is None:
            self._check_scores_go_on()
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        refuse_masked(X=X, y=y, sample_weight=sample_weight)
        X, y, n_outputs = self._validate_input(X, y, incremental, reset=first)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X)
        sample_weight = self._total_weight(y, sample_weight, incremental)
        if not (incremental or sample_weight is None or np.any(sample_weight)):
            raise ValueError("all weights of the samples, times those of their classes, are 0")
        self.n_outputs_ = n_outputs
        self._random_state = check_random_state(self.random_state)
        sizes = [X.shape[1], *hidden, n_outputs]
        if first:
            self._initialize(sizes, activations, X.dtype if dtype is None else dtype)
        self._check_network(sizes, dtype)
        self._bind()
        dtype = self._network.parameters.dtype
        data = self._data(X, y, dtype)
        if sample_weight is not None:
            data = data._replace(weight=np.ascontiguousarray(sample_weight, dtype))
        if validation_data is not None:
            validation_data = self._validation_data(validation_data)
        if self.solver == "lbfgs":
            _lbfgs.fit(self, data)
        else:
            _stochastic.fit(self, data, validation_data, incremental)
        if not np.isfinite(self._network.parameters).all():
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large "
                "values and need to be preprocessed."
            )
        return self

    def _initialize(self, sizes: list[int], activations: list[str], dtype: np.dtype) -> None:
        """Set what a fresh fit starts from."""
        self.n_iter_ = self.t_ = 0
        self.n_layers_ = len(sizes)
        self.out_activation_ = self._output_activation()
        self.coefs_, self.intercepts_ = draw_parameters(
            sizes, activations, self._random_state, dtype
        )
        if self.solver == "lbfgs" and self.dtype is None:
            # SciPy's solver computes in float64, and scikit-learn's weights become that with it.
            self.coefs_ = [W.astype(np.float64) for W in self.coefs_]
            self.intercepts_ = [b.astype(np.float64) for b in self.intercepts_]
        self.__dict__.pop("validation_loss_curve_", None)
        if self.solver != "lbfgs":
            _stochastic.start(self)

    @property
    def _loss(self) -> Loss:
        output = KERNEL_NAMES.get(self.out_activation_, self.out_activation_)
        return loss_of(self._loss_name, output, self.n_outputs_)

    def _bind(self) -> None:
        """Have `_network` hold exactly `coefs_` and `intercepts_`, and these be views into it.

        Whoever puts other arrays into the lists, or replaces the lists, changes the network.
        """
        given = [self.activation, self._loss_name, *self.coefs_, *self.intercepts_]
        bound = vars(self).get("_bound", ())
        if len(bound) == len(given) and all(map(operator.is_, bound, given)):
            return
        coefs = [np.asarray(W) for W in self.coefs_]
        sizes = [coefs[0].shape[0], *(W.shape[1] for W in coefs)]
        activations = activations_of(self, len(coefs) - 1)[: len(coefs) - 1]
        network = self._make_network(sizes, activations, coefs[0].dtype)
        for layer, W, b in zip(network.layers, coefs, self.intercepts_, strict=True):
            layer._kernel.W[...], layer._kernel.b[...] = W.T, b
        self._network = network
        self.coefs_ = [layer.W.T for layer in network.layers]
        self.intercepts_ = [layer.b for layer in network.layers]
        self._bound = (self.activation, self._loss_name, *self.coefs_, *self.intercepts_)

    def _make_network(self, sizes: list[int], activations: list[str], dtype: Any) -> Network:
        loss = self._loss
        layers = [
            Dense(n_in, n_out, activation, weight_initializer="zeros", dtype=dtype)
            for n_in, n_out, activation in zip(
                sizes, sizes[1:], [*activations, loss.output], strict=False
            )
        ]
        return Network(layers, loss.kernel or log_cosh)

    def _check_network(self, sizes: list[int], dtype: np.dtype | None) -> None:
        """Raise if a warm start or partial_fit wants another network than there is."""
        there = [self.coefs_[0].shape[0], *(W.shape[1] for W in self.coefs_)]
        if sizes != there:
            raise ValueError(
                f"the fitted network has layers of {there}, hidden_layer_sizes and y want {sizes}: "
                "fit with warm_start=False to start anew"
            )
        if dtype is not None and dtype != self.coefs_[0].dtype:
            raise ValueError(
                f"the fitted network is of {self.coefs_[0].dtype}, dtype is {self.dtype!r}: fit "
                "with warm_start=False to start anew"
            )
        output = self._output_activation()
        if output != self.out_activation_:
            raise ValueError(
                f"the fitted network's last activation is {self.out_activation_!r}, the loss wants "
                f"{output!r}: fit with warm_start=False to start anew"
            )

    def _data(self, X: Any, y: Any, dtype: np.dtype) -> Data:
        """Return checked X and y as the kernels take them."""
        rows, labels = self._targets(y, dtype)
        return Data(samples_of(X, dtype), rows, labels, None)

    def _validation_data(self, given: Any) -> Data:
        """Return validation_data, checked as X, y and sample_weight are."""
        if self.solver == "lbfgs":
            raise ValueError("validation_data is given, but lbfgs has no epochs to score after")
        if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
            raise TypeError("validation_data is not a tuple (X, y) or (X, y, sample_weight)")
        refuse_masked(**dict(zip(("X", "y", "sample_weight"), given, strict=False)))
        X, y = self._validate_held_out(given[0], given[1])
        dtype = self._network.parameters.dtype
        data = self._data(X, y, dtype)
        if len(given) == 3 and given[2] is not None:
            weight = _check_sample_weight(given[2], X)
            data = data._replace(weight=np.ascontiguousarray(weight, dtype))
        return data

    def _validate(self, data: Data) -> tuple[float, float]:
        """Return score and loss, without penalty, on data that were checked before."""
        a = self._outputs(data.X)
        return self._score(a, data), self._mean_loss(a, data)

    def _mean_loss(self, a: np.ndarray, data: Data) -> float:
        """Return the loss of outputs a, by the weights of the data, without penalty."""
        y = data.rows
        if y is None:
            y = np.zeros_like(a)
            y[np.arange(data.n), data.labels] = 1
        losses = from_outputs(self._loss_name, self._loss.output, a, y)
        output_weight = self._checked_output_weight()
        if output_weight is not None:
            losses = losses * output_weight
        means = np.average(losses, axis=0, weights=data.weight)
        return float(means.mean() if self._loss.averaged else means.sum())

    def _check_fitted(self) -> None:
        if "coefs_" not in vars(self):
            check_is_fitted(self)

    def _forward(self, X: Any) -> np.ndarray:
        """Return the network's outputs for X as a caller gives it, of the dtype NumPy would."""
        self._check_fitted()
        self._bind()
        net = self._network
        if type(X) is np.ndarray and X.ndim == 2 and not hasattr(self, "feature_names_in_"):
            dtype = X.dtype
            if dtype in FLOATS and X.shape[1] == net.layers[0].n_inputs and len(X):
                try:
                    return self._promoted(net._kernel.predict(X), dtype)
                except ValueError:  # NaN or Inf: scikit-learn's check says so below
                    pass
        refuse_masked(X=X)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        return self._promoted(self._outputs(samples_of(X, net.parameters.dtype)), X.dtype)

    def _outputs(self, X: Any) -> np.ndarray:
        """Return the network's outputs for checked X; sparse rows a piece at a time."""
        predict = self._network._kernel.predict
        if not scipy.sparse.issparse(X):
            return predict(X)
        rows = rows_in_a_piece(X)
        return np.concatenate(
            [predict(X[first : first + rows].toarray()) for first in range(0, X.shape[0], rows)]
        )

    @staticmethod
    def _promoted(a: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Return a in the dtype that products of X and the weights would have."""
        return a if dtype == a.dtype else a.astype(np.result_type(dtype, a.dtype), copy=False)

    def _check_scores_go_on(self) -> None:
        """Raise if the best score is of samples that partial_fit has not held out itself."""
        if getattr(self, "validation_scores_", None) and not hasattr(self, "_held_out_seed"):
            raise ValueError(
                "partial_fit does not support early_stopping=True once there are scores on other "
                "samples, those that fit held out or validation_data: pass "
                "validation_data=(X_val, y_val), samples that were not trained on"
            )

    def _check_solver(self) -> bool:
        if self.solver == "lbfgs":
            raise AttributeError("partial_fit takes steps of sgd or adam, solver is 'lbfgs'")
        return True

    def _checked_output_weight(self) -> np.ndarray | None:
        return None

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        for name in ("_network", "_bound"):
            state.pop(name, None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "coefs_" in state:
            self._bind()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def refuse_masked(**arrays: Any) -> None:
    """Raise for masked arrays with masked values, which would be read as if they were data."""
    for name, array in arrays.items():
        if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
            raise ValueError(
                f"{name} is a masked array with {np.ma.count_masked(array)} masked values; fill "
                "or drop them first"
            )
