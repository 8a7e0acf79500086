/* What things cost on the processor at hand, where a choice between two ways follows from it.
 *
 * Skipping zeros, in the multiply-adds of a tile, was fitted to shapes, batches and shares of zeros on
 * an Intel Xeon; with AVX-512 also on a Zen 4, which works on a vector of 64 bytes in two halves: its
 * multiply-adds take as long as their loads, and what is read from far has time to come (NEON:
 * reckoned).
 */
#ifndef BPCORE_COSTS_H
#define BPCORE_COSTS_H

#include "vector.h"

typedef struct {
    double loaded;        /* a multiply-add whose vector comes from the first-level cache */
    double waiting;       /* a sum's wait for the one before, shared by a panel's vectors */
    double ending;        /* a row's start and the end of its bits, which no processor foresees */
    double copied;        /* a vector of B copied into a panel, shared by all rows, */
    double columns;       /* or turned round */
    double looked;        /* an element of A looked at, */
    double turned_round;  /* and turned round */
    double beginning;     /* what a tile spends on starting and ending, */
    double tile_columns;  /* and on turning a vector of B round */
    int far_bytes;        /* between rows that are better copied than read several times */
} costs_t;

#if defined(VECTORS_AVX512)
#define IN_WHOLE {1.48, 0.0, 23.0, 4.5, 6.8, 0.83, 0.67, 2.1, 1.9, 1024}
#define IN_HALVES {1.23, 0.0, 17.7, 4.8, 5.7, 0.21, 0.5, 2.1, 4.9, 4096}
#elif defined(VECTORS_AVX2)
#define IN_WHOLE {1.09, 1.85, 34.7, 2.35, 2.55, 0.98, 0.77, 0.3, 0.77, 1024}
#define IN_HALVES IN_WHOLE
#elif defined(VECTORS_SSE) /* there a load costs nothing more, and hides better */
#define IN_WHOLE {0.93, 1.6, 7.1, 1.24, 1.18, 1.1, 0.32, 0.0, 1.26, 1024}
#define IN_HALVES IN_WHOLE
#else
#define IN_WHOLE {1.25, 0.0, 19.0, 3.0, 1.0, 0.3, 0.6, 0.0, 1.0, 1024}
#define IN_HALVES IN_WHOLE
#endif

static costs_t costs = IN_WHOLE;

static inline void choose_costs(int halves) {
    static const costs_t choices[] = {IN_WHOLE, IN_HALVES};
    costs = choices[halves != 0];
}

#endif
