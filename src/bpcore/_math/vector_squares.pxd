"""Squares of a matrix, transposed in registers."""
from bpcore._math.vector cimport at, element, vec, vf32

cdef extern from "vector_squares.h" nogil:
    enum:
        BLOCK_F32
        BLOCK_F64
    void transpose_block_f32(const float *p, Py_ssize_t ld, float *to, Py_ssize_t ld_to)
    void transpose_block_f64(const double *p, Py_ssize_t ld, double *to, Py_ssize_t ld_to)


cdef inline Py_ssize_t block_side(const vec *p) noexcept nogil:
    """Rows and columns of the square that is transposed in registers."""
    if vec is vf32:
        return BLOCK_F32
    else:
        return BLOCK_F64


cdef inline void transpose_block(
    const vec *p, Py_ssize_t k, Py_ssize_t ld, vec *to, Py_ssize_t m, Py_ssize_t ld_to
) noexcept nogil:
    """The square that starts at element k of p, transposed, to element m of `to`."""
    if vec is vf32:
        transpose_block_f32(<const float *> p + k, ld, <float *> to + m, ld_to)
    else:
        transpose_block_f64(<const double *> p + k, ld, <double *> to + m, ld_to)
