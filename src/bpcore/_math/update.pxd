"""One step of each optimiser, θ from its gradient g, over the flat parameter vector.

η is the learning rate, t = 1, 2, … counts the steps. The state vectors are as
long as θ and start at zero (Rprop's steps at η). A penalty is part of the cost,
so its gradient is added before the norm is clipped. Means over the steps hold no
subnormal numbers: see `normal`.
"""
from cython cimport floating
from libc.float cimport DBL_MIN, FLT_MIN
from libc.math cimport NAN, pow, sqrt
from libc.stdint cimport int32_t, int64_t

from bpcore._math.adaptive cimport adam, by_root
from bpcore._math.bits cimport bits_of_f32, bits_of_f64, f32_of_bits, f64_of_bits
from bpcore._math.elementary cimport absolute, product
from bpcore._math.fetch cimport fetch
from bpcore._math.penalty cimport penalty_gradient, sign
from bpcore._math.vector cimport vec, vf32, vf64

cdef enum:
    SGD = 0
    ADAM = 1
    RMSPROP = 2
    ADAGRAD = 3
    RPROP = 4

cdef enum:
    PIECE = 256  # parameters: while these are changed, the next ones are on their way

cdef struct rule_t:
    int kind
    double momentum      # SGD: μ
    bint nesterov
    double beta_1        # Adam
    double beta_2
    double weight_decay  # AdamW: λ
    double rho           # RMSProp
    double epsilon       # Adam, RMSProp, Adagrad
    double eta_minus     # Rprop: factors of the step, and its bounds
    double eta_plus
    double min_step
    double max_step


cdef struct pace_t:  # of one step
    double learning_rate  # η
    double eta            # η, Adam's over 1 - β1^t
    double correction     # Adam's 1 / √(1 - β2^t)


cdef inline pace_t pace_of(const rule_t *rule, double learning_rate, double t) noexcept nogil:
    """What the step t = 1, 2, … of the rule computes once, not for each of a network's arrays."""
    cdef pace_t pace
    pace.learning_rate, pace.eta, pace.correction = learning_rate, learning_rate, 1
    if rule.kind == ADAM:
        pace.eta = learning_rate / (1 - decay(rule.beta_1, t))
        pace.correction = 1 / sqrt(1 - decay(rule.beta_2, t))
    return pace


cdef inline double decay(double beta, double t) noexcept nogil:
    """β^t, or 0 where 1 - β^t is 1: β^t < e^(-t (1 - β)), and pow takes long to underflow"""
    return 0 if t * (1 - beta) > 40 else pow(beta, t)


cdef inline floating normal(floating x) noexcept nogil:
    """x, or 0 below the smallest normal number.

    Rounding would hold a mean that decays, as that of a unit which no sample wakes, at a subnormal
    number for ever, and with those a processor takes twice as long, many a hundred times.
    """
    if floating is float:
        return <floating> 0 if absolute(x) < FLT_MIN else x
    else:
        return <floating> 0 if absolute(x) < DBL_MIN else x


cdef inline void sgd(
    floating *restrict theta, const floating *restrict g, Py_ssize_t count, double learning_rate
) noexcept nogil:
    """θ ← θ - η g"""
    cdef Py_ssize_t k
    cdef floating eta = <floating> learning_rate
    for k in range(count):
        theta[k] -= eta * g[k]


cdef inline void momentum(
    floating *restrict theta, const floating *restrict g, floating *restrict v,
    Py_ssize_t count, const rule_t *rule, double learning_rate,
) noexcept nogil:
    """v ← μ v - η g;  θ ← θ + v, or Nesterov's θ + μ v - η g (Sutskever et al. 2013)"""
    cdef Py_ssize_t k
    cdef floating eta = <floating> learning_rate, mu = <floating> rule.momentum
    if rule.nesterov:
        for k in range(count):
            v[k] = normal(mu * v[k] - product(eta, g[k]))
            theta[k] += mu * v[k] - product(eta, g[k])
    else:
        for k in range(count):
            v[k] = normal(mu * v[k] - product(eta, g[k]))
            theta[k] += v[k]


cdef inline void rprop(
    floating *restrict theta, const floating *restrict g, floating *restrict last,
    floating *restrict step, Py_ssize_t count, const rule_t *rule,
) noexcept nogil:
    """iRprop- (Igel & Hüsken 2003): the step grows while g keeps its sign, shrinks when it turns

    step ← min(η+ step, largest) if g g_last > 0; max(η- step, smallest) and g ← 0
    if < 0; then θ ← θ - sign(g) step, g_last ← g.
    """
    cdef Py_ssize_t k
    cdef floating shrink = <floating> rule.eta_minus, grow = <floating> rule.eta_plus
    cdef floating smallest = <floating> rule.min_step, largest = <floating> rule.max_step
    cdef floating turn, s, gk
    for k in range(count):
        gk = g[k]
        # The product of the signs, not of the numbers: that could underflow.
        turn = sign(gk) * sign(last[k])
        s = step[k] * (grow if turn > 0 else (shrink if turn < 0 else <floating> 1))
        s = smallest if s < smallest else (largest if s > largest else s)
        gk = <floating> 0 if turn < 0 else gk
        theta[k] -= s * sign(gk)
        step[k] = s
        last[k] = gk


