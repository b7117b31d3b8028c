"""What stands still behind the action: wall, table top, side edge with the floor beyond, clutter and light.

Textures are functions of table coordinates, evaluated per pixel through the stage's perspective. The picture is larger
than the image by `MARGIN` on every side, so that a shaking camera can crop it anywhere.
"""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from w3action.tabletop.sprite import paste_sprite
from w3action.tabletop.stage import CENTRE_X, SIZE, UNIT_Y, Light, Stage
from w3action.tabletop.things import draw_colours, draw_thing

MARGIN = 3  # pixels
_FINE = 2  # textures are evaluated at this many points a pixel each way, then averaged
_PHASES = 2  # the backdrop is kept at this many sub-pixel shifts each way: shaking then costs a crop

_WOODS = ((176, 146, 114), (150, 118, 88), (204, 182, 150), (104, 84, 68), (214, 202, 182))
_PLAINS = ((196, 200, 202), (120, 136, 146), (226, 220, 206), (92, 100, 96), (164, 178, 160), (170, 150, 158))
_WALLS = ((206, 202, 190), (150, 164, 176), (180, 166, 150), (124, 132, 120), (220, 214, 214), (108, 112, 128))


@dataclass(frozen=True)
class Backdrop:
    """The still picture at each sub-pixel phase, and where the floor (not the table) shows."""

    pictures: dict[tuple[int, int], Image.Image]  # (phase x, phase y) -> RGB, SIZE + 2 MARGIN wide
    floor: Image.Image | None  # L, same size: bright where things show that have dropped behind the table's edge

    def crop(self, dx: float, dy: float) -> tuple[Image.Image, Image.Image | None, float, float]:
        """Shift the scene by about (dx, dy) pixels: (frame, floor mask, the exact shift).

        Shifts are rounded to half a pixel and must stay within `MARGIN` - 1.
        """
        px, py = round(dx * _PHASES), round(dy * _PHASES)
        (ix, fx), (iy, fy) = divmod(px, _PHASES), divmod(py, _PHASES)
        corner = (MARGIN - ix, MARGIN - iy)
        box = (*corner, corner[0] + SIZE, corner[1] + SIZE)
        floor = None if self.floor is None else self.floor.crop(box)
        return self.pictures[fx, fy].crop(box), floor, px / _PHASES, py / _PHASES


def draw_backdrop(rng: np.random.Generator, stage: Stage, light: Light) -> Backdrop:
    """Draw a random room for `stage`."""
    full = SIZE + 2 * MARGIN
    steps = ((np.arange(full * _FINE) + 0.5) / _FINE - MARGIN).astype(np.float32)
    x, y = np.meshgrid(steps, steps)  # screen pixels, (_FINE * full, _FINE * full)
    wall_rows = int(np.searchsorted(steps, stage.back))
    colour = np.empty((*x.shape, 3), np.float32)
    colour[:wall_rows] = _wall(rng, x[:wall_rows], y[:wall_rows], stage)
    colour[wall_rows:] = _table_top(rng, x[wall_rows:], y[wall_rows:], stage)
    colour[wall_rows - 1 : wall_rows + 1] *= 0.6  # a dark seam
    floor = None if stage.edge is None else _lay_floor(rng, colour, x, y, stage)
    picture = Image.fromarray(np.clip(colour, 0, 255).astype(np.uint8))
    _flat_clutter(rng, picture, stage)
    grain = rng.standard_normal((full, full, 1), np.float32) * np.float32(rng.uniform(1.0, 5.0))
    picture = Image.fromarray(np.clip(np.asarray(picture.reduce(_FINE)) + grain, 0, 255).astype(np.uint8))
    _things_at_the_back(rng, picture, stage)
    picture = picture.point([level for table in light.tables for level in table])
    pictures = {(i, j): _shifted(picture, i / _PHASES, j / _PHASES) for i in range(_PHASES) for j in range(_PHASES)}
    return Backdrop(pictures, floor)


def _shifted(picture: Image.Image, dx: float, dy: float) -> Image.Image:
    if dx == 0 and dy == 0:
        return picture
    return picture.transform(picture.size, Image.Transform.AFFINE, (1, 0, -dx, 0, 1, -dy), Image.Resampling.BILINEAR)


