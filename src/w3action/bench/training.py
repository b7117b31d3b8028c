"""How fast and in how much memory networks train: TSM, TSM + W3, and the second stage of MFR with its teacher.

A step is all losses and all gradients; the optimiser's update, the same for all, is left out. Memory is the most that
a step holds at once beside the weights: activations, gradients, temporary tensors. On a GPU it is what the allocator
counts; on a CPU every tensor that an operator makes is counted until it is freed.
"""

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from w3action.bench.turns import Machine, as_table, choose_device, column, describe_machine, take_turns
from w3action.bench.variants import NUM_CLASSES, Variant, build, choose, training_step
from w3action.train.tasks import MatureFeatureTask, PlainTask

TSM = "TSM"
WAYS = {  # (attention, whether a teacher regularizes, whether the teacher is compiled)
    TSM: (None, False, False),
    "TSM + CBAM": ("cbam", False, False),
    "TSM + W3": ("w3", False, False),
    "TSM + W3, stage two": ("w3", True, False),
    "TSM + W3, stage two, compiled teacher": ("w3", True, True),
}


@dataclass(frozen=True)
class TrainingCost:
    """A row of the table."""

    way: str = field(metadata=column("training"))
    milliseconds: float = field(metadata=column("ms", ".1f"))  # a step
    videos_per_second: float = field(metadata=column("videos/s", ".2f"))
    of_tsm: float = field(metadata=column("of TSM", ".3f"))  # a step's time over that of TSM without attention
    processor_of_tsm: float | None = field(metadata=column("of processor", ".3f"))  # None on a GPU
    peak_bytes: int = field(metadata=column("peak MB", ".0f", unit=1e6))
    memory_of_tsm: float = field(metadata=column("of TSM's", ".3f"))


@dataclass(frozen=True)
class TrainingBench:
    """All rows, and what they were measured on."""

    network: str
    num_frames: int
    size: int
    batch: int
    autocast: bool
    rounds: int
    machine: Machine
    rows: tuple[TrainingCost, ...]

    def __str__(self) -> str:
        heading = f"{self.network}, batch {self.batch} of {self.num_frames} frames of {self.size} px"
        precision = "bfloat16 autocast" if self.autocast else "float32"
        return f"{heading}, {precision}; {self.machine}\n{as_table(TrainingCost, self.rows)}"


def bench_training(
    *,
    network: str = "tsm_resnet50",
    num_frames: int = 8,
    size: int = 224,
    batch: int = 1,
    ways: tuple[str, ...] = tuple(WAYS)[:4],
    autocast: bool = False,
    channels_last: bool = True,
    rounds: int = 5,
    device: str | None = None,
    on_way: Callable[[str], None] = lambda what: None,
) -> TrainingBench:
    """Time training steps on random clips.

    Args:
        network: one of `list_models()`.
        num_frames: T.
        size: side of the frames in pixels.
        batch: clips at once.
        ways: keys of `WAYS`; TSM is added.
        autocast: bfloat16.
        channels_last: convolutions with channels last, as `w3 train` has them.
        rounds: timings of each.
        device: None takes a GPU if there is one.
        on_way: called with the name of what is built and measured for memory next.

    Raises:
        ValueError: an unknown way or network, fewer rounds than one.
    """
    chosen = choose("way", ways, WAYS, always=[TSM])
    place = choose_device(device)
    clips = torch.randn(batch, 3, num_frames, size, size, device=place)
    labels = torch.arange(batch, device=place) % NUM_CLASSES
    steps, peaks = {}, {}
    for name in chosen:
        on_way(name)
        attention, with_teacher, compiled = WAYS[name]
        model = build(network, attention, channels_last=channels_last).to(place)
        task = PlainTask(model)
        if with_teacher:
            teacher = build(network, attention, channels_last=channels_last).to(place)
            task = MatureFeatureTask(model, teacher, compile_teacher=compiled)
        losses = partial(_loss, task.train(), clips, labels)
        steps[name] = training_step(task, losses, Variant(attention, autocast=autocast), place)
        steps[name]()
        peaks[name] = peak_bytes(steps[name], place)
    times = take_turns(steps, place, rounds=rounds, warmups=1)
    rows = [
        TrainingCost(
            name,
            milliseconds=taken.milliseconds,
            videos_per_second=1e3 * batch / taken.milliseconds,
            of_tsm=taken.over(times[TSM]),
            processor_of_tsm=taken.processor_over(times[TSM]),
            peak_bytes=peaks[name],
            memory_of_tsm=peaks[name] / peaks[TSM],
        )
        for name, taken in times.items()
    ]
    machine = describe_machine(place)
    return TrainingBench(network, num_frames, size, batch, autocast, rounds, machine, tuple(rows))


def _loss(task: PlainTask, clips: Tensor, labels: Tensor) -> Tensor:
    return torch.stack(list(task(clips, labels).losses.values())).sum()


def peak_bytes(step: Callable[[], object], device: torch.device) -> int:
    """Return the most bytes that a step holds at once, beside those held before it."""
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        step()
        return torch.cuda.max_memory_allocated(device) - before
    with _LiveBytes() as live:
        step()
    return live.peak


class _LiveBytes(TorchDispatchMode):
    """Counts the memory of the tensors that operators make, until it is freed."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.peak = 0, 0
        self.storages: set[int] = set()

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        before = {_address(tensor) for tensor in _tensors((args, kwargs))}
        result = func(*args, **(kwargs or {}))
        for tensor in _tensors(result):
            address, storage = _address(tensor), tensor.untyped_storage()
            if address in before or address in self.storages or not storage.nbytes():
                continue
            self.storages.add(address)
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._freed, address, storage.nbytes())
        return result

    def _freed(self, address: int, num_bytes: int) -> None:
        self.storages.discard(address)
        self.now -= num_bytes


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in torch.utils._pytree.tree_leaves(tree) if isinstance(leaf, Tensor)]


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
