"""What comes in at the door: arrays and numbers from the caller, checked and converted once.

Every function returns a clean value or raises an error that says what was
given, what was wanted and what to do. Clean arrays are C-contiguous, aligned,
of native byte order and the network's dtype; foreign ones are converted here.
"""

import math
import operator

import numpy as np


def shape_message(name, given, wanted, what):
    """Return the sentence for an array of the wrong shape."""
    return f"{name} has shape {tuple(given)}, wanted {tuple(wanted)}, {what}"


def dtype_of(dtype):
    """Return np.float32 or np.float64 of `dtype`.

    Raises
    ------
    TypeError
        Not a floating-point type that the kernels know.
    """
    try:
        given = None if dtype is None else np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError):
        given = None
    if given not in (np.float32, np.float64):
        raise TypeError(f"dtype is {dtype!r}, wanted 'float32' or 'float64'")
    return given


def _real(array, name, dtype):
    """Return `array` as a clean, finite array of `dtype`."""
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        raise ValueError(
            f"{name} is a masked array with {np.ma.count_masked(array)} masked values; fill or "
            "drop them first"
        )
    if hasattr(array, "toarray"):
        raise TypeError(
            f"{name} is a sparse {type(array).__name__}, wanted a dense array: use .toarray()"
        )
    try:
        given = np.asarray(array)
    except ValueError as error:
        raise ValueError(f"{name} is not a rectangular array of numbers: {error}") from None
    if given.dtype.kind not in "buif":
        raise TypeError(
            f"{name} has dtype {given.dtype}, wanted real numbers: convert it with "
            f".astype({str(dtype)!r})"
        )
    with np.errstate(over="ignore"):
        clean = np.ascontiguousarray(given, dtype=dtype).reshape(given.shape)
    if not clean.flags.aligned:
        clean = clean.copy()
    # min and max carry a NaN along, and make no array as np.isfinite does.
    if clean.size and not (math.isfinite(clean.min()) and math.isfinite(clean.max())):
        finite = np.isfinite(clean)
        place = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(
            f"{name} holds {given[place]} at index {place if len(place) != 1 else place[0]}, "
            f"wanted numbers finite in {dtype}: {np.count_nonzero(~finite)} of {finite.size} "
            "are not; impute or drop them"
        )
    return clean


def samples(X, width, dtype, name="X", owner="this network takes"):
    """Return X as a clean finite array of shape (n, width), or (width,) for one sample.

    Raises
    ------
    TypeError
        Not an array of real numbers.
    ValueError
        Wrong shape, no rows, NaN or Inf.
    """
    clean = _real(X, name, dtype)
    if clean.ndim not in (1, 2):
        raise ValueError(
            f"{name} has {clean.ndim} dimensions, wanted (n, {width}), or ({width},) for one sample"
        )
    if clean.ndim == 2 and clean.shape[0] == 0:
        raise ValueError(f"{name} has 0 rows, wanted at least one sample")
    if clean.shape[-1] != width:
        hint = ""
        if clean.ndim == 1 and width == 1:
            hint = f"; a column of {clean.size} samples is {name}.reshape(-1, 1)"
        raise ValueError(f"{name} has {clean.shape[-1]} features, {owner} {width}{hint}")
    return clean


def batch(X, width, dtype, name="X", owner="this network takes"):
    """Return X as `samples` does, always with two dimensions."""
    clean = samples(X, width, dtype, name, owner)
    return clean.reshape(1, -1) if clean.ndim == 1 else clean


