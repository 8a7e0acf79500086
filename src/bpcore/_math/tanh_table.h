/* tanh of a block of numbers through tables that AVX-512 looks up in registers; tools/fit_tanh.py
 * prints them and the constants.
 *
 * float32: u = |x| falls into one of 32 stretches, eight of equal length between two powers of two of
 * u + 5/8, so that the upper bits of that number are the stretch's index. In each, tanh u is a
 * polynomial of degree 4 in t, the distance from the stretch's beginning: a table's rows are the
 * beginnings, tanh there, then the first derivative, .... The polynomial from 0 begins with 0 + 1 t, so
 * that small x keep their relative precision; where tanh rounds to 1, so does the last. No division,
 * and 16 instructions in all: half of the time of one with it. To 1.30 ulp over all floats.
 *
 * float64: u - u^3 p(u^2) / q(u^2) below 3/4, 1 - 2 / (e^(2u) + 1) from there, with one division for
 * both. e^(2u) = 2^(k/16) e^(2v) with v = u - k ln 2 / 32, at most ln 2 / 64, for which a polynomial of
 * degree 6 will do; the sixteenths of a power of two are looked up. To 1.3 ulp.
 */
#ifndef BPCORE_TANH_TABLE_H
#define BPCORE_TANH_TABLE_H

#include <stdint.h>

#include "vector.h"

#if defined(VECTORS_AVX512)

#define TANH_TABLE 1

static const float TANH_F32[6][32] __attribute__((aligned(64))) = {
    {1.375f, 1.625f, 1.875f, 2.125f, 2.375f, 2.625f, 2.875f, 3.125f, 3.375f, 3.875f, 4.375f,
      4.875f, 5.375f, 5.875f, 6.375f, 6.875f, 7.375f, 8.375f, 0, 0.0625f, 0.125f, 0.1875f, 0.25f,
      0.3125f, 0.375f, 0.5f, 0.625f, 0.75f, 0.875f, 1, 1.125f, 1.25f},
    {0.879826665f, 0.925346255f, 0.954045296f, 0.971872747f, 0.982845008f, 0.98955977f,
      0.993654609f, 0.99614656f, 0.997660995f, 0.999138892f, 0.999683142f, 0.999883413f,
      0.999957085f, 0.999984205f, 0.999994218f, 0.999997854f, 0.999999225f, 0.999999881f, 0,
      0.0624187477f, 0.124352999f, 0.185333207f, 0.244918659f, 0.302709728f, 0.3583574f,
      0.462117165f, 0.554599702f, 0.635148942f, 0.703905582f, 0.761594176f, 0.809301078f,
      0.848283648f},
    {0.225910187f, 0.143729895f, 0.0897922069f, 0.0554622076f, 0.0340173542f, 0.020768445f,
      0.0126533378f, 0.00768826809f, 0.00467042299f, 0.00172067783f, 0.000632570707f,
      0.000233308892f, 8.73395038e-05f, 3.25906767e-05f, 1.01682572e-05f, 4.91741048e-06f,
      1.23025211e-06f, 6.15058354e-07f, 1, 0.996103287f, 0.984537721f, 0.965647638f, 0.940016389f,
      0.908367217f, 0.871579647f, 0.786446393f, 0.692425072f, 0.596589088f, 0.504523098f,
      0.419969827f, 0.345030189f, 0.280412942f},
    {-0.19888486f, -0.132896706f, -0.0855360776f, -0.0538593456f, -0.0334480889f,
      -0.0204823557f, -0.01261969f, -0.00758167868f, -0.00462398538f, -0.00170587504f,
      -0.000620143954f, -0.000233664614f, -0.000100943871f, -4.1708623e-05f, 2.77982781e-06f,
      -1.06868301e-05f, 1.62923271e-07f, -2.20977699e-06f, 5.94359562e-06f, -0.0621125698f,
      -0.122537173f, -0.178632081f, -0.230347529f, -0.275000423f, -0.312324196f, -0.363405943f,
      -0.384297252f, -0.379095405f, -0.355419904f, -0.319698751f, -0.279190868f, -0.237805411f},
    {0.100701287f, 0.0742868707f, 0.0506367125f, 0.0333668515f, 0.0214262251f, 0.0128231701f,
      0.0085045835f, 0.00449960213f, 0.00286584138f, 0.00105946267f, 0.000363781408f,
      0.00015125674f, 0.000103457518f, 5.26596996e-05f, -3.84972736e-05f, 2.32263737e-05f,
      -1.84032194e-06f, 3.31409092e-06f, -0.333910942f, -0.330326259f, -0.310547858f,
      -0.297837079f, -0.254072785f, -0.218949422f, -0.178808555f, -0.0939275697f, -0.0132531449f,
      0.0450471491f, 0.0863812044f, 0.102327198f, 0.110855266f, 0.10771732f},
    {-0.0259009115f, -0.0225606114f, -0.01683468f, -0.0123970928f, -0.00867781043f,
      -0.00446490478f, -0.00399123272f, -0.00104207755f, -0.000953245675f, -0.000353215903f,
      -0.000102922335f, -5.52415331e-05f, -6.80591256e-05f, -3.96183386e-05f, 4.32234447e-05f,
      -2.14414249e-05f, 1.12601583e-06f, -1.62698188e-06f, 0.0159648601f, 0.0703606978f,
      0.0699703842f, 0.195477366f, 0.122330852f, 0.156811833f, 0.170411721f, 0.15743959f,
      0.10905052f, 0.0753571615f, 0.0323033631f, 0.0250743032f, -0.00147711113f, -0.0132458294f},
};

