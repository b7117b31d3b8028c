import pytest
import torch

from w3action.clip_format import ClipFormat
from w3action.data import BadVideo, ClipBatch, Video, read_manifest
from w3action.evaluate import PROTOCOLS, UnreadableVideosError, evaluate_videos, score_videos
from w3action.evaluate.scoring import MOST_VIEWS_AT_ONCE


def batch(clips: torch.Tensor, bad: tuple[BadVideo, ...] = ()) -> ClipBatch:
    n = len(clips)
    return ClipBatch(clips=clips, labels=torch.arange(n), indices=torch.arange(n) + 10, bad=bad)


def first_numbers(clips: torch.Tensor) -> torch.Tensor:
    """A model whose three logits are written into the clip's first pixels."""
    return clips[:, 0, 0, 0, :3] * 1.0


def score(batches, **changes):
    arguments = {
        "num_classes": 3,
        "flipped": (False,),
        "flip_permutation": (0, 1, 2),
        "fusion": "logits",
        "device": torch.device("cpu"),
    }
    return score_videos(first_numbers, batches, **(arguments | changes))


def test_views_are_averaged_to_one_row_per_video():
    clips = torch.randn(2, 5, 3, 1, 4, 4)
    expected = clips[:, :, 0, 0, 0, :3]
    assert torch.allclose(score([batch(clips)]).scores, expected.mean(dim=1))
    assert torch.allclose(score([batch(clips)], fusion="probabilities").scores, expected.softmax(-1).mean(dim=1))


def test_scores_of_mirrored_views_are_put_back():
    clips = torch.zeros(1, 4, 3, 1, 4, 4)  # two clips, each with a plain and a mirrored view
    clips[0, 0::2, 0, 0, 0, 0] = 1.0  # seen plain: class 0, "left"
    clips[0, 1::2, 0, 0, 0, 1] = 1.0  # seen in the mirror: class 1, "right"
    fused = score([batch(clips)], flipped=(False, True), flip_permutation=(1, 0, 2)).scores
    assert torch.equal(fused, torch.tensor([[1.0, 0.0, 0.0]]))


def test_many_views_are_scored_in_parts():
    sizes = []

    def model(clips):
        sizes.append(len(clips))
        return first_numbers(clips)

    clips = torch.randn(3, 20, 3, 1, 4, 4)
    got = score_videos(
        model, [batch(clips)], num_classes=3, flipped=(False,), flip_permutation=(0, 1, 2), fusion="logits",
        device=torch.device("cpu"),
    )  # fmt: skip
    assert max(sizes) <= MOST_VIEWS_AT_ONCE
    assert torch.allclose(got.scores, clips[:, :, 0, 0, 0, :3].mean(dim=1))


def test_bad_videos_are_kept_apart_and_counted():
    bad = BadVideo(index=3, path="x.mp4", reason="x.mp4: empty")
    seen = []
    empty = ClipBatch(
        clips=torch.zeros(0, 0, 0, 0, 0, 0), labels=torch.empty(0).long(), indices=torch.empty(0).long(), bad=(bad,)
    )
    scores = score([batch(torch.randn(2, 1, 3, 1, 4, 4), (bad,)), empty], on_videos=seen.append)
    assert scores.bad == (bad, bad)
    assert seen == [3, 1]
    assert scores.indices.tolist() == [10, 11]
    assert score([empty]).scores.shape == (0, 3)
    assert score([empty], sizes=(2, 1)).labels.shape == (0, 2)


def brightness(clips: torch.Tensor) -> torch.Tensor:
    mean = clips.mean(dim=(1, 2, 3, 4))
    return torch.stack([mean, -mean], dim=1)


def evaluate(videos, **changes):
    arguments = {
        "classes": ("a", "b"),
        "protocol": PROTOCOLS["center"],
        "clip_format": ClipFormat(num_frames=2, size=32, resize=36),
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
