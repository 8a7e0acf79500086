"""Fit the polynomials of `tanh_table.h` and print them as its coefficients.

    python tools/fit_tanh.py

In each stretch tanh(lo + t) = c0 + c1 t + ... + c5 t^5, with the smallest largest relative error:
least squares, weighted anew until all extremes are alike (C. L. Lawson 1961). The coefficients are
rounded to float32 one after the other, from c0 on, and those that follow are fitted to what the
rounding left. Needs a long double of more digits than a double.
"""

import numpy as np

DEGREE = 5
LAST = 9  # index of the stretch from 9.5 on, where tanh rounds to 1


def stretches():
    """Yield (index, beginning, length): quarters of the octaves of u + 1/2, from u = 0 to 9.5."""
    for exponent in range(-1, 4):
        for quarter in range(4):
            length = 2.0**exponent / 4
            beginning = 2.0**exponent + quarter * length - 0.5
            if beginning < 9.5:
                yield (exponent + 127) % 8 * 4 + quarter, beginning, length


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


def fit(beginning, length):
    """Return c0, ..., c5 of one stretch, rounded to float32."""
    nodes = np.cos(np.pi * (np.arange(400) + 0.5) / 400).astype(np.longdouble)
    t = np.longdouble(length) * (1 + nodes) / 2
    f = np.tanh(np.longdouble(beginning) + t)
    # Small arguments keep their relative precision only with exactly 0 + 1 t.
    fixed = [0.0, 1.0] if beginning == 0 else []
    while len(fixed) <= DEGREE:
        rest = f - sum(np.longdouble(c) * t**k for k, c in enumerate(fixed))
        powers = np.stack([(t / length) ** k for k in range(len(fixed), DEGREE + 1)], axis=1)
        c = minimax(powers, rest, 1 / f)[0] / length ** len(fixed)
        fixed.append(float(np.float32(c)))
    return fixed


def main():
    table = np.zeros((DEGREE + 1, 32))
    table[0, LAST] = 1
    for index, beginning, length in stretches():
        table[:, index] = fit(beginning, length)
    for row in table:
        print("{" + ", ".join(f"{c:.9g}" for c in row) + "},")


if __name__ == "__main__":
    main()
