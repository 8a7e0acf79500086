"""C[r, :] = init[r, :] + Σ_k A[r, k] B[k, :] on register tiles: what all products of layers are.

A tile of up to TILE_ROWS rows and two vectors of columns stays in registers
while k runs (K. Goto & R. van de Geijn, Anatomy of High-Performance Matrix
Multiplication, 2008), or one half as high and twice as wide, which has fewer
loads to a multiply-add. The operands of small layers are used where they lie;
B is copied into panels as wide as a tile where it lies by columns, and both
where their rows lie far apart: each is then on a page of its own, and rows that
are whole pages apart crowd one another out of the cache.

Every C[r, j] is one sum over k in a fixed order, whatever tile it falls in and
however often it is put down between: the result does not depend on how rows,
columns and k are shared out. It begins with init or, of few terms, ends with it:
see ends_with_init.
"""
from bpcore._math.pack cimport (
    FEW, copy_short, crowds, pack_columns, pack_rows, scatters, transpose,
)
from bpcore._math.shallow cimport SHALLOW, ends_with_init
from bpcore._math.skip cimport found, looks, skipping_cost, skipping_product
from bpcore._math.vector cimport (
    TILE_ROWS, TILE_VECTORS, ZEROS, at, broadcast, hold, lanes, load, load_part, prefetch, store,
    store_part, vec, vf32,
)

cdef extern from "panel.h" nogil:
    void bpcore_panel_f32(
        void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init,
        const void *a, Py_ssize_t a_row, Py_ssize_t a_step, int a_packed,
        const void *b, Py_ssize_t ldb, Py_ssize_t full,
        Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
    )
    void bpcore_panel_f64(
        void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init,
        const void *a, Py_ssize_t a_row, Py_ssize_t a_step, int a_packed,
        const void *b, Py_ssize_t ldb, Py_ssize_t full,
        Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
    )
    void bpcore_shallow_f32(
        void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init,
        const void *a, Py_ssize_t a_row, Py_ssize_t a_step,
        const void *b, Py_ssize_t ldb, Py_ssize_t full,
        Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
    )
    void bpcore_shallow_f64(
        void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init,
        const void *a, Py_ssize_t a_row, Py_ssize_t a_step,
        const void *b, Py_ssize_t ldb, Py_ssize_t full,
        Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
    )
    void bpcore_wide_f32(
        void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init,
        const void *a, Py_ssize_t a_row, Py_ssize_t a_step, int a_packed,
        const void *b, Py_ssize_t ldb, Py_ssize_t full,
        Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
    )
    void bpcore_wide_f64(
        void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init,
        const void *a, Py_ssize_t a_row, Py_ssize_t a_step, int a_packed,
        const void *b, Py_ssize_t ldb, Py_ssize_t full,
        Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
    )

