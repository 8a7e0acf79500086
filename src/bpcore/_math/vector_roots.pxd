"""√x, n / d, what is not subnormal, and what is rounded by itself."""
from bpcore._math.vector cimport element, lanes, vec, vf32, vf64

cdef extern from "vector_roots.h" nogil:
    vf32 root_f32(vf32 x)
    vf64 root_f64(vf64 x)
    vf32 quotient_f32(vf32 n, vf32 d)
    vf64 quotient_f64(vf64 n, vf64 d)
    vf32 normal_f32(vf32 x)
    vf64 normal_f64(vf64 x)
    vf32 rounded_f32(vf32 x)
    vf64 rounded_f64(vf64 x)


cdef inline vec root(vec x) noexcept nogil:
    """√x, by lanes"""
    if vec is vf32:
        return root_f32(x)
    else:
        return root_f64(x)


cdef inline vec quotient(vec n, vec d) noexcept nogil:
    """n / d, by lanes, to 1.5 ulp"""
    if vec is vf32:
        return quotient_f32(n, d)
    else:
        return quotient_f64(n, d)


cdef inline vec normal(vec x) noexcept nogil:
    """x, or 0 below the smallest normal number, by lanes"""
    if vec is vf32:
        return normal_f32(x)
    else:
        return normal_f64(x)


cdef inline vec settled(vec x) noexcept nogil:
    """x as it is rounded here, not as a part of a fused multiply-add

    Of x y + u v a compiler may take either product into one, and the other in a vector of which
    only a part is meant: the bits would depend on where an element lies.
    """
    if vec is vf32:
        return rounded_f32(x)
    else:
        return rounded_f64(x)
