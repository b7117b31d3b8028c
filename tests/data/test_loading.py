import pickle

import numpy as np
import pytest
import torch
from drawn_videos import X264_GOP, read_numbers
from hypothesis import given
from hypothesis import strategies as st

from w3action.data import (
    BadVideo,
    ClipBatch,
    EpochBatchSampler,
    FrameCache,
    Sample,
    TrainTransform,
    Video,
    VideoDataset,
    denormalize,
    make_loader,
    sampling,
    transforms,
)


def middle_frames(num_frames, rng):
    return sampling.twice_segments(num_frames, num_segments=4)


def train_frames(num_frames, rng):
    return sampling.train_segments(num_frames, num_segments=4, rng=rng)


@pytest.fixture
def videos(draw_video, tmp_path) -> tuple[Video, ...]:
    path = draw_video("x264.mp4", options=X264_GOP)
    (tmp_path / "broken.mp4").write_text("no video")
    spans = [Video(path=path, label=i % 3, start_seconds=i / 10, end_seconds=i / 10 + 1) for i in range(6)]
    return (*spans, Video(path=tmp_path / "broken.mp4", label=0))


@pytest.fixture
def dataset(videos) -> VideoDataset:
    return VideoDataset(
        videos, sample=train_frames, transform=TrainTransform(size=32), flip_map=(0, 2, 1), seed=5, short_side=48
    )


def same(a: ClipBatch, b: ClipBatch) -> bool:
    tensors = ((a.clips, b.clips), (a.labels, b.labels), (a.indices, b.indices))
    return all(torch.equal(x, y) for x, y in tensors) and a.bad == b.bad


class TestDataset:
    def test_a_sample_depends_on_seed_epoch_and_index_alone(self, dataset, videos):
        first = dataset[2, 4]
        dataset[0, 1]
        again = dataset[2, 4]
        assert isinstance(first, Sample)
        assert torch.equal(first.views, again.views)
        assert first.label == again.label
        assert first.index == 4
        assert not torch.equal(first.views, dataset[3, 4].views)
        other = VideoDataset(videos, sample=train_frames, transform=TrainTransform(size=32), seed=6, short_side=48)
        assert not torch.equal(first.views, other[2, 4].views)

    def test_frames_are_drawn_anew_for_every_epoch_and_index(self, videos):
        dataset = VideoDataset(videos[:1] * 5, sample=train_frames, transform=whole_frames, short_side=48)
        drawn = {
            tuple(read_numbers(denormalize(dataset[epoch, place].views)[0])) for epoch in range(5) for place in range(5)
        }
        assert len(drawn) > 20

    def test_a_bad_video_is_told_and_not_raised(self, dataset, videos):
        bad = dataset[0, 6]
        assert isinstance(bad, BadVideo)
        assert (bad.index, bad.path) == (6, str(videos[6].path))
        assert "cannot be opened as a video" in bad.reason

    def test_labels_swap_exactly_when_flipped(self, dataset, videos):
        labels, plain = [], TrainTransform(size=32)
        for epoch in range(12):
            for place in range(1, 3):
                sample = dataset[epoch, place]
                _, flipped = plain(sampled_clip(dataset, epoch, place), np.random.default_rng((5, epoch, place, 1)))
                label = videos[place].label
                assert sample.label == ((0, 2, 1)[label] if flipped else label)
                labels.append(sample.label)
        assert set(labels) == {1, 2}

    def test_without_a_map_labels_stay(self, videos):
        dataset = VideoDataset(videos, sample=train_frames, transform=TrainTransform(size=8, flip_probability=1))
        assert [dataset[0, place].label for place in range(6)] == [0, 1, 2, 0, 1, 2]

    def test_views_of_several_clips_lie_clip_by_clip(self, videos):
        transform = transforms.TestTransform(size=48, resize=48, crops="full")
        dataset = VideoDataset(videos[:1], sample=middle_frames, transform=transform, short_side=48)
        views = dataset[0, 0].views
        assert tuple(views.shape) == (6, 3, 4, 48, 48)
        whole = denormalize(views[[0, 2]]).float()  # left and right of the first clip
        assert whole[0, 0, :, 24:, :4].mean() > 200  # the red edge is in the left view only
        assert whole[1, 0, :, 24:, :4].mean() < 150
        center = transforms.TestTransform(size=48, resize=48, crops="center")
        dataset = VideoDataset(videos[:1], sample=middle_frames, transform=center)
        wide = VideoDataset(videos[:1], sample=middle_frames, transform=whole_frames, short_side=48)
        assert dataset[0, 0].views.shape[0] == 2
        clips = denormalize(wide[0, 0].views)
        assert [read_numbers(clip) for clip in clips] == [[3, 9, 15, 21], [0, 6, 12, 18]]

    def test_all_clips_of_a_video_get_the_same_crop_and_flip(self, draw_video):
        video = Video(path=draw_video("x264.mp4", options=X264_GOP), label=0)
        repeat = lambda num_frames, *, rng: np.zeros((3, 2), np.int64)  # noqa: E731
        dataset = VideoDataset([video], sample=repeat, transform=TrainTransform(size=32, color_jitter=0.3))
        for epoch in range(5):
            first, *others = dataset[epoch, 0].views
            assert all(torch.equal(first, other) for other in others)

    def test_a_cache_changes_nothing(self, dataset, videos):
        cache = FrameCache(1 << 20)
        cached = VideoDataset(
            videos,
            sample=train_frames,
            transform=TrainTransform(size=32),
            flip_map=(0, 2, 1),
            seed=5,
            short_side=48,
            cache=cache,
        )
        for _ in range(2):
            for place in range(6):
                assert torch.equal(dataset[1, place].views, cached[1, place].views)
        assert isinstance(cached[1, 6], BadVideo)
        assert 0 < len(cache) <= 6

    def test_mistakes_in_the_code_are_raised(self, videos):
        dataset = VideoDataset(videos, sample=lambda n, rng: np.full((1, 2), 999), transform=TrainTransform(size=8))
        with pytest.raises(ValueError, match="indices are"):
            dataset[0, 0]


