/* What is asked of the compiler and the processor beyond C. */
#ifndef BPCORE_HINTS_H
#define BPCORE_HINTS_H

#if defined(__GNUC__) || defined(__clang__)
#define PREFETCH(p, to_write) __builtin_prefetch(p, to_write)
#else
#define PREFETCH(p, to_write) ((void)(p))
#endif
static inline void prefetch(const void *p) { PREFETCH(p, 0); }

/* The same of what is to be written: a store to a line that another processor has read waits until
 * that one has let go of it, and those behind it wait as well. */
static inline void prefetch_to_write(const void *p) { PREFETCH(p, 1); }

/* A function that does nothing but prefetch is one without effect, and GCC leaves out its calls:
 * this counts as an effect. */
#if defined(__GNUC__) || defined(__clang__)
static inline void take_effect(void) { __asm__ volatile(""); }
#else
static inline void take_effect(void) {}
#endif

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

/* What was written through p is in memory, rounded: no sum further on takes it into a fused
 * multiply-add. Other compilers keep to statements. */
#if defined(__GNUC__) || defined(__clang__)
static inline void settle(double *p) { __asm__("" : "+r"(p) : : "memory"); }
#else
static inline void settle(double *p) { (void)p; }
#endif

#endif
