"""tanh and the logistic function of vectors, some step by step, and of a block of numbers.

A processor that waits for a step of one vector has the same step of the others to do. And of a loop
over numbers that are cut off at a bound, GCC makes a choice among three results, two of them
known beforehand, which costs more than to cut them off. So a vector takes 0.6 to 0.7 of the time
here. Argument reduction and polynomials are those of elementary.pxd, where the other functions are.
"""
from bpcore._math.vector cimport FUSED, LANES_F64, everywhere, lanes, load, store, vec, vf32, vf64
from bpcore._math.vector_bits cimport below, magnitude, power_of_two, with_sign_of
from bpcore._math.vector_largest cimport larger, smaller
from bpcore._math.vector_parts cimport load_part, store_part

cdef extern from "tanh_table.h" nogil:
    enum:
        TANH_TABLE  # whether the level has tables in registers
    void tanh_vectors_f32(const vf32 *z, vf32 *a, int vectors)
    void tanh_vectors_f64(const vf64 *z, vf64 *a, int vectors)

cdef enum:
    TANH_LANES
    LOGISTIC_LANES


cdef inline void expm1_near_0(const vec *r, vec *e, int vectors) noexcept nogil:
    """e = e^r - 1 = r + r² q(r) for |r| <= ln 2 / 2"""
    cdef int v
    if vec is vf32:
        for v in range(vectors):
            e[v] = r[v] * everywhere(r, 1.381459763e-3) + everywhere(r, 8.368716745e-3)
        for v in range(vectors):
            e[v] = e[v] * r[v] + everywhere(r, 4.166838806e-2)
        for v in range(vectors):
            e[v] = e[v] * r[v] + everywhere(r, 0.1666652063)
        for v in range(vectors):
            e[v] = e[v] * r[v] + everywhere(r, 0.4999999345)
    else:
        for v in range(vectors):
            e[v] = r[v] * everywhere(r, 2.5000061577773021706e-8) + everywhere(
                r, 2.7630249126165685751e-7)
        for v in range(vectors):
            e[v] = e[v] * r[v] + everywhere(r, 2.7557586379613517743e-6)
        for v in range(vectors):
            e[v] = e[v] * r[v] + everywhere(r, 2.4801493096894902504e-5)
        for v in range(vectors):
            e[v] = e[v] * r[v] + everywhere(r, 1.984126950656263436e-4)
        for v in range(vectors):
            e[v] = e[v] * r[v] + everywhere(r, 1.3888888943631909936e-3)
        for v in range(vectors):
            e[v] = e[v] * r[v] + everywhere(r, 8.3333333334944757501e-3)
        for v in range(vectors):
            e[v] = e[v] * r[v] + everywhere(r, 4.1666666666530152665e-2)
        for v in range(vectors):
            e[v] = e[v] * r[v] + everywhere(r, 0.16666666666666412486)
        for v in range(vectors):
            e[v] = e[v] * r[v] + everywhere(r, 0.50000000000000106277)
    for v in range(vectors):
        e[v] = r[v] * r[v] * e[v] + r[v]


cdef inline void tanh_by_numerator(const vec *z, vec *a, int vectors) noexcept nogil:
    """tanh u = (1 - e^(-2u)) / (1 + e^(-2u)), u = |x|, with x's sign; for float32: to 2 ulp

    It is (2^n - 1 - e) / (2^n + 1 + e), where e^(-2u) = 2^-n e^r, e = e^r - 1. The numerator is
    rounded as finely as a number below 1, and n ln 2 is near enough to be taken in one step. What
    the quotient starts from is less than halved, so that its error counts little.
    """
    cdef vec u[4]
    cdef vec n[4]
    cdef vec r[4]
    cdef vec e[4]
    cdef vec one = everywhere(z, 1), shift = everywhere(z, 12582912.0 + 127.0)
    cdef int v
    for v in range(vectors):
        u[v] = smaller(everywhere(z, 10), magnitude(z[v]))  # in this order NaN stays
    for v in range(vectors):
        n[v] = u[v] * everywhere(z, 2.8853900817779268) + shift
    for v in range(vectors):
        r[v] = (n[v] - shift) * everywhere(z, 0.69314718056) - (u[v] + u[v])
    expm1_near_0(r, e, vectors)
    for v in range(vectors):
        n[v] = power_of_two(n[v])
    for v in range(vectors):
        a[v] = with_sign_of(z[v], ((n[v] - one) - e[v]) / ((n[v] + one) + e[v]))


