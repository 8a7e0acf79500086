"""C[r, :] = init[r, :] + Σ_k A[r, k] B[k, :] in float32 on the processor's matrix unit.

The unit multiplies bfloat16, of 8 significant bits, and adds in float32, sixteen
times as fast as vectors do. A float32 number is the sum of three such parts,
x = x₁ + x₂ + x₃, exactly, each the nearest to what is left. So

    a b = a₁ b₁ + (a₁ b₂ + a₂ b₁) + (a₁ b₃ + a₂ b₂ + a₃ b₁)

but for a₂ b₃ + a₃ b₂ + a₃ b₃: at most 2⁻²³ |a b|, some 2⁻²⁸ |a b| in the mean, where
to round a b to float32 leaves up to 2⁻²⁴ |a b|. The six products are summed together,
32 k at a time, and rounded far fewer times than a multiply-add for each k: C is nearer
to the true sum than that of tile.pxd (G. Henry, P. Tang & A. Heinecke, Leveraging the
bfloat16 Artificial Intelligence Datatype for Higher-Precision Computations, 2019).

What is below 2⁻¹²⁶ counts as 0, what is above 3.39 · 10³⁸ as infinite, and what is
infinite makes C NaN.

Every C[r, j] is one sum over k in a fixed order, as in tile.pxd. The order is
another one: which of the two sums is decided once for a batch (network.pxd).
"""
from libc.string cimport memset

from bpcore._math.pack cimport pack_rows, transpose
from bpcore._math.rounding cimport cache_line, ceil_div
from bpcore._math.vector cimport at, vf32

cdef extern from "matrix_unit.h" nogil:
    enum:
        MATRIX_UNIT    # whether this level has one
        STRIP          # rows of A, or columns of B, in a tile
        STRETCH        # k in a tile
        STRETCH_BYTES  # a strip's three parts of so many k
    void split_rows(const float *x, const float *y, Py_ssize_t ld, char *to)
    void configure_tiles(int rows, int columns)
    void release_tiles()
    void tiles_of_parts(
        float *c, Py_ssize_t ldc, const float *init, Py_ssize_t ld_init, const char *a,
        Py_ssize_t a_strip, const char *b, Py_ssize_t b_strip, Py_ssize_t stretches, bint tall,
        bint wide, const char *ahead, int lines)

cdef extern from "panel.h" nogil:
    void bpcore_parts_f32(
        void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init, const void *a,
        Py_ssize_t a_row, Py_ssize_t a_step, const void *b, Py_ssize_t ldb, bint by_columns,
        Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth, void *work, void *packed)

cdef struct packed_t:   # what a product finds ready, and what it is to fetch for those after it
    const char *parts   # what pack_matrix made of B, or NULL
    const char *ahead   # rows that are wanted next,
    const char *end     # up to here
    int lines           # cache lines of them to fetch with 32 k of a tile


