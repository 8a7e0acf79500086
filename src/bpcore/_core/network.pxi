"""A network: layers and a loss, run together, to keep what they compute or to predict.

Python's side, `Network`, comes first; what it runs without the GIL stands below it.
"""

cdef enum:
    PREDICT_ROWS = 120   # samples that predict takes through all layers at a time,
    EVALUATE_ROWS = 240  # evaluate, whose C is backward's to the bit where one block is all,
    PREDICT_PARTS = 256  # and both where there is a matrix unit, but
    PREDICT_BYTES = 262144  # of X: while one block is multiplied, the next is fetched beside it
    FEW_LAYERS = 8  # whose addresses predict has room for without asking malloc


cdef class Network:
    """Layers and a loss, run together; the layers keep what the passes compute."""

    cdef readonly list layers
    cdef readonly int loss
    cdef readonly str loss_name
    cdef readonly bint fused
    cdef readonly Py_ssize_t n_inputs, n_outputs
    cdef int typenum
    cdef network_t c
    cdef Py_ssize_t widest

    def __cinit__(self, list layers, str loss_name):
        cdef Layer first = layers[0], last = layers[len(layers) - 1], layer
        cdef int loss = LOSSES[loss_name]
        self.layers = layers
        self.loss = loss
        self.loss_name = loss_name
        self.fused = ((loss == CROSS_ENTROPY and last.activation == SOFTMAX)
                      or (loss == BINARY_CROSS_ENTROPY and last.activation == SIGMOID))
        self.n_inputs, self.n_outputs = first.n_inputs, last.n_outputs
        self.typenum = first.typenum
        self.c.n_layers = <int> len(layers)
        self.c.loss, self.c.fused, self.c.largest_loss = loss, self.fused, float("inf")
        self.c.layers = <dense_t *> malloc(len(layers) * sizeof(dense_t))
        if self.c.layers == NULL:
            raise MemoryError()
        self.widest = 0
        for layer in layers:
            self.widest = max(self.widest, layer.n_outputs)
        self.collect()

    def __dealloc__(self):
        free(self.c.layers)

    cdef void collect(self) noexcept:
        """The layers' addresses, side by side."""
        cdef int l
        for l in range(self.c.n_layers):
            self.c.layers[l] = (<Layer> self.layers[l]).c
            if l > 0:
                self.c.layers[l].sparse = is_often_zero(self.c.layers[l - 1].activation)

    def forward(self, X):
        """Every layer's z and a; returns the last a."""
        return self.forward_of(
            samples_of(X, self.n_inputs, self.typenum, "X", "this network takes"))

    cdef object forward_of(self, cnp.ndarray x):
        """forward of clean samples."""
        cdef int ndim = cnp.PyArray_NDIM(x), typenum = self.typenum
        cdef Py_ssize_t n = rows_of(x)
        cdef Layer layer, below = None
        cdef void *from_ = NULL
        self.acquire()
        try:
            for layer in self.layers[1:]:
                layer.a_in = None  # the layer below holds it too; alone it can refill it
            for layer in self.layers:
                if below is None:
                    layer.a_in = array_like(<PyObject *> layer.a_in, ndim, n, self.n_inputs,
                                            typenum)
                    from_ = data(layer.a_in)
                layer.hold_forward(ndim, n)
                if below is not None:
                    layer.a_in = below.a
                below = layer
            self.collect()
            memcpy(from_, data(x), cnp.PyArray_NBYTES(x))
            with nogil:
                if typenum == cnp.NPY_FLOAT:
                    whole_forward(&self.c, <const float *> from_, n)
                else:
                    whole_forward(&self.c, <const double *> from_, n)
            return below.a
        finally:
            self.release()

    cdef int acquire(self) except -1:
        """Begin a pass over all layers."""
        cdef Layer layer
        for layer in self.layers:
            if layer.busy:
                layer.acquire()
        for layer in self.layers:
            layer.busy = True
        return 0

    cdef void release(self) noexcept:
        cdef Layer layer
        for layer in self.layers:
            layer.busy = False

    cdef Layer batch(self):
        """The last layer; an error if the layers do not hold one batch."""
        cdef Layer layer, below = None
        for layer in self.layers:
            if layer.ndim == 0:
                raise RuntimeError("backward needs what forward kept: call forward(X) first")
            if below is not None and layer.a_in is not below.a:
                raise RuntimeError("the layers hold different batches, since one of them ran by "
                                   "itself: call the network's forward(X) first")
            below = layer
        return below

    def output_copy(self):
        """A copy of the last forward's a, for a loss in Python."""
        return np.array(self.batch().a)

    cdef int hold_backward(self) except -1:
        cdef Layer layer
        for layer in self.layers:
            layer.hold_backward()
        self.collect()
        return 0

    def backward(self, Y, sample_weight=None):
        """C, and every layer's da, delta, dW, db."""
        cdef Layer last
        self.acquire()
        try:
            last = self.batch()
            y, labels = self.targets(Y, last.n, last.ndim == 1)
            return self.backward_of(last.n, y, labels,
                                    weights_of(sample_weight, last.n, self.typenum))
        finally:
            self.release()

    cdef double backward_of(self, Py_ssize_t n, y, labels, weight) except? -1:
        """backward of checked targets and weights, between acquire and release."""
        cdef int typenum = self.typenum
        cdef double C, share = share_of(weight, n)
        cdef void *py = NULL if y is None else data(y)
        cdef int64_t *pl = NULL if labels is None else <int64_t *> data(labels)
        cdef void *pw = NULL if weight is None else data(weight)
        cdef void *x
        self.hold_backward()
        x = data((<Layer> self.layers[0]).a_in)
        with nogil:
            if typenum == cnp.NPY_FLOAT:
                C = whole_backward(&self.c, <const float *> x, <const float *> py, pl,
                                   <const float *> pw, share, n)
            else:
                C = whole_backward(&self.c, <const double *> x, <const double *> py, pl,
                                   <const double *> pw, share, n)
        return C

    def forward_and_backward(self, cnp.ndarray x, y, labels, weight):
        """C of what `check` returned, and every array that forward and backward fill."""
        self.forward_of(x)
        self.acquire()
        try:
            return self.backward_of(self.batch().n, y, labels, weight)
        finally:
            self.release()

    def backpropagate(self, da):
        """Every layer's da, delta, dW, db from the last layer's da; returns ∂C/∂X."""
        cdef cnp.ndarray checked = samples_of(da, self.n_outputs, self.typenum, "da",
                                              "this network gives")
        cdef Layer last, first = <Layer> self.layers[0]
        cdef int typenum = self.typenum
        cdef Py_ssize_t n
        cdef void *x
        cdef void *dx
        cdef dense_t *end = &self.c.layers[self.c.n_layers - 1]
        self.acquire()
        try:
            last = self.batch()
            n = last.n
            check_batch(checked, last.ndim, n, self.n_outputs)
            dX = array_like(NULL, last.ndim, n, self.n_inputs, typenum)
            self.hold_backward()
            x, dx = data(first.a_in), data(dX)
            memcpy(data(last.da), data(checked), cnp.PyArray_NBYTES(checked))
            with nogil:
                if typenum == cnp.NPY_FLOAT:
                    dense_delta(end, <const float *> x, 0, n, False)
                    through_layers(&self.c, <const float *> x, <float *> dx, n)
                else:
                    dense_delta(end, <const double *> x, 0, n, False)
                    through_layers(&self.c, <const double *> x, <double *> dx, n)
            return dX
        finally:
            self.release()

    cdef tuple targets(self, Y, Py_ssize_t n, bint one, bint look=True):
        """Y as (rows, None) or (None, labels), clean and in the loss's domain; `look` as for
        `check`."""
        cdef int ndim = 1 if one else 2
        if (is_clean(Y, self.typenum) and cnp.PyArray_NDIM(<cnp.ndarray> Y) == ndim
                and cnp.PyArray_DIM(<cnp.ndarray> Y, ndim - 1) == self.n_outputs
                and rows_of(<cnp.ndarray> Y) == n
                and in_domain(<cnp.ndarray> Y, self.n_outputs, self.loss, look)):
            return (Y, None)
        if self.loss == CROSS_ENTROPY and not one:
            labels = labels_of(Y, n, self.n_outputs)
            if labels is not None:
                return (None, labels)
        return validation.targets(Y, n, self.n_outputs, one,
                                  cnp.PyArray_DescrFromType(self.typenum), self.loss_name)

    def check(self, X, Y, sample_weight, bint rows=False, bint look=True):
        """X, rows or None, labels or None, weights or None: clean, each looked at once.

        With `rows` one sample is a batch: X has two dimensions. Where nobody is to `look`, X that
        `is_samples`, but for NaN and Inf, comes back as it is, and so does such a Y of a loss whose
        domain is all numbers, unless some of it may weigh nothing.
        """
        cdef cnp.ndarray x = self.check_samples(X, rows) if look else X
        cdef Py_ssize_t n = rows_of(x)
        y, labels = self.targets(Y, n, cnp.PyArray_NDIM(x) == 1, look or sample_weight is not None)
        return x, y, labels, weights_of(sample_weight, n, self.typenum)

    def is_samples(self, X):
        """Whether X is a clean array of samples, be it finite or not."""
        return is_samples(X, self.n_inputs, self.typenum)

    def check_samples(self, X, bint rows=False):
        """The same of X alone."""
        cdef cnp.ndarray x = samples_of(X, self.n_inputs, self.typenum, "X", "this network takes")
        return x.reshape(1, -1) if rows and cnp.PyArray_NDIM(x) == 1 else x

    def predict(self, X, out=None):
        """The last layer's a; nothing is kept.

        Whether X is finite is told by the first layer's z, where nobody sees what came out before a
        NaN was found.
        """
        cdef bint looked = out is not None or not is_samples(X, self.n_inputs, self.typenum)
        cdef bint finite = True
        cdef cnp.ndarray x
        cdef int ndim
        cdef Py_ssize_t n
        x = samples_of(X, self.n_inputs, self.typenum, "X", "this network takes") if looked else X
        ndim, n = cnp.PyArray_NDIM(x), rows_of(x)
        if out is None:
            out = array_like(NULL, ndim, n, self.n_outputs, self.typenum)
        else:
            shape = (n, self.n_outputs)
            validation.output(out, shape[2 - ndim:],
                              cnp.PyArray_DescrFromType(self.typenum),
                              (x, X, *self.parameter_arrays()))
        self.run(data(x), n, data(out), NULL, NULL, NULL, 0, NULL if looked else &finite)
        if finite:
            return out
        return self.predict(validation.samples(X, self.n_inputs,
                                               cnp.PyArray_DescrFromType(self.typenum)))

    def evaluate(self, cnp.ndarray x, y, labels, weight):
        """C of what `check` returned; nothing is kept."""
        cdef Py_ssize_t n = rows_of(x)
        return self.run(data(x), n, NULL, NULL if y is None else data(y),
                        NULL if labels is None else <int64_t *> data(labels),
                        NULL if weight is None else data(weight), share_of(weight, n), NULL)

    def parameter_arrays(self):
        return [array for layer in self.layers for array in (layer.W, layer.b)]

    cdef double run(self, void *x, Py_ssize_t n, void *out, void *y, int64_t *labels,
                    void *weight, double share, bint *finite) except? -1:
        """predict (out given) or evaluate (out NULL); `finite` as for blocked_run"""
        cdef double C = 0
        cdef bint no_memory = False
        cdef int l
        # A copy of its own, since other threads may be predicting with the same network.
        cdef network_t net = self.c
        cdef dense_t few[FEW_LAYERS]
        net.layers = few
        if net.n_layers > FEW_LAYERS:
            net.layers = <dense_t *> malloc(net.n_layers * sizeof(dense_t))
            if net.layers == NULL:
                raise MemoryError()
        for l in range(net.n_layers):
            net.layers[l] = (<Layer> self.layers[l]).c
            net.layers[l].sparse = self.c.layers[l].sparse
        with nogil:
            if self.typenum == cnp.NPY_FLOAT:
                C = blocked_run(&net, <const float *> x, n, <float *> out, <const float *> y,
                                labels, <const float *> weight, share, self.widest, finite,
                                &no_memory)
            else:
                C = blocked_run(&net, <const double *> x, n, <double *> out, <const double *> y,
                                labels, <const double *> weight, share, self.widest, finite,
                                &no_memory)
            if net.n_layers > FEW_LAYERS:
                free(net.layers)
        if no_memory:
            raise MemoryError("no memory for one block of activations")
        return C


