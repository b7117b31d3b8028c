import pytest

from w3action.data.whole_file import whole_file, write_lines, write_text


def test_a_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "a.csv"
    write_text(path, "before")
    with whole_file(path) as part:
        part.write_text("after")
        assert path.read_text() == "before"
    assert [child.name for child in tmp_path.iterdir()] == ["a.csv"]
    assert path.read_text() == "after"


def test_what_fails_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "a.csv"
    write_text(path, "before")
    with pytest.raises(FileNotFoundError), whole_file(path) as part:
        part.write_text((tmp_path / "missing").read_text())
    assert path.read_text() == "before"
    assert [child.name for child in tmp_path.iterdir()] == ["a.csv"]


def test_lines_end_as_written_on_any_system(tmp_path):
    write_lines(tmp_path / "classes.txt", ["über", "a b"])
    assert (tmp_path / "classes.txt").read_bytes() == "über\na b\n".encode()
