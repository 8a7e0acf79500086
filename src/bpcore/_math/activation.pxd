"""a = σ(z), and σ'(z) written with whichever of z and a makes it cheapest.

Each forward has its derivative below it. `activate` and `to_delta` run one of
them over a block of samples, in place; softmax, whose outputs depend on one
another, stands in softmax.pxd. Where σ' is written with a alone, nobody needs
to keep z: `derivative_takes_z`.
"""
from cython cimport floating

from bpcore._math.elementary cimport (
    absolute, clamp, exp_, expm1_, log1p_exp, normal_range, scaled_tail, times_gaussian,
)
from bpcore._math.elementary_lanes cimport LOGISTIC_LANES, TANH_LANES, by_lanes
from bpcore._math.vector cimport vf32, vf64

cdef enum:
    IDENTITY = 0
    SIGMOID = 1
    TANH = 2
    RELU = 3
    LEAKY_RELU = 4
    ELU = 5
    SELU = 6
    GELU = 7
    SILU = 8
    SOFTPLUS = 9
    SOFTSIGN = 10
    HARD_SIGMOID = 11
    EXP = 12
    SOFTMAX = 13
    GIVEN = 14  # no activation: z holds σ'(z) already, see differentiate

cdef enum:
    ROOM = 512  # elements that what takes σ(z) besides z works on at a time


cdef inline void sigmoid(const floating *z, floating *a, Py_ssize_t count) noexcept nogil:
    """σ = 1 / (1 + e^-z)"""
    if floating is float:
        by_lanes(LOGISTIC_LANES, <const vf32 *> z, <vf32 *> a, count)
    else:
        by_lanes(LOGISTIC_LANES, <const vf64 *> z, <vf64 *> a, count)

cdef inline floating sigmoid_derivative(floating a) noexcept nogil:
    """σ' = a (1 - a)"""
    return a * (<floating> 1 - a)


cdef inline void tanh(const floating *z, floating *a, Py_ssize_t count) noexcept nogil:
    """tanh z"""
    if floating is float:
        by_lanes(TANH_LANES, <const vf32 *> z, <vf32 *> a, count)
    else:
        by_lanes(TANH_LANES, <const vf64 *> z, <vf64 *> a, count)

cdef inline floating tanh_derivative(floating a) noexcept nogil:
    """tanh' = 1 - a²"""
    return (<floating> 1 - a) * (<floating> 1 + a)


cdef inline floating relu(floating z) noexcept nogil:
    """max(z, 0); NaN stays NaN"""
    return <floating> 0 if z < 0 else z

cdef inline floating relu_derivative(floating a) noexcept nogil:
    """1 for z > 0, else 0"""
    return <floating> 1 if a > 0 else <floating> 0


cdef inline floating leaky_relu(floating z) noexcept nogil:
    """z for z > 0, else 0.01 z"""
    return z * <floating> 0.01 if z < 0 else z

cdef inline floating leaky_relu_derivative(floating a) noexcept nogil:
    """1 for z > 0, else 0.01; a has z's sign"""
    return <floating> 1 if a > 0 else <floating> 0.01


cdef inline floating elu(floating z) noexcept nogil:
    """z for z > 0, else e^z - 1 (Clevert et al. 2016, alpha = 1)"""
    return z if z > 0 else expm1_(z)

cdef inline floating elu_derivative(floating a) noexcept nogil:
    """1 for z > 0, else e^z = a + 1"""
    return <floating> 1 if a > 0 else a + <floating> 1


cdef inline floating selu(floating z) noexcept nogil:
    """λ (z for z > 0, else α (e^z - 1)) (Klambauer et al. 2017)"""
    cdef floating scaled = <floating> 1.0507009873554805 * z
    return scaled if z > 0 else <floating> 1.7580993408473766 * expm1_(z)