def targets(Y, n, n_outputs, one, dtype, loss):
    """Return Y as (rows, None) or (None, labels), in the domain of the loss.

    Parameters
    ----------
    Y : array_like
        (n, n_outputs); (n,) if n_outputs is 1; class indices (n,) for
        cross_entropy; for one sample (n_outputs,) or a scalar.
    n, n_outputs : int
    one : bool
        X was one sample of one dimension.
    dtype : dtype
    loss : str
        The loss's name, or "callable".

    Returns
    -------
    tuple
        Rows of shape (n, n_outputs) in `dtype` and None, or None and labels of
        shape (n,) in int64.

    Raises
    ------
    TypeError
        Not real numbers.
    ValueError
        Wrong shape, NaN or Inf, or outside the loss's domain.
    """
    try:
        given = np.asarray(Y)
    except ValueError as error:
        raise ValueError(f"Y is not a rectangular array of numbers: {error}") from None
    wanted = (n_outputs,) if one else (n, n_outputs)
    # With one output a column of probabilities may come as (n,) too.
    may_be_labels = n_outputs > 1 or given.dtype.kind in "iu"
    if loss == "cross_entropy" and may_be_labels and given.shape == (() if one else (n,)):
        return None, _labels(Y, n, n_outputs)
    clean = _real(Y, "Y", dtype)
    if clean.shape != wanted:
        if not (n_outputs == 1 and clean.shape == (() if one else (n,))):
            choice = f" or class indices of shape {() if one else (n,)}"
            raise ValueError(
                shape_message("Y", clean.shape, wanted, f"a row of {n_outputs} for each of {n} X")
                + (choice if loss == "cross_entropy" else "")
            )
        clean = clean.reshape(wanted)
    _check_domain(clean, loss)
    return clean, None


def _labels(Y, n, n_outputs):
    if isinstance(Y, np.ma.MaskedArray) and np.ma.is_masked(Y):
        raise ValueError("Y is a masked array with masked values; drop those samples first")
    labels = np.asarray(Y)
    if labels.dtype.kind not in "iu":
        raise TypeError(
            f"Y has shape {labels.shape} and dtype {labels.dtype}; cross_entropy takes class "
            f"indices (integers 0 to {n_outputs - 1}, .astype(int)) of that shape, or a row of "
            f"{n_outputs} probabilities for each of {n} samples"
        )
    if labels.min() < 0 or labels.max() >= n_outputs:
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise ValueError(
            f"Y holds the class index {wrong}, wanted 0 to {n_outputs - 1}: the network has "
            f"{n_outputs} outputs"
        )
    # A copy: the kernels index by them unchecked, whatever happens to Y meanwhile.
    return np.array(labels, dtype=np.int64).reshape(n)


def _check_domain(rows, loss):
    """Raise if target rows are outside the loss's domain."""
    if loss == "binary_cross_entropy":
        if rows.min() < 0 or rows.max() > 1:
            wrong = rows.min() if rows.min() < 0 else rows.max()
            raise ValueError(f"Y holds {wrong}, binary_cross_entropy wants values from 0 to 1")
    elif loss == "poisson":
        if rows.min() < 0:
            raise ValueError(f"Y holds {rows.min()}, poisson wants counts or rates of 0 or more")
    elif loss == "cross_entropy":
        if rows.min() < 0:
            raise ValueError(f"Y holds {rows.min()}, cross_entropy wants probabilities, 0 to 1")
        sums = np.atleast_2d(rows).sum(axis=1, dtype=np.float64)
        if np.abs(sums - 1).max() > 1e-3:
            wrong = int(np.abs(sums - 1).argmax())
            raise ValueError(
                f"row {wrong} of Y sums to {sums[wrong]:.6g}, cross_entropy wants rows that sum "
                "to 1, or class indices"
            )


def weights(sample_weight, n, dtype):
    """Return sample weights of shape (n,) in `dtype`: finite, none negative, not all zero."""
    clean = _real(sample_weight, "sample_weight", dtype)
    if clean.shape != (n,) and not (clean.shape == () and n == 1):
        raise ValueError(shape_message("sample_weight", clean.shape, (n,), "one for each sample"))
    if clean.min() < 0:
        raise ValueError(f"sample_weight holds {clean.min()}, wanted 0 or more")
    if clean.max() == 0:
        raise ValueError("sample_weight is all zeros, wanted at least one positive weight")
    with np.errstate(over="ignore"):
        total = float(clean.sum(dtype=np.float64))
    if not 1e-300 < total < 1e300:
        raise ValueError(f"sample_weight sums to {total:g}, wanted a sum that can be divided by")
    return clean.reshape(n)


