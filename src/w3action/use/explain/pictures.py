"""The three pictures that explain a prediction: where (a strip of frames, Figure 3), when (curves), what (channels).

Each function draws one PNG. They use matplotlib's Figure objects alone: no pyplot, no state shared between calls.
Names of files and classes come from users and are never read as mathematics (`parse_math=False`).

Source: "Knowing What, Where and When to Look" (2020), Figure 3 and "Attention visualization and interpretation".
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor

from w3action.use.explain.explanation import Explanation
from w3action.use.explain.heat import COLORMAP, ShownFrames, heat_of, light_up
from w3action.use.explain.masks import Range, range_of

DPI = 150
INK, MUTED, RULE = "#1f2328", "#6a737d", "#d0d7de"
WHERE, WHAT, SECOND = "#c73e4c", "#3566a8", "#9aa3ad"
MAX_COLUMNS = 8
STRIP_INCHES = 14.0
STRIP_SCALE = 1.3  # the strip is wide and is mostly looked at scaled down: larger letters


class _Page:
    """A figure laid out in inches, from its top left corner."""

    def __init__(self, width: float, height: float):
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
        FigureCanvasAgg(self.figure)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        bottom = self.height - top - height
        box = (left / self.width, bottom / self.height, width / self.width, height / self.height)
        axes = self.figure.add_axes(box)
        axes.spines[:].set_color(RULE)
        axes.tick_params(colors=MUTED, labelsize=9, length=3)
        return axes

    def text(self, left: float, top: float, text: str, *, size: float = 10, color: str = INK, **style: str) -> None:
        """Write a line of text whose upper edge is at `top`."""
        written = self.figure.text(left / self.width, 1 - top / self.height, text, fontsize=size, color=color)
        written.set(va="top", parse_math=False, **style)

    def heading(self, left: float, heading: str, video: str, facts: str = "", *, scale: float = 1.0) -> None:
        """Write the two lines at the top; where they are too long, the video's name gives way, never the facts."""
        room = (self.width - left - 0.2) / scale
        facts = f"   ·   {facts}" if facts else ""
        video = elide(video, max(int(room / 0.085) - len(facts), 12))
        self.text(left, 0.18 * scale, elide(heading, int(room / 0.115)), size=13 * scale, weight="bold")
        self.text(left, 0.47 * scale, video + facts, size=9.5 * scale, color=MUTED)

    def save(self, path: Path) -> None:
        self.figure.savefig(path)


def draw_strip(found: Explanation, shown: ShownFrames) -> None:
    """Draw up to 8 evenly spaced frames, and below them the same frames lit by the spatial mask, if there is one."""
    mask, seconds, size = found.spatial_mask, found.times_seconds, found.checkpoint.clip_format.size
    facts = "this network has no spatial mask"
    if mask is not None:
        facts = f"spatial mask: {found.masks.spatial_source}, {range_of(mask)}"
        facts += " (1 = an even share)" if found.is_share else ""
    num_frames, side = shown.seen.shape[1:3]
    columns = np.unique(np.linspace(0, num_frames - 1, min(num_frames, MAX_COLUMNS)).round().astype(int))
    plain = shown.seen[:, columns].permute(1, 2, 3, 0).numpy()  # (t, side, side, 3)
    rows = [plain]
    if mask is not None:
        rows.append(light_up(plain, heat_of(mask[columns], range_of(mask), size=size, side=side).numpy()))
    gap, left, top, right = 0.06, 0.25, 1.05, 1.15
    cell = min((STRIP_INCHES - left - right) / len(columns) - gap, 2.5)
    page = _Page(STRIP_INCHES, top + len(rows) * (cell + gap) + 0.45)
    name, probability = found.prediction[0]
    page.heading(left, f"{name}, {100 * probability:.1f} %", found.video.name, facts, scale=STRIP_SCALE)
    sheet = page.axes(0, 0, page.width, page.height)  # its coordinates are the page's
    for r, row in enumerate(rows):
        for i, picture in enumerate(row):
            x, y = left + i * (cell + gap), top + r * (cell + gap)
            sheet.imshow(picture, extent=(x, x + cell, y + cell, y), interpolation="lanczos", aspect="auto")
    sheet.set(xlim=(0, page.width), ylim=(page.height, 0))
    sheet.set_axis_off()
    for i, frame in enumerate(columns):
        x = left + i * (cell + gap) + cell / 2
        page.text(x, page.height - 0.39, f"{float(seconds[frame]):.2f} s", size=12, color=MUTED, ha="center")
    if mask is not None:
        axes = page.axes(left + len(columns) * (cell + gap) + 0.08, top + cell + gap, 0.13, cell)
        _color_bar(page, axes, range_of(mask), mask_name=_mask_name(found))
    page.save(found.files["strip.png"])


