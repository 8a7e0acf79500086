"""The compiled core: check, release the GIL once, run the formulas of `_math` over the samples.

Built once per CPU level from this one source; `bpcore.cpu.kernels` is the one
in use. `Layer` keeps what one layer computes, `Network` runs layers together,
`Training` runs whole stretches of an epoch.
"""
import numpy as np

cimport numpy as cnp
from cpython.object cimport PyObject
from cython cimport floating
from libc.math cimport isfinite
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from bpcore import validation

from bpcore._math.activation cimport (
    ELU, EXP, GELU, HARD_SIGMOID, IDENTITY, LEAKY_RELU, RELU, SELU, SIGMOID, SILU, SOFTMAX,
    SOFTPLUS, SOFTSIGN, TANH, activate, to_delta,
)
from bpcore._math.affine cimport affine_backward, affine_forward, affine_gradient
from bpcore._math.batch cimport batch_share, block_rows, gather, label_row, row
from bpcore._math.elementary cimport log1p_unit
from bpcore._math.finite cimport all_finite
from bpcore._math.loss cimport (
    BINARY_CROSS_ENTROPY, CROSS_ENTROPY, HUBER, MEAN_ABSOLUTE_ERROR, MEAN_SQUARED_ERROR, POISSON,
    SQUARED_ERROR, loss_block,
)
from bpcore._math.matvec cimport matvec_backward, matvec_forward, outer_product
from bpcore._math.network cimport (
    dense_t, network_t, pack, packed_size, whole_vectors, worth_packing,
)
from bpcore._math.update cimport (
    ADAGRAD, ADAM, RMSPROP, RPROP, SGD, clip_by_norm, is_calm, penalize, rule_t, update,
)
from bpcore._math.vector cimport LANES_F32, TILE_ROWS, vf32, vf64

cnp.import_array()

cdef enum:
    CALLABLE_LOSS = -1  # a Python function: only its da comes in

ACTIVATIONS = {
    "identity": IDENTITY, "sigmoid": SIGMOID, "tanh": TANH, "relu": RELU,
    "leaky_relu": LEAKY_RELU, "elu": ELU, "selu": SELU, "gelu": GELU, "silu": SILU,
    "softplus": SOFTPLUS, "softsign": SOFTSIGN, "hard_sigmoid": HARD_SIGMOID, "exp": EXP,
    "softmax": SOFTMAX,
}
LOSSES = {
    "callable": CALLABLE_LOSS,
    "squared_error": SQUARED_ERROR, "mean_squared_error": MEAN_SQUARED_ERROR,
    "mean_absolute_error": MEAN_ABSOLUTE_ERROR, "huber": HUBER, "poisson": POISSON,
    "binary_cross_entropy": BINARY_CROSS_ENTROPY, "cross_entropy": CROSS_ENTROPY,
}
RULES = {"SGD": SGD, "Adam": ADAM, "RMSProp": RMSPROP, "Adagrad": ADAGRAD, "Rprop": RPROP}

cdef enum:  # what a training step may do with its gradient
    UNGUARDED
    CALM_ONLY
    NO_UPDATE

cdef enum:
    PREDICT_ROWS = 96  # samples that predict takes through all layers at a time


# ---------------------------------------------------------------- passes over a block of samples

# Functions of their own, not inline ones: the tiles in them are most of the module.

cdef void forward_product(
    const dense_t *layer, const floating *a_in, floating *z, Py_ssize_t n
) noexcept nogil:
    """z = a_in Wᵀ + b"""
    affine_forward(a_in, <const floating *> layer.W, <const floating *> layer.packed,
                   <const floating *> layer.b, z, n, layer.n_inputs, layer.n_outputs)


cdef void forward_one(const dense_t *layer, const floating *a_in, floating *z) noexcept nogil:
    """z = W a_in + b, one sample"""
    if floating is float:
        matvec_forward(<vf32 *> a_in, <vf32 *> layer.W, <vf32 *> layer.b, <vf32 *> z,
                       layer.n_inputs, layer.n_outputs)
    else:
        matvec_forward(<vf64 *> a_in, <vf64 *> layer.W, <vf64 *> layer.b, <vf64 *> z,
                       layer.n_inputs, layer.n_outputs)


cdef void backward_product(
    const dense_t *layer, const floating *delta, floating *da_in, Py_ssize_t n
) noexcept nogil:
    """∂C/∂a_in = δ W"""
    affine_backward(delta, <const floating *> layer.W, da_in, n, layer.n_inputs, layer.n_outputs)


cdef void backward_one(
    const dense_t *layer, const floating *delta, floating *da_in
) noexcept nogil:
    """∂C/∂a_in = Wᵀ δ, one sample"""
    if floating is float:
        matvec_backward(<vf32 *> delta, <vf32 *> layer.W, <vf32 *> da_in, layer.n_inputs,
                        layer.n_outputs)
    else:
        matvec_backward(<vf64 *> delta, <vf64 *> layer.W, <vf64 *> da_in, layer.n_inputs,
                        layer.n_outputs)


