"""Pictures of a study: the seeds of every row, and how far each row lies from the one it is compared with."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from w3action.study.comparison import Line, Report
from w3action.study.gaze import GazeLine
from w3action.study.tables import FIGURE3

OURS, PAPER, CLEAR, UNCLEAR, GRID = "#1f5fa8", "#c2410c", "#1c2430", "#9aa5b1", "#e3e7ec"
GAZE_COLORS = {"cbam": UNCLEAR, "w3": "#7fb2e5", "w3_mfr": OURS, "w3_half": PAPER, "w3_norm": "#15803d"}


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
        axes.grid(axis="x", color=GRID)
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
    axes.grid(color=GRID)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path)


def draw_figure3(path: Path, lines: Sequence[GazeLine]) -> None:
    """Draw how much masks look at the hand as a PNG, stage by stage: left acting, right idle; 1 does not care."""
    figure = Figure(figsize=(10, 3.6), layout="constrained", dpi=110)
    variants = list(dict.fromkeys(line.variant for line in lines))
    stages = sorted({line.stage for line in lines})
    panels = figure.subplots(1, 2, sharey=True)
    for axes, kind in zip(panels, ("acting", "idle"), strict=True):
        for place, variant in enumerate(variants):
            shown = [line for line in lines if line.variant == variant]
            offset = 0.12 * (place - (len(variants) - 1) / 2)
            for line in shown:
                values = getattr(line, kind).values
                axes.plot([line.stage + offset] * len(values), values, "o", color=GAZE_COLORS[variant], markersize=5)
            means = [getattr(line, kind).mean for line in shown]
            axes.plot(
                [line.stage + offset for line in shown], means, "-", color=GAZE_COLORS[variant], label=FIGURE3[variant]
            )
        axes.axhline(1, color=CLEAR, linewidth=0.8)
        axes.set_title("the hand acts" if kind == "acting" else "the hand does nothing", fontsize=11)
        axes.set_xticks(stages, [f"stage {stage}" for stage in stages])
        axes.grid(axis="y", color=GRID)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("mask on the hand /\nhand's share of the frame")
    panels[1].legend(frameon=False)
    figure.savefig(path)
