import pytest
from drawn_sets import DRAW, write

from w3action.data import ManifestError
from w3action.datasets.sets.hmdb51 import prepare


def test_folds(tmp_path):
    root, _, _ = DRAW["hmdb51"](tmp_path)
    listing = prepare(root, fold=2)
    assert [(video.label, video.split) for video in listing.videos] == [("cartwheel", "val")]
    with pytest.raises(ManifestError, match=r"holds no brush_hair_test_split3.txt and the like"):
        prepare(root, fold=3)
    with pytest.raises(ManifestError, match="hmdb51 has the folds 1, 2 and 3, not 0"):
        prepare(root, fold=0)


def test_lines_that_are_none(tmp_path):
    root, _, _ = DRAW["hmdb51"](tmp_path)
    write(root / "testTrainMulti_7030_splits/cartwheel_test_split1.txt", "d.avi 3")
    with pytest.raises(ManifestError, match="line 1 is 'd.avi 3' but must be 'NAME.avi 0', 1 or 2"):
        prepare(root)
