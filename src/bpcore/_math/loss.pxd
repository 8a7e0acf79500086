"""C and ∂C/∂a of the samples of a block: `loss_block`.

C is the weighted mean over the samples of a batch, so every sample comes with
its share s = w_i / Σ w (1/n without weights), and that share is all that `da`
needs. With softmax and cross_entropy, or sigmoid and binary_cross_entropy, σ'
cancels a division: the fused forms give δ = ∂C/∂z directly and C from z, which
stays accurate where a has underflowed (C. Bishop, Pattern Recognition and
Machine Learning, 2006, sections 4.3.2 and 4.3.4).

Elsewhere logarithms are taken of max(a, tiny), tiny being the smallest normal
number, and the derivative below it is 0: C is finite for every a.

A loss whose terms belong to one output each is a loop over the outputs of many
samples, which leaves no narrow row's lanes empty; `add_row_sums` then adds up each
sample's. The samples' losses are added up in an order of their own, see `add_losses`.
"""
from cython cimport floating
from libc.float cimport DBL_MIN, FLT_MIN
from libc.math cimport log
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from bpcore._math.elementary cimport absolute, clamp, exp_, log1p_unit, log_
from bpcore._math.hints cimport rounded
from bpcore._math.network cimport vector_length
from bpcore._math.row_sums cimport (
    FEW_ROWS, NARROW, TERMS, add_losses, add_row_sums, largest_of_row, rows_at_a_time, sum_of_sums,
    weigh,
)
from bpcore._math.vector cimport broadcast, lanes, load, store, vec, vf32, vf64, zero
from bpcore._math.vector_parts cimport load_part, store_part
from bpcore._math.vector_sums cimport sum_f32, sum_f64

cdef enum:
    SQUARED_ERROR = 0
    MEAN_SQUARED_ERROR = 1
    MEAN_ABSOLUTE_ERROR = 2
    HUBER = 3
    POISSON = 4
    BINARY_CROSS_ENTROPY = 5
    CROSS_ENTROPY = 6


cdef inline floating tiny(floating a) noexcept nogil:
    """The smallest normal number of a's type."""
    if floating is float:
        return FLT_MIN
    else:
        return DBL_MIN


cdef inline double clipped_log(floating a) noexcept nogil:
    """log max(a, tiny); NaN stays NaN"""
    return log(tiny(a) if a < tiny(a) else a)

cdef inline floating clipped_log_derivative(floating a) noexcept nogil:
    """1/a for a >= tiny, else 0"""
    return <floating> 0 if a < tiny(a) else <floating> 1 / a


cdef inline void squared_error(
    const floating *restrict a, const floating *restrict y, floating *restrict da,
    floating *restrict c, Py_ssize_t count, floating s,
) noexcept nogil:
    """c = (a - y)², da = 2 (a - y) s; with s / n_outputs the mean_squared_error"""
    cdef Py_ssize_t k
    cdef floating e
    s += s
    for k in range(count):
        e = a[k] - y[k]
        c[k] = e * e
        da[k] = e * s


cdef inline vec squared_error_lanes(
    const vec *a, const vec *y, vec *da, Py_ssize_t n_outputs, const vec *two_s
) noexcept nogil:
    """squared_error's terms, by lanes; da."""
    cdef Py_ssize_t k = 0, width = lanes(a)
    cdef int left
    cdef vec e, c = zero(a), scale = broadcast(two_s, 0)
    while k + width <= n_outputs:
        e = load(a, k) - load(y, k)
        c += e * e
        store(da, k, e * scale)
        k += width
    left = <int> (n_outputs - k)
    if left:
        e = load_part(a, k, left) - load_part(y, k, left)
        c += e * e
        store_part(da, k, e * scale, left)
    return c

cdef inline double squared_error_row(
    const floating *a, const floating *y, floating *da, Py_ssize_t n_outputs, floating s
) noexcept nogil:
    """C = Σ_k (a_k - y_k)² and da of a row that takes vectors of its own."""
    s += s
    if floating is float:
        return sum_f32(squared_error_lanes(<vf32 *> a, <vf32 *> y, <vf32 *> da, n_outputs,
                                           <vf32 *> &s))
    else:
        return sum_f64(squared_error_lanes(<vf64 *> a, <vf64 *> y, <vf64 *> da, n_outputs,
                                           <vf64 *> &s))

