"""What stands before a pass: which way each layer computes, room to work, W in panels or parts."""
cdef enum:
    PANEL_BYTES = 1048576  # of all W's panels that are worth keeping: the second-level cache's half


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
    return round_up(size * <Py_ssize_t> sizeof(p[0]), 64)


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
    to = <char *> cache_line(room)
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
