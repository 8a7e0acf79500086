"""An optimiser's step by itself, and its settings as the kernels want them."""


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


cdef double apply_rule(
    const rule_t *rule, const pace_t *pace, floating *theta, floating *g, floating *first,
    floating *second, Py_ssize_t count, double l2,
) noexcept nogil:
    """update, compiled once."""
    return update(rule, pace, theta, g, first, second, count, l2)


cdef bint is_calm_along(
    const rule_t *rule, const floating *g, Py_ssize_t count, double learning_rate
) noexcept nogil:
    """is_calm of a gradient g."""
    return is_calm(rule, g, largest_absolute(g, count), learning_rate)


def is_calm_state(dict rule, cnp.ndarray first, double learning_rate):
    """Whether what an optimiser remembers of gradients, its first state vector, is no larger than
    a gradient may be for a step that cannot make anything overflow."""
    cdef rule_t c = rule_of(rule)
    cdef void *m = data(first)
    cdef Py_ssize_t count = cnp.PyArray_SIZE(first)
    cdef int typenum = cnp.PyArray_TYPE(first)
    cdef bint calm
    with nogil:
        if typenum == cnp.NPY_FLOAT:
            calm = is_calm_along(&c, <const float *> m, count, learning_rate)
        else:
            calm = is_calm_along(&c, <const double *> m, count, learning_rate)
    return calm


def update_parameters(dict rule, cnp.ndarray parameters, cnp.ndarray gradient, first, second,
                      double learning_rate, cnp.ndarray counter, bint calm_only):
    """One optimiser step, counted in `counter`; validated vectors of one dtype.

    With calm_only a step that could overflow is left, and False returned.
    """
    cdef rule_t c = rule_of(rule)
    cdef pace_t pace
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
                go = is_calm_along(&c, <const float *> g, count, learning_rate)
            if go:
                steps[0] += 1
                pace = pace_of(&c, learning_rate, <double> steps[0])
                apply_rule(&c, &pace, <float *> theta, <float *> g, <float *> p, <float *> q,
                           count, 0)
        else:
            if calm_only:
                go = is_calm_along(&c, <const double *> g, count, learning_rate)
            if go:
                steps[0] += 1
                pace = pace_of(&c, learning_rate, <double> steps[0])
                apply_rule(&c, &pace, <double *> theta, <double *> g, <double *> p, <double *> q,
                           count, 0)
    return go