cdef enum:
    AHEAD_LINES = 16    # at most: more would hold up what the product itself reads
    PARTS_DEPTH = 512  # k at a time: the parts of two strips of B are 96 kB and come from the
    NEAR_DEPTH = 128   # second-level cache; of so many, up to MID_DEPTH, they stay in the first
    MID_DEPTH = 256
    PARTS_ROWS = 256   # rows at a time: with PARTS_DEPTH their A fits into the second-level cache
    PACKED_DEPTH = 2 * PARTS_DEPTH  # the same where B comes packed: to take C up again for other k
    PACKED_ROWS = PARTS_ROWS // 4   # costs as long as a product of 32 k
    STRIP_BYTES = PARTS_DEPTH // STRETCH * STRETCH_BYTES  # a strip's parts of PARTS_DEPTH k
    # Elements of `work`: the parts of A and of two strips of B, and what aligns them.
    PARTS_WORK = (PARTS_ROWS // STRIP + 2) * STRIP_BYTES // 4 + 16


cdef inline bint parts_pay(
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth
) noexcept nogil:
    """Whether the unit takes the product in well under the time of tile.pxd.

    Counted in multiply-adds of a vector, as in sums_by_dots: two by two tiles by 32 k are worth
    1100, a vector in parts 15. A processor that uses the unit has its clock held back for a while,
    whatever it does: so the product must gain a tenth; of 0.9 to 1.3 times that was the fastest for
    whole steps. In integers, so that what pays for n samples does for a whole number of 32 more:
    `work_size` relies on it.
    """
    cdef Py_ssize_t tiles = (rows + 31) // 32 * ((columns + 31) // 32) * ((depth + 31) // 32)
    cdef Py_ssize_t packed = depth * (rows + columns * ceil_div(rows, PARTS_ROWS))
    cdef Py_ssize_t others = rows * depth * ((columns + 15) // 16)
    return 160 * others > 11 * (16 * 1100 * tiles + 15 * packed)


cdef inline void pack_parts(
    const vf32 *x,    # IN  a strip's lines, which are rows of A or columns of B:
    Py_ssize_t ld,    # X[line, k] at line ld + k, or (by_k) k ld + line
    bint by_k,
    bint by_columns,  # they are columns of B
    int lines,        # at most STRIP; those beyond come out as 0
    Py_ssize_t depth,
    char *to,         # OUT STRETCH_BYTES for each STRETCH of k, filled up with 0
) noexcept nogil:
    """A strip's parts in the order in which the unit reads them: k and k + 16 side by side, in a
    row of 64 bytes for each row of A, or for each k < 16 with B's columns along it."""
    cdef float whole[16 * 32]
    cdef float turned[16 * 32]
    cdef const vf32 *source
    cdef Py_ssize_t k = 0, step, ld_source
    cdef Py_ssize_t rows = STRETCH if by_k else STRIP, columns = STRIP if by_k else STRETCH
    while k < depth:
        step = min(STRETCH, depth - k)
        source, ld_source = at(x, k * (ld if by_k else 1)), ld
        if lines < STRIP or step < STRETCH:
            memset(whole, 0, sizeof(whole))
            pack_rows(source, ld, <vf32 *> whole, columns // STRIP, lines if by_k else step,
                      step if by_k else lines)
            source, ld_source = <vf32 *> whole, columns
        if by_k != by_columns:
            transpose(source, ld_source, <vf32 *> turned, rows, rows, columns)
            source, ld_source = <vf32 *> turned, rows
        split_rows(<const float *> source, <const float *> at(
            source, STRIP * ld_source if by_columns else STRIP), ld_source, to)
        k += step
        to += STRETCH_BYTES


cdef inline void shape_tiles(int *shape, int rows, int columns) noexcept nogil:
    """configure_tiles, where they have another shape: that takes as long as a dozen products."""
    if shape[0] != 64 * rows + columns:
        shape[0] = 64 * rows + columns
        configure_tiles(rows, columns)


cdef inline void strips_product(
    float *c, Py_ssize_t ldc, const float *init, Py_ssize_t ld_init,
    const char *a, const char *b, Py_ssize_t strip, Py_ssize_t rows, int columns,
    int *shape,  # IN OUT that of the tiles
    packed_t *packed,  # IN OUT
) noexcept nogil:
    """C = init + A B of one or two strips of B."""
    cdef Py_ssize_t r = 0, stretches = strip // STRETCH_BYTES
    cdef int lines
    while r < rows:
        lines = packed.lines if packed.ahead < packed.end else 0
        shape_tiles(shape, <int> min(2 * STRIP, rows - r), columns)
        if rows - r > STRIP and columns > STRIP:
            tiles_of_parts(c, ldc, init, ld_init, a, strip, b, strip, stretches, True, True,
                           packed.ahead, lines)
        elif rows - r > STRIP:
            tiles_of_parts(c, ldc, init, ld_init, a, strip, b, strip, stretches, True, False,
                           packed.ahead, lines)
        elif columns > STRIP:
            tiles_of_parts(c, ldc, init, ld_init, a, strip, b, strip, stretches, False, True,
                           packed.ahead, lines)
        else:
            tiles_of_parts(c, ldc, init, ld_init, a, strip, b, strip, stretches, False, False,
                           packed.ahead, lines)
        c += 2 * STRIP * ldc
        if init != NULL:
            init += 2 * STRIP * ld_init
        a += 2 * strip
        packed.ahead += 64 * lines * stretches
        r += 2 * STRIP


cdef inline Py_ssize_t depth_at_a_time(Py_ssize_t depth, bint packed) noexcept nogil:
    """k at a time: whole stretches, as evenly shared out as may be."""
    cdef Py_ssize_t most = PACKED_DEPTH if packed else (
        PARTS_DEPTH if depth > MID_DEPTH else NEAR_DEPTH)
    cdef Py_ssize_t steps = ceil_div(depth, most)
    return ceil_div(depth, STRETCH * steps) * STRETCH


cdef inline Py_ssize_t strip_bytes(Py_ssize_t depth) noexcept nogil:
    """A strip's parts of so many k."""
    return ceil_div(depth, STRETCH) * STRETCH_BYTES


cdef inline void pack_strips(
    const float *b, Py_ssize_t ldb, bint by_columns, Py_ssize_t columns, Py_ssize_t depth, char *to
) noexcept nogil:
    """The parts of B's columns, strip after strip."""
    cdef Py_ssize_t i = 0
    while i < columns:
        pack_parts(at(<const vf32 *> b, i * ldb if by_columns else i), ldb, not by_columns, True,
                   <int> min(STRIP, columns - i), depth, to)
        to += strip_bytes(depth)
        i += STRIP


cdef inline Py_ssize_t bytes_of_parts(Py_ssize_t columns, Py_ssize_t depth) noexcept nogil:
    """Of all of B."""
    return ceil_div(columns, STRIP) * strip_bytes(depth)


cdef inline void pack_matrix(
    const float *b, Py_ssize_t ldb, bint by_columns, Py_ssize_t columns, Py_ssize_t depth, char *to
) noexcept nogil:
    """The parts of all of B, as parts_product takes them: strips of some k, then of the next."""
    cdef Py_ssize_t k = 0, deep = depth_at_a_time(depth, True), step
    while k < depth:
        step = min(deep, depth - k)
        pack_strips(b + (k if by_columns else k * ldb), ldb, by_columns, columns, step, to)
        to += bytes_of_parts(columns, step)
        k += step


cdef inline int lines_of(
    const packed_t *packed, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth
) noexcept nogil:
    """Cache lines to fetch at a time, so that all are under way when the product is done."""
    cdef Py_ssize_t times = (ceil_div(rows, 2 * STRIP)
                             * ceil_div(columns, 2 * STRIP)
                             * ceil_div(depth, STRETCH))
    return <int> min(<Py_ssize_t> AHEAD_LINES, ((packed.end - packed.ahead) // 64 + times) // times)


cdef inline void parts_product(
    float *c, Py_ssize_t ldc, const float *init, Py_ssize_t ld_init,  # as for product
    const float *a, Py_ssize_t a_row, Py_ssize_t a_step,
    const float *b, Py_ssize_t ldb, bint by_columns,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
    void *work,        # room for PARTS_WORK elements
    packed_t *packed,  # or NULL
) noexcept nogil:
    """C = init + A B; c may be init."""
    cdef packed_t nothing
    cdef char *packed_a = <char *> cache_line(work)
    cdef char *packed_b = packed_a + PARTS_ROWS // STRIP * STRIP_BYTES
    cdef const char *b_parts = NULL if packed == NULL else packed.parts
    cdef Py_ssize_t most = PARTS_ROWS if b_parts == NULL else PACKED_ROWS
    cdef Py_ssize_t chunks = ceil_div(rows, most)
    cdef Py_ssize_t chunk = (rows + 2 * STRIP * chunks - 1) // (2 * STRIP * chunks) * 2 * STRIP
    cdef Py_ssize_t deep = depth_at_a_time(depth, b_parts != NULL)
    cdef Py_ssize_t r = 0, k, j, i, height, step, wide, strip
    cdef const float *start
    cdef const char *strips
    cdef int shape = 0
    if packed == NULL:
        packed = &nothing
        packed.ahead = packed.end = NULL
    packed.lines = lines_of(packed, rows, columns, depth)
    while r < rows:
        height = min(chunk, rows - r)
        k = 0
        while k < depth:
            step = min(deep, depth - k)
            strip = strip_bytes(step)
            i = 0
            while i < height:
                pack_parts(at(<const vf32 *> a, (r + i) * a_row + k * a_step),
                           a_row if a_step == 1 else a_step, a_step != 1, False,
                           <int> min(STRIP, height - i), step, packed_a + i // STRIP * strip)
                i += STRIP
            j = 0
            while j < columns:
                wide = min(2 * STRIP, columns - j)
                strips = packed_b
                if b_parts != NULL:
                    strips = b_parts + bytes_of_parts(columns, k) + j // STRIP * strip
                else:
                    pack_strips(b + (j * ldb + k if by_columns else k * ldb + j), ldb, by_columns,
                                wide, step, packed_b)
                if k > 0:
                    start = c + r * ldc + j
                elif init == NULL:
                    start = NULL
                else:
                    start = init + r * ld_init + j
                strips_product(c + r * ldc + j, ldc, start, ldc if k > 0 else ld_init, packed_a,
                               strips, strip, height, <int> wide, &shape, packed)
                j += wide
            k += step
        r += height
    release_tiles()
