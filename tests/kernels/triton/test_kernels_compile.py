"""Triton's kernels become machine code for GPUs, also where there is none to run it."""

import importlib.util
import os
import subprocess
import sys

import pytest

CODE = """
import importlib
import os
import pathlib
import re
import subprocess
import triton.language as tl
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

SIZES = "T C P K R span stride_b stride_t stride_c stride_p stride_k stride_r first second step".split()
WIDE = {"rows", "maps", "grad_rows", "grad_maps", "grad_weights"}
POOLED = {"average", "maximum", "grad_average", "grad_maximum"}

def compile(kernel, *, ones, tile, wide=WIDE, weighted=True):
    sides = dict(zip(("TILE_C", "TILE_P", "TILE_K", "TILE_R"), tile * 2))
    fixed = sides | {"SUM": tl.float32, "ADDS": True, "RELU": True, "WEIGHTED": weighted} | dict.fromkeys(ones, 1)
    types = {}
    for argument in kernel.arg_names:
        kind = "i32" if argument in SIZES else "*fp32" if argument in wide else "*bf16"
        types[argument] = "constexpr" if argument in fixed else kind
    places = {(i,): fixed[a] for i, a in enumerate(kernel.arg_names) if a in fixed}
    made = triton.compile(ASTSource(fn=kernel, signature=types, constexprs=places), target=GPUTarget("cuda", 90, 32))
    assert made.asm["cubin"], kernel

def imported(file):
    return importlib.import_module(f"w3action.kernels.triton.{file}")

for ones, tile in (({"stride_p", "stride_r"}, (8, 512)), ({"stride_c", "stride_k"}, (64, 64))):
    for name in ("_apply_masks", "_apply_masks_backward", "_shift"):
        compile(getattr(imported("pointwise"), name), ones=ones, tile=tile)
        print(name, ones)
    for name in ("_forward", "_backward"):
        for weighted in (True, False):  # over channels with a mask, over places without: the sums are wide, or not
            wide = WIDE | POOLED if weighted else WIDE
            compile(getattr(imported("pooling"), name), ones=ones, tile=tile, wide=wide, weighted=weighted)
            print(name, ones, weighted)

KERNELS = {"_forward", "_reduce", "_convolve", "_convolve_twice"}

def compile_all(module, sizes, fixed, half=(), warps=4, names=KERNELS):
    for name in names & set(dir(module)):
        kernel = getattr(module, name)
        constant = {a: fixed[a] for a in kernel.arg_names if a in fixed}
        types = {
            a: "constexpr" if a in constant else "i32" if a in sizes else "*bf16" if a in half else "*fp32"
            for a in kernel.arg_names
        }
        places = {(i,): constant[a] for i, a in enumerate(kernel.arg_names) if a in constant}
        made = triton.compile(
            ASTSource(fn=kernel, signature=types, constexprs=places),
            target=GPUTarget("cuda", 90, 32),
            options={"num_warps": warps},
        )
        file = pathlib.Path(os.environ["TRITON_CACHE_DIR"], "kernel.cubin")
        file.write_bytes(made.asm["cubin"])
        tool = triton.knobs.nvidia.cuobjdump.path
        usage = subprocess.run([tool, "--dump-resource-usage", file], capture_output=True, text=True, check=True).stdout
        stack = max(map(int, re.findall(r"STACK:([0-9]+)", usage)))
        assert stack <= 128, f"{name}: {stack} bytes for each thread do not fit into registers"
        print(name)

channels = {"OVER_TIME": True, "TILE_T": 16, "TILE_C": 64, "TILE_K": 16}
for hidden, given in ((16, False), (64, False), (128, True)):
    fixed = channels | {"TILE_H": hidden, "GIVEN": given}
    compile_all(imported("channel_network"), "TCH", fixed, half=("average", "maximum", "y"), warps=8)
sizes = ("T", "H", "W", "to_other", "to_next")
places = {"TILE_P": 128, "SUM": tl.float32, "ADDS": True}
gate = {"KT": 1, "KH": 7, "KW": 7, "TAPS": 64, "TWO": True, "SIGMOID": True}
video = {"KT": 3, "KH": 3, "KW": 3, "TAPS": 32, "TWO": False, "SIGMOID": False}
compile_all(imported("place_network"), sizes, places | gate, names={"_convolve"})
compile_all(imported("place_network"), sizes, places | video)
compile_all(imported("pooling"), ("parts", "size"), {"TILE": 1024}, names={"_join"})
"""


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
def test_every_kernel_compiles_for_both_orders_of_memory(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, env=environment, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.splitlines()) == 14 + 6 + 3 + 1
