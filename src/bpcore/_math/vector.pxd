"""Vectors of the CPU level's width: one name for float32 and float64.

The types come from vector.h, and from a header for each thing that is done with
them what the compiler's operators lack. Cython takes the types for the scalars
they are made of, so `+`, `*` and assignment read as usual and act on all lanes.
`p` points to elements (not vectors), `k` counts elements.
"""
from libc.stdint cimport int32_t, int64_t

cdef extern from "vector.h" nogil:
    ctypedef float vf32
    ctypedef double vf64
    enum:
        LANES_F32
        LANES_F64
        TILE_ROWS
        TILE_VECTORS
        DOT_ROWS
        COLUMN_SAMPLES
        FUSED  # whether x * y + z is rounded once
    vf32 load_f32(const float *p)
    vf64 load_f64(const double *p)
    void store_f32(float *p, vf32 x)
    void store_f64(double *p, vf64 x)
    vf32 zero_f32()
    vf64 zero_f64()
    const double ZEROS[64]
    vf32 broadcast_f32(const float *p)
    vf64 broadcast_f64(const double *p)
    vf32 first_everywhere_f32(vf32 x)
    vf64 first_everywhere_f64(vf64 x)

cdef extern from "vector_bits.h" nogil:
    vf32 magnitude_f32(vf32 x)
    vf64 magnitude_f64(vf64 x)
    vf32 with_sign_of_f32(vf32 x, vf32 m)
    vf64 with_sign_of_f64(vf64 x, vf64 m)
    vf32 power_of_two_f32(vf32 n)
    vf64 power_of_two_f64(vf64 n)
    vf32 below_f32(vf32 x, vf32 border, vf32 a, vf32 b)
    vf64 below_f64(vf64 x, vf64 border, vf64 a, vf64 b)

cdef extern from "vector_parts.h" nogil:
    vf32 load_part_f32(const float *p, int count)
    vf64 load_part_f64(const double *p, int count)
    vf32 load_repeated_f32(const float *p, int count)
    vf64 load_repeated_f64(const double *p, int count)
    void store_part_f32(float *p, vf32 x, int count)
    void store_part_f64(double *p, vf64 x, int count)
    vf32 first_lanes_f32(vf32 x, int count)
    vf64 first_lanes_f64(vf64 x, int count)
    vf32 lane_f32(vf32 x, const float *p, int k)
    vf64 lane_f64(vf64 x, const double *p, int k)
    vf32 positive_part_f32(vf32 x)
    vf64 positive_part_f64(vf64 x)
    vf32 is_positive_f32(vf32 x)
    vf64 is_positive_f64(vf64 x)

cdef extern from "vector_sums.h" nogil:
    float sum_f32(vf32 x)
    double sum_f64(vf64 x)
    vf32 only_sum_f32(vf32 x, int used)
    vf64 only_sum_f64(vf64 x, int used)
    vf32 sum_everywhere_f32(vf32 x, int used)
    vf64 sum_everywhere_f64(vf64 x, int used)
    vf64 wide_f32(const float *p)
    void sum4_f32(float *p, const float *start, vf32 x0, vf32 x1, vf32 x2, vf32 x3)
    void sum4_f64(double *p, const double *start, vf64 x0, vf64 x1, vf64 x2, vf64 x3)
    vf32 sums_f32(const vf32 *x, int count)
    vf64 sums_f64(const vf64 *x, int count)
    enum:
        LOW_SUMS
    vf32 low_sums_f32(const vf32 *x, int count, bint wide)
    vf64 low_sums_f64(const vf64 *x, int count, bint wide)

cdef extern from "vector_largest.h" nogil:
    vf32 larger_f32(vf32 x, vf32 y)
    vf64 larger_f64(vf64 x, vf64 y)
    vf32 smaller_f32(vf32 x, vf32 y)
    vf64 smaller_f64(vf64 x, vf64 y)
    float largest_f32(vf32 x)
    double largest_f64(vf64 x)

