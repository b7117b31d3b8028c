"""What is wrong with the labels: of no class, without a name, and classes with too few clips to learn or to test."""

from collections import Counter
from collections.abc import Iterator, Sequence

from w3action.data.manifest import Manifest
from w3action.datasets.doctor.findings import Finding, found

FEWEST_TO_LEARN, FEWEST_TO_TEST = 10, 3
HEAVY = 20  # clips of the largest class for each clip of the smallest
DOMINANT = 0.5  # share of the largest of three or more classes

_SHOWN = 8


def check_labels(manifest: Manifest, *, listed: Sequence[str] = ()) -> Iterator[Finding]:
    """Findings on classes, in total and per split; `listed` are the names of the classes.txt beside the manifest."""
    names = manifest.classes
    strange = [row for row, video in enumerate(manifest.videos) if not 0 <= video.label < len(names)]
    for row in strange:
        video = manifest.videos[row]
        message = f"{video.path}: label {video.label}, but there are {len(names)} classes, from 0 to {len(names) - 1}"
        yield found("label_out_of_range", message, [row])
    yield from _check_names(names, listed)
    known = [video for video in manifest.videos if 0 <= video.label < len(names)]
    total = Counter(video.label for video in known)
    yield from _check_total(names, total)
    by_split = {split: Counter(v.label for v in known if v.split == split) for split in manifest.splits}
    for split, counts in by_split.items():
        others = sum((other for name, other in by_split.items() if name != split), Counter[int]())
        yield from _check_split(names, split, counts, others)
    learnt = by_split.get("train", total)
    rows_of = "train: " if "train" in by_split else ""
    yield from _check_balance(names, learnt, rows_of)


def _check_names(names: Sequence[str], listed: Sequence[str]) -> Iterator[Finding]:
    if listed and tuple(listed) != tuple(names):
        missing = [name for name in names if name not in listed]
        if missing:
            yield found(
                "labels_not_listed",
                f"classes.txt lists {len(listed)} classes, but not {len(missing)} of the labels: {_some(missing)}",
            )
    if names and all(name.isdecimal() for name in names):
        yield found("unnamed_classes", f"the {len(names)} classes have numbers for names")
        ids = sorted(map(int, names))
        if ids != list(range(len(ids))) and ids != list(range(1, len(ids) + 1)):
            gap = next(i for i in range(ids[0], ids[-1]) if i not in ids)
            yield found("class_ids_skip", f"labels go from {ids[0]} to {ids[-1]}, but there is none of {gap}")


def _check_total(names: Sequence[str], total: Counter[int]) -> Iterator[Finding]:
    if len(total) == 1:
        yield found("one_class", f"all {total.total()} clips are of one class, {names[next(iter(total))]}")
    without = [name for place, name in enumerate(names) if not total[place]]
    if without:
        yield found(
            "class_without_clips", f"{len(without)} of {len(names)} classes have no clip at all: {_some(without)}"
        )


def _check_split(names: Sequence[str], split: str, here: Counter[int], others: Counter[int]) -> Iterator[Finding]:
    """Classes of the other splits that this one lacks, or has too few of."""
    without = [names[label] for label in sorted(others) if not here[label]]
    if without:
        kind = "class_not_trained" if split == "train" else "class_not_tested"
        yield found(kind, f"{split}: {len(without)} of {len(names)} classes have no clip: {_some(without)}")
    if split != "train":
        few = [f"{names[label]} ({count})" for label, count in sorted(here.items()) if count < FEWEST_TO_TEST]
        if few:
            yield found(
                "few_clips",
                f"{split}: {len(few)} of {len(names)} classes have under {FEWEST_TO_TEST} clips: {_some(few)}",
            )


def _check_balance(names: Sequence[str], learnt: Counter[int], where: str) -> Iterator[Finding]:
    few = [f"{names[label]} ({count})" for label, count in sorted(learnt.items()) if count < FEWEST_TO_LEARN]
    if few:
        yield found(
            "few_clips", f"{where}{len(few)} of {len(names)} classes have under {FEWEST_TO_LEARN} clips: {_some(few)}"
        )
    if len(learnt) < 2:
        return
    (largest, most), (smallest, least) = learnt.most_common()[0], learnt.most_common()[-1]
    if most >= HEAVY * least:
        yield found(
            "imbalance",
            f"{where}{names[largest]} has {most} clips, {most / least:.0f} times those of {names[smallest]} ({least})",
        )
    if len(learnt) > 2 and most > DOMINANT * learnt.total():
        share = 100 * most / learnt.total()
        yield found("one_class_dominates", f"{where}{share:.0f} % of the clips are of one class, {names[largest]}")


def _some(names: Sequence[str]) -> str:
    """The first few, and how many more."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
