"""What steers the training of the estimators: stops, callbacks, dtype, threads, the network."""

import pickle
import threading

import numpy as np
import pytest
from helpers import optional
from pairs import FEW, diabetes, digits, fit, numerical_slope, relative
from scipy.sparse import csr_matrix
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

import bpcore as bp
from bpcore import threads
from bpcore.estimators import MLPClassifier, MLPRegressor, _stochastic
from bpcore.estimators._stochastic import team_of


class TestPartialFitStops:
    """Without validation_data: every call holds out samples of its own."""

    @pytest.fixture
    def splits(self, monkeypatch):
        """The indices (trained, held out) of every split."""
        splits = []

        def recorded(*arguments, **more):
            splits.append(train_test_split(*arguments, **more))
            return splits[-1]

        monkeypatch.setattr(_stochastic, "train_test_split", recorded)
        return splits

    @pytest.mark.parametrize("random_state", [None, 0, "RandomState"])
    @pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
    def test_by_the_same_samples(self, splits, cls, random_state):
        X, y = digits()
        if random_state == "RandomState":
            random_state = np.random.RandomState(0)
        parameters = {"learning_rate_init": 0.02, "tol": 0.01, "random_state": random_state}
        estimator = cls(early_stopping=True, **parameters)
        first = {"classes": range(10)} if cls is MLPClassifier else {}
        for k in range(300):
            estimator.partial_fit(X, y, **first)
            if k == 3:
                estimator = pickle.loads(pickle.dumps(estimator))
            if estimator.converged_:
                break
            held_out = splits[-1][1]
            score = estimator.score(X[held_out], y[held_out])
            assert relative(estimator.validation_scores_[-1], score) < 1e-12
        assert estimator.converged_
        assert estimator.t_ == 540 * len(splits)
        for trained, held_out in splits:
            np.testing.assert_array_equal(held_out, splits[0][1])
            assert not set(trained) & set(held_out)
            assert len(held_out) == 60
        scores = estimator.validation_scores_
        assert len(scores) == len(estimator.validation_loss_curve_) == len(splits)
        best = max(scores)
        assert estimator.best_validation_score_ == best
        assert relative(estimator.score(X[held_out], y[held_out]), best) < 1e-12

    def test_the_share_that_is_asked_for(self, splits):
        X, y = diabetes(3)
        regressor = MLPRegressor(early_stopping=True, validation_fraction=0.25)
        regressor.partial_fit(X[:100], y[:100], np.arange(100.0)).partial_fit(X[:60], y[:60])
        assert [len(held_out) for _, held_out in splits] == [25, 15]
        assert regressor.t_ == 75 + 45

    def test_batches_that_lack_classes(self, splits):
        X, y = digits(300, 2)
        zeros, ones = np.flatnonzero(y == 0), np.flatnonzero(y == 1)
        few = np.concatenate([zeros[:30], ones[:1]])
        even = np.concatenate([zeros[:30], ones[:10]])
        classifier = MLPClassifier(early_stopping=True, random_state=0)
        for batch in (zeros[:20], few, few[:11], even):
            classifier.partial_fit(X[batch], y[batch], classes=[0, 1])
        assert [len(held_out) for _, held_out in splits] == [2, 4, 2, 4]
        assert (y[even][splits[-1][1]] == 1).sum() == 1  # of four, as of the batch

    def test_batches_that_are_too_small(self):
        X, y = digits()
        classifier = MLPClassifier(early_stopping=True)
        with pytest.raises(ValueError, match="too small: it has 1 of 10 samples"):
            classifier.partial_fit(X[:10], y[:10], classes=range(10))
        classifier.partial_fit(X[:10], y[:10], validation_data=(X[20:], y[20:]))

    def test_not_after_scores_on_other_samples(self):
        X, y = digits()
        given = {"validation_data": (X[400:], y[400:])}
        fitted = fit(MLPClassifier(early_stopping=True, **FEW), X[:400], y[:400])
        by_given = MLPClassifier(early_stopping=True, **FEW)
        by_given.partial_fit(X[:400], y[:400], classes=range(10), **given)
        for classifier in (fitted, by_given):
            weights = classifier.coefs_[0].copy()
            with pytest.raises(ValueError, match="partial_fit does not support early_stopping"):
                classifier.partial_fit(X[:400], y[:400])
            np.testing.assert_array_equal(classifier.coefs_[0], weights)
            classifier.partial_fit(X[:400], y[:400], **given)
        plain = fit(MLPClassifier(**FEW), X, y).set_params(early_stopping=True)
        assert len(plain.partial_fit(X, y).validation_scores_) == 1
        fit(plain, X, y)  # which holds out others
        with pytest.raises(ValueError, match="partial_fit does not support early_stopping"):
            plain.partial_fit(X, y)


