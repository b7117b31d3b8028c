import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_videos import draw_frame, read_numbers
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from reading import decode, decode_folder, read

from w3action.data import DecodeError, FrameCache, Video
from w3action.data.frame_folder import list_images, natural_key

SIZE = (128, 96)


def draw_folder(folder: Path, names: list[str], **options) -> Path:
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        Image.fromarray(draw_frame(number, *SIZE)).save(folder / name, **options)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    names = [f"img_{number:05d}.jpg" for number in range(1, 31)]
    return draw_folder(tmp_path_factory.mktemp("frames") / "video", names, quality=90)


def error_of(folder: Path, pick=np.arange, **options) -> str:
    with pytest.raises(DecodeError) as error:
        decode_folder(folder, pick, **options)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_frames_come_as_asked_for(folder):
    seen = []
    clip = decode_folder(folder, lambda count: seen.append(count) or np.array([[29, 0], [7, 7]]), fps=10)
    assert seen == [30]
    assert read_numbers(clip.frames) == [29, 0, 7, 7]
    assert clip.pts_seconds.tolist() == pytest.approx([2.9, 0, 0.7, 0.7])


def test_pixels_are_pillow_s(tmp_path):
    # With colours as dense as brightness: how sparse ones are spread between the pixels differs.
    folder = draw_folder(tmp_path / "video", ["1.jpg", "2.jpg"], subsampling=0)
    plain = [np.asarray(Image.open(folder / f"{number}.jpg")) for number in (1, 2)]
    expected = torch.from_numpy(np.stack(plain)).permute(3, 0, 1, 2)
    difference = decode_folder(folder, np.arange).frames.float() - expected.float()
    assert difference.abs().mean() < 1
    assert difference.abs().max() < 8


def test_an_image_with_bytes_behind_it_is_read(tmp_path):
    folder = draw_folder(tmp_path / "video", ["1.jpg"])
    (folder / "1.jpg").write_bytes((folder / "1.jpg").read_bytes() + bytes(100))
    assert read_numbers(decode_folder(folder, np.arange).frames) == [0]


def test_a_span_of_frames(folder):
    span = decode_folder(folder, np.arange, first_frame=10, num_frames=5)
    assert read_numbers(span.frames) == list(range(10, 15))
    assert span.pts_seconds[0] == pytest.approx(10 / 30)
    assert read_numbers(decode_folder(folder, np.arange, first_frame=27, num_frames=9).frames) == [27, 28, 29]
    assert read_numbers(decode_folder(folder, np.arange, num_frames=2).frames) == [0, 1]
    assert read_numbers(decode_folder(folder, np.arange, first_frame=28).frames) == [28, 29]


def test_scaling_is_that_of_videos(folder, draw_video):
    video = draw_video("lossless.mkv", codec="ffv1", num_frames=30)
    of_file, of_folder = (
        give(path, np.arange, short_side=48) for give, path in ((decode, video), (decode_folder, folder))
    )
    assert of_file.frames.shape == of_folder.frames.shape == (3, 30, 48, 64)
    assert of_file.frames.stride() == of_folder.frames.stride()
    difference = of_file.frames.float() - of_folder.frames.float()
    assert difference.abs().mean() < 3  # one was compressed
    assert difference.mean().abs() < 2


@pytest.mark.parametrize(
    "names",
    [
        ["1.jpg", "2.jpg", "9.jpg", "10.jpg", "100.jpg"],
        ["frame_000008.png", "frame_000009.png", "frame_000010.png"],
        ["a1b2.jpeg", "a1b10.jpeg", "a2b1.jpeg"],
        ["IMG-1.JPG", "img-2.jpg", "IMG-10.JPG"],
        ["00001.jpg", "00002.jpg", "00004.jpg"],
    ],
)
def test_order_of_names(tmp_path, names):
    folder = draw_folder(tmp_path / "video", names)
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.jpg").write_text("no image")
    (folder / "flow_x_00001.jpg").write_text("another stream")
    assert list(list_images(folder)) == names
    assert [list_images(folder)[place] for place in range(len(names))] == names
    assert list(list_images(folder)[-2:]) == names[-2:]
    assert read_numbers(decode_folder(folder, np.arange).frames) == list(range(len(names)))


@given(st.integers(0, 999), st.integers(1, 60), st.integers(1, 6), st.sampled_from(["", "img_", "a1_"]))
def test_numbers_that_grow_by_one_are_in_order(first, count, width, prefix):
    names = [f"{prefix}{number:0{width}d}.jpg" for number in range(first, first + count)]
    assert sorted(names, key=natural_key) == names


def test_a_folder_that_changes_is_listed_anew(tmp_path):
    folder = draw_folder(tmp_path / "video", ["1.jpg", "2.jpg"])
    assert len(list_images(folder)) == 2
    shutil.copy(folder / "2.jpg", folder / "3.jpg")
    assert list(list_images(folder)) == ["1.jpg", "2.jpg", "3.jpg"]


