"""A packed set that lies elsewhere (http, https, or what fsspec reads), copied here shard by shard as it is read.

`mirror_index(url)` fetches `index.parquet` and its lists of classes into a folder of the local cache and returns the
local index, a manifest like any other. A shard is fetched when a video in it is first opened, once for all processes of
a machine, under another name until its size and SHA-256 are those of the index.

urllib reads http and https; other schemes go to fsspec and its drivers. Commands
("pipe:") are not run: an index from elsewhere must not be able to start a program.
"""

import hashlib
import json
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path, PureWindowsPath
from typing import Any, cast

from filelock import FileLock
from pyarrow import ArrowException, parquet

from w3action.files import write_text

CACHE_VARIABLE = "W3_CACHE"  # a folder; ~/.cache/w3action without it
CLASS_LISTS_KEY = "w3action.class_lists"  # in the metadata of an index: names of the files, as JSON
ORIGIN_NAME = "w3-origin.json"  # beside a mirrored index: where it came from, and the shards' sizes and hashes
PAUSES_SECONDS = (0.2, 0.8)  # between three tries
TIMEOUT_SECONDS = 60


class FetchError(OSError):
    """Something remote could not be fetched whole: one line that names it, what failed and what to try."""


def is_url(source: str | os.PathLike[str]) -> bool:
    """Whether this names something remote: SCHEME://..., or "pipe:", which is then refused."""
    return "://" in str(source) or str(source).startswith("pipe:")


def mirror_index(url: str, *, cache: Path | None = None) -> Path:
    """Fetch the index of a packed set; its shards follow when they are read.

    The index is asked for anew at every call; where its host cannot be reached, the copy of the last call serves.

    Args:
        url: of the `index.parquet`.
        cache: folder of all mirrored sets; by default what the variable W3_CACHE names, else ~/.cache/w3action.

    Returns:
        The path of the local index.

    Raises:
        FetchError: the index cannot be fetched, and there is no earlier copy.
        ValueError: not the URL of an index, an index of something else, a shard outside of the index's folder.
    """
    if url.startswith("pipe:"):
        raise ValueError(f"{url}: commands are not run; give an http(s) URL or one that fsspec reads, as s3://...")
    base, _, name = url.partition("?")[0].rpartition("/")
    if not name.endswith(".parquet"):
        raise ValueError(f"{url}: not the URL of an index; give that of the index.parquet beside the shards")
    cache = cache or Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "w3action")
    folder = cache / f"{base.rpartition('/')[2] or 'set'}-{hashlib.sha256(url.encode()).hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    index = folder / "index.parquet"
    with FileLock(folder / ".lock"):
        try:
            fresh = _fetch(url, folder / "index.parquet.part")
        except FetchError as error:
            if _is_refusal(error.__cause__) or not (folder / ORIGIN_NAME).exists():
                raise
            return index
        shards = _shards_of(fresh, url=url)
        class_lists = [_fetch(_beside(url, name), folder / f"{name}.part") for name in _class_lists_of(fresh, url=url)]
        earlier = _read_origin(folder)["shards"] if (folder / ORIGIN_NAME).exists() else {}
        for shard, known in earlier.items():
            if shards.get(shard) != known:
                (folder / shard).unlink(missing_ok=True)
        write_text(folder / ORIGIN_NAME, json.dumps({"url": url, "shards": shards}, indent=1) + "\n")
        for part in class_lists:
            os.replace(part, part.with_suffix(""))
        os.replace(fresh, index)
    return index


def fetch_missing(path: Path) -> bool:
    """Fetch a shard that a mirrored set lists but does not hold yet; False where there is nothing to fetch it from.

    Raises:
        FetchError: it cannot be fetched, or is not what the index says.
    """
    folder = next((parent for parent in path.parents if (parent / ORIGIN_NAME).is_file()), None)
    if folder is None:
        return False
    origin = _read_origin(folder)
    name = path.relative_to(folder).as_posix()
    known = origin["shards"].get(name)
    if known is None:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        if not path.exists():  # another process may have been faster
            url = _beside(origin["url"], urllib.parse.quote(name))
            os.replace(_fetch(url, path.with_name(f"{path.name}.part"), **known), path)
    return True


