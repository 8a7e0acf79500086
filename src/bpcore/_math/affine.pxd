"""The three products of a layer.

    z = a_in Wᵀ + b                 affine_forward
    ∂C/∂a_in = δ W                  affine_backward
    ∂C/∂W = δᵀ a_in, ∂C/∂b = Σ δ    affine_gradient

They run on the register tiles of tile.pxd. Only the forward product wants W by
columns, and turns it round on the way; for a few samples that costs more than
the product, and there each z is a dot product of two rows. Where few inputs
would leave the lanes of ∂C/∂W's rows empty, its transpose is computed. One to
three columns beyond whole vectors, as of 33, would cost as much as sixteen: they
are computed in those two ways, so that widths have no cliffs.
"""
from cython cimport floating

from bpcore._math.dots cimport run_dots, thin_columns
from bpcore._math.few_outputs cimport few_outputs
from bpcore._math.pack cimport PAGE_BYTES, transpose
from bpcore._math.parts cimport MATRIX_UNIT, bpcore_parts_f32, packed_t
from bpcore._math.product cimport DEPTH, part_of, product, run_panel, tiled_product
from bpcore._math.rounding cimport cache_line, ceil_div
from bpcore._math.skip cimport SKIP_WORK, look_t, looks, skipping_cost, skipping_product
from bpcore._math.vector cimport (
    LANES_F32, LANES_F64, TILE_ROWS, ZEROS, at, broadcast, element_size, lanes, load, store,
    vec, vf32, vf64, zero,
)
from bpcore._math.vector_parts cimport load_part, store_part

cdef enum:
    TURNED = 64  # inputs for which the transpose of ∂C/∂W is computed at a time, at most
    TURNING = 15  # samples whose multiply-adds take as long as to turn it round,
    TURNING_FAR = 45  # and where its rows are pages apart
    THIN_ROOM = 512  # elements of W that backward copies for thin columns, at most


cdef inline Py_ssize_t tiled_outputs(
    const vec *p, Py_ssize_t n_inputs, Py_ssize_t n_outputs
) noexcept nogil:
    """How many of the outputs forward computes by tiles, if any: the first ones."""
    return n_outputs - thin_columns(lanes(p), n_outputs, n_inputs)


cdef inline void forward(
    const vec *a_in, const vec *W, const vec *b, vec *z,
    Py_ssize_t n, Py_ssize_t n_inputs, Py_ssize_t n_outputs, bint by_dots, bint by_lanes,
    const vec *panels, look_t *look, bint in_parts, vec *work, packed_t *packed,
) noexcept nogil:
    cdef Py_ssize_t main = 0 if by_dots else tiled_outputs(z, n_inputs, n_outputs)
    if MATRIX_UNIT and in_parts and work != NULL:
        bpcore_parts_f32(z, n_outputs, b, 0, a_in, n_inputs, 1, W, n_inputs, True, n, n_outputs,
                         n_inputs, work, packed)
        return
    if by_lanes:
        few_outputs(z, n_outputs, b, a_in, W, n, n_inputs, n_outputs)
        return
    if main > 0:
        product(z, n_outputs, b, 0, a_in, n_inputs, 1, W, n_inputs, True, panels, n, main,
                n_inputs, look, work)
    if main < n_outputs:
        run_dots(at(z, main), n_outputs, at(b, main), a_in, at(W, main * n_inputs), n, n_inputs,
                 n_outputs - main)


cdef inline void affine_forward(
    const floating *a_in,    # IN  (n, n_inputs)
    const floating *W,       # IN  (n_outputs, n_inputs)
    const floating *b,       # IN  (n_outputs,)
    floating *z,             # OUT (n, n_outputs), overlaps nothing
    Py_ssize_t n, Py_ssize_t n_inputs, Py_ssize_t n_outputs,
    bint by_dots,            # a few samples, or
    bint by_lanes,           # a few outputs and inputs
    const floating *panels,  # what pack_panels made of W's tiled_outputs, or NULL
    look_t *look,            # as for product,
    bint in_parts,           # on the matrix unit, if there is `work`
    floating *work,          # as for product, and PARTS_WORK elements if in_parts
    packed_t *packed,        # as for parts_product
) noexcept nogil:
    """z = a_in Wᵀ + b"""
    if floating is float:
        forward(<vf32 *> a_in, <vf32 *> W, <vf32 *> b, <vf32 *> z, n, n_inputs, n_outputs, by_dots,
                by_lanes, <const vf32 *> panels, look, in_parts, <vf32 *> work, packed)
    else:
        forward(<vf64 *> a_in, <vf64 *> W, <vf64 *> b, <vf64 *> z, n, n_inputs, n_outputs, by_dots,
                by_lanes, <const vf64 *> panels, look, in_parts, <vf64 *> work, packed)


