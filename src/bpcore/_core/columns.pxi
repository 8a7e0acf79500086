"""The first layer by columns: when, and how V comes to stand for W and goes again.

In a stretch of plain SGD's steps V is turned from W once, changed step after step, and turned back
at the end; a step that keeps its gradient has V made for its forward pass alone. A team shares one
V, of which each member changes its panels of outputs.
"""

cdef enum:
    COLUMN_INPUTS = 16  # so few that W's way by rows is the longer one for any number of outputs


cdef bint goes_by_columns(const dense_t *layer, const floating *p, Py_ssize_t n) noexcept nogil:
    """Whether a batch of n samples does: decided as, and for the reason that, sums_by_dots is.

    Fewer samples than four wait for their sums; of V's lanes, whole vectors, an eighth may be
    empty; and a V that the second-level cache does not hold gains nothing (docs/kernels.md).
    """
    cdef Py_ssize_t i = layer.n_inputs, o = layer.n_outputs, wide = whole_vectors(p, o)
    return (4 <= n <= COLUMN_SAMPLES and o > 1 and layer.in_parts == 0 and not layer.by_lanes
            and (i <= COLUMN_INPUTS or 8 * o >= 7 * wide)
            and i * wide * <Py_ssize_t> sizeof(p[0]) <= NEAR_BYTES)


cdef Py_ssize_t column_bytes(
    const training_t *t, Py_ssize_t batch_size, Py_ssize_t itemsize
) noexcept nogil:
    """Room for V, where steps on such batches go by columns; else none"""
    cdef network_t net = t.net
    cdef dense_t first = net.layers[0]
    cdef bint goes
    if t.rule.kind != SGD or t.rule.momentum != 0 or t.l1 != 0 or t.l2 != 0 or t.clip_norm != 0:
        return 0
    net.layers, net.n_layers = &first, 1
    if itemsize == sizeof(float):
        choose_sums(&net, <float *> NULL, batch_size)
        goes = goes_by_columns(&first, <float *> NULL, batch_size)
    else:
        choose_sums(&net, <double *> NULL, batch_size)
        goes = goes_by_columns(&first, <double *> NULL, batch_size)
    if not goes:
        return 0
    return first.n_inputs * (first.n_outputs + lanes_of(itemsize)) * itemsize


cdef inline Py_ssize_t share_of_panels(
    const dense_t *layer, const floating *p, const member_t *me, Py_ssize_t *first
) noexcept nogil:
    """The output after a member's share of V's panels, and where it begins"""
    cdef Py_ssize_t panel = 2 * vector_length(p), panels = (layer.n_outputs + panel - 1) // panel
    first[0] = min(layer.n_outputs, share_begin(me, panels) * panel)
    return min(layer.n_outputs, share_end(me, panels) * panel)


cdef void turn_layer(
    const dense_t *layer, const floating *p, const member_t *me, bint back
) noexcept nogil:
    """V = Wᵀ, or back, by all of a team."""
    cdef Py_ssize_t first = 0, last = share_of_panels(layer, p, me, &first)
    if floating is float:
        turn(<vf32 *> layer.W, <vf32 *> layer.V, layer.n_inputs, first, last, back)
    else:
        turn(<vf64 *> layer.W, <vf64 *> layer.V, layer.n_inputs, first, last, back)
    meet(me)


cdef void leave_columns(training_t *t, const floating *p, const member_t *me) noexcept nogil:
    """W stands for itself again."""
    if t.net.layers[0].in_V:
        turn_layer(&t.net.layers[0], p, me, True)
        t.net.layers[0].in_V = False


cdef void forward_by_columns(
    dense_t *layer, const floating *a_in, floating *z, Py_ssize_t n
) noexcept nogil:
    """z = a_in V + b"""
    if floating is float:
        columns_f32(z, layer.b, a_in, layer.V, n, layer.n_inputs, layer.n_outputs, &layer.ahead)
    else:
        columns_f64(z, layer.b, a_in, layer.V, n, layer.n_inputs, layer.n_outputs, &layer.ahead)


cdef void descend_by_columns(
    dense_t *layer, const floating *a_in, Py_ssize_t n, const member_t *me
) noexcept nogil:
    """V ← V + a_inᵀ (-η δ), b ← b + Σ -η δ, where -η is in delta: a member's share"""
    cdef Py_ssize_t first = 0, last = share_of_panels(layer, a_in, me, &first)
    if first == last:
        return
    if floating is float:
        descent_by_columns(<vf32 *> layer.delta, <vf32 *> a_in, <vf32 *> layer.V,
                           <vf32 *> layer.b, n, layer.n_inputs, layer.n_outputs, first, last)
    else:
        descent_by_columns(<vf64 *> layer.delta, <vf64 *> a_in, <vf64 *> layer.V,
                           <vf64 *> layer.b, n, layer.n_inputs, layer.n_outputs, first, last)


cdef void columns_f32 "bpcore_columns_f32"(
    void *z, const void *bias, const void *a, const void *V, Py_ssize_t n, Py_ssize_t depth,
    Py_ssize_t columns, const ahead_t *ahead,
) noexcept nogil:
    """product_by_columns, compiled once in a function of its own."""
    product_by_columns(<vf32 *> z, <const vf32 *> bias, <const vf32 *> a, <const vf32 *> V, n,
                       depth, columns, ahead)


cdef void columns_f64 "bpcore_columns_f64"(
    void *z, const void *bias, const void *a, const void *V, Py_ssize_t n, Py_ssize_t depth,
    Py_ssize_t columns, const ahead_t *ahead,
) noexcept nogil:
    """The same."""
    product_by_columns(<vf64 *> z, <const vf64 *> bias, <const vf64 *> a, <const vf64 *> V, n,
                       depth, columns, ahead)
