"""What runs in the process of one library: prepares a case, then times it whenever it is asked.

    python -m peers.worker peers.with_jax '{"cores": [0], "threads": 1}'

The first line out says which version it is. Then one JSON object a line comes in and one goes out:
the name and arguments of a method of `Worker`, and what it returns.
"""

import gc
import importlib
import json
import math
import os
import sys
import time

import numpy as np

from bpcore import reference
from peers.cases import CHECK_STEPS, Case


class Worker:
    """A library, and the case it is busy with.

    Parameters
    ----------
    library : module
        See the docstring of `peers`.
    threads : int
        With one thread the clock is the processor's time of this process, with more the wall's.
    """

    def __init__(self, library, threads):
        self.library, self.threads = library, threads
        self.clock = time.process_time if threads == 1 else time.perf_counter
        self.burst = self.empty_burst = self.units = self.loops = None

    def prepare(self, kind, case, seconds, outcome):
        """Make what a case needs, write down what comes out of it, and find how often to repeat it.

        Parameters
        ----------
        kind : {"Training", "Prediction"}
        case : dict
            Fields of `Case`.
        seconds : float
            Least time of a sample; 0 if it is not to be timed.
        outcome : str
            File for an array to compare: how far `CHECK_STEPS` steps moved the parameters, or what
            was predicted.

        Returns
        -------
        dict
            `loss` after these steps.
        """
        self.release()
        make = getattr(self.library, kind, None)
        if make is None:
            raise NotImplementedError(f"no {kind.lower()}")
        case = Case(**case | {"sizes": tuple(case["sizes"])})
        subject = make(case, self.threads)
        prepare = self._training if kind == "Training" else self._prediction
        result, array = prepare(subject, case)
        np.save(outcome, array)
        if seconds:
            self.loops = self._enough(seconds)
        return result

    def _training(self, net, case):
        steps = 1 if case.full_batch else CHECK_STEPS
        X, Y = case.data(steps)
        net.reset()
        data = net.load(X, Y)
        for _ in range(CHECK_STEPS // steps):
            net.train(data)
        parameters = [(W.astype(float), b.astype(float)) for W, b in net.parameters()]
        pairs = zip(parameters, case.initial_parameters(), strict=True)
        moved = [(W - W0).ravel() for new, old in pairs for W, W0 in zip(new, old, strict=True)]
        data = net.load(*case.data(case.steps))

        def burst(loops):
            net.reset()  # every sample starts alike, and none drifts to saturation
            start = self.clock()
            for _ in range(loops):
                net.train(data)
            return self.clock() - start

        self.burst, self.units = burst, case.steps
        return {"loss": loss_of(case, parameters, X, Y)}, np.concatenate(moved)

    def _prediction(self, net, case):
        X, _ = case.data(1)
        X = X[0] if case.batch_size == 1 else X

        def burst(loops, call=net.call):
            start = self.clock()
            for _ in range(loops):
                call(X)
            return self.clock() - start

        self.burst, self.units = burst, 1
        if hasattr(net, "empty_call"):
            self.empty_burst = lambda loops: burst(loops, net.empty_call)
        return {}, np.asarray(net.call(X), float).ravel()

    def _enough(self, seconds):
        """Return how many repetitions fill these seconds; finding it warms everything up."""
        loops, spent = 1, self.burst(1)
        if spent < seconds:
            spent = self.burst(1)
        while spent < seconds / 4:
            loops = min(10 * loops, 1 + int(loops * seconds / max(spent, 1e-9)))
            spent = self.burst(loops)
        return max(1, math.ceil(loops * seconds / spent))

    def measure(self):
        """Return the seconds of a step or call; `empty`: those of calling a function that does
        nothing, where the library can tell."""
        gc.collect()
        gc.disable()
        try:
            result = {"seconds": self.burst(self.loops) / (self.loops * self.units)}
            if self.empty_burst is not None:
                result["empty"] = self.empty_burst(self.loops) / self.loops
            return result
        finally:
            gc.enable()

    def release(self):
        """Let go of the case and its data."""
        self.burst = self.empty_burst = None
        gc.collect()
        return {}


def loss_of(case, parameters, X, Y):
    """Return the loss of these parameters, by the plain NumPy reference in float64."""
    net = reference.mlp(case.sizes, case.hidden, case.output, case.loss, dtype="float64", rng=0)
    for layer, (W, b) in zip(net.layers, parameters, strict=True):
        layer.W[...], layer.b[...] = W, b
    return net.evaluate(X.astype(float), Y)


def main():
    # Answers go where standard output went; what a library prints goes where errors go.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    name, settings = sys.argv[1], json.loads(sys.argv[2])
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, settings["cores"])
    try:
        library = importlib.import_module(name)
        answer = {"version": library.version()}
    except (ImportError, OSError) as error:
        answer = {"missing": str(error)}
    print(json.dumps(answer), file=answers, flush=True)
    if "missing" in answer:
        return
    worker = Worker(library, settings["threads"])
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(worker, request.pop("do"))(**request)
        except NotImplementedError as error:
            answer = {"unsupported": str(error)}
        except Exception as error:  # whatever a library raises is its result for this case
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
