"""One sample at a time from Python, 1-D arrays throughout: all of it is the cost of a call."""

from suite._cases import (
    CASES,
    IMPLS,
    INFERENCE,
    PACKAGES,
    data,
    network,
    optimizer,
    require,
    uniform,
)
from suite._paired import paired_ratio
from suite._settings import Ratio, Timed

CALLS = range(200)


def predict(impl):
    """Return a call that predicts one sample through the tanh net `INFERENCE`."""
    net = require(PACKAGES[impl], "mlp")(INFERENCE, hidden="tanh", output="tanh", rng=0)
    x = uniform(INFERENCE[0])
    return lambda: net.predict(x)


def layer(impl):
    """Return a call that takes one sample through a sigmoid layer 3-2, forward and backward."""
    dense = require(PACKAGES[impl], "Dense")(3, 2, "sigmoid", rng=0)
    a_in, da = uniform(3), uniform(2, seed=1)

    def both_ways():
        dense.forward(a_in)
        dense.backward(da)

    return both_ways


def separate_step(impl):
    """Return a call that trains the tiny net 3-2-3-5 on one sample, in three calls."""
    net, step = network(impl, CASES["tiny"]), optimizer(impl, CASES["tiny"])
    x, y = (array[0] for array in data(CASES["tiny"], 1))

    def forward_backward_update():
        net.forward(x)
        net.backward(y)
        step.update(net)

    return forward_backward_update


def trainer_step(impl):
    """Return a call of one training step of the tiny net.

    The reference has no Trainer: there it is the three calls that a step consists of.
    """
    if impl == "reference":
        return separate_step(impl)
    case = CASES["tiny"]
    trainer = require(PACKAGES[impl], "Trainer")(
        network(impl, case), optimizer(impl, case), batch_size=1
    )
    x, y = (array[0] for array in data(case, 1))
    return lambda: trainer.step(x, y)


KINDS = {
    "layer": layer,
    "predict": predict,
    "separate step": separate_step,
    "trainer step": trainer_step,
}


class SingleSample(Timed):
    """Seconds for 200 calls."""

    params = (list(KINDS), IMPLS)
    param_names = ("kind", "impl")

    def setup(self, kind, impl):
        self.call = KINDS[kind](impl)

    def time_calls(self, kind, impl):
        for _ in CALLS:
            self.call()


class SingleSampleRatios(Ratio):
    """Time of bpcore's call divided by the reference's."""

    params = (list(KINDS),)
    param_names = ("kind",)

    def setup(self, kind):
        self.ours, self.reference = KINDS[kind]("bpcore"), KINDS[kind]("reference")

    def track_call(self, kind):
        return paired_ratio(self.ours, self.reference)
