"""The whole of bpcore in plain NumPy, one line a formula: to read, to check and to time against.

`Dense`, `Network` and `mlp` keep the contract of their compiled namesakes, and use no compiled
code. Read them as a lesson, in this order:

- `bpcore.reference.activations`: a = sigma(z), forward and derivative
- `bpcore.reference.losses`: C, and ∂C/∂a of the last layer
- `bpcore.reference.layers`: one layer, forward and backward
- `bpcore.reference.network`: the layers in turn, the look-up of ∂C/∂a, training
- `bpcore.reference.optimizers`: what an update does with the gradient

`bpcore.reference.checks` refuses what does not fit and says why. The derivation of every formula
is in ``docs/derivation.md``.
"""

from bpcore.reference.layers import Dense
from bpcore.reference.network import History, Network, mlp

__all__ = ["Dense", "History", "Network", "mlp"]