cdef void gradient_product(
    const dense_t *layer, const floating *delta, const floating *a_in, floating *dW, floating *db,
    Py_ssize_t n, bint accumulate,
) noexcept nogil:
    """∂C/∂W = δᵀ a_in, ∂C/∂b = Σ δ"""
    affine_gradient(delta, a_in, dW, db, n, layer.n_inputs, layer.n_outputs, accumulate)


cdef void gradient_one(
    const dense_t *layer, const floating *delta, const floating *a_in, floating scale,
    floating *dW, floating *db, bint accumulate,
) noexcept nogil:
    """∂C/∂W = s δ a_inᵀ, ∂C/∂b = s δ, one sample"""
    cdef Py_ssize_t m
    if floating is float:
        outer_product(<vf32 *> delta, <vf32 *> a_in, <vf32 *> &scale, <vf32 *> dW,
                      layer.n_inputs, layer.n_outputs, accumulate)
    else:
        outer_product(<vf64 *> delta, <vf64 *> a_in, <vf64 *> &scale, <vf64 *> dW,
                      layer.n_inputs, layer.n_outputs, accumulate)
    for m in range(layer.n_outputs):
        db[m] = (db[m] if accumulate else <floating> 0) + scale * delta[m]


cdef void dense_forward(
    dense_t *layer, const floating *a_in, Py_ssize_t n, bint padded
) noexcept nogil:
    """z = a_in Wᵀ + b, a = σ(z); padded buffers are worked on in whole vectors."""
    cdef Py_ssize_t count = n * layer.n_outputs
    if n == 1 and layer.packed == NULL:  # a last row of a packed batch is summed as its others are
        forward_one(layer, a_in, <floating *> layer.z)
    else:
        forward_product(layer, a_in, <floating *> layer.z, n)
    activate(layer.activation, <const floating *> layer.z, <floating *> layer.a, n,
             layer.n_outputs, whole_vectors(a_in, count) if padded else count)


cdef void dense_delta(dense_t *layer, const floating *p, Py_ssize_t n, bint padded) noexcept nogil:
    """δ = ∂C/∂a · σ'(z), from da where it is kept, else in place."""
    cdef Py_ssize_t count = n * layer.n_outputs
    if layer.da != NULL:
        memcpy(layer.delta, layer.da, count * sizeof(p[0]))
    to_delta(layer.activation, <const floating *> layer.z, <const floating *> layer.a,
             <floating *> layer.delta, n, layer.n_outputs,
             whole_vectors(p, count) if padded else count)


cdef void dense_backward(
    dense_t *layer, const floating *a_in, floating *da_in, Py_ssize_t n, bint accumulate
) noexcept nogil:
    """∂C/∂a_in = δ W (unless NULL), ∂C/∂W = δᵀ a_in, ∂C/∂b = Σ δ"""
    cdef const floating *delta = <const floating *> layer.delta
    if n == 1:
        if da_in != NULL:
            backward_one(layer, delta, da_in)
        gradient_one(layer, delta, a_in, <floating> 1, <floating *> layer.dW,
                     <floating *> layer.db, accumulate)
        return
    if da_in != NULL:
        backward_product(layer, delta, da_in, n)
    gradient_product(layer, delta, a_in, <floating *> layer.dW, <floating *> layer.db, n,
                     accumulate)


cdef void dense_descend(
    dense_t *layer, const floating *a_in, floating *da_in, Py_ssize_t n, double learning_rate
) noexcept nogil:
    """dense_backward and SGD's step in one: W ← W + (-η δ)ᵀ a_in, b ← b + Σ -η δ; δ is used up."""
    cdef floating *delta = <floating *> layer.delta
    cdef floating eta = <floating> learning_rate
    cdef Py_ssize_t k
    if n == 1:
        if da_in != NULL:
            backward_one(layer, <const floating *> delta, da_in)
        gradient_one(layer, <const floating *> delta, a_in, -eta, <floating *> layer.W,
                     <floating *> layer.b, True)
        return
    if da_in != NULL:
        backward_product(layer, <const floating *> delta, da_in, n)
    for k in range(n * layer.n_outputs):
        delta[k] *= -eta
    gradient_product(layer, <const floating *> delta, a_in, <floating *> layer.W,
                     <floating *> layer.b, n, True)


cdef void forward_pass(
    network_t *net, const floating *x, Py_ssize_t n, bint padded
) noexcept nogil:
    """Every layer's z and a."""
    cdef int l
    for l in range(net.n_layers):
        dense_forward(&net.layers[l], x if l == 0 else <const floating *> net.layers[l - 1].a,
                      n, padded)


