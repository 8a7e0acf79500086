"""The three products of a layer for one sample: matrix times vector, and the outer product.

    z = W a_in + b                     matvec_forward
    ∂C/∂a_in = Wᵀ δ                    matvec_backward
    W-shaped += s δ a_inᵀ, b += s δ    outer_product

Here nothing is used twice, so there is nothing to tile: W is read once, row by
row in the order of memory. What counts for a small layer is the way in and out.
"""
from bpcore._math.dots cimport dot_rows
from bpcore._math.vector cimport (
    at, broadcast, lanes, load, load_part, store, store_part, store_sum, vec, zero,
)


cdef inline void matvec_forward(
    const vec *a_in,  # IN  (n_inputs,)
    const vec *W,     # IN  (n_outputs, n_inputs)
    const vec *b,     # IN  (n_outputs,)
    vec *z,           # OUT (n_outputs,), overlaps nothing
    Py_ssize_t n_inputs, Py_ssize_t n_outputs,
) noexcept nogil:
    """z_m = b_m + Σ_n W[m, n] a_in[n]"""
    cdef Py_ssize_t m
    cdef int left = <int> n_inputs
    cdef vec x
    if n_inputs > lanes(z):
        dot_rows(z, b, a_in, W, n_inputs, n_outputs, 1, 8)
        return
    x = load_part(a_in, 0, left)
    for m in range(n_outputs):
        store_sum(z, m, x * load_part(W, m * n_inputs, left), at(b, m))


cdef inline void matvec_backward(
    const vec *delta,  # IN  (n_outputs,)
    const vec *W,      # IN  (n_outputs, n_inputs)
    vec *da_in,        # OUT (n_inputs,), overlaps nothing
    Py_ssize_t n_inputs, Py_ssize_t n_outputs,
) noexcept nogil:
    """∂C/∂a_in[n] = Σ_m δ_m W[m, n]"""
    cdef Py_ssize_t m, n = 0, width = lanes(delta)
    cdef vec first, second, third, fourth, dm
    cdef const vec *Wm
    cdef int left
    while n + 4 * width <= n_inputs:  # four sums at once hide the latency of an addition
        first = second = third = fourth = zero(delta)
        Wm = at(W, n)
        for m in range(n_outputs):
            dm = broadcast(delta, m)
            first += dm * load(Wm, 0)
            second += dm * load(Wm, width)
            third += dm * load(Wm, 2 * width)
            fourth += dm * load(Wm, 3 * width)
            Wm = at(Wm, n_inputs)
        store(da_in, n, first)
        store(da_in, n + width, second)
        store(da_in, n + 2 * width, third)
        store(da_in, n + 3 * width, fourth)
        n += 4 * width
    while n < n_inputs:
        left = <int> (width if n_inputs - n > width else n_inputs - n)
        first = zero(delta)
        for m in range(n_outputs):
            first += broadcast(delta, m) * load_part(W, m * n_inputs + n, left)
        store_part(da_in, n, first, left)
        n += width


cdef inline void outer_product(
    const vec *delta,  # IN  (n_outputs,)
    const vec *a_in,   # IN  (n_inputs,)
    const vec *scale,  # IN  s, one number
    vec *dW,           # OUT (n_outputs, n_inputs)
    Py_ssize_t n_inputs, Py_ssize_t n_outputs,
    bint accumulate,   # add to what dW holds
) noexcept nogil:
    """dW[m, n] = s δ_m a_in[n]; nothing overlaps."""
    cdef Py_ssize_t m, n, width = lanes(dW)
    cdef int left
    cdef vec dm, x, s = broadcast(scale, 0)
    cdef vec *dWm = dW
    if n_inputs <= width:
        left = <int> n_inputs
        x = load_part(a_in, 0, left)
        for m in range(n_outputs):
            dm = s * broadcast(delta, m) * x
            if accumulate:
                dm += load_part(dWm, 0, left)
            store_part(dWm, 0, dm, left)
            dWm = at(dWm, n_inputs)
        return
    for m in range(n_outputs):
        dm = s * broadcast(delta, m)
        n = 0
        while n + width <= n_inputs:
            x = dm * load(a_in, n)
            if accumulate:
                x += load(dWm, n)
            store(dWm, n, x)
            n += width
        left = <int> (n_inputs - n)
        if left:
            x = dm * load_part(a_in, n, left)
            if accumulate:
                x += load_part(dWm, n, left)
            store_part(dWm, n, x, left)
        dWm = at(dWm, n_inputs)
