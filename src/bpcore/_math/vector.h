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
#define VECTORS_SSE
#define VECTOR_BYTES 32
#define TILE_ROWS 6 /* 6 x 2 accumulators of 16 registers */
#elif defined(__aarch64__)
#include <arm_neon.h>
#define VECTORS_NEON
#define VECTOR_BYTES 16
#define TILE_ROWS 12
#else
#if defined(__SSE2__)
#include <immintrin.h>
#define VECTORS_SSE
#endif
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
/* Eight vectors of any level's. */
static const double ZEROS[64] = {0};
/* Every lane the same value: x - 0 is x, signed zeros included. */
static inline vf32 broadcast_f32(const float *p) { return *p - (vf32){0}; }
static inline vf64 broadcast_f64(const double *p) { return *p - (vf64){0}; }

#if defined(__GNUC__) || defined(__clang__)
#define PREFETCH(p) __builtin_prefetch(p)
#else
#define PREFETCH(p) ((void)(p))
#endif
static inline void prefetch(const void *p) { PREFETCH(p); }

/* From here on the compiler knows nothing of how p came about: it keeps p itself in a register,
 * and not twelve pointers derived from it, more than there are registers. */
#if (defined(__GNUC__) || defined(__clang__))
#define hold(p) __asm__("" : "+r"(p))
#else
#define hold(p) ((void)0)
#endif

/* x as it is rounded here, not as a part of a fused multiply-add. */
#if (defined(__GNUC__) || defined(__clang__)) && defined(__SSE2__)
static inline double rounded(double x) { __asm__("" : "+x"(x)); return x; }
#elif (defined(__GNUC__) || defined(__clang__)) && defined(__aarch64__)
static inline double rounded(double x) { __asm__("" : "+w"(x)); return x; }
#else
static inline double rounded(double x) { volatile double y = x; return y; }
#endif

/* The sum of the lanes, in halves: lane i and lane i + lanes/2, and so on. sum4 does four vectors
 * at once, in the same order, and puts the sums side by side; sums a vector full of vectors, of
 * which the first `count` matter. */
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
static inline void sum4_f32(float *p, vf32 x0, vf32 x1, vf32 x2, vf32 x3) {
    _mm_storeu_ps(p, sums_of_4(x0, x1, x2, x3));
}
static inline void sum4_f64(double *p, vf64 x0, vf64 x1, vf64 x2, vf64 x3) {
    _mm256_storeu_pd(p, sums_of_4_f64(x0, x1, x2, x3));
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

#endif

static inline void sum4_f32(float *p, vf32 x0, vf32 x1, vf32 x2, vf32 x3) {
    p[0] = sum_f32(x0); p[1] = sum_f32(x1); p[2] = sum_f32(x2); p[3] = sum_f32(x3);
}
static inline void sum4_f64(double *p, vf64 x0, vf64 x1, vf64 x2, vf64 x3) {
    p[0] = sum_f64(x0); p[1] = sum_f64(x1); p[2] = sum_f64(x2); p[3] = sum_f64(x3);
}
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

/* The larger of each pair of lanes, and the largest of all (which a NaN may hide or be). */
#if defined(VECTORS_AVX512)
static inline vf32 larger_f32(vf32 x, vf32 y) { return (vf32)_mm512_max_ps((__m512)x, (__m512)y); }
static inline vf64 larger_f64(vf64 x, vf64 y) { return (vf64)_mm512_max_pd((__m512d)x, (__m512d)y); }
#elif defined(VECTORS_AVX2)
static inline vf32 larger_f32(vf32 x, vf32 y) { return (vf32)_mm256_max_ps((__m256)x, (__m256)y); }
static inline vf64 larger_f64(vf64 x, vf64 y) { return (vf64)_mm256_max_pd((__m256d)x, (__m256d)y); }
#elif defined(VECTORS_SSE)
static inline vf32 larger_f32(vf32 x, vf32 y) { return (vf32)_mm_max_ps((__m128)x, (__m128)y); }
static inline vf64 larger_f64(vf64 x, vf64 y) { return (vf64)_mm_max_pd((__m128d)x, (__m128d)y); }
#elif defined(VECTORS_NEON)
static inline vf32 larger_f32(vf32 x, vf32 y) {
    return (vf32)vmaxq_f32((float32x4_t)x, (float32x4_t)y);
}
static inline vf64 larger_f64(vf64 x, vf64 y) {
    return (vf64)vmaxq_f64((float64x2_t)x, (float64x2_t)y);
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

/* A square of BLOCK x BLOCK elements, transposed: to[j ld_to + i] = from[i ld + j]. */
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

/* The bits of a floating-point number and back, for exponents made by shifts. */
static inline int32_t bits_of_f32(float x) { int32_t i; memcpy(&i, &x, sizeof i); return i; }
static inline int64_t bits_of_f64(double x) { int64_t i; memcpy(&i, &x, sizeof i); return i; }
static inline float f32_of_bits(int32_t i) { float x; memcpy(&x, &i, sizeof x); return x; }
static inline double f64_of_bits(int64_t i) { double x; memcpy(&x, &i, sizeof x); return x; }

#endif
