"""One sample through a layer whose inputs and outputs each fit into a vector.

Small as it is, what counts is how long each step waits for the one before: a number that is written
to memory and read again is a dozen ticks late. So z becomes a, and ∂C/∂a becomes δ, in registers.
Arrays end in whole vectors here, whose other lanes hold any numbers.
"""


cdef void narrow_forward(
    const dense_t *layer, const floating *a_in, floating *z, floating *a
) noexcept nogil:
    """z = W a_in + b, a = σ(z); a may be z"""
    if floating is float:
        through_layer(<vf32 *> a_in, <vf32 *> layer.W, <vf32 *> layer.b, <vf32 *> z, <vf32 *> a,
                      layer.n_inputs, layer.n_outputs, layer.activation)
    else:
        through_layer(<vf64 *> a_in, <vf64 *> layer.W, <vf64 *> layer.b, <vf64 *> z, <vf64 *> a,
                      layer.n_inputs, layer.n_outputs, layer.activation)


cdef inline void through_layer(
    const vec *a_in, const vec *W, const vec *b, vec *z, vec *a,
    Py_ssize_t n_inputs, Py_ssize_t n_outputs, int activation,
) noexcept nogil:
    cdef vec x = load_part(a_in, 0, <int> n_inputs)
    cdef vec sums = products_of_rows(x, W, b, n_inputs, <int> n_outputs)
    if z != a:
        store(z, 0, sums)
    store(a, 0, activated(activation, sums))


cdef void narrow_backward(
    const dense_t *layer, dense_t *below, const floating *p
) noexcept nogil:
    """δ of the layer below: ∂C/∂a_in = Wᵀ δ, times σ'(z)"""
    if floating is float:
        back_through_layer(<vf32 *> layer.delta, <vf32 *> layer.W, <vf32 *> below.z,
                           <vf32 *> below.a, <vf32 *> below.delta, layer.n_inputs,
                           layer.n_outputs, below.activation)
    else:
        back_through_layer(<vf64 *> layer.delta, <vf64 *> layer.W, <vf64 *> below.z,
                           <vf64 *> below.a, <vf64 *> below.delta, layer.n_inputs,
                           layer.n_outputs, below.activation)


cdef inline void back_through_layer(
    const vec *delta, const vec *W, const vec *z, const vec *a, vec *delta_below,
    Py_ssize_t n_inputs, Py_ssize_t n_outputs, int activation,
) noexcept nogil:
    cdef vec da = sum_of_rows(delta, W, n_inputs, n_outputs, <int> n_inputs)
    store(delta_below, 0, delta_of(activation, load(z, 0), load(a, 0), da))
