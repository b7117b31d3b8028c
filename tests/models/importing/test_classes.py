"""Lists of classes are read as they are published, and classifier rows follow names, never places."""

import json
from pathlib import Path

import pytest

from w3action.models.importing.classes import class_order, read_classes

NAMES = ("Closing something", "Moving something, slowly", 'Opening "it"')


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("plain.txt", 'Closing something\nMoving something, slowly\nOpening "it"\n'),
        ("templates.txt", '\nClosing [something]\nMoving [something], slowly \n\nOpening "it"'),
        ("windows.txt", '\ufeffClosing something\r\nMoving something, slowly\r\nOpening "it"\r\n'),
        ("from_one.txt", '1 Closing something\n2 Moving something, slowly\n3 Opening "it"\n'),
        ("any_order.txt", '2 Opening "it"\n1 Moving something, slowly\n0 Closing something\n'),
        ("ssv1.csv", 'Closing something\nMoving something, slowly\nOpening "it"\n'),
        ("quoted.csv", '"Closing something"\n"Moving something, slowly"\n"Opening ""it"""\n'),
        ("ids.csv", '0;Closing something\n2;Opening "it"\n1;Moving something, slowly\n'),
        ("header.csv", 'id;label\n0;Closing something\n1;Moving something, slowly\n2;"Opening ""it"""\n'),
        ("one_column.csv", 'label\nClosing something\n"Moving something, slowly"\n"Opening ""it"""\n'),
        (
            "epic.csv",
            'verb_id,class_key,verbs\n1,"Moving something, slowly",[]\n0,Closing something,[]\n2,"Opening ""it""",[]',
        ),
        ("no_id.csv", 'name,count\nClosing something,3\n"Moving something, slowly",2\n"Opening ""it""",1\n'),
        ("ssv2.json", json.dumps({"Closing [something]": "0", 'Opening "it"': "2", "Moving something, slowly": "1"})),
        ("numbers.json", json.dumps({'Opening "it"': 3, "Closing something": 1, "Moving something, slowly": 2})),
        ("list.json", json.dumps(NAMES)),
    ],
)
def test_lists_are_read_in_the_order_of_their_ids(file, text, tmp_path):
    (tmp_path / file).write_bytes(text.encode())
    assert read_classes(tmp_path / file) == NAMES


def test_names_that_begin_with_numbers_stay_whole(tmp_path):
    (tmp_path / "c.txt").write_text("2 fingers\n3 fingers\n10 fingers\n")
    assert read_classes(tmp_path / "c.txt") == ("2 fingers", "3 fingers", "10 fingers")


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("c.txt", b"", "names no class"),
        ("c.txt", b"up\ndown\nup\n", "'up' more than once"),
        ("c.txt", b"put [a thing]\nput a thing\n", "'put a thing' more than once"),
        ("c.txt", b"\xff\xfe\x80", "not a text file"),
        ("c.csv", b"0;up\n2;down\n", "ids of 2 classes must count from 0 or 1 without a gap"),
        ("c.csv", b"74225;up\n116154;down\n", "ids of 2 classes must count"),
        ("c.csv", b"id,label\na,up\n", "'a' is no id"),
        ("c.csv", b"id,label\n0,\n1,up\n", "has an empty name"),
        ("c.csv", b"id,label\n0\n", "has an empty name"),
        ("c.json", b"{", "not JSON"),
        ("c.json", b'{"up": "0", "down": "2"}', "ids of 2 classes must count"),
        ("c.json", b'[{"id": 1, "label": "up"}]', "holds no classes"),
        ("c.json", b'{"up": "first"}', "holds no classes"),
        ("c.json", b"3", "holds no classes"),
    ],
)
def test_what_is_no_list_of_classes_is_refused_in_one_line(file, text, message, tmp_path):
    (tmp_path / file).write_bytes(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_classes(tmp_path / file)
    assert str(caught.value).startswith(str(tmp_path / file))
    assert "\n" not in str(caught.value)


def test_a_missing_list_is_named(tmp_path):
    with pytest.raises(ValueError, match="nowhere.txt: no such list of classes"):
        read_classes(tmp_path / "nowhere.txt")


def test_order_is_by_name():
    order = class_order(("c", "a", "b"), ("a", "b", "c"), given_in="theirs", wanted_in="ours")
    assert order == [1, 2, 0]


def test_every_name_must_be_in_both_lists():
    with pytest.raises(ValueError, match="the lists of classes differ") as caught:
        class_order(("a", "b", "Swiping_Left"), ("a", "Swiping Left", "x", "y", "z"), given_in="T", wanted_in="W")
    text = str(caught.value)
    assert "2 names of T not in W ('b', 'Swiping_Left')" in text
    assert "4 names of W not in T ('Swiping Left', 'x', 'y', ...)" in text


# The published lists

FLIPPED_IN_CSV_ORDER = {"sthv1.txt": {(2, 4), (30, 41), (52, 66)}, "jester.txt": {(0, 1), (6, 7), (14, 15)}}
FLIPPED_SORTED = {"sthv1.txt": [(86, 87), (93, 94), (166, 167)], "jester.txt": [(11, 12), (16, 17), (21, 22)]}


@pytest.mark.parametrize("file", FLIPPED_SORTED)
def test_real_lists_go_from_csv_order_to_sorted_order(file, shared_dir: Path):
    """Classes that a flip swaps have published places in both orders; the permutation must take one to the other."""
    by_csv = read_classes(shared_dir / "annotations" / "mmaction2_label_maps" / file)
    in_order = tuple(sorted(by_csv))
    order = class_order(by_csv, in_order, given_in="csv", wanted_in="sorted")
    assert tuple(by_csv[index] for index in order) == in_order
    assert order != sorted(order)
    found = {tuple(sorted((order[a], order[b]))) for a, b in FLIPPED_SORTED[file]}
    assert found == FLIPPED_IN_CSV_ORDER[file]


def test_ssv1_sorted_is_ssv2(shared_dir: Path):
    annotations = shared_dir / "annotations"
    official = read_classes(annotations / "ssv2_official_json" / "something-something-v2-labels.json")
    assert len(official) == 174
    assert official[0] == "Approaching something with your camera"
    assert official == read_classes(annotations / "ssv2_trn_lists" / "category.txt")
    assert official == tuple(sorted(read_classes(annotations / "mmaction2_label_maps" / "sthv1.txt")))


@pytest.mark.parametrize(
    ("file", "count", "first"),
    [
        ("ssv2_trn_lists/category.txt", 174, "Approaching something with your camera"),
        ("jester/categories.txt", 27, "Doing_other_things"),
        ("ucf101_official/classInd.txt", 101, "ApplyEyeMakeup"),
        ("mmaction2_label_maps/k400.txt", 400, "abseiling"),
        ("epic55/EPIC_verb_classes.csv", 125, "take"),
        ("epic55/EPIC_noun_classes.csv", 352, "Nothing"),
        ("epic100/EPIC_100_verb_classes.csv", 97, "take"),
    ],
)
def test_real_lists_are_read(file, count, first, shared_dir: Path):
    classes = read_classes(shared_dir / "annotations" / file)
    assert (len(classes), classes[0]) == (count, first)
