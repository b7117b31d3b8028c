import re
from pathlib import Path

import pytest
from drawn_sets import write
from hypothesis import given
from hypothesis import strategies as st

from w3action.data import ManifestError
from w3action.datasets.sets.annotation import (
    Line,
    choose_splits,
    find_file,
    read_class_list,
    read_json,
    read_rows,
)


def test_class_lists(tmp_path):
    plain = write(tmp_path / "a.txt", "walk", "", " turn, left ", "3 point turn")
    assert read_class_list(plain) == ("walk", "turn, left", "3 point turn")
    for first in (0, 1):
        numbered = write(tmp_path / "b.txt", *(f"{place} {name}" for place, name in enumerate(["a b", "c"], first)))
        assert read_class_list(numbered) == ("a b", "c")
    assert read_class_list(write(tmp_path / "c.txt", "7 Up", "1 Down")) == ("7 Up", "1 Down")
    assert read_class_list(write(tmp_path / "d.txt", "1", "2")) == ("1", "2")
    with pytest.raises(ManifestError, match="the class 'a' is listed twice"):
        read_class_list(write(tmp_path / "e.txt", "a", "b", "a"))
    with pytest.raises(ManifestError, match="lists no class"):
        read_class_list(write(tmp_path / "f.txt", ""))


def test_rows(tmp_path):
    source = tmp_path / "a.csv"
    source.write_bytes(b'\xef\xbb\xbfid,label\r\n1,"a, b"\r\n\r\n2,c\r\n')  # as spreadsheets write it
    assert [row for _, row in read_rows(source, columns=["id", "label"])] == [
        {"id": "1", "label": "a, b"},
        {"id": "2", "label": "c"},
    ]
    with pytest.raises(ManifestError, match="no column 'verb'; columns found: id, label; wanted: id, verb"):
        list(read_rows(source, columns=["id", "verb"]))
    with pytest.raises(ManifestError, match="line 2 has too few columns"):
        list(read_rows(write(tmp_path / "b.csv", "id,label", "1"), columns=["id", "label"]))
    (tmp_path / "c.csv").write_bytes(b"id\n\xff\xfe")
    with pytest.raises(ManifestError, match="cannot be read"):
        list(read_rows(tmp_path / "c.csv", columns=["id"]))


def test_files_are_found_or_named(tmp_path):
    write(tmp_path / "labels/b.txt", "x")
    assert find_file(tmp_path, ["a.txt", "b.txt"], inside=["labels"]) == tmp_path / "labels/b.txt"
    with pytest.raises(ManifestError, match=r"holds no a.txt or b.txt; give the folder"):
        find_file(tmp_path, ["a.txt", "b.txt"])
    with pytest.raises(ManifestError, match="cannot be read as JSON"):
        read_json(write(tmp_path / "a.json", "{"))


@given(st.integers())
def test_numbers(value):
    for text in (f"{value}", f" {value} ", f"{value}.0"):
        assert Line(Path("a.txt"), 3, "").to_int(text, "the label") == value


@given(st.text(max_size=8) | st.floats().map(str))
def test_what_is_no_number(text):
    if re.fullmatch(r"\s*-?\d+\.?0*\s*", text):
        return
    with pytest.raises(ManifestError) as error:
        Line(Path("a.txt"), 3, "").to_int(text, "the label")
    assert str(error.value) == f"a.txt: line 3: the label is {text!r} but must be a whole number; correct it"


def test_classes_by_number(tmp_path):
    assert Line(tmp_path, 1, "").class_of(2, ["a", "b"], first=1) == "b"
    for label in (0, 3):
        with pytest.raises(ManifestError, match=f"the label is {label} but 2 classes count from 1 to 2"):
            Line(tmp_path, 1, "").class_of(label, ["a", "b"], first=1)


def test_splits():
    assert choose_splits(None, allowed=["train", "test"], default=["train"], name="x") == ("train",)
    assert choose_splits("test", allowed=["train", "test"], default=["train"], name="x") == ("test",)
    with pytest.raises(ManifestError, match="x has no split 'val'; it has train, test"):
        choose_splits("val", allowed=["train", "test"], default=["train"], name="x")
