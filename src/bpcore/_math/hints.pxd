"""What is asked of the compiler and the processor beyond C."""
cdef extern from "hints.h" nogil:
    void prefetch(const void *p)
    void prefetch_to_write(const void *p)
    void take_effect()
    void hold(const void *p)
    double rounded(double x)
    void settle(double *p)
