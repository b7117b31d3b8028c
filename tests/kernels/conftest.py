"""What the kernel tests share: features in every order of memory, and a bound on errors.

Without a GPU Triton's kernels run in its interpreter, which must be asked for before anything imports Triton.
"""

import os
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

SIZES = ((2, 24, 5, 7, 7), (1, 5, 1, 14, 13), (1, 130, 2, 3, 5))  # (B, C, T, H, W), odd on purpose
ORDERS = {  # strides of (B, C, T, H, W) from the outermost dimension to the innermost
    "frames": (0, 2, 1, 3, 4),
    "channels_last": (0, 2, 3, 4, 1),
    "clips": (0, 1, 2, 3, 4),
    "turned": (0, 1, 2, 4, 3),
}


@pytest.fixture(scope="session")
def device() -> str:
    """Where Triton can run: a GPU, or the CPU by the interpreter."""
    if torch.cuda.is_available():
        return "cuda"
    triton = pytest.importorskip("triton", reason="Triton is not installed")
    if not triton.knobs.runtime.interpret:
        pytest.skip("Triton was imported before its interpreter was asked for, and there is no GPU")
    return "cpu"


@pytest.fixture(params=ORDERS)
def order(request) -> str:
    return request.param


@pytest.fixture(params=SIZES, ids=lambda size: "x".join(map(str, size)))
def size(request) -> tuple[int, ...]:
    return request.param


@pytest.fixture(scope="session")
def draw(device) -> Callable[..., Tensor]:
    """A function that draws features of a size, an order of memory and a type; the same at every call."""

    def features(size, order="frames", dtype=torch.float32, *, seed=0) -> Tensor:
        outer_first = ORDERS[order]
        numbers = torch.Generator().manual_seed(seed)
        laid = torch.randn([size[i] for i in outer_first], generator=numbers, dtype=torch.float64)
        back = [outer_first.index(i) for i in range(5)]
        return laid.to(device, dtype).permute(back).requires_grad_()

    return features


@pytest.fixture(scope="session")
def check_errors() -> Callable[..., None]:
    """A function that bounds errors against float64 by twice those of the plain form, gradients included.

    A floor of a few roundings lets a form that adds up in another order pass where the plain one is exact by luck.
    """
    from w3action import kernels

    def run(function, inputs: list[Tensor], form: str) -> list[Tensor]:
        with kernels.using(form):
            outputs = function(*inputs)
            seeds = [
                torch.randn(y.shape, generator=torch.Generator().manual_seed(i), dtype=torch.float64).to(y)
                for i, y in enumerate(outputs)
            ]
            gradients = torch.autograd.grad(
                outputs, inputs, [seed.to(y.dtype) for seed, y in zip(seeds, outputs, strict=True)]
            )
        return [*outputs, *gradients]

    def check(function, inputs: list[Tensor], form: str) -> None:
        exact = run(function, [x.detach().double().requires_grad_() for x in inputs], "plain")
        plain, found = run(function, inputs, "plain"), run(function, inputs, form)
        for true, reference, ours in zip(exact, plain, found, strict=True):
            assert ours.dtype == reference.dtype
            assert ours.shape == reference.shape
            rounding = 8 * torch.finfo(torch.float32).eps + (ours.dtype.itemsize < 4) * torch.finfo(ours.dtype).eps / 2
            floor = rounding * true.abs().max()
            allowed = 2 * (reference.double() - true).abs().max() + floor
            assert (ours.double() - true).abs().max() <= allowed

    return check
