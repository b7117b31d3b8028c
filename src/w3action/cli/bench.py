"""Verbs that measure: bench flops, decode, attention, latency and train."""

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from w3action.cli.app import AsJson, PositionalName, PositionalVideos, bench_app, show
from w3action.files import write_json


@bench_app.command(name="flops")
def flops_verb(
    model: PositionalName,
    /,
    *,
    attention: str | None = None,
    frames: int | None = None,
    size: int | None = None,
    num_classes: int = 174,
    as_json: AsJson = False,
) -> None:
    """Count the multiply-adds (GFLOPs) of one clip, and the parameters.

    Args:
        model: A model of `w3 list`.
        attention: An attention of `w3 list`.
        frames: Frames in the clip; without it, the model's own.
        size: Side of the frames in pixels; without it, the model's own.
        num_classes: Classes of the classifier.
        as_json: Print JSON instead of text.
    """
    from w3action.models.cost import describe_model

    row = describe_model(model, attention=attention, num_frames=frames, size=size, num_classes=num_classes)
    with_attention = f" + {attention}" if attention else ""
    text = (
        f"{model}{with_attention}, {row.num_frames} frames of {row.size} px, {num_classes} classes\n"
        f"{row.gflops:.2f} GFLOPs (multiply-adds)\n{row.params / 1e6:.2f} M parameters"
    )
    show(row, text, as_json=as_json)


@bench_app.command(name="decode")
def decode_verb(data: PositionalVideos, /, *, segments: int = 8, size: int = 224, as_json: AsJson = False) -> None:
    """Measure how many clips a second one core decodes: FFmpeg's bare decode, w3action, torchcodec, decord.

    All do the same job in turn: the frames of the segments' middles, scaled and cropped. Those that are not installed
    are left out.

    Args:
        data: Videos: a folder or a manifest, packed or not.
        segments: Frames of a clip.
        size: Side of its frames in pixels.
        as_json: Print JSON instead of text.
    """
    from w3action.bench.decode import bench_decode
    from w3action.data import read_manifest

    result = bench_decode(read_manifest(data).videos, num_segments=segments, size=size)
    show(result, result, as_json=as_json)


@bench_app.command(name="attention")
def attention_verb(
    *,
    network: str = "tsm_resnet50",
    size: int = 224,
    frames: tuple[int, ...] = (8,),
    batches: tuple[int, ...] = (1,),
    variants: tuple[str, ...] | None = None,
    modes: tuple[Literal["inference", "training"], ...] = ("inference", "training"),
    rounds: int = 9,
    bf16: bool = False,
    channels_last: bool = False,
    device: str | None = None,
    out: Path | None = None,
    as_json: AsJson = False,
) -> None:
    """Time a network with each attention against itself without: what W3 costs in seconds, and what it must cost.

    Args:
        network: A network of `w3 list`.
        size: Side of the frames in pixels.
        frames: Numbers of frames.
        batches: Clips at once.
        variants: Some of the variants; a wrong one names them all.
        modes: Inference, training or both.
        rounds: Timings of each, in turn; the median counts.
        bf16: Compute in bfloat16 where PyTorch's autocast does.
        channels_last: Convolutions with their channels last.
        device: cpu or cuda; without it, a GPU if there is one.
        out: A JSON file for the figures.
        as_json: Print JSON instead of text.
    """
    from w3action.bench import bench_attention

    options = {"size": size, "frames": frames, "batches": batches, "variants": variants, "modes": modes}
    how = {"autocast": bf16, "channels_last": channels_last, "rounds": rounds, "device": device}
    _measure(bench_attention, out, as_json, network=network, **options, **how, on_setting=_tell)


@bench_app.command(name="latency")
def latency_verb(
    *,
    network: str = "tsm_resnet50",
    frames: int = 8,
    size: int = 224,
    batches: tuple[int, ...] = (1,),
    variants: tuple[str, ...] | None = None,
    rounds: int = 9,
    device: str | None = None,
    out: Path | None = None,
    as_json: AsJson = False,
) -> None:
    """Time predictions with TSM and TSM + W3 against TSM as it is usually written (zeros, copies, contiguous).

    Args:
        network: A tsm_resnet of `w3 list`.
        frames: Frames of a clip.
        size: Side of the frames in pixels.
        batches: Videos at once.
        variants: Some of the variants; a wrong one names them all. Those that are compiled take a minute first.
        rounds: Timings of each, in turn; the median counts.
        device: cpu or cuda; without it, a GPU if there is one.
        out: A JSON file for the figures.
        as_json: Print JSON instead of text.
    """
    from w3action.bench import bench_latency

    options = {"num_frames": frames, "size": size, "batches": batches, "variants": variants}
    _measure(bench_latency, out, as_json, network=network, **options, rounds=rounds, device=device, on_setting=_tell)


@bench_app.command(name="train")
def train_verb(
    *,
    network: str = "tsm_resnet50",
    frames: int = 8,
    size: int = 224,
    batch: int = 1,
    ways: tuple[str, ...] | None = None,
    bf16: bool = False,
    channels_last: bool = True,
    rounds: int = 5,
    device: str | None = None,
    out: Path | None = None,
    as_json: AsJson = False,
) -> None:
    """Time training steps and their memory: TSM, W3, and both stages of MFR.

    Args:
        network: A network of `w3 list`.
        frames: Frames of a clip.
        size: Side of the frames in pixels.
        batch: Clips at once.
        ways: Some of the ways to train; a wrong one names them all.
        bf16: Compute in bfloat16 where PyTorch's autocast does.
        channels_last: Convolutions with their channels last, as `w3 train` has them.
        rounds: Timings of each, in turn; the median counts.
        device: cpu or cuda; without it, a GPU if there is one.
        out: A JSON file for the figures.
        as_json: Print JSON instead of text.
    """
    from w3action.bench import bench_training

    options = {"num_frames": frames, "size": size, "batch": batch, "ways": ways}
    how = {"autocast": bf16, "channels_last": channels_last, "rounds": rounds, "device": device}
    _measure(bench_training, out, as_json, network=network, **options, **how, on_way=_tell)


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def _measure(bench: Callable[..., Any], out: Path | None, as_json: bool, **options: Any) -> None:
    """Measure with the options that are given, print the figures, and write them into a file if there is one."""
    result = bench(**{name: value for name, value in options.items() if value is not None})
    if out is not None:
        write_json(out, dataclasses.asdict(result))
    show(result, result, as_json=as_json)
