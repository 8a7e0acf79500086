"""exp, expm1, log, log1p on [0, 1], Φ: no branches, so that loops vectorise.

Argument reduction after W. J. Cody & W. Waite, Software Manual for the
Elementary Functions (1980): x = n ln 2 + r with |r| <= ln 2 / 2, ln 2 split in
two so that n times its high part is exact. Polynomials and quotients are minimax
ones (Remez), with relative errors of the results in float32 and float64 of 3e-9
and 4e-18 for exp, 4e-9 and 1.3e-18 for log1p, 2.3e-8 and 9e-19 for Φ.
Comparisons are written so that NaN stays NaN.

The errors in the docstrings are the largest at any level: over all arguments in
float32, over samples in float64, in units in the last place of the exact result
(subnormal ones too). `tools/check_ulp.py` finds them.

Constants carry a cast: Cython writes a plain 1 as the double 1.0, and one double
turns a whole float32 expression, and the loop around it, into double precision.
"""
from cython cimport floating
from libc.float cimport DBL_MAX, FLT_MAX
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.math cimport fabs, fabsf
from bpcore._math.bits cimport bits_of_f32, bits_of_f64, f32_of_bits, f64_of_bits


cdef inline floating absolute(floating x) noexcept nogil:
    """|x|"""
    if floating is float:
        return fabsf(x)
    else:
        return fabs(x)


cdef inline floating product(floating x, floating y) noexcept nogil:
    """x y, rounded.

    Of x y + u v a compiler may take either product into a fused multiply-add, and the other one in
    the elements that a loop over vectors leaves: the bits would depend on where an element lies. A
    product to which 0 is added is no product any more.
    """
    return x * y + <floating> 0


cdef inline floating clamp(floating x, floating low, floating high) noexcept nogil:
    """min(max(x, low), high); NaN stays NaN."""
    x = low if x < low else x
    return high if x > high else x


cdef inline floating round_quotient(floating x) noexcept nogil:
    """x / ln 2 to the nearest integer n, as a number whose low bits are n + bias.

    The bias is that of the type's exponents, so that a shift makes 2^n of those bits.
    """
    if floating is float:
        return x * <float> 1.4426950408889634 + <float> (12582912.0 + 127.0)
    else:
        return x * 1.4426950408889634 + (6755399441055744.0 + 1023.0)


cdef inline floating quotient_of(floating shifted) noexcept nogil:
    """The integer n that shifted = round_quotient(x) holds."""
    if floating is float:
        return shifted - <float> (12582912.0 + 127.0)
    else:
        return shifted - (6755399441055744.0 + 1023.0)


cdef inline floating expm1_near_0(floating r) noexcept nogil:
    """e^r - 1 = r + r² q(r) for |r| <= ln 2 / 2"""
    cdef floating q
    if floating is float:
        q = <float> 1.381459763e-3
        q = q * r + <float> 8.368716745e-3
        q = q * r + <float> 4.166838806e-2
        q = q * r + <float> 0.1666652063
        q = q * r + <float> 0.4999999345
    else:
        q = 2.5000061577773021706e-8
        q = q * r + 2.7630249126165685751e-7
        q = q * r + 2.7557586379613517743e-6
        q = q * r + 2.4801493096894902504e-5
        q = q * r + 1.984126950656263436e-4
        q = q * r + 1.3888888943631909936e-3
        q = q * r + 8.3333333334944757501e-3
        q = q * r + 4.1666666666530152665e-2
        q = q * r + 0.16666666666666412486
        q = q * r + 0.50000000000000106277
    return r * r * q + r


cdef inline floating reduced_expm1(floating x, floating tail, floating shifted) noexcept nogil:
    """e^r - 1 for r = x - tail - n ln 2, where shifted = round_quotient(x) holds n."""
    cdef floating n = quotient_of(shifted)
    if floating is float:
        x = (x - n * <float> 0.693359375) - n * <float> -2.12194440e-4
    else:
        x = (x - n * 0.6931471803691238) - n * 1.9082149292705877e-10
    return expm1_near_0[floating](x - tail)


