"""The three products of a layer for one sample: matrix times vector, and the outer product.

    z = W a_in + b                     matvec_forward
    ∂C/∂a_in = Wᵀ δ                    matvec_backward
    W-shaped += s δ a_inᵀ, b += s δ    outer_product

Here nothing is used twice, so there is nothing to tile: W is read once, row by
row in the order of memory. What counts for a small layer is the way in and out.
"""
from bpcore._math.dots cimport dot_rows
from bpcore._math.rounding cimport ceil_div
from bpcore._math.vector cimport at, broadcast, lanes, load, store, vec, zero
from bpcore._math.vector_parts cimport load_part, store_part
from bpcore._math.vector_sums cimport sums


cdef inline vec products_of_rows(
    vec x,          # a_in, the lanes beyond it 0
    const vec *W,   # IN  (count, n_inputs)
    const vec *b,   # IN  (count,)
    Py_ssize_t n_inputs,
    int count,      # up to a vector of outputs
) noexcept nogil:
    """z_m = b_m + Σ_n W[m, n] a_in[n], m < count"""
    cdef vec rows[16]
    cdef int m
    for m in range(lanes(W)):
        if m < count:
            rows[m] = x * load_part(W, m * n_inputs, <int> n_inputs)
        else:
            rows[m] = zero(W)
    return sums(rows, count, <int> n_inputs) + load_part(b, 0, count)


cdef inline void sums_of_rows(
    const vec *delta,  # IN  (n_outputs,)
    const vec *W,      # IN  (n_outputs, its columns), row stride n_inputs
    vec *da_in,        # OUT (its columns,), or added to
    Py_ssize_t n_inputs, Py_ssize_t n_outputs,
    int vectors,       # up to four, a constant at every call, and so is edge:
    bint edge,         # the last one holds `count` columns; otherwise it is full
    int count,
    bint padded, bint accumulate,
) noexcept nogil:
    """∂C/∂a_in[n] = Σ_m δ_m W[m, n] of some vectors, in four sums: each waits for additions"""
    cdef vec acc[4]
    cdef vec dm
    cdef Py_ssize_t m = 0, width = lanes(delta)
    cdef int chains = 4 // vectors, whole = vectors - 1 if edge else vectors, c, v
    for v in range(4):
        acc[v] = zero(delta)
    while chains > 1 and m + chains <= n_outputs:
        for c in range(chains):
            dm = broadcast(delta, m + c)
            for v in range(whole):
                acc[c * vectors + v] += dm * load(W, c * n_inputs + v * width)
            if edge:
                acc[c * vectors + whole] += dm * load_part(W, c * n_inputs + whole * width, count)
        W = at(W, chains * n_inputs)
        m += chains
    while m < n_outputs:
        dm = broadcast(delta, m)
        for v in range(whole):
            acc[v] += dm * load(W, v * width)
        if edge:
            acc[whole] += dm * load_part(W, whole * width, count)
        W = at(W, n_inputs)
        m += 1
    if vectors == 1:
        acc[0] = (acc[0] + acc[1]) + (acc[2] + acc[3])
    elif vectors == 2:
        acc[0] += acc[2]
        acc[1] += acc[3]
    if accumulate:
        for v in range(whole):
            acc[v] += load(da_in, v * width)
        if edge:
            acc[whole] += load_part(da_in, whole * width, count)
    for v in range(whole):
        store(da_in, v * width, acc[v])
    if edge and padded:
        store(da_in, whole * width, acc[whole])
    elif edge:
        store_part(da_in, whole * width, acc[whole], count)


cdef inline void matvec_forward(
    const vec *a_in,  # IN  (n_inputs,)
    const vec *W,     # IN  (n_outputs, n_inputs)
    const vec *b,     # IN  (n_outputs,)
    vec *z,           # OUT (n_outputs,), overlaps nothing
    Py_ssize_t n_inputs, Py_ssize_t n_outputs,
    bint padded,      # z has room for whole vectors
) noexcept nogil:
    """z_m = b_m + Σ_n W[m, n] a_in[n]"""
    cdef Py_ssize_t first = 0, width = lanes(z)
    cdef int count
    cdef vec x, z_m
    if n_inputs > width:
        dot_rows(z, n_outputs, b, a_in, W, n_inputs, n_outputs, 1, 8)
        return
    # A vector of z at a time: σ then finds it in one piece.
    x = load_part(a_in, 0, <int> n_inputs)
    while first < n_outputs:
        count = <int> (width if n_outputs - first > width else n_outputs - first)
        z_m = products_of_rows(x, at(W, first * n_inputs), at(b, first), n_inputs, count)
        if padded:
            store(z, first, z_m)
        else:
            store_part(z, first, z_m, count)
        first += width


