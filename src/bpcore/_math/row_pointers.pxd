"""Up to twelve rows that lie equally far apart, reached from a pointer to every third.

p, p + apart and p + 2 apart are addresses to a processor, p + 3 apart is an addition more in every
turn of a loop; and a pointer for each row would be more than there are registers.
"""
from bpcore._math.hints cimport hold
from bpcore._math.vector cimport at, vec


cdef struct rows_t:
    const void *p0  # to row 0
    const void *p3
    const void *p6
    const void *p9


cdef inline rows_t rows_from(const vec *p, Py_ssize_t apart, int count) noexcept nogil:
    """The first `count` (a constant) of those that begin at p."""
    cdef rows_t rows
    rows.p0 = p
    rows.p3 = at(p, 3 * apart) if count > 3 else p
    rows.p6 = at(p, 6 * apart) if count > 6 else p
    rows.p9 = at(p, 9 * apart) if count > 9 else p
    return rows


cdef inline const vec *row(
    const vec *p, const rows_t *rows, int r, Py_ssize_t apart
) noexcept nogil:
    """Where row r (a constant) is, and `apart` still; p for the type"""
    cdef const void *third = rows.p0 if r < 3 else (
        rows.p3 if r < 6 else (rows.p6 if r < 9 else rows.p9))
    return at(<const vec *> third, r % 3 * apart)


cdef inline void go_on(
    const vec *p, rows_t *rows, Py_ssize_t step, int count
) noexcept nogil:
    """Moves every row on by `step` elements; p for the type."""
    rows.p0 = at(<const vec *> rows.p0, step)
    hold(rows.p0)
    if count > 3:
        rows.p3 = at(<const vec *> rows.p3, step)
        hold(rows.p3)
    if count > 6:
        rows.p6 = at(<const vec *> rows.p6, step)
        hold(rows.p6)
    if count > 9:
        rows.p9 = at(<const vec *> rows.p9, step)
        hold(rows.p9)
