from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

ACTIVATIONS: dict[str, int]
LOSSES: dict[str, int]
RULES: dict[str, int]

class Layer:
    n_inputs: int
    n_outputs: int
    activation: int
    W: Array
    b: Array
    dW: Array
    db: Array
    a_in: Array | None
    z: Array | None
    a: Array | None
    da: Array | None
    delta: Array | None
    def __init__(self, activation: int, W: Array, b: Array, dW: Array, db: Array) -> None: ...
    def bind(self, W: Array, b: Array, dW: Array, db: Array) -> None: ...
    def forget(self) -> None: ...
    def forward(self, x: Any) -> Array: ...
    def backward(self, da: Any) -> Array: ...

class Network:
    layers: list[Layer]
    loss: int
    loss_name: str
    fused: bool
    n_inputs: int
    n_outputs: int
    def __init__(self, layers: list[Layer], loss_name: str) -> None: ...
    def forward(self, X: Any) -> Array: ...
    def output_copy(self) -> Array: ...
    def backward(self, Y: Any, sample_weight: Any = None) -> float: ...
    def backpropagate(self, da: Any) -> Array: ...
    def check_targets(self, Y: Any, n: int, one: bool) -> tuple[Array | None, Array | None]: ...
    def predict(self, X: Any, out: Any = None) -> Array: ...
    def evaluate(
        self, X: Any, y: Array | None, labels: Array | None, weight: Array | None
    ) -> float: ...
    def parameter_arrays(self) -> list[Array]: ...

class Training:
    loss_sum: float
    weight_sum: float
    def __init__(
        self,
        network: Network,
        parameters: Array,
        gradient: Array,
        rule: dict[str, Any],
        first: Array | None,
        second: Array | None,
        counter: Array,
        batch_size: int,
        l1: float,
        l2: float,
        clip_norm: float,
    ) -> None: ...
    def run(
        self,
        X: Array,
        y: Array | None,
        labels: Array | None,
        weight: Array | None,
        order: Array | None,
        batch_size: int,
        start: int,
        stop: int,
        learning_rates: Array,
    ) -> int: ...
    def reset_loss(self) -> None: ...
    def step(
        self, X: Any, Y: Any, sample_weight: Any, learning_rate: float, careful: bool
    ) -> tuple[float, bool]: ...

def update_parameters(
    rule: dict[str, Any],
    parameters: Array,
    gradient: Array,
    first: Array | None,
    second: Array | None,
    learning_rate: float,
    counter: Array,
    calm_only: bool,
) -> bool: ...
def build_info() -> dict[str, int]: ...
