"""exp, expm1, log1p on [0, 1], tanh, logistic: branch-free, so that loops over them vectorise.

Argument reduction after W. J. Cody & W. Waite, Software Manual for the
Elementary Functions (1980): x = n ln 2 + r with |r| <= ln 2 / 2, ln 2 split in
two so that n times its high part is exact. The polynomials interpolate at the
Chebyshev nodes (relative error 8e-9 in float32, 1.3e-17 in float64 for exp;
1e-11 and 2e-19 for log1p). Comparisons are written so that NaN stays NaN.

Constants carry a cast: Cython writes a plain 1 as the double 1.0, and one double
turns a whole float32 expression, and the loop around it, into double precision.
"""
from cython cimport floating
from libc.stdint cimport int32_t, int64_t
from libc.math cimport copysign, copysignf, fabs, fabsf

from bpcore._math.vector cimport bits_of_f32, bits_of_f64, f32_of_bits, f64_of_bits


cdef inline floating absolute(floating x) noexcept nogil:
    """|x|"""
    if floating is float:
        return fabsf(x)
    else:
        return fabs(x)


cdef inline floating with_sign_of(floating x, floating magnitude) noexcept nogil:
    """magnitude with the sign of x."""
    if floating is float:
        return copysignf(magnitude, x)
    else:
        return copysign(magnitude, x)


cdef inline floating clamp(floating x, floating low, floating high) noexcept nogil:
    """min(max(x, low), high); NaN stays NaN."""
    x = low if x < low else x
    return high if x > high else x


cdef inline floating round_quotient(floating x) noexcept nogil:
    """x / ln 2 to the nearest integer, plus 1.5 * 2^(mantissa bits): it stands in the low bits."""
    if floating is float:
        return x * <float> 1.4426950408889634 + <float> 12582912.0
    else:
        return x * 1.4426950408889634 + 6755399441055744.0


cdef inline floating reduced_expm1(floating x, floating shifted) noexcept nogil:
    """e^r - 1 for r = x - n ln 2, where shifted = round_quotient(x) holds n."""
    cdef floating n, r, q
    if floating is float:
        n = shifted - <float> 12582912.0
        r = (x - n * <float> 0.693359375) - n * <float> -2.12194440e-4
        q = <float> 1.392625e-3
        q = q * r + <float> 8.363233e-3
        q = q * r + <float> 4.1666552e-2
        q = q * r + <float> 1.6666576e-1
        q = q * r + <float> 0.5
    else:
        n = shifted - 6755399441055744.0
        r = (x - n * 0.6931471803691238) - n * 1.9082149292705877e-10
        q = 2.5100472505694996e-08
        q = q * r + 2.7620201591031547e-07
        q = q * r + 2.7557268276905696e-06
        q = q * r + 2.4801521057868204e-05
        q = q * r + 1.9841269863171557e-04
        q = q * r + 1.3888888917367081e-03
        q = q * r + 8.333333333330039e-03
        q = q * r + 4.1666666666623824e-02
        q = q * r + 0.16666666666666669
        q = q * r + 0.5
    return r * r * q + r


cdef inline floating times_power_of_two(floating x, floating shifted) noexcept nogil:
    """x 2^n, in two steps so that overflow and subnormal results come out right."""
    cdef int32_t n, half
    cdef int64_t n_long, half_long
    if floating is float:
        n = bits_of_f32(shifted) - 0x4b400000
        half = n >> 1
        return x * f32_of_bits((half + 127) << 23) * f32_of_bits((n - half + 127) << 23)
    else:
        # The sum of the low bits stays a 64-bit one: arithmetic right shifts of 64 bits
        # are missing below AVX-512, so the halves are taken as (n + 2048) / 2 - 1024.
        n_long = bits_of_f64(shifted) - <int64_t> 0x4338000000000000
        half_long = <int64_t> (<unsigned long long> (n_long + 2048) >> 1) - 1024
        return (x * f64_of_bits((half_long + 1023) << 52)
                * f64_of_bits((n_long - half_long + 1023) << 52))


cdef inline floating power_of_two(floating shifted) noexcept nogil:
    """2^n for n in the range of normal numbers."""
    if floating is float:
        return f32_of_bits((bits_of_f32(shifted) - 0x4b400000 + 127) << 23)
    else:
        return f64_of_bits((bits_of_f64(shifted) - <int64_t> 0x4338000000000000 + 1023) << 52)


cdef inline floating exp_(floating x) noexcept nogil:
    """e^x = 2^n e^r"""
    cdef floating shifted
    if floating is float:
        x = clamp[floating](x, -104, 89)
    else:
        x = clamp[floating](x, -746, 710)
    shifted = round_quotient(x)
    return times_power_of_two[floating](reduced_expm1(x, shifted) + <floating> 1, shifted)


cdef inline floating expm1_(floating x) noexcept nogil:
    """e^x - 1 = 2^n (e^r - 1) + (2^n - 1), for x <= 40: what tanh and elu need."""
    cdef floating shifted, scale
    x = clamp[floating](x, -40, 40)
    shifted = round_quotient(x)
    scale = power_of_two(shifted)
    return scale * reduced_expm1(x, shifted) + (scale - <floating> 1)


cdef inline floating log1p_unit(floating u) noexcept nogil:
    """log(1 + u) = 2 artanh(w), w = u / (2 + u), for 0 <= u <= 1."""
    cdef floating w = u / (u + <floating> 2)
    cdef floating s = w * w, p
    if floating is float:
        p = <float> 2.0787618e-1
        p = p * s + <float> 1.7464702e-1
        p = p * s + <float> 2.2264712e-1
        p = p * s + <float> 2.8570306e-1
        p = p * s + <float> 4.000001e-1
        p = p * s + <float> 6.666667e-1
    else:
        p = 0.1563057780092285
        p = p * s + 0.07492143795550767
        p = p * s + 0.10845178394880015
        p = p * s + 0.11734279061303197
        p = p * s + 0.13335178631449257
        p = p * s + 0.1538454396486055
        p = p * s + 0.18181819897962714
        p = p * s + 0.2222222219823677
        p = p * s + 0.285714285716001
        p = p * s + 0.39999999999999525
        p = p * s + 0.6666666666666666
    return w * s * p + (w + w)


cdef inline floating tanh_(floating x) noexcept nogil:
    """tanh x = t / (t + 2), t = e^(2|x|) - 1, with the sign of x."""
    cdef floating t = expm1_[floating](absolute(x) + absolute(x))
    return with_sign_of[floating](x, t / (t + <floating> 2))


cdef inline floating logistic(floating x) noexcept nogil:
    """1 / (1 + e^-x) for x >= 0, e^x / (1 + e^x) for x < 0: no overflow, no cancellation."""
    cdef floating e = exp_[floating](-absolute(x))
    return (<floating> 1 if x >= 0 else e) / (<floating> 1 + e)


cdef inline floating log1p_exp(floating x) noexcept nogil:
    """log(1 + e^x) = max(x, 0) + log(1 + e^-|x|)"""
    cdef floating u = exp_[floating](-absolute(x))
    return (x if x > 0 else <floating> 0) + log1p_unit(u)
