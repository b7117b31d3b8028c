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

SIZES = "T C P span stride_b stride_t stride_c stride_p first second step".split()
WIDE = {"rows", "maps", "grad_rows", "grad_maps"}
POOLED = {"average", "maximum", "grad_average", "grad_maximum"}

def compile(name, kernel, *, one, tile, wide=WIDE):
    fixed = {"TILE_C": tile[0], "TILE_P": tile[1], "SUM": tl.float32, "ADDS": True, "RELU": True, one: 1}
    types = {}
    for argument in kernel.arg_names:
        kind = "i32" if argument in SIZES else "*fp32" if argument in wide else "*bf16"
        types[argument] = "constexpr" if argument in fixed else kind
    places = {(i,): fixed[a] for i, a in enumerate(kernel.arg_names) if a in fixed}
    made = triton.compile(ASTSource(fn=kernel, signature=types, constexprs=places), target=GPUTarget("cuda", 90, 32))
    assert made.asm["cubin"], name

for one, tile in (("stride_p", (8, 512)), ("stride_c", (64, 64))):
    for file in ("plane_pool", "channel_pool", "mask_product", "frame_shift"):
        module = importlib.import_module(f"w3action.kernels.{file}_triton")
        for name in ("_forward", "_backward", "_shift"):
            if hasattr(module, name):
                wide = WIDE | POOLED if file == "channel_pool" else WIDE
                compile(f"{file} {name}", getattr(module, name), one=one, tile=tile, wide=wide)
                print(file, name, one)

KERNELS = {"_forward", "_reduce", "_convolve", "_convolve_twice", "join"}

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

def imported(file):
    return importlib.import_module(f"w3action.kernels.{file}")

channels = {"OVER_TIME": True, "TILE_T": 16, "TILE_C": 64, "TILE_K": 16}
for hidden, given in ((16, False), (64, False), (128, True)):
    fixed = channels | {"TILE_H": hidden, "GIVEN": given}
    compile_all(imported("channel_network_triton"), "TCH", fixed, half=("average", "maximum", "y"), warps=8)
sizes = ("T", "H", "W", "to_other", "to_next")
places = {"TILE_P": 128, "SUM": tl.float32, "ADDS": True}
gate = {"KT": 1, "KH": 7, "KW": 7, "TAPS": 64, "TWO": True, "SIGMOID": True}
video = {"KT": 3, "KH": 3, "KW": 3, "TAPS": 32, "TWO": False, "SIGMOID": False}
compile_all(imported("place_network_triton"), sizes, places | gate, names={"_convolve"})
compile_all(imported("place_network_triton"), sizes, places | video)
compile_all(imported("tiles"), ("parts", "size"), {"TILE": 1024})
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