/* The bits of 2^(j/16), less j << 48: k << 48 added makes those of 2^(k/16), where j = k mod 16. */
static const int64_t SIXTEENTHS_F64[16] __attribute__((aligned(64))) = {
    0x3ff0000000000000, 0x3fefb5586cf9890f, 0x3fef72b83c7d517b, 0x3fef387a6e756238,
    0x3fef06fe0a31b715, 0x3feedea64c123422, 0x3feebfdad5362a27, 0x3feeab07dd485429,
    0x3feea09e667f3bcd, 0x3feea11473eb0187, 0x3feeace5422aa0db, 0x3feec49182a3f090,
    0x3feee89f995ad3ad, 0x3fef199bdd85529c, 0x3fef5818dcfba487, 0x3fefa4afa2a490da,
};

#define EACH for (int v = 0; v < vectors; v++)

/* a = tanh z for up to four vectors (a constant), step by step for all: one waits for each step. */
#define LOOKED_UP(row) \
    _mm512_permutex2var_ps(_mm512_load_ps(TANH_F32[row]), index[v], \
                           _mm512_load_ps(TANH_F32[row] + 16))
static inline __attribute__((always_inline)) void tanh_vectors_f32(
    const vf32 *z, vf32 *a, const int vectors)
{
    const __m512 offset = _mm512_set1_ps(0.625f), largest = _mm512_set1_ps(9.25f);
    const __m512i sign = _mm512_set1_epi32((int)0x80000000);
    __m512 u[4], t[4], p[4];
    __m512i index[4];
    EACH u[v] = _mm512_min_ps(largest, _mm512_abs_ps((__m512)z[v])); /* in this order NaN stays */
    EACH index[v] = _mm512_castps_si512(u[v] + offset);
    EACH index[v] = _mm512_srli_epi32(index[v], 20); /* its low 5 bits count */
    EACH t[v] = u[v] - LOOKED_UP(0);
    EACH p[v] = _mm512_fmadd_ps(LOOKED_UP(5), t[v], LOOKED_UP(4));
    EACH p[v] = _mm512_fmadd_ps(p[v], t[v], LOOKED_UP(3));
    EACH p[v] = _mm512_fmadd_ps(p[v], t[v], LOOKED_UP(2));
    EACH p[v] = _mm512_fmadd_ps(p[v], t[v], LOOKED_UP(1));
    EACH a[v] = (vf32)_mm512_castsi512_ps(_mm512_ternarylogic_epi32( /* p with z's sign */
        _mm512_castps_si512(p[v]), _mm512_castps_si512((__m512)z[v]), sign, 0xf8));
}
#undef LOOKED_UP

