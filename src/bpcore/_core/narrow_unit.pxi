"""Steps of a single unit, a network of one layer and one output: a line, a logistic regression.

W fits into a register, or two for batches of one sample. One sample's z is a sum of lanes, and
then in every lane; several samples' are side by side, and so are their a, δ and parts of C. Plain
SGD keeps W and b in registers for a whole stretch: from one step to the next nothing is waited for
but the step's own arithmetic.
"""


cdef bint is_unit(const training_t *t, const stretch_t *data, Py_ssize_t width) noexcept nogil:
    """Whether the functions below have this network and batches of at most `width` of this data."""
    return (t.net.n_layers == 1 and t.narrow.n_outputs == 1
            and t.narrow.pieces <= (2 if data.batch_size == 1 else 1)
            and data.batch_size <= width and data.weight == NULL
            and t.narrow.activation != SOFTMAX and by_outputs(t.net.loss, t.net.fused))


cdef inline double unit_step_one(
    const training_t *t, const stretch_t *data, vec *W, vec *b, Py_ssize_t first, double rate,
    int pieces,  # of W: a constant
) noexcept nogil:
    """SGD's step on row `first`, unless its C is not finite; C"""
    cdef const narrow_t *layer = t.narrow
    cdef Py_ssize_t i = row_of(t, data, first, element_size(W)), k = i * layer.n_inputs
    cdef Py_ssize_t width = lanes(W)
    cdef const vec *X = <const vec *> data.X
    cdef int used = layer.n_inputs if pieces == 1 else <int> width, v
    cdef double C = 0
    cdef vec x[2]
    cdef vec z, delta
    if pieces == 1:
        x[0] = load_part(X, k, layer.n_inputs)
    else:
        x[0] = load(X, k)
        x[1] = load_part(X, k + width, <int> (layer.n_inputs - width))
    z = b[0]
    for v in range(pieces):
        z += W[v] * x[v]
    z = lanes_activation(layer, sum_everywhere(z, used), <int> width)
    delta = loss_of_lanes(&t.net, layer, z, broadcast(<const vec *> data.Y, i), 1, 1, -rate, &C)
    if isfinite(C):
        for v in range(pieces):
            W[v] += delta * x[v]
        b[0] += first_lanes(delta, 1)
    return C


cdef inline vec unit_targets(
    const stretch_t *data, const vec *Y, Py_ssize_t first, int n
) noexcept nogil:
    """y of n samples, side by side"""
    cdef vec y
    cdef int i
    if data.order == NULL:
        return load_part(Y, first, n)
    y = load_part(Y, data.order[first], 1)
    for i in range(1, n):
        copy_element(Y, data.order[first + i], &y, i)
    return y


cdef inline double unit_step_some(
    const training_t *t, const stretch_t *data, vec *W, vec *b, Py_ssize_t first, int n,
    double rate,
) noexcept nogil:
    """The same on rows first … first + n - 1, W being one vector; their a and δ are side by side"""
    cdef const narrow_t *layer = t.narrow
    cdef const vec *X = <const vec *> data.X
    cdef vec x[16]
    cdef vec products[16]
    cdef vec z, delta, step = everywhere(W, -rate), dW = zero(W)
    cdef Py_ssize_t width = lanes(W), k
    cdef double C = 0, total = n
    cdef int i
    for i in range(n):
        k = row_of(t, data, first + i, element_size(W))
        x[i] = load_part(X, k * layer.n_inputs, layer.n_inputs)
        products[i] = W[0] * x[i]
    for i in range(n, width):
        products[i] = zero(W)
    z = first_lanes(sums(products, n, layer.n_inputs) + first_everywhere(b[0]), n)
    z = lanes_activation(layer, z, n)
    delta = loss_of_lanes(&t.net, layer, z, unit_targets(data, <const vec *> data.Y, first, n), n,
                          1 / total, 1, &C)
    if isfinite(C):
        for i in range(n):
            dW += lane(delta, &delta, i) * x[i]
        W[0] += step * dW
        b[0] += step * only_sum(delta, n)
    return C


cdef inline Py_ssize_t unit_descent(
    const training_t *t, const stretch_t *data, vec *parameters, bint alone, int pieces,
    double *loss_sum, double *weight_sum,
) noexcept nogil:
    """narrow_stretch of plain SGD, W and b in registers; alone: batches of one sample"""
    cdef vec W[2]
    cdef vec b = load(parameters, t.narrow.at_b)
    cdef Py_ssize_t step = data.start, first
    cdef double C, losses = loss_sum[0], weights = weight_sum[0]
    cdef int n = 1, v
    for v in range(pieces):
        W[v] = load(parameters, v * lanes(parameters))
    while step < data.stop:
        if alone:
            C = unit_step_one(t, data, W, &b, step, rate_of(data, step), pieces)
        else:
            first = step * data.batch_size
            n = <int> min(data.batch_size, data.samples - first)
            C = unit_step_some(t, data, W, &b, first, n, rate_of(data, step))
        if not isfinite(C):
            break
        losses += C * n
        weights += n
        step += 1
    for v in range(pieces):
        store(parameters, v * lanes(parameters), W[v])
    store(parameters, t.narrow.at_b, b)
    loss_sum[0], weight_sum[0] = losses, weights
    return step


cdef inline Py_ssize_t unit_stretch(
    const training_t *t, const stretch_t *data, vec *parameters, double *loss_sum,
    double *weight_sum,
) noexcept nogil:
    """unit_descent with the constants it is compiled for"""
    if data.batch_size == 1 and t.narrow.pieces == 1:
        return unit_descent(t, data, parameters, True, 1, loss_sum, weight_sum)
    if data.batch_size == 1:
        return unit_descent(t, data, parameters, True, 2, loss_sum, weight_sum)
    return unit_descent(t, data, parameters, False, 1, loss_sum, weight_sum)