cdef inline double squared_error_rows(
    const floating *a, const floating *y, const floating *weight, double share, floating *da,
    Py_ssize_t n, Py_ssize_t n_outputs, Py_ssize_t divisor, double *losses,
) noexcept nogil:
    """loss_block of the squared error, or its mean, row by row."""
    cdef double sums[16]
    cdef double s = share, C, total = 0
    cdef floating s_each = <floating> s / divisor
    cdef Py_ssize_t i
    if n > 16:
        for i in range(16):
            sums[i] = 0
    for i in range(n):
        if weight != NULL:
            s = share * weight[i]
            s_each = <floating> s / divisor
        C = squared_error_row(a, y, da, n_outputs, s_each)
        if divisor != 1:  # to divide takes longer than the rest of a short row
            C /= divisor
        C = rounded(C * s) if s != 0 else 0
        if losses != NULL:
            losses[i] = C
        if n > 16:
            sums[i % 16] += C
        else:
            total += C
        a += n_outputs
        y += n_outputs
        da += n_outputs
    return sum_of_sums(sums, n) if n > 16 else total


cdef inline void mean_absolute_error(
    const floating *restrict a, const floating *restrict y, floating *restrict da,
    floating *restrict c, Py_ssize_t count, floating s,
) noexcept nogil:
    """c = |a - y|, da = sign(a - y) s; s is that of a sample / n_outputs"""
    cdef Py_ssize_t k
    cdef floating e
    for k in range(count):
        e = a[k] - y[k]
        c[k] = absolute(e)
        da[k] = s if e > 0 else (-s if e < 0 else e * s)


cdef inline void huber(
    const floating *restrict a, const floating *restrict y, floating *restrict da,
    floating *restrict c, Py_ssize_t count, floating s,
) noexcept nogil:
    """c = e²/2 for |e| <= 1, else |e| - 1/2; da = min(max(e, -1), 1) s (Huber 1964)"""
    cdef Py_ssize_t k
    cdef floating e, within
    for k in range(count):
        e = a[k] - y[k]
        within = clamp[floating](e, -1, 1)
        c[k] = within * (e - <floating> 0.5 * within)
        da[k] = within * s


cdef inline double poisson(
    const floating *a, const floating *y, floating *da, Py_ssize_t n_outputs, floating s
) noexcept nogil:
    """C = Σ_k y log(y / a) - y + a, half the Poisson deviance; da = (1 - y / a) s"""
    cdef Py_ssize_t k
    cdef double C = 0
    for k in range(n_outputs):
        C += a[k] - y[k]
        if y[k] > 0:
            C += y[k] * (log(<double> y[k]) - clipped_log(a[k]))
        da[k] = (<floating> 1 - y[k] * clipped_log_derivative(a[k])) * s
    return C


cdef inline double binary_cross_entropy(
    const floating *a, const floating *y, floating *da, Py_ssize_t n_outputs, floating s
) noexcept nogil:
    """C = -Σ_k y log a + (1 - y) log(1 - a); da = ((1 - y) / (1 - a) - y / a) s"""
    cdef Py_ssize_t k
    cdef double C = 0
    for k in range(n_outputs):
        C -= y[k] * clipped_log(a[k]) + (<floating> 1 - y[k]) * clipped_log(<floating> 1 - a[k])
        da[k] = ((<floating> 1 - y[k]) * clipped_log_derivative(<floating> 1 - a[k])
                 - y[k] * clipped_log_derivative(a[k])) * s
    return C

cdef inline void sigmoid_binary_cross_entropy(
    const floating *restrict z, const floating *restrict a, const floating *restrict y,
    floating *restrict delta, floating *restrict c, Py_ssize_t count, floating s, double largest,
) noexcept nogil:
    """c = log(1 + e^z) - y z, at most `largest`; δ = (a - y) s

    written as max(z, 0) - y z + log(1 + e^-|z|), where nothing cancels.
    """
    cdef Py_ssize_t k
    cdef floating most = <floating> largest, one
    for k in range(count):
        one = (z[k] if z[k] > 0 else <floating> 0) - y[k] * z[k]
        one += log1p_unit(exp_(-absolute(z[k])))
        c[k] = most if one > most else one
        delta[k] = (a[k] - y[k]) * s


