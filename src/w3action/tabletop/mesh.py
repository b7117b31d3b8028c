"""Small solids and their drawing: polygons in, an anti-aliased sprite out.

A solid stands on the table at the origin: x right, y towards the viewer, z up, in scene units (one pixel at scale 1).
Drawing is orthographic from a camera `elevation` above the table, culls faces that look away, sorts the others by depth
and shades them by their normal. Perspective enters only as the sprite's scale when it is placed in a frame, which at
these sizes the eye does not miss and which lets one sprite serve every frame in which the solid does not turn.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw

from w3action.tabletop.sprite import DENSITY, SUPERSAMPLE, Sprite, average_down
from w3action.tabletop.stage import DAYLIGHT, Light

Colour = tuple[int, ...]  # red, green, blue, 0 to 255

_LIGHT = np.array([-0.38, 0.42, 0.82])  # towards the lamp: upper left, a little before the table
_AMBIENT = 0.55


@dataclass(frozen=True)
class Face:
    """A flat polygon."""

    points: np.ndarray  # (n, 3) scene units, counterclockwise seen from outside
    colour: Colour
    inner: bool = False  # the inside of a hollow: drawn behind whatever the hollow holds
    decal_of: int | None = None  # index of the face this mark lies on, drawn right after it


@dataclass(frozen=True)
class Solid:
    """Faces with their extents in scene units."""

    faces: tuple[Face, ...]
    radius: float  # largest distance from the vertical axis
    height: float

    def faded(self, share: float) -> "Solid":
        """Return the same solid with its colours `share` of the way to a middle grey."""

        def fade(colour: Colour) -> Colour:
            return tuple(int(level + share * (128 - level)) for level in colour)

        return replace(self, faces=tuple(replace(face, colour=fade(face.colour)) for face in self.faces))

    @cached_property
    def _arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Corners (V, 3), unit normals (F, 3), each face's first corner and number of corners, whom it follows."""
        counts = np.array([len(face.points) for face in self.faces])
        points = np.concatenate([face.points for face in self.faces])
        starts = np.cumsum(counts) - counts
        # x, y, z is left-handed here (y comes towards the viewer), hence b x a for a normal that looks out.
        normals = np.cross(points[starts + 2] - points[starts], points[starts + 1] - points[starts])
        normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
        parents = np.array([i if f.decal_of is None else f.decal_of for i, f in enumerate(self.faces)])
        return points, normals, starts, counts, parents

    def render(
        self, *, yaw_degrees: float, elevation: float, light: Light = DAYLIGHT, inner: bool | None = None
    ) -> Sprite:
        """Draw the solid turned clockwise (seen from above) by `yaw_degrees`.

        Args:
            yaw_degrees: turn about the vertical axis.
            elevation: the camera's angle above the table, radians.
            light: what becomes of colours.
            inner: True draws only the faces inside a hollow, False only the others, None all.

        Returns:
            A sprite whose anchor is the solid's centre, half its height above the table.
        """
        turn = math.radians(yaw_degrees)
        # y points down the screen, so a positive angle of this usual rotation is clockwise from above.
        c, s = math.cos(turn), math.sin(turn)
        rotation = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        up, lie = math.cos(elevation), math.sin(elevation)
        view = np.array([0.0, up, lie])  # towards the camera

        points, normals, starts, counts, parents = self._arrays
        points, normals = points @ rotation.T, normals @ rotation.T
        shades = _AMBIENT + (1.08 - _AMBIENT) * np.clip(normals @ _LIGHT, 0, None)
        depth = np.add.reduceat(points @ view, starts) / counts
        order = np.lexsort((np.arange(len(counts)), depth[parents]))  # a decal follows its face
        facing = normals @ view > 1e-4

        fine = DENSITY * SUPERSAMPLE
        half_w = math.ceil(self.radius * DENSITY + 2)
        half_h = math.ceil((self.radius * lie + self.height / 2 * up) * DENSITY + 2)
        across = points[:, 0] * fine + half_w * SUPERSAMPLE
        down = (points[:, 1] * lie - (points[:, 2] - self.height / 2) * up) * fine + half_h * SUPERSAMPLE
        screen = np.stack([across, down], axis=1)
        image = Image.new("RGBA", (2 * half_w * SUPERSAMPLE, 2 * half_h * SUPERSAMPLE))
        pen = ImageDraw.Draw(image)
        for i in order:
            face = self.faces[i]
            if not facing[i] or (inner is not None and face.inner != inner):
                continue
            shade = shades[i] * (0.72 if face.inner else 1.0)
            fill = light.on([channel * shade for channel in face.colour])
            pen.polygon(screen[starts[i] : starts[i] + counts[i]].ravel().tolist(), fill=fill)
        return average_down(image, anchor=(half_w, half_h))


