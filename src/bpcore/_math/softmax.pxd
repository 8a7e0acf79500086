"""softmax, whose outputs depend on one another, and its Jacobian: row by row."""
from cython cimport floating

from bpcore._math.elementary cimport exp_
from bpcore._math.vector cimport at, lanes, load, store, vec, vf32, vf64, zero
from bpcore._math.vector_largest cimport larger, largest_lane
from bpcore._math.vector_parts cimport load_part, load_repeated, store_part
from bpcore._math.vector_sums cimport inverse_sum

cdef enum:
    SOFTMAX_ROOM = 1024  # elements that softmax works on at a time


cdef inline void subtract_largest(
    const vec *z, vec *to, Py_ssize_t n, Py_ssize_t n_outputs
) noexcept nogil:
    """z_m - max z, row by row; `to` is z or does not overlap it"""
    cdef Py_ssize_t width = lanes(z), vectors = n_outputs // width, whole = vectors * width, _i, v
    cdef int left = <int> (n_outputs - whole)
    cdef vec top
    for _i in range(n):
        # The row's last numbers are the first of the next vector too, or stand alone in one.
        if n_outputs >= width:
            top = load(z, n_outputs - width)
        else:
            top = load_repeated(z, left)
        for v in range(vectors):
            top = larger(top, load(z, v * width))
        top = largest_lane(top)
        for v in range(vectors):
            store(to, v * width, load(z, v * width) - top)
        if left:
            store_part(to, whole, load_part(z, whole, left) - top, left)
        z, to = at(z, n_outputs), at(to, n_outputs)


cdef inline void divide_by_sum(
    const vec *e, vec *to, Py_ssize_t n, Py_ssize_t n_outputs
) noexcept nogil:
    """e_m / Σ_k e_k, row by row; `to` as above"""
    cdef Py_ssize_t width = lanes(e), vectors = n_outputs // width, whole = vectors * width, _i, v
    cdef int left = <int> (n_outputs - whole)
    cdef vec total
    for _i in range(n):
        total = load_part(e, whole, left) if left else zero(e)
        for v in range(vectors):
            total += load(e, v * width)
        total = inverse_sum(total)
        for v in range(vectors):
            store(to, v * width, load(e, v * width) * total)
        if left:
            store_part(to, whole, load_part(e, whole, left) * total, left)
        e, to = at(e, n_outputs), at(to, n_outputs)


cdef inline void softmax_rows(
    floating *a, floating *e, Py_ssize_t n, Py_ssize_t n_outputs
) noexcept nogil:
    """softmax of some rows, in place; e has room for them, or is a.

    The exponentials of all rows in one loop, which leaves no narrow row's lanes empty.
    """
    cdef Py_ssize_t m
    if floating is float:
        subtract_largest(<vf32 *> a, <vf32 *> e, n, n_outputs)
    else:
        subtract_largest(<vf64 *> a, <vf64 *> e, n, n_outputs)
    for m in range(n * n_outputs):
        e[m] = exp_(e[m])
    if floating is float:
        divide_by_sum(<vf32 *> e, <vf32 *> a, n, n_outputs)
    else:
        divide_by_sum(<vf64 *> e, <vf64 *> a, n, n_outputs)


cdef inline void softmax(floating *a, Py_ssize_t n, Py_ssize_t n_outputs) noexcept nogil:
    """a_m = e^(z_m - max z) / Σ_k e^(z_k - max z), n samples, in place

    Between two buffers, some rows at a time: in one, a row's last, partial store would hold up the
    loads of the next row, into whose lanes it reaches.
    """
    cdef floating room[SOFTMAX_ROOM]
    cdef Py_ssize_t rows = SOFTMAX_ROOM // n_outputs, first = 0, some
    if rows == 0:
        softmax_rows(a, a, n, n_outputs)
        return
    while first < n:
        some = rows if n - first > rows else n - first
        softmax_rows(a + first * n_outputs, room, some, n_outputs)
        first += some

cdef inline void softmax_delta(
    const floating *a, floating *delta, Py_ssize_t n, Py_ssize_t n_outputs
) noexcept nogil:
    """δ_m = a_m (da_m - Σ_k da_k a_k), the Jacobian a_m (1[m = k] - a_k) times da; in place"""
    cdef Py_ssize_t m, _i
    cdef floating inner
    for _i in range(n):
        inner = 0
        for m in range(n_outputs):
            inner += delta[m] * a[m]
        for m in range(n_outputs):
            delta[m] = a[m] * (delta[m] - inner)
        a, delta = a + n_outputs, delta + n_outputs
