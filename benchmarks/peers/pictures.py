"""Pictures of the results, in colours that differ for colour-blind eyes, and in shapes besides."""

from peers.report import curve, label, seconds

# Okabe and Ito's palette; a hatch and a marker for print without colour.
STYLES = {
    "bpcore": ("#000000", "", "o"),
    "reference": ("#0072B2", "//", "s"),
    "sklearn": ("#F0E442", "..", "D"),
    "torch": ("#D55E00", "\\\\", "^"),
    "torch_compile": ("#E69F00", "xx", "v"),
    "torchscript": ("#CC79A7", "++", "P"),
    "jax": ("#009E73", "--", "X"),
    "fann": ("#56B4E9", "oo", "*"),
    "onnxruntime": ("#999999", "||", "h"),
}
OTHER_STYLE = ("#BBBBBB", "", "d")

TITLES = {
    "training": "A training step: time of others divided by bpcore's",
    "others": "Training steps of other shapes: time of others divided by bpcore's",
    "prediction": "Predictions: time of others divided by bpcore's",
}


def draw(document, folder):
    """Draw what there are results for; return the files.

    Raises
    ------
    ModuleNotFoundError
        matplotlib is not installed.
    """
    import matplotlib

    matplotlib.use("Agg")
    files = [draw_bars(document, group, folder) for group in TITLES]
    files.append(draw_curve(document, "width", "units a layer, net w-w-w, batch 64", folder))
    files.append(draw_curve(document, "batch", "samples a step, net 64-64-64", folder))
    return [file for file in files if file is not None]


def draw_bars(document, group, folder):
    """Draw a bar for each case and library; return the file, or None without results."""
    from matplotlib import pyplot as plt

    results = [r for r in document["results"] if r["group"] == group and seconds(r)]
    names = list(dict.fromkeys(n for r in results for n in r["libraries"] if n != "bpcore"))
    names = [name for name in names if any(seconds(r, name) for r in results)]
    if not names:
        return None
    figure, axes = plt.subplots(figsize=(max(7, 1.25 * len(results)), 4.8), layout="constrained")
    width = 0.84 / len(names)
    for k, name in enumerate(names):
        places, ratios, errors = [], [], [[], []]
        for place, result in enumerate(results):
            if (time := seconds(result, name)) is None:
                continue
            low, high = result["libraries"][name]["quartiles"]
            places.append(place + (k - (len(names) - 1) / 2) * width)
            ratios.append(time / seconds(result))
            errors[0].append((time - low) / seconds(result))
            errors[1].append((high - time) / seconds(result))
        colour, hatch, _ = STYLES.get(name, OTHER_STYLE)
        style = {"color": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0.5}
        bars = {"yerr": errors, "error_kw": {"linewidth": 0.8}, "label": label(name)}
        axes.bar(places, [ratio - 1 for ratio in ratios], width, bottom=1, **style, **bars)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
    axes.axhline(1, color="black", linewidth=1.2)
    axes.set_xticks(range(len(results)), [r["case"] for r in results], rotation=25, ha="right")
    axes.set_ylabel("time ÷ bpcore's  (1: as fast)")
    axes.set_title(TITLES[group])
    axes.grid(axis="y", which="major", alpha=0.4)
    axes.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=5, frameon=False)
    return save(figure, folder / f"{group}.png")


def draw_curve(document, group, axis, folder):
    """Draw step time against size for every library; return the file, or None without results."""
    from matplotlib import pyplot as plt

    results = [r for r in document["results"] if r["group"] == group]
    names = list(dict.fromkeys(n for r in results for n in r["libraries"]))
    names = [name for name in names if curve(document, group, name)]
    if not names:
        return None
    figure, axes = plt.subplots(figsize=(8, 5.2), layout="constrained")
    for name in names:
        sizes, times = zip(*curve(document, group, name), strict=True)
        colour, _, marker = STYLES.get(name, OTHER_STYLE)
        style = {"marker": marker, "color": colour, "label": label(name)}
        axes.plot(sizes, [1e6 * t for t in times], markersize=4 if name == "bpcore" else 6, **style)
    rate = max((rate for rate in document.get("limits", {}).values() if rate), default=None)
    if rate:
        points = sorted((int(r["case"].split()[1]), r["operations"] / rate) for r in results)
        sizes, times = zip(*points, strict=True)
        text = f"limit of a core: {rate / 1e9:.0f} GFLOP/s"
        axes.plot(sizes, [1e6 * t for t in times], color="grey", linestyle="--", label=text)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    for axis_of in (axes.xaxis, axes.yaxis):
        axis_of.set_major_formatter(lambda x, _: f"{x:,.10g}")
    axes.set_xlabel(axis)
    axes.set_ylabel("microseconds a training step")
    axes.set_title(f"Step time against {group} (relu + identity, squared error, SGD)")
    axes.grid(which="major", alpha=0.4)
    axes.legend(frameon=False)
    return save(figure, folder / f"{group}.png")


def save(figure, file):
    """Write the picture and return its file."""
    from matplotlib import pyplot as plt

    figure.savefig(file, dpi=110, metadata={"Software": None})
    plt.close(figure)
    return file
