"""Settings and arguments of training: refused in words, assigned, copied, shown."""

import copy
import math

import pytest
from numpy.testing import assert_allclose, assert_array_equal
from trainers import OPTIMIZERS, Log, made

import bpcore as bp


@pytest.mark.parametrize("rate", [0, -0.1, math.nan, math.inf, -math.inf, "0.1", None, True, 1j])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_learning_rate_refused(name, rate):
    with pytest.raises((TypeError, ValueError), match=r"learning_rate is .*wanted a") as caught:
        OPTIMIZERS[name](rate)
    assert repr(rate) in str(caught.value)


@pytest.mark.parametrize("rate", [0, -0.1, math.nan, math.inf, "0.1", None])
@pytest.mark.parametrize("door", ["run", "step", "update"])
def test_learning_rate_that_a_callable_returns_refused(data, rate, door):
    trainer = bp.Trainer(made(), bp.SGD(lambda step: rate))
    trainer.network.forward(data[0])
    trainer.network.backward(data[1])
    before = trainer.network.parameters.copy(), repr(trainer.rng.bit_generator.state)
    with pytest.raises((TypeError, ValueError), match=r"learning_rate\(0\) is"):
        if door == "update":
            trainer.optimizer.update(trainer.network)
        else:
            getattr(trainer, door)(*data)
    assert_array_equal(trainer.network.parameters, before[0])
    assert repr(trainer.rng.bit_generator.state) == before[1]
    assert trainer.optimizer.steps == 0


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: bp.SGD(0.1, 1.0), ValueError, ["momentum is 1.0", "[0, 1)"]),
        (lambda: bp.SGD(0.1, -0.1), ValueError, ["momentum is -0.1"]),
        (lambda: bp.SGD(0.1, nesterov=True), ValueError, ["nesterov", "momentum"]),
        (lambda: bp.SGD(0.1, 0.9, nesterov=1), TypeError, ["nesterov is 1", "True or False"]),
        (lambda: bp.Adam(beta_1=1), ValueError, ["beta_1 is 1"]),
        (lambda: bp.Adam(beta_2=-0.5), ValueError, ["beta_2 is -0.5"]),
        (lambda: bp.Adam(epsilon=0), ValueError, ["epsilon is 0"]),
        (lambda: bp.Adam(epsilon=math.nan), ValueError, ["epsilon is nan"]),
        (lambda: bp.AdamW(weight_decay=-1), ValueError, ["weight_decay is -1"]),
        (lambda: bp.RMSProp(rho="0.9"), TypeError, ["rho is '0.9'"]),
        (lambda: bp.Rprop(eta_minus=1.5), ValueError, ["eta_minus is 1.5"]),
        (lambda: bp.Rprop(eta_plus=0.5), ValueError, ["eta_plus is 0.5"]),
        (lambda: bp.Rprop(min_step=1, max_step=0.5), ValueError, ["max_step is 0.5"]),
        (lambda: bp.Rprop(lambda step: 0.1), TypeError, ["learning_rate", "number"]),
        (lambda: bp.Adam().update("net"), TypeError, ["str", "Network"]),
        (lambda: bp.Trainer("net"), TypeError, ["str", "Network"]),
        (lambda: bp.Trainer(bp.Dense(2, 2)), TypeError, ["Dense", "Network"]),
        (lambda: bp.Trainer(made(), "adam"), TypeError, ["'adam'", "bp.Adam"]),
        (lambda: bp.Trainer(made(), bp.Adam), TypeError, ["Adam", "bp.Adam("]),
    ],
)
def test_optimizers_and_trainers_refuse(make, error, words):
    with pytest.raises(error) as caught:
        make()
    assert type(caught.value) is error
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("batch_size", value) for value in (0, -1, 2.0, True, "32", math.nan)],
        *[("epochs", value) for value in (-1, 1.0, None, True, "3")],
        *[("shuffle", value) for value in (1, None, "yes")],
        *[("progress", value) for value in (1, None, "yes")],
        *[(name, v) for name in ("l1", "l2") for v in (-0.1, math.nan, math.inf, "0", None, True)],
        *[("clip_norm", value) for value in (0, -1, math.nan, math.inf, "1", True)],
        *[("n_threads", value) for value in (0, -1, 1.0, True, "2")],
        *[("callbacks", value) for value in (3, [3], ["x"], [bp.EarlyStopping], None, [None])],
        *[("validation_data", value) for value in (3, (1,), (1, 2, 3, 4), "ab", {})],
        *[("optimizer", value) for value in ("adam", bp.Adam, 0.1)],
    ],
)
def test_settings_of_fit_refused(data, name, value):
    net = made()
    before = net.parameters.copy()
    with pytest.raises((TypeError, ValueError)) as caught:
        net.fit(*data, **{name: value})
    words = {"callbacks": ["callback", "wanted"], "validation_data": ["validation_data", "(X, Y"]}
    for word in words.get(name, [name, "wanted", repr(value)]):
        assert word in str(caught.value)
    assert_array_equal(net.parameters, before)


