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
    choose_sums, dense_t, network_t, sums_by_dots, whole_vectors, work_size,
)
from bpcore._math.team cimport (
    barrier_t, meet, member_t, set_flag, share_begin, share_end, team_size, wait_while,
)
from bpcore._math.tile cimport panel_product
from bpcore._math.update cimport (
    ADAGRAD, ADAM, RMSPROP, RPROP, SGD, clip_factor, is_calm, penalty, penalty_gradient, rule_t,
    scale_by, update,
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

cdef enum:  # what a training's team of threads is doing
    FORMING
    COMPLETE
    DISBANDED

cdef enum:
    PREDICT_ROWS = 240  # samples that predict takes through all layers at a time


# ---------------------------------------------------------------- passes over rows of a batch

# Functions of their own, not inline ones: what is compiled once keeps the module small.

cdef void panel_f32 "bpcore_panel_f32"(
    void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init,
    const void *a, Py_ssize_t a_row, Py_ssize_t a_step, bint a_packed,
    const void *b, Py_ssize_t ldb, Py_ssize_t full,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
) noexcept nogil:
    """What run_panel calls."""
    panel_product(<vf32 *> c, ldc, <const vf32 *> init, ld_init, <const vf32 *> a, a_row, a_step,
                  a_packed, <const vf32 *> b, ldb, full, rows, columns, depth)


cdef void panel_f64 "bpcore_panel_f64"(
    void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init,
    const void *a, Py_ssize_t a_row, Py_ssize_t a_step, bint a_packed,
    const void *b, Py_ssize_t ldb, Py_ssize_t full,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
) noexcept nogil:
    """What run_panel calls."""
    panel_product(<vf64 *> c, ldc, <const vf64 *> init, ld_init, <const vf64 *> a, a_row, a_step,
                  a_packed, <const vf64 *> b, ldb, full, rows, columns, depth)


cdef void forward_product(
    const dense_t *layer, const floating *a_in, floating *z, Py_ssize_t n
) noexcept nogil:
    """z = a_in Wᵀ + b"""
    affine_forward(a_in, <const floating *> layer.W, <const floating *> layer.b, z, n,
                   layer.n_inputs, layer.n_outputs, layer.by_dots, <floating *> layer.work)


cdef void forward_one(
    const dense_t *layer, const floating *a_in, floating *z, bint padded
) noexcept nogil:
    """z = W a_in + b, one sample"""
    if floating is float:
        matvec_forward(<vf32 *> a_in, <vf32 *> layer.W, <vf32 *> layer.b, <vf32 *> z,
                       layer.n_inputs, layer.n_outputs, padded)
    else:
        matvec_forward(<vf64 *> a_in, <vf64 *> layer.W, <vf64 *> layer.b, <vf64 *> z,
                       layer.n_inputs, layer.n_outputs, padded)


cdef void backward_product(
    const dense_t *layer, const floating *delta, floating *da_in, Py_ssize_t n
) noexcept nogil:
    """∂C/∂a_in = δ W"""
    affine_backward(delta, <const floating *> layer.W, da_in, n, layer.n_inputs, layer.n_outputs,
                    <floating *> layer.work)


cdef void backward_one(
    const dense_t *layer, const floating *delta, floating *da_in, bint padded
) noexcept nogil:
    """∂C/∂a_in = Wᵀ δ, one sample"""
    if floating is float:
        matvec_backward(<vf32 *> delta, <vf32 *> layer.W, <vf32 *> da_in, layer.n_inputs,
                        layer.n_outputs, padded)
    else:
        matvec_backward(<vf64 *> delta, <vf64 *> layer.W, <vf64 *> da_in, layer.n_inputs,
                        layer.n_outputs, padded)


cdef void gradient_product(
    const dense_t *layer, const floating *delta, const floating *a_in, floating *dW, floating *db,
    Py_ssize_t n, Py_ssize_t rows, bint accumulate,
) noexcept nogil:
    """∂C/∂W = δᵀ a_in, ∂C/∂b = Σ δ of the first `rows` outputs from delta on"""
    affine_gradient(delta, a_in, dW, db, n, layer.n_inputs, layer.n_outputs, rows, accumulate,
                    <floating *> layer.work)


cdef void gradient_one(
    const dense_t *layer, const floating *delta, const floating *a_in, floating scale,
    floating *dW, floating *db, Py_ssize_t rows, bint accumulate,
) noexcept nogil:
    """∂C/∂W = s δ a_inᵀ, ∂C/∂b = s δ of `rows` outputs, one sample"""
    if floating is float:
        outer_product(<vf32 *> delta, <vf32 *> a_in, <vf32 *> &scale, <vf32 *> dW, <vf32 *> db,
                      layer.n_inputs, rows, accumulate)
    else:
        outer_product(<vf64 *> delta, <vf64 *> a_in, <vf64 *> &scale, <vf64 *> dW, <vf64 *> db,
                      layer.n_inputs, rows, accumulate)


cdef void dense_forward(
    dense_t *layer, const floating *a_in, Py_ssize_t first, Py_ssize_t n, bint padded
) noexcept nogil:
    """z = a_in Wᵀ + b, a = σ(z), rows first … first + n - 1; what ends padded is worked on in
    whole vectors."""
    cdef Py_ssize_t count = n * layer.n_outputs
    cdef floating *z = <floating *> layer.z + first * layer.n_outputs
    cdef floating *a = <floating *> layer.a + first * layer.n_outputs
    a_in += first * layer.n_inputs
    if n == 1 and layer.by_dots:
        forward_one(layer, a_in, z, padded)
    else:
        forward_product(layer, a_in, z, n)
    activate(layer.activation, <const floating *> z, a, n, layer.n_outputs,
             whole_vectors(a_in, count) if padded else count)


cdef void dense_delta(
    dense_t *layer, const floating *p, Py_ssize_t first, Py_ssize_t n, bint padded
) noexcept nogil:
    """δ = ∂C/∂a · σ'(z), from da where it is kept, else in place."""
    cdef Py_ssize_t count = n * layer.n_outputs, start = first * layer.n_outputs
    cdef floating *delta = <floating *> layer.delta + start
    if layer.da != NULL:
        memcpy(delta, <floating *> layer.da + start, count * sizeof(p[0]))
    to_delta(layer.activation, <const floating *> layer.z + start,
             <const floating *> layer.a + start, delta, n, layer.n_outputs,
             whole_vectors(p, count) if padded else count)


cdef void dense_backward(
    dense_t *layer, floating *da_in, Py_ssize_t first, Py_ssize_t n, bint padded
) noexcept nogil:
    """∂C/∂a_in = δ W"""
    cdef const floating *delta = <const floating *> layer.delta + first * layer.n_outputs
    da_in += first * layer.n_inputs
    if n == 1:
        backward_one(layer, delta, da_in, padded)
    else:
        backward_product(layer, delta, da_in, n)


cdef void dense_gradient(
    dense_t *layer,
    const floating *a_in,  # IN  (n, n_inputs)
    Py_ssize_t n,
    Py_ssize_t first,      # outputs first … last - 1
    Py_ssize_t last,
    bint accumulate,       # add to dW and db
    bint descend,          # add to W and b instead: SGD's step, with
    floating scale,        # s = -η; n > 1: already in delta
) noexcept nogil:
    """∂C/∂W = δᵀ a_in, ∂C/∂b = Σ δ; or W ← W + (-η δ)ᵀ a_in, b ← b + Σ -η δ"""
    cdef const floating *delta = <const floating *> layer.delta + first
    cdef floating *dW = <floating *> (layer.W if descend else layer.dW) + first * layer.n_inputs
    cdef floating *db = <floating *> (layer.b if descend else layer.db) + first
    if first == last:
        return
    if n == 1:
        gradient_one(layer, delta, a_in, scale, dW, db, last - first, accumulate or descend)
    else:
        gradient_product(layer, delta, a_in, dW, db, n, last - first, accumulate or descend)


cdef void forward_pass(
    network_t *net, const floating *x, Py_ssize_t first, Py_ssize_t n, bint padded
) noexcept nogil:
    """Every layer's z and a, rows first … first + n - 1."""
    cdef int l
    for l in range(net.n_layers):
        dense_forward(&net.layers[l], x if l == 0 else <const floating *> net.layers[l - 1].a,
                      first, n, padded)


cdef void backward_pass(
    network_t *net, floating *dx, Py_ssize_t first, Py_ssize_t n, bint padded
) noexcept nogil:
    """Every layer's delta from the last layer's, and ∂C/∂X unless dx is NULL; rows as above.

    ∂C/∂a is looked up one layer down.
    """
    cdef int l
    cdef dense_t *below
    for l in range(net.n_layers - 1, 0, -1):
        below = &net.layers[l - 1]
        dense_backward(&net.layers[l],
                       <floating *> (below.delta if below.da == NULL else below.da), first, n,
                       padded)
        dense_delta(below, <const floating *> dx, first, n, padded)
    if dx != NULL:
        dense_backward(&net.layers[0], dx, first, n, False)


cdef void gradient_pass(
    network_t *net, const floating *x, Py_ssize_t n, const member_t *me, bint accumulate,
    bint descend, floating scale,
) noexcept nogil:
    """This member's share of every layer's gradient, or of SGD's step."""
    cdef int l
    cdef dense_t *layer
    for l in range(net.n_layers - 1, -1, -1):
        layer = &net.layers[l]
        dense_gradient(layer, x if l == 0 else <const floating *> net.layers[l - 1].a, n,
                       share_begin(me, layer.n_outputs), share_end(me, layer.n_outputs),
                       accumulate, descend, scale)


cdef double loss_pass(
    network_t *net, const floating *y, const int64_t *labels, const floating *weight,
    double share, bint fused, floating *out, Py_ssize_t first, Py_ssize_t n, double *losses,
) noexcept nogil:
    """The rows' share of C, and the last layer's da (fused: delta) in `out`."""
    cdef dense_t *last = &net.layers[net.n_layers - 1]
    cdef Py_ssize_t start = first * last.n_outputs
    return loss_block(net.loss, fused, <const floating *> last.z + start,
                      <const floating *> last.a + start, row(y, first, last.n_outputs),
                      label_row(labels, first), row(weight, first, 1), share, out + start, n,
                      last.n_outputs, net.largest_loss, losses)


cdef void predict_rows(
    network_t *net, const floating *x, floating *out, Py_ssize_t n, floating *z, floating *a
) noexcept nogil:
    """The last layer's a into out; z and a hold n rows of the widest layer and are overwritten."""
    cdef int l
    cdef dense_t *layer
    for l in range(net.n_layers):
        layer = &net.layers[l]
        if n == 1 and layer.by_dots:
            forward_one(layer, x if l == 0 else <const floating *> a, z, False)
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
        self.c.work = NULL

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


cdef int check_batch(cnp.ndarray da, int ndim, Py_ssize_t n, Py_ssize_t width) except -1:
    """Raise unless da belongs to the batch that forward kept."""
    if cnp.PyArray_NDIM(da) != ndim or rows_of(da) != n:
        shape = (n, width)
        raise ValueError(validation.shape_message(
            "da", (<object> da).shape, shape[2 - ndim:], "the shape of the last forward's a"))
    return 0


cdef void *room_to_work(network_t *net, const floating *p) noexcept nogil:
    """Give all layers the room to work that the neediest wants; to be freed after the pass.

    Without memory they run without, only slower.
    """
    cdef Py_ssize_t size = 0
    cdef void *work = NULL
    cdef int l
    for l in range(net.n_layers):
        size = max(size, work_size(&net.layers[l], p))
    if size > 0:
        work = malloc(size * sizeof(p[0]))
    for l in range(net.n_layers):
        net.layers[l].work = work
    return work


cdef void one_forward(dense_t *layer, const floating *a_in, Py_ssize_t n) noexcept nogil:
    """A layer's forward by itself."""
    cdef network_t alone
    alone.layers, alone.n_layers = layer, 1
    cdef void *work = room_to_work(&alone, a_in)
    layer.by_dots = sums_by_dots(layer, a_in, n)
    dense_forward(layer, a_in, 0, n, False)
    layer.work = NULL
    free(work)


cdef void one_backward(
    dense_t *layer, const floating *a_in, floating *da_in, Py_ssize_t n
) noexcept nogil:
    """A layer's backward by itself."""
    cdef network_t alone
    alone.layers, alone.n_layers = layer, 1
    cdef void *work = room_to_work(&alone, a_in)
    dense_delta(layer, a_in, 0, n, False)
    dense_backward(layer, da_in, 0, n, False)
    dense_gradient(layer, a_in, n, 0, layer.n_outputs, False, False, <floating> 1)
    layer.work = NULL
    free(work)


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
                    C = whole_backward(&self.c, <const float *> x, <const float *> py, pl,
                                       <const float *> pw, share, n)
                else:
                    C = whole_backward(&self.c, <const double *> x, <const double *> py, pl,
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
                    dense_delta(end, <const float *> x, 0, n, False)
                    through_layers(&self.c, <const float *> x, <float *> dx, n)
                else:
                    dense_delta(end, <const double *> x, 0, n, False)
                    through_layers(&self.c, <const double *> x, <double *> dx, n)
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


cdef void whole_forward(network_t *net, const floating *x, Py_ssize_t n) noexcept nogil:
    """forward_pass over all rows."""
    cdef void *work = room_to_work(net, x)
    choose_sums(net, x, n)
    forward_pass(net, x, 0, n, False)
    free(work)


cdef void through_layers(
    network_t *net, const floating *x, floating *dx, Py_ssize_t n
) noexcept nogil:
    """From the last delta to every gradient, over all rows."""
    cdef member_t alone
    cdef void *work = room_to_work(net, x)
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


cdef double blocked_run(
    network_t *net, const floating *x, Py_ssize_t n, floating *out, const floating *y,
    const int64_t *labels, const floating *weight, double share, Py_ssize_t widest,
    bint *no_memory,
) noexcept nogil:
    """The last layer's a into out, or (out NULL) C; a block of samples at a time."""
    cdef Py_ssize_t blocks = (n + PREDICT_ROWS - 1) // PREDICT_ROWS, k, first, m
    cdef Py_ssize_t rows = (n + blocks - 1) // blocks
    cdef Py_ssize_t n_inputs = net.layers[0].n_inputs
    cdef Py_ssize_t n_outputs = net.layers[net.n_layers - 1].n_outputs
    cdef floating *z = <floating *> malloc(3 * rows * widest * sizeof(floating))
    cdef floating *a = z + rows * widest
    cdef floating *da = a + rows * widest
    cdef double C = 0
    cdef void *work
    if z == NULL:
        no_memory[0] = True
        return 0
    work = room_to_work(net, x)
    choose_sums(net, x, n)
    for k in range(blocks):
        first = n * k // blocks
        m = n * (k + 1) // blocks - first
        if out != NULL:
            predict_rows(net, x + first * n_inputs, out + first * n_outputs, m, z, a)
        else:
            predict_rows(net, x + first * n_inputs, a, m, z, a)
            C += loss_block(net.loss, net.fused, z, a, row(y, first, n_outputs),
                            label_row(labels, first), row(weight, first, 1), share, da, m,
                            n_outputs, net.largest_loss, NULL)
    free(work)
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
    double *losses       # (block,)
    double l1
    double l2
    double clip_norm     # 0: no clipping


cdef struct stretch_t:      # of an epoch: what every thread of a team is told
    void *X                 # (samples, n_inputs)
    void *Y                 # (samples, n_outputs), or NULL: then
    int64_t *labels         # (samples,)
    void *weight            # (samples,), or NULL: all 1
    int64_t *order          # (samples,): row i of the epoch is order[i]; NULL: i
    Py_ssize_t samples
    Py_ssize_t batch_size
    Py_ssize_t start        # steps start … stop - 1
    Py_ssize_t stop
    double *learning_rates  # one a step
    int64_t counter         # updates done before


cdef void gather_rows(
    training_t *t, const stretch_t *data, const int64_t *rows, Py_ssize_t first, Py_ssize_t last,
    const floating *p,
) noexcept nogil:
    """Rows first … last - 1 of a block into the arena."""
    cdef Py_ssize_t n_inputs = t.net.layers[0].n_inputs, k
    cdef Py_ssize_t n_outputs = t.net.layers[t.net.n_layers - 1].n_outputs
    gather(<const floating *> data.X, <floating *> t.x, rows, first, last, n_inputs)
    if data.Y != NULL:
        gather(<const floating *> data.Y, <floating *> t.y, rows, first, last, n_outputs)
    if data.labels != NULL:
        for k in range(first, last):
            t.labels[k] = data.labels[rows[k]]
    if data.weight != NULL:
        gather(<const floating *> data.weight, <floating *> t.weight, rows, first, last, 1)


cdef double train_step(
    training_t *t,
    const stretch_t *data,
    const floating *p,        # for the type
    const member_t *me,
    Py_ssize_t first,
    Py_ssize_t n,             # the batch: rows first, first + 1, …, first + n - 1
    double learning_rate,
    int64_t count,            # updates done before
    int guard,                # UNGUARDED, or CALM_ONLY, NO_UPDATE: these keep the gradient
    double *batch_weight,     # OUT Σ w
    bint *updated,            # OUT False: nothing was updated
) noexcept nogil:
    """Forward, backward, update, this member's share; returns C (penalties included)."""
    cdef network_t *net = &t.net
    cdef dense_t *last = &net.layers[net.n_layers - 1]
    cdef dense_t *layer
    cdef Py_ssize_t n_inputs = net.layers[0].n_inputs, n_outputs = last.n_outputs
    cdef double share = batch_share(<const floating *> data.weight, data.order, first, n,
                                    batch_weight)
    cdef double C = 0, total = 0
    cdef Py_ssize_t blocks = 1 if n <= t.block else (n + t.block - 1) // t.block
    cdef Py_ssize_t block, done, m, start, mine, after, k
    # Plain SGD needs no gradient kept: it is added to the weights as it is summed.
    cdef bint descend = (t.rule.kind == SGD and t.rule.momentum == 0 and t.l1 == 0 and t.l2 == 0
                         and t.clip_norm == 0 and blocks == 1 and guard == UNGUARDED)
    cdef bint padded = me.threads == 1
    cdef floating scale = <floating> (-learning_rate if descend else 1.0)
    cdef floating *delta
    cdef const floating *x
    cdef const floating *y
    cdef const floating *w
    cdef const int64_t *label
    cdef int l
    choose_sums(net, p, n)
    for block in range(blocks):
        done, m = 0, n
        if blocks > 1:
            done = n * block // blocks
            m = n * (block + 1) // blocks - done
        mine, after = share_begin(me, m), share_end(me, m)
        if data.order == NULL or m == 1:
            start = first + done if data.order == NULL else data.order[first + done]
            x = row(<const floating *> data.X, start, n_inputs)
            y = row(<const floating *> data.Y, start, n_outputs)
            label = label_row(data.labels, start)
            w = row(<const floating *> data.weight, start, 1)
        else:
            gather_rows(t, data, data.order + first + done, mine, after, p)
            x = <const floating *> t.x
            y = NULL if data.Y == NULL else <const floating *> t.y
            label = NULL if data.labels == NULL else t.labels
            w = NULL if data.weight == NULL else <const floating *> t.weight
        if after > mine:
            forward_pass(net, x, mine, after - mine, padded)
            total = loss_pass(net, y, label, w, share, net.fused, <floating *> last.delta, mine,
                              after - mine, NULL if padded else t.losses + mine)
            if not net.fused:
                dense_delta(last, p, mine, after - mine, padded)
            backward_pass(net, <floating *> NULL, mine, after - mine, padded)
            if descend and m > 1:
                for l in range(net.n_layers):
                    layer = &net.layers[l]
                    delta = <floating *> layer.delta
                    for k in range(mine * layer.n_outputs, after * layer.n_outputs):
                        delta[k] *= scale
        if block == 0 and (t.l1 != 0 or t.l2 != 0):
            for l in range(net.n_layers):
                C += penalty(<const floating *> net.layers[l].W,
                             net.layers[l].n_inputs * net.layers[l].n_outputs, t.l1, t.l2)
        meet(me)
        if me.threads > 1:
            total = 0
            for k in range(m):
                total += t.losses[k]
        C += total
        if descend and not isfinite(C):
            break
        gradient_pass(net, x, m, me, block > 0, descend, scale)
        if block < blocks - 1:
            meet(me)
    updated[0] = isfinite(C) and guard != NO_UPDATE
    if not descend:
        finish_gradient(t, me, p)
        if updated[0] and guard == CALM_ONLY:
            updated[0] = is_calm(&t.rule, <const floating *> t.gradient, t.n_parameters,
                                 learning_rate)
        if updated[0]:
            update_share(t, me, p, learning_rate, <double> (count + 1))
    meet(me)
    return C


cdef void finish_gradient(training_t *t, const member_t *me, const floating *p) noexcept nogil:
    """The penalties' gradient, and clipping: this member's outputs."""
    cdef dense_t *layer
    cdef Py_ssize_t first, rows
    cdef floating factor
    cdef int l
    if t.l1 != 0 or t.l2 != 0:
        for l in range(t.net.n_layers):
            layer = &t.net.layers[l]
            first = share_begin(me, layer.n_outputs)
            rows = share_end(me, layer.n_outputs) - first
            penalty_gradient(<const floating *> layer.W + first * layer.n_inputs,
                             <floating *> layer.dW + first * layer.n_inputs,
                             rows * layer.n_inputs, t.l1, t.l2)
    if t.clip_norm != 0:
        meet(me)
        factor = clip_factor(<const floating *> t.gradient, t.n_parameters, t.clip_norm)
        meet(me)
        if factor != 1:
            for l in range(t.net.n_layers):
                layer = &t.net.layers[l]
                first = share_begin(me, layer.n_outputs)
                rows = share_end(me, layer.n_outputs) - first
                scale_by(<floating *> layer.dW + first * layer.n_inputs, rows * layer.n_inputs,
                         factor)
                scale_by(<floating *> layer.db + first, rows, factor)


cdef void update_share(
    training_t *t, const member_t *me, const floating *p, double learning_rate, double count
) noexcept nogil:
    """The optimiser's step for this member's outputs."""
    cdef floating *theta = <floating *> t.parameters
    cdef dense_t *layer
    cdef Py_ssize_t first, rows
    cdef int l
    if me.threads == 1:
        update_span(t, p, 0, t.n_parameters, learning_rate, count)
        return
    for l in range(t.net.n_layers):
        layer = &t.net.layers[l]
        first = share_begin(me, layer.n_outputs)
        rows = share_end(me, layer.n_outputs) - first
        update_span(t, p, <floating *> layer.W - theta + first * layer.n_inputs,
                    rows * layer.n_inputs, learning_rate, count)
        update_span(t, p, <floating *> layer.b - theta + first, rows, learning_rate, count)


cdef void update_span(
    training_t *t, const floating *p, Py_ssize_t first, Py_ssize_t count, double learning_rate,
    double steps,
) noexcept nogil:
    """The optimiser's step for `count` parameters from `first` on."""
    update(&t.rule, <floating *> t.parameters + first, <const floating *> t.gradient + first,
           NULL if t.first == NULL else <floating *> t.first + first,
           NULL if t.second == NULL else <floating *> t.second + first, count, learning_rate,
           steps)


cdef Py_ssize_t run_stretch(
    training_t *t, const stretch_t *data, const floating *p, const member_t *me,
    double *loss_sum, double *weight_sum,
) noexcept nogil:
    """The steps of a stretch; returns the one it got to, and adds up Σ w C and Σ w."""
    cdef Py_ssize_t step, first, n
    cdef double C, total = 0
    cdef bint updated = True
    for step in range(data.start, data.stop):
        first = step * data.batch_size
        n = data.batch_size if data.samples - first > data.batch_size else data.samples - first
        C = train_step(t, data, p, me, first, n, data.learning_rates[step],
                       data.counter + step - data.start, UNGUARDED, &total, &updated)
        if not updated:
            return step
        loss_sum[0] += C * total
        weight_sum[0] += total
    return data.stop


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

    cdef training_t *members  # one for each thread: all point to the same arrays but for `work`
    cdef readonly int threads  # at most
    cdef int team              # of them take part in the stretch
    cdef barrier_t barrier
    cdef stretch_t stretch
    cdef int state            # of the team: see FORMING
    cdef Network network
    cdef object arena, keep
    cdef int64_t *counter
    cdef bint busy
    cdef readonly double loss_sum, weight_sum

    def __cinit__(self, Network network, cnp.ndarray parameters, cnp.ndarray gradient, dict rule,
                  first, second, cnp.ndarray counter, Py_ssize_t batch_size, double l1, double l2,
                  double clip_norm, int threads=1, double largest_loss=float("inf")):
        cdef Py_ssize_t itemsize = cnp.PyArray_ITEMSIZE(parameters)
        cdef int n_layers = network.c.n_layers, k
        cdef training_t *c
        network.collect()
        self.network = network
        self.keep = (parameters, gradient, first, second, counter)
        self.counter = <int64_t *> data(counter)
        self.threads = team_size(&network.c, batch_size, threads)
        self.members = <training_t *> malloc(
            self.threads * (sizeof(training_t) + n_layers * sizeof(dense_t)))
        if self.members == NULL:
            raise MemoryError()
        c = self.members
        c.rule = rule_of(rule)
        c.n_parameters = cnp.PyArray_SIZE(parameters)
        c.parameters, c.gradient = data(parameters), data(gradient)
        c.first = NULL if first is None else data(first)
        c.second = NULL if second is None else data(second)
        c.l1, c.l2, c.clip_norm = l1, l2, clip_norm
        c.net = network.c
        c.net.largest_loss = largest_loss
        c.block = block_rows(&c.net, batch_size, itemsize)
        for k in range(self.threads):
            self.members[k] = c[0]
            self.members[k].net.layers = <dense_t *> (self.members + self.threads) + k * n_layers
            memcpy(self.members[k].net.layers, network.c.layers, n_layers * sizeof(dense_t))
        # Counted first, then handed out, by the same walk.
        self.arena = np.empty(self.lay_out(NULL, itemsize) + 64, dtype=np.uint8)
        self.lay_out(<char *> ((<size_t> data(self.arena) + 63) // 64 * 64), itemsize)
        self.arena[...] = 0  # the lanes that fill up a last vector hold numbers, not noise

    def __dealloc__(self):
        free(self.members)

    cdef Py_ssize_t lay_out(self, char *start, Py_ssize_t itemsize) noexcept:
        """Addresses for a block of everything from `start` on; returns the bytes it takes."""
        cdef training_t *c = self.members
        cdef Py_ssize_t used = 0, block = c.block, count, work = 0, size
        cdef int l, k
        cdef dense_t *layer
        cdef dense_t *last = &c.net.layers[c.net.n_layers - 1]
        c.x = place(start, &used, block * c.net.layers[0].n_inputs * itemsize)
        c.y = place(start, &used, block * last.n_outputs * itemsize)
        c.labels = <int64_t *> place(start, &used, block * sizeof(int64_t))
        c.weight = place(start, &used, block * itemsize)
        c.losses = <double *> place(start, &used, block * sizeof(double))
        for l in range(c.net.n_layers):
            layer = &c.net.layers[l]
            count = block * layer.n_outputs * itemsize
            layer.z = place(start, &used, count)
            layer.a = place(start, &used, count)
            layer.delta = place(start, &used, count)
            layer.da = NULL
            size = (work_size(layer, <float *> NULL) if itemsize == sizeof(float)
                    else work_size(layer, <double *> NULL))
            work = max(work, size)
        for k in range(self.threads):
            c = &self.members[k]
            if k > 0:
                c.x, c.y, c.labels = self.members.x, self.members.y, self.members.labels
                c.weight, c.losses = self.members.weight, self.members.losses
                memcpy(c.net.layers, self.members.net.layers, c.net.n_layers * sizeof(dense_t))
            c.net.layers[0].work = place(start, &used, work * itemsize) if work > 0 else NULL
            for l in range(1, c.net.n_layers):
                c.net.layers[l].work = c.net.layers[0].work
        return used

    def run(self, cnp.ndarray X, y, labels, weight, order, Py_ssize_t batch_size,
            Py_ssize_t start, Py_ssize_t stop, cnp.ndarray learning_rates, int threads=1,
            start_thread=None):
        """Steps start … stop - 1 of an epoch over validated arrays; returns the step it got to.

        A step whose loss is not finite updates nothing and ends the run there.
        `loss_sum` and `weight_sum` add up Σ w C and Σ w over the steps done.
        With threads > 1, at most `self.threads`, `start_thread` is called with `join` and an index
        1, 2, … for each of the others; it makes a thread call it, and returns a future.
        """
        cdef stretch_t *stretch = &self.stretch
        cdef member_t me
        cdef Py_ssize_t step
        cdef double loss_sum = self.loss_sum, weight_sum = self.weight_sum
        self.acquire()
        stretch.X = data(X)
        stretch.Y = NULL if y is None else data(y)
        stretch.labels = NULL if labels is None else <int64_t *> data(labels)
        stretch.weight = NULL if weight is None else data(weight)
        stretch.order = NULL if order is None else <int64_t *> data(order)
        stretch.samples, stretch.batch_size = cnp.PyArray_DIM(X, 0), batch_size
        stretch.start, stretch.stop = start, stop
        stretch.learning_rates = <double *> data(learning_rates)
        stretch.counter = self.counter[0]
        self.team = threads
        me.index, me.threads, me.barrier = 0, threads, &self.barrier
        if threads > 1:
            self.form_team(start_thread)
        with nogil:
            step = self.take_part(&me, &loss_sum, &weight_sum)
        self.counter[0] += step - start
        self.loss_sum, self.weight_sum = loss_sum, weight_sum
        self.busy = False
        return step

    cdef int form_team(self, start_thread) except -1:
        """Start the others; if that is interrupted, send home who has come."""
        cdef int index
        others = []
        set_flag(&self.state, FORMING)
        try:
            for index in range(1, self.team):
                others.append(start_thread(self.join, index))
            set_flag(&self.state, COMPLETE)
        except BaseException:
            set_flag(&self.state, DISBANDED)
            for other in others:
                other.result()
            self.busy = False
            raise
        return 0

    def join(self, int index):
        """Take part in the stretch that runs, as member `index` of the team."""
        cdef member_t me
        cdef double ignored = 0
        me.index, me.threads, me.barrier = index, self.team, &self.barrier
        with nogil:
            if wait_while(&self.state, FORMING) == COMPLETE:
                self.take_part(&me, &ignored, &ignored)

    cdef Py_ssize_t take_part(
        self, const member_t *me, double *loss_sum, double *weight_sum
    ) noexcept nogil:
        if self.network.typenum == cnp.NPY_FLOAT:
            return run_stretch(&self.members[me.index], &self.stretch,
                               <const float *> self.stretch.X, me, loss_sum, weight_sum)
        return run_stretch(&self.members[me.index], &self.stretch,
                           <const double *> self.stretch.X, me, loss_sum, weight_sum)

    cdef int acquire(self) except -1:
        if self.busy:
            raise RuntimeError("the trainer is in use by another thread: give each thread one of "
                               "its own")
        self.busy = True
        return 0

    def team_size(self, Py_ssize_t batch_size):
        """Threads that pay for steps of this size, at most as many as there is room for."""
        return team_size(&self.members.net, batch_size, self.threads)

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
        cdef stretch_t batch
        cdef member_t me
        cdef int typenum = net.typenum
        cdef int guard = NO_UPDATE if careful else CALM_ONLY
        cdef double C, total = 0
        cdef bint updated = True
        batch.X = data(x)
        batch.Y = NULL if y is None else data(y)
        batch.labels = NULL if labels is None else <int64_t *> data(labels)
        batch.weight = NULL if weight is None else data(weight)
        batch.order = NULL
        me.index, me.threads, me.barrier = 0, 1, &self.barrier
        self.acquire()
        with nogil:
            if typenum == cnp.NPY_FLOAT:
                C = train_step(self.members, &batch, <const float *> batch.X, &me, 0, n,
                               learning_rate, self.counter[0], guard, &total, &updated)
            else:
                C = train_step(self.members, &batch, <const double *> batch.X, &me, 0, n,
                               learning_rate, self.counter[0], guard, &total, &updated)
        self.counter[0] += updated
        self.busy = False
        return C, updated
