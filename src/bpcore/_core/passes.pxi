"""The passes: a layer's forward, backward and gradient over rows of a batch, and a network's."""
cdef enum:
    PIECE = 1024  # elements that activation_pass copies at a time
    NEAR = 16384  # bytes of ∂C/∂a that leave room for as many of a in the first-level cache
    WORTH_SKIPPING = 30  # percent of nonzeros, below which not even the matrix unit is faster


cdef void activation_pass(
    int activation, const floating *z, floating *a, Py_ssize_t n, Py_ssize_t n_outputs,
    Py_ssize_t count,
) noexcept nogil:
    """a = σ(z), n samples; a may be z. `count` as for `activate`."""
    cdef Py_ssize_t first = 0, piece
    if activation == SOFTMAX:
        if z != a:
            memcpy(a, z, count * sizeof(z[0]))
        softmax(a, n, n_outputs)
        return
    if z == a:
        activate(activation, a, count)
        return
    while first < count:  # piece by piece, so that what is copied is still near
        piece = PIECE if count - first > PIECE else count - first
        memcpy(a + first, z + first, piece * sizeof(z[0]))
        activate(activation, a + first, piece)
        first += piece


cdef void delta_pass(
    int derivative, const floating *z, const floating *a, floating *delta, Py_ssize_t n,
    Py_ssize_t n_outputs, Py_ssize_t count,
) noexcept nogil:
    """δ = ∂C/∂a · σ'(z), n samples, in place; `count` as for `activate`."""
    if derivative == SOFTMAX:
        softmax_delta(a, delta, n, n_outputs)
    else:
        to_delta(derivative, z, a, delta, count)


cdef void dense_forward(
    dense_t *layer, const floating *a_in, Py_ssize_t first, Py_ssize_t n, bint padded
) noexcept nogil:
    """z = a_in Wᵀ + b, a = σ(z), rows first … first + n - 1; what ends padded is worked on in
    whole vectors."""
    cdef Py_ssize_t count = n * layer.n_outputs
    cdef floating *z = <floating *> layer.z + first * layer.n_outputs
    cdef floating *a = <floating *> layer.a + first * layer.n_outputs
    a_in += first * layer.n_inputs
    if layer.alone:
        forward_one(layer, a_in, z, padded)
    else:
        forward_product(layer, a_in, z, n)
    if layer.watched and not shows_finite(layer, a_in, <const floating *> z, n):
        layer.unclean = True
    count = whole_vectors(a_in, count) if padded else count
    if layer.derivative == GIVEN:
        differentiate(layer.activation, z, a, count)
    else:
        activation_pass(layer.activation, <const floating *> z, a, n, layer.n_outputs, count)


cdef void dense_delta(
    dense_t *layer, const floating *p, Py_ssize_t first, Py_ssize_t n, bint padded
) noexcept nogil:
    """δ = ∂C/∂a · σ'(z), from da where it is kept, else in place."""
    cdef Py_ssize_t count = n * layer.n_outputs, start = first * layer.n_outputs
    cdef floating *delta = <floating *> layer.delta + start
    if layer.da != NULL:
        memcpy(delta, <floating *> layer.da + start, count * sizeof(p[0]))
    delta_pass(layer.derivative, <const floating *> layer.z + start,
               <const floating *> layer.a + start, delta, n, layer.n_outputs,
               whole_vectors(p, count) if padded else count)


cdef void dense_backward(
    dense_t *layer, floating *da_in, Py_ssize_t first, Py_ssize_t n, bint padded
) noexcept nogil:
    """∂C/∂a_in = δ W"""
    cdef const floating *delta = <const floating *> layer.delta + first * layer.n_outputs
    da_in += first * layer.n_inputs
    if layer.alone:
        backward_one(layer, delta, da_in, padded)
    else:
        backward_product(layer, delta, da_in, n)


