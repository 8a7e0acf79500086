/* √x, n / d, what of x is not subnormal, and x as it is rounded, by lanes. */
#ifndef BPCORE_VECTOR_ROOTS_H
#define BPCORE_VECTOR_ROOTS_H

#include <float.h>
#include <math.h>

#include "vector.h"

/* No sum further on takes the product that x is into a fused multiply-add. */
#if defined(VECTORS_AVX512)
#define SETTLE(x) __asm__("" : "+v"(x))
#elif defined(VECTORS_SSE)
#define SETTLE(x) __asm__("" : "+x"(x))
#elif defined(VECTORS_NEON)
#define SETTLE(x) __asm__("" : "+w"(x))
#elif defined(__GNUC__) || defined(__clang__)
#define SETTLE(x) __asm__("" : "+m"(x))
#else
#define SETTLE(x) ((void)0)
#endif
static inline vf32 rounded_f32(vf32 x) { SETTLE(x); return x; }
static inline vf64 rounded_f64(vf64 x) { SETTLE(x); return x; }

#if defined(VECTORS_AVX512)

/* Root and division share one unit, which an optimiser's step would wait for. Here one of the two
 * comes from multiply-adds: of float32 the quotient, of float64 the root. On an Intel Xeon a vector
 * of Adam's takes 3.7 ns instead of 6, in float64 4.6 instead of 11.
 *
 * With r = (1 - e) / d, e to 2^-14, n / d = n r (1 + e + e^2 ...), of which e^2 is a sixteenth of an
 * ulp: to 1.5 ulp. Where d is 0 or Inf it is not finite: then v is not either, or n is over 0.
 * With r = sqrt((1 - e) / x), e to 2^-13, sqrt x = x r (1 + e/2 + 3/8 e^2 + 5/16 e^3 + ...), to 1.1 ulp;
 * that of 0 is 0, of Inf NaN. */
static inline vf32 root_f32(vf32 x) { return (vf32)_mm512_sqrt_ps((__m512)x); }
static inline vf32 quotient_f32(vf32 n, vf32 d) {
    const __m512 r = _mm512_rcp14_ps((__m512)d), q = _mm512_mul_ps((__m512)n, r);
    return (vf32)_mm512_fmadd_ps(q, _mm512_fnmadd_ps((__m512)d, r, _mm512_set1_ps(1)), q);
}
#define ZERO_STAYS 0x800 /* vfixupimm's table: 8, a zero, in the place of a zero */
static inline vf64 root_f64(vf64 x) {
    const __m512d r = _mm512_rsqrt14_pd((__m512d)x), y = _mm512_mul_pd((__m512d)x, r);
    const __m512d e = _mm512_fnmadd_pd(y, r, _mm512_set1_pd(1));
    __m512d p = _mm512_fmadd_pd(e, _mm512_set1_pd(0.3125), _mm512_set1_pd(0.375));
    p = _mm512_fmadd_pd(e, p, _mm512_set1_pd(0.5));
    return (vf64)_mm512_fixupimm_pd(_mm512_fmadd_pd(_mm512_mul_pd(y, e), p, y), (__m512d)x,
                                    _mm512_set1_epi64(ZERO_STAYS), 0);
}
static inline vf64 quotient_f64(vf64 n, vf64 d) { return n / d; }

/* Whether any bit of the exponent is set. */
static inline vf32 normal_f32(vf32 x) {
    const __mmask16 keep = _mm512_test_epi32_mask((__m512i)x, _mm512_set1_epi32(0x7f800000));
    return (vf32)_mm512_maskz_mov_ps(keep, (__m512)x);
}
static inline vf64 normal_f64(vf64 x) {
    const __mmask8 keep = _mm512_test_epi64_mask((__m512i)x, _mm512_set1_epi64(0x7ff0000000000000));
    return (vf64)_mm512_maskz_mov_pd(keep, (__m512d)x);
}

#else

static inline vf32 quotient_f32(vf32 n, vf32 d) { return n / d; }
static inline vf64 quotient_f64(vf64 n, vf64 d) { return n / d; }

