import shutil

import numpy as np
import pytest
import torch
from drawn_videos import X264_GOP
from PIL import Image
from reading import read

from w3action.data import Manifest, Video, read_manifest
from w3action.data.flow import to_pixels
from w3action.data.video import identity
from w3action.datasets.precompute_flow import write_flow

pytest.importorskip("cv2", reason="OpenCV is an extra")


@pytest.fixture
def manifest(draw_video, tmp_path):
    path = tmp_path / "rgb" / "deep" / "a.mp4"
    path.parent.mkdir(parents=True)
    shutil.copy(draw_video("flow14.mp4", options=X264_GOP, num_frames=14), path)
    (path.parent / "broken.mp4").write_text("no video")
    videos = (
        Video(path=path, label=1, split="train"),
        Video(path=path, label=0, split="val", first_frame=4, num_frames=5),
        Video(path=path.parent / "broken.mp4", label=0, split="val"),
    )
    return Manifest(videos, ("up", "down"), tmp_path / "rgb" / "all.csv")


def folders(out):
    return {path.name: len(list(path.iterdir())) for path in (out / "deep").iterdir()}


@pytest.mark.parametrize("num_workers", [1, 2])
def test_the_written_flow_is_the_computed_flow(manifest, tmp_path, num_workers, monkeypatch):
    monkeypatch.setattr("w3action.datasets.precompute_flow.FRAMES_AT_ONCE", 6)  # 14 frames: three parts
    done = []
    written = write_flow(
        manifest, tmp_path / "flow", short_side=48, num_workers=num_workers, on_video=lambda: done.append(1)
    )
    assert (written.num_videos, written.num_failed, len(done)) == (2, 1, 3)
    assert folders(tmp_path / "flow") == {"a": 2 * 13, "a frames [4, 9)": 2 * 4}
    stored = read_manifest(written.manifest)
    assert stored.classes == manifest.classes
    assert [(video.label, video.split) for video in stored.videos] == [(1, "train"), (0, "val")]
    for video, flow in zip(manifest.videos, stored.videos, strict=False):
        assert identity(flow, source=stored.source) == identity(video, source=manifest.source)
        computed = to_pixels(read(video, np.arange, short_side=48, modality="flow").frames)
        stored_flow = to_pixels(read(flow, np.arange, short_side=48, modality="flow").frames)
        assert stored_flow.shape == computed.shape
        assert (stored_flow - computed).abs().mean() < 0.2  # JPEG's noise
        assert torch.allclose(stored_flow.mean(dim=(2, 3)), computed.mean(dim=(2, 3)), atol=0.1)
    failed = (tmp_path / "flow" / "failed.csv").read_text().splitlines()
    assert failed[0] == "path,reason"
    assert len(failed) == 2
    assert "broken.mp4" in failed[1]


def test_what_is_done_is_not_done_again_and_half_a_video_is(manifest, tmp_path):
    out = tmp_path / "flow"
    write_flow(manifest, out, short_side=48, num_workers=1)
    first = out / "deep" / "a" / "flow_x_00001.jpg"
    before = first.stat().st_mtime_ns
    half = out / "deep" / ".a frames [4, 9).part"
    (out / "deep" / "a frames [4, 9)").rename(half)
    (half / "flow_x_00099.jpg").write_text("left over")
    write_flow(manifest, out, short_side=48, num_workers=1)
    assert first.stat().st_mtime_ns == before
    assert folders(out) == {"a": 26, "a frames [4, 9)": 8}


def test_wrong_use_is_named(manifest, tmp_path):
    out = tmp_path / "flow"
    write_flow(manifest, out, short_side=48, num_workers=1)
    with pytest.raises(ValueError, match=r"already holds flow of .*48.*; give another folder with --out"):
        write_flow(manifest, out, short_side=32, num_workers=1)
    with pytest.raises(ValueError, match="already holds something else; give a new folder"):
        write_flow(manifest, tmp_path / "rgb", num_workers=1)
    with pytest.raises(ValueError, match="short_side is 0 but must be at least 1"):
        write_flow(manifest, tmp_path / "new", short_side=0)
    with pytest.raises(ValueError, match=r"no video can be read, the first because .*broken\.mp4"):
        write_flow(Manifest(manifest.videos[2:], ("up", "down"), manifest.source), tmp_path / "none", num_workers=1)


def test_videos_that_would_share_a_folder_are_named(tmp_path):
    def listing(*names):
        return Manifest(tuple(Video(path=tmp_path / name, label=0) for name in names), ("x",), tmp_path / "all.csv")

    with pytest.raises(ValueError, match=r"a\.mp4 and \S*a\.avi would share the folder a; rename one of them"):
        write_flow(listing("a.mp4", "a.avi"), tmp_path / "out", num_workers=1)
    with pytest.raises(ValueError, match=r"a/b\.mp4 would lie inside the flow of \S*a\.mp4; rename one of them"):
        write_flow(listing("a.mp4", "a/b.mp4"), tmp_path / "out", num_workers=1)


def test_several_labellings_and_rates_go_along(manifest, tmp_path):
    path = manifest.videos[0].path
    rows = f"path,verb,noun,fps\n{path},open,door,25\n{path.parent / 'broken.mp4'},open,door,25\n"
    (tmp_path / "list.csv").write_text(rows)
    (tmp_path / "classes_noun.txt").write_text("cup\ndoor\n")
    videos = read_manifest(tmp_path / "list.csv", label_column="verb,noun")
    stored = read_manifest(write_flow(videos, tmp_path / "flow", num_workers=1).manifest, label_column="verb,noun")
    assert stored.classes == videos.classes == ("verb: open", "noun: cup", "noun: door")
    assert [(v.label, v.others, v.fps) for v in stored.videos] == [(0, (2,), 25)]
    clip = read(stored.videos[0], lambda _: np.array([5]), modality="flow")
    assert clip.pts_seconds.item() == 5 / 25


def test_frames_too_small_for_flow_are_told_with_what_to_do(tmp_path):
    folder = tmp_path / "clips" / "wave" / "tiny"
    folder.mkdir(parents=True)
    for number in range(3):
        Image.new("RGB", (8, 8)).save(folder / f"{number}.png")
    with pytest.raises(
        ValueError, match=r"tiny: frames of 8x8 pixels are too small for optical flow; give larger ones"
    ):
        write_flow(read_manifest(tmp_path / "clips"), tmp_path / "flow", short_side=8, num_workers=1)