class TestCallbacks:
    def test_see_every_epoch(self):
        X, y = digits()
        seen = []
        fit(
            MLPClassifier(
                callbacks=[lambda state: seen.append((state.epoch, state.network))], **FEW
            ),
            X,
            y,
        )
        assert [epoch for epoch, _ in seen] == list(range(1, 21))
        assert isinstance(seen[0][1], bp.Network)

    def test_stop(self):
        def stop(state):
            state.stop_training = state.epoch == 3

        X, y = digits()
        assert fit(MLPClassifier(callbacks=[stop], **FEW), X, y).n_iter_ == 3

    def test_early_stopping_of_the_library(self):
        X, y = digits()
        stopping = bp.EarlyStopping(patience=2)
        parameters = {**FEW, "max_iter": 300, "learning_rate_init": 0.03}
        classifier = MLPClassifier(callbacks=[stopping], **parameters)
        fit(classifier, X[:400], y[:400], validation_data=(X[400:], y[400:]))
        lowest = min(classifier.validation_loss_curve_)
        assert stopping.best_loss == lowest
        expected = log_loss(y[400:], classifier.predict_proba(X[400:]))
        assert relative(lowest, expected) < 1e-12

    def test_progress(self, capsys):
        optional("tqdm")
        fit(MLPClassifier(progress=True, **FEW), *digits())
        assert "20/20" in capsys.readouterr().err

    def test_interrupt_keeps_what_is_there(self):
        def interrupt(state):
            if state.epoch == 4:
                raise KeyboardInterrupt

        X, y = digits()
        with pytest.warns(UserWarning, match="interrupted"):
            classifier = MLPClassifier(callbacks=[interrupt], **FEW).fit(X, y)
        assert classifier.n_iter_ == 4
        assert classifier.predict(X).shape == y.shape


def test_dtype():
    X, y = digits()
    classifier = fit(MLPClassifier(dtype="float32", **FEW), X, y)
    assert classifier.coefs_[0].dtype == np.float32
    assert fit(MLPClassifier(dtype="float64", **FEW), X.astype("f"), y).coefs_[0].dtype == float
    assert fit(MLPClassifier(**FEW), X.astype("f"), y).coefs_[0].dtype == np.float32
    narrow = np.dtype("float32")
    assert fit(MLPClassifier(dtype=narrow, **FEW), X, y).coefs_[0].dtype == narrow
    with pytest.raises(TypeError, match="wanted 'float32' or 'float64'"):
        MLPClassifier(dtype=np.dtype(int)).fit(X, y)
    with pytest.raises(ValueError, match="network is of float32"):
        classifier.set_params(dtype="float64", warm_start=True).fit(X, y)


