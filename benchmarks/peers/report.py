"""Tables of the results in Markdown, and what in them wants attention."""

import math
import os
import re

from peers.cases import Case

LABELS = {
    "bpcore": "bpcore",
    "reference": "NumPy",
    "sklearn": "scikit-learn",
    "torch": "PyTorch",
    "torch_compile": "torch.compile",
    "torchscript": "TorchScript",
    "jax": "JAX",
    "fann": "FANN",
    "onnxruntime": "onnxruntime",
}

CLIFF = 1.3
"""A point of a curve this many times above the line through its neighbours is told."""


def label(name):
    """Return the name of a library for people."""
    return LABELS.get(name, name)


def seconds(result, name="bpcore"):
    """Return the median time of a library in a case, or None."""
    return result["libraries"].get(name, {}).get("seconds")


def others(result):
    """Return the times of all libraries but bpcore that have one."""
    names = [name for name in result["libraries"] if name != "bpcore"]
    return {name: time for name in names if (time := seconds(result, name)) is not None}


def fastest_ratio(result):
    """Return the time of the fastest other library divided by bpcore's, or None."""
    ours, theirs = seconds(result), others(result)
    return min(theirs.values()) / ours if ours and theirs else None


def microseconds(time):
    """Return a time in microseconds, to three digits."""
    digits = max(0, 2 - math.floor(math.log10(time * 1e6)))
    return f"{time * 1e6:,.{digits}f}"


def cell(answer):
    """Return what the table says about a library in a case."""
    if answer is None or "unsupported" in answer:
        return "–"
    if "error" in answer:
        return "**error**"
    inside = answer.get("without_call")
    return microseconds(answer["seconds"]) + (f" ({microseconds(inside)})" if inside else "")


def ratio_cell(result):
    """Return fastest other / bpcore, marked where bpcore is slower."""
    ratio = fastest_ratio(result)
    if ratio is None:
        return "–"
    return f"{ratio:.2f}" if ratio >= 1 else f"**{ratio:.2f} slower**"


def line(result):
    """Return the result of a case in one line, for the terminal."""
    cells = [f"{label(name)} {cell(a)}" for name, a in result["libraries"].items()]
    return f"{result['case']}: " + ", ".join(c for c in cells if not c.endswith("–"))


def table(results):
    """Return the Markdown table of some results, a row a case."""
    names = [
        name
        for name in dict.fromkeys(name for result in results for name in result["libraries"])
        if any(cell(result["libraries"].get(name)) != "–" for result in results)
    ]
    head = ["case", "network", "task", *map(label, names), "fastest other ÷ bpcore"]
    rows = [head, ["---"] * 3 + ["---:"] * (len(names) + 1)]
    fields = Case.__dataclass_fields__
    for result in results:
        case = Case(**{name: result[name] for name in fields})
        network, task = case.describe()
        if result["group"] == "prediction":
            task = "one vector" if case.batch_size == 1 else f"{case.batch_size:,} rows"
        cells = [cell(result["libraries"].get(name)) for name in names]
        rows.append([result["case"], network, task, *cells, ratio_cell(result)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def verdict(results):
    """Return the geometric mean and the worst of the ratios, in a sentence."""
    ratios = {r["case"]: ratio for r in results if (ratio := fastest_ratio(r)) is not None}
    if not ratios:
        return "Nothing to compare with."
    mean = math.exp(sum(map(math.log, ratios.values())) / len(ratios))
    worst = min(ratios, key=ratios.get)
    slower = [case for case, ratio in ratios.items() if ratio < 1]
    return (
        f"The fastest other library's time divided by bpcore's: geometric mean over {len(ratios)} "
        f"cases {mean:.2f}, worst {ratios[worst]:.2f} ({worst}). "
        + (f"bpcore is slower in: {', '.join(slower)}." if slower else "bpcore is slower in none.")
    )


def circumstances(document):
    """Return machine, versions and settings, as a list."""
    machine, settings = document["machine"], document["settings"]
    versions = [f"{label(name)} {text}" for name, text in document["versions"].items()]
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, "
        f"Python {machine['python']}, {document['date']}",
        "; ".join(versions),
        f"{settings['dtype']}, {settings['threads']} thread(s) from core {settings['core']}, "
        f"median of {settings['repeats']} samples of at least {settings['seconds']} s",
    ]
    if document["missing"]:
        lines.append(f"not installed: {', '.join(map(label, document['missing']))}")
    for name, rate in document.get("limits", {}).items():
        if rate:
            lines.append(f"limit of a core by {name.replace('_', ' ')}: {rate / 1e9:.0f} GFLOP/s")
    return "\n".join(f"- {text}" for text in lines)


def sections(document):
    """Return the Markdown of each section that there are results for."""
    texts = {"machine": circumstances(document)}
    for group in dict.fromkeys(result["group"] for result in document["results"]):
        results = [result for result in document["results"] if result["group"] == group]
        if group in ("width", "batch"):
            results = [result for result in results if len(result["libraries"]) > 1]
        if results:
            texts[group] = f"{table(results)}\n\n{verdict(results)}"
    return texts


def picture_links(files, folder):
    """Return sections that show the pictures of these files, seen from a folder."""
    return {
        f"picture-{file.stem}": f"![{file.stem}]({os.path.relpath(file, folder)})" for file in files
    }


def fill(page, texts):
    """Put texts between `<!-- table: name -->` and `<!-- end -->` of a page, leave the others."""
    content = page.read_text(encoding="utf-8")
    for name, text in texts.items():
        marked = re.compile(rf"(<!-- table: {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
        content = marked.sub(lambda m, text=text: f"{m[1]}{text}\n{m[2]}", content)
    page.write_text(content, encoding="utf-8")


def cliffs(document):
    """Return a line for each point of bpcore's curves that stands out above its neighbours."""
    found = []
    for group in ("width", "batch"):
        points = curve(document, group, "bpcore")
        for (x0, y0), (x, y), (x1, y1) in zip(points, points[1:], points[2:], strict=False):
            share = math.log(x / x0) / math.log(x1 / x0)
            expected = math.exp((1 - share) * math.log(y0) + share * math.log(y1))
            if y > CLIFF * expected:
                found.append(f"cliff: {group} {x} takes {y / expected:.2f} times its neighbours")
    return found


def curve(document, group, name):
    """Return the (size, seconds) of a library along a curve."""
    results = [result for result in document["results"] if result["group"] == group]
    times = [(int(r["case"].split()[1]), seconds(r, name)) for r in results]
    return sorted((size, time) for size, time in times if time is not None)


def errors(document):
    """Return a line for each library that failed in a case."""
    return [
        f"{result['case']}: {label(name)}: {answer['error']}"
        for result in document["results"]
        for name, answer in result["libraries"].items()
        if "error" in answer
    ]
