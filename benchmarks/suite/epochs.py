"""One epoch of training, from the call in Python to its return: what users wait for."""

from suite._cases import CASES, IMPLS, epoch
from suite._paired import paired_ratio
from suite._settings import Ratio, Timed


class Epoch(Timed):
    """Seconds an epoch of `n_samples` of the case; it has n_samples / batch_size steps."""

    params = (list(CASES), IMPLS)
    param_names = ("case", "impl")

    def setup(self, case, impl):
        self.train = epoch(impl, CASES[case])

    def time_epoch(self, case, impl):
        self.train()


class EpochRatios(Ratio):
    """Time of bpcore's epoch divided by the reference's."""

    params = (list(CASES),)
    param_names = ("case",)

    def setup(self, case):
        self.ours, self.reference = epoch("bpcore", CASES[case]), epoch("reference", CASES[case])

    def track_epoch(self, case):
        return paired_ratio(self.ours, self.reference)
