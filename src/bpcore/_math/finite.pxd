"""Is every number finite? Asked of the bits, so that the loop vectorises without -ffast-math."""
from cython cimport floating
from libc.stdint cimport int32_t, int64_t

from bpcore._math.vector cimport bits_of_f32, bits_of_f64


cdef inline bint all_finite(const floating *p, Py_ssize_t count) noexcept nogil:
    """Whether no exponent is all ones (IEEE 754: Inf and NaN)."""
    cdef Py_ssize_t k
    cdef int32_t bad = 0, ones = 0x7f800000
    cdef int64_t bad_long = 0, ones_long = <int64_t> 0x7ff << 52
    if floating is float:
        for k in range(count):
            bad |= (bits_of_f32(p[k]) & ones) == ones
        return bad == 0
    else:
        for k in range(count):
            bad_long |= (bits_of_f64(p[k]) & ones_long) == ones_long
        return bad_long == 0
