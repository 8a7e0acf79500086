"""What comes out of a case: is it the reference's, and how long did it take?"""

from statistics import median, quantiles

import numpy as np

LOSS_RTOL = 1e-3
"""How far the losses may differ."""


def outcome_rtol(kind, case):
    """Return how far the outputs, or the movement of all parameters, may differ, in norm.

    Adam divides the size of a gradient out: where rounding turns a ReLU on for one sample, or the
    gradient is as small as ε, a weight moves by a whole step or by none, and the loss does not
    notice. The bound for these still refuses a learning rate that is 1.3 times as high, and another
    order of the rows.
    """
    if kind == "Prediction":
        return 1e-4
    return 0.25 if (case.optimizer, case.hidden) == ("Adam", "relu") else 1e-2


def disagreement(kind, case, answer, truth):
    """Return an `error` if an outcome is not that of the reference, and how far it is off."""
    if "outcome" not in truth:
        return {"error": f"nothing to compare with: {truth}"}
    mine, right = answer["outcome"], truth["outcome"]
    if mine.shape != right.shape:
        return {"error": f"the outcome has {mine.size} numbers, wanted {right.size}"}
    off = float(np.linalg.norm(mine - right) / np.linalg.norm(right))
    report = {"outcome_error": off}
    if not off <= outcome_rtol(kind, case):
        report["error"] = f"not the same work: the outcome is {off:.2g} off the reference's"
    if kind == "Training":
        report["loss_error"] = abs(answer["loss"] / truth["loss"] - 1)
        if not report["loss_error"] <= LOSS_RTOL:
            report["error"] = (
                f"not the same work: loss {answer['loss']:.6g} after the same steps, "
                f"the reference's is {truth['loss']:.6g}"
            )
    return report


def summary(result):
    """Return the result with median and quartiles of its samples."""
    samples, empty = result.pop("samples"), result.pop("empty")
    if samples and "error" not in result:
        quartiles = quantiles(samples, n=4, method="inclusive") if len(samples) > 1 else 3 * samples
        result |= {"seconds": median(samples), "quartiles": quartiles[::2], "samples": samples}
        if empty:
            result["without_call"] = median(samples) - median(empty)
    return result
