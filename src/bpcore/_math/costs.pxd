"""What things cost on the processor at hand: see costs.h."""

cdef extern from "costs.h" nogil:
    ctypedef struct costs_t:
        double loaded
        double waiting
        double ending
        double copied
        double columns
        double looked
        double turned_round
        double beginning
        double tile_columns
        int far_bytes

    costs_t costs

    void choose_costs(bint halves)
