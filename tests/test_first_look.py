"""NaN and Inf in a large X and its Y are found by the first epoch, and leave no trace."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import bpcore as bp
from bpcore import first_look

BAD = (np.nan, np.inf, -np.inf)
OPTIMIZERS = {
    "SGD": lambda: bp.SGD(0.01),
    "momentum": lambda: bp.SGD(0.01, momentum=0.9),
    "Adam": bp.Adam,
}


@pytest.fixture
def looks(monkeypatch):
    """Small X too are looked at by the first epoch; the names of what a look did, in order."""
    done = []
    for name in ("__init__", "refuse", "end"):
        once = getattr(first_look.FirstLook, name)

        def noted(self, *arguments, once=once, name=name):
            done.append(name)
            return once(self, *arguments)

        monkeypatch.setattr(first_look.FirstLook, name, noted)
    monkeypatch.setattr(first_look, "FEW", 0)
    return done


def trainer_of(
    sizes=(20, 5, 2),
    hidden="relu",
    dtype="float32",
    optimizer="Adam",
    loss="squared_error",
    output="identity",
    **settings,
):
    net = bp.mlp(sizes, hidden, output, loss, dtype=dtype, rng=0)
    settings = {"batch_size": 7, "rng": 1} | settings
    trainer = bp.Trainer(net, OPTIMIZERS[optimizer](), **settings)
    trainer.optimizer.prepare(net)
    return trainer


def data_of(trainer, rng, n=400):
    first, last = trainer.network.layers[0], trainer.network.layers[-1]
    dtype = trainer.network.parameters.dtype
    widths = first.n_inputs, last.n_outputs
    return [rng.standard_normal((n, width)).astype(dtype) for width in widths]


def everything(trainer):
    """What a run changes."""
    return [
        trainer.network.parameters.copy(),
        trainer.network.gradient.copy(),
        *(vector.copy() for vector in trainer.optimizer.state.values()),
        [trainer.optimizer.steps, trainer.epoch, len(trainer.history.loss)],
        [str(trainer.rng.bit_generator.state)],
    ]


def assert_refused(trainer, X, Y, place, what="X", **keywords):
    """The run fails with what validation says, and changes nothing."""
    before = everything(trainer)
    at = rf"{what} holds -?(nan|inf) at index \({place[0]}, {place[1]}\)"
    with pytest.raises(ValueError, match=at):
        trainer.run(X, Y, **keywords)
    for now, then in zip(everything(trainer), before, strict=True):
        assert_array_equal(now, then)


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_nothing_is_changed(level, dtype, optimizer, bad, looks, rng):
    trainer = trainer_of(dtype=dtype, optimizer=optimizer)
    X, Y = data_of(trainer, rng)
    trainer.run(X, Y, epochs=2)  # a state that is not zero
    spoiled = X.copy()
    spoiled[-1, 3] = bad
    assert_refused(trainer, spoiled, Y, (399, 3))
    assert looks == ["__init__", "end", "__init__", "refuse", "end"]
    # And it goes on as if nothing had been tried.
    other = trainer_of(dtype=dtype, optimizer=optimizer)
    other.run(X, Y, epochs=2)
    assert trainer.run(X, Y, epochs=2).loss == other.run(X, Y, epochs=2).loss
    assert_array_equal(trainer.network.parameters, other.network.parameters)


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("hidden", ["relu", "sigmoid", "tanh", "softplus", "identity"])
@pytest.mark.parametrize(
    ("sizes", "batch_size"),
    [
        *[((20, 5, 2), size) for size in (1, 2, 7, 64, 400)],
        ((17, 1), 1),
        ((40, 33, 2), 33),
        ((24, 3, 2), 32),  # samples along the lanes
        *[(sizes, 9) for sizes in ((1, 3, 1), (4, 9, 2), (10, 1), (16, 5, 2))],
        ((3, 33, 2), 400),
        ((128, 64, 2), 200),  # the matrix unit
    ],
)
def test_no_activation_hides_it(level, dtype, sizes, batch_size, hidden, bad, looks, rng):
    """An Inf that makes sigmoid 0 or 1, or that relu makes 0, too."""
    n = 400 if sizes[0] < 100 else 1000
    trainer = trainer_of(sizes, hidden, dtype, "SGD", batch_size=batch_size)
    X, Y = data_of(trainer, rng, n)
    X[n // 2, 0] = bad
    for sign in (1, -1, 0):
        trainer.network.layers[0].W[:, 0] = sign
        assert_refused(trainer, X, Y, (n // 2, 0))
    assert looks == ["__init__", "refuse", "end"] * 3


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("outputs", [1, 2, 5, 17, 40])
@pytest.mark.parametrize(
    "loss", ["squared_error", "mean_squared_error", "mean_absolute_error", "huber"]
)
def test_no_loss_hides_it(level, dtype, loss, outputs, bad, looks, rng):
    """A sample that weighs nothing would, with two of them: then Y is looked through before."""
    batch_size = 32 if outputs < 17 else None  # and a step that looks at its gradient first
    trainer = trainer_of((20, 9, outputs), "tanh", dtype, loss=loss, batch_size=batch_size)
    X, Y = data_of(trainer, rng)
    place = 377, outputs // 2
    Y[place] = bad
    weight = (np.arange(400) != 377).astype(dtype)
    assert_refused(trainer, X, Y, place, "Y")
    assert looks == ["__init__", "refuse", "end"]
    assert_refused(trainer, X, Y, place, "Y", sample_weight=weight)
    assert looks == ["__init__", "refuse", "end"]
    Y[place] = 0
    trainer.run(X, Y, epochs=2)
    X[3, 4] = bad
    Y[2, 0] = bad
    assert_refused(trainer, X, Y, (3, 4))  # as where both are looked through before


@pytest.mark.parametrize("loss", ["poisson", "binary_cross_entropy", "cross_entropy"])
def test_targets_with_a_domain_are_looked_through_before(loss, looks, rng):
    output = {"poisson": "exp", "binary_cross_entropy": "sigmoid", "cross_entropy": "softmax"}
    trainer = trainer_of((20, 9, 3), loss=loss, output=output[loss])
    X, _ = data_of(trainer, rng)
    Y = np.full((400, 3), 1 / 3, np.float32)
    Y[5, 1] = np.nan
    assert_refused(trainer, X, Y, (5, 1), "Y")
    assert looks == []


@pytest.mark.parametrize(
    "settings", [{"shuffle": False}, {"batch_size": None}, {"l2": 0.1}, {"clip_norm": 1.0}], ids=str
)
def test_settings(settings, looks, rng):
    trainer = trainer_of(**settings)
    X, Y = data_of(trainer, rng)
    X[5, 6] = np.nan
    assert_refused(trainer, X, Y, (5, 6))
    assert_refused(trainer, X, Y, (5, 6), sample_weight=(np.arange(400) != 5).astype("float32"))
    assert looks == ["__init__", "refuse", "end"] * 2


@pytest.mark.parametrize("n_threads", [2, 3])
@pytest.mark.parametrize("row", [0, 100, 199, 700])
def test_threads(level, n_threads, row, looks, rng):
    """Whichever member of a team has the row."""
    trainer = trainer_of((300, 64, 10), batch_size=200, n_threads=n_threads, shuffle=False)
    X, Y = data_of(trainer, rng, 1000)
    X[row, 17] = np.inf
    trainer.network.layers[0].W[:, 17] = -1  # relu makes it 0
    assert_refused(trainer, X, Y, (row, 17))
    X[row, 17], Y[row, 3] = 0, -np.inf
    assert_refused(trainer, X, Y, (row, 3), "Y")
    assert looks == ["__init__", "refuse", "end"] * 2


def test_only_the_first_epoch_looks(looks, rng):
    trainer = trainer_of()
    X, Y = data_of(trainer, rng)
    trainer.run(X, Y, epochs=3)
    assert looks == ["__init__", "end"]


def test_what_diverges_by_itself_is_no_fault_of_X(looks, rng):
    trainer = trainer_of(hidden="identity", optimizer="SGD")
    X, Y = data_of(trainer, rng)
    with pytest.raises(bp.DivergenceError):
        trainer.run(np.float32(1e15) * X, Y, epochs=2)
    assert looks == ["__init__", "refuse", "end"]
    assert np.isfinite(trainer.network.parameters).all()


class TestALookBefore:
    """Where the first epoch does not look, nothing has begun when the error comes."""

    def refused_at_once(self, trainer, X, Y, looks, **keywords):
        with pytest.raises(ValueError, match="X holds nan"):
            trainer.run(X, Y, **keywords)
        assert looks == []

    @pytest.fixture
    def case(self, rng):
        trainer = trainer_of()
        X, Y = data_of(trainer, rng)
        X[3, 4] = np.nan
        return trainer, X, Y

    def test_callbacks(self, case, looks):
        """They would see weights that never were."""
        self.refused_at_once(*case, looks, callbacks=[lambda trainer: None])

    def test_conversions(self, case, looks):
        trainer, X, Y = case
        self.refused_at_once(trainer, X.astype("float64"), Y, looks)

    def test_no_epochs(self, case, looks):
        self.refused_at_once(*case, looks, epochs=0)

    def test_few_numbers(self, case, looks, monkeypatch):
        monkeypatch.setattr(first_look, "FEW", 100_000)
        self.refused_at_once(*case, looks)

    def test_many_parameters(self, looks, rng):
        trainer = trainer_of((20, 300, 2))
        X, Y = data_of(trainer, rng)
        X[3, 4] = np.nan
        self.refused_at_once(trainer, X, Y, looks)

    @pytest.mark.parametrize("batch_size", [1, 8])
    def test_narrow_layers(self, batch_size, looks, rng):
        trainer = trainer_of((16, 5, 2), batch_size=batch_size)
        X, Y = data_of(trainer, rng)
        X[3, 4] = np.nan
        self.refused_at_once(trainer, X, Y, looks)

    def test_losses_that_are_called(self, looks, rng):
        def loss(a, Y):
            return float(np.mean((a - Y) ** 2)), 2 * (a - Y) / len(a)

        net = bp.mlp((20, 5, 2), loss=loss, dtype="float32", rng=0)
        trainer = bp.Trainer(net, batch_size=7)
        X, Y = data_of(trainer, rng)
        X[3, 4] = np.nan
        self.refused_at_once(trainer, X, Y, looks)
