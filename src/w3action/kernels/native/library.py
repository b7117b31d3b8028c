"""Find the native library of a C source: prebuilt in a wheel, kept since an earlier use, or compiled now.

| where | loaded if |
|---|---|
| `prebuilt/` beside this file, made by `prebuild.py` | the processor knows what its name says, and the manifest lists \
its hash and that of this source |
| `~/.cache/w3action/kernels` (`XDG_CACHE_HOME` moves it) | its name holds the hash of source, flags, compiler and \
processor, and its own; nobody else could have written file or folder |

Whatever does not pass is made anew. The library shares PyTorch's own threads: PyTorch's OpenMP library, which is in the
process already, is offered to it by name, so none is linked. Where no library can be had, one line says so, and the
plain form computes.
"""

import ctypes
import functools
import hashlib
import json
import logging
import os
import shlex
import stat
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from w3action.files import whole_file
from w3action.kernels.native.compiler import FLAGS, compile_library, find_compilers, version_of

THREADS = "-fopenmp"
OTHERS_MAY_WRITE = 0o022
PREBUILT = Path(__file__).with_name("prebuilt")
MANIFEST = "manifest.json"
# Best first. What a processor must know, as /proc/cpuinfo and, behind -m, a compiler call it.
VARIANTS = {
    "avx512": ("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx2", "fma"),
    "avx2": ("avx2", "fma"),
}
COST = "a ResNet-50 with W3 takes about 1.3 times as long on a CPU"  # docs/decisions/kernels.md
REMEDY = "install gcc, or a wheel for Linux x86-64"

_log = logging.getLogger(__name__)
_lock = threading.Lock()
if hasattr(os, "register_at_fork"):  # not where processes are not forked
    # A process forked while a thread compiles would else wait for that thread, which it does not have.
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


@dataclass(frozen=True, eq=False)
class Source:
    """What becomes one library: a file beside this one, the argument types of its functions, and flags of its own.

    Attributes:
        name: of the library.
        file: of the source.
        functions: argument types by name; none of them returns anything.
        flags: for the compiler.
    """

    name: str
    file: str
    functions: dict[str, tuple[Any, ...]]
    flags: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """The source file."""
        return Path(__file__).with_name(self.file)

    @property
    def sha256(self) -> str:
        """A hash of the source and of the flags that all its libraries share."""
        return _sha256(repr((self.path.read_bytes(), FLAGS, self.flags)).encode())


class _UnavailableError(Exception):
    """No library can be had; the message says why."""


def library(source: Source) -> ctypes.CDLL | None:
    """Return the functions of a source, or None where there can be none; may compile at the first call."""
    with _lock:  # of several threads at the first call one compiles
        return _library(source)


@functools.cache
def _library(source: Source) -> ctypes.CDLL | None:
    try:
        return _find(source)
    # Nothing that a machine can be like may stop a network: the plain form is always there.
    except (_UnavailableError, OSError, subprocess.SubprocessError, ValueError, RuntimeError, AttributeError) as error:
        _warn_once(error)
        return None


_warned: list[str] = []  # one line a process


def _warn_once(error: Exception) -> None:
    if not _warned:
        reason = str(error) if isinstance(error, _UnavailableError) else f"{type(error).__name__}: {error}"
        _warned.append(reason)
        _log.warning("%s, because the plain form computes: %s; %s", COST, " ".join(reason.split()), REMEDY)


def _find(source: Source) -> ctypes.CDLL:
    if sys.platform != "linux":
        raise _UnavailableError(f"native passes are for Linux, and this is {sys.platform}")
    if THREADS in source.flags and not _share_threads():
        raise _UnavailableError("PyTorch brings another OpenMP library than GCC's")
    found = _prebuilt(source)
    if found is not None:
        return found
    refused = []
    for compiler in find_compilers():
        try:
            return _kept_or_compiled(compiler, source)
        except subprocess.CalledProcessError as error:
            refused.append(f"{shlex.join(compiler)} does not compile {source.file}: {error.stderr.strip() or error}")
    raise _UnavailableError("; ".join(refused) or "there is no C compiler (CC, gcc, cc), and nothing prebuilt fits")


