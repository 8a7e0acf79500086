/* Parts of vectors: a matrix's edge must neither be read nor written past its end. */
#ifndef BPCORE_VECTOR_PARTS_H
#define BPCORE_VECTOR_PARTS_H

#include <stdint.h>

#include "vector.h"
#include "vector_bits.h"

/* A vector of ones, as bits, then one of zeros: what starts `count` lanes before the latter. */
#if LANES_F64 > 1 && !defined(VECTORS_AVX512)
static const int32_t LANE_MASK_32[2 * LANES_F32] = {[0 ... LANES_F32 - 1] = -1};
static const int64_t LANE_MASK_64[2 * LANES_F64] = {[0 ... LANES_F64 - 1] = -1};
#endif

/* The first `count` lanes (0 < count <= lanes); a load sets the others to 0. */
#if defined(VECTORS_AVX512)

static inline vf32 load_part_f32(const float *p, int count) {
    return (vf32)_mm512_maskz_loadu_ps((__mmask16)(0xffffu >> (16 - count)), p);
}
static inline vf64 load_part_f64(const double *p, int count) {
    return (vf64)_mm512_maskz_loadu_pd((__mmask8)(0xffu >> (8 - count)), p);
}
static inline void store_part_f32(float *p, vf32 x, int count) {
    _mm512_mask_storeu_ps(p, (__mmask16)(0xffffu >> (16 - count)), (__m512)x);
}
static inline void store_part_f64(double *p, vf64 x, int count) {
    _mm512_mask_storeu_pd(p, (__mmask8)(0xffu >> (8 - count)), (__m512d)x);
}

#elif defined(VECTORS_SSE)

/* Up to four floats or two doubles: what the levels of 16 and 32 bytes are made of. */
static inline __m128 load_upto4(const float *p, int count) {
    __m128 x;
    if (count >= 4) return _mm_loadu_ps(p);
    if (count == 1) return _mm_load_ss(p);
    x = _mm_castpd_ps(_mm_load_sd((const double *)p));
    return count == 2 ? x : _mm_movelh_ps(x, _mm_load_ss(p + 2));
}
static inline __m128d load_upto2(const double *p, int count) {
    return count >= 2 ? _mm_loadu_pd(p) : _mm_load_sd(p);
}
static inline void store_upto4(float *p, __m128 x, int count) {
    if (count >= 4) { _mm_storeu_ps(p, x); return; }
    if (count & 2) {
        _mm_storel_pi((__m64 *)p, x);
        x = _mm_movehl_ps(x, x);
        p += 2;
    }
    if (count & 1) _mm_store_ss(p, x);
}
static inline void store_upto2(double *p, __m128d x, int count) {
    if (count >= 2) _mm_storeu_pd(p, x);
    else _mm_store_sd(p, x);
}

#if defined(VECTORS_AVX2)

static inline vf32 load_part_f32(const float *p, int count) {
    __m256i mask = _mm256_loadu_si256((const __m256i *)(LANE_MASK_32 + 8 - count));
    return (vf32)_mm256_maskload_ps(p, mask);
}
static inline vf64 load_part_f64(const double *p, int count) {
    __m256i mask = _mm256_loadu_si256((const __m256i *)(LANE_MASK_64 + 4 - count));
    return (vf64)_mm256_maskload_pd(p, mask);
}
/* Not vmaskmov: as a store it is microcoded, about 40 times slower, on AMD's processors. */
static inline void store_part_f32(float *p, vf32 x, int count) {
    __m128 low = _mm256_castps256_ps128((__m256)x);
    if (count >= 4) {
        _mm_storeu_ps(p, low);
        low = _mm256_extractf128_ps((__m256)x, 1);
        p += 4;
        count -= 4;
    }
    if (count) store_upto4(p, low, count);
}
static inline void store_part_f64(double *p, vf64 x, int count) {
    __m128d low = _mm256_castpd256_pd128((__m256d)x);
    if (count >= 2) {
        _mm_storeu_pd(p, low);
        low = _mm256_extractf128_pd((__m256d)x, 1);
        p += 2;
        count -= 2;
    }
    if (count) store_upto2(p, low, count);
}

#else

static inline vf32 load_part_f32(const float *p, int count) { return (vf32)load_upto4(p, count); }
static inline vf64 load_part_f64(const double *p, int count) { return (vf64)load_upto2(p, count); }
static inline void store_part_f32(float *p, vf32 x, int count) { store_upto4(p, (__m128)x, count); }
static inline void store_part_f64(double *p, vf64 x, int count) { store_upto2(p, (__m128d)x, count); }

#endif

#elif defined(VECTORS_NEON)

/* The compiler is kept from knowing that a load and the store after it branch on one count: it would
 * make one branch of the two, and a product and its sum on two sides of a branch are not fused. */
static inline vf32 load_part_f32(const float *p, int count) {
    float32x4_t x = vdupq_n_f32(0);
    __asm__("" : "+r"(count));
    if (count >= 4) return (vf32)vld1q_f32(p);
    if (count == 1) return (vf32)vld1q_lane_f32(p, x, 0);
    x = vcombine_f32(vld1_f32(p), vdup_n_f32(0));
    return (vf32)(count == 2 ? x : vld1q_lane_f32(p + 2, x, 2));
}
static inline vf64 load_part_f64(const double *p, int count) {
    __asm__("" : "+r"(count));
    return (vf64)(count >= 2 ? vld1q_f64(p) : vld1q_lane_f64(p, vdupq_n_f64(0), 0));
}
static inline void store_part_f32(float *p, vf32 x, int count) {
    float32x4_t y = (float32x4_t)x;
    if (count >= 4) { vst1q_f32(p, y); return; }
    if (count & 2) {
        vst1_f32(p, vget_low_f32(y));
        y = vextq_f32(y, y, 2);
        p += 2;
    }
    if (count & 1) vst1q_lane_f32(p, y, 0);
}
static inline void store_part_f64(double *p, vf64 x, int count) {
    if (count >= 2) vst1q_f64(p, (float64x2_t)x);
    else vst1q_lane_f64(p, (float64x2_t)x, 0);
}

