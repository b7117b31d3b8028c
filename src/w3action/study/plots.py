"""Pictures of a study: the seeds of every row, and how far each row lies from the one it is compared with."""

from pathlib import Path

from matplotlib.figure import Figure

from w3action.study.report import Line, Report

OURS, PAPER, CLEAR, UNCLEAR = "#1f5fa8", "#c2410c", "#1c2430", "#9aa5b1"


def draw_table(path: Path, report: Report) -> None:
    """Draw a table as a PNG: left every seed with its row's mean, right the paired differences with their intervals."""
    lines = report.lines
    figure = Figure(figsize=(11, 1.5 + 0.42 * max(len(lines), 2)), layout="constrained", dpi=110)
    scores, gaps = figure.subplots(1, 2, sharey=True, width_ratios=(1.15, 1))
    places = range(len(lines))
    for place, line in zip(places, lines, strict=True):
        scores.plot(line.top1.values, [place] * len(line.top1.values), "o", color=OURS, alpha=0.45, markersize=5)
        scores.plot([line.top1.mean], [place], "|", color=OURS, markersize=17, markeredgewidth=2.5)
        if line.paper_top1 is not None:
            scores.plot([line.paper_top1], [place], "D", color=PAPER, markersize=5)
        gap = line.difference
        if gap is not None:
            color = CLEAR if gap.is_clear else UNCLEAR
            gaps.plot([gap.low, gap.high], [place, place], "-", color=color, linewidth=2)
            gaps.plot([gap.mean], [place], "o", color=color, markersize=6)
            if line.against != lines[0].label:
                gaps.annotate(f"vs {line.against}", (gap.high, place), (6, 0), textcoords="offset points", va="center")
    scores.set_yticks(places, [line.label for line in lines])
    scores.set_ylim(len(lines) - 0.5, -0.5)
    scores.set_xlabel("top-1, %")
    gaps.set_xlabel("points of top-1 above the first row, or the one named")
    gaps.axvline(0, color=UNCLEAR, linewidth=1)
    gaps.margins(x=0.45)
    for axes in (scores, gaps):
        axes.grid(axis="x", color="#e3e7ec")
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
    figure.savefig(path)


def draw_curves(path: Path, report: Report) -> None:
    """Draw curves as a PNG: top-1 over the table's axis, a line per network, a dot per seed."""
    figure = Figure(figsize=(7.5, 4.6), layout="constrained", dpi=110)
    axes = figure.subplots()
    curves: dict[str, list[tuple[float, Line]]] = {}
    for line in report.lines:
        if line.curve is not None:
            name, at = line.curve
            curves.setdefault(name, []).append((at, line))
    for color, (name, points) in zip((UNCLEAR, PAPER, OURS, CLEAR), curves.items(), strict=False):
        axes.plot([at for at, _ in points], [line.top1.mean for _, line in points], color=color, label=name)
        for at, line in points:
            axes.plot([at] * len(line.top1.values), line.top1.values, "o", color=color, alpha=0.5, markersize=4)
    places = sorted({at for points in curves.values() for at, _ in points})
    axes.set_xscale("log")
    axes.set_xticks(places, [f"{at:g}" for at in places])
    axes.minorticks_off()
    axes.set_xlabel(report.table.axis)
    axes.set_ylabel("top-1, %")
    axes.grid(color="#e3e7ec")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path)
