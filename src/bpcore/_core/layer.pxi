"""One layer: its arrays, and its two passes.

Python's side, `Layer`, comes first; what it runs without the GIL stands below it.
"""


cdef class Layer:
    """A layer's arrays, and its two passes.

    `W`, `b`, `dW`, `db` are given, validated, and may be views into a network's
    vectors; `a_in`, `z`, `a` are kept by forward, `da`, `delta` by backward.
    """

    cdef readonly Py_ssize_t n_inputs, n_outputs
    cdef readonly int activation
    cdef readonly object W, b, dW, db
    cdef readonly object a_in, z, a, da, delta
    cdef int typenum
    cdef int ndim      # of the batch that forward kept; 0: none
    cdef Py_ssize_t n  # its samples
    cdef bint busy     # a pass is running, perhaps without the GIL
    cdef dense_t c

    def __init__(self, int activation, W, b, dW, db):
        self.n_outputs, self.n_inputs = W.shape
        self.activation = activation
        self.bind(W, b, dW, db)

    def bind(self, cnp.ndarray W, cnp.ndarray b, cnp.ndarray dW, cnp.ndarray db):
        """Use these arrays from now on; what was kept is forgotten."""
        self.typenum = cnp.PyArray_TYPE(W)
        self.W, self.b, self.dW, self.db = W, b, dW, db
        self.forget()
        self.c.n_inputs, self.c.n_outputs = self.n_inputs, self.n_outputs
        self.c.activation = self.c.derivative = self.activation
        self.c.W, self.c.b, self.c.dW, self.c.db = data(W), data(b), data(dW), data(db)
        self.c.sparse, self.c.work = True, NULL

    def forget(self):
        """Drop what forward and backward kept."""
        self.a_in = self.z = self.a = self.da = self.delta = None
        self.ndim, self.n = 0, 0

    cdef int acquire(self) except -1:
        """Begin a pass; its arrays must stay where they are until release."""
        if self.busy:
            raise RuntimeError("the layer is in use by another thread: give each thread a network "
                               "of its own, or call predict, which many may call at once")
        self.busy = True
        return 0

    cdef void release(self) noexcept:
        self.busy = False

    cdef int hold_forward(self, int ndim, Py_ssize_t n) except -1:
        """Arrays for z and a; da and delta of an earlier batch are no longer this one's."""
        self.ndim, self.n = ndim, n
        self.da = self.delta = None
        self.z = array_like(<PyObject *> self.z, ndim, n, self.n_outputs, self.typenum)
        self.a = array_like(<PyObject *> self.a, ndim, n, self.n_outputs, self.typenum)
        self.c.z, self.c.a = data(self.z), data(self.a)
        return 0

    cdef int hold_backward(self) except -1:
        self.da = array_like(<PyObject *> self.da, self.ndim, self.n, self.n_outputs, self.typenum)
        self.delta = array_like(<PyObject *> self.delta, self.ndim, self.n, self.n_outputs,
                                self.typenum)
        self.c.da, self.c.delta = data(self.da), data(self.delta)
        return 0

    def forward(self, x):
        """z = W a_in + b, a = σ(z); returns a."""
        cdef cnp.ndarray a_in = samples_of(x, self.n_inputs, self.typenum, "a_in",
                                           "this layer takes")
        cdef int ndim = cnp.PyArray_NDIM(a_in), typenum = self.typenum
        cdef Py_ssize_t n = rows_of(a_in)
        cdef void *from_
        self.acquire()
        try:
            self.a_in = array_like(<PyObject *> self.a_in, ndim, n, self.n_inputs, typenum)
            self.hold_forward(ndim, n)
            from_ = data(self.a_in)
            memcpy(from_, data(a_in), cnp.PyArray_NBYTES(a_in))
            with nogil:
                if typenum == cnp.NPY_FLOAT:
                    one_forward(&self.c, <const float *> from_, n)
                else:
                    one_forward(&self.c, <const double *> from_, n)
            return self.a
        finally:
            self.release()

    def backward(self, da):
        """δ = ∂C/∂a σ'(z), ∂C/∂W = δᵀ a_in, ∂C/∂b = Σ δ; returns ∂C/∂a_in = δ W."""
        if self.ndim == 0:
            raise RuntimeError("backward needs what forward kept: call forward(x) first")
        cdef cnp.ndarray checked = samples_of(da, self.n_outputs, self.typenum, "da",
                                              "this layer gives")
        cdef int typenum = self.typenum
        cdef void *to
        cdef void *a_in
        check_batch(checked, self.ndim, self.n, self.n_outputs)
        self.acquire()
        try:
            self.hold_backward()
            memcpy(data(self.da), data(checked), cnp.PyArray_NBYTES(checked))
            da_in = array_like(NULL, self.ndim, self.n, self.n_inputs, typenum)
            to, a_in = data(da_in), data(self.a_in)
            with nogil:
                if typenum == cnp.NPY_FLOAT:
                    one_backward(&self.c, <const float *> a_in, <float *> to, self.n)
                else:
                    one_backward(&self.c, <const double *> a_in, <double *> to, self.n)
            return da_in
        finally:
            self.release()


cdef void one_forward(dense_t *layer, const floating *a_in, Py_ssize_t n) noexcept nogil:
    """A layer's forward by itself."""
    cdef network_t alone
    alone.layers, alone.n_layers = layer, 1
    cdef void *work = prepare(&alone, a_in, n)
    dense_forward(layer, a_in, 0, n, False)
    layer.work = NULL
    free(work)


cdef void one_backward(
    dense_t *layer, const floating *a_in, floating *da_in, Py_ssize_t n
) noexcept nogil:
    """A layer's backward by itself."""
    cdef network_t alone
    alone.layers, alone.n_layers = layer, 1
    cdef void *work = prepare(&alone, a_in, n)
    dense_delta(layer, a_in, 0, n, False)
    dense_backward(layer, da_in, 0, n, False)
    dense_gradient(layer, a_in, n, 0, layer.n_outputs, <floating *> layer.dW,
                   <floating *> layer.db, False, <floating> 1)
    layer.work = NULL
    free(work)
