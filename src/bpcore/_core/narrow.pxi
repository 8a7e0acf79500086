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
    NARROW_INPUTS = 16   # of the first layer, at most: first_look.py knows of it,
    NARROW_SAMPLES = 8   # a batch, at most: and of this
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
    """Where the layers' parameters lie in vectors; returns the elements that these hold, 0 if the
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
        place.pieces = <int> ceil_div(place.n_inputs, width)
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
