"""Steps of a narrow network: a stretch of them, and a single one."""


cdef bint goes_narrow(const training_t *t, Py_ssize_t batch_size) noexcept nogil:
    """Whether a batch does; a single step's may be larger than what the arena has room for."""
    return t.narrow != NULL and batch_size <= min(t.block, <Py_ssize_t> NARROW_SAMPLES)


cdef bint narrow_update(
    training_t *t, const floating *p, const pace_t *pace, int guard
) noexcept nogil:
    """The optimiser's step in vectors, unless it could overflow and only calm ones are wanted"""
    cdef Py_ssize_t size = t.narrow_size
    cdef floating *theta = <floating *> t.vectors
    cdef floating *g = theta + size
    if guard == CALM_ONLY and not is_calm_along(&t.rule, g, size, pace.learning_rate):
        return False
    apply_rule(&t.rule, pace, theta, g, theta + 2 * size, theta + 3 * size, size, 0)
    return True


cdef inline Py_ssize_t narrow_descent(
    training_t *t, const stretch_t *data, const vec *p, double *loss_sum, double *weight_sum,
) noexcept nogil:
    """narrow_stretch of plain SGD, whose gradient nobody looks at, a sample at a time"""
    cdef const narrow_t *last = t.narrow + (t.net.n_layers - 1)
    cdef bint by_lanes = loss_by_lanes(&t.net, last)
    cdef Py_ssize_t step = data.start
    cdef double C, share = 1, total = 1, losses = loss_sum[0], weights = weight_sum[0]
    while step < data.stop:
        if data.weight != NULL and vec is vf32:
            share = batch_share(<const float *> data.weight, data.order, step, 1, &total)
        elif data.weight != NULL:
            share = batch_share(<const double *> data.weight, data.order, step, 1, &total)
        C = narrow_one(t, data, p, last, by_lanes, step, share, -rate_of(data, step), 0)
        if not isfinite(C):
            break
        losses += C * total
        weights += total
        step += 1
    loss_sum[0], weight_sum[0] = losses, weights
    return step


cdef Py_ssize_t narrow_steps(
    training_t *t, const stretch_t *data, const floating *p, double *loss_sum, double *weight_sum,
) noexcept nogil:
    """narrow_stretch of any optimiser and batch: the gradient, and then the step"""
    cdef Py_ssize_t step = data.start, first, n
    cdef double C, share = 0, total = 0
    cdef pace_t pace
    while step < data.stop:
        first = step * data.batch_size
        n = min(data.batch_size, data.samples - first)
        if data.weight != NULL or total != n:
            share = batch_share(<const floating *> data.weight, data.order, first, n, &total)
        C = narrow_gradient(t, data, first, <int> n, share, p)
        if not isfinite(C):
            break
        pace = pace_of(&t.rule, rate_of(data, step),
                       <double> (data.counter + step - data.start + 1))
        if not narrow_update(t, p, &pace, data.guard):
            break
        loss_sum[0] += C * total
        weight_sum[0] += total
        step += 1
    return step


cdef Py_ssize_t narrow_stretch(
    training_t *t, const stretch_t *data, const floating *p, double *loss_sum, double *weight_sum,
) noexcept nogil:
    """run_stretch of a narrow network"""
    cdef Py_ssize_t step
    cdef bint descends = t.rule.kind == SGD and t.rule.momentum == 0 and data.guard == UNGUARDED
    take_block(t, 0)
    address_narrow(t, p)
    move_narrow(t, p, False)
    if descends and is_unit(t, data, vector_length(p)):
        if floating is float:
            step = unit_stretch(t, data, <vf32 *> t.vectors, loss_sum, weight_sum)
        else:
            step = unit_stretch(t, data, <vf64 *> t.vectors, loss_sum, weight_sum)
    elif descends and data.batch_size == 1:
        if floating is float:
            step = narrow_descent(t, data, <const vf32 *> p, loss_sum, weight_sum)
        else:
            step = narrow_descent(t, data, <const vf64 *> p, loss_sum, weight_sum)
    else:
        step = narrow_steps(t, data, p, loss_sum, weight_sum)
    move_narrow(t, p, True)
    return step


cdef double narrow_step(
    training_t *t, const stretch_t *data, const floating *p, Py_ssize_t n, double learning_rate,
    int64_t count, int guard, double *batch_weight, bint *updated,
) noexcept nogil:
    """train_step of a narrow network: no part of a stretch, so that its gradient is to be seen"""
    cdef floating *vectors = <floating *> t.vectors
    cdef floating *theta = <floating *> t.parameters
    cdef floating *gradient = <floating *> t.gradient
    cdef double share = batch_share(<const floating *> data.weight, data.order, 0, n, batch_weight)
    cdef pace_t pace = pace_of(&t.rule, learning_rate, <double> (count + 1))
    cdef double C
    cdef int l
    take_block(t, 0)
    address_narrow(t, p)
    move_narrow(t, p, False)
    C = narrow_gradient(t, data, 0, <int> n, share, p)
    for l in range(t.net.n_layers):
        move_layer(&t.narrow[l], gradient + (<floating *> t.net.layers[l].W - theta),
                   gradient + (<floating *> t.net.layers[l].b - theta), vectors + t.narrow_size,
                   True)
    updated[0] = isfinite(C) and guard != NO_UPDATE and narrow_update(t, p, &pace, guard)
    if updated[0]:
        move_narrow(t, p, True)
    return C
