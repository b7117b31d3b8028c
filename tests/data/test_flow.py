import sys

import numpy as np
import pytest
import torch
from drawn_videos import X264_GOP
from hypothesis import given
from hypothesis import strategies as st
from reading import read

from w3action.data import DecodeError, FrameCache, TrainTransform, Video, VideoDataset, sampling, transforms
from w3action.data.flow import (
    LEVELS_PER_PIXEL,
    ZERO_LEVEL,
    ComputedFlow,
    FlowStacks,
    FrameSizeError,
    compute_flows,
    mirror_flow,
    normalize_flow,
    successive,
    to_levels,
    to_pixels,
)

cv2 = pytest.importorskip("cv2", reason="OpenCV is an extra")


def texture(height, width, *, seed=0):
    noise = np.random.default_rng(seed).random((height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return (255 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)


def moving(steps, *, size=64):
    """Frames (3, t, size, size) of a texture that moves by each (x, y) of `steps` in turn."""
    image, margin = texture(size + 80, size + 80), 40
    places = np.cumsum([(0, 0), *steps], axis=0)
    cuts = [image[margin - y : margin - y + size, margin - x : margin - x + size] for x, y in places]
    return torch.from_numpy(np.stack(cuts))[None].repeat(3, 1, 1, 1)


class OpenedFrames:
    """What `open_frames` gives, of frames in memory; remembers which were read."""

    def __init__(self, frames):
        self.frames, self.count, self.asked = frames, frames.shape[1], []

    def read(self, indices):
        self.asked += np.asarray(indices).tolist()
        return transforms.Clip(frames=self.frames[:, indices], pts_seconds=torch.from_numpy(np.asarray(indices) / 10))


def flow_of(frames):
    return FlowStacks(ComputedFlow(OpenedFrames(frames), name="drawn.mp4"))


STEPS = [(3, 0), (0, 2), (-3, 1), (1, -4), (2, 2), (-1, -1), (4, 0)]


@pytest.mark.parametrize("step", [(3, 2), (-4, 0), (0, -5), (6, -1)])
def test_a_translated_texture_has_the_known_flow(step):
    (flow,) = compute_flows(moving([step]), [(0, 1)])
    inside = flow[12:-12, 12:-12]
    assert abs(inside[..., 0] - step[0]).mean() < 0.3
    assert abs(inside[..., 1] - step[1]).mean() < 0.3
    levels = torch.from_numpy(to_levels(flow)).permute(2, 0, 1).repeat(5, 1, 1)[:, None]  # (10, 1, h, w)
    pixels = to_pixels(levels)[:, 0, 12:-12, 12:-12].mean(dim=(1, 2))
    assert torch.allclose(pixels, torch.tensor([*step] * 5).float(), atol=0.3)


def test_a_frame_and_itself_have_no_flow_at_all():
    assert not compute_flows(moving([(3, 2)]), [(1, 1)]).any()


def test_a_segment_holds_five_successive_flows_and_the_last_repeats():
    clip = flow_of(moving(STEPS)).read(np.array([[0, 4]]))
    assert clip.frames.shape == (10, 2, 64, 64)
    assert clip.frames.dtype == torch.uint8
    assert clip.pts_seconds.tolist() == [0.0, 0.4]
    pixels = (
        to_pixels(clip.frames)[:, :, 16:-16, 16:-16].mean(dim=(2, 3)).T.reshape(2, 5, 2)
    )  # segments, flows, x and y
    wanted = torch.tensor([STEPS[0:5], [STEPS[4], STEPS[5], STEPS[6], STEPS[6], STEPS[6]]]).float()
    assert (pixels - wanted).abs().max() < 0.3


def test_there_is_one_flow_less_than_frames_and_only_the_frames_of_its_stacks_are_read():
    opened = OpenedFrames(moving([(1, 0), (-1, 0)] * 24 + [(1, 0)], size=32))
    flow = FlowStacks(ComputedFlow(opened, name="drawn.mp4"))
    assert (opened.count, flow.count) == (50, 49)
    flow.read([2])
    assert opened.asked == [2, 3, 4, 5, 6, 7]


def test_a_video_of_one_frame_has_one_flow_of_zeros():
    clip = flow_of(moving([])).read([0])
    assert clip.frames.shape == (10, 1, 64, 64)
    assert bool((clip.frames == ZERO_LEVEL).all())


@given(num_flows=st.integers(1, 40), data=st.data())
def test_successive_flows_never_leave_the_video(num_flows, data):
    starts = np.array(data.draw(st.lists(st.integers(0, num_flows - 1), min_size=1, max_size=8)))
    stacks = successive(starts, num_flows=num_flows)
    for start, stack in zip(starts, stacks.tolist(), strict=True):
        assert stack == [min(start + k, num_flows - 1) for k in range(5)]


@given(st.floats(-60, 60))
def test_levels_are_symmetric_and_clip_at_twenty_pixels(pixels):
    level, opposite = (int(to_levels(np.array([sign * pixels], np.float32))[0]) for sign in (1, -1))
    assert level + opposite == 2 * ZERO_LEVEL
    assert 1 <= level <= 255
    clipped = min(20.0, max(-20.0, pixels))
    assert abs((level - ZERO_LEVEL) / LEVELS_PER_PIXEL - clipped) <= 0.5 / LEVELS_PER_PIXEL + 1e-5


def test_levels_of_what_is_no_number_are_zero():
    assert to_levels(np.array([np.nan], np.float32)).tolist() == [ZERO_LEVEL]


def test_the_mirrored_clip_has_the_flow_of_the_mirrored_frames():
    frames = moving(STEPS[:5])
    plain, mirrored = (flow_of(part).read(np.array([0])).frames for part in (frames, frames.flip(-1).contiguous()))
    difference = to_pixels(mirror_flow(plain)) - to_pixels(mirrored)
    assert difference[:, :, 16:-16, 16:-16].abs().mean() < 0.1
    pixels = to_pixels(mirror_flow(plain))
    assert torch.equal(pixels[0::2], -to_pixels(plain)[0::2].flip(-1))
    assert torch.equal(pixels[1::2], to_pixels(plain)[1::2].flip(-1))


def test_a_level_of_zero_in_foreign_images_stays_in_range():
    levels = torch.zeros(10, 1, 1, 2, dtype=torch.uint8)
    assert mirror_flow(levels)[:, 0, 0, 0].tolist() == [255, 0] * 5


def test_normalised_flow_is_zero_where_nothing_moves():
    levels = torch.tensor([1, ZERO_LEVEL, 255], dtype=torch.uint8).view(1, 1, 1, 3).repeat(10, 1, 1, 1)
    bound = 127 / 255 / 0.226
    assert torch.allclose(normalize_flow(levels)[0, 0, 0], torch.tensor([-bound, 0.0, bound]))


class TestTransforms:
    def clip(self):
        return flow_of(moving(STEPS)).read(np.array([0, 1]))

    def test_training_mirrors_and_normalises_as_flow(self):
        clip = self.clip()
        views = []
        for probability in (0.0, 1.0):
            transform = TrainTransform(size=64, scales=(1,), flip_probability=probability, modality="flow")
            made, flipped = transform(clip, np.random.default_rng(0))
            assert flipped == bool(probability)
            views.append(made)
        assert views[0].shape == (1, 10, 2, 64, 64)
        assert torch.equal(views[0][0], normalize_flow(clip.frames))
        assert torch.allclose(views[1][:, 0::2], -views[0][:, 0::2].flip(-1))
        assert torch.equal(views[1][:, 1::2], views[0][:, 1::2].flip(-1))

    def test_the_mirrored_crops_of_ten_are_mirrored_as_flow(self):
        views, _ = transforms.TestTransform(size=48, resize=56, crops="ten", modality="flow")(self.clip())
        assert views.shape == (10, 10, 2, 48, 48)
        assert torch.allclose(views[5:, 0::2], -views[:5, 0::2].flip(-1))
        assert torch.equal(views[5:, 1::2], views[:5, 1::2].flip(-1))

    def test_wrong_settings_are_named(self):
        with pytest.raises(ValueError, match=r"color_jitter is 0.4 but flow has no colours: use 0"):
            TrainTransform(size=32, color_jitter=0.4, modality="flow")


class TestVideos:
    @pytest.fixture
    def dataset(self, draw_video):
        video = Video(path=draw_video("x264.mp4", options=X264_GOP), label=1)

        def make(short_side=48, **options):
            transform = TrainTransform(size=32, scales=(1,), flip_probability=0, modality="flow")
            return VideoDataset(
                [video], sample=first_segments, transform=transform, short_side=short_side, modality="flow", **options
            )

        return make

    def test_a_sample_has_ten_channels_and_the_flow_that_was_drawn(self, dataset):
        sample = dataset()[0, 0]
        assert sample.views.shape == (1, 10, 3, 32, 32)
        assert sample.label == 1
        noise = sample.views[0, :, :, 20:30, 8:-8] * 255 * 0.226 / LEVELS_PER_PIXEL  # pixels, in the lower half
        # It is drawn to move by 2 pixels of 96 to the left in each frame, which is 1 of 48.
        assert abs(noise[0::2].mean() + 1) < 0.3
        assert noise[1::2].abs().mean() < 0.3

    def test_a_cache_and_a_second_reading_change_nothing(self, dataset):
        first = dataset()[0, 0].views
        assert torch.equal(first, dataset()[0, 0].views)
        cached = dataset(cache=FrameCache(1 << 22))
        assert torch.equal(first, cached[0, 0].views)
        assert torch.equal(first, cached[0, 0].views)

    def test_threads_of_opencv_are_left_as_they_were_and_change_nothing(self, dataset):
        before = cv2.getNumThreads()
        try:
            cv2.setNumThreads(3)
            first = dataset()[0, 0].views
            assert cv2.getNumThreads() == 3
            cv2.setNumThreads(1)
            assert torch.equal(first, dataset()[0, 0].views)
        finally:
            cv2.setNumThreads(before)

    def test_frames_too_small_and_what_cannot_be_read_are_bad_videos(self, dataset, tmp_path):
        tiny = dataset(short_side=8)
        reason = tiny[0, 0].reason
        assert "frames of 11x8 pixels are too small for optical flow" in reason
        gone = VideoDataset(
            [Video(path=tmp_path / "gone.mp4", label=0)],
            sample=first_segments,
            transform=tiny.transform,
            modality="flow",
        )
        assert "gone.mp4" in gone[0, 0].reason

    def test_flow_of_real_videos_is_finite_and_moves(self, shared_dir):
        paths = sorted((shared_dir / "data" / "hand_motion").glob("**/*.mp4"))[:2]
        for path in paths:
            clip = read(path, lambda n: sampling.test_segments(n, num_segments=4), short_side=96, modality="flow")
            assert clip.frames.shape[:2] == (10, 4)
            assert min(clip.frames.shape[2:]) == 96
            assert to_pixels(clip.frames).abs().max() > 1


def first_segments(num_flows, rng):
    return sampling.test_segments(num_flows, num_segments=3)


def test_indices_that_are_none_are_raised():
    for wrong in ([], [-1], [7], np.array([0.5])):
        with pytest.raises(ValueError, match=r"indices are .* of 7"):
            flow_of(moving(STEPS)).read(wrong)


def test_frames_that_are_too_small_are_named():
    with pytest.raises(FrameSizeError, match="8x8"):
        compute_flows(moving([(1, 0)], size=8), [(0, 1)])


def test_without_opencv_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ValueError, match=r"OpenCV, which is not installed; install w3action\[flow\]"):
        compute_flows(moving([(1, 0)]), [(0, 1)])


def test_a_missing_file_is_a_decode_error(tmp_path):
    with pytest.raises(DecodeError, match=r"gone\.mp4"):
        read(tmp_path / "gone.mp4", lambda n: [0], modality="flow")
