/* The sum of the lanes, in halves: lane i and lane i + lanes/2, and so on. sum4 does four vectors
 * at once, in the same order, and puts start + sum side by side; sums a vector full of vectors, of
 * which the first `count` matter; only_sum, of a vector whose first `used` lanes alone are not 0,
 * leaves 0 in all lanes but the first; sum_everywhere leaves the sum in each. wide makes float64 of as many float32, for a sum in that. */
#ifndef BPCORE_VECTOR_SUMS_H
#define BPCORE_VECTOR_SUMS_H

#include <string.h>

#include "vector.h"

#if defined(VECTORS_AVX512)

static inline float sum_f32(vf32 x) {
    __m256 h = _mm256_add_ps(_mm512_castps512_ps256((__m512)x),
                             _mm256_castpd_ps(_mm512_extractf64x4_pd((__m512d)(__m512)x, 1)));
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}
static inline double sum_f64(vf64 x) {
    __m256d h = _mm256_add_pd(_mm512_castpd512_pd256((__m512d)x),
                              _mm512_extractf64x4_pd((__m512d)x, 1));
    __m128d s = _mm_add_pd(_mm256_castpd256_pd128(h), _mm256_extractf128_pd(h, 1));
    return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}
static inline vf64 wide_f32(const float *p) { return (vf64)_mm512_cvtps_pd(_mm256_loadu_ps(p)); }
static inline __m128 sums_of_4(vf32 x0, vf32 x1, vf32 x2, vf32 x3) {
    __m512 a = (__m512)x0, b = (__m512)x1, c = (__m512)x2, d = (__m512)x3;
    __m512 ab = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
    __m512 cd = _mm512_add_ps(_mm512_shuffle_f32x4(c, d, 0x44), _mm512_shuffle_f32x4(c, d, 0xee));
    __m512 s = _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xdd));
    s = _mm512_add_ps(s, _mm512_permute_ps(s, 0x4e));
    s = _mm512_add_ps(s, _mm512_permute_ps(s, 0xb1));
    s = _mm512_permutexvar_ps(_mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), s);
    return _mm512_castps512_ps128(s);
}
static inline __m256d sums_of_4_f64(vf64 x0, vf64 x1, vf64 x2, vf64 x3) {
    __m512d a = (__m512d)x0, b = (__m512d)x1, c = (__m512d)x2, d = (__m512d)x3;
    __m512d ab = _mm512_add_pd(_mm512_shuffle_f64x2(a, b, 0x44), _mm512_shuffle_f64x2(a, b, 0xee));
    __m512d cd = _mm512_add_pd(_mm512_shuffle_f64x2(c, d, 0x44), _mm512_shuffle_f64x2(c, d, 0xee));
    __m512d s = _mm512_add_pd(_mm512_shuffle_f64x2(ab, cd, 0x88), _mm512_shuffle_f64x2(ab, cd, 0xdd));
    s = _mm512_add_pd(s, _mm512_permute_pd(s, 0x55));
    return _mm512_castpd512_pd256(
        _mm512_permutexvar_pd(_mm512_setr_epi64(0, 2, 4, 6, 0, 0, 0, 0), s));
}
static inline void sum4_f32(float *p, const float *start, vf32 x0, vf32 x1, vf32 x2, vf32 x3) {
    _mm_storeu_ps(p, _mm_add_ps(_mm_loadu_ps(start), sums_of_4(x0, x1, x2, x3)));
}
static inline void sum4_f64(double *p, const double *start, vf64 x0, vf64 x1, vf64 x2, vf64 x3) {
    _mm256_storeu_pd(p, _mm256_add_pd(_mm256_loadu_pd(start), sums_of_4_f64(x0, x1, x2, x3)));
}
static inline vf32 sums_f32(const vf32 *x, int count) {
    __m512 s = _mm512_zextps128_ps512(sums_of_4(x[0], x[1], x[2], x[3]));
    if (count > 4) s = _mm512_insertf32x4(s, sums_of_4(x[4], x[5], x[6], x[7]), 1);
    if (count > 8) s = _mm512_insertf32x4(s, sums_of_4(x[8], x[9], x[10], x[11]), 2);
    if (count > 12) s = _mm512_insertf32x4(s, sums_of_4(x[12], x[13], x[14], x[15]), 3);
    return (vf32)s;
}
static inline vf64 sums_f64(const vf64 *x, int count) {
    __m512d s = _mm512_zextpd256_pd512(sums_of_4_f64(x[0], x[1], x[2], x[3]));
    if (count > 4) s = _mm512_insertf64x4(s, sums_of_4_f64(x[4], x[5], x[6], x[7]), 1);
    return (vf64)s;
}
/* The same where all but the first 16 bytes, or 32 with `wide`, are 0: half the time to the result. */
static inline __m128 low_f32(vf32 x, int wide) {
    __m128 low = _mm512_castps512_ps128((__m512)x);
    return wide ? _mm_add_ps(low, _mm256_extractf128_ps(_mm512_castps512_ps256((__m512)x), 1)) : low;
}
static inline __m128d low_f64(vf64 x, int wide) {
    __m128d low = _mm512_castpd512_pd128((__m512d)x);
    return wide ? _mm_add_pd(low, _mm256_extractf128_pd(_mm512_castpd512_pd256((__m512d)x), 1)) : low;
}
static inline __m128 low_sums_of_4(const vf32 *x, int wide) {
    __m128 a = low_f32(x[0], wide), b = low_f32(x[1], wide);
    __m128 c = low_f32(x[2], wide), d = low_f32(x[3], wide);
    __m128 ab = _mm_add_ps(_mm_shuffle_ps(a, b, 0x44), _mm_shuffle_ps(a, b, 0xee));
    __m128 cd = _mm_add_ps(_mm_shuffle_ps(c, d, 0x44), _mm_shuffle_ps(c, d, 0xee));
    return _mm_add_ps(_mm_shuffle_ps(ab, cd, 0x88), _mm_shuffle_ps(ab, cd, 0xdd));
}
static inline __m128d low_sums_of_2(const vf64 *x, int wide) {
    __m128d a = low_f64(x[0], wide), b = low_f64(x[1], wide);
    return _mm_add_pd(_mm_unpacklo_pd(a, b), _mm_unpackhi_pd(a, b));
}
static inline vf32 low_sums_f32(const vf32 *x, int count, int wide) {
    __m512 s = _mm512_zextps128_ps512(low_sums_of_4(x, wide));
    if (count > 4) s = _mm512_insertf32x4(s, low_sums_of_4(x + 4, wide), 1);
    if (count > 8) s = _mm512_insertf32x4(s, low_sums_of_4(x + 8, wide), 2);
    if (count > 12) s = _mm512_insertf32x4(s, low_sums_of_4(x + 12, wide), 3);
    return (vf32)s;
}
static inline vf64 low_sums_f64(const vf64 *x, int count, int wide) {
    __m512d s = _mm512_zextpd128_pd512(low_sums_of_2(x, wide));
    if (count > 2) s = _mm512_insertf64x2(s, low_sums_of_2(x + 2, wide), 1);
    if (count > 4) s = _mm512_insertf64x2(s, low_sums_of_2(x + 4, wide), 2);
    if (count > 6) s = _mm512_insertf64x2(s, low_sums_of_2(x + 6, wide), 3);
    return (vf64)s;
}
#define LOW_SUMS 16 /* bytes */

