"""The frames that are drawn, and where the hand is in them."""

import numpy as np
import pytest

from w3action.tabletop import CLASSES, MAX_FRAMES, MIN_FRAMES, SIZE, render_video, video_label


@pytest.fixture(scope="module")
def block():
    """The first sixteen videos: one of each class."""
    return [render_video(5, "train", index) for index in range(len(CLASSES))]


def test_every_class_is_drawn_in_a_block_of_sixteen(block):
    assert sorted(video.label for video in block) == sorted(CLASSES)
    assert [video.label for video in block] == [video_label(5, "train", i) for i in range(16)]


def test_frames_and_boxes_have_the_declared_shapes_and_types(block):
    for video in block:
        num_frames = len(video.frames)
        assert MIN_FRAMES <= num_frames <= MAX_FRAMES
        assert video.frames.shape == (num_frames, SIZE, SIZE, 3)
        assert video.frames.dtype == np.uint8
        assert video.hand_boxes.shape == (num_frames, 4)
        assert video.hand_boxes.dtype == np.float32
        first, last = video.active_frames
        assert 0 <= first < last < num_frames
        assert last - first >= 7


def test_lengths_vary_over_the_allowed_range(block):
    lengths = {len(video.frames) for video in block}
    assert len(lengths) >= 6


def test_hand_boxes_are_within_the_image_or_missing(block):
    for video in block:
        seen = ~np.isnan(video.hand_boxes[:, 0])
        assert (np.isnan(video.hand_boxes).all(axis=1) == ~seen).all()
        x0, y0, x1, y1 = video.hand_boxes[seen].T
        assert (x0 >= 0).all()
        assert (y0 >= 0).all()
        assert (x1 <= SIZE).all()
        assert (y1 <= SIZE).all()
        assert (x1 > x0).all()
        assert (y1 > y0).all()
        first, last = video.active_frames
        assert seen[first : last + 1].mean() > 0.5, video.label
        assert (x1 - x0).max() > 12


def test_a_hand_that_comes_changes_the_pixels_in_its_box():
    """The frame with the hand differs from the one without it, most of all where the box says the hand is."""
    checked = 0
    for index in range(12):
        video = render_video(6, "train", index)
        seen = ~np.isnan(video.hand_boxes[:, 0])
        first, _ = video.active_frames
        if seen[0] or not seen[first]:
            continue
        checked += 1
        change = np.abs(video.frames[first].astype(int) - video.frames[0].astype(int)).mean(axis=2)
        x0, y0, x1, y1 = video.hand_boxes[first].astype(int)
        assert change[y0:y1, x0:x1].mean() > 3 * np.median(change), index
    assert checked >= 2


def test_same_arguments_give_the_same_bits():
    one, two = render_video(3, "val", 7), render_video(3, "val", 7)
    assert one.label == two.label
    assert one.active_frames == two.active_frames
    np.testing.assert_array_equal(one.frames, two.frames)
    np.testing.assert_array_equal(one.hand_boxes, two.hand_boxes)


@pytest.mark.parametrize("other", [(4, "val", 7), (3, "test", 7), (3, "val", 8)])
def test_seed_split_and_index_each_change_the_video(other):
    one, two = render_video(3, "val", 7), render_video(*other)
    assert one.frames.shape != two.frames.shape or (one.frames != two.frames).mean() > 0.5


@pytest.mark.parametrize(("label", "sign"), [("Pushing something left", -1), ("Pushing something right", 1)])
def test_the_hand_on_the_picture_moves_the_way_the_label_says(label, sign):
    """Covers flipped and unflipped drawing: about half of these clips are mirrored after drawing."""
    found = [i for i in range(160) if video_label(2, "train", i) == label][:5]
    for index in found:
        video = render_video(2, "train", index)
        first, last = video.active_frames
        centre = video.hand_boxes[:, [0, 2]].mean(axis=1)
        assert sign * (centre[last] - centre[first]) > 8, index


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, "train", 0), "seed"),
        ((2**32, "train", 0), "seed"),
        ((0, "training", 0), "train, val, test"),
        ((0, "train", -1), "index"),
    ],
)
def test_arguments_out_of_range_are_refused_and_the_error_says_what_is_allowed(arguments, message):
    with pytest.raises(ValueError, match=message):
        render_video(*arguments)
