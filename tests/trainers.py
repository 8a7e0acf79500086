"""What the tests of training share: the optimisers, a small network, a log of callbacks."""

import bpcore as bp

OPTIMIZERS = {
    "SGD": lambda rate=0.05: bp.SGD(rate),
    "momentum": lambda rate=0.05: bp.SGD(rate, 0.9),
    "Nesterov": lambda rate=0.05: bp.SGD(rate, 0.9, True),
    "Adam": lambda rate=0.01: bp.Adam(rate),
    "AdamW": lambda rate=0.01: bp.AdamW(rate),
    "RMSProp": lambda rate=0.01: bp.RMSProp(rate),
    "Adagrad": lambda rate=0.1: bp.Adagrad(rate),
    "Rprop": lambda rate=0.01: bp.Rprop(rate),
}


def made(dtype="float32", **options):
    return bp.mlp([3, 5, 2], "tanh", dtype=dtype, rng=0, **options)


class Log(bp.Callback):
    """Writes down each call with the steps done; may raise, or stop the training."""

    def __init__(self, every=None, *, name="", log=None, raises=None, stop_at=None):
        self.every, self.name, self.raises, self.stop_at = every, name, raises, stop_at
        self.log = [] if log is None else log

    def note(self, event, trainer):
        self.log.append((self.name + event, trainer.optimizer.steps))
        if self.raises == event:
            raise RuntimeError(self.name + event)
        trainer.stop_training |= self.stop_at == (event, trainer.optimizer.steps)

    def on_train_begin(self, trainer):
        self.note("begin", trainer)

    def on_epoch_end(self, trainer):
        self.note("epoch", trainer)

    def on_steps(self, trainer):
        self.note("steps", trainer)

    def on_train_end(self, trainer):
        self.note("end", trainer)
