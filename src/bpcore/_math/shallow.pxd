"""C[r, :] = init[r, :] + Σ_k A[r, k] B[k, :] where k is few: the other way round, B in registers.

A tile pays for its beginning and end with some forty cycles, which a sum of ten
terms does not repay: the gradient of a batch of ten, ∂C/∂a_in of ten outputs, z of
eight inputs. Here the rows of B stay in registers for all rows of a panel, and a
row's few sums follow one another without a break. Of twice as many terms as there are
registers for, half are added up for some rows, and then the others. Order and rounding
are the tile's.
"""
from bpcore._math.row_pointers cimport go_on, row, rows_from, rows_t
from bpcore._math.vector cimport TILE_ROWS, ZEROS, at, broadcast, lanes, load, store, vec, zero
from bpcore._math.vector_parts cimport load_part, store_part

cdef enum:
    SHALLOW = TILE_ROWS  # k at most: two vectors each, in registers
    BY_HALVES = TILE_ROWS == 6  # whether twice as many go by halves: what half_panel has
    HIGH = 64            # rows, whose sums of a half are put down before the other
    ENDED = 64           # terms of a sum that ends with init


cdef inline int shallow_terms(bint two) noexcept nogil:
    """k at most, of panels of two vectors or of one"""
    return 2 * SHALLOW if BY_HALVES and two else SHALLOW


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
    int depth,        # depth, vectors, edge, begins and ends are constants at every call
    int vectors, bint edge, int last, Py_ssize_t full,
    const vec *begin, Py_ssize_t ld_begin, bint begins,  # what a half begins with, else zeros
    bint ends,        # with init
) noexcept nogil:
    cdef vec bk[2 * 12]
    cdef vec acc[2]
    cdef vec start
    cdef vec ark
    cdef rows_t a_columns = rows_from(a, a_step, depth)
    cdef Py_ssize_t second = last if edge else lanes(c)
    cdef bint part = edge and vectors == 1
    cdef int k, v
    for k in range(depth):
        for v in range(vectors):
            if part and k >= full:
                bk[k] = load_part(b, k * ldb, last)
            else:
                bk[k * vectors + v] = load(b, k * ldb + v * second)
    while rows > 0:
        rows -= 1
        if part:
            start = load_part(init, 0, last)
        for v in range(vectors):
            acc[v] = load(begin, v * second) if begins else zero(c)
        for k in range(depth):
            ark = broadcast(row(a, &a_columns, k, a_step), 0)
            for v in range(vectors):
                acc[v] += ark * bk[k * vectors + v]
        if part:
            store_part(c, 0, start + acc[0], last)
        else:
            if ends:
                for v in range(vectors):
                    acc[v] += load(init, v * second)
            for v in range(vectors):
                store(c, v * second, acc[v])
        c = at(c, ldc)
        if begins:
            begin = at(begin, ld_begin)
        if ends:
            init = at(init, ld_init)
        go_on(a, &a_columns, a_row, depth)


cdef inline void shallow_edge(
    vec *c, Py_ssize_t ldc, const vec *init, Py_ssize_t ld_init,
    const vec *a, Py_ssize_t a_row, Py_ssize_t a_step,
    const vec *b, Py_ssize_t ldb, Py_ssize_t rows, int depth, int columns, Py_ssize_t full,
) noexcept nogil:
    """The number of vectors, and whether the last one is full, made constants."""
    cdef int width = <int> lanes(c)
    if columns == 2 * width:
        shallow_rows(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, rows, depth, 2, False, 0,
                     full, NULL, 0, False, True)
    elif columns > width:
        shallow_rows(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, rows, depth, 2, True,
                     columns - width, full, NULL, 0, False, True)
    else:
        shallow_rows(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, rows, depth, 1, True,
                     columns, full, NULL, 0, False, True)


cdef inline void half_panel(
    vec *c, Py_ssize_t ldc, const vec *init, Py_ssize_t ld_init,
    const vec *a, Py_ssize_t a_row, Py_ssize_t a_step,
    const vec *b, Py_ssize_t ldb, Py_ssize_t rows, Py_ssize_t depth, int last,
    const vec *begin, Py_ssize_t ld_begin, bint ends,
) noexcept nogil:
    """One half of the terms, `depth` made a constant."""
    if depth == 3:
        shallow_rows(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, rows, 3, 2, True, last, 3,
                     begin, ld_begin, True, ends)
    elif depth == 4:
        shallow_rows(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, rows, 4, 2, True, last, 4,
                     begin, ld_begin, True, ends)
    elif depth == 5:
        shallow_rows(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, rows, 5, 2, True, last, 5,
                     begin, ld_begin, True, ends)
    else:
        shallow_rows(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, rows, 6, 2, True, last, 6,
                     begin, ld_begin, True, ends)


cdef inline void panel_by_halves(
    vec *c, Py_ssize_t ldc, const vec *init, Py_ssize_t ld_init,
    const vec *a, Py_ssize_t a_row, Py_ssize_t a_step,
    const vec *b, Py_ssize_t ldb, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
) noexcept nogil:
    """C = init + A B for the columns of one panel of two vectors: Σ of the first half of the
    terms, put down, and then C."""
    cdef vec sums[2 * HIGH]
    cdef Py_ssize_t ld = 2 * lanes(c), half = (depth + 1) // 2, high
    cdef int last = <int> (columns - lanes(c))
    cdef bint ends = ends_with_init(depth, ld_init)
    while rows > 0:
        high = min(rows, <Py_ssize_t> HIGH)
        half_panel(sums, ld, NULL, 0, a, a_row, a_step, b, ldb, high, half, last,
                   <const vec *> ZEROS if ends else init, 0, False)
        if ends:
            half_panel(c, ldc, init, ld_init, at(a, half * a_step), a_row, a_step,
                       at(b, half * ldb), ldb, high, depth - half, last, sums, ld, True)
        else:
            half_panel(c, ldc, NULL, 0, at(a, half * a_step), a_row, a_step,
                       at(b, half * ldb), ldb, high, depth - half, last, sums, ld, False)
        c, init, a = at(c, high * ldc), at(init, high * ld_init), at(a, high * a_row)
        rows -= high


cdef inline void shallow_panel(
    vec *c, Py_ssize_t ldc, const vec *init, Py_ssize_t ld_init,
    const vec *a, Py_ssize_t a_row, Py_ssize_t a_step,
    const vec *b, Py_ssize_t ldb, Py_ssize_t full,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
) noexcept nogil:
    """C = init + A B for the columns of one panel; `depth` made a constant."""
    cdef int wide = <int> columns
    if BY_HALVES and depth > SHALLOW:
        panel_by_halves(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, rows, columns, depth)
    elif depth == 1:
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