cdef extern from "vector_roots.h" nogil:
    vf32 root_f32(vf32 x)
    vf64 root_f64(vf64 x)
    vf32 quotient_f32(vf32 n, vf32 d)
    vf64 quotient_f64(vf64 n, vf64 d)
    vf32 normal_f32(vf32 x)
    vf64 normal_f64(vf64 x)
    vf32 rounded_f32(vf32 x)
    vf64 rounded_f64(vf64 x)

cdef extern from "vector_squares.h" nogil:
    enum:
        BLOCK_F32
        BLOCK_F64
    void transpose_block_f32(const float *p, Py_ssize_t ld, float *to, Py_ssize_t ld_to)
    void transpose_block_f64(const double *p, Py_ssize_t ld, double *to, Py_ssize_t ld_to)

cdef extern from "bits.h" nogil:
    int32_t bits_of_f32(float x)
    int64_t bits_of_f64(double x)
    float f32_of_bits(int32_t i)
    double f64_of_bits(int64_t i)

cdef extern from "hints.h" nogil:
    void prefetch(const void *p)
    void prefetch_to_write(const void *p)
    void take_effect()
    void hold(const void *p)
    double rounded(double x)
    void settle(double *p)

ctypedef fused vec:
    vf32
    vf64


cdef inline Py_ssize_t lanes(const vec *p) noexcept nogil:
    """Elements in a vector of p's type."""
    if vec is vf32:
        return LANES_F32
    else:
        return LANES_F64


cdef inline Py_ssize_t element_size(const vec *p) noexcept nogil:
    """Bytes of an element."""
    if vec is vf32:
        return sizeof(float)
    else:
        return sizeof(double)


cdef inline Py_ssize_t block_side(const vec *p) noexcept nogil:
    """Rows and columns of the square that is transposed in registers."""
    if vec is vf32:
        return BLOCK_F32
    else:
        return BLOCK_F64


cdef inline void transpose_block(
    const vec *p, Py_ssize_t k, Py_ssize_t ld, vec *to, Py_ssize_t m, Py_ssize_t ld_to
) noexcept nogil:
    """The square that starts at element k of p, transposed, to element m of `to`."""
    if vec is vf32:
        transpose_block_f32(<const float *> p + k, ld, <float *> to + m, ld_to)
    else:
        transpose_block_f64(<const double *> p + k, ld, <double *> to + m, ld_to)


cdef inline void copy_element(const vec *p, Py_ssize_t k, vec *to, Py_ssize_t m) noexcept nogil:
    """to[m] = p[k]"""
    if vec is vf32:
        (<float *> to)[m] = (<const float *> p)[k]
    else:
        (<double *> to)[m] = (<const double *> p)[k]


cdef inline void add_element(
    const vec *p, Py_ssize_t k, const vec *q, Py_ssize_t l, vec *to, Py_ssize_t m
) noexcept nogil:
    """to[m] = p[k] + q[l]"""
    if vec is vf32:
        (<float *> to)[m] = (<const float *> p)[k] + (<const float *> q)[l]
    else:
        (<double *> to)[m] = (<const double *> p)[k] + (<const double *> q)[l]


cdef inline vec zero(const vec *p) noexcept nogil:
    """The zero vector of p's type."""
    if vec is vf32:
        return zero_f32()
    else:
        return zero_f64()


cdef inline vec load(const vec *p, Py_ssize_t k) noexcept nogil:
    if vec is vf32:
        return load_f32(<const float *> p + k)
    else:
        return load_f64(<const double *> p + k)


cdef inline vec load_part(const vec *p, Py_ssize_t k, int count) noexcept nogil:
    if vec is vf32:
        return load_part_f32(<const float *> p + k, count)
    else:
        return load_part_f64(<const double *> p + k, count)


cdef inline vec load_repeated(const vec *p, int count) noexcept nogil:
    """The first `count` elements; the other lanes repeat the first."""
    if vec is vf32:
        return load_repeated_f32(<const float *> p, count)
    else:
        return load_repeated_f64(<const double *> p, count)