def solid(faces: list[Face]) -> Solid:
    """Join faces, and measure how far they reach."""
    points = np.concatenate([face.points for face in faces])
    return Solid(tuple(faces), float(np.hypot(points[:, 0], points[:, 1]).max()), float(points[:, 2].max()))


def polygons(colour: Colour, *outlines: Sequence[tuple[float, float, float]], inner: bool = False) -> list[Face]:
    """Make a face of each outline, all of one colour."""
    return [Face(np.array(points, float), colour, inner=inner) for points in outlines]


def box(width: float, depth: float, height: float, colours: dict[str, Colour]) -> list[Face]:
    """Make a block on the axis: top, front, back, left and right; `colours` of these, or of `any`."""
    x, y, z = width / 2, depth / 2, height
    corners = {
        "top": [(-x, y, z), (x, y, z), (x, -y, z), (-x, -y, z)],
        "front": [(-x, y, 0), (x, y, 0), (x, y, z), (-x, y, z)],
        "back": [(x, -y, 0), (-x, -y, 0), (-x, -y, z), (x, -y, z)],
        "left": [(-x, -y, 0), (-x, y, 0), (-x, y, z), (-x, -y, z)],
        "right": [(x, y, 0), (x, -y, 0), (x, -y, z), (x, y, z)],
    }
    return [Face(np.array(p, float), colours.get(side, colours["any"])) for side, p in corners.items()]


def add_decal(faces: list[Face], index: int, outline: np.ndarray, colour: Colour) -> None:
    """Add a mark on the face of that index; its outline (n, 2) is in the frame of the face's corners, 0 to 1."""
    face = faces[index]
    origin, across, up = face.points[0], face.points[1] - face.points[0], face.points[-1] - face.points[0]
    points = origin + outline[:, :1] * across + outline[:, 1:] * up
    faces.append(Face(points, colour, inner=face.inner, decal_of=index))


def lathe(
    profile: list[tuple[float, float]],
    colour_of: Callable[[int, int], Colour],
    *,
    segments: int = 16,
    inner: bool = False,
    ripple: tuple[int, float] = (0, 0.0),
) -> list[Face]:
    """Make a surface of revolution.

    Args:
        profile: (radius, height) pairs, from the bottom up along the outside.
        colour_of: (ring, segment) -> colour.
        segments: faces around the axis.
        inner: the surface looks towards the axis instead of away from it.
        ripple: (waves, depth): folds around the axis, as a share of the radius, growing towards the ground.
    """
    waves, fold = ripple
    angles = np.arange(segments + 1) * (2 * math.pi / segments)
    directions = np.array([(math.cos(angle), math.sin(angle)) for angle in angles])
    top = max(z for _, z in profile) or 1.0
    rings = []
    for radius, z in profile:
        folds = radius * (1 + fold * (1 - z / top) * np.cos(waves * angles))
        rings.append(np.column_stack([folds[:, None] * directions, np.full(segments + 1, z)]))
    faces = []
    for ring, (low, high) in enumerate(pairwise(rings)):
        for k in range(segments):
            # Angles grow clockwise on the screen, so this order is counterclockwise seen from outside.
            quad = np.array([low[k + 1], low[k], high[k], high[k + 1]])
            if profile[ring][0] < 1e-6:  # a tip: drop the doubled corner, or the normal is lost
                quad = quad[1:]
            elif profile[ring + 1][0] < 1e-6:
                quad = quad[:3]
            faces.append(Face(quad[::-1] if inner else quad, colour_of(ring, k), inner=inner))
    return faces


def disc(radius: float, z: float, colour: Colour, *, segments: int = 16, inner: bool = False) -> Face:
    """Make a flat round lid that looks up."""
    angles = -np.arange(segments) * (2 * math.pi / segments)
    points = np.stack([radius * np.cos(angles), radius * np.sin(angles), np.full(segments, z)], axis=1)
    return Face(points, colour, inner=inner)
