"""PyTorch, eager: leaf tensors rather than modules; of its optimisers the fused, the fastest."""

import torch
from torch.nn import functional

ACTIVATIONS = {
    "identity": lambda z: z,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "softmax": lambda z: torch.softmax(z, -1),
}


def version():
    return torch.__version__


def tensors(case):
    """Return the initial W, b, W, b, …"""
    return [torch.from_numpy(array) for pair in case.initial_parameters() for array in pair]


def last_z(case, parameters, a):
    """Return z of the last layer."""
    activate = ACTIVATIONS[case.hidden]
    for k in range(0, len(parameters) - 2, 2):
        a = activate(functional.linear(a, parameters[k], parameters[k + 1]))
    return functional.linear(a, *parameters[-2:])


def predict(case, parameters, X):
    """Return a of the last layer."""
    return ACTIVATIONS[case.output](last_z(case, parameters, X))


def loss(case, parameters, X, Y):
    """Return C, the mean over the samples."""
    z = last_z(case, parameters, X)
    if case.loss == "cross_entropy":
        return functional.cross_entropy(z, Y)
    if case.loss == "binary_cross_entropy":
        return functional.binary_cross_entropy_with_logits(z, Y, reduction="sum") / len(X)
    return functional.mse_loss(ACTIVATIONS[case.output](z), Y, reduction="sum") / len(X)


class Training:
    def __init__(self, case, threads):
        torch.set_num_threads(threads)
        self.case, self.tensors = case, [t.requires_grad_() for t in tensors(case)]

    def load(self, X, Y):
        X, Y = torch.from_numpy(X), torch.from_numpy(Y)
        return [*zip(X.split(self.case.batch_size), Y.split(self.case.batch_size), strict=True)]

    def reset(self):
        with torch.no_grad():
            for tensor, initial in zip(self.tensors, tensors(self.case), strict=True):
                tensor.copy_(initial)
        make = getattr(torch.optim, self.case.optimizer)
        self.optimizer = make(self.tensors, self.case.learning_rate, fused=True)

    def train(self, data):
        for X, Y in data:
            self.optimizer.zero_grad()
            loss(self.case, self.tensors, X, Y).backward()
            self.optimizer.step()

    def parameters(self):
        arrays = [tensor.detach().numpy() for tensor in self.tensors]
        return [*zip(arrays[::2], arrays[1::2], strict=True)]


class Prediction:
    def __init__(self, case, threads):
        torch.set_num_threads(threads)
        self.case, self.tensors = case, tensors(case)

    def call(self, X):
        with torch.inference_mode():
            return predict(self.case, self.tensors, torch.from_numpy(X)).numpy()