def _pick(rng: np.random.Generator, colours: tuple) -> np.ndarray:
    return np.array(colours[rng.integers(len(colours))], np.float32)


def _pick_vivid(rng: np.random.Generator) -> np.ndarray:
    return np.array(draw_colours(rng, 1)[0], np.float32)


def _table_top(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, stage: Stage) -> np.ndarray:
    """Colour the table at (h, w) places of the screen: (h, w, 3)."""
    near, depth = np.maximum(stage.scale(y), np.float32(0.2)), np.float32((UNIT_Y - stage.horizon) / stage.lying)
    texture = _texture(rng, (x - CENTRE_X) / near, depth / near)
    shade = 0.86 + 0.14 * (y[:, :1] - stage.back) / (SIZE - stage.back)  # light falls off towards the wall
    return texture * shade[..., None]


def _texture(rng: np.random.Generator, across: np.ndarray, away: np.ndarray) -> np.ndarray:
    """Colour the table at (h, w) places of it, in scene units to the right and away: (h, w, 3)."""
    kind = rng.choice(["planks", "long planks", "checks", "stripes", "speckles", "plain"])
    wood, plain, cloth = _pick(rng, _WOODS), _pick(rng, _PLAINS), _pick_vivid(rng)
    if kind in ("planks", "long planks"):
        run, side = (across, away) if kind == "planks" else (away, across)
        width = rng.uniform(16, 30)
        plank = np.floor(side / width + rng.random())
        tone = 1 + 0.07 * np.sin(plank * 12.9898 + rng.uniform(0, 6))
        wave = side * rng.uniform(1.2, 2.2) + 2.2 * np.sin(run * 0.045 + plank * 2.4)
        fibre = 1 + 0.035 * np.sin(wave) + 0.02 * np.sin(2.7 * wave + run * 0.1)
        gap = np.where(np.mod(side / width + 1e-3, 1.0) < 0.045, np.float32(0.72), np.float32(1.0))
        return wood * (tone * fibre * gap)[..., None]
    if kind == "checks":
        size = rng.uniform(9, 18)
        weave = (np.mod(np.floor(across / size), 2) + np.mod(np.floor(away / size), 2)) / 2
        white = np.array((232, 228, 218), np.float32)
        return white + weave[..., None] * (cloth * 0.25 + 150 - white)
    if kind == "stripes":
        turn, size = rng.uniform(0, math.pi), rng.uniform(9, 22)
        wave = np.sin((across * math.cos(turn) + away * math.sin(turn)) * (2 * math.pi / size))
        band = np.clip(wave * 4 - rng.uniform(-1, 2), 0, 1)
        return plain + band[..., None] * (cloth - plain) * 0.18
    if kind == "speckles":
        blotches = Image.fromarray(rng.integers(0, 256, (30, 40), np.uint8))
        blotches = blotches.resize(across.shape[::-1], Image.Resampling.BICUBIC)
        return plain * (0.86 + 0.24 / 255 * np.asarray(blotches, np.float32))[..., None]
    return plain * (1 + 0.05 * np.sin(across / 37))[..., None]


def _wall(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, stage: Stage) -> np.ndarray:
    """Colour the wall, now and then papered or with a picture: (h, w, 3)."""
    wall = _pick(rng, _WALLS) * (0.8 + 0.15 * y / stage.back)[..., None]
    if rng.random() < 0.4:
        wall *= np.where(np.sin(x * rng.uniform(0.3, 0.9)) > 0, np.float32(1.0), np.float32(0.93))[..., None]
    for _ in range(rng.integers(0, 3)):  # pictures, a window's corner
        left, width = rng.uniform(-10, SIZE), rng.uniform(10, 34)
        low = stage.back - rng.uniform(3, 9)
        paint = _pick_vivid(rng)
        columns, rows = np.abs(x[0] - left - width / 2), y[:, 0]
        inside = np.ix_(rows < low, columns < width / 2)
        wall[inside] = wall[inside] * 0.65 + paint * 0.3
        frame = (np.abs(columns - width / 2 + 0.75) < 0.75)[None] | (np.abs(rows - low + 0.75) < 0.75)[:, None]
        wall[frame & (rows < low)[:, None] & (columns < width / 2)[None]] *= 0.6
    return wall


