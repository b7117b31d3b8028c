import pytest
import torch

from w3action.data import Video, read_manifest
from w3action.evaluate import PROTOCOLS, UnreadableVideosError, evaluate_videos


def brightness(clips: torch.Tensor) -> torch.Tensor:
    mean = clips.mean(dim=(1, 2, 3, 4))
    return torch.stack([mean, -mean], dim=1)


def evaluate(videos, **changes):
    arguments = {
        "classes": ("a", "b"),
        "protocol": PROTOCOLS["center"],
        "num_frames": 2,
        "size": 32,
        "resize": 36,
        "num_workers": 0,
    }
    return evaluate_videos(brightness, videos, **(arguments | changes))


@pytest.fixture
def videos(tabletop):
    return [Video(video.path, i % 2) for i, video in enumerate(read_manifest(tabletop).videos[:5])]


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_every_protocol_gives_a_row_per_video(videos, protocol):
    scores = evaluate(videos, protocol=protocol)
    assert scores.scores.shape == (5, 2)
    assert scores.labels.tolist() == [0, 1, 0, 1, 0]
    assert torch.allclose(scores.scores[:, 0], -scores.scores[:, 1])


def test_processes_share_the_videos(videos):
    whole = evaluate(videos)
    parts = [evaluate(videos, rank=rank, world_size=2) for rank in range(2)]
    rows = {int(i): row for part in parts for i, row in zip(part.indices, part.scores, strict=True)}
    assert sorted(rows) == [0, 1, 2, 3, 4]
    assert all(torch.allclose(rows[int(i)], row) for i, row in zip(whole.indices, whole.scores, strict=True))


def test_an_unreadable_video_is_an_error_unless_told_otherwise(videos, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    with pytest.raises(UnreadableVideosError, match=r"cannot be read.*broken\.mp4.*--skip-bad"):
        evaluate([*videos, Video(broken, 0)])
    scores = evaluate([*videos, Video(broken, 0)], skip_bad=True)
    assert len(scores.scores) == 5
    assert [bad.path for bad in scores.bad] == [str(broken)]
