import csv
import errno
import os
import resource
from pathlib import Path

import pytest

from w3action.files import render_page, whole_file, write_bytes, write_csv, write_json, write_lines, write_text


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


def test_a_table_holds_any_text_and_empty_cells(tmp_path):
    path = tmp_path / "a" / "list.csv"
    write_csv(path, ["path", "fps"], [('a, "b".mp4', 12.5), ("über\n", None)])
    assert path.read_bytes().startswith(b'path,fps\n"a, ""b"".mp4",12.5\n')
    with path.open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file))[1:] == [['a, "b".mp4', "12.5"], ["über\n", ""]]


def test_a_write_makes_folders_and_replaces_what_was_there(tmp_path):
    path = tmp_path / "a" / "b" / "model.json"
    for content in (b"old and long", b"new"):
        write_bytes(path, content)
        assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.replace", "pathlib.Path.open"])
def test_on_a_full_disk_the_old_content_stays(step, tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"old")

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(step, full)
        with pytest.raises(OSError, match="last complete version is untouched.*--resume") as caught:
            write_bytes(path, b"new")
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]  # no temporary file is left


def test_a_write_that_really_breaks_off_leaves_the_old_content(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # a file of more bytes cannot be written
    try:
        with pytest.raises(OSError, match="last complete version is untouched"):
            write_bytes(path, bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_device_that_is_full_leaves_the_old_content(tmp_path):
    path = tmp_path / "model.json"
    path.write_bytes(b"old")
    temporary = tmp_path / f".model.json.{os.getpid()}"
    temporary.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device; the last complete version is untouched"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_in_a_folder_that_cannot_be_written_the_old_content_stays(tmp_path):
    path = tmp_path / "model.json"
    path.write_bytes(b"old")
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OSError, match="Permission denied"):
            write_bytes(path, b"new")
    finally:
        tmp_path.chmod(0o700)
    assert path.read_bytes() == b"old"


def test_a_file_where_a_folder_should_be_is_an_os_error(tmp_path):
    (tmp_path / "run").write_bytes(b"I am a file")
    with pytest.raises(OSError, match="run"):
        write_bytes(tmp_path / "run" / "model.json", b"new")
    assert (tmp_path / "run").read_bytes() == b"I am a file"


def test_tables_are_written_for_programs_to_read(tmp_path):
    write_json(tmp_path / "new" / "a.json", {"a": [1, None]})
    assert (tmp_path / "new" / "a.json").read_bytes() == b'{\n  "a": [\n    1,\n    null\n  ]\n}\n'
    write_csv(tmp_path / "a.csv", ("name", "top1"), [("a, b", 50.5), ("c", None)])
    assert (tmp_path / "a.csv").read_bytes() == b'name,top1\n"a, b",50.5\nc,\n'


def test_names_are_text_on_a_page(tmp_path):
    render_page(tmp_path / "a.html", "study", name="a", title="<b>", about={"device": "x & y"})
    page = (tmp_path / "a.html").read_text()
    assert "<h1>&lt;b&gt;</h1>" in page
    assert "<dd>x &amp; y</dd>" in page


def test_a_file_above_is_told_by_the_path_that_was_asked_for(tmp_path):
    (tmp_path / "run").write_bytes(b"I am a file")
    for path in (tmp_path / "run" / "a.json", tmp_path / "run" / "deep" / "a.json"):
        with pytest.raises(OSError, match="last complete version is untouched, check the folder") as caught:
            write_text(path, "new")
        assert caught.value.filename == str(path)


def test_the_error_of_another_file_or_library_stays_as_it_is(tmp_path):
    for error in (OSError("a server said no"), FileNotFoundError(2, "no such file", "other.csv")):
        with pytest.raises(type(error), match="no s|said no") as caught, whole_file(tmp_path / "a.csv"):
            raise error
        assert caught.value is error
