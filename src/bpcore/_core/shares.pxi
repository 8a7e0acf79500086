"""A member's share of the parameters: spans of rows of every W, and of b, that it adds up the
gradient of, clips, updates. A member alone has them all.
"""

cdef enum:
    PIECE_BYTES = 131072  # of a gradient that is to stay in a cache until it is spent


cdef int share_spans(const training_t *t, const member_t *me, bint by_arrays) noexcept nogil:
    """Into how many spans a member's share of the parameters falls: its rows of every W and b."""
    return 2 * t.net.n_layers if by_arrays or me.threads > 1 else 1


cdef Py_ssize_t share_span(
    const training_t *t, const member_t *me, const floating *p, bint by_arrays, int span,
    Py_ssize_t *first,
) noexcept nogil:
    """The length of one of them, and where it starts; alone, a member may take all as one."""
    if share_spans(t, me, by_arrays) == 1:
        first[0] = 0
        return t.n_parameters
    return layer_span(t, me, p, span // 2, span % 2, first)


cdef Py_ssize_t layer_span(
    const training_t *t, const member_t *me, const floating *p, int l, bint biases,
    Py_ssize_t *first,
) noexcept nogil:
    """The same of layer l's W, or its b."""
    cdef const floating *theta = <const floating *> t.parameters
    cdef const dense_t *layer = &t.net.layers[l]
    cdef Py_ssize_t begin = share_begin(me, layer.n_outputs)
    cdef Py_ssize_t rows = share_end(me, layer.n_outputs) - begin
    if biases:
        first[0] = <const floating *> layer.b - theta + begin
        return rows
    first[0] = <const floating *> layer.W - theta + begin * layer.n_inputs
    return rows * layer.n_inputs


cdef void add_gradients(
    training_t *t, const member_t *me, const floating *p, int slices
) noexcept nogil:
    """The batch's gradient, slice after slice: this member's share."""
    cdef floating *g
    cdef const floating *other
    cdef Py_ssize_t first = 0, count, k
    cdef int span, s
    for span in range(share_spans(t, me, False)):
        count = share_span(t, me, p, False, span, &first)
        g = <floating *> t.gradient + first
        for s in range(1, slices):
            other = <const floating *> t.gradients + (s - 1) * t.n_parameters + first
            for k in range(count):
                g[k] += other[k]


cdef void finish_gradient(training_t *t, const member_t *me, const floating *p) noexcept nogil:
    """The penalties' gradient, and clipping: this member's share."""
    cdef Py_ssize_t first = 0, count
    cdef floating factor
    cdef int span, l
    if t.l1 != 0 or t.l2 != 0:
        for l in range(t.net.n_layers):
            count = layer_span(t, me, p, l, False, &first)
            penalty_gradient(<const floating *> t.parameters + first,
                             <floating *> t.gradient + first, count, t.l1, t.l2)
    if t.clip_norm != 0:
        meet(me)
        factor = clip_factor(<const floating *> t.gradient, t.n_parameters, t.clip_norm)
        meet(me)
        if factor != 1:
            for span in range(share_spans(t, me, False)):
                count = share_span(t, me, p, False, span, &first)
                scale_by(<floating *> t.gradient + first, count, factor)


cdef double largest_gradient(training_t *t, const member_t *me, const floating *p) noexcept nogil:
    """max |g|, or NaN: every member looks at its share, and all learn the same."""
    cdef Py_ssize_t first = 0, count
    cdef double largest = 0, one
    cdef int span, member
    for span in range(share_spans(t, me, False)):
        count = share_span(t, me, p, False, span, &first)
        one = largest_absolute(<const floating *> t.gradient + first, count)
        largest = one if one > largest or isnan(one) else largest
    if me.threads == 1:
        return largest
    t.largest[me.index] = largest
    meet(me)
    for member in range(me.threads):
        one = t.largest[member]
        largest = one if one > largest or isnan(one) else largest
    return largest


cdef double update_span(
    training_t *t, const pace_t *pace, floating *g, Py_ssize_t first, Py_ssize_t count, double l2
) noexcept nogil:
    """The optimiser's step for parameters first … first + count - 1, whose gradient is g."""
    return apply_rule(&t.rule, pace, <floating *> t.parameters + first, g,
                      NULL if t.first == NULL else <floating *> t.first + first,
                      NULL if t.second == NULL else <floating *> t.second + first, count, l2)


cdef void update_share(
    training_t *t, const member_t *me, const floating *p, const pace_t *pace,
    double l2,  # of the penalty whose gradient is still to be added to that of the weights
) noexcept nogil:
    """The optimiser's step for this member's share."""
    cdef bint by_arrays = l2 != 0, weights
    cdef Py_ssize_t first = 0, count
    cdef double penalties = 0, squares
    cdef int span
    for span in range(share_spans(t, me, by_arrays)):
        count = share_span(t, me, p, by_arrays, span, &first)
        weights = by_arrays and span % 2 == 0
        squares = update_span(t, pace, <floating *> t.gradient + first, first, count,
                              l2 if weights else 0)
        if weights:
            penalties += penalty_of_squares(l2, squares)
    if by_arrays and me.threads == 1:
        t.penalties = penalties


cdef Py_ssize_t state_bytes(const training_t *t, const floating *p) noexcept nogil:
    """Bytes that an optimiser's step goes through: parameters, gradient and the rule's vectors."""
    return t.n_parameters * <Py_ssize_t> sizeof(p[0]) * (
        2 + (t.first != NULL) + (t.second != NULL))


cdef Py_ssize_t piece_rows(const dense_t *layer, Py_ssize_t n, const floating *p) noexcept nogil:
    """Outputs whose gradient is summed and spent at a time: all where a_in, which every piece goes
    through, is larger than the pieces would be, or is packed for the matrix unit."""
    cdef Py_ssize_t rows = PIECE_BYTES // (layer.n_inputs * <Py_ssize_t> sizeof(p[0]))
    rows = rows // TILE_ROWS * TILE_ROWS
    return layer.n_outputs if rows < n or layer.in_parts & GRADIENT else rows


cdef void spend_gradient(
    training_t *t, const floating *x, Py_ssize_t n, const member_t *me, const pace_t *pace
) noexcept nogil:
    """Gradient and optimiser's step of a piece of W after the other: this member's share.

    Each piece's gradient takes the place of the last one's: it never leaves the cache.
    """
    cdef Py_ssize_t begin, end, first, last, rows, position
    cdef floating *dW
    cdef floating *db
    cdef dense_t *layer
    cdef int l
    for l in range(t.net.n_layers - 1, -1, -1):
        layer = &t.net.layers[l]
        begin, end = share_begin(me, layer.n_outputs), share_end(me, layer.n_outputs)
        dW = <floating *> layer.dW + begin * layer.n_inputs
        db = <floating *> layer.db + begin
        rows = piece_rows(layer, n, x)
        first = begin
        while first < end:
            last = first + rows if end - first > rows else end
            dense_gradient(layer, inputs_of(&t.net, l, x), n, first, last, dW,
                           db + (first - begin), False, <floating> 1)
            position = <floating *> layer.W - <floating *> t.parameters + first * layer.n_inputs
            update_span(t, pace, dW, position, (last - first) * layer.n_inputs, 0)
            first = last
        position = <floating *> layer.b - <floating *> t.parameters + begin
        update_span(t, pace, db, position, end - begin, 0)