cdef enum:
    DEPTH = 264       # k at a time: two vectors' panel of B then fits into the first-level cache,
    # and shares of what is longer, also of half as many k, are of more than ENDED terms
    ROWS = 240        # rows at a time: with DEPTH their A fits into the second-level cache
    SPREAD = 128      # columns of B, at most, that are copied at a time, a row after the other
    WORK = (ROWS + SPREAD) * DEPTH  # elements of `work`: a part of A, and of B, copied
    TOGETHER = 8      # tiles of A that are copied side by side
    LOW = 8           # rows, below which tiles are as high as may be, not wide


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
    bint edge,        # the last vector holds `count` columns; otherwise it is full
    int count,
    Py_ssize_t full,  # for k below it a full last vector of B can be read, if edge
    const vec *then,  # where the next tile's C lies
) noexcept nogil:
    """C = init + A B for one tile; c may be init, nothing else overlaps.

    A store that misses the first-level cache holds up those behind it: the lines
    that the next tile stores to are fetched while this one is computed.
    """
    cdef vec acc[2 * 12]
    cdef vec bk[4]
    cdef vec ark
    cdef const vec *a0 = a
    cdef const vec *a4 = at(a, 4 * a_row) if rows > 4 else a
    cdef const vec *a8 = at(a, 8 * a_row) if rows > 8 else a
    cdef bint ends = ends_with_init(depth, ld_init)
    cdef const vec *start = <const vec *> ZEROS if ends else init
    cdef Py_ssize_t _k, ld_start = 0 if ends else ld_init, width = lanes(c)
    cdef int r, v
    for r in range(rows):
        for v in range(vectors):
            if edge and v == vectors - 1:
                acc[r * vectors + v] = load_part(start, r * ld_start + v * width, count)
            else:
                acc[r * vectors + v] = load(start, r * ld_start + v * width)
            prefetch(at(then, r * ldc + v * width))
    # Four rows from each of three pointers: few enough registers, whatever a_row is.
    for _k in range(full if edge else depth):
        for v in range(vectors):
            bk[v] = load(b, v * width)
        for r in range(rows):
            ark = broadcast(a0 if r < 4 else (a4 if r < 8 else a8), r % 4 * a_row)
            for v in range(vectors):
                acc[r * vectors + v] += ark * bk[v]
        b, a0, a4, a8 = at(b, ldb), at(a0, a_step), at(a4, a_step), at(a8, a_step)
        hold(b)
        hold(a0)
        if rows > 4:
            hold(a4)
        if rows > 8:
            hold(a8)
    if edge:
        for _k in range(full, depth):
            for v in range(vectors):
                if v == vectors - 1:
                    bk[v] = load_part(b, v * width, count)
                else:
                    bk[v] = load(b, v * width)
            for r in range(rows):
                ark = broadcast(a0 if r < 4 else (a4 if r < 8 else a8), r % 4 * a_row)
                for v in range(vectors):
                    acc[r * vectors + v] += ark * bk[v]
            b, a0, a4, a8 = at(b, ldb), at(a0, a_step), at(a4, a_step), at(a8, a_step)
            hold(b)
            hold(a0)
            if rows > 4:
                hold(a4)
            if rows > 8:
                hold(a8)
    if ends:
        for r in range(rows):
            for v in range(vectors):
                if edge and v == vectors - 1:
                    acc[r * vectors + v] += load_part(init, r * ld_init + v * width, count)
                else:
                    acc[r * vectors + v] += load(init, r * ld_init + v * width)
    for r in range(rows):
        for v in range(vectors):
            if edge and v == vectors - 1:
                store_part(c, r * ldc + v * width, acc[r * vectors + v], count)
            else:
                store(c, r * ldc + v * width, acc[r * vectors + v])


cdef inline void tile_column(
    Py_ssize_t tiles, vec *c, Py_ssize_t ldc, const vec *init, Py_ssize_t ld_init,
    const vec *a, Py_ssize_t a_tile, Py_ssize_t a_row, Py_ssize_t a_step,
    const vec *b, Py_ssize_t ldb, Py_ssize_t depth, int rows, int vectors, bint edge, int count,
    Py_ssize_t full, const vec *then,
) noexcept nogil:
    """So many tiles below one another; a_tile elements lie between their parts of A."""
    cdef Py_ssize_t t
    for t in range(tiles):
        tile(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, depth, rows, vectors, edge, count,
             full, at(c, rows * ldc) if t + 1 < tiles else then)
        c, init, a = at(c, rows * ldc), at(init, rows * ld_init), at(a, a_tile)


cdef inline void wide_tile_of(
    int rows, Py_ssize_t tiles, vec *c, Py_ssize_t ldc, const vec *init, Py_ssize_t ld_init,
    const vec *a, Py_ssize_t a_tile, Py_ssize_t a_row, Py_ssize_t a_step,
    const vec *b, Py_ssize_t ldb, Py_ssize_t depth, int vectors, bint edge, int count,
    Py_ssize_t full, const vec *then,
) noexcept nogil:
    """tile_of for more than two vectors, which go with LOW rows or more: four to six to a tile."""
    if TILE_VECTORS > 2 and rows == 4:
        tile_column(tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb, depth,
                    4, vectors, edge, count, full, then)
    elif TILE_VECTORS > 2 and rows == 5:
        tile_column(tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb, depth,
                    5, vectors, edge, count, full, then)
    elif TILE_VECTORS > 2:
        tile_column(tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb, depth,
                    6, vectors, edge, count, full, then)


