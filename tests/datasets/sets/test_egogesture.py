import pytest
from drawn_sets import DRAW, touch_frames, write

from w3action.data import ManifestError
from w3action.datasets.sets.egogesture import prepare, split_of


def test_subjects_are_split_as_published():
    splits = [split_of(subject) for subject in range(1, 51)]
    assert [splits.count(name) for name in ("train", "val", "test")] == [30, 10, 10]
    assert [split_of(subject) for subject in (1, 2, 3, 37, 47)] == ["val", "test", "train", "val", "test"]


def test_frames_between_gestures_are_left_out(tmp_path):
    root, _, _ = DRAW["egogesture"](tmp_path)
    write(root / "labels-final-revised1/subject03/Scene4/Group2.csv", "84,1,5", "1,6,9")
    assert [(e.label, e.span.first_frame, e.span.num_frames) for e in prepare(root, split="train").videos] == [
        ("1", 5, 4)
    ]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("1,0,5", "frames 0 to 5 are no segment"),
        ("1,9,5", "frames 9 to 5 are no segment"),
        ("85,1,5", "the label is 85 but 83 classes count from 1 to 83"),
        ("1,5", "must be 'class,start,end'"),
        ("1,5,x", "a number is 'x' but must be a whole number"),
    ],
)
def test_lines_that_are_none(tmp_path, line, fault):
    root, _, _ = DRAW["egogesture"](tmp_path)
    write(root / "labels-final-revised1/subject03/Scene4/Group2.csv", line)
    with pytest.raises(ManifestError, match=fault):
        prepare(root, split="train")


def test_the_real_lists(shared_dir, tmp_path):
    annotations = shared_dir / "annotations/egogesture"
    touch_frames(tmp_path / "Subject01/Scene1/Color/rgb1", 400, "{:06d}.jpg")
    listing = prepare(tmp_path, annotations=annotations, split="val")
    assert len(listing.videos) + len(listing.missing) == 4_768
    places = [line.split(" (")[0] for line in listing.missing]
    assert {split_of(int(place[len("Subject") :][:2])) for place in places} == {"val"}
    first = listing.videos[0]
    assert (first.label, first.span.first_frame, first.span.num_frames) == ("Scroll_hand_towards_left", 177, 41)
    assert first.more == {"subject": "Subject01"}
    assert len(listing.videos) == 2  # the third segment ends behind the 400 frames drawn
