"""A training step: gather, forward, backward, penalties, clipping, update.

No Python, and no allocation: everything lies in a `training_t`. Each thread of a
team runs these functions for its share, see `_math/team.pxd`.
"""

cdef enum:  # what a training step may do with its gradient
    UNGUARDED
    CALM_ONLY
    NO_UPDATE

cdef enum:  # what becomes of a batch's gradient
    KEPT   # in the network's vector, for who is to look at it or to change it
    ADDED  # to the weights where it is summed: plain SGD's step
    SPENT  # on the optimiser's step, a piece of a layer's W after the other

cdef enum:
    STATE_BYTES = 1048576  # of parameters and all that is kept of each; from here on caches end


cdef struct training_t:
    network_t net
    rule_t rule
    Py_ssize_t n_parameters
    Py_ssize_t block     # samples that go through all layers at a time
    int most_slices      # of a batch
    Py_ssize_t planned_for  # samples of the batch that these two and the layers' choices are for
    int slices           # that it is cut into
    int way              # what becomes of its gradient if it is not guarded
    training_t *blocks   # (groups,): whose arrays for a block of samples each group uses
    int block_of         # the group whose arrays these are
    barrier_t *barriers  # (slices,), one for each group of a team
    void *gradients      # (slices - 1, n_parameters): of every slice but the first
    double *slice_losses  # (slices,)
    double *largest      # (threads,): of each member's share of the gradient
    bint *finite         # (threads,): each member's share of what a stretch looks at
    void *parameters     # (n_parameters,), as gradient and the optimiser's state
    void *gradient
    void *first
    void *second
    void *x              # (block, n_inputs): the shuffled rows, gathered
    void *y              # (block, n_outputs)
    int64_t *labels      # (block,)
    void *weight         # (block,)
    double *losses       # (block,)
    double l1
    double l2
    double clip_norm     # 0: no clipping
    double penalties     # of the weights as the last step left them; NaN: not known
    narrow_t *narrow     # (n_layers,), or NULL: steps do not go by narrow_stretch
    Py_ssize_t narrow_size  # elements of all parameters in vectors
    void *V              # room for the first layer's W by columns, or NULL
    void *panels         # room for every W's panels, or NULL: a batch is one block, or W is large
    void *vectors        # (4, narrow_size): parameters, gradient, first and second in vectors;
    # behind them what narrow_room counts


