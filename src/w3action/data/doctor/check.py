"""Check a manifest: read every file in worker processes, then look at files, spans, labels and duplicates."""

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from w3action.data.doctor.duplicates import check_duplicates
from w3action.data.doctor.entries import group_by_file
from w3action.data.doctor.facts import FileFacts
from w3action.data.doctor.files import check_file, check_rows, facts_of_lost
from w3action.data.doctor.findings import Finding, gravest_first
from w3action.data.doctor.labels import check_labels
from w3action.data.doctor.read_entry import read_entry
from w3action.data.doctor.report import Report
from w3action.data.doctor.workers import LIMIT_SECONDS, Lost, run_jobs
from w3action.data.manifest import Manifest, read_manifest


def check_videos(
    source: Path | str | Manifest,
    *,
    split: str | None = None,
    deep: bool = False,
    label_column: str = "label",
    num_workers: int | None = None,
    limit_seconds: float = LIMIT_SECONDS,
    on_file: Callable[[int, int], None] | None = None,
) -> Report:
    """Find what is wrong with a data set before it is trained on.

    Args:
        source: a folder of class folders, a .csv or .parquet manifest, or one that was read.
        split: check the videos of this split only; what is in two splits is then not seen.
        deep: decode every frame, and look for clips of two splits that look the same; else headers, packets and the
            first frame are read.
        label_column: the column that holds the labels.
        num_workers: processes; None means one for each core that this process may use.
        limit_seconds: for one file; then its reading is given up, which is a finding.
        on_file: called with (files done, all files) after each file.

    Returns:
        The report; nothing that is wrong with a video is raised.

    Raises:
        ManifestError: the manifest itself cannot be read.
        ValueError: no worker, or no time.
    """
    began = time.monotonic()
    if isinstance(source, Manifest):
        manifest = source if split is None else source.split(split)
    else:
        manifest = read_manifest(source, split=split, label_column=label_column)
    entries = group_by_file(manifest.videos)
    facts: list[FileFacts] = [FileFacts()] * len(entries)
    workers = _num_cores() if num_workers is None else num_workers
    read = partial(read_entry, deep=deep)
    jobs = run_jobs(read, entries, num_workers=workers, limit_seconds=limit_seconds)
    for done, (place, result) in enumerate(jobs, start=1):
        facts[place] = facts_of_lost(result, limit_seconds=limit_seconds) if isinstance(result, Lost) else result
        if on_file is not None:
            on_file(done, len(entries))

    findings: list[Finding] = []
    for entry, known in zip(entries, facts, strict=True):
        findings += check_file(entry, known)
    findings += check_rows(entries, manifest)
    findings += check_labels(manifest, listed=_listed_classes(manifest.source, label_column))
    findings += check_duplicates(entries, facts, manifest)
    return Report(
        manifest=manifest,
        entries=tuple(entries),
        facts=tuple(facts),
        findings=tuple(gravest_first(findings)),
        deep=deep,
        wall_seconds=time.monotonic() - began,
    )


def _listed_classes(source: Path, label_column: str) -> tuple[str, ...]:
    """The names of the classes file beside a manifest, whether the manifest could use them or not."""
    folder = source if source.is_dir() else source.parent
    own = folder / f"classes_{label_column}.txt"
    path = own if own.is_file() else folder / "classes.txt"
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    return tuple(line.strip() for line in lines if line.strip())


def _num_cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
