"""A stretch of an epoch's training steps, and what is copied before it and looked at after it."""


cdef struct stretch_t:      # of an epoch: what every thread of a team is told
    void *X                 # (samples, n_inputs)
    void *Y                 # (samples, n_outputs), or NULL: then
    int64_t *labels         # (samples,)
    void *weight            # (samples,), or NULL: all 1
    int64_t *order          # (samples,): row i of the epoch is order[i]; NULL: i
    Py_ssize_t samples
    Py_ssize_t batch_size
    Py_ssize_t start        # steps start … stop - 1
    Py_ssize_t stop
    double *learning_rates  # one a step, or
    bint one_rate           # the first for all
    int64_t counter         # updates done before
    int guard               # UNGUARDED, or CALM_ONLY: ends before a step that could overflow
    const kept_t *take      # what is copied before the first step, or NULL
    const kept_t *look      # what is looked at for NaN and Inf after the last one, or NULL


cdef inline double rate_of(const stretch_t *data, Py_ssize_t step) noexcept nogil:
    """The learning rate of a step"""
    return data.learning_rates[0 if data.one_rate else step]


cdef void keep_share(
    training_t *t, const member_t *me, const floating *p, const kept_t *kept
) noexcept nogil:
    """Copy this member's share of the parameters and the optimiser's state: what it updates, and
    so has in its cache."""
    cdef Py_ssize_t first = 0, count
    cdef int span
    for span in range(share_spans(t, me, False)):
        count = share_span(t, me, p, False, span, &first)
        copy_span(kept, first, count, False)


cdef void look_at_share(
    training_t *t, const member_t *me, const floating *p, const kept_t *kept
) noexcept nogil:
    """Whether it is finite; all members know of all shares afterwards."""
    cdef Py_ssize_t first = 0, count
    cdef bint finite = True
    cdef int span
    for span in range(share_spans(t, me, False)):
        count = share_span(t, me, p, False, span, &first)
        finite &= span_is_finite(kept, first, count)
    t.finite[me.index] = finite
    meet(me)


cdef Py_ssize_t run_stretch(
    training_t *t, const stretch_t *data, const floating *p, const member_t *me,
    double *loss_sum, double *weight_sum,
) noexcept nogil:
    """The steps of a stretch; returns the one it got to, and adds up Σ w C and Σ w."""
    cdef Py_ssize_t step
    # Read before the last step: once all have met there, the first member may go on to another one.
    cdef const kept_t *look = data.look
    if data.take != NULL:
        keep_share(t, me, p, data.take)
    if goes_narrow(t, data.batch_size):
        step = narrow_stretch(t, data, p, loss_sum, weight_sum)
    else:
        step = wide_stretch(t, data, p, me, loss_sum, weight_sum)
    if look != NULL:
        look_at_share(t, me, p, look)
    return step


cdef Py_ssize_t wide_stretch(
    training_t *t, const stretch_t *data, const floating *p, const member_t *me,
    double *loss_sum, double *weight_sum,
) noexcept nogil:
    """The same, by matrix products."""
    cdef Py_ssize_t step, first, n
    cdef double C, total = 0
    cdef bint updated = True
    t.penalties = NAN  # the weights may have been changed since the last stretch
    for step in range(data.start, data.stop):
        first = step * data.batch_size
        n = data.batch_size if data.samples - first > data.batch_size else data.samples - first
        C = train_step(t, data, p, me, first, n, rate_of(data, step),
                       data.counter + step - data.start, data.guard, &total, &updated)
        if not updated:
            break
        loss_sum[0] += C * total
        weight_sum[0] += total
    else:
        step = data.stop
    leave_columns(t, p, me)
    return step


cdef double single_step(
    training_t *t, const stretch_t *data, const floating *p, const member_t *me, Py_ssize_t n,
    double learning_rate, int64_t count, int guard, double *batch_weight, bint *updated,
) noexcept nogil:
    """A step on one batch, all of the data, as a stretch would make it."""
    if goes_narrow(t, n):
        return narrow_step(t, data, p, n, learning_rate, count, guard, batch_weight, updated)
    return train_step(t, data, p, me, 0, n, learning_rate, count, guard, batch_weight, updated)