def _share_threads() -> bool:
    """Offer PyTorch's OpenMP library to what is loaded next; False where PyTorch runs on another kind."""
    maps = Path("/proc/self/maps")
    if not maps.exists():
        return False
    parts = (line.split(maxsplit=5) for line in maps.read_text().splitlines())
    mapped = {part[5].removesuffix(" (deleted)") for part in parts if len(part) == 6}
    beside = str(Path(torch.__file__).parents[1])
    own = [path for path in mapped if "libgomp" in path and path.startswith(beside)]
    other_kind = any("libiomp" in path or "libomp" in path for path in mapped)
    found = own or ([] if other_kind else [path for path in mapped if "libgomp" in path])
    if found:
        ctypes.CDLL(found[0], mode=ctypes.RTLD_GLOBAL)
    return bool(found)


def _prebuilt(source: Source) -> ctypes.CDLL | None:
    """Return the best prebuilt library that this processor can run, if there is a whole one of this very source."""
    manifest = PREBUILT / MANIFEST
    if not manifest.exists():
        return None
    libraries, known = json.loads(manifest.read_text())["libraries"], _processor().split()
    for variant, features in VARIANTS.items():
        listed = libraries.get(f"{source.name}-{variant}.so", {})
        if set(features) <= set(known) and listed.get("source") == source.sha256:
            found = _load_whole(PREBUILT / f"{source.name}-{variant}.so", listed["sha256"], source)
            if found is not None:
                return found
    return None


def _kept_or_compiled(compiler: list[str], source: Source) -> ctypes.CDLL:
    parts = (source.sha256, compiler, version_of(compiler), _processor())
    folder, name = _folder(), f"{source.name}-{_sha256(repr(parts).encode())[:16]}"
    if _is_ours(folder):
        for kept in folder.glob(f"{name}-*.so"):
            found = _load_whole(kept, kept.stem.rpartition("-")[2], source) if _is_ours(kept) else None
            if found is not None:
                return found
            kept.unlink()
    content = compile_library(compiler, source.path, ("-march=native", *source.flags))
    digest = _sha256(content)
    with tempfile.NamedTemporaryFile(suffix=".so") as scratch:  # its owner's alone
        scratch.write(content)
        scratch.flush()
        found = _load_whole(Path(scratch.name), digest, source)
    if found is None:
        raise _UnavailableError(f"what {shlex.join(compiler)} makes of {source.file} cannot be loaded")
    _keep(folder / f"{name}-{digest}.so", content)
    return found


def _keep(path: Path, content: bytes) -> None:
    """Put a library where it will be found again; a folder that does not allow it only costs compiling again."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if _is_ours(path.parent):
            with whole_file(path) as part:  # two processes may compile at once; each puts a whole file
                part.touch(mode=0o700)
                part.write_bytes(content)
    except OSError as error:
        _log.info("%s is not kept: %s", path, error)


def _load_whole(path: Path, sha256: str, source: Source) -> ctypes.CDLL | None:
    """Load a library that has this hash and all functions of its source, and declare their arguments."""
    try:
        if _sha256(path.read_bytes()) != sha256:
            return None
        loaded = ctypes.CDLL(str(path))
        for name, types in source.functions.items():
            function = getattr(loaded, name)
            function.argtypes, function.restype = types, None
    except (OSError, AttributeError):
        return None
    return loaded


def _is_ours(path: Path) -> bool:
    """Whether a path is no link, and nobody else could have written it."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return found.st_uid == os.geteuid() and not stat.S_ISLNK(found.st_mode) and not found.st_mode & OTHERS_MAY_WRITE


def _folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "w3action" / "kernels"


def _processor() -> str:
    """Return what the machine's processor can do: homes are shared between machines that differ."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
