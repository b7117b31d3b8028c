"""Faults of labels: of no class, without a name, and classes with too few clips to learn or to test."""

from collections import Counter
from collections.abc import Iterator, Sequence

from w3action.data.manifest import Manifest
from w3action.datasets.doctor.findings import Finding, found

FEWEST_TO_LEARN, FEWEST_TO_TEST = 10, 3
HEAVY = 20  # clips of the largest class for each clip of the smallest
DOMINANT = 0.5  # share of the largest of three or more classes

_SHOWN = 8  # names of classes in a message


def check_labels(manifest: Manifest, *, listed: Sequence[str] = ()) -> Iterator[Finding]:
    """Find faults of labels, in total and per split; `listed` are the names of the classes.txt beside the manifest."""
    names = manifest.classes
    known = []
    for row, video in enumerate(manifest.videos):
        if 0 <= video.label < len(names):
            known.append(video)
        else:
            said = f"label {video.label}, but there are {len(names)} classes, from 0 to {len(names) - 1}"
            yield found("label_out_of_range", f"{video.path}: {said}", [row])
    yield from _check_names(names, listed)
    total = Counter(video.label for video in known)
    if len(total) == 1:
        yield found("one_class", f"all {total.total()} clips are of one class, {names[next(iter(total))]}")
    without = [name for place, name in enumerate(names) if not total[place]]
    yield from _lacking("class_without_clips", "", without, f"of {len(names)} classes have no clip at all")
    by_split = {split: Counter(v.label for v in known if v.split == split) for split in manifest.splits}
    for split, here in by_split.items():
        elsewhere = sorted(set().union(*(counts for other, counts in by_split.items() if other != split)))
        without = [names[label] for label in elsewhere if not here[label]]
        kind = "class_not_trained" if split == "train" else "class_not_tested"
        yield from _lacking(kind, f"{split}: ", without, f"of {len(names)} classes have no clip")
        if split != "train":
            yield from _check_few(names, here, FEWEST_TO_TEST, f"{split}: ")
    where = "train: " if "train" in by_split else ""
    learnt = by_split.get("train", total)
    yield from _check_few(names, learnt, FEWEST_TO_LEARN, where)
    if len(learnt) > 1:
        yield from _check_balance(names, learnt, where)


def _check_names(names: Sequence[str], listed: Sequence[str]) -> Iterator[Finding]:
    if listed:
        missing = [name for name in names if name not in listed]
        said = f"classes.txt lists {len(listed)} classes, but not "
        yield from _lacking("labels_not_listed", said, missing, "of the labels")
    if names and all(name.isdecimal() for name in names):
        yield found("unnamed_classes", f"the {len(names)} classes have numbers for names")
        ids = sorted(map(int, names))
        if ids != list(range(len(ids))) and ids != list(range(1, len(ids) + 1)):
            gap = next(i for i in range(ids[0], ids[-1]) if i not in ids)
            yield found("class_ids_skip", f"labels go from {ids[0]} to {ids[-1]}, but there is none of {gap}")


def _check_few(names: Sequence[str], counts: Counter[int], fewest: int, where: str) -> Iterator[Finding]:
    few = [f"{names[label]} ({count})" for label, count in sorted(counts.items()) if count < fewest]
    yield from _lacking("few_clips", where, few, f"of {len(names)} classes have under {fewest} clips")


def _check_balance(names: Sequence[str], learnt: Counter[int], where: str) -> Iterator[Finding]:
    (largest, most), (smallest, least) = learnt.most_common()[0], learnt.most_common()[-1]
    if most >= HEAVY * least:
        times = f"{most / least:.0f} times those of {names[smallest]} ({least})"
        yield found("imbalance", f"{where}{names[largest]} has {most} clips, {times}")
    if len(learnt) > 2 and most > DOMINANT * learnt.total():
        share = 100 * most / learnt.total()
        yield found("one_class_dominates", f"{where}{share:.0f} % of the clips are of one class, {names[largest]}")


def _lacking(kind: str, where: str, names: Sequence[str], what: str) -> Iterator[Finding]:
    """Name the first few of the classes that lack something, and how many more there are; say nothing of none."""
    if names:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        yield found(kind, f"{where}{len(names)} {what}: {', '.join(names[:_SHOWN])}{more}")
