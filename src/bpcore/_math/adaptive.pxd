"""The optimisers that divide by the root of mean squares, a vector of parameters at a time.

What is taken from θ is a quotient times m or g, not η m over the root: that product, of a unit that
no sample wakes, would be subnormal for a hundred steps before m is 0, and one such number takes a
processor as long as ten vectors. A vector of which only a part is meant goes through the same
operations, so an element's bits do not depend on its place.
"""
from bpcore._math.hints cimport prefetch_to_write
from bpcore._math.penalty cimport SUMS, add_terms, clear, penalised, total_of
from bpcore._math.vector cimport at, everywhere, lanes, load, store, vec, vf64
from bpcore._math.vector_parts cimport load_part, store_part
from bpcore._math.vector_roots cimport normal, quotient, root, settled

cdef enum:
    SOON = 32  # vectors from now on


cdef inline void fetch_soon(const vec *theta, Py_ssize_t k, Py_ssize_t count) noexcept nogil:
    """What of θ is written SOON after element k on its way into the cache. Not what lies behind
    θ: that is another thread's, and would have to be fetched back."""
    prefetch_to_write(at(theta, min(k + SOON * lanes(theta), count - 1)))


cdef inline vec take(const vec *p, bint whole, int count) noexcept nogil:
    """A vector of elements, or its first `count`."""
    return load(p, 0) if whole else load_part(p, 0, count)


cdef inline void put(vec *p, vec x, bint whole, int count) noexcept nogil:
    if whole:
        store(p, 0, x)
    else:
        store_part(p, 0, x, count)


cdef inline vec gradient_of(
    vec *g, vec theta, vec lambda_2, bint with_penalty, bint whole, int count
) noexcept nogil:
    """g, after g ← g + λ θ if there is a penalty."""
    cdef vec gk = take(g, whole, count)
    if with_penalty:
        gk = penalised(gk, theta, lambda_2)
        put(g, gk, whole, count)
    return gk


cdef inline void adam_vector(
    vec *theta, vec *g, vec *m, vec *v, vec beta_1, vec rest_1, vec beta_2, vec rest_2,
    vec eta, vec correction, vec epsilon, vec keep, vec lambda_2,
    bint decays, bint with_penalty,  # constants at every call, as are
    bint whole, int count,           # a vector, or its first elements
) noexcept nogil:
    cdef vec theta_k = take(theta, whole, count)
    cdef vec gk = gradient_of(g, theta_k, lambda_2, with_penalty, whole, count)
    cdef vec mk = normal(settled(beta_1 * take(m, whole, count)) + rest_1 * gk)
    cdef vec vk = normal(settled(beta_2 * take(v, whole, count)) + rest_2 * gk * gk)
    cdef vec rate = quotient(eta, root(vk) * correction + epsilon)
    put(m, mk, whole, count)
    put(v, vk, whole, count)
    if decays:
        theta_k = settled(keep * theta_k)
    put(theta, theta_k - mk * rate, whole, count)


cdef inline double adam_loop(
    vec *theta, vec *g, vec *m, vec *v, Py_ssize_t count, double beta_1, double beta_2,
    double epsilon, double eta, double correction, double decay, double l2, bint decays,
    bint with_penalty,
) noexcept nogil:
    cdef Py_ssize_t k = 0, width = lanes(g)
    cdef vec b1 = everywhere(g, beta_1), r1 = everywhere(g, 1 - beta_1)
    cdef vec b2 = everywhere(g, beta_2), r2 = everywhere(g, 1 - beta_2)
    cdef vec rate = everywhere(g, eta), corrected = everywhere(g, correction)
    cdef vec eps = everywhere(g, epsilon), keep = everywhere(g, 1 - decay)
    cdef vec lambda_2 = everywhere(g, l2)
    cdef vf64 sums[SUMS]
    cdef bint odd
    clear(sums)
    while k + 2 * width <= count:
        fetch_soon(theta, k, count)
        fetch_soon(theta, k + width, count)
        for odd in range(2):
            adam_vector(at(theta, k), at(g, k), at(m, k), at(v, k), b1, r1, b2, r2, rate,
                        corrected, eps, keep, lambda_2, decays, with_penalty, True, 0)
            if with_penalty:
                add_terms(sums, at(theta, k), odd, True)
            k += width
    if k + width <= count:
        adam_vector(at(theta, k), at(g, k), at(m, k), at(v, k), b1, r1, b2, r2, rate, corrected,
                    eps, keep, lambda_2, decays, with_penalty, True, 0)
        if with_penalty:
            add_terms(sums, at(theta, k), False, True)
        k += width
    if k < count:
        adam_vector(at(theta, k), at(g, k), at(m, k), at(v, k), b1, r1, b2, r2, rate, corrected,
                    eps, keep, lambda_2, decays, with_penalty, False, <int> (count - k))
    return total_of(sums, theta, k, count, True) if with_penalty else 0