#else

#if defined(VECTORS_AVX2)

static inline float sum_f32(vf32 x) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128((__m256)x), _mm256_extractf128_ps((__m256)x, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}
static inline double sum_f64(vf64 x) {
    __m128d s = _mm_add_pd(_mm256_castpd256_pd128((__m256d)x),
                           _mm256_extractf128_pd((__m256d)x, 1));
    return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}
static inline vf64 wide_f32(const float *p) { return (vf64)_mm256_cvtps_pd(_mm_loadu_ps(p)); }

#elif defined(VECTORS_NEON)

static inline float sum_f32(vf32 x) {
    float32x4_t y = (float32x4_t)x;
    return vpadds_f32(vadd_f32(vget_low_f32(y), vget_high_f32(y)));
}
static inline double sum_f64(vf64 x) { return vpaddd_f64((float64x2_t)x); }
static inline vf64 wide_f32(const float *p) { return (vf64)vcvt_f64_f32(vld1_f32(p)); }
/* lane i + lane i + 2 of both */
static inline float32x4_t halves_of_2(vf32 x0, vf32 x1) {
    float32x4_t a = (float32x4_t)x0, b = (float32x4_t)x1;
    return vaddq_f32(vcombine_f32(vget_low_f32(a), vget_low_f32(b)),
                     vcombine_f32(vget_high_f32(a), vget_high_f32(b)));
}
static inline float32x4_t sums_of_4(vf32 x0, vf32 x1, vf32 x2, vf32 x3) {
    return vpaddq_f32(halves_of_2(x0, x1), halves_of_2(x2, x3));
}

