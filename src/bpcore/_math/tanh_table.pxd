"""tanh of a block of numbers where the level has tables for it: see tanh_table.h."""
from bpcore._math.vector cimport lanes, load, load_part, store, store_part, vec, vf32, vf64

cdef extern from "tanh_table.h" nogil:
    enum:
        TANH_TABLE  # whether it has
    void tanh_vectors_f32(const vf32 *z, vf32 *a, int vectors)
    void tanh_vectors_f64(const vf64 *z, vf64 *a, int vectors)


cdef inline void tanh_vectors(const vec *z, vec *a, int vectors) noexcept nogil:
    """a = tanh z of up to four vectors"""
    if vec is vf32:
        tanh_vectors_f32(z, a, vectors)
    else:
        tanh_vectors_f64(z, a, vectors)


cdef inline void tanh_by_table(vec *a, Py_ssize_t count) noexcept nogil:
    """a = tanh z, in place"""
    cdef vec x[4]
    cdef vec y[4]
    cdef Py_ssize_t k = 0, width = lanes(a)
    cdef int v, left
    while k + 4 * width <= count:
        for v in range(4):
            x[v] = load(a, k + v * width)
        tanh_vectors(x, y, 4)
        for v in range(4):
            store(a, k + v * width, y[v])
        k += 4 * width
    while k < count:
        left = <int> (width if count - k > width else count - k)
        x[0] = load_part(a, k, left)
        tanh_vectors(x, y, 1)
        store_part(a, k, y[0], left)
        k += left
