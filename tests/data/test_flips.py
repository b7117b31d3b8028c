import json

import pytest

from w3action.data import find_flip_pairs, mirror_name


@pytest.mark.parametrize(
    ("name", "mirrored"),
    [
        ("Swiping Left", "Swiping Right"),
        ("Swiping_Right", "Swiping_Left"),
        ("left_right", "right_left"),
        ("pushing from left to right", "pushing from right to left"),
        ("TURN LEFT", "TURN RIGHT"),
        ("SwipeLeft", "SwipeRight"),
        ("moveRightHand", "moveLeftHand"),
        ("pot:left", "pot:right"),
        ("left-handed throw", "right-handed throw"),
        ("Turning Hand Clockwise", "Turning Hand Counterclockwise"),
        ("turn counter-clockwise", "turn clockwise"),
        ("Rotate_anticlockwise", "Rotate_clockwise"),
        ("bright leftover copyright", "bright leftover copyright"),
        ("Thumb Up", "Thumb Up"),
        ("pulling it right out as you remove your hand", "pulling it right out as you remove your hand"),
        ("doing it right away, then left", "doing it right away, then right"),
    ],
)
def test_mirror_name(name, mirrored):
    assert mirror_name(name) == mirrored


def test_pairs_of_the_hand_motion_classes():
    flips = find_flip_pairs(["down", "left", "left_right", "right", "right_left", "still", "up"])
    assert flips.permutation == (0, 3, 4, 1, 2, 5, 6)
    assert flips.pairs == ((1, 3), (2, 4))
    assert flips.unpaired == ()


def test_a_side_without_its_mirror_is_unpaired():
    flips = find_flip_pairs(["jump", "wave left hand", "nod", "Turn clockwise"])
    assert flips.permutation == (0, 1, 2, 3)
    assert flips.unpaired == ("wave left hand", "Turn clockwise")


def test_spellings_and_cases_are_evened_out():
    assert find_flip_pairs(["turn Clockwise", "Turn anticlockwise"]).pairs == ((0, 1),)
    assert find_flip_pairs(["counter clockwise", "clockwise"]).pairs == ((0, 1),)


def test_the_permutation_is_its_own_inverse_even_where_names_are_ambiguous():
    flips = find_flip_pairs(["Turn Left", "turn left", "Turn Right"])
    assert all(flips.permutation[flips.permutation[i]] == i for i in range(3))
    assert flips.pairs == ((0, 2),)
    assert flips.unpaired == ("turn left",)


def test_no_classes():
    assert find_flip_pairs([]).permutation == ()


def test_a_class_listed_twice_is_an_error():
    with pytest.raises(ValueError, match="the class 'a' is listed twice among 3"):
        find_flip_pairs(["a", "b", "a"])


class TestFactsOfTheField:
    def test_ssv2(self, shared_dir):
        labels = json.loads(
            (shared_dir / "annotations/ssv2_official_json/something-something-v2-labels.json").read_text()
        )
        names = sorted(labels, key=lambda name: int(labels[name]))
        flips = find_flip_pairs(names)
        assert len(names) == 174
        assert flips.pairs == ((86, 87), (93, 94), (166, 167))
        assert flips.unpaired == ()

    def test_ssv1_in_the_order_of_its_csv(self, shared_dir):
        names = (shared_dir / "annotations/mmaction2_label_maps/sthv1.txt").read_text().splitlines()
        assert find_flip_pairs(names).pairs == ((2, 4), (30, 41), (52, 66))

    def test_ssv1_sorted(self, shared_dir):
        names = (shared_dir / "annotations/mmaction2_label_maps/sthv1.txt").read_text().splitlines()
        flips = find_flip_pairs(sorted(names))
        assert flips.pairs == ((86, 87), (93, 94), (166, 167))
        assert flips.unpaired == ()

    def test_egogesture(self, shared_dir):
        lines = (shared_dir / "annotations/egogesture/classIndAllbutNone.txt").read_text().splitlines()
        names = [line.split()[1] for line in lines]
        flips = find_flip_pairs(names)
        swapped = {names[a]: names[b] for a, b in flips.pairs}
        assert swapped["Scroll_hand_towards_right"] == "Scroll_hand_towards_left"
        assert swapped["Move_fingers_left"] == "Move_fingers_right"

    def test_jester_sorted(self, shared_dir):
        lines = (shared_dir / "annotations/jester/categories.txt").read_text().splitlines()
        flips = find_flip_pairs([line.split()[1] for line in lines])
        assert flips.pairs == ((11, 12), (16, 17), (21, 22))
        assert flips.unpaired == ()

    def test_jester_in_the_order_of_its_csv(self, shared_dir):
        names = (shared_dir / "annotations/mmaction2_label_maps/jester.txt").read_text().splitlines()
        assert find_flip_pairs(names).pairs == ((0, 1), (6, 7), (14, 15))
