"""Where, when and what a network looked at in one video: Figure 3 of the paper for any video.

A checkpoint and a file -> a folder with a strip of frames under their spatial masks, curves over time, the channels
that open and close, the whole video as a film with its masks, and a page that shows them all.

The pictures show the region that the network saw, the centre crop: its very pixels where its clips are about 150
pixels or more, the same crop of larger frames (to within one of its pixels) where they are smaller.

Source: "Knowing What, Where and When to Look" (2020), Figure 3 and "Attention visualization and interpretation".
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from w3action.clip_format import ClipFormat
from w3action.data import TestTransform, denormalize, open_frames
from w3action.evaluate.protocols import center_clip
from w3action.runs.checkpoint import Checkpoint
from w3action.use.explain.film import write_film
from w3action.use.explain.heat import range_of
from w3action.use.explain.masks import ChosenMasks, RankedChannels, choose_masks, rank_channels, stretch
from w3action.use.explain.page import Section, write_page
from w3action.use.explain.pictures import draw_strip, draw_what, draw_when

FILES = ("strip.png", "when.png", "what.png", "overlay.mp4", "index.html")
PICTURE_PIXELS = 224  # pictures have about this side at least: those of a 64-pixel network could not be read
MAX_FILM_FRAMES = 300
MIN_FILM_FPS = 10  # of a film that shows only some frames of a long video
NUM_CLASSES_LISTED = 5


@dataclass(frozen=True)
class Explanation:
    """What a network looked at, and the files that show it. T frames, K classes.

    Attributes:
        prediction: every class and its probability, most probable first.
        times_seconds: of the frames that the network saw.
        frame_probabilities: of each class, in the checkpoint's order, by each frame alone; None if the head scores
            frames together.
        spatial_mask: the M^s that is shown, or None if the network has none.
        channel_mask: the M^c that is shown, or None if the network has none.
        mask_energy: mean of `spatial_mask` over each frame.
        channel_energy: mean of `channel_mask` over the channels at each frame.
        channels: those of `channel_mask` that open and close most.
        files: those written, by name ("strip.png"); without M^s no overlay.mp4, without M^c no what.png.
    """

    prediction: tuple[tuple[str, float], ...]
    times_seconds: Float[Tensor, " t"]
    frame_probabilities: Float[Tensor, "t k"] | None
    spatial_mask: Float[Tensor, "t h w"] | None
    channel_mask: Float[Tensor, "c t"] | None
    mask_energy: Float[Tensor, " t"] | None
    channel_energy: Float[Tensor, " t"] | None
    channels: RankedChannels | None
    files: dict[str, Path]


@dataclass(frozen=True)
class _Pictures:
    """What is shown: the frames that the network saw, and those of the film, all cropped as the network's."""

    seen: UInt8[Tensor, "3 t side side"]
    film: UInt8[Tensor, "3 n side side"]
    film_seconds: Float[Tensor, " n"]
    film_fps: float