cdef inline double cross_entropy(
    const floating *a, const floating *y, int64_t label, floating *da,
    Py_ssize_t n_outputs, floating s,
) noexcept nogil:
    """C = -Σ_k y_k log a_k; da_k = -y_k / a_k s; y is NULL for a label's one-hot row"""
    cdef Py_ssize_t k
    cdef double C = 0
    cdef floating yk
    for k in range(n_outputs):
        yk = (k == label) if y == NULL else y[k]
        if yk != 0:
            C -= yk * clipped_log(a[k])
            da[k] = -yk * clipped_log_derivative(a[k]) * s
        else:
            da[k] = 0
    return C

cdef inline void softmax_cross_entropy(
    const floating *restrict z, const floating *restrict a, const floating *restrict y,
    floating *restrict delta, double *C, Py_ssize_t n, Py_ssize_t n_outputs, floating s,
) noexcept nogil:
    """C = Σ_k y_k (log Σ_j e^z_j - z_k), log Σ_j e^z_j = z_top - log a_top; δ = (a - y) s

    n samples, at most FEW_ROWS. The largest a is that of the largest z: softmax is monotonic.
    """
    cdef floating c[TERMS]
    cdef floating z_top[FEW_ROWS]
    cdef floating log_top[FEW_ROWS]
    cdef Py_ssize_t i, k, m, columns
    for i in range(n):
        z_top[i] = largest_of_row(z + i * n_outputs, n_outputs)
        log_top[i] = largest_of_row(a + i * n_outputs, n_outputs)
    for i in range(n):
        log_top[i] = log_(log_top[i])
    for k in range(n * n_outputs):
        delta[k] = (a[k] - y[k]) * s
    for i in range(n):
        C[i], m = 0, 0
        while m < n_outputs:
            columns = min(n_outputs - m, <Py_ssize_t> TERMS)
            for k in range(columns):
                c[k] = y[m + k] * ((z_top[i] - z[m + k]) - log_top[i])
            add_row_sums(c, 1, columns, C + i)
            m += columns
        z += n_outputs
        y += n_outputs


cdef inline void softmax_label(
    const floating *restrict z, const floating *restrict a, const int64_t *label,
    floating *restrict delta, double *C, Py_ssize_t n, Py_ssize_t n_outputs, floating s,
) noexcept nogil:
    """softmax_cross_entropy of labels' one-hot rows: C = -log a_label, unless that has underflowed
    """
    cdef floating p[FEW_ROWS]
    cdef Py_ssize_t i, k
    cdef const floating *zi
    for k in range(n * n_outputs):
        delta[k] = a[k] * s
    for i in range(n):
        k = i * n_outputs + label[i]
        p[i] = a[k]
        delta[k] = (a[k] - <floating> 1) * s
    for i in range(n):
        C[i] = -log_(p[i])
    for i in range(n):
        if p[i] >= tiny(s):
            continue
        zi = z + i * n_outputs
        C[i] = (largest_of_row(zi, n_outputs) - zi[label[i]]
                - log_(largest_of_row(a + i * n_outputs, n_outputs)))


cdef inline bint in_vectors(const floating *a, Py_ssize_t n, Py_ssize_t n_outputs) noexcept nogil:
    """Whether each row takes vectors of its own: the sums are the same where both ways are open."""
    return n_outputs > NARROW or (n == 1 and n_outputs <= vector_length(a))


cdef inline bint by_outputs(int loss, bint fused) noexcept nogil:
    """Whether `output_terms` has this loss."""
    return loss <= HUBER or (fused and loss == BINARY_CROSS_ENTROPY)


cdef inline void output_terms(
    int loss, const floating *z, const floating *a, const floating *y, floating *out, floating *c,
    Py_ssize_t count, floating s, double largest,
) noexcept nogil:
    """c, each output's part of C, and out, its da or delta."""
    if loss <= MEAN_SQUARED_ERROR:
        squared_error(a, y, out, c, count, s)
    elif loss == MEAN_ABSOLUTE_ERROR:
        mean_absolute_error(a, y, out, c, count, s)
    elif loss == HUBER:
        huber(a, y, out, c, count, s)
    else:
        sigmoid_binary_cross_entropy(z, a, y, out, c, count, s, largest)


