/* Vectors of the CPU level's width, as GCC/Clang vector-extension types.
 *
 * The operators + - * work on whole vectors, and the compiler picks the
 * instructions of the level it is told to build (-march); only what the
 * extension lacks is written here: the load and store of the first `count`
 * lanes (a matrix edge must neither be read nor written past its end).
 *
 * The typedefs carry the element's alignment, not the vector's, so that a
 * load is an unaligned one, and `may_alias`, since they look into float and
 * double arrays. A compiler without the extension (MSVC) gets vectors of one
 * lane: the same source, correct and slow; there build with clang-cl. Defining
 * BPCORE_ONE_LANE asks for that on any compiler.
 */
#ifndef BPCORE_VECTOR_H
#define BPCORE_VECTOR_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if (defined(__GNUC__) || defined(__clang__)) && !defined(BPCORE_ONE_LANE)

#if defined(__AVX512F__)
#include <immintrin.h>
#define VECTORS_AVX512
#define VECTOR_BYTES 64
#define TILE_ROWS 12 /* 12 x 2 accumulators of 32 registers */
#elif defined(__AVX2__)
#include <immintrin.h>
#define VECTORS_AVX2
#define VECTOR_BYTES 32
#define TILE_ROWS 6 /* 6 x 2 accumulators of 16 registers */
#elif defined(__aarch64__)
#define VECTOR_BYTES 16
#define TILE_ROWS 12
#else
#define VECTOR_BYTES 16
#define TILE_ROWS 6
#endif
#define LANES_F32 (VECTOR_BYTES / 4)
#define LANES_F64 (VECTOR_BYTES / 8)
typedef float vf32 __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));
typedef double vf64 __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));

#else

#define LANES_F32 1
#define LANES_F64 1
#define TILE_ROWS 4
typedef float vf32;
typedef double vf64;

#endif

static inline vf32 load_f32(const float *p) { return *(const vf32 *)p; }
static inline vf64 load_f64(const double *p) { return *(const vf64 *)p; }
static inline void store_f32(float *p, vf32 x) { *(vf32 *)p = x; }
static inline void store_f64(double *p, vf64 x) { *(vf64 *)p = x; }
static inline vf32 zero_f32(void) { return (vf32){0}; }
static inline vf64 zero_f64(void) { return (vf64){0}; }
/* Every lane the same value: x - 0 is x, signed zeros included. */
static inline vf32 broadcast_f32(const float *p) { return *p - (vf32){0}; }
static inline vf64 broadcast_f64(const double *p) { return *p - (vf64){0}; }

/* The sum of the lanes. */
#if defined(VECTORS_AVX512)

static inline float sum_f32(vf32 x) { return _mm512_reduce_add_ps((__m512)x); }
static inline double sum_f64(vf64 x) { return _mm512_reduce_add_pd((__m512d)x); }

#elif defined(VECTORS_AVX2)

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

#else

static inline float sum_f32(vf32 x) {
    float lanes[LANES_F32], s = 0;
    memcpy(lanes, &x, sizeof x);
    for (int k = 0; k < LANES_F32; k++) s += lanes[k];
    return s;
}
static inline double sum_f64(vf64 x) {
    double lanes[LANES_F64], s = 0;
    memcpy(lanes, &x, sizeof x);
    for (int k = 0; k < LANES_F64; k++) s += lanes[k];
    return s;
}

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

#else

#if defined(VECTORS_AVX2)

static const int32_t LANE_MASK_32[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
static const int64_t LANE_MASK_64[8] = {-1, -1, -1, -1};
static inline vf32 load_part_f32(const float *p, int count) {
    __m256i mask = _mm256_loadu_si256((const __m256i *)(LANE_MASK_32 + 8 - count));
    return (vf32)_mm256_maskload_ps(p, mask);
}
static inline vf64 load_part_f64(const double *p, int count) {
    __m256i mask = _mm256_loadu_si256((const __m256i *)(LANE_MASK_64 + 4 - count));
    return (vf64)_mm256_maskload_pd(p, mask);
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

#endif

/* Not vmaskmov: as a store it is microcoded, about 40 times slower, on AMD's processors. */
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

/* The bits of a floating-point number and back, for exponents made by shifts. */
static inline int32_t bits_of_f32(float x) { int32_t i; memcpy(&i, &x, sizeof i); return i; }
static inline int64_t bits_of_f64(double x) { int64_t i; memcpy(&i, &x, sizeof i); return i; }
static inline float f32_of_bits(int32_t i) { float x; memcpy(&x, &i, sizeof x); return x; }
static inline double f64_of_bits(int64_t i) { double x; memcpy(&x, &i, sizeof x); return x; }

#endif
