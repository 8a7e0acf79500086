"""Sums of few rows' elements, and of the samples' losses: in orders that look at the width alone.

So a sample's loss has the same bits in any batch, block and thread, and a block's the same however
many threads share it.
"""
from cython cimport floating
from bpcore._math.hints cimport settle
from bpcore._math.vector cimport lanes, load, vec, vf32, vf64, zero
from bpcore._math.vector_largest cimport larger, largest_f32, largest_f64
from bpcore._math.vector_parts cimport load_part, load_repeated
from bpcore._math.vector_sums cimport sum_f32, sum_f64


cdef enum:
    TERMS = 1024   # elements that are added up at a time: a few kB beside the rest in the cache
    FEW_ROWS = 64  # at a time, at most; whole sixteens, for add_losses
    SHORT = 8      # elements of a row, up to which it is taken one by one
    NARROW = 4     # elements of a row, up to which several rows share a vector


cdef inline Py_ssize_t rows_at_a_time(Py_ssize_t n_outputs) noexcept nogil:
    """Samples whose outputs fit TERMS: whole sixteens of them, or one that may not fit."""
    cdef Py_ssize_t rows = TERMS // n_outputs // 16 * 16
    return 1 if rows == 0 else min(rows, <Py_ssize_t> FEW_ROWS)


cdef inline vec row_lanes(const vec *c, Py_ssize_t width) noexcept nogil:
    """The sums of a row's elements k, k + lanes, k + 2 lanes, …, by lanes."""
    cdef Py_ssize_t k = 0
    cdef vec acc = zero(c)
    while k + lanes(c) <= width:
        acc += load(c, k)
        k += lanes(c)
    if k < width:
        acc += load_part(c, k, <int> (width - k))
    return acc


cdef inline void add_row_sums(
    const floating *restrict c,  # IN  (n, width), at most TERMS elements
    Py_ssize_t n,                # at most FEW_ROWS
    Py_ssize_t width,
    double *restrict C,          # IN OUT (n,)
) noexcept nogil:
    """C[i] += Σ_k c[i, k]

    The narrowest rows by formulas with constant distances, which the compiler makes vectors of.
    """
    cdef Py_ssize_t i, k
    cdef floating sum
    if width == 1:
        for i in range(n): C[i] += c[i]
    elif width == 2:
        for i in range(n): C[i] += c[2 * i] + c[2 * i + 1]
    elif width == 3:
        for i in range(n): C[i] += (c[3 * i] + c[3 * i + 2]) + c[3 * i + 1]
    elif width == 4:
        for i in range(n): C[i] += (c[4 * i] + c[4 * i + 2]) + (c[4 * i + 1] + c[4 * i + 3])
    elif width <= SHORT:  # a vector would wait for what was written in smaller pieces
        for i in range(n):
            sum = c[i * width]
            for k in range(1, width):
                sum += c[i * width + k]
            C[i] += sum
    elif floating is float:
        for i in range(n): C[i] += sum_f32(row_lanes(<vf32 *> (c + i * width), width))
    else:
        for i in range(n): C[i] += sum_f64(row_lanes(<vf64 *> (c + i * width), width))


cdef inline vec top_lanes(const vec *z, Py_ssize_t width) noexcept nogil:
    """The largest of a row's elements k, k + lanes, k + 2 lanes, …, by lanes."""
    cdef Py_ssize_t k = 0
    cdef vec top
    # The row's last numbers are the first of the next vector too, or stand alone in one.
    if width < lanes(z):
        return load_repeated(z, <int> width)
    top = load(z, width - lanes(z))
    while k + lanes(z) <= width:
        top = larger(top, load(z, k))
        k += lanes(z)
    return top


cdef inline floating largest_of_row(const floating *z, Py_ssize_t width) noexcept nogil:
    """max_k z[k], which a NaN may hide or be"""
    cdef Py_ssize_t k
    cdef floating top = z[0]
    if width <= SHORT:
        for k in range(1, width):
            top = z[k] if z[k] > top else top
        return top
    elif floating is float:
        return largest_f32(top_lanes(<vf32 *> z, width))
    else:
        return largest_f64(top_lanes(<vf64 *> z, width))


cdef inline void weigh(
    const floating *weight, double share, floating *out, double *C, Py_ssize_t n,
    Py_ssize_t n_outputs,
) noexcept nogil:
    """C_i ← C_i s, and out ← out s where it has no share yet; a sample of weight 0 counts for
    nothing, whatever its loss."""
    cdef Py_ssize_t i, k
    cdef double s
    cdef floating sf
    if weight == NULL:
        for i in range(n):
            C[i] = C[i] * share if share != 0 else 0
    else:
        for i in range(n):
            s = share * weight[i]
            sf = <floating> s
            C[i] = C[i] * s if s != 0 else 0
            for k in range(n_outputs):
                out[k] *= sf
            out += n_outputs
    settle(C)


cdef inline void add_losses(
    double *restrict sums,     # IN OUT (16,)
    Py_ssize_t first,          # a multiple of 16, or n < 16
    const double *restrict C,  # IN (n,)
    Py_ssize_t n,
) noexcept nogil:
    """sums[i mod 16] += the loss of row i, rows first … first + n - 1"""
    cdef Py_ssize_t i = 0, j
    while i + 16 <= n:
        for j in range(16):
            sums[j] += C[i + j]
        i += 16
    for j in range(i, n):
        sums[(first + j) % 16] += C[j]


cdef inline double sum_of_sums(const double *sums, Py_ssize_t n) noexcept nogil:
    """The loss of n rows: 16 sums side by side, since one waits for each addition."""
    cdef Py_ssize_t j
    cdef double C = 0
    for j in range(min(n, <Py_ssize_t> 16)):
        C += sums[j]
    return C


cdef inline double sum_of_losses(const double *losses, Py_ssize_t n) noexcept nogil:
    """Σ_i losses[i], in loss_block's order."""
    cdef double sums[16]
    cdef Py_ssize_t j
    for j in range(16):
        sums[j] = 0
    add_losses(sums, 0, losses, n)
    return sum_of_sums(sums, n)