#if defined(VECTORS_AVX2)

static inline vf32 root_f32(vf32 x) { return (vf32)_mm256_sqrt_ps((__m256)x); }
static inline vf64 root_f64(vf64 x) { return (vf64)_mm256_sqrt_pd((__m256d)x); }
static inline vf32 normal_f32(vf32 x) {
    const __m256 y = (__m256)x, magnitude = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), y);
    return (vf32)_mm256_and_ps(y, _mm256_cmp_ps(magnitude, _mm256_set1_ps(FLT_MIN), _CMP_NLT_UQ));
}
static inline vf64 normal_f64(vf64 x) {
    const __m256d y = (__m256d)x, magnitude = _mm256_andnot_pd(_mm256_set1_pd(-0.0), y);
    return (vf64)_mm256_and_pd(y, _mm256_cmp_pd(magnitude, _mm256_set1_pd(DBL_MIN), _CMP_NLT_UQ));
}

#elif defined(VECTORS_SSE)

static inline vf32 root_f32(vf32 x) { return (vf32)_mm_sqrt_ps((__m128)x); }
static inline vf64 root_f64(vf64 x) { return (vf64)_mm_sqrt_pd((__m128d)x); }
static inline vf32 normal_f32(vf32 x) {
    const __m128 y = (__m128)x, magnitude = _mm_andnot_ps(_mm_set1_ps(-0.0f), y);
    return (vf32)_mm_and_ps(y, _mm_cmpnlt_ps(magnitude, _mm_set1_ps(FLT_MIN)));
}
static inline vf64 normal_f64(vf64 x) {
    const __m128d y = (__m128d)x, magnitude = _mm_andnot_pd(_mm_set1_pd(-0.0), y);
    return (vf64)_mm_and_pd(y, _mm_cmpnlt_pd(magnitude, _mm_set1_pd(DBL_MIN)));
}

#elif defined(VECTORS_NEON)

static inline vf32 root_f32(vf32 x) { return (vf32)vsqrtq_f32((float32x4_t)x); }
static inline vf64 root_f64(vf64 x) { return (vf64)vsqrtq_f64((float64x2_t)x); }
static inline vf32 normal_f32(vf32 x) {
    const uint32x4_t tiny = vcltq_f32(vabsq_f32((float32x4_t)x), vdupq_n_f32(FLT_MIN));
    return (vf32)vbicq_u32(vreinterpretq_u32_f32((float32x4_t)x), tiny);
}
static inline vf64 normal_f64(vf64 x) {
    const uint64x2_t tiny = vcltq_f64(vabsq_f64((float64x2_t)x), vdupq_n_f64(DBL_MIN));
    return (vf64)vbicq_u64(vreinterpretq_u64_f64((float64x2_t)x), tiny);
}

#else

static inline vf32 root_f32(vf32 x) {
    float lanes[LANES_F32];
    store_f32(lanes, x);
    for (int k = 0; k < LANES_F32; k++) lanes[k] = sqrtf(lanes[k]);
    return load_f32(lanes);
}
static inline vf64 root_f64(vf64 x) {
    double lanes[LANES_F64];
    store_f64(lanes, x);
    for (int k = 0; k < LANES_F64; k++) lanes[k] = sqrt(lanes[k]);
    return load_f64(lanes);
}
static inline vf32 normal_f32(vf32 x) {
    float lanes[LANES_F32];
    store_f32(lanes, x);
    for (int k = 0; k < LANES_F32; k++) lanes[k] = fabsf(lanes[k]) < FLT_MIN ? 0 : lanes[k];
    return load_f32(lanes);
}
static inline vf64 normal_f64(vf64 x) {
    double lanes[LANES_F64];
    store_f64(lanes, x);
    for (int k = 0; k < LANES_F64; k++) lanes[k] = fabs(lanes[k]) < DBL_MIN ? 0 : lanes[k];
    return load_f64(lanes);
}

#endif

#endif

#endif
