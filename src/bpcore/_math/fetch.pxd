"""What is soon read, or written, on its way into the cache: see hints.pxd."""
from bpcore._math.hints cimport prefetch, prefetch_to_write, take_effect


cdef inline void fetch(const void *p, Py_ssize_t size, bint to_write) noexcept nogil:
    """So many bytes, line by line"""
    cdef const char *line = <const char *> (<size_t> p // 64 * 64)
    cdef const char *end = <const char *> p + size
    while line < end:
        if to_write:
            prefetch_to_write(line)
        else:
            prefetch(line)
        line += 64
    take_effect()
