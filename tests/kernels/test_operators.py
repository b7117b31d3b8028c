"""Our operators as PyTorch's compilers see them: shapes, strides, gradients, no graph breaks; and programs exported."""

import subprocess
import sys

import pytest
import torch

from w3action import kernels
from w3action.layers import W3

ORDERS = [(0, 1, 2, 3, 4), (0, 2, 1, 3, 4), (0, 4, 1, 2, 3)]


def inputs_of(operator: str, order: tuple[int, ...]) -> tuple:
    numbers = torch.Generator().manual_seed(0)
    back = [order.index(i) for i in range(5)]
    sizes = (2, 3, 4, 5, 6)

    def features() -> torch.Tensor:
        laid = torch.randn([sizes[i] for i in order], generator=numbers)
        return laid.permute(back).requires_grad_()

    rows = torch.rand(2, 4, 3, generator=numbers, requires_grad=True)
    maps = torch.rand(2, 4, 5, 6, generator=numbers, requires_grad=True)
    return {
        "pool_planes": (features(),),
        "gated_channel_pool": (features(), rows),
        "apply_masks": (features(), rows, maps, features(), True),
        "shift_frames": (features(), 1, 1, 1),
    }[operator]


@pytest.mark.parametrize("order", ORDERS, ids=("clips", "frames", "channels_last"))
@pytest.mark.parametrize("operator", ["pool_planes", "gated_channel_pool", "apply_masks", "shift_frames"])
def test_pytorch_s_own_checks_of_operators_pass(operator, order):
    torch.library.opcheck(getattr(torch.ops.w3action, operator).default, inputs_of(operator, order))


def test_masks_that_are_left_out_pass_them_too():
    x = torch.randn(2, 3, 4, 5, 6, requires_grad=True)
    torch.library.opcheck(torch.ops.w3action.apply_masks.default, (x, None, None, None, False))
    torch.library.opcheck(torch.ops.w3action.gated_channel_pool.default, (x, None))


COMPILE = """
import torch
from w3action import kernels
from w3action.layers import W3, temporal_shift

def attend(layer, x):
    return layer(temporal_shift(x), shortcut=x, relu=True).features

torch.manual_seed(0)
layer, x = W3(8, initial_mask=0.5), torch.randn(2, 8, 3, 5, 4, requires_grad=True)
for form in ("plain", "fused"):
    with kernels.using(form):
        found = torch.compile(attend, fullgraph=True, backend="aot_eager")(layer, x)
        expected = attend(layer, x)
    torch.testing.assert_close(found, expected)
    variables = (x, *layer.parameters())
    gradients = [torch.autograd.grad(y.square().sum(), variables) for y in (found, expected)]
    torch.testing.assert_close(*gradients)
"""


def test_w3_compiles_whole_and_trains_the_same():  # in a process of its own: here jaxtyping checks every call
    subprocess.run([sys.executable, "-c", COMPILE], check=True, timeout=300)


@pytest.mark.parametrize(("form", "ours"), [("auto", False), ("fused", True)])
def test_an_exported_program_has_our_operators_only_if_asked(form, ours):
    layer, x = W3(8).eval(), torch.randn(1, 8, 3, 5, 4)
    with kernels.using(form):
        program = torch.export.export(layer, (x,))
    assert any("w3action" in str(node.target) for node in program.graph.nodes) == ours
    torch.testing.assert_close(program.module()(x).features, layer(x).features)


def test_operators_cost_no_import_of_the_compiler():
    code = (
        "import sys, torch; from w3action import kernels; x = torch.randn(1, 4, 2, 3, 3, requires_grad=True)\n"
        "with kernels.using('fused'): kernels.apply_masks(x, None, None, relu=True).sum().backward()\n"
        "assert 'torch._dynamo' not in sys.modules; assert 'triton' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