cdef inline floating selu_derivative(floating a) noexcept nogil:
    """λ for z > 0, else λ α e^z = a + λ α"""
    return <floating> 1.0507009873554805 if a > 0 else a + <floating> 1.7580993408473766


cdef inline floating gelu(floating z) noexcept nogil:
    """z Φ(z) = max(z, 0) - |z| Φ(-|z|) (Hendrycks & Gimpel 2016, the exact form)

    To 6 ulp in float32 and 9 in float64, in the left tail too.
    """
    cdef floating x = absolute(normal_range(z))
    return relu(z) - times_gaussian[floating](x * scaled_tail(x), x)

cdef inline floating gelu_derivative(floating z) noexcept nogil:
    """Φ(z) + z φ(z) for z < 0, else 1 - Φ(-z) + z φ(z), φ(z) = e^(-z²/2) / √(2π)"""
    cdef floating x = absolute(normal_range(z))
    cdef floating s = scaled_tail(x) - x * <floating> 0.3989422804014327
    s = times_gaussian[floating](s, x)
    return s if z < 0 else <floating> 1 - s


cdef inline floating silu(floating z, floating s) noexcept nogil:
    """z σ(z), s = σ(z) (Elfwing et al. 2018)"""
    return z * s

cdef inline floating silu_derivative(floating z, floating s) noexcept nogil:
    """σ(z) (1 + z (1 - σ(z))), s = σ(z)"""
    return s * (<floating> 1 + z * (<floating> 1 - s))


cdef inline floating softplus(floating z) noexcept nogil:
    """log(1 + e^z), whose derivative is σ(z)"""
    return log1p_exp(z)


cdef inline floating softsign(floating z) noexcept nogil:
    """z / (1 + |z|)"""
    return z / (<floating> 1 + absolute(z))

cdef inline floating softsign_derivative(floating z) noexcept nogil:
    """1 / (1 + |z|)²"""
    cdef floating r = <floating> 1 / (<floating> 1 + absolute(z))
    return r * r


cdef inline floating hard_sigmoid(floating z) noexcept nogil:
    """min(max(z/6 + 1/2, 0), 1)"""
    return clamp[floating](z * <floating> 0.16666666666666666 + <floating> 0.5, 0, 1)

cdef inline floating hard_sigmoid_derivative(floating z) noexcept nogil:
    """1/6 for |z| < 3, else 0"""
    return <floating> 0.16666666666666666 if absolute(z) < 3 else <floating> 0


cdef inline bint derivative_takes_z(int activation) noexcept nogil:
    """Whether to_delta reads z."""
    return activation in (GELU, SILU, SOFTPLUS, SOFTSIGN, HARD_SIGMOID)


cdef inline bint is_often_zero(int activation) noexcept nogil:
    """Whether σ, and σ' with it, are exactly 0 for many z."""
    return activation in (RELU, HARD_SIGMOID)


cdef inline bint keeps_zero(int activation) noexcept nogil:
    """Whether σ(0) = 0."""
    return activation not in (SIGMOID, SOFTPLUS, HARD_SIGMOID, EXP, SOFTMAX)


cdef inline void activate(
    int activation,    # any but SOFTMAX
    floating *a,       # IN z, OUT a (count,)
    Py_ssize_t count,  # of a's elements, or up to the end of the buffer's last vector
) noexcept nogil:
    """a = σ(z), in place"""
    cdef floating s[ROOM]
    cdef Py_ssize_t first = 0, some, k
    if activation == IDENTITY:
        pass
    elif activation == SIGMOID:
        sigmoid(a, a, count)
    elif activation == TANH:
        tanh(a, a, count)
    elif activation == RELU:
        for k in range(count): a[k] = relu(a[k])
    elif activation == LEAKY_RELU:
        for k in range(count): a[k] = leaky_relu(a[k])
    elif activation == ELU:
        for k in range(count): a[k] = elu(a[k])
    elif activation == SELU:
        for k in range(count): a[k] = selu(a[k])
    elif activation == GELU:
        for k in range(count): a[k] = gelu(a[k])
    elif activation == SILU:
        while first < count:
            some = min(<Py_ssize_t> ROOM, count - first)
            sigmoid(a + first, s, some)
            for k in range(some): a[first + k] = silu(a[first + k], s[k])
            first += some
    elif activation == SOFTPLUS:
        for k in range(count): a[k] = softplus(a[k])
    elif activation == SOFTSIGN:
        for k in range(count): a[k] = softsign(a[k])
    elif activation == HARD_SIGMOID:
        for k in range(count): a[k] = hard_sigmoid(a[k])
    elif activation == EXP:
        for k in range(count): a[k] = exp_(a[k])


