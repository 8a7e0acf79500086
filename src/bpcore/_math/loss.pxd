"""C and ∂C/∂a of one sample; `loss_block` runs them over a block of samples.

C is the weighted mean over the samples of a batch, so every sample comes with
its share s = w_i / Σ w (1/n without weights), and that share is all that `da`
needs. With softmax and cross_entropy, or sigmoid and binary_cross_entropy, σ'
cancels a division: the fused forms give δ = ∂C/∂z directly and C from z, which
stays accurate where a has underflowed (C. Bishop, Pattern Recognition and
Machine Learning, 2006, sections 4.3.2 and 4.3.4).

Elsewhere logarithms are taken of max(a, tiny), tiny being the smallest normal
number, and the derivative below it is 0: C is finite for every a.
"""
from cython cimport floating
from libc.float cimport DBL_MIN, FLT_MIN
from libc.math cimport log
from libc.stdint cimport int64_t

from bpcore._math.elementary cimport absolute, clamp, exp_, log1p_unit
from bpcore._math.vector cimport (
    broadcast, lanes, load, load_part, rounded, store, store_part, sum_f32, sum_f64, vec, vf32,
    vf64, zero,
)

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


cdef inline vec squared_error_vectors(
    const vec *a, const vec *y, vec *da, Py_ssize_t n_outputs, const vec *two_s
) noexcept nogil:
    """squared_error's terms, by lanes; da."""
    cdef Py_ssize_t k = 0, width = lanes(a)
    cdef int left
    cdef vec e, C = zero(a), scale = broadcast(two_s, 0)
    while k + width <= n_outputs:
        e = load(a, k) - load(y, k)
        C += e * e
        store(da, k, e * scale)
        k += width
    left = <int> (n_outputs - k)
    if left:
        e = load_part(a, k, left) - load_part(y, k, left)
        C += e * e
        store_part(da, k, e * scale, left)
    return C

cdef inline double squared_error(
    const floating *a, const floating *y, floating *da, Py_ssize_t n_outputs, floating s
) noexcept nogil:
    """C = Σ_k (a_k - y_k)², da_k = 2 (a_k - y_k) s; with s / n_outputs the mean_squared_error"""
    s += s
    if floating is float:
        return sum_f32(squared_error_vectors(<vf32 *> a, <vf32 *> y, <vf32 *> da, n_outputs,
                                             <vf32 *> &s))
    else:
        return sum_f64(squared_error_vectors(<vf64 *> a, <vf64 *> y, <vf64 *> da, n_outputs,
                                             <vf64 *> &s))


cdef inline double mean_absolute_error(
    const floating *a, const floating *y, floating *da, Py_ssize_t n_outputs, floating s
) noexcept nogil:
    """C = Σ_k |a_k - y_k| / n_outputs, da_k = sign(a_k - y_k) s / n_outputs"""
    cdef Py_ssize_t k
    cdef floating e, C = 0, share = s / n_outputs
    for k in range(n_outputs):
        e = a[k] - y[k]
        C += absolute(e)
        da[k] = share if e > 0 else (-share if e < 0 else e * share)
    return C / n_outputs


cdef inline double huber(
    const floating *a, const floating *y, floating *da, Py_ssize_t n_outputs, floating s
) noexcept nogil:
    """C = Σ_k e²/2 for |e| <= 1, else |e| - 1/2; da = min(max(e, -1), 1) s (Huber 1964)"""
    cdef Py_ssize_t k
    cdef floating e, c, C = 0
    for k in range(n_outputs):
        e = a[k] - y[k]
        c = clamp[floating](e, -1, 1)
        C += c * (e - <floating> 0.5 * c)
        da[k] = c * s
    return C


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

cdef inline double sigmoid_binary_cross_entropy(
    const floating *z, const floating *a, const floating *y, floating *delta,
    Py_ssize_t n_outputs, floating s, double largest,
) noexcept nogil:
    """C = Σ_k log(1 + e^z) - y z, each at most `largest`; δ = (a - y) s

    written as max(z, 0) - y z + log(1 + e^-|z|), where nothing cancels.
    """
    cdef Py_ssize_t k
    cdef double C = 0, c
    for k in range(n_outputs):
        c = (z[k] if z[k] > 0 else 0) - y[k] * z[k] + log1p_unit(exp_(-absolute(z[k])))
        C += largest if c > largest else c
        delta[k] = (a[k] - y[k]) * s
    return C


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

cdef inline double softmax_cross_entropy(
    const floating *z, const floating *a, const floating *y, int64_t label, floating *delta,
    Py_ssize_t n_outputs, floating s,
) noexcept nogil:
    """C = Σ_k y_k (log Σ_j e^z_j - z_k), log Σ_j e^z_j = z_top - log a_top; δ = (a - y) s

    A label's C is -log a_label, unless that has underflowed.
    """
    cdef Py_ssize_t k, top = 0
    cdef double C = 0, log_sum
    if y == NULL:
        for k in range(n_outputs):
            delta[k] = a[k] * s
        delta[label] = (a[label] - 1) * s
        if a[label] >= tiny(s):
            return -log(<double> a[label])
    for k in range(1, n_outputs):
        top = k if z[k] > z[top] else top
    log_sum = z[top] - log(<double> a[top])
    if y == NULL:
        return log_sum - z[label]
    for k in range(n_outputs):
        C += y[k] * (log_sum - z[k])
        delta[k] = (a[k] - y[k]) * s
    return C


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
    cdef Py_ssize_t i, first
    cdef double C, total = 0, s
    cdef floating sf
    cdef const floating *yi = NULL
    cdef int64_t label = -1
    for i in range(n):
        first = i * n_outputs
        s = share if weight == NULL else share * weight[i]
        sf = <floating> s
        if y != NULL:
            yi = y + first
        else:
            label = labels[i]
        if loss == SQUARED_ERROR:
            C = squared_error(a + first, yi, out + first, n_outputs, sf)
        elif loss == MEAN_SQUARED_ERROR:
            C = squared_error(a + first, yi, out + first, n_outputs, sf / n_outputs) / n_outputs
        elif loss == MEAN_ABSOLUTE_ERROR:
            C = mean_absolute_error(a + first, yi, out + first, n_outputs, sf)
        elif loss == HUBER:
            C = huber(a + first, yi, out + first, n_outputs, sf)
        elif loss == POISSON:
            C = poisson(a + first, yi, out + first, n_outputs, sf)
        elif loss == BINARY_CROSS_ENTROPY:
            if fused:
                C = sigmoid_binary_cross_entropy(z + first, a + first, yi, out + first, n_outputs,
                                                 sf, largest)
            else:
                C = binary_cross_entropy(a + first, yi, out + first, n_outputs, sf)
        elif fused:
            C = softmax_cross_entropy(z + first, a + first, yi, label, out + first, n_outputs, sf)
            C = largest if C > largest else C
        else:
            C = cross_entropy(a + first, yi, label, out + first, n_outputs, sf)
        # A sample of weight 0 counts for nothing, whatever its loss.
        C = rounded(C * s) if s != 0 else 0
        total += C
        if losses != NULL:
            losses[i] = C
    return total