cdef double train_step(
    training_t *t,
    const stretch_t *data,
    const floating *p,        # for the type
    const member_t *me,
    Py_ssize_t first,
    Py_ssize_t n,             # the batch: rows first, first + 1, …, first + n - 1
    double learning_rate,
    int64_t count,            # updates done before
    int guard,                # UNGUARDED, or CALM_ONLY, NO_UPDATE: these keep the gradient
    double *batch_weight,     # OUT Σ w
    bint *updated,            # OUT False: nothing was updated
) noexcept nogil:
    """Forward, backward, update, this member's share; returns C (penalties included)."""
    cdef double share = batch_share(<const floating *> data.weight, data.order, first, n,
                                    batch_weight)
    cdef double C = 0, penalties = 0
    cdef int slices, groups, group, s, way
    cdef member_t part
    cdef pace_t pace = pace_of(&t.rule, learning_rate, <double> (count + 1))
    # Where nobody looks at the gradient before, the update adds the squares' gradient to it.
    cdef bint in_one = t.l1 == 0 and t.clip_norm == 0 and guard == UNGUARDED
    if t.planned_for != n:
        leave_columns(t, p, me)
        plan_batch(t, p, n)
    if t.net.layers[0].V != NULL and not t.net.layers[0].in_V:
        turn_layer(&t.net.layers[0], p, me, False)
        t.net.layers[0].in_V = in_one
    if t.panels != NULL:
        pack_for_blocks(t, p, n)
    slices, way = t.slices, t.way if in_one else KEPT
    if t.l1 != 0 or t.l2 != 0:
        penalties = t.penalties if not isnan(t.penalties) else penalties_of(t, p)
        t.penalties = NAN
    if slices == 1:
        take_block(t, 0)
        C = slice_pass(t, data, p, me, share, first, n, way, &pace)
    else:
        groups = group_of(me, slices, t.barriers, &part)
        group = me.index % groups
        take_block(t, group)
        for s in range(slices * group // groups, slices * (group + 1) // groups):
            give_gradient(t, p, s)
            C = slice_pass(t, data, p, &part, share, first + n * s // slices,
                           n * (s + 1) // slices - n * s // slices, KEPT, &pace)
            if part.index == 0:
                t.slice_losses[s] = C
        give_gradient(t, p, 0)
        meet(me)
        C = 0
        for s in range(slices):
            C += t.slice_losses[s]
        add_gradients(t, me, p, slices)
    C += penalties
    updated[0] = isfinite(C) and guard != NO_UPDATE
    if way == KEPT:
        if not in_one:
            finish_gradient(t, me, p)
        if updated[0] and guard == CALM_ONLY:
            updated[0] = is_calm(&t.rule, p, largest_gradient(t, me, p), learning_rate)
        if updated[0]:
            update_share(t, me, p, &pace, t.l2 if in_one else 0)
    meet(me)
    return C


cdef void plan_batch(training_t *t, const floating *p, Py_ssize_t n) noexcept nogil:
    """Decide what a batch's size alone decides. Where nobody looks at the gradient and no squares'
    is added, one slice and block need not even keep it."""
    choose_sums(&t.net, p, n)
    t.planned_for, t.slices, t.way = n, min(slice_count(&t.net, n), t.most_slices), KEPT
    if t.l2 == 0 and n <= t.block and t.slices == 1:
        if t.rule.kind == SGD and t.rule.momentum == 0:
            t.way = ADDED if ends_with_weights(&t.net, n) else KEPT
        elif state_bytes(t, p) >= STATE_BYTES:
            t.way = SPENT
    t.net.layers[0].V = NULL
    if t.V != NULL and t.way == ADDED and goes_by_columns(&t.net.layers[0], p, n):
        t.net.layers[0].V, t.net.layers[0].by_dots = t.V, False


cdef void pack_for_blocks(training_t *t, const floating *p, Py_ssize_t n) noexcept nogil:
    """Every W's panels, once for all blocks of a step, if there are several."""
    cdef char *to = <char *> t.panels
    cdef dense_t *layer
    cdef int l
    for l in range(t.net.n_layers):
        layer = &t.net.layers[l]
        layer.panels = NULL
        if (n + t.slices - 1) // t.slices > t.block and goes_by_tiles(layer):
            pack_layer(layer, to, p)
            to += panel_bytes(layer, p)


cdef bint ends_with_weights(const network_t *net, Py_ssize_t n) noexcept nogil:
    """Whether W + Σ -η δᵀ a_in rounds W once: a sum that begins with W rounds it with every sample,
    and steps too small for that are lost."""
    cdef int l
    for l in range(net.n_layers):
        if net.layers[l].in_parts & GRADIENT:
            return False
    return ends_with_init(n, 1)


cdef double penalties_of(const training_t *t, const floating *p) noexcept nogil:
    """λ1 Σ|W| + λ2/2 Σ W² of all layers, one after the other"""
    cdef const dense_t *layer
    cdef double total = 0
    cdef int l
    for l in range(t.net.n_layers):
        layer = &t.net.layers[l]
        total += penalty(<const floating *> layer.W, layer.n_inputs * layer.n_outputs, t.l1, t.l2)
    return total


cdef double slice_pass(
    training_t *t, const stretch_t *data, const floating *p, const member_t *me, double share,
    Py_ssize_t first, Py_ssize_t n, int way, const pace_t *pace,
) noexcept nogil:
    """Forward, backward and the gradient of rows first … first + n - 1, or the step that it is
    spent on: this member's share. Returns their part of the loss."""
    cdef network_t *net = &t.net
    cdef dense_t *last = &net.layers[net.n_layers - 1]
    cdef dense_t *layer
    cdef Py_ssize_t n_inputs = net.layers[0].n_inputs, n_outputs = last.n_outputs
    cdef double C = 0, total = 0
    cdef Py_ssize_t blocks = 1 if n <= t.block else (n + t.block - 1) // t.block
    cdef Py_ssize_t block, done, m, start, mine, after, k
    cdef bint padded = me.threads == 1
    cdef coming_t coming
    cdef floating scale = <floating> (-pace.learning_rate if way == ADDED else 1.0)
    cdef floating *delta
    cdef const floating *x
    cdef const floating *y
    cdef const floating *w
    cdef const int64_t *label
    cdef int l
    for block in range(blocks):
        done, m = 0, n
        if blocks > 1:
            done = n * block // blocks
            m = n * (block + 1) // blocks - done
        mine, after = share_begin(me, m), share_end(me, m)
        # A team's steps are long, and what comes next to a member is not known here.
        coming = rows_after(t, data, first + done + m, m if padded else 0, sizeof(p[0]))
        fetch_ahead(&net.layers[0], data, first + done + m, padded)
        if data.order == NULL or m == 1:
            start = first + done if data.order == NULL else data.order[first + done]
            x = row(<const floating *> data.X, start, n_inputs)
            y = row(<const floating *> data.Y, start, n_outputs)
            label = label_row(data.labels, start)
            w = row(<const floating *> data.weight, start, 1)
        else:
            gather_rows(t, data, data.order + first + done, mine, after,
                        rows_soon(t, sizeof(p[0])) if padded else 0, p)
            x = <const floating *> t.x
            y = NULL if data.Y == NULL else <const floating *> t.y
            label = NULL if data.labels == NULL else t.labels
            w = NULL if data.weight == NULL else <const floating *> t.weight
        if after > mine:
            forward_pass(net, x, mine, after - mine, padded)
            fetch_some(t, data, &coming, sizeof(p[0]))
            total = loss_pass(net, y, label, w, share, net.fused, <floating *> last.delta, mine,
                              after - mine, NULL if padded else t.losses + mine)
            fetch_some(t, data, &coming, sizeof(p[0]))
            if net.layers[0].unclean:  # the loss of such rows is no number
                total = t.losses[mine] = NAN
            if not net.fused:
                dense_delta(last, p, mine, after - mine, padded)
            backward_pass(net, <floating *> NULL, mine, after - mine, padded)
            fetch_some(t, data, &coming, sizeof(p[0]))
            if way == ADDED and m > 1:
                for l in range(net.n_layers):
                    layer = &net.layers[l]
                    delta = <floating *> layer.delta
                    for k in range(mine * layer.n_outputs, after * layer.n_outputs):
                        delta[k] *= scale
        meet(me)
        if me.threads > 1:
            total = sum_of_losses(t.losses, m)
        C += total
        if way != KEPT and not isfinite(C):
            break
        if way == SPENT:
            spend_gradient(t, x, m, me, pace)
        else:
            gradient_pass(net, x, m, me, block > 0, way == ADDED, scale)
        fetch_some(t, data, &coming, sizeof(p[0]))
        if block < blocks - 1:
            meet(me)
    return C


cdef void take_block(training_t *t, int group) noexcept nogil:
    """Work in the arrays of this group: a last, smaller batch may have fewer of them."""
    cdef const training_t *block
    cdef int l
    if t.block_of == group:
        return
    block = &t.blocks[group]
    t.block_of = group
    t.x, t.y, t.labels = block.x, block.y, block.labels
    t.weight, t.losses = block.weight, block.losses
    for l in range(t.net.n_layers):
        t.net.layers[l].z = block.net.layers[l].z
        t.net.layers[l].a = block.net.layers[l].a
        t.net.layers[l].delta = block.net.layers[l].delta


cdef void give_gradient(training_t *t, const floating *p, int index) noexcept nogil:
    """Let the layers' dW and db be those of slice `index`; the first one's are the network's."""
    cdef floating *theta = <floating *> t.parameters
    cdef floating *g = <floating *> t.gradient
    cdef dense_t *layer
    cdef int l
    if index > 0:
        g = <floating *> t.gradients + (index - 1) * t.n_parameters
    for l in range(t.net.n_layers):
        layer = &t.net.layers[l]
        layer.dW = g + (<floating *> layer.W - theta)
        layer.db = g + (<floating *> layer.b - theta)
