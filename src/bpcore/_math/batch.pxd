"""The rows of a batch: where they lie, what they weigh, how many go through at a time."""
from cython cimport floating
from libc.stdint cimport int64_t

from bpcore._math.network cimport MANY, keeps_z, network_t, products_in_parts
from bpcore._math.pack cimport copy_row
from bpcore._math.vector cimport TILE_ROWS, vf32, vf64

cdef enum:
    BLOCK_BYTES = 131072  # of activations in a block of training: close to the first-level cache
    BLOCK_ROWS = 240      # at least: below it dW's traffic costs more than the cache saves,
    PARTS_BLOCK_ROWS = 512  # and packing for the matrix unit more still


cdef inline const floating *row(const floating *p, Py_ssize_t i, Py_ssize_t width) noexcept nogil:
    """Row i of p; NULL stays NULL."""
    if p == NULL:
        return p
    return p + i * width


cdef inline const int64_t *label_row(const int64_t *p, Py_ssize_t i) noexcept nogil:
    """Label i of p; NULL stays NULL."""
    if p == NULL:
        return p
    return p + i


cdef inline void gather(
    const floating *source, floating *to, const int64_t *order, Py_ssize_t first, Py_ssize_t last,
    Py_ssize_t width,
) noexcept nogil:
    """to[i] = source[order[i]], rows of `width`, first … last - 1"""
    cdef Py_ssize_t i
    if width == 1:
        for i in range(first, last):
            to[i] = source[order[i]]
        return
    for i in range(first, last):
        if floating is float:
            copy_row(<const vf32 *> (source + order[i] * width), <vf32 *> (to + i * width), width)
        else:
            copy_row(<const vf64 *> (source + order[i] * width), <vf64 *> (to + i * width), width)


cdef inline double batch_share(
    const floating *weight, const int64_t *order, Py_ssize_t first, Py_ssize_t n, double *total
) noexcept nogil:
    """1 / Σ w of the batch, and Σ w"""
    cdef Py_ssize_t i
    if weight == NULL:
        total[0] = <double> n
    else:
        total[0] = 0
        for i in range(first, first + n):
            total[0] += weight[i if order == NULL else order[i]]
    return 1 / total[0] if total[0] > 1e-300 else 0


cdef inline Py_ssize_t block_rows(
    const network_t *net, Py_ssize_t batch_size, Py_ssize_t itemsize
) noexcept nogil:
    """Samples a block: the batch, or as many as keep the activations of all layers in the cache.

    It depends on the network alone, never on threads, so that sums keep their order.
    """
    cdef Py_ssize_t row = net.layers[0].n_inputs, rows, least = BLOCK_ROWS
    cdef int l
    for l in range(net.n_layers):
        if itemsize == sizeof(float) and products_in_parts(&net.layers[l], <float *> NULL, MANY):
            least = PARTS_BLOCK_ROWS
        row += (3 if keeps_z(net, l) else 2) * net.layers[l].n_outputs
    rows = BLOCK_BYTES // (row * itemsize) // TILE_ROWS * TILE_ROWS
    rows = least if rows < least else rows
    return batch_size if batch_size < rows else rows