cdef bint skips_zeros(const dense_t *layer, const floating *a_in, Py_ssize_t n) noexcept nogil:
    """Whether ∂C/∂W, though it could be computed in parts, has so many zeros to pass over that it
    is not. All outputs are looked at, not a member's share: all of a team decide alike."""
    cdef const floating *delta = <const floating *> layer.delta
    cdef double nonzeros = 1
    if floating is float:
        if layer.sparse:
            nonzeros = share_of_nonzeros(<vf32 *> a_in, layer.n_inputs, n, layer.n_inputs)
        if is_often_zero(layer.activation):
            nonzeros = min(nonzeros, share_of_nonzeros(<vf32 *> delta, layer.n_outputs, n,
                                                       layer.n_outputs))
    return 100 * nonzeros < WORTH_SKIPPING


cdef inline void dense_gradient(
    dense_t *layer,
    const floating *a_in,  # IN  (n, n_inputs)
    Py_ssize_t n,
    Py_ssize_t first,      # outputs first … last - 1
    Py_ssize_t last,
    floating *dW,          # OUT of these, (last - first, n_inputs)
    floating *db,          # OUT (last - first,)
    bint accumulate,       # add to dW and db; to W and b that is SGD's step, with
    floating scale,        # s = -η; n > 1: already in delta
) noexcept nogil:
    """∂C/∂W = δᵀ a_in, ∂C/∂b = Σ δ; or W ← W + (-η δ)ᵀ a_in, b ← b + Σ -η δ"""
    cdef const floating *delta = <const floating *> layer.delta + first
    if first == last:
        return
    if n == 1:
        gradient_one(layer, delta, a_in, scale, dW, db, last - first, accumulate)
    else:
        gradient_product(layer, delta, a_in, dW, db, n, last - first, accumulate,
                         (layer.in_parts & GRADIENT) != 0 and not skips_zeros(layer, a_in, n))


cdef void forward_pass(
    network_t *net, const floating *x, Py_ssize_t first, Py_ssize_t n, bint padded
) noexcept nogil:
    """Every layer's z and a, rows first … first + n - 1."""
    cdef int l
    for l in range(net.n_layers):
        dense_forward(&net.layers[l], inputs_of(net, l, x), first, n, padded)


