"""σ and σ' of a vector in a register, of those that are operations of whole vectors."""
from bpcore._math.activation cimport IDENTITY, RELU, SIGMOID, TANH
from bpcore._math.elementary_lanes cimport logistic_vectors, tanh_vectors
from bpcore._math.vector cimport everywhere, vec
from bpcore._math.vector_parts cimport is_positive, positive_part


cdef inline bint in_lanes(int activation) noexcept nogil:
    """Whether `activated` and `derived` have it."""
    return activation in (IDENTITY, SIGMOID, TANH, RELU)


cdef inline vec activated(int activation, vec z) noexcept nogil:
    """a = σ(z)"""
    cdef vec a
    if activation == RELU:
        return positive_part(z)
    if activation == TANH:
        tanh_vectors(&z, &a, 1)
        return a
    if activation == SIGMOID:
        logistic_vectors(&z, &a, 1)
        return a
    return z


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
