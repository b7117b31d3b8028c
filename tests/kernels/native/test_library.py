"""Compiling at first use: what is kept, what is shared, and what happens where it cannot be done."""

import functools
import logging
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from w3action import kernels
from w3action.kernels.native import compiler, library, passes

FLOAT, BFLOAT, PIXELS = (passes.SOURCES[dtype] for dtype in (torch.float32, torch.bfloat16, torch.uint8))

needs_a_compiler = pytest.mark.skipif(
    library.library(FLOAT) is None, reason="there is no C compiler here, or no OpenMP library of PyTorch's"
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Begin with an empty folder, and nothing loaded."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(library, "PREBUILT", tmp_path / "none")
    monkeypatch.setattr(library, "_warned", [])
    monkeypatch.setattr(library, "_library", functools.cache(library._library.__wrapped__))
    return tmp_path / "w3action" / "kernels"


@pytest.fixture
def commands(monkeypatch):
    """What is run from now on, without the compiler's name."""
    run, seen = compiler._run, []
    monkeypatch.setattr(compiler, "_run", lambda command: seen.append(command[1:]) or run(command))
    return seen


def compiler_at(path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.skipif(shutil.which("gcc") is None or sys.platform != "linux", reason="there is no gcc")
@pytest.mark.parametrize("source", [FLOAT, BFLOAT, PIXELS], ids=lambda source: source.name)
def test_where_there_is_gcc_there_are_native_passes(source):
    """Else all that is said of them elsewhere would be tested on the plain form."""
    assert library.library(source) is not None


@needs_a_compiler
def test_what_was_compiled_is_kept(folder, monkeypatch, commands):
    assert library.library(FLOAT).scale
    (first,) = folder.iterdir()
    assert len(commands) == 3
    library._library.cache_clear()
    assert library.library(FLOAT).scale
    assert commands[3:] == [["--version"]]
    assert list(folder.iterdir()) == [first]


def cut_short(content: bytes) -> bytes:
    return content[: len(content) // 2]


def with_one_bit_turned(content: bytes) -> bytes:
    return content[:-100] + bytes([content[-100] ^ 1]) + content[-99:]


@needs_a_compiler
@pytest.mark.parametrize("damage", [lambda content: b"", cut_short, with_one_bit_turned])
def test_a_kept_file_that_is_damaged_is_never_loaded_but_made_anew(folder, commands, monkeypatch, damage):
    library.library(FLOAT)
    (kept,) = folder.iterdir()
    whole = kept.read_bytes()
    kept.unlink()  # the one in memory is not written over
    kept.write_bytes(damage(whole))
    kept.chmod(0o700)
    loaded, load = [], library.ctypes.CDLL
    monkeypatch.setattr(library.ctypes, "CDLL", lambda path, **given: loaded.append(path) or load(path, **given))
    library._library.cache_clear()
    assert library.library(FLOAT).scale
    assert len(commands) == 6
    assert str(kept) not in loaded
    assert kept.read_bytes() == whole


@needs_a_compiler
def test_a_file_that_is_another_user_s_or_a_link_is_not_loaded(folder, commands, monkeypatch, tmp_path):
    library.library(FLOAT)
    (kept,) = folder.iterdir()
    kept.rename(tmp_path / "elsewhere.so")
    kept.symlink_to(tmp_path / "elsewhere.so")
    library._library.cache_clear()
    library.library(FLOAT)
    assert len(commands) == 6
    assert not kept.is_symlink()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)  # all that is there is now another's
    library._library.cache_clear()
    assert library.library(FLOAT).scale
    assert len(commands) == 9


@needs_a_compiler
def test_a_library_made_for_another_processor_is_not_loaded(folder, commands, monkeypatch):
    library.library(FLOAT)
    monkeypatch.setattr(library, "_processor", lambda: "flags : sse2")
    library._library.cache_clear()
    library.library(FLOAT)
    assert len(commands) == 6
    assert len(list(folder.iterdir())) == 2


@needs_a_compiler
@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_another_user_could_have_written_is_not_loaded(folder, commands, what):
    library.library(FLOAT)
    (kept,) = folder.iterdir()
    (kept if what == "file" else folder).chmod(0o777)
    library._library.cache_clear()
    assert library.library(FLOAT).scale
    assert len(commands) == 6


@needs_a_compiler
def test_what_is_kept_is_its_owner_s_alone(folder):
    before = os.umask(0)
    try:
        library.library(FLOAT)
    finally:
        os.umask(before)
    assert all(path.stat().st_mode & 0o777 == 0o700 for path in (folder, *folder.iterdir()))


@needs_a_compiler
def test_each_type_and_each_set_of_flags_has_a_file_of_its_own(folder, monkeypatch):
    library.library(FLOAT)
    library.library(BFLOAT)
    library._library.cache_clear()
    monkeypatch.setattr(library, "FLAGS", ("-O1", *library.FLAGS[1:]))
    library.library(FLOAT)
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.int32])
def test_other_types_have_none(dtype):
    assert not passes.available(dtype)


