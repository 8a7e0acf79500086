"""Files: networks, checkpoints, what is refused, and what a failed write leaves behind."""

import copy
import json
import os
import pathlib
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from safetensors import safe_open
from safetensors.numpy import save

import bpcore as bp
from bpcore import schedules

OPTIMIZERS = {
    "SGD": bp.SGD(0.05),
    "momentum": bp.SGD(0.05, 0.9),
    "Nesterov": bp.SGD(0.05, 0.9, nesterov=True),
    "Adam": bp.Adam(0.01, 0.8, 0.99, 1e-6),
    "AdamW": bp.AdamW(0.01, weight_decay=0.1),
    "RMSProp": bp.RMSProp(0.01, 0.8),
    "Adagrad": bp.Adagrad(0.1),
    "Rprop": bp.Rprop(0.02, 0.4, 1.3, 1e-5, 1.0),
    "NumPy's numbers": bp.Adam(np.float32(0.01), np.float64(0.9)),
    "constant": bp.Adam(schedules.Constant(0.01)),
    "steps": bp.SGD(schedules.StepDecay(0.1, 7, 0.5), 0.5),
    "exponential": bp.Adam(schedules.ExponentialDecay(0.01, 0.9, 3)),
    "cosine": bp.AdamW(schedules.CosineDecay(0.01, 20, 0.001)),
    "inverse": bp.RMSProp(schedules.InverseScaling(0.01, 0.3)),
}
GENERATORS = ("PCG64", "MT19937", "Philox", "SFC64", "PCG64DXSM")


def made(dtype="float32", **options):
    return bp.mlp([3, 5, 2], "tanh", dtype=dtype, rng=0, **options)


def data():
    rng = np.random.default_rng(5)
    return rng.standard_normal((23, 3)).astype("float32"), rng.random((23, 2)).astype("float32")


def trainer_of(name="Adam", generator="PCG64", dtype="float32"):
    rng = np.random.Generator(getattr(np.random, generator)(7))
    batch_size = None if name == "Rprop" else 5
    optimizer = copy.deepcopy(OPTIMIZERS[name])
    return bp.Trainer(made(dtype), optimizer, batch_size, l1=1e-4, clip_norm=2.0, rng=rng)


def assert_same(one, other):
    """All that training goes on from is the same, to the bit."""
    assert_array_equal(one.network.parameters, other.network.parameters, strict=True)
    assert list(one.optimizer.state) == list(other.optimizer.state)
    for name, vector in one.optimizer.state.items():
        assert_array_equal(vector, other.optimizer.state[name], strict=True)
    assert repr(one.optimizer) == repr(other.optimizer)
    assert repr(one.rng.bit_generator.state) == repr(other.rng.bit_generator.state)
    assert (one.epoch, one.optimizer.steps) == (other.epoch, other.optimizer.steps)
    for name in ("loss", "validation_loss", "learning_rate"):
        values = getattr(one.history, name)
        assert getattr(other.history, name) == pytest.approx(values, rel=0, abs=0, nan_ok=True)
        assert type(getattr(other.history, name)) is list
    for name in ("batch_size", "shuffle", "l1", "l2", "clip_norm", "n_threads"):
        assert getattr(one, name) == getattr(other, name)


# ------------------------------------------------------------------------------------ networks


@pytest.mark.parametrize("loss", bp.LOSSES)
@pytest.mark.filterwarnings("ignore:.*wants outputs of:UserWarning")
def test_network_comes_back(tmp_path, dtype, loss):
    net = bp.Network(
        [bp.Dense(3, 4, "gelu"), bp.Dense(4, 1, "selu"), bp.Dense(1, 2, "softmax")],
        loss,
        dtype=dtype,
        rng=0,
    )
    net.save(tmp_path / "net")
    other = bp.load(tmp_path / "net")
    assert repr(other) == repr(net)
    assert_array_equal(other.parameters, net.parameters, strict=True)
    X = data()[0]
    assert_array_equal(other.predict(X), net.predict(X), strict=True)
    other.fit(X, np.full((23, 2), 0.5), 1)


@pytest.mark.parametrize(
    "name", ["plain", "with space.safetensors", "ünïcode→", "-dash", ".hidden", "a" * 200, "%s{}"]
)
@pytest.mark.parametrize("kind", [str, pathlib.Path, os.fsencode])
def test_paths(tmp_path, name, kind):
    net = made()
    path = kind(tmp_path / name)
    net.save(path)
    assert_array_equal(bp.load(path).parameters, net.parameters)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made().save("net")
    assert_array_equal(bp.load("net").parameters, made().parameters)
    assert os.listdir() == ["net"]


