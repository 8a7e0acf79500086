"""MLPClassifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d, compute_class_weight, compute_sample_weight
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels
from sklearn.utils.validation import validate_data

from bpcore.estimators._base import BaseMLP, refuse_masked
from bpcore.estimators._docs import documented
from bpcore.estimators._labels import binarizer_of, places_of
from bpcore.estimators._parameters import CONSTRAINTS, FLOATS

if TYPE_CHECKING:
    from bpcore.estimators._data import Data


@documented
class MLPClassifier(ClassifierMixin, BaseMLP):
    """A multi-layer perceptron that classifies: scikit-learn's MLPClassifier, trained by bpcore.

    The loss is the mean over the samples of -Σ y log a. Parameters up to `max_fun` are
    scikit-learn's and mean the same; those after it are new, and their defaults change nothing.

    Parameters
    ----------
    <parameters of scikit-learn's>
    class_weight : dict, list of dict, "balanced" or None, default=None
        Weights of the classes, which multiply sample_weight; "balanced": n / (n_classes n_class).
    <parameters that are new>

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    <attributes>
    out_activation_ : str
        softmax, or logistic for two classes and for several labels.

    <references>

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
        **CONSTRAINTS,
        "class_weight": [None, dict, list, StrOptions({"balanced"})],
    }
    _loss_name = "log_loss"
    class_weight: Any

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
        self._keep(locals())

    @available_if(lambda estimator: estimator._check_solver())
    @_fit_context(prefer_skip_nested_validation=True)
    @documented
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
        <validation_data>

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Data that will not do; classes missing, or others than before; early_stopping after
            scores on other samples, as fit leaves them, without validation_data.

        <holding out>
        """
        refuse_masked(classes=classes)
        if _check_partial_fit_first_call(self, classes):
            self._label_binarizer = LabelBinarizer()
            multilabel = type_of_target(y).startswith("multilabel")
            self._label_binarizer.fit(y if multilabel else classes)
        return self._fit(X, y, sample_weight, validation_data, incremental=True)

    @documented
    def score(self, X, y, sample_weight=None):
        """Return the share of samples whose classes are predicted right.

        <data to score on>

        Returns
        -------
        float
        """
        refuse_masked(X=X, y=y, sample_weight=sample_weight)
        return super().score(X, y, sample_weight=sample_weight)

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

    @documented
    def predict_proba(self, X):
        """Return the probability of every class.

        <probabilities>
        """
        a = self._forward(X)
        if self.n_outputs_ == 1:
            a = a.ravel()
            return np.vstack([1 - a, a]).T
        return a

    @documented
    def predict_log_proba(self, X):
        """Return the logarithm of `predict_proba`.

        <probabilities>
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
            self._label_binarizer = binarizer_of(y)
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
            dtype=FLOATS,
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
        X, y = self._checked(X, y, reset=False)
        self._check_classes(unique_labels(y))
        return X, y

    def _output_activation(self) -> str:
        return "softmax" if self._label_binarizer.y_type_ == "multiclass" else "logistic"

    def _targets(self, y: Any, dtype: np.dtype) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Return (rows, None), or (None, labels) where one of several classes is right."""
        if self._label_binarizer.y_type_ == "multiclass" and y.ndim == 1:
            return None, places_of(y, self.classes_)
        if y.ndim == 1 and len(self.classes_) == 2:
            return np.equal(y, self.classes_[1]).astype(dtype).reshape(-1, 1), None
        # A row may be in Fortran's order, as a data frame's are, and hold any number for "yes".
        rows = self._label_binarizer.transform(y).astype(bool)
        return np.ascontiguousarray(rows, dtype), None

    def _total_weight(self, y: Any, sample_weight: Any, incremental: bool) -> Any:
        """Return sample_weight times the weights of the classes."""
        if self.class_weight is None:
            return sample_weight
        if incremental and self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' needs all of y, which partial_fit does not see: give the "
                "weights as a dict, from sklearn.utils.class_weight.compute_class_weight"
            )
        if y.ndim == 1:  # a batch of partial_fit may lack classes that have a weight
            weight = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
            weight = weight[np.searchsorted(self.classes_, y)]
        else:
            weight = compute_sample_weight(self.class_weight, y)
        if not np.isfinite(weight).all():
            raise ValueError(f"class_weight is {self.class_weight!r}, wanted finite numbers")
        return weight if sample_weight is None else weight * sample_weight

    def _score(self, a: np.ndarray, data: Data) -> float:
        """Return the accuracy of outputs a."""
        if len(self.classes_) == 1:  # nothing else can be predicted
            return 1.0
        if data.labels is not None:
            hits = a.argmax(axis=1) == data.labels
        else:
            hits = ((a > 0.5) == (data.rows > 0.5)).all(axis=1)
        return float(np.average(hits, weights=data.weight))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