cdef inline double adam(
    vec *theta, vec *g, vec *m, vec *v, Py_ssize_t count, double beta_1, double beta_2,
    double epsilon,
    double eta,         # η / (1 - β1^t)
    double correction,  # 1 / √(1 - β2^t)
    double decay,       # η λ of AdamW
    double l2,          # λ of the penalty
) noexcept nogil:
    """m ← β1 m + (1 - β1) g;  v ← β2 v + (1 - β2) g²;  θ ← θ - η m̂ / (√v̂ + ε)

    with m̂ = m / (1 - β1^t), v̂ = v / (1 - β2^t) (Kingma & Ba 2015), the two
    corrections taken out of the loop; AdamW first θ ← θ - η λ θ (Loshchilov &
    Hutter 2019). Returns Σ θ² if there is a penalty.
    """
    if decay != 0:
        return adam_loop(theta, g, m, v, count, beta_1, beta_2, epsilon, eta, correction, decay,
                         l2, True, l2 != 0)
    if l2 != 0:
        return adam_loop(theta, g, m, v, count, beta_1, beta_2, epsilon, eta, correction, 0, l2,
                         False, True)
    return adam_loop(theta, g, m, v, count, beta_1, beta_2, epsilon, eta, correction, 0, 0, False,
                     False)


cdef inline void root_vector(
    vec *theta, vec *g, vec *v, vec rho, vec rest, vec eta, vec epsilon, vec lambda_2,
    bint with_penalty, bint whole, int count,  # as above
) noexcept nogil:
    cdef vec theta_k = take(theta, whole, count)
    cdef vec gk = gradient_of(g, theta_k, lambda_2, with_penalty, whole, count)
    cdef vec vk = normal(settled(rho * take(v, whole, count)) + rest * gk * gk)
    put(v, vk, whole, count)
    put(theta, theta_k - gk * quotient(eta, root(vk) + epsilon), whole, count)


cdef inline double by_root(
    vec *theta, vec *g, vec *v, Py_ssize_t count, double rho, double rest, double epsilon,
    double learning_rate, double l2,
) noexcept nogil:
    """v ← ρ v + r g²;  θ ← θ - η g / (√v + ε)

    r = 1 - ρ: RMSProp (Tieleman & Hinton 2012); ρ = r = 1: Adagrad (Duchi et al. 2011). Returns
    Σ θ² if there is a penalty.
    """
    cdef Py_ssize_t k = 0, width = lanes(g)
    cdef vec kept = everywhere(g, rho), new = everywhere(g, rest)
    cdef vec eta = everywhere(g, learning_rate), eps = everywhere(g, epsilon)
    cdef vec lambda_2 = everywhere(g, l2)
    cdef vf64 sums[SUMS]
    cdef bint odd = False
    clear(sums)
    while k + width <= count:
        fetch_soon(theta, k, count)
        root_vector(at(theta, k), at(g, k), at(v, k), kept, new, eta, eps, lambda_2, l2 != 0,
                    True, 0)
        if l2 != 0:
            add_terms(sums, at(theta, k), odd, True)
            odd = not odd
        k += width
    if k < count:
        root_vector(at(theta, k), at(g, k), at(v, k), kept, new, eta, eps, lambda_2, l2 != 0,
                    False, <int> (count - k))
    return total_of(sums, theta, k, count, True) if l2 != 0 else 0
