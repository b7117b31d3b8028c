"""Put the compiled passes into a wheel: `make wheel`.

`W3_PREBUILT` names the folder that `python -m w3action.kernels.native.prebuild` has filled. Without it, as when pip
builds from the source, the wheel is pure and compiles at its first use.
"""

import os
import re
import subprocess
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

INSIDE = "w3action/kernels/native/prebuilt"  # where the loader looks
EVERYWHERE = {"libc.so.6", "libm.so.6"}  # libraries that a manylinux wheel may take for granted, of those in use here
OLDEST = (2, 17)  # glibc of manylinux2014


class PrebuiltPasses(BuildHookInterface):
    """Adds a folder of libraries to a wheel, and tags it with the oldest glibc that they run on."""

    def initialize(self, version: str, build_data: dict) -> None:
        """Change what hatchling is about to build.

        Raises:
            RuntimeError: the folder holds no library, or one that needs more than the C library.
        """
        folder = os.environ.get("W3_PREBUILT")
        if folder is None:
            return
        libraries = sorted(Path(folder).glob("**/*.so"))
        if not libraries:
            raise RuntimeError(f"{folder}: no .so in it; fill it with python -m w3action.kernels.native.prebuild")
        major, minor = oldest_glibc(libraries)
        build_data["force_include"][str(Path(folder).resolve())] = INSIDE
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-manylinux_{major}_{minor}_x86_64"  # ctypes loads them: any Python 3 does


def oldest_glibc(libraries: list[Path]) -> tuple[int, int]:
    """Return the version of glibc that libraries need at least.

    Raises:
        RuntimeError: they need a library that not every Linux has.
    """
    told = subprocess.run(["objdump", "-p", *libraries], check=True, capture_output=True, text=True).stdout
    foreign = set(re.findall(r"NEEDED\s+(\S+)", told)) - EVERYWHERE
    if foreign:
        raise RuntimeError(f"the compiled passes need {', '.join(sorted(foreign))}, which not every Linux has")
    return max([OLDEST, *((int(major), int(minor)) for major, minor in re.findall(r"GLIBC_(\d+)\.(\d+)", told))])
