"""PyTorch, compiled: forward, backward and update of a step are one graph, called from C++.

The update is written out, because a graph of its own around `torch.optim` costs a second call.
"""

import torch

from peers import with_torch
from peers.with_torch import loss, predict, tensors, version

__all__ = ["Prediction", "Training", "version"]

OPTIONS = {"cpp_wrapper": True}


class Training(with_torch.Training):
    def __init__(self, case, threads):
        torch.set_num_threads(threads)
        torch._dynamo.reset()  # what was compiled for the cases before
        self.case, self.tensors = case, tensors(case)
        self.m = [torch.zeros_like(tensor) for tensor in self.tensors]
        self.v = [torch.zeros_like(tensor) for tensor in self.tensors]
        # One a parameter group in torch.optim too; counted in the graph.
        self.t = torch.zeros((), dtype=self.tensors[0].dtype)
        self.step = torch.compile(self.step, fullgraph=True, dynamic=False, options=OPTIONS)

    def reset(self):
        for tensor, initial in zip(self.tensors, tensors(self.case), strict=True):
            tensor.copy_(initial)
        for tensor in (*self.m, *self.v, self.t):
            tensor.zero_()

    def gradient(self, X, Y):
        return torch.func.grad(lambda parameters: loss(self.case, parameters, X, Y))(self.tensors)

    def step(self, X, Y):
        gradient, rate = self.gradient(X, Y), self.case.learning_rate
        if self.case.optimizer == "SGD":
            for theta, g in zip(self.tensors, gradient, strict=True):
                theta.sub_(g, alpha=rate)
            return
        self.t.add_(1)
        rate, correction = rate / (1 - 0.9**self.t), torch.rsqrt(1 - 0.999**self.t)
        for theta, m, v, g in zip(self.tensors, self.m, self.v, gradient, strict=True):
            m.mul_(0.9).add_(g, alpha=1 - 0.9)
            v.mul_(0.999).addcmul_(g, g, value=1 - 0.999)
            theta.sub_(rate * m / (v.sqrt() * correction + 1e-8))

    def train(self, data):
        for X, Y in data:
            self.step(X, Y)


class Prediction:
    def __init__(self, case, threads):
        torch.set_num_threads(threads)
        torch._dynamo.reset()
        parameters = tensors(case)

        def forward(X):
            return predict(case, parameters, X)

        self.forward = torch.compile(forward, fullgraph=True, dynamic=False, options=OPTIONS)

    def call(self, X):
        with torch.inference_mode():
            return self.forward(torch.from_numpy(X)).numpy()