cdef void backward_pass(
    network_t *net,
    const floating *x,     # IN  (n, n_inputs)
    floating *dx,          # OUT (n, n_inputs), or NULL
    Py_ssize_t n,
    bint accumulate,       # add to the gradient
    bint descend,          # rather than keep the gradient, take SGD's step with it at once
    double learning_rate,
    bint padded,
) noexcept nogil:
    """Every layer's gradient from the last layer's delta: ∂C/∂a is looked up one layer down."""
    cdef int l
    cdef dense_t *layer
    cdef const floating *a_in
    cdef floating *da_in
    for l in range(net.n_layers - 1, -1, -1):
        layer = &net.layers[l]
        if l == 0:
            a_in = x
            da_in = dx
        else:
            a_in = <const floating *> net.layers[l - 1].a
            da_in = <floating *> (net.layers[l - 1].delta if net.layers[l - 1].da == NULL
                                  else net.layers[l - 1].da)
        if descend:
            dense_descend(layer, a_in, da_in, n, learning_rate)
        else:
            dense_backward(layer, a_in, da_in, n, accumulate)
        if l > 0:
            dense_delta(&net.layers[l - 1], a_in, n, padded)


cdef double loss_pass(
    network_t *net, const floating *y, const int64_t *labels, const floating *weight,
    double share, bint fused, floating *out, Py_ssize_t n,
) noexcept nogil:
    """The block's share of C, and the last layer's da (fused: delta) in `out`."""
    cdef dense_t *last = &net.layers[net.n_layers - 1]
    return loss_block(net.loss, fused, <const floating *> last.z, <const floating *> last.a, y,
                      labels, weight, share, out, n, last.n_outputs)


cdef void predict_rows(
    network_t *net, const floating *x, floating *out, Py_ssize_t n, floating *z, floating *a
) noexcept nogil:
    """The last layer's a into out; z and a hold n rows of the widest layer and are overwritten."""
    cdef int l
    cdef dense_t *layer
    for l in range(net.n_layers):
        layer = &net.layers[l]
        if n == 1 and layer.packed == NULL:
            forward_one(layer, x if l == 0 else <const floating *> a, z)
        else:
            forward_product(layer, x if l == 0 else <const floating *> a, z, n)
        activate(layer.activation, <const floating *> z, out if l == net.n_layers - 1 else a,
                 n, layer.n_outputs, n * layer.n_outputs)


# ---------------------------------------------------------------- the door

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject *)


cdef bint is_clean(object x, int typenum) noexcept:
    """Whether x is a plain C-contiguous, aligned, native ndarray of the type."""
    return (cnp.PyArray_CheckExact(x) and cnp.PyArray_TYPE(<cnp.ndarray> x) == typenum
            and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray> x))


cdef bint is_finite(cnp.ndarray x) noexcept:
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        return all_finite(<const float *> cnp.PyArray_DATA(x), cnp.PyArray_SIZE(x))
    return all_finite(<const double *> cnp.PyArray_DATA(x), cnp.PyArray_SIZE(x))


cdef cnp.ndarray samples_of(object x, Py_ssize_t width, int typenum, str name, str owner):
    """x as a clean finite (n, width) or (width,) array: itself if it is one, else converted."""
    cdef int ndim
    if is_clean(x, typenum):
        ndim = cnp.PyArray_NDIM(<cnp.ndarray> x)
        if ((ndim == 2 or ndim == 1) and cnp.PyArray_DIM(<cnp.ndarray> x, ndim - 1) == width
                and cnp.PyArray_SIZE(<cnp.ndarray> x) > 0 and is_finite(<cnp.ndarray> x)):
            return <cnp.ndarray> x
    return validation.samples(x, width, cnp.PyArray_DescrFromType(typenum), name, owner)


cdef inline Py_ssize_t rows_of(cnp.ndarray x) noexcept:
    return cnp.PyArray_DIM(x, 0) if cnp.PyArray_NDIM(x) == 2 else 1


cdef object array_like(PyObject *held, int ndim, Py_ssize_t n, Py_ssize_t width, int typenum):
    """The array held, if it has the shape and nobody else holds it, else an empty one.

    So an array that the caller keeps is never written to again, and one that
    nobody keeps costs no allocation.
    """
    cdef cnp.npy_intp shape[2]
    cdef cnp.ndarray x
    shape[0] = width if ndim == 1 else n
    shape[1] = width
    if held != NULL and held != <PyObject *> None and Py_REFCNT(held) == 1:
        x = <cnp.ndarray> <object> held
        if (cnp.PyArray_NDIM(x) == ndim and cnp.PyArray_DIM(x, 0) == shape[0]
                and (ndim == 1 or cnp.PyArray_DIM(x, 1) == width)
                and cnp.PyArray_TYPE(x) == typenum and cnp.PyArray_ISCARRAY(x)):
            return x
    return cnp.PyArray_EMPTY(ndim, shape, typenum, 0)


cdef inline void *data(object x) noexcept:
    return cnp.PyArray_DATA(<cnp.ndarray> x)


def build_info():
    """What this module was compiled for."""
    return {"float32 lanes": LANES_F32, "tile rows": TILE_ROWS}