def _lay_floor(rng: np.random.Generator, colour: np.ndarray, x: np.ndarray, y: np.ndarray, stage: Stage) -> Image.Image:
    """Colour the floor beyond the table's side edge, in place, and return where it shows, as `Backdrop.floor`."""
    beyond, on_level = x - stage.edge_x(y), y >= stage.back  # pixels right of the edge; below the wall
    outside = (beyond > 0) & on_level
    ground = _pick(rng, _PLAINS) * np.float32(rng.uniform(0.3, 0.5))
    seams = np.where(np.sin((y + x * 0.2) * np.float32(rng.uniform(0.15, 0.4))) > 0.92, 0.85, 1.0)
    dim = seams * (1 - 0.4 * np.exp(-np.clip(beyond, 0, None) / 5))
    colour[outside] = ground * dim[outside][:, None]
    colour[(np.abs(beyond) < 0.9) & on_level] *= 0.7
    return Image.fromarray((outside * 255).astype(np.uint8)).reduce(_FINE)


def _flat_clutter(rng: np.random.Generator, picture: Image.Image, stage: Stage) -> None:
    """Draw papers, pens and plates on the table, in place, into a picture of _FINE pixels a pixel."""
    pen = ImageDraw.Draw(picture, "RGBA")

    def at(x: float, y: float) -> tuple[float, float]:
        return (x + MARGIN) * _FINE, (y + MARGIN) * _FINE

    def ellipse(x: float, y: float, w: float, h: float, fill: tuple[int, ...]) -> None:
        pen.ellipse((*at(x - w, y - h), *at(x + w, y + h)), fill=fill)

    right = float(SIZE if stage.edge is None else stage.edge_x(UNIT_Y) - 14)
    for _ in range(rng.integers(0, 3)):
        x, y = float(rng.uniform(0, right)), float(rng.uniform(stage.back + 8, SIZE))
        s = float(stage.scale(y))
        kind, tone = rng.integers(3), draw_colours(rng, 1)[0]
        turn = rng.uniform(0, math.pi)
        ahead = np.array([math.cos(turn), math.sin(turn) * stage.lying]) * s
        aside = np.array([-math.sin(turn), math.cos(turn) * stage.lying]) * s
        if kind == 0:  # a sheet of paper with lines of text
            long, short = ahead * rng.uniform(8, 13), aside * rng.uniform(6, 9)
            corners = [long * a + short * b for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
            pen.polygon([at(x + c[0], y + c[1]) for c in corners], fill=(236, 234, 226, 235))
            for row in np.linspace(-0.6, 0.6, 4):
                a, b = short * row - long * 0.75, short * row + long * 0.7
                pen.line([at(x + a[0], y + a[1]), at(x + b[0], y + b[1])], fill=(150, 150, 156, 200))
        elif kind == 1:  # a pen
            a = ahead * rng.uniform(6, 10)
            for drop, fill in ((1.2, (30, 24, 20, 90)), (0.0, (*tone, 255))):
                pen.line([at(x - a[0], y - a[1] + drop), at(x + a[0], y + a[1] + drop)], fill=fill, width=4)
        else:  # a plate or a coaster
            r = float(rng.uniform(5, 10)) * s
            ellipse(x, y + 1, r, r * stage.lying, (30, 24, 20, 70))
            ellipse(x, y, r, r * stage.lying, (228, 226, 220, 255))
            ellipse(x, y, 0.7 * r, 0.7 * r * stage.lying, (*tone, 255))


def _things_at_the_back(rng: np.random.Generator, picture: Image.Image, stage: Stage) -> None:
    """Draw up to two small things along the wall, which never move."""
    for _ in range(rng.integers(0, 3)):
        y = stage.back + rng.uniform(2, 5)
        x = rng.uniform(0, min(SIZE, float(stage.edge_x(y)) - 6))
        thing = draw_thing(rng, rng.uniform(9, 13)).faded(0.5)
        s = float(stage.scale(y))
        sprite = thing.render(yaw_degrees=rng.uniform(0, 360), elevation=stage.elevation)
        paste_sprite(picture, sprite, x + MARGIN, y + MARGIN - thing.height / 2 * stage.upright * s, scale=s)
