"""Copies of the vectors that steps change, to go back to when a step left NaN or Inf."""

cdef enum:
    VECTORS = 3  # at most: parameters, and an optimiser's two state vectors


cdef class Snapshot:
    """Vectors of one size and dtype, and a copy of each in memory that is allocated once.

    The counter of updates goes with them: whoever interrupts, they belong together.
    """

    cdef readonly int64_t steps  # updates done at the last `take`
    cdef object vectors, copies, counter
    cdef int64_t *now
    cdef int typenum, count
    cdef Py_ssize_t size, itemsize
    cdef void *vector[VECTORS]
    cdef void *copy[VECTORS]

    def __cinit__(self, vectors, cnp.ndarray counter):
        cdef cnp.ndarray first = vectors[0]
        cdef int k
        if len(vectors) > VECTORS:
            raise ValueError(f"{len(vectors)} vectors, wanted at most {VECTORS}")
        self.vectors = tuple(vectors)
        self.copies = tuple([np.empty_like(vector) for vector in vectors])
        self.counter, self.now = counter, <int64_t *> data(counter)
        self.count = <int> len(vectors)
        self.typenum = cnp.PyArray_TYPE(first)
        self.size, self.itemsize = cnp.PyArray_SIZE(first), cnp.PyArray_ITEMSIZE(first)
        for k in range(self.count):
            self.vector[k], self.copy[k] = data(self.vectors[k]), data(self.copies[k])

    def take(self):
        """Copy the vectors."""
        cdef int k
        with nogil:
            for k in range(self.count):
                memcpy(self.copy[k], self.vector[k], self.size * self.itemsize)
            self.steps = self.now[0]

    def put_back(self):
        """Give the vectors the values they had at the last `take`."""
        cdef int k
        with nogil:
            for k in range(self.count):
                memcpy(self.vector[k], self.copy[k], self.size * self.itemsize)
            self.now[0] = self.steps

    def is_finite(self):
        """Whether the vectors hold no NaN and no Inf."""
        cdef bint finite = True
        cdef int k
        with nogil:
            for k in range(self.count):
                finite &= finite_at(self.vector[k], self.typenum, self.size)
        return finite
