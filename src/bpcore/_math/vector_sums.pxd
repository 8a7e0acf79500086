"""The sum of the lanes, of one vector and of several at once."""
from bpcore._math.vector cimport broadcast_f32, broadcast_f64, lanes, vec, vf32, vf64

cdef extern from "vector_sums.h" nogil:
    float sum_f32(vf32 x)
    double sum_f64(vf64 x)
    vf32 only_sum_f32(vf32 x, int used)
    vf64 only_sum_f64(vf64 x, int used)
    vf32 sum_everywhere_f32(vf32 x, int used)
    vf64 sum_everywhere_f64(vf64 x, int used)
    vf64 wide_f32(const float *p)
    void sum4_f32(float *p, const float *start, vf32 x0, vf32 x1, vf32 x2, vf32 x3)
    void sum4_f64(double *p, const double *start, vf64 x0, vf64 x1, vf64 x2, vf64 x3)
    vf32 sums_f32(const vf32 *x, int count)
    vf64 sums_f64(const vf64 *x, int count)
    enum:
        LOW_SUMS
    vf32 low_sums_f32(const vf32 *x, int count, bint wide)
    vf64 low_sums_f64(const vf64 *x, int count, bint wide)


cdef inline void store_sum(vec *p, Py_ssize_t k, vec x, const vec *start) noexcept nogil:
    """p[k] = start[0] + the sum of x's lanes"""
    if vec is vf32:
        (<float *> p)[k] = (<const float *> start)[0] + sum_f32(x)
    else:
        (<double *> p)[k] = (<const double *> start)[0] + sum_f64(x)


cdef inline void store_sums(vec *p, Py_ssize_t k, const vec *x, const vec *start) noexcept nogil:
    """p[k + i] = start[i] + the sum of x[i]'s lanes, i = 0, 1, 2, 3"""
    if vec is vf32:
        sum4_f32(<float *> p + k, <const float *> start, x[0], x[1], x[2], x[3])
    else:
        sum4_f64(<double *> p + k, <const double *> start, x[0], x[1], x[2], x[3])


cdef inline vec sums(const vec *x, int count, int used) noexcept nogil:
    """The sum of x[i]'s lanes in lane i < count; x holds a vector full of vectors.

    Only the first `used` lanes are not 0.
    """
    if vec is vf32:
        if used <= LOW_SUMS // 4:
            return low_sums_f32(x, count, False)
        if used <= LOW_SUMS // 2:
            return low_sums_f32(x, count, True)
        return sums_f32(x, count)
    else:
        if used <= LOW_SUMS // 8:
            return low_sums_f64(x, count, False)
        if used <= LOW_SUMS // 4:
            return low_sums_f64(x, count, True)
        return sums_f64(x, count)


cdef inline vec only_sum(vec x, int used) noexcept nogil:
    """The sum of x's lanes in the first lane, 0 in the others; only the first `used` are not 0."""
    if vec is vf32:
        return only_sum_f32(x, used)
    else:
        return only_sum_f64(x, used)


cdef inline vec sum_everywhere(vec x, int used) noexcept nogil:
    """The same in every lane"""
    if vec is vf32:
        return sum_everywhere_f32(x, used)
    else:
        return sum_everywhere_f64(x, used)


cdef inline double sum_of(vec x) noexcept nogil:
    """The sum of x's lanes"""
    if vec is vf32:
        return sum_f32(x)
    else:
        return sum_f64(x)


cdef inline vec inverse_sum(vec x) noexcept nogil:
    """1 / the sum of x's lanes, in every lane."""
    cdef float inverse
    cdef double inverse_long
    if vec is vf32:
        inverse = <float> 1 / sum_f32(x)
        return broadcast_f32(&inverse)
    else:
        inverse_long = 1 / sum_f64(x)
        return broadcast_f64(&inverse_long)
