"""Forward, loss and backward of few samples through a narrow network.

A vector holds a sample's a or δ of a layer. Of one sample they go on in registers, and are written
down beside for those who need single elements later; several go through a layer together, so that
σ is one loop.
"""


cdef inline void narrow_activation(const narrow_t *layer, int n, const vec *p) noexcept nogil:
    """a = σ(z) of n samples, in place; beyond the outputs 0"""
    cdef vec *a = <vec *> layer.a
    cdef int i
    if vec is vf32:
        activation_pass(layer.activation, <float *> a, <float *> a, n, layer.n_outputs,
                        n * layer.lanes)
    else:
        activation_pass(layer.activation, <double *> a, <double *> a, n, layer.n_outputs,
                        n * layer.lanes)
    if not keeps_zero(layer.activation):
        for i in range(n):
            a[i] = first_lanes(a[i], layer.n_outputs)


cdef void narrow_delta(const narrow_t *layer, int n, const vec *p) noexcept nogil:
    """δ = ∂C/∂a · σ'(z) of n vectors, in place"""
    if vec is vf32:
        delta_pass(layer.activation, <float *> layer.z, <float *> layer.a, <float *> layer.delta,
                   n, layer.n_outputs, n * layer.lanes)
    else:
        delta_pass(layer.activation, <double *> layer.z, <double *> layer.a,
                   <double *> layer.delta, n, layer.n_outputs, n * layer.lanes)


cdef inline vec lanes_activation(const narrow_t *layer, vec z, int used) noexcept nogil:
    """a = σ(z) of the first `used` lanes, 0 in the others; z and a go to memory, too"""
    (<vec *> layer.z)[0] = z
    if layer.activation == IDENTITY:
        (<vec *> layer.a)[0] = z
        return z
    return other_activation(layer, z, used)


cdef vec other_activation(const narrow_t *layer, vec z, int used) noexcept nogil:
    """lanes_activation of all but the identity, compiled once"""
    cdef vec *a = <vec *> layer.a
    if in_lanes(layer.activation):
        z = activated(layer.activation, z)
    else:
        a[0] = z
        if vec is vf32:
            activation_pass(layer.activation, <float *> a, <float *> a, 1, layer.lanes,
                            layer.lanes)
        else:
            activation_pass(layer.activation, <double *> a, <double *> a, 1, layer.lanes,
                            layer.lanes)
        z = a[0]
    if not keeps_zero(layer.activation):
        z = first_lanes(z, used)
    a[0] = z
    return z


cdef inline vec lanes_delta(const narrow_t *layer, vec da) noexcept nogil:
    """δ = ∂C/∂a · σ'(z) of lanes whose z and a are in memory"""
    cdef vec *delta = <vec *> layer.delta
    if in_lanes(layer.activation):
        return derived(layer.activation, <const vec *> layer.a, da)
    delta[0] = da
    narrow_delta(layer, 1, delta)
    return delta[0]


cdef inline vec through_one(
    const narrow_t *layer, const narrow_t *last, bint whole, const vec *p
) noexcept nogil:
    """One sample's z and a, layer after layer; returns the last a, or if not `whole` the last z."""
    cdef vec out = narrow_z(layer, zero(p), <const vec *> layer.a_in, <const vec *> layer.W, False)
    while layer != last or whole:
        out = lanes_activation(layer, out, layer.n_outputs)
        if layer == last:
            return out
        layer += 1
        out = narrow_z(layer, out, <const vec *> layer.a_in, <const vec *> layer.W, True)
    (<vec *> layer.z)[0] = out
    return out


cdef inline void back_through_one(
    const narrow_t *first, const narrow_t *layer, vec delta,
    Py_ssize_t shift,  # elements from a parameter to where its gradient goes; none: SGD's step
) noexcept nogil:
    """One sample's δ and gradient, from the last layer's δ on; ∂C/∂a is looked up a layer down."""
    cdef const vec *a_in
    cdef vec *W
    cdef vec *kept
    cdef vec da
    while True:
        a_in, W, kept = <const vec *> layer.a_in, <vec *> layer.W, <vec *> layer.delta
        kept[0] = da = delta
        if layer != first:
            da = narrow_da(layer, delta, kept, W)
        add_outer(layer, delta, kept, a_in, at(W, shift), at(<vec *> layer.b, shift), shift == 0)
        if layer == first:
            return
        layer -= 1
        delta = lanes_delta(layer, da)


