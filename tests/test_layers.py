"""One layer: what it keeps, whose arrays they are, its constructor's arguments, copies of it."""

import copy
import gc
import pickle

import numpy as np
import pytest
from conftest import RTOL
from numpy.testing import assert_allclose, assert_array_equal

import bpcore as bp

KEPT = ("a_in", "z", "a", "da", "delta")


def made(dtype="float32", activation="tanh", sizes=(3, 2)):
    return bp.Dense(*sizes, activation, bias_initializer="standard_normal", dtype=dtype, rng=0)


def run(layer, X, dA):
    """Forward and backward; returns copies of all that the layer then holds and gives."""
    values = {"out": layer.forward(X).copy(), "da_in": layer.backward(dA)}
    return values | {name: np.array(getattr(layer, name)) for name in (*KEPT, "dW", "db")}


# --------------------------------------------------------------------------- forward and backward


def test_formulas_element_by_element(dtype, rng):
    layer = made(dtype)
    X, dA = rng.standard_normal((4, 3)), rng.standard_normal((4, 2))
    got = run(layer, X, dA)
    X, dA = X.astype(dtype).astype(float), dA.astype(dtype).astype(float)
    W, b = layer.W.astype(float), layer.b.astype(float)
    wanted = {name: np.zeros(value.shape) for name, value in got.items()}
    for i in range(4):
        for m in range(2):
            z = b[m] + sum(W[m, n] * X[i, n] for n in range(3))
            a = np.tanh(z)
            delta = dA[i, m] * (1 - a * a)
            wanted["z"][i, m], wanted["a"][i, m], wanted["out"][i, m] = z, a, a
            wanted["da"][i, m], wanted["delta"][i, m] = dA[i, m], delta
            wanted["db"][m] += delta
            for n in range(3):
                wanted["a_in"][i, n] = X[i, n]
                wanted["dW"][m, n] += delta * X[i, n]
                wanted["da_in"][i, n] += delta * W[m, n]
    for name, value in got.items():
        assert value.dtype == dtype
        assert_allclose(value, wanted[name], rtol=0, atol=RTOL["pass"][dtype], err_msg=name)


@pytest.mark.parametrize("activation", bp.ACTIVATIONS)
def test_one_sample_is_a_batch_of_one(dtype, rng, activation):
    layer, x, da = made(dtype, activation), rng.standard_normal(3), rng.standard_normal(2)
    single, batch = run(layer, x, da), run(layer, x[None], da[None])
    for name, value in single.items():
        if name in ("dW", "db"):
            assert_array_equal(value, batch[name], err_msg=name, strict=True)
        else:
            assert_array_equal(value[None], batch[name], err_msg=name, strict=True)


def test_gradients_are_of_the_last_batch_alone(rng):
    layer = made()
    first = run(layer, X := rng.standard_normal((5, 3)), dA := rng.standard_normal((5, 2)))
    run(layer, rng.standard_normal((9, 3)), rng.standard_normal((9, 2)))
    again = run(layer, X, dA)
    for name, value in first.items():
        assert_array_equal(value, again[name], err_msg=name, strict=True)


def test_backward_before_forward():
    layer = made()
    with pytest.raises(RuntimeError, match=r"call forward\(x\) first"):
        layer.backward([1, 2])
    assert [getattr(layer, name) for name in KEPT] == [None] * 5
    assert not layer.dW.any()


def test_forward_forgets_what_backward_kept(rng):
    layer = made()
    run(layer, rng.standard_normal((5, 3)), rng.standard_normal((5, 2)))
    layer.forward(rng.standard_normal((5, 3)))
    assert layer.da is None
    assert layer.delta is None


def test_backward_twice_from_one_forward(rng):
    layer = made()
    layer.forward(rng.standard_normal((5, 3)))
    dA = rng.standard_normal((5, 2))
    once, dW = layer.backward(dA), layer.dW.copy()
    assert_array_equal(layer.backward(2 * dA), 2 * once)
    assert_array_equal(layer.dW, 2 * dW)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((5, 3), "da has 3 features, this layer gives 2"),
        ((4, 2), r"da has shape \(4, 2\), wanted \(5, 2\)"),
        ((2,), r"da has shape \(2,\), wanted \(5, 2\)"),
    ],
)
def test_da_of_another_shape(rng, shape, message):
    layer = made()
    before = run(layer, rng.standard_normal((5, 3)), rng.standard_normal((5, 2)))
    with pytest.raises(ValueError, match=message):
        layer.backward(np.ones(shape))
    for name in (*KEPT, "dW", "db"):
        assert_array_equal(getattr(layer, name), before[name])


# ------------------------------------------------------------------------------- whose arrays


def test_arrays_that_are_held_are_never_written_to_again(dtype, rng):
    layer, held, copies = made(dtype), [], []
    for n in (4, 4, 1, 4, 7, 4):
        X, dA = rng.standard_normal((n, 3)), rng.standard_normal((n, 2))
        out = layer.forward(X)
        held += [out, layer.a_in, layer.z[1:], layer.a, layer.backward(dA), layer.da, layer.delta.T]
        copies += [x.copy() for x in held[len(copies) :]]
    for x, y in zip(held, copies, strict=True):
        assert_array_equal(x, y)