cdef void whole_forward(network_t *net, const floating *x, Py_ssize_t n) noexcept nogil:
    """forward_pass over all rows."""
    cdef void *work = prepare(net, x, n)
    forward_pass(net, x, 0, n, False)
    free(work)


cdef void through_layers(
    network_t *net, const floating *x, floating *dx, Py_ssize_t n
) noexcept nogil:
    """From the last delta to every gradient, over all rows."""
    cdef member_t alone
    cdef void *work = prepare(net, x, n)
    alone.index, alone.threads = 0, 1
    backward_pass(net, dx, 0, n, False)
    gradient_pass(net, x, n, &alone, False, False, <floating> 1)
    free(work)


cdef double whole_backward(
    network_t *net, const floating *x, const floating *y, const int64_t *labels,
    const floating *weight, double share, Py_ssize_t n,
) noexcept nogil:
    """C, the last layer's da and delta, and every gradient."""
    cdef dense_t *last = &net.layers[net.n_layers - 1]
    cdef double C = loss_pass(net, y, labels, weight, share, False, <floating *> last.da, 0, n,
                              NULL)
    if net.fused:
        C = loss_pass(net, y, labels, weight, share, True, <floating *> last.delta, 0, n, NULL)
    else:
        dense_delta(last, x, 0, n, False)
    through_layers(net, x, <floating *> NULL, n)
    return C


