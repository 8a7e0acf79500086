"""The rows of a batch: gathered where they are shuffled, and fetched before they are wanted.

What a step reads of X comes from memory, and a processor guesses where the next row lies only if
rows follow one another, and then up to the end of a page. The rows that come next are on their way
into the cache while this block's are computed with.
"""

cdef enum:
    SOON = 16           # samples between a narrow network's and those that are fetched,
    SOON_BYTES = 32768  # and of X, at most, where a block is computed: the first-level cache's
    NEXT_BYTES = 1024   # between what is fetched and what is gathered of a larger one
    SHARES = 4          # in which they are, as a processor waits for a dozen lines at a time
    Y_BYTES = 256       # of a share, from which Y's rows are fetched as well


cdef struct coming_t:
    Py_ssize_t row      # the first one that is still to be fetched
    Py_ssize_t last     # … last - 1
    Py_ssize_t share


cdef inline void fetch_row(
    const training_t *t, const stretch_t *data, Py_ssize_t i, Py_ssize_t itemsize, bint with_x
) noexcept nogil:
    """Row i of X, unless it is fetched elsewhere, and what belongs to it on their way into the
    cache"""
    cdef Py_ssize_t x_size = t.net.layers[0].n_inputs * itemsize
    cdef Py_ssize_t y_size = t.net.layers[t.net.n_layers - 1].n_outputs * itemsize
    if with_x:
        fetch(<const char *> data.X + i * x_size, x_size, False)
    if data.Y != NULL:
        fetch(<const char *> data.Y + i * y_size, y_size, False)
    if data.labels != NULL:
        fetch(data.labels + i, sizeof(data.labels[0]), False)
    if data.weight != NULL:
        fetch(<const char *> data.weight + i * itemsize, itemsize, False)


cdef inline Py_ssize_t rows_soon(const training_t *t, Py_ssize_t itemsize) noexcept nogil:
    """So many of those that come next are fetched."""
    return SOON_BYTES // (t.net.layers[0].n_inputs * itemsize)


cdef coming_t rows_after(
    const training_t *t, const stretch_t *data, Py_ssize_t first, Py_ssize_t n, Py_ssize_t itemsize
) noexcept nogil:
    """The up to n rows from `first` on that are to be fetched"""
    cdef coming_t coming
    coming.row = first
    coming.last = min(first + min(n, rows_soon(t, itemsize)), data.samples)
    coming.share = ceil_div(coming.last - first, SHARES)
    return coming


cdef void fetch_some(
    const training_t *t, const stretch_t *data, coming_t *coming, Py_ssize_t itemsize
) noexcept nogil:
    """The next share of them"""
    cdef Py_ssize_t end = min(coming.row + coming.share, coming.last)
    if coming.row < end:
        fetch_rows(t, data, coming.row, end, itemsize)
        coming.row = end


cdef void fetch_ahead(
    dense_t *layer, const stretch_t *data, Py_ssize_t row, bint alone
) noexcept nogil:
    """Let the first layer's forward fetch X's rows from `row` on, if it goes by columns: a line
    beside some multiply-adds, where a share at a time makes a processor wait."""
    layer.ahead.X = data.X if alone and layer.V != NULL else NULL
    layer.ahead.order, layer.ahead.row, layer.ahead.end = data.order, row, data.samples


cdef bint fetches_rows(const dense_t *layer) noexcept nogil:
    """Whether forward itself fetches the rows behind its own."""
    return layer.ahead.X != NULL or (layer.by_dots and layer.n_outputs > 1)


cdef void fetch_rows(
    const training_t *t, const stretch_t *data, Py_ssize_t first, Py_ssize_t last,
    Py_ssize_t itemsize,
) noexcept nogil:
    """Rows first … last - 1 of the epoch on their way into the cache; where they follow one
    another, those of X, and of Y where it has much."""
    cdef Py_ssize_t x_size = t.net.layers[0].n_inputs * itemsize, i
    cdef Py_ssize_t y_size = t.net.layers[t.net.n_layers - 1].n_outputs * itemsize
    if data.order == NULL:
        if not fetches_rows(&t.net.layers[0]):
            fetch(<const char *> data.X + first * x_size, (last - first) * x_size, False)
        if data.Y != NULL and (last - first) * y_size >= Y_BYTES:
            fetch(<const char *> data.Y + first * y_size, (last - first) * y_size, False)
        return
    for i in range(first, last):
        fetch_row(t, data, data.order[i], itemsize, t.net.layers[0].ahead.X == NULL)


cdef inline Py_ssize_t row_of(
    const training_t *t, const stretch_t *data, Py_ssize_t i, Py_ssize_t itemsize
) noexcept nogil:
    """Where row i of the epoch lies. A narrow network's step takes less time than a row from
    memory: of shuffled ones that which comes SOON is fetched."""
    if data.order == NULL:
        return i
    if i + SOON < data.samples:
        fetch_row(t, data, data.order[i + SOON], itemsize, True)
    return data.order[i]


cdef void gather_rows(
    training_t *t, const stretch_t *data, const int64_t *rows, Py_ssize_t first, Py_ssize_t last,
    Py_ssize_t fetched, const floating *p,
) noexcept nogil:
    """Rows first … last - 1 of a block into the arena; so many have been fetched before."""
    cdef Py_ssize_t width = t.net.layers[0].n_inputs, start = rows - data.order, end
    cdef Py_ssize_t some = 1 + NEXT_BYTES // ((width + 16) * <Py_ssize_t> sizeof(p[0]))
    while first < last:
        end = min(first + some, last)
        if end + some > fetched:
            fetch_rows(t, data, start + end, start + min(end + some, last), sizeof(p[0]))
        gather(<const floating *> data.X, <floating *> t.x, rows, first, end, width)
        gather_targets(t, data, rows, first, end, p)
        first = end


cdef void gather_targets(
    training_t *t, const stretch_t *data, const int64_t *rows, Py_ssize_t first, Py_ssize_t last,
    const floating *p,
) noexcept nogil:
    """The same of Y or labels, and weights."""
    cdef Py_ssize_t n_outputs = t.net.layers[t.net.n_layers - 1].n_outputs, k
    if data.Y != NULL:
        gather(<const floating *> data.Y, <floating *> t.y, rows, first, last, n_outputs)
    if data.labels != NULL:
        for k in range(first, last):
            t.labels[k] = data.labels[rows[k]]
    if data.weight != NULL:
        gather(<const floating *> data.weight, <floating *> t.weight, rows, first, last, 1)