cdef inline floating power_of_two(floating shifted) noexcept nogil:
    """2^n, where it is a normal number."""
    if floating is float:
        return f32_of_bits(<int32_t> (<uint32_t> bits_of_f32(shifted) << 23))
    else:
        return f64_of_bits(<int64_t> (<uint64_t> bits_of_f64(shifted) << 52))


cdef inline floating times_power_of_two(floating x, floating shifted) noexcept nogil:
    """x 2^n, in two steps so that overflow and subnormal results come out right."""
    cdef uint32_t exponents, half
    cdef uint64_t exponents_long, half_long
    if floating is float:
        exponents = <uint32_t> bits_of_f32(shifted) + 127
        half = exponents >> 1
        return (x * f32_of_bits(<int32_t> (half << 23))
                * f32_of_bits(<int32_t> ((exponents - half) << 23)))
    else:
        exponents_long = <uint64_t> bits_of_f64(shifted) + 1023
        half_long = exponents_long >> 1
        return (x * f64_of_bits(<int64_t> (half_long << 52))
                * f64_of_bits(<int64_t> ((exponents_long - half_long) << 52)))


cdef inline floating exp_(floating x) noexcept nogil:
    """e^x = 2^n e^r, to 1.1 ulp"""
    cdef floating shifted
    if floating is float:
        x = clamp[floating](x, -104, 89)
    else:
        x = clamp[floating](x, -746, 710)
    shifted = round_quotient(x)
    x = reduced_expm1[floating](x, 0, shifted) + <floating> 1
    return times_power_of_two[floating](x, shifted)


cdef inline floating expm1_(floating x) noexcept nogil:
    """e^x - 1 = 2^n (e^r - 1) + (2^n - 1), for x <= 88; to 1.2 ulp for x <= 0."""
    cdef floating shifted, scale
    x = <floating> -40 if x < -40 else x
    shifted = round_quotient(x)
    scale = power_of_two[floating](shifted)
    return scale * reduced_expm1[floating](x, 0, shifted) + (scale - <floating> 1)


cdef inline floating log1p_rest(floating u) noexcept nogil:
    """u - log(1 + u) = w (u - w² p) for -1/2 <= u <= 1: log(1 + u) = 2 artanh(w), w = u / (2 + u).
    """
    cdef floating w = u / (u + <floating> 2)
    cdef floating s = w * w, p
    if floating is float:
        p = <float> 0.2801189189
        p = p * s + <float> 0.2800184376
        p = p * s + <float> 0.400215233
        p = p * s + <float> 0.6666641638
    else:
        p = 0.17009924486155738456
        p = p * s + 0.083448829603470535811
        p = p * s + 0.12104964517190631463
        p = p * s + 0.13301119014411783391
        p = p * s + 0.15386548560530099043
        p = p * s + 0.18181744472018606885
        p = p * s + 0.22222223953811875343
        p = p * s + 0.28571428548116246559
        p = p * s + 0.40000000000155116741
        p = p * s + 0.66666666666666309779
    return w * (u - s * p)


cdef inline floating log1p_unit(floating u) noexcept nogil:
    """log(1 + u) for 0 <= u <= 1, to 1.4 ulp."""
    return u - log1p_rest(u)


cdef inline floating log_(floating x) noexcept nogil:
    """log x = n ln 2 + log(1 + u), x = 2^n (1 + u), √½ <= 1 + u < √2, for normal x > 0; to 1.1 ulp

    Infinity and NaN stay what they are.
    """
    cdef int32_t bits
    cdef int64_t bits_long
    cdef floating n, u, y
    if floating is float:
        bits = bits_of_f32(x) - <int32_t> 0x3f3504f3
        n = <float> (bits >> 23)
        u = f32_of_bits((bits & <int32_t> 0x7fffff) + <int32_t> 0x3f3504f3) - <float> 1
        y = n * <float> 0.693359375 + (u - (log1p_rest(u) - n * <float> -2.12194440e-4))
        return y if x <= FLT_MAX else x
    else:
        # A float64 of the integers' range holds n in its low bits: AVX2 converts no int64.
        bits_long = bits_of_f64(x) - <int64_t> 0x3fe6a09e667f3bcd
        n = (f64_of_bits((bits_long >> 52) + bits_of_f64(6755399441055744.0))
             - 6755399441055744.0)
        u = f64_of_bits((bits_long & <int64_t> 0xfffffffffffff)
                        + <int64_t> 0x3fe6a09e667f3bcd) - 1.0
        y = n * 0.6931471803691238 + (u - (log1p_rest(u) - n * 1.9082149292705877e-10))
        return y if x <= DBL_MAX else x