def explain(
    checkpoint: Checkpoint, video: str | Path, *, out: str | Path, stage: int | None = None, num_channels: int = 8
) -> Explanation:
    """Explain the prediction of one centre crop of one clip of a video.

    Args:
        checkpoint: a network with an attention.
        video: a video file.
        out: folder for the files, which is made; files of an earlier explanation in it are replaced.
        stage: 1 to the number of stages: show this stage's last masks. None: of M^s the mean over the stages (what
            AFR reads), of M^c the last stage's.
        num_channels: how many channels what.png shows, the most open and the most closed.

    Raises:
        DecodeError: the video cannot be read.
        ValueError: the network has no attention, none at `stage`, num_channels is below 1, or `out` is a file.
    """
    video, out = Path(video), Path(out)
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; give a folder for the pictures")
    if checkpoint.model.arguments["in_channels"] != 3:
        raise ValueError(
            f"{checkpoint.path}: the network sees optical flow; explain shows those of RGB, give one of them"
        )
    wanted = checkpoint.clip_format
    seen = center_clip(video, wanted)
    probabilities, by_frame, masks = _look(checkpoint, seen.view, stage=stage)
    where, what = masks.spatial, masks.channel
    ranked = None if what is None else rank_channels(what, num_channels=num_channels)
    order = probabilities.argsort(descending=True, stable=True).tolist()
    absent = {"overlay.mp4": where is None, "what.png": what is None}
    explanation = Explanation(
        prediction=tuple((checkpoint.name_of(k), float(probabilities[k])) for k in order),
        times_seconds=seen.clip.pts_seconds,
        frame_probabilities=by_frame,
        spatial_mask=where,
        channel_mask=what,
        mask_energy=None if where is None else where.mean(dim=(1, 2)),
        channel_energy=None if what is None else what.mean(dim=0),
        channels=ranked,
        files={name: out / name for name in FILES if not absent.get(name)},
    )
    pictures = _take_pictures(video, seen.numbers, wanted)
    out.mkdir(parents=True, exist_ok=True)
    for name in FILES:  # none of another network's stays behind
        (out / name).unlink(missing_ok=True)
    leaders = [] if by_frame is None else [(checkpoint.name_of(k), by_frame[:, k]) for k in order[:2]]
    _write(explanation, pictures, leaders, masks, checkpoint=checkpoint, video=video)
    return explanation


@torch.no_grad()
def _look(
    checkpoint: Checkpoint, view: Float[Tensor, "1 3 t h w"], *, stage: int | None
) -> tuple[Float[Tensor, " k"], Float[Tensor, "t k"] | None, ChosenMasks]:
    """Run the network: probabilities by the video and, where the head can, by each frame, and the masks to show."""
    model, wanted = checkpoint.model, checkpoint.clip_format
    num_frames = view.shape[2]
    view = view.to(next(model.parameters()))
    features = model.forward_features(view)
    masks = choose_masks(
        features.masks, size=wanted.size, num_frames=num_frames, stage=stage, name=str(checkpoint.path)
    )
    by_video = checkpoint.probabilities(model.forward_head(features.maps, clips=view))[0].cpu()
    by_frame = model.head.frame_logits(features.maps)
    if by_frame is not None:
        by_frame = stretch(checkpoint.probabilities(by_frame)[0].cpu(), num_frames)
    return by_video, by_frame, masks


def _take_pictures(video: Path, numbers: Int64[np.ndarray, " t"], wanted: ClipFormat) -> _Pictures:
    """Decode the frames to show, larger than the network's where those are small, and cut the same crop out."""
    zoom = max(1, round(PICTURE_PIXELS / wanted.size))
    with open_frames(video, short_side=zoom * wanted.resize) as opened:
        count = opened.count
        film = np.linspace(0, count - 1, min(count, MAX_FILM_FRAMES)).round().astype(np.int64)
        clip = opened.read(np.concatenate([numbers, film]))
    crop = TestTransform(size=zoom * wanted.size, resize=zoom * wanted.resize, crops="center")
    frames = torch.cat([denormalize(crop(part)[0][0]) for part in clip.split(32)], dim=1)
    seconds = clip.pts_seconds[wanted.num_frames :]
    span = float(seconds[-1] - seconds[0])
    fps = (len(seconds) - 1) / span if span > 0 else 1.0
    if count > MAX_FILM_FRAMES:
        fps = max(fps, MIN_FILM_FPS)
    return _Pictures(frames[:, : wanted.num_frames], frames[:, wanted.num_frames :], seconds, fps)


