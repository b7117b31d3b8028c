import numpy as np
import pytest
from drawn_videos import X264_GOP, draw_frame, read_numbers
from reading import decode

from w3action.data import probe


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("short_side", [None, 48])
def test_rotation_is_applied(draw_video, turns, short_side):
    """The file stores an upright picture and says: show it turned counterclockwise."""
    path = draw_video(
        f"turned_{turns}.mp4",
        options=X264_GOP,
        orient=lambda stream: stream.set_display_rotation(90.0 * turns),
    )
    frames = decode(path, lambda _: [0, 33, 59], short_side=short_side).frames
    upright = frames.rot90(-turns, dims=(-2, -1))
    assert read_numbers(upright) == [0, 33, 59]
    side = short_side or 96
    assert tuple(upright.shape) == (3, 3, side, side * 128 // 96)
    info = probe(path)
    assert info.rotation_degrees == 90 * turns
    assert (info.width, info.height) == ((96, 128) if turns % 2 else (128, 96))


@pytest.mark.parametrize(("turns", "mirror"), [(0, True), (2, True), (1, True), (3, False)])
def test_mirroring_is_applied(draw_video, turns, mirror):
    """The file says: show the stored picture mirrored, then turned counterclockwise."""
    rotate = {0: (1, 0, 0, 1), 1: (0, -1, 1, 0), 2: (-1, 0, 0, -1), 3: (0, 1, -1, 0)}[turns]
    a, b, c, d = rotate
    if mirror:
        a, b = -a, -b
    matrix = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]
    path = draw_video(
        f"mirrored_{turns}_{mirror}.mp4",
        options={**X264_GOP, "crf": "10"},
        orient=lambda stream: stream.set_display_matrix(matrix),
    )
    shown = decode(path, lambda _: [5]).frames[:, 0].permute(1, 2, 0).numpy()
    stored = draw_frame(5, 128, 96)
    expected = np.rot90(stored[:, ::-1] if mirror else stored, turns)
    assert shown.shape == expected.shape
    blurred = [np.abs(a.astype(float) - b).mean() for a, b in ((shown, expected), (shown, expected[:, ::-1]))]
    assert blurred[0] < 40 < blurred[1]


def test_real_phone_videos_stand_upright(shared_dir):
    for name, size in {"0": (568, 320), "90": (320, 568), "180": (568, 320), "270": (320, 568)}.items():
        clip = decode(shared_dir / f"assets/decord/video_{name}.mov", lambda _: [0])
        assert tuple(clip.frames.shape[:1:-1]) == size
