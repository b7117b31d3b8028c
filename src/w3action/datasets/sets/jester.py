"""Jester (Materzynska et al., ICCV workshops 2019): 27 hand gestures before a webcam, JPEGs at 12 frames a second.

A folder of images a video (`20bn-jester-v1/ID/00001.jpg`). Three kinds of annotation are read: the first release's
`jester-v1-{labels,train,validation,test}.csv` (`id;label`), the later one's `{Train,Validation,Test}.csv` with a header
(`video_id,label,...`), and lists `{train,val,test}list01.txt` (`id number`) with `classInd.txt`.

Classes are sorted by name, as TSM numbers them; mmaction2 keeps the order of labels.csv. Underscores in names become
spaces, so that all three kinds name the same classes.
"""

from pathlib import Path

from w3action.data.video import ManifestError
from w3action.datasets.sets.annotation import (
    choose_splits,
    find_file,
    read_class_list,
    read_lines,
    read_pairs,
    read_rows,
    seek_file,
)
from w3action.datasets.sets.listed_videos import Lister, Listing

FPS = 12.0
INSIDE = ("labels", "label", "annotations")
FILES = {
    "train": ("jester-v1-train.csv", "Train.csv", "trainlist01.txt"),
    "val": ("jester-v1-validation.csv", "Validation.csv", "vallist01.txt"),
    "test": ("jester-v1-test.csv", "Test.csv", "testlist01.txt"),
}
CLASS_FILES = ("jester-v1-labels.csv", "classInd.txt", "categories.txt", "category.txt")


def prepare(root: Path, *, annotations: Path | None = None, split: str | None = None) -> Listing:
    """List Jester.

    Args:
        root: holds the folders of frames, or one of `20bn-jester-v1`, `Train`, `Validation`, `Test` that does.
        annotations: folder of the annotation files; the root if not given.
        split: "train", "val" or "test"; by default the first two.

    Raises:
        ManifestError: files missing or not of a format.
    """
    folder = annotations or root
    class_file = seek_file(folder, CLASS_FILES, inside=INSIDE)
    numbered = read_class_list(class_file) if class_file is not None else ()
    lister, labels = Lister(root), set()
    for name in choose_splits(split, allowed=list(FILES), default=("train", "val"), name="jester"):
        path = find_file(folder, FILES[name], inside=INSIDE)
        place = Path(FILES[name][1]).stem  # the later release parts its videos into Train, Validation and Test
        for key, label in _read(path, numbered):
            spoken = label.replace("_", " ") if label is not None else None
            lister.add(f"20bn-jester-v1/{key}", key, f"{place}/{key}", label=spoken, split=name, fps=FPS)
            labels.add(spoken)
    return lister.finish(sorted({name.replace("_", " ") for name in numbered} or labels - {None}))


def _read(path: Path, classes: tuple[str, ...]) -> list[tuple[str, str | None]]:
    if path.suffix == ".csv":
        if "video_id" not in next((line.text for line in read_lines(path)), ""):
            return read_pairs(path)
        return [(row["video_id"], row.get("label") or None) for _, row in read_rows(path, columns=["video_id"])]
    if not classes:
        raise ManifestError(f"{path}: its labels are numbers; put classInd.txt with the class names beside it")
    pairs: list[tuple[str, str | None]] = []
    for line in read_lines(path):
        key, _, label = line.text.partition(" ")
        pairs.append((key, line.class_of(line.to_int(label, "the label"), classes, first=1)))
    return pairs
