"""Something-Something V1 and V2 (Goyal et al., ICCV 2017; Mahdisoltani et al., 2018): 174 classes of hands and objects.

V1: a folder of JPEGs a video (`20bn-something-something-v1/ID/00001.jpg`) and CSV files of `id;label`.
V2: a VP9 file a video (`20bn-something-something-v2/ID.webm`, or frames in ID/) and JSON files; a row's `template` with
its brackets taken off is the class name. Both at 12 frames a second.

Classes are sorted by name, as in the lists that TSM, TRN and TDN use. For V2 this is the order of the official ids,
and V1 has the same names; mmaction2 numbers V1 as its labels.csv does. Labels of the test sets are not in the first
releases: `split="test"` then lists videos alone.
"""

from pathlib import Path

from w3action.data.video import ManifestError
from w3action.datasets.sets.annotation import (
    choose_splits,
    find_file,
    read_class_list,
    read_json,
    read_pairs,
    seek_file,
)
from w3action.datasets.sets.listed_videos import Lister, Listing

FPS = 12.0
SPLITS = {"train": "train", "val": "validation", "test": "test"}
INSIDE = ("labels", "label", "annotations")


def prepare_v1(root: Path, *, annotations: Path | None = None, split: str | None = None) -> Listing:
    """List Something-Something V1.

    Args:
        root: holds the folders of frames, or `20bn-something-something-v1` that does.
        annotations: folder of `something-something-v1-{labels,train,validation,test}.csv`; the root if not given.
        split: "train", "val" or "test"; by default the first two.

    Raises:
        ManifestError: files missing or not of the format.
    """
    folder, prefix = annotations or root, "something-something-v1"
    classes = sorted(read_class_list(find_file(folder, [f"{prefix}-labels.csv"], inside=INSIDE)))
    lister = Lister(root)
    for name in choose_splits(split, allowed=list(SPLITS), default=("train", "val"), name="something_v1"):
        path = find_file(folder, [f"{prefix}-{SPLITS[name]}.csv"], inside=INSIDE)
        for key, label in read_pairs(path):
            lister.add(f"20bn-{prefix}/{key}", key, label=label, split=name, fps=FPS)
    return lister.finish(classes)


def prepare_v2(root: Path, *, annotations: Path | None = None, split: str | None = None) -> Listing:
    """List Something-Something V2.

    Args:
        root: holds the videos, or `20bn-something-something-v2` that does.
        annotations: folder of `something-something-v2-{labels,train,validation,test}.json`, also without the prefix;
            the root if not given.
        split: "train", "val" or "test"; by default the first two, and test if `test-answers.csv` is there.

    Raises:
        ManifestError: files missing or not of the format.
    """
    folder, prefix = annotations or root, "something-something-v2"
    ids = read_json(find_file(folder, _names_v2("labels"), inside=INSIDE))
    if not isinstance(ids, dict) or not all(str(place).isdigit() for place in ids.values()):
        raise ManifestError(f"{folder}: the labels are no object of names and numbers; fetch the file again")
    classes = sorted(ids, key=lambda name: int(ids[name]))
    answers = seek_file(folder, ["test-answers.csv", f"{prefix}-test-answers.csv"], inside=INSIDE)
    default = ("train", "val") if answers is None else ("train", "val", "test")
    lister = Lister(root)
    for name in choose_splits(split, allowed=list(SPLITS), default=default, name="something_v2"):
        if name == "test" and answers is not None:
            rows = read_pairs(answers)
        else:
            rows = _read_v2(find_file(folder, _names_v2(SPLITS[name]), inside=INSIDE), labelled=name != "test")
        for key, label in rows:
            lister.add(f"20bn-{prefix}/{key}.webm", f"{key}.webm", label=label, split=name, fps=FPS)
    return lister.finish(classes)


def _names_v2(name: str) -> list[str]:
    return [f"something-something-v2-{name}.json", f"{name}.json"]


def _read_v2(path: Path, *, labelled: bool) -> list[tuple[str, str | None]]:
    rows = read_json(path)
    wanted = ("id", "template") if labelled else ("id",)
    if not isinstance(rows, list) or not all(isinstance(row, dict) and all(map(row.get, wanted)) for row in rows):
        raise ManifestError(f"{path}: no list of rows with {' and '.join(wanted)}; fetch the file again")
    strip = str.maketrans("", "", "[]")
    return [(str(row["id"]), row["template"].translate(strip) if labelled else None) for row in rows]
