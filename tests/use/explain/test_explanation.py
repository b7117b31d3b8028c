"""A checkpoint and a video -> the explanation's folder. Videos are drawn; masks of known places patched in."""

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from reading import decode

from w3action.clip_format import ClipFormat
from w3action.data import TestTransform, denormalize, sampling
from w3action.evaluate.protocols import center_clip
from w3action.layers import Masks
from w3action.models import Features, create_model
from w3action.runs.checkpoint import Checkpoint
from w3action.use.explain import FILES, explain, heat, pictures
from w3action.use.explain.film import FOOTER_PIXELS, GAP_PIXELS

CLASSES = ("down", "still & <b>quiet</b>", "$up$")


@pytest.fixture(autouse=True)
def _small_pictures(monkeypatch):
    monkeypatch.setattr(pictures, "DPI", 40)  # most of these tests' time would go into PNG files


@pytest.fixture
def _no_pictures(monkeypatch):
    """For tests of the rest: three empty files in the pictures' place."""
    for name in ("strip", "when", "what"):
        monkeypatch.setattr(pictures, f"draw_{name}", lambda found, *_, file=f"{name}.png": found.files[file].touch())


def draw_video(path: Path, *, width: int, height: int, num_frames: int = 12, fps: int = 6, square=None) -> Path:
    """Noise of mean 60 that stands still; `square(i)` is the top left corner of a white square of 20 in frame i."""
    noise = np.random.default_rng(0).integers(20, 100, (height // 4 + 1, width // 4 + 1, 3))
    noise = noise.repeat(4, 0).repeat(4, 1)[:height, :width].astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": "4", "preset": "ultrafast"}
        for i in range(num_frames):
            picture = noise.copy()
            if square is not None:
                x, y = square(i)
                picture[y : y + 20, x : x + 20] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def make_checkpoint(attention: str | None = "w3", *, size=64, resize=72, num_frames=4, classes=CLASSES, **options):
    torch.manual_seed(0)
    model = create_model("tsm_small", num_classes=len(classes), attention=attention, attention_options=options).eval()
    torch.nn.init.normal_(model.head.fc.weight, std=0.5)
    return Checkpoint(model, classes, ClipFormat(num_frames, size, resize), Path("runs/a/model.safetensors"), "0" * 64)


def look_at_bright_places(checkpoint: Checkpoint) -> Checkpoint:
    """Patch in spatial masks that are the picture's brightness, pooled about the cells' centres."""
    model = checkpoint.model
    forward_features = model.forward_features

    def patched(clips: torch.Tensor) -> Features:
        old = forward_features(clips)
        light = clips.mean(dim=1)
        masks = []
        for stage in old.masks:
            stride = clips.shape[-1] // stage[-1].spatial.shape[-1]
            pooled = F.avg_pool2d(light, stride + 1, stride, stride // 2, count_include_pad=False)
            masks.append([Masks(stage[-1].channel, 0.9 + 0.01 * pooled)])
        return Features(old.maps, masks)

    model.forward_features = patched
    return checkpoint


def read_film(path: Path) -> tuple[np.ndarray, av.VideoStream]:
    with av.open(str(path)) as container:
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
        return frames, container.streams.video[0]


def halves(film: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The plain and the lit pictures of a film, as floats."""
    side = (film.shape[2] - GAP_PIXELS) // 2
    return film[:, :side, :side].astype(float), film[:, :side, side + GAP_PIXELS :].astype(float)


def centre_of(weights: np.ndarray) -> tuple[float, float]:
    weights = weights / weights.sum()
    return float(weights.sum(1) @ np.arange(len(weights))), float(weights.sum(0) @ np.arange(weights.shape[1]))


@pytest.mark.usefixtures("_no_pictures")
@pytest.mark.parametrize(
    ("width", "height", "start"), [(160, 80, (50, 20)), (80, 160, (20, 50)), (96, 96, (16, 20))], ids=str
)
def test_the_heat_lies_on_what_the_network_saw(tmp_path, width, height, start):
    """A white square moves by 6 pixels a frame; the network looks at bright places, and so must the film's light."""
    video = draw_video(
        tmp_path / "square.mp4",
        width=width,
        height=height,
        num_frames=6,
        square=lambda i: (start[0] + 6 * i, start[1]),
    )
    found = explain(look_at_bright_places(make_checkpoint(num_frames=6)), video, out=tmp_path / "out")
    plain, lit = halves(read_film(found.files["overlay.mp4"])[0])
    side, scale = plain.shape[1], plain.shape[1] / (min(width, height) * 64 / 72)  # film pixels a video pixel
    for i in (0, 2, 5):
        square = centre_of(plain[i].mean(-1) > 200)
        warm = lit[i][..., 0] - lit[i][..., 2]  # inferno's red grows to its bright end, grey has none
        hot = centre_of(np.clip(warm - 0.6 * warm.max(), 0, None))
        assert hot == pytest.approx(square, abs=0.06 * side)
        expected = [  # of the square's middle in the crop: the picture is the crop and nothing else
            side / 2 + scale * (corner + 10 - length / 2)
            for corner, length in ((start[1], height), (start[0] + 6 * i, width))
        ]
        assert square == pytest.approx(expected, abs=2.5)


def test_the_pictures_are_the_networks_own_where_they_are_large_enough(tmp_path):
    video = draw_video(tmp_path / "wide.mp4", width=320, height=200)
    wanted = ClipFormat(num_frames=4, size=160, resize=180)
    shown = heat.take_frames(video, center_clip(video, wanted).numbers, wanted)
    clip = decode(video, lambda n: sampling.test_segments(n, num_segments=4), short_side=180)
    view, _ = TestTransform(size=160, resize=180)(clip)
    assert torch.equal(shown.seen, denormalize(view[0]))


@pytest.mark.parametrize(("width", "height"), [(162, 90), (90, 122)])
def test_enlarged_pictures_show_the_same_crop(tmp_path, width, height):
    video = draw_video(tmp_path / "video.mp4", width=width, height=height)
    wanted = ClipFormat(num_frames=2, size=64, resize=72)
    large = heat.take_frames(video, center_clip(video, wanted).numbers, wanted).seen
    assert large.shape[-1] >= 192
    clip = decode(video, lambda n: sampling.test_segments(n, num_segments=2), short_side=72)
    view = denormalize(TestTransform(size=64, resize=72)(clip)[0][0]).float()
    small = F.interpolate(large.float().transpose(0, 1), size=(64, 64), mode="area").transpose(0, 1)
    inner = (..., slice(4, -4), slice(4, -4))
    errors = {
        (dy, dx): float((small.roll((dy, dx), (2, 3))[inner] - view[inner]).abs().mean())
        for dy in range(-2, 3)
        for dx in range(-2, 3)
    }
    assert min(errors, key=errors.get) == (0, 0)


def test_the_explanation_says_what_the_network_says(tmp_path):
    checkpoint = make_checkpoint()
    video = draw_video(tmp_path / "video.mp4", width=96, height=80, square=lambda i: (4 * i, 30))
    found = explain(checkpoint, video, out=tmp_path / "deep" / "out")
    clip = decode(video, lambda n: sampling.test_segments(n, num_segments=4), short_side=72)
    view, _ = TestTransform(size=64, resize=72)(clip)
    with torch.no_grad():
        expected = checkpoint.model(view).softmax(-1)[0]
    assert dict(found.prediction) == pytest.approx(dict(zip(CLASSES, expected.tolist(), strict=True)), abs=1e-5)
    assert [p for _, p in found.prediction] == pytest.approx(sorted(expected.tolist(), reverse=True), abs=1e-5)
    assert found.times_seconds.tolist() == pytest.approx([1 / 6, 4 / 6, 7 / 6, 10 / 6], abs=1e-3)
    assert found.frame_probabilities.shape == (4, 3)
    assert found.frame_probabilities.sum(1).tolist() == pytest.approx([1.0] * 4)
    assert len(found.frame_probabilities.argmax(1)) == len(found.mask_energy) == len(found.channel_energy) == 4
    assert list(found.files) == list(FILES)
    assert all(file.stat().st_size > 1000 for file in found.files.values())


@pytest.mark.usefixtures("_no_pictures")
def test_energy_rises_where_something_happens(tmp_path):
    video = draw_video(
        tmp_path / "video.mp4", width=80, height=80, square=lambda i: (30, 30) if i in (6, 7, 8) else (-20, 0)
    )
    found = explain(look_at_bright_places(make_checkpoint()), video, out=tmp_path)
    assert found.mask_energy.argmax() == 2
    assert found.mask_energy[2] > found.mask_energy[[0, 1, 3]].max() + 1e-3
    assert torch.equal(found.mask_energy, found.spatial_mask.mean((1, 2)))


@pytest.mark.parametrize(
    ("attention", "options", "missing", "words"),
    [
        ("w3", {}, None, "the brighter"),
        ("w3", {"spatial": False}, "overlay.mp4", "it has no spatial mask"),
        ("se", {}, "overlay.mp4", "it has no spatial mask"),
        ("w3", {"channel": False}, "what.png", "This network has no channel mask."),
        ("non_local", {}, "what.png", "1 being an even share"),
    ],
    ids=str,
)
def test_every_attention_is_shown_with_the_facets_it_has(tmp_path, attention, options, missing, words):
    checkpoint = make_checkpoint(attention, **options)
    for name, parameter in checkpoint.model.named_parameters():
        if ".attention." in name and parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    video = draw_video(tmp_path / "video.mp4", width=80, height=80, square=lambda i: (4 * i, 30))
    out = tmp_path / "out"
    out.mkdir()
    (out / "overlay.mp4").write_text("of an earlier network")
    found = explain(checkpoint, video, out=out)
    assert {file.name for file in out.iterdir()} == set(FILES) - {missing} == set(found.files)
    page = found.files["index.html"].read_text()
    assert words in page
    assert page.count("data:image/png;base64,") == (3 if missing != "what.png" else 2)
    assert ("overlay.mp4" in page) == (missing != "overlay.mp4")
    height = Image.open(found.files["strip.png"]).height / pictures.DPI  # inches
    assert (height > 5) == (missing != "overlay.mp4")  # one row of 4 frames, or two
    assert (found.spatial_mask is None) == (found.mask_energy is None) == (missing == "overlay.mp4")
    assert (found.channels is None) == (missing == "what.png")


@pytest.mark.usefixtures("_no_pictures")
def test_a_stage_can_be_chosen_and_others_are_refused(tmp_path):
    checkpoint = make_checkpoint()
    video = draw_video(tmp_path / "video.mp4", width=80, height=80)
    assert explain(checkpoint, video, out=tmp_path / "a", stage=3).spatial_mask.shape == (4, 4, 4)
    with pytest.raises(ValueError, match=r"stage is 5 but .* has attention at stages 1, 2, 3"):
        explain(checkpoint, video, out=tmp_path / "b", stage=5)
    assert not (tmp_path / "b").exists()


def test_a_network_without_attention_has_nothing_to_show(tmp_path):
    video = draw_video(tmp_path / "video.mp4", width=80, height=80)
    with pytest.raises(
        ValueError, match=r"model\.safetensors has no attention to show; choose a run with attention w3"
    ):
        explain(make_checkpoint(None), video, out=tmp_path / "out")


def test_a_file_is_no_folder(tmp_path):
    video = draw_video(tmp_path / "video.mp4", width=80, height=80)
    with pytest.raises(ValueError, match=r"video\.mp4 is a file; give a folder"):
        explain(make_checkpoint(), video, out=video)


@pytest.mark.parametrize("num_frames", [1, 3])
def test_a_video_shorter_than_the_clip_is_shown(tmp_path, num_frames):
    video = draw_video(tmp_path / "short.mp4", width=80, height=80, num_frames=num_frames)
    found = explain(make_checkpoint(), video, out=tmp_path / "out", num_channels=1)
    film, _ = read_film(found.files["overlay.mp4"])
    assert len(film) == num_frames
    assert len(found.times_seconds) == 4


@pytest.mark.usefixtures("_no_pictures")
def test_the_film_is_the_whole_video_at_its_own_rate(tmp_path):
    video = draw_video(tmp_path / "video.mp4", width=80, height=80, num_frames=20, fps=12)
    found = explain(make_checkpoint(size=75, resize=75), video, out=tmp_path / "out")
    film, stream = read_film(found.files["overlay.mp4"])
    assert len(film) == 20
    assert stream.average_rate == 12
    assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
    assert film.shape[1:3] == (225 + FOOTER_PIXELS + 1, 2 * 225 + GAP_PIXELS)  # an odd side, even sizes


@pytest.mark.usefixtures("_no_pictures")
def test_of_a_long_video_the_film_shows_some_frames_in_real_time(tmp_path, monkeypatch):
    monkeypatch.setattr(heat, "MAX_FILM_FRAMES", 13)
    video = draw_video(tmp_path / "video.mp4", width=80, height=80, num_frames=25, fps=24)
    film, stream = read_film(explain(make_checkpoint(), video, out=tmp_path / "out").files["overlay.mp4"])
    assert len(film) == 13
    assert stream.average_rate == 12
    slow = draw_video(tmp_path / "slow.mp4", width=80, height=80, num_frames=52, fps=6)
    shown = heat.take_frames(slow, np.arange(4), ClipFormat(num_frames=4, size=64, resize=72))
    assert shown.film_fps == heat.MIN_FILM_FPS


def test_names_are_text_and_nothing_else(tmp_path):
    """Dollars are no mathematics and angle brackets no markup, in the file's name and in the classes'."""
    checkpoint = make_checkpoint()
    checkpoint.model.head.fc.bias.data = torch.tensor([0.0, 50.0, 40.0])
    video = draw_video(tmp_path / "a$_b^$ <i>.mp4", width=80, height=80)
    found = explain(checkpoint, video, out=tmp_path / "out")
    page = found.files["index.html"].read_text()
    assert found.prediction[0][0] == CLASSES[1]
    assert "still &amp; &lt;b&gt;quiet&lt;/b&gt;, " in page
    assert "a$_b^$ &lt;i&gt;.mp4" in page
    assert "<b>" not in page
    assert "<i>" not in page


def test_one_class_has_no_runner_up(tmp_path):
    video = draw_video(tmp_path / "video.mp4", width=80, height=80)
    found = explain(make_checkpoint(classes=("alone",)), video, out=tmp_path / "out")
    assert found.prediction == (("alone", 1.0),)


def test_what_draws_is_loaded_only_where_something_is_drawn():
    drawing = {f"w3action.{name}" for name in ("use.explain.heat", "use.explain.pictures", "study.plots")}
    modules = "w3action.use.predict, w3action.use.explain, w3action.study.reproduce"
    code = f"import sys, {modules}; print({drawing} & sys.modules.keys() or 'nothing')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "nothing\n"
