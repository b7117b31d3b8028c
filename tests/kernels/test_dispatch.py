"""Which form a call takes."""

import os
import subprocess
import sys

import jaxtyping
import pytest
import torch

from w3action import kernels
from w3action.kernels import dispatch
from w3action.kernels.native import passes

SMALL = torch.empty(1, 2, 1, 4, 4)
LARGE = torch.empty(1, 64, 8, 64, 64)  # 8 MB


@pytest.mark.parametrize(
    ("chosen", "x", "form"),
    [
        ("auto", SMALL, "native"),
        ("auto", LARGE, "native"),
        ("auto", LARGE.bfloat16(), "native"),
        ("auto", LARGE.half(), "plain"),
        ("auto", LARGE.to("meta"), "plain"),
        ("plain", LARGE, "plain"),
        ("native", SMALL, "native"),
        ("native", SMALL.double(), "plain"),
        ("triton", SMALL, "triton"),
    ],
)
def test_a_form_is_taken_call_by_call(monkeypatch, chosen, x, form):
    monkeypatch.setattr(passes, "available", lambda dtype: True)
    with kernels.using(chosen):
        assert dispatch.form_of(x) == form


@pytest.mark.parametrize("chosen", ["auto", "native"])
def test_where_there_are_no_native_passes_the_plain_form_computes(monkeypatch, chosen):
    monkeypatch.setattr(passes, "available", lambda dtype: False)
    with kernels.using(chosen):
        assert dispatch.form_of(LARGE) == "plain"


@pytest.mark.parametrize(
    ("chosen", "x", "form"),
    [
        ("auto", SMALL, "plain"),
        ("auto", SMALL.bfloat16(), "native"),
        ("auto", LARGE, "native"),
        ("auto", LARGE.half(), "plain"),
        ("native", SMALL, "native"),
    ],
)
def test_a_compiler_joins_passes_over_small_features_by_itself(monkeypatch, chosen, x, form):
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    monkeypatch.setattr(passes, "available", None)  # no library can be loaded then
    with kernels.using(chosen):
        assert dispatch.form_of(x) == form


def test_every_operator_has_a_table_of_all_forms():
    from w3action.kernels import frame_shift, mask_product, pooling

    tables = (pooling.POOL, pooling.GRADIENT, mask_product.APPLY, mask_product.GRADIENT, frame_shift.SHIFT)
    assert all(list(table) == ["plain", "native", "triton"] for table in tables)


def test_the_form_before_comes_back_even_after_an_error():
    before = dispatch.form_of(LARGE)
    with pytest.raises(RuntimeError, match="no reason"), kernels.using("plain"):
        raise RuntimeError("no reason")
    assert dispatch.form_of(LARGE) == before


@pytest.mark.parametrize("unknown", ["fast", "fused", "compiled"])
def test_an_unknown_form_is_refused(monkeypatch, unknown):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is for users
    with (
        pytest.raises(ValueError, match=f"kernels is '{unknown}'; choose one of auto, plain, native, triton"),
        kernels.using(unknown),
    ):
        pass


def test_the_environment_chooses_and_is_checked():
    code = "import torch; from w3action.kernels import dispatch; print(dispatch.form_of(torch.empty(1 << 20)))"
    path = os.environ.get("PYTHONPATH", "")
    for value, shown in (
        ("plain", "plain"),
        ("triton", "triton"),
        ("fused", "W3_KERNELS is 'fused'; choose one of auto"),
    ):
        environment = {"W3_KERNELS": value, "PATH": "", "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
        assert shown in done.stdout + done.stderr
