"""bpcore: an epoch is one call of a `Trainer`."""

import bpcore as bp


def version():
    return f"{bp.__version__}, {bp.cpu.level}"


def network(case):
    """Return the case's network with its initial parameters."""
    net = bp.mlp(case.sizes, case.hidden, case.output, case.loss, dtype=case.dtype, rng=0)
    set_parameters(net, case)
    return net


def set_parameters(net, case):
    """Set W and b of every layer to the case's initial parameters."""
    for layer, (W, b) in zip(net.layers, case.initial_parameters(), strict=True):
        layer.W[...], layer.b[...] = W, b


class Training:
    def __init__(self, case, threads):
        self.case, self.threads = case, threads
        self.net = network(case)

    def load(self, X, Y):
        return X, Y

    def reset(self):
        set_parameters(self.net, self.case)
        optimizer = getattr(bp, self.case.optimizer)(self.case.learning_rate)
        self.trainer = bp.Trainer(
            self.net, optimizer, self.case.batch_size, shuffle=False, n_threads=self.threads
        )

    def train(self, data):
        self.trainer.run(*data)

    def parameters(self):
        return [(layer.W, layer.b) for layer in self.net.layers]


class Prediction:
    def __init__(self, case, threads):
        self.call = network(case).predict