cdef inline void tile_of(
    int rows, Py_ssize_t tiles, vec *c, Py_ssize_t ldc, const vec *init, Py_ssize_t ld_init,
    const vec *a, Py_ssize_t a_tile, Py_ssize_t a_row, Py_ssize_t a_step,
    const vec *b, Py_ssize_t ldb, Py_ssize_t depth, int vectors, bint edge, int count,
    Py_ssize_t full, const vec *then,
) noexcept nogil:
    """The tiles with `rows` made a constant, so that its accumulators are registers."""
    if vectors > 2:
        wide_tile_of(rows, tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb, depth,
                     vectors, edge, count, full, then)
    elif rows == 1:
        tile_column(tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb, depth,
                    1, vectors, edge, count, full, then)
    elif rows == 2:
        tile_column(tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb, depth,
                    2, vectors, edge, count, full, then)
    elif rows == 3:
        tile_column(tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb, depth,
                    3, vectors, edge, count, full, then)
    elif rows == 4:
        tile_column(tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb, depth,
                    4, vectors, edge, count, full, then)
    elif TILE_ROWS >= 6 and rows == 5:
        tile_column(tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb, depth,
                    5, vectors, edge, count, full, then)
    elif TILE_ROWS >= 6 and rows == 6:
        tile_column(tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb, depth,
                    6, vectors, edge, count, full, then)
    elif TILE_ROWS >= 12 and rows == 7:
        tile_column(tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb, depth,
                    7, vectors, edge, count, full, then)
    elif TILE_ROWS >= 12 and rows == 8:
        tile_column(tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb, depth,
                    8, vectors, edge, count, full, then)
    elif TILE_ROWS >= 12 and rows == 9:
        tile_column(tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb, depth,
                    9, vectors, edge, count, full, then)
    elif TILE_ROWS >= 12 and rows == 10:
        tile_column(tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb, depth,
                    10, vectors, edge, count, full, then)
    elif TILE_ROWS >= 12 and rows == 11:
        tile_column(tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb, depth,
                    11, vectors, edge, count, full, then)
    elif TILE_ROWS >= 12:
        tile_column(tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb, depth,
                    12, vectors, edge, count, full, then)


cdef inline int tile_rows(bint wide) noexcept nogil:
    """Rows of a tile, at most."""
    return TILE_ROWS // 2 if wide else TILE_ROWS


cdef inline void panel_product(
    vec *c, Py_ssize_t ldc, const vec *init, Py_ssize_t ld_init,
    const vec *a, Py_ssize_t a_row, Py_ssize_t a_step,
    int a_packed,  # by tiles of at most so many rows, or 0: not packed
    const vec *b, Py_ssize_t ldb, Py_ssize_t full,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
    bint wide,  # three vectors or four, LOW rows or more; a constant at every call
) noexcept nogil:
    """C = init + A B for the columns of one panel: one vector or two, or `wide`.

    Rows are shared out evenly over the tiles: 13 rows are 7 + 6, not 12 + 1.
    """
    cdef Py_ssize_t width = lanes(c), vectors = (columns + width - 1) // width
    cdef int high = a_packed if a_packed else tile_rows(wide)
    cdef Py_ssize_t tiles = (rows + high - 1) // high, group
    cdef Py_ssize_t share = rows // tiles, longer = rows - share * tiles, a_tile
    cdef int height = <int> share, count = <int> (columns - (vectors - 1) * width)
    cdef const vec *next_panel = at(c, columns) if count == width else c
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
                    depth, 4, True, count, full, then)
        elif wide:
            tile_of(height, tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb,
                    depth, 3, True, count, full, then)
        elif columns == 2 * width:
            tile_of(height, tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb,
                    depth, 2, False, 0, 0, then)
        elif vectors == 2:
            tile_of(height, tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb,
                    depth, 2, True, count, full, then)
        else:
            tile_of(height, tiles, c, ldc, init, ld_init, a, a_tile, a_row, a_step, b, ldb,
                    depth, 1, True, count, full, then)
        c, init, a = at(c, group * ldc), at(init, group * ld_init), at(a, tiles * a_tile)
        rows -= group
        height = <int> share
        tiles = rows // share