def _read_origin(folder: Path) -> dict:
    return json.loads((folder / ORIGIN_NAME).read_text(encoding="utf-8"))


def _shards_of(index: Path, *, url: str) -> dict[str, dict]:
    """Size and hash of every shard of an index."""
    try:
        table = parquet.read_table(index, columns=["path", "shard_bytes", "shard_sha256"])
        if table.num_columns < 3:
            raise KeyError("shard_bytes, shard_sha256")
        rows = table.group_by(table.column_names).aggregate([]).to_pylist()
    except (ArrowException, OSError, KeyError) as error:
        raise ValueError(
            f"{url}: no index of shards ({' '.join(str(error).split())}); give one of w3 data pack"
        ) from error
    shards = {row["path"]: {"num_bytes": row["shard_bytes"], "sha256": row["shard_sha256"]} for row in rows}
    for name in shards:
        parts = PureWindowsPath(name)  # which knows both kinds of slashes, and drives
        if parts.anchor or ".." in parts.parts or is_url(name):
            raise ValueError(f"{url}: the shard {name!r} lies outside of the index's folder; such an index is refused")
    return shards


def _class_lists_of(index: Path, *, url: str) -> list[str]:
    """Names of the files of class names beside an index."""
    told = (parquet.read_schema(index).metadata or {}).get(CLASS_LISTS_KEY.encode())
    names = ["classes.txt"] if told is None else json.loads(told)
    for name in names:
        if re.fullmatch(r"classes(_[\w -]+)?\.txt", name) is None:
            raise ValueError(f"{url}: {name!r} is no name of a list of classes; such an index is refused")
    return names


def _fetch(url: str, part: Path, *, num_bytes: int | None = None, sha256: str | None = None) -> Path:
    """Fetch to `part`, in several tries; the caller renames it.

    Raises:
        FetchError: it cannot be fetched, or is not of this size and hash.
    """
    for pause in (*PAUSES_SECONDS, None):
        try:
            _copy(url, part, num_bytes=num_bytes, sha256=sha256)
            break
        except (OSError, ValueError, ImportError) as error:
            part.unlink(missing_ok=True)
            if pause is None or _is_refusal(error):
                reason = " ".join(str(error).split())
                raise FetchError(f"{url}: cannot be fetched ({reason}); check the address, or try again") from error
            time.sleep(pause)
    return part


def _copy(url: str, part: Path, *, num_bytes: int | None, sha256: str | None) -> None:
    digest = hashlib.sha256()
    with _open_url(url) as source, part.open("wb") as target:
        while block := source.read(1 << 20):
            digest.update(block)
            target.write(block)
            if num_bytes is not None and target.tell() > num_bytes:
                raise FetchError(f"more bytes come than the {num_bytes} that the index says")
        target.flush()
        os.fsync(target.fileno())
        found = target.tell()
        declared = int((getattr(source, "headers", None) or {}).get("Content-Length", found))
    if declared != found:
        raise FetchError(f"{found} of {declared} bytes came")
    if num_bytes not in (None, found):
        raise FetchError(f"{found} bytes came, the index says {num_bytes}")
    if sha256 is not None and digest.hexdigest() != sha256:
        raise FetchError(f"its SHA-256 is {digest.hexdigest()[:16]}..., the index says {sha256[:16]}...")


def _open_url(url: str) -> Any:
    if url.startswith(("http://", "https://")):
        return urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS)
    import fsspec  # late: only few sets need it

    return cast(Any, fsspec.open(url, "rb")).open()


def _is_refusal(error: BaseException | None) -> bool:
    """Whether the other side said no, as opposed to not being reached: trying again is of no use."""
    if isinstance(error, urllib.error.HTTPError):
        return 400 <= error.code < 500 and error.code not in (408, 429)
    return isinstance(error, (FileNotFoundError, PermissionError, ValueError, ImportError))


def _beside(url: str, name: str) -> str:
    path, mark, query = url.partition("?")
    return f"{path.rpartition('/')[0]}/{name}{mark}{query}"
