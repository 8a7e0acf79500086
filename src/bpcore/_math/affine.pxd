"""The three products of a layer, on register tiles.

    z = a_in Wᵀ + b                 affine_forward
    ∂C/∂a_in = δ W                  affine_backward
    ∂C/∂W = δᵀ a_in, ∂C/∂b = Σ δ    affine_gradient

Each comes down to C[r, :] = init[r, :] + Σ_k A[r, k] B[k, :] with B's rows
contiguous: a tile of up to TILE_ROWS rows and two vectors of columns stays in
registers while k runs (the register tile of K. Goto & R. van de Geijn, Anatomy
of High-Performance Matrix Multiplication, 2008; the operands here are small
enough to be used where they lie). Only the forward product wants W by columns:
W is copied, transposed, into panels once a step. For a few samples that copy
costs more than the product; there each z is a dot product of two rows.

Every C[r, j] is one sum over k in a fixed order, whatever tile it falls in: the
result does not depend on how rows are shared out.
"""
from cython cimport floating

from bpcore._math.vector cimport (
    LANES_F32, LANES_F64, TILE_ROWS, at, broadcast, lanes, load, load_part, store, store_part,
    store_sum, vec, vf32, vf64, zero,
)


cdef inline void tile(
    vec *c,           # OUT (rows, columns), row stride ldc
    Py_ssize_t ldc,
    const vec *init,  # IN  the same shape, row stride ld_init (0: one row for all); NULL: zeros
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
) noexcept nogil:
    """C = init + A B for one tile; c may be init, nothing else overlaps."""
    cdef vec acc[2 * 12]
    cdef vec bk[2]
    cdef vec ark
    cdef Py_ssize_t k, width = lanes(c)
    cdef int r, v
    for r in range(rows):
        for v in range(vectors):
            if init == NULL:
                acc[r * vectors + v] = zero(c)
            elif edge and v == vectors - 1:
                acc[r * vectors + v] = load_part(init, r * ld_init + v * width, count)
            else:
                acc[r * vectors + v] = load(init, r * ld_init + v * width)
    for k in range(depth):
        for v in range(vectors):
            if edge and v == vectors - 1:
                bk[v] = load_part(b, k * ldb + v * width, count)
            else:
                bk[v] = load(b, k * ldb + v * width)
        for r in range(rows):
            ark = broadcast(a, r * a_row + k * a_step)
            for v in range(vectors):
                acc[r * vectors + v] += ark * bk[v]
    for r in range(rows):
        for v in range(vectors):
            if edge and v == vectors - 1:
                store_part(c, r * ldc + v * width, acc[r * vectors + v], count)
            else:
                store(c, r * ldc + v * width, acc[r * vectors + v])


cdef inline void tile_of(
    int rows, vec *c, Py_ssize_t ldc, const vec *init, Py_ssize_t ld_init,
    const vec *a, Py_ssize_t a_row, Py_ssize_t a_step, const vec *b, Py_ssize_t ldb,
    Py_ssize_t depth, int vectors, bint edge, int count,
) noexcept nogil:
    """The tile with `rows` made a constant, so that its accumulators are registers."""
    if rows == 1:
        tile(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, depth, 1, vectors, edge, count)
    elif rows == 2:
        tile(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, depth, 2, vectors, edge, count)
    elif rows == 3:
        tile(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, depth, 3, vectors, edge, count)
    elif rows == 4:
        tile(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, depth, 4, vectors, edge, count)
    elif TILE_ROWS >= 6 and rows == 5:
        tile(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, depth, 5, vectors, edge, count)
    elif TILE_ROWS >= 6 and rows == 6:
        tile(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, depth, 6, vectors, edge, count)
    elif TILE_ROWS >= 12 and rows == 7:
        tile(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, depth, 7, vectors, edge, count)
    elif TILE_ROWS >= 12 and rows == 8:
        tile(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, depth, 8, vectors, edge, count)
    elif TILE_ROWS >= 12 and rows == 9:
        tile(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, depth, 9, vectors, edge, count)
    elif TILE_ROWS >= 12 and rows == 10:
        tile(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, depth, 10, vectors, edge, count)
    elif TILE_ROWS >= 12 and rows == 11:
        tile(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, depth, 11, vectors, edge, count)
    elif TILE_ROWS >= 12:
        tile(c, ldc, init, ld_init, a, a_row, a_step, b, ldb, depth, 12, vectors, edge, count)


