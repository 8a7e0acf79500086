"""The passes: a layer's forward, backward and gradient over rows of a batch, and a network's.

Functions of their own, not inline ones: the products of `_math` are most of a
module, and what is compiled once keeps it small.
"""
cdef enum:
    PIECE = 1024  # elements that activation_pass copies at a time
    ALIKE = 64    # samples of a single output that go through with as many copies of b
    NEAR = 16384  # bytes of ∂C/∂a that leave room for as many of a in the first-level cache
    PANEL_BYTES = 1048576  # of all W's panels that are worth keeping: the second-level cache's half
    WORTH_SKIPPING = 30  # percent of nonzeros, below which not even the matrix unit is faster


cdef void panel_f32 "bpcore_panel_f32"(
    void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init,
    const void *a, Py_ssize_t a_row, Py_ssize_t a_step, int a_packed,
    const void *b, Py_ssize_t ldb, Py_ssize_t full,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
) noexcept nogil:
    """What run_panel calls."""
    panel_product(<vf32 *> c, ldc, <const vf32 *> init, ld_init, <const vf32 *> a, a_row, a_step,
                  a_packed, <const vf32 *> b, ldb, full, rows, columns, depth, False)


cdef void panel_f64 "bpcore_panel_f64"(
    void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init,
    const void *a, Py_ssize_t a_row, Py_ssize_t a_step, int a_packed,
    const void *b, Py_ssize_t ldb, Py_ssize_t full,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
) noexcept nogil:
    """What run_panel calls."""
    panel_product(<vf64 *> c, ldc, <const vf64 *> init, ld_init, <const vf64 *> a, a_row, a_step,
                  a_packed, <const vf64 *> b, ldb, full, rows, columns, depth, False)


cdef void shallow_f32 "bpcore_shallow_f32"(
    void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init,
    const void *a, Py_ssize_t a_row, Py_ssize_t a_step,
    const void *b, Py_ssize_t ldb, Py_ssize_t full,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
) noexcept nogil:
    """What run_panel calls."""
    shallow_panel(<vf32 *> c, ldc, <const vf32 *> init, ld_init, <const vf32 *> a, a_row, a_step,
                  <const vf32 *> b, ldb, full, rows, columns, depth)


cdef void shallow_f64 "bpcore_shallow_f64"(
    void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init,
    const void *a, Py_ssize_t a_row, Py_ssize_t a_step,
    const void *b, Py_ssize_t ldb, Py_ssize_t full,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
) noexcept nogil:
    """What run_panel calls."""
    shallow_panel(<vf64 *> c, ldc, <const vf64 *> init, ld_init, <const vf64 *> a, a_row, a_step,
                  <const vf64 *> b, ldb, full, rows, columns, depth)


cdef void wide_f32 "bpcore_wide_f32"(
    void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init,
    const void *a, Py_ssize_t a_row, Py_ssize_t a_step, int a_packed,
    const void *b, Py_ssize_t ldb, Py_ssize_t full,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
) noexcept nogil:
    """What run_panel calls."""
    panel_product(<vf32 *> c, ldc, <const vf32 *> init, ld_init, <const vf32 *> a, a_row, a_step,
                  a_packed, <const vf32 *> b, ldb, full, rows, columns, depth, True)


cdef void wide_f64 "bpcore_wide_f64"(
    void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init,
    const void *a, Py_ssize_t a_row, Py_ssize_t a_step, int a_packed,
    const void *b, Py_ssize_t ldb, Py_ssize_t full,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
) noexcept nogil:
    """What run_panel calls."""
    panel_product(<vf64 *> c, ldc, <const vf64 *> init, ld_init, <const vf64 *> a, a_row, a_step,
                  a_packed, <const vf64 *> b, ldb, full, rows, columns, depth, True)


cdef void dots_f32 "bpcore_dots_f32"(
    void *z, Py_ssize_t ldz, const void *bias, const void *a, const void *W,
    Py_ssize_t n, Py_ssize_t depth, Py_ssize_t columns,
) noexcept nogil:
    """What run_dots calls."""
    product_of_dots(<vf32 *> z, ldz, <const vf32 *> bias, <const vf32 *> a, <const vf32 *> W, n,
                    depth, columns)