def elementwise(str name, z):
    """a = σ(z) of the activation `name`, or of "log1p" log(1 + z) for 0 <= z <= 1.

    What layers compute, for any z at all: an entry for tests of the formulas.
    """
    cdef cnp.ndarray x = np.ascontiguousarray(z), a
    cdef int activation = -1 if name == "log1p" else ACTIVATIONS[name]
    if cnp.PyArray_TYPE(x) not in (cnp.NPY_FLOAT32, cnp.NPY_FLOAT64):
        raise TypeError(f"z has dtype {x.dtype}: give float32 or float64")
    a = np.empty_like(x)
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32:
        apply[float](activation, <const float *> data(x), <float *> data(a), x.size)
    else:
        apply[double](activation, <const double *> data(x), <double *> data(a), x.size)
    return a


cdef void apply(
    int activation, const floating *restrict z, floating *restrict a, Py_ssize_t n
) noexcept nogil:
    cdef Py_ssize_t k
    if activation < 0:
        for k in range(n): a[k] = log1p_unit(z[k])
    elif n > 0:
        activate(activation, z, a, 1, n, n)


# ---------------------------------------------------------------- one layer

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
        self.c.activation = self.activation
        self.c.W, self.c.b, self.c.dW, self.c.db = data(W), data(b), data(dW), data(db)
        self.c.packed = NULL

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
                    packed_forward(&self.c, <const float *> from_, n)
                else:
                    packed_forward(&self.c, <const double *> from_, n)
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
                    dense_delta(&self.c, <const float *> a_in, self.n, False)
                    dense_backward(&self.c, <const float *> a_in, <float *> to, self.n, False)
                else:
                    dense_delta(&self.c, <const double *> a_in, self.n, False)
                    dense_backward(&self.c, <const double *> a_in, <double *> to, self.n, False)
            return da_in
        finally:
            self.release()


cdef int check_batch(cnp.ndarray da, int ndim, Py_ssize_t n, Py_ssize_t width) except -1:
    """Raise unless da belongs to the batch that forward kept."""
    if cnp.PyArray_NDIM(da) != ndim or rows_of(da) != n:
        shape = (n, width)
        raise ValueError(validation.shape_message(
            "da", (<object> da).shape, shape[2 - ndim:], "the shape of the last forward's a"))
    return 0


cdef void packed_forward(dense_t *layer, const floating *a_in, Py_ssize_t n) noexcept nogil:
    """dense_forward with W packed for the call where that pays (without memory: by dots)."""
    cdef floating *packed = NULL
    if worth_packing(layer, n):
        packed = <floating *> malloc(packed_size(layer, a_in) * sizeof(floating))
        if packed != NULL:
            pack(layer, packed)
    dense_forward(layer, a_in, n, False)
    layer.packed = NULL
    free(packed)


