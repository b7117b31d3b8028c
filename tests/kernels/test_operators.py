"""Custom operators as PyTorch's compilers see them: shapes, strides, gradients, no graph breaks; exported programs."""

import importlib
import subprocess
import sys

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

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
        "pool": (features(), None, False),
        "gated pool": (features(), rows, True),
        "apply_masks": (features(), rows, maps, features(), True),
        "shift_frames": (features(), 1, 1, 1),
    }[operator]


@pytest.mark.parametrize("order", ORDERS, ids=("clips", "frames", "channels_last"))
@pytest.mark.parametrize("operator", ["pool", "gated pool", "apply_masks", "shift_frames"])
def test_pytorch_s_own_checks_of_operators_pass(operator, order):
    name = operator.removeprefix("gated ")
    torch.library.opcheck(getattr(torch.ops.w3action, name).default, inputs_of(operator, order))


def test_masks_that_are_left_out_pass_them_too():
    x = torch.randn(2, 3, 4, 5, 6, requires_grad=True)
    torch.library.opcheck(torch.ops.w3action.apply_masks.default, (x, None, None, None, False))
    torch.library.opcheck(torch.ops.w3action.pool.default, (x, None, True))


def test_small_networks_pass_them_too():
    def drawn(*shapes):
        numbers = torch.Generator().manual_seed(0)
        return tuple(torch.randn(shape, generator=numbers) for shape in shapes)

    pooled, kernel = ((1, 2, 6), (1, 2, 6)), ((6, 1, 3), (6,))
    channels = drawn(*pooled, (4, 6), (4,), (6, 4), (6,), *kernel, *kernel)
    maps, cube = (1, 2, 4, 3), ((1, 1, 3, 3, 3), (1,))
    operators = torch.ops.w3action
    with kernels.using("triton"):
        torch.library.opcheck(operators.channel_mask.default, channels)
        torch.library.opcheck(operators.channel_mask.default, (*channels[:6], None, None, None, None))
        torch.library.opcheck(operators.place_mask.default, drawn(maps, maps, (1, 2, 7, 7), (1,)))
        torch.library.opcheck(operators.mask_over_time.default, drawn(maps, *cube, *cube))


class Calls(TorchDispatchMode):
    """Lists the operators that are called and are no views."""

    def __init__(self):
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        is_view = isinstance(result, torch.Tensor) and any(
            isinstance(x, torch.Tensor) and x.untyped_storage().data_ptr() == result.untyped_storage().data_ptr()
            for x in args
        )
        if not is_view or function._schema.is_mutable:
            self.names.append(function.name().removeprefix("w3action::"))
        return result


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_block_with_w3_launches_four_kernels_more_than_without(device, monkeypatch, dtype):
    launched = []
    for file in ("pooling", "channel_network", "place_network", "pointwise"):
        module = importlib.import_module(f"w3action.kernels.triton.{file}")

        def count(*given, real=module.launch, **options):
            launched.append(real(*given, **options))

        monkeypatch.setattr(module, "launch", count)
    monkeypatch.setattr(
        importlib.import_module("w3action.kernels.triton.tiles"), "ENOUGH_PROGRAMS", 1
    )  # a GPU that is full
    layer = W3(8).eval().requires_grad_(False).to(device, dtype)
    x = torch.randn(1, 8, 2, 4, 4, dtype=dtype, device=device)
    with kernels.using("triton"), Calls() as attended:
        layer(x, shortcut=x, relu=True)
    assert attended.names == [
        "pool",
        "channel_mask",
        "pool",
        "place_mask",
        "mask_over_time",
        "apply_masks",
    ]
    with Calls() as bare:
        (x + x).relu_()  # the end of a block without it
    assert len(launched) - len(bare.names) == 4


@pytest.mark.parametrize("form", ["plain", "native", "triton"])
def test_an_empty_batch_stays_empty(device, form):
    layer, x = W3(8).to(device), torch.randn(0, 8, 3, 5, 4, device=device, requires_grad=True)
    with kernels.using(form):
        attended = layer(x, shortcut=x, relu=True)
    attended.features.sum().backward()
    assert attended.features.shape == x.grad.shape == x.shape


def test_a_traced_and_an_exported_layer_take_other_lengths():
    layer = W3(8).eval().requires_grad_(False)
    x, longer = torch.randn(1, 8, 3, 5, 4), torch.randn(1, 8, 6, 5, 4)
    traced = torch.jit.trace(lambda x: layer(x).features, x, check_trace=False)
    torch.testing.assert_close(traced(longer), layer(longer).features)
    length = torch.export.Dim("T", min=2, max=64)
    program = torch.export.export(layer, (x,), dynamic_shapes={"x": {2: length}})
    torch.testing.assert_close(program.module()(longer).features, layer(longer).features)


COMPILE = """
import torch
from w3action import kernels
from w3action.layers import W3, temporal_shift

def attend(layer, x):
    return layer(temporal_shift(x), shortcut=x, relu=True).features

torch.manual_seed(0)
layer, x = W3(8, initial_mask=0.5), torch.randn(2, 8, 3, 5, 4, requires_grad=True)
for form in ("plain", "native"):
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


@pytest.mark.parametrize(("form", "ours"), [("auto", False), ("native", True)])
def test_an_exported_program_has_our_operators_only_if_asked(form, ours):
    layer, x = W3(8).eval(), torch.randn(1, 8, 3, 5, 4)
    with kernels.using(form):
        program = torch.export.export(layer, (x,))
    assert any("w3action" in str(node.target) for node in program.graph.nodes) == ours
    torch.testing.assert_close(program.module()(x).features, layer(x).features)


def test_operators_cost_no_import_of_the_compiler():
    code = (
        "import sys, torch; from w3action import kernels; x = torch.randn(1, 4, 2, 3, 3, requires_grad=True)\n"
        "kernels.apply_masks(x, None, None, relu=True).sum().backward()\n"
        "assert 'torch._dynamo' not in sys.modules; assert 'triton' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_derivatives_of_derivatives_are_refused_not_wrong():
    layer, x = W3(8), torch.randn(1, 8, 2, 4, 4, requires_grad=True)
    with kernels.using("native"):
        (gradient,) = torch.autograd.grad(layer(x).features.square().sum(), x, create_graph=True)
        with pytest.raises(RuntimeError, match=r"no derivatives of derivatives.*using\('plain'\)"):
            gradient.square().sum().backward()
    with kernels.using("plain"):
        (gradient,) = torch.autograd.grad(layer(x).features.square().sum(), x, create_graph=True)
        gradient.square().sum().backward()
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize("form", ["auto", "native"])
def test_derivatives_taken_forwards_are_those_of_the_plain_form(form):
    layer, x, along = W3(8), torch.randn(1, 8, 2, 4, 4), torch.randn(1, 8, 2, 4, 4)

    def attend(x):
        return layer(x, shortcut=x, relu=True).features

    found = []
    for chosen in (form, "plain"):
        with kernels.using(chosen):
            _, change = torch.func.jvp(attend, (x,), (along,))
            found.append((change, torch.func.grad(lambda x: attend(x).square().sum())(x)))
    torch.testing.assert_close(*found)
    assert found[0][0].abs().sum() > 0
