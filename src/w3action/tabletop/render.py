"""Scene -> frames: shadows, things from far to near, the hand last; half of the clips are then flipped."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from PIL import Image

from w3action.tabletop.actions import Timeline
from w3action.tabletop.backdrop import draw_backdrop
from w3action.tabletop.catalogue import FLIPPED, video_label, video_seed
from w3action.tabletop.hand import GRIPS, draw_hand
from w3action.tabletop.mesh import Solid
from w3action.tabletop.motion import Track
from w3action.tabletop.scene import Scene, draw_scene
from w3action.tabletop.sprite import Sprite, paste_sprite
from w3action.tabletop.stage import SIZE, Light, Stage, draw_light

_CLOSES = 0.93  # reach beyond which the fingers take their hold
_YAW_STEP = 3.0  # degrees; turned views are rounded to this, so that they can be kept


@dataclass(frozen=True)
class RenderedVideo:
    """One drawn clip of T frames at 12 frames a second.

    Attributes:
        frames: (T, 112, 112, 3) uint8, RGB.
        label: what the hand does, one of `CLASSES`.
        hand_boxes: (T, 4) float32, the hand (without forearm) as x0, y0, x1, y1 in pixels within the image, NaN
            where the hand is out of view.
        active_frames: the first and last frame in which the hand acts on the object.
    """

    frames: np.ndarray
    label: str
    hand_boxes: np.ndarray
    active_frames: tuple[int, int]


def render_video(seed: int, split: str, index: int) -> RenderedVideo:
    """Draw video `index` of `split` in the set of `seed`: the same arguments give the same bits.

    Raises:
        ValueError: a seed or index out of range, or an unknown split.
    """
    rng = np.random.default_rng(video_seed(seed, split, index))
    label = video_label(seed, split, index)
    # Half of all clips are drawn as their mirror image, so left and right are alike in everything, light included.
    flip = bool(rng.random() < 0.5)
    scene = draw_scene(rng, FLIPPED[label] if flip else label)
    frames, boxes = _render(rng, scene, flip)
    if flip:
        boxes = np.stack([SIZE - boxes[:, 2], boxes[:, 1], SIZE - boxes[:, 0], boxes[:, 3]], axis=1)
    active = np.flatnonzero(scene.timeline.acting)
    return RenderedVideo(frames, label, boxes, (int(active[0]), int(active[-1])))


@dataclass
class _Actor:
    """A solid on its path, with its views: one sprite per yaw, drawn when first seen."""

    stage: Stage
    light: Light
    thing: Solid
    track: Track
    dropped: np.ndarray  # (T,) bool: below the table top
    rows: np.ndarray  # (T,) how near it is: what is farther is drawn first,
    order: int = 1  # and at one row what has the lower order
    inner: bool | None = None  # as for `Solid.render`
    views: dict[int, Sprite] = field(default_factory=dict)

    def paste(self, frame: Image.Image, floor: Image.Image | None, k: int, shift: list[float]) -> None:
        """Draw frame `k`; `shift` is the camera's, in pixels."""
        track = self.track
        turn = round(float(track.yaw[k]) / _YAW_STEP) % round(360 / _YAW_STEP)
        if turn not in self.views:
            self.views[turn] = self.thing.render(
                yaw_degrees=turn * _YAW_STEP, elevation=self.stage.elevation, light=self.light, inner=self.inner
            )
        scale = float(self.stage.scale(track.y[k]))
        centre = track.y[k] - track.z[k] - self.thing.height / 2 * self.stage.upright * scale
        paste_sprite(
            frame,
            self.views[turn],
            track.x[k] + shift[0],
            centre + shift[1],
            scale=scale,
            roll_degrees=float(track.roll[k]),
            where=floor if self.dropped[k] else None,
        )

    def paste_shadow(self, frame: Image.Image, shadows: list[Sprite], k: int, shift: list[float]) -> None:
        """Draw its shadow; the lamp stands to the left, so what rises throws its shadow to the right."""
        track, height = self.track, self.track.z[k]
        x, y = track.x[k] + 1.5 + 0.25 * height, track.y[k] + 0.5
        if self.dropped[k] or track.roll[k] or x > self.stage.edge_x(track.y[k]):  # no table below to fall on
            return
        shadow = shadows[0 if height < 3 else 1 if height < 14 else 2]
        radius = self.thing.radius * float(self.stage.scale(track.y[k]))
        paste_sprite(frame, shadow, x + shift[0], y + shift[1], scale=radius)


def _actors(scene: Scene, light: Light) -> list[_Actor]:
    """Return all that is drawn but the hand."""
    cast, timeline = scene.cast, scene.timeline
    actor = partial(_Actor, cast.stage, light)
    actors = [actor(b.thing, b.track, b.dropped, b.track.y) for b in scene.bystanders]
    actors.append(actor(cast.target, timeline.target, timeline.dropped, _rows(timeline, timeline.target)))
    if timeline.prop is not None and cast.prop is not None:  # its inside, what it holds, its outside
        path, never = timeline.prop, np.zeros(len(timeline.reach), bool)
        actors += [actor(cast.prop, path, never, path.y, order=order, inner=order == 0) for order in (0, 2)]
    return actors