# ---------------------------------------------------------------- a network

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
        self.c.loss, self.c.fused = loss, self.fused
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

    def forward(self, X):
        """Every layer's z and a; returns the last a."""
        cdef cnp.ndarray x = samples_of(X, self.n_inputs, self.typenum, "X", "this network takes")
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
                    packed_pass(&self.c, <const float *> from_, n)
                else:
                    packed_pass(&self.c, <const double *> from_, n)
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
        cdef Layer last, first = <Layer> self.layers[0]
        cdef int typenum = self.typenum
        cdef Py_ssize_t n
        cdef double C, share
        cdef void *x
        cdef void *py
        cdef int64_t *pl
        cdef void *pw
        self.acquire()
        try:
            last = self.batch()
            n = last.n
            y, labels = self.targets(Y, n, last.ndim == 1)
            weight = None if sample_weight is None else validation.weights(
                sample_weight, n, cnp.PyArray_DescrFromType(typenum))
            share = share_of(weight, n)
            py = NULL if y is None else data(y)
            pl = NULL if labels is None else <int64_t *> data(labels)
            pw = NULL if weight is None else data(weight)
            self.hold_backward()
            x = data(first.a_in)
            with nogil:
                if typenum == cnp.NPY_FLOAT:
                    C = gradient_pass(&self.c, <const float *> x, <const float *> py, pl,
                                      <const float *> pw, share, n)
                else:
                    C = gradient_pass(&self.c, <const double *> x, <const double *> py, pl,
                                      <const double *> pw, share, n)
            return C
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
                    dense_delta(end, <const float *> x, n, False)
                    backward_pass(&self.c, <const float *> x, <float *> dx, n, False, False, 0,
                                  False)
                else:
                    dense_delta(end, <const double *> x, n, False)
                    backward_pass(&self.c, <const double *> x, <double *> dx, n, False, False, 0,
                                  False)
            return dX
        finally:
            self.release()

    cdef tuple targets(self, Y, Py_ssize_t n, bint one):
        """Y as (rows, None) or (None, labels), clean and in the loss's domain."""
        cdef int ndim = 1 if one else 2
        if (SQUARED_ERROR <= self.loss <= HUBER and is_clean(Y, self.typenum)
                and cnp.PyArray_NDIM(<cnp.ndarray> Y) == ndim
                and cnp.PyArray_DIM(<cnp.ndarray> Y, ndim - 1) == self.n_outputs
                and rows_of(<cnp.ndarray> Y) == n and is_finite(<cnp.ndarray> Y)):
            return (Y, None)
        return validation.targets(Y, n, self.n_outputs, one,
                                  cnp.PyArray_DescrFromType(self.typenum), self.loss_name)

    def check_targets(self, Y, Py_ssize_t n, bint one):
        """Y of n samples as (rows, None) or (None, labels)."""
        return self.targets(Y, n, one)

    def predict(self, X, out=None):
        """The last layer's a; nothing is kept."""
        cdef cnp.ndarray x = samples_of(X, self.n_inputs, self.typenum, "X", "this network takes")
        cdef int ndim = cnp.PyArray_NDIM(x)
        cdef Py_ssize_t n = rows_of(x)
        if out is None:
            out = array_like(NULL, ndim, n, self.n_outputs, self.typenum)
        else:
            shape = (n, self.n_outputs)
            validation.output(out, shape[2 - ndim:],
                              cnp.PyArray_DescrFromType(self.typenum),
                              (x, X, *self.parameter_arrays()))
        self.run(data(x), n, data(out), NULL, NULL, NULL, 0)
        return out

    def evaluate(self, X, y, labels, weight):
        """C of validated targets and weights; nothing is kept."""
        cdef cnp.ndarray x = samples_of(X, self.n_inputs, self.typenum, "X", "this network takes")
        cdef Py_ssize_t n = rows_of(x)
        return self.run(data(x), n, NULL, NULL if y is None else data(y),
                        NULL if labels is None else <int64_t *> data(labels),
                        NULL if weight is None else data(weight), share_of(weight, n))

    def parameter_arrays(self):
        return [array for layer in self.layers for array in (layer.W, layer.b)]

    cdef double run(self, void *x, Py_ssize_t n, void *out, void *y, int64_t *labels,
                    void *weight, double share) except? -1:
        """predict (out given) or evaluate (out NULL)"""
        cdef double C = 0
        cdef bint no_memory = False
        cdef int l
        # A copy of its own, since other threads may be predicting with the same network.
        cdef network_t net = self.c
        net.layers = <dense_t *> malloc(net.n_layers * sizeof(dense_t))
        if net.layers == NULL:
            raise MemoryError()
        for l in range(net.n_layers):
            net.layers[l] = (<Layer> self.layers[l]).c
        with nogil:
            if self.typenum == cnp.NPY_FLOAT:
                C = blocked_run(&net, <const float *> x, n, <float *> out, <const float *> y,
                                labels, <const float *> weight, share, self.widest, &no_memory)
            else:
                C = blocked_run(&net, <const double *> x, n, <double *> out, <const double *> y,
                                labels, <const double *> weight, share, self.widest, &no_memory)
            free(net.layers)
        if no_memory:
            raise MemoryError("no memory for one block of activations")
        return C


cdef Py_ssize_t packed_total(network_t *net, const floating *p, Py_ssize_t n) noexcept nogil:
    """Elements that the layers worth packing take."""
    cdef Py_ssize_t total = 0
    cdef int l
    for l in range(net.n_layers):
        if worth_packing(&net.layers[l], n):
            total += packed_size(&net.layers[l], p)
    return total


cdef void pack_layers(network_t *net, floating *packed, Py_ssize_t n) noexcept nogil:
    """Pack the layers worth it one after another from `packed` on; packed NULL: none."""
    cdef int l
    for l in range(net.n_layers):
        net.layers[l].packed = NULL
        if packed != NULL and worth_packing(&net.layers[l], n):
            pack(&net.layers[l], packed)
            packed += packed_size(&net.layers[l], packed)


cdef void packed_pass(network_t *net, const floating *x, Py_ssize_t n) noexcept nogil:
    """forward_pass with W packed for the call where that pays (without memory: by dots)."""
    cdef Py_ssize_t total = packed_total(net, x, n)
    cdef floating *packed = <floating *> malloc(total * sizeof(floating)) if total > 0 else NULL
    pack_layers(net, packed, n)
    forward_pass(net, x, n, False)
    free(packed)


cdef double gradient_pass(
    network_t *net, const floating *x, const floating *y, const int64_t *labels,
    const floating *weight, double share, Py_ssize_t n,
) noexcept nogil:
    """C, the last layer's da and delta, and the backward pass."""
    cdef dense_t *last = &net.layers[net.n_layers - 1]
    cdef double C = loss_pass(net, y, labels, weight, share, False, <floating *> last.da, n)
    if net.fused:
        C = loss_pass(net, y, labels, weight, share, True, <floating *> last.delta, n)
    else:
        dense_delta(last, x, n, False)
    backward_pass(net, x, <floating *> NULL, n, False, False, 0, False)
    return C


