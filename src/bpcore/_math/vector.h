/* Vectors of the CPU level's width, as GCC/Clang vector-extension types.
 *
 * The operators + - * work on whole vectors, and the compiler picks the
 * instructions of the level it is told to build (-march). What the extension
 * lacks is written in vector_parts.h, vector_sums.h, vector_largest.h and
 * vector_squares.h, for each level with its intrinsics.
 *
 * The typedefs carry the element's alignment, not the vector's, so that a
 * load is an unaligned one, and `may_alias`, since they look into float and
 * double arrays. A compiler without the extension (MSVC) gets vectors of one
 * lane: the same source, correct and slow; there build with clang-cl. Defining
 * BPCORE_ONE_LANE asks for that on any compiler, and BPCORE_PLAIN_AVX512 for
 * AVX-512's sizes without its instructions, to try them where there are none.
 */
#ifndef BPCORE_VECTOR_H
#define BPCORE_VECTOR_H

#if (defined(__GNUC__) || defined(__clang__)) && !defined(BPCORE_ONE_LANE)

#if defined(__AVX512F__) || defined(BPCORE_PLAIN_AVX512)
#if !defined(BPCORE_PLAIN_AVX512)
#include <immintrin.h>
#define VECTORS_AVX512
#endif
#define VECTOR_BYTES 64
#define TILE_ROWS 12 /* 12 x 2 accumulators of 32 registers, */
#define TILE_VECTORS 4 /* or 6 x 4 */
#define DOT_ROWS 5     /* of dot products 5 x 4 */
#define COLUMN_SAMPLES 24 /* of a batch whose first layer goes by columns, at most */
#elif defined(__AVX2__)
#include <immintrin.h>
#define VECTORS_AVX2
#define VECTORS_SSE
#define VECTOR_BYTES 32
#define TILE_ROWS 6 /* 6 x 2 accumulators of 16 registers, */
#define DOT_ROWS 4  /* of dot products 4 x 3 */
#define COLUMN_SAMPLES 12
#elif defined(__aarch64__)
#include <arm_neon.h>
#define VECTORS_NEON
#define VECTOR_BYTES 16
#define TILE_ROWS 12
#define DOT_ROWS 5
#else
#if defined(__SSE2__)
#include <immintrin.h>
#define VECTORS_SSE
#endif
#define VECTOR_BYTES 16
#define TILE_ROWS 6
#define DOT_ROWS 3 /* x 4: a product to be added takes a register, too */
#endif
#if !defined(TILE_VECTORS)
#define TILE_VECTORS 2
#endif
#if !defined(COLUMN_SAMPLES)
#define COLUMN_SAMPLES 0 /* so short vectors gain nothing */
#endif
#define LANES_F32 (VECTOR_BYTES / 4)
#define LANES_F64 (VECTOR_BYTES / 8)
typedef float vf32 __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));
typedef double vf64 __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));

#else

#define LANES_F32 1
#define LANES_F64 1
#define TILE_ROWS 4
#define TILE_VECTORS 2
#define DOT_ROWS 3
#define COLUMN_SAMPLES 0
typedef float vf32;
typedef double vf64;

#endif

/* Whether x * y + z is rounded once, as the flags of setup.py have it. */
#if defined(__GNUC__) && (defined(__FMA__) || defined(__aarch64__))
#define FUSED 1
#else
#define FUSED 0
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
#if LANES_F64 > 1
static inline vf32 first_everywhere_f32(vf32 x) { return x[0] - (vf32){0}; }
static inline vf64 first_everywhere_f64(vf64 x) { return x[0] - (vf64){0}; }
#else
static inline vf32 first_everywhere_f32(vf32 x) { return x; }
static inline vf64 first_everywhere_f64(vf64 x) { return x; }
#endif

#endif