def whole_frames(clip, rng):
    return transforms.normalize(clip.frames)[None], False


def sampled_clip(dataset, epoch, place):
    with dataset.open(dataset.videos[place]) as frames:
        return frames.read(dataset.sample(frames.count, rng=np.random.default_rng((5, epoch, place))))


class TestSampler:
    @given(
        num_samples=st.integers(1, 80),
        batch_size=st.integers(1, 9),
        world_size=st.integers(1, 4),
        shuffle=st.booleans(),
        epoch=st.integers(0, 9),
    )
    def test_every_sample_once_over_all_ranks(self, num_samples, batch_size, world_size, shuffle, epoch):
        seen = []
        for rank in range(world_size):
            sampler = EpochBatchSampler(
                num_samples,
                batch_size=batch_size,
                epoch=epoch,
                shuffle=shuffle,
                rank=rank,
                world_size=world_size,
                drop_last=False,
            )
            batches = list(sampler)
            assert len(batches) == len(sampler)
            assert all(0 < len(batch) <= batch_size for batch in batches)
            assert {key[0] for batch in batches for key in batch} <= {epoch}
            seen += [index for batch in batches for _, index in batch]
        assert sorted(seen) == list(range(num_samples))

    @given(num_samples=st.integers(40, 80), batch_size=st.integers(1, 9), world_size=st.integers(1, 4))
    def test_ranks_get_equally_many_whole_batches(self, num_samples, batch_size, world_size):
        shares = [
            list(EpochBatchSampler(num_samples, batch_size=batch_size, rank=rank, world_size=world_size))
            for rank in range(world_size)
        ]
        assert {len(batches) for batches in shares} == {num_samples // (batch_size * world_size)}
        assert {len(batch) for batches in shares for batch in batches} == {batch_size}
        indices = [index for batches in shares for batch in batches for _, index in batch]
        assert len(set(indices)) == len(indices)

    def test_the_same_samples_per_step_whatever_the_number_of_ranks(self):
        one = list(EpochBatchSampler(64, batch_size=8, seed=3, epoch=2))
        two = [list(EpochBatchSampler(64, batch_size=4, seed=3, epoch=2, rank=r, world_size=2)) for r in (0, 1)]
        for step in range(8):
            assert set(one[step]) == set(two[0][step]) | set(two[1][step])

    def test_the_order_changes_with_epoch_and_seed_alone(self):
        def order(**options):
            return list(EpochBatchSampler(64, batch_size=8, **options))

        assert order(seed=1, epoch=2) == order(seed=1, epoch=2)
        indices = [[key[1] for batch in order(**o) for key in batch] for o in ({}, {"epoch": 1}, {"seed": 1})]
        assert indices[0] != indices[1]
        assert indices[0] != indices[2]
        assert [key[1] for batch in order(shuffle=False) for key in batch] == list(range(64))

    def test_first_batch_resumes_in_the_middle(self):
        whole = EpochBatchSampler(66, batch_size=8, epoch=4, drop_last=False)
        rest = EpochBatchSampler(66, batch_size=8, epoch=4, drop_last=False, first_batch=5)
        assert list(rest) == list(whole)[5:]
        assert len(rest) == len(whole) - 5
        assert list(EpochBatchSampler(64, batch_size=8, first_batch=99)) == []

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"batch_size": 0}, "batch_size is 0 but must be at least 1"),
            ({"batch_size": 1, "rank": 2, "world_size": 2}, r"rank is 2 but must lie in \[0, 2\)"),
            ({"batch_size": 4, "world_size": 2}, "7 samples make no batch of 4 on each of 2 ranks: lower batch_size"),
        ],
    )
    def test_errors(self, options, message):
        with pytest.raises(ValueError, match=message):
            EpochBatchSampler(7, **options)


class TestLoader:
    @pytest.mark.parametrize("num_workers", [1, 2])
    def test_workers_change_nothing(self, dataset, num_workers):
        def batches(num_workers):
            sampler = EpochBatchSampler(7, batch_size=3, seed=1, epoch=2, drop_last=False)
            return list(make_loader(dataset, sampler, num_workers=num_workers))

        alone, many = batches(0), batches(num_workers)
        assert len(alone) == len(many) == 3
        assert all(same(a, b) for a, b in zip(alone, many, strict=True))
        assert sum(len(batch) for batch in alone) == 6
        assert [bad.index for batch in alone for bad in batch.bad] == [6]


@pytest.mark.parametrize(("decode_on", "method", "gpus"), [("cpu", "fork", []), ("cuda", "spawn", [3])])
def test_workers_that_decode_on_a_gpu_are_spawned_and_use_their_process_s(monkeypatch, videos, decode_on, method, gpus):
    chosen, before = [], torch.get_num_threads()
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    dataset = VideoDataset(videos, sample=train_frames, transform=TrainTransform(size=32), decode_on=decode_on)
    assert pickle.loads(pickle.dumps(dataset)).decode_on == decode_on
    loader = make_loader(dataset, EpochBatchSampler(7, batch_size=2), num_workers=2)
    found = loader.multiprocessing_context
    assert (found.get_start_method() if found is not None else "fork") == method
    try:
        loader.worker_init_fn(0)
    finally:
        torch.set_num_threads(before)
    assert chosen == gpus