cdef inline void matvec_backward(
    const vec *delta,  # IN  (n_outputs,)
    const vec *W,      # IN  (n_outputs, n_inputs)
    vec *da_in,        # OUT (n_inputs,), overlaps nothing
    Py_ssize_t n_inputs, Py_ssize_t n_outputs,
    bint padded,        # da_in has room for whole vectors
    bint accumulate,    # add to what da_in holds
) noexcept nogil:
    """∂C/∂a_in[n] = Σ_m δ_m W[m, n]"""
    cdef Py_ssize_t n = 0, width = lanes(delta)
    cdef int vectors, count
    while n + 4 * width <= n_inputs:
        sums_of_rows(delta, at(W, n), at(da_in, n), n_inputs, n_outputs, 4, False, 0, padded,
                     accumulate)
        n += 4 * width
    vectors = <int> ceil_div(n_inputs - n, width)
    count = <int> (n_inputs - n - (vectors - 1) * width)
    W, da_in = at(W, n), at(da_in, n)
    if vectors == 1 and count == width:
        sums_of_rows(delta, W, da_in, n_inputs, n_outputs, 1, False, 0, padded, accumulate)
    elif vectors == 1:
        sums_of_rows(delta, W, da_in, n_inputs, n_outputs, 1, True, count, padded, accumulate)
    elif vectors == 2 and count == width:
        sums_of_rows(delta, W, da_in, n_inputs, n_outputs, 2, False, 0, padded, accumulate)
    elif vectors == 2:
        sums_of_rows(delta, W, da_in, n_inputs, n_outputs, 2, True, count, padded, accumulate)
    elif vectors == 3 and count == width:
        sums_of_rows(delta, W, da_in, n_inputs, n_outputs, 3, False, 0, padded, accumulate)
    elif vectors == 3:
        sums_of_rows(delta, W, da_in, n_inputs, n_outputs, 3, True, count, padded, accumulate)
    elif vectors == 4:
        sums_of_rows(delta, W, da_in, n_inputs, n_outputs, 4, True, count, padded, accumulate)


cdef inline void outer_rows(
    const vec *delta, const vec *a_in, vec s, vec *dW, Py_ssize_t n_inputs,
    int rows, bint accumulate,  # constants at every call
) noexcept nogil:
    """dW[m, n] = s δ_m a_in[n], m < rows, of more than a vector of inputs

    The last vector ends with the row, and has lanes of the one before: a part of a vector would
    reach into the next row, whose beginning, when read, would wait for it.
    """
    cdef Py_ssize_t n = 0, width = lanes(dW), left = n_inputs % width
    cdef Py_ssize_t last = n_inputs - width, body = n_inputs - left - (width if left else 0)
    cdef vec x, end
    cdef vec dm[2]
    cdef vec new[4]
    cdef int r
    for r in range(rows):
        dm[r] = s * broadcast(delta, r)
    while n < body:
        x = load(a_in, n)
        for r in range(rows):
            new[r] = dm[r] * x
            if accumulate:
                new[r] += load(dW, r * n_inputs + n)
            store(dW, r * n_inputs + n, new[r])
        n += width
    if left == 0:
        return
    x, end = load(a_in, n), load(a_in, last)
    for r in range(rows):
        new[r], new[2 + r] = dm[r] * x, dm[r] * end
        if accumulate:
            new[r] += load(dW, r * n_inputs + n)
            new[2 + r] += load(dW, r * n_inputs + last)
        store(dW, r * n_inputs + n, new[r])
        store(dW, r * n_inputs + last, new[2 + r])


cdef inline void outer_matrix(
    const vec *delta, const vec *a_in, vec s, vec *dW, Py_ssize_t n_inputs, Py_ssize_t n_outputs,
    bint accumulate,  # a constant at every call
) noexcept nogil:
    """The same of all rows, two at a time"""
    cdef Py_ssize_t m = 0
    while m + 2 <= n_outputs:
        outer_rows(at(delta, m), a_in, s, dW, n_inputs, 2, accumulate)
        dW = at(dW, 2 * n_inputs)
        m += 2
    if m < n_outputs:
        outer_rows(at(delta, m), a_in, s, dW, n_inputs, 1, accumulate)


cdef inline void outer_product(
    const vec *delta,  # IN  (n_outputs,)
    const vec *a_in,   # IN  (n_inputs,)
    const vec *scale,  # IN  s, one number
    vec *dW,           # OUT (n_outputs, n_inputs)
    vec *db,           # OUT (n_outputs,)
    Py_ssize_t n_inputs, Py_ssize_t n_outputs,
    bint accumulate,   # add to what dW and db hold
) noexcept nogil:
    """dW[m, n] = s δ_m a_in[n], db_m = s δ_m; nothing overlaps.

    All that is small is read before any of it is written, and the row that follows, too:
    a row's vector reaches into the rows behind it, and reading what has just been written
    in another piece stalls.
    """
    cdef Py_ssize_t m = 0, n, width = lanes(dW)
    cdef int left, r, rows
    cdef vec x, next_row, s = broadcast(scale, 0)
    cdef vec few[8]
    left = <int> (width if n_outputs > width else n_outputs)
    cdef vec bias = s * load_part(delta, 0, left)
    if accumulate:
        bias += load_part(db, 0, left)
    if n_inputs <= width:
        left = <int> n_inputs
        x = load_part(a_in, 0, left)
        next_row = load_part(dW, 0, left) if accumulate else zero(dW)
        while m < n_outputs:
            rows = <int> (8 if n_outputs - m > 8 else n_outputs - m)
            for r in range(8):
                if r < rows:
                    few[r] = s * broadcast(delta, m + r) * x
                    if accumulate and r == 0:
                        few[r] += next_row
                    elif accumulate:
                        few[r] += load_part(dW, (m + r) * n_inputs, left)
            if accumulate and m + 8 < n_outputs:
                next_row = load_part(dW, (m + 8) * n_inputs, left)
            for r in range(8):
                if r < rows:
                    store_part(dW, (m + r) * n_inputs, few[r], left)
            m += rows
    else:
        if accumulate:
            outer_matrix(delta, a_in, s, dW, n_inputs, n_outputs, True)
        else:
            outer_matrix(delta, a_in, s, dW, n_inputs, n_outputs, False)
    n = 0
    while n < n_outputs:
        left = <int> (width if n_outputs - n > width else n_outputs - n)
        if n > 0:
            bias = s * load_part(delta, n, left)
            if accumulate:
                bias += load_part(db, n, left)
        store_part(db, n, bias, left)
        n += width