cdef inline void through_some(
    const narrow_t *layer, const narrow_t *last, int n, const vec *p
) noexcept nogil:
    """z of all layers, and a of all but the last, of n samples"""
    cdef const vec *a_in
    cdef vec *a
    cdef vec *z
    cdef int i
    while True:
        a_in, a, z = <const vec *> layer.a_in, <vec *> layer.a, <vec *> layer.z
        for i in range(n):
            z[i] = narrow_z(layer, zero(p), a_in, <const vec *> layer.W, False)
            if z != a:
                a[i] = z[i]
            a_in += layer.pieces
        if layer == last:
            return
        if layer.activation != IDENTITY:
            narrow_activation(layer, n, p)
        layer += 1


cdef inline void back_through_some(
    const narrow_t *first, const narrow_t *layer, int n, Py_ssize_t shift, const vec *p
) noexcept nogil:
    """δ and the gradient of n samples, from the last layer's δ on"""
    cdef const vec *a_in
    cdef const vec *delta
    cdef vec *W
    cdef int i
    while True:
        a_in, delta, W = <const vec *> layer.a_in, <const vec *> layer.delta, <vec *> layer.W
        for i in range(n):
            if layer != first:
                (<vec *> (layer - 1).delta)[i] = narrow_da(layer, delta[i], delta + i, W)
            add_outer(layer, delta[i], delta + i, a_in, at(W, shift), at(<vec *> layer.b, shift),
                      i > 0)
            a_in += layer.pieces
        if layer == first:
            return
        layer -= 1
        if layer.activation != IDENTITY:
            narrow_delta(layer, n, p)


cdef void narrow_terms(
    const network_t *net, const narrow_t *last, const floating *y, floating *c, double s
) noexcept nogil:
    """Each output's part of C, and ∂C/∂a (fused: δ)"""
    output_terms(net.loss, <const floating *> last.z, <const floating *> last.a, y,
                 <floating *> last.delta, c, last.lanes, <floating> s, net.largest_loss)


cdef double loss_of_samples(
    const network_t *net, const floating *c, int n, int n_outputs, double s
) noexcept nogil:
    """C of few samples whose outputs' parts of it lie side by side, summed as loss_block does"""
    cdef double losses[NARROW_SAMPLES]
    cdef double C = 0
    cdef int i
    if n_outputs == 1:
        for i in range(n):
            C += rounded(c[i] * s)
        return C
    for i in range(n):
        losses[i] = 0
    add_row_sums(c, n, n_outputs, losses)
    for i in range(n):
        if net.loss in (MEAN_SQUARED_ERROR, MEAN_ABSOLUTE_ERROR):
            losses[i] /= n_outputs
        C += rounded(losses[i] * s)
    return C


cdef inline vec loss_of_lanes(
    const network_t *net, const narrow_t *last, vec a, vec y,
    int n,     # samples: the outputs of one, or of several side by side
    double s,  # a sample's share of C
    double scale,  # of δ
    double *C,  # OUT
) noexcept nogil:
    """The last layer's δ, of a loss each of whose terms belongs to one output"""
    cdef vec c, delta
    cdef double each = s
    if net.loss in (MEAN_SQUARED_ERROR, MEAN_ABSOLUTE_ERROR):
        each = s / last.n_outputs
    if net.loss <= MEAN_SQUARED_ERROR:
        delta = a - y
        c = delta * delta
        delta *= everywhere(<const vec *> last.a, 2 * scale * each)
    else:
        if vec is vf32:
            narrow_terms(net, last, <float *> &y, <float *> &c, scale * each)
        else:
            narrow_terms(net, last, <double *> &y, <double *> &c, scale * each)
        delta = (<vec *> last.delta)[0]
        c = first_lanes(c, n * last.n_outputs)
    if n > 1:
        if vec is vf32:
            C[0] = loss_of_samples(net, <const float *> &c, n, last.n_outputs, s)
        else:
            C[0] = loss_of_samples(net, <const double *> &c, n, last.n_outputs, s)
    elif s != 0:
        C[0] = (element(&c) if last.n_outputs == 1 else sum_of(c)) * each
    else:
        C[0] = 0
    return delta if net.fused else lanes_delta(last, delta)


