"""Calls on a whole batch: what a training loop written in Python is made of."""

from suite._cases import CASES, IMPLS, data, network, optimizer
from suite._paired import paired_ratio
from suite._settings import Ratio, Timed

CALLS = {"letters": 100, "mnist128": 20}
"""Cases, and the calls timed together."""

METHODS = ("forward", "backward", "predict", "update")


def calls(impl, name):
    """Return the four calls by name; backward and update have what they need to begin with."""
    case = CASES[name]
    net, step = network(impl, case), optimizer(impl, case)
    X, Y = data(case, case.batch_size)
    net.forward(X)
    net.backward(Y)
    return {
        "forward": lambda: net.forward(X),
        "backward": lambda: net.backward(Y),
        "predict": lambda: net.predict(X),
        "update": lambda: step.update(net),
    }


class NetworkCalls(Timed):
    """Seconds for the calls of `CALLS`."""

    params = (list(CALLS), METHODS, IMPLS)
    param_names = ("case", "method", "impl")

    def setup(self, case, method, impl):
        self.call, self.calls = calls(impl, case)[method], range(CALLS[case])

    def time_calls(self, case, method, impl):
        for _ in self.calls:
            self.call()


class NetworkRatios(Ratio):
    """Time of bpcore's call divided by the reference's."""

    params = (list(CALLS), METHODS)
    param_names = ("case", "method")

    def setup(self, case, method):
        self.ours, self.reference = calls("bpcore", case)[method], calls("reference", case)[method]

    def track_call(self, case, method):
        return paired_ratio(self.ours, self.reference)
