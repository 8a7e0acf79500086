"""The door: an array comes in as it is if it is clean, or through `bpcore.validation`."""

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject *)

cdef enum:
    LONG_LOOK = 100000  # numbers; fewer take a few microseconds


cdef bint is_clean(object x, int typenum) noexcept:
    """Whether x is a plain C-contiguous, aligned, native ndarray of the type."""
    return (cnp.PyArray_CheckExact(x) and cnp.PyArray_TYPE(<cnp.ndarray> x) == typenum
            and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray> x))


cdef inline bint is_finite(cnp.ndarray x, Py_ssize_t count) noexcept:
    """Whether a clean array of `count` numbers holds no NaN, no Inf; no GIL for a long look."""
    cdef int typenum = cnp.PyArray_TYPE(x)
    cdef const void *p = cnp.PyArray_DATA(x)
    cdef bint finite
    if count < LONG_LOOK:
        return finite_at(p, typenum, count)
    with nogil:
        finite = finite_at(p, typenum, count)
    return finite


cdef bint finite_at(const void *p, int typenum, Py_ssize_t count) noexcept nogil:
    if typenum == cnp.NPY_FLOAT:
        return all_finite(<const float *> p, count)
    return all_finite(<const double *> p, count)


def fits(values, cnp.ndarray like):
    """Whether values are a clean array, all finite, of the type and shape of a vector."""
    return (is_clean(values, cnp.PyArray_TYPE(like)) and cnp.PyArray_NDIM(<cnp.ndarray> values) == 1
            and cnp.PyArray_DIM(<cnp.ndarray> values, 0) == cnp.PyArray_DIM(like, 0)
            and is_finite(<cnp.ndarray> values, cnp.PyArray_DIM(like, 0)))


cdef bint is_samples(object x, Py_ssize_t width, int typenum) noexcept:
    """Whether x is a clean (n, width) or (width,) array, be it finite or not."""
    cdef int ndim
    if not is_clean(x, typenum):
        return False
    ndim = cnp.PyArray_NDIM(<cnp.ndarray> x)
    return ((ndim == 2 or ndim == 1) and cnp.PyArray_DIM(<cnp.ndarray> x, ndim - 1) == width
            and rows_of(<cnp.ndarray> x) > 0)


cdef cnp.ndarray samples_of(object x, Py_ssize_t width, int typenum, str name, str owner):
    """x as a clean finite (n, width) or (width,) array: itself if it is one, else converted."""
    if (is_samples(x, width, typenum)
            and is_finite(<cnp.ndarray> x, rows_of(<cnp.ndarray> x) * width)):
        return <cnp.ndarray> x
    return validation.samples(x, width, cnp.PyArray_DescrFromType(typenum), name, owner)


cdef object labels_of(object Y, Py_ssize_t n, Py_ssize_t n_outputs):
    """A copy of n clean class indices, or None; a copy, as the kernels index by it unchecked."""
    cdef cnp.ndarray labels
    cdef const int64_t *label
    cdef bint good = True
    cdef Py_ssize_t i
    if not (is_clean(Y, cnp.NPY_INT64) and cnp.PyArray_NDIM(<cnp.ndarray> Y) == 1
            and cnp.PyArray_DIM(<cnp.ndarray> Y, 0) == n):
        return None
    labels = cnp.PyArray_EMPTY(1, cnp.PyArray_DIMS(<cnp.ndarray> Y), cnp.NPY_INT64, 0)
    memcpy(data(labels), data(Y), n * sizeof(int64_t))
    label = <const int64_t *> data(labels)
    for i in range(n):
        good &= 0 <= label[i] < n_outputs
    return labels if good else None


cdef object weights_of(object weight, Py_ssize_t n, int typenum):
    """Sample weights of shape (n,): None, itself if it is clean, else converted or refused.

    What is within these bounds adds up to more than 0 and to no overflow; validation knows the
    bounds of the sum itself.
    """
    cdef cnp.ndarray w
    cdef bint good
    if weight is None:
        return None
    if is_clean(weight, typenum):
        w = <cnp.ndarray> weight
        if cnp.PyArray_NDIM(w) == 1 and cnp.PyArray_DIM(w, 0) == n and n > 0:
            if typenum == cnp.NPY_FLOAT:
                good = is_weight(<const float *> data(w), n, <float> FLT_MAX, 0)
            else:
                good = is_weight(<const double *> data(w), n, 1e299 / <double> n, 1e-300)
            if good:
                return w
    return validation.weights(weight, n, cnp.PyArray_DescrFromType(typenum))


cdef bint is_weight(
    const floating *w, Py_ssize_t n, floating high, floating tiny
) noexcept nogil:
    """Whether all are from 0 to `high` and one is above `tiny`; mostly the first ones tell that."""
    return all_within(w, n, 0, high) and not all_within(w, n, 0, tiny)


cdef bint in_domain(cnp.ndarray y, Py_ssize_t width, int loss, bint look) noexcept:
    """Whether clean target rows are finite and surely in the loss's domain, by one look; without,
    whether their loss will tell: that of NaN and Inf is not finite, where all other numbers will
    do."""
    cdef Py_ssize_t rows = rows_of(y)
    cdef const void *p = cnp.PyArray_DATA(y)
    if loss != BINARY_CROSS_ENTROPY and loss != POISSON and loss != CROSS_ENTROPY:
        return not look or is_finite(y, rows * width)
    if cnp.PyArray_TYPE(y) == cnp.NPY_FLOAT:
        return rows_in_domain(<const float *> p, rows, width, loss, <float> FLT_MAX)
    return rows_in_domain(<const double *> p, rows, width, loss, <double> DBL_MAX)


cdef bint rows_in_domain(
    const floating *y, Py_ssize_t rows, Py_ssize_t width, int loss, floating largest
) noexcept nogil:
    """Bounds for every number; for cross_entropy, rows that sum to 1."""
    cdef Py_ssize_t i, m
    cdef double total
    if loss == BINARY_CROSS_ENTROPY:
        return all_within(y, rows * width, 0, 1)
    if loss == POISSON:
        return all_within(y, rows * width, 0, largest)
    for i in range(rows):
        if not all_within(y + i * width, width, 0, 2):
            return False
        total = 0
        for m in range(width):
            total += y[i * width + m]
        if not -0.9e-3 < total - 1 < 0.9e-3:  # near 1e-3 the order of a sum counts: ask validation
            return False
    return True


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
