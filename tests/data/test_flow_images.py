import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from reading import read

from w3action.data import DecodeError, TrainTransform, Video, VideoDataset
from w3action.data.flow_images import _NAMED, find_flow_images


def draw(path, level, size=(40, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, level).save(path)


def level(axis, number):
    return 100 + 2 * number if axis == "x" else 200 - number


LAYOUTS = {
    "names": ("{name}", "{name}/flow_{axis}_{number:05d}.png"),
    "something": ("{name}", "{name}/000123-{axis}_{number:05d}.png"),
    "inside": ("{name}", "{name}/{uv}/frame{number:06d}.png"),
    "beside": ("u/{name}", "{uv}/{name}/frame{number:06d}.png"),
}


@pytest.fixture(params=LAYOUTS)
def folder(request, tmp_path):
    """A video of twelve flows, whose numbers do not sort as text."""
    folder, image = LAYOUTS[request.param]
    for number in range(1, 13):
        for axis, uv in (("x", "u"), ("y", "v")):
            draw(tmp_path / image.format(name="video.1", axis=axis, uv=uv, number=number), level(axis, number))
    return tmp_path / folder.format(name="video.1")


def test_every_layout_gives_the_flows_in_order(folder):
    stored = find_flow_images(Video(path=folder, label=0))
    assert len(stored) == 12
    levels, _ = stored.read(np.arange(12))
    assert levels.shape == (12, 30, 40, 2)
    for place in range(12):
        assert levels[place, 0, 0].tolist() == [level("x", place + 1), level("y", place + 1)]


def test_stacks_of_stored_flow_are_those_of_computed_flow(folder):
    clip = read(folder, lambda n: np.array([[0, 9]]), short_side=15, modality="flow")
    assert clip.frames.shape == (10, 2, 15, 20)
    first = [value for number in range(1, 6) for value in (level("x", number), level("y", number))]
    last = [value for number in (10, 11, 12, 12, 12) for value in (level("x", number), level("y", number))]
    assert clip.frames[:, 0, 0, 0].tolist() == first
    assert clip.frames[:, 1, 0, 0].tolist() == last


def test_frames_beside_the_flow_are_left_alone(tmp_path):
    for number in (1, 2, 3):
        draw(tmp_path / f"img_{number:05d}.jpg", 0)
        draw(tmp_path / f"flow_x_{number:05d}.jpg", 130)
        draw(tmp_path / f"flow_y_{number:05d}.jpg", 140)
    dataset = VideoDataset(
        [Video(path=tmp_path, label=2)],
        sample=lambda n, rng: np.arange(n)[None],
        transform=TrainTransform(size=20, flip_probability=0, modality="flow"),
        modality="flow",
    )
    views = dataset[0, 0].views
    assert views.shape == (1, 10, 3, 20, 20)
    assert torch.allclose(views[:, 0::2] * 255 * 0.226, torch.tensor(2.0), atol=1e-4)
    assert torch.allclose(views[:, 1::2] * 255 * 0.226, torch.tensor(12.0), atol=1e-4)


@given(st.integers(0, 10**6), st.sampled_from("xyXY"), st.sampled_from(["flow_", "7-", "000123-"]))
def test_numbers_are_read_whatever_their_width(number, axis, prefix):
    for text in (f"{prefix}{axis}_{number}.jpg", f"{prefix}{axis}_{number:05d}.PNG"):
        match = _NAMED.fullmatch(text)
        assert (match[1], int(match[2])) == (axis, number)
    assert _NAMED.fullmatch(f"img_{number:05d}.jpg") is None


def test_a_span_in_frames_takes_its_flows(folder):
    stored = find_flow_images(Video(path=folder, label=0, first_frame=3, num_frames=4))
    assert len(stored) == 3
    levels, seconds = stored.read(np.arange(3))
    assert levels[:, 0, 0, 0].tolist() == [level("x", n) for n in (4, 5, 6)]
    assert seconds[0].item() == 0.1
    assert len(find_flow_images(Video(path=folder, label=0, first_frame=3, num_frames=1))) == 1


def test_a_file_and_a_folder_of_frames_hold_no_stored_flow(tmp_path):
    draw(tmp_path / "frames" / "img_00001.jpg", 0)
    assert find_flow_images(Video(path=tmp_path / "frames", label=0)) is None
    assert find_flow_images(Video(path=tmp_path / "gone.mp4", label=0)) is None


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: (path / "flow_y_00002.png").unlink(), r"flow_x_00002\.png has no y image beside it \(1 such\)"),
        (lambda path: (path / "flow_x_00003.png").unlink(), r"flow_y_00003\.png has no x image beside it"),
        (lambda path: (path / "flow_x_00001.png").write_text("no"), r"flow_x_00001\.png: cannot be read as an image"),
        (lambda path: draw(path / "flow_x_00001.png", 1, (9, 9)), "flow images of the sizes 9x9, 40x30"),
    ],
)
def test_damaged_flow_is_named(tmp_path, spoil, message):
    for number in (1, 2, 3):
        for axis in "xy":
            draw(tmp_path / f"flow_{axis}_{number:05d}.png", 128)
    spoil(tmp_path)
    with pytest.raises(DecodeError, match=message):
        read(tmp_path, np.arange, modality="flow")


def test_spans_that_stored_flow_cannot_give_are_named(folder):
    with pytest.raises(DecodeError, match="stored flow has no times; give the span in frames"):
        find_flow_images(Video(path=folder, label=0, start_seconds=0.5))
    with pytest.raises(DecodeError, match="no flow from frame 12 on; it holds 12 flows"):
        find_flow_images(Video(path=folder, label=0, first_frame=12, num_frames=3))
