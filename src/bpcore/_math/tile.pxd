"""C[r, :] = init[r, :] + Σ_k A[r, k] B[k, :] on register tiles, a panel of B's columns at a time.

A tile of up to TILE_ROWS rows and two vectors of columns stays in registers
while k runs (K. Goto & R. van de Geijn, Anatomy of High-Performance Matrix
Multiplication, 2008), or one half as high and twice as wide, which has fewer
loads to a multiply-add.

Every C[r, j] is one sum over k in a fixed order, whatever tile it falls in. It
begins with init or, of few terms, ends with it: see ends_with_init.
"""
from bpcore._math.hints cimport hold, prefetch_to_write
from bpcore._math.rounding cimport ceil_div
from bpcore._math.row_pointers cimport go_on, row, rows_from, rows_t
from bpcore._math.shallow cimport ends_with_init
from bpcore._math.vector cimport (
    TILE_ROWS, TILE_VECTORS, ZEROS, at, broadcast, lanes, load, store, vec,
)
from bpcore._math.vector_parts cimport load_part, store_part


cdef inline Py_ssize_t column_of(
    int v, int vectors, Py_ssize_t width, bint edge, Py_ssize_t last
) noexcept nogil:
    """Where vector v of a row begins. Where the columns are no whole vectors, the last one ends
    with the row and shares lanes with the one before: both compute them alike."""
    return last if edge and vectors > 1 and v == vectors - 1 else v * width


cdef inline void tile(
    vec *c,           # OUT (rows, columns), row stride ldc
    Py_ssize_t ldc,
    const vec *init,  # IN  the same shape, row stride ld_init (0: one row for all)
    Py_ssize_t ld_init,
    const vec *a,     # IN  A[r, k] at r a_row + k a_step
    Py_ssize_t a_row,
    Py_ssize_t a_step,
    const vec *b,     # IN  B[k, :] at k ldb
    Py_ssize_t ldb,
    Py_ssize_t depth,
    int rows,         # rows, vectors and edge are constants at every call
    int vectors,
    bint edge,        # the columns are no whole vectors: the last of several vectors begins at
    int last,         # column `last`, a single one holds so many columns, and
    Py_ssize_t full,  # for k below it a full one of B can be read
    const vec *then,  # where the next tile's C lies
) noexcept nogil:
    """C = init + A B for one tile; c may be init, nothing else overlaps.

    A store that misses the first-level cache holds up those behind it: the lines
    that the next tile stores to are fetched while this one is computed.
    """
    cdef vec acc[2 * 12]
    cdef vec bk[4]
    cdef vec ark
    cdef rows_t a_rows = rows_from(a, a_row, rows)
    cdef bint ends = ends_with_init(depth, ld_init), part = edge and vectors == 1
    cdef const vec *start = <const vec *> ZEROS if ends else init
    cdef Py_ssize_t left, ld_start = 0 if ends else ld_init, width = lanes(c)
    cdef int r, v
    for r in range(rows):
        for v in range(vectors):
            if part:
                acc[r] = load_part(start, r * ld_start, last)
            else:
                acc[r * vectors + v] = load(
                    start, r * ld_start + column_of(v, vectors, width, edge, last))
            prefetch_to_write(at(then, r * ldc + v * width))
    left = full if part else depth
    while left > 0:
        left -= 1
        for v in range(vectors):
            bk[v] = load(b, column_of(v, vectors, width, edge, last))
        for r in range(rows):
            ark = broadcast(row(a, &a_rows, r, a_row), 0)
            for v in range(vectors):
                acc[r * vectors + v] += ark * bk[v]
        b = at(b, ldb)
        hold(b)
        go_on(a, &a_rows, a_step, rows)
    if part:
        left = depth - full
        while left > 0:
            left -= 1
            bk[0] = load_part(b, 0, last)
            for r in range(rows):
                ark = broadcast(row(a, &a_rows, r, a_row), 0)
                acc[r] += ark * bk[0]
            b = at(b, ldb)
            hold(b)
            go_on(a, &a_rows, a_step, rows)
    if ends:
        for r in range(rows):
            for v in range(vectors):
                if part:
                    acc[r] += load_part(init, r * ld_init, last)
                else:
                    acc[r * vectors + v] += load(
                        init, r * ld_init + column_of(v, vectors, width, edge, last))
    for r in range(rows):
        for v in range(vectors):
            if part:
                store_part(c, r * ldc, acc[r], last)
            else:
                store(c, r * ldc + column_of(v, vectors, width, edge, last),
                      acc[r * vectors + v])


cdef inline void tile_column(
    Py_ssize_t tiles, vec *c, Py_ssize_t ldc, const vec *init, Py_ssize_t ld_init,
    const vec *a, Py_ssize_t a_tile, Py_ssize_t a_row, Py_ssize_t a_step,
    const vec *b, Py_ssize_t ldb, Py_ssize_t depth, int rows, int vectors, bint edge, int last,
    Py_ssize_t full, const vec *then,
) noexcept nogil:
    """So many tiles below one another; a_tile elements lie between their parts of A."""
    cdef Py_ssize_t t
    for t in range(tiles):
        tile(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, depth, rows, vectors, edge, last,
             full, at(c, rows * ldc) if t + 1 < tiles else then)
        c, init, a = at(c, rows * ldc), at(init, rows * ld_init), at(a, a_tile)


