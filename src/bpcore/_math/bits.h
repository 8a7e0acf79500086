/* The bits of a floating-point number and back, for exponents made by shifts. */
#ifndef BPCORE_BITS_H
#define BPCORE_BITS_H

#include <stdint.h>
#include <string.h>

static inline int32_t bits_of_f32(float x) { int32_t i; memcpy(&i, &x, sizeof i); return i; }
static inline int64_t bits_of_f64(double x) { int64_t i; memcpy(&i, &x, sizeof i); return i; }
static inline float f32_of_bits(int32_t i) { float x; memcpy(&x, &i, sizeof x); return x; }
static inline double f64_of_bits(int64_t i) { double x; memcpy(&x, &i, sizeof x); return x; }

#endif
