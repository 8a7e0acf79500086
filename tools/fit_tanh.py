"""Fit the polynomials of `tanh_table.h` and print its tables.

    python tools/fit_tanh.py float32
    python tools/fit_tanh.py float64

In each stretch tanh(lo + t) = c0 + c1 t + c2 t^2 + ..., with a small largest relative error; lo is
the first row. For float32 it is the smallest: least squares, weighted anew until all extremes are
alike (C. L. Lawson 1961). For float64, where that would take hours, it is least squares at
Chebyshev's nodes, in 50 digits, to 0.2 ulp. The coefficients are rounded one after the other, from
c0 on, and those that follow are fitted to what the rounding left. Needs a long double of more
digits than a double, and mpmath for float64.
"""

import sys
from typing import NamedTuple

import numpy as np
from mpmath import cos, matrix, mp, mpf, pi, qr_solve, tanh

NODES = 44  # in a stretch of float64


class Table(NamedTuple):
    """How a type's numbers fall into stretches: parts of the octaves of u + offset."""

    degree: int
    entries: int
    parts: int
    offset: float
    bias: int  # of the type's exponent
    largest: float  # what |x| is cut off at; from a stretch that begins here on tanh rounds to 1


TABLES = {
    "float32": Table(4, 32, 8, 0.625, 127, 9.25),
    "float64": Table(14, 16, 4, 1.5, 1023, 20.0),
}


def stretches(table):
    """Yield (index, beginning, length), from u = 0 to the end."""
    for exponent in range(-1, 5):
        for part in range(table.parts):
            length = 2.0**exponent / table.parts
            beginning = 2.0**exponent + part * length - table.offset
            if 0 <= beginning <= table.largest:
                index = ((exponent + table.bias) * table.parts + part) % table.entries
                yield index, beginning, length


def minimax(powers, wanted, weights):
    """Return the coefficients of the columns `powers` with the smallest largest weighted error."""
    W = np.ones_like(weights)
    for _ in range(60):
        scale = (W * weights)[:, None]
        c, *_ = np.linalg.lstsq(
            (powers * scale).astype(float), (wanted * scale[:, 0]).astype(float), rcond=None
        )
        errors = np.abs((powers @ c - wanted) * weights)
        W *= np.maximum(errors / errors.max(), 1e-6) ** 0.25
        W /= W.max()
    return c


def fit_float32(degree, beginning, length):
    """Return c0, c1, ... of one stretch, rounded to float32."""
    nodes = np.cos(np.pi * (np.arange(400) + 0.5) / 400).astype(np.longdouble)
    t = np.longdouble(length) * (1 + nodes) / 2
    f = np.tanh(np.longdouble(beginning) + t)
    # Small arguments keep their relative precision only with exactly 0 + 1 t.
    fixed = [0.0, 1.0] if beginning == 0 else []
    while len(fixed) <= degree:
        rest = f - sum(np.longdouble(c) * t**k for k, c in enumerate(fixed))
        powers = np.stack([(t / length) ** k for k in range(len(fixed), degree + 1)], axis=1)
        c = minimax(powers, rest, 1 / f)[0] / length ** len(fixed)
        fixed.append(float(np.float32(c)))
    return fixed


def fit_float64(degree, beginning, length):
    """Return c0, c1, ... of one stretch, rounded to float64."""
    x = [(1 + cos(pi * (k + mpf(1) / 2) / NODES)) / 2 for k in range(NODES)]
    f = [tanh(beginning + length * xk) for xk in x]
    fixed = [0.0, 1.0] if beginning == 0 else []
    while len(fixed) <= degree:
        first = len(fixed)
        powers = matrix(NODES, degree + 1 - first)
        rest = matrix(NODES, 1)
        for i in range(NODES):
            t = length * x[i]
            rest[i] = (f[i] - sum(mpf(c) * t**k for k, c in enumerate(fixed))) / f[i]
            for k in range(first, degree + 1):
                powers[i, k - first] = x[i] ** k / f[i]
        c, _ = qr_solve(powers, rest)
        fixed.append(float(c[0] / mpf(length) ** first))
    return fixed


def main(name):
    mp.dps = 50
    table = TABLES[name]
    fit, digits = {"float32": (fit_float32, 9), "float64": (fit_float64, 17)}[name]
    coefficients = np.zeros((table.degree + 1, table.entries))
    beginnings = np.zeros(table.entries)
    for index, beginning, length in stretches(table):
        beginnings[index] = beginning
        if beginning == table.largest:
            coefficients[0, index] = 1
        else:
            coefficients[:, index] = fit(table.degree, beginning, length)
    for row in [beginnings, *coefficients]:
        print("{" + ", ".join(f"{c:.{digits}g}" for c in row) + "},")


if __name__ == "__main__":
    main(sys.argv[1])