cdef inline double adaptive(
    const rule_t *rule, const pace_t *pace, vec *theta, vec *g, vec *first, vec *second,
    Py_ssize_t count, double l2,
) noexcept nogil:
    """The rules of adaptive.pxd."""
    if rule.kind == ADAM:
        return adam(theta, g, first, second, count, rule.beta_1, rule.beta_2, rule.epsilon,
                    pace.eta, pace.correction, pace.learning_rate * rule.weight_decay, l2)
    if rule.kind == RMSPROP:
        return by_root(theta, g, first, count, rule.rho, 1 - rule.rho, rule.epsilon, pace.eta, l2)
    return by_root(theta, g, first, count, 1, 1, rule.epsilon, pace.eta, l2)


cdef inline double update(
    const rule_t *rule,
    const pace_t *pace,
    floating *theta,     # IN OUT (count,)
    floating *g,         # IN OUT (count,): λ θ is added to it first
    floating *first,     # IN OUT (count,) v of SGD, RMSProp, Adagrad; m of Adam; Rprop's last g
    floating *second,    # IN OUT (count,) v of Adam; Rprop's steps
    Py_ssize_t count,
    double l2,           # λ
) noexcept nogil:
    """One step of the rule; nothing overlaps. Returns Σ θ² if λ is not 0, NaN from a rule that does
    not add it up."""
    cdef Py_ssize_t k = 0, piece
    if rule.kind == SGD or rule.kind == RPROP:
        if l2 != 0:
            penalty_gradient(theta, g, count, 0, l2)
        while k < count:
            piece = min(<Py_ssize_t> PIECE, count - k)
            fetch(theta + k + piece, min(<Py_ssize_t> PIECE, count - k - piece) * sizeof(theta[0]),
                  True)
            if rule.kind == RPROP:
                rprop(theta + k, g + k, first + k, second + k, piece, rule)
            elif rule.momentum == 0:
                sgd(theta + k, g + k, piece, pace.learning_rate)
            else:
                momentum(theta + k, g + k, first + k, piece, rule, pace.learning_rate)
            k += piece
        return NAN
    if floating is float:
        return adaptive(rule, pace, <vf32 *> theta, <vf32 *> g, <vf32 *> first, <vf32 *> second,
                        count, l2)
    else:
        return adaptive(rule, pace, <vf64 *> theta, <vf64 *> g, <vf64 *> first, <vf64 *> second,
                        count, l2)


cdef inline floating largest_absolute(
    const floating *restrict g, Py_ssize_t count
) noexcept nogil:
    """max |g|, or NaN: without their signs numbers order as their bits do (IEEE 754)"""
    cdef Py_ssize_t k
    cdef int32_t bits, largest = 0
    cdef int64_t bits_long, largest_long = 0
    if floating is float:
        for k in range(count):
            bits = bits_of_f32(g[k]) & 0x7fffffff
            largest = bits if bits > largest else largest
        return f32_of_bits(largest)
    else:
        for k in range(count):
            bits_long = bits_of_f64(absolute(g[k]))
            largest_long = bits_long if bits_long > largest_long else largest_long
        return f64_of_bits(largest_long)


cdef inline floating clip_factor(
    const floating *g, Py_ssize_t count, double limit
) noexcept nogil:
    """min(1, limit / ‖g‖), ‖g‖ over the whole gradient (Pascanu et al. 2013)

    The squares are of g over its largest element, which can neither overflow
    nor vanish.
    """
    cdef Py_ssize_t k
    cdef double squares = 0, norm, largest = largest_absolute(g, count)
    if largest > 0:
        for k in range(count):
            squares += (g[k] / largest) * (g[k] / largest)
        norm = largest * sqrt(squares)
        if norm > limit:
            return <floating> (limit / norm)
    return 1

cdef inline void scale_by(floating *g, Py_ssize_t count, floating factor) noexcept nogil:
    """g ← factor g"""
    cdef Py_ssize_t k
    for k in range(count):
        g[k] *= factor


cdef inline bint is_calm(
    const rule_t *rule, const floating *p, double largest, double learning_rate
) noexcept nogil:
    """Whether a step along a gradient of such a `largest` |g| cannot make a finite parameter or
    state overflow, which are numbers of p's type.

    No state grows by more than max(g², η |g|), no parameter by more than about
    η |g| / ((1 - μ) ε). Where that is below half the spacing of the largest
    numbers (2^103 of 2^128, in float64 2^970 of 2^1024), adding it to any finite
    number gives a finite number. False for NaN and Inf.
    """
    cdef double limit = 1e30 if floating is float else 1e290
    cdef double growth = 1 / (1 - rule.momentum)
    if rule.epsilon > 0:
        growth = growth / rule.epsilon if rule.epsilon < 1 else growth
    if rule.kind == RPROP:
        return largest * largest < limit and rule.max_step < limit
    if learning_rate * rule.weight_decay > 1:
        return False
    return largest * largest < limit and 10 * learning_rate * largest * growth < limit
