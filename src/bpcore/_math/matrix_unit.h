/* The processor's matrix unit: Intel's AMX, whose tiles are 16 rows of 64 bytes and whose products
 * take bfloat16 and add in float32. What of it parts.pxd needs; without AMX nothing of this runs.
 *
 * Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18, and
 * TDPBF16PS in volume 2.
 */
#ifndef BPCORE_MATRIX_UNIT_H
#define BPCORE_MATRIX_UNIT_H

#include <stddef.h>
#include <stdint.h>

#include "vector.h"

#define STRIP 16                      /* rows of A, or columns of B, in a tile */
#define STRETCH 32                    /* k in a tile */
#define PART_BYTES (STRIP * STRETCH * 2)
#define STRETCH_BYTES (3 * PART_BYTES) /* a strip's three parts of so many k */

#if defined(VECTORS_AVX512) && defined(__AMX_BF16__)

#define MATRIX_UNIT 1

/* x and y as three parts each, x = x1 + x2 + x3: every part the nearest bfloat16 to what the ones
 * before it leave, which is computed exactly. to[part] has x's and y's side by side: the unit takes
 * two k at a time. NaN and infinities give NaN.
 */
static inline void split_pair(vf32 x, vf32 y, char *to) {
    const __m512i half = _mm512_set1_epi32(0x8000), upper = _mm512_set1_epi32(-0x10000);
    for (int part = 0; part < 3; part++) {
        __m512i xi = _mm512_castps_si512((__m512)x), yi = _mm512_castps_si512((__m512)y);
        if (part < 2) {
            xi = _mm512_and_si512(_mm512_add_epi32(xi, half), upper);
            yi = _mm512_and_si512(_mm512_add_epi32(yi, half), upper);
            x -= (vf32)_mm512_castsi512_ps(xi);
            y -= (vf32)_mm512_castsi512_ps(yi);
        }
        _mm512_store_si512(to + part * PART_BYTES, _mm512_or_si512(_mm512_srli_epi32(xi, 16), yi));
    }
}

/* A strip's parts of 32 k: pairs of vectors, a pair after the other `ld` further on. */
static inline void split_rows(const float *x, const float *y, ptrdiff_t ld, char *to) {
    for (int i = 0; i < STRIP; i++)
        split_pair(load_f32(x + i * ld), load_f32(y + i * ld), to + i * 64);
}

/* Tiles 0 to 3 are C's, two by two, 4 and 5 A's, 6 and 7 B's: `rows` and `columns` in all, at most
 * twice 16. release_tiles gives them back, and with them what a switch of threads must save.
 */
static inline void configure_tiles(int rows, int columns) {
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } shape = {.palette = 1};
    for (int i = 0; i < 2; i++) {
        int height = rows - i * STRIP < STRIP ? rows - i * STRIP : STRIP;
        int width = columns - i * STRIP < STRIP ? columns - i * STRIP : STRIP;
        if (height > 0) {
            shape.rows[4 + i] = (uint8_t)height;
            shape.bytes[4 + i] = 64;
        }
        if (width > 0) {
            shape.rows[6 + i] = STRIP;
            shape.bytes[6 + i] = (uint16_t)(4 * width);
        }
        for (int j = 0; j < 2; j++) {
            width = columns - j * STRIP < STRIP ? columns - j * STRIP : STRIP;
            if (height > 0 && width > 0) {
                shape.rows[2 * i + j] = (uint8_t)height;
                shape.bytes[2 * i + j] = (uint16_t)(4 * width);
            }
        }
    }
    _tile_loadconfig(&shape);
}
static inline void release_tiles(void) { _tile_release(); }

#define TAKE_A(part) \
    do { \
        _tile_loadd(4, a + part * PART_BYTES, 64); \
        if (tall) _tile_loadd(5, a + a_strip + part * PART_BYTES, 64); \
    } while (0)
#define TAKE_B(part) \
    do { \
        _tile_loadd(6, b + part * PART_BYTES, 64); \
        if (wide) _tile_loadd(7, b + b_strip + part * PART_BYTES, 64); \
    } while (0)
#define MULTIPLY_ADD \
    do { \
        _tile_dpbf16ps(0, 4, 6); \
        if (wide) _tile_dpbf16ps(1, 4, 7); \
        if (tall) _tile_dpbf16ps(2, 5, 6); \
        if (tall && wide) _tile_dpbf16ps(3, 5, 7); \
    } while (0)

/* C = init + A B on two by two tiles, or fewer; a and b are strips of parts, `stretches` of each.
 * While the unit multiplies, so many cache lines a stretch are fetched from `ahead` on. */
static inline void tiles_of_parts(float *c, ptrdiff_t ldc, const float *init, ptrdiff_t ld_init,
                                  const char *a, ptrdiff_t a_strip, const char *b,
                                  ptrdiff_t b_strip, ptrdiff_t stretches, int tall, int wide,
                                  const char *ahead, int lines) {
    if (init) {
        _tile_loadd(0, init, 4 * ld_init);
        if (wide) _tile_loadd(1, init + STRIP, 4 * ld_init);
        if (tall) _tile_loadd(2, init + STRIP * ld_init, 4 * ld_init);
        if (tall && wide) _tile_loadd(3, init + STRIP * ld_init + STRIP, 4 * ld_init);
    } else {
        _tile_zero(0);
        if (wide) _tile_zero(1);
        if (tall) _tile_zero(2);
        if (tall && wide) _tile_zero(3);
    }
    for (; stretches > 0; stretches--, a += STRETCH_BYTES, b += STRETCH_BYTES) {
        for (int i = 0; i < lines; i++, ahead += 64) _mm_prefetch(ahead, _MM_HINT_T1);
        TAKE_A(2); TAKE_B(0); MULTIPLY_ADD;  /* a3 b1 */
        TAKE_A(1);            MULTIPLY_ADD;  /* a2 b1 */
                   TAKE_B(1); MULTIPLY_ADD;  /* a2 b2 */
        TAKE_A(0);            MULTIPLY_ADD;  /* a1 b2 */
                   TAKE_B(2); MULTIPLY_ADD;  /* a1 b3 */
                   TAKE_B(0); MULTIPLY_ADD;  /* a1 b1 */
    }
    _tile_stored(0, c, 4 * ldc);
    if (wide) _tile_stored(1, c + STRIP, 4 * ldc);
    if (tall) _tile_stored(2, c + STRIP * ldc, 4 * ldc);
    if (tall && wide) _tile_stored(3, c + STRIP * ldc + STRIP, 4 * ldc);
}

#undef TAKE_A
#undef TAKE_B
#undef MULTIPLY_ADD

#else

#define MATRIX_UNIT 0

static inline void split_rows(const float *x, const float *y, ptrdiff_t ld, char *to) {
    (void)x, (void)y, (void)ld, (void)to;
}
static inline void configure_tiles(int rows, int columns) { (void)rows, (void)columns; }
static inline void release_tiles(void) {}
static inline void tiles_of_parts(float *c, ptrdiff_t ldc, const float *init, ptrdiff_t ld_init,
                                  const char *a, ptrdiff_t a_strip, const char *b,
                                  ptrdiff_t b_strip, ptrdiff_t stretches, int tall, int wide,
                                  const char *ahead, int lines) {
    (void)c, (void)ldc, (void)init, (void)ld_init, (void)a, (void)a_strip, (void)b, (void)b_strip;
    (void)stretches, (void)tall, (void)wide, (void)ahead, (void)lines;
}

#endif
#endif
