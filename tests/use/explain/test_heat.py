"""How a mask becomes light on a picture: one scale for the whole clip, and time between frames."""

import numpy as np
import torch

from w3action.use.explain.heat import at_seconds, heat_of, light_up
from w3action.use.explain.masks import range_of


def test_heat_spans_the_clip_and_not_each_frame():
    mask = torch.full((3, 4, 4), 0.90)
    mask[1, 2, 1] = 0.92  # the only event of the clip
    mask[2, 0, 0] = 0.91  # half as loud
    heat = heat_of(mask, range_of(mask), size=64, side=64)
    assert heat[0].max() < 1e-4
    assert heat[1].max() > 0.9
    assert 0.4 < heat[2].max() < 0.6


def test_the_hottest_pixel_is_the_hot_cell():
    mask = torch.zeros(1, 4, 4)
    mask[0, 1, 2] = 1.0
    for side in (64, 256):
        heat = heat_of(mask, range_of(mask), size=64, side=side)[0]
        row, column = divmod(int(heat.argmax()), side)
        assert abs((row + 0.5) * 64 / side - 16.5) < 1  # pixel `stride * i`, see explain/masks.py
        assert abs((column + 0.5) * 64 / side - 32.5) < 1


def test_a_mask_that_varies_by_rounding_alone_is_flat():
    mask = 0.9 + 1e-8 * torch.randn(2, 4, 4)
    assert range_of(mask).is_flat
    assert str(range_of(mask)) == "0.9000 everywhere"
    assert heat_of(mask, range_of(mask), size=64, side=32).unique().tolist() == [0.5]


def test_light_grows_with_heat_and_leaves_the_picture_visible():
    pictures = np.zeros((1, 8, 11, 3), np.uint8)
    pictures[:, 4:] = 200
    lit = light_up(pictures, np.linspace(0, 1, 11, dtype=np.float32)[None, None].repeat(8, 1))
    brightness = lit.astype(float).sum(-1)[0]
    assert (np.diff(brightness, axis=1) > 0).all()
    assert (brightness[4:] > brightness[:4] + 100).all()


def test_masks_are_interpolated_in_time_and_stand_still_beyond_the_ends():
    mask = torch.tensor([0.0, 1.0, 3.0])[:, None, None].expand(3, 2, 2)
    seconds = torch.tensor([0.0, 1.0, 1.5, 2.5, 9.0], dtype=torch.float64)
    between = at_seconds(mask, torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64), seconds)
    assert between[:, 0, 0].tolist() == [0.0, 0.0, 0.5, 2.0, 3.0]


def test_frames_that_a_short_video_repeats_do_no_harm():
    mask = torch.arange(4.0)[:, None, None].expand(4, 2, 2)
    mask_seconds = torch.tensor([0.0, 0.0, 1.0, 1.0], dtype=torch.float64)
    between = at_seconds(mask, mask_seconds, torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64))
    assert between.isfinite().all()
    assert between[1, 0, 0] == 1.5
