"""Compile the native libraries for a wheel: python -m w3action.kernels.native.prebuild FOLDER.

Each source is compiled for every kind of processor in `VARIANTS`, and for no more than that: not for the machine it is
compiled on. Beside the libraries lies `manifest.json` with the SHA-256 of each, and of what it was made of. A wheel for
Linux x86-64 has them in `w3action/kernels/native/prebuilt/`.
"""

import argparse
import hashlib
from pathlib import Path

from w3action.files import write_bytes, write_json
from w3action.kernels.native.compiler import compile_library, find_compilers
from w3action.kernels.native.library import MANIFEST, VARIANTS
from w3action.kernels.native.passes import SOURCES


def prebuild(folder: Path) -> list[Path]:
    """Write all libraries and their manifest to a folder; return their paths, the manifest last.

    Raises:
        ValueError: there is no C compiler, or CC is no command.
        OSError: the folder cannot be written, or the compiler does not start.
        subprocess.SubprocessError: the compiler refuses, or takes too long.
    """
    compilers = find_compilers()
    if not compilers:
        raise ValueError("there is no C compiler (CC, gcc, cc); install GCC 11 or later")
    libraries = {}
    for source in SOURCES.values():
        for variant, features in VARIANTS.items():
            flags = (*(f"-m{feature}" for feature in features), *source.flags)
            content = compile_library(compilers[0], source.path, flags)
            name = f"{source.name}-{variant}.so"
            write_bytes(folder / name, content)
            libraries[name] = {"sha256": hashlib.sha256(content).hexdigest(), "source": source.sha256}
    write_json(folder / MANIFEST, {"libraries": libraries})
    return [*(folder / name for name in libraries), folder / MANIFEST]


def main() -> None:
    """Read the folder from the command line, and list what was written."""
    parser = argparse.ArgumentParser(prog="python -m w3action.kernels.native.prebuild", description=prebuild.__doc__)
    parser.add_argument("folder", type=Path)
    for path in prebuild(parser.parse_args().folder):
        print(path)


if __name__ == "__main__":
    main()
