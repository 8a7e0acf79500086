"""Training of a narrow network by few samples: its parameters in whole vectors, step after step.

Where a step is some dozens of multiply-adds, what counts is how long each operation waits for the
one before, and how much is done to find out what to do. So for a stretch of steps W and b move into
vectors of their own, the lanes beyond them 0: each is then read in the very piece in which the last
step wrote it, which a processor hands over without a detour through the cache. W lies there by rows
or by columns, whichever are fewer. In its rows z is a sum of lanes and ∂C/∂a_in a sum of rows, in
its columns z is a sum of columns and ∂C/∂a_in of lanes. The optimiser's state comes along.

Inputs, a, z and δ end in whole vectors here; beyond a and δ, too, the lanes are 0.
"""
cdef enum:
    NARROW_INPUTS = 16   # of the first layer, at most: first_look.py knows of it
    NARROW_SAMPLES = 8   # a batch, at most
    NARROW_VECTORS = 64  # of parameters, at most


cdef struct narrow_t:  # a layer
    bint by_rows     # W's vectors are rows, or pieces of them; else columns
    int pieces       # vectors a row takes
    int n_inputs
    int n_outputs
    int activation
    int lanes        # of a vector: from memory, as loops over a constant's lanes become no vectors
    Py_ssize_t at_W  # where W begins in the network's vectors: elements before it
    Py_ssize_t at_b  # and b, a vector
    void *W
    void *b
    void *a_in       # (n, pieces) vectors
    void *z          # (n,) vectors, as a, delta; z may be a
    void *a
    void *delta


