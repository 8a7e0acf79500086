"""The products of a layer: forward, backward, gradient; of a batch, a sample, a single output."""
cdef enum:
    ALIKE = 64  # samples of a single output that go through with as many copies of b


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
