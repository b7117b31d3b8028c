"""What attention costs in time: time(network + attention) / time(network), for inference and for a training step.

Each is compared to the network that is run the same way, what is compiled to the compiled one. Beside the time that W3
adds stands what it should add if its passes over the features were all of its cost: their bytes, over the measured
speed of a copy.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import get_args

import torch
from torch import Tensor, nn

from w3action.bench.turns import Machine, as_table, choose_device, column, copy_speed, describe_machine, take_turns
from w3action.bench.variants import NUM_CLASSES, Mode, Variant, build, choose, inference_step, training_step
from w3action.layers import W3

# Readings and writings of all the features by one W3 layer, counted without those of the addition and the ReLU that a
# block has anyway. Plain: two poolings over places, M^c * F (two), two poolings over channels, M^s * F^c (two). Native:
# one pooling each; the product costs nothing where it joins the addition (ResNets), else two. Native in training: the
# product's backward reads one more and writes one more; the poolings' read one and write one, twice; two additions of
# gradients read two and write one.
PASSES = {("plain", "inference"): 8, ("native", "inference"): 2, ("native", "training"): 2 + 2 + 2 * 2 + 2 * 3}

VARIANTS = {
    "none": Variant(None),
    "none, plain": Variant(None, "plain"),
    "none, compiled": Variant(None, "plain", compiled=True),
    "cbam": Variant("cbam"),
    "non_local": Variant("non_local"),
    "w3, plain": Variant("w3", "plain"),
    "w3, compiled": Variant("w3", "plain", compiled=True),
    "w3, native": Variant("w3", "native"),
    "w3, native, compiled": Variant("w3", "native", compiled=True),
}


def base_of(name: str) -> str:
    """Return the variant without attention that is run as this one is: compiled or not, its shift plain or not."""
    variant = VARIANTS[name]
    if variant.compiled:
        return "none, compiled"
    return "none, plain" if variant.form == "plain" else "none"


@dataclass(frozen=True)
class Overhead:
    """A row of the table; an overhead is the time over that of the same network without attention."""

    variant: str = field(metadata=column("attention"))
    mode: Mode = field(metadata=column("mode"))
    num_frames: int = field(metadata=column("T"))
    batch: int = field(metadata=column("batch"))
    milliseconds: float = field(metadata=column("ms", ".2f"))
    overhead: float = field(metadata=column("overhead", ".3f"))
    processor_overhead: float | None = field(metadata=column("of processor", ".3f"))  # None on a GPU
    added_milliseconds: float = field(metadata=column("added ms", ".2f"))
    bytes_moved: int | None  # by W3's passes over the features, where they are counted
    limit_milliseconds: float | None = field(metadata=column("limit ms", ".2f"))  # at the speed of a copy


@dataclass(frozen=True)
class AttentionBench:
    """All rows, and what they were measured on."""

    network: str
    size: int
    rounds: int
    autocast: bool
    channels_last: bool
    machine: Machine
    copy_bytes_per_second: float
    rows: tuple[Overhead, ...]

    def __str__(self) -> str:
        speed = f"a copy moves {self.copy_bytes_per_second / 1e9:.1f} GB/s"
        return f"{self.network}, {self.size} px; {self.machine}; {speed}\n{as_table(Overhead, self.rows)}"


def bench_attention(
    *,
    network: str = "tsm_resnet50",
    size: int = 224,
    frames: tuple[int, ...] = (8,),
    batches: tuple[int, ...] = (1,),
    variants: tuple[str, ...] = tuple(VARIANTS),
    modes: tuple[Mode, ...] = get_args(Mode),
    rounds: int = 9,
    autocast: bool = False,
    channels_last: bool = False,
    device: str | None = None,
    on_setting: Callable[[str], None] = lambda what: None,
) -> AttentionBench:
    """Time all variants.

    Args:
        network: one of `list_models()`.
        size: side of the frames in pixels.
        frames: numbers of frames T.
        batches: clips at once.
        variants: keys of `VARIANTS`; the networks without attention that they are compared to are added.
        modes: inference, training or both.
        rounds: timings of each.
        autocast: bfloat16 where autocast has it.
        channels_last: convolutions with channels last.
        device: None takes a GPU if there is one.
        on_setting: called with what is timed next.

    Raises:
        ValueError: an unknown variant, mode or network; fewer rounds than one.
    """
    needed = choose("variant", variants, VARIANTS, always=[base_of(name) for name in variants if name in VARIANTS])
    choose("mode", modes, get_args(Mode))
    place = choose_device(device)
    speed = copy_speed(place)
    rows: list[Overhead] = []
    for num_frames, batch, mode in itertools.product(frames, batches, modes):
        on_setting(f"{mode}, {num_frames} frames, batch {batch}")
        clips = torch.randn(batch, 3, num_frames, size, size, device=place)
        labels = torch.arange(batch, device=place) % NUM_CLASSES
        if any(VARIANTS[name].compiled for name in needed):
            torch.compiler.reset()  # what was compiled for another size would be tried, or made general, for this one
        steps, moved = {}, {}
        for name in needed:
            variant = replace(VARIANTS[name], autocast=autocast)
            model = build(network, variant.attention, channels_last=channels_last).to(place)
            if variant.attention == "w3" and not variant.compiled and (variant.form, mode) in PASSES:
                moved[name] = PASSES[variant.form, mode] * count_bytes(model, clips, autocast=autocast)
            if mode == "inference":
                steps[name] = inference_step(model, variant, clips)
            else:
                steps[name] = training_step(model, _cross_entropy(model, variant, clips, labels), variant, place)
        times = take_turns(steps, place, rounds=rounds)
        for name, taken in times.items():
            base, counted = times[base_of(name)], moved.get(name)
            rows.append(
                Overhead(
                    name,
                    mode,
                    num_frames,
                    batch,
                    milliseconds=taken.milliseconds,
                    overhead=taken.over(base),
                    processor_overhead=taken.processor_over(base),
                    added_milliseconds=taken.milliseconds - base.milliseconds,
                    bytes_moved=counted,
                    limit_milliseconds=None if counted is None else 1e3 * counted / speed,
                )
            )
    return AttentionBench(network, size, rounds, autocast, channels_last, describe_machine(place), speed, tuple(rows))


def _cross_entropy(model: nn.Module, variant: Variant, clips: Tensor, labels: Tensor) -> Callable[[], Tensor]:
    forward = torch.compile(model.train(), dynamic=False) if variant.compiled else model.train()
    return lambda: nn.functional.cross_entropy(forward(clips).float(), labels)


def count_bytes(model: nn.Module, clips: Tensor, *, autocast: bool = False) -> int:
    """Return the bytes of the features that W3 layers attend to, all layers together."""
    total = 0

    def add(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        nonlocal total
        total += inputs[0].numel() * inputs[0].element_size()

    hooks = [module.register_forward_pre_hook(add) for module in model.modules() if isinstance(module, W3)]
    model.eval()
    with torch.inference_mode(), torch.autocast(clips.device.type, torch.bfloat16, enabled=autocast):
        model(clips)
    for hook in hooks:
        hook.remove()
    return total