cdef void dots_f64 "bpcore_dots_f64"(
    void *z, Py_ssize_t ldz, const void *bias, const void *a, const void *W,
    Py_ssize_t n, Py_ssize_t depth, Py_ssize_t columns,
) noexcept nogil:
    """What run_dots calls."""
    product_of_dots(<vf64 *> z, ldz, <const vf64 *> bias, <const vf64 *> a, <const vf64 *> W, n,
                    depth, columns)


cdef void transpose_f32 "bpcore_transpose_f32"(
    const void *source, Py_ssize_t ld, void *to, Py_ssize_t ld_to, Py_ssize_t rows,
    Py_ssize_t columns,
) noexcept nogil:
    """What transpose calls."""
    transpose_squares(<const vf32 *> source, ld, <vf32 *> to, ld_to, rows, columns)


cdef void transpose_f64 "bpcore_transpose_f64"(
    const void *source, Py_ssize_t ld, void *to, Py_ssize_t ld_to, Py_ssize_t rows,
    Py_ssize_t columns,
) noexcept nogil:
    """What transpose calls."""
    transpose_squares(<const vf64 *> source, ld, <vf64 *> to, ld_to, rows, columns)


cdef void skip_f32 "bpcore_skip_f32"(
    void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init, bint ends, const void *a,
    Py_ssize_t a_row, const uint64_t *bits, int words, Py_ssize_t rows, const void *panel,
    Py_ssize_t ld_panel, int vectors, int left,
) noexcept nogil:
    """What run_skip calls."""
    skip_panel(<vf32 *> c, ldc, <const vf32 *> init, ld_init, ends, <const vf32 *> a, a_row, bits,
               words, rows, <const vf32 *> panel, ld_panel, vectors, left)


cdef void skip_f64 "bpcore_skip_f64"(
    void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init, bint ends, const void *a,
    Py_ssize_t a_row, const uint64_t *bits, int words, Py_ssize_t rows, const void *panel,
    Py_ssize_t ld_panel, int vectors, int left,
) noexcept nogil:
    """What run_skip calls."""
    skip_panel(<vf64 *> c, ldc, <const vf64 *> init, ld_init, ends, <const vf64 *> a, a_row, bits,
               words, rows, <const vf64 *> panel, ld_panel, vectors, left)


cdef void parts_f32 "bpcore_parts_f32"(
    void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init, const void *a,
    Py_ssize_t a_row, Py_ssize_t a_step, const void *b, Py_ssize_t ldb, bint by_columns,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth, void *work, void *packed,
) noexcept nogil:
    """What the products of affine.pxd call for the matrix unit."""
    parts_product(<float *> c, ldc, <const float *> init, ld_init, <const float *> a, a_row,
                  a_step, <const float *> b, ldb, by_columns, rows, columns, depth, work,
                  <packed_t *> packed)


cdef look_t *look_of(dense_t *layer, int what, bint may_be_zeros) noexcept nogil:
    """The layer's look at what may be mostly zeros, else NULL."""
    return &layer.looks[what] if may_be_zeros else NULL


cdef void forward_one(
    const dense_t *layer, const floating *a_in, floating *z, bint padded
) noexcept nogil:
    """z = W a_in + b, one sample"""
    if floating is float:
        matvec_forward(<vf32 *> a_in, <vf32 *> layer.W, <vf32 *> layer.b, <vf32 *> z,
                       layer.n_inputs, layer.n_outputs, padded)
    else:
        matvec_forward(<vf64 *> a_in, <vf64 *> layer.W, <vf64 *> layer.b, <vf64 *> z,
                       layer.n_inputs, layer.n_outputs, padded)


cdef void forward_single(
    const dense_t *layer, const floating *a_in, floating *z, Py_ssize_t n
) noexcept nogil:
    """z = a_in w + b of a single output: w and a_in change places, and the sums of some samples lie
    side by side."""
    cdef floating b[ALIKE]
    cdef dense_t samples
    cdef Py_ssize_t first = 0, k
    for k in range(min(n, <Py_ssize_t> ALIKE)):
        b[k] = (<const floating *> layer.b)[0]
    samples.b, samples.n_inputs = b, layer.n_inputs
    while first < n:
        samples.W = <void *> (a_in + first * layer.n_inputs)
        samples.n_outputs = min(n - first, <Py_ssize_t> ALIKE)
        forward_one(&samples, <const floating *> layer.W, z + first, False)
        first += ALIKE


