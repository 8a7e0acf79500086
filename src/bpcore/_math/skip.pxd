"""C[r, :] = init[r, :] + Σ_k A[r, k] B[k, :] where most of A is 0: those k are passed over.

relu gives 0 for about half of what it sees, and so does its derivative: half of
the multiply-adds of the layers around it add 0 to a sum. A row's nonzero
A[r, k] are written down once, side by side, and then every panel of columns takes
just those rows of B. A tile shares a row of B among twelve rows of A; here each
row asks for rows of its own, so B is copied into panels that fit into the
first-level cache, whose loads are then what limits the speed: one vector a
multiply-add, on AVX-512 about 0.78 of the limit of the multiply-adds alone. So it
pays where less than some three quarters of A count, and `mostly_zeros` looks.

The sums keep their order, and adding 0 · B[k, j] to a sum changes nothing (where B
is finite: a weight that overflowed is found by who looks at the weights). So C's
numbers are those of the tiles, and whether zeros are skipped may depend on the
data, on a block or on a thread.
"""
from libc.stdint cimport int32_t

from bpcore._math.pack cimport pack_columns, pack_rows, transpose
from bpcore._math.vector cimport (
    ZEROS, at, broadcast, element_size, lanes, load, load_part, store, store_part, vec, vf32,
)

cdef extern from "nonzeros.h" nogil:
    const double NONZERO_WORK
    Py_ssize_t count_nonzeros_f32(const float *p, Py_ssize_t count)
    Py_ssize_t count_nonzeros_f64(const double *p, Py_ssize_t count)
    Py_ssize_t nonzeros_f32(const float *p, Py_ssize_t count, int32_t step, float *values,
                            int32_t *offsets)
    Py_ssize_t nonzeros_f64(const double *p, Py_ssize_t count, int32_t step, double *values,
                            int32_t *offsets)

cdef extern from "panel.h" nogil:
    void bpcore_skip_f32(
        void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init, const void *values,
        const int32_t *offsets, const Py_ssize_t *ends, Py_ssize_t rows, const void *panel,
        int vectors, int left,
    )
    void bpcore_skip_f64(
        void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init, const void *values,
        const int32_t *offsets, const Py_ssize_t *ends, Py_ssize_t rows, const void *panel,
        int vectors, int left,
    )

cdef enum:
    SKIP_VECTORS = 8         # of a panel, at most
    SKIP_PANEL = 512         # vectors in a panel: the first-level cache
    SKIP_DEPTH = 128         # k at a time, at most
    SKIP_ROWS = 240          # rows at a time, at most: their lists fit into the second-level cache
    SKIP_ENTRIES = 30720     # SKIP_ROWS * SKIP_DEPTH
    SKIP_SLACK = 64          # a list is written to its end in whole vectors
    SKIP_WORK = 61568        # elements of `work`: a value and an offset for each entry, and slack
    LOOK_ROWS = 16           # samples that mostly_zeros looks at


cdef inline Py_ssize_t count_nonzeros(const vec *p, Py_ssize_t count) noexcept nogil:
    """How many of p's elements are not 0."""
    if vec is vf32:
        return count_nonzeros_f32(<const float *> p, count)
    else:
        return count_nonzeros_f64(<const double *> p, count)


cdef inline Py_ssize_t nonzeros(
    const vec *p, Py_ssize_t count, int32_t step, vec *values, int32_t *offsets
) noexcept nogil:
    """Append p's nonzero elements and i * step of each; returns how many there are."""
    if vec is vf32:
        return nonzeros_f32(<const float *> p, count, step, <float *> values, offsets)
    else:
        return nonzeros_f64(<const double *> p, count, step, <double *> values, offsets)


