"""bpcore.reference: the same in plain NumPy, a line a formula."""

import numpy as np

from bpcore import reference
from bpcore.reference import optimizers
from peers.with_bpcore import set_parameters


def version():
    return np.__version__


def network(case):
    """Return the case's network with its initial parameters."""
    net = reference.mlp(case.sizes, case.hidden, case.output, case.loss, dtype=case.dtype, rng=0)
    set_parameters(net, case)
    return net


class Training:
    def __init__(self, case, threads):
        self.case, self.net = case, network(case)

    def load(self, X, Y):
        return X, Y

    def reset(self):
        set_parameters(self.net, self.case)
        self.optimizer = getattr(optimizers, self.case.optimizer)(self.case.learning_rate)

    def train(self, data):
        self.net.fit(
            *data,
            epochs=1,
            batch_size=self.case.batch_size,
            optimizer=self.optimizer,
            shuffle=False,
        )

    def parameters(self):
        return [(layer.W, layer.b) for layer in self.net.layers]


class Prediction:
    def __init__(self, case, threads):
        self.call = network(case).predict