def _write(
    explanation: Explanation,
    pictures: _Pictures,
    leaders: list[tuple[str, Tensor]],
    masks: ChosenMasks,
    *,
    checkpoint: Checkpoint,
    video: Path,
) -> None:
    size, files = checkpoint.clip_format.size, explanation.files
    is_share = checkpoint.model.arguments["attention"] == "non_local"
    mask_name = "attention received" if is_share else "Mˢ"
    name, probability = explanation.prediction[0]
    where = "this network has no spatial mask"
    if masks.spatial is not None:
        where = f"spatial mask: {masks.spatial_source}, {range_of(masks.spatial)}"
        where += " (1 = an even share)" if is_share else ""
    draw_strip(
        files["strip.png"],
        pictures.seen,
        explanation.times_seconds,
        mask=masks.spatial,
        mask_name=mask_name,
        size=size,
        heading=f"{name}, {100 * probability:.1f} %",
        video=video.name,
        facts=where,
    )
    draw_when(
        files["when.png"],
        explanation.times_seconds,
        span_seconds=(float(pictures.film_seconds[0]), float(pictures.film_seconds[-1])),
        where=explanation.mask_energy,
        what=explanation.channel_energy,
        where_name=f"Where: mean of {mask_name} over the frame ({masks.spatial_source})",
        what_name=f"What: mean of Mᶜ over the channels ({masks.channel_source})",
        classes=leaders,
        video=video.name,
    )
    if masks.channel is not None and explanation.channels is not None:
        draw_what(
            files["what.png"],
            explanation.times_seconds,
            channel=masks.channel,
            ranked=explanation.channels,
            video=video.name,
            facts=f"{len(masks.channel)} channels of Mᶜ, {masks.channel_source}, {range_of(masks.channel)}",
        )
    if masks.spatial is not None:
        write_film(
            files["overlay.mp4"],
            pictures.film,
            pictures.film_seconds,
            mask=masks.spatial,
            mask_seconds=explanation.times_seconds,
            size=size,
            fps=pictures.film_fps,
        )
    write_page(
        files["index.html"],
        video=video.name,
        prediction=explanation.prediction[:NUM_CLASSES_LISTED],
        sections=_sections(explanation, is_share=is_share),
        facts=_facts(checkpoint),
    )


def _sections(explanation: Explanation, *, is_share: bool) -> list[Section]:
    files = explanation.files
    strip, film = "The frames that the network saw; it has no spatial mask, so nothing is laid over them.", None
    if explanation.spatial_mask is not None:
        scale = "how much attention a place receives, 1 being an even share" if is_share else "how far the mask is open"
        strip = (
            "Below each frame the same frame under its spatial mask: the brighter, the more the place counts "
            f"({scale}). The colours span the mask's range over the whole clip, so a frame that stays dark is one "
            "that the network turns down against the others."
        )
        if range_of(explanation.spatial_mask).is_flat:
            strip = (
                "The spatial mask is the same at every place and time, as in a network whose attention has not learnt "
                "anything yet: there is nothing to see below the frames."
            )
        film = Section(
            "The whole video",
            "Left the video, right its mask, interpolated between the frames that the network saw; the curve is the "
            "mask's mean over the frame.",
            files["overlay.mp4"],
        )
    what = "This network has no channel mask."
    if explanation.channel_mask is not None and range_of(explanation.channel_mask).is_flat:
        what = "The channel mask is the same for every channel at every time: which channels are listed means nothing."
    elif explanation.channel_mask is not None:
        what = (
            "Left the channels whose gates are on average most open and most closed, right when each of them is more "
            "open (red) or more closed (blue) than its own mean."
        )
    when = (
        "How wide the masks are open at each frame that the network saw, and what each frame by itself would predict."
    )
    sections = [
        Section("Where", strip, files["strip.png"]),
        film,
        Section("When", when, files["when.png"]),
        Section("What", what, files.get("what.png")),
    ]
    return [section for section in sections if section is not None]


def _facts(checkpoint: Checkpoint) -> list[tuple[str, str]]:
    wanted, arguments = checkpoint.clip_format, checkpoint.model.arguments
    return [
        ("network", f"{arguments['name']}, attention {arguments['attention']}"),
        ("weights", f"{checkpoint.path}, sha256 {checkpoint.sha256[:12]}"),
        ("clip", f"{wanted.num_frames} frames, centre {wanted.size} of {wanted.resize} pixels"),
    ]
