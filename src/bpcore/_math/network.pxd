"""A network in C: its layers' sizes and addresses."""
from cython cimport floating

from bpcore._math.activation cimport derivative_takes_z, is_often_zero
from bpcore._math.affine cimport TURNED
from bpcore._math.columns cimport ahead_t
from bpcore._math.costs cimport costs
from bpcore._math.dots cimport cost_of_dots, dot_groups, thin_columns
from bpcore._math.few_outputs cimport suits_lanes
from bpcore._math.pack cimport PAGE_BYTES
from bpcore._math.parts cimport MATRIX_UNIT, PARTS_WORK, STRIP, packed_t, parts_pay
from bpcore._math.product cimport WORK
from bpcore._math.rounding cimport ceil_div, round_up
from bpcore._math.skip cimport SKIP_WORK, look_t
from bpcore._math.vector cimport LANES_F32, LANES_F64, TILE_ROWS


cdef enum:  # products of a layer, as bits
    FORWARD = 1
    BACKWARD = 2
    GRADIENT = 4

cdef enum:  # what is looked through for zeros
    FORWARD_INPUT
    BACKWARD_DELTA
    GRADIENT_INPUT
    GRADIENT_DELTA
    LOOKS

cdef enum:
    MANY = 128  # rows, from which on their number no longer decides how a product is summed
    NEAR_BYTES = 1048576  # of W that stay in the second-level cache


cdef struct dense_t:
    Py_ssize_t n_inputs
    Py_ssize_t n_outputs
    int activation
    int derivative  # the activation; or GIVEN: nobody reads z, so it becomes σ'(z) with a
    void *W       # (n_outputs, n_inputs)
    void *b       # (n_outputs,)
    void *dW      # as W
    void *db      # as b
    void *z       # (n, n_outputs), as a, da, delta; they do not overlap, but
    void *a       # a may be z: see keeps_z
    void *da      # NULL: not kept, ∂C/∂a is turned into delta in place
    void *delta
    bint alone     # the batch is one sample, not only a member's share of it
    bint by_dots   # how the forward product is summed: dot products,
    bint by_lanes  # or samples along the lanes; else tiles
    int in_parts   # which of its products the matrix unit computes
    bint sparse   # a_in may be mostly zeros: X, or what relu gives
    bint watched  # forward looks whether a_in is finite, and
    bint unclean  # that it once was not
    look_t looks[LOOKS]  # for the zeros of what may have many
    void *work    # room of work_size elements for a product, or NULL
    void *panels  # W's columns in the panels of forward's tiles, or NULL
    void *V        # where Wᵀ lies for a first layer that goes by columns, or is to; else NULL
    bint in_V      # V stands for W: steps change it
    ahead_t ahead  # what forward fetches meanwhile
    packed_t packed  # what is ready for the matrix unit's forward product

cdef struct network_t:
    dense_t *layers
    int n_layers
    int loss
    bint fused    # the last σ' is taken into the loss
    double largest_loss  # what a fused loss of a sample (binary: of an output) counts at most


cdef inline bint keeps_z(const network_t *net, int l) noexcept nogil:
    """Whether anything after the forward pass reads layer l's z; if not, a may take its place."""
    return (derivative_takes_z(net.layers[l].activation)
            or (net.fused and l == net.n_layers - 1))


cdef inline Py_ssize_t vector_length(const floating *p) noexcept nogil:
    """Elements in a vector."""
    return lanes_of(sizeof(p[0]))


cdef inline Py_ssize_t lanes_of(Py_ssize_t itemsize) noexcept nogil:
    """Elements of so many bytes in a vector."""
    return LANES_F32 if itemsize == sizeof(float) else LANES_F64


cdef inline Py_ssize_t whole_vectors(const floating *p, Py_ssize_t count) noexcept nogil:
    """count, rounded up to whole vectors."""
    return round_up(count, vector_length(p))


cdef inline bint sums_by_dots(const dense_t *layer, const floating *p, Py_ssize_t n) noexcept nogil:
    """Whether dot products cost less than turning W round and running tiles.

    Counted in multiply-adds of whole vectors: beginning and ending a tile is worth
    20, turning one weight round 0.45, a vector of W that comes from beyond the
    second-level cache 8: dot products fetch W again for each group of rows
    (docs/kernels.md has the measurements). Decided once for a batch, so that all
    of its rows are summed alike, whichever block or thread they fall to; and alike
    for all batches of MANY rows or more.
    """
    cdef Py_ssize_t width = vector_length(p), i = layer.n_inputs, o = layer.n_outputs
    cdef Py_ssize_t thin = thin_columns(width, o, i), vectors = ceil_div(o - thin, width)
    cdef Py_ssize_t panels = (vectors + 1) // 2
    cdef Py_ssize_t beyond = (i * o - NEAR_BYTES // <Py_ssize_t> sizeof(p[0])) // width
    cdef double dots, tiles
    n = MANY if n > MANY else n
    beyond = 0 if beyond < 0 else beyond
    dots = n * cost_of_dots(width, o, i) + 8.0 * beyond * dot_groups(n)
    tiles = n * (i * vectors + cost_of_dots(width, thin, i)) + 8.0 * beyond
    tiles += panels * (0.45 * i * 2 * width + 20.0 * ceil_div(n, TILE_ROWS))
    return n == 1 or dots < tiles


cdef inline int products_in_parts(
    const dense_t *layer, const floating *p, Py_ssize_t n
) noexcept nogil:
    """The products of a layer that the matrix unit computes: decided as, and for the reason that,
    sums_by_dots is."""
    cdef Py_ssize_t i = layer.n_inputs, o = layer.n_outputs
    cdef int products = 0
    n = MANY if n > MANY else n
    if MATRIX_UNIT and floating is float and n >= 2 * STRIP and i * o >= 4 * STRIP * STRIP:
        if parts_pay(n, o, i):
            products |= FORWARD
        if parts_pay(n, i, o):
            products |= BACKWARD
        if parts_pay(o, i, n):
            products |= GRADIENT
    return products


cdef inline void choose_sums(network_t *net, const floating *p, Py_ssize_t n) noexcept nogil:
    """Every layer's alone, by_dots, by_lanes and in_parts, for a batch of n samples."""
    cdef dense_t *layer
    cdef int l
    for l in range(net.n_layers):
        layer = &net.layers[l]
        layer.alone = n == 1
        layer.by_dots = sums_by_dots(layer, p, n)
        layer.by_lanes = suits_lanes(vector_length(p), n, layer.n_inputs, layer.n_outputs)
        layer.in_parts = products_in_parts(layer, p, n)


cdef inline Py_ssize_t work_size(const dense_t *layer, const floating *p) noexcept nogil:
    """Elements of `work`, whatever the batch: none unless rows of the layer's matrices lie far
    apart, may hold zeros to skip, or are computed in parts."""
    cdef Py_ssize_t size = sizeof(p[0]), width = vector_length(p), room = 0
    if layer.n_inputs * size % PAGE_BYTES == 0 or layer.n_outputs * size >= costs.far_bytes:
        room = WORK
    if is_often_zero(layer.activation) and layer.n_inputs > width:
        room = SKIP_WORK
    if layer.sparse and layer.n_outputs > width:
        room = SKIP_WORK + TURNED * layer.n_outputs
    if products_in_parts(layer, p, MANY):
        room = PARTS_WORK if room < PARTS_WORK else room
    return room