def test_a_view_of_a_kept_array_keeps_it(rng):
    layer = made()
    layer.forward(rng.standard_normal((4, 3)))
    views = [layer.a[:2], memoryview(layer.z), np.asarray(layer.a_in).reshape(-1)]
    copies = [np.array(view) for view in views]
    gc.collect()
    layer.forward(rng.standard_normal((4, 3)))
    for view, values in zip(views, copies, strict=True):
        assert_array_equal(view, values)


def test_arrays_that_nobody_holds_are_used_again(rng):
    layer = made()
    X, dA = rng.standard_normal((4, 3)).astype("float32"), np.ones((4, 2), "float32")
    run(layer, X, dA)
    addresses = [layer.z.ctypes.data, layer.a.ctypes.data, layer.a_in.ctypes.data]
    for _ in range(3):
        layer.forward(X)
        assert [layer.z.ctypes.data, layer.a.ctypes.data, layer.a_in.ctypes.data] == addresses


def test_kept_arrays_are_not_the_callers(rng):
    layer = made()
    X, dA = rng.standard_normal((4, 3)).astype("float32"), np.ones((4, 2), "float32")
    layer.forward(X)
    X0 = X.copy()
    X[...] = 99
    assert_array_equal(layer.a_in, X0)
    layer.backward(dA)
    dA[...] = 99
    assert_array_equal(layer.da, np.ones((4, 2)))
    da_in = layer.backward(layer.da)
    assert not np.shares_memory(da_in, X)
    assert layer.backward(layer.da) is not da_in


def test_its_own_arrays_as_input(dtype, rng):
    own, other = made(dtype, sizes=(3, 3)), made(dtype, sizes=(3, 3))
    X = rng.standard_normal((4, 3))
    own.forward(X)
    other.forward(X)
    for _ in range(3):
        copied = other.a.copy()
        assert_array_equal(own.forward(own.a), other.forward(copied))
        assert_array_equal(own.a_in, copied)
    own.backward(own.a)
    other.backward(other.a.copy())
    own.backward(own.delta[::-1])
    other.backward(other.delta[::-1].copy())
    assert_array_equal(own.dW, other.dW)


def test_a_shape_set_on_a_kept_array_does_not_lead_outside_it(recwarn):
    layer = bp.Dense(4, 4, rng=0)
    a = layer.forward(np.ones((1, 4)))
    a.shape = (4, 1)
    recwarn.clear()
    with pytest.raises((ValueError, RuntimeError)):
        layer.backward(np.ones((4, 4)))


def test_dw_and_db_are_the_same_arrays_all_along(rng):
    layer = made()
    W, b, dW, db = layer.W, layer.b, layer.dW, layer.db
    run(layer, rng.standard_normal((4, 3)), rng.standard_normal((4, 2)))
    assert layer.W is W
    assert layer.b is b
    assert layer.dW is dW
    assert layer.db is db
    assert dW.any()
    assert db.any()


def test_w_and_b_are_copied_in_and_written_in_place(dtype, rng):
    layer = made(dtype)
    W, b = layer.W, layer.b
    values = rng.standard_normal((2, 3))
    layer.W, layer.b = values, [1, 2]
    assert layer.W is W
    assert layer.b is b
    assert_array_equal(W, values.astype(dtype))
    values[...] = 0
    assert W.any()
    W *= 2
    layer.b += 1
    X = rng.standard_normal((5, 3)).astype(dtype)
    layer.forward(X)
    assert_allclose(layer.z, X @ W.T + [2, 3], rtol=0, atol=RTOL["pass"][dtype])


def test_kept_arrays_cannot_be_assigned():
    layer = made()
    for name in (*KEPT, "dW", "db", "dtype"):
        with pytest.raises(AttributeError):
            setattr(layer, name, np.zeros(2))


@pytest.mark.parametrize(("name", "value"), [("activation", "relu"), ("n_inputs", 9)])
def test_what_the_kernels_would_not_notice_cannot_be_assigned(name, value):
    layer = made()
    before = getattr(layer, name)
    with pytest.raises(AttributeError):
        setattr(layer, name, value)
    assert getattr(layer, name) == before


