"""Compiling at first use: what is kept, what is shared, and what happens where it cannot be done."""

import logging
import os
import shutil
import subprocess
import sys

import pytest
import torch

from w3action import kernels
from w3action.kernels import native_build

needs_a_compiler = pytest.mark.skipif(
    native_build.library(torch.float32) is None, reason="there is no C compiler here, or no OpenMP library of PyTorch's"
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Compile into an empty folder, and forget it afterwards."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    fresh = native_build.library.__wrapped__
    monkeypatch.setattr(native_build, "library", fresh)
    return tmp_path / "w3action" / "kernels"


@needs_a_compiler
def test_what_was_compiled_is_kept(folder, monkeypatch):
    assert native_build.library(torch.float32).scale
    (first,) = folder.iterdir()
    run, commands = native_build._run, []
    monkeypatch.setattr(native_build, "_run", lambda command: commands.append(command) or run(command))
    native_build.library(torch.float32)
    assert [command[1:] for command in commands] == [["--version"]]
    assert list(folder.iterdir()) == [first]


@needs_a_compiler
def test_each_type_and_each_set_of_flags_has_a_file_of_its_own(folder, monkeypatch):
    native_build.library(torch.float32)
    native_build.library(torch.bfloat16)
    monkeypatch.setattr(native_build, "FLAGS", ("-O1", *native_build.FLAGS[1:]))
    native_build.library(torch.float32)
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.int32])
def test_other_types_have_none(dtype):
    assert native_build.library(dtype) is None


def test_without_a_compiler_there_is_none(monkeypatch):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert native_build.find_compiler() is None
    assert native_build.library(torch.float32) is None


def test_the_compiler_that_cc_names_comes_first(monkeypatch, tmp_path):
    own = tmp_path / "own"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    monkeypatch.setenv("CC", f"{own} -m64")
    assert native_build.find_compiler() == [str(own), "-m64"]


@needs_a_compiler
@pytest.mark.parametrize(
    "script",
    ["echo broken >&2; exit 1", 'case "$*" in *-shared*) for f; do :; done; echo no > "$f";; esac'],
    ids=["refuses", "writes nonsense"],
)
def test_a_compiler_that_fails_is_told_of_once_and_the_slower_form_computes(script, monkeypatch, tmp_path, caplog):
    broken = tmp_path / "broken"
    broken.write_text(f"#!/bin/sh\n{script}\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CC", str(broken))
    with caplog.at_level(logging.WARNING):
        assert native_build.library(torch.float32) is None
    assert "cannot be compiled" in caplog.text or "slower form" in caplog.text


def test_where_pytorch_has_other_threads_there_is_none(monkeypatch):
    monkeypatch.setattr(native_build, "_share_threads", lambda: False)
    assert native_build.library(torch.float32) is None


def test_a_folder_that_cannot_be_written_is_no_failure(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert native_build.library(torch.float32) is None


@needs_a_compiler
def test_two_processes_may_compile_at_once(folder):
    code = "import torch; from w3action.kernels.native_build import library; print(library(torch.float32) is not None)"
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
