"""One step of each optimiser, θ from its gradient g, over the flat parameter vector.

η is the learning rate, t = 1, 2, … counts the steps. The state vectors are as
long as θ and start at zero (Rprop's steps at η). A penalty is part of the cost,
so its gradient is added before the norm is clipped.
"""
from cython cimport floating
from libc.math cimport pow, sqrt, sqrtf

from bpcore._math.elementary cimport absolute

cdef enum:
    SGD = 0
    ADAM = 1
    RMSPROP = 2
    ADAGRAD = 3
    RPROP = 4

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


cdef inline floating root(floating x) noexcept nogil:
    """√x"""
    if floating is float:
        return sqrtf(x)
    else:
        return sqrt(x)


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
            v[k] = mu * v[k] - eta * g[k]
            theta[k] += mu * v[k] - eta * g[k]
    else:
        for k in range(count):
            v[k] = mu * v[k] - eta * g[k]
            theta[k] += v[k]


cdef inline void adam(
    floating *restrict theta, const floating *restrict g, floating *restrict m,
    floating *restrict v, Py_ssize_t count, const rule_t *rule, double learning_rate, double t,
) noexcept nogil:
    """m ← β1 m + (1 - β1) g;  v ← β2 v + (1 - β2) g²;  θ ← θ - η m̂ / (√v̂ + ε)

    with m̂ = m / (1 - β1^t), v̂ = v / (1 - β2^t) (Kingma & Ba 2015), the two
    corrections taken out of the loop; AdamW first θ ← θ - η λ θ (Loshchilov &
    Hutter 2019).
    """
    cdef Py_ssize_t k
    cdef floating eta = <floating> (learning_rate / (1 - pow(rule.beta_1, t)))
    cdef floating correction = <floating> (1 / sqrt(1 - pow(rule.beta_2, t)))
    cdef floating beta_1 = <floating> rule.beta_1, rest_1 = <floating> (1 - rule.beta_1)
    cdef floating beta_2 = <floating> rule.beta_2, rest_2 = <floating> (1 - rule.beta_2)
    cdef floating epsilon = <floating> rule.epsilon
    cdef floating keep = <floating> (1 - learning_rate * rule.weight_decay)
    for k in range(count):
        m[k] = beta_1 * m[k] + rest_1 * g[k]
        v[k] = beta_2 * v[k] + rest_2 * g[k] * g[k]
        theta[k] = keep * theta[k] - eta * m[k] / (root(v[k]) * correction + epsilon)


cdef inline void rmsprop(
    floating *restrict theta, const floating *restrict g, floating *restrict v,
    Py_ssize_t count, const rule_t *rule, double learning_rate,
) noexcept nogil:
    """v ← ρ v + (1 - ρ) g²;  θ ← θ - η g / (√v + ε) (Tieleman & Hinton 2012)"""
    cdef Py_ssize_t k
    cdef floating eta = <floating> learning_rate, epsilon = <floating> rule.epsilon
    cdef floating rho = <floating> rule.rho, rest = <floating> (1 - rule.rho)
    for k in range(count):
        v[k] = rho * v[k] + rest * g[k] * g[k]
        theta[k] -= eta * g[k] / (root(v[k]) + epsilon)


cdef inline void adagrad(
    floating *restrict theta, const floating *restrict g, floating *restrict v,
    Py_ssize_t count, const rule_t *rule, double learning_rate,
) noexcept nogil:
    """v ← v + g²;  θ ← θ - η g / (√v + ε) (Duchi et al. 2011)"""
    cdef Py_ssize_t k
    cdef floating eta = <floating> learning_rate, epsilon = <floating> rule.epsilon
    for k in range(count):
        v[k] += g[k] * g[k]
        theta[k] -= eta * g[k] / (root(v[k]) + epsilon)


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
        turn = ((<floating> 1 if gk > 0 else (<floating> -1 if gk < 0 else <floating> 0))
                * (<floating> 1 if last[k] > 0 else (<floating> -1 if last[k] < 0 else <floating> 0)))
        s = step[k] * (grow if turn > 0 else (shrink if turn < 0 else <floating> 1))
        s = smallest if s < smallest else (largest if s > largest else s)
        gk = <floating> 0 if turn < 0 else gk
        theta[k] -= s if gk > 0 else (-s if gk < 0 else gk)
        step[k] = s
        last[k] = gk


cdef inline void update(
    const rule_t *rule,
    floating *theta,     # IN OUT (count,)
    const floating *g,   # IN     (count,)
    floating *first,     # IN OUT (count,) v of SGD, RMSProp, Adagrad; m of Adam; Rprop's last g
    floating *second,    # IN OUT (count,) v of Adam; Rprop's steps
    Py_ssize_t count,
    double learning_rate,
    double t,
) noexcept nogil:
    """One step of the rule; nothing overlaps."""
    if rule.kind == SGD:
        if rule.momentum == 0:
            sgd(theta, g, count, learning_rate)
        else:
            momentum(theta, g, first, count, rule, learning_rate)
    elif rule.kind == ADAM:
        adam(theta, g, first, second, count, rule, learning_rate, t)
    elif rule.kind == RMSPROP:
        rmsprop(theta, g, first, count, rule, learning_rate)
    elif rule.kind == ADAGRAD:
        adagrad(theta, g, first, count, rule, learning_rate)
    else:
        rprop(theta, g, first, second, count, rule)


cdef inline double penalize(
    const floating *restrict W, floating *restrict dW, Py_ssize_t count, double l1, double l2
) noexcept nogil:
    """dW ← dW + l1 sign(W) + l2 W; returns l1 Σ|W| + l2/2 Σ W²"""
    cdef Py_ssize_t k
    cdef floating lambda_1 = <floating> l1, lambda_2 = <floating> l2
    cdef double absolutes = 0, squares = 0
    for k in range(count):
        absolutes += absolute(W[k])
        squares += <double> W[k] * W[k]
        dW[k] += lambda_2 * W[k] + (lambda_1 if W[k] > 0 else (-lambda_1 if W[k] < 0 else <floating> 0))
    return l1 * absolutes + 0.5 * l2 * squares


cdef inline void clip_by_norm(floating *g, Py_ssize_t count, double limit) noexcept nogil:
    """g ← g min(1, limit / ‖g‖), ‖g‖ over the whole gradient (Pascanu et al. 2013)"""
    cdef Py_ssize_t k
    cdef double squares = 0
    cdef floating scale
    for k in range(count):
        squares += <double> g[k] * g[k]
    if squares > limit * limit:
        scale = <floating> (limit / sqrt(squares))
        for k in range(count):
            g[k] *= scale
