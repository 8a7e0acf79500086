"""FANN: incremental training, an epoch of single samples a call into C.

Its conventions, by its source (2.2.0): a sigmoid is 1/(1 + e^(-2 s x)), so s = 1/2 makes it the
logistic function, and tanh(s x) and s x want s = 1. The step is η (y - a) σ'(z) a_in, where the
gradient of Σ (a - y)² has a factor 2: η is doubled. A symmetric output halves its error, so that η
is doubled once more. The error function is tanh unless it is set to linear. Within σ' the
activation is kept to [0.01, 0.99], [-0.98, 0.98] for tanh: no difference until units saturate.
"""

import ctypes
import ctypes.util

import numpy as np

INCREMENTAL, LINEAR_ERROR = 0, 0
ACTIVATIONS = {"identity": (0, 1.0), "sigmoid": (3, 0.5), "tanh": (5, 1.0)}
LIBRARIES = {"float32": ("floatfann", ctypes.c_float), "float64": ("doublefann", ctypes.c_double)}


def version():
    path = ctypes.util.find_library("floatfann")
    if path is None:
        raise ImportError("FANN (libfann) is not installed")
    return path.partition(".so.")[2] or path


class Network:
    """A `struct fann` with the case's initial parameters.

    Raises
    ------
    NotImplementedError
        An activation that FANN has not.
    """

    def __init__(self, case):
        if not {case.hidden, case.output} <= set(ACTIVATIONS):
            raise NotImplementedError(f"FANN has no {case.hidden} + {case.output}")
        name, self.real = LIBRARIES[case.dtype]
        self.library = ctypes.CDLL(ctypes.util.find_library(name))
        self.case, pointer = case, ctypes.c_void_p
        for function in ("create_standard_array", "copy", "create_train_from_callback"):
            self.function(function).restype = pointer
        sizes = (ctypes.c_uint * len(case.sizes))(*case.sizes)
        self.ann = pointer(self.function("create_standard_array")(len(sizes), sizes))
        for layer, name in (("hidden", case.hidden), ("output", case.output)):
            function, steepness = ACTIVATIONS[name]
            self("set_activation_function_" + layer, function)
            self("set_activation_steepness_" + layer, self.real(steepness))
        self._set_weights()

    def function(self, name):
        return getattr(self.library, "fann_" + name)

    def __call__(self, name, *arguments):
        return self.function(name)(self.ann, *arguments)

    @property
    def connection(self):
        fields = [("from", np.uint32), ("to", np.uint32), ("weight", self.real)]
        return np.dtype(fields, align=True)

    def connections(self):
        """Return the connections: of every unit those to the layer below, its bias at the end."""
        array = np.empty(self("get_total_connections"), self.connection)
        self("get_connection_array", array.ctypes.data_as(ctypes.c_void_p))
        return array

    def _set_weights(self):
        array = self.connections()
        rows = [np.c_[W, b].ravel() for W, b in self.case.initial_parameters()]
        array["weight"] = np.concatenate(rows)
        self("set_weight_array", array.ctypes.data_as(ctypes.c_void_p), len(array))

    def parameters(self):
        weights, pairs = self.connections()["weight"], []
        for n_inputs, n_outputs, _ in self.case.layers:
            rows, weights = np.split(weights, [n_outputs * (n_inputs + 1)])
            rows = rows.reshape(n_outputs, -1)
            pairs.append((rows[:, :-1], rows[:, -1]))
        return pairs

    def data(self, X, Y):
        """Return a `struct fann_train_data` of these rows."""
        types = [ctypes.c_uint] * 3 + [ctypes.POINTER(self.real)] * 2
        rows = iter(zip(X, Y, strict=True))

        @ctypes.CFUNCTYPE(None, *types)
        def fill(number, n_inputs, n_outputs, x, y):
            row = next(rows)
            np.ctypeslib.as_array(x, (n_inputs,))[:] = row[0]
            np.ctypeslib.as_array(y, (n_outputs,))[:] = row[1]

        create = self.function("create_train_from_callback")
        return ctypes.c_void_p(create(len(X), X.shape[1], Y.shape[1], fill))


class Training:
    def __init__(self, case, threads):
        if (case.batch_size, case.optimizer, case.loss) != (1, "SGD", "squared_error"):
            raise NotImplementedError("FANN trains by SGD of the squared error of one sample")
        self.net = Network(case)
        self.initial = self.net.ann
        self.rate = (4 if case.output == "tanh" else 2) * case.learning_rate

    def load(self, X, Y):
        return self.net.data(X, Y)

    def reset(self):
        if self.net.ann is not self.initial:
            self.net("destroy")
        self.net.ann = ctypes.c_void_p(self.net.function("copy")(self.initial))
        self.net("set_training_algorithm", INCREMENTAL)  # which a copy forgets
        self.net("set_train_error_function", LINEAR_ERROR)
        self.net("set_learning_rate", ctypes.c_float(self.rate))

    def train(self, data):
        self.net("train_epoch", data)

    def parameters(self):
        return self.net.parameters()


class Prediction:
    def __init__(self, case, threads):
        net = self.net = Network(case)
        run, n_outputs = net.function("run"), case.sizes[-1]
        run.restype = ctypes.POINTER(net.real)
        nothing = net.function("set_user_data")
        pointer = ctypes.c_void_p

        def one(x):
            return run(net.ann, pointer(x.ctypes.data))[:n_outputs]

        def empty(x):
            nothing(net.ann, pointer(x.ctypes.data))
            return zeros[:n_outputs]

        if case.batch_size == 1:
            zeros = (net.real * n_outputs)()
            self.call, self.empty_call = one, empty
        else:
            self.call = lambda X: [one(x) for x in X]
