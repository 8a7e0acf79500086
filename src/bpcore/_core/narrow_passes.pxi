"""Forward, loss and backward of few samples through a narrow network: its parameters in vectors.

A number that is written to memory and read again is a dozen ticks late. So of one sample the last a
becomes δ in a register, and δ goes on as one. A vector holds a sample's a or δ of a layer.
"""


cdef inline vec z_by_rows(const narrow_t *layer, const vec *a_in, const vec *W) noexcept nogil:
    """z_m = b_m + Σ_n W[m, n] a_in[n]"""
    cdef vec rows[16]
    cdef vec total, b = load(<const vec *> layer.b, 0)
    cdef Py_ssize_t width = lanes(W)
    cdef int m, v
    for m in range(layer.n_outputs):
        total = load(a_in, 0) * load(W, 0)
        W = at(W, width)
        for v in range(1, layer.pieces):
            total += load(a_in, v * width) * load(W, 0)
            W = at(W, width)
        if layer.n_outputs == 1:
            return only_sum(total) + b
        rows[m] = total
    for m in range(layer.n_outputs, width):
        rows[m] = zero(W)
    return sums(rows, layer.n_outputs, <int> width) + b


cdef inline vec z_by_columns(
    const narrow_t *layer, const vec *a_in, const vec *W
) noexcept nogil:
    """The same, W's columns side by side: z = b + Σ_n a_in[n] W[:, n]"""
    cdef vec b = load(<const vec *> layer.b, 0)
    return b + weighted_sum(broadcast(a_in, 0), a_in, W, layer.n_inputs)


cdef inline vec da_by_rows(
    const narrow_t *layer, vec delta, const vec *kept, const vec *W
) noexcept nogil:
    """∂C/∂a_in[n] = Σ_m δ_m W[m, n]"""
    return weighted_sum(first_everywhere(delta), kept, W, layer.n_outputs)


cdef inline vec da_by_columns(const narrow_t *layer, vec delta, const vec *W) noexcept nogil:
    """The same, W's columns side by side"""
    cdef vec products[16]
    cdef Py_ssize_t width = lanes(W)
    cdef int n
    for n in range(layer.n_inputs):
        products[n] = delta * load(W, n * width)
    for n in range(layer.n_inputs, width):
        products[n] = zero(W)
    return sums(products, layer.n_inputs, <int> width)


cdef inline vec weighted_sum(
    vec first, const vec *weights, const vec *x, int count
) noexcept nogil:
    """Σ_k w_k x_k of vectors side by side, w_0 in all lanes of `first`; two sums, since one waits
    for each addition"""
    cdef Py_ssize_t width = lanes(x)
    cdef vec even = first * load(x, 0), odd = zero(x)
    cdef int k = 1
    while k + 1 < count:
        odd += broadcast(weights, k) * load(x, k * width)
        even += broadcast(weights, k + 1) * load(x, (k + 1) * width)
        k += 2
    if k < count:
        odd += broadcast(weights, k) * load(x, k * width)
    return even + odd


cdef inline void add_outer(
    const narrow_t *layer, vec delta, const vec *kept, const vec *a_in, vec *dW, vec *db,
    bint accumulate,
) noexcept nogil:
    """∂C/∂W = δ a_inᵀ, ∂C/∂b = δ, in the place of what is there or added to it"""
    cdef Py_ssize_t width = lanes(dW)
    cdef vec d = first_everywhere(delta)
    cdef int m = 0, v
    put_or_add(db, delta, accumulate)
    if layer.by_rows:
        while True:
            for v in range(layer.pieces):
                put_or_add(dW, d * load(a_in, v * width), accumulate)
                dW = at(dW, width)
            m += 1
            if m == layer.n_outputs:
                return
            d = broadcast(kept, m)
    for m in range(layer.n_inputs):
        put_or_add(dW, delta * broadcast(a_in, m), accumulate)
        dW = at(dW, width)


cdef inline void put_or_add(vec *p, vec x, bint accumulate) noexcept nogil:
    store(p, 0, load(p, 0) + x if accumulate else x)


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


cdef inline void narrow_delta(const narrow_t *layer, int n, const vec *p) noexcept nogil:
    """δ = ∂C/∂a · σ'(z) of n samples, in place"""
    if vec is vf32:
        delta_pass(layer.activation, <float *> layer.z, <float *> layer.a, <float *> layer.delta,
                   n, layer.n_outputs, n * layer.lanes)
    else:
        delta_pass(layer.activation, <double *> layer.z, <double *> layer.a,
                   <double *> layer.delta, n, layer.n_outputs, n * layer.lanes)


cdef inline vec narrow_forward(
    const narrow_t *layer, const narrow_t *end, const narrow_t *activated, int n, const vec *p
) noexcept nogil:
    """z and, of the layers before `activated`, a of n samples, layer after layer; returns the last
    sample's last one"""
    cdef vec out = zero(p)
    cdef const vec *a_in
    cdef vec *a
    cdef vec *z
    cdef int i
    while layer != end:
        a_in, a, z = <const vec *> layer.a_in, <vec *> layer.a, <vec *> layer.z
        for i in range(n):
            if layer.by_rows:
                out = z_by_rows(layer, a_in, <const vec *> layer.W)
            else:
                out = z_by_columns(layer, a_in, <const vec *> layer.W)
            a[i] = out
            if z != a:
                z[i] = out
            a_in += layer.pieces
        if layer.activation != IDENTITY and layer != activated:
            narrow_activation(layer, n, p)
            out = a[n - 1]
        layer += 1
    return out


