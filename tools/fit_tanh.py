"""Fit the polynomials of `tanh_table.h` and print its tables and constants.

    python tools/fit_tanh.py float32
    python tools/fit_tanh.py float64

float32: in each stretch tanh(lo + t) = c0 + c1 t + c2 t^2 + ..., with the smallest largest
relative error: least squares, weighted anew until all extremes are alike (C. L. Lawson 1961); lo is
the first row. The coefficients are rounded one after the other, from c0 on, and those that follow
are fitted to what the rounding left. Needs a long double of more digits than a double.

float64: tanh u = u - u^3 p(u^2) / q(u^2) below `BORDER`, and e^(2v) for |v| <= ln 2 / 64 and the
powers of two by sixteenths for what is above; the quotient and the polynomial take their functions'
values at Chebyshev's nodes. Needs mpmath, and prints the largest relative errors, too.
"""

import struct
import sys

import numpy as np
from mpmath import cos, exp, ln, lu_solve, matrix, mp, mpf, nstr, pi, sqrt, tanh

# float32: eight stretches of each octave of u + OFFSET.
DEGREE, ENTRIES, PARTS, OFFSET, BIAS = 4, 32, 8, 0.625, 127
LARGEST = 9.25  # what |x| is cut off at; from a stretch that begins here on tanh rounds to 1

BORDER = mpf(0.75)
NUMERATOR, DENOMINATOR = 2, 3  # degrees of p and q
SIXTEENTH = ln(2) / 16


def stretches():
    """Yield (index, beginning, length), from u = 0 to the end."""
    for exponent in range(-1, 5):
        for part in range(PARTS):
            length = 2.0**exponent / PARTS
            beginning = 2.0**exponent + part * length - OFFSET
            if 0 <= beginning <= LARGEST:
                yield ((exponent + BIAS) * PARTS + part) % ENTRIES, beginning, length


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


def fit_stretch(beginning, length):
    """Return c0, c1, ... of one stretch, rounded to float32."""
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


def float32():
    coefficients = np.zeros((DEGREE + 1, ENTRIES))
    beginnings = np.zeros(ENTRIES)
    for index, beginning, length in stretches():
        beginnings[index] = beginning
        if beginning == LARGEST:
            coefficients[0, index] = 1
        else:
            coefficients[:, index] = fit_stretch(beginning, length)
    for row in [beginnings, *coefficients]:
        print("{" + ", ".join(f"{c:.9g}" for c in row) + "},")


def chebyshev_nodes(low, high, count):
    return [
        (low + high + (high - low) * cos(pi * (k + mpf(0.5)) / count)) / 2 for k in range(count)
    ]


def value(coefficients, x):
    return sum(c * x**k for k, c in enumerate(coefficients))


def rounded(coefficients):
    return [mpf(float(c)) for c in coefficients]


def quotient():
    """Return p and q: (u - tanh u) / u^3 = p(u^2) / q(u^2), where q(0) = 1."""
    terms = NUMERATOR + DENOMINATOR + 1
    A, b = matrix(terms, terms), matrix(terms, 1)
    for i, s in enumerate(chebyshev_nodes(0, BORDER**2, terms)):
        b[i] = wanted = (sqrt(s) - tanh(sqrt(s))) / sqrt(s) ** 3
        for k in range(NUMERATOR + 1):
            A[i, k] = s**k
        for k in range(1, DENOMINATOR + 1):
            A[i, NUMERATOR + k] = -wanted * s**k
    c = list(lu_solve(A, b))
    return rounded(c[: NUMERATOR + 1]), rounded([1, *c[NUMERATOR + 1 :]])


def exponential():
    """Return c2, ..., c6: e^(2v) = 1 + 2 v + c2 v^2 + ... + c6 v^6."""
    most = SIXTEENTH / 4  # |v|: half of half a sixteenth of an octave of e^(2u)
    nodes = chebyshev_nodes(-most, most, 6)  # an even number: none of them 0
    A, b = matrix(len(nodes), 5), matrix(len(nodes), 1)
    for i, v in enumerate(nodes):
        b[i] = (exp(2 * v) - 1 - 2 * v) / v**2
        for k in range(5):
            A[i, k] = v**k
    return rounded(lu_solve(A, b))


def float64():
    p, q = quotient()
    points = [BORDER * k / 1000 for k in range(1, 1001)]
    worst = max(abs(1 - (u - u**3 * value(p, u**2) / value(q, u**2)) / tanh(u)) for u in points)
    print("p", [float(c) for c in p], "q", [float(c) for c in q], "error", nstr(worst, 3))
    c = rounded([1, 2, *exponential()])
    points = [SIXTEENTH / 4 * k / 1000 for k in range(-1000, 1001)]
    worst = max(abs(1 - value(c, v) / exp(2 * v)) for v in points)
    print("e^2v", [float(ck) for ck in c], "error", nstr(worst, 3))
    print("k an u", float(2 / SIXTEENTH), "u a k", float(SIXTEENTH / 2))
    for j in range(16):
        (bits,) = struct.unpack("<q", struct.pack("<d", float(mpf(2) ** (mpf(j) / 16))))
        print(f"{bits - (j << 48):#x},")


if __name__ == "__main__":
    mp.dps = 50
    {"float32": float32, "float64": float64}[sys.argv[1]]()
