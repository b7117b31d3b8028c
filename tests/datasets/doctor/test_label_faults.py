"""Labels that are wrong, and classes that lack clips."""

from pathlib import Path

import pytest

from w3action.data.manifest import Manifest
from w3action.data.video import Video
from w3action.datasets.doctor.findings import KINDS, SEVERITIES
from w3action.datasets.doctor.label_faults import check_labels


def manifest_of(counts: dict[str | None, list[int]], names: tuple[str, ...] = ("cut", "pour", "stir")) -> Manifest:
    """So many clips of each class in each split."""
    videos = [
        Video(Path(f"{split}_{label}_{number}.mp4"), label, split=split)
        for split, numbers in counts.items()
        for label, count in enumerate(numbers)
        for number in range(count)
    ]
    return Manifest(tuple(videos), names, Path("set.csv"))


def found(manifest: Manifest, **settings) -> dict[str, list[str]]:
    kinds: dict[str, list[str]] = {}
    for finding in check_labels(manifest, **settings):
        assert (finding.severity, finding.remedy) == KINDS[finding.kind]
        assert finding.severity in SEVERITIES
        kinds.setdefault(finding.kind, []).append(finding.message)
    return kinds


def test_a_sound_set_has_no_findings():
    assert found(manifest_of({"train": [30, 20, 10], "val": [5, 3, 4]}), listed=("cut", "pour", "stir")) == {}
    assert found(manifest_of({None: [30, 20, 10]})) == {}


def test_labels_beyond_the_classes():
    sound = manifest_of({None: [10, 10, 10]})
    videos = (*sound.videos, Video(Path("odd.mp4"), 3), Video(Path("negative.mp4"), -1))
    findings = list(check_labels(Manifest(videos, sound.classes, sound.source)))
    assert [(finding.kind, finding.rows) for finding in findings] == [
        ("label_out_of_range", (30,)),
        ("label_out_of_range", (31,)),
    ]
    assert findings[0].message == "odd.mp4: label 3, but there are 3 classes, from 0 to 2"


def test_a_class_list_that_lacks_labels():
    kinds = found(manifest_of({None: [10, 10, 10]}), listed=("cut", "pour"))
    assert kinds == {"labels_not_listed": ["classes.txt lists 2 classes, but not 1 of the labels: stir"]}


@pytest.mark.parametrize(
    ("names", "kinds"),
    [
        (("0", "1", "2"), {"unnamed_classes"}),
        (("1", "2", "3"), {"unnamed_classes"}),
        (("0", "1", "5"), {"unnamed_classes", "class_ids_skip"}),
        (("cut", "1", "2"), set()),
    ],
)
def test_classes_without_names(names, kinds):
    assert set(found(manifest_of({None: [10, 10, 10]}, names))) == kinds


def test_classes_without_clips():
    kinds = found(manifest_of({"train": [20, 0, 0], "val": [5, 4, 0], "test": [0, 5, 0]}))
    assert kinds["class_without_clips"] == ["1 of 3 classes have no clip at all: stir"]
    assert kinds["class_not_trained"] == ["train: 1 of 3 classes have no clip: pour"]
    assert kinds["class_not_tested"] == ["test: 1 of 3 classes have no clip: cut"]


def test_few_clips_in_total_and_per_split():
    kinds = found(manifest_of({"train": [20, 9, 20], "val": [3, 2, 3]}))
    assert sorted(kinds["few_clips"]) == [
        "train: 1 of 3 classes have under 10 clips: pour (9)",
        "val: 1 of 3 classes have under 3 clips: pour (2)",
    ]
    assert list(kinds) == ["few_clips"]


def test_imbalance_is_that_of_the_training_clips():
    kinds = found(manifest_of({"train": [400, 20, 390], "val": [3, 3, 200]}))
    assert kinds == {"imbalance": ["train: cut has 400 clips, 20 times those of pour (20)"]}
    assert found(manifest_of({"train": [399, 20, 390], "val": [3, 3, 200]})) == {}


def test_one_class():
    assert "one_class" in found(manifest_of({None: [30, 0, 0]}))
    assert found(manifest_of({None: [60, 20, 20]})) == {
        "one_class_dominates": ["60 % of the clips are of one class, cut"]
    }
    assert found(manifest_of({None: [60, 40]}, ("yes", "no"))) == {}


def test_long_lists_of_classes_are_cut_short():
    names = tuple(f"class {letter}" for letter in "abcdefghijkl")
    message = found(manifest_of({None: [10] + 11 * [0]}, names))["class_without_clips"][0]
    assert message.endswith("class i and 3 more")