def output(out, shape, dtype, inputs):
    """Raise unless `out` can be written as it is: ndarray, shape, dtype, layout, no overlap."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out is a {type(out).__name__}, wanted a numpy array")
    if out.dtype != dtype or not out.dtype.isnative:
        raise TypeError(f"out has dtype {out.dtype.str}, wanted {np.dtype(dtype).str}")
    if out.shape != shape:
        raise ValueError(shape_message("out", out.shape, shape, "a row for each sample"))
    if not (out.flags.c_contiguous and out.flags.aligned and out.flags.writeable):
        raise ValueError("out is not C-contiguous, aligned and writable: make it with np.empty")
    for array in inputs:
        if isinstance(array, np.ndarray) and np.may_share_memory(out, array):
            raise ValueError("out shares memory with the input or the network: give another array")


def positive_integer(value, name):
    """Return `value` as an int of 1 or more."""
    return _integer(value, name, 1, "a positive integer")


def non_negative_integer(value, name):
    """Return `value` as an int of 0 or more."""
    return _integer(value, name, 0, "an integer of 0 or more")


def _integer(value, name, low, wanted):
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {value!r}, wanted {wanted}") from None
    if number < low:
        raise ValueError(f"{name} is {number}, wanted {wanted}")
    return number


def real_number(value, name, *, low=-math.inf, high=math.inf, open_low=False, open_high=False):
    """Return `value` as a finite float in the interval from low to high."""
    signs = f"{'(' if open_low else '['}{low:g}, {high:g}{')' if open_high else ']'}"
    if isinstance(value, (bool, np.bool_, str, bytes)) or value is None:
        raise TypeError(f"{name} is {value!r}, wanted a number in {signs}")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} is {value!r}, wanted a number in {signs}") from None
    if (
        not math.isfinite(number)
        or not low <= number <= high
        or (open_low and number == low)
        or (open_high and number == high)
    ):
        raise ValueError(f"{name} is {value!r}, wanted a finite number in {signs}")
    return number


def layer_sizes(n_inputs, n_outputs, dtype):
    """Return both sizes as ints whose weights fit into memory that can be addressed.

    Raises
    ------
    TypeError, ValueError
        Not positive integers, or their product overflows.
    """
    n_inputs = positive_integer(n_inputs, "n_inputs")
    n_outputs = positive_integer(n_outputs, "n_outputs")
    if (n_inputs + 1) * n_outputs * np.dtype(dtype).itemsize > 2**62:
        raise ValueError(
            f"n_inputs * n_outputs is {n_inputs} * {n_outputs}, more weights than can be addressed"
        )
    return n_inputs, n_outputs


def one_of(value, names, what):
    """Return `value` if it is one of `names`, else say which there are and which comes close."""
    if isinstance(value, str) and value in names:
        return value
    message = f"{what} is {value!r}, wanted one of {', '.join(names)}"
    if isinstance(value, str):
        import difflib

        close = difflib.get_close_matches(value, list(names), 1)
        if close:
            message += f"; did you mean {close[0]!r}?"
        raise ValueError(message)
    raise TypeError(message)


def parameters(values, shape, dtype, name):
    """Return values for W, b or the parameter vector: finite, of exactly this shape."""
    clean = _real(values, name, dtype)
    if clean.shape != shape:
        raise ValueError(shape_message(name, clean.shape, shape, "that of the array it replaces"))
    return clean


def boolean(value, name):
    """Return `value` if it is True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} is {value!r}, wanted True or False")
    return bool(value)