@pytest.mark.parametrize(
    ("mode", "name", "options"),
    [
        ("L", "1.jpg", {}),
        ("RGB", "1.jpg", {"progressive": True}),
        ("CMYK", "1.jpg", {}),
        ("RGB", "1.png", {}),
        ("RGBA", "1.png", {}),
        ("P", "1.png", {}),
        ("L", "1.png", {}),
    ],
)
def test_kinds_of_images(tmp_path, mode, name, options):
    image = Image.fromarray(draw_frame(0b10100101, *SIZE)).convert(mode)
    image.save(tmp_path / name, **options)
    clip = decode_folder(tmp_path, np.arange)
    assert read_numbers(clip.frames) == [0b10100101]
    expected = torch.from_numpy(np.asarray(Image.open(tmp_path / name).convert("RGB")).copy()).permute(2, 0, 1)
    assert (clip.frames[:, 0].float() - expected.float()).abs().mean() < 3


def test_a_misnamed_image_is_read_by_what_it_holds(tmp_path):
    Image.fromarray(draw_frame(5, *SIZE)).save(tmp_path / "real.png")
    (tmp_path / "real.png").rename(tmp_path / "1.jpg")
    assert read_numbers(decode_folder(tmp_path, np.arange).frames) == [5]


def test_orientation_is_ignored(tmp_path):
    tags = Image.Exif()
    tags[0x0112] = 6  # shown turned by a quarter
    Image.fromarray(draw_frame(5, *SIZE)).save(tmp_path / "1.jpg", exif=tags)
    assert decode_folder(tmp_path, np.arange).frames.shape == (3, 1, 96, 128)


class TestErrors:
    def test_folders(self, tmp_path):
        assert "cannot be read as a folder of images" in error_of(tmp_path / "gone")
        (tmp_path / "notes.txt").touch()
        assert "holds no image; a folder that stands for a video holds .jpg or .png" in error_of(tmp_path)

    def test_spans(self, folder):
        assert "no frame lies in [frame 30, 40); the folder holds 30" in error_of(folder, first_frame=30, num_frames=10)
        assert "num_frames must be at least 1" in error_of(folder, num_frames=0)
        assert "a folder of images knows no times" in error_of(folder, start_seconds=0.5)

    def test_picks(self, folder):
        with pytest.raises(ValueError, match=r"indices are \[30\] of 30"):
            decode_folder(folder, lambda count: [count])
        with pytest.raises(ValueError, match=r"indices are \[\] of 30"):
            decode_folder(folder, lambda _: [])
        with pytest.raises(ValueError, match="short_side is 0 pixels"):
            decode_folder(folder, np.arange, short_side=0)

    @pytest.mark.parametrize("share", [0, 0.02, 0.3, 0.6, 0.9, 0.99])
    @pytest.mark.parametrize("suffix", [".jpg", ".png"])
    def test_images_cut_off(self, tmp_path, suffix, share):
        folder = draw_folder(tmp_path / "video", [f"1{suffix}", f"2{suffix}"])
        data = (folder / f"2{suffix}").read_bytes()
        (folder / f"2{suffix}").write_bytes(data[: int(len(data) * share)])
        assert read_numbers(decode_folder(folder, lambda _: [0]).frames) == [0]  # the other one is not opened
        assert f"2{suffix}: no readable image" in error_of(folder)

    def test_no_images(self, tmp_path):
        folder = draw_folder(tmp_path / "video", ["1.jpg"])
        (folder / "2.jpg").write_text("this is no image")
        assert "2.jpg: no readable image" in error_of(folder)
        (folder / "2.jpg").unlink()
        (folder / "2.jpg").mkdir()
        assert "2.jpg: cannot be read" in error_of(folder)


class TestAsAVideo:
    def test_entries_of_a_manifest(self, folder):
        cache = FrameCache(1 << 24)
        clips = [
            read(
                Video(path=folder, label=0, first_frame=first, num_frames=3), np.arange, short_side=48, cache=cache
            ).frames
            for first in (0, 4)
        ]
        assert [read_numbers(clip) for clip in clips] == [[0, 1, 2], [4, 5, 6]]
        assert len(cache) == 2

    def test_real_frames_equal_their_video(self, shared_dir):
        folder = shared_dir / "data/hand_motion/frames_sample/hm_jack_A_0012_48"
        clip = decode_folder(folder, np.arange, short_side=112)
        video = decode(shared_dir / "data/hand_motion/clips/hm_jack_A_0012_48.mp4", np.arange, short_side=112)
        assert clip.frames.shape == video.frames.shape == (3, 48, 112, 112)
        assert (clip.frames.float() - video.frames.float()).abs().mean() < 8  # both were compressed, apart
