"""z = a_in Wᵀ + b of two to four outputs and few inputs, the samples along the lanes.

A tile would leave most lanes of its columns empty, and a dot product of a vector or
two spends more on adding up its lanes than on its terms. Here a square of a_in is
turned round in a buffer, so that each vector holds an input of many samples: a
weight multiplies them all, and no lanes are to be added up.
"""
from libc.string cimport memcpy

from bpcore._math.pack cimport transpose
from bpcore._math.rounding cimport round_up
from bpcore._math.vector cimport at, broadcast, element_size, lanes, load, store, vec, zero
from bpcore._math.vector_squares cimport block_side

cdef enum:
    MOST_OUTPUTS = 4
    MOST_VECTORS = 3  # of inputs: from four on dot products are as fast


cdef inline bint suits_lanes(
    Py_ssize_t width, Py_ssize_t n, Py_ssize_t n_inputs, Py_ssize_t n_outputs
) noexcept nogil:
    """Whether this way pays; a vector has `width` lanes."""
    return (width > 2 and n >= width and 1 < n_outputs <= MOST_OUTPUTS
            and n_inputs <= MOST_VECTORS * width)


cdef inline void lanes_of_samples(
    vec *z,           # OUT (samples, n_outputs), row stride ldz
    Py_ssize_t ldz,
    const vec *bias,  # IN  (n_outputs,)
    const vec *a,     # IN  (samples, n_inputs)
    const vec *W,     # IN  (n_outputs, n_inputs)
    Py_ssize_t n_inputs,
    Py_ssize_t samples,  # up to two vectors of them, a constant if it is that
    int n_outputs,       # a constant at every call
) noexcept nogil:
    """z[i, m] = bias[m] + Σ_n a[i, n] W[m, n]"""
    cdef vec turned[2 * 16]  # two squares, of as many vectors as they have lanes
    cdef vec outputs[2 * 8]  # zᵀ, and what fills it up to a square that is turned in registers
    cdef vec acc[2 * MOST_OUTPUTS]
    cdef vec first, second, weight
    cdef Py_ssize_t width = lanes(z), side = block_side(z), n = 0, some, k, i
    cdef Py_ssize_t rows = round_up(n_outputs, side)
    cdef int m
    if samples < 2 * width:
        for k in range(2 * width):
            store(turned, k * width, zero(z))
    for m in range(n_outputs):
        acc[2 * m] = acc[2 * m + 1] = broadcast(bias, m)
    while n < n_inputs:
        some = n_inputs - n
        if some >= width:  # a constant then, too: the squares are unrolled
            some = width
            transpose(at(a, n), n_inputs, turned, 2 * width, samples, width)
        else:
            transpose(at(a, n), n_inputs, turned, 2 * width, samples, some)
        for k in range(some):
            first, second = load(turned, 2 * k * width), load(turned, (2 * k + 1) * width)
            for m in range(n_outputs):
                weight = broadcast(W, m * n_inputs + n + k)
                acc[2 * m] += first * weight
                acc[2 * m + 1] += second * weight
        n += some
    for m in range(n_outputs):
        store(outputs, 2 * m * width, acc[2 * m])
        store(outputs, (2 * m + 1) * width, acc[2 * m + 1])
    for m in range(2 * n_outputs, 2 * rows):
        store(outputs, m * width, zero(z))
    transpose(outputs, 2 * width, turned, rows, rows, 2 * width)
    for i in range(samples):
        memcpy(at(z, i * ldz), at(turned, i * rows), n_outputs * element_size(z))


cdef inline void product_of_lanes(
    vec *z, Py_ssize_t ldz, const vec *bias, const vec *a, const vec *W,
    Py_ssize_t n, Py_ssize_t n_inputs, int n_outputs,  # a constant at every call
) noexcept nogil:
    """z = a Wᵀ + b, two vectors' worth of samples at a time; no sample sees the others."""
    cdef Py_ssize_t i = 0, most = 2 * lanes(z)
    while i + most <= n:
        lanes_of_samples(at(z, i * ldz), ldz, bias, at(a, i * n_inputs), W, n_inputs, most,
                         n_outputs)
        i += most
    if i < n:
        lanes_of_samples(at(z, i * ldz), ldz, bias, at(a, i * n_inputs), W, n_inputs, n - i,
                         n_outputs)


cdef inline void few_outputs(
    vec *z, Py_ssize_t ldz, const vec *bias, const vec *a, const vec *W,
    Py_ssize_t n, Py_ssize_t n_inputs, Py_ssize_t n_outputs,
) noexcept nogil:
    """The same with n_outputs made a constant."""
    if n_outputs == 2:
        product_of_lanes(z, ldz, bias, a, W, n, n_inputs, 2)
    elif n_outputs == 3:
        product_of_lanes(z, ldz, bias, a, W, n, n_inputs, 3)
    else:
        product_of_lanes(z, ldz, bias, a, W, n, n_inputs, 4)
