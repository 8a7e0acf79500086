"""C[r, :] = init[r, :] + Σ_k A[r, k] B[k, :] where most of A is 0: those k are passed over.

relu gives 0 for about half of what it sees, and so does its derivative: half of
the multiply-adds of the layers around it add 0 to a sum. Which A[r, k] are not 0 is
written down once, a bit for each, and then every panel of columns takes just those
rows of B. A tile shares a row of B among twelve rows of A; here each row asks for
rows of its own, so B is copied into panels that fit into the first-level cache, if
it does not lie so, whose loads are then what limits the speed: one vector a
multiply-add, on AVX-512 0.7 of the limit of the multiply-adds alone. So it pays
where less than some half to three quarters of A count: `skipping_cost` looks.

The sums keep their order, and adding 0 · B[k, j] to a sum changes nothing (where B
is finite: a weight that overflowed is found by who looks at the weights). So C's
numbers are those of the tiles, and whether zeros are skipped may depend on the
data, on a block or on a thread.
"""
from libc.stdint cimport uint64_t

from bpcore._math.costs cimport costs
from bpcore._math.pack cimport copy_row, crowds, pack_columns, pack_rows, transpose
from bpcore._math.rounding cimport cache_line, ceil_div
from bpcore._math.shallow cimport ends_with_init
from bpcore._math.vector cimport ZEROS, at, broadcast, lanes, load, store, vec, vf32
from bpcore._math.vector_parts cimport load_part, store_part

cdef extern from "nonzeros.h" nogil:
    uint64_t nonzeros_f32(const float *p, int count)
    uint64_t nonzeros_f64(const double *p, int count)
    int lowest_bit(uint64_t bits)
    int count_bits(uint64_t bits)

cdef extern from "panel.h" nogil:
    void bpcore_skip_f32(
        void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init, bint ends, const void *a,
        Py_ssize_t a_row, const uint64_t *bits, int words, Py_ssize_t rows, const void *panel,
        Py_ssize_t ld_panel, int vectors, int left,
    )
    void bpcore_skip_f64(
        void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init, bint ends, const void *a,
        Py_ssize_t a_row, const uint64_t *bits, int words, Py_ssize_t rows, const void *panel,
        Py_ssize_t ld_panel, int vectors, int left,
    )

cdef enum:
    SKIP_VECTORS = 8         # of a panel, at most
    SKIP_PANEL = 512         # vectors in a panel: the first-level cache
    SKIP_WORDS = 2           # of 64 bits: k at a time, at most
    SKIP_ROWS = 240          # rows at a time, at most, and
    SKIP_DEPTH = 512         # k: together they fit into the second-level cache
    SKIP_WORK = SKIP_ROWS * SKIP_DEPTH  # elements of `work`
    SKIP_BITS = 16 * SKIP_ROWS  # words: a panel has 64 k or more, and up to two words for them
    LOOK_ROWS = 8            # samples that share_of_nonzeros looks at
    RESTS = 7                # times that nobody looks after a look


cdef struct look_t:  # for the zeros of what a layer multiplies
    int rest     # for how many products nobody looks, and
    double cost  # the last look's skipping_cost is remembered


cdef inline uint64_t nonzeros(const vec *p, int count) noexcept nogil:
    """Bit k for p[k] != 0, k < count <= 64."""
    if vec is vf32:
        return nonzeros_f32(<const float *> p, count)
    else:
        return nonzeros_f64(<const double *> p, count)


cdef inline Py_ssize_t panels_of(Py_ssize_t vectors) noexcept nogil:
    """Into how many panels so many vectors of columns go."""
    return ceil_div(vectors, SKIP_VECTORS)


cdef inline Py_ssize_t depth_of(Py_ssize_t vectors, Py_ssize_t depth) noexcept nogil:
    """How many k a panel of so many vectors holds, as evenly shared out as may be."""
    cdef Py_ssize_t most = SKIP_PANEL // vectors
    most = 64 * SKIP_WORDS if most > 64 * SKIP_WORDS else most
    return ceil_div(depth, ceil_div(depth, most))


cdef inline bint is_panel(const vec *b, Py_ssize_t ldb, Py_ssize_t columns) noexcept nogil:
    """Whether B, by rows, is a panel as it lies: of whole vectors, each in a cache line."""
    return (ldb == columns and columns % lanes(b) == 0 and columns <= SKIP_VECTORS * lanes(b)
            and <size_t> b % 64 == 0)


