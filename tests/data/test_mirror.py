import hashlib
import json
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from w3action.data import mirror as mirror_module
from w3action.data.mirror import FetchError, is_url, mirror_index
from w3action.data.shards import open_member
from w3action.files import write_lines

SHARD = bytes(range(256)) * 40


class Site:
    """A folder served over HTTP: counts what is asked for, and can be told to fail."""

    def __init__(self, folder: Path):
        self.folder, self.asked, self.faults = folder, [], {}
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.path.partition("?")[0].lstrip("/")
                site.asked.append(name)
                fault = site.faults.get(name, [None])
                kind = fault.pop(0) if len(fault) > 1 else fault[0]
                file = site.folder / name
                if isinstance(kind, int) or not file.is_file():
                    self.send_error(kind or 404)
                    return
                data = file.read_bytes()
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                with suppress(ConnectionError):  # who asked may hang up
                    self.wfile.write(data[: len(data) // 2] if kind == "cut" else data)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def write_set(folder: Path, *, name: str = "train-00000.tar", data: bytes = SHARD, sha256: str | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    row = {"path": name, "label": "a", "byte_offset": 512, "num_bytes": 100, "shard_bytes": len(data)}
    row["shard_sha256"] = sha256 or hashlib.sha256(data).hexdigest()
    parquet.write_table(pa.Table.from_pylist([row, row]), folder / "index.parquet")
    (folder / "classes.txt").write_text("a\n")
    if ".." not in name:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda _: None)
    write_set(tmp_path / "site" / "set")
    site = Site(tmp_path / "site")
    yield site
    site.close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(mirror_module.CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_shard_is_fetched_when_it_is_read_and_once(site, cache):
    index = mirror_index(f"{site.url}/set/index.parquet")
    assert index.is_relative_to(cache)
    assert (index.parent / "classes.txt").read_text() == "a\n"
    shard = index.parent / "train-00000.tar"
    assert not shard.exists()
    got = []
    readers = [
        threading.Thread(target=lambda: got.append(open_member(shard, offset=512, size=100).read())) for _ in range(6)
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert got == [SHARD[512:612]] * 6
    assert site.asked.count("set/train-00000.tar") == 1
    mirror_index(f"{site.url}/set/index.parquet")
    open_member(shard, offset=0, size=10)
    assert site.asked.count("set/train-00000.tar") == 1


def test_the_cache_can_be_given_and_a_query_is_passed_on(site, tmp_path):
    index = mirror_index(f"{site.url}/set/index.parquet?key=1", cache=tmp_path / "elsewhere")
    assert index.is_relative_to(tmp_path / "elsewhere")
    assert open_member(index.parent / "train-00000.tar", offset=0, size=4).read() == SHARD[:4]


@pytest.mark.parametrize("fault", [[503, 503, None], ["cut", None]])
def test_what_may_pass_is_tried_again(site, cache, fault):
    index = mirror_index(f"{site.url}/set/index.parquet")
    site.faults["set/train-00000.tar"] = fault
    assert open_member(index.parent / "train-00000.tar", offset=0, size=4).read() == SHARD[:4]


@pytest.mark.parametrize(
    ("fault", "message", "tries"),
    [([404], "404", 1), ([500], "500", 3), (["cut"], "5120 of 10240 bytes came", 3)],
)
def test_what_cannot_be_fetched_is_named_and_leaves_nothing(site, cache, fault, message, tries):
    index = mirror_index(f"{site.url}/set/index.parquet")
    shard = index.parent / "train-00000.tar"
    site.faults["set/train-00000.tar"] = fault
    with pytest.raises(FetchError, match=f"set/train-00000.tar: cannot be fetched .*{message}"):
        open_member(shard, offset=0, size=4)
    assert site.asked.count("set/train-00000.tar") == tries
    assert not [file for file in index.parent.glob("*.tar*") if not file.name.endswith(".lock")]


def test_a_shard_that_is_not_the_indexs_is_refused(site, cache):
    write_set(site.folder / "set", sha256="0" * 64)
    index = mirror_index(f"{site.url}/set/index.parquet")
    with pytest.raises(FetchError, match="its SHA-256 is"):
        open_member(index.parent / "train-00000.tar", offset=0, size=4)
    assert not (index.parent / "train-00000.tar").exists()


def test_a_set_that_changed_is_fetched_anew(site, cache):
    index = mirror_index(f"{site.url}/set/index.parquet")
    shard = index.parent / "train-00000.tar"
    open_member(shard, offset=0, size=4)
    write_set(site.folder / "set", data=SHARD[::-1])  # as many bytes
    mirror_index(f"{site.url}/set/index.parquet")
    assert open_member(shard, offset=0, size=4).read() == SHARD[::-1][:4]


def test_the_last_copy_serves_while_the_host_is_away(site, cache):
    url = f"{site.url}/set/index.parquet"
    with pytest.raises(FetchError, match="404"):
        mirror_index(f"{site.url}/other/index.parquet")
    index = mirror_index(url)
    site.faults["set/index.parquet"] = [503]
    assert mirror_index(url) == index
    site.faults["set/index.parquet"] = [403]  # a host that says no is not away
    with pytest.raises(FetchError, match="403"):
        mirror_index(url)


@pytest.mark.parametrize(
    "name", ["../outside.tar", "/outside.tar", "..\\outside.tar", "C:outside.tar", "http://elsewhere/a.tar"]
)
def test_a_shard_outside_is_refused(site, cache, name):
    write_set(site.folder / "bad", name="../outside.tar")
    table = parquet.read_table(site.folder / "bad" / "index.parquet")
    table = table.set_column(0, "path", pa.array([name, name]))
    parquet.write_table(table, site.folder / "bad" / "index.parquet")
    with pytest.raises(ValueError, match="lies outside of the index's folder"):
        mirror_index(f"{site.url}/bad/index.parquet")


def test_what_is_no_index_is_refused(site, cache):
    (site.folder / "set" / "text.parquet").write_text("no table")
    with pytest.raises(ValueError, match="no index of shards"):
        mirror_index(f"{site.url}/set/text.parquet")
    with pytest.raises(ValueError, match="not the URL of an index"):
        mirror_index(f"{site.url}/set/train-00000.tar")


def test_commands_are_not_run(cache, tmp_path):
    with pytest.raises(ValueError, match="commands are not run"):
        mirror_index(f"pipe:touch {tmp_path}/ran; cat index.parquet")
    assert not (tmp_path / "ran").exists()


def test_other_schemes_go_to_fsspec(site, cache):
    index = mirror_index(f"file://{site.folder}/set/index.parquet")
    assert open_member(index.parent / "train-00000.tar", offset=0, size=4).read() == SHARD[:4]
    with pytest.raises(FetchError, match=r"nosuch://a/index\.parquet: cannot be fetched"):
        mirror_index("nosuch://a/index.parquet")


def test_urls_are_told_from_paths():
    assert is_url("https://a/b.parquet")
    assert is_url("pipe:cat b")
    assert not is_url("/a/b.parquet")
    assert not is_url(Path("b.csv"))


def test_every_list_of_classes_that_an_index_names_is_fetched(site, tmp_path):
    index = site.folder / "set" / "index.parquet"
    shards = pa.table({"shard_bytes": [len(SHARD)], "shard_sha256": [hashlib.sha256(SHARD).hexdigest()]})
    table = shards.append_column("path", pa.array(["train-00000.tar"]))
    for names in (["classes_verb.txt", "classes_noun.txt"], ["../classes.txt"]):
        for name in names:
            write_lines(index.parent / name, ["b", "a"])
        named = {mirror_module.CLASS_LISTS_KEY: json.dumps(names)}
        parquet.write_table(table.replace_schema_metadata(named), index)
        if ".." in names[0]:
            with pytest.raises(ValueError, match="is no name of a list of classes"):
                mirror_index(f"{site.url}/set/index.parquet", cache=tmp_path / "cache")
        else:
            mirrored = mirror_index(f"{site.url}/set/index.parquet", cache=tmp_path / "cache")
            assert {name: (mirrored.parent / name).read_text() for name in names} == dict.fromkeys(names, "b\na\n")
            assert not list(mirrored.parent.glob("*.part"))


def test_a_shard_that_does_not_end_is_given_up(site, tmp_path):
    index = mirror_index(f"{site.url}/set/index.parquet", cache=tmp_path)
    (site.folder / "set" / "train-00000.tar").write_bytes(SHARD * 500)  # 5 MB, read by the megabyte
    with pytest.raises(FetchError, match=f"more bytes come than the {len(SHARD)} that the index says"):
        open_member(index.parent / "train-00000.tar", offset=512, size=100)
    assert not list(index.parent.glob("train*"))