def draw_when(found: Explanation, shown: ShownFrames) -> None:
    """Draw over time how wide open the masks are, and how probable each frame by itself finds the classes.

    The classes are the predicted one and the runner-up, if there is one; none where a head scores frames together.
    """
    seconds, by_frame = found.times_seconds, found.frame_probabilities
    where = f"Where: mean of {_mask_name(found)} over the frame ({found.masks.spatial_source})"
    what = f"What: mean of Mᶜ over the channels ({found.masks.channel_source})"
    curves = [(found.mask_energy, where, WHERE), (found.channel_energy, what, WHAT)]
    curves = [(values, name, color) for values, name, color in curves if values is not None]
    leaders = zip(found.prediction, found.order[:2], strict=False)
    classes = [] if by_frame is None else [(name, by_frame[:, k]) for (name, _), k in leaders]
    left, height, step = 0.85, 1.15, 1.75
    top = 1.15
    page = _Page(9.5, top + step * len(curves) + (0.2 * len(classes) + 1.55 if classes else 0) + 0.6)
    page.heading(0.25, "When the network opens its masks, and when it decides", found.video.name)
    panels = []
    for i, (values, name, color) in enumerate(curves):
        page.text(left, top + i * step - 0.26, name, size=10, color=color)
        axes = page.axes(left, top + i * step, page.width - left - 0.3, height)
        axes.plot(seconds, values, color=color, marker="o", markersize=4, linewidth=1.8)
        _frame_curve(axes, float(values.min()), float(values.max()))
        panels.append(axes)
    if classes:
        panels.append(_draw_classes(page, left, top + step * len(curves), seconds, classes))
    panels[-1].set_xlabel("time in the video (s)", fontsize=9.5, color=MUTED)
    start, end = float(shown.film_seconds[0]), float(shown.film_seconds[-1])
    margin = max(0.02 * (end - start), 0.01)
    for axes in panels:
        axes.set_xlim(start - margin, end + margin)
        axes.grid(axis="x", color=RULE, linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[:-1]:
        axes.tick_params(labelbottom=False)
    page.save(found.files["when.png"])


def _draw_classes(
    page: _Page, left: float, below: float, seconds: Tensor, classes: list[tuple[str, Float[Tensor, " t"]]]
) -> Axes:
    page.text(left, below - 0.26, "Probability, each frame by itself", size=10)
    for i, (name, _) in enumerate(classes):
        line = f"{'●' if i == 0 else '○'}  {elide(name, 90)}"
        page.text(left, below - 0.03 + 0.2 * i, line, size=9.5, color=(INK, SECOND)[i])
    axes = page.axes(left, below + 0.05 + 0.2 * len(classes), page.width - left - 0.3, 1.5)
    for i, (_, values) in reversed(list(enumerate(classes))):
        face = INK if i == 0 else "white"
        axes.plot(seconds, values, color=(INK, SECOND)[i], marker="o", markersize=4, mfc=face, linewidth=1.8)
    axes.set_ylim(-0.04, 1.04)
    axes.set_yticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
    return axes


def draw_what(found: Explanation) -> None:
    """Draw the channels that M^c opens and closes most, and how each moves about its own mean over time."""
    seconds, channel, ranked = found.times_seconds, found.channel_mask, found.channels
    assert channel is not None
    assert ranked is not None
    facts = f"{len(channel)} channels of Mᶜ, {found.masks.channel_source}, {range_of(channel)}"
    chosen = [*ranked.opened, *ranked.closed[::-1]]  # from the most open down to the most closed
    openness = ranked.openness[chosen].numpy()
    moves = (channel - channel.mean(dim=1, keepdim=True))[chosen].numpy()  # (num_channels, T)
    left, top, height = 0.85, 1.25, 0.3 * len(chosen)
    page = _Page(9.5, top + height + 0.75)
    page.heading(0.25, "What the network opens and closes", found.video.name, facts)

    page.text(left, top - 0.3, "mean over time, against all channels", size=10)
    bars = page.axes(left, top, 3.2, height)
    colors = [WHERE if value > 0 else WHAT for value in openness]
    places = np.arange(len(chosen))
    bars.barh(places, openness, color=colors, height=0.62)
    bars.axvline(0, color=INK, linewidth=0.8)
    bars.set_ylim(len(chosen) - 0.5, -0.5)
    bars.set_yticks(places, [str(c) for c in chosen])
    bars.set_ylabel("channel", fontsize=9.5, color=MUTED)
    reach = max(float(np.abs(openness).max()), 1e-3) * 1.1
    bars.set_xlim(-reach, reach)
    bars.locator_params(axis="x", nbins=5)
    bars.set_xlabel("←  closed     open  →", fontsize=9.5, color=MUTED)
    bars.spines[["top", "right", "left"]].set_visible(False)
    bars.tick_params(axis="y", length=0)

    x, width = left + 3.2 + 0.35, 4.0
    page.text(x, top - 0.3, "over time, against its own mean", size=10)
    over_time = page.axes(x, top, width, height)
    reach = max(float(np.abs(moves).max()), 1e-5)
    image = over_time.imshow(moves, cmap="RdBu_r", vmin=-reach, vmax=reach, aspect="auto", interpolation="nearest")
    over_time.set_yticks([])
    every = max(1, round(len(seconds) / 8))
    at = np.arange(0, len(seconds), every)
    over_time.set_xticks(at, [f"{float(seconds[i]):.2f}" for i in at])
    over_time.set_xlabel("time of the frame (s)", fontsize=9.5, color=MUTED)
    bar = page.axes(x + width + 0.1, top, 0.13, height)
    page.figure.colorbar(image, cax=bar, ticks=[-reach, 0, reach])
    bar.set_yticklabels([f"{-reach:+.2g}", "0", f"{reach:+.2g}"])
    bar.tick_params(colors=MUTED, labelsize=9, length=0)
    for axes in (over_time, bar):
        axes.spines[:].set_visible(False)
    page.save(found.files["what.png"])


def _mask_name(found: Explanation) -> str:
    return "attention received" if found.is_share else "Mˢ"


def elide(text: str, num_characters: int) -> str:
    """Shorten a text that is too long, in its middle."""
    if len(text) <= num_characters:
        return text
    kept = max(num_characters - 1, 2)
    return f"{text[: kept - kept // 2]}…{text[-(kept // 2) :]}"


def _color_bar(page: _Page, axes: Axes, values: Range, *, mask_name: str) -> None:
    low, high = values
    ticks = [low, (low + high) / 2, high]
    if values.is_flat:  # nothing to tell apart: one colour, one number
        low, high, ticks = low - 1e-3, low + 1e-3, [low]
    bar = page.figure.colorbar(ScalarMappable(Normalize(low, high), COLORMAP), cax=axes)
    bar.outline.set_visible(False)
    decimals = 3 if high - low >= 0.01 else 5
    bar.set_ticks(ticks, labels=[f"{tick:.{decimals}f}" for tick in ticks])
    bar.set_label(mask_name, fontsize=12, color=MUTED)
    axes.tick_params(colors=MUTED, labelsize=11, length=0)


def _frame_curve(axes: Axes, low: float, high: float) -> None:
    """Give a curve its own range, but never one so narrow that rounding looks like an event."""
    middle, reach = (low + high) / 2, max((high - low) / 2, 5e-4)
    axes.set_ylim(middle - 1.2 * reach, middle + 1.2 * reach)
    axes.ticklabel_format(axis="y", useOffset=False, style="plain")
    axes.locator_params(axis="y", nbins=4)