# ------------------------------------------------------------------------------- constructor


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        ((0, 2), {}, ValueError, ["n_inputs is 0", "positive"]),
        ((2, -1), {}, ValueError, ["n_outputs is -1", "positive"]),
        ((2.0, 2), {}, TypeError, ["n_inputs is 2.0", "positive integer"]),
        ((True, 2), {}, TypeError, ["n_inputs is True"]),
        ((2, "3"), {}, TypeError, ["n_outputs is '3'"]),
        ((None, 2), {}, TypeError, ["n_inputs is None"]),
        ((2**31, 2**31), {}, ValueError, ["2147483648 * 2147483648", "addressed"]),
        ((2**62, 4), {}, ValueError, [str(2**62), "addressed"]),
        ((2**80, 1), {}, ValueError, [str(2**80), "addressed"]),
        ((2, 2, "rellu"), {}, ValueError, ["'rellu'", "leaky_relu", "did you mean 'relu'"]),
        ((2, 2, None), {}, TypeError, ["activation is None", "sigmoid"]),
        ((2, 2, ["relu"]), {}, TypeError, ["activation is ['relu']"]),
        ((2, 2), {"weight_initializer": "he"}, ValueError, ["'he'", "he_uniform", "(2, 2)"]),
        ((2, 3), {"weight_initializer": np.ones((2, 3))}, ValueError, ["(2, 3)", "(3, 2)"]),
        ((2, 2), {"weight_initializer": [[1, np.nan], [0, 0]]}, ValueError, ["NaN"]),
        ((2, 2), {"weight_initializer": [["a", "b"]] * 2}, TypeError, ["<U1", "real numbers"]),
        ((1, 1), {"weight_initializer": [[1e39]]}, ValueError, ["infinite in float32"]),
        ((1, 1), {"weight_initializer": np.ma.masked_all((1, 1))}, ValueError, ["masked"]),
        ((2, 2), {"bias_initializer": "ones"}, ValueError, ["'ones'", "zeros"]),
        ((2, 3), {"bias_initializer": [0.0, 0.0]}, ValueError, ["(2,)", "(3,)"]),
        ((2, 2), {"dtype": "float16"}, TypeError, ["float16", "float32"]),
        ((2, 2), {"dtype": "complex64"}, TypeError, ["complex64"]),
        ((2, 2), {"dtype": int}, TypeError, ["int", "float32"]),
        ((2, 2), {"dtype": "float128x"}, TypeError, ["float128x", "float32"]),
        ((2, 2), {"dtype": np.dtype(np.float32).newbyteorder()}, TypeError, ["float32"]),
        ((2, 2), {"dtype": None}, TypeError, ["None", "float32"]),
        ((2, 2), {"dtype": ","}, TypeError, ["','", "float32"]),
        ((2, 2), {"rng": "seed"}, TypeError, ["seed"]),
        ((2, 2), {"rng": -1}, ValueError, ["non-negative"]),
    ],
)
def test_constructor_refuses(arguments, options, error, words):
    with pytest.raises(error) as caught:
        bp.Dense(*arguments, **options)
    assert type(caught.value) is error
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("dtype", ["f4", np.float32, np.dtype("float32"), "single"])
def test_names_of_float32(dtype):
    assert bp.Dense(np.int64(2), np.uint8(2), dtype=dtype).dtype == np.float32


def test_defaults():
    layer = bp.Dense(3, 2)
    assert (layer.activation, layer.dtype.name) == ("sigmoid", "float32")
    assert (layer.n_inputs, layer.n_outputs) == (3, 2)
    assert layer.W.shape == (2, 3)
    assert_array_equal(layer.b, np.zeros(2))
    assert not np.array_equal(layer.W, bp.Dense(3, 2).W)
    assert_array_equal(bp.Dense(3, 2, rng=4).W, bp.Dense(3, 2, rng=4).W)


def test_an_array_of_weights_is_copied(dtype):
    W = np.ones((2, 3), dtype)
    layer = bp.Dense(3, 2, weight_initializer=W, dtype=dtype)
    W[...] = 5
    assert_array_equal(layer.W, np.ones((2, 3)))


# ------------------------------------------------------------------------------------ copies


def copies_of(layer):
    return {
        "deepcopy": copy.deepcopy(layer),
        "copy": copy.copy(layer),
        **{f"pickle {p}": pickle.loads(pickle.dumps(layer, p)) for p in range(6)},
    }


@pytest.mark.parametrize("kind", ["deepcopy", "copy", *(f"pickle {p}" for p in range(6))])
def test_copies_stand_alone(dtype, kind, rng):
    layer = made(dtype, "gelu")
    run(layer, rng.standard_normal((4, 3)), rng.standard_normal((4, 2)))
    other = copies_of(layer)[kind]
    assert type(other) is bp.Dense
    assert repr(other) == repr(layer)
    assert other.weight_initializer == layer.weight_initializer == "he_uniform"
    assert other.bias_initializer == layer.bias_initializer == "standard_normal"
    assert_array_equal(other.W, layer.W, strict=True)
    assert_array_equal(other.b, layer.b, strict=True)
    assert not np.shares_memory(other.W, layer.W)
    X = rng.standard_normal((4, 3))
    assert_array_equal(other.forward(X), layer.forward(X), strict=True)
    other.W[...] = 0
    assert layer.W.any()


def test_a_copy_of_a_networks_layer_is_in_no_network(rng):
    net = bp.mlp([3, 2, 2], rng=0)
    layer = copy.deepcopy(net.layers[0])
    assert not np.shares_memory(layer.W, net.parameters)
    other = bp.Network([layer])
    other.parameters[...] = 0
    assert net.layers[0].W.any()


def test_copies_keep_weights_that_are_not_finite():
    layer = made()
    layer.W[0, 0] = np.nan
    for kind, other in copies_of(layer).items():
        assert_array_equal(other.W, layer.W, err_msg=kind)


def test_repr():
    assert repr(made("float64")) == "Dense(3, 2, 'tanh', dtype='float64')"