cdef void forward_product(
    dense_t *layer, const floating *a_in, floating *z, Py_ssize_t n
) noexcept nogil:
    """z = a_in Wᵀ + b"""
    if layer.n_outputs == 1 and layer.by_dots:
        forward_single(layer, a_in, z, n)
        return
    if COLUMN_SAMPLES > 0 and layer.V != NULL:
        forward_by_columns(layer, a_in, z, n)
        return
    affine_forward(a_in, <const floating *> layer.W, <const floating *> layer.b, z, n,
                   layer.n_inputs, layer.n_outputs, layer.by_dots, layer.by_lanes,
                   <const floating *> layer.panels, look_of(layer, FORWARD_INPUT, layer.sparse),
                   layer.in_parts & FORWARD, <floating *> layer.work, &layer.packed)


cdef void backward_product(
    dense_t *layer, const floating *delta, floating *da_in, Py_ssize_t n
) noexcept nogil:
    """∂C/∂a_in = δ W"""
    affine_backward(delta, <const floating *> layer.W, da_in, n, layer.n_inputs, layer.n_outputs,
                    look_of(layer, BACKWARD_DELTA, is_often_zero(layer.activation)),
                    layer.in_parts & BACKWARD, <floating *> layer.work)


cdef void sum_rows(
    const floating *delta, const floating *W, floating *da_in, Py_ssize_t n_inputs,
    Py_ssize_t n_outputs, bint padded, bint accumulate,
) noexcept nogil:
    """matvec_backward, compiled once."""
    if floating is float:
        matvec_backward(<vf32 *> delta, <vf32 *> W, <vf32 *> da_in, n_inputs, n_outputs, padded,
                        accumulate)
    else:
        matvec_backward(<vf64 *> delta, <vf64 *> W, <vf64 *> da_in, n_inputs, n_outputs, padded,
                        accumulate)


cdef void backward_one(
    const dense_t *layer, const floating *delta, floating *da_in, bint padded
) noexcept nogil:
    """∂C/∂a_in = Wᵀ δ, one sample"""
    sum_rows(delta, <const floating *> layer.W, da_in, layer.n_inputs, layer.n_outputs, padded,
             False)


cdef void gradient_single(
    const dense_t *layer, const floating *delta, const floating *a_in, floating *dW, floating *db,
    Py_ssize_t n, bint accumulate,
) noexcept nogil:
    """∂C/∂w = a_inᵀ δ, ∂C/∂b = Σ δ of a single output: a_in takes W's place in one sample's
    backward product."""
    cdef double total = 0
    add_row_sums(delta, 1, n, &total)
    sum_rows(delta, a_in, dW, layer.n_inputs, n, False, accumulate)
    db[0] = <floating> (db[0] + total if accumulate else total)


cdef void gradient_product(
    dense_t *layer, const floating *delta, const floating *a_in, floating *dW, floating *db,
    Py_ssize_t n, Py_ssize_t rows, bint accumulate, bint in_parts,
) noexcept nogil:
    """∂C/∂W = δᵀ a_in, ∂C/∂b = Σ δ of the first `rows` outputs from delta on"""
    if layer.n_outputs == 1:
        gradient_single(layer, delta, a_in, dW, db, n, accumulate)
        return
    affine_gradient(delta, a_in, dW, db, n, layer.n_inputs, layer.n_outputs, rows, accumulate,
                    look_of(layer, GRADIENT_INPUT, layer.sparse),
                    look_of(layer, GRADIENT_DELTA, is_often_zero(layer.activation)), in_parts,
                    <floating *> layer.work)


cdef void gradient_one(
    const dense_t *layer, const floating *delta, const floating *a_in, floating scale,
    floating *dW, floating *db, Py_ssize_t rows, bint accumulate,
) noexcept nogil:
    """∂C/∂W = s δ a_inᵀ, ∂C/∂b = s δ of `rows` outputs, one sample"""
    if floating is float:
        outer_product(<vf32 *> delta, <vf32 *> a_in, <vf32 *> &scale, <vf32 *> dW, <vf32 *> db,
                      layer.n_inputs, rows, accumulate)
    else:
        outer_product(<vf64 *> delta, <vf64 *> a_in, <vf64 *> &scale, <vf64 *> dW, <vf64 *> db,
                      layer.n_inputs, rows, accumulate)


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


