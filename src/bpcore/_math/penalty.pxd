"""Penalties of the weights: λ1 Σ|W| + λ2/2 Σ W², and their gradient λ1 sign(W) + λ2 W."""
from cython cimport floating

from bpcore._math.elementary cimport absolute, product
from bpcore._math.vector cimport LANES_F32, LANES_F64, at, lanes, load, vec, vf32, vf64, zero
from bpcore._math.vector_largest cimport larger
from bpcore._math.vector_sums cimport sum_f64, wide_f32

cdef enum:
    SUMS = 4  # vectors of them side by side: each waits for its last addition


cdef inline floating sign(floating x) noexcept nogil:
    """1, 0 or -1"""
    return <floating> 1 if x > 0 else (<floating> -1 if x < 0 else <floating> 0)


cdef inline void clear(vf64 *sums) noexcept nogil:
    cdef int i
    for i in range(SUMS):
        sums[i] = zero(sums)


cdef inline vf64 term(vf64 w, bint squares) noexcept nogil:
    """w², or |w|"""
    return w * w if squares else larger(w, zero(&w) - w)


cdef inline void add_terms(
    vf64 *sums, const vec *W, bint odd, bint squares
) noexcept nogil:
    """Add those of a vector of weights, in float64, to the sums of the even or the odd vectors."""
    cdef int i, halves = LANES_F32 // LANES_F64
    if vec is vf32:
        for i in range(halves):
            sums[2 * odd + i] += term(wide_f32(<const float *> W + i * LANES_F64), squares)
    else:
        sums[odd] += term(load(W, 0), squares)


cdef inline double total_of(
    vf64 *sums, const vec *W, Py_ssize_t k, Py_ssize_t count, bint squares
) noexcept nogil:
    """The sum of all terms: of the vectors before element k, and of the elements from there on."""
    cdef double total = sum_f64((sums[0] + sums[2]) + (sums[1] + sums[3])), w
    while k < count:
        if vec is vf32:
            w = (<const float *> W)[k]
        else:
            w = (<const double *> W)[k]
        total += w * w if squares else absolute(w)
        k += 1
    return total


cdef inline double sum_of_terms(const vec *W, Py_ssize_t count, bint squares) noexcept nogil:
    """Σ W², or Σ|W|"""
    cdef vf64 sums[SUMS]
    cdef Py_ssize_t k = 0, width = lanes(W)
    clear(sums)
    while k + 2 * width <= count:
        add_terms(sums, at(W, k), False, squares)
        add_terms(sums, at(W, k + width), True, squares)
        k += 2 * width
    if k + width <= count:
        add_terms(sums, at(W, k), False, squares)
        k += width
    return total_of(sums, W, k, count, squares)


cdef inline double penalty_of_squares(double l2, double squares) noexcept nogil:
    """λ2/2 Σ W²"""
    return product(0.5 * l2, squares)


cdef inline double penalty(
    const floating *W, Py_ssize_t count, double l1, double l2
) noexcept nogil:
    """λ1 Σ|W| + λ2/2 Σ W², added up in float64

    The squares in the order in which adaptive.pxd adds up those of the weights it has moved.
    """
    cdef double absolutes = 0, squares
    if floating is float:
        squares = sum_of_terms(<const vf32 *> W, count, True)
        if l1 != 0:
            absolutes = sum_of_terms(<const vf32 *> W, count, False)
    else:
        squares = sum_of_terms(<const vf64 *> W, count, True)
        if l1 != 0:
            absolutes = sum_of_terms(<const vf64 *> W, count, False)
    return penalty_of_squares(l2, squares) + l1 * absolutes


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
