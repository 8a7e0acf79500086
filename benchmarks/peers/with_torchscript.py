"""TorchScript, traced and frozen: predictions only."""

import warnings

import torch

from peers.with_torch import predict, tensors, version

__all__ = ["Prediction", "version"]


class Network(torch.nn.Module):
    def __init__(self, case):
        super().__init__()
        self.case, self.tensors = case, tensors(case)

    def forward(self, X):
        return predict(self.case, self.tensors, X)


class Prediction:
    def __init__(self, case, threads):
        torch.set_num_threads(threads)
        X = torch.from_numpy(case.data(1)[0])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            traced = torch.jit.trace(Network(case).eval(), X[0] if len(X) == 1 else X)
            self.forward = torch.jit.optimize_for_inference(torch.jit.freeze(traced))

    def call(self, X):
        with torch.inference_mode():
            return self.forward(torch.from_numpy(X)).numpy()
