"""Networks and checkpoints as safetensors files: arrays, and JSON for the rest.

Every file is written beside its target and then put in its place, so that an
interrupted write leaves what was there before.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from bpcore import validation
from bpcore.history import History
from bpcore.layers import Dense
from bpcore.network import Network
from bpcore.optimizers import from_config
from bpcore.trainer import Trainer

if TYPE_CHECKING:
    from os import PathLike

FORMAT = "bpcore 1"
GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")


def load(path: str | PathLike[str]) -> Network:
    """Return the network of a file that `Network.save` or `Trainer.save` wrote.

    Parameters
    ----------
    path : str or path-like

    Raises
    ------
    OSError
        No such file, or it cannot be read.
    ValueError
        Not such a file, or a damaged one.
    """
    return _described(path, _network_from, *_read(path))


def save_network(network: Network, path: str | PathLike[str]) -> None:
    """Write a network; see `Network.save`."""
    _write(path, *_network_to(network))


def save_trainer(trainer: Trainer, path: str | PathLike[str]) -> None:
    """Write a checkpoint; see `Trainer.save`."""
    tensors, metadata = _network_to(trainer.network)
    for name, vector in trainer.optimizer.state.items():
        tensors[f"optimizer.{name}"] = vector
    metadata["trainer"] = {
        "batch_size": trainer.batch_size,
        "shuffle": trainer.shuffle,
        "l1": trainer.l1,
        "l2": trainer.l2,
        "clip_norm": trainer.clip_norm,
        "n_threads": trainer.n_threads,
        "epoch": trainer.epoch,
        "optimizer": trainer.optimizer.get_config(),
        "steps": trainer.optimizer.steps,
        "rng": _plain(trainer.rng.bit_generator.state),
        "history": vars(trainer.history),
    }
    _write(path, tensors, metadata)


def load_trainer(path: str | PathLike[str]) -> Trainer:
    """Return the trainer of a checkpoint; see `Trainer.load`."""
    tensors, metadata = _read(path)
    if isinstance(metadata, dict) and "trainer" not in metadata:
        raise ValueError(f"{path} holds a network without its trainer: read it with bpcore.load")
    return _described(path, _trainer_from, tensors, metadata)


def _described(path: Any, build: Any, *description: Any) -> Any:
    """Return build(*description); whatever is wrong with it becomes an error naming the file."""
    try:
        return build(*description)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is damaged or of another version: {type(error).__name__}: {error}"
        ) from error


def _trainer_from(tensors: dict[str, Any], metadata: dict[str, Any]) -> Trainer:
    """Return the trainer that `save_trainer` described."""
    values = metadata["trainer"]
    optimizer = from_config(values["optimizer"])
    network = _network_from(tensors, metadata)
    trainer = Trainer(
        network,
        optimizer,
        values["batch_size"],
        shuffle=values["shuffle"],
        l1=values["l1"],
        l2=values["l2"],
        clip_norm=values["clip_norm"],
        n_threads=values["n_threads"],
    )
    if any(name.startswith("optimizer.") for name in tensors):
        optimizer.prepare(network)
        for name, vector in optimizer.state.items():
            vector[...] = validation.parameters(
                tensors[f"optimizer.{name}"], vector.shape, vector.dtype, f"optimizer.{name}"
            )
    optimizer.steps = values["steps"]
    name = validation.one_of(values["rng"]["bit_generator"], GENERATORS, "bit_generator")
    trainer.rng = np.random.Generator(getattr(np.random, name)())
    trainer.rng.bit_generator.state = values["rng"]
    trainer.epoch = validation.non_negative_integer(values["epoch"], "epoch")
    trainer.history = History(
        **{key: [float(value) for value in series] for key, series in values["history"].items()}
    )
    return trainer


def _network_to(network: Network) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a network's arrays and its description."""
    if callable(network.loss):
        raise ValueError(
            "the loss is a callable, which a file cannot hold: save network.parameters, or give "
            "the network one of bpcore's losses"
        )
    if not np.isfinite(network.parameters).all():
        raise ValueError("the network's parameters hold NaN or Inf, which load would refuse")
    tensors = {}
    for k, layer in enumerate(network.layers):
        tensors[f"layers.{k}.W"], tensors[f"layers.{k}.b"] = layer.W, layer.b
    layers = [
        {"n_inputs": layer.n_inputs, "n_outputs": layer.n_outputs, "activation": layer.activation}
        for layer in network.layers
    ]
    return tensors, {"loss": network.loss, "layers": layers}


def _network_from(tensors: dict[str, Any], metadata: dict[str, Any]) -> Network:
    """Return the network that `_network_to` described."""
    layers = [
        Dense(
            **sizes,
            weight_initializer=tensors[f"layers.{k}.W"],
            bias_initializer=tensors[f"layers.{k}.b"],
            dtype=tensors[f"layers.{k}.W"].dtype,
        )
        for k, sizes in enumerate(metadata["layers"])
    ]
    return Network(layers, metadata["loss"])


def _write(path: Any, tensors: dict[str, Any], metadata: dict[str, Any]) -> None:
    """Write arrays and metadata, whole or not at all."""
    import tempfile

    from safetensors.numpy import save

    path = os.fsdecode(path)
    data = save(
        {name: np.ascontiguousarray(array) for name, array in tensors.items()},
        {"format": FORMAT, "bpcore": json.dumps(metadata)},
    )
    try:
        handle, beside = tempfile.mkstemp(dir=os.path.dirname(path) or ".", suffix=".partial")
    except OSError as error:
        raise type(error)(error.errno, error.strerror, path) from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(beside, 0o666 & ~_umask())
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise


def _umask() -> int:
    """Return the process's file mode mask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _read(path: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return arrays and metadata of a file of ours."""
    from safetensors import SafetensorError, safe_open

    path = os.fsdecode(path)
    with open(path, "rb"):  # the system's own error for what cannot be read
        pass
    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file: {error}") from error
    if header.get("format") != FORMAT:
        raise ValueError(
            f"{path} has the format {header.get('format')!r}, wanted {FORMAT!r}: a file that "
            "Network.save or Trainer.save wrote"
        )
    return tensors, _described(path, json.loads, header.get("bpcore"))


def _plain(value: Any) -> Any:
    """Return a bit generator's state with lists for arrays and ints for numpy's."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    return int(value) if isinstance(value, np.integer) else value
