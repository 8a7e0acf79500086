"""The compiled core: check, release the GIL once, run the formulas of `_math` over the samples.

Built once per CPU level from this one source; `bpcore.cpu.kernels` is the one
in use. Here stand what it imports and the tables of names; the rest is in
`_core`, a concept a file, and pasted in at the end:

    compiled_once  what the formulas of `_math` call by name
    products    a layer's products: of a batch, of a sample, of a single output
    passes      a layer's and a network's formulas over rows of a batch
    preparation    which way each layer computes, and room for it
    door        every array that comes in: clean, or converted
    probes      entries for tests
    layer       Layer keeps what one layer computes
    network     Network runs layers together
    rows        a batch's rows: gathered, and fetched before they are wanted
    step        a training step, without Python
    shares      what each thread of a team updates
    stretch     a stretch of steps, and what is kept and looked at around it
    narrow      where a narrow network's parameters lie during a stretch, and narrow_products,
                narrow_passes, narrow_unit, narrow_step
    optimizer   an optimiser's step by itself
    snapshot    Snapshot keeps copies to go back to
    training    Training runs whole stretches of an epoch
"""
import os

import numpy as np

cimport numpy as cnp
from cpython.object cimport PyObject
from cython cimport floating
from libc.float cimport DBL_MAX, FLT_MAX
from libc.math cimport NAN, isfinite, isnan
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from bpcore import validation
from bpcore.memory import aligned_bytes

from bpcore._math.activation cimport (
    ELU, EXP, GELU, GIVEN, HARD_SIGMOID, IDENTITY, LEAKY_RELU, RELU, SELU, SIGMOID, SILU,
    SOFTMAX, SOFTPLUS, SOFTSIGN, TANH, activate, derivative_takes_z, differentiate, is_often_zero,
    keeps_zero, to_delta,
)
from bpcore._math.activation_lanes cimport activated, derived, in_lanes
from bpcore._math.affine cimport affine_backward, affine_forward, affine_gradient, tiled_outputs
from bpcore._math.batch cimport batch_share, block_rows, gather, label_row, row
from bpcore._math.columns cimport ahead_t, descent_by_columns, product_by_columns, turn
from bpcore._math.costs cimport choose_costs
from bpcore._math.dots cimport product_of_dots
from bpcore._math.elementary cimport log1p_unit, log_
from bpcore._math.fetch cimport fetch
from bpcore._math.finite cimport all_finite, all_within
from bpcore._math.hints cimport rounded
from bpcore._math.loss cimport (
    BINARY_CROSS_ENTROPY, CROSS_ENTROPY, HUBER, MEAN_ABSOLUTE_ERROR, MEAN_SQUARED_ERROR, POISSON,
    SQUARED_ERROR, by_outputs, loss_block, output_terms,
)
from bpcore._math.matvec cimport matvec_backward, matvec_forward, outer_product
from bpcore._math.network cimport (
    BACKWARD, BACKWARD_DELTA, FORWARD, FORWARD_INPUT, GRADIENT, GRADIENT_DELTA, GRADIENT_INPUT,
    NEAR_BYTES, choose_sums, dense_t, keeps_z, lanes_of, network_t, products_in_parts,
    vector_length, whole_vectors, work_size,
)
from bpcore._math.rounding cimport cache_line, ceil_div, round_up
from bpcore._math.row_sums cimport add_row_sums, sum_of_losses
from bpcore._math.shallow cimport ends_with_init, shallow_panel
from bpcore._math.skip cimport look_t, share_of_nonzeros, skip_panel
from bpcore._math.softmax cimport softmax, softmax_delta
from bpcore._math.team cimport (
    SLICES, barrier_t, group_of, leave_processor, meet, member_t, set_flag, set_flag_if,
    share_begin, share_end, slice_count, team_size, this_processor, wait_briefly, wait_while,
)
from bpcore._math.parts cimport (
    MATRIX_UNIT, STRIP, bytes_of_parts, pack_matrix, packed_t, parts_product,
)
from bpcore._math.penalty cimport penalty, penalty_gradient, penalty_of_squares
from bpcore._math.pack cimport transpose_squares
from bpcore._math.product cimport pack_panels, panels_size
from bpcore._math.tile cimport panel_product
from bpcore._math.update cimport (
    ADAGRAD, ADAM, RMSPROP, RPROP, SGD, clip_factor, is_calm, largest_absolute, pace_of, pace_t,
    rule_t, scale_by, update,
)
from bpcore._math.vector cimport (
    COLUMN_SAMPLES, LANES_F32, TILE_ROWS, at, broadcast, copy_element, element, element_size,
    everywhere, first_everywhere, lanes, load, store, vec, vf32, vf64, zero,
)
from bpcore._math.vector_parts cimport first_lanes, lane, load_part, store_part
from bpcore._math.vector_sums cimport only_sum, sum_everywhere, sum_of, sums

cnp.import_array()

cdef enum:
    CALLABLE_LOSS = -1  # a Python function: only its da comes in

ACTIVATIONS = {
    "identity": IDENTITY, "sigmoid": SIGMOID, "tanh": TANH, "relu": RELU,
    "leaky_relu": LEAKY_RELU, "elu": ELU, "selu": SELU, "gelu": GELU, "silu": SILU,
    "softplus": SOFTPLUS, "softsign": SOFTSIGN, "hard_sigmoid": HARD_SIGMOID, "exp": EXP,
    "softmax": SOFTMAX,
}
LOSSES = {
    "callable": CALLABLE_LOSS,
    "squared_error": SQUARED_ERROR, "mean_squared_error": MEAN_SQUARED_ERROR,
    "mean_absolute_error": MEAN_ABSOLUTE_ERROR, "huber": HUBER, "poisson": POISSON,
    "binary_cross_entropy": BINARY_CROSS_ENTROPY, "cross_entropy": CROSS_ENTROPY,
}
RULES = {"SGD": SGD, "Adam": ADAM, "RMSProp": RMSPROP, "Adagrad": ADAGRAD, "Rprop": RPROP}


def work_in_halves(bint halves):
    """Tell these kernels whether the processor works on a vector of 64 bytes in two halves."""
    choose_costs(halves)


include "_core/narrow.pxi"
include "_core/narrow_products.pxi"
include "_core/narrow_passes.pxi"
include "_core/narrow_unit.pxi"
include "_core/narrow_step.pxi"
include "_core/columns.pxi"
include "_core/compiled_once.pxi"
include "_core/products.pxi"
include "_core/passes.pxi"
include "_core/preparation.pxi"
include "_core/door.pxi"
include "_core/probes.pxi"
include "_core/layer.pxi"
include "_core/network.pxi"
include "_core/rows.pxi"
include "_core/snapshot.pxi"
include "_core/step.pxi"
include "_core/shares.pxi"
include "_core/stretch.pxi"
include "_core/optimizer.pxi"
include "_core/training.pxi"