cdef double loss_of_rows(
    training_t *t, const stretch_t *data, Py_ssize_t first, int n, double share, const floating *p
) noexcept nogil:
    """C, and the last layer's a and δ from its z: of n samples side by side, without gaps"""
    cdef dense_t *last = &t.net.layers[t.net.n_layers - 1]
    cdef const floating *y = row(<const floating *> data.Y, first, last.n_outputs)
    cdef const floating *w = row(<const floating *> data.weight, first, 1)
    cdef const int64_t *label = label_row(data.labels, first)
    cdef floating *a = <floating *> last.a
    cdef floating *delta = <floating *> last.delta
    cdef double C
    if data.order != NULL:
        gather_targets(t, data, data.order + first, 0, n, p)
        y = NULL if data.Y == NULL else <const floating *> t.y
        label = NULL if data.labels == NULL else t.labels
        w = NULL if data.weight == NULL else <const floating *> t.weight
    activation_pass(last.activation, <const floating *> last.z, a, n, last.n_outputs,
                    n * last.n_outputs)
    C = loss_of(&t.net, <const floating *> last.z, a, y, label, w, share, t.net.fused, delta, n,
                NULL)
    if not t.net.fused:
        delta_pass(last.activation, <const floating *> last.z, a, delta, n, last.n_outputs,
                   n * last.n_outputs)
    return C


cdef inline bint loss_by_lanes(const network_t *net, const narrow_t *last) noexcept nogil:
    """Whether loss_of_lanes has the loss of a sample."""
    return last.activation != SOFTMAX and by_outputs(net.loss, net.fused)


cdef inline bint in_one_vector(
    const network_t *net, const narrow_t *last, int n
) noexcept nogil:
    """Whether the outputs of n samples fit into a vector, and loss_of_lanes has the loss."""
    return n * last.n_outputs <= last.lanes and loss_by_lanes(net, last)


cdef inline double loss_in_lanes(
    training_t *t, const stretch_t *data, const narrow_t *last, Py_ssize_t first, int n,
    double share, const vec *p,
) noexcept nogil:
    """loss_of_rows of rows in_one_vector"""
    cdef dense_t *rows = &t.net.layers[t.net.n_layers - 1]
    cdef const vec *y = at(<const vec *> data.Y, first * last.n_outputs)
    cdef int used = n * last.n_outputs
    cdef double C = 0
    cdef vec a = load_part(<const vec *> rows.z, 0, used)
    if data.order != NULL:
        if vec is vf32:
            gather_targets(t, data, data.order + first, 0, n, <const float *> p)
        else:
            gather_targets(t, data, data.order + first, 0, n, <const double *> p)
        y = <const vec *> t.y
    a = lanes_activation(last, a, used)
    (<vec *> rows.delta)[0] = loss_of_lanes(&t.net, last, a, load_part(y, 0, used), n, share, 1, &C)
    return C


cdef inline double narrow_loss(
    training_t *t, const stretch_t *data, const narrow_t *last, Py_ssize_t first, int n,
    double share, double scale, const vec *p,
) noexcept nogil:
    """C, and the last layer's δ of n samples"""
    cdef dense_t *rows = &t.net.layers[t.net.n_layers - 1]
    cdef const vec *z = <const vec *> last.z
    cdef vec delta
    cdef double C
    cdef int i
    for i in range(n):
        store_part(<vec *> rows.z, i * last.n_outputs, z[i], last.n_outputs)
    if data.weight == NULL and in_one_vector(&t.net, last, n):
        C = loss_in_lanes(t, data, last, first, n, share, p)
    elif vec is vf32:
        C = loss_of_rows(t, data, first, n, share, <const float *> p)
    else:
        C = loss_of_rows(t, data, first, n, share, <const double *> p)
    for i in range(n):
        delta = load_part(<vec *> rows.delta, i * last.n_outputs, last.n_outputs)
        delta *= everywhere(p, scale)
        (<vec *> last.delta)[i] = delta
    return C