cdef double blocked_run(
    network_t *net, const floating *x, Py_ssize_t n, floating *out, const floating *y,
    const int64_t *labels, const floating *weight, double share, Py_ssize_t widest,
    bint *no_memory,
) noexcept nogil:
    """The last layer's a into out, or (out NULL) C; a block of samples at a time."""
    cdef Py_ssize_t rows = n if n < PREDICT_ROWS else PREDICT_ROWS, first = 0, m
    cdef Py_ssize_t n_inputs = net.layers[0].n_inputs
    cdef Py_ssize_t n_outputs = net.layers[net.n_layers - 1].n_outputs
    cdef Py_ssize_t total = packed_total(net, x, n)
    cdef floating *z = <floating *> malloc((3 * rows * widest + total) * sizeof(floating))
    cdef floating *a = z + rows * widest
    cdef floating *da = a + rows * widest
    cdef double C = 0
    if z == NULL:
        no_memory[0] = True
        return 0
    pack_layers(net, da + rows * widest if total > 0 else NULL, n)
    while first < n:
        m = rows if n - first > rows else n - first
        if out != NULL:
            predict_rows(net, x + first * n_inputs, out + first * n_outputs, m, z, a)
        else:
            predict_rows(net, x + first * n_inputs, a, m, z, a)
            C += loss_block(net.loss, net.fused, z, a, row(y, first, n_outputs),
                            label_row(labels, first), row(weight, first, 1), share, da, m,
                            n_outputs)
        first += m
    free(z)
    return C


cdef double share_of(object weight, Py_ssize_t n) except? -1:
    """1 / Σ w"""
    if weight is None:
        return 1.0 / n
    total = float(np.sum(weight, dtype=np.float64))
    return 1.0 / total if total > 0 else 0.0


# ---------------------------------------------------------------- training

cdef struct training_t:
    network_t net
    rule_t rule
    Py_ssize_t n_parameters
    Py_ssize_t block     # samples that go through all layers at a time
    void *parameters     # (n_parameters,), as gradient and the optimiser's state
    void *gradient
    void *first
    void *second
    void *x              # (block, n_inputs): the shuffled rows, gathered
    void *y              # (block, n_outputs)
    int64_t *labels      # (block,)
    void *weight         # (block,)
    double l1
    double l2
    double clip_norm     # 0: no clipping


cdef double train_step(
    training_t *t,
    const floating *X,        # IN  (samples, n_inputs)
    const floating *Y,        # IN  (samples, n_outputs), or NULL: then
    const int64_t *labels,    # IN  (samples,)
    const floating *weight,   # IN  (samples,), or NULL: all 1
    const int64_t *order,     # IN  (samples,): row i of the batch is order[i]; NULL: i
    Py_ssize_t first,
    Py_ssize_t n,             # the batch: rows first, first + 1, …, first + n - 1
    double learning_rate,
    int64_t *counter,         # IN OUT updates done
    int guard,                # UNGUARDED, or CALM_ONLY, NO_UPDATE: these keep the gradient
    double *batch_weight,     # OUT Σ w
    bint *updated,            # OUT False: nothing was updated
) noexcept nogil:
    """Forward, backward, update; returns C (penalties included) before the update."""
    cdef network_t *net = &t.net
    cdef dense_t *last = &net.layers[net.n_layers - 1]
    cdef Py_ssize_t n_inputs = net.layers[0].n_inputs, n_outputs = last.n_outputs
    cdef double share = batch_share(weight, order, first, n, batch_weight), C = 0
    # Plain SGD needs no gradient kept: each layer descends as soon as its delta has been used.
    cdef bint descend = (t.rule.kind == SGD and t.rule.momentum == 0 and t.l1 == 0 and t.l2 == 0
                         and t.clip_norm == 0 and n <= t.block and guard == UNGUARDED)
    cdef Py_ssize_t done = 0, m, start
    cdef const floating *x
    cdef const floating *y
    cdef const floating *w
    cdef const int64_t *label
    cdef const int64_t *rows
    cdef int l
    for l in range(net.n_layers):
        if worth_packing(&net.layers[l], n):
            pack(&net.layers[l], <floating *> t.net.layers[l].packing)
        else:
            net.layers[l].packed = NULL
    while done < n:
        m = t.block if n - done > t.block else n - done
        if order == NULL or m == 1:
            start = first + done if order == NULL else order[first + done]
            x = row(X, start, n_inputs)
            y = row(Y, start, n_outputs)
            label = label_row(labels, start)
            w = row(weight, start, 1)
        else:
            rows = order + first + done
            gather(X, <floating *> t.x, rows, m, n_inputs)
            x = <const floating *> t.x
            y = NULL
            label = NULL
            w = NULL
            if Y != NULL:
                gather(Y, <floating *> t.y, rows, m, n_outputs)
                y = <const floating *> t.y
            if labels != NULL:
                for l in range(<int> m):
                    t.labels[l] = labels[rows[l]]
                label = t.labels
            if weight != NULL:
                gather(weight, <floating *> t.weight, rows, m, 1)
                w = <const floating *> t.weight
        forward_pass(net, x, m, True)
        C += loss_pass(net, y, label, w, share, net.fused, <floating *> last.delta, m)
        if not net.fused:
            dense_delta(last, x, m, True)
        if descend and not isfinite(C):
            break
        backward_pass(net, x, <floating *> NULL, m, done > 0, descend, learning_rate, True)
        done += m
    if not descend:
        if t.l1 != 0 or t.l2 != 0:
            for l in range(net.n_layers):
                C += penalize(<const floating *> net.layers[l].W, <floating *> net.layers[l].dW,
                              net.layers[l].n_inputs * net.layers[l].n_outputs, t.l1, t.l2)
        if t.clip_norm != 0:
            clip_by_norm(<floating *> t.gradient, t.n_parameters, t.clip_norm)
    updated[0] = isfinite(C) and guard != NO_UPDATE and (guard == UNGUARDED or is_calm(
        &t.rule, <const floating *> t.gradient, t.n_parameters, learning_rate))
    if updated[0]:
        counter[0] += 1
        if not descend:
            update(&t.rule, <floating *> t.parameters, <const floating *> t.gradient,
                   <floating *> t.first, <floating *> t.second, t.n_parameters, learning_rate,
                   <double> counter[0])
    return C