class TestThreads:
    @pytest.fixture
    def used(self, monkeypatch):
        """For every stretch of steps whether several threads took it; they do wherever they may."""
        used = []

        def choose(self, worth):
            if self._pool is None and self.wanted > 1:
                self._hire()
            return self.wanted > 1, 1.0

        monkeypatch.setattr(threads, "default_threads", lambda: 8)
        monkeypatch.setattr(threads.Team, "choose", choose)
        monkeypatch.setattr(threads.Team, "record", lambda self, many, *_: used.append(many))
        return used

    @pytest.mark.parametrize(
        ("parameters", "weighted", "kind"),
        [
            ({}, False, np.asarray),
            ({"solver": "sgd", "batch_size": 250}, False, np.asarray),
            ({}, True, np.asarray),
            ({"batch_size": 256, "hidden_layer_sizes": (128, 64)}, True, np.asarray),
            ({}, False, csr_matrix),
            ({"solver": "lbfgs"}, False, np.asarray),
            ({"early_stopping": True}, False, np.asarray),
        ],
        ids=["adam", "sgd", "weights", "weights, a smaller batch", "sparse", "lbfgs", "stopped"],
    )
    def test_the_same_bits(self, used, parameters, weighted, kind, dtype):
        X, y = digits()
        X, weight = kind(X.astype(dtype)), np.arange(600) % 3 + 1.0 if weighted else None
        parameters = {"hidden_layer_sizes": (70, 33), "max_iter": 3, "random_state": 0} | parameters
        fitted = {}
        for n_threads in (1, 2, 3):
            used.clear()
            fitted[n_threads] = fit(MLPClassifier(n_threads=n_threads, **parameters), X, y, weight)
            assert len(used) >= 3 or n_threads == 1
            assert all(many == (n_threads > 1) for many in used)
            assert fitted[n_threads].loss_ == fitted[1].loss_
            np.testing.assert_array_equal(
                fitted[n_threads].network_.parameters, fitted[1].network_.parameters, strict=True
            )

    def test_small_steps_are_no_work_for_two(self):
        running = []
        callback = [lambda _: running.append(threading.active_count())]
        fit(MLPClassifier(n_threads=4, callbacks=callback, **FEW | {"batch_size": 5}), *digits(50))
        assert set(running) == {threading.active_count()}

    @pytest.mark.parametrize("parameters", [{}, {"dropout": 0.1}, {"class_weight": "balanced"}])
    def test_one_is_reserved_where_one_will_do(self, parameters):
        running = []
        callback = [lambda _: running.append(threads._running)]
        fit(MLPClassifier(n_threads=4, callbacks=callback, **FEW, **parameters), *digits(50))
        assert set(running) == {1}
        assert threads._running == 0

    def test_how_many_by_default(self, monkeypatch):
        for given, share, processors, expected in [
            (None, None, 6, 6),
            (None, "4", 6, 4),
            (None, "8", 6, 6),
            (None, "2,1", 6, 6),
            (5, "1", 2, 5),
        ]:
            monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
            if share is not None:
                monkeypatch.setenv("OMP_NUM_THREADS", share)
            monkeypatch.setenv("BPCORE_NUM_THREADS", str(processors))
            assert team_of(MLPClassifier(n_threads=given)).wanted == expected

    def test_limited_by_threadpoolctl(self, monkeypatch):
        counts = []
        reserve = threads.Team.reserve

        def watched(self, size):
            counts.append(reserve(self, size))
            return counts[-1]

        monkeypatch.setenv("BPCORE_NUM_THREADS", "2")
        monkeypatch.setattr(threads.Team, "reserve", watched)
        parameters = {"hidden_layer_sizes": (70, 33), "max_iter": 3, "random_state": 0}
        with threadpool_limits(1):
            fit(MLPClassifier(**parameters), *digits())
        assert set(counts) == {1}
        fit(MLPClassifier(**parameters), *digits())
        assert set(counts) == {1, 2}


class TestNetwork:
    def test_shares_the_weights(self):
        X, y = digits()
        classifier = fit(MLPClassifier(**FEW), X, y)
        network = classifier.network_
        np.testing.assert_array_equal(network.predict(X), classifier.predict_proba(X))
        network.layers[0].W[...] = 0
        assert not classifier.coefs_[0].any()
        classifier.coefs_[1][...] = 0
        assert not network.layers[1].W.any()

    def test_gradients(self):
        X, y = digits()
        network = fit(MLPClassifier(**FEW), X, y).network_
        network.forward(X)
        network.backward(y)
        W = network.layers[0].W
        index = np.unravel_index(np.abs(network.layers[0].dW).argmax(), W.shape)
        kept = W[index]

        def cost(value):
            W[index] = value
            return network.evaluate(X, y)

        slope = numerical_slope(cost, kept)
        assert abs(network.layers[0].dW[index] / slope - 1) < 1e-5

    def test_other_arrays_in_the_lists_count(self):
        X, y = digits()
        classifier = fit(MLPClassifier(**FEW), X, y)
        classifier.coefs_[1] = np.zeros_like(classifier.coefs_[1])
        classifier.intercepts_[1] = np.eye(10)[7]
        assert (classifier.predict(X) == 7).all()
        assert classifier.network_.layers[1].b[7] == 1
