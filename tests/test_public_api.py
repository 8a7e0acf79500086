"""The public names, their documentation, and the contract that DESIGN and README promise."""

import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys

import numpy as np
import pytest
from helpers import optional
from numpy.testing import assert_array_equal

import bpcore as bp

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(bp.__path__, "bpcore.")
    if not re.search(r"\.(__main__|_kernels\w*|_cpuid)$", module.name)
)
PUBLIC_MODULES = [name for name in MODULES if "._" not in name]
EXPORTED = [
    "ACTIVATIONS", "LOSSES", "SGD", "Adagrad", "Adam", "AdamW", "Callback", "Dense",
    "DivergenceError", "EarlyStopping", "History", "Network", "RMSProp", "Rprop", "Trainer",
    "__version__", "callbacks", "load", "mlp", "schedules", "show_config",
]  # fmt: skip


def imported(name):
    """The module; the estimators' need scikit-learn."""
    if name.startswith("bpcore.estimators"):
        optional("sklearn")
    return importlib.import_module(name)


def test_all_names_exist_and_nothing_else_does():
    assert len(set(bp.__all__)) == len(bp.__all__)
    assert set(EXPORTED) <= set(bp.__all__)
    for name in bp.__all__:
        assert getattr(bp, name) is not None
    # What is there beside them are modules.
    for name in set(dir(bp)) - set(bp.__all__):
        assert name.startswith("_") or inspect.ismodule(getattr(bp, name)), name


def test_star_import():
    names = {}
    exec("from bpcore import *", names)
    assert set(bp.__all__) <= set(names)


@pytest.mark.parametrize("name", PUBLIC_MODULES)
def test_modules_keep_to_their_own_all(name):
    module = imported(name)
    assert module.__doc__
    for public in getattr(module, "__all__", ()):
        assert hasattr(module, public)


def test_names():
    assert set(bp.ACTIVATIONS) == {
        "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus",
        "softsign", "hard_sigmoid", "exp", "identity", "softmax",
    }  # fmt: skip
    assert set(bp.LOSSES) == {
        "squared_error", "mean_squared_error", "mean_absolute_error", "huber", "poisson",
        "binary_cross_entropy", "cross_entropy",
    }  # fmt: skip
    assert re.fullmatch(r"\d+\.\d+(\.\d+)?([ab]|rc|\.dev)?\d*", bp.__version__)
    assert issubclass(bp.DivergenceError, ArithmeticError)
    assert issubclass(bp.EarlyStopping, bp.Callback)


# -------------------------------------------------------------------------------- signatures

