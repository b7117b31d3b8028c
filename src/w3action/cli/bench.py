"""Verbs that measure: bench flops, bench decode."""

import dataclasses
import json

from w3action.cli.app import AsJson, PositionalName, PositionalVideos, bench_app


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
    from w3action.models.listing import describe_model

    row = describe_model(model, attention=attention, num_frames=frames, size=size, num_classes=num_classes)
    if as_json:
        print(json.dumps(dataclasses.asdict(row), indent=2))
    else:
        with_attention = f" + {attention}" if attention else ""
        print(f"{model}{with_attention}, {row.num_frames} frames of {row.size} px, {num_classes} classes")
        print(f"{row.gflops:.2f} GFLOPs (multiply-adds)\n{row.params / 1e6:.2f} M parameters")


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
    from w3action.data import read_manifest
    from w3action.data.bench_decode import bench_decode

    result = bench_decode(read_manifest(data).videos, num_segments=segments, size=size)
    print(json.dumps(dataclasses.asdict(result), indent=2) if as_json else result)