cdef inline void product(
    vec *c, Py_ssize_t ldc, const vec *init, Py_ssize_t ld_init,
    const vec *a, Py_ssize_t a_row, Py_ssize_t a_step,
    const vec *b, Py_ssize_t ldb, Py_ssize_t b_panel,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
) noexcept nogil:
    """C = init + A B; the panel of B for columns j, j+1, … (two vectors) starts at j b_panel.

    Rows are shared out evenly over the tiles: 13 rows are 6 + 7, not 12 + 1.
    """
    cdef Py_ssize_t width = lanes(c), j = 0, tiles = (rows + TILE_ROWS - 1) // TILE_ROWS, t, r, left
    cdef Py_ssize_t share = rows if tiles == 1 else rows // tiles, longer = rows - share * tiles
    cdef int count, height
    cdef const vec *bj
    cdef const vec *init_rj
    while j < columns:
        bj = at(b, j * b_panel)
        left = columns - j
        count = <int> (left if left <= width else left - width)
        r = 0
        for t in range(tiles):
            height = <int> (share + 1 if t < longer else share)
            init_rj = init
            if init != NULL:
                init_rj = at(init, r * ld_init + j)
            if left >= 2 * width:
                tile_of(height, at(c, r * ldc + j), ldc, init_rj, ld_init,
                        at(a, r * a_row), a_row, a_step, bj, ldb, depth, 2, False, 0)
            elif left > width:
                tile_of(height, at(c, r * ldc + j), ldc, init_rj, ld_init,
                        at(a, r * a_row), a_row, a_step, bj, ldb, depth, 2, True, count)
            else:
                tile_of(height, at(c, r * ldc + j), ldc, init_rj, ld_init,
                        at(a, r * a_row), a_row, a_step, bj, ldb, depth, 1, True, count)
            r += height
        j += 2 * width


