/* A barrier for a few threads that meet every few microseconds, and flags between two of them.
 *
 * Who comes early spins, then lets others have the processor, then sleeps for
 * moments: with as many processors as threads nobody sleeps, and where two
 * threads have one processor, neither keeps it from the other.
 */
#ifndef BPCORE_BARRIER_H
#define BPCORE_BARRIER_H

typedef struct {
    int arrived;
    int round;
    char line[56]; /* no neighbour in the cache line */
} barrier_t;

#if defined(__GNUC__) || defined(__clang__)

#define BARRIERS 1
#if defined(__x86_64__) || defined(__i386__)
#define SPIN() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define SPIN() __asm__ __volatile__("yield")
#else
#define SPIN() ((void)0)
#endif
#if defined(_WIN32)
#include <windows.h>
static inline void give_way(int turns) {
    (void)turns;
    SwitchToThread();
}
#else
#include <sched.h>
#include <time.h>
/* To yield is cheap, but a scheduler need not let anyone else run; to sleep makes room at once. */
static inline void give_way(int turns) {
    struct timespec moment = {0, 1000};
    if (turns < 400) sched_yield();
    else nanosleep(&moment, NULL);
}
#endif
/* Pass the time, for the spins-th time. */
static inline void wait_on(int spins) {
    if (spins < 4000) SPIN();
    else give_way(spins - 4000);
}

static inline void barrier_wait(barrier_t *barrier, int threads) {
    int round, spins;
    if (threads == 1) return;
    round = __atomic_load_n(&barrier->round, __ATOMIC_RELAXED);
    if (__atomic_add_fetch(&barrier->arrived, 1, __ATOMIC_ACQ_REL) == threads) {
        __atomic_store_n(&barrier->arrived, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&barrier->round, round + 1, __ATOMIC_RELEASE);
        return;
    }
    for (spins = 0; __atomic_load_n(&barrier->round, __ATOMIC_ACQUIRE) == round; spins++)
        wait_on(spins);
}

static inline void set_flag(int *flag, int value) { __atomic_store_n(flag, value, __ATOMIC_RELEASE); }
static inline int wait_while(int *flag, int value) {
    int now, spins;
    for (spins = 0; (now = __atomic_load_n(flag, __ATOMIC_ACQUIRE)) == value; spins++)
        wait_on(spins);
    return now;
}

/* As wait_while, but for some hundred microseconds at most: from one call of a trainer to the next. */
static inline int wait_briefly(int *flag, int value) {
    int now, spins;
    for (spins = 0; (now = __atomic_load_n(flag, __ATOMIC_ACQUIRE)) == value && spins < 16000; spins++)
        SPIN();
    return now;
}
/* Set the flag to `then` if it is `value`, at once; whether it was. */
static inline int set_flag_if(int *flag, int value, int then) {
    return __atomic_compare_exchange_n(flag, &value, then, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

#else

#define BARRIERS 0 /* one thread only */
static inline void barrier_wait(barrier_t *barrier, int threads) {
    (void)barrier;
    (void)threads;
}
static inline void set_flag(int *flag, int value) { *flag = value; }
static inline int wait_while(int *flag, int value) { return *flag == value ? value : *flag; }
static inline int wait_briefly(int *flag, int value) { return *flag == value ? value : *flag; }
static inline int set_flag_if(int *flag, int value, int then) {
    if (*flag != value) return 0;
    *flag = then;
    return 1;
}

#endif

#endif