cdef inline floating log1p_exp(floating x) noexcept nogil:
    """log(1 + e^x) = max(x, 0) + log(1 + u), u = e^-|x|; to 2.25 ulp"""
    cdef floating u = exp_[floating](-absolute(x))
    return ((x if x > 0 else <floating> 0) - log1p_rest(u)) + u


cdef inline floating normal_range(floating z) noexcept nogil:
    """z, cut off where Φ(-|z|) and z Φ(-|z|) have underflowed to 0."""
    if floating is float:
        return clamp[floating](z, <float> -14.5, <float> 14.5)
    else:
        return clamp[floating](z, -38.7, 38.7)


cdef inline floating times_gaussian(floating c, floating x) noexcept nogil:
    """c e^(-x²/2) for |x| within normal_range.

    x²/2 is h²/2, which is exact as h has half of x's bits, plus (x - h) (x + h) / 2: rounded as it
    is, an argument of -100 would cost 50 ulp.
    """
    cdef floating h, y, shifted
    if floating is float:
        h = f32_of_bits(bits_of_f32(x) & <int32_t> 0xfffff000)
    else:
        h = f64_of_bits(bits_of_f64(x) & <int64_t> 0xfffffffff8000000)
    y = h * h * <floating> -0.5
    shifted = round_quotient(y)
    y = reduced_expm1[floating](y, (x - h) * (x + h) * <floating> 0.5, shifted)
    return times_power_of_two[floating](c * y + c, shifted)


cdef inline floating scaled_tail(floating x) noexcept nogil:
    """Φ(-x) e^(x²/2) for 0 <= x within normal_range.

    In float32 t = 1 / (x + 2) times a polynomial in t, as M. Shepherd & J. Laframboise do for erfc
    (Mathematics of Computation 36, 1981); in float64 a quotient of polynomials, as W. J. Cody does
    (Mathematics of Computation 23, 1969).
    """
    cdef floating p, q, t, y
    if floating is float:
        t = <float> 1 / (x + <float> 2)
        y = t * <float> 4.55172395706 - <float> 1.27586209774
        p = <float> -2.0955354892e-5
        p = p * y + <float> -3.8524267759e-5
        p = p * y + <float> 0.00022767731444
        p = p * y + <float> -8.6855701037e-5
        p = p * y + <float> -0.0010828098519
        p = p * y + <float> 0.0027120721786
        p = p * y + <float> 0.0018772544306
        p = p * y + <float> -0.024456790764
        p = p * y + <float> 0.011982652409
        p = p * y + <float> 0.29595023536
        p = p * y + <float> 0.71293605228
        return product(p, t)
    else:
        p = 2.2366996797067127379e-7
        p = p * x + 6.9623678672585560152e-6
        p = p * x + 0.00010639560336484823131
        p = p * x + 0.0010382510886719901007
        p = p * x + 0.0071144688613105728818
        p = p * x + 0.03563317857233049535
        p = p * x + 0.13194392571835787791
        p = p * x + 0.35713535562774161758
        p = p * x + 0.67933617515282630816
        p = p * x + 0.82774901552052908257
        p = p * x + 0.50000000000000000045
        q = 5.6065746590096254648e-7
        q = q * x + 0.000017452068154483271367
        q = q * x + 0.00026725488515341707081
        q = q * x + 0.0026199616033943523542
        q = q * x + 0.018098901710319483382
        q = q * x + 0.091886738619541448502
        q = q * x + 0.34803991448393497014
        q = q * x + 0.97949435690834177033
        q = q * x + 2.0005342138487054276
        q = q * x + 2.8161884420804294044
        q = q * x + 2.4533825918439237293
        q = q * x + 1.0
        return p / q