def test_one_callback_without_a_list_is_taken_or_refused_in_a_sentence(data):
    try:
        made().fit(*data, callbacks=bp.EarlyStopping())
    except TypeError as error:
        assert "EarlyStopping" in str(error)
        assert "wanted" in str(error)


@pytest.mark.parametrize("every", [0, -1, 1.5, True, "2"])
def test_every_refused_before_training(data, every):
    trainer, log = bp.Trainer(made(), rng=0), Log()
    state = repr(trainer.rng.bit_generator.state)
    with pytest.raises((TypeError, ValueError), match=f"every.*{every!r}.*wanted"):
        trainer.run(*data, 1, callbacks=[log, Log(every)])
    assert log.log == []
    assert repr(trainer.rng.bit_generator.state) == state


def test_rprop_wants_full_batches(data):
    with pytest.raises(ValueError, match=r"batch_size is 5 for 23 samples: set batch_size=None"):
        made().fit(*data, 1, 5, bp.Rprop())


def test_settings_cannot_be_assigned():
    trainer = bp.Trainer(made())
    for name in ("network", "optimizer", "batch_size", "l1", "l2", "clip_norm", "n_threads"):
        before = getattr(trainer, name)
        with pytest.raises(AttributeError):
            setattr(trainer, name, 3)
        assert getattr(trainer, name) is before


@pytest.mark.parametrize("kind", ["run", "step", "update"])
def test_learning_rate_assigned_between_steps(data, kind):
    nets = made(), made()
    for net, rates in ((nets[0], (0.1, 0.01)), (nets[1], (0.1, 0.1))):
        trainer = bp.Trainer(net, bp.SGD(rates[0]), None, shuffle=False)
        trainer.step(*data)
        trainer.optimizer.learning_rate = rates[1]
        before = net.parameters.copy()
        net.forward(data[0])
        net.backward(data[1])
        trainer.optimizer.update(net) if kind == "update" else getattr(trainer, kind)(*data)
        net.change = net.parameters - before
    assert_allclose(10 * nets[0].change, nets[1].change, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("batch_size", [5, None])
def test_learning_rate_assigned_by_a_callback(data, batch_size):
    def halve(trainer):
        trainer.optimizer.learning_rate /= 2

    trainer, plain = (bp.Trainer(made(), bp.SGD(0.1), batch_size, shuffle=False) for _ in range(2))
    trainer.run(*data, 3, callbacks=[halve])
    assert trainer.history.learning_rate == [0.1, 0.05, 0.025]
    for rate in (0.1, 0.05, 0.025):
        plain.optimizer.learning_rate = rate
        plain.run(*data, 1)
    assert_array_equal(trainer.network.parameters, plain.network.parameters)


@pytest.mark.parametrize("rate", [-1.0, 0, math.nan, "x"])
def test_learning_rate_assigned_is_checked(data, rate):
    trainer = bp.Trainer(made(), bp.SGD(0.1))
    before = trainer.network.parameters.copy()
    with pytest.raises((TypeError, ValueError), match="learning_rate is"):
        trainer.optimizer.learning_rate = rate
        trainer.run(*data, 1)
    assert_array_equal(trainer.network.parameters, before)


@pytest.mark.parametrize("alive", [True, False])
def test_optimizer_of_another_network_refused(data, alive):
    optimizer = bp.Adam()
    net = made()
    net.fit(*data, 1, optimizer=optimizer)
    if not alive:
        del net
    with pytest.raises(ValueError, match=r"another network.*make a new"):
        made().fit(*data, 1, optimizer=optimizer)
    assert optimizer.steps == 1


def test_copies_of_network_and_optimizer_go_on_alike(data):
    trainer = bp.Trainer(made(), bp.Adam(), 5, rng=0)
    trainer.run(*data, 2)
    net, optimizer = copy.deepcopy((trainer.network, trainer.optimizer))
    for each in (trainer, bp.Trainer(net, optimizer, 5)):
        each.step(*data)
    assert_array_equal(net.parameters, trainer.network.parameters)
    other = copy.deepcopy(trainer)
    for each in (trainer, other):
        each.run(*data, 2)
    assert_array_equal(trainer.network.parameters, other.network.parameters)
    assert trainer.history.loss == other.history.loss
    assert other.optimizer is not trainer.optimizer


def test_repr():
    assert repr(bp.SGD(0.1, 0.9)) == "SGD(learning_rate=0.1, momentum=0.9, nesterov=False)"
    text = repr(bp.Trainer(made(), bp.Adam(), 7))
    for word in ("Trainer(", "3-5-2", "Adam(", "batch_size=7", "0 epochs"):
        assert word in text
