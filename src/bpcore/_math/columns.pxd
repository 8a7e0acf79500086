"""The first layer with W by columns, V = Wᵀ, as plain SGD's steps of few samples keep it.

    z = a_in V + b                          product_by_columns
    V ← V + a_inᵀ (-η δ), b ← b + Σ -η δ    descent_by_columns

Only ∂C/∂a_in wants W by rows, and nobody asks the first layer for that. By columns z needs neither
lanes to be added up nor W to be turned round, and both go through V from end to end, once for all
samples of a tile. V's rows end in whole vectors; what stands there beyond the outputs is nobody's.
"""
from libc.stdint cimport int64_t

from bpcore._math.affine cimport bias_gradient
from bpcore._math.hints cimport hold, prefetch
from bpcore._math.pack cimport copy_row, pack_rows, transpose
from bpcore._math.product cimport run_panel
from bpcore._math.rounding cimport cache_line, ceil_div, round_up
from bpcore._math.row_pointers cimport go_on, row, rows_from, rows_t
from bpcore._math.vector cimport (
    COLUMN_SAMPLES, TILE_ROWS, at, broadcast, lanes, load, store, vec, zero,
)

cdef enum:
    AHEAD = 8  # rows of V between the one that is read and the one that is fetched


cdef struct ahead_t:      # the rows of X that are to be fetched
    const void *X         # NULL: none
    const int64_t *order  # row i is order[i]; NULL: i
    Py_ssize_t row        # row, row + 1, …
    Py_ssize_t end


cdef inline const vec *row_ahead(
    const vec *p, const ahead_t *ahead, Py_ssize_t i, Py_ssize_t width
) noexcept nogil:
    """Where row i of those lies, or NULL; p for the type"""
    i += ahead.row
    if ahead.X == NULL or i >= ahead.end:
        return NULL
    return at(<const vec *> ahead.X, (i if ahead.order == NULL else ahead.order[i]) * width)


