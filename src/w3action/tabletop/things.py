"""The things on the table: objects to act on, containers to put them into, covers to hide them under.

Every object carries marks that are not symmetric about its axis (a handle, a label on one side, a painted top), so that
its turning can be seen. Sizes are widths in scene units; `draw_thing` and its siblings return solids.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import numpy as np

from w3action.tabletop.mesh import Colour, Face, Solid, add_decal, box, disc, lathe, polygons, solid

_PALETTE: tuple[Colour, ...] = (
    (214, 58, 52), (232, 128, 40), (240, 196, 56), (120, 176, 62), (44, 140, 92), (48, 160, 176),
    (58, 106, 200), (112, 78, 178), (204, 84, 148), (148, 96, 60), (236, 232, 222), (70, 74, 84),
)  # fmt: skip
_STRONG = 9  # the first so many of them are vivid


def draw_colours(rng: np.random.Generator, count: int) -> list[Colour]:
    """Draw `count` different, slightly varied colours, the first a strong one."""
    first = int(rng.integers(_STRONG))
    others = rng.permutation([i for i in range(len(_PALETTE)) if i != first])
    picks = [first, *others[: count - 1].tolist()]
    return [_shaded(_PALETTE[i], 1.0, plus=rng.integers(-14, 15, 3).tolist()) for i in picks]


def draw_thing(rng: np.random.Generator, width: float, kinds: Sequence[str] = ()) -> Solid:
    """Draw a random object about `width` scene units across; `kinds` are some of `THINGS`, none means all."""
    return THINGS[str(rng.choice(kinds or list(THINGS)))](rng, width)


def draw_container(rng: np.random.Generator, width: float) -> Solid:
    """Draw an open bowl, box or bucket, hollow and `width` across."""
    return _CONTAINERS[rng.integers(len(_CONTAINERS))](rng, width)


def draw_cover(rng: np.random.Generator, width: float, height: float) -> Solid:
    """Draw a cloth, an upturned cup or an upturned box that hides what is below `height` and within `width`."""
    return _COVERS[rng.integers(len(_COVERS))](rng, width, height)


def _block(rng: np.random.Generator, width: float) -> Solid:
    """Build a cube with an arrow on top and marks on two sides."""
    base, mark, other = draw_colours(rng, 3)
    w, h = width * 0.82, width * rng.uniform(0.55, 0.85)
    faces = box(w, w * rng.uniform(0.8, 1.0), h, {"any": base, "left": other})
    arrow = np.array([(0.5, 0.9), (0.14, 0.5), (0.36, 0.5), (0.36, 0.1), (0.64, 0.1), (0.64, 0.5), (0.86, 0.5)])
    add_decal(faces, 0, arrow[::-1], mark)
    add_decal(faces, 1, _spot(0.5, 0.5, 0.27), mark)
    add_decal(faces, 4, _bar(0.38, 0.0, 0.62, 1.0), mark)
    return solid(faces)


def _book(rng: np.random.Generator, width: float) -> Solid:
    """Build a lying book: coloured spine and cover, pale pages on the other sides, a title and a picture."""
    cover, title, picture = draw_colours(rng, 3)
    paper = (238, 232, 214)
    w, d, h = width * 0.95, width * 0.72, width * rng.uniform(0.2, 0.32)
    faces = box(w, d, h, {"top": cover, "any": paper, "left": cover})
    add_decal(faces, 0, _bar(0.14, 0.66, 0.86, 0.84), title)
    add_decal(faces, 0, _bar(0.14, 0.16, 0.5, 0.52), picture)
    add_decal(faces, 0, _bar(0.0, 0.0, 0.06, 1.0), title)
    return solid(faces)


def _ball(rng: np.random.Generator, width: float) -> Solid:
    """Build a beach ball with wedges of unequal colours."""
    a, b, c = draw_colours(rng, 3)
    radius = width * 0.46
    wedges = [a, a, b, b, a, a, c, c, a, a, b, b]
    bends = np.linspace(-math.pi / 2, math.pi / 2, 7)
    profile = [(radius * math.cos(t), radius + radius * math.sin(t)) for t in bends]
    profile[0], profile[-1] = (0.0, 0.0), (0.0, 2 * radius)
    return solid(lathe(profile, lambda ring, k: c if ring == 5 else wedges[k], segments=len(wedges)))


def _cup(rng: np.random.Generator, width: float) -> Solid:
    """Build a mug: hollow, with a handle on one side and a band."""
    body, band = draw_colours(rng, 2)
    r, h = width * 0.36, width * rng.uniform(0.66, 0.85)
    faces = _hollow(r * rng.uniform(0.8, 1.0), r, h, lambda ring, k: band if ring == 1 and k % 8 < 5 else body, body)
    for t0, t1 in pairwise(np.linspace(-1.2, 1.2, 6)):
        faces += _strap(r * 0.9, h * 0.52, width * 0.22, h * 0.32, t0, t1, width * 0.1, body)
    return solid(faces)


def _bottle(rng: np.random.Generator, width: float) -> Solid:
    """Build a bottle with a cap and a label that goes half way round."""
    glass, label, cap = draw_colours(rng, 3)
    r, h = width * 0.3, width * rng.uniform(1.0, 1.15)
    radii, heights = (1, 1, 1, 0.84, 0.38, 0.38), (0, 0.16, 0.52, 0.64, 0.76, 0.86)
    profile = [(share * r, level * h) for share, level in zip(radii, heights, strict=True)]
    faces = lathe(profile, lambda ring, k: label if ring == 1 and k < 8 else glass, segments=14)
    faces += lathe([(0.46 * r, 0.86 * h), (0.46 * r, h)], lambda ring, k: cap, segments=8)
    return solid([*faces, disc(0.46 * r, h, cap, segments=8)])


def _can(rng: np.random.Generator, width: float) -> Solid:
    """Build a tin with a two-coloured side and a slot across its lid."""
    side, stripe, _ = draw_colours(rng, 3)
    metal = (196, 200, 204)
    r, h = width * 0.38, width * rng.uniform(0.6, 1.0)
    colours = (metal, side, metal)
    profile = [(r, 0), (r, 0.08 * h), (r, 0.9 * h), (r * 0.94, h)]
    faces = lathe(profile, lambda ring, k: stripe if ring == 1 and k % 14 < 4 else colours[ring], segments=14)
    lid = len(faces)
    faces.append(disc(r * 0.94, h, (222, 224, 226), segments=14))
    slot = np.array([(-0.16, 0.0), (0.16, 0.0), (0.16, -0.85), (-0.16, -0.85)]) * r
    faces.append(Face(np.column_stack([slot, np.full(4, h)]), stripe, decal_of=lid))
    return solid(faces)


def _house(rng: np.random.Generator, width: float) -> Solid:
    """Build a toy house: walls, a ridged roof, a door on one side."""
    wall, roof, door = draw_colours(rng, 3)
    w, d, h, ridge = width * 0.84, width * 0.6, width * 0.4, width * 0.75
    faces = box(w, d, h, {"any": wall})[1:]
    add_decal(faces, 0, _bar(0.36, 0.0, 0.64, 0.72), door)
    add_decal(faces, 3, _spot(0.5, 0.5, 0.25), door)
    x, y = w / 2 * 1.06, d / 2 * 1.06
    left, right = (-x, 0, ridge), (x, 0, ridge)
    faces += polygons(roof, [(-x, y, h), (x, y, h), right, left], [(x, -y, h), (-x, -y, h), left, right])
    add_decal(faces, len(faces) - 2, _bar(0.12, 0.0, 0.3, 1.0), door)
    faces += polygons(wall, [(x, y, h), (x, -y, h), right], [(-x, -y, h), (-x, y, h), left])
    return solid(faces)


THINGS: dict[str, Callable[[np.random.Generator, float], Solid]] = {
    "block": _block,
    "book": _book,
    "ball": _ball,
    "cup": _cup,
    "bottle": _bottle,
    "can": _can,
    "house": _house,
}


def _vessel(
    rng: np.random.Generator,
    width: float,
    *,
    base: float,
    heights: tuple[float, float],
    is_band: Callable[[int, int], bool],
) -> Solid:
    """Build a bowl or a bucket: how wide its base is and how high it may be, as shares of its radius and width."""
    body, band = draw_colours(rng, 2)
    r, height = width / 2, width * rng.uniform(*heights)
    return solid(_hollow(base * r, r, height, lambda ring, k: band if is_band(ring, k) else body, body))


def _crate(rng: np.random.Generator, width: float) -> Solid:
    body, label = draw_colours(rng, 2)
    w, d, h, wall = width * 0.96, width * 0.8, width * rng.uniform(0.4, 0.5), width * 0.05
    sides = box(w - 2 * wall, d - 2 * wall, h, {"any": body})[1:]
    faces = [Face(side.points[::-1], _shaded(body, 0.8), inner=True) for side in sides]
    x, y = w / 2 - wall, d / 2 - wall
    faces += polygons(_shaded(body, 0.6), [(-x, y, 0.4), (x, y, 0.4), (x, -y, 0.4), (-x, -y, 0.4)], inner=True)
    outside = len(faces)
    faces += box(w, d, h, {"any": body})[1:]
    add_decal(faces, outside, _bar(0.3, 0.25, 0.7, 0.7), label)
    x, y, pale = w / 2, d / 2, _shaded(body, 1.0, plus=(22, 22, 22))
    for x0, x1, y0, y1 in ((-x, x, y - wall, y), (-x, x, -y, -y + wall), (-x, -x + wall, -y, y), (x - wall, x, -y, y)):
        behind = y1 == -y + wall  # what the crate holds
        faces += polygons(pale, [(x0, y1, h), (x1, y1, h), (x1, y0, h), (x0, y0, h)], inner=behind)
    return solid(faces)


_CONTAINERS = (
    partial(_vessel, base=0.6, heights=(0.36, 0.46), is_band=lambda ring, k: ring == 2),  # a bowl
    partial(_vessel, base=0.82, heights=(0.5, 0.6), is_band=lambda ring, k: k % 4 == 0),  # a bucket
    _crate,
)


def _cloth(rng: np.random.Generator, width: float, height: float) -> Solid:
    a, b = draw_colours(rng, 2)
    r, top = width / 2, height * 1.06
    pattern = [
        lambda i, k: a if k % 4 < 2 else b,
        lambda i, k: a if (i + k // 2) % 2 else b,
        lambda i, k: a if i % 2 else b,
    ]
    profile = [(r * 1.04, 0), (r * 0.96, 0.3 * top), (r * 0.84, 0.62 * top), (r * 0.64, 0.88 * top), (0.0, top)]
    return solid(lathe(profile, pattern[rng.integers(3)], segments=20, ripple=(5, 0.12)))


def _upturned_cup(rng: np.random.Generator, width: float, height: float) -> Solid:
    body, band = draw_colours(rng, 2)
    r = width / 2
    profile = [(r, 0), (r, 0.14 * height), (0.9 * r, 0.6 * height), (0.78 * r, height)]
    faces = lathe(profile, lambda ring, k: band if ring == 0 or (ring == 1 and k % 8 < 2) else body)
    faces.append(disc(0.78 * r, height, body))
    faces.append(Face(disc(0.5 * r, height, band).points, band, decal_of=len(faces) - 1))
    return solid(faces)


def _upturned_box(rng: np.random.Generator, width: float, height: float) -> Solid:
    body, tape = draw_colours(rng, 2)
    faces = box(width * 0.94, width * 0.86, height, {"any": body})
    add_decal(faces, 0, _bar(0.42, 0.0, 0.58, 1.0), tape)
    add_decal(faces, 1, _bar(0.42, 0.6, 0.58, 1.0), tape)
    return solid(faces)


_COVERS = (_cloth, _cloth, _upturned_cup, _upturned_box)


def _hollow(
    r_base: float, r_rim: float, height: float, colour_of: Callable[[int, int], Colour], lining: Colour
) -> list[Face]:
    """Build an open vessel: outside in three rings, inside and floor."""
    mix = [(r_base + (r_rim - r_base) * t, height * t) for t in (0.0, 0.3, 0.7, 1.0)]
    dark, pale = _shaded(lining, 0.8), _shaded(lining, 1.0, plus=(26, 26, 26))
    inside = [(r * 0.9, z) for r, z in (mix[0], mix[-1])]
    faces = [disc(inside[0][0], 0.4, _shaded(lining, 0.6), inner=True)]
    faces += lathe(inside, lambda ring, k: dark, inner=True)
    rim = lathe([(r_rim, height - 0.01), (r_rim * 0.9, height)], lambda ring, k: pale)
    # The rim's far half lies behind what the vessel holds, its near half before it.
    faces += [Face(f.points, f.colour, inner=bool(f.points[:, 1].mean() < 0)) for f in rim]
    return faces + lathe(mix, colour_of)


def _strap(
    x: float, z: float, reach: float, half_height: float, t0: float, t1: float, width: float, colour: Colour
) -> list[Face]:
    """Build a piece of a handle: an arc in the plane of the axis, `width` deep, from angle t0 to t1 (radians)."""
    (x0, z0), (x1, z1) = ((x + reach * math.cos(t), z + half_height * math.sin(t)) for t in (t0, t1))
    (u0, v0), (u1, v1) = ((x + reach * 0.55 * math.cos(t), z + half_height * 0.62 * math.sin(t)) for t in (t0, t1))
    y = width / 2
    return polygons(
        colour,
        [(x0, y, z0), (x0, -y, z0), (x1, -y, z1), (x1, y, z1)],
        [(u0, y, v0), (x0, y, z0), (x1, y, z1), (u1, y, v1)],
        [(x0, -y, z0), (u0, -y, v0), (u1, -y, v1), (x1, -y, z1)],
    )


def _shaded(colour: Colour, gain: float, *, plus: Sequence[int] = (0, 0, 0)) -> Colour:
    """Return `colour` times `gain`, then `plus`, within 0 to 255."""
    return tuple(min(255, max(0, int(level * gain) + more)) for level, more in zip(colour, plus, strict=True))


def _bar(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def _spot(x: float, y: float, radius: float) -> np.ndarray:
    angles = np.arange(10) * (2 * math.pi / 10)
    return np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1)
