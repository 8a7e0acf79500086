"""A team of threads that take one training step together: samples, then parameters.

A large batch is cut into slices, each with a gradient of its own; their number depends on the
network and the batch alone. Threads share out the slices, so that a slice's activations stay with
one processor; where there are more threads than slices, a group of them takes a slice together:
each takes its share of the samples forward and back to every delta; after a barrier each sums its
share of every layer's outputs over all samples. Then all meet, and each adds up and updates its
share of the parameters. No number is computed in another way or order than by one thread alone.
"""
from bpcore._math.network cimport network_t
from bpcore._math.rounding cimport ceil_div

cdef extern from "barrier.h" nogil:
    ctypedef struct barrier_t:
        int arrived
        int round
    int BARRIERS
    void barrier_wait(barrier_t *barrier, int threads)
    void set_flag(int *flag, int value)
    int wait_while(int *flag, int value)
    int wait_briefly(int *flag, int value)
    bint set_flag_if(int *flag, int value, int then)

cdef extern from "processor.h" nogil:
    int this_processor()
    void leave_processor(int processor)

cdef enum:
    WORTH_A_THREAD = 350000  # multiply-adds of a step, below which a thread more does not pay
    SLICES = 16              # at most
    SLICE_ROWS = 128         # at least: a gradient's traffic must be repaid
    SLICED_PARAMETERS = 1048576  # at most, of all slices together: each has a gradient

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


cdef inline int group_of(const member_t *me, int slices, barrier_t *barriers,
                         member_t *part) noexcept nogil:
    """The number of groups; me as a member of one of them, with a barrier of its own."""
    cdef int groups = slices if slices < me.threads else me.threads
    cdef int group = me.index % groups
    part.index = me.index // groups
    part.threads = ceil_div(me.threads - group, groups)
    part.barrier = &barriers[group]
    return groups


cdef inline Py_ssize_t work_a_sample(const network_t *net) noexcept nogil:
    """Multiply-adds of a step for each sample, about; a third of it are the weights."""
    cdef Py_ssize_t work = 0
    cdef int l
    for l in range(net.n_layers):
        work += 3 * net.layers[l].n_inputs * net.layers[l].n_outputs
    return work


cdef inline int slice_count(const network_t *net, Py_ssize_t batch_size) noexcept nogil:
    """Slices of a batch: by the network and the batch alone, so that sums keep their order."""
    cdef Py_ssize_t work, slices = batch_size // SLICE_ROWS
    if slices < 2:
        return 1
    work = work_a_sample(net)
    if slices > SLICED_PARAMETERS // (work // 3):
        slices = SLICED_PARAMETERS // (work // 3)
    if slices > batch_size * work // WORTH_A_THREAD:
        slices = batch_size * work // WORTH_A_THREAD
    slices = SLICES if slices > SLICES else slices
    return <int> slices if slices > 1 else 1


cdef inline int team_size(
    const network_t *net, Py_ssize_t batch_size, int wanted
) noexcept nogil:
    """Threads that pay for steps of this size, at most `wanted`: each has work, and rows."""
    cdef Py_ssize_t size = batch_size * work_a_sample(net) // WORTH_A_THREAD
    size = batch_size // 8 if size > batch_size // 8 else size
    size = wanted if size > wanted else size
    return <int> size if size > 1 and BARRIERS else 1
