"""Cut-out pictures and their placing in a frame: scale, turn and shift in one affine resampling.

Frames are Pillow images because its transform and paste take about 70 and 6 microseconds for a sprite of this size, a
fraction of the same in numpy. Placements are rounded to a quarter pixel and kept, so what rests is resampled once per
phase of the camera's shake instead of once per frame.
"""

import math
from dataclasses import dataclass, field

from PIL import Image, ImageChops

DENSITY = 1.75  # sprite pixels per scene unit; above 1 so that nearer (scaled up) things stay sharp
SUPERSAMPLE = 2  # drawn this much finer still, then averaged


@dataclass
class Sprite:
    """A picture with transparency.

    `anchor` is the point, in sprite pixels, that `paste_sprite` puts at the asked position; `density` is sprite pixels
    per scene unit.
    """

    image: Image.Image  # RGBa, that is premultiplied: what resampling needs
    anchor: tuple[float, float]
    density: float = DENSITY
    _placed: dict = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        bounds = self.image.getbbox() or (0, 0, 1, 1)  # there may be nothing to see: a hollow's inside looks away
        self.image = self.image.crop(bounds)
        self.anchor = (self.anchor[0] - bounds[0], self.anchor[1] - bounds[1])


def average_down(fine: Image.Image, anchor: tuple[float, float]) -> Sprite:
    """Return the sprite of an RGBA picture that was drawn `SUPERSAMPLE` times as fine."""
    return Sprite(fine.convert("RGBa").reduce(SUPERSAMPLE), anchor)


def paste_sprite(
    frame: Image.Image,
    sprite: Sprite,
    x: float,
    y: float,
    *,
    scale: float = 1.0,
    roll_degrees: float = 0.0,
    mirrored: bool = False,
    where: Image.Image | None = None,
) -> None:
    """Draw `sprite` into `frame` in place.

    Args:
        frame: RGB image.
        sprite: what to draw.
        x: column of the anchor, pixels.
        y: row of the anchor, pixels.
        scale: frame pixels per scene unit.
        roll_degrees: clockwise turn in the image plane.
        mirrored: flip the sprite across its own x axis (up for down) before turning.
        where: L image of the frame's size; the sprite shows only where it is bright.
    """
    x, y = round(x * 4) / 4, round(y * 4) / 4
    left, top = math.floor(x), math.floor(y)
    key = (x - left, y - top, round(scale * 96), round(roll_degrees * 2), mirrored)
    placed = sprite._placed.get(key)
    if placed is None:
        placed = _resample(frame.size, sprite, left, top, key)
        if placed is None:
            return
        if placed[2]:  # one cut at the frame's border depends on where it stands, so it is not kept
            sprite._placed[key] = placed
    picture, offset, _ = placed
    corner = (left + offset[0], top + offset[1])
    mask = picture
    if where is not None:
        box = (*corner, corner[0] + picture.width, corner[1] + picture.height)
        mask = ImageChops.multiply(picture.getchannel("A"), where.crop(box))
    frame.paste(picture, corner, mask)


def _resample(
    frame_size: tuple[int, int], sprite: Sprite, left: int, top: int, key: tuple
) -> tuple[Image.Image, tuple[int, int], bool] | None:
    """Place the sprite at (left, top) + key's fraction: (picture, its offset from (left, top), uncut?).

    Returns None where nothing of it lies within the frame.
    """
    fx, fy, scale96, half_degrees, mirrored = key
    k = scale96 / 96 / sprite.density  # frame pixels per sprite pixel
    c, s = math.cos(math.radians(half_degrees / 2)), math.sin(math.radians(half_degrees / 2))
    sign = -1.0 if mirrored else 1.0
    ax, ay = sprite.anchor
    w, h = sprite.image.size
    # frame = (fx, fy) + k R (1, sign) (sprite - anchor)
    corners = [(-ax, -ay), (w - ax, -ay), (-ax, h - ay), (w - ax, h - ay)]
    xs = [fx + k * (c * u - s * sign * v) for u, v in corners]
    ys = [fy + k * (s * u + c * sign * v) for u, v in corners]
    whole = (math.floor(min(xs)), math.floor(min(ys)), math.ceil(max(xs)), math.ceil(max(ys)))
    x0, y0 = max(whole[0], -left), max(whole[1], -top)
    x1, y1 = min(whole[2], frame_size[0] - left), min(whole[3], frame_size[1] - top)
    if x0 >= x1 or y0 >= y1:
        return None
    # The way back, from output pixel to sprite pixel, is what Pillow asks for.
    a, b, d, e = c / k, s / k, -sign * s / k, sign * c / k
    picture = sprite.image.transform(
        (x1 - x0, y1 - y0),
        Image.Transform.AFFINE,
        (a, b, ax + a * (x0 - fx) + b * (y0 - fy), d, e, ay + d * (x0 - fx) + e * (y0 - fy)),
        Image.Resampling.BILINEAR,
    )
    return picture.convert("RGBA"), (x0, y0), (x0, y0, x1, y1) == whole
