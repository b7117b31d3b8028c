"""Compile C for one kind of processor, with a compiler that knows OpenMP as GCC does."""

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

FLAGS = ("-O3", "-std=gnu11", "-fPIC", "-fno-math-errno", "-fno-trapping-math")
LIMIT_SECONDS = 60


def find_compilers() -> list[list[str]]:
    """Return the commands of C compilers in the order in which they are tried: what CC names, gcc, cc.

    Raises:
        ValueError: CC is no command.
    """
    named = shlex.split(os.environ.get("CC", ""))
    return [command for command in (named, ["gcc"], ["cc"]) if command and shutil.which(command[0])]


def version_of(compiler: list[str]) -> str:
    """Return what a compiler says of itself.

    Raises:
        OSError: it does not start.
        subprocess.SubprocessError: it fails, or takes too long.
    """
    return _run([*compiler, "--version"])


def compile_library(compiler: list[str], source: Path, flags: tuple[str, ...]) -> bytes:
    """Return the content of the shared library that a compiler makes of a source file.

    Raises:
        OSError: it does not start.
        subprocess.SubprocessError: it fails, or takes too long.
    """
    with tempfile.TemporaryDirectory() as scratch:  # its owner's alone
        compiled, linked = Path(scratch, "code.o"), Path(scratch, "code.so")
        _run([*compiler, *FLAGS, *flags, "-c", str(source), "-o", str(compiled)])
        # Linked without the compiler's own OpenMP library: PyTorch's is in the process.
        _run([*compiler, "-shared", str(compiled), "-o", str(linked)])
        return linked.read_bytes()


def _run(command: list[str]) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True, errors="replace", timeout=LIMIT_SECONDS)
    return done.stdout
