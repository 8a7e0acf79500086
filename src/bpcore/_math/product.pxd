"""C[r, :] = init[r, :] + Σ_k A[r, k] B[k, :] of any size: what all products of layers are.

The operands of small layers are used where they lie; B is copied into panels
as wide as a tile where it lies by columns, and both where their rows lie far
apart: each is then on a page of its own, and rows that are whole pages apart
crowd one another out of the cache.

Every C[r, j] is one sum over k in a fixed order, however often it is put down
between: the result does not depend on how rows, columns and k are shared out.
"""
from bpcore._math.pack cimport (
    FEW, copy_short, crowds, pack_columns, pack_rows, scatters, transpose,
)
from bpcore._math.rounding cimport cache_line, ceil_div, round_up
from bpcore._math.shallow cimport SHALLOW, shallow_terms
from bpcore._math.skip cimport look_t, looks, skipping_cost, skipping_product
from bpcore._math.tile cimport tile_rows
from bpcore._math.vector cimport TILE_ROWS, TILE_VECTORS, ZEROS, at, lanes, vec, vf32

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


cdef inline void run_panel(
    vec *c, Py_ssize_t ldc, const vec *init, Py_ssize_t ld_init,
    const vec *a, Py_ssize_t a_row, Py_ssize_t a_step, int a_packed,
    const vec *b, Py_ssize_t ldb, Py_ssize_t full,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
) noexcept nogil:
    """panel_product, or shallow_panel, each kind compiled once."""
    cdef bint wide = TILE_VECTORS > 2 and columns > 2 * lanes(c)
    if depth <= shallow_terms(rows > 1 and columns > lanes(c)) and not a_packed and not wide:
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
    cdef Py_ssize_t tiles = ceil_div(rows, high), share = rows // tiles, r = 0, height, t, k
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
    return round_up(columns, wide) * depth


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
    look_t *look,     # for A's zeros, or NULL: it has few
    vec *work,        # room for WORK, SKIP_WORK elements with look; NULL: A stays where it lies
) noexcept nogil:
    """C = init + A B; c may be init."""
    cdef bint skips = False
    if work != NULL and look != NULL:
        if looks(look):
            look.cost = skipping_cost(a, a_row, a_step, b, ldb, by_columns, rows, columns, depth,
                                      rows, 1)
        skips = look.cost < 1
    if skips:
        skipping_product(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, by_columns, rows,
                         columns, depth, work)
    else:
        tiled_product(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, by_columns, packed_b, rows,
                      columns, depth, work)


cdef inline Py_ssize_t part_of(Py_ssize_t whole, Py_ssize_t most) noexcept nogil:
    """How long the parts are, at most `most`, if all but the last are equally long."""
    cdef Py_ssize_t parts = ceil_div(whole, most)
    return ceil_div(whole, parts)


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
    cdef vec *panel = <vec *> cache_line(room)
    cdef Py_ssize_t width = lanes(c), wide, r = 0, k, j, height, step, missing, vectors, deep
    cdef Py_ssize_t total = ceil_div(columns, width)
    cdef Py_ssize_t chunks = ceil_div(rows, ROWS)
    cdef Py_ssize_t chunk = ceil_div(rows, chunks * TILE_ROWS) * TILE_ROWS
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
                    missing = ceil_div(missing, ldb)
                    run_panel(at(c, r * ldc + j), ldc, start, ldc if k > 0 else ld_init, ark,
                              a_row, a_step, packed, bkj, ldb,
                              step - missing if step > missing else 0, height, wide, step)
                j += wide
            k += step
        r += height
