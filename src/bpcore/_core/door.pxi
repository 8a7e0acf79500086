"""The door: an array comes in as it is if it is clean, or through `bpcore.validation`."""

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject *)


cdef bint is_clean(object x, int typenum) noexcept:
    """Whether x is a plain C-contiguous, aligned, native ndarray of the type."""
    return (cnp.PyArray_CheckExact(x) and cnp.PyArray_TYPE(<cnp.ndarray> x) == typenum
            and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray> x))


cdef bint is_finite(cnp.ndarray x) noexcept:
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        return all_finite(<const float *> cnp.PyArray_DATA(x), cnp.PyArray_SIZE(x))
    return all_finite(<const double *> cnp.PyArray_DATA(x), cnp.PyArray_SIZE(x))


cdef cnp.ndarray samples_of(object x, Py_ssize_t width, int typenum, str name, str owner):
    """x as a clean finite (n, width) or (width,) array: itself if it is one, else converted."""
    cdef int ndim
    if is_clean(x, typenum):
        ndim = cnp.PyArray_NDIM(<cnp.ndarray> x)
        if ((ndim == 2 or ndim == 1) and cnp.PyArray_DIM(<cnp.ndarray> x, ndim - 1) == width
                and cnp.PyArray_SIZE(<cnp.ndarray> x) > 0 and is_finite(<cnp.ndarray> x)):
            return <cnp.ndarray> x
    return validation.samples(x, width, cnp.PyArray_DescrFromType(typenum), name, owner)


cdef inline Py_ssize_t rows_of(cnp.ndarray x) noexcept:
    return cnp.PyArray_DIM(x, 0) if cnp.PyArray_NDIM(x) == 2 else 1


cdef int check_batch(cnp.ndarray da, int ndim, Py_ssize_t n, Py_ssize_t width) except -1:
    """Raise unless da belongs to the batch that forward kept."""
    if cnp.PyArray_NDIM(da) != ndim or rows_of(da) != n:
        shape = (n, width)
        raise ValueError(validation.shape_message(
            "da", (<object> da).shape, shape[2 - ndim:], "the shape of the last forward's a"))
    return 0


cdef object array_like(PyObject *held, int ndim, Py_ssize_t n, Py_ssize_t width, int typenum):
    """The array held, if it has the shape and nobody else holds it, else an empty one.

    So an array that the caller keeps is never written to again, and one that
    nobody keeps costs no allocation.
    """
    cdef cnp.npy_intp shape[2]
    cdef cnp.ndarray x
    shape[0] = width if ndim == 1 else n
    shape[1] = width
    if held != NULL and held != <PyObject *> None and Py_REFCNT(held) == 1:
        x = <cnp.ndarray> <object> held
        if (cnp.PyArray_NDIM(x) == ndim and cnp.PyArray_DIM(x, 0) == shape[0]
                and (ndim == 1 or cnp.PyArray_DIM(x, 1) == width)
                and cnp.PyArray_TYPE(x) == typenum and cnp.PyArray_ISCARRAY(x)):
            return x
    return cnp.PyArray_EMPTY(ndim, shape, typenum, 0)


cdef inline void *data(object x) noexcept:
    return cnp.PyArray_DATA(<cnp.ndarray> x)