cdef inline const vec *narrow_input(
    training_t *t, const vec *X, Py_ssize_t k, int i, bint alone
) noexcept nogil:
    """Row k in whole vectors, as sample i of the batch; or, of one whose single elements are read,
    where it lies"""
    cdef const narrow_t *layer = t.narrow
    cdef Py_ssize_t width = lanes(X), v
    cdef vec *room = at(<vec *> t.vectors, 4 * t.narrow_size + i * layer.pieces * width)
    X = at(X, k * layer.n_inputs)
    if alone and not layer.by_rows:
        return X
    for v in range(layer.pieces - 1):
        room[v] = load(X, v * width)
    v = (layer.pieces - 1) * width
    room[layer.pieces - 1] = load_part(X, v, <int> (layer.n_inputs - v))
    return room


cdef inline double narrow_one(
    training_t *t, const stretch_t *data, const vec *p, const narrow_t *last, bint by_lanes,
    Py_ssize_t first, double share,
    double scale,      # of δ
    Py_ssize_t shift,  # as for back_through_one
) noexcept nogil:
    """Forward, loss and backward of row `first`; C"""
    cdef narrow_t *layers = t.narrow
    cdef Py_ssize_t k = row_of(t, data, first, element_size(p))
    cdef double C = 0
    cdef vec a, y, delta
    layers.a_in = <void *> narrow_input(t, <const vec *> data.X, k, 0, True)
    a = through_one(layers, last, by_lanes, p)
    if by_lanes:
        if data.weight != NULL:
            share *= element(at(<const vec *> data.weight, k))
        y = load_part(at(<const vec *> data.Y, k * last.n_outputs), 0, last.n_outputs)
        delta = loss_of_lanes(&t.net, last, a, y, 1, share, scale, &C)
    else:
        C = narrow_loss(t, data, last, first, 1, share, scale, p)
        delta = (<vec *> last.delta)[0]
    if isfinite(C) or shift > 0:
        back_through_one(layers, last, delta, shift)
    return C


cdef inline double narrow_some(
    training_t *t, const stretch_t *data, const vec *p, Py_ssize_t first, int n, double share,
) noexcept nogil:
    """Forward, loss and gradient of rows first … first + n - 1; C"""
    cdef narrow_t *layers = t.narrow
    cdef narrow_t *last = layers + (t.net.n_layers - 1)
    cdef double C
    cdef int i
    layers.a_in = at(<vec *> t.vectors, 4 * t.narrow_size)
    for i in range(n):
        narrow_input(t, <const vec *> data.X, row_of(t, data, first + i, element_size(p)), i, False)
    through_some(layers, last, n, p)
    C = narrow_loss(t, data, last, first, n, share, 1, p)
    back_through_some(layers, last, n, t.narrow_size, p)
    return C


cdef double narrow_gradient(
    training_t *t, const stretch_t *data, Py_ssize_t first, int n, double share, const floating *p
) noexcept nogil:
    """C of rows first … first + n - 1, and the gradient in the network's vectors"""
    cdef const narrow_t *last = t.narrow + (t.net.n_layers - 1)
    cdef bint by_lanes = loss_by_lanes(&t.net, last)
    if floating is float:
        if n == 1:
            return narrow_one(t, data, <const vf32 *> p, last, by_lanes, first, share, 1,
                              t.narrow_size)
        return narrow_some(t, data, <const vf32 *> p, first, n, share)
    else:
        if n == 1:
            return narrow_one(t, data, <const vf64 *> p, last, by_lanes, first, share, 1,
                              t.narrow_size)
        return narrow_some(t, data, <const vf64 *> p, first, n, share)
