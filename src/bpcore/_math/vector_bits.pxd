"""Signs, powers of two by shifts, and choices."""
from bpcore._math.vector cimport lanes, vec, vf32, vf64

cdef extern from "vector_bits.h" nogil:
    vf32 magnitude_f32(vf32 x)
    vf64 magnitude_f64(vf64 x)
    vf32 with_sign_of_f32(vf32 x, vf32 m)
    vf64 with_sign_of_f64(vf64 x, vf64 m)
    vf32 power_of_two_f32(vf32 n)
    vf64 power_of_two_f64(vf64 n)
    vf32 below_f32(vf32 x, vf32 border, vf32 a, vf32 b)
    vf64 below_f64(vf64 x, vf64 border, vf64 a, vf64 b)


cdef inline vec magnitude(vec x) noexcept nogil:
    """|x|, by lanes"""
    if vec is vf32:
        return magnitude_f32(x)
    else:
        return magnitude_f64(x)


cdef inline vec with_sign_of(vec x, vec m) noexcept nogil:
    """m, which is not negative, with the sign of x, by lanes"""
    if vec is vf32:
        return with_sign_of_f32(x, m)
    else:
        return with_sign_of_f64(x, m)


cdef inline vec power_of_two(vec n) noexcept nogil:
    """2^n of numbers whose low bits are n + the bias of the exponents, by lanes"""
    if vec is vf32:
        return power_of_two_f32(n)
    else:
        return power_of_two_f64(n)


cdef inline vec below(vec x, vec border, vec a, vec b) noexcept nogil:
    """a where x < border, else b"""
    if vec is vf32:
        return below_f32(x, border, a, b)
    else:
        return below_f64(x, border, a, b)
