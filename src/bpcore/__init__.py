"""bpcore: small feed-forward networks, trained and run on CPUs at the speed of the arithmetic."""

from bpcore import callbacks, data, schedules
from bpcore._version import __version__
from bpcore.callbacks import Callback, EarlyStopping
from bpcore.config import show_config
from bpcore.history import History
from bpcore.layers import ACTIVATIONS, Dense
from bpcore.losses import LOSSES
from bpcore.network import Network, mlp
from bpcore.optimizers import SGD, Adagrad, Adam, AdamW, RMSProp, Rprop
from bpcore.persistence import load
from bpcore.trainer import DivergenceError, Trainer

__all__ = [
    "ACTIVATIONS",
    "LOSSES",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Callback",
    "Dense",
    "DivergenceError",
    "EarlyStopping",
    "History",
    "Network",
    "RMSProp",
    "Rprop",
    "Trainer",
    "__version__",
    "callbacks",
    "data",
    "load",
    "mlp",
    "schedules",
    "show_config",
]