def test_without_a_compiler_there_is_none_and_one_line_says_so(monkeypatch, caplog):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert compiler.find_compilers() == []
    for source in (FLOAT, BFLOAT, PIXELS, FLOAT):
        assert library.library(source) is None
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    (line,) = caplog.messages
    assert "\n" not in line
    for part in ("there is no C compiler (CC, gcc, cc)", library.COST, library.REMEDY):
        assert part in line


def test_on_another_system_there_is_none_and_one_line_says_so(monkeypatch, caplog):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert library.library(FLOAT) is library.library(PIXELS) is None
    (line,) = caplog.messages
    assert "for Linux, and this is darwin" in line


def test_the_compiler_that_cc_names_comes_first(monkeypatch, tmp_path):
    own = compiler_at(tmp_path / "own", "")
    monkeypatch.setenv("CC", f"{own} -m64")
    assert compiler.find_compilers()[0] == [own, "-m64"]


@needs_a_compiler
def test_where_one_compiler_refuses_the_next_is_tried(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("CC", compiler_at(tmp_path / "broken", "echo no such flag >&2; exit 1"))
    assert library.library(FLOAT).scale
    assert not caplog.records


BROKEN = {
    "refuses": "echo no such flag >&2; exit 1",
    "says what is no text": "printf '\\377' >&2; exit 1",
    "writes nonsense": 'case "$*" in *-shared*) for file; do :; done; echo no > "$file";; esac',
    "makes another library": 'case "$*" in *-shared*) set -- -shared -o "$4" -x c /dev/null;; esac; exec gcc "$@"',
}


@needs_a_compiler
@pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN)
def test_a_compiler_that_fails_is_told_of_once_and_the_plain_form_computes(script, monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("CC", compiler_at(tmp_path / "broken", script))
    find = compiler.find_compilers
    monkeypatch.setattr(library, "find_compilers", lambda: find()[:1])
    x = torch.randn(1, 3, 2, 4, 4)
    with kernels.using("native"):
        found = [kernels.apply_masks(x, None, None, relu=True) for _ in range(2)]
    assert all(torch.equal(y, x.relu()) for y in found)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "the plain form computes" in caplog.text


@pytest.mark.parametrize("command", ["gcc '", "no-such-compiler"])
def test_a_cc_that_is_no_command_stops_nothing(monkeypatch, command):
    monkeypatch.setenv("CC", command)
    with kernels.using("native"):
        assert kernels.apply_masks(torch.ones(1, 3, 2, 4, 4), None, None).sum() == 96


def test_without_a_home_nothing_stops(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(library.Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    with kernels.using("native"):
        assert kernels.apply_masks(torch.ones(1, 3, 2, 4, 4), None, None).sum() == 96


def test_where_pytorch_has_other_threads_there_is_none(monkeypatch):
    alone = library.library(PIXELS) is not None  # it has no threads
    library._library.cache_clear()
    monkeypatch.setattr(library, "_share_threads", lambda: False)
    assert library.library(FLOAT) is None
    assert (library.library(PIXELS) is not None) == alone


@needs_a_compiler
def test_a_folder_that_cannot_be_written_only_costs_compiling_again(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert library.library(FLOAT).scale


@needs_a_compiler
def test_of_several_threads_one_compiles(commands):
    with ThreadPoolExecutor(4) as pool:
        assert len({id(found) for found in pool.map(library.library, [FLOAT] * 4)}) == 1
    assert len(commands) == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_process_forked_while_a_thread_compiles_does_not_wait_for_it(monkeypatch):
    begun, forked = threading.Event(), threading.Event()
    monkeypatch.setattr(library, "find_compilers", lambda: begun.set() or forked.wait(1) or [])
    thread = threading.Thread(target=library.library, args=(FLOAT,))
    thread.start()
    begun.wait(10)
    child = os.fork()
    if not child:
        os._exit(0 if library._lock.acquire(timeout=5) else 1)
    forked.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@needs_a_compiler
def test_two_processes_may_compile_at_once(folder):
    code = "import torch; from w3action.kernels.native import passes; print(passes.available(torch.float32))"
    both = [subprocess.Popen([sys.executable, "-c", code], env=os.environ, stdout=subprocess.PIPE) for _ in range(2)]
    assert all(process.communicate(timeout=120)[0] == b"True\n" for process in both)
    assert [path.suffix for path in folder.iterdir()] == [".so"]


@needs_a_compiler
def test_threads_are_pytorch_s_own():
    """One OpenMP library in the process: two would each keep a thread for every core."""
    x = torch.randn(1, 64, 4, 32, 32)
    with kernels.using("native"):
        kernels.pool_planes(x)
    with open("/proc/self/maps") as maps:
        ours = {line.split()[-1] for line in maps if "gomp" in line}
    assert len([path for path in ours if "torch" in path or "/usr" in path]) == 1