def test_file_is_safetensors(tmp_path):
    made().save(tmp_path / "net")
    with safe_open(tmp_path / "net", "numpy") as file:
        assert sorted(file.keys()) == ["layers.0.W", "layers.0.b", "layers.1.W", "layers.1.b"]
        assert_array_equal(file.get_tensor("layers.0.W"), made().layers[0].W, strict=True)


def test_a_new_file_has_the_permissions_of_any_other(tmp_path):
    made().save(tmp_path / "net")
    (tmp_path / "other").touch()
    assert (tmp_path / "net").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_network_of_a_checkpoint(tmp_path):
    trainer = trainer_of()
    trainer.run(*data(), 2)
    trainer.save(tmp_path / "trainer")
    assert_array_equal(bp.load(tmp_path / "trainer").parameters, trainer.network.parameters)


# --------------------------------------------------------------------------------- checkpoints


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_going_on_is_never_having_stopped(tmp_path, dtype, name):
    whole, part = trainer_of(name, dtype=dtype), trainer_of(name, dtype=dtype)
    whole.run(*data(), 7)
    part.run(*data(), 3)
    part.save(tmp_path / "part")
    loaded = bp.Trainer.load(tmp_path / "part")
    assert_same(part, loaded)
    history = loaded.run(*data(), 4)
    assert history is loaded.history
    assert_same(whole, loaded)
    assert_array_equal(whole.network.predict(data()[0]), loaded.network.predict(data()[0]))
    for trainer in (whole, loaded):
        trainer.step(*data())
    assert_same(whole, loaded)


@pytest.mark.parametrize("generator", GENERATORS)
def test_shuffling_goes_on(tmp_path, generator):
    whole, part = trainer_of(generator=generator), trainer_of(generator=generator)
    whole.run(*data(), 7)
    part.run(*data(), 3)
    part.save(tmp_path / "part")
    loaded = bp.Trainer.load(tmp_path / "part")
    loaded.run(*data(), 4)
    assert_same(whole, loaded)
    assert type(loaded.rng.bit_generator).__name__ == generator


@pytest.mark.parametrize("name", ["Adam", "momentum", "cosine", "Rprop"])
@pytest.mark.parametrize("generator", ["PCG64", "MT19937"])
def test_going_on_in_another_process(tmp_path, name, generator):
    whole, part = trainer_of(name, generator), trainer_of(name, generator)
    X, Y = data()
    whole.run(X, Y, 7, validation_data=(X, Y))
    part.run(X, Y, 3, validation_data=(X, Y))
    part.save(tmp_path / "part")
    np.savez(tmp_path / "data.npz", X=X, Y=Y)
    code = (
        "import bpcore as bp, numpy as np\n"
        "trainer, data = bp.Trainer.load('part'), np.load('data.npz')\n"
        "X, Y = data['X'], data['Y']\n"
        "trainer.run(X, Y, 4, validation_data=(X, Y))\n"
        "trainer.save('whole')\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=60,
                   env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})  # fmt: skip
    assert_same(whole, bp.Trainer.load(tmp_path / "whole"))


def test_checkpoints_written_by_a_callback(tmp_path):
    trainer = trainer_of()
    trainer.run(*data(), 4, callbacks=[lambda t: t.save(tmp_path / str(t.epoch))])
    for epoch in (1, 2, 3):
        loaded = bp.Trainer.load(tmp_path / str(epoch))
        assert loaded.epoch == epoch == len(loaded.history)
        loaded.run(*data(), 4 - epoch)
        assert_same(trainer, loaded)


def test_checkpoint_before_the_first_step(tmp_path):
    trainer, other = trainer_of(), trainer_of()
    trainer.save(tmp_path / "new")
    loaded = bp.Trainer.load(tmp_path / "new")
    loaded.run(*data(), 2)
    other.run(*data(), 2)
    assert_same(other, loaded)


def test_validation_in_some_epochs(tmp_path):
    trainer = trainer_of()
    trainer.run(*data(), 1)
    trainer.run(*data(), 1, validation_data=data())
    trainer.save(tmp_path / "a")
    assert_same(trainer, bp.Trainer.load(tmp_path / "a"))
    assert vars(bp.Trainer.load(tmp_path / "a").history).keys() == vars(trainer.history).keys()


