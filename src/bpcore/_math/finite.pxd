"""Is every number finite, or within bounds? One pass without branches, as fast as the memory."""
from cython cimport floating
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from bpcore._math.bits cimport bits_of_f32, bits_of_f64


cdef enum:
    LOOK = 8192  # numbers between two looks at what was found: NaN in the first row is found soon


cdef inline bint all_finite(const floating *p, Py_ssize_t count) noexcept nogil:
    """Whether no exponent is all ones (IEEE 754: Inf and NaN).

    Such an exponent alone carries into the sign bit when 1 is added to it: additions of integers
    are vectors at every level, comparisons of 64-bit integers are not with SSE2.
    """
    cdef Py_ssize_t first = 0, last, k
    cdef uint32_t bad = 0, magnitude = 0x7fffffff, one = 1 << 23
    cdef uint64_t bad_long = 0, magnitude_long = (<uint64_t> 1 << 63) - 1
    cdef uint64_t one_long = <uint64_t> 1 << 52
    while first < count:
        last = first + LOOK if count - first > LOOK else count
        if floating is float:
            for k in range(first, last):
                bad |= (<uint32_t> bits_of_f32(p[k]) & magnitude) + one
            if bad > magnitude:
                return False
        else:
            for k in range(first, last):
                bad_long |= (<uint64_t> bits_of_f64(p[k]) & magnitude_long) + one_long
            if bad_long > magnitude_long:
                return False
        first = last
    return True


cdef inline bint all_within(
    const floating *p, Py_ssize_t count, floating low, floating high
) noexcept nogil:
    """Whether low <= p[k] <= high for every k, which no NaN is."""
    cdef Py_ssize_t first = 0, last, k
    cdef int32_t bad = 0
    cdef int64_t bad_long = 0  # as wide as the numbers, or the masks must be made narrower
    while first < count:
        last = first + LOOK if count - first > LOOK else count
        if floating is float:
            for k in range(first, last):
                bad |= ((p[k] >= low) & (p[k] <= high)) ^ 1
            if bad != 0:
                return False
        else:
            for k in range(first, last):
                bad_long |= ((p[k] >= low) & (p[k] <= high)) ^ 1
            if bad_long != 0:
                return False
        first = last
    return True