cdef rule_t rule_of(dict rule):
    """The struct of an optimiser's `kernel_rule()`."""
    cdef rule_t c
    c.kind = RULES[rule["kind"]]
    c.momentum, c.nesterov = rule.get("momentum", 0.0), rule.get("nesterov", False)
    c.beta_1, c.beta_2 = rule.get("beta_1", 0.0), rule.get("beta_2", 0.0)
    c.weight_decay, c.epsilon = rule.get("weight_decay", 0.0), rule.get("epsilon", 0.0)
    c.rho = rule.get("rho", 0.0)
    c.eta_minus, c.eta_plus = rule.get("eta_minus", 0.0), rule.get("eta_plus", 0.0)
    c.min_step, c.max_step = rule.get("min_step", 0.0), rule.get("max_step", 0.0)
    return c


def update_parameters(dict rule, cnp.ndarray parameters, cnp.ndarray gradient, first, second,
                      double learning_rate, cnp.ndarray counter, bint calm_only):
    """One optimiser step, counted in `counter`; validated vectors of one dtype.

    With calm_only a step that could overflow is left, and False returned.
    """
    cdef rule_t c = rule_of(rule)
    cdef Py_ssize_t count = cnp.PyArray_SIZE(parameters)
    cdef void *theta = data(parameters)
    cdef void *g = data(gradient)
    cdef void *p = NULL if first is None else data(first)
    cdef void *q = NULL if second is None else data(second)
    cdef int64_t *steps = <int64_t *> data(counter)
    cdef int typenum = cnp.PyArray_TYPE(parameters)
    cdef bint go = True
    with nogil:
        if typenum == cnp.NPY_FLOAT:
            if calm_only:
                go = is_calm(&c, <const float *> g, count, learning_rate)
            if go:
                steps[0] += 1
                update(&c, <float *> theta, <const float *> g, <float *> p, <float *> q, count,
                       learning_rate, <double> steps[0])
        else:
            if calm_only:
                go = is_calm(&c, <const double *> g, count, learning_rate)
            if go:
                steps[0] += 1
                update(&c, <double *> theta, <const double *> g, <double *> p, <double *> q, count,
                       learning_rate, <double> steps[0])
    return go


cdef char *place(char *start, Py_ssize_t *used, Py_ssize_t size) noexcept:
    """The address of the next `size` bytes, rounded up to whole cache lines of 64."""
    cdef char *address = NULL if start == NULL else start + used[0]
    used[0] += (size + 63) // 64 * 64
    return address