cdef void delta_below(
    dense_t *layer, dense_t *below, const floating *p, Py_ssize_t first, Py_ssize_t n, bint padded
) noexcept nogil:
    """∂C/∂a_in = δ W and, of the layer below, δ = ∂C/∂a · σ'(z); rows as in backward_pass.

    A single output's product is no work but writing it down: some rows at a time, which are still
    near when they become δ. Such rows begin anywhere, so that whole vectors of the last ones would
    reach past the array's end: no more than the rows themselves is worked on.
    """
    cdef floating *da = <floating *> (below.delta if below.da == NULL else below.da)
    cdef Py_ssize_t last = first + n, rows = n
    if n > 1 and layer.n_outputs == 1:
        rows = max(<Py_ssize_t> 1, NEAR // (layer.n_inputs * <Py_ssize_t> sizeof(p[0])))
    padded = padded and rows >= n
    while first < last:
        n = rows if last - first > rows else last - first
        dense_backward(layer, da, first, n, padded)
        dense_delta(below, p, first, n, padded)
        first += n


cdef void backward_pass(
    network_t *net, floating *dx, Py_ssize_t first, Py_ssize_t n, bint padded
) noexcept nogil:
    """Every layer's delta from the last layer's, and ∂C/∂X unless dx is NULL; rows as above.

    ∂C/∂a is looked up one layer down.
    """
    cdef int l
    for l in range(net.n_layers - 1, 0, -1):
        delta_below(&net.layers[l], &net.layers[l - 1], <const floating *> dx, first, n, padded)
    if dx != NULL:
        dense_backward(&net.layers[0], dx, first, n, False)


cdef void gradient_pass(
    network_t *net, const floating *x, Py_ssize_t n, const member_t *me, bint accumulate,
    bint descend, floating scale,
) noexcept nogil:
    """This member's share of every layer's gradient, or of SGD's step."""
    cdef Py_ssize_t first, last
    cdef floating *dW
    cdef floating *db
    cdef dense_t *layer
    cdef int l
    for l in range(net.n_layers - 1, -1, -1):
        layer = &net.layers[l]
        if COLUMN_SAMPLES > 0 and layer.in_V:
            descend_by_columns(layer, x, n, me)
            continue
        first, last = share_begin(me, layer.n_outputs), share_end(me, layer.n_outputs)
        dW = <floating *> (layer.W if descend else layer.dW) + first * layer.n_inputs
        db = <floating *> (layer.b if descend else layer.db) + first
        dense_gradient(layer, inputs_of(net, l, x), n, first, last, dW, db,
                       accumulate or descend, scale)


cdef inline const floating *inputs_of(
    const network_t *net, int l, const floating *x
) noexcept nogil:
    """Layer l's a_in: X, or what the layer below gives."""
    return x if l == 0 else <const floating *> net.layers[l - 1].a


cdef double loss_pass(
    network_t *net, const floating *y, const int64_t *labels, const floating *weight,
    double share, bint fused, floating *out, Py_ssize_t first, Py_ssize_t n, double *losses,
) noexcept nogil:
    """The rows' share of C, and the last layer's da (fused: delta) in `out`."""
    cdef dense_t *last = &net.layers[net.n_layers - 1]
    cdef Py_ssize_t start = first * last.n_outputs
    return loss_of(net, <const floating *> last.z + start, <const floating *> last.a + start,
                   row(y, first, last.n_outputs), label_row(labels, first), row(weight, first, 1),
                   share, fused, out + start, n, losses)


cdef double loss_of(
    const network_t *net, const floating *z, const floating *a, const floating *y,
    const int64_t *labels, const floating *weight, double share, bint fused, floating *out,
    Py_ssize_t n, double *losses,
) noexcept nogil:
    """loss_block of the network's loss, compiled once."""
    return loss_block(net.loss, fused, z, a, y, labels, weight, share, out, n,
                      net.layers[net.n_layers - 1].n_outputs, net.largest_loss, losses)


cdef bint predict_rows(
    network_t *net, const floating *x, floating *z, floating *out, Py_ssize_t n,
    floating *one, floating *other, bint looked,
) noexcept nogil:
    """The last layer's z, unless it is NULL, and a into out. False, and nothing of worth there, if
    x holds NaN or Inf; unless it was `looked` through before, it is by its first z.

    `one` and `other` hold n rows of the widest layer and are overwritten.
    """
    cdef int l
    cdef dense_t *layer
    cdef floating *to
    for l in range(net.n_layers):
        layer = &net.layers[l]
        to = one
        if l == net.n_layers - 1:
            to = out if z == NULL else z
        if layer.alone:
            forward_one(layer, x, to, False)
        else:
            forward_product(layer, x, to, n)
        if l == 0 and not looked and not shows_finite(layer, x, <const floating *> to, n):
            return False
        activation_pass(layer.activation, <const floating *> to,
                        out if l == net.n_layers - 1 else to, n, layer.n_outputs,
                        n * layer.n_outputs)
        x, one, other = to, other, one
    return True


cdef bint shows_finite(
    const dense_t *layer, const floating *x, const floating *z, Py_ssize_t n
) noexcept nogil:
    """Whether x is finite, by its z = x Wᵀ + b: Inf and NaN times any weight, 0 too, make every sum
    that they are in Inf or NaN. A z may be so for other reasons; then x itself is looked through.
    """
    cdef floating nothing[4]
    cdef Py_ssize_t i = 0, k, step = layer.n_outputs
    for k in range(4):
        nothing[k] = 0
    # One z of each sample, as 0 times a finite number is 0; four sums, as each addition waits.
    while i + 4 <= n:
        for k in range(4):
            nothing[k] += <floating> 0 * z[(i + k) * step]
        i += 4
    while i < n:
        nothing[0] += <floating> 0 * z[i * step]
        i += 1
    return ((nothing[0] + nothing[1]) + (nothing[2] + nothing[3]) == 0
            or all_finite(x, n * layer.n_inputs))
