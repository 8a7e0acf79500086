/* A square of BLOCK x BLOCK elements, transposed: to[j ld_to + i] = from[i ld + j]. */
#ifndef BPCORE_VECTOR_SQUARES_H
#define BPCORE_VECTOR_SQUARES_H

#include <stddef.h>

#include "vector.h"

#if defined(VECTORS_AVX512) || defined(VECTORS_AVX2)

/* Rows i and i + BLOCK/2 are loaded as the halves of one vector: half of the shuffles are loads. */
#define BLOCK_F32 8
#define BLOCK_F64 4
#define HALVES(p, q) _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps(q), 1)
static inline void transpose_half_f32(const float *from, ptrdiff_t ld, float *to, ptrdiff_t ld_to) {
    __m256 a = HALVES(from, from + 4 * ld), b = HALVES(from + ld, from + 5 * ld);
    __m256 c = HALVES(from + 2 * ld, from + 6 * ld), d = HALVES(from + 3 * ld, from + 7 * ld);
    __m256 ab = _mm256_unpacklo_ps(a, b), cd = _mm256_unpacklo_ps(c, d);
    __m256 ef = _mm256_unpackhi_ps(a, b), gh = _mm256_unpackhi_ps(c, d);
    _mm256_storeu_ps(to, _mm256_shuffle_ps(ab, cd, 0x44));
    _mm256_storeu_ps(to + ld_to, _mm256_shuffle_ps(ab, cd, 0xee));
    _mm256_storeu_ps(to + 2 * ld_to, _mm256_shuffle_ps(ef, gh, 0x44));
    _mm256_storeu_ps(to + 3 * ld_to, _mm256_shuffle_ps(ef, gh, 0xee));
}
static inline void transpose_block_f32(const float *from, ptrdiff_t ld, float *to, ptrdiff_t ld_to) {
    transpose_half_f32(from, ld, to, ld_to);
    transpose_half_f32(from + 4, ld, to + 4 * ld_to, ld_to);
}
static inline void transpose_block_f64(const double *from, ptrdiff_t ld, double *to, ptrdiff_t ld_to) {
    for (int k = 0; k < 4; k += 2) {
        __m256d a = _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(from + k)),
                                         _mm_loadu_pd(from + 2 * ld + k), 1);
        __m256d b = _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(from + ld + k)),
                                         _mm_loadu_pd(from + 3 * ld + k), 1);
        _mm256_storeu_pd(to + k * ld_to, _mm256_unpacklo_pd(a, b));
        _mm256_storeu_pd(to + (k + 1) * ld_to, _mm256_unpackhi_pd(a, b));
    }
}

#elif defined(VECTORS_SSE)

#define BLOCK_F32 4
#define BLOCK_F64 2
static inline void transpose_block_f32(const float *from, ptrdiff_t ld, float *to, ptrdiff_t ld_to) {
    __m128 a = _mm_loadu_ps(from), b = _mm_loadu_ps(from + ld);
    __m128 c = _mm_loadu_ps(from + 2 * ld), d = _mm_loadu_ps(from + 3 * ld);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm_storeu_ps(to, a);
    _mm_storeu_ps(to + ld_to, b);
    _mm_storeu_ps(to + 2 * ld_to, c);
    _mm_storeu_ps(to + 3 * ld_to, d);
}
static inline void transpose_block_f64(const double *from, ptrdiff_t ld, double *to, ptrdiff_t ld_to) {
    __m128d a = _mm_loadu_pd(from), b = _mm_loadu_pd(from + ld);
    _mm_storeu_pd(to, _mm_unpacklo_pd(a, b));
    _mm_storeu_pd(to + ld_to, _mm_unpackhi_pd(a, b));
}

#elif defined(VECTORS_NEON)

#define BLOCK_F32 4
#define BLOCK_F64 2
static inline void transpose_block_f32(const float *from, ptrdiff_t ld, float *to, ptrdiff_t ld_to) {
    float32x4x2_t ac = vzipq_f32(vld1q_f32(from), vld1q_f32(from + 2 * ld));
    float32x4x2_t bd = vzipq_f32(vld1q_f32(from + ld), vld1q_f32(from + 3 * ld));
    float32x4x2_t low = vzipq_f32(ac.val[0], bd.val[0]), high = vzipq_f32(ac.val[1], bd.val[1]);
    vst1q_f32(to, low.val[0]);
    vst1q_f32(to + ld_to, low.val[1]);
    vst1q_f32(to + 2 * ld_to, high.val[0]);
    vst1q_f32(to + 3 * ld_to, high.val[1]);
}
static inline void transpose_block_f64(const double *from, ptrdiff_t ld, double *to, ptrdiff_t ld_to) {
    float64x2_t a = vld1q_f64(from), b = vld1q_f64(from + ld);
    vst1q_f64(to, vzip1q_f64(a, b));
    vst1q_f64(to + ld_to, vzip2q_f64(a, b));
}

#else

#define BLOCK_F32 1
#define BLOCK_F64 1
static inline void transpose_block_f32(const float *from, ptrdiff_t ld, float *to, ptrdiff_t ld_to) {
    (void)ld; (void)ld_to;
    *to = *from;
}
static inline void transpose_block_f64(const double *from, ptrdiff_t ld, double *to, ptrdiff_t ld_to) {
    (void)ld; (void)ld_to;
    *to = *from;
}

#endif

#endif