cdef inline void few_losses(
    int loss, bint fused, const floating *z, const floating *a, const floating *y,
    const int64_t *labels, floating *out, double *C, Py_ssize_t n, Py_ssize_t n_outputs,
    floating s, double largest,
) noexcept nogil:
    """C and out of n samples of equal share s; at most FEW_ROWS, and rows_at_a_time."""
    cdef floating c[TERMS]
    cdef Py_ssize_t i, m = 0, columns, first
    if by_outputs(loss, fused):
        if loss in (MEAN_SQUARED_ERROR, MEAN_ABSOLUTE_ERROR):
            s /= n_outputs
        for i in range(n):
            C[i] = 0
        while m < n_outputs:  # once, unless a single row is wider than TERMS
            columns = min(n_outputs - m, <Py_ssize_t> TERMS)
            output_terms(loss, z + m, a + m, y + m, out + m, c, n * columns, s, largest)
            add_row_sums(c, n, columns, C)
            m += columns
        if loss in (MEAN_SQUARED_ERROR, MEAN_ABSOLUTE_ERROR):
            for i in range(n):
                C[i] /= n_outputs
    elif fused:
        if y == NULL:
            softmax_label(z, a, labels, out, C, n, n_outputs, s)
        else:
            softmax_cross_entropy(z, a, y, out, C, n, n_outputs, s)
        for i in range(n):
            C[i] = largest if C[i] > largest else C[i]
    else:
        for i in range(n):
            first = i * n_outputs
            if loss == POISSON:
                C[i] = poisson(a + first, y + first, out + first, n_outputs, s)
            elif loss == BINARY_CROSS_ENTROPY:
                C[i] = binary_cross_entropy(a + first, y + first, out + first, n_outputs, s)
            elif y != NULL:
                C[i] = cross_entropy(a + first, y + first, -1, out + first, n_outputs, s)
            else:
                C[i] = cross_entropy(a + first, y, labels[i], out + first, n_outputs, s)


cdef inline double loss_block(
    int loss,
    bint fused,             # out is δ (softmax or sigmoid taken in), else ∂C/∂a
    const floating *z,      # IN  (n, n_outputs), read when fused
    const floating *a,      # IN  (n, n_outputs)
    const floating *y,      # IN  (n, n_outputs), or NULL: then
    const int64_t *labels,  # IN  (n,)
    const floating *weight,  # IN (n,), or NULL: all 1
    double share,           # 1 / Σ w over the batch
    floating *out,          # OUT (n, n_outputs)
    Py_ssize_t n,
    Py_ssize_t n_outputs,
    double largest,         # what a fused loss counts at most
    double *losses,         # OUT (n,) the terms of the sum, or NULL
) noexcept nogil:
    """Σ_i C_i w_i / Σ w over a block, and each sample's da or delta."""
    cdef Py_ssize_t first = 0, rows, start, step = rows_at_a_time(n_outputs)
    cdef double sums[16]
    cdef double C[FEW_ROWS]
    if loss <= MEAN_SQUARED_ERROR and in_vectors(a, n, n_outputs):
        return squared_error_rows(a, y, weight, share, out, n, n_outputs,
                                  n_outputs if loss == MEAN_SQUARED_ERROR else 1, losses)
    if n > step or n > 16:
        for start in range(16):
            sums[start] = 0
    while first < n:
        rows = min(step, n - first)
        start = first * n_outputs
        few_losses(loss, fused, z + start, a + start, NULL if y == NULL else y + start,
                   NULL if labels == NULL else labels + first, out + start, C, rows, n_outputs,
                   <floating> (share if weight == NULL else 1.0), largest)
        weigh(NULL if weight == NULL else weight + first, share, out + start, C, rows, n_outputs)
        if losses != NULL:
            memcpy(losses + first, C, rows * sizeof(double))
        if n <= 16 and rows == n:
            return sum_of_sums(C, n)
        add_losses(sums, first, C, rows)
        first += rows
    return sum_of_sums(sums, n)
