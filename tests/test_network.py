"""Networks: one vector of parameters, what the layers keep, losses of one's own, copies, `out=`."""

import copy
import gc
import pickle
import re
import warnings

import numpy as np
import pytest
from conftest import RTOL
from numpy.testing import assert_allclose, assert_array_equal

import bpcore as bp

KEPT = ("a_in", "z", "a", "da", "delta")


def made(dtype="float32", sizes=(3, 4, 2), **options):
    return bp.mlp(sizes, "tanh", dtype=dtype, rng=0, **options)


def data(rng, n=6, dtype="float32"):
    return rng.standard_normal((n, 3)).astype(dtype), rng.standard_normal((n, 2)).astype(dtype)


def squared(a, y):
    return float(np.square(a - y).sum() / len(a)), 2 * (a - y) / len(a)


# ---------------------------------------------------------------------------------- parameters


@pytest.mark.parametrize("vector", ["parameters", "gradient"])
def test_layers_arrays_are_views_in_order(dtype, vector):
    net = made(dtype)
    theta = getattr(net, vector)
    assert (theta.shape, theta.dtype, theta.ndim) == ((26,), np.dtype(dtype), 1)
    assert theta.flags.c_contiguous
    assert theta.flags.writeable
    theta[...] = np.arange(26)
    W, b = ("W", "b") if vector == "parameters" else ("dW", "db")
    first, last = net.layers
    assert_array_equal(getattr(first, W), np.arange(12).reshape(4, 3))
    assert_array_equal(getattr(first, b), np.arange(12, 16))
    assert_array_equal(getattr(last, W), np.arange(16, 24).reshape(2, 4))
    assert_array_equal(getattr(last, b), [24, 25])
    getattr(last, b)[...] = -1
    assert_array_equal(theta[24:], [-1, -1])


def test_views_stay_the_same_arrays_through_training(rng):
    net = made()
    held = [net.parameters, net.gradient, *(x for r in net.layers for x in (r.W, r.b, r.dW, r.db))]
    X, Y = data(rng)
    net.fit(X, Y, 2)
    net.forward(X)
    net.backward(Y)
    net.loss_and_gradient(net.parameters + 1, X, Y)
    now = [net.parameters, net.gradient, *(x for r in net.layers for x in (r.W, r.b, r.dW, r.db))]
    assert all(x is y for x, y in zip(held, now, strict=True))


def test_writing_parameters_changes_the_outputs(rng):
    X, _ = data(rng)
    net, other = made(), bp.mlp([3, 4, 2], "tanh", rng=1)
    net.parameters[...] = other.parameters
    assert_array_equal(net.predict(X), other.predict(X))
    assert_array_equal(net.forward(X), other.forward(X))


@pytest.mark.parametrize("name", ["parameters", "gradient"])
def test_assigned_vectors_are_copied_in(dtype, rng, name):
    net = made(dtype)
    vector, values = getattr(net, name), rng.standard_normal(26)
    setattr(net, name, values)
    assert getattr(net, name) is vector
    assert_array_equal(vector, values.astype(dtype))
    assert_array_equal(net.layers[1].b if name == "parameters" else net.layers[1].db, vector[24:])
    net.parameters += 1
    net.gradient *= 2
    assert getattr(net, name) is vector
    for bad in (values[1:], np.full(26, np.nan), values.astype(complex)):
        with pytest.raises((TypeError, ValueError), match=name):
            setattr(net, name, bad)


@pytest.mark.parametrize(("name", "value"), [("layers", ()), ("loss", "huber")])
def test_what_the_kernels_would_not_notice_cannot_be_assigned(name, value):
    net = made()
    before = getattr(net, name)
    with pytest.raises(AttributeError):
        setattr(net, name, value)
    assert getattr(net, name) is before


def test_layers_outlive_their_network(rng):
    net = made()
    X, _ = data(rng)
    a, layers, theta = net.predict(X), net.layers, net.parameters
    del net
    gc.collect()
    junk = [np.full(26, np.nan, "float32") for _ in range(100)]
    assert_array_equal(layers[1].forward(layers[0].forward(X)), a)
    del layers
    gc.collect()
    assert np.isfinite(theta).all()
    assert len(junk) == 100