#else

static inline float sum_f32(vf32 x) {
    float lanes[LANES_F32];
    memcpy(lanes, &x, sizeof x);
    for (int half = LANES_F32 / 2; half; half /= 2)
        for (int k = 0; k < half; k++) lanes[k] += lanes[k + half];
    return lanes[0];
}
static inline double sum_f64(vf64 x) {
    double lanes[LANES_F64];
    memcpy(lanes, &x, sizeof x);
    for (int half = LANES_F64 / 2; half; half /= 2)
        for (int k = 0; k < half; k++) lanes[k] += lanes[k + half];
    return lanes[0];
}
static inline vf64 wide_f32(const float *p) {
    double lanes[LANES_F64];
    for (int k = 0; k < LANES_F64; k++) lanes[k] = p[k];
    return load_f64(lanes);
}

#endif

#if defined(VECTORS_NEON)
static inline void sum4_f32(float *p, const float *start, vf32 x0, vf32 x1, vf32 x2, vf32 x3) {
    vst1q_f32(p, vaddq_f32(vld1q_f32(start), sums_of_4(x0, x1, x2, x3)));
}
static inline void sum4_f64(double *p, const double *start, vf64 x0, vf64 x1, vf64 x2, vf64 x3) {
    vst1q_f64(p, vaddq_f64(vld1q_f64(start), vpaddq_f64((float64x2_t)x0, (float64x2_t)x1)));
    vst1q_f64(p + 2, vaddq_f64(vld1q_f64(start + 2), vpaddq_f64((float64x2_t)x2, (float64x2_t)x3)));
}
#else
static inline void sum4_f32(float *p, const float *start, vf32 x0, vf32 x1, vf32 x2, vf32 x3) {
    p[0] = start[0] + sum_f32(x0); p[1] = start[1] + sum_f32(x1);
    p[2] = start[2] + sum_f32(x2); p[3] = start[3] + sum_f32(x3);
}
static inline void sum4_f64(double *p, const double *start, vf64 x0, vf64 x1, vf64 x2, vf64 x3) {
    p[0] = start[0] + sum_f64(x0); p[1] = start[1] + sum_f64(x1);
    p[2] = start[2] + sum_f64(x2); p[3] = start[3] + sum_f64(x3);
}
#endif
#if defined(VECTORS_AVX2)
static inline __m128 sums_of_4(vf32 x0, vf32 x1, vf32 x2, vf32 x3) {
    __m256 a = (__m256)x0, b = (__m256)x1, c = (__m256)x2, d = (__m256)x3;
    __m256 ab = _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
    __m256 cd = _mm256_add_ps(_mm256_permute2f128_ps(c, d, 0x20), _mm256_permute2f128_ps(c, d, 0x31));
    __m256 s = _mm256_add_ps(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee));
    s = _mm256_add_ps(_mm256_shuffle_ps(s, s, 0xa0), _mm256_shuffle_ps(s, s, 0xf5));
    return _mm_unpacklo_ps(_mm_shuffle_ps(_mm256_castps256_ps128(s), _mm256_castps256_ps128(s), 0x88),
                           _mm_shuffle_ps(_mm256_extractf128_ps(s, 1), _mm256_extractf128_ps(s, 1), 0x88));
}
static inline vf32 sums_f32(const vf32 *x, int count) {
    __m128 low = sums_of_4(x[0], x[1], x[2], x[3]);
    __m128 high = count > 4 ? sums_of_4(x[4], x[5], x[6], x[7]) : _mm_setzero_ps();
    return (vf32)_mm256_insertf128_ps(_mm256_castps128_ps256(low), high, 1);
}
static inline vf64 sums_f64(const vf64 *x, int count) {
    (void)count;
    return (vf64)_mm256_setr_pd(sum_f64(x[0]), sum_f64(x[1]), sum_f64(x[2]), sum_f64(x[3]));
}
#elif defined(VECTORS_SSE)
static inline vf32 sums_f32(const vf32 *x, int count) {
    __m128 a = (__m128)x[0], b = (__m128)x[1], c = (__m128)x[2], d = (__m128)x[3];
    __m128 ab = _mm_add_ps(_mm_shuffle_ps(a, b, 0x44), _mm_shuffle_ps(a, b, 0xee));
    __m128 cd = _mm_add_ps(_mm_shuffle_ps(c, d, 0x44), _mm_shuffle_ps(c, d, 0xee));
    (void)count;
    return (vf32)_mm_add_ps(_mm_shuffle_ps(ab, cd, 0x88), _mm_shuffle_ps(ab, cd, 0xdd));
}
static inline vf64 sums_f64(const vf64 *x, int count) {
    __m128d a = (__m128d)x[0], b = (__m128d)x[1];
    (void)count;
    return (vf64)_mm_add_pd(_mm_unpacklo_pd(a, b), _mm_unpackhi_pd(a, b));
}
#elif defined(VECTORS_NEON)
static inline vf32 sums_f32(const vf32 *x, int count) {
    (void)count;
    return (vf32)sums_of_4(x[0], x[1], x[2], x[3]);
}
static inline vf64 sums_f64(const vf64 *x, int count) {
    (void)count;
    return (vf64)vpaddq_f64((float64x2_t)x[0], (float64x2_t)x[1]);
}
#else
static inline vf32 sums_f32(const vf32 *x, int count) {
    float lanes[LANES_F32] = {0};
    for (int k = 0; k < count; k++) lanes[k] = sum_f32(x[k]);
    return load_f32(lanes);
}
static inline vf64 sums_f64(const vf64 *x, int count) {
    double lanes[LANES_F64] = {0};
    for (int k = 0; k < count; k++) lanes[k] = sum_f64(x[k]);
    return load_f64(lanes);
}
#endif

