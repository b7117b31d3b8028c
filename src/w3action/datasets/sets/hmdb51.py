"""HMDB51 (Kuehne et al., ICCV 2011): 51 actions from films and the web, three official splits.

Videos lie in class folders (`brush_hair/NAME.avi`); for each class and fold a list `brush_hair_test_split1.txt` says
`NAME.avi 1` for training, 2 for testing, 0 for neither. As for UCF101, the test part is called "val" here.
"""

from pathlib import Path

from w3action.data.video import ManifestError
from w3action.datasets.sets.annotation import choose_splits, read_lines
from w3action.datasets.sets.listed_videos import Lister, Listing

INSIDE = ("testTrainMulti_7030_splits", "test_train_splits", "annotations")
SPLITS = {"1": "train", "2": "val"}
FPS = 30.0


def prepare(root: Path, *, annotations: Path | None = None, split: str | None = None, fold: int = 1) -> Listing:
    """List HMDB51, one of its three splits.

    Args:
        root: holds the class folders, or `hmdb51_org` or `hmdb51` that does.
        annotations: folder of the lists; the root, or `testTrainMulti_7030_splits` in it, if not given.
        split: "train" or "val" (the official test part); by default both.
        fold: 1, 2 or 3.

    Raises:
        ManifestError: files missing or not of the format, no such fold.
    """
    if fold not in (1, 2, 3):
        raise ManifestError(f"hmdb51 has the folds 1, 2 and 3, not {fold}; give one of them")
    chosen = choose_splits(split, allowed=list(SPLITS.values()), default=list(SPLITS.values()), name="hmdb51")
    folder = annotations or root
    ending = f"_test_split{fold}.txt"
    bases = (folder, *(folder / inside for inside in INSIDE))
    lists = sorted(path for base in bases for path in base.glob(f"*{ending}"))
    if not lists:
        raise ManifestError(f"{folder}: holds no brush_hair{ending} and the like; give their folder")
    lister = Lister(root)
    labels = [path.name.removesuffix(ending) for path in lists]
    for path, label in zip(lists, labels, strict=True):
        for line in read_lines(path):
            video, part = line.split(r"(.+\S)\s+([012])", "'NAME.avi 0', 1 or 2")
            name = SPLITS.get(part)
            if name in chosen:
                places = (f"{base}{label}/{video}" for base in ("", "hmdb51_org/", "hmdb51/"))
                lister.add(*places, label=label, split=name, fps=FPS)
    return lister.finish(sorted(labels))