# ------------------------------------------------------------------------------- construction


def test_rng_draws_every_layer_anew_first_layer_first():
    def layers():
        return [bp.Dense(3, 4, "relu", bias_initializer="he_normal"), bp.Dense(4, 2, "selu")]

    net, again = bp.Network(layers(), rng=5), bp.Network(layers(), rng=5)
    assert_array_equal(net.parameters, again.parameters)
    rng = np.random.default_rng(5)
    values = [x for layer in layers() for x in layer.draw(rng, np.dtype("float32"))]
    assert_array_equal(net.parameters, np.concatenate([x.ravel() for x in values]))
    by_mlp = bp.mlp([3, 4, 2], "relu", "selu", rng=5)
    plain = bp.Network([bp.Dense(3, 4, "relu"), bp.Dense(4, 2, "selu")], rng=5)
    assert_array_equal(by_mlp.parameters, plain.parameters)
    generator = np.random.default_rng(5)
    assert_array_equal(bp.mlp([3, 4, 2], rng=generator).parameters,
                       bp.mlp([3, 4, 2], rng=5).parameters)  # fmt: skip
    assert not np.array_equal(bp.mlp([3, 4, 2], rng=generator).parameters,
                              bp.mlp([3, 4, 2], rng=5).parameters)  # fmt: skip


def test_without_rng_the_layers_values_are_kept():
    layers = [bp.Dense(3, 4, rng=1), bp.Dense(4, 2, rng=2)]
    W = [layer.W for layer in layers]
    net = bp.Network(layers)
    for layer, values in zip(net.layers, W, strict=True):
        assert_array_equal(layer.W, values)
        assert not np.shares_memory(layer.W, values)


def test_one_seed_gives_the_same_weights_in_both_dtypes():
    assert_array_equal(made("float32").parameters, made("float64").parameters.astype("float32"))


def test_dtype_of_the_network(rng):
    mixed = [bp.Dense(3, 4, dtype="float64", rng=0), bp.Dense(4, 2, dtype="float32", rng=0)]
    values = [layer.W for layer in mixed]
    with pytest.raises(ValueError, match="float32 and of float64: give the network's dtype"):
        bp.Network(mixed)
    net = bp.Network(mixed, dtype="float32")
    assert {net.parameters.dtype.name, *(layer.dtype.name for layer in net.layers)} == {"float32"}
    assert_array_equal(net.layers[0].W, values[0].astype("float32"))
    assert net.forward(rng.standard_normal((2, 3))).dtype == np.float32
    assert bp.Network([bp.Dense(3, 4, dtype="float64")]).parameters.dtype == np.float64


def test_weights_that_overflow_the_networks_dtype_refused():
    layers = [bp.Dense(1, 1, dtype="float64", rng=0) for _ in range(2)]
    layers[1].W = [[1e300]]
    W = [layer.W for layer in layers]
    with pytest.raises(ValueError, match="float32"):
        bp.Network(layers, dtype="float32")
    assert [layer.W for layer in layers] == W
    bp.Network(layers)


@pytest.mark.parametrize(
    ("layers", "error", "words"),
    [
        ([], ValueError, ["empty", "at least one"]),
        (bp.Dense(2, 2), TypeError, ["a Dense", "sequence", "[layer]"]),
        (["relu"], TypeError, ["layers[0] is a str", "Dense"]),
        ([bp.Dense(2, 3), bp.Dense(4, 1)], ValueError, ["layers[1] takes 4", "gives 3"]),
        ([*[bp.Dense(2, 2)] * 2], ValueError, ["layers[1] belongs", "deepcopy"]),
        (bp.mlp([2, 2]).layers, ValueError, ["layers[0] belongs", "deepcopy"]),
        (None, TypeError, ["layers is None", "sequence"]),
        (3, TypeError, ["layers is 3", "sequence"]),
    ],
    ids=str,
)
def test_layers_refused(layers, error, words):
    with pytest.raises(error) as caught:
        bp.Network(layers)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"loss": "cross_entrpy"}, ValueError, ["'cross_entrpy'", "did you mean 'cross_entropy'"]),
        ({"loss": None}, TypeError, ["loss is None", "huber"]),
        ({"loss": "callable"}, ValueError, ["'callable'", "huber"]),
        ({"dtype": "float16"}, TypeError, ["float16", "float32"]),
        ({"rng": "x"}, TypeError, ["x"]),
    ],
)
def test_refused_network_leaves_its_layers_free(options, error, words):
    layers = [bp.Dense(2, 3, rng=0), bp.Dense(3, 1, rng=0)]
    W = [layer.W for layer in layers]
    with pytest.raises(error) as caught:
        bp.Network(layers, **options)
    for word in words:
        assert word in str(caught.value)
    assert all(layer.W is values for layer, values in zip(layers, W, strict=True))
    bp.Network(layers)