cdef Py_ssize_t predicted_rows(
    const network_t *net, const floating *x, Py_ssize_t step, bint evaluate
) noexcept nogil:
    """Samples a block of predictions, at most: whole steps of rows."""
    cdef Py_ssize_t rows
    if not MATRIX_UNIT:
        return EVALUATE_ROWS if evaluate else PREDICT_ROWS
    rows = PREDICT_BYTES // (net.layers[0].n_inputs * <Py_ssize_t> sizeof(x[0])) // step * step
    return min(<Py_ssize_t> PREDICT_PARTS, max(2 * step, rows))


cdef void fetch_meanwhile(network_t *net, const floating *x, Py_ssize_t n) noexcept nogil:
    """Let the first layer's product fetch the next block's samples, if the matrix unit takes it."""
    net.layers[0].packed.ahead = <const char *> x
    net.layers[0].packed.end = <const char *> (x + n * net.layers[0].n_inputs)


cdef double blocked_run(
    network_t *net, const floating *x, Py_ssize_t n, floating *out, const floating *y,
    const int64_t *labels, const floating *weight, double share, Py_ssize_t widest,
    bint *finite,     # OUT False if x holds NaN or Inf: the run ends there; NULL: x was looked at
    bint *no_memory,  # OUT
) noexcept nogil:
    """The last layer's a into out, or (out NULL) C; a block of samples at a time."""
    cdef Py_ssize_t step = 2 * STRIP if MATRIX_UNIT else TILE_ROWS  # whole tiles, but for the last
    cdef Py_ssize_t most = predicted_rows(net, x, step, out == NULL), k, first, m
    cdef Py_ssize_t blocks = ceil_div(n, most)
    cdef Py_ssize_t rows = (n + blocks * step - 1) // (blocks * step) * step
    cdef Py_ssize_t n_inputs = net.layers[0].n_inputs
    cdef Py_ssize_t n_outputs = net.layers[net.n_layers - 1].n_outputs
    cdef Py_ssize_t size = round_up(rows * widest * <Py_ssize_t> sizeof(floating), 64)
    cdef char *room = <char *> malloc(4 * size + 64)
    cdef char *start = <char *> cache_line(room)  # vectors lie in cache lines
    cdef floating *one = <floating *> start
    cdef floating *other = <floating *> (start + size)
    cdef floating *z = <floating *> (start + 2 * size)
    cdef floating *a = <floating *> (start + 3 * size)
    cdef double C = 0
    cdef void *work
    cdef void *packed = NULL
    cdef dense_t last = net.layers[net.n_layers - 1]
    cdef network_t outputs = net[0]  # the last layer alone, with the z and a of a block
    if room == NULL:
        no_memory[0] = True
        return 0
    last.z, last.a = z, a
    outputs.layers, outputs.n_layers = &last, 1
    work = prepare(net, x, n)
    blocks = ceil_div(n, rows)
    if blocks > 1:
        packed = pack_weights(net, x)
    for k in range(blocks):
        first = k * rows
        m = min(rows, n - first)
        if MATRIX_UNIT and packed != NULL:
            fetch_meanwhile(net, x + (first + m) * n_inputs, min(rows, n - first - m))
        if not predict_rows(net, x + first * n_inputs, z if out == NULL else NULL,
                            a if out == NULL else out + first * n_outputs, m, one, other,
                            finite == NULL):
            finite[0] = False
            break
        if out == NULL:
            C += loss_pass(&outputs, row(y, first, n_outputs), label_row(labels, first),
                           row(weight, first, 1), share, net.fused, one, 0, m, NULL)
    free(packed)
    free(work)
    free(room)
    return C


cdef double share_of(object weight, Py_ssize_t n) except? -1:
    """1 / Σ w"""
    if weight is None:
        return 1.0 / n
    total = float(np.sum(weight, dtype=np.float64))
    return 1.0 / total if total > 0 else 0.0
