/* The larger and the smaller of each pair of lanes, and the largest of all (which a NaN may hide or be).
 * Where y is NaN, so is the smaller. */
#ifndef BPCORE_VECTOR_LARGEST_H
#define BPCORE_VECTOR_LARGEST_H

#include <string.h>

#include "vector.h"

#if defined(VECTORS_AVX512)
static inline vf32 larger_f32(vf32 x, vf32 y) { return (vf32)_mm512_max_ps((__m512)x, (__m512)y); }
static inline vf64 larger_f64(vf64 x, vf64 y) { return (vf64)_mm512_max_pd((__m512d)x, (__m512d)y); }
static inline vf32 smaller_f32(vf32 x, vf32 y) { return (vf32)_mm512_min_ps((__m512)x, (__m512)y); }
static inline vf64 smaller_f64(vf64 x, vf64 y) { return (vf64)_mm512_min_pd((__m512d)x, (__m512d)y); }
#elif defined(VECTORS_AVX2)
static inline vf32 larger_f32(vf32 x, vf32 y) { return (vf32)_mm256_max_ps((__m256)x, (__m256)y); }
static inline vf64 larger_f64(vf64 x, vf64 y) { return (vf64)_mm256_max_pd((__m256d)x, (__m256d)y); }
static inline vf32 smaller_f32(vf32 x, vf32 y) { return (vf32)_mm256_min_ps((__m256)x, (__m256)y); }
static inline vf64 smaller_f64(vf64 x, vf64 y) { return (vf64)_mm256_min_pd((__m256d)x, (__m256d)y); }
#elif defined(VECTORS_SSE)
static inline vf32 larger_f32(vf32 x, vf32 y) { return (vf32)_mm_max_ps((__m128)x, (__m128)y); }
static inline vf64 larger_f64(vf64 x, vf64 y) { return (vf64)_mm_max_pd((__m128d)x, (__m128d)y); }
static inline vf32 smaller_f32(vf32 x, vf32 y) { return (vf32)_mm_min_ps((__m128)x, (__m128)y); }
static inline vf64 smaller_f64(vf64 x, vf64 y) { return (vf64)_mm_min_pd((__m128d)x, (__m128d)y); }
#elif defined(VECTORS_NEON)
static inline vf32 larger_f32(vf32 x, vf32 y) {
    return (vf32)vmaxq_f32((float32x4_t)x, (float32x4_t)y);
}
static inline vf64 larger_f64(vf64 x, vf64 y) {
    return (vf64)vmaxq_f64((float64x2_t)x, (float64x2_t)y);
}
static inline vf32 smaller_f32(vf32 x, vf32 y) {
    return (vf32)vminq_f32((float32x4_t)x, (float32x4_t)y);
}
static inline vf64 smaller_f64(vf64 x, vf64 y) {
    return (vf64)vminq_f64((float64x2_t)x, (float64x2_t)y);
}
#else
static inline vf32 larger_f32(vf32 x, vf32 y) {
    float a[LANES_F32], b[LANES_F32];
    memcpy(a, &x, sizeof x);
    memcpy(b, &y, sizeof y);
    for (int k = 0; k < LANES_F32; k++) a[k] = a[k] > b[k] ? a[k] : b[k];
    return load_f32(a);
}
static inline vf64 larger_f64(vf64 x, vf64 y) {
    double a[LANES_F64], b[LANES_F64];
    memcpy(a, &x, sizeof x);
    memcpy(b, &y, sizeof y);
    for (int k = 0; k < LANES_F64; k++) a[k] = a[k] > b[k] ? a[k] : b[k];
    return load_f64(a);
}
static inline vf32 smaller_f32(vf32 x, vf32 y) {
    float a[LANES_F32], b[LANES_F32];
    memcpy(a, &x, sizeof x);
    memcpy(b, &y, sizeof y);
    for (int k = 0; k < LANES_F32; k++) a[k] = a[k] < b[k] ? a[k] : b[k];
    return load_f32(a);
}
static inline vf64 smaller_f64(vf64 x, vf64 y) {
    double a[LANES_F64], b[LANES_F64];
    memcpy(a, &x, sizeof x);
    memcpy(b, &y, sizeof y);
    for (int k = 0; k < LANES_F64; k++) a[k] = a[k] < b[k] ? a[k] : b[k];
    return load_f64(a);
}
#endif
#if defined(VECTORS_AVX512)
static inline float largest_f32(vf32 x) { return _mm512_reduce_max_ps((__m512)x); }
static inline double largest_f64(vf64 x) { return _mm512_reduce_max_pd((__m512d)x); }
#else
static inline float largest_f32(vf32 x) {
    float lanes[LANES_F32];
    memcpy(lanes, &x, sizeof x);
    for (int half = LANES_F32 / 2; half; half /= 2)
        for (int k = 0; k < half; k++)
            lanes[k] = lanes[k] > lanes[k + half] ? lanes[k] : lanes[k + half];
    return lanes[0];
}
static inline double largest_f64(vf64 x) {
    double lanes[LANES_F64];
    memcpy(lanes, &x, sizeof x);
    for (int half = LANES_F64 / 2; half; half /= 2)
        for (int k = 0; k < half; k++)
            lanes[k] = lanes[k] > lanes[k + half] ? lanes[k] : lanes[k + half];
    return lanes[0];
}
#endif

#endif
