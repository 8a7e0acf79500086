"""How networks are made: initial values, dtype, what is refused, warnings."""

import warnings

import numpy as np
import pytest
from networks import made
from numpy.testing import assert_array_equal

import bpcore as bp


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
