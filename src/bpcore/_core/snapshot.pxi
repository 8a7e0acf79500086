"""Copies of the vectors that steps change, to go back to when a step left NaN or Inf."""

cdef enum:
    VECTORS = 4  # at most: parameters, gradient, and an optimiser's two state vectors

cdef struct kept_t:  # vectors of one size and dtype, and where a copy of each lies
    int count
    int typenum
    Py_ssize_t size
    Py_ssize_t itemsize
    char *vector[VECTORS]
    char *copy[VECTORS]


cdef void copy_span(
    const kept_t *kept, Py_ssize_t first, Py_ssize_t count, bint back
) noexcept nogil:
    """Elements first … first + count - 1 of the vectors into the copies, or back."""
    cdef Py_ssize_t start = first * kept.itemsize
    cdef int k
    for k in range(kept.count):
        if back:
            memcpy(kept.vector[k] + start, kept.copy[k] + start, count * kept.itemsize)
        else:
            memcpy(kept.copy[k] + start, kept.vector[k] + start, count * kept.itemsize)


cdef bint span_is_finite(const kept_t *kept, Py_ssize_t first, Py_ssize_t count) noexcept nogil:
    """Whether these of the vectors hold no NaN and no Inf."""
    cdef bint finite = True
    cdef int k
    for k in range(kept.count):
        finite &= finite_at(kept.vector[k] + first * kept.itemsize, kept.typenum, count)
    return finite


cdef class Snapshot:
    """Vectors of one size and dtype, and a copy of each in memory that is allocated once.

    The counter of updates goes with them: whoever interrupts, they belong together. A team of
    threads takes a snapshot and looks at the vectors together, each its share: see `keep_share`.
    """

    cdef readonly int64_t steps  # updates done at the last `take`; -1: none was taken
    cdef object vectors, copies, counter
    cdef int64_t *now
    cdef kept_t kept

    def __cinit__(self, vectors, cnp.ndarray counter):
        cdef cnp.ndarray first = vectors[0]
        cdef int k
        if len(vectors) > VECTORS:
            raise ValueError(f"{len(vectors)} vectors, wanted at most {VECTORS}")
        self.vectors = tuple(vectors)
        self.copies = tuple([np.empty_like(vector) for vector in vectors])
        self.counter, self.now = counter, <int64_t *> data(counter)
        self.steps = -1
        self.kept.count, self.kept.typenum = <int> len(vectors), cnp.PyArray_TYPE(first)
        self.kept.size = cnp.PyArray_SIZE(first)
        self.kept.itemsize = cnp.PyArray_ITEMSIZE(first)
        for k in range(self.kept.count):
            self.kept.vector[k] = <char *> data(self.vectors[k])
            self.kept.copy[k] = <char *> data(self.copies[k])

    def forget(self):
        """There is nothing to go back to until the next `take`."""
        self.steps = -1

    def take(self):
        """Copy the vectors."""
        with nogil:
            copy_span(&self.kept, 0, self.kept.size, False)
            self.steps = self.now[0]

    def put_back(self):
        """Give the vectors the values they had at the last `take`."""
        with nogil:
            copy_span(&self.kept, 0, self.kept.size, True)
            self.now[0] = self.steps

    def is_finite(self):
        """Whether the vectors hold no NaN and no Inf."""
        cdef bint finite
        with nogil:
            finite = span_is_finite(&self.kept, 0, self.kept.size)
        return finite
