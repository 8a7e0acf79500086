/* Which numbers are not 0, as bits: bit k for p[k]. NaN is none that can be passed over. */
#ifndef BPCORE_NONZEROS_H
#define BPCORE_NONZEROS_H

#include "vector_parts.h"

/* The lanes that are not 0. */
#if defined(VECTORS_AVX512)
static inline unsigned nonzero_lanes_f32(vf32 x) {
    return _mm512_cmp_ps_mask((__m512)x, _mm512_setzero_ps(), _CMP_NEQ_UQ);
}
static inline unsigned nonzero_lanes_f64(vf64 x) {
    return _mm512_cmp_pd_mask((__m512d)x, _mm512_setzero_pd(), _CMP_NEQ_UQ);
}
#elif defined(VECTORS_AVX2)
static inline unsigned nonzero_lanes_f32(vf32 x) {
    return (unsigned)_mm256_movemask_ps(_mm256_cmp_ps((__m256)x, _mm256_setzero_ps(), _CMP_NEQ_UQ));
}
static inline unsigned nonzero_lanes_f64(vf64 x) {
    return (unsigned)_mm256_movemask_pd(_mm256_cmp_pd((__m256d)x, _mm256_setzero_pd(), _CMP_NEQ_UQ));
}
#elif defined(VECTORS_SSE)
static inline unsigned nonzero_lanes_f32(vf32 x) {
    return (unsigned)_mm_movemask_ps(_mm_cmpneq_ps((__m128)x, _mm_setzero_ps()));
}
static inline unsigned nonzero_lanes_f64(vf64 x) {
    return (unsigned)_mm_movemask_pd(_mm_cmpneq_pd((__m128d)x, _mm_setzero_pd()));
}
#else
static inline unsigned nonzero_lanes_f32(vf32 x) {
    float lanes[LANES_F32];
    unsigned bits = 0;
    store_f32(lanes, x);
    for (int k = 0; k < LANES_F32; k++) bits |= (unsigned)(lanes[k] != 0) << k;
    return bits;
}
static inline unsigned nonzero_lanes_f64(vf64 x) {
    double lanes[LANES_F64];
    unsigned bits = 0;
    store_f64(lanes, x);
    for (int k = 0; k < LANES_F64; k++) bits |= (unsigned)(lanes[k] != 0) << k;
    return bits;
}
#endif

/* Those of p[0 … count - 1], count <= 64. */
static inline uint64_t nonzeros_f32(const float *p, int count) {
    uint64_t bits = 0;
    for (int k = 0; k < count; k += LANES_F32) {
        vf32 x = count - k >= LANES_F32 ? load_f32(p + k) : load_part_f32(p + k, count - k);
        bits |= (uint64_t)nonzero_lanes_f32(x) << k;
    }
    return bits;
}
static inline uint64_t nonzeros_f64(const double *p, int count) {
    uint64_t bits = 0;
    for (int k = 0; k < count; k += LANES_F64) {
        vf64 x = count - k >= LANES_F64 ? load_f64(p + k) : load_part_f64(p + k, count - k);
        bits |= (uint64_t)nonzero_lanes_f64(x) << k;
    }
    return bits;
}

/* The lowest bit's place, of bits != 0; and how many there are. */
#if defined(__GNUC__) || defined(__clang__)
static inline int lowest_bit(uint64_t bits) { return __builtin_ctzll(bits); }
static inline int count_bits(uint64_t bits) { return __builtin_popcountll(bits); }
#else
static inline int lowest_bit(uint64_t bits) {
    int k = 0;
    while (!(bits >> k & 1)) k++;
    return k;
}
static inline int count_bits(uint64_t bits) {
    int count = 0;
    for (; bits; bits &= bits - 1) count++;
    return count;
}
#endif

#endif