# ------------------------------------------------------------------------------- not written


def test_callables_are_refused(tmp_path):
    def loss(a, y):
        return 0.0, a - y

    for trainer, words in (
        (bp.Trainer(made(loss=loss)), "loss is a callable"),
        (bp.Trainer(made(), bp.SGD(lambda step: 0.1)), "learning rate is a callable"),
    ):
        with pytest.raises(ValueError, match=words):
            trainer.save(tmp_path / "a")
    with pytest.raises(ValueError, match="loss is a callable"):
        made(loss=loss).save(tmp_path / "a")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("failure", ["replace", "write", "NaN"])
@pytest.mark.parametrize("what", ["network", "trainer"])
def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch, failure, what):
    path = tmp_path / "file"
    trainer = trainer_of()
    thing = trainer.network if what == "network" else trainer
    thing.save(path)
    before = path.read_bytes()
    trainer.run(*data(), 1)

    def fail(*args, **options):
        raise OSError(28, "No space left on device")

    if failure == "replace":
        monkeypatch.setattr(os, "replace", fail)
    elif failure == "write":
        monkeypatch.setattr(os, "fdopen", fail)
    else:
        trainer.network.parameters[3] = np.nan
    with pytest.raises((OSError, ValueError)) as caught:
        thing.save(path)
    assert isinstance(caught.value, ValueError if failure == "NaN" else OSError)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(
    "make", [lambda d: d / "no" / "such" / "file", lambda d: d, lambda d: d / "file" / "below"]
)
def test_paths_that_cannot_be_written(tmp_path, make):
    (tmp_path / "file").write_bytes(b"old")
    path = make(tmp_path)
    with pytest.raises(OSError, match=re.escape(str(path))):
        made().save(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


@pytest.mark.parametrize("path", [None, 3, 1.5, ["a"]])
def test_what_is_no_path(path):
    for call in (made().save, trainer_of().save, bp.load, bp.Trainer.load):
        with pytest.raises(TypeError, match=r"path|str"):
            call(path)


# ----------------------------------------------------------------------------------- not read

READERS = [bp.load, bp.Trainer.load]


@pytest.mark.parametrize("read", READERS)
def test_no_file(tmp_path, read):
    with pytest.raises(FileNotFoundError, match="nothing"):
        read(tmp_path / "nothing")
    with pytest.raises(OSError, match=re.escape(str(tmp_path))):
        read(tmp_path)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"\xff" * 64, b"hello", b"PK\3\4" * 30])
def test_foreign_bytes(tmp_path, read, content):
    path = tmp_path / "foreign"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(str(path))):
        read(path)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"format": "bpcore 2"}])
def test_foreign_safetensors(tmp_path, read, metadata):
    path = tmp_path / "foreign"
    path.write_bytes(save({"weight": np.zeros((2, 2), np.float32)}, metadata))
    with pytest.raises(ValueError, match=f"{re.escape(str(path))}.*format.*wanted 'bpcore 1'"):
        read(path)


@pytest.mark.parametrize("read", READERS)
def test_truncated_anywhere(tmp_path, read):
    trainer = trainer_of()
    trainer.save(tmp_path / "whole")
    content = (tmp_path / "whole").read_bytes()
    path = tmp_path / "part"
    for length in [*range(0, 64, 7), *range(64, len(content), 97), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=re.escape(str(path))):
            read(path)


def test_a_network_is_no_checkpoint(tmp_path):
    made().save(tmp_path / "net")
    with pytest.raises(ValueError, match=r"without its trainer: read it with bpcore\.load"):
        bp.Trainer.load(tmp_path / "net")


def changed(path, change):
    """Write a checkpoint's header anew with `change(metadata, tensors)` applied."""
    with safe_open(path, "numpy") as file:
        header = file.metadata()
        tensors = {name: file.get_tensor(name).copy() for name in file.keys()}  # noqa: SIM118
    metadata = json.loads(header["bpcore"])
    result = change(metadata, tensors)
    text = result if isinstance(result, str) else json.dumps(metadata)
    path.write_bytes(save(tensors, {"format": header["format"], "bpcore": text}))