cdef inline void to_delta(
    int activation,              # any but SOFTMAX, or GIVEN
    const floating *restrict z,  # IN  (count,)
    const floating *restrict a,  # IN  (count,)
    floating *restrict delta,    # IN da, OUT delta (count,)
    Py_ssize_t count,            # as for activate
) noexcept nogil:
    """δ = ∂C/∂a · σ'(z), in place; delta overlaps neither z nor a."""
    cdef floating s[ROOM]
    cdef Py_ssize_t first = 0, some, k
    if activation == IDENTITY:
        pass
    elif activation == SIGMOID:
        for k in range(count): delta[k] *= sigmoid_derivative(a[k])
    elif activation == TANH:
        for k in range(count): delta[k] *= tanh_derivative(a[k])
    elif activation == RELU:
        for k in range(count): delta[k] *= relu_derivative(a[k])
    elif activation == LEAKY_RELU:
        for k in range(count): delta[k] *= leaky_relu_derivative(a[k])
    elif activation == ELU:
        for k in range(count): delta[k] *= elu_derivative(a[k])
    elif activation == SELU:
        for k in range(count): delta[k] *= selu_derivative(a[k])
    elif activation == GELU:
        for k in range(count): delta[k] *= gelu_derivative(z[k])
    elif activation == SILU or activation == SOFTPLUS:
        while first < count:
            some = min(<Py_ssize_t> ROOM, count - first)
            sigmoid(z + first, s, some)
            if activation == SILU:
                for k in range(some): s[k] = silu_derivative(z[first + k], s[k])
            for k in range(some): delta[first + k] *= s[k]
            first += some
    elif activation == SOFTSIGN:
        for k in range(count): delta[k] *= softsign_derivative(z[k])
    elif activation == HARD_SIGMOID:
        for k in range(count): delta[k] *= hard_sigmoid_derivative(z[k])
    elif activation == EXP:
        for k in range(count): delta[k] *= a[k]
    elif activation == GIVEN:
        for k in range(count): delta[k] *= z[k]


cdef inline void differentiate(
    int activation,        # one for which derivative_takes_z
    floating *restrict z,  # IN z, OUT σ'(z) (count,)
    floating *restrict a,  # OUT (count,)
    Py_ssize_t count,      # as for activate
) noexcept nogil:
    """a = σ(z), z ← σ'(z): what is the same in both is computed once."""
    cdef Py_ssize_t k
    if activation == GELU:
        for k in range(count): a[k], z[k] = gelu(z[k]), gelu_derivative(z[k])
    elif activation == SILU:
        sigmoid(z, a, count)
        for k in range(count): a[k], z[k] = silu(z[k], a[k]), silu_derivative(z[k], a[k])
    elif activation == SOFTPLUS:
        for k in range(count): a[k] = softplus(z[k])
        sigmoid(z, z, count)
    elif activation == SOFTSIGN:
        for k in range(count): a[k], z[k] = softsign(z[k]), softsign_derivative(z[k])
    elif activation == HARD_SIGMOID:
        for k in range(count): a[k], z[k] = hard_sigmoid(z[k]), hard_sigmoid_derivative(z[k])