cdef inline double share_of_nonzeros(
    const vec *a, Py_ssize_t stride, Py_ssize_t samples, Py_ssize_t units
) noexcept nogil:
    """Of some of the samples, every unit of each; they lie `stride` apart."""
    cdef Py_ssize_t looks = LOOK_ROWS if samples > LOOK_ROWS else samples, found = 0, s, k
    cdef const vec *sample
    cdef int some
    for s in range(looks):
        sample = at(a, samples * s // looks * stride)
        k = 0
        while k < units:
            some = <int> (64 if units - k > 64 else units - k)
            found += count_bits(nonzeros(at(sample, k), some))
            k += 64
    return found / <double> (looks * units)


cdef inline bint looks(look_t *look) noexcept nogil:
    """Whether to look for zeros this time: not for a while after a look. One takes some 2 % of a
    small step, and from one to the next a layer hardly changes."""
    if look.rest > 0:
        look.rest -= 1
        return False
    look.rest = RESTS
    return True


cdef inline double skipping_cost(
    const vec *a, Py_ssize_t a_row, Py_ssize_t a_step,
    const vec *b, Py_ssize_t ldb, bint by_columns,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
    Py_ssize_t at_once,  # rows
    double over,         # the multiply-adds of so many vectors, over those of the tiles
) noexcept nogil:
    """The time of the product with A's zeros skipped over that of the tiles.

    2 where A need not be looked at, since it cannot pay.

    Counted in multiply-adds of a vector of columns: a nonzero element costs `loaded` for each, and
    `waiting` once; a row starts and ends once for every panel and its k; a vector of B is copied
    once for all rows; A is looked through, and turned round if need be, once for all panels. The
    tiles too spend more than their multiply-adds: see costs.h.
    """
    cdef bint turned = a_step != 1
    cdef Py_ssize_t vectors = ceil_div(columns, lanes(a))
    cdef Py_ssize_t wide
    cdef double cost, share, tiles, copying = costs.copied
    if columns <= lanes(a) or rows < 8 or depth < 8:
        return 2
    wide = ceil_div(vectors, panels_of(vectors))
    tiles = 1 + costs.beginning / depth
    if by_columns:
        copying = costs.columns
        tiles += costs.tile_columns / at_once
    elif is_panel(b, ldb, columns):
        copying = 0
    over = over / tiles
    cost = over * (costs.ending / (wide * depth_of(wide, depth)) + copying / at_once
                   + (costs.looked + (costs.turned_round if turned else 0)) / vectors)
    if cost >= 1:
        return 2
    if turned:
        share = share_of_nonzeros(a, a_step, depth, rows)
    else:
        share = share_of_nonzeros(a, a_row, rows, depth)
    return cost + over * (costs.loaded + costs.waiting / wide) * share


cdef inline void skip_row(
    vec *c,                # OUT (columns,)
    const vec *init,       # IN  the same, what the sum begins with,
    bint ends,             # or ends with
    const vec *a,          # IN  (k,) A[r, k]
    const uint64_t *bits,  # IN  (words,) which of them are not 0
    int words,
    const vec *panel,      # IN  B[k, :] at k ld
    Py_ssize_t ld,
    int vectors,           # vectors and edge are constants at every call
    bint edge,             # the last vector holds `left` columns; otherwise it is full
    int left,
) noexcept nogil:
    """C[r, :] = init[r, :] + Σ_k A[r, k] B[k, :] of one row and panel"""
    cdef vec acc[SKIP_VECTORS]
    cdef const vec *start = <const vec *> ZEROS if ends else init
    cdef vec ark
    cdef const vec *bk
    cdef uint64_t rest
    cdef Py_ssize_t k, width = lanes(c)
    cdef int v, w
    for v in range(vectors):
        if edge and v == vectors - 1:
            acc[v] = load_part(start, v * width, left)
        else:
            acc[v] = load(start, v * width)
    for w in range(words):
        rest = bits[w]
        while rest:
            k = lowest_bit(rest)
            rest &= rest - 1
            ark = broadcast(a, k)
            bk = at(panel, k * ld)
            for v in range(vectors):
                acc[v] += ark * load(bk, v * width)
        a, panel = at(a, 64), at(panel, 64 * ld)
    if ends:
        for v in range(vectors):
            if edge and v == vectors - 1:
                acc[v] += load_part(init, v * width, left)
            else:
                acc[v] += load(init, v * width)
    for v in range(vectors):
        if edge and v == vectors - 1:
            store_part(c, v * width, acc[v], left)
        else:
            store(c, v * width, acc[v])


cdef inline void skip_rows(
    vec *c, Py_ssize_t ldc, const vec *init, Py_ssize_t ld_init, bint ends, const vec *a,
    Py_ssize_t a_row, const uint64_t *bits, int words, Py_ssize_t rows, const vec *panel,
    Py_ssize_t ld, int vectors, bint edge, int left,
) noexcept nogil:
    cdef Py_ssize_t r
    for r in range(rows):
        skip_row(at(c, r * ldc), at(init, r * ld_init), ends, at(a, r * a_row), bits + r * words,
                 words, panel, ld, vectors, edge, left)


cdef inline void skip_edge(
    vec *c, Py_ssize_t ldc, const vec *init, Py_ssize_t ld_init, bint ends, const vec *a,
    Py_ssize_t a_row, const uint64_t *bits, int words, Py_ssize_t rows, const vec *panel,
    Py_ssize_t ld, int vectors, int left,
) noexcept nogil:
    """`edge` made a constant."""
    if left == lanes(c):
        skip_rows(c, ldc, init, ld_init, ends, a, a_row, bits, words, rows, panel, ld, vectors,
                  False, 0)
    else:
        skip_rows(c, ldc, init, ld_init, ends, a, a_row, bits, words, rows, panel, ld, vectors,
                  True, left)


cdef inline void skip_panel(
    vec *c, Py_ssize_t ldc, const vec *init, Py_ssize_t ld_init, bint ends, const vec *a,
    Py_ssize_t a_row, const uint64_t *bits, int words, Py_ssize_t rows, const vec *panel,
    Py_ssize_t ld, int vectors, int left,
) noexcept nogil:
    """`vectors` made a constant, so that the sums are registers."""
    if vectors == 1:
        skip_edge(c, ldc, init, ld_init, ends, a, a_row, bits, words, rows, panel, ld, 1,
                  left)
    elif vectors == 2:
        skip_edge(c, ldc, init, ld_init, ends, a, a_row, bits, words, rows, panel, ld, 2,
                  left)
    elif vectors == 3:
        skip_edge(c, ldc, init, ld_init, ends, a, a_row, bits, words, rows, panel, ld, 3,
                  left)
    elif vectors == 4:
        skip_edge(c, ldc, init, ld_init, ends, a, a_row, bits, words, rows, panel, ld, 4,
                  left)
    elif vectors == 5:
        skip_edge(c, ldc, init, ld_init, ends, a, a_row, bits, words, rows, panel, ld, 5,
                  left)
    elif vectors == 6:
        skip_edge(c, ldc, init, ld_init, ends, a, a_row, bits, words, rows, panel, ld, 6,
                  left)
    elif vectors == 7:
        skip_edge(c, ldc, init, ld_init, ends, a, a_row, bits, words, rows, panel, ld, 7,
                  left)
    else:
        skip_edge(c, ldc, init, ld_init, ends, a, a_row, bits, words, rows, panel, ld, 8,
                  left)


cdef inline void run_skip(
    vec *c, Py_ssize_t ldc, const vec *init, Py_ssize_t ld_init, bint ends, const vec *a,
    Py_ssize_t a_row, const uint64_t *bits, int words, Py_ssize_t rows, const vec *panel,
    Py_ssize_t ld, int vectors, int left,
) noexcept nogil:
    """skip_panel, compiled once."""
    if vec is vf32:
        bpcore_skip_f32(c, ldc, init, ld_init, ends, a, a_row, bits, words, rows, panel, ld,
                        vectors, left)
    else:
        bpcore_skip_f64(c, ldc, init, ld_init, ends, a, a_row, bits, words, rows, panel, ld,
                        vectors, left)


cdef inline void copy_rows(
    const vec *a, Py_ssize_t a_row, Py_ssize_t a_step, vec *to, Py_ssize_t rows, Py_ssize_t depth
) noexcept nogil:
    """to[r, k] = A[r, k], row after row"""
    cdef Py_ssize_t r
    if a_step != 1:
        transpose(a, a_step, to, depth, depth, rows)
        return
    for r in range(rows):
        copy_row(at(a, r * a_row), at(to, r * depth), depth)


cdef inline void write_bits(
    const vec *a, Py_ssize_t a_row, uint64_t *bits, int words, Py_ssize_t rows, Py_ssize_t depth
) noexcept nogil:
    """bits[r, w]: which of A[r, 64 w …] are not 0; (rows, words)"""
    cdef Py_ssize_t r, left
    cdef int w
    for r in range(rows):
        for w in range(words):
            left = depth - 64 * w
            bits[r * words + w] = nonzeros(at(a, r * a_row + 64 * w),
                                           <int> (64 if left > 64 else left))


cdef inline void skipping_product(
    vec *c, Py_ssize_t ldc, const vec *init, Py_ssize_t ld_init,  # as for product
    const vec *a, Py_ssize_t a_row, Py_ssize_t a_step,
    const vec *b, Py_ssize_t ldb, bint by_columns,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
    vec *work,  # room for SKIP_WORK elements
) noexcept nogil:
    """C = init + A B; c may be init.

    So many rows and k at a time that what is written down about them stays in the second-level
    cache, as do the sums of a panel's columns, which take a panel of B after the other.
    """
    cdef vec room[SKIP_PANEL + 16]  # 16: to begin at a cache line, whatever a vector is
    cdef vec *panel = <vec *> cache_line(room)
    cdef uint64_t bits[SKIP_BITS]
    cdef Py_ssize_t width = lanes(c), total = ceil_div(columns, width)
    cdef Py_ssize_t most = ceil_div(total, panels_of(total)), vectors, wide
    cdef Py_ssize_t stages = ceil_div(depth, SKIP_DEPTH), deep, first, steps
    cdef Py_ssize_t chunks = ceil_div(rows, SKIP_ROWS)
    cdef Py_ssize_t ld_a, ld_start, r, k, j, height, step, g, s, t
    cdef bint copied, in_place = not by_columns and is_panel(b, ldb, columns)
    cdef const vec *ark
    cdef const vec *start
    cdef const vec *part = panel
    cdef int words
    cdef bint ends = init != NULL and ends_with_init(depth, ld_init)
    for t in range(chunks):
        r = rows * t // chunks
        height = rows * (t + 1) // chunks - r
        copied = a_step != 1 or crowds(a, a_row, height)
        for g in range(stages):
            first = depth * g // stages
            deep = depth * (g + 1) // stages - first
            steps = ceil_div(deep, depth_of(most, deep))
            words = <int> ceil_div(ceil_div(deep, steps), 64)
            for s in range(steps):
                k = deep * s // steps
                step = deep * (s + 1) // steps - k
                ark, ld_a = at(a, r * a_row + (first + k) * a_step), a_row
                if copied:
                    copy_rows(ark, a_row, a_step, at(work, height * k), height, step)
                    ark, ld_a = at(work, height * k), step
                write_bits(ark, ld_a, bits + s * height * words, words, height, step)
            j = 0
            while j < columns:
                wide = most * width if columns - j > most * width else columns - j
                vectors = ceil_div(wide, width)
                start, ld_start = at(c, r * ldc + j), ldc
                if g == 0 and init == NULL:
                    start, ld_start = <const vec *> ZEROS, 0
                elif g == 0:
                    start, ld_start = at(init, r * ld_init + j), ld_init
                for s in range(steps):
                    k = deep * s // steps
                    step = deep * (s + 1) // steps - k
                    ark, ld_a = at(a, r * a_row + (first + k) * a_step), a_row
                    if copied:
                        ark, ld_a = at(work, height * k), step
                    if by_columns:
                        pack_columns(at(b, j * ldb + first + k), ldb, panel, most, wide, step)
                    elif in_place:
                        part = at(b, (first + k) * ldb)
                    else:
                        pack_rows(at(b, (first + k) * ldb + j), ldb, panel, most, wide, step)
                    run_skip(at(c, r * ldc + j), ldc, start, ld_start, ends, ark, ld_a,
                             bits + s * height * words, words, height, part, most * width,
                             <int> vectors, <int> (wide - (vectors - 1) * width))
                    start, ld_start = at(c, r * ldc + j), ldc
                j += wide