cdef inline void wide_tile_of(
    int rows, Py_ssize_t tiles, vec *c, Py_ssize_t ldc, const vec *init, Py_ssize_t ld_init,
    const vec *a, Py_ssize_t a_tile, Py_ssize_t a_row, Py_ssize_t a_step,
    const vec *b, Py_ssize_t ldb, Py_ssize_t depth, int vectors, bint edge, int last,
    Py_ssize_t full, const vec *then,
) noexcept nogil:
    """tile_of for more than two vectors: four to six rows to a tile."""
    if TILE_VECTORS > 2 and rows == 4:
        tile_column(tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb, depth,
                    4, vectors, edge, last, full, then)
    elif TILE_VECTORS > 2 and rows == 5:
        tile_column(tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb, depth,
                    5, vectors, edge, last, full, then)
    elif TILE_VECTORS > 2:
        tile_column(tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb, depth,
                    6, vectors, edge, last, full, then)


cdef inline void tile_of(
    int rows, Py_ssize_t tiles, vec *c, Py_ssize_t ldc, const vec *init, Py_ssize_t ld_init,
    const vec *a, Py_ssize_t a_tile, Py_ssize_t a_row, Py_ssize_t a_step,
    const vec *b, Py_ssize_t ldb, Py_ssize_t depth, int vectors, bint edge, int last,
    Py_ssize_t full, const vec *then,
) noexcept nogil:
    """The tiles with `rows` made a constant, so that its accumulators are registers."""
    if vectors > 2:
        wide_tile_of(rows, tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb, depth,
                     vectors, edge, last, full, then)
    elif rows == 1:
        tile_column(tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb, depth,
                    1, vectors, edge, last, full, then)
    elif rows == 2:
        tile_column(tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb, depth,
                    2, vectors, edge, last, full, then)
    elif rows == 3:
        tile_column(tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb, depth,
                    3, vectors, edge, last, full, then)
    elif rows == 4:
        tile_column(tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb, depth,
                    4, vectors, edge, last, full, then)
    elif TILE_ROWS >= 6 and rows == 5:
        tile_column(tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb, depth,
                    5, vectors, edge, last, full, then)
    elif TILE_ROWS >= 6 and rows == 6:
        tile_column(tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb, depth,
                    6, vectors, edge, last, full, then)
    elif TILE_ROWS >= 12 and rows == 7:
        tile_column(tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb, depth,
                    7, vectors, edge, last, full, then)
    elif TILE_ROWS >= 12 and rows == 8:
        tile_column(tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb, depth,
                    8, vectors, edge, last, full, then)
    elif TILE_ROWS >= 12 and rows == 9:
        tile_column(tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb, depth,
                    9, vectors, edge, last, full, then)
    elif TILE_ROWS >= 12 and rows == 10:
        tile_column(tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb, depth,
                    10, vectors, edge, last, full, then)
    elif TILE_ROWS >= 12 and rows == 11:
        tile_column(tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb, depth,
                    11, vectors, edge, last, full, then)
    elif TILE_ROWS >= 12:
        tile_column(tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb, depth,
                    12, vectors, edge, last, full, then)


cdef inline int tile_rows(bint wide) noexcept nogil:
    """Rows of a tile, at most."""
    return TILE_ROWS // 2 if wide else TILE_ROWS


cdef inline void panel_product(
    vec *c, Py_ssize_t ldc, const vec *init, Py_ssize_t ld_init,
    const vec *a, Py_ssize_t a_row, Py_ssize_t a_step,
    int a_packed,  # by tiles of at most so many rows, or 0: not packed
    const vec *b, Py_ssize_t ldb, Py_ssize_t full,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
    bint wide,  # three vectors or four, of four rows or more; a constant at every call
) noexcept nogil:
    """C = init + A B for the columns of one panel: one vector or two, or `wide`.

    Rows are shared out evenly over the tiles: 13 rows are 7 + 6, not 12 + 1.
    """
    cdef Py_ssize_t width = lanes(c), vectors = ceil_div(columns, width)
    cdef int high = a_packed if a_packed else tile_rows(wide)
    cdef Py_ssize_t tiles = ceil_div(rows, high), group
    cdef Py_ssize_t share = rows // tiles, longer = rows - share * tiles, a_tile
    cdef int height = <int> share, last = <int> (columns - width)
    cdef const vec *next_panel = at(c, columns) if columns == vectors * width else c
    cdef const vec *then
    if init == NULL:
        init, ld_init = <const vec *> ZEROS, 0
    if longer > 0:
        tiles, height = longer, height + 1
    while rows > 0:
        group = tiles * height
        then = at(c, group * ldc) if group < rows else next_panel
        a_tile = height * (depth if a_packed else a_row)
        if a_packed:
            a_row, a_step = 1, height
        if wide and columns == 4 * width:
            tile_of(height, tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb,
                    depth, 4, False, 0, 0, then)
        elif wide and vectors == 4:
            tile_of(height, tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb,
                    depth, 4, True, last, 0, then)
        elif wide:
            tile_of(height, tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb,
                    depth, 3, True, last, 0, then)
        elif columns == 2 * width:
            tile_of(height, tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb,
                    depth, 2, False, 0, 0, then)
        elif vectors == 2:
            tile_of(height, tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb,
                    depth, 2, True, last, 0, then)
        else:
            tile_of(height, tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb,
                    depth, 1, True, <int> columns, full, then)
        c, init, a = at(c, group * ldc), at(init, group * ld_init), at(a, tiles * a_tile)
        rows -= group
        height = <int> share
        tiles = rows // share