@pytest.mark.parametrize(
    ("sizes", "error"),
    [
        ([3], ValueError),
        ([], ValueError),
        (3, (TypeError, ValueError)),
        (None, (TypeError, ValueError)),
        ([3, 0], ValueError),
        ([3, -2, 1], ValueError),
        ([3, 2.5], TypeError),
        (["3", 2], TypeError),
        ("32", TypeError),
        ([True, 2], TypeError),
        ([2**40, 2**40], ValueError),
        ([2, 2**61], ValueError),
    ],
)
def test_mlp_sizes_refused(sizes, error):
    with pytest.raises(error, match=r"wanted|addressed"):
        bp.mlp(sizes)


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "cross_entropy", "poisson"])
@pytest.mark.parametrize("output", bp.ACTIVATIONS)
def test_warns_where_the_output_leaves_the_losss_domain(loss, output):
    probability = {"sigmoid", "hard_sigmoid", "softmax"}
    inside = probability | {"exp", "softplus", "relu"} if loss == "poisson" else probability
    preferred = {"binary_cross_entropy": "sigmoid", "cross_entropy": "softmax", "poisson": "exp"}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        bp.mlp([3, 2], output=output, loss=loss)
    assert [w.category for w in caught] == ([] if output in inside else [UserWarning])
    for warning in caught:
        assert repr(output) in str(warning.message)
        assert repr(preferred[loss]) in str(warning.message)


# -------------------------------------------------------------------------- forward, backward


def test_backward_before_forward(rng):
    net = made()
    for call in (net.backward, net.backpropagate):
        with pytest.raises(RuntimeError, match=r"call forward\(X\) first"):
            call(data(rng)[1])
    net.predict(data(rng)[0])
    with pytest.raises(RuntimeError, match=r"call forward\(X\) first"):
        net.backward(data(rng)[1])


@pytest.mark.parametrize("k", [0, 1, 2])
def test_backward_after_one_layer_ran_by_itself(rng, k):
    net = made(sizes=(3, 3, 3, 3))
    X = rng.standard_normal((6, 3))
    net.forward(X)
    net.layers[k].forward(X)
    before = net.gradient.copy()
    for call in (net.backward, net.backpropagate):
        with pytest.raises(RuntimeError, match=r"different batches.*forward"):
            call(X)
    assert_array_equal(net.gradient, before)
    net.forward(X)
    net.backward(X)


@pytest.mark.parametrize("loss", ["squared_error", "huber", "mean_absolute_error"])
def test_layer_by_layer_is_the_networks_backward(dtype, rng, loss):
    net = made(dtype, (3, 5, 4, 2), loss=loss)
    X, Y = data(rng, dtype=dtype)
    a = net.forward(X)
    net.backward(Y)
    gradient = net.gradient.copy()
    alone = [copy.deepcopy(layer) for layer in net.layers]
    x = X
    for layer in alone:
        x = layer.forward(x)
    assert_array_equal(x, a)
    da = net.layers[-1].da
    for layer, own in zip(net.layers[::-1], alone[::-1], strict=True):
        assert_array_equal(layer.da, da)
        da = own.backward(da)
        assert_array_equal(layer.delta, own.delta)
    assert_array_equal(np.concatenate([x.ravel() for r in alone for x in (r.dW, r.db)]), gradient)
    assert_array_equal(net.backpropagate(net.layers[-1].da), da)
    assert_array_equal(net.gradient, gradient)