DAMAGED_NETWORKS = {
    "not JSON": lambda m, t: "{",
    "a list": lambda m, t: "[]",
    "a number": lambda m, t: "3",
    "no layers": lambda m, t: m.pop("layers") and None,
    "empty layers": lambda m, t: m.update(layers=[]),
    "layers null": lambda m, t: m.update(layers=None),
    "layer without size": lambda m, t: m["layers"][0].pop("n_inputs") and None,
    "layer of another size": lambda m, t: m["layers"][0].update(n_inputs=9),
    "layer's key": lambda m, t: m["layers"][0].update(colour="red"),
    "activation": lambda m, t: m["layers"][1].update(activation="reloo"),
    "loss": lambda m, t: m.update(loss="none"),
    "loss missing": lambda m, t: m.pop("loss") and None,
    "tensor missing": lambda m, t: t.pop("layers.1.b").any() and None,
    "tensor of integers": lambda m, t: t.update({"layers.0.W": np.ones((5, 3), int)}),
    "tensor in half": lambda m, t: t.update({"layers.0.W": np.ones((5, 3), "float16")}),
    "NaN": lambda m, t: t["layers.0.W"].fill(np.nan),
}
DAMAGED_TRAINERS = {
    "trainer null": lambda m, t: m.update(trainer=None),
    "trainer a list": lambda m, t: m.update(trainer=[]),
    **{
        f"{key} missing": lambda m, t, key=key: m["trainer"].pop(key) and None
        for key in ("batch_size", "optimizer", "steps", "rng", "epoch", "history")
    },
    "batch_size": lambda m, t: m["trainer"].update(batch_size=0),
    "optimizer": lambda m, t: m["trainer"].update(optimizer=3),
    "optimizer's name": lambda m, t: m["trainer"]["optimizer"].update(name="Adma"),
    "optimizer's rate": lambda m, t: m["trainer"]["optimizer"].update(learning_rate=-1),
    "no rate": lambda m, t: m["trainer"]["optimizer"].pop("learning_rate") and None,
    "schedule": lambda m, t: m["trainer"]["optimizer"].update(learning_rate={"name": "None"}),
    "steps a string": lambda m, t: m["trainer"].update(steps="three"),
    "steps negative": lambda m, t: m["trainer"].update(steps=-3),
    "epoch a string": lambda m, t: m["trainer"].update(epoch="three"),
    "epoch negative": lambda m, t: m["trainer"].update(epoch=-1),
    "history": lambda m, t: m["trainer"].update(history={"loss": 3}),
    "history's key": lambda m, t: m["trainer"]["history"].update(colour=[1]),
    "generator": lambda m, t: m["trainer"]["rng"].update(bit_generator="None"),
    "a function of numpy.random": lambda m, t: m["trainer"]["rng"].update(bit_generator="seed"),
    "another class": lambda m, t: m["trainer"]["rng"].update(bit_generator="Generator"),
    "generator's state": lambda m, t: m["trainer"]["rng"].update(state=3),
    "state missing": lambda m, t: t.pop("optimizer.v").any() and None,
    "state too short": lambda m, t: t.update({"optimizer.m": np.zeros(1, np.float32)}),
    "state too long": lambda m, t: t.update({"optimizer.m": np.zeros(99, np.float32)}),
    "state with NaN": lambda m, t: t["optimizer.m"].fill(np.nan),
}


@pytest.mark.parametrize("damage", [*DAMAGED_NETWORKS, *DAMAGED_TRAINERS])
def test_damaged_checkpoints(tmp_path, damage):
    trainer = trainer_of()
    trainer.run(*data(), 2)
    path = tmp_path / "damaged"
    trainer.save(path)
    changed(path, {**DAMAGED_NETWORKS, **DAMAGED_TRAINERS}[damage])
    legacy = pickle.dumps(np.random.get_state())  # noqa: NPY002
    for read in READERS if damage in DAMAGED_NETWORKS else READERS[1:]:
        with pytest.raises(ValueError, match=re.escape(str(path))) as caught:
            read(path)
        assert type(caught.value) is ValueError
    assert pickle.dumps(np.random.get_state()) == legacy  # noqa: NPY002


def test_an_undamaged_checkpoint_written_anew(tmp_path):
    trainer = trainer_of()
    trainer.run(*data(), 2)
    trainer.save(tmp_path / "a")
    changed(tmp_path / "a", lambda metadata, tensors: None)
    assert_same(trainer, bp.Trainer.load(tmp_path / "a"))
