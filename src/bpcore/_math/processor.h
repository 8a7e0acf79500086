/* Which processor a thread runs on, and a way off it.
 *
 * Linux may put a thread that wakes on the processor of the one that woke it, and leave it there for
 * some milliseconds though another is idle: two threads that meet every few microseconds are then
 * slower than one. Where the system has no such calls, all is left to it.
 */
#ifndef BPCORE_PROCESSOR_H
#define BPCORE_PROCESSOR_H

#if defined(__linux__)
#include <sched.h>
#endif

#if defined(__linux__) && defined(CPU_SETSIZE) /* with _GNU_SOURCE, which Python.h defines */

static inline int this_processor(void) { return sched_getcpu(); }

/* Go on elsewhere, if the thread may run elsewhere; afterwards it may run where it could before. */
static inline void leave_processor(int processor) {
    cpu_set_t allowed, others;
    if (processor < 0 || processor >= CPU_SETSIZE) return;
    if (sched_getaffinity(0, sizeof allowed, &allowed)) return;
    others = allowed;
    CPU_CLR(processor, &others);
    if (CPU_COUNT(&others) == 0 || sched_setaffinity(0, sizeof others, &others)) return;
    sched_setaffinity(0, sizeof allowed, &allowed);
}

#else

static inline int this_processor(void) { return -1; }
static inline void leave_processor(int processor) { (void)processor; }

#endif

#endif