def test_arrays_that_are_held_are_never_written_to_again(dtype, rng):
    net, held, copies = made(dtype), [], []
    for n in (4, 4, 1, 4, 7):
        X, Y = data(rng, n)
        held += [net.forward(X), net.predict(X)]
        net.backward(Y)
        held += [getattr(layer, name) for layer in net.layers for name in KEPT]
        held += [net.backpropagate(Y)]
        net.fit(X, Y, 1)
        copies += [x.copy() for x in held[len(copies) :]]
    for x, y in zip(held, copies, strict=True):
        assert_array_equal(x, y)


def test_a_of_one_layer_is_a_in_of_the_next(rng):
    net = made()
    X, Y = data(rng)
    a = net.forward(X)
    assert net.layers[1].a_in is net.layers[0].a
    assert net.layers[1].a is a
    assert_array_equal(net.layers[0].a_in, X)
    assert net.layers[0].da is None
    net.backward(Y)
    for layer in net.layers:
        assert layer.da.shape == layer.delta.shape == layer.a.shape


def test_predict_evaluate_and_training_keep_nothing_in_the_layers(rng):
    net = made()
    X, Y = data(rng)
    net.predict(X)
    net.evaluate(X, Y)
    assert all(getattr(layer, name) is None for layer in net.layers for name in KEPT)
    assert not net.gradient.any()
    assert not np.shares_memory(net.predict(X), net.predict(X))
    assert_array_equal(net.predict(X), net.forward(X))
    assert net.evaluate(X, Y) == pytest.approx(net.backward(Y), rel=1e-6)  # in blocks there


@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy"])
def test_one_sample_is_a_batch_of_one(dtype, rng, loss):
    net = made(dtype, loss=loss, output="softmax")
    x, y = rng.standard_normal(3), np.array([0.25, 0.75])
    a = net.forward(x[None])
    C = net.backward(y[None])
    dX, gradient = net.backpropagate(y[None]), net.gradient.copy()
    assert_array_equal(net.forward(x), a[0], strict=True)
    assert net.backward(y) == C
    assert net.layers[0].z.shape == net.layers[0].delta.shape == (4,)
    assert_array_equal(net.backpropagate(y), dX[0], strict=True)
    assert_array_equal(net.gradient, gradient)
    assert_array_equal(net.predict(x), a[0], strict=True)
    assert net.evaluate(x, y) == C
    trainers = [bp.Trainer(copy.deepcopy(net)) for _ in range(2)]
    assert trainers[0].step(x, y) == trainers[1].step(x[None], y[None])
    assert_array_equal(trainers[0].network.parameters, trainers[1].network.parameters)
    if loss == "cross_entropy":
        assert net.backward(1) == net.evaluate(x[None], [1])


def test_one_output_takes_flat_targets(rng):
    net = made(sizes=(3, 4, 1))
    X, y = rng.standard_normal((5, 3)), rng.standard_normal(5)
    net.forward(X)
    assert net.backward(y) == net.backward(y[:, None])
    assert net.evaluate(X, y) == net.evaluate(X, y[:, None])
    assert net.evaluate(X[0], y[0]) == net.evaluate(X[0], y[:1])


@pytest.mark.parametrize("n", [1, 2, 95, 96, 97, 300])
def test_predict_in_blocks_is_forward(dtype, rng, n):
    net = made(dtype, (3, 33, 17, 2))
    X, Y = data(rng, n)
    tolerance = RTOL["pass"][dtype]
    assert_allclose(net.predict(X), net.forward(X), rtol=tolerance, atol=tolerance)
    assert net.evaluate(X, Y) == pytest.approx(net.backward(Y), rel=tolerance)


def test_nan_in_a_late_row_leaves_out_as_it_was(dtype, rng):
    net, X = made(dtype), np.zeros((1000, 3), dtype)
    X[999, 1] = np.nan
    out = rng.standard_normal((1000, 2)).astype(dtype)
    kept = out.copy()
    with pytest.raises(ValueError, match=r"X holds nan at index \(999, 1\)"):
        net.predict(X, out=out)
    assert_array_equal(out, kept)


