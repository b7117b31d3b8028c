"""Which form a call takes."""

import subprocess
import sys

import jaxtyping
import pytest
import torch

from w3action import kernels
from w3action.kernels import dispatch

SMALL = torch.empty(1, 2, 1, 4, 4)
LARGE = torch.empty(1, 64, 8, 64, 64)  # 8 MB


@pytest.mark.parametrize(
    ("form", "x", "plain", "triton"),
    [
        ("auto", SMALL, True, False),
        ("auto", LARGE, False, False),
        ("auto", LARGE.to("meta"), True, False),
        ("plain", LARGE, True, False),
        ("fused", SMALL, False, False),
        ("triton", SMALL, False, True),
    ],
)
def test_a_form_is_taken_call_by_call(monkeypatch, form, x, plain, triton):
    monkeypatch.setattr(dispatch.native, "available", lambda dtype: False)
    with kernels.using(form):
        assert dispatch.takes_plain(x) == plain
        assert dispatch.takes_triton(x) == triton


@pytest.mark.parametrize(
    ("form", "x", "compiled"),
    [
        ("auto", SMALL, True),
        ("auto", LARGE, True),
        ("auto", LARGE.half(), False),
        ("auto", LARGE.to("meta"), False),
        ("native", SMALL, True),
        ("fused", LARGE, False),
    ],
)
def test_compiled_functions_are_taken_where_there_are_some(monkeypatch, form, x, compiled):
    monkeypatch.setattr(dispatch.native, "available", lambda dtype: dtype in (torch.float32, torch.bfloat16))
    with kernels.using(form):
        assert dispatch.takes_native(x) == compiled
        if compiled:
            assert not dispatch.takes_plain(x)


def test_the_form_before_comes_back_even_after_an_error():
    before = dispatch.takes_plain(LARGE)
    with pytest.raises(RuntimeError, match="no reason"), kernels.using("plain"):
        raise RuntimeError("no reason")
    assert dispatch.takes_plain(LARGE) == before


def test_an_unknown_form_is_refused(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is for users
    with (
        pytest.raises(ValueError, match="kernels is 'fast'; choose one of auto, plain, fused, native, triton"),
        kernels.using("fast"),
    ):
        pass


def test_the_environment_chooses_and_is_checked():
    code = "import torch; from w3action.kernels import dispatch; print(dispatch.takes_plain(torch.empty(1 << 20)))"
    for value, shown in (("plain", "True"), ("fused", "False"), ("fast", "W3_KERNELS is 'fast'; choose one of auto")):
        environment = {"W3_KERNELS": value, "PATH": "", "OMP_NUM_THREADS": "1"}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
        assert shown in done.stdout + done.stderr
