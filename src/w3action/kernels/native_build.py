"""Compile C code for this machine at its first use, and keep what came of it.

What is needed is a C compiler, as Triton needs one on a GPU, for `native.c` one that knows OpenMP as GCC does. It
shares PyTorch's own threads: PyTorch's OpenMP library, which is in the process already, is offered to it by name, so
none is linked.
Where there is no compiler, or another system than Linux, everything works without, more slowly.

Kept is a file for each source, compiler, set of flags and processor, in `~/.cache/w3action/kernels`
(`XDG_CACHE_HOME` moves it). A folder or file that another user could have written is not used.
"""

import ctypes
import functools
import hashlib
import logging
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

import torch

FLAGS = ("-O3", "-march=native", "-std=gnu11", "-fPIC", "-fno-math-errno", "-fno-trapping-math")
THREADS = "-fopenmp"
LIMIT_SECONDS = 60
OTHERS_MAY_WRITE = 0o022

_log = logging.getLogger(__name__)
_lock = threading.Lock()
if hasattr(os, "register_at_fork"):  # not where processes are not forked
    # One that is forked while a thread compiles would else wait for that thread, which it has not.
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


@dataclass(frozen=True)
class Code:
    """What becomes one library: a file beside this one, what it defines, and flags of its own."""

    file: str
    functions: tuple[str, ...]
    flags: tuple[str, ...] = ()


def library(code: Code) -> ctypes.CDLL | None:
    """Return the compiled functions, or None where there can be none; compiles at the first call."""
    with _lock:  # of several threads at the first call one compiles
        return _library(code)


@functools.cache
def _library(code: Code) -> ctypes.CDLL | None:
    try:
        if sys.platform != "linux" or (THREADS in code.flags and not _share_threads()):
            return None
        refused = []
        for compiler in find_compilers():
            try:
                return _built(compiler, code)
            except subprocess.CalledProcessError as error:
                refused.append(f"{shlex.join(compiler)}: {error.stderr.strip() or error}")
        for refusal in refused:
            _log.warning("on the CPU %s takes its slower form; it was not compiled by %s", code.file, refusal)
    # Nothing that a machine can be like may stop a network: the slower form is always there.
    except (OSError, subprocess.SubprocessError, ValueError, RuntimeError, AttributeError) as error:
        _log.warning("on the CPU %s takes its slower form: %s: %s", code.file, type(error).__name__, error)
    return None


def find_compilers() -> list[list[str]]:
    """Return the commands of C compilers in the order in which they are tried: what CC names, gcc, cc.

    Raises:
        ValueError: CC is no command.
    """
    named = shlex.split(os.environ.get("CC", ""))
    return [command for command in (named, ["gcc"], ["cc"]) if command and shutil.which(command[0])]


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


def _built(compiler: list[str], code: Code) -> ctypes.CDLL:
    """Return the library: the one that was kept, or one that is compiled now."""
    source, command = Path(__file__).with_name(code.file), (*compiler, *FLAGS, *code.flags)
    parts = (source.read_bytes(), _run([*compiler, "--version"]), command, _processor())
    kept = _folder() / f"{source.stem}-{hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}.so"
    if _is_ours(kept.parent) and _is_ours(kept):
        try:
            return _loaded(kept, code)
        except (OSError, AttributeError):  # cut short by a crash, for example
            kept.unlink()
    with tempfile.TemporaryDirectory() as scratch:  # its owner's alone
        compiled, linked = Path(scratch, "code.o"), Path(scratch, "code.so")
        _run([*command, "-c", str(source), "-o", str(compiled)])
        _run([*compiler, "-shared", str(compiled), "-o", str(linked)])
        functions = _loaded(linked, code)
        _keep(linked, kept)
    return functions


def _loaded(path: Path, code: Code) -> ctypes.CDLL:
    """Load a library and look up all of its functions."""
    functions = ctypes.CDLL(str(path))
    for name in code.functions:
        getattr(functions, name).restype = None
    return functions


def _keep(path: Path, kept: Path) -> None:
    """Put a library where it will be found again; a folder that does not allow it only costs compiling again."""
    part = kept.with_suffix(f".{os.getpid()}")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if _is_ours(kept.parent):
            shutil.copyfile(path, part)
            part.chmod(0o700)
            os.replace(part, kept)  # two processes may compile at once; each puts a whole file
    except OSError as error:
        _log.info("%s is not kept: %s", kept, error)


def _is_ours(path: Path) -> bool:
    """Whether a path is there and nobody else could have written it."""
    try:
        found = path.stat()
    except OSError:
        return False
    return found.st_uid == os.geteuid() and not found.st_mode & OTHERS_MAY_WRITE


def _folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "w3action" / "kernels"


def _processor() -> str:
    """Return what the machine's processor can do: homes are shared between machines that differ."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def _run(command: list[str]) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True, errors="replace", timeout=LIMIT_SECONDS)
    return done.stdout
