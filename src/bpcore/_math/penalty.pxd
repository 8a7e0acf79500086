"""Penalties of the weights: λ1 Σ|W| + λ2/2 Σ W², and their gradient λ1 sign(W) + λ2 W."""
from cython cimport floating

from bpcore._math.elementary cimport absolute, product
from bpcore._math.vector cimport (
    LANES_F64, larger, load, sum_f64, vec, vf64, wide_f32, zero,
)

cdef enum:
    SUMS = 8  # vectors of them side by side: each waits for its last addition


cdef inline floating sign(floating x) noexcept nogil:
    """1, 0 or -1"""
    return <floating> 1 if x > 0 else (<floating> -1 if x < 0 else <floating> 0)


cdef inline vf64 as_doubles(const floating *p) noexcept nogil:
    """A vector of float64 from as many elements."""
    if floating is float:
        return wide_f32(p)
    else:
        return load(<vf64 *> p, 0)


cdef inline double penalty(
    const floating *W, Py_ssize_t count, double l1, double l2
) noexcept nogil:
    """λ1 Σ|W| + λ2/2 Σ W², added up in float64"""
    cdef vf64 absolutes[SUMS]
    cdef vf64 squares[SUMS]
    cdef vf64 w
    cdef Py_ssize_t k = 0
    cdef double sum = 0, sum_of_squares = 0
    cdef int i
    for i in range(SUMS):
        absolutes[i] = squares[i] = zero(squares)
    while k + SUMS * LANES_F64 <= count:
        for i in range(SUMS):
            w = as_doubles(W + k + i * LANES_F64)
            squares[i] += w * w
        k += SUMS * LANES_F64
    if l1 != 0:
        k = 0
        while k + SUMS * LANES_F64 <= count:
            for i in range(SUMS):
                w = as_doubles(W + k + i * LANES_F64)
                absolutes[i] += larger(w, zero(squares) - w)
            k += SUMS * LANES_F64
    while k < count:
        sum += absolute(W[k])
        sum_of_squares += <double> W[k] * W[k]
        k += 1
    for i in range(1, SUMS):
        absolutes[0] += absolutes[i]
        squares[0] += squares[i]
    sum += sum_f64(absolutes[0])
    sum_of_squares += sum_f64(squares[0])
    return l1 * sum + 0.5 * l2 * sum_of_squares


cdef inline void penalty_gradient(
    const floating *restrict W, floating *restrict dW, Py_ssize_t count, double l1, double l2
) noexcept nogil:
    """dW ← dW + λ2 W + λ1 sign(W)"""
    cdef Py_ssize_t k
    cdef floating lambda_1 = <floating> l1, lambda_2 = <floating> l2
    for k in range(count):
        dW[k] += lambda_2 * W[k]
    if l1 != 0:
        for k in range(count):
            dW[k] += product(lambda_1, sign(W[k]))


cdef inline vec penalised(vec g, vec theta, vec lambda_2) noexcept nogil:
    """g + λ2 θ: what penalty_gradient makes of a vector, to the bit"""
    return g + lambda_2 * theta
