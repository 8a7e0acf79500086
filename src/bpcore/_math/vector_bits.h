/* A number's bits, by lanes: its sign, a power of two made by a shift, a choice between two numbers. */
#ifndef BPCORE_VECTOR_BITS_H
#define BPCORE_VECTOR_BITS_H

#include <math.h>
#include <stdint.h>

#include "bits.h"
#include "vector.h"

#if LANES_F64 > 1

typedef int32_t vi32 __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));
typedef int64_t vi64 __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));

/* |x| */
static inline vf32 magnitude_f32(vf32 x) { return (vf32)((vi32)x & INT32_MAX); }
static inline vf64 magnitude_f64(vf64 x) { return (vf64)((vi64)x & INT64_MAX); }
/* m, which is not negative, with the sign of x */
static inline vf32 with_sign_of_f32(vf32 x, vf32 m) { return (vf32)((vi32)m | ((vi32)x & INT32_MIN)); }
static inline vf64 with_sign_of_f64(vf64 x, vf64 m) { return (vf64)((vi64)m | ((vi64)x & INT64_MIN)); }
/* 2^n of a number whose low bits are n, and the exponents' bias on top */
static inline vf32 power_of_two_f32(vf32 n) { return (vf32)((vi32)n << 23); }
static inline vf64 power_of_two_f64(vf64 n) { return (vf64)((vi64)n << 52); }
/* a where x < border, else b */
#if defined(VECTORS_AVX2) /* one instruction, which no compiler makes of the other three */
static inline vf32 below_f32(vf32 x, vf32 border, vf32 a, vf32 b) {
    return (vf32)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)(x < border));
}
static inline vf64 below_f64(vf64 x, vf64 border, vf64 a, vf64 b) {
    return (vf64)_mm256_blendv_pd((__m256d)b, (__m256d)a, (__m256d)(x < border));
}
#else
static inline vf32 below_f32(vf32 x, vf32 border, vf32 a, vf32 b) {
    const vi32 low = (vi32)(x < border);
    return (vf32)(((vi32)a & low) | ((vi32)b & ~low));
}
static inline vf64 below_f64(vf64 x, vf64 border, vf64 a, vf64 b) {
    const vi64 low = (vi64)(x < border);
    return (vf64)(((vi64)a & low) | ((vi64)b & ~low));
}
#endif

#else

static inline vf32 magnitude_f32(vf32 x) { return fabsf(x); }
static inline vf64 magnitude_f64(vf64 x) { return fabs(x); }
static inline vf32 with_sign_of_f32(vf32 x, vf32 m) {
    return f32_of_bits(bits_of_f32(m) | (bits_of_f32(x) & INT32_MIN));
}
static inline vf64 with_sign_of_f64(vf64 x, vf64 m) {
    return f64_of_bits(bits_of_f64(m) | (bits_of_f64(x) & INT64_MIN));
}
static inline vf32 power_of_two_f32(vf32 n) {
    return f32_of_bits((int32_t)((uint32_t)bits_of_f32(n) << 23));
}
static inline vf64 power_of_two_f64(vf64 n) {
    return f64_of_bits((int64_t)((uint64_t)bits_of_f64(n) << 52));
}
static inline vf32 below_f32(vf32 x, vf32 border, vf32 a, vf32 b) { return x < border ? a : b; }
static inline vf64 below_f64(vf64 x, vf64 border, vf64 a, vf64 b) { return x < border ? a : b; }

#endif

#endif
