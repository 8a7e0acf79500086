"""The three products of a layer.

    z = a_in Wᵀ + b                 affine_forward
    ∂C/∂a_in = δ W                  affine_backward
    ∂C/∂W = δᵀ a_in, ∂C/∂b = Σ δ    affine_gradient

They run on the register tiles of tile.pxd. Only the forward product wants W by
columns, and turns it round on the way; for a few samples that costs more than
the product, and there each z is a dot product of two rows. Where few inputs
would leave the lanes of ∂C/∂W's rows empty, its transpose is computed.
"""
from cython cimport floating

from bpcore._math.dots cimport product_of_dots
from bpcore._math.pack cimport transpose
from bpcore._math.tile cimport DEPTH, product, run_panel
from bpcore._math.vector cimport (
    LANES_F32, LANES_F64, at, lanes, load, load_part, store, store_part, vec, vf32, vf64, zero,
)

cdef enum:
    TURNED = 64  # the most inputs for which the transpose of ∂C/∂W is worth a thought


cdef inline void affine_forward(
    const floating *a_in,    # IN  (n, n_inputs)
    const floating *W,       # IN  (n_outputs, n_inputs)
    const floating *b,       # IN  (n_outputs,)
    floating *z,             # OUT (n, n_outputs), overlaps nothing
    Py_ssize_t n, Py_ssize_t n_inputs, Py_ssize_t n_outputs,
    bint by_dots,            # a few samples
    floating *work,          # as for product
) noexcept nogil:
    """z = a_in Wᵀ + b"""
    if floating is float:
        if by_dots:
            product_of_dots(<vf32 *> z, <vf32 *> b, <vf32 *> a_in, <vf32 *> W, n, n_inputs,
                            n_outputs)
        else:
            product(<vf32 *> z, n_outputs, <vf32 *> b, 0, <vf32 *> a_in, n_inputs, 1,
                    <vf32 *> W, n_inputs, True, n, n_outputs, n_inputs, <vf32 *> work)
    else:
        if by_dots:
            product_of_dots(<vf64 *> z, <vf64 *> b, <vf64 *> a_in, <vf64 *> W, n, n_inputs,
                            n_outputs)
        else:
            product(<vf64 *> z, n_outputs, <vf64 *> b, 0, <vf64 *> a_in, n_inputs, 1,
                    <vf64 *> W, n_inputs, True, n, n_outputs, n_inputs, <vf64 *> work)


cdef inline void affine_backward(
    const floating *delta,  # IN  (n, n_outputs)
    const floating *W,      # IN  (n_outputs, n_inputs)
    floating *da_in,        # OUT (n, n_inputs), overlaps nothing
    Py_ssize_t n, Py_ssize_t n_inputs, Py_ssize_t n_outputs,
    floating *work,         # as for product
) noexcept nogil:
    """∂C/∂a_in = δ W"""
    if floating is float:
        product(<vf32 *> da_in, n_inputs, <vf32 *> NULL, 0, <vf32 *> delta, n_outputs, 1,
                <vf32 *> W, n_inputs, False, n, n_inputs, n_outputs, <vf32 *> work)
    else:
        product(<vf64 *> da_in, n_inputs, <vf64 *> NULL, 0, <vf64 *> delta, n_outputs, 1,
                <vf64 *> W, n_inputs, False, n, n_inputs, n_outputs, <vf64 *> work)