cdef inline bint mostly_zeros(
    const vec *a, Py_ssize_t a_row, Py_ssize_t a_step,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
) noexcept nogil:
    """Whether so many of A's elements are 0 that it pays to skip them.

    Some of the samples are looked at, every unit of each. Counted in multiply-adds of a vector:
    a nonzero element costs 1.3 for each vector of columns; each row's sums are loaded and stored
    once for every SKIP_DEPTH k, which is worth 2; an element is written down once; and a vector
    of B is copied once for all rows.
    """
    cdef bint by_rows = a_step == 1
    cdef Py_ssize_t samples = rows if by_rows else depth, units = depth if by_rows else rows
    cdef Py_ssize_t stride = a_row if by_rows else a_step
    cdef Py_ssize_t looks = LOOK_ROWS if samples > LOOK_ROWS else samples, found = 0, s
    cdef Py_ssize_t vectors = (columns + lanes(a) - 1) // lanes(a)
    cdef Py_ssize_t step = SKIP_DEPTH if depth > SKIP_DEPTH else depth
    cdef double share
    if columns <= lanes(a) or rows < 8 or depth < 8:
        return False
    for s in range(looks):
        found += count_nonzeros(at(a, samples * s // looks * stride), units)
    share = found / <double> (looks * units)
    return 1.3 * share + NONZERO_WORK / vectors + 2.0 / step + 2.0 / rows < 1.0


cdef inline Py_ssize_t list_nonzeros(
    const vec *a, Py_ssize_t a_row, Py_ssize_t a_step, Py_ssize_t rows, Py_ssize_t depth,
    int32_t step, vec *values, int32_t *offsets, Py_ssize_t *ends,
) noexcept nogil:
    """The nonzero elements of A, row after row; row r's end before ends[r]."""
    cdef vec room[SKIP_DEPTH]
    cdef Py_ssize_t found = 0, r = 0, i, some
    while r < rows:
        if a_step == 1:
            found += nonzeros(at(a, r * a_row), depth, step, at(values, found), offsets + found)
            ends[r] = found
            r += 1
        else:  # by columns: some rows are turned round first
            some = lanes(a) if rows - r > lanes(a) else rows - r
            transpose(at(a, r), a_step, room, depth, depth, some)
            for i in range(some):
                found += nonzeros(at(room, i * depth), depth, step, at(values, found),
                                  offsets + found)
                ends[r + i] = found
            r += some
    return found


cdef inline void skip_row(
    vec *c,                  # OUT (columns,)
    const vec *init,         # IN  the same
    const vec *values,       # IN  (count,) A[r, k] != 0
    const int32_t *offsets,  # IN  (count,) where B[k, :] begins in the panel, in bytes
    Py_ssize_t count,
    const vec *panel,
    int vectors,             # vectors and edge are constants at every call
    bint edge,               # the last vector holds `left` columns; otherwise it is full
    int left,
) noexcept nogil:
    """C[r, :] = init[r, :] + Σ_k A[r, k] B[k, :] of one row and panel"""
    cdef vec acc[SKIP_VECTORS]
    cdef vec ark
    cdef const vec *bk
    cdef Py_ssize_t k, width = lanes(c)
    cdef int v
    for v in range(vectors):
        if edge and v == vectors - 1:
            acc[v] = load_part(init, v * width, left)
        else:
            acc[v] = load(init, v * width)
    for k in range(count):
        ark = broadcast(values, k)
        bk = <const vec *> (<const char *> panel + offsets[k])
        for v in range(vectors):
            acc[v] += ark * load(bk, v * width)
    for v in range(vectors):
        if edge and v == vectors - 1:
            store_part(c, v * width, acc[v], left)
        else:
            store(c, v * width, acc[v])


cdef inline void skip_rows(
    vec *c, Py_ssize_t ldc, const vec *init, Py_ssize_t ld_init, const vec *values,
    const int32_t *offsets, const Py_ssize_t *ends, Py_ssize_t rows, const vec *panel,
    int vectors, bint edge, int left,
) noexcept nogil:
    cdef Py_ssize_t r, begin = 0
    for r in range(rows):
        skip_row(at(c, r * ldc), at(init, r * ld_init), at(values, begin), offsets + begin,
                 ends[r] - begin, panel, vectors, edge, left)
        begin = ends[r]


cdef inline void skip_edge(
    vec *c, Py_ssize_t ldc, const vec *init, Py_ssize_t ld_init, const vec *values,
    const int32_t *offsets, const Py_ssize_t *ends, Py_ssize_t rows, const vec *panel,
    int vectors, int left,
) noexcept nogil:
    """`edge` made a constant."""
    if left == lanes(c):
        skip_rows(c, ldc, init, ld_init, values, offsets, ends, rows, panel, vectors, False, 0)
    else:
        skip_rows(c, ldc, init, ld_init, values, offsets, ends, rows, panel, vectors, True, left)


cdef inline void skip_panel(
    vec *c, Py_ssize_t ldc, const vec *init, Py_ssize_t ld_init, const vec *values,
    const int32_t *offsets, const Py_ssize_t *ends, Py_ssize_t rows, const vec *panel,
    int vectors, int left,
) noexcept nogil:
    """`vectors` made a constant, so that the sums are registers."""
    if vectors == 1:
        skip_edge(c, ldc, init, ld_init, values, offsets, ends, rows, panel, 1, left)
    elif vectors == 2:
        skip_edge(c, ldc, init, ld_init, values, offsets, ends, rows, panel, 2, left)
    elif vectors == 3:
        skip_edge(c, ldc, init, ld_init, values, offsets, ends, rows, panel, 3, left)
    elif vectors == 4:
        skip_edge(c, ldc, init, ld_init, values, offsets, ends, rows, panel, 4, left)
    elif vectors == 5:
        skip_edge(c, ldc, init, ld_init, values, offsets, ends, rows, panel, 5, left)
    elif vectors == 6:
        skip_edge(c, ldc, init, ld_init, values, offsets, ends, rows, panel, 6, left)
    elif vectors == 7:
        skip_edge(c, ldc, init, ld_init, values, offsets, ends, rows, panel, 7, left)
    else:
        skip_edge(c, ldc, init, ld_init, values, offsets, ends, rows, panel, 8, left)


cdef inline void run_skip(
    vec *c, Py_ssize_t ldc, const vec *init, Py_ssize_t ld_init, const vec *values,
    const int32_t *offsets, const Py_ssize_t *ends, Py_ssize_t rows, const vec *panel,
    int vectors, int left,
) noexcept nogil:
    """skip_panel, compiled once."""
    if vec is vf32:
        bpcore_skip_f32(c, ldc, init, ld_init, values, offsets, ends, rows, panel, vectors, left)
    else:
        bpcore_skip_f64(c, ldc, init, ld_init, values, offsets, ends, rows, panel, vectors, left)


cdef inline void skipping_product(
    vec *c, Py_ssize_t ldc, const vec *init, Py_ssize_t ld_init,  # as for product
    const vec *a, Py_ssize_t a_row, Py_ssize_t a_step,
    const vec *b, Py_ssize_t ldb, bint by_columns,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
    vec *work,  # room for SKIP_WORK elements
) noexcept nogil:
    """C = init + A B; c may be init."""
    cdef vec room[SKIP_PANEL + 16]  # 16: to begin at a cache line, whatever a vector is
    cdef vec *panel = <vec *> ((<size_t> room + 63) // 64 * 64)
    cdef Py_ssize_t ends[SKIP_ROWS]
    cdef int32_t *offsets = <int32_t *> at(work, SKIP_ENTRIES + SKIP_SLACK)
    cdef Py_ssize_t width = lanes(c), r, k, j, height, step, wide, vectors
    cdef Py_ssize_t total = (columns + width - 1) // width
    cdef Py_ssize_t panels = (total + SKIP_VECTORS - 1) // SKIP_VECTORS
    cdef Py_ssize_t most = (total + panels - 1) // panels
    cdef Py_ssize_t deep = SKIP_PANEL // most if SKIP_PANEL // most < SKIP_DEPTH else SKIP_DEPTH
    cdef Py_ssize_t steps = (depth + deep - 1) // deep
    cdef Py_ssize_t chunks = (rows + SKIP_ROWS - 1) // SKIP_ROWS
    cdef const vec *start
    cdef Py_ssize_t ld_start, s, t
    for t in range(chunks):
        r = rows * t // chunks
        height = rows * (t + 1) // chunks - r
        for s in range(steps):
            k = depth * s // steps
            step = depth * (s + 1) // steps - k
            list_nonzeros(at(a, r * a_row + k * a_step), a_row, a_step, height, step,
                          <int32_t> (most * width * element_size(c)), work, offsets, ends)
            j = 0
            while j < columns:
                wide = most * width if columns - j > most * width else columns - j
                vectors = (wide + width - 1) // width
                if by_columns:
                    pack_columns(at(b, j * ldb + k), ldb, panel, most, wide, step)
                else:
                    pack_rows(at(b, k * ldb + j), ldb, panel, most, wide, step)
                start, ld_start = at(c, r * ldc + j), ldc
                if k == 0 and init == NULL:
                    start, ld_start = <const vec *> ZEROS, 0
                elif k == 0:
                    start, ld_start = at(init, r * ld_init + j), ld_init
                run_skip(at(c, r * ldc + j), ldc, start, ld_start, work, offsets, ends, height,
                         panel, <int> vectors, <int> (wide - (vectors - 1) * width))
                j += wide
