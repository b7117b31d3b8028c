"""From uint8 clips to normalised float views: the crops of training and of testing.

Training takes one crop of random size and place, the same for all frames (TSN's multi-scale crop), resizes
it, mirrors it or not, and may change its colours. Testing takes fixed crops: the centre, three full-height
squares ("full resolution" in the TSM and W3 papers), or ten (corners and centre, and their mirror images).

Both are called as `transform(clip, rng)` and return `(views, flipped)`: views (v, c, t, h, w), and whether
the whole sample was mirrored, so that the caller can swap the label. Clips of flow are cropped and scaled like frames,
but mirroring turns their direction around, and they are normalised in their own way (see `flow`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from w3action.clip_format import NUM_CHANNELS, Modality
from w3action.data.clip import Clip
from w3action.data.decode import scaled_size
from w3action.data.flow import mirror_flow, normalize_flow
from w3action.kernels import scale_pixels

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_MEAN, _STD = (torch.tensor(values, dtype=torch.float32, device="cpu") for values in (IMAGENET_MEAN, IMAGENET_STD))
_SCALE, _SHIFT = 1 / (255 * _STD), _MEAN / _STD

Views = Float[Tensor, "v c t h w"]

# What a data set calls for every clip: (clip, rng) -> (views, whether the sample was mirrored).
Transform = Callable[[Clip, np.random.Generator], tuple[Views, bool]]


@dataclass(kw_only=True)
class TrainTransform:
    """Multi-scale crop, flip, colour jitter, normalise; one view.

    The crop's width and height are each the frame's shorter side times one of `scales` (their places in
    `scales` differ by at most one, so that shapes are bent only a little), at one of 13 fixed places:
    corners, edge middles, centre and the four points between centre and corners. A side within 3 pixels of
    `size` is taken as `size`.

    Args:
        size: side of the square output, in pixels.
        scales: relative crop sides, largest first.
        flip_probability: probability of mirroring. Where classes speak of sides, swap labels (see `flips`) or
            use 0.
        color_jitter: brightness, contrast and saturation are scaled by factors uniform in [1 - j, 1 + j].
        modality: of the clips, "rgb" or "flow"; flow has no colours.
    """

    num_views = 1

    size: int
    scales: tuple[float, ...] = (1, 0.875, 0.75, 0.66)
    flip_probability: float = 0.5
    color_jitter: float = 0.0
    modality: Modality = "rgb"

    def __post_init__(self):
        _check(self.modality, size=self.size)
        if not self.scales or not all(0 < scale <= 1 for scale in self.scales):
            raise ValueError(
                f"scales are {self.scales} but must lie in (0, 1]: give for example (1, 0.875, 0.75, 0.66)"
            )
        for name in ("flip_probability", "color_jitter"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)} but must lie in [0, 1]: give for example 0.5")
        if self.color_jitter and self.modality == "flow":
            raise ValueError(f"color_jitter is {self.color_jitter} but flow has no colours: use 0")

    def __call__(self, clip: Clip, rng: np.random.Generator) -> tuple[Float[Tensor, "1 c t h w"], bool]:
        """Return one random view (1, c, t, size, size), and whether it is mirrored."""
        x, y, width, height = self.draw_crop(*clip.frames.shape[:1:-1], rng=rng)
        frames = _resize(clip.frames[..., y : y + height, x : x + width], (self.size, self.size))
        flipped = rng.random() < self.flip_probability
        if flipped:
            frames = _mirror(frames, self.modality)
        if self.color_jitter:
            frames = _jitter(frames, *rng.uniform(1 - self.color_jitter, 1 + self.color_jitter, size=3).tolist())
        return _normalize(frames, self.modality)[None], flipped

    def draw_crop(self, width: int, height: int, *, rng: np.random.Generator) -> tuple[int, int, int, int]:
        """Draw (x, y, crop width, crop height) in pixels for frames of this size."""
        base = min(width, height)
        sides = [int(base * scale) for scale in self.scales]
        sides = [min(self.size, base) if abs(side - self.size) < 3 else max(1, side) for side in sides]
        pairs = [(w, h) for i, h in enumerate(sides) for j, w in enumerate(sides) if abs(i - j) <= 1]
        crop_width, crop_height = pairs[rng.integers(len(pairs))]
        quarter_x, quarter_y = (width - crop_width) // 4, (height - crop_height) // 4
        column, row = _PLACES[rng.integers(len(_PLACES))]
        return column * quarter_x, row * quarter_y, crop_width, crop_height


# In quarters of the free width and height: the grid of corners, edges and centre, and four points between.
_PLACES = [(x, y) for x in (0, 2, 4) for y in (0, 2, 4)] + [(x, y) for x in (1, 3) for y in (1, 3)]


@dataclass(kw_only=True)
class TestTransform:
    """Resize the shorter side, then fixed square crops, normalised.

    Args:
        size: side of the crops of "center" and "ten", in pixels.
        resize: length of the frame's shorter side before cropping, in pixels (skipped if the decoder did it).
        crops: "center": one crop of `size`; "full": three of side `resize` along the longer side (left,
            centre, right, or top, centre, bottom); "ten": four corners and the centre of `size`, then their
            mirror images.
        modality: of the clips, "rgb" or "flow".
    """

    __test__ = False  # the name is for testing a model: pytest, leave it alone

    size: int
    resize: int
    crops: Literal["center", "full", "ten"] = "center"
    modality: Modality = "rgb"

    def __post_init__(self):
        _check(self.modality, size=self.size, resize=self.resize)
        if self.crops not in ("center", "full", "ten"):
            raise ValueError(f"crops is {self.crops!r} but must be 'center', 'full' or 'ten': 'center' is one view")
        if self.size > self.resize and self.crops != "full":
            raise ValueError(
                f"size is {self.size} but must be at most resize, {self.resize}: raise resize or lower size"
            )

    @property
    def num_views(self) -> int:
        """Number of views v of every clip."""
        return len(self.flipped)

    @property
    def flipped(self) -> tuple[bool, ...]:
        """For each view, whether it is a mirror image (its scores then belong to the mirrored classes)."""
        return {"center": (False,), "full": (False,) * 3, "ten": (False,) * 5 + (True,) * 5}[self.crops]

    def __call__(self, clip: Clip, rng: np.random.Generator | None = None) -> tuple[Views, bool]:
        """All views (v, c, t, side, side); nothing is random, and the sample as a whole is never mirrored."""
        height, width = scaled_size(*clip.frames.shape[-2:], short_side=self.resize)
        frames = _resize(clip.frames, (height, width))
        side = self.resize if self.crops == "full" else self.size
        free_x, free_y = width - side, height - side
        places = {
            "center": [(free_x // 2, free_y // 2)],
            "full": [(0, 0), (free_x // 2, free_y // 2), (free_x, free_y)],
            "ten": [(0, 0), (free_x, 0), (0, free_y), (free_x, free_y), (free_x // 2, free_y // 2)],
        }[self.crops]
        crops = [frames[..., y : y + side, x : x + side] for x, y in places]
        if self.crops == "ten":
            crops += [_mirror(crop, self.modality) for crop in crops]
        if len(crops) == 1:
            return _normalize(crops[0], self.modality)[None], False
        views = torch.empty((len(crops), *crops[0].shape), dtype=torch.float32, device=frames.device)
        for view, crop in zip(views, crops, strict=True):  # one after another: ten views are large
            view.copy_(_normalize(crop, self.modality))
        return views, False


def normalize(
    frames: UInt8[Tensor, "*batch c t h w"] | Float[Tensor, "*batch c t h w"],
) -> Float[Tensor, "*batch c t h w"]:
    """Turn RGB of 0 to 255 into what ImageNet models expect: (x / 255 - mean) / std, float32, contiguous."""
    return scale_pixels(frames, _SCALE, _SHIFT)


def denormalize(frames: Float[Tensor, "*batch c t h w"]) -> UInt8[Tensor, "*batch c t h w"]:
    """Invert `normalize`, for pictures: RGB, 0 to 255, rounded."""
    mean, std = (values.to(frames.device)[:, None, None, None] for values in (_MEAN, _STD))
    return ((frames.float() * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)


def _resize(frames: Tensor, size: tuple[int, int]) -> Tensor:
    if frames.shape[-2:] == size:
        return frames
    # On uint8; torchvision's resize does the same, but importing torchvision takes longer than importing torch.
    images = frames.transpose(0, 1)  # (t, c, h, w)
    images = F.interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False)
    return images.transpose(0, 1)  # (c, t, h, w)


def _jitter(frames: Tensor, brightness: float, contrast: float, saturation: float) -> Tensor:
    """Scale the three about black, the clip's mean grey and each pixel's grey; the same for all frames."""
    floats = frames.float().mul_(brightness).clamp_(0, 255)  # (c, t, h, w)
    floats = torch.lerp(_gray(floats).mean(), floats, contrast).clamp_(0, 255)
    return torch.lerp(_gray(floats), floats, saturation).clamp_(0, 255)


def _gray(frames: Tensor) -> Tensor:
    red, green, blue = frames
    return (0.299 * red + 0.587 * green + 0.114 * blue)[None]  # (1, t, h, w)


def _mirror(frames: Tensor, modality: Modality) -> Tensor:
    return mirror_flow(frames) if modality == "flow" else frames.flip(-1)


def _normalize(frames: Tensor, modality: Modality) -> Tensor:
    return normalize_flow(frames) if modality == "flow" else normalize(frames)


def _check(modality: str, **pixels: int) -> None:
    for name, value in pixels.items():
        if value < 1:
            raise ValueError(f"{name} is {value} pixels but must be at least 1: give for example 224")
    if modality not in NUM_CHANNELS:
        raise ValueError(f"modality is {modality!r} but must be one of {', '.join(NUM_CHANNELS)}: 'rgb' is usual")
