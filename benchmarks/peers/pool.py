"""The processes of the libraries: started once, asked in turn, so that one computes at a time."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np

from peers.outcome import disagreement, summary

BENCHMARKS = Path(__file__).resolve().parents[1]

LIBRARIES = (
    "bpcore",
    "reference",
    "sklearn",
    "torch",
    "torch_compile",
    "torchscript",
    "jax",
    "fann",
    "onnxruntime",
)

TRUTH = "reference"
"""The library that all others are compared with, in float64."""


def environment(threads, level=None):
    """Return the environment of a worker: so many threads, whoever makes them.

    Parameters
    ----------
    threads : int
    level : str, optional
        CPU level that bpcore is made to use.
    """
    names = ("OMP", "MKL", "OPENBLAS", "VECLIB", "NUMEXPR", "BPCORE")
    variables = os.environ | {f"{name}_NUM_THREADS": str(threads) for name in names}
    if threads == 1:
        flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        variables["XLA_FLAGS"] = flags
    variables |= {"JAX_PLATFORMS": "cpu", "TORCHINDUCTOR_COMPILE_THREADS": "1"}
    if level is not None:
        variables["BPCORE_CPU"] = level
    before = variables.get("PYTHONPATH")
    variables["PYTHONPATH"] = os.pathsep.join([str(BENCHMARKS), *([before] if before else [])])
    return variables


class Process:
    """A worker and the pipe to it; an answer is a dict, with `error` if it failed.

    Parameters
    ----------
    name : str
        One of `LIBRARIES`, or the dotted name of a module that is made like theirs.
    cores : list of int
    threads : int
    level : str, optional
    """

    def __init__(self, name, cores, threads, level=None):
        module = name if "." in name else f"peers.with_{name}"
        settings = json.dumps({"cores": cores, "threads": threads})
        self.process = subprocess.Popen(
            [sys.executable, "-m", "peers.worker", module, settings],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=environment(threads, level),
        )
        self.start = self._answer()

    def ask(self, command, **arguments):
        """Return the answer to a command of `peers.worker.Worker`."""
        try:
            print(json.dumps({"do": command, **arguments}), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            return {"error": "the process ended"}
        return self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"error": "the process ended"}

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Pool:
    """The processes of all libraries that are installed.

    Parameters
    ----------
    names : sequence of str
    cores : list of int
    threads : int
    level : str or None
    folder : Path
        For arrays to compare.
    """

    def __init__(self, names, cores, threads, level, folder):
        self.folder, self.truths = folder, {}
        self.processes, self.missing = {}, {}
        for name in names:
            process = Process(name, cores, threads, level)
            if "version" in process.start:
                self.processes[name] = process
            else:
                self.missing[name] = process.start.get("missing", process.start.get("error"))
                process.close()
        self.truth = Process(TRUTH, cores, threads)

    @property
    def versions(self):
        return {name: process.start["version"] for name, process in self.processes.items()}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in (*self.processes.values(), self.truth):
            process.close()

    def compare(self, kind, case, names, repeats, seconds):
        """Time a case, the libraries in turn.

        Parameters
        ----------
        kind : {"Training", "Prediction"}
        case : Case
        names : sequence of str
            The libraries to time.
        repeats : int
        seconds : float
            Least time of one repeat.

        Returns
        -------
        dict of str to dict
            For each library `seconds`, the median, `quartiles` and all `samples`; or `unsupported`
            or `error`, why there is none.
        """
        truth = self._prepare(self.truth, kind, {**asdict(case), "dtype": "float64"}, 0, "truth")
        self.truth.ask("release")
        results = {}
        for name in names:
            answer = self._prepare(self.processes[name], kind, asdict(case), seconds, "outcome")
            results[name] = {**answer, "samples": [], "empty": []}
            if "outcome" in answer:
                results[name] |= disagreement(kind, case, answer, truth)
                del results[name]["outcome"]
        running = [n for n in names if not {"error", "unsupported"} & set(results[n])]
        for _ in range(repeats):
            for name in running:
                answer = self.processes[name].ask("measure")
                if "error" in answer:
                    results[name]["error"] = answer["error"]
                    continue
                results[name]["samples"].append(answer["seconds"])
                if "empty" in answer:
                    results[name]["empty"].append(answer["empty"])
        for name in names:
            self.processes[name].ask("release")
        return {name: summary(result) for name, result in results.items()}

    def _prepare(self, process, kind, case, seconds, file):
        path = self.folder / f"{file}.npy"
        answer = process.ask("prepare", kind=kind, case=case, seconds=seconds, outcome=str(path))
        if "error" not in answer and "unsupported" not in answer:
            answer["outcome"] = np.load(path)
        return answer