cdef Py_ssize_t lay_out_narrow(
    narrow_t *layers, const network_t *net, Py_ssize_t itemsize
) noexcept nogil:
    """Where the layers' parameters lie in vectors; returns the elements that these hold, or 0 if the
    network is not a narrow one. `layers` may be NULL."""
    cdef Py_ssize_t used = 0, width = lanes_of(itemsize)
    cdef int rows, l
    cdef narrow_t place
    if net.layers[0].n_inputs > NARROW_INPUTS:
        return 0
    for l in range(net.n_layers):
        if net.layers[l].n_outputs > width or (
                net.layers[l].activation == SOFTMAX and l < net.n_layers - 1):
            return 0
        place.n_inputs = <int> net.layers[l].n_inputs
        place.n_outputs = <int> net.layers[l].n_outputs
        place.activation, place.lanes = net.layers[l].activation, <int> width
        place.pieces = <int> ((place.n_inputs + width - 1) // width)
        rows = place.n_outputs * place.pieces
        place.by_rows = rows < place.n_inputs
        place.at_W = used
        place.at_b = used + (rows if place.by_rows else place.n_inputs) * width
        used = place.at_b + width
        if layers != NULL:
            layers[l] = place
    return used if used <= NARROW_VECTORS * width else 0


cdef Py_ssize_t narrow_size(
    const training_t *t, Py_ssize_t batch_size, Py_ssize_t itemsize
) noexcept nogil:
    """The elements of lay_out_narrow, or 0 if steps of such batches do not go this way."""
    cdef double epsilon = t.rule.epsilon
    if itemsize == sizeof(float):
        epsilon = <float> epsilon
    if t.rule.kind not in (SGD, RPROP) and epsilon == 0:  # 0 / 0 beyond W
        return 0
    if batch_size > NARROW_SAMPLES or t.l1 != 0 or t.l2 != 0 or t.clip_norm != 0:
        return 0
    return lay_out_narrow(NULL, &t.net, itemsize)


cdef void move_layer(
    const narrow_t *layer, floating *W, floating *b, floating *vectors, bint back
) noexcept nogil:
    """W and b, or what is kept of them, from the network's order into vectors, or back."""
    cdef Py_ssize_t width = vector_length(W), k = 0
    cdef Py_ssize_t row = layer.pieces * width if layer.by_rows else 1
    cdef Py_ssize_t step = 1 if layer.by_rows else width
    cdef floating *to
    cdef int m, n
    for m in range(layer.n_outputs):
        to = vectors + layer.at_W + m * row
        for n in range(layer.n_inputs):
            if back:
                W[k] = to[n * step]
            else:
                to[n * step] = W[k]
            k += 1
    for m in range(layer.n_outputs):
        if back:
            b[m] = vectors[layer.at_b + m]
        else:
            vectors[layer.at_b + m] = b[m]


cdef void move_narrow(training_t *t, const floating *p, bint back) noexcept nogil:
    """Parameters and the optimiser's state into vectors, or back."""
    cdef Py_ssize_t size = t.narrow_size, W, b
    cdef floating *theta = <floating *> t.parameters
    cdef floating *first = <floating *> t.first
    cdef floating *second = <floating *> t.second
    cdef floating *vectors = <floating *> t.vectors
    cdef int l
    if not back:
        memset(vectors, 0, 4 * size * sizeof(p[0]))
    for l in range(t.net.n_layers):
        W = <floating *> t.net.layers[l].W - theta
        b = <floating *> t.net.layers[l].b - theta
        move_layer(&t.narrow[l], theta + W, theta + b, vectors, back)
        if first != NULL:
            move_layer(&t.narrow[l], first + W, first + b, vectors + 2 * size, back)
        if second != NULL:
            move_layer(&t.narrow[l], second + W, second + b, vectors + 3 * size, back)


cdef Py_ssize_t narrow_room(const training_t *t, Py_ssize_t itemsize) noexcept nogil:
    """Elements of `vectors`: parameters, gradient, state, and a batch's inputs, z, a, delta"""
    cdef Py_ssize_t width = lanes_of(itemsize)
    return 4 * t.narrow_size + NARROW_SAMPLES * (
        NARROW_INPUTS + width + 3 * t.net.n_layers * width)


cdef void address_narrow(training_t *t, const floating *p) noexcept nogil:
    """Where the layers find what they work on."""
    cdef floating *vectors = <floating *> t.vectors
    cdef floating *room = vectors + 4 * t.narrow_size
    cdef Py_ssize_t block = NARROW_SAMPLES * vector_length(p)
    cdef narrow_t *layer
    cdef int l
    t.narrow.a_in = room
    room += t.narrow.pieces * block
    for l in range(t.net.n_layers):
        layer = &t.narrow[l]
        layer.W, layer.b = vectors + layer.at_W, vectors + layer.at_b
        layer.z, layer.a, layer.delta = room, room + block, room + 2 * block
        room += 3 * block
        if not keeps_z(&t.net, l):
            layer.z = layer.a
        if l > 0:
            layer.a_in = t.narrow[l - 1].a


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


cdef inline double narrow_samples(
    training_t *t, const stretch_t *data, const vec *p, Py_ssize_t first, int n, double share,
    double scale, Py_ssize_t shift,
) noexcept nogil:
    """narrow_batch, of one sample without the loops"""
    if n == 1:
        return narrow_batch(t, data, p, first, 1, share, scale, shift)
    return narrow_batch(t, data, p, first, n, share, scale, shift)


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


cdef Py_ssize_t narrow_stretch(
    training_t *t, const stretch_t *data, const floating *p, double *loss_sum, double *weight_sum,
) noexcept nogil:
    """run_stretch of a narrow network"""
    cdef Py_ssize_t step = data.start, first, n, shift
    cdef bint descends = t.rule.kind == SGD and t.rule.momentum == 0 and data.guard == UNGUARDED
    cdef double C, share = 0, scale, total = 0, losses = loss_sum[0], weights = weight_sum[0]
    cdef pace_t pace
    take_block(t, 0)
    address_narrow(t, p)
    move_narrow(t, p, False)
    while step < data.stop:
        first = step * data.batch_size
        n = min(data.batch_size, data.samples - first)
        if data.weight != NULL or total != n:
            share = batch_share(<const floating *> data.weight, data.order, first, n, &total)
        scale, shift = 1, t.narrow_size
        if descends and n == 1:
            scale, shift = -data.learning_rates[step], 0
        if floating is float:
            C = narrow_samples(t, data, <const vf32 *> p, first, <int> n, share, scale, shift)
        else:
            C = narrow_samples(t, data, <const vf64 *> p, first, <int> n, share, scale, shift)
        if not isfinite(C):
            break
        if shift > 0:
            pace = pace_of(&t.rule, data.learning_rates[step],
                           <double> (data.counter + step - data.start + 1))
            if not narrow_update(t, p, &pace, data.guard):
                break
        losses += C * total
        weights += total
        step += 1
    move_narrow(t, p, True)
    loss_sum[0], weight_sum[0] = losses, weights
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
    if floating is float:
        C = narrow_samples(t, data, <const vf32 *> p, 0, <int> n, share, 1, t.narrow_size)
    else:
        C = narrow_samples(t, data, <const vf64 *> p, 0, <int> n, share, 1, t.narrow_size)
    for l in range(t.net.n_layers):
        move_layer(&t.narrow[l], gradient + (<floating *> t.net.layers[l].W - theta),
                   gradient + (<floating *> t.net.layers[l].b - theta), vectors + t.narrow_size,
                   True)
    updated[0] = isfinite(C) and guard != NO_UPDATE and narrow_update(t, p, &pace, guard)
    if updated[0]:
        move_narrow(t, p, True)
    return C
