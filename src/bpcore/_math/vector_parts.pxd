"""The first lanes alone, at a matrix's edge, and what is 0 or 1 by lanes."""
from bpcore._math.vector cimport lanes, vec, vf32, vf64

cdef extern from "vector_parts.h" nogil:
    vf32 load_part_f32(const float *p, int count)
    vf64 load_part_f64(const double *p, int count)
    vf32 load_repeated_f32(const float *p, int count)
    vf64 load_repeated_f64(const double *p, int count)
    void store_part_f32(float *p, vf32 x, int count)
    void store_part_f64(double *p, vf64 x, int count)
    vf32 first_lanes_f32(vf32 x, int count)
    vf64 first_lanes_f64(vf64 x, int count)
    vf32 lane_f32(vf32 x, const float *p, int k)
    vf64 lane_f64(vf64 x, const double *p, int k)
    vf32 positive_part_f32(vf32 x)
    vf64 positive_part_f64(vf64 x)
    vf32 is_positive_f32(vf32 x)
    vf64 is_positive_f64(vf64 x)


cdef inline vec load_part(const vec *p, Py_ssize_t k, int count) noexcept nogil:
    if vec is vf32:
        return load_part_f32(<const float *> p + k, count)
    else:
        return load_part_f64(<const double *> p + k, count)


cdef inline vec load_repeated(const vec *p, int count) noexcept nogil:
    """The first `count` elements; the other lanes repeat the first."""
    if vec is vf32:
        return load_repeated_f32(<const float *> p, count)
    else:
        return load_repeated_f64(<const double *> p, count)


cdef inline void store_part(vec *p, Py_ssize_t k, vec x, int count) noexcept nogil:
    if vec is vf32:
        store_part_f32(<float *> p + k, x, count)
    else:
        store_part_f64(<double *> p + k, x, count)


cdef inline vec first_lanes(vec x, int count) noexcept nogil:
    """x, but 0 in the lanes after the first `count`"""
    if vec is vf32:
        return first_lanes_f32(x, count)
    else:
        return first_lanes_f64(x, count)


cdef inline vec lane(vec x, const vec *p, int k) noexcept nogil:
    """x's lane k in every lane; p holds x, too"""
    if vec is vf32:
        return lane_f32(x, <const float *> p, k)
    else:
        return lane_f64(x, <const double *> p, k)


cdef inline vec positive_part(vec x) noexcept nogil:
    """max(x, 0), by lanes; NaN stays NaN"""
    if vec is vf32:
        return positive_part_f32(x)
    else:
        return positive_part_f64(x)


cdef inline vec is_positive(vec x) noexcept nogil:
    """1 where x > 0, else 0"""
    if vec is vf32:
        return is_positive_f32(x)
    else:
        return is_positive_f64(x)
