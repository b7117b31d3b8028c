"""The share of a mask that falls on the hand, for masks and hands that are known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from w3action.clip_format import ClipFormat
from w3action.data import FrameCache, TestTransform, open_frames, read_manifest
from w3action.layers import Masks
from w3action.models import ActionModel
from w3action.models.action_model import Features
from w3action.runs.checkpoint import Checkpoint
from w3action.study.gaze import Track, TracksError, hand_pixels, measure_gaze, read_tracks

SIZE = 56  # half of a drawn frame


class Staring(ActionModel):
    """A network of one stage whose mask is given."""

    def __init__(self, mask: torch.Tensor | None):
        nn.Module.__init__(self)
        self.mask = mask
        self.weight = nn.Parameter(torch.zeros(1))

    def forward_features(self, clips):
        self.seen = clips
        masks = [] if self.mask is None else [[Masks(spatial=self.mask)]]
        return Features(clips, masks)


def checkpoint_of(mask: torch.Tensor | None) -> Checkpoint:
    return Checkpoint(Staring(mask), ("a",), ClipFormat(4, SIZE, SIZE), Path("run"), "")


@pytest.fixture
def videos(tabletop):
    manifest = read_manifest(tabletop, split="test")
    return manifest, read_tracks(tabletop.parent / "tracks.parquet", manifest)


def test_boxes_are_those_of_the_networks_crop(tabletop, videos):
    manifest, _ = videos
    boxes = np.array([[0, 0, 112, 112], [10, 20, 30, 40], [np.nan] * 4])
    whole, box, nothing = hand_pixels(boxes, manifest.videos[0].path, ClipFormat(3, SIZE, SIZE))
    assert whole.all()
    assert not nothing.any()
    assert box[10:20, 5:15].all()
    assert box.sum() == 100
    # A crop of 48 of 56 pixels leaves out 4 on each side.
    (cropped,) = hand_pixels(boxes[1:2], manifest.videos[0].path, ClipFormat(3, 48, 56))
    assert cropped[6:16, 1:11].all()
    assert cropped.sum() == 100


def test_a_flat_mask_does_not_care_where_the_hand_is(videos):
    manifest, tracks = videos
    gazes = measure_gaze(checkpoint_of(torch.full((1, 4, 7, 7), 0.9)), manifest.videos, tracks)
    assert [(gaze.stage, gaze.acting) for gaze in gazes] == [(1, False), (1, True)]
    for gaze in gazes:
        assert gaze.ratio == pytest.approx(1)
        assert gaze.level == pytest.approx(0.9)
    assert sum(gaze.num_frames for gaze in gazes) <= 4 * len(manifest)


def test_a_mask_on_the_hand_alone_has_all_its_mass_there(videos):
    manifest, tracks = videos
    video = manifest.videos[0]
    acting = tracks[video.path].acting
    centred = {video.path: Track(np.tile([28.0, 28.0, 84.0, 84.0], (len(acting), 1)), acting)}
    mask = torch.zeros(1, 4, SIZE, SIZE)
    mask[:, :, 14:42, 14:42] = 1
    for gaze in measure_gaze(checkpoint_of(mask), [video], centred):
        assert gaze.mass == pytest.approx(1)
        assert gaze.area == pytest.approx(0.25)
        assert gaze.ratio == pytest.approx(4)


@pytest.mark.parametrize("cached", [False, True])
def test_the_frames_of_a_span_are_counted_in_the_whole_file(cached, videos):
    video = replace(videos[0].videos[0], first_frame=10, num_frames=4)
    boxes, acting = np.full((14, 4), np.nan), np.zeros(14, bool)  # out of view but in the span's frames
    boxes[10:] = [28, 28, 84, 84]
    acting[10:12] = True
    mask = torch.zeros(1, 4, SIZE, SIZE)
    mask[:, :2, 14:42, 14:42] = 1  # all of it on the hand while it acts, half of it elsewhere afterwards
    mask[:, 2:, :, 14:42] = 1
    checkpoint = checkpoint_of(mask)
    cache = FrameCache(1 << 30) if cached else None
    for _ in range(2):  # kept, then found
        idle, busy = measure_gaze(checkpoint, [video], {video.path: Track(boxes, acting)}, cache=cache)
        assert (busy.acting, busy.num_frames, busy.mass) == (True, 2, pytest.approx(1))
        assert (idle.acting, idle.num_frames, idle.mass) == (False, 2, pytest.approx(0.5))
        with open_frames(video.path, short_side=SIZE) as frames:
            view, _ = TestTransform(size=SIZE, resize=SIZE)(frames.read(range(10, 14)))
        assert torch.equal(checkpoint.model.seen, view)


@pytest.mark.parametrize("cached", [False, True])
def test_a_span_in_seconds_is_refused(cached, videos):
    manifest, tracks = videos
    video = replace(manifest.videos[0], start_seconds=0.5, end_seconds=1.0)
    cache = FrameCache(1 << 30) if cached else None
    with pytest.raises(TracksError, match=r"tracks count frames; give its span as start_frame, end_frame"):
        measure_gaze(checkpoint_of(torch.ones(1, 4, 7, 7)), [video], tracks, cache=cache)


def test_what_does_not_fit_is_named(tabletop, videos, tmp_path):
    manifest, tracks = videos
    with pytest.raises(TracksError, match="no hand tracks"):
        read_tracks(tmp_path / "tracks.parquet", manifest)
    pq.write_table(pa.table({"path": ["a.mp4"], "frame": [0]}), tmp_path / "tracks.parquet")
    with pytest.raises(TracksError, match="no column acting, x0, x1, y0, y1"):
        read_tracks(tmp_path / "tracks.parquet", manifest)
    columns = {name: [0.0] for name in ("x0", "y0", "x1", "y1")}
    pq.write_table(
        pa.table({"path": ["a.mp4"], "frame": [0], **columns, "acting": [True]}), tmp_path / "tracks.parquet"
    )
    with pytest.raises(TracksError, match=r"16 of 16 videos have no track"):
        read_tracks(tmp_path / "tracks.parquet", manifest)
    with pytest.raises(TracksError, match="no spatial masks"):
        measure_gaze(checkpoint_of(None), manifest.videos[:1], tracks)
    short = {path: Track(track.boxes[:2], track.acting[:2]) for path, track in tracks.items()}
    with pytest.raises(TracksError, match="its track has 2 frames"):
        measure_gaze(checkpoint_of(torch.ones(1, 4, 7, 7)), manifest.videos[:1], short)
