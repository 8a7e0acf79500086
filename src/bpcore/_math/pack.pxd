"""Copies that lie in the order in which a product reads them."""
from bpcore._math.costs cimport costs
from bpcore._math.vector cimport at, copy_element, element_size, lanes, load, store, vec, vf32, zero
from bpcore._math.vector_parts cimport load_part, store_part
from bpcore._math.vector_squares cimport block_side, transpose_block

cdef extern from "panel.h" nogil:
    void bpcore_transpose_f32(
        const void *source, Py_ssize_t ld, void *to, Py_ssize_t ld_to, Py_ssize_t rows,
        Py_ssize_t columns,
    )
    void bpcore_transpose_f64(
        const void *source, Py_ssize_t ld, void *to, Py_ssize_t ld_to, Py_ssize_t rows,
        Py_ssize_t columns,
    )

cdef enum:
    PAGE_BYTES = 4096
    FEW = 24  # rows, which are read where they lie, however far apart


cdef inline bint crowds(const vec *p, Py_ssize_t stride, Py_ssize_t count) noexcept nogil:
    """Whether `count` rows lie whole pages apart and so share a few sets of the caches."""
    return count > 8 and stride * element_size(p) % PAGE_BYTES == 0


cdef inline bint scatters(const vec *p, Py_ssize_t stride, Py_ssize_t count) noexcept nogil:
    """Whether to read `count` rows one after the other is to jump from page to page."""
    return count > FEW and stride * element_size(p) >= costs.far_bytes


cdef inline void copy_row(const vec *source, vec *to, Py_ssize_t count) noexcept nogil:
    """to = source; the last vector may share lanes with the one before"""
    cdef Py_ssize_t k = 0, width = lanes(to)
    while k + width <= count:
        store(to, k, load(source, k))
        k += width
    if k > 0 and k < count:
        store(to, count - width, load(source, count - width))
    elif k < count:
        store_part(to, k, load_part(source, k, <int> (count - k)), <int> (count - k))


cdef inline void copy_short(
    const vec *source, vec *to, Py_ssize_t count, bint beyond
) noexcept nogil:
    """The same of a row that may fit a vector: a whole one, if beyond the row's end as much may be
    read and written."""
    if beyond and count <= lanes(to):
        store(to, 0, load(source, 0))
    else:
        copy_row(source, to, count)


cdef inline void transpose_band(
    const vec *source, Py_ssize_t ld, vec *to, Py_ssize_t ld_to, Py_ssize_t columns
) noexcept nogil:
    """As many rows as a square has, and columns or more"""
    cdef Py_ssize_t block = block_side(to), j = 0
    while j + block <= columns:
        transpose_block(source, j, ld, to, j * ld_to, ld_to)
        j += block
    if j < columns:
        j = columns - block
        transpose_block(source, j, ld, to, j * ld_to, ld_to)


cdef inline void transpose(
    const vec *source, Py_ssize_t ld, vec *to, Py_ssize_t ld_to, Py_ssize_t rows,
    Py_ssize_t columns,
) noexcept nogil:
    """transpose_squares, each type's compiled once"""
    if vec is vf32:
        bpcore_transpose_f32(source, ld, to, ld_to, rows, columns)
    else:
        bpcore_transpose_f64(source, ld, to, ld_to, rows, columns)


cdef inline void transpose_squares(
    const vec *source,  # IN  (rows, columns), row stride ld
    Py_ssize_t ld,
    vec *to,            # OUT (columns, rows), row stride ld_to
    Py_ssize_t ld_to,
    Py_ssize_t rows,
    Py_ssize_t columns,
) noexcept nogil:
    """to = sourceᵀ, by squares that are turned in registers; the last may share rows and columns
    with those before"""
    cdef Py_ssize_t block = block_side(to), i = 0, j
    if rows < block or columns < block:
        for i in range(rows):
            for j in range(columns):
                copy_element(source, i * ld + j, to, j * ld_to + i)
        return
    while i + block <= rows:
        transpose_band(at(source, i * ld), ld, at(to, i), ld_to, columns)
        i += block
    if i < rows:
        i = rows - block
        transpose_band(at(source, i * ld), ld, at(to, i), ld_to, columns)


cdef inline void pack_columns(
    const vec *source,  # IN  (columns, depth), row stride ld
    Py_ssize_t ld,
    vec *panel,         # OUT (depth, vectors), filled up with zeros
    Py_ssize_t vectors,
    Py_ssize_t columns,
    Py_ssize_t depth,
) noexcept nogil:
    """panel[k, j] = source[j, k], a stretch of k at a time, so that what is written stays near."""
    cdef Py_ssize_t lane = lanes(panel), width = vectors * lane, k = 0, step, i, v
    if columns < width:
        for i in range(depth):
            for v in range(columns // lane, vectors):
                store(panel, i * width + v * lane, zero(panel))
    while k < depth:
        step = 64 if depth - k > 64 else depth - k
        transpose(at(source, k), ld, at(panel, k * width), width, columns, step)
        k += step


cdef inline void pack_rows(
    const vec *source,  # IN  (depth, columns), row stride ld
    Py_ssize_t ld,
    vec *panels,        # OUT (depth, vectors) each, one after the other, filled up with zeros
    Py_ssize_t vectors,
    Py_ssize_t columns,
    Py_ssize_t depth,
) noexcept nogil:
    """panel[k, j] = source[k, j], of all panels a row after the other: the rows lie apart"""
    cdef Py_ssize_t lane = lanes(panels), width = vectors * lane, k, v, j
    cdef vec *to
    for k in range(depth):
        j = 0
        to = at(panels, k * width)
        while j + width <= columns:
            for v in range(vectors):
                store(to, v * lane, load(source, j + v * lane))
            j, to = j + width, at(to, depth * width)
        if j < columns:
            for v in range(vectors):
                if j + lane <= columns:
                    store(to, v * lane, load(source, j))
                elif j < columns:
                    store(to, v * lane, load_part(source, j, <int> (columns - j)))
                else:
                    store(to, v * lane, zero(to))
                j += lane
        source = at(source, ld)
