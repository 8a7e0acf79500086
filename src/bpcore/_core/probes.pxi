"""What a test asks the module itself: what it was compiled for, and one formula at a time."""


cdef enum:  # functions that are no activations
    LOG1P = -1
    LOG = -2


def build_info():
    """What this module was compiled for."""
    return {"float32 lanes": LANES_F32, "tile rows": TILE_ROWS}


def in_parts(Py_ssize_t n_inputs, Py_ssize_t n_outputs, Py_ssize_t n):
    """Which products of a float32 layer the matrix unit computes for n samples: a set of "forward",
    "backward", "gradient", empty where the level has no such unit."""
    cdef dense_t layer
    cdef int products
    layer.n_inputs, layer.n_outputs = n_inputs, n_outputs
    products = products_in_parts(&layer, <float *> NULL, n)
    names = {FORWARD: "forward", BACKWARD: "backward", GRADIENT: "gradient"}
    return {name for bit, name in names.items() if products & bit}


def leave_own_processor():
    """What a thread does that is started on the processor of the one it is to help; returns that
    and the one it runs on afterwards, -1 where the system does not tell."""
    cdef int before = this_processor()
    leave_processor(before)
    return before, this_processor()


def elementwise(str name, z):
    """a = σ(z) of the activation `name`, of "log1p" log(1 + z) for 0 <= z <= 1, or of "log" log z
    for normal z > 0.

    What layers compute, for any z at all: an entry for tests of the formulas.
    """
    cdef cnp.ndarray x = np.ascontiguousarray(z), a
    cdef int activation = {"log1p": LOG1P, "log": LOG}.get(name) or ACTIVATIONS[name]
    if cnp.PyArray_TYPE(x) not in (cnp.NPY_FLOAT32, cnp.NPY_FLOAT64):
        raise TypeError(f"z has dtype {x.dtype}: give float32 or float64")
    a = np.empty_like(x)
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32:
        apply[float](activation, <const float *> data(x), <float *> data(a), x.size)
    else:
        apply[double](activation, <const double *> data(x), <double *> data(a), x.size)
    return a


cdef void apply(
    int activation, const floating *z, floating *a, Py_ssize_t n
) noexcept nogil:
    cdef Py_ssize_t k
    if activation == LOG1P:
        for k in range(n): a[k] = log1p_unit(z[k])
    elif activation == LOG:
        for k in range(n): a[k] = log_(z[k])
    elif n > 0:
        activation_pass(activation, z, a, 1, n, n)
