"""What scikit-learn's estimators lack: each new keyword does what it says."""

import numpy as np
import pytest
from pairs import FEW, diabetes, digits, fit, numerical_slope, relative
from scipy.sparse import csr_array
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_sample_weight

from bpcore.estimators import MLPClassifier, MLPRegressor
from bpcore.estimators._data import Data
from bpcore.estimators._gradients import NumpyGradient

LOSSES = ["squared_error", "poisson", "absolute_error", "huber", "log_cosh"]


class TestLosses:
    @pytest.mark.parametrize("loss", LOSSES)
    def test_by_hand(self, loss):
        X, y = diabetes(3)
        y = np.abs(y)
        weight = np.arange(len(X)) % 3 + 0.5
        regressor = MLPRegressor(loss=loss, max_iter=1, random_state=0, solver="lbfgs", alpha=0)
        fit(regressor, X, y)
        a = regressor.predict(X)
        e = np.abs(a - y)
        with np.errstate(divide="ignore", invalid="ignore"):
            each = {
                "squared_error": e**2 / 6,
                "poisson": np.where(y > 0, y * np.log(y / a), 0) - y + a,
                "absolute_error": e,
                "huber": np.where(e < 1, e**2 / 2, e - 0.5),
                "log_cosh": np.log(np.cosh(e)),
            }[loss]
        assert relative(regressor.loss_, each.sum(axis=1).mean()) < 1e-12
        parameters = {**FEW, "loss": loss, "learning_rate_init": 1e-9, "max_iter": 1, "alpha": 0}
        plain = fit(MLPRegressor(**parameters), X, y)
        fit(plain.set_params(warm_start=True), X, y, weight, validation_data=(X, y, weight))
        assert relative(plain.loss_, plain.validation_loss_curve_[0]) < 0.1

    @pytest.mark.parametrize("batch_size", [442, 50])
    @pytest.mark.parametrize("n_targets", [1, 3])
    @pytest.mark.parametrize("loss", ["absolute_error", "huber", "squared_error"])
    @pytest.mark.parametrize("solver", ["adam", "sgd"])
    def test_both_kinds_of_epochs_agree(self, loss, n_targets, batch_size, solver):
        X, y = diabetes(n_targets)
        parameters = {**FEW, "loss": loss, "batch_size": batch_size, "solver": solver, "alpha": 0.1}
        compiled = fit(MLPRegressor(**parameters), X, y)
        stepped = fit(MLPRegressor(**parameters), X, y, np.ones(len(X)))
        in_numpy = fit(MLPRegressor(**parameters, output_weight=np.ones(compiled.n_outputs_)), X, y)
        sparse = fit(MLPRegressor(**parameters), csr_array(X), y)
        assert relative(stepped.loss_curve_, compiled.loss_curve_) < 1e-10
        assert relative(sparse.loss_curve_, compiled.loss_curve_) < 1e-10
        assert relative(in_numpy.loss_curve_, compiled.loss_curve_) < 1e-10

    def test_output_weights(self):
        X, y = diabetes(3)
        parameters = {**FEW, "alpha": 0.0, "batch_size": len(X)}
        even = fit(MLPRegressor(**parameters, output_weight=[2.0, 2.0, 2.0]), X, y)
        plain = fit(MLPRegressor(**parameters), X, y)
        assert relative(even.loss_curve_[0], 2 * plain.loss_curve_[0]) < 1e-12
        parameters = {**FEW, "max_iter": 200, "learning_rate_init": 0.01}
        first = fit(MLPRegressor(**parameters, output_weight=[1, 0, 0]), X, y)
        errors = ((first.predict(X) - y) ** 2).mean(axis=0)
        assert errors[0] < 0.6 < errors[1]

    @pytest.mark.parametrize("loss", LOSSES)
    def test_lbfgs_follows_the_gradient(self, loss):
        X, y = diabetes()
        y = np.abs(y)
        parameters = {"loss": loss, "solver": "lbfgs", "hidden_layer_sizes": (4,), "tol": 1e-8}
        long = fit(MLPRegressor(**parameters, max_iter=150, random_state=0), X, y)
        short = fit(MLPRegressor(**parameters, max_iter=5, random_state=0), X, y)
        assert long.loss_ < short.loss_

    @pytest.mark.parametrize("incremental", [False, True])
    def test_another_loss_in_a_warm_start(self, incremental):
        X, y = diabetes()
        regressor = fit(MLPRegressor(**FEW, warm_start=True, alpha=0.0, batch_size=442), X, y)
        expected = np.abs(regressor.predict(X) - y).mean()
        regressor.set_params(loss="absolute_error", max_iter=1)
        if incremental:
            regressor.partial_fit(X, y)
        else:
            fit(regressor, X, y)
        assert relative(regressor.loss_curve_[20], expected) < 1e-12
        with pytest.raises(ValueError, match="'exp'"):
            regressor.set_params(loss="poisson").fit(X, np.abs(y))


