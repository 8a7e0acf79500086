"""A network in C: its layers' sizes and addresses."""
from cython cimport floating

from bpcore._math.affine cimport pack_transposed
from bpcore._math.vector cimport LANES_F32, LANES_F64


cdef struct dense_t:
    Py_ssize_t n_inputs
    Py_ssize_t n_outputs
    int activation
    void *W       # (n_outputs, n_inputs)
    void *b       # (n_outputs,)
    void *dW      # as W
    void *db      # as b
    void *z       # (n, n_outputs), as a, da, delta; none of them overlap
    void *a
    void *da      # NULL: not kept, ∂C/∂a is turned into delta in place
    void *delta
    void *packed   # W for affine_forward, or NULL
    void *packing  # room for it

cdef struct network_t:
    dense_t *layers
    int n_layers
    int loss
    bint fused    # the last σ' is taken into the loss


cdef inline Py_ssize_t vector_length(const floating *p) noexcept nogil:
    """Elements in a vector."""
    if floating is float:
        return LANES_F32
    else:
        return LANES_F64


cdef inline Py_ssize_t whole_vectors(const floating *p, Py_ssize_t count) noexcept nogil:
    """count, rounded up to whole vectors."""
    return (count + vector_length(p) - 1) // vector_length(p) * vector_length(p)


cdef inline Py_ssize_t packed_size(const dense_t *layer, const floating *p) noexcept nogil:
    """Elements that W takes when packed: n_outputs rounded up to whole panels of two vectors."""
    cdef Py_ssize_t panel = 2 * vector_length(p)
    return (layer.n_outputs + panel - 1) // panel * panel * layer.n_inputs


cdef inline bint worth_packing(const dense_t *layer, Py_ssize_t n) noexcept nogil:
    """Whether n samples repay the packing of W (docs/kernels.md has the measurement)."""
    return n > 16 or (n > 4 and layer.n_inputs < 64)


cdef inline void pack(dense_t *layer, floating *packed) noexcept nogil:
    """Renew the copy of W that affine_forward reads."""
    pack_transposed(<const floating *> layer.W, packed, layer.n_inputs, layer.n_outputs,
                    2 * vector_length(packed))
    layer.packed = packed
