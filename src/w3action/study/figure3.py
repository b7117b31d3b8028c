"""Figure 3 as a table: how much W3 and CBAM look at the hand, stage by stage, acting or not, over several seeds."""

import csv
import dataclasses
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from matplotlib.figure import Figure

from w3action.files import write_bytes
from w3action.study.gaze import Gaze
from w3action.study.statistics import Summary, summarize

VARIANTS_SHOWN = ("cbam", "w3", "w3_mfr", "w3_half", "w3_norm")
NAMES = {
    "cbam": "CBAM",
    "w3": "W3, w/o MFR",
    "w3_mfr": "W3",
    "w3_half": "W3, masks from 0.5",
    "w3_norm": "W3, norm behind 7x7",
}
COLORS = {"cbam": "#9aa5b1", "w3": "#7fb2e5", "w3_mfr": "#1f5fa8", "w3_half": "#c2410c", "w3_norm": "#15803d"}


@dataclass(frozen=True)
class GazeLine:
    """One network's mask at one stage, over seeds."""

    variant: str
    stage: int
    acting: Summary  # ratio of the mask's share on the hand to the hand's share of the frame
    idle: Summary
    level_acting: float  # mean of the mask
    level_idle: float
    num_frames: int


def compile_gaze(found: Mapping[tuple[str, int], Sequence[Gaze]]) -> list[GazeLine]:
    """Join the gazes of (variant, seed) into lines by variant and stage."""
    lines = []
    for variant in dict.fromkeys(variant for variant, _ in found):
        gazes = [gaze for (name, _), of_run in found.items() if name == variant for gaze in of_run]
        for stage in sorted({gaze.stage for gaze in gazes}):
            acting, idle = (
                [gaze for gaze in gazes if gaze.stage == stage and gaze.acting is is_acting]
                for is_acting in (True, False)
            )
            lines.append(
                GazeLine(
                    variant=variant,
                    stage=stage,
                    acting=summarize([gaze.ratio for gaze in acting]),
                    idle=summarize([gaze.ratio for gaze in idle]),
                    level_acting=float(np.mean([gaze.level for gaze in acting])),
                    level_idle=float(np.mean([gaze.level for gaze in idle])),
                    num_frames=acting[0].num_frames + idle[0].num_frames,
                )
            )
    return lines


def write_figure3(lines: Sequence[GazeLine], out: Path, *, about: dict[str, Any]) -> Path:
    """Write figure3.json, .csv, .png and .html into `out`; return the page."""
    stem = out / "figure3"
    title = "Does the mask look at the hand?"
    content = {"table": "figure3", "title": title, "about": about, "rows": [dataclasses.asdict(line) for line in lines]}
    write_bytes(stem.with_suffix(".json"), (json.dumps(content, indent=2) + "\n").encode())
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["variant", "stage", "ratio_acting", "ratio_idle", "level_acting", "level_idle", "num_frames"])
    for line in lines:
        ratios = (line.acting.mean, line.idle.mean)
        writer.writerow([line.variant, line.stage, *ratios, line.level_acting, line.level_idle, line.num_frames])
    write_bytes(stem.with_suffix(".csv"), text.getvalue().encode())
    _draw(lines, stem.with_suffix(".png"))
    environment = jinja2.Environment(loader=jinja2.PackageLoader("w3action", "templates"), autoescape=True)
    page = environment.get_template("figure3.html.j2").render(lines=lines, title=title, names=NAMES, about=about)
    write_bytes(stem.with_suffix(".html"), page.encode())
    return stem.with_suffix(".html")


def _draw(lines: Sequence[GazeLine], path: Path) -> None:
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
                axes.plot([line.stage + offset] * len(values), values, "o", color=COLORS[variant], markersize=5)
            means = [getattr(line, kind).mean for line in shown]
            axes.plot([line.stage + offset for line in shown], means, "-", color=COLORS[variant], label=NAMES[variant])
        axes.axhline(1, color="#1c2430", linewidth=0.8)
        axes.set_title("the hand acts" if kind == "acting" else "the hand does nothing", fontsize=11)
        axes.set_xticks(stages, [f"stage {stage}" for stage in stages])
        axes.grid(axis="y", color="#e3e7ec")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("mask on the hand /\nhand's share of the frame")
    panels[1].legend(frameon=False)
    figure.savefig(path)
