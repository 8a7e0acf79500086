/* The products' one entry to their tiles, which are most of a module: `panel_product` compiled
 * once for each type and kind, in _core/compiled_once.pxi, and not once in every product. Cython makes
 * functions that are not inline only in a .pyx; this is how the formulas in .pxd files come to
 * call them.
 */
#ifndef BPCORE_PANEL_H
#define BPCORE_PANEL_H

#include <stdint.h>

static void bpcore_panel_f32(void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init,
                             const void *a, Py_ssize_t a_row, Py_ssize_t a_step, int a_packed,
                             const void *b, Py_ssize_t ldb, Py_ssize_t full, Py_ssize_t rows,
                             Py_ssize_t columns, Py_ssize_t depth);
static void bpcore_panel_f64(void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init,
                             const void *a, Py_ssize_t a_row, Py_ssize_t a_step, int a_packed,
                             const void *b, Py_ssize_t ldb, Py_ssize_t full, Py_ssize_t rows,
                             Py_ssize_t columns, Py_ssize_t depth);
static void bpcore_wide_f32(void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init,
                            const void *a, Py_ssize_t a_row, Py_ssize_t a_step, int a_packed,
                            const void *b, Py_ssize_t ldb, Py_ssize_t full, Py_ssize_t rows,
                            Py_ssize_t columns, Py_ssize_t depth);
static void bpcore_wide_f64(void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init,
                            const void *a, Py_ssize_t a_row, Py_ssize_t a_step, int a_packed,
                            const void *b, Py_ssize_t ldb, Py_ssize_t full, Py_ssize_t rows,
                            Py_ssize_t columns, Py_ssize_t depth);

/* And shallow_panel, likewise, */
static void bpcore_shallow_f32(void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init,
                               const void *a, Py_ssize_t a_row, Py_ssize_t a_step, const void *b,
                               Py_ssize_t ldb, Py_ssize_t full, Py_ssize_t rows,
                               Py_ssize_t columns, Py_ssize_t depth);
static void bpcore_shallow_f64(void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init,
                               const void *a, Py_ssize_t a_row, Py_ssize_t a_step, const void *b,
                               Py_ssize_t ldb, Py_ssize_t full, Py_ssize_t rows,
                               Py_ssize_t columns, Py_ssize_t depth);

/* transpose_squares, */
static void bpcore_transpose_f32(const void *source, Py_ssize_t ld, void *to, Py_ssize_t ld_to,
                                 Py_ssize_t rows, Py_ssize_t columns);
static void bpcore_transpose_f64(const void *source, Py_ssize_t ld, void *to, Py_ssize_t ld_to,
                                 Py_ssize_t rows, Py_ssize_t columns);

/* product_of_dots */
static void bpcore_dots_f32(void *z, Py_ssize_t ldz, const void *bias, const void *a, const void *W,
                            Py_ssize_t n, Py_ssize_t depth, Py_ssize_t columns);
static void bpcore_dots_f64(void *z, Py_ssize_t ldz, const void *bias, const void *a, const void *W,
                            Py_ssize_t n, Py_ssize_t depth, Py_ssize_t columns);

/* and skip_panel. */
static void bpcore_skip_f32(void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init,
                            int ends, const void *a, Py_ssize_t a_row, const uint64_t *bits, int words,
                            Py_ssize_t rows, const void *panel, Py_ssize_t ld_panel, int vectors,
                            int left);
static void bpcore_skip_f64(void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init,
                            int ends, const void *a, Py_ssize_t a_row, const uint64_t *bits, int words,
                            Py_ssize_t rows, const void *panel, Py_ssize_t ld_panel, int vectors,
                            int left);

/* And parts_product. */
static void bpcore_parts_f32(void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init,
                             const void *a, Py_ssize_t a_row, Py_ssize_t a_step, const void *b,
                             Py_ssize_t ldb, int by_columns, Py_ssize_t rows, Py_ssize_t columns,
                             Py_ssize_t depth, void *work, void *packed);

#endif