cdef class Training:
    """A network with its loss, penalties and optimiser, laid out to run many steps in one call.

    One arena holds a block of activations and the packed weights; nothing is
    allocated after the constructor.
    """

    cdef training_t c
    cdef Network network
    cdef object arena, keep
    cdef int64_t *counter
    cdef bint busy
    cdef readonly double loss_sum, weight_sum

    def __cinit__(self, Network network, cnp.ndarray parameters, cnp.ndarray gradient, dict rule,
                  first, second, cnp.ndarray counter, Py_ssize_t batch_size, double l1, double l2,
                  double clip_norm):
        cdef Py_ssize_t itemsize = cnp.PyArray_ITEMSIZE(parameters)
        self.network = network
        self.keep = (parameters, gradient, first, second, counter)
        self.counter = <int64_t *> data(counter)
        self.c.rule = rule_of(rule)
        self.c.n_parameters = cnp.PyArray_SIZE(parameters)
        self.c.parameters, self.c.gradient = data(parameters), data(gradient)
        self.c.first = NULL if first is None else data(first)
        self.c.second = NULL if second is None else data(second)
        self.c.l1, self.c.l2, self.c.clip_norm = l1, l2, clip_norm
        self.c.net = network.c
        self.c.net.layers = <dense_t *> malloc(network.c.n_layers * sizeof(dense_t))
        if self.c.net.layers == NULL:
            raise MemoryError()
        network.collect()
        memcpy(self.c.net.layers, network.c.layers, network.c.n_layers * sizeof(dense_t))
        self.c.block = block_rows(&self.c.net, batch_size, itemsize)
        # Counted first, then handed out, by the same walk.
        self.arena = np.empty(self.lay_out(NULL, itemsize) + 64, dtype=np.uint8)
        self.lay_out(<char *> ((<size_t> data(self.arena) + 63) // 64 * 64), itemsize)
        self.arena[...] = 0  # the lanes that fill up a last vector hold numbers, not noise

    def __dealloc__(self):
        free(self.c.net.layers)

    cdef Py_ssize_t lay_out(self, char *start, Py_ssize_t itemsize) noexcept:
        """Addresses for a block of everything from `start` on; returns the bytes it takes."""
        cdef Py_ssize_t used = 0, block = self.c.block, count
        cdef int l
        cdef dense_t *layer
        cdef dense_t *last = &self.c.net.layers[self.c.net.n_layers - 1]
        self.c.x = place(start, &used, block * self.c.net.layers[0].n_inputs * itemsize)
        self.c.y = place(start, &used, block * last.n_outputs * itemsize)
        self.c.labels = <int64_t *> place(start, &used, block * sizeof(int64_t))
        self.c.weight = place(start, &used, block * itemsize)
        for l in range(self.c.net.n_layers):
            layer = &self.c.net.layers[l]
            count = block * layer.n_outputs * itemsize
            layer.z = place(start, &used, count)
            layer.a = place(start, &used, count)
            layer.delta = place(start, &used, count)
            layer.da = NULL
            count = (packed_size(layer, <float *> NULL) if itemsize == sizeof(float)
                     else packed_size(layer, <double *> NULL))
            layer.packing = place(start, &used, count * itemsize)
        return used

    def run(self, cnp.ndarray X, y, labels, weight, order, Py_ssize_t batch_size,
            Py_ssize_t start, Py_ssize_t stop, cnp.ndarray learning_rates):
        """Steps start … stop - 1 of an epoch over validated arrays; returns the step it got to.

        A step whose loss is not finite updates nothing and ends the run there.
        `loss_sum` and `weight_sum` add up Σ w C and Σ w over the steps done.
        """
        cdef void *x = data(X)
        cdef void *py = NULL if y is None else data(y)
        cdef int64_t *pl = NULL if labels is None else <int64_t *> data(labels)
        cdef void *pw = NULL if weight is None else data(weight)
        cdef int64_t *rows = NULL if order is None else <int64_t *> data(order)
        cdef double *eta = <double *> data(learning_rates)
        cdef Py_ssize_t samples = cnp.PyArray_DIM(X, 0), step = start, first, n
        cdef int typenum = self.network.typenum
        cdef double C, total = 0
        cdef bint updated = True
        self.acquire()
        with nogil:
            while step < stop:
                first = step * batch_size
                n = batch_size if samples - first > batch_size else samples - first
                if typenum == cnp.NPY_FLOAT:
                    C = train_step(&self.c, <const float *> x, <const float *> py, pl,
                                   <const float *> pw, rows, first, n, eta[step],
                                   self.counter, UNGUARDED, &total, &updated)
                else:
                    C = train_step(&self.c, <const double *> x, <const double *> py, pl,
                                   <const double *> pw, rows, first, n, eta[step],
                                   self.counter, UNGUARDED, &total, &updated)
                if not updated:
                    break
                self.loss_sum += C * total
                self.weight_sum += total
                step += 1
        self.busy = False
        return step

    cdef int acquire(self) except -1:
        if self.busy:
            raise RuntimeError("the trainer is in use by another thread: give each thread one of "
                               "its own")
        self.busy = True
        return 0

    def reset_loss(self):
        """Start the sums of a new epoch."""
        self.loss_sum = self.weight_sum = 0

    def step(self, X, Y, sample_weight, double learning_rate, bint careful):
        """One step on one batch: C, and whether the update was done.

        It is not where C is not finite, or the update could overflow or
        `careful` is True; the gradient then stands in the network's vector.
        """
        cdef Network net = self.network
        cdef cnp.ndarray x = samples_of(X, net.n_inputs, net.typenum, "X", "this network takes")
        cdef Py_ssize_t n = rows_of(x)
        y, labels = net.targets(Y, n, cnp.PyArray_NDIM(x) == 1)
        weight = None if sample_weight is None else validation.weights(
            sample_weight, n, cnp.PyArray_DescrFromType(net.typenum))
        cdef void *px = data(x)
        cdef void *py = NULL if y is None else data(y)
        cdef int64_t *pl = NULL if labels is None else <int64_t *> data(labels)
        cdef void *pw = NULL if weight is None else data(weight)
        cdef int typenum = net.typenum
        cdef int guard = NO_UPDATE if careful else CALM_ONLY
        cdef double C, total = 0
        cdef bint updated = True
        self.acquire()
        with nogil:
            if typenum == cnp.NPY_FLOAT:
                C = train_step(&self.c, <const float *> px, <const float *> py, pl,
                               <const float *> pw, <const int64_t *> NULL, 0, n, learning_rate,
                               self.counter, guard, &total, &updated)
            else:
                C = train_step(&self.c, <const double *> px, <const double *> py, pl,
                               <const double *> pw, <const int64_t *> NULL, 0, n, learning_rate,
                               self.counter, guard, &total, &updated)
        self.busy = False
        return C, updated
