"""UCF101 (Soomro et al., 2012): 101 actions, three official splits by groups of recordings.

Videos lie in class folders (`UCF-101/ApplyLipstick/v_ApplyLipstick_g01_c01.avi`); lists are `classInd.txt`
(`1 ApplyEyeMakeup`), `trainlist01.txt` (`Class/video.avi 1`) and `testlist01.txt` (no number), for folds 1 to 3.
The set has no third part: its test list is what every published figure is measured on and is called "val" here, so that
no training video is held out.
"""

from pathlib import Path

from w3action.data.video import ManifestError
from w3action.datasets.sets.annotation import choose_splits, find_file, read_class_list, read_lines
from w3action.datasets.sets.listed_videos import Lister, Listing

INSIDE = ("ucfTrainTestlist", "annotations")
FILES = {"train": "trainlist", "val": "testlist"}
FPS = 25.0


def prepare(root: Path, *, annotations: Path | None = None, split: str | None = None, fold: int = 1) -> Listing:
    """List UCF101, one of its three splits.

    Args:
        root: holds the class folders, or `UCF-101` that does.
        annotations: folder of the lists; the root, or `ucfTrainTestlist` in it, if not given.
        split: "train" or "val" (the official test list); by default both.
        fold: 1, 2 or 3.

    Raises:
        ManifestError: files missing or not of the format, no such fold.
    """
    if fold not in (1, 2, 3):
        raise ManifestError(f"ucf101 has the folds 1, 2 and 3, not {fold}; give one of them")
    folder = annotations or root
    classes = read_class_list(find_file(folder, ["classInd.txt"], inside=INSIDE))
    lister = Lister(root)
    for name in choose_splits(split, allowed=list(FILES), default=list(FILES), name="ucf101"):
        for line in read_lines(find_file(folder, [f"{FILES[name]}{fold:02d}.txt"], inside=INSIDE)):
            place = line.text.split()[0]
            lister.add(place, f"UCF-101/{place}", label=place.split("/")[0], split=name, fps=FPS)
    return lister.finish(classes)
