import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms.v2.functional import resize

from w3action.data import Clip, TrainTransform, denormalize, normalize
from w3action.data import transforms as transforms_module

TestTransform = transforms_module.TestTransform
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1, 1)


def make_clip(height: int, width: int, num_frames: int = 4, seed: int = 0) -> Clip:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (num_frames, height, width, 3), dtype=torch.uint8, generator=generator)
    return Clip(frames=pixels.permute(3, 0, 1, 2), pts_seconds=torch.arange(num_frames, dtype=torch.float64))


def coordinate_clip(height: int, width: int) -> Clip:
    """Red is the column, green the row, blue the frame."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    frames = torch.stack([torch.stack([columns, rows, torch.full_like(rows, t)]) for t in range(3)], dim=1)
    return Clip(frames=frames.to(torch.uint8), pts_seconds=torch.arange(3, dtype=torch.float64))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


class TestNormalize:
    def test_formula(self):
        clip = make_clip(6, 8)
        expected = (clip.frames.float() / 255 - MEAN) / STD
        torch.testing.assert_close(normalize(clip.frames), expected, atol=1e-6, rtol=1e-6)
        assert normalize(clip.frames).is_contiguous()

    def test_input_is_left_alone(self):
        clip = make_clip(6, 8)
        floats = clip.frames.float()
        kept = floats.clone()
        normalize(floats)
        assert torch.equal(floats, kept)

    def test_denormalize_is_the_inverse(self):
        frames = make_clip(6, 8).frames
        assert torch.equal(denormalize(normalize(frames)), frames)
        assert torch.equal(denormalize(normalize(frames[None])), frames[None])


class TestTrain:
    @given(
        width=st.integers(20, 400),
        height=st.integers(20, 400),
        size=st.sampled_from([16, 112, 224]),
        seed=st.integers(0, 2**31),
    )
    def test_crop_is_one_of_the_listed_ones(self, width, height, size, seed):
        scales = (1, 0.875, 0.75, 0.66)
        x, y, w, h = TrainTransform(size=size).draw_crop(width, height, rng=rng(seed))
        base = min(width, height)
        sides = [int(base * scale) for scale in scales]
        sides = [min(size, base) if abs(side - size) < 3 else side for side in sides]
        assert any(w == sides[i] and h == sides[j] for i in range(4) for j in range(4) if abs(i - j) <= 1)
        qx, qy = (width - w) // 4, (height - h) // 4
        places = [(0, 0), (4, 0), (0, 4), (4, 4), (2, 2), (0, 2), (4, 2), (2, 4), (2, 0)]
        places += [(1, 1), (3, 1), (1, 3), (3, 3)]
        assert (x, y) in [(i * qx, j * qy) for i, j in places]
        assert x >= 0
        assert y >= 0
        assert x + w <= width
        assert y + h <= height

    def test_all_crops_are_drawn(self):
        transform, generator = TrainTransform(size=112), rng()
        drawn = {transform.draw_crop(340, 256, rng=generator) for _ in range(5000)}
        assert len({(w, h) for _, _, w, h in drawn}) == 10  # 4 squares and 6 neighbouring pairs
        full_height = {(x, y) for x, y, w, h in drawn if (w, h) == (192, 192)}
        assert len(full_height) == 13

    def test_a_side_close_to_the_size_is_taken_as_the_size(self):
        crops = {TrainTransform(size=126, scales=(1,)).draw_crop(170, 128, rng=rng(seed))[2:] for seed in range(9)}
        assert crops == {(126, 126)}

    def test_shape_and_determinism(self):
        clip, transform = make_clip(96, 128), TrainTransform(size=32, color_jitter=0.4)
        views, flipped = transform(clip, rng(3))
        again, flipped_again = transform(clip, rng(3))
        assert tuple(views.shape) == (1, 3, 4, 32, 32)
        assert views.dtype == torch.float32
        assert torch.equal(views, again)
        assert flipped == flipped_again

    def test_the_crop_is_that_region_resized_the_same_for_all_frames(self):
        clip = coordinate_clip(96, 128)
        transform = TrainTransform(size=32, flip_probability=0)
        for seed in range(20):
            x, y, w, h = transform.draw_crop(128, 96, rng=rng(seed))
            pixels = denormalize(transform(clip, rng(seed))[0])[0].float()  # (3, t, 32, 32)
            assert pixels[0].mean().item() == pytest.approx(x + (w - 1) / 2, abs=1)
            assert pixels[1].mean().item() == pytest.approx(y + (h - 1) / 2, abs=1)
            assert (pixels[0, :, 0, -1] - pixels[0, :, 0, 0]).mean().item() == pytest.approx(w, abs=w / 8)
            assert torch.equal(pixels[:2, 0], pixels[:2, 2])
            assert pixels[2].mean(dim=(1, 2)).tolist() == [0, 1, 2]

    @pytest.mark.parametrize("size", [20, 32, 50])
    def test_resizing_is_that_of_torchvision(self, size):
        clip = make_clip(40, 56)
        expected = resize(clip.frames.transpose(0, 1)[..., 8:48], [size, size], antialias=True).transpose(0, 1)
        transform = TrainTransform(size=size, scales=(1.0,), flip_probability=0)
        transform.draw_crop = lambda *shape, rng: (8, 0, 40, 40)
        assert torch.equal(denormalize(transform(clip, rng())[0])[0], expected)

    def test_a_crop_of_the_size_is_not_resampled(self):
        clip = make_clip(32, 32)
        views, _ = TrainTransform(size=32, scales=(1,), flip_probability=0)(clip, rng())
        assert torch.equal(denormalize(views)[0], clip.frames)

    def test_flip_mirrors_and_says_so(self):
        clip = make_clip(32, 32)
        views, flipped = TrainTransform(size=32, scales=(1,), flip_probability=1)(clip, rng())
        assert flipped is True
        assert torch.equal(denormalize(views)[0], clip.frames.flip(-1))
        flips = [TrainTransform(size=8, flip_probability=0.25)(clip, rng(seed))[1] for seed in range(400)]
        assert 70 < sum(flips) < 130

    def test_jitter_is_the_same_for_all_frames_and_changes_colours(self):
        frame = make_clip(32, 32, num_frames=1).frames
        clip = Clip(frames=frame.repeat(1, 3, 1, 1), pts_seconds=torch.zeros(3))
        plain = TrainTransform(size=32, scales=(1,), flip_probability=0)(clip, rng(1))[0]
        jittered = TrainTransform(size=32, scales=(1,), flip_probability=0, color_jitter=0.5)(clip, rng(1))[0]
        assert torch.equal(jittered[:, :, 0], jittered[:, :, 2])
        assert (jittered - plain).abs().mean() > 0.05

    def test_jitter_factors(self):
        frames = make_clip(8, 8).frames
        same = transforms_module._jitter(frames, 1.0, 1.0, 1.0)
        torch.testing.assert_close(same, frames.float())
        black = transforms_module._jitter(frames, 0.0, 1.0, 1.0)
        assert black.abs().max() == 0
        flat = transforms_module._jitter(frames, 1.0, 0.0, 1.0)
        assert flat.max() - flat.min() < 1e-3
        gray = transforms_module._jitter(frames, 1.0, 1.0, 0.0)
        torch.testing.assert_close(gray[0], gray[2])

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"size": 0}, "size is 0 pixels but must be at least 1"),
            ({"scales": ()}, "scales are"),
            ({"scales": (1.0, 1.5)}, r"scales are \(1.0, 1.5\) but must lie in \(0, 1\]"),
            ({"flip_probability": 1.5}, "flip_probability is 1.5"),
            ({"color_jitter": -0.1}, "color_jitter is -0.1"),
        ],
    )
    def test_errors(self, change, message):
        with pytest.raises(ValueError, match=message):
            TrainTransform(**{"size": 8, **change})


class TestTest:
    def test_center(self):
        clip = coordinate_clip(60, 80)
        views, flipped = TestTransform(size=50, resize=60)(clip)
        assert flipped is False
        assert tuple(views.shape) == (1, 3, 3, 50, 50)
        assert torch.equal(denormalize(views)[0], clip.frames[..., 5:55, 15:65])

    @pytest.mark.parametrize("portrait", [False, True])
    def test_full(self, portrait):
        clip = coordinate_clip(80, 60) if portrait else coordinate_clip(60, 80)
        transform = TestTransform(size=50, resize=60, crops="full")
        views = denormalize(transform(clip)[0])
        assert transform.num_views == 3
        assert transform.flipped == (False,) * 3
        for view, start in zip(views, (0, 10, 20), strict=True):
            part = slice(start, start + 60)
            assert torch.equal(view, clip.frames[..., part, :] if portrait else clip.frames[..., part])

    def test_ten(self):
        clip = coordinate_clip(60, 80)
        transform = TestTransform(size=50, resize=60, crops="ten")
        views = denormalize(transform(clip)[0])
        assert transform.num_views == len(views) == 10
        assert transform.flipped == (False,) * 5 + (True,) * 5
        corners = [(0, 0), (30, 0), (0, 10), (30, 10), (15, 5)]
        for view, mirrored, (x, y) in zip(views[:5], views[5:], corners, strict=True):
            assert torch.equal(view, clip.frames[..., y : y + 50, x : x + 50])
            assert torch.equal(mirrored, view.flip(-1))

    @pytest.mark.parametrize(("height", "width"), [(120, 160), (30, 40), (161, 120)])
    def test_the_shorter_side_is_resized(self, height, width):
        clip = coordinate_clip(height, width)
        pixels = denormalize(TestTransform(size=60, resize=60, crops="full")(clip)[0])
        assert tuple(pixels.shape) == (3, 3, 3, 60, 60)
        first, last = pixels[0].float(), pixels[2].float()
        assert first[0, 0, 0, 0] <= 2
        assert last[0, 0, 0, -1] >= width - 3
        assert last[1, 0, -1, 0] >= height - 3

    def test_random_numbers_are_accepted_and_not_used(self):
        clip, transform = make_clip(60, 80), TestTransform(size=50, resize=60)
        assert torch.equal(transform(clip, rng(1))[0], transform(clip)[0])

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"size": 80}, "size is 80 but must be at most resize, 60"),
            ({"resize": 0}, "resize is 0 pixels"),
        ],
    )
    def test_errors(self, change, message):
        with pytest.raises(ValueError, match=message):
            TestTransform(**{"size": 50, "resize": 60, **change})