def _rows(timeline: Timeline, track: Track) -> np.ndarray:
    """Return (T,) how near a track is: as near as the container while the target is inside."""
    return track.y if timeline.prop is None else np.where(timeline.inside, timeline.prop.y, track.y)


def _render(rng: np.random.Generator, scene: Scene, flip: bool) -> tuple[np.ndarray, np.ndarray]:
    """Draw (T, H, W, 3) uint8 frames, mirrored if `flip`, and (T, 4) float32 hand boxes, never mirrored."""
    timeline, light = scene.timeline, draw_light(rng)
    backdrop = draw_backdrop(rng, scene.cast.stage, light)
    hand = draw_hand(rng, ("open", scene.pose), light)
    shadows = [_shadow(strength) for strength in (0.42, 0.26, 0.15)]
    actors = _actors(scene, light)
    thumb_rows, thumb_order = _rows(timeline, timeline.grip), -1.0 if timeline.holds_prop else 0.5
    num_frames = len(timeline.reach)
    frames = np.empty((num_frames, SIZE, SIZE, 3), np.uint8)
    boxes = np.empty((num_frames, 4), np.float32)
    for k in range(num_frames):
        frame, floor, *shift = backdrop.crop(*scene.shake[k])
        for actor in actors:
            if actor.order != 2:  # inside and outside of a container have one shadow
                actor.paste_shadow(frame, shadows, k, shift)
        pose = scene.pose if timeline.reach[k] > _CLOSES else "open"
        place = _hand_place(scene, k, pose, shift)
        layers: list[tuple[float, float, Callable[[], None]]] = [
            (actor.rows[k], actor.order, partial(actor.paste, frame, floor, k, shift)) for actor in actors
        ]
        layers.append((thumb_rows[k], thumb_order, partial(paste_sprite, frame, hand.behind[pose], **place)))
        for _, _, paste in sorted(layers, key=lambda layer: layer[:2]):  # far to near
            paste()
        paste_sprite(frame, hand.front[pose], **place)
        frames[k] = np.asarray(frame.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else frame)
        boxes[k] = _hand_box(hand.outline[pose], place)
    return frames, boxes


def _hand_place(scene: Scene, k: int, pose: str, shift: list[float]) -> dict:
    """Say where frame `k` puts the hand's wrist, as arguments of `paste_sprite`."""
    timeline, stage = scene.timeline, scene.cast.stage
    grip, (sx, sy) = timeline.grip, timeline.shoulder
    tip_x, tip_y = grip.x[k], grip.y[k] - grip.z[k]
    turn = math.atan2(tip_y - sy, tip_x - sx)
    reach = timeline.reach[k]
    tip_x, tip_y = sx + reach * (tip_x - sx), sy + reach * (tip_y - sy)
    turn += math.radians(timeline.twist[k])
    scale = float(stage.scale(grip.y[k])) * scene.hand_size
    u, v = GRIPS[pose]
    v = -v if scene.thumb_down else v
    c, s = math.cos(turn), math.sin(turn)
    return {
        "x": tip_x - scale * (c * u - s * v) + shift[0],
        "y": tip_y - scale * (s * u + c * v) + shift[1],
        "scale": scale,
        "roll_degrees": math.degrees(turn),
        "mirrored": scene.thumb_down,
    }


def _hand_box(outline: np.ndarray, place: dict) -> np.ndarray:
    """Return (4,) x0, y0, x1, y1 around the placed hand, within the image; NaN when out of view."""
    turn = math.radians(place["roll_degrees"])
    c, s = math.cos(turn), math.sin(turn)
    u, v = outline[:, 0], -outline[:, 1] if place["mirrored"] else outline[:, 1]
    x = place["x"] + place["scale"] * (c * u - s * v)
    y = place["y"] + place["scale"] * (s * u + c * v)
    x0, y0, x1, y1 = np.clip([x.min(), y.min(), x.max(), y.max()], 0, SIZE)
    if x1 - x0 < 1 or y1 - y0 < 1:  # less than a pixel shows
        return np.full(4, np.nan)
    return np.array([x0, y0, x1, y1])


def _shadow(strength: float) -> Sprite:
    """Draw a soft dark disc of radius 1 scene unit at scale 1, seen from straight above; weaker is also softer."""
    steps = (np.arange(48) - 23.5) / 16
    distance = np.hypot(*np.meshgrid(steps, steps / 0.68))
    alpha = 255 * strength / (1 + np.exp((distance - 0.95) * (18 * strength)))
    alpha[distance > 1.45] = 0
    image = Image.fromarray(alpha.astype(np.uint8))
    shade = Image.merge("RGBA", [Image.new("L", image.size)] * 3 + [image])
    return Sprite(shade.convert("RGBa"), anchor=(24, 24), density=16)
