"""A number's bits, and back."""
from libc.stdint cimport int32_t, int64_t

cdef extern from "bits.h" nogil:
    int32_t bits_of_f32(float x)
    int64_t bits_of_f64(double x)
    float f32_of_bits(int32_t i)
    double f64_of_bits(int64_t i)
