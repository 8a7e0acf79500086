"""z = a_in Wᵀ + b as dot products of rows: for a few samples cheaper than turning W round.

A tile of rows by columns of dot products shares its loads, k along the vectors;
what is left is to add up the lanes, four sums at a time.
"""
from bpcore._math.hints cimport prefetch
from bpcore._math.rounding cimport ceil_div
from bpcore._math.row_pointers cimport go_on, row, rows_from, rows_t
from bpcore._math.vector cimport (
    DOT_ROWS, add_element, at, broadcast, copy_element, everywhere, lanes, load, store, vec,
    vf32, zero,
)
from bpcore._math.vector_parts cimport load_part
from bpcore._math.vector_sums cimport store_sum, store_sums, sums

cdef extern from "panel.h" nogil:
    void bpcore_dots_f32(
        void *z, Py_ssize_t ldz, const void *bias, const void *a, const void *W,
        Py_ssize_t n, Py_ssize_t depth, Py_ssize_t columns,
    )
    void bpcore_dots_f64(
        void *z, Py_ssize_t ldz, const void *bias, const void *a, const void *W,
        Py_ssize_t n, Py_ssize_t depth, Py_ssize_t columns,
    )


cdef inline void store_tile(
    vec *z, Py_ssize_t ldz, const vec *bias, const vec *acc,
    int rows, int columns,  # constants at every call, columns no multiple of four
) noexcept nogil:
    """z[r, m] = bias[m] + the sum of the lanes of a tile's sum r, m: four of them take little more
    work than one."""
    cdef vec four[4]  # elements or more, even with one lane
    cdef vec nothing[4]
    cdef int k, i
    for k in range(4 // lanes(z) if lanes(z) < 4 else 1):
        store(nothing, k * lanes(z), everywhere(z, -0.0))  # 0 would make +0 of -0
    for k in range(0, rows * columns // 4 * 4, 4):
        store_sums(four, 0, &acc[k], nothing)
        for i in range(k, k + 4):
            add_element(bias, i % columns, four, i - k, z, i // columns * ldz + i % columns)
    for k in range(rows * columns // 4 * 4, rows * columns):
        store_sum(z, k // columns * ldz + k % columns, acc[k], at(bias, k % columns))


cdef inline void dot_tile(
    vec *z,            # OUT (rows, columns), row stride ldz
    Py_ssize_t ldz,
    const vec *bias,   # IN  (columns,)
    const vec *a,      # IN  (rows, depth)
    const vec *W,      # IN  (columns, depth)
    Py_ssize_t depth,
    int rows,          # rows, columns and ahead are constants at every call
    int columns,
    int ahead,         # rows to fetch meanwhile
    const vec *behind,  # where they begin
) noexcept nogil:
    """z[r, m] = bias[m] + Σ_k a[r, k] W[m, k]

    A vector of each of the fewer, samples or outputs, is kept while the others' go by.
    """
    cdef vec acc[20]
    cdef vec near[5]
    cdef vec x
    cdef Py_ssize_t width = lanes(z)
    cdef rows_t a_rows = rows_from(a, depth, rows), W_rows = rows_from(W, depth, columns)
    cdef rows_t next_rows = rows_from(behind, depth, ahead)
    cdef const void *end = at(a, depth // width * width)
    cdef int r, m, left = <int> (depth % width)
    for r in range(rows * columns):
        acc[r] = zero(z)
    while a_rows.p0 != end:
        if rows <= columns:
            for r in range(rows):
                near[r] = load(row(a, &a_rows, r, depth), 0)
            for m in range(columns):
                x = load(row(W, &W_rows, m, depth), 0)
                for r in range(rows):
                    acc[r * columns + m] += near[r] * x
        else:
            for m in range(columns):
                near[m] = load(row(W, &W_rows, m, depth), 0)
            for r in range(rows):
                x = load(row(a, &a_rows, r, depth), 0)
                for m in range(columns):
                    acc[r * columns + m] += x * near[m]
        go_on(a, &a_rows, width, rows)
        go_on(W, &W_rows, width, columns)
        if ahead > 0:
            for r in range(ahead):
                prefetch(row(behind, &next_rows, r, depth))
            go_on(behind, &next_rows, width, ahead)
    if left:
        for r in range(rows):
            near[r] = load_part(row(a, &a_rows, r, depth), 0, left)
        for m in range(columns):
            x = load_part(row(W, &W_rows, m, depth), 0, left)
            for r in range(rows):
                acc[r * columns + m] += near[r] * x
    if columns % 4 != 0:
        store_tile(z, ldz, bias, acc, rows, columns)
        return
    for r in range(rows):
        for m in range(columns // 4):
            store_sums(z, r * ldz + 4 * m, &acc[r * columns + 4 * m], at(bias, 4 * m))


cdef inline void dot_few(
    vec *z, Py_ssize_t ldz, const vec *bias, const vec *a, const vec *W,
    Py_ssize_t depth, Py_ssize_t columns, int rows, int ahead, const vec *behind,
) noexcept nogil:
    """The dot products of none to three outputs"""
    if columns == 3:
        dot_tile(z, ldz, bias, a, W, depth, rows, 3, ahead, behind)
    elif columns == 2:
        dot_tile(z, ldz, bias, a, W, depth, rows, 2, ahead, behind)
    elif columns == 1:
        dot_tile(z, ldz, bias, a, W, depth, rows, 1, 0, behind)


cdef inline void dot_rows(
    vec *z, Py_ssize_t ldz, const vec *bias, const vec *a, const vec *W,
    Py_ssize_t depth, Py_ssize_t columns, int rows, int wide,
) noexcept nogil:
    """z = a Wᵀ + b for `rows` samples, `wide` outputs at a time (both constants).

    Meanwhile the next samples are fetched, as a processor does not foresee where so many rows
    begin: a row with each tile, or they would wait for one another; where there are fewer tiles
    than rows, all with the first, and with the last of two or three outputs, which has the time.
    Tiles beyond fetch what is near, which costs nothing.
    """
    cdef const vec *behind = at(a, rows * depth)
    cdef const vec *end = at(a, 2 * rows * depth)
    cdef bint few = rows > 1 and columns < rows * wide
    cdef Py_ssize_t m = 0
    if few and wide <= columns:
        dot_tile(z, ldz, bias, a, W, depth, rows, wide, rows, behind)
        m, behind = wide, end
    while m + wide <= columns:
        dot_tile(at(z, m), ldz, at(bias, m), a, at(W, m * depth), depth, rows, wide,
                 1 if rows > 1 else 0, behind if behind != end else a)
        if behind != end:
            behind = at(behind, depth)
        m += wide
    if wide > 4 and m + 4 <= columns:
        dot_tile(at(z, m), ldz, at(bias, m), a, at(W, m * depth), depth, rows, 4, 0, a)
        m += 4
    dot_few(at(z, m), ldz, at(bias, m), a, at(W, m * depth), depth, columns - m, rows,
            rows if rows > 1 else 0, at(a, rows * depth) if few else a)


cdef inline Py_ssize_t dot_column(
    vec *z, Py_ssize_t ldz, const vec *bias, const vec *a, const vec *W,
    Py_ssize_t n, Py_ssize_t depth,
) noexcept nogil:
    """z = a Wᵀ + b of one output for vectors of samples, whose sums are added up side by side;
    return how many samples that are"""
    cdef vec acc[16]
    cdef vec x
    cdef Py_ssize_t width = lanes(z), done = 0, k, r
    cdef int left = <int> (depth % width)
    while done + width <= n:
        for r in range(width):
            acc[r] = zero(z)
        k = 0
        while k + width <= depth:
            x = load(W, k)
            for r in range(width):
                acc[r] += load(a, r * depth + k) * x
            k += width
        if left:
            x = load_part(W, k, left)
            for r in range(width):
                acc[r] += load_part(a, r * depth + k, left) * x
        x = broadcast(bias, 0) + sums(acc, <int> width, <int> width)
        for r in range(width):
            copy_element(&x, r, z, r * ldz)
        done, a, z = done + width, at(a, width * depth), at(z, width * ldz)
    return done


cdef inline double cost_of_dots(
    Py_ssize_t width, Py_ssize_t count, Py_ssize_t depth
) noexcept nogil:
    """Of so many dot products, in multiply-adds of vectors: to add up the lanes is worth 6."""
    return count * (ceil_div(depth, width) + 6)


cdef inline Py_ssize_t thin_columns(
    Py_ssize_t width, Py_ssize_t columns, Py_ssize_t depth
) noexcept nogil:
    """Columns beyond whole vectors, where their dot products cost less than tiles; else 0."""
    cdef Py_ssize_t left = columns % width
    return left if columns > width and cost_of_dots(width, left, depth) < depth else 0


cdef inline Py_ssize_t dot_groups(Py_ssize_t n) noexcept nogil:
    """Groups of rows that take W one after the other."""
    return ceil_div(n, DOT_ROWS)


cdef inline void product_of_dots(
    vec *z, Py_ssize_t ldz, const vec *bias, const vec *a, const vec *W,
    Py_ssize_t n, Py_ssize_t depth, Py_ssize_t columns,
) noexcept nogil:
    """z = a Wᵀ + b, rows shared out evenly in groups of up to DOT_ROWS."""
    cdef Py_ssize_t r = dot_column(z, ldz, bias, a, W, n, depth) if columns == 1 else 0
    cdef Py_ssize_t first = r, groups = dot_groups(n - r), g, after
    for g in range(1, groups + 1):
        after = first + (n - first) * g // groups
        if DOT_ROWS == 5 and after - r == 5:
            dot_rows(at(z, r * ldz), ldz, bias, at(a, r * depth), W, depth, columns, 5, 4)
        elif DOT_ROWS == 5 and after - r == 4:
            dot_rows(at(z, r * ldz), ldz, bias, at(a, r * depth), W, depth, columns, 4, 4)
        elif DOT_ROWS == 4 and after - r == 4:
            dot_rows(at(z, r * ldz), ldz, bias, at(a, r * depth), W, depth, columns, 4, 3)
        elif after - r == 3:
            dot_rows(at(z, r * ldz), ldz, bias, at(a, r * depth), W, depth, columns, 3, 4)
        elif after - r == 2:
            dot_rows(at(z, r * ldz), ldz, bias, at(a, r * depth), W, depth, columns, 2, 4)
        else:
            dot_rows(at(z, r * ldz), ldz, bias, at(a, r * depth), W, depth, columns, 1, 8)
        r = after


cdef inline void run_dots(
    vec *z, Py_ssize_t ldz, const vec *bias, const vec *a, const vec *W,
    Py_ssize_t n, Py_ssize_t depth, Py_ssize_t columns,
) noexcept nogil:
    """product_of_dots, each type's compiled once"""
    if vec is vf32:
        bpcore_dots_f32(z, ldz, bias, a, W, n, depth, columns)
    else:
        bpcore_dots_f64(z, ldz, bias, a, W, n, depth, columns)