cdef inline bint turned_is_cheaper(
    const vec *p, Py_ssize_t n_inputs, Py_ssize_t rows
) noexcept nogil:
    """Whether rows of ∂C/∂W fill vectors worse than its columns do."""
    cdef Py_ssize_t width = lanes(p)
    return n_inputs <= TURNED and (
        2 * n_inputs * ((rows + width - 1) // width)
        < rows * ((n_inputs + width - 1) // width) * 2 - rows // 4)


cdef inline void turned_gradient(
    const vec *delta, Py_ssize_t ld_delta, const vec *a_in, vec *dW,
    Py_ssize_t n, Py_ssize_t n_inputs, Py_ssize_t rows, bint accumulate,
) noexcept nogil:
    """(∂C/∂W)ᵀ = a_inᵀ δ, two vectors of outputs at a time, turned round on the way out."""
    cdef vec room[2 * TURNED + 16]
    cdef vec *part = <vec *> ((<size_t> room + 63) // 64 * 64)
    cdef Py_ssize_t panel = 2 * lanes(dW), m = 0, wide, missing, k, step
    while m < rows:
        wide = panel if rows - m > panel else rows - m
        if accumulate:
            transpose(at(dW, m * n_inputs), n_inputs, part, panel, wide, n_inputs)
        missing = ((panel - wide) % (panel // 2) + ld_delta - 1) // ld_delta
        k = 0
        while k < n:
            step = DEPTH if n - k > DEPTH else n - k
            run_panel(part, panel, part if accumulate or k > 0 else NULL, panel,
                      at(a_in, k * n_inputs), 1, n_inputs, False,
                      at(delta, k * ld_delta + m), ld_delta,
                      step - missing if step > missing else 0, n_inputs, wide, step)
            k += step
        transpose(part, panel, at(dW, m * n_inputs), n_inputs, n_inputs, wide)
        m += wide


cdef inline void bias_gradient(
    const vec *delta, Py_ssize_t ld_delta, vec *db, Py_ssize_t n, Py_ssize_t rows, bint accumulate,
) noexcept nogil:
    """∂C/∂b = Σ_i δ_i, four vectors side by side while there are"""
    cdef vec acc[4]
    cdef Py_ssize_t m = 0, i, width = lanes(db)
    cdef int v, left
    while m + 4 * width <= rows:
        for v in range(4):
            acc[v] = load(db, m + v * width) if accumulate else zero(db)
        for i in range(n):
            for v in range(4):
                acc[v] += load(delta, i * ld_delta + m + v * width)
        for v in range(4):
            store(db, m + v * width, acc[v])
        m += 4 * width
    while m < rows:
        left = <int> (width if rows - m > width else rows - m)
        acc[0] = load_part(db, m, left) if accumulate else zero(db)
        for i in range(n):
            acc[0] += load_part(delta, i * ld_delta + m, left)
        store_part(db, m, acc[0], left)
        m += left


cdef inline void gradient(
    const vec *delta, Py_ssize_t ld_delta, const vec *a_in, vec *dW, vec *db,
    Py_ssize_t n, Py_ssize_t n_inputs, Py_ssize_t rows, bint accumulate, vec *work,
) noexcept nogil:
    if turned_is_cheaper(dW, n_inputs, rows):
        turned_gradient(delta, ld_delta, a_in, dW, n, n_inputs, rows, accumulate)
    else:
        product(dW, n_inputs, dW if accumulate else NULL, n_inputs, delta, 1, ld_delta,
                a_in, n_inputs, False, rows, n_inputs, n, work)
    bias_gradient(delta, ld_delta, db, n, rows, accumulate)


cdef inline void affine_gradient(
    const floating *delta,  # IN  (n, n_outputs), of which the first `rows` columns count
    const floating *a_in,   # IN  (n, n_inputs)
    floating *dW,           # OUT (rows, n_inputs)
    floating *db,           # OUT (rows,)
    Py_ssize_t n, Py_ssize_t n_inputs, Py_ssize_t n_outputs, Py_ssize_t rows,
    bint accumulate,        # add to what dW and db hold
    floating *work,         # as for product
) noexcept nogil:
    """∂C/∂W = δᵀ a_in, ∂C/∂b = Σ_i δ_i; dW and db overlap nothing."""
    if floating is float:
        gradient(<vf32 *> delta, n_outputs, <vf32 *> a_in, <vf32 *> dW, <vf32 *> db, n, n_inputs,
                 rows, accumulate, <vf32 *> work)
    else:
        gradient(<vf64 *> delta, n_outputs, <vf64 *> a_in, <vf64 *> dW, <vf64 *> db, n, n_inputs,
                 rows, accumulate, <vf64 *> work)