cdef inline void narrow_backward(
    const narrow_t *first, const narrow_t *layer, int n, vec delta,
    Py_ssize_t shift,  # elements from a parameter to where its gradient goes; none: SGD's step
) noexcept nogil:
    """δ and the gradient of n samples, from the last layer's δ on, of which the last sample's comes
    in a register. ∂C/∂a is looked up one layer down."""
    cdef const vec *a_in
    cdef const vec *kept
    cdef vec *dW
    cdef vec *db
    cdef vec mine, da = delta
    cdef int i
    while True:
        a_in, kept = <const vec *> layer.a_in, <const vec *> layer.delta
        dW, db = at(<vec *> layer.W, shift), at(<vec *> layer.b, shift)
        for i in range(n):
            mine = kept[i] if i < n - 1 else delta
            if layer != first:
                if layer.by_rows:
                    da = da_by_rows(layer, mine, kept + i, <const vec *> layer.W)
                else:
                    da = da_by_columns(layer, mine, <const vec *> layer.W)
                (<vec *> (layer - 1).delta)[i] = da
            add_outer(layer, mine, kept + i, a_in, dW, db, i > 0 or shift == 0)
            a_in += layer.pieces
        if layer == first:
            return
        layer, delta = layer - 1, da
        if layer.activation != IDENTITY:
            narrow_delta(layer, n, dW)
            delta = (<vec *> layer.delta)[n - 1]


cdef void narrow_terms(
    const network_t *net, const narrow_t *last, const floating *y, floating *c, double s
) noexcept nogil:
    """Each output's part of C, and ∂C/∂a (fused: δ)"""
    output_terms(net.loss, <const floating *> last.z, <const floating *> last.a, y,
                 <floating *> last.delta, c, last.lanes, <floating> s, net.largest_loss)


cdef inline vec loss_of_one(
    const network_t *net, const narrow_t *last, vec a, const vec *y, double s, double scale,
    double *C,  # OUT
) noexcept nogil:
    """The last layer's δ of one sample, of a loss each of whose terms belongs to one output"""
    cdef vec target = load_part(y, 0, last.n_outputs), c, delta
    if net.loss in (MEAN_SQUARED_ERROR, MEAN_ABSOLUTE_ERROR):
        s /= last.n_outputs
    if net.loss <= MEAN_SQUARED_ERROR:
        delta = a - target
        c = delta * delta
        delta *= everywhere(y, 2 * scale * s)
        (<vec *> last.delta)[0] = delta
    else:
        if vec is vf32:
            narrow_terms(net, last, <float *> &target, <float *> &c, scale * s)
        else:
            narrow_terms(net, last, <double *> &target, <double *> &c, scale * s)
        delta = (<vec *> last.delta)[0]
        c = first_lanes(c, last.n_outputs)
    C[0] = (element(&c) if last.n_outputs == 1 else sum_of(c)) * s if s != 0 else 0
    if net.fused or last.activation == IDENTITY:
        return delta
    narrow_delta(last, 1, y)
    return (<vec *> last.delta)[0]


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


cdef inline vec narrow_loss(
    training_t *t, const stretch_t *data, const narrow_t *last, Py_ssize_t first, int n,
    double share, double scale, double *C, const vec *p,
) noexcept nogil:
    """The last layer's δ of n samples, of which the last one's is returned"""
    cdef dense_t *rows = &t.net.layers[t.net.n_layers - 1]
    cdef const vec *z = <const vec *> last.a
    cdef vec delta = zero(p)
    cdef int i
    for i in range(n):
        store_part(<vec *> rows.z, i * last.n_outputs, z[i], last.n_outputs)
    if vec is vf32:
        C[0] = loss_of_rows(t, data, first, n, share, <const float *> p)
    else:
        C[0] = loss_of_rows(t, data, first, n, share, <const double *> p)
    for i in range(n):
        delta = load_part(<vec *> rows.delta, i * last.n_outputs, last.n_outputs)
        delta *= everywhere(p, scale)
        (<vec *> last.delta)[i] = delta
    return delta


cdef inline double narrow_batch(
    training_t *t, const stretch_t *data, const vec *p, Py_ssize_t first,
    int n,             # a constant if it is 1
    double share,
    double scale,      # of δ
    Py_ssize_t shift,  # as for narrow_backward
) noexcept nogil:
    """Forward, loss and backward of rows first … first + n - 1; C"""
    cdef narrow_t *layers = t.narrow
    cdef narrow_t *last = layers + (t.net.n_layers - 1)
    cdef vec *room = at(<vec *> t.vectors, 4 * t.narrow_size)
    cdef const vec *x
    cdef Py_ssize_t width = lanes(p), v, k = first
    cdef double C = 0
    cdef vec a, delta
    cdef bint by_lanes = n == 1 and last.activation != SOFTMAX and by_outputs(t.net.loss,
                                                                              t.net.fused)
    cdef int i
    layers.a_in = room
    for i in range(n):
        k = first + i if data.order == NULL else data.order[first + i]
        x = at(<const vec *> data.X, k * layers.n_inputs)
        if n == 1 and not layers.by_rows:
            layers.a_in = <void *> x  # of which single elements are read
        else:
            v = 0
            while v < layers.n_inputs:
                room[0] = load_part(x, v, <int> min(width, layers.n_inputs - v))
                room, v = room + 1, v + width
    a = narrow_forward(layers, last + 1, NULL if by_lanes else last, n, p)
    if by_lanes:
        if data.weight != NULL:
            share *= element(at(<const vec *> data.weight, k))
        delta = loss_of_one(&t.net, last, a, at(<const vec *> data.Y, k * last.n_outputs), share,
                            scale, &C)
    else:
        delta = narrow_loss(t, data, last, first, n, share, scale, &C, p)
    if isfinite(C) or shift > 0:
        narrow_backward(layers, last, n, delta, shift)
    return C
