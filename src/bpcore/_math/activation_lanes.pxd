"""σ and σ' of a vector in a register, where that is a few operations of whole vectors."""
from bpcore._math.activation cimport IDENTITY, RELU, SIGMOID, TANH
from bpcore._math.tanh_table cimport TANH_TABLE, tanh_vectors
from bpcore._math.vector cimport everywhere, is_positive, positive_part, vec


cdef inline bint in_lanes(int activation) noexcept nogil:
    """Whether `activated` has it."""
    return activation == IDENTITY or activation == RELU or (TANH_TABLE and activation == TANH)


cdef inline vec activated(int activation, vec z) noexcept nogil:
    """a = σ(z)"""
    cdef vec a
    if activation == RELU:
        return positive_part(z)
    if TANH_TABLE and activation == TANH:
        tanh_vectors(&z, &a, 1)
        return a
    return z


cdef inline bint derived_in_lanes(int activation) noexcept nogil:
    """Whether `derived` has it."""
    return activation in (IDENTITY, SIGMOID, TANH, RELU)


cdef inline vec derived(int activation, const vec *a, vec da) noexcept nogil:
    """δ = ∂C/∂a · σ'(z), σ' written with a: activation.pxd has the formulas"""
    cdef vec one = everywhere(a, 1), x
    if activation == IDENTITY:
        return da
    x = a[0]
    if activation == SIGMOID:
        return da * (x * (one - x))
    if activation == TANH:
        return da * ((one - x) * (one + x))
    return da * is_positive(x)
