"""The report as one page: findings with what to do, the data set at a glance, and frames of every class."""

import base64
import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from w3action.data.open_frames import open_frames
from w3action.data.source import LIMIT_SECONDS, DecodeError
from w3action.data.video import Video
from w3action.datasets.doctor.findings import SEVERITIES, count_severities
from w3action.datasets.doctor.fingerprint import middles_of
from w3action.datasets.doctor.verdict import Report
from w3action.workers import run_jobs

MOST_STRIPS, MOST_PAIRS, MOST_MESSAGES = 160, 12, 20
FRAMES_OF_STRIP, HEIGHT = 4, 96  # of a strip of frames: how many, and pixels


def write_page(
    report: Report, folder: Path, *, num_workers: int | None = None, limit_seconds: float = LIMIT_SECONDS
) -> Path:
    """Write `index.html`, which holds its pictures, and `findings.json` beside it; return the page's path.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    videos, names = report.manifest.videos, report.manifest.classes
    bad = {row for finding in report.findings if finding.severity == "error" for row in finding.rows}
    rows_of: dict[int, list[int]] = {}
    for row, video in enumerate(videos):
        for label in video.labels:
            rows_of.setdefault(label, []).append(row)
    number = max(1, min(3, MOST_STRIPS // max(1, len(names))))
    chosen = {label: choose_rows([r for r in rows if r not in bad] or rows, number) for label, rows in rows_of.items()}
    pairs = [finding for finding in report.findings if finding.kind == "near_duplicate_in_two_splits"][:MOST_PAIRS]

    wanted = sorted({row for rows in [*chosen.values(), *(pair.rows for pair in pairs)] for row in rows})
    clips = [videos[row] for row in wanted]
    strips = run_jobs(_draw_strip, clips, num_workers=num_workers, limit_seconds=limit_seconds)
    picture_of = {
        row: {"caption": _caption(video), "data": f"data:image/jpeg;base64,{base64.b64encode(strip).decode()}"}
        for row, video, strip in zip(wanted, clips, strips, strict=True)
        if isinstance(strip, bytes)  # else it cannot be decoded, or not in time
    }

    def pictures_of(rows: Sequence[int]) -> list[dict[str, str]]:
        return [picture_of[row] for row in rows if row in picture_of]

    splits = report.manifest.splits or (None,)
    lines: list[dict[str, Any]] = []
    for label, name in enumerate(names):
        by_split = Counter(videos[row].split for row in rows_of.get(label, []))
        counts = [by_split[split] for split in splits]
        lines.append({"name": name, "counts": counts, "pictures": pictures_of(chosen.get(label, []))})
    page = folder / "index.html"
    html = _template().render(
        report=report,
        counts=count_severities(report.findings),
        severities=SEVERITIES,
        lines=lines,
        splits=splits,
        most=max((sum(line["counts"]) for line in lines), default=0) or 1,
        pairs=[(pair, pictures_of(pair.rows)) for pair in pairs],
        most_messages=MOST_MESSAGES,
    )
    (folder / "findings.json").write_text(json.dumps(report.as_dict(), indent=1) + "\n", encoding="utf-8")
    page.write_text(html, encoding="utf-8")
    return page


def choose_rows(rows: Sequence[int], number: int) -> list[int]:
    """Choose so many rows of a class, evenly spread over it."""
    return [rows[place] for place in middles_of(len(rows), number)] if len(rows) > number else [*rows]


def _template() -> Any:
    import jinja2  # late: only pages need it

    places = [jinja2.PackageLoader("w3action", folder) for folder in ("datasets/doctor", "templates")]
    loader = jinja2.ChoiceLoader(places)
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("findings_page.html.j2")


def _caption(video: Video) -> str:
    return f"{video.split}: {video.path.name}" if video.split else video.path.name


def _draw_strip(video: Video) -> bytes | None:
    """Draw a few frames of a clip side by side, as JPEG; None of one that cannot be decoded."""
    try:
        with open_frames(video, short_side=HEIGHT) as opened:
            clip = opened.read(middles_of(opened.count, FRAMES_OF_STRIP))
    except (DecodeError, OSError, ValueError):
        return None  # why is among the findings
    frames = np.ascontiguousarray(clip.frames.permute(1, 2, 3, 0).numpy())  # (t, h, w, c)
    size = (max(1, round(frames.shape[2] * HEIGHT / frames.shape[1])), HEIGHT)
    file = io.BytesIO()
    pictures = [np.asarray(Image.fromarray(frame).resize(size)) for frame in frames]
    Image.fromarray(np.hstack(pictures)).save(file, "JPEG", quality=80)
    return file.getvalue()
