"""Peak memory of a process that trains on, and predicts, many samples.

NumPy takes 30 MB, X here 26 MB and Y 4 MB; whatever comes on top grows with the samples, and
should not: training needs room for parameters, gradients, optimiser state and one batch.
"""

from suite._cases import IMPLS, Case, data, network, optimizer

MANY = Case((64, 64, 10), "relu", "identity", "squared_error", 1024, "Adam", n_samples=100_000)


class PeakMemory:
    """Bytes, the largest resident set of the whole process."""

    params = (IMPLS,)
    param_names = ("impl",)
    version = "1"

    def setup(self, impl):
        self.net, self.optimizer = network(impl, MANY), optimizer(impl, MANY)
        self.X, self.Y = data(MANY, MANY.n_samples)

    def peakmem_fit(self, impl):
        self.net.fit(self.X, self.Y, epochs=1, batch_size=MANY.batch_size, optimizer=self.optimizer)

    def peakmem_predict(self, impl):
        self.net.predict(self.X)
