"""Compile `native.c` for this machine at its first use, and keep what came of it.

What is needed is a C compiler that knows OpenMP as GCC does, as Triton needs one on a GPU. The code shares PyTorch's
own threads: PyTorch's OpenMP library, which is in the process already, is offered to it by name, so none is linked.
Where there is no compiler, or another system than Linux, everything works without, more slowly.
"""

import ctypes
import functools
import hashlib
import logging
import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import torch

SOURCE = Path(__file__).with_name("native.c")
FLAGS = ("-O3", "-march=native", "-std=gnu11", "-fPIC", "-fopenmp", "-fno-math-errno", "-fno-trapping-math")
DEFINES: dict[torch.dtype, tuple[str, ...]] = {torch.float32: (), torch.bfloat16: ("-DBFLOAT16",)}
LIMIT_SECONDS = 120

_log = logging.getLogger(__name__)


@functools.cache
def library(dtype: torch.dtype) -> ctypes.CDLL | None:
    """Return the compiled functions for numbers of a type, or None where there are none; compiles at the first call."""
    if dtype not in DEFINES or not _share_threads():
        return None
    compiler = find_compiler()
    if compiler is None:
        _log.info("no C compiler: W3's passes on the CPU take their slower form")
        return None
    try:
        return ctypes.CDLL(str(_compiled(compiler, DEFINES[dtype])))
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip()
        _log.warning("W3's passes on the CPU take their slower form: %s cannot be compiled: %s", SOURCE.name, said)
        return None


def find_compiler() -> list[str] | None:
    """Return the command of a C compiler: what CC names, else gcc or cc."""
    named = shlex.split(os.environ.get("CC", ""))
    for command in (named, ["gcc"], ["cc"]):
        if command and shutil.which(command[0]):
            return command
    return None


def _share_threads() -> bool:
    """Offer PyTorch's OpenMP library to what is loaded next; False where PyTorch runs on another kind."""
    try:
        mapped = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "libgomp" in line}
    except OSError:
        return False
    beside = str(Path(torch.__file__).parents[1])
    found = sorted(mapped, key=lambda path: not path.startswith(beside))  # PyTorch's own before any other's
    if found:
        ctypes.CDLL(found[0], mode=ctypes.RTLD_GLOBAL)
    return bool(found)


def _compiled(compiler: list[str], defines: tuple[str, ...]) -> Path:
    """Return the path of the library, compiled now if it was not before."""
    flags = (*FLAGS, *defines)
    key = hashlib.sha256(repr((SOURCE.read_bytes(), _version(compiler), flags, _processor())).encode())
    path = _folder() / f"native-{key.hexdigest()[:16]}.so"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        # Two processes may compile at once; each renames a whole file into place.
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            parts = [f"{scratch}/native.o", f"{scratch}/native.so"]
            _run([*compiler, *flags, "-c", str(SOURCE), "-o", parts[0]])
            _run([*compiler, "-shared", parts[0], "-o", parts[1]])
            os.replace(parts[1], path)
    return path


def _folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "w3action" / "kernels"


def _version(compiler: list[str]) -> str:
    return _run([*compiler, "--version"])


def _processor() -> str:
    """Return what the machine's processor can do: homes are shared between machines that differ."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def _run(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=LIMIT_SECONDS).stdout
