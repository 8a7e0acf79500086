/* tanh of a vector of floats through a table that AVX-512 keeps in registers.
 *
 * u = |x| falls into one of 18 stretches, four of equal length between two powers of two of
 * u + 1/2, so that the upper bits of that number are the stretch's index. In each, tanh u is a
 * polynomial of degree 5 in t, the distance from the stretch's beginning: (tanh, then the first
 * derivative, ...) fitted by tools/fit_tanh.py. The one from 0 begins with 0 + 1 t, so that small
 * x keep their relative precision; the last is the constant 1. No division: 13 cycles a vector
 * instead of 22. To 1.31 ulp over all arguments.
 */
#ifndef BPCORE_TANH_TABLE_H
#define BPCORE_TANH_TABLE_H

#include "vector.h"

#if defined(VECTORS_AVX512)

#define TANH_TABLE 1

static const float TANH_COEFFICIENTS[6][32] __attribute__((aligned(64))) = {
    {0.905148268f, 0.964027584f, 0.986614287f, 0.995054781f, 0.998177946f, 0.999753237f,
      0.999966621f, 0.99999547f, 0.999999404f, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
      0.124352999f, 0.244918659f, 0.3583574f, 0.462117165f, 0.635148942f, 0.761594176f,
      0.848283648f},
    {0.180707633f, 0.0706501305f, 0.0265928321f, 0.00986317359f, 0.0036376284f, 0.000492082909f,
      6.55946787e-05f, 9.4926263e-06f, 8.31511443e-07f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
      0, 1, 0.984537542f, 0.940016091f, 0.871579409f, 0.786445677f, 0.596588016f, 0.419970661f,
      0.280413419f},
    {-0.163610995f, -0.0680925623f, -0.0262391549f, -0.00976878684f, -0.00359761855f,
      -0.00048028116f, -5.69329568e-05f, -1.26021387e-05f, 3.71572071e-07f, 0, 0, 0, 0, 0, 0, 0,
      0, 0, 0, 0, 0, 0, 0, 0, 3.11888726e-07f, -0.122512355f, -0.230307147f, -0.312297672f,
      -0.363345832f, -0.378999799f, -0.3197442f, -0.237833083f},
    {0.0883244947f, 0.0419668965f, 0.0169853903f, 0.006185479f, 0.00226039346f, 0.000284624053f,
      1.59304527e-05f, 1.58369767e-05f, -1.49426239e-06f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
      0, 0, -0.333355635f, -0.311065525f, -0.255197227f, -0.179580703f, -0.0954947621f,
      0.0428105593f, 0.102614656f, 0.108011506f},
    {-0.0274514239f, -0.017367769f, -0.0077430699f, -0.00239767879f, -0.000895548787f,
      -9.57772208e-05f, 1.28409511e-05f, -1.38778323e-05f, 1.02205024e-06f, 0, 0, 0, 0, 0, 0, 0,
      0, 0, 0, 0, 0, 0, 0, 0, 0.000472799758f, 0.0628364161f, 0.124843016f, 0.178667992f,
      0.173738286f, 0.0943806693f, 0.0305448007f, -0.0123577397f},
    {0.00330798747f, 0.00398140959f, 0.00206779083f, 0.000331818679f, 0.000170364525f,
      1.26868408e-05f, -8.59854208e-06f, 5.07749246e-06f, -2.18073964e-07f, 0, 0, 0, 0, 0, 0, 0,
      0, 0, 0, 0, 0, 0, 0, 0, 0.129986033f, 0.161885858f, 0.105969399f, -0.0293447915f,
      -0.0584580712f, -0.0531259589f, -0.0428857766f, -0.0139244599f},
};

#define EACH for (int v = 0; v < vectors; v++)
#define COEFFICIENT(k) \
    _mm512_permutex2var_ps(_mm512_load_ps(TANH_COEFFICIENTS[k]), index[v], \
                           _mm512_load_ps(TANH_COEFFICIENTS[k] + 16))

/* a = tanh z for up to four vectors (a constant), step by step for all: one waits for each step. */
static inline __attribute__((always_inline)) void tanh_vectors(
    const vf32 *z, vf32 *a, const int vectors)
{
    const __m512 half = _mm512_set1_ps(0.5f), largest = _mm512_set1_ps(10.0f);
    const __m512i upper_bits = _mm512_set1_epi32((int)0xffe00000);
    const __m512i sign = _mm512_set1_epi32((int)0x80000000);
    __m512 u[4], w[4], t[4], p[4];
    __m512i index[4];
    EACH u[v] = _mm512_min_ps(largest, _mm512_abs_ps((__m512)z[v])); /* in this order NaN stays */
    EACH w[v] = u[v] + half;
    EACH index[v] = _mm512_srli_epi32(_mm512_castps_si512(w[v]), 21); /* its low 5 bits count */
    EACH w[v] = _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(w[v]), upper_bits));
    EACH t[v] = u[v] - (w[v] - half);
    EACH p[v] = _mm512_fmadd_ps(COEFFICIENT(5), t[v], COEFFICIENT(4));
    EACH p[v] = _mm512_fmadd_ps(p[v], t[v], COEFFICIENT(3));
    EACH p[v] = _mm512_fmadd_ps(p[v], t[v], COEFFICIENT(2));
    EACH p[v] = _mm512_fmadd_ps(p[v], t[v], COEFFICIENT(1));
    EACH p[v] = _mm512_fmadd_ps(p[v], t[v], COEFFICIENT(0));
    EACH a[v] = (vf32)_mm512_castsi512_ps(_mm512_ternarylogic_epi32( /* p with z's sign */
        _mm512_castps_si512(p[v]), _mm512_castps_si512((__m512)z[v]), sign, 0xf8));
}

#undef EACH
#undef COEFFICIENT

#else

#define TANH_TABLE 0
static inline void tanh_vectors(const vf32 *z, vf32 *a, const int vectors)
{
    (void)z; (void)a; (void)vectors;
}

#endif

#endif
