"""A team of threads that take one training step together: samples, then parameters.

Every thread takes its share of the samples forward and back to every delta; after a barrier it
sums and updates its share of every layer's outputs over all samples. No number is computed in
another way or order than by one thread alone.
"""
from bpcore._math.network cimport network_t

cdef extern from "barrier.h" nogil:
    ctypedef struct barrier_t:
        int arrived
        int round
    int BARRIERS
    void barrier_wait(barrier_t *barrier, int threads)
    void set_flag(int *flag, int value)
    int wait_while(int *flag, int value)

cdef enum:
    WORTH_A_THREAD = 150000  # multiply-adds of a step, below which a thread more does not pay

cdef struct member_t:  # one of the team
    int index
    int threads
    barrier_t *barrier


cdef inline void meet(const member_t *me) noexcept nogil:
    """Wait for all."""
    barrier_wait(me.barrier, me.threads)


cdef inline Py_ssize_t share_begin(const member_t *me, Py_ssize_t n) noexcept nogil:
    """The first of n rows that is this member's."""
    return 0 if me.threads == 1 else n * me.index // me.threads


cdef inline Py_ssize_t share_end(const member_t *me, Py_ssize_t n) noexcept nogil:
    """The row after its last one."""
    return n if me.threads == 1 else n * (me.index + 1) // me.threads


cdef inline int team_size(
    const network_t *net, Py_ssize_t batch_size, int wanted
) noexcept nogil:
    """Threads that pay for steps of this size, at most `wanted`: each has work, and rows."""
    cdef Py_ssize_t work = 0, size
    cdef int l
    for l in range(net.n_layers):
        work += 3 * net.layers[l].n_inputs * net.layers[l].n_outputs
    size = batch_size * work // WORTH_A_THREAD
    size = batch_size // 8 if size > batch_size // 8 else size
    size = wanted if size > wanted else size
    return <int> size if size > 1 and BARRIERS else 1
