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


cdef inline vec unit_targets(
    const stretch_t *data, const vec *Y, Py_ssize_t first, int n
) noexcept nogil:
    """y of n samples, side by side; of one, in every lane"""
    cdef vec y
    cdef int i
    if n == 1:
        return broadcast(Y, first if data.order == NULL else data.order[first])
    if data.order == NULL:
        return load_part(Y, first, n)
    y = load_part(Y, data.order[first], 1)
    for i in range(1, n):
        copy_element(Y, data.order[first + i], &y, i)
    return y


cdef inline double unit_pass(
    const training_t *t, const stretch_t *data, vec *W, vec *b, vec *dW, vec *db,
    Py_ssize_t first, int n, double share, double scale,
    int pieces,  # of W: a constant; so is n if it is 1
) noexcept nogil:
    """C of rows first … first + n - 1, and their ∂C/∂W and ∂C/∂b times `scale` added to dW and db,
    unless C is not finite"""
    cdef const narrow_t *layer = t.narrow
    cdef const vec *X = <const vec *> data.X
    cdef vec x[16]
    cdef vec products[16]
    cdef vec z, y, delta, d
    cdef Py_ssize_t width = lanes(W), k
    cdef double C = 0
    cdef int used = layer.n_inputs if pieces == 1 else <int> width, i
    for i in range(n):
        k = (first + i if data.order == NULL else data.order[first + i]) * layer.n_inputs
        products[i] = b[0] if n == 1 else zero(W)
        if pieces == 1:
            x[i] = load_part(X, k, layer.n_inputs)
            products[i] += W[0] * x[i]
        else:
            x[2 * i] = load(X, k)
            x[2 * i + 1] = load_part(X, k + width, <int> (layer.n_inputs - width))
            products[i] += W[0] * x[2 * i]
            products[i] += W[1] * x[2 * i + 1]
    if n == 1:
        z = sum_everywhere(products[0], used)
    else:
        for i in range(n, width):
            products[i] = zero(W)
        z = first_lanes(sums(products, n, used) + first_everywhere(b[0]), n)
    y = unit_targets(data, <const vec *> data.Y, first, n)
    z = lanes_activation(layer, z, <int> width if n == 1 else n)
    delta = loss_of_lanes(&t.net, layer, z, y, n, share, scale, &C)
    if not isfinite(C):
        return C
    for i in range(n):
        d = delta if n == 1 else lane(delta, &delta, i)
        dW[0] += d * x[i * pieces]
        if pieces == 2:
            dW[1] += d * x[i * pieces + 1]
    db[0] += first_lanes(delta, 1) if n == 1 else only_sum(delta, n)
    return C


cdef inline double unit_step(
    const training_t *t, const stretch_t *data, vec *W, vec *b, Py_ssize_t first, int n,
    double share, double rate, int pieces,
) noexcept nogil:
    """SGD's step; C"""
    cdef vec dW[2]
    cdef vec db = zero(W), step
    cdef double C
    cdef int v
    if n == 1:
        return unit_pass(t, data, W, b, W, b, first, 1, share, -rate, pieces)
    for v in range(pieces):
        dW[v] = zero(W)
    C = unit_pass(t, data, W, b, dW, &db, first, n, share, 1, pieces)
    if isfinite(C):
        step = everywhere(W, -rate)
        for v in range(pieces):
            W[v] += step * dW[v]
        b[0] += step * db
    return C


cdef inline Py_ssize_t unit_descent(
    const training_t *t, const stretch_t *data, vec *parameters, int size,
    int pieces, double *loss_sum, double *weight_sum,
) noexcept nogil:
    """narrow_stretch of plain SGD, W and b in registers; size: of a batch, 1 or not known"""
    cdef vec W[2]
    cdef vec b = load(parameters, t.narrow.at_b)
    cdef Py_ssize_t step = data.start, first
    cdef double C, total, losses = loss_sum[0], weights = weight_sum[0]
    cdef int n = size, v
    for v in range(pieces):
        W[v] = load(parameters, v * lanes(parameters))
    while step < data.stop:
        first = step * data.batch_size
        if size != 1:
            n = <int> min(data.batch_size, data.samples - first)
        total = n
        C = unit_step(t, data, W, &b, first, n, 1 / total, rate_of(data, step), pieces)
        if not isfinite(C):
            break
        losses += C * total
        weights += total
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
        return unit_descent(t, data, parameters, 1, 1, loss_sum, weight_sum)
    if data.batch_size == 1:
        return unit_descent(t, data, parameters, 1, 2, loss_sum, weight_sum)
    return unit_descent(t, data, parameters, 0, 1, loss_sum, weight_sum)