cdef inline vec broadcast(const vec *p, Py_ssize_t k) noexcept nogil:
    if vec is vf32:
        return broadcast_f32(<const float *> p + k)
    else:
        return broadcast_f64(<const double *> p + k)


cdef inline vec first_everywhere(vec x) noexcept nogil:
    """x's first lane in every lane"""
    if vec is vf32:
        return first_everywhere_f32(x)
    else:
        return first_everywhere_f64(x)


cdef inline void store(vec *p, Py_ssize_t k, vec x) noexcept nogil:
    if vec is vf32:
        store_f32(<float *> p + k, x)
    else:
        store_f64(<double *> p + k, x)


cdef inline void store_part(vec *p, Py_ssize_t k, vec x, int count) noexcept nogil:
    if vec is vf32:
        store_part_f32(<float *> p + k, x, count)
    else:
        store_part_f64(<double *> p + k, x, count)


cdef inline vec first_lanes(vec x, int count) noexcept nogil:
    """x, but 0 in the lanes after the first `count`"""
    if vec is vf32:
        return first_lanes_f32(x, count)
    else:
        return first_lanes_f64(x, count)


cdef inline vec lane(vec x, const vec *p, int k) noexcept nogil:
    """x's lane k in every lane; p holds x, too"""
    if vec is vf32:
        return lane_f32(x, <const float *> p, k)
    else:
        return lane_f64(x, <const double *> p, k)


cdef inline vec positive_part(vec x) noexcept nogil:
    """max(x, 0), by lanes; NaN stays NaN"""
    if vec is vf32:
        return positive_part_f32(x)
    else:
        return positive_part_f64(x)


cdef inline vec is_positive(vec x) noexcept nogil:
    """1 where x > 0, else 0"""
    if vec is vf32:
        return is_positive_f32(x)
    else:
        return is_positive_f64(x)


cdef inline vec *at(const vec *p, Py_ssize_t k) noexcept nogil:
    """The address of element k."""
    if vec is vf32:
        return <vec *> (<float *> p + k)
    else:
        return <vec *> (<double *> p + k)


cdef inline void store_sum(vec *p, Py_ssize_t k, vec x, const vec *start) noexcept nogil:
    """p[k] = start[0] + the sum of x's lanes"""
    if vec is vf32:
        (<float *> p)[k] = (<const float *> start)[0] + sum_f32(x)
    else:
        (<double *> p)[k] = (<const double *> start)[0] + sum_f64(x)


cdef inline void store_sums(vec *p, Py_ssize_t k, const vec *x, const vec *start) noexcept nogil:
    """p[k + i] = start[i] + the sum of x[i]'s lanes, i = 0, 1, 2, 3"""
    if vec is vf32:
        sum4_f32(<float *> p + k, <const float *> start, x[0], x[1], x[2], x[3])
    else:
        sum4_f64(<double *> p + k, <const double *> start, x[0], x[1], x[2], x[3])


cdef inline vec sums(const vec *x, int count, int used) noexcept nogil:
    """The sum of x[i]'s lanes in lane i < count; x holds a vector full of vectors.

    Only the first `used` lanes are not 0.
    """
    if vec is vf32:
        if used <= LOW_SUMS // 4:
            return low_sums_f32(x, count, False)
        if used <= LOW_SUMS // 2:
            return low_sums_f32(x, count, True)
        return sums_f32(x, count)
    else:
        if used <= LOW_SUMS // 8:
            return low_sums_f64(x, count, False)
        if used <= LOW_SUMS // 4:
            return low_sums_f64(x, count, True)
        return sums_f64(x, count)


cdef inline vec only_sum(vec x, int used) noexcept nogil:
    """The sum of x's lanes in the first lane, 0 in the others; only the first `used` are not 0."""
    if vec is vf32:
        return only_sum_f32(x, used)
    else:
        return only_sum_f64(x, used)