EMPTY = inspect.Parameter.empty
NONE = None
SIGNATURES = {
    "Dense": {"n_inputs": EMPTY, "n_outputs": EMPTY, "activation": "sigmoid",
              "weight_initializer": NONE, "bias_initializer": "zeros", "dtype": "float32",
              "rng": NONE},
    "Dense.forward": {"x": EMPTY},
    "Dense.backward": {"da": EMPTY},
    "Network": {"layers": EMPTY, "loss": "squared_error", "dtype": NONE, "rng": NONE},
    "Network.forward": {"X": EMPTY},
    "Network.backward": {"Y": EMPTY, "sample_weight": NONE},
    "Network.backpropagate": {"da": EMPTY},
    "Network.predict": {"X": EMPTY, "out": NONE},
    "Network.evaluate": {"X": EMPTY, "Y": EMPTY, "sample_weight": NONE},
    "Network.loss_and_gradient": {"theta": EMPTY, "X": EMPTY, "Y": EMPTY, "sample_weight": NONE},
    "Network.fit": {"X": EMPTY, "Y": EMPTY, "epochs": 10, "batch_size": 32, "optimizer": NONE,
                    "shuffle": True, "sample_weight": NONE, "validation_data": NONE,
                    "callbacks": (), "progress": False, "n_threads": NONE, "rng": NONE,
                    "l1": 0.0, "l2": 0.0, "clip_norm": NONE},
    "Network.save": {"path": EMPTY},
    "mlp": {"sizes": EMPTY, "hidden": "relu", "output": "identity", "loss": "squared_error",
            "weight_initializer": NONE, "bias_initializer": "zeros", "dtype": "float32",
            "rng": NONE},
    "Trainer": {"network": EMPTY, "optimizer": NONE, "batch_size": 32, "shuffle": True,
                "l1": 0.0, "l2": 0.0, "clip_norm": NONE, "n_threads": NONE, "rng": NONE},
    "Trainer.step": {"X": EMPTY, "Y": EMPTY, "sample_weight": NONE},
    "Trainer.run": {"X": EMPTY, "Y": EMPTY, "epochs": 1, "sample_weight": NONE,
                    "validation_data": NONE, "callbacks": (), "progress": False},
    "Trainer.save": {"path": EMPTY},
    "Trainer.load": {"path": EMPTY},
    "load": {"path": EMPTY},
    "SGD": {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False},
    "Adam": {"learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8},
    "AdamW": {"learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8,
              "weight_decay": 0.01},
    "RMSProp": {"learning_rate": 1e-3, "rho": 0.9, "epsilon": 1e-8},
    "Adagrad": {"learning_rate": 0.01, "epsilon": 1e-10},
    "Rprop": {"learning_rate": 0.01, "eta_minus": 0.5, "eta_plus": 1.2, "min_step": 1e-6,
              "max_step": 50.0},
    "Adam.update": {"network": EMPTY},
    "EarlyStopping": {"patience": 10, "min_delta": 0.0, "restore_best": True},
    "History.to_dict": {},
    "History.plot": {"ax": NONE},
    "show_config": {"mode": "stdout"},
    "schedules.Constant": {"learning_rate": EMPTY},
    "schedules.StepDecay": {"learning_rate": EMPTY, "step_size": EMPTY, "factor": 0.1},
    "schedules.ExponentialDecay": {"learning_rate": EMPTY, "factor": EMPTY, "decay_steps": 1},
    "schedules.CosineDecay": {"learning_rate": EMPTY, "decay_steps": EMPTY, "final": 0.0},
    "schedules.InverseScaling": {"learning_rate": EMPTY, "power": 0.5},
}  # fmt: skip
KEYWORD_ONLY = {
    "Dense": "weight_initializer", "Network": "dtype", "mlp": "weight_initializer",
    "Network.fit": "shuffle", "Trainer": "shuffle", "Trainer.run": "sample_weight",
}  # fmt: skip


def attribute(path):
    thing = bp
    for name in path.split("."):
        thing = getattr(thing, name)
    return thing


@pytest.mark.parametrize("path", SIGNATURES)
def test_signatures(path):
    parameters = dict(inspect.signature(attribute(path)).parameters)
    parameters.pop("self", None)
    assert {name: p.default for name, p in parameters.items()} == SIGNATURES[path]
    assert list(parameters) == list(SIGNATURES[path])
    first = KEYWORD_ONLY.get(path)
    for k, (name, parameter) in enumerate(parameters.items()):
        after = first is not None and k >= list(parameters).index(first)
        assert (parameter.kind is parameter.KEYWORD_ONLY) == after, name


# ----------------------------------------------------------------------------- documentation


def public_callables():
    """Path and object of every public function, class and method of the package's own."""
    found = {}
    for name in bp.__all__:
        thing = getattr(bp, name)
        if inspect.ismodule(thing):
            listed = [(f"{name}.{n}", getattr(thing, n)) for n in thing.__all__]
        else:
            listed = [(name, thing)]
        for path, each in listed:
            if not (inspect.isclass(each) or inspect.isfunction(each)):
                continue
            found[path] = each
            for method in vars(each) if inspect.isclass(each) else ():
                function = inspect.getattr_static(each, method)
                function = getattr(function, "__func__", function)
                if inspect.isfunction(function) and not method.startswith("_"):
                    found[f"{path}.{method}"] = function
    return found


CALLABLES = public_callables()
# Whose docstring of a line or two, or whose class's docstring, says it all.
SHORT = re.compile(
    r"(\.on_\w+|\.rate|\.rates|\.to_dict|\.append|\.from_dict|\.get_config|\.draw|\.save|\.load"
    r"|DivergenceError|callbacks\.progress_bar)$"
)


def sections_of(text):
    return set(re.findall(r"^(\w+)\n-{3,}$", inspect.cleandoc(text or ""), re.MULTILINE))


@pytest.mark.parametrize("path", CALLABLES)
def test_documented(path):
    thing = CALLABLES[path]
    doc = inspect.getdoc(attribute(path))  # an overriding method's may be that of its base
    assert doc
    summary = doc.split("\n\n")[0]
    assert len(summary) <= 200
    assert summary[-1] == "."
    if SHORT.search(path):
        return
    signature = inspect.signature(thing.__init__ if inspect.isclass(thing) else thing)
    names = [
        name
        for name, parameter in signature.parameters.items()
        if name not in ("self", "cls")
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    sections = sections_of(doc)
    if names:
        assert "Parameters" in sections
        assert [name for name in names if not re.search(rf"\b{name}\b", doc)] == []
    if not inspect.isclass(thing) and signature.return_annotation not in ("None", EMPTY):
        assert "Returns" in sections or summary.startswith("Return")


RAISING = [
    "Dense", "Dense.forward", "Dense.backward", "Network", "Network.forward", "Network.backward",
    "Network.backpropagate", "Network.predict", "Network.loss_and_gradient", "Network.fit",
    "Network.save", "mlp", "Trainer", "Trainer.step", "Trainer.run", "Trainer.save", "Trainer.load",
    "load", "show_config", "History.plot", "EarlyStopping",
]  # fmt: skip


@pytest.mark.parametrize("path", RAISING)
def test_errors_documented(path):
    assert "Raises" in sections_of(attribute(path).__doc__)


@pytest.mark.parametrize("path", CALLABLES)
def test_annotated(path):
    thing = CALLABLES[path]
    function = thing.__init__ if inspect.isclass(thing) else thing
    if not inspect.isfunction(function):
        return
    signature = inspect.signature(function)
    for name, parameter in signature.parameters.items():
        if name not in ("self", "cls"):
            assert parameter.annotation is not EMPTY, name
    if not function.__name__.startswith("on_") or path.startswith("Callback"):
        assert signature.return_annotation is not EMPTY


@pytest.mark.parametrize("name", ["bpcore", *MODULES])
def test_examples_of_docstrings(name):
    module = imported(name)
    finder = doctest.DocTestFinder(exclude_empty=True)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    output = []
    for test in finder.find(module, name):
        for package in ("scipy", "matplotlib", "tqdm", "sklearn"):
            if any(package in example.source for example in test.examples):
                optional(package)
        runner.run(test, out=output.append)
    assert runner.failures == 0, "".join(output)


def test_examples_are_there():
    finder = doctest.DocTestFinder()
    for name in ("Dense", "Network", "mlp", "Trainer", "History", "Callback", "show_config"):
        assert any(test.examples for test in finder.find(getattr(bp, name), name)), name


# --------------------------------------------------------------------------------- the contract


def test_contract_of_a_layer():
    x, da = np.ones((4, 3)), np.ones((4, 2))
    layer = bp.Dense(3, 2, "sigmoid", dtype="float64", rng=0)
    a = layer.forward(x)
    da_in = layer.backward(da)
    assert (a.shape, da_in.shape) == ((4, 2), (4, 3))
    assert_array_equal(layer.a_in, x)
    assert (layer.z.shape, layer.a.shape, layer.da.shape, layer.delta.shape) == ((4, 2),) * 4
    assert (layer.dW.shape, layer.db.shape) == ((2, 3), (2,))
    assert layer.forward(x[0]).shape == (2,)


def test_contract_of_a_network():
    net = bp.Network([bp.Dense(3, 2), bp.Dense(2, 3), bp.Dense(3, 5)], loss="squared_error",
                     dtype="float32", rng=0)  # fmt: skip
    X, Y = np.ones((4, 3)), np.zeros((4, 5))
    a = net.forward(X)
    C = net.backward(Y)
    dX = net.backpropagate(np.ones((4, 5)))
    assert type(C) is float
    assert (a.shape, dX.shape) == ((4, 5), (4, 3))
    assert net.forward(X[0]).shape == (5,)
    before = net.parameters.copy()
    net.forward(X)
    net.backward(Y)
    bp.Adam(1e-3).update(net)
    assert not np.array_equal(net.parameters, before)
    assert np.shares_memory(net.layers[0].dW, net.gradient)
    assert net.parameters.shape == net.gradient.shape == (8 + 9 + 20,)
    assert net.predict(X, out=None).shape == (4, 5)
    assert type(net.evaluate(X, Y)) is float
    C, gradient = net.loss_and_gradient(before, X, Y)
    assert (type(C), gradient.shape) == (float, (37,))


def test_contract_of_training(tmp_path):
    net = bp.mlp([64, 32, 10], hidden="relu", output="softmax", loss="cross_entropy",
                 dtype="float32", rng=0)  # fmt: skip
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((50, 64)), rng.integers(0, 10, 50)
    history = net.fit(X, Y, epochs=10, batch_size=32, optimizer=bp.Adam(1e-3), shuffle=True,
                      sample_weight=None, validation_data=None, callbacks=(), progress=False,
                      n_threads=None, rng=None)  # fmt: skip
    assert len(history.loss) == 10
    assert history.validation_loss == []
    trainer = bp.Trainer(net, optimizer=bp.Adam(1e-3), batch_size=32, n_threads=None, rng=0)
    assert type(trainer.step(X, Y)) is float
    assert trainer.run(X, Y, epochs=5) is trainer.history
    assert trainer.network is net
    assert isinstance(trainer.optimizer, bp.Adam)
    path = tmp_path / "file"
    trainer.save(path)
    bp.Trainer.load(path).run(X, Y)
    net.save(path)
    assert_array_equal(bp.load(path).predict(X), net.predict(X))


def test_contract_of_optimizers_and_configuration(capsys):
    learning_rate, weight_decay = 0.1, 0.01
    bp.SGD(learning_rate, momentum=0.0, nesterov=False)
    bp.Adam(learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-8)
    bp.AdamW(learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-8, weight_decay=weight_decay)
    bp.RMSProp(learning_rate)
    bp.show_config()
    assert bp.cpu.level in capsys.readouterr().out


def test_contract_of_scipy():
    minimize = optional("scipy.optimize").minimize
    net = bp.mlp([1, 5, 1], hidden="tanh", dtype="float64", rng=0)
    X = np.linspace(-1, 1, 11).reshape(-1, 1)
    result = minimize(net.loss_and_gradient, net.parameters, args=(X, X**3), jac=True)
    assert result.fun < 1e-4
    net.parameters[...] = result.x
    assert net.evaluate(X, X**3) == pytest.approx(result.fun, rel=1e-9)


def test_contract_of_the_reference():
    from bpcore.reference import Dense, Network

    net = Network([Dense(3, 2), Dense(2, 3), Dense(3, 5)], "squared_error", rng=0)
    compiled = bp.Network([bp.Dense(3, 2), bp.Dense(2, 3), bp.Dense(3, 5)], rng=0)
    X, Y = np.ones((4, 3)), np.zeros((4, 5))
    for each in (net, compiled):
        each.forward(X)
        each.backward(Y)
    np.testing.assert_allclose(net.layers[0].dW, compiled.layers[0].dW, rtol=1e-5)
    assert len(net.fit(X, Y, epochs=2, rng=0).loss) == 2


def test_importing_the_package_imports_nothing_optional():
    code = (
        "import sys, bpcore\n"
        "heavy = {'scipy', 'matplotlib', 'tqdm', 'sklearn', 'pandas', 'torch'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                            timeout=60, check=True)  # fmt: skip
    assert result.stdout == "[]\n"
