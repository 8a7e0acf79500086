"""Counts and addresses, rounded up."""


cdef inline Py_ssize_t ceil_div(Py_ssize_t count, Py_ssize_t size) noexcept nogil:
    """⌈count / size⌉"""
    return (count + size - 1) // size


cdef inline Py_ssize_t round_up(Py_ssize_t count, Py_ssize_t size) noexcept nogil:
    """The next multiple of size, or count if it is one."""
    return ceil_div(count, size) * size


cdef inline void *cache_line(const void *room) noexcept nogil:
    """The first cache line that begins in room, which has 63 bytes to spare for it."""
    return <void *> ((<size_t> room + 63) // 64 * 64)