cdef inline vec sum_everywhere(vec x, int used) noexcept nogil:
    """The same in every lane"""
    if vec is vf32:
        return sum_everywhere_f32(x, used)
    else:
        return sum_everywhere_f64(x, used)


cdef inline double element(const vec *p) noexcept nogil:
    """p[0]"""
    if vec is vf32:
        return (<const float *> p)[0]
    else:
        return (<const double *> p)[0]


cdef inline double sum_of(vec x) noexcept nogil:
    """The sum of x's lanes"""
    if vec is vf32:
        return sum_f32(x)
    else:
        return sum_f64(x)


cdef inline vec larger(vec x, vec y) noexcept nogil:
    """max(x, y), by lanes"""
    if vec is vf32:
        return larger_f32(x, y)
    else:
        return larger_f64(x, y)


cdef inline vec smaller(vec x, vec y) noexcept nogil:
    """min(x, y), by lanes; NaN where y is"""
    if vec is vf32:
        return smaller_f32(x, y)
    else:
        return smaller_f64(x, y)


cdef inline vec magnitude(vec x) noexcept nogil:
    """|x|, by lanes"""
    if vec is vf32:
        return magnitude_f32(x)
    else:
        return magnitude_f64(x)


cdef inline vec with_sign_of(vec x, vec m) noexcept nogil:
    """m, which is not negative, with the sign of x, by lanes"""
    if vec is vf32:
        return with_sign_of_f32(x, m)
    else:
        return with_sign_of_f64(x, m)


cdef inline vec power_of_two(vec n) noexcept nogil:
    """2^n of numbers whose low bits are n + the bias of the exponents, by lanes"""
    if vec is vf32:
        return power_of_two_f32(n)
    else:
        return power_of_two_f64(n)


cdef inline vec below(vec x, vec border, vec a, vec b) noexcept nogil:
    """a where x < border, else b"""
    if vec is vf32:
        return below_f32(x, border, a, b)
    else:
        return below_f64(x, border, a, b)


cdef inline vec largest_lane(vec x) noexcept nogil:
    """The largest of x's lanes, in every lane."""
    cdef float top
    cdef double top_long
    if vec is vf32:
        top = largest_f32(x)
        return broadcast_f32(&top)
    else:
        top_long = largest_f64(x)
        return broadcast_f64(&top_long)


cdef inline vec inverse_sum(vec x) noexcept nogil:
    """1 / the sum of x's lanes, in every lane."""
    cdef float inverse
    cdef double inverse_long
    if vec is vf32:
        inverse = <float> 1 / sum_f32(x)
        return broadcast_f32(&inverse)
    else:
        inverse_long = 1 / sum_f64(x)
        return broadcast_f64(&inverse_long)


cdef inline vec everywhere(const vec *p, double x) noexcept nogil:
    """x in every lane, rounded to p's type."""
    cdef float nearest
    if vec is vf32:
        nearest = <float> x
        return broadcast_f32(&nearest)
    else:
        return broadcast_f64(&x)


cdef inline vec root(vec x) noexcept nogil:
    """√x, by lanes"""
    if vec is vf32:
        return root_f32(x)
    else:
        return root_f64(x)


cdef inline vec quotient(vec n, vec d) noexcept nogil:
    """n / d, by lanes, to 1.5 ulp"""
    if vec is vf32:
        return quotient_f32(n, d)
    else:
        return quotient_f64(n, d)


cdef inline vec normal(vec x) noexcept nogil:
    """x, or 0 below the smallest normal number, by lanes"""
    if vec is vf32:
        return normal_f32(x)
    else:
        return normal_f64(x)


cdef inline vec settled(vec x) noexcept nogil:
    """x as it is rounded here, not as a part of a fused multiply-add

    Of x y + u v a compiler may take either product into one, and the other in a vector of which
    only a part is meant: the bits would depend on where an element lies.
    """
    if vec is vf32:
        return rounded_f32(x)
    else:
        return rounded_f64(x)