cdef inline void scaled_rows(
    const vec *delta, const vec *w, vec *da_in, Py_ssize_t n, Py_ssize_t n_inputs
) noexcept nogil:
    """∂C/∂a_in = δ wᵀ of a single output, row after row"""
    cdef Py_ssize_t i, k, width = lanes(w), whole = n_inputs // width * width
    cdef int left = <int> (n_inputs - whole)
    cdef vec d
    for i in range(n):
        d = broadcast(delta, i)
        k = 0
        while k < whole:
            store(da_in, k, d * load(w, k))
            k += width
        if left:
            store_part(da_in, whole, d * load_part(w, whole, left), left)
        da_in = at(da_in, n_inputs)


cdef inline void backward(
    const vec *delta, const vec *W, vec *da_in,
    Py_ssize_t n, Py_ssize_t n_inputs, Py_ssize_t n_outputs, look_t *look, bint in_parts,
    vec *work,
) noexcept nogil:
    cdef vec room[THIN_ROOM]
    cdef Py_ssize_t thin = thin_columns(lanes(da_in), n_inputs, n_outputs)
    if MATRIX_UNIT and in_parts and work != NULL:
        bpcore_parts_f32(da_in, n_inputs, NULL, 0, delta, n_outputs, 1, W, n_inputs, False, n,
                         n_inputs, n_outputs, work, NULL)
        return
    if n_outputs == 1:
        scaled_rows(delta, W, da_in, n, n_inputs)
        return
    if thin * n_outputs > THIN_ROOM:
        thin = 0
    product(da_in, n_inputs, <vec *> NULL, 0, delta, n_outputs, 1, W, n_inputs, False, NULL, n,
            n_inputs - thin, n_outputs, look, work)
    if thin > 0:
        transpose(at(W, n_inputs - thin), n_inputs, room, n_outputs, n_outputs, thin)
        run_dots(at(da_in, n_inputs - thin), n_inputs, <const vec *> ZEROS, delta, room, n,
                 n_outputs, thin)


cdef inline void affine_backward(
    const floating *delta,  # IN  (n, n_outputs)
    const floating *W,      # IN  (n_outputs, n_inputs)
    floating *da_in,        # OUT (n, n_inputs), overlaps nothing
    Py_ssize_t n, Py_ssize_t n_inputs, Py_ssize_t n_outputs,
    look_t *look,           # as for product,
    bint in_parts,          # as for affine_forward,
    floating *work,         # and this
) noexcept nogil:
    """∂C/∂a_in = δ W"""
    if floating is float:
        backward(<vf32 *> delta, <vf32 *> W, <vf32 *> da_in, n, n_inputs, n_outputs, look,
                 in_parts, <vf32 *> work)
    else:
        backward(<vf64 *> delta, <vf64 *> W, <vf64 *> da_in, n, n_inputs, n_outputs, look,
                 in_parts, <vf64 *> work)


