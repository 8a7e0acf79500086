"""The larger, the smaller, the largest lane."""
from bpcore._math.vector cimport broadcast_f32, broadcast_f64, lanes, vec, vf32, vf64

cdef extern from "vector_largest.h" nogil:
    vf32 larger_f32(vf32 x, vf32 y)
    vf64 larger_f64(vf64 x, vf64 y)
    vf32 smaller_f32(vf32 x, vf32 y)
    vf64 smaller_f64(vf64 x, vf64 y)
    float largest_f32(vf32 x)
    double largest_f64(vf64 x)


cdef inline vec larger(vec x, vec y) noexcept nogil:
    """max(x, y), by lanes"""
    if vec is vf32:
        return larger_f32(x, y)
    else:
        return larger_f64(x, y)


cdef inline vec smaller(vec x, vec y) noexcept nogil:
    """min(x, y), by lanes; NaN where y is"""
    if vec is vf32:
        return smaller_f32(x, y)
    else:
        return smaller_f64(x, y)


cdef inline vec largest_lane(vec x) noexcept nogil:
    """The largest of x's lanes, in every lane."""
    cdef float top
    cdef double top_long
    if vec is vf32:
        top = largest_f32(x)
        return broadcast_f32(&top)
    else:
        top_long = largest_f64(x)
        return broadcast_f64(&top_long)
