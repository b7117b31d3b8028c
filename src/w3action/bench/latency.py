"""How long a video takes: TSM and TSM + W3, as trained and made for inference, beside TSM as it is usually written.

All TSMs have the same weights and are checked to give the same logits before anything is timed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from w3action.bench.networks import Variant, build, inference_step
from w3action.bench.plain_tsm import plain_tsm
from w3action.bench.turns import Machine, as_table, choose_device, describe_machine, take_turns

PLAIN = "plain TSM"
VARIANTS = {
    PLAIN: Variant(None),
    "plain TSM, bf16": Variant(None, autocast=True),
    "TSM": Variant(None),
    "TSM, for inference": Variant(None, prepared=True),
    "TSM, for inference, compiled": Variant(None, "plain", prepared=True, compiled=True),
    "TSM, for inference, bf16": Variant(None, prepared=True, autocast=True),
    "TSM + W3": Variant("w3"),
    "TSM + W3, for inference": Variant("w3", prepared=True),
    "TSM + W3, for inference, compiled": Variant("w3", "plain", prepared=True, compiled=True),
    "TSM + W3, for inference, bf16": Variant("w3", prepared=True, autocast=True),
}
TOLERANCE = 1e-3  # of logits, as a share of the largest; bfloat16 is not compared


@dataclass(frozen=True)
class Latency:
    """A row of the table."""

    variant: str
    batch: int
    milliseconds_per_video: float
    videos_per_second: float
    of_plain: float  # its time over that of the plain TSM in float32
    processor_of_plain: float | None  # the same of the processor's time; None on a GPU


@dataclass(frozen=True)
class LatencyBench:
    """All rows, and what they were measured on."""

    network: str
    num_frames: int
    size: int
    rounds: int
    machine: Machine
    rows: tuple[Latency, ...]

    def __str__(self) -> str:
        lines = [("network", "batch", "ms/video", "videos/s", "of plain", "of processor")]
        lines += [
            (
                row.variant,
                str(row.batch),
                f"{row.milliseconds_per_video:.1f}",
                f"{row.videos_per_second:.2f}",
                f"{row.of_plain:.3f}",
                "" if row.processor_of_plain is None else f"{row.processor_of_plain:.3f}",
            )
            for row in self.rows
        ]
        heading = f"{self.network}, {self.num_frames} frames of {self.size} px; {self.machine}"
        return f"{heading}\n{as_table(lines)}"


def bench_latency(
    *,
    network: str = "tsm_resnet50",
    num_frames: int = 8,
    size: int = 224,
    batches: tuple[int, ...] = (1,),
    variants: tuple[str, ...] = tuple(name for name, variant in VARIANTS.items() if not variant.compiled),
    rounds: int = 9,
    device: str | None = None,
    on_setting: Callable[[str], None] = lambda what: None,
) -> LatencyBench:
    """Time predictions of random clips.

    Args:
        network: a `tsm_resnet*`.
        num_frames: T.
        size: side of the frames in pixels.
        batches: videos at once.
        variants: keys of `VARIANTS`; the plain TSM is added. Those that are compiled first take a minute each.
        rounds: timings of each.
        device: None takes a GPU if there is one.
        on_setting: called with what is timed next.

    Raises:
        ValueError: an unknown variant, a network without a plain formulation, fewer rounds than one.
        RuntimeError: two formulations of one network give different logits.
    """
    unknown = [name for name in variants if name not in VARIANTS]
    if unknown:
        raise ValueError(f"unknown variant {unknown[0]!r}; choose from {'; '.join(VARIANTS)}")
    chosen = [name for name in VARIANTS if name in {PLAIN, *variants}]
    place = choose_device(device)
    rows: list[Latency] = []
    for batch in batches:
        on_setting(f"batch {batch}")
        clips = torch.randn(batch, 3, num_frames, size, size, device=place)
        if any(VARIANTS[name].compiled for name in chosen):
            torch.compiler.reset()  # what was compiled for another size would be tried, or made general, for this one
        steps = {}
        for name in chosen:
            model = build(network, VARIANTS[name].attention)
            ready = plain_tsm(model, num_frames=num_frames) if name.startswith(PLAIN) else model
            steps[name] = inference_step(ready.to(place), VARIANTS[name], clips)
        _check_they_agree(steps)
        times = take_turns(steps, place, rounds=rounds)
        for name, taken in times.items():
            rows.append(
                Latency(
                    name,
                    batch,
                    milliseconds_per_video=taken.milliseconds / batch,
                    videos_per_second=1e3 * batch / taken.milliseconds,
                    of_plain=taken.over(times[PLAIN]),
                    processor_of_plain=taken.processor_over(times[PLAIN]) if place.type == "cpu" else None,
                )
            )
    return LatencyBench(network, num_frames, size, rounds, describe_machine(place), tuple(rows))


def _check_they_agree(steps: dict[str, Callable[[], torch.Tensor]]) -> None:
    """Compare the logits of all ways of one network in float32 to the first way's."""
    first: dict[str | None, tuple[str, torch.Tensor]] = {}
    for name, step in steps.items():
        if VARIANTS[name].autocast:
            continue
        logits = step().clone()
        by, expected = first.setdefault(VARIANTS[name].attention, (name, logits))
        off = ((logits - expected).abs().max() / expected.abs().max()).item()
        if not off <= TOLERANCE:
            raise RuntimeError(f"{name} and {by} differ by {off:.2g} of their largest logit; allowed is {TOLERANCE}")