cdef void *prepare(network_t *net, const floating *p, Py_ssize_t n) noexcept nogil:
    """Choose how the layers compute a pass over n samples, and give them all the room to work that
    the neediest wants; to be freed after the pass.

    Without memory they run without, only slower. One sample needs none.
    """
    cdef Py_ssize_t size = 0
    cdef void *work = NULL
    cdef int l
    choose_sums(net, p, n)
    for l in range(net.n_layers if n > 1 else 0):
        size = max(size, work_size(&net.layers[l], p))
    if size > 0:
        work = malloc(size * sizeof(p[0]))
    for l in range(net.n_layers):
        net.layers[l].work = work
        net.layers[l].panels = net.layers[l].V = NULL
        net.layers[l].in_V, net.layers[l].ahead.X = False, NULL
        net.layers[l].packed.parts = net.layers[l].packed.ahead = net.layers[l].packed.end = NULL
    return work


cdef Py_ssize_t panel_bytes(const dense_t *layer, const floating *p) noexcept nogil:
    """What pack_panels makes of a layer's W, if forward goes by tiles; whole cache lines"""
    cdef Py_ssize_t size
    if floating is float:
        size = panels_size(<const vf32 *> p, tiled_outputs(<const vf32 *> p, layer.n_inputs,
                                                           layer.n_outputs), layer.n_inputs)
    else:
        size = panels_size(<const vf64 *> p, tiled_outputs(<const vf64 *> p, layer.n_inputs,
                                                           layer.n_outputs), layer.n_inputs)
    return (size * <Py_ssize_t> sizeof(p[0]) + 63) // 64 * 64


cdef bint goes_by_tiles(const dense_t *layer) noexcept nogil:
    """Whether forward does, as far as choose_sums decides."""
    return not (layer.by_dots or layer.by_lanes or (layer.in_parts & FORWARD
                                                    and layer.work != NULL))


cdef void pack_layer(dense_t *layer, void *to, const floating *p) noexcept nogil:
    """W's columns in panels, for forward to find there"""
    cdef Py_ssize_t n_inputs = layer.n_inputs, columns
    if floating is float:
        columns = tiled_outputs(<const vf32 *> p, n_inputs, layer.n_outputs)
        pack_panels(<const vf32 *> layer.W, n_inputs, <vf32 *> to, columns, n_inputs)
    else:
        columns = tiled_outputs(<const vf64 *> p, n_inputs, layer.n_outputs)
        pack_panels(<const vf64 *> layer.W, n_inputs, <vf64 *> to, columns, n_inputs)
    layer.panels = to


cdef void *pack_weights(network_t *net, const floating *p) noexcept nogil:
    """Every W as the tiles or the matrix unit take it forward, once for many blocks of samples; to
    be freed after the last. Without memory each block makes its own."""
    cdef Py_ssize_t size = 64, panels = 0
    cdef dense_t *layer
    cdef char *to
    cdef void *room
    cdef int l
    for l in range(net.n_layers):
        layer = &net.layers[l]
        if goes_by_tiles(layer):
            panels += panel_bytes(layer, p)
        elif layer.in_parts & FORWARD:
            size += bytes_of_parts(layer.n_outputs, layer.n_inputs)
    if panels > PANEL_BYTES:
        panels = 0
    if size + panels == 64:
        return NULL
    room = malloc(size + panels)
    if room == NULL:
        return NULL
    to = <char *> ((<size_t> room + 63) // 64 * 64)
    for l in range(net.n_layers):
        layer = &net.layers[l]
        if goes_by_tiles(layer):
            if panels > 0:
                pack_layer(layer, to, p)
                to += panel_bytes(layer, p)
        elif layer.in_parts & FORWARD:
            if floating is float:
                pack_matrix(<const float *> layer.W, layer.n_inputs, True, layer.n_outputs,
                            layer.n_inputs, to)
            layer.packed.parts = to
            to += bytes_of_parts(layer.n_outputs, layer.n_inputs)
    return room