#endif

#if defined(VECTORS_AVX512) || defined(VECTORS_AVX2)
/* Who waits for the sum waits for the halves alone that may hold something. */
static inline __m128 total_f32(vf32 x, int used) {
#if defined(VECTORS_AVX512)
    __m256 half = _mm512_castps512_ps256((__m512)x);
    if (used > 8)
        half = _mm256_add_ps(half, _mm256_castpd_ps(
            _mm512_extractf64x4_pd((__m512d)(__m512)x, 1)));
#else
    __m256 half = (__m256)x;
#endif
    __m128 s = _mm256_castps256_ps128(half);
    if (used > 4) s = _mm_add_ps(s, _mm256_extractf128_ps(half, 1));
    if (used > 2) s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_add_ss(s, _mm_shuffle_ps(s, s, 1));
}
static inline __m128d total_f64(vf64 x, int used) {
#if defined(VECTORS_AVX512)
    __m256d half = _mm512_castpd512_pd256((__m512d)x);
    if (used > 4) half = _mm256_add_pd(half, _mm512_extractf64x4_pd((__m512d)x, 1));
#else
    __m256d half = (__m256d)x;
#endif
    __m128d s = _mm256_castpd256_pd128(half);
    if (used > 2) s = _mm_add_pd(s, _mm256_extractf128_pd(half, 1));
    return _mm_add_sd(s, _mm_unpackhi_pd(s, s));
}
static inline vf32 only_sum_f32(vf32 x, int used) {
    return (vf32){_mm_cvtss_f32(total_f32(x, used))};
}
static inline vf64 only_sum_f64(vf64 x, int used) {
    return (vf64){_mm_cvtsd_f64(total_f64(x, used))};
}
#if defined(VECTORS_AVX512)
static inline vf32 sum_everywhere_f32(vf32 x, int used) {
    __m512 s = (__m512)x;
    if (used <= 4) return (vf32)_mm512_broadcastss_ps(total_f32(x, used));
    if (used > 8) s = _mm512_add_ps(s, _mm512_shuffle_f32x4(s, s, 0x4e));
    s = _mm512_add_ps(s, _mm512_shuffle_f32x4(s, s, 0xb1));
    s = _mm512_add_ps(s, _mm512_permute_ps(s, 0x4e));
    s = _mm512_add_ps(s, _mm512_permute_ps(s, 0xb1));
    return (vf32)(used > 8 ? s : _mm512_shuffle_f32x4(s, s, 0));
}
static inline vf64 sum_everywhere_f64(vf64 x, int used) {
    __m512d s = (__m512d)x;
    if (used <= 4) return (vf64)_mm512_broadcastsd_pd(total_f64(x, used));
    s = _mm512_add_pd(s, _mm512_shuffle_f64x2(s, s, 0x4e));
    s = _mm512_add_pd(s, _mm512_shuffle_f64x2(s, s, 0xb1));
    return (vf64)_mm512_add_pd(s, _mm512_permute_pd(s, 0x55));
}
#else
static inline vf32 sum_everywhere_f32(vf32 x, int used) {
    __m256 s = (__m256)x;
    if (used <= 4) return (vf32)_mm256_broadcastss_ps(total_f32(x, used));
    s = _mm256_add_ps(s, _mm256_permute2f128_ps(s, s, 1));
    s = _mm256_add_ps(s, _mm256_permute_ps(s, 0x4e));
    return (vf32)_mm256_add_ps(s, _mm256_permute_ps(s, 0xb1));
}
static inline vf64 sum_everywhere_f64(vf64 x, int used) {
    __m256d s = (__m256d)x;
    if (used <= 2) return (vf64)_mm256_broadcastsd_pd(total_f64(x, used));
    s = _mm256_add_pd(s, _mm256_permute2f128_pd(s, s, 1));
    return (vf64)_mm256_add_pd(s, _mm256_permute_pd(s, 5));
}
#endif
#else
static inline vf32 only_sum_f32(vf32 x, int used) { (void)used; return (vf32){sum_f32(x)}; }
static inline vf64 only_sum_f64(vf64 x, int used) { (void)used; return (vf64){sum_f64(x)}; }
static inline vf32 sum_everywhere_f32(vf32 x, int used) { (void)used; return sum_f32(x) - zero_f32(); }
static inline vf64 sum_everywhere_f64(vf64 x, int used) { (void)used; return sum_f64(x) - zero_f64(); }
#endif

#ifndef LOW_SUMS
#define LOW_SUMS 0
#define low_sums_f32(x, count, wide) sums_f32(x, count)
#define low_sums_f64(x, count, wide) sums_f64(x, count)
#endif

#endif