cdef inline void run_panel(
    vec *c, Py_ssize_t ldc, const vec *init, Py_ssize_t ld_init,
    const vec *a, Py_ssize_t a_row, Py_ssize_t a_step, int a_packed,
    const vec *b, Py_ssize_t ldb, Py_ssize_t full,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
) noexcept nogil:
    """panel_product, or shallow_panel, each kind compiled once."""
    cdef bint wide = TILE_VECTORS > 2 and columns > 2 * lanes(c)
    if depth <= SHALLOW and not a_packed and not wide:
        if init == NULL:
            init, ld_init = <const vec *> ZEROS, 0
        if vec is vf32:
            bpcore_shallow_f32(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, full, rows,
                               columns, depth)
        else:
            bpcore_shallow_f64(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, full, rows,
                               columns, depth)
        return
    if vec is vf32 and wide:
        bpcore_wide_f32(c, ldc, init, ld_init, a, a_row, a_step, a_packed, b, ldb, full, rows,
                        columns, depth)
    elif vec is vf32:
        bpcore_panel_f32(c, ldc, init, ld_init, a, a_row, a_step, a_packed, b, ldb, full, rows,
                         columns, depth)
    elif wide:
        bpcore_wide_f64(c, ldc, init, ld_init, a, a_row, a_step, a_packed, b, ldb, full, rows,
                        columns, depth)
    else:
        bpcore_panel_f64(c, ldc, init, ld_init, a, a_row, a_step, a_packed, b, ldb, full, rows,
                         columns, depth)


cdef inline void pack_tiles(
    const vec *a, Py_ssize_t a_row, Py_ssize_t a_step, vec *packed, int high, Py_ssize_t rows,
    Py_ssize_t depth,
) noexcept nogil:
    """A by tiles of at most `high` rows, each (depth, its rows): the tiles of panel_product."""
    cdef Py_ssize_t tiles = (rows + high - 1) // high, share = rows // tiles, r = 0, height, t, k
    cdef Py_ssize_t longer = rows - share * tiles, first = 0, last, start
    if a_step == 1:
        for t in range(tiles):
            height = share + (t < longer)
            transpose(at(a, r * a_row), a_row, at(packed, r * depth), height, height, depth)
            r += height
        return
    # What A's columns hold side by side is read together, some tiles at a time.
    while first < tiles:
        last = min(first + TOGETHER, tiles)
        start = first * share + min(first, longer)
        for k in range(depth):
            r = start
            for t in range(first, last):
                height = share + (t < longer)
                copy_short(at(a, r + k * a_step), at(packed, r * depth + k * height), height,
                           k + 1 < depth and (depth - k) * height >= lanes(a))
                r += height
        first = last


cdef inline Py_ssize_t panels_size(
    const vec *p, Py_ssize_t columns, Py_ssize_t depth
) noexcept nogil:
    """Elements that pack_panels writes."""
    cdef Py_ssize_t wide = 2 * lanes(p)
    return (columns + wide - 1) // wide * wide * depth


cdef inline void pack_panels(
    const vec *b, Py_ssize_t ldb, vec *to, Py_ssize_t columns, Py_ssize_t depth
) noexcept nogil:
    """B by columns in the panels of tiled_product, which come as often as rows are taken together.
    """
    cdef Py_ssize_t wide = 2 * lanes(b), deep = part_of(depth, DEPTH), k = 0, j, step
    while k < depth:
        step = deep if depth - k > deep else depth - k
        j = 0
        while j < columns:
            pack_columns(at(b, j * ldb + k), ldb, to, 2,
                         wide if columns - j > wide else columns - j, step)
            to = at(to, wide * step)
            j += wide
        k += step


cdef inline void product(
    vec *c, Py_ssize_t ldc, const vec *init, Py_ssize_t ld_init,
    const vec *a, Py_ssize_t a_row, Py_ssize_t a_step,
    const vec *b, Py_ssize_t ldb,
    bint by_columns,  # B[k, j] at j ldb + k, else at k ldb + j; a constant at every call
    const vec *packed_b,  # what pack_panels made of B, or NULL
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
    int *rest,        # how long to rest before A is looked through for zeros; NULL: it has few
    vec *work,        # room for WORK, SKIP_WORK elements with rest; NULL: A stays where it lies
) noexcept nogil:
    """C = init + A B; c may be init."""
    if work != NULL and looks(rest) and found(
            rest, skipping_cost(a, a_row, a_step, b, ldb, by_columns, rows, columns, depth, rows,
                                1)) < 1:
        skipping_product(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, by_columns, rows,
                         columns, depth, work)
    else:
        tiled_product(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, by_columns, packed_b, rows,
                      columns, depth, work)