#else

static inline vf32 load_part_f32(const float *p, int count) {
    float lanes[LANES_F32] = {0};
    for (int k = 0; k < count; k++) lanes[k] = p[k];
    return load_f32(lanes);
}
static inline vf64 load_part_f64(const double *p, int count) {
    double lanes[LANES_F64] = {0};
    for (int k = 0; k < count; k++) lanes[k] = p[k];
    return load_f64(lanes);
}
static inline void store_part_f32(float *p, vf32 x, int count) {
    float lanes[LANES_F32];
    store_f32(lanes, x);
    for (int k = 0; k < count; k++) p[k] = lanes[k];
}
static inline void store_part_f64(double *p, vf64 x, int count) {
    double lanes[LANES_F64];
    store_f64(lanes, x);
    for (int k = 0; k < count; k++) p[k] = lanes[k];
}

#endif

/* x, but 0 in the lanes after the first `count`. */
#if defined(VECTORS_AVX512)
static inline vf32 first_lanes_f32(vf32 x, int count) {
    return (vf32)_mm512_maskz_mov_ps((__mmask16)(0xffffu >> (16 - count)), (__m512)x);
}
static inline vf64 first_lanes_f64(vf64 x, int count) {
    return (vf64)_mm512_maskz_mov_pd((__mmask8)(0xffu >> (8 - count)), (__m512d)x);
}
#elif LANES_F64 > 1
static inline vf32 first_lanes_f32(vf32 x, int count) {
    return (vf32)((vi32)x & *(const vi32 *)(LANE_MASK_32 + LANES_F32 - count));
}
static inline vf64 first_lanes_f64(vf64 x, int count) {
    return (vf64)((vi64)x & *(const vi64 *)(LANE_MASK_64 + LANES_F64 - count));
}
#else
static inline vf32 first_lanes_f32(vf32 x, int count) { return count ? x : zero_f32(); }
static inline vf64 first_lanes_f64(vf64 x, int count) { return count ? x : zero_f64(); }
#endif

/* Lane k of x, which p holds too, in every lane: who waits for x waits less in a register. */
#if defined(VECTORS_AVX512)
static inline vf32 lane_f32(vf32 x, const float *p, int k) {
    (void)p;
    return (vf32)_mm512_permutexvar_ps(_mm512_set1_epi32(k), (__m512)x);
}
static inline vf64 lane_f64(vf64 x, const double *p, int k) {
    (void)p;
    return (vf64)_mm512_permutexvar_pd(_mm512_set1_epi64(k), (__m512d)x);
}
#else
#if defined(VECTORS_AVX2)
static inline vf32 lane_f32(vf32 x, const float *p, int k) {
    (void)p;
    return (vf32)_mm256_permutevar8x32_ps((__m256)x, _mm256_set1_epi32(k));
}
#else
static inline vf32 lane_f32(vf32 x, const float *p, int k) {
    (void)x;
    return broadcast_f32(p + k);
}
#endif
static inline vf64 lane_f64(vf64 x, const double *p, int k) {
    (void)x;
    return broadcast_f64(p + k);
}
#endif

/* x where it is positive or NaN, else 0; and 1 where it is positive, else 0. */
#if LANES_F64 > 1
static inline vf32 positive_part_f32(vf32 x) {
    return (vf32)((vi32)x & ~(vi32)(x < zero_f32()));
}
static inline vf64 positive_part_f64(vf64 x) {
    return (vf64)((vi64)x & ~(vi64)(x < zero_f64()));
}
static inline vf32 is_positive_f32(vf32 x) {
    const vf32 one = zero_f32() + 1.0f;
    return (vf32)((vi32)one & (vi32)(x > zero_f32()));
}
static inline vf64 is_positive_f64(vf64 x) {
    const vf64 one = zero_f64() + 1.0;
    return (vf64)((vi64)one & (vi64)(x > zero_f64()));
}
#else
static inline vf32 positive_part_f32(vf32 x) { return x < 0 ? 0 : x; }
static inline vf64 positive_part_f64(vf64 x) { return x < 0 ? 0 : x; }
static inline vf32 is_positive_f32(vf32 x) { return x > 0; }
static inline vf64 is_positive_f64(vf64 x) { return x > 0; }
#endif

/* The first `count` lanes as above; the others repeat the first. */
#if defined(VECTORS_AVX512)
static inline vf32 load_repeated_f32(const float *p, int count) {
    return (vf32)_mm512_mask_loadu_ps(_mm512_set1_ps(*p), (__mmask16)(0xffffu >> (16 - count)), p);
}
static inline vf64 load_repeated_f64(const double *p, int count) {
    return (vf64)_mm512_mask_loadu_pd(_mm512_set1_pd(*p), (__mmask8)(0xffu >> (8 - count)), p);
}
#else
static inline vf32 load_repeated_f32(const float *p, int count) {
    float lanes[LANES_F32];
    for (int k = 0; k < LANES_F32; k++) lanes[k] = p[k < count ? k : 0];
    return load_f32(lanes);
}
static inline vf64 load_repeated_f64(const double *p, int count) {
    double lanes[LANES_F64];
    for (int k = 0; k < LANES_F64; k++) lanes[k] = p[k < count ? k : 0];
    return load_f64(lanes);
}
#endif

#endif
