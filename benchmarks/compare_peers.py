"""Time bpcore and other libraries side by side, on the same networks, data and steps.

    python benchmarks/compare_peers.py                  # everything, into docs/performance
    python benchmarks/compare_peers.py --quick          # does it run? a few cases, in seconds
    python benchmarks/compare_peers.py --cases training,one\\ sample --peers bpcore,jax
    python benchmarks/compare_peers.py --redraw --write-docs

docs/performance.md tells the method. The exit status is 1 if a library failed or did other work
than bpcore's reference.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path

from peers import cases, pictures, report
from peers.pool import LIBRARIES, Pool, environment

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "performance.md"

CURVE_LIBRARIES = ("bpcore", "reference", "torch", "torch_compile", "jax")
QUICK = ("tiny", "rl", "one sample")


def groups():
    """Return all cases: group, then name, then (Case, libraries that take part or None for all)."""
    curves = {
        "width": (cases.of_width, cases.WIDTHS, cases.AWKWARD_WIDTHS),
        "batch": (cases.of_batch, cases.BATCHES, cases.AWKWARD_BATCHES),
    }
    every = {"training": cases.TRAINING, "others": cases.OTHERS, "prediction": cases.PREDICTION}
    chosen = {group: {name: (c, None) for name, c in g.items()} for group, g in every.items()}
    for group, (make, shared, awkward) in curves.items():
        points = dict.fromkeys(shared, CURVE_LIBRARIES) | dict.fromkeys(awkward, ("bpcore",))
        chosen[group] = {
            f"{group} {size}": (make(size), libraries) for size, libraries in sorted(points.items())
        }
    return chosen


def selected(wanted):
    """Return (group, name, case, libraries) of the groups and cases that were asked for.

    Raises
    ------
    SystemExit
        There is no such group or case.
    """
    every = groups()
    unknown = set(wanted or ()) - set(every) - {name for group in every.values() for name in group}
    if unknown:
        raise SystemExit(f"no case {', '.join(sorted(unknown))}; groups are {', '.join(every)}")
    return [
        (group, name, case, libraries)
        for group, members in every.items()
        for name, (case, libraries) in members.items()
        if wanted is None or {group, name} & set(wanted)
    ]


def machine():
    """Return what is known about this machine."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        models = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
        model = models[0] if models else model
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def limits(dtype, core):
    """Return the measured limits of a core in operations a second."""
    run = [sys.executable, "-m", "peers.limit", dtype, str(core)]
    answer = subprocess.run(run, env=environment(1), capture_output=True, text=True, check=True)
    return json.loads(answer.stdout)


def measure(options, chosen, save):
    """Time the chosen cases and return the document of results.

    Parameters
    ----------
    options : argparse.Namespace
    chosen : list
        As `selected` returns it.
    save : callable
        Called with the document after each case, so that a long run leaves what it has.
    """
    cores = list(range(options.core, options.core + options.threads))
    document = {
        "date": date.today().isoformat(),
        "machine": machine(),
        "settings": {
            name: getattr(options, name)
            for name in ("core", "threads", "dtype", "level", "repeats", "seconds")
        },
    }
    if any(group in ("width", "batch") for group, *_ in chosen):
        document["limits"] = limits(options.dtype, options.core)
    document["results"] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        Pool(options.peers, cores, options.threads, options.level, Path(folder)) as pool,
    ):
        document |= {"versions": pool.versions, "missing": pool.missing}
        for name, reason in pool.missing.items():
            print(f"left out: {name} ({reason})", flush=True)
        for group, name, case, libraries in chosen:
            case = replace(case, dtype=options.dtype)
            taking = [n for n in pool.versions if libraries is None or n in libraries]
            kind = "Prediction" if group == "prediction" else "Training"
            compared = pool.compare(kind, case, taking, options.repeats, options.seconds)
            result = {"group": group, "case": name, **asdict(case), "operations": case.operations}
            document["results"].append({**result, "libraries": compared})
            print(report.line(document["results"][-1]), flush=True)
            save(document)
    return document


def parse(arguments):
    """Return the options of a command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    names = lambda text: [name.strip() for name in text.split(",") if name.strip()]  # noqa: E731
    add = parser.add_argument
    add("--core", type=int, default=0, help="first core to run on (default 0)")
    add("--threads", type=int, default=1, help="threads, and cores, of each library (default 1)")
    add("--repeats", type=int, default=7, help="samples of each library and case (default 7)")
    add("--seconds", type=float, default=0.15, help="least length of a sample (default 0.15)")
    add("--dtype", choices=("float32", "float64"), default="float32")
    add("--level", choices=("baseline", "x86_v3", "x86_v4", "x86_amx"), help="CPU level of bpcore")
    add("--cases", type=names, help="groups or cases: training, others, prediction, width, …")
    add("--peers", type=names, default=list(LIBRARIES), help="libraries (default all)")
    add("--quick", action="store_true", help="few cases, few and short samples")
    add("--out", type=Path, default=ROOT / "docs" / "performance", help="folder of the results")
    add("--write-docs", action="store_true", help=f"fill the tables in {PAGE.name}")
    add("--redraw", action="store_true", help="measure nothing, show the results in --out again")
    options = parser.parse_args(arguments)
    if options.quick:
        options.cases = options.cases or list(QUICK)
        options.repeats, options.seconds = 3, 0.02
    return options


def main(arguments=None):
    """Measure, show and write down; return the exit status."""
    options = parse(arguments)
    chosen = selected(options.cases)
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "results.json"

    def save(document):
        text = json.dumps(document, indent=1, ensure_ascii=False)
        file.write_text(text + "\n", encoding="utf-8")

    if options.redraw:
        document = json.loads(file.read_text(encoding="utf-8"))
    else:
        document = measure(options, chosen, save)
    sections = report.sections(document)
    (options.out / "tables.md").write_text("\n\n".join(sections.values()) + "\n", encoding="utf-8")
    try:
        drawn = pictures.draw(document, options.out)
    except ModuleNotFoundError as error:
        drawn = []
        print(f"left out: pictures ({error})")
    if options.write_docs:
        report.fill(PAGE, sections | report.picture_links(drawn, PAGE.parent))
    for cliff in report.cliffs(document):
        print(cliff)
    errors = report.errors(document)
    for error in errors:
        print(f"ERROR {error}", file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
