"""Labels and seeds of the drawn data set."""

import pytest

from w3action.tabletop import CLASSES, FLIPPED, PAIRS, SPLITS, video_label
from w3action.tabletop.catalogue import video_seed


def test_classes_are_sixteen_sorted_names_in_eight_pairs():
    assert len(CLASSES) == len(set(CLASSES)) == 16
    assert list(CLASSES) == sorted(CLASSES)
    assert sorted(name for pair in PAIRS for name in pair) == sorted(CLASSES)
    assert len(PAIRS) == 8


def test_labels_keep_their_places():
    """Trained networks and written manifests know the classes in this order."""
    assert CLASSES == (
        "Covering something",
        "Lifting something up",
        "Moving something away",
        "Moving something closer",
        "Picking something up",
        "Pretending to pick something up",
        "Pushing something left",
        "Pushing something right",
        "Pushing something so that it almost falls",
        "Pushing something so that it falls",
        "Putting something down",
        "Putting something into something",
        "Taking something out of something",
        "Turning something clockwise",
        "Turning something counterclockwise",
        "Uncovering something",
    )


def test_flipping_twice_is_no_flip_and_moves_only_what_has_a_side():
    assert all(FLIPPED[FLIPPED[name]] == name for name in CLASSES)
    moved = {name for name in CLASSES if FLIPPED[name] != name}
    assert moved == {name for name in CLASSES if name.endswith(("left", "right", "clockwise"))}


def test_no_two_videos_share_a_seed_across_splits():
    states = [tuple(video_seed(0, split, i).generate_state(4)) for split in SPLITS for i in range(400)]
    assert len(set(states)) == len(states)


def test_every_seed_shuffles_the_labels_anew():
    labels = [tuple(video_label(seed, "train", i) for i in range(16)) for seed in range(6)]
    assert len(set(labels)) == 6


@pytest.mark.parametrize("num_videos", [5, 16, 41])
@pytest.mark.parametrize("split", SPLITS)
def test_any_first_videos_of_a_split_hold_each_class_equally_often(split, num_videos):
    labels = [video_label(1, split, i) for i in range(num_videos)]
    counts = [labels.count(name) for name in CLASSES]
    assert max(counts) - min(counts) <= 1
