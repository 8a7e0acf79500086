/* The nonzero numbers of a row: how many there are, and themselves, side by side, each with the
 * place that it came from.
 *
 * values[0 …] and offsets[0 …] get x and i * step of every x = p[i] != 0, in order; returned is
 * how many there are. Up to a vector behind them is overwritten.
 */
#ifndef BPCORE_NONZEROS_H
#define BPCORE_NONZEROS_H

#include "vector_parts.h"

/* NONZERO_WORK is what it takes to write down an element, in multiply-adds of a vector. */
#if defined(VECTORS_AVX512)

#define NONZERO_WORK 0.7
static inline ptrdiff_t count_nonzeros_f32(const float *p, ptrdiff_t count) {
    ptrdiff_t found = 0;
    for (ptrdiff_t i = 0; i < count; i += 16) {
        __m512 x = (__m512)(count - i >= 16 ? load_f32(p + i) : load_part_f32(p + i, (int)(count - i)));
        found += __builtin_popcount(_mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_NEQ_UQ));
    }
    return found;
}
static inline ptrdiff_t count_nonzeros_f64(const double *p, ptrdiff_t count) {
    ptrdiff_t found = 0;
    for (ptrdiff_t i = 0; i < count; i += 8) {
        __m512d x = (__m512d)(count - i >= 8 ? load_f64(p + i) : load_part_f64(p + i, (int)(count - i)));
        found += __builtin_popcount(_mm512_cmp_pd_mask(x, _mm512_setzero_pd(), _CMP_NEQ_UQ));
    }
    return found;
}
static inline ptrdiff_t nonzeros_f32(const float *p, ptrdiff_t count, int32_t step, float *values,
                                     int32_t *offsets) {
    __m512i at = _mm512_mullo_epi32(
        _mm512_set1_epi32(step),
        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    ptrdiff_t found = 0;
    for (ptrdiff_t i = 0; i < count; i += 16) {
        __m512 x = (__m512)(count - i >= 16 ? load_f32(p + i) : load_part_f32(p + i, (int)(count - i)));
        __mmask16 mask = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_NEQ_UQ);
        _mm512_storeu_ps(values + found, _mm512_maskz_compress_ps(mask, x));
        _mm512_storeu_si512(offsets + found, _mm512_maskz_compress_epi32(mask, at));
        found += __builtin_popcount(mask);
        at = _mm512_add_epi32(at, _mm512_set1_epi32(16 * step));
    }
    return found;
}
static inline ptrdiff_t nonzeros_f64(const double *p, ptrdiff_t count, int32_t step, double *values,
                                     int32_t *offsets) {
    __m256i at = _mm256_mullo_epi32(_mm256_set1_epi32(step),
                                    _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    ptrdiff_t found = 0;
    for (ptrdiff_t i = 0; i < count; i += 8) {
        __m512d x = (__m512d)(count - i >= 8 ? load_f64(p + i) : load_part_f64(p + i, (int)(count - i)));
        __mmask8 mask = _mm512_cmp_pd_mask(x, _mm512_setzero_pd(), _CMP_NEQ_UQ);
        _mm512_storeu_pd(values + found, _mm512_maskz_compress_pd(mask, x));
        _mm256_storeu_si256((__m256i *)(offsets + found), _mm256_maskz_compress_epi32(mask, at));
        found += __builtin_popcount(mask);
        at = _mm256_add_epi32(at, _mm256_set1_epi32(8 * step));
    }
    return found;
}

#else

#define NONZERO_WORK 4.0
/* Counted in integers as wide as the numbers, so that the loops are vectors. */
static inline ptrdiff_t count_nonzeros_f32(const float *p, ptrdiff_t count) {
    int32_t found = 0;
    for (ptrdiff_t i = 0; i < count; i++) found += p[i] != 0;
    return found;
}
static inline ptrdiff_t count_nonzeros_f64(const double *p, ptrdiff_t count) {
    int64_t found = 0;
    for (ptrdiff_t i = 0; i < count; i++) found += p[i] != 0;
    return found;
}
/* Written always, counted only where x != 0: no branch that a processor could not foresee. */
static inline ptrdiff_t nonzeros_f32(const float *p, ptrdiff_t count, int32_t step, float *values,
                                     int32_t *offsets) {
    ptrdiff_t found = 0;
    for (ptrdiff_t i = 0; i < count; i++) {
        values[found] = p[i];
        offsets[found] = (int32_t)i * step;
        found += p[i] != 0;
    }
    return found;
}
static inline ptrdiff_t nonzeros_f64(const double *p, ptrdiff_t count, int32_t step, double *values,
                                     int32_t *offsets) {
    ptrdiff_t found = 0;
    for (ptrdiff_t i = 0; i < count; i++) {
        values[found] = p[i];
        offsets[found] = (int32_t)i * step;
        found += p[i] != 0;
    }
    return found;
}

#endif

#endif
