"""What the formulas of `_math` call by a name of panel.h: each type's, compiled once.

Functions of their own, not inline ones: the products are most of a module, and what is compiled
once keeps it small.
"""
cdef void panel_f32 "bpcore_panel_f32"(
    void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init,
    const void *a, Py_ssize_t a_row, Py_ssize_t a_step, int a_packed,
    const void *b, Py_ssize_t ldb, Py_ssize_t full,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
) noexcept nogil:
    """What run_panel calls."""
    panel_product(<vf32 *> c, ldc, <const vf32 *> init, ld_init, <const vf32 *> a, a_row, a_step,
                  a_packed, <const vf32 *> b, ldb, full, rows, columns, depth, False)


cdef void panel_f64 "bpcore_panel_f64"(
    void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init,
    const void *a, Py_ssize_t a_row, Py_ssize_t a_step, int a_packed,
    const void *b, Py_ssize_t ldb, Py_ssize_t full,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
) noexcept nogil:
    """What run_panel calls."""
    panel_product(<vf64 *> c, ldc, <const vf64 *> init, ld_init, <const vf64 *> a, a_row, a_step,
                  a_packed, <const vf64 *> b, ldb, full, rows, columns, depth, False)


cdef void shallow_f32 "bpcore_shallow_f32"(
    void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init,
    const void *a, Py_ssize_t a_row, Py_ssize_t a_step,
    const void *b, Py_ssize_t ldb, Py_ssize_t full,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
) noexcept nogil:
    """What run_panel calls."""
    shallow_panel(<vf32 *> c, ldc, <const vf32 *> init, ld_init, <const vf32 *> a, a_row, a_step,
                  <const vf32 *> b, ldb, full, rows, columns, depth)


cdef void shallow_f64 "bpcore_shallow_f64"(
    void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init,
    const void *a, Py_ssize_t a_row, Py_ssize_t a_step,
    const void *b, Py_ssize_t ldb, Py_ssize_t full,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
) noexcept nogil:
    """What run_panel calls."""
    shallow_panel(<vf64 *> c, ldc, <const vf64 *> init, ld_init, <const vf64 *> a, a_row, a_step,
                  <const vf64 *> b, ldb, full, rows, columns, depth)


cdef void wide_f32 "bpcore_wide_f32"(
    void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init,
    const void *a, Py_ssize_t a_row, Py_ssize_t a_step, int a_packed,
    const void *b, Py_ssize_t ldb, Py_ssize_t full,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
) noexcept nogil:
    """What run_panel calls."""
    panel_product(<vf32 *> c, ldc, <const vf32 *> init, ld_init, <const vf32 *> a, a_row, a_step,
                  a_packed, <const vf32 *> b, ldb, full, rows, columns, depth, True)


cdef void wide_f64 "bpcore_wide_f64"(
    void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init,
    const void *a, Py_ssize_t a_row, Py_ssize_t a_step, int a_packed,
    const void *b, Py_ssize_t ldb, Py_ssize_t full,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
) noexcept nogil:
    """What run_panel calls."""
    panel_product(<vf64 *> c, ldc, <const vf64 *> init, ld_init, <const vf64 *> a, a_row, a_step,
                  a_packed, <const vf64 *> b, ldb, full, rows, columns, depth, True)


cdef void dots_f32 "bpcore_dots_f32"(
    void *z, Py_ssize_t ldz, const void *bias, const void *a, const void *W,
    Py_ssize_t n, Py_ssize_t depth, Py_ssize_t columns,
) noexcept nogil:
    """What run_dots calls."""
    product_of_dots(<vf32 *> z, ldz, <const vf32 *> bias, <const vf32 *> a, <const vf32 *> W, n,
                    depth, columns)


cdef void dots_f64 "bpcore_dots_f64"(
    void *z, Py_ssize_t ldz, const void *bias, const void *a, const void *W,
    Py_ssize_t n, Py_ssize_t depth, Py_ssize_t columns,
) noexcept nogil:
    """What run_dots calls."""
    product_of_dots(<vf64 *> z, ldz, <const vf64 *> bias, <const vf64 *> a, <const vf64 *> W, n,
                    depth, columns)


cdef void transpose_f32 "bpcore_transpose_f32"(
    const void *source, Py_ssize_t ld, void *to, Py_ssize_t ld_to, Py_ssize_t rows,
    Py_ssize_t columns,
) noexcept nogil:
    """What transpose calls."""
    transpose_squares(<const vf32 *> source, ld, <vf32 *> to, ld_to, rows, columns)


cdef void transpose_f64 "bpcore_transpose_f64"(
    const void *source, Py_ssize_t ld, void *to, Py_ssize_t ld_to, Py_ssize_t rows,
    Py_ssize_t columns,
) noexcept nogil:
    """What transpose calls."""
    transpose_squares(<const vf64 *> source, ld, <vf64 *> to, ld_to, rows, columns)


cdef void skip_f32 "bpcore_skip_f32"(
    void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init, bint ends, const void *a,
    Py_ssize_t a_row, const uint64_t *bits, int words, Py_ssize_t rows, const void *panel,
    Py_ssize_t ld_panel, int vectors, int left,
) noexcept nogil:
    """What run_skip calls."""
    skip_panel(<vf32 *> c, ldc, <const vf32 *> init, ld_init, ends, <const vf32 *> a, a_row, bits,
               words, rows, <const vf32 *> panel, ld_panel, vectors, left)


cdef void skip_f64 "bpcore_skip_f64"(
    void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init, bint ends, const void *a,
    Py_ssize_t a_row, const uint64_t *bits, int words, Py_ssize_t rows, const void *panel,
    Py_ssize_t ld_panel, int vectors, int left,
) noexcept nogil:
    """What run_skip calls."""
    skip_panel(<vf64 *> c, ldc, <const vf64 *> init, ld_init, ends, <const vf64 *> a, a_row, bits,
               words, rows, <const vf64 *> panel, ld_panel, vectors, left)


cdef void parts_f32 "bpcore_parts_f32"(
    void *c, Py_ssize_t ldc, const void *init, Py_ssize_t ld_init, const void *a,
    Py_ssize_t a_row, Py_ssize_t a_step, const void *b, Py_ssize_t ldb, bint by_columns,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth, void *work, void *packed,
) noexcept nogil:
    """What the products of affine.pxd call for the matrix unit."""
    parts_product(<float *> c, ldc, <const float *> init, ld_init, <const float *> a, a_row,
                  a_step, <const float *> b, ldb, by_columns, rows, columns, depth, work,
                  <packed_t *> packed)
