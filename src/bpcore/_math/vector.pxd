"""Vectors of the CPU level's width: one name for float32 and float64.

The types come from vector.h. Cython takes them for the scalars they are made
of, so `+`, `*` and assignment read as usual and act on all lanes; what the
compiler's operators lack, vector_parts.pxd and its siblings have, each beside
its header. `p` points to elements (not vectors), `k` counts elements.
"""
cdef extern from "vector.h" nogil:
    ctypedef float vf32
    ctypedef double vf64
    enum:
        LANES_F32
        LANES_F64
        TILE_ROWS
        TILE_VECTORS
        DOT_ROWS
        COLUMN_SAMPLES
        FUSED  # whether x * y + z is rounded once
    vf32 load_f32(const float *p)
    vf64 load_f64(const double *p)
    void store_f32(float *p, vf32 x)
    void store_f64(double *p, vf64 x)
    vf32 zero_f32()
    vf64 zero_f64()
    const double ZEROS[64]
    vf32 broadcast_f32(const float *p)
    vf64 broadcast_f64(const double *p)
    vf32 first_everywhere_f32(vf32 x)
    vf64 first_everywhere_f64(vf64 x)

ctypedef fused vec:
    vf32
    vf64


cdef inline Py_ssize_t lanes(const vec *p) noexcept nogil:
    """Elements in a vector of p's type."""
    if vec is vf32:
        return LANES_F32
    else:
        return LANES_F64


cdef inline Py_ssize_t element_size(const vec *p) noexcept nogil:
    """Bytes of an element."""
    if vec is vf32:
        return sizeof(float)
    else:
        return sizeof(double)


cdef inline void copy_element(const vec *p, Py_ssize_t k, vec *to, Py_ssize_t m) noexcept nogil:
    """to[m] = p[k]"""
    if vec is vf32:
        (<float *> to)[m] = (<const float *> p)[k]
    else:
        (<double *> to)[m] = (<const double *> p)[k]


cdef inline void add_element(
    const vec *p, Py_ssize_t k, const vec *q, Py_ssize_t l, vec *to, Py_ssize_t m
) noexcept nogil:
    """to[m] = p[k] + q[l]"""
    if vec is vf32:
        (<float *> to)[m] = (<const float *> p)[k] + (<const float *> q)[l]
    else:
        (<double *> to)[m] = (<const double *> p)[k] + (<const double *> q)[l]


cdef inline vec zero(const vec *p) noexcept nogil:
    """The zero vector of p's type."""
    if vec is vf32:
        return zero_f32()
    else:
        return zero_f64()


cdef inline vec load(const vec *p, Py_ssize_t k) noexcept nogil:
    if vec is vf32:
        return load_f32(<const float *> p + k)
    else:
        return load_f64(<const double *> p + k)


cdef inline vec broadcast(const vec *p, Py_ssize_t k) noexcept nogil:
    if vec is vf32:
        return broadcast_f32(<const float *> p + k)
    else:
        return broadcast_f64(<const double *> p + k)


cdef inline vec first_everywhere(vec x) noexcept nogil:
    """x's first lane in every lane"""
    if vec is vf32:
        return first_everywhere_f32(x)
    else:
        return first_everywhere_f64(x)


cdef inline void store(vec *p, Py_ssize_t k, vec x) noexcept nogil:
    if vec is vf32:
        store_f32(<float *> p + k, x)
    else:
        store_f64(<double *> p + k, x)


cdef inline vec *at(const vec *p, Py_ssize_t k) noexcept nogil:
    """The address of element k."""
    if vec is vf32:
        return <vec *> (<float *> p + k)
    else:
        return <vec *> (<double *> p + k)


cdef inline double element(const vec *p) noexcept nogil:
    """p[0]"""
    if vec is vf32:
        return (<const float *> p)[0]
    else:
        return (<const double *> p)[0]


cdef inline vec everywhere(const vec *p, double x) noexcept nogil:
    """x in every lane, rounded to p's type."""
    cdef float nearest
    if vec is vf32:
        nearest = <float> x
        return broadcast_f32(&nearest)
    else:
        return broadcast_f64(&x)