cdef inline void tanh_by_difference(const vec *z, vec *a, int vectors) noexcept nogil:
    """u - u³ p(u²) / q(u²) below u = |x| = 3/4, 1 - 2 / (e^(2u) + 1) from there, with x's sign

    For float64: to 1.65 ulp, with one division and one p and q for both. From 3/4 on they give
    tanh r = t / q, t = r (q - r² p), where r = n ln 2 / 2 - u is at most ln 2 / 4. By the addition
    theorem 2 / (e^(2u) + 1) = (1 + tanh r) / (2^(n-1) (1 - tanh r) + (1 + tanh r) / 2), whose
    denominator is 1 for n = 0, as it has to be below 3/4. Its factors are powers of two: whichever
    of the two products a compiler fuses with their sum, the other is exact.
    """
    cdef vec border = everywhere(z, 0.75), shift = everywhere(z, 6755399441055744.0 + 1022.0)
    cdef vec one = everywhere(z, 1), half = everywhere(z, 0.5)
    cdef vec ln2_head = everywhere(z, 0.34657359027997264 if FUSED else 0.3465735901845619)
    cdef vec u[4]
    cdef vec n[4]
    cdef vec r[4]
    cdef vec square[4]
    cdef vec p[4]
    cdef vec q[4]
    cdef vec t[4]
    cdef int v
    for v in range(vectors):
        u[v] = smaller(everywhere(z, 20), magnitude(z[v]))  # in this order NaN stays
    for v in range(vectors):
        n[v] = u[v] * everywhere(z, 2.8853900817779268) + shift
    for v in range(vectors):
        n[v] = below(u[v], border, shift, n[v])  # n = 0
    for v in range(vectors):
        r[v] = (n[v] - shift) * ln2_head - u[v]
    if not FUSED:  # that product is exact then, and what was left out comes now
        for v in range(vectors):
            r[v] = r[v] + (n[v] - shift) * everywhere(z, 9.541074646352939e-11)
    for v in range(vectors):
        square[v] = r[v] * r[v]
    for v in range(vectors):
        p[v] = square[v] * everywhere(z, 1.9890457740888396e-4) + everywhere(
            z, 0.02049262271569582)
    for v in range(vectors):
        p[v] = p[v] * square[v] + everywhere(z, 0.33333333333333326)
    for v in range(vectors):
        q[v] = square[v] * everywhere(z, 2.062408729233731e-4) + everywhere(
            z, 0.02328309908674414)
    for v in range(vectors):
        q[v] = q[v] * square[v] + everywhere(z, 0.46147786814706604)
    for v in range(vectors):
        q[v] = q[v] * square[v] + one
    for v in range(vectors):
        p[v] = p[v] * square[v]
    for v in range(vectors):
        t[v] = r[v] * (q[v] - p[v])
    for v in range(vectors):
        n[v] = power_of_two(n[v])
    for v in range(vectors):
        q[v], t[v] = q[v] - t[v], q[v] + t[v]
    for v in range(vectors):
        p[v] = below(u[v], border, u[v] * p[v], t[v])
    for v in range(vectors):
        q[v] = n[v] * q[v] + half * t[v]
    for v in range(vectors):
        a[v] = with_sign_of(z[v], below(u[v], border, u[v], one) - p[v] / q[v])


cdef inline void tanh_vectors(const vec *z, vec *a, int vectors) noexcept nogil:
    """a = tanh z; with AVX-512 through tables"""
    if vec is vf32:
        if TANH_TABLE:
            tanh_vectors_f32(z, a, vectors)
        else:
            tanh_by_numerator(z, a, vectors)
    else:
        if TANH_TABLE:
            tanh_vectors_f64(z, a, vectors)
        else:
            tanh_by_difference(z, a, vectors)


cdef inline void logistic_vectors(const vec *z, vec *a, int vectors) noexcept nogil:
    """1 / (1 + e^-z) = c / (c + s + s (e^r - 1)), s = 2^n c; c, a power of two, bars overflow.

    To 1.75 ulp, which s + c rounded to one number would exceed where it drops half of c.
    """
    cdef vec x[4]
    cdef vec n[4]
    cdef vec e[4]
    cdef vec c, low, high, shift, ln2_head, ln2_tail, whole
    cdef int v
    if vec is vf32:
        c, shift = everywhere(z, 5.9604644775390625e-08), everywhere(z, 12582912.0 + 127.0 - 24.0)
        low, high = everywhere(z, -70), everywhere(z, 104)
        ln2_head, ln2_tail = everywhere(z, 0.693359375), everywhere(z, -2.12194440e-4)
    else:
        c = everywhere(z, 1.1102230246251565e-16)
        shift = everywhere(z, 6755399441055744.0 + 1023.0 - 53.0)
        low, high = everywhere(z, -600), everywhere(z, 746)
        ln2_head = everywhere(z, 0.6931471803691238)
        ln2_tail = everywhere(z, 1.9082149292705877e-10)
    for v in range(vectors):
        x[v] = smaller(high, larger(low, -z[v]))  # in this order NaN stays
    for v in range(vectors):
        n[v] = x[v] * everywhere(z, 1.4426950408889634) + shift
    for v in range(vectors):
        x[v] = x[v] - (n[v] - shift) * ln2_head
    for v in range(vectors):
        x[v] = x[v] - (n[v] - shift) * ln2_tail
    expm1_near_0(x, e, vectors)
    for v in range(vectors):
        n[v] = power_of_two(n[v])
    for v in range(vectors):
        whole = n[v] + c  # what its rounding drops comes back with the small summand
        a[v] = c / (whole + (n[v] * e[v] + (c - (whole - n[v]))))


cdef inline void some_vectors(
    int function,  # TANH_LANES or LOGISTIC_LANES,
    const vec *z, vec *a,
    int vectors,   # up to four: constants at every call
) noexcept nogil:
    if function == TANH_LANES:
        tanh_vectors(z, a, vectors)
    else:
        logistic_vectors(z, a, vectors)


cdef inline int in_step(int function, const vec *z) noexcept nogil:
    """How many vectors a loop takes step by step, as measured."""
    if vec is vf64:
        if function == TANH_LANES and LANES_F64 == 4:  # AVX2: four would live on the stack
            return 2
    return 4


cdef inline void by_lanes(
    int function, const vec *z, vec *a, Py_ssize_t count
) noexcept nogil:
    """a = the function of z; a may be z."""
    cdef vec x[4]
    cdef vec y[4]
    cdef Py_ssize_t k = 0, width = lanes(a)
    cdef int v, left, some = in_step(function, z)
    while k + some * width <= count:
        for v in range(some):
            x[v] = load(z, k + v * width)
        some_vectors(function, x, y, some)
        for v in range(some):
            store(a, k + v * width, y[v])
        k += some * width
    while k < count:
        left = <int> (width if count - k > width else count - k)
        x[0] = load_part(z, k, left)
        some_vectors(function, x, y, 1)
        store_part(a, k, y[0], left)
        k += left