cdef inline void columns_tile(
    vec *z,              # OUT (rows, vectors)
    const vec *bias,     # IN  (vectors,)
    const vec *a,        # IN  (rows, depth)
    const vec *V,        # IN  (depth, vectors)
    Py_ssize_t depth,
    const ahead_t *ahead,  # rows of which a part is fetched meanwhile, as many,
    Py_ssize_t first,    # beginning with this one
    Py_ssize_t part,     # panels before this one,
    Py_ssize_t parts,    # and all of them: each fetches its part
    int rows,            # rows and vectors are constants at every call
    int vectors,
) noexcept nogil:
    """z[r, :] = b + Σ_k a[r, k] V[k, :]"""
    cdef vec acc[2 * 12]
    cdef vec vk[2]
    cdef vec ark
    cdef rows_t a_rows = rows_from(a, depth, rows)
    cdef const vec *behind
    cdef Py_ssize_t left, width = lanes(z), ld = vectors * lanes(z), step
    cdef int r, v, i
    for v in range(vectors):
        vk[v] = load(bias, v * width)
        for r in range(rows):
            acc[r * vectors + v] = vk[v]
    for i in range(rows):
        behind, step = row_ahead(z, ahead, first + i, depth), 0
        if behind == NULL:
            behind = a
        else:
            behind, step = at(behind, depth * part // parts), ceil_div(rows, parts)
        left = depth * (i + 1) // rows - depth * i // rows
        while left > 0:
            left -= 1
            for v in range(vectors):
                vk[v] = load(V, v * width)
                prefetch(at(V, AHEAD * ld + v * width))
            for r in range(rows):
                ark = broadcast(row(a, &a_rows, r, depth), 0)
                for v in range(vectors):
                    acc[r * vectors + v] += ark * vk[v]
            prefetch(behind)
            V, behind = at(V, ld), at(behind, step)
            hold(V)
            hold(behind)
            go_on(a, &a_rows, 1, rows)
    for r in range(rows):
        for v in range(vectors):
            store(z, r * ld + v * width, acc[r * vectors + v])


cdef inline void columns_tile_of(
    int rows, vec *z, const vec *bias, const vec *a, const vec *V, Py_ssize_t depth,
    const ahead_t *ahead, Py_ssize_t first, Py_ssize_t part, Py_ssize_t parts, int vectors,
) noexcept nogil:
    """`rows` made a constant, so that the sums are registers."""
    if rows == 1:
        columns_tile(z, bias, a, V, depth, ahead, first, part, parts, 1, vectors)
    elif rows == 2:
        columns_tile(z, bias, a, V, depth, ahead, first, part, parts, 2, vectors)
    elif rows == 3:
        columns_tile(z, bias, a, V, depth, ahead, first, part, parts, 3, vectors)
    elif rows == 4:
        columns_tile(z, bias, a, V, depth, ahead, first, part, parts, 4, vectors)
    elif TILE_ROWS >= 6 and rows == 5:
        columns_tile(z, bias, a, V, depth, ahead, first, part, parts, 5, vectors)
    elif TILE_ROWS >= 6 and rows == 6:
        columns_tile(z, bias, a, V, depth, ahead, first, part, parts, 6, vectors)
    elif TILE_ROWS >= 12 and rows == 7:
        columns_tile(z, bias, a, V, depth, ahead, first, part, parts, 7, vectors)
    elif TILE_ROWS >= 12 and rows == 8:
        columns_tile(z, bias, a, V, depth, ahead, first, part, parts, 8, vectors)
    elif TILE_ROWS >= 12 and rows == 9:
        columns_tile(z, bias, a, V, depth, ahead, first, part, parts, 9, vectors)
    elif TILE_ROWS >= 12 and rows == 10:
        columns_tile(z, bias, a, V, depth, ahead, first, part, parts, 10, vectors)
    elif TILE_ROWS >= 12 and rows == 11:
        columns_tile(z, bias, a, V, depth, ahead, first, part, parts, 11, vectors)
    elif TILE_ROWS >= 12:
        columns_tile(z, bias, a, V, depth, ahead, first, part, parts, 12, vectors)


cdef inline void product_by_columns(
    vec *z,           # OUT (n, columns)
    const vec *bias,  # IN  (columns,)
    const vec *a,     # IN  (n, depth)
    const vec *V,     # IN  panels of (depth, two vectors), one in the last where it is enough
    Py_ssize_t n, Py_ssize_t depth, Py_ssize_t columns,
    const ahead_t *ahead,
) noexcept nogil:
    """z = a V + b, rows shared out evenly over the tiles"""
    cdef vec room[2 * TILE_ROWS + 2 + 16]  # 16: to begin at a cache line, whatever a vector is
    cdef vec *b = <vec *> cache_line(room)
    cdef vec *tile = at(b, 2 * lanes(z))
    cdef Py_ssize_t tiles = ceil_div(n, TILE_ROWS), width = lanes(z), j = 0
    cdef Py_ssize_t panels = ceil_div(columns, 2 * width), first, rows, t, r, wide
    while j < columns:
        wide = min(2 * width, columns - j)
        store(b, 0, zero(b))
        store(b, width, zero(b))
        copy_row(at(bias, j), b, wide)
        for t in range(tiles):
            first = n * t // tiles
            rows = n * (t + 1) // tiles - first
            if wide > width:
                columns_tile_of(<int> rows, tile, b, at(a, first * depth), at(V, j * depth),
                                depth, ahead, first, j // (2 * width), panels, 2)
            else:
                columns_tile_of(<int> rows, tile, b, at(a, first * depth), at(V, j * depth),
                                depth, ahead, first, j // (2 * width), panels, 1)
            for r in range(rows):
                copy_row(at(tile, r * round_up(wide, width)), at(z, (first + r) * columns + j),
                         wide)
        j += 2 * width


cdef inline void turn(
    vec *W, vec *V, Py_ssize_t n_inputs, Py_ssize_t first, Py_ssize_t last, bint back
) noexcept nogil:
    """V = Wᵀ, or back: outputs first … last - 1, whole panels but at the end. A stretch of k at a
    time, so that what is written stays near."""
    cdef Py_ssize_t panel = 2 * lanes(V), j = first, wide, ld, k, step
    cdef vec *by_rows
    cdef vec *by_columns
    while j < last:
        wide = min(panel, last - j)
        ld, k = round_up(wide, lanes(V)), 0
        while k < n_inputs:
            step = min(<Py_ssize_t> 64, n_inputs - k)
            by_rows, by_columns = at(W, j * n_inputs + k), at(V, j * n_inputs + k * ld)
            transpose(by_columns if back else by_rows, ld if back else n_inputs,
                      by_rows if back else by_columns, n_inputs if back else ld,
                      step if back else wide, wide if back else step)
            k += step
        j += panel


cdef inline void descent_by_columns(
    const vec *delta,  # IN  (n, n_outputs) -η δ
    const vec *a_in,   # IN  (n, n_inputs)
    vec *V,            # IN/OUT as for product_by_columns
    vec *b,            # IN/OUT (n_outputs,)
    Py_ssize_t n, Py_ssize_t n_inputs, Py_ssize_t n_outputs,
    Py_ssize_t first, Py_ssize_t last,  # outputs, as for turn
) noexcept nogil:
    """V ← V + a_inᵀ (-η δ), b ← b + Σ -η δ"""
    cdef vec room[2 * COLUMN_SAMPLES + 16]  # 16: as above
    cdef vec *part = <vec *> cache_line(room)
    cdef Py_ssize_t panel = 2 * lanes(V), j = first, wide
    while j < last:
        wide = round_up(min(panel, last - j), lanes(V))
        pack_rows(at(delta, j), n_outputs, part, wide // lanes(V), min(panel, last - j), n)
        run_panel(at(V, j * n_inputs), wide, at(V, j * n_inputs), wide, a_in, 1, n_inputs, 0, part,
                  wide, n, n_inputs, wide, n)
        j += panel
    bias_gradient(at(delta, first), n_outputs, at(b, first), n, last - first, True)