cdef inline void pack_transposed(
    const floating *restrict W,  # IN  (n_outputs, n_inputs)
    floating *restrict packed,   # OUT panels of (n_inputs, panel): packed[k, j] = W[first + j, k]
    Py_ssize_t n_inputs,
    Py_ssize_t n_outputs,
    Py_ssize_t panel,            # two vectors
) noexcept nogil:
    """W by columns, in panels as wide as a tile, the last one filled up with zeros."""
    cdef Py_ssize_t m, n
    cdef floating *column
    for m in range((n_outputs + panel - 1) // panel * panel):
        column = packed + m // panel * panel * n_inputs + m % panel
        if m < n_outputs:
            for n in range(n_inputs):
                column[n * panel] = W[m * n_inputs + n]
        else:
            for n in range(n_inputs):
                column[n * panel] = 0


cdef inline void dot_tile(
    vec *z,            # OUT (rows, columns), row stride ldz
    Py_ssize_t ldz,
    const vec *bias,   # IN  (columns,)
    const vec *a,      # IN  (rows, depth)
    const vec *W,      # IN  (columns, depth)
    Py_ssize_t depth,
    int rows,          # rows and columns are constants at every call
    int columns,
) noexcept nogil:
    """z[r, m] = bias[m] + Σ_k a[r, k] W[m, k], k along the vectors."""
    cdef vec acc[12]
    cdef vec ar[4]
    cdef vec wm
    cdef Py_ssize_t k = 0, width = lanes(z)
    cdef int r, m, left
    for r in range(rows * columns):
        acc[r] = zero(z)
    while k + width <= depth:
        for r in range(rows):
            ar[r] = load(a, r * depth + k)
        for m in range(columns):
            wm = load(W, m * depth + k)
            for r in range(rows):
                acc[r * columns + m] += ar[r] * wm
        k += width
    left = <int> (depth - k)
    if left:
        for r in range(rows):
            ar[r] = load_part(a, r * depth + k, left)
        for m in range(columns):
            wm = load_part(W, m * depth + k, left)
            for r in range(rows):
                acc[r * columns + m] += ar[r] * wm
    for r in range(rows):
        for m in range(columns):
            store_sum(z, r * ldz + m, acc[r * columns + m], at(bias, m))


cdef inline void dot_rows(
    vec *z, const vec *bias, const vec *a, const vec *W,
    Py_ssize_t depth, Py_ssize_t columns, int rows, int wide,
) noexcept nogil:
    """z = a Wᵀ + b for `rows` samples, `wide` outputs at a time (both constants)."""
    cdef Py_ssize_t m = 0
    while m + wide <= columns:
        dot_tile(at(z, m), columns, at(bias, m), a, at(W, m * depth), depth, rows, wide)
        m += wide
    while m < columns:
        dot_tile(at(z, m), columns, at(bias, m), a, at(W, m * depth), depth, rows, 1)
        m += 1


cdef inline void product_of_dots(
    vec *z, const vec *bias, const vec *a, const vec *W,
    Py_ssize_t n, Py_ssize_t depth, Py_ssize_t columns,
) noexcept nogil:
    """z = a Wᵀ + b, rows shared out evenly in groups of up to 4."""
    cdef Py_ssize_t groups = (n + 3) // 4, g, r = 0, after
    for g in range(1, groups + 1):
        after = n * g // groups
        if after - r == 4:
            dot_rows(at(z, r * columns), bias, at(a, r * depth), W, depth, columns, 4, 3)
        elif after - r == 3:
            dot_rows(at(z, r * columns), bias, at(a, r * depth), W, depth, columns, 3, 4)
        elif after - r == 2:
            dot_rows(at(z, r * columns), bias, at(a, r * depth), W, depth, columns, 2, 5)
        else:
            dot_rows(at(z, r * columns), bias, at(a, r * depth), W, depth, columns, 1, 8)
        r = after


cdef inline void affine_forward(
    const floating *a_in,    # IN  (n, n_inputs)
    const floating *W,       # IN  (n_outputs, n_inputs)
    const floating *packed,  # IN  W packed by pack_transposed, or NULL: a few samples, by dots
    const floating *b,       # IN  (n_outputs,)
    floating *z,             # OUT (n, n_outputs), overlaps nothing
    Py_ssize_t n, Py_ssize_t n_inputs, Py_ssize_t n_outputs,
) noexcept nogil:
    """z = a_in Wᵀ + b"""
    if floating is float:
        if packed == NULL:
            product_of_dots(<vf32 *> z, <vf32 *> b, <vf32 *> a_in, <vf32 *> W, n, n_inputs,
                            n_outputs)
        else:
            product(<vf32 *> z, n_outputs, <vf32 *> b, 0, <vf32 *> a_in, n_inputs, 1,
                    <vf32 *> packed, 2 * LANES_F32, n_inputs, n, n_outputs, n_inputs)
    else:
        if packed == NULL:
            product_of_dots(<vf64 *> z, <vf64 *> b, <vf64 *> a_in, <vf64 *> W, n, n_inputs,
                            n_outputs)
        else:
            product(<vf64 *> z, n_outputs, <vf64 *> b, 0, <vf64 *> a_in, n_inputs, 1,
                    <vf64 *> packed, 2 * LANES_F64, n_inputs, n, n_outputs, n_inputs)


cdef inline void affine_backward(
    const floating *delta,  # IN  (n, n_outputs)
    const floating *W,      # IN  (n_outputs, n_inputs)
    floating *da_in,        # OUT (n, n_inputs), overlaps nothing
    Py_ssize_t n, Py_ssize_t n_inputs, Py_ssize_t n_outputs,
) noexcept nogil:
    """∂C/∂a_in = δ W"""
    if floating is float:
        product(<vf32 *> da_in, n_inputs, <vf32 *> NULL, 0, <vf32 *> delta, n_outputs, 1,
                <vf32 *> W, n_inputs, 1, n, n_inputs, n_outputs)
    else:
        product(<vf64 *> da_in, n_inputs, <vf64 *> NULL, 0, <vf64 *> delta, n_outputs, 1,
                <vf64 *> W, n_inputs, 1, n, n_inputs, n_outputs)


cdef inline void affine_gradient(
    const floating *delta,  # IN  (n, n_outputs)
    const floating *a_in,   # IN  (n, n_inputs)
    floating *dW,           # OUT (n_outputs, n_inputs)
    floating *db,           # OUT (n_outputs,)
    Py_ssize_t n, Py_ssize_t n_inputs, Py_ssize_t n_outputs,
    bint accumulate,        # add to what dW and db hold
) noexcept nogil:
    """∂C/∂W = δᵀ a_in, ∂C/∂b = Σ_i δ_i; dW and db overlap nothing."""
    cdef Py_ssize_t i, m
    if floating is float:
        product(<vf32 *> dW, n_inputs, <vf32 *> (dW if accumulate else NULL), n_inputs,
                <vf32 *> delta, 1, n_outputs, <vf32 *> a_in, n_inputs, 1, n_outputs, n_inputs, n)
    else:
        product(<vf64 *> dW, n_inputs, <vf64 *> (dW if accumulate else NULL), n_inputs,
                <vf64 *> delta, 1, n_outputs, <vf64 *> a_in, n_inputs, 1, n_outputs, n_inputs, n)
    if not accumulate:
        for m in range(n_outputs):
            db[m] = 0
    for i in range(n):
        for m in range(n_outputs):
            db[m] += delta[i * n_outputs + m]
