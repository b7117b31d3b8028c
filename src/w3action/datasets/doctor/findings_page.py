"""The report as one page: findings with what to do, the data set at a glance, and frames of every class."""

import base64
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w3action.data.source import LIMIT_SECONDS
from w3action.datasets.doctor.findings import SEVERITIES, Finding, count_severities
from w3action.datasets.doctor.findings_page import choose_rows, draw_strips
from w3action.datasets.doctor.verdict import Report

MOST_STRIPS, MOST_PAIRS, MOST_MESSAGES = 160, 12, 20


@dataclass(frozen=True)
class _Picture:
    caption: str
    data: str  # a data: address


@dataclass(frozen=True)
class _ClassLine:
    name: str
    counts: tuple[int, ...]  # of each split
    pictures: tuple[_Picture, ...]


def write_page(
    report: Report, folder: Path, *, num_workers: int | None = None, limit_seconds: float = LIMIT_SECONDS
) -> Path:
    """Write `index.html`, which holds its pictures, and `findings.json` beside it; the page's path.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    videos = report.manifest.videos
    bad = {row for finding in report.findings if finding.severity == "error" for row in finding.rows}
    rows_of: dict[int, list[int]] = {}
    for row, video in enumerate(videos):
        for label in video.labels:
            rows_of.setdefault(label, []).append(row)
    names = report.manifest.classes
    number = max(1, min(3, MOST_STRIPS // max(1, len(names))))
    chosen = {label: choose_rows([r for r in rows if r not in bad] or rows, number) for label, rows in rows_of.items()}
    pairs = [finding for finding in report.findings if finding.kind == "near_duplicate_in_two_splits"][:MOST_PAIRS]

    wanted = sorted({row for rows in [*chosen.values(), *(pair.rows for pair in pairs)] for row in rows})
    strips = draw_strips([videos[row] for row in wanted], num_workers=num_workers, limit_seconds=limit_seconds)
    picture_of = {
        row: _Picture(_caption(report, row), f"data:image/jpeg;base64,{base64.b64encode(strip).decode()}")
        for row, strip in zip(wanted, strips, strict=True)
        if strip is not None
    }

    splits = report.manifest.splits or (None,)
    lines = []
    for label, name in enumerate(names):
        by_split = Counter(videos[row].split for row in rows_of.get(label, []))
        seen = tuple(picture_of[row] for row in chosen.get(label, []) if row in picture_of)
        lines.append(_ClassLine(name, tuple(by_split[split] for split in splits), seen))
    html = (
        _environment()
        .get_template("page.html.j2")
        .render(
            report=report,
            counts=count_severities(report.findings),
            severities=SEVERITIES,
            lines=lines,
            splits=splits,
            most=max((sum(line.counts) for line in lines), default=0) or 1,
            pairs=_pictures_of(pairs, picture_of),
            most_messages=MOST_MESSAGES,
        )
    )
    (folder / "findings.json").write_text(json.dumps(report.as_dict(), indent=1) + "\n", encoding="utf-8")
    page = folder / "index.html"
    page.write_text(html, encoding="utf-8")
    return page


def _environment() -> Any:
    import jinja2  # late: only pages need it

    places = [jinja2.PackageLoader("w3action", folder) for folder in ("datasets/doctor", "templates")]
    return jinja2.Environment(loader=jinja2.ChoiceLoader(places), autoescape=True, trim_blocks=True, lstrip_blocks=True)


def _pictures_of(pairs: list[Finding], picture_of: dict[int, _Picture]) -> list[tuple[Finding, list[_Picture]]]:
    return [(pair, [picture_of[row] for row in pair.rows if row in picture_of]) for pair in pairs]


def _caption(report: Report, row: int) -> str:
    video = report.manifest.videos[row]
    return f"{video.split}: {video.path.name}" if video.split else video.path.name
