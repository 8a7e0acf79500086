from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Self

import numpy as np
from typing_extensions import disjoint_base

_Array = np.ndarray[Any, Any]
_Checked = tuple[_Array, _Array | None, _Array | None, _Array | None]

ACTIVATIONS: dict[str, int]
LOSSES: dict[str, int]
RULES: dict[str, int]

@disjoint_base
class Layer:
    n_inputs: int
    n_outputs: int
    activation: int
    W: _Array
    b: _Array
    dW: _Array
    db: _Array
    a_in: _Array | None
    z: _Array | None
    a: _Array | None
    da: _Array | None
    delta: _Array | None
    def __init__(self, activation: int, W: _Array, b: _Array, dW: _Array, db: _Array) -> None: ...
    def bind(self, W: _Array, b: _Array, dW: _Array, db: _Array) -> None: ...
    def forget(self) -> None: ...
    def forward(self, x: Any) -> _Array: ...
    def backward(self, da: Any) -> _Array: ...

@disjoint_base
class Network:
    layers: list[Layer]
    loss: int
    loss_name: str
    fused: bool
    n_inputs: int
    n_outputs: int
    def __new__(cls, layers: list[Layer], loss_name: str) -> Self: ...
    def forward(self, X: Any) -> _Array: ...
    def output_copy(self) -> _Array: ...
    def backward(self, Y: Any, sample_weight: Any = None) -> float: ...
    def backpropagate(self, da: Any) -> _Array: ...
    def check(
        self, X: Any, Y: Any, sample_weight: Any, rows: bool = False, look: bool = True
    ) -> _Checked: ...
    def is_samples(self, X: Any) -> bool: ...
    def check_samples(self, X: Any, rows: bool = False) -> _Array: ...
    def forward_and_backward(
        self, x: _Array, y: _Array | None, labels: _Array | None, weight: _Array | None
    ) -> float: ...
    def predict(self, X: Any, out: Any = None) -> _Array: ...
    def evaluate(
        self, x: _Array, y: _Array | None, labels: _Array | None, weight: _Array | None
    ) -> float: ...
    def parameter_arrays(self) -> list[_Array]: ...

@disjoint_base
class Snapshot:
    steps: int
    def __new__(cls, vectors: Sequence[_Array], counter: _Array) -> Self: ...
    def forget(self) -> None: ...
    def take(self) -> None: ...
    def put_back(self) -> None: ...
    def is_finite(self) -> bool: ...

@disjoint_base
class Training:
    threads: int
    loss_sum: float
    weight_sum: float
    finite: bool
    rule: dict[str, Any]
    first: _Array | None
    def __new__(
        cls,
        network: Network,
        parameters: _Array,
        gradient: _Array,
        rule: dict[str, Any],
        first: _Array | None,
        second: _Array | None,
        counter: _Array,
        batch_size: int,
        l1: float,
        l2: float,
        clip_norm: float,
        threads: int = 1,
        largest_loss: float = ...,
    ) -> Self: ...
    def run(
        self,
        X: _Array,
        y: _Array | None,
        labels: _Array | None,
        weight: _Array | None,
        order: _Array | None,
        batch_size: int,
        start: int,
        stop: int,
        learning_rates: _Array,
        threads: int = 1,
        start_thread: Callable[[Callable[[int], None], int], Future[None]] | None = None,
        calm: bool = False,
        take: Snapshot | None = None,
        look: Snapshot | None = None,
    ) -> int: ...
    def join(self, index: int) -> None: ...
    def team_size(self, batch_size: int) -> int: ...
    def watch(self, watched: bool) -> None: ...
    def reset_loss(self) -> None: ...
    def step(
        self, X: Any, Y: Any, sample_weight: Any, learning_rate: float, careful: bool
    ) -> tuple[float, bool]: ...

def work_in_halves(halves: bool) -> None: ...
def is_calm_state(rule: dict[str, Any], first: _Array, learning_rate: float) -> bool: ...
def update_parameters(
    rule: dict[str, Any],
    parameters: _Array,
    gradient: _Array,
    first: _Array | None,
    second: _Array | None,
    learning_rate: float,
    counter: _Array,
    calm_only: bool,
) -> bool: ...
def fits(values: Any, like: _Array) -> bool: ...
def build_info() -> dict[str, int]: ...
def in_parts(n_inputs: int, n_outputs: int, n: int) -> set[str]: ...
def leave_own_processor() -> tuple[int, int]: ...
def elementwise(name: str, z: _Array) -> _Array: ...