class TestActivations:
    @pytest.mark.parametrize("activation", ["leaky_relu", "elu", "gelu", "silu", "softplus"])
    def test_names(self, activation):
        X, y = digits()
        classifier = fit(MLPClassifier(activation=activation, **FEW), X, y)
        assert classifier.network_.layers[0].activation == activation
        assert classifier.loss_curve_[-1] < classifier.loss_curve_[0]

    def test_one_per_layer(self):
        X, y = digits()
        parameters = {**FEW, "hidden_layer_sizes": (16, 8)}
        classifier = fit(MLPClassifier(activation=["tanh", "gelu"], **parameters), X, y)
        names = [layer.activation for layer in classifier.network_.layers]
        assert names == ["tanh", "gelu", "softmax"]
        same = fit(MLPClassifier(activation=["relu", "relu"], **parameters), X, y)
        assert same.loss_curve_ == fit(MLPClassifier(**parameters), X, y).loss_curve_


class TestDropout:
    def test_shares(self):
        X, y = digits()
        parameters = {**FEW, "learning_rate_init": 0.01}
        classifier = fit(MLPClassifier(dropout=0.5, **parameters), X, y)
        again = fit(MLPClassifier(dropout=0.5, **parameters), X, y)
        plain = fit(MLPClassifier(**parameters), X, y)
        assert classifier.loss_curve_ == again.loss_curve_
        assert classifier.loss_curve_[-1] > 1.2 * plain.loss_curve_[-1]
        np.testing.assert_array_equal(classifier.predict(X), classifier.predict(X))

    def test_the_others_are_raised(self):
        class KeepAll(np.random.RandomState):
            def random_sample(self, size=None):
                return np.ones(size)

        X, y = diabetes()
        parameters = {**FEW, "activation": "identity", "max_iter": 1, "batch_size": len(X)}
        parameters |= {"alpha": 0.0, "learning_rate_init": 1e-15, "random_state": KeepAll(0)}
        a = fit(MLPRegressor(**parameters), X, y).predict(X)
        parameters["random_state"] = KeepAll(0)
        regressor = fit(MLPRegressor(dropout=0.2, **parameters), X, y)
        b = regressor.intercepts_[1]
        raised = (a - b) / 0.8 + b
        assert relative(regressor.loss_, 0.5 * ((raised - y) ** 2).mean()) < 1e-10

    @pytest.mark.parametrize("loss", LOSSES)
    def test_gradient(self, loss):
        X, y = diabetes(3)
        parameters = {**FEW, "activation": ["tanh", "softplus"], "hidden_layer_sizes": (6, 5)}
        regressor = fit(MLPRegressor(loss=loss, **{**parameters, "max_iter": 2}), X, np.abs(y))
        network, scale = regressor.network_, regressor._loss.gradient_scale
        # The squared error's gradient is that of the sum over the outputs, its value their mean.
        scale *= 3 if loss == "squared_error" else 1
        data = Data(X, np.abs(y), None, np.arange(442) % 3 + 0.5)
        theta = network.parameters.copy()

        def cost(k, value):
            network.parameters[...] = theta
            network.parameters[k] = value
            random_state = np.random.RandomState(0)  # the same outputs dropped every time
            gradient = NumpyGradient(network, loss, regressor._loss, 0.3, random_state, None)
            return gradient(data, None, 442, 0)[0]

        for k in range(0, theta.size, 11):
            slope = numerical_slope(lambda value, k=k: cost(k, value), theta[k])
            cost(k, theta[k])
            assert abs(network.gradient[k] - scale * slope) < 1e-4 * max(abs(slope), 1e-2)

    def test_not_for_lbfgs(self):
        with pytest.raises(ValueError, match="lbfgs"):
            MLPClassifier(dropout=0.5, solver="lbfgs").fit(*digits())