def test_loss_and_gradient(dtype, rng):
    net = made(dtype)
    X, Y = data(rng, dtype=dtype)
    theta = rng.standard_normal(26)
    C, g = net.loss_and_gradient(theta, X, Y)
    assert_array_equal(net.parameters, theta.astype(dtype))
    net.forward(X)
    assert net.backward(Y) == C
    assert_array_equal(net.gradient, g)
    assert not np.shares_memory(net.gradient, g)
    assert net.loss_and_gradient(net.parameters, X, Y)[0] == C


# --------------------------------------------------------------------------- callable losses


def test_callable_loss_is_the_same_as_by_name(dtype, rng):
    own, named = made(dtype, loss=squared), made(dtype)
    X, Y = data(rng, dtype=dtype)
    for net in (own, named):
        net.forward(X)
    assert own.backward(Y) == pytest.approx(named.backward(Y), rel=RTOL["pass"][dtype])
    assert_allclose(own.gradient, named.gradient, rtol=0, atol=RTOL["pass"][dtype])
    assert own.evaluate(X, Y) == pytest.approx(named.evaluate(X, Y), rel=RTOL["pass"][dtype])


def test_callable_loss_gets_the_targets_as_given_and_outputs_of_its_own(rng):
    seen = []

    def loss(a, y):
        seen.append(y)
        da = np.ones_like(a)
        a[...] = 77
        return 0.0, da

    net = made(loss=loss)
    X, _ = data(rng)
    a = net.forward(X).copy()
    token = object()
    net.backward(token)
    net.evaluate(X, token)
    assert seen == [token, token]
    assert_array_equal(net.layers[-1].a, a)


@pytest.mark.parametrize(
    ("result", "error", "words"),
    [
        (1.0, TypeError, ["float", "(C, da)"]),
        ((1.0, 2.0, 3.0), TypeError, ["tuple", "(C, da)"]),
        ((1.0, np.ones((6, 3))), ValueError, ["da", "3", "2"]),
        ((1.0, np.ones((5, 2))), ValueError, ["da", "(5, 2)", "(6, 2)"]),
        ((1.0, np.full((6, 2), "x")), TypeError, ["da", "<U1"]),
        ((1.0, np.ones((6, 2), complex)), TypeError, ["da", "complex"]),
        (("one", np.ones((6, 2))), TypeError, ["C", "'one'"]),
        ((1j, np.ones((6, 2))), TypeError, ["C", "1j"]),
        ((None, np.ones((6, 2))), TypeError, ["C", "None"]),
    ],
    ids=lambda value: type(value[0]).__name__ if isinstance(value, tuple) else "",
)
@pytest.mark.parametrize("door", ["backward", "fit"])
def test_callable_loss_that_returns_something_else(rng, result, error, words, door):
    net = made(loss=lambda a, y: result)
    X, Y = data(rng)
    net.forward(X)
    before = net.gradient.copy(), net.parameters.copy()
    with pytest.raises(error) as caught:
        net.backward(Y) if door == "backward" else net.fit(X, Y, 1)
    for word in words:
        assert word in str(caught.value)
    assert_array_equal(net.gradient, before[0])
    assert_array_equal(net.parameters, before[1])


def test_callable_loss_whose_da_is_nan(rng):
    # In training it is a divergence: test_divergence.py.
    net, (X, Y) = made(loss=lambda a, y: (1.0, np.full_like(a, np.nan))), data(rng)
    net.forward(X)
    with pytest.raises(ValueError, match="da holds nan"):
        net.backward(Y)
    assert not net.gradient.any()


def test_loss_and_gradient_of_a_callable_loss_that_raises(rng):
    net, (X, Y) = made(loss=squared), data(rng)
    before = net.parameters.copy()
    with pytest.raises(ValueError, match="shapes"):
        net.loss_and_gradient(before + 1, X, Y[1:])
    assert_array_equal(net.parameters, before)