#define ALL(number) _mm512_set1_pd(number)
static inline __attribute__((always_inline)) void tanh_vectors_f64(
    const vf64 *z, vf64 *a, const int vectors)
{
    const __m512d low = _mm512_load_pd(SIXTEENTHS_F64), high = _mm512_load_pd(SIXTEENTHS_F64 + 8);
    const __m512d whole = ALL(6755399441055744.0); /* a sum with it is rounded to an integer */
    const __m512d one = ALL(1.0), two = ALL(2.0);
    const __m512i sign = _mm512_set1_epi64((int64_t)0x8000000000000000);
    __m512d u[4], k[4], square[4], s[4], p[4], q[4], t[4];
    __m512i index[4];
    __mmask8 near[4];
    EACH u[v] = _mm512_min_pd(ALL(20.0), _mm512_abs_pd((__m512d)z[v])); /* in this order NaN stays */
    EACH near[v] = _mm512_cmp_pd_mask(u[v], ALL(0.75), _CMP_LT_OQ);
    /* q = e^(2u) + 1 */
    EACH k[v] = _mm512_fmadd_pd(u[v], ALL(46.16624130844683), whole);
    EACH index[v] = _mm512_castpd_si512(k[v]); /* its low 4 bits count, and for the exponent all */
    EACH k[v] = k[v] - whole;
    EACH t[v] = _mm512_fnmadd_pd(k[v], ALL(0.02166084939249829), u[v]);
    EACH s[v] = _mm512_permutex2var_pd(low, index[v], high);
    EACH s[v] = _mm512_castsi512_pd(_mm512_add_epi64(
        _mm512_castpd_si512(s[v]), _mm512_slli_epi64(index[v], 48)));
    EACH p[v] = _mm512_fmadd_pd(ALL(0.08889000602019409), t[v], ALL(0.2666703904413239));
    EACH p[v] = _mm512_fmadd_pd(p[v], t[v], ALL(0.6666666666175276));
    EACH p[v] = _mm512_fmadd_pd(p[v], t[v], ALL(1.333333333224135));
    EACH p[v] = _mm512_fmadd_pd(p[v], t[v], ALL(2.0000000000000004));
    EACH p[v] = _mm512_fmadd_pd(p[v], t[v], two);
    EACH q[v] = _mm512_fmadd_pd(s[v], p[v] * t[v], s[v] + one);
    /* near 0: u^3 p(u^2) and q(u^2) */
    EACH square[v] = u[v] * u[v];
    EACH p[v] = _mm512_fmadd_pd(ALL(0.00019890457740888396), square[v], ALL(0.02049262271569582));
    EACH p[v] = _mm512_fmadd_pd(p[v], square[v], ALL(0.33333333333333326));
    EACH t[v] = _mm512_fmadd_pd(ALL(0.0002062408729233731), square[v], ALL(0.02328309908674414));
    EACH t[v] = _mm512_fmadd_pd(t[v], square[v], ALL(0.46147786814706604));
    EACH t[v] = _mm512_fmadd_pd(t[v], square[v], one);
    EACH p[v] = _mm512_mask_mul_pd(two, near[v], u[v] * square[v], p[v]);
    EACH q[v] = _mm512_mask_blend_pd(near[v], q[v], t[v]);
    EACH p[v] = _mm512_mask_blend_pd(near[v], one, u[v]) - p[v] / q[v];
    EACH a[v] = (vf64)_mm512_castsi512_pd(_mm512_ternarylogic_epi64( /* p with z's sign */
        _mm512_castpd_si512(p[v]), _mm512_castpd_si512((__m512d)z[v]), sign, 0xf8));
}
#undef ALL

#undef EACH

#else

#define TANH_TABLE 0
static inline void tanh_vectors_f32(const vf32 *z, vf32 *a, const int vectors)
{
    (void)z; (void)a; (void)vectors;
}
static inline void tanh_vectors_f64(const vf64 *z, vf64 *a, const int vectors)
{
    (void)z; (void)a; (void)vectors;
}

#endif

#endif
