"""The products of a narrow layer, one sample's: its parameters, a and δ in whole vectors.

W's vectors are rows, in which z is a sum of lanes and ∂C/∂a_in a sum of rows, or columns, in which
z is a sum of columns and ∂C/∂a_in one of lanes. `near` is the first vector of a_in or δ in a
register, which memory holds too: a number that is stored and loaded again is a dozen ticks late.
"""


cdef inline vec row_products(
    const narrow_t *layer, vec start, vec near, const vec *a_in, const vec *row
) noexcept nogil:
    """start + W[m, n] a_in[n], their lanes not yet added up"""
    cdef Py_ssize_t width = lanes(row)
    cdef int v
    start += near * load(row, 0)
    for v in range(1, layer.pieces):
        start += load(a_in, v * width) * load(row, v * width)
    return start


cdef inline vec z_by_rows(
    const narrow_t *layer, vec near, const vec *a_in, const vec *W
) noexcept nogil:
    """z_m = b_m + Σ_n W[m, n] a_in[n]"""
    cdef vec rows[16]
    cdef vec b = load(<const vec *> layer.b, 0)
    cdef Py_ssize_t width = lanes(W)
    cdef int m, used = layer.n_inputs if layer.pieces == 1 else <int> width
    if layer.n_outputs == 1:
        return only_sum(row_products(layer, b, near, a_in, W), used)
    for m in range(layer.n_outputs):
        rows[m] = row_products(layer, zero(W), near, a_in, W)
        W = at(W, layer.pieces * width)
    for m in range(layer.n_outputs, width):
        rows[m] = zero(W)
    return sums(rows, layer.n_outputs, used) + b


cdef inline vec narrow_z(
    const narrow_t *layer, vec near, const vec *a_in, const vec *W, bint held
) noexcept nogil:
    """z = W a_in + b; without `held` a_in is in memory alone."""
    if layer.by_rows:
        return z_by_rows(layer, near if held else load(a_in, 0), a_in, W)
    return weighted_sum(load(<const vec *> layer.b, 0), near, a_in, W, layer.n_inputs, held)


cdef inline vec narrow_da(
    const narrow_t *layer, vec near, const vec *delta, const vec *W
) noexcept nogil:
    """∂C/∂a_in[n] = Σ_m δ_m W[m, n]"""
    cdef vec products[16]
    cdef Py_ssize_t width = lanes(W)
    cdef int n
    if layer.by_rows:
        if layer.n_outputs == 1:
            return first_everywhere(near) * load(W, 0)
        return weighted_sum(zero(W), near, delta, W, layer.n_outputs, True)
    for n in range(layer.n_inputs):
        products[n] = near * load(W, n * width)
    for n in range(layer.n_inputs, width):
        products[n] = zero(W)
    return sums(products, layer.n_inputs, layer.n_outputs)


cdef inline vec lane_of(vec near, const vec *p, int k, bint held) noexcept nogil:
    """p[k] in every lane"""
    return lane(near, p, k) if held else broadcast(p, k)


cdef inline vec weighted_sum(
    vec start, vec near, const vec *weights, const vec *x, int count, bint held
) noexcept nogil:
    """start + Σ_k w_k x_k of vectors side by side; two sums, as one waits for each addition"""
    cdef Py_ssize_t width = lanes(x)
    cdef vec first = first_everywhere(near) if held else broadcast(weights, 0)
    cdef vec even = start + first * load(x, 0), odd
    cdef int k = 3
    if count == 1:
        return even
    odd = lane_of(near, weights, 1, held) * load(x, width)
    while k < count:
        even += lane_of(near, weights, k - 1, held) * load(x, (k - 1) * width)
        odd += lane_of(near, weights, k, held) * load(x, k * width)
        k += 2
    if k == count:
        even += lane_of(near, weights, k - 1, held) * load(x, (k - 1) * width)
    return even + odd


cdef inline void add_outer(
    const narrow_t *layer, vec delta, const vec *kept, const vec *a_in, vec *dW, vec *db,
    bint accumulate,
) noexcept nogil:
    """∂C/∂W = δ a_inᵀ, ∂C/∂b = δ, in the place of what is there or added to it"""
    cdef Py_ssize_t width = lanes(dW)
    cdef vec near, d = first_everywhere(delta)
    cdef int m = 0, v
    put_or_add(db, delta, accumulate)
    if layer.by_rows:
        near = load(a_in, 0)
        while True:
            put_or_add(dW, d * near, accumulate)
            dW = at(dW, width)
            for v in range(1, layer.pieces):
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