@pytest.mark.parametrize("door", ["backward", "evaluate", "loss_and_gradient", "fit", "step"])
def test_callable_loss_takes_no_sample_weight(rng, door):
    net = made(loss=squared)
    X, Y = data(rng)
    net.forward(X)
    w, theta = np.ones(6), net.parameters.copy()
    call = {
        "backward": lambda: net.backward(Y, w),
        "evaluate": lambda: net.evaluate(X, Y, w),
        "loss_and_gradient": lambda: net.loss_and_gradient(theta + 1, X, Y, w),
        "fit": lambda: net.fit(X, Y, sample_weight=w),
        "step": lambda: bp.Trainer(net).step(X, Y, w),
    }[door]
    with pytest.raises(ValueError, match=re.escape("sample_weight is given, but the loss is a")):
        call()
    assert_array_equal(net.parameters, theta)


# -------------------------------------------------------------------------------------- copies


@pytest.mark.parametrize("kind", ["deepcopy", "copy", "pickle"])
def test_copies_share_nothing(dtype, kind, rng):
    net = made(dtype, loss="huber")
    X, Y = data(rng)
    net.fit(X, Y, 1)
    make = {"copy": copy.copy, "deepcopy": copy.deepcopy,
            "pickle": lambda net: pickle.loads(pickle.dumps(net))}  # fmt: skip
    other = make[kind](net)
    assert repr(other) == repr(net)
    assert_array_equal(other.parameters, net.parameters, strict=True)
    assert_array_equal(other.predict(X), net.predict(X), strict=True)
    for x in (net.parameters, net.gradient):
        assert not np.shares_memory(x, other.parameters)
        assert not np.shares_memory(x, other.gradient)
    assert not any(x is y for x, y in zip(net.layers, other.layers, strict=True))
    for each in (net, other):
        each.fit(X, Y, 2, optimizer=bp.Adam(), rng=0)
    assert_array_equal(other.parameters, net.parameters)


def test_copies_keep_weights_that_are_not_finite():
    net = made()
    net.parameters[3] = np.inf
    assert_array_equal(copy.deepcopy(net).parameters, net.parameters)
    assert_array_equal(pickle.loads(pickle.dumps(net)).parameters, net.parameters)


def test_repr():
    assert repr(made(loss="huber")) == (
        "Network(3-4-2, tanh, identity, loss='huber', dtype='float32', 26 parameters)"
    )
    assert "loss='squared'" in repr(made(loss=squared))


@pytest.mark.parametrize("n_layers", [1, 2, 8, 9, 30])
def test_predict_and_evaluate_of_many_layers(dtype, rng, n_layers):
    net = bp.mlp([3] * (n_layers + 1), "tanh", dtype=dtype, rng=0)
    X, Y = rng.standard_normal((2, 7, 3)).astype(dtype)
    assert_allclose(net.predict(X), net.forward(X), rtol=RTOL["formula"][dtype])
    assert net.evaluate(X, Y) == pytest.approx(net.backward(Y), rel=RTOL["formula"][dtype])


@pytest.mark.parametrize("sizes", [(1, 1), (3, 40), (40, 2), (17, 33, 3), (128, 128, 2)])
@pytest.mark.parametrize("n", [1, 7, 300])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_predict_finds_what_is_not_finite(bad, n, sizes, dtype, level, rng):
    """By the first z, however it is summed: with weights of 0, under relu, in the last sample."""
    for weights in (0, 1):
        net = bp.mlp(sizes, "relu", dtype=dtype, rng=0)
        net.layers[0].W[...] *= weights
        X = rng.random((n, sizes[0])).astype(dtype)
        Y = np.zeros((n, sizes[-1]), dtype)
        for row, column in ((0, 0), (n - 1, sizes[0] - 1), (n // 2, sizes[0] // 2)):
            broken = X.copy()
            broken[row, column] = bad
            with pytest.raises(ValueError, match="X"):
                net.predict(broken)
            with pytest.raises(ValueError, match="X"):
                net.evaluate(broken, Y)
        assert np.isfinite(net.predict(X)).all()


def test_predict_takes_finite_numbers_that_overflow(dtype, level):
    """A z may be infinite though X is finite: that is no fault of X."""
    net = bp.mlp([40, 40, 2], "relu", dtype=dtype, rng=0)
    net.layers[0].W[...] = 100
    X = np.full((300, 40), np.finfo(dtype).max, dtype)
    assert not np.isfinite(net.predict(X)).all()
