import numpy as np
import pytest
from drawn_sets import DRAW, write
from reading import decode

from w3action.data import ManifestError, read_manifest
from w3action.datasets.sets import prepare
from w3action.datasets.sets.ucf101 import prepare as prepare_ucf101


def test_folds(tmp_path):
    root, _, _ = DRAW["ucf101"](tmp_path)
    write(root / "ucfTrainTestlist/testlist03.txt", "Archery/v_Archery_g01_c01.avi")
    assert [video.label for video in prepare_ucf101(root, split="val", fold=3).videos] == ["Archery"]
    with pytest.raises(ManifestError, match=r"holds no trainlist01.txt"):
        prepare_ucf101(root)
    with pytest.raises(ManifestError, match="ucf101 has the folds 1, 2 and 3, not 4"):
        prepare_ucf101(root, fold=4)


def test_real_clips(shared_dir, tmp_path):
    folder = shared_dir / "data/ucf101_3class"  # mp4 copies, where the lists say avi
    counts = {}
    for fold in (1, 2, 3):
        out = tmp_path / f"{fold}.parquet"
        counts[fold] = prepare(
            "ucf101", folder / "clips", out, annotations=folder / "ucfTrainTestlist", fold=fold
        ).num_videos
        manifest = read_manifest(out)
        assert manifest.classes == ("BabyCrawling", "Punch", "PushUps")
        assert all(manifest.classes[v.label] == v.path.parent.name for v in manifest.videos)
        assert not {v.path for v in manifest.split("train").videos} & {v.path for v in manifest.split("val").videos}
    assert all(sum(count.values()) == 394 for count in counts.values())
    assert counts[1] == {"train": 290, "val": 104}
    assert decode(manifest.videos[0].path, lambda count: np.array([count - 1])).num_frames == 1