cdef inline Py_ssize_t turned_columns(
    const vec *p, Py_ssize_t n_inputs, Py_ssize_t rows
) noexcept nogil:
    """The last columns of ∂C/∂W whose transpose fills vectors better: none, few, or all.

    The order of the sums is the same.
    """
    cdef Py_ssize_t width = lanes(p), left = n_inputs % width
    cdef Py_ssize_t vectors = ceil_div(rows, width)
    if n_inputs <= TURNED and (
            2 * n_inputs * vectors < rows * ceil_div(n_inputs, width) * 2 - rows // 4):
        return n_inputs
    # Tiles of so few rows wait for their sums: four times the multiply-adds.
    return left if n_inputs > width and 4 * left * vectors < rows else 0


cdef inline void turned_gradient(
    const vec *delta, Py_ssize_t ld_delta, const vec *a_in, vec *dW, Py_ssize_t ld,
    Py_ssize_t n, Py_ssize_t n_inputs, Py_ssize_t rows, bint accumulate,
) noexcept nogil:
    """(∂C/∂W)ᵀ = a_inᵀ δ, two vectors of outputs at a time, turned round on the way out.

    Rows of a_in and dW lie ld apart, of which n_inputs columns are meant.
    """
    cdef vec room[2 * TURNED + 16]
    cdef vec *part = <vec *> cache_line(room)
    cdef Py_ssize_t panel = 2 * lanes(dW), deep = part_of(n, DEPTH), m = 0, wide, missing, k, step
    while m < rows:
        wide = panel if rows - m > panel else rows - m
        if accumulate:
            transpose(at(dW, m * ld), ld, part, panel, wide, n_inputs)
        missing = ceil_div((panel - wide) % (panel // 2), ld_delta)
        k = 0
        while k < n:
            step = deep if n - k > deep else n - k
            run_panel(part, panel, part if accumulate or k > 0 else NULL, panel,
                      at(a_in, k * ld), 1, ld, 0,
                      at(delta, k * ld_delta + m), ld_delta,
                      step - missing if step > missing else 0, n_inputs, wide, step)
            k += step
        transpose(part, panel, at(dW, m * ld), ld, n_inputs, wide)
        m += wide


cdef inline void bias_sums(
    const vec *delta, Py_ssize_t ld_delta, vec *db, Py_ssize_t n, bint accumulate,
    int vectors,  # a constant at every call
    int count,    # columns of the last one
) noexcept nogil:
    """Four sums of every fourth sample each, side by side: an addition waits for the one before."""
    cdef vec acc[16]
    cdef Py_ssize_t i = 0, width = lanes(db)
    cdef int k, v, left
    for v in range(vectors):
        left = count if v == vectors - 1 else <int> width
        for k in range(4):
            acc[k * vectors + v] = zero(db)
    while i + 4 <= n:
        for k in range(4):
            for v in range(vectors):
                left = count if v == vectors - 1 else <int> width
                acc[k * vectors + v] += load_part(delta, (i + k) * ld_delta + v * width, left)
        i += 4
    while i < n:
        for v in range(vectors):
            left = count if v == vectors - 1 else <int> width
            acc[v] += load_part(delta, i * ld_delta + v * width, left)
        i += 1
    for v in range(vectors):
        left = count if v == vectors - 1 else <int> width
        acc[v] = (acc[v] + acc[vectors + v]) + (acc[2 * vectors + v] + acc[3 * vectors + v])
        if accumulate:
            acc[v] += load_part(db, v * width, left)
        store_part(db, v * width, acc[v], left)


cdef inline void bias_gradient(
    const vec *delta, Py_ssize_t ld_delta, vec *db, Py_ssize_t n, Py_ssize_t rows, bint accumulate,
) noexcept nogil:
    """∂C/∂b = Σ_i δ_i, in an order that does not depend on the outputs beside"""
    cdef Py_ssize_t m = 0, width = lanes(db)
    while TILE_ROWS >= 12 and m + 4 * width <= rows:  # whose registers hold as many sums
        bias_sums(at(delta, m), ld_delta, at(db, m), n, accumulate, 4, <int> width)
        m += 4 * width
    while m + 2 * width <= rows:
        bias_sums(at(delta, m), ld_delta, at(db, m), n, accumulate, 2, <int> width)
        m += 2 * width
    while m < rows:
        bias_sums(at(delta, m), ld_delta, at(db, m), n, accumulate, 1,
                  <int> (width if rows - m > width else rows - m))
        m += width


cdef inline void input_skipping_gradient(
    const vec *delta, Py_ssize_t ld_delta, const vec *a_in, vec *dW,
    Py_ssize_t n, Py_ssize_t n_inputs, Py_ssize_t rows, bint accumulate,
    vec *work,  # room for SKIP_WORK + TURNED rows elements
) noexcept nogil:
    """(∂C/∂W)ᵀ = a_inᵀ δ without a_in's zeros, TURNED inputs at a time, turned round at the end."""
    cdef vec *part = at(work, SKIP_WORK)
    cdef Py_ssize_t first = 0, some
    while first < n_inputs:
        some = TURNED if n_inputs - first > TURNED else n_inputs - first
        if accumulate:
            transpose(at(dW, first), n_inputs, part, rows, rows, some)
        skipping_product(part, rows, part if accumulate else NULL, rows, at(a_in, first), 1,
                         n_inputs, delta, ld_delta, False, some, rows, n, work)
        transpose(part, rows, at(dW, first), n_inputs, some, rows)
        first += some


cdef inline double whole(const vec *p, Py_ssize_t columns) noexcept nogil:
    """How many vectors hold so many columns."""
    return ceil_div(columns, lanes(p))


cdef inline void gradient(
    const vec *delta, Py_ssize_t ld_delta, const vec *a_in, vec *dW, vec *db,
    Py_ssize_t n, Py_ssize_t n_inputs, Py_ssize_t rows, bint accumulate,
    look_t *look, look_t *look_delta, bint in_parts, vec *work,
) noexcept nogil:
    # All ways sum in the same order, so the data may choose between them.
    cdef Py_ssize_t turned = turned_columns(dW, n_inputs, rows), main = n_inputs - turned
    cdef double vectors = whole(dW, main) * rows + whole(dW, rows) * turned
    cdef double by_delta = 1, by_input = 1
    cdef Py_ssize_t turning = TURNING
    cdef const vec *start = dW if accumulate else NULL
    if MATRIX_UNIT and in_parts and work != NULL:
        bpcore_parts_f32(dW, n_inputs, start, n_inputs, delta, 1, ld_delta, a_in, n_inputs, False,
                         rows, n_inputs, n, work, NULL)
        bias_gradient(delta, ld_delta, db, n, rows, accumulate)
        return
    if work != NULL and look_delta != NULL:
        if looks(look_delta):
            look_delta.cost = skipping_cost(
                delta, 1, ld_delta, a_in, n_inputs, False, rows, n_inputs, n, rows,
                rows * whole(dW, n_inputs) / vectors)
        by_delta = look_delta.cost
    if work != NULL and look != NULL:
        if looks(look):
            if n_inputs * element_size(dW) >= PAGE_BYTES:
                turning = TURNING_FAR
            look.cost = (2 if accumulate else 1) * turning / <double> n
            if look.cost < 1:
                look.cost += skipping_cost(
                    a_in, 1, n_inputs, delta, ld_delta, False, n_inputs, rows, n,
                    TURNED if n_inputs > TURNED else n_inputs,
                    n_inputs * whole(dW, rows) / vectors)
        by_input = look.cost
    if by_input < 1 and by_input < by_delta:
        input_skipping_gradient(delta, ld_delta, a_in, dW, n, n_inputs, rows, accumulate, work)
    elif by_delta < 1:
        skipping_product(dW, n_inputs, start, n_inputs, delta, 1, ld_delta, a_in, n_inputs, False,
                         rows, n_inputs, n, work)
    else:
        if main > 0:
            tiled_product(dW, n_inputs, start, n_inputs, delta, 1, ld_delta, a_in, n_inputs, False,
                          NULL, rows, main, n, work)
        if turned > 0:
            turned_gradient(delta, ld_delta, at(a_in, main), at(dW, main), n_inputs, n, turned,
                            rows, accumulate)
    bias_gradient(delta, ld_delta, db, n, rows, accumulate)


cdef inline void affine_gradient(
    const floating *delta,  # IN  (n, n_outputs), of which the first `rows` columns count
    const floating *a_in,   # IN  (n, n_inputs)
    floating *dW,           # OUT (rows, n_inputs)
    floating *db,           # OUT (rows,)
    Py_ssize_t n, Py_ssize_t n_inputs, Py_ssize_t n_outputs, Py_ssize_t rows,
    bint accumulate,        # add to what dW and db hold
    look_t *look,           # as for product, of a_in
    look_t *look_delta,     # and of delta
    bint in_parts,          # as for affine_forward
    floating *work,         # the same, and TURNED n_outputs elements more with look
) noexcept nogil:
    """∂C/∂W = δᵀ a_in, ∂C/∂b = Σ_i δ_i; dW and db overlap nothing."""
    if floating is float:
        gradient(<vf32 *> delta, n_outputs, <vf32 *> a_in, <vf32 *> dW, <vf32 *> db, n, n_inputs,
                 rows, accumulate, look, look_delta, in_parts, <vf32 *> work)
    else:
        gradient(<vf64 *> delta, n_outputs, <vf64 *> a_in, <vf64 *> dW, <vf64 *> db, n, n_inputs,
                 rows, accumulate, look, look_delta, in_parts, <vf64 *> work)