cdef inline Py_ssize_t part_of(Py_ssize_t whole, Py_ssize_t most) noexcept nogil:
    """How long the parts are, at most `most`, if all but the last are equally long."""
    cdef Py_ssize_t parts = (whole + most - 1) // most
    return (whole + parts - 1) // parts


cdef inline Py_ssize_t panel_vectors(
    Py_ssize_t rows, Py_ssize_t total, Py_ssize_t depth, bint by_columns
) noexcept nogil:
    """Vectors of a panel of B, which has `total`: two where B is copied by columns, since what wide
    tiles gain there is lost in the copies of wide panels."""
    if total <= 2 or rows < LOW or depth <= SHALLOW or by_columns:
        return 2
    return part_of(total, TILE_VECTORS)


cdef inline void tiled_product(
    vec *c, Py_ssize_t ldc, const vec *init, Py_ssize_t ld_init,
    const vec *a, Py_ssize_t a_row, Py_ssize_t a_step,
    const vec *b, Py_ssize_t ldb, bint by_columns, const vec *packed_b,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth, vec *work,
) noexcept nogil:
    """product, zeros and all."""
    cdef vec room[2 * DEPTH + 16]  # 16: to begin at a cache line, whatever a vector is
    cdef vec *panel = <vec *> ((<size_t> room + 63) // 64 * 64)
    cdef Py_ssize_t width = lanes(c), wide, r = 0, k, j, height, step, missing, vectors, deep
    cdef Py_ssize_t total = (columns + width - 1) // width
    cdef Py_ssize_t chunks = (rows + ROWS - 1) // ROWS
    cdef Py_ssize_t chunk = (rows + chunks * TILE_ROWS - 1) // (chunks * TILE_ROWS) * TILE_ROWS
    cdef bint pack_a = work != NULL and columns > 4 * width and depth > SHALLOW and (
        crowds(a, a_row, rows) or (rows > FEW and scatters(a, a_step, depth)))
    cdef bint pack_b = not by_columns and rows > FEW and scatters(b, ldb, depth)
    cdef Py_ssize_t group, ahead
    cdef const vec *ark
    cdef const vec *bkj
    cdef const vec *start
    cdef const vec *ready
    cdef vec *panels = panel
    cdef int packed
    while r < rows:
        height = chunk if rows - r > chunk else rows - r
        vectors = panel_vectors(height, total, depth, by_columns)
        packed = tile_rows(vectors > 2) if pack_a else 0
        deep = part_of(depth, 2 * DEPTH // vectors)
        ready = packed_b
        k = 0
        while k < depth:
            step = deep if depth - k > deep else depth - k
            ark = at(a, r * a_row + k * a_step)
            if pack_a:
                pack_tiles(ark, a_row, a_step, work, packed, height, step)
                ark = work
            group = vectors * width
            if pack_b and work != NULL:
                group = SPREAD // group * group
                panels = at(work, ROWS * DEPTH)
            j = ahead = 0
            while j < columns:
                wide = vectors * width if columns - j > vectors * width else columns - j
                if k > 0:
                    start = at(c, r * ldc + j)
                elif init == NULL:
                    start = NULL
                else:
                    start = at(init, r * ld_init + j)
                if by_columns and packed_b != NULL:
                    bkj = ready
                    ready = at(ready, vectors * width * step)
                elif by_columns:
                    bkj = panel
                    pack_columns(at(b, j * ldb + k), ldb, panel, vectors, wide, step)
                else:
                    bkj = at(b, k * ldb + j)
                    if pack_b and j == ahead:
                        pack_rows(bkj, ldb, panels, vectors, min(group, columns - j), step)
                        ahead += group
                        panel = panels
                if by_columns or pack_b:
                    run_panel(at(c, r * ldc + j), ldc, start, ldc if k > 0 else ld_init, ark,
                              a_row, a_step, packed, bkj if by_columns else panel,
                              vectors * width, step, height, wide, step)
                    if pack_b:
                        panel = at(panel, vectors * width * step)
                else:
                    # At the end of B a full vector would go past its last row.
                    missing = (width - wide % width) % width
                    missing = (missing + ldb - 1) // ldb
                    run_panel(at(c, r * ldc + j), ldc, start, ldc if k > 0 else ld_init, ark,
                              a_row, a_step, packed, bkj, ldb,
                              step - missing if step > missing else 0, height, wide, step)
                j += wide
            k += step
        r += height
