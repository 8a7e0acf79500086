"""C[r, :] = init[r, :] + Σ_k A[r, k] B[k, :] where k is few: the other way round, B in registers.

A tile pays for its beginning and end with some forty cycles, which a sum of ten
terms does not repay: the gradient of a batch of ten, ∂C/∂a_in of ten outputs, z of
eight inputs. Here the rows of B stay in registers for all rows of a panel, and a
row's few sums follow one another without a break. Order and rounding are the tile's.
"""
from bpcore._math.vector cimport (
    TILE_ROWS, at, broadcast, hold, lanes, load, load_part, store, store_part, vec, zero,
)

cdef enum:
    SHALLOW = TILE_ROWS  # k at most: two vectors each, in registers
    ENDED = 64           # terms of a sum that ends with init


cdef inline bint ends_with_init(Py_ssize_t depth, Py_ssize_t ld_init) noexcept nogil:
    """Whether sums of so many terms end with init, of all products alike; else they begin with it.

    W − η ΔW is then rounded once, and not with every sample. Of 64 terms, a sum is never put down
    between, neither by tiles nor where zeros are passed over. One row for all is a bias, with which
    only the shallow products end.
    """
    return depth <= (ENDED if ld_init != 0 else <int> SHALLOW)


cdef inline void shallow_rows(
    vec *c, Py_ssize_t ldc, const vec *init, Py_ssize_t ld_init,  # as for tile, of all rows
    const vec *a, Py_ssize_t a_row, Py_ssize_t a_step,
    const vec *b, Py_ssize_t ldb, Py_ssize_t rows,
    int depth,        # depth, vectors and edge are constants at every call
    int vectors, bint edge, int last, Py_ssize_t full,
) noexcept nogil:
    cdef vec bk[2 * 12]
    cdef vec acc[2]
    cdef vec start
    cdef vec ark
    cdef const vec *a0 = a
    cdef const vec *a4 = at(a, 4 * a_step) if depth > 4 else a
    cdef const vec *a8 = at(a, 8 * a_step) if depth > 8 else a
    cdef Py_ssize_t _r, second = last if edge else lanes(c)
    cdef bint part = edge and vectors == 1
    cdef int k, v
    for k in range(depth):
        for v in range(vectors):
            if part and k >= full:
                bk[k] = load_part(b, k * ldb, last)
            else:
                bk[k * vectors + v] = load(b, k * ldb + v * second)
    for _r in range(rows):
        if part:
            start = load_part(init, 0, last)
        for v in range(vectors):
            acc[v] = zero(c)
        for k in range(depth):
            ark = broadcast(a0 if k < 4 else (a4 if k < 8 else a8), k % 4 * a_step)
            for v in range(vectors):
                acc[v] += ark * bk[k * vectors + v]
        if part:
            store_part(c, 0, start + acc[0], last)
        else:
            for v in range(vectors):
                acc[v] += load(init, v * second)
            for v in range(vectors):
                store(c, v * second, acc[v])
        c, init = at(c, ldc), at(init, ld_init)
        a0, a4, a8 = at(a0, a_row), at(a4, a_row), at(a8, a_row)
        hold(a0)
        if depth > 4:
            hold(a4)
        if depth > 8:
            hold(a8)


cdef inline void shallow_edge(
    vec *c, Py_ssize_t ldc, const vec *init, Py_ssize_t ld_init,
    const vec *a, Py_ssize_t a_row, Py_ssize_t a_step,
    const vec *b, Py_ssize_t ldb, Py_ssize_t rows, int depth, int columns, Py_ssize_t full,
) noexcept nogil:
    """The number of vectors, and whether the last one is full, made constants."""
    cdef int width = <int> lanes(c)
    if columns == 2 * width:
        shallow_rows(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, rows, depth, 2, False, 0,
                     full)
    elif columns > width:
        shallow_rows(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, rows, depth, 2, True,
                     columns - width, full)
    else:
        shallow_rows(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, rows, depth, 1, True,
                     columns, full)


cdef inline void shallow_panel(
    vec *c, Py_ssize_t ldc, const vec *init, Py_ssize_t ld_init,
    const vec *a, Py_ssize_t a_row, Py_ssize_t a_step,
    const vec *b, Py_ssize_t ldb, Py_ssize_t full,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
) noexcept nogil:
    """C = init + A B for the columns of one panel; `depth` made a constant."""
    cdef int wide = <int> columns
    if depth == 1:
        shallow_edge(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, rows, 1, wide, full)
    elif depth == 2:
        shallow_edge(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, rows, 2, wide, full)
    elif depth == 3:
        shallow_edge(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, rows, 3, wide, full)
    elif depth == 4:
        shallow_edge(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, rows, 4, wide, full)
    elif SHALLOW >= 6 and depth == 5:
        shallow_edge(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, rows, 5, wide, full)
    elif SHALLOW >= 6 and depth == 6:
        shallow_edge(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, rows, 6, wide, full)
    elif SHALLOW >= 12 and depth == 7:
        shallow_edge(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, rows, 7, wide, full)
    elif SHALLOW >= 12 and depth == 8:
        shallow_edge(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, rows, 8, wide, full)
    elif SHALLOW >= 12 and depth == 9:
        shallow_edge(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, rows, 9, wide, full)
    elif SHALLOW >= 12 and depth == 10:
        shallow_edge(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, rows, 10, wide, full)
    elif SHALLOW >= 12 and depth == 11:
        shallow_edge(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, rows, 11, wide, full)
    elif SHALLOW >= 12:
        shallow_edge(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, rows, 12, wide, full)
