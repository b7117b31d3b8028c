"""Solids and their drawing."""

import numpy as np

from w3action.tabletop.mesh import Face, box, solid


def test_positive_yaw_is_clockwise_from_above():
    """A patch at six o'clock goes towards nine o'clock."""
    faces = box(20, 20, 4, {"any": (40, 40, 40)})
    patch = np.array([(-2, 9, 4), (2, 9, 4), (2, 6, 4), (-2, 6, 4)], float)
    marked = solid([*faces, Face(patch, (255, 0, 0), decal_of=0)])

    def red_column(yaw_degrees: float) -> float:
        sprite = marked.render(yaw_degrees=yaw_degrees, elevation=0.8)
        pixels = np.asarray(sprite.image.convert("RGBA"), int)
        return np.argwhere(pixels[..., 0] > 2 * pixels[..., 1] + 40)[:, 1].mean() - sprite.anchor[0]

    assert abs(red_column(0)) < 1
    assert red_column(40) < -4
    assert red_column(-40) > 4