class TestClassWeights:
    @pytest.mark.parametrize("solver", ["adam", "lbfgs"])
    @pytest.mark.parametrize("class_weight", ["balanced", {0: 5.0, 3: 0.5}])
    def test_are_sample_weights(self, class_weight, solver):
        X, y = digits()
        y = np.where(y > 5, 5, y)
        parameters = {**FEW, "solver": solver}
        classes = fit(MLPClassifier(class_weight=class_weight, **parameters), X, y)
        weight = compute_sample_weight(class_weight, y)
        samples = fit(MLPClassifier(**parameters), X, y, weight)
        assert classes.loss_ == samples.loss_
        twice = fit(MLPClassifier(class_weight=class_weight, **parameters), X, y, weight)
        squared = fit(MLPClassifier(**parameters), X, y, weight**2)
        assert relative(twice.loss_, squared.loss_) < 1e-12

    def test_batches_that_lack_classes(self):
        X, y = digits()
        y = np.array(list("abcdefghij"))[y]
        batch = y < "e"
        weights = {"a": 2.0, "j": 3.0}
        classes = list("abcdefghij")
        weighted = MLPClassifier(class_weight=weights, **FEW)
        weighted.partial_fit(X[batch], y[batch], classes=classes)
        plain = MLPClassifier(**FEW)
        plain.partial_fit(X[batch], y[batch], np.where(y[batch] == "a", 2.0, 1.0), classes=classes)
        assert weighted.loss_ == plain.loss_

    def test_not_finite(self):
        with pytest.raises(ValueError, match="class_weight is"):
            MLPClassifier(class_weight={0: np.nan}).fit(*digits())

    def test_partial_fit_cannot_balance(self):
        X, y = digits()
        classifier = MLPClassifier(class_weight="balanced")
        with pytest.raises(ValueError, match="dict"):
            classifier.partial_fit(X, y, classes=range(10))


class TestValidation:
    def test_curve(self):
        X, y = digits()
        held_out = X[400:], y[400:]
        classifier = fit(MLPClassifier(**FEW), X[:400], y[:400], validation_data=held_out)
        curve = classifier.validation_loss_curve_
        assert len(curve) == classifier.n_iter_
        expected = log_loss(held_out[1], classifier.predict_proba(held_out[0]))
        assert relative(curve[-1], expected) < 1e-12
        plain = fit(MLPClassifier(**FEW), X[:400], y[:400])
        assert plain.loss_curve_ == classifier.loss_curve_
        assert not hasattr(plain, "validation_loss_curve_")

    def test_stops_by_it(self):
        X, y = digits()
        classifier = MLPClassifier(early_stopping=True, learning_rate_init=0.02, random_state=0)
        fit(classifier, X[:400], y[:400], validation_data=(X[400:], y[400:]))
        assert classifier.converged_
        assert classifier.t_ == 400 * classifier.n_iter_
        assert classifier.score(X[400:], y[400:]) == classifier.best_validation_score_

    def test_partial_fit_stops(self):
        X, y = digits()
        classifier = MLPClassifier(early_stopping=True, learning_rate_init=0.02, random_state=0)
        for _ in range(200):
            classifier.partial_fit(
                X[:400], y[:400], classes=range(10), validation_data=(X[400:], y[400:])
            )
            if classifier.converged_:
                break
        assert classifier.converged_
        scores = classifier.validation_scores_
        assert max(scores[: -classifier.n_iter_no_change]) == classifier.best_validation_score_
        assert classifier.score(X[400:], y[400:]) == classifier.best_validation_score_
