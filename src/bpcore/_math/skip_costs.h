/* What skipping zeros costs, in the multiply-adds of a tile, fitted to shapes, batches and shares of
 * zeros: an Intel Xeon's; with AVX-512 also those of a processor that works on a vector of 64 bytes
 * in halves, a Zen 4's, whose multiply-adds take as long as their loads (NEON: reckoned).
 */
#ifndef BPCORE_SKIP_COSTS_H
#define BPCORE_SKIP_COSTS_H

#include "vector.h"

typedef struct {
    double loaded;        /* a multiply-add whose vector comes from the first-level cache */
    double waiting;       /* a sum's wait for the one before, shared by a panel's vectors */
    double ending;        /* a row's start and the end of its bits, which no processor foresees */
    double copied;        /* a vector of B copied into a panel, shared by all rows, */
    double columns;       /* or turned round */
    double looked;        /* an element of A looked at, */
    double turned_round;  /* and turned round */
    double short_;        /* what a tile spends on starting and ending, */
    double tile_columns;  /* and on turning a vector of B round */
} skip_costs_t;

#if defined(VECTORS_AVX512)
#define IN_WHOLE {1.48, 0.0, 23.0, 4.5, 6.8, 0.83, 0.67, 2.1, 1.9}
#define IN_HALVES {1.23, 0.0, 17.7, 4.8, 5.7, 0.21, 0.5, 2.1, 4.9}
#elif defined(VECTORS_AVX2)
#define IN_WHOLE {1.09, 1.85, 34.7, 2.35, 2.55, 0.98, 0.77, 0.3, 0.77}
#define IN_HALVES IN_WHOLE
#elif defined(VECTORS_SSE) /* there a load costs nothing more, and hides better */
#define IN_WHOLE {0.93, 1.6, 7.1, 1.24, 1.18, 1.1, 0.32, 0.0, 1.26}
#define IN_HALVES IN_WHOLE
#else
#define IN_WHOLE {1.25, 0.0, 19.0, 3.0, 1.0, 0.3, 0.6, 0.0, 1.0}
#define IN_HALVES IN_WHOLE
#endif

static skip_costs_t skip_costs = IN_WHOLE;

static inline void choose_skip_costs(int halves) {
    static const skip_costs_t costs[] = {IN_WHOLE, IN_HALVES};
    skip_costs = costs[halves != 0];
}

#endif
