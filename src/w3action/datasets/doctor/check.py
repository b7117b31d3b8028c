"""Check a manifest: read every file in worker processes, then look at files, spans, labels and duplicates."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from w3action.data.manifest import Manifest, find_class_list, read_classes, read_manifest
from w3action.data.mirror import FetchError, fetch_missing
from w3action.data.source import LIMIT_SECONDS
from w3action.datasets.doctor.duplicates import check_duplicates
from w3action.datasets.doctor.facts import FileFacts, ListedFile, group_by_file
from w3action.datasets.doctor.file_faults import check_file, check_rows, facts_of_lost
from w3action.datasets.doctor.findings import gravest_first
from w3action.datasets.doctor.label_faults import check_labels
from w3action.datasets.doctor.read_file import read_file
from w3action.datasets.doctor.verdict import Report
from w3action.workers import Lost, run_in_any_order


def check_videos(
    source: Path | str | Manifest,
    *,
    split: str | None = None,
    deep: bool = False,
    label_column: str = "label",
    num_workers: int | None = None,
    limit_seconds: float = LIMIT_SECONDS,
    on_file: Callable[[int, int], None] = lambda done, total: None,
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
    files = group_by_file(manifest.videos)
    facts: list[FileFacts] = [FileFacts()] * len(files)
    _fetch_shards(files)
    read = partial(read_file, deep=deep)
    jobs = run_in_any_order(read, files, num_workers=num_workers, limit_seconds=limit_seconds)
    for done, (place, result) in enumerate(jobs, start=1):
        facts[place] = facts_of_lost(result, limit_seconds=limit_seconds) if isinstance(result, Lost) else result
        on_file(done, len(files))

    findings = [found for file, known in zip(files, facts, strict=True) for found in check_file(file, known)]
    findings += check_rows(files, manifest)
    for column, labels in manifest.by_labelling().items():
        found = check_labels(labels, listed=_listed_classes(manifest.source, column or label_column))
        findings += [replace(each, message=f"{column}: {each.message}") for each in found] if column else found
    findings += check_duplicates(files, facts, manifest)
    ordered, seconds = tuple(gravest_first(findings)), time.monotonic() - began
    return Report(manifest, tuple(files), tuple(facts), ordered, deep=deep, wall_seconds=seconds)


def _fetch_shards(files: Sequence[ListedFile]) -> None:
    """Fetch what a remote set still lacks here: that may take longer than the limit for one file."""
    for path in dict.fromkeys(file.path for file in files if file.byte_offset is not None):
        if not path.exists():
            with suppress(FetchError):  # each file in it will say so
                fetch_missing(path)


def _listed_classes(source: Path, label_column: str) -> tuple[str, ...]:
    """Return the names in the list of a column's classes, whether the manifest could use them or not."""
    path = find_class_list(source, label_column)
    return read_classes(path) if label_column == "label" or path.name != "classes.txt" else ()
