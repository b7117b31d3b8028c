import pickle

import numpy as np
import pytest
import torch

from w3action.config import ConfigError, DataConfig
from w3action.data import find_flip_pairs, read_manifest
from w3action.train.clips import (
    SAMPLERS,
    clip_format_of,
    random_of_segments,
    read_videos,
    training_loader,
    where_to_measure,
)


def test_a_manifests_own_split_is_used(tabletop):
    training, validation = read_videos(tabletop, None, label_column="label", seed=0)
    assert {video.split for video in training.videos} == {"train"}
    assert {video.split for video in validation.videos} == {"val"}
    assert training.classes == validation.classes


def test_without_a_split_a_fifth_of_each_class_is_held_out(tabletop, tmp_path):
    videos = read_manifest(tabletop).videos
    path = tmp_path / "no_split.csv"
    path.write_text("path,label\n" + "".join(f"{v.path},{v.label % 2}\n" for v in videos))
    training, validation = read_videos(path, None, label_column="label", seed=0)
    assert not {v.path for v in training.videos} & {v.path for v in validation.videos}
    assert len(training.videos) + len(validation.videos) == len(videos)
    assert len(validation.videos) == pytest.approx(0.2 * len(videos), abs=2)
    with pytest.raises(ConfigError, match="no split column"):
        read_videos(path, path, label_column="label", seed=0)
    assert where_to_measure(path, None, tmp_path, label_column="label") == ["--data", str(tmp_path / "held_out.csv")]


@pytest.mark.parametrize("names", [("train", "test"), ("Train", "test"), ("train", "validation"), ("train", "Val")])
def test_only_the_training_split_is_trained_on(tabletop, tmp_path, names):
    videos = read_manifest(tabletop).videos
    path = tmp_path / "split.csv"
    lines = [f"{v.path},{v.label % 2},{names[i % 4 == 0]}\n" for i, v in enumerate(videos)]
    path.write_text("path,label,split\n" + "".join(lines))
    training, validation = read_videos(path, None, label_column="label", seed=0)
    assert {v.split for v in training.videos} == {names[0]}
    held_out = names[1] == "test"
    assert {v.split for v in validation.videos} == {names[0] if held_out else names[1]}
    assert not {v.path for v in training.videos} & {v.path for v in validation.videos}
    measured = where_to_measure(path, None, tmp_path, label_column="label")
    assert measured == ["--data", str(path), "--split", "test" if held_out else "val"]


def test_a_video_cannot_be_in_both_lists(tabletop, tmp_path):
    path = tmp_path / "again.csv"
    some = read_manifest(tabletop, split="train")
    path.write_text(f"path,label\n{some.videos[0].path},{some.classes[some.videos[0].label]}\n")
    with pytest.raises(ConfigError, match=r"1 of the validation videos .*train_00000\.mp4; remove"):
        read_videos(tabletop, path, label_column="label", seed=0)


def test_what_goes_to_worker_processes_can_be_pickled(tabletop):
    """Where processes are spawned (macOS, Windows, Linux from Python 3.14 on), the data set is sent to them."""
    manifest = read_manifest(tabletop, split="train")
    loader = training_loader(
        DataConfig(num_frames=2, size=32),
        manifest,
        find_flip_pairs(manifest.classes),
        batch_size=4,
        seed=0,
        rank=0,
        world_size=1,
        pin_memory=False,
        cache=None,
    )
    dataset = loader(0, 0).dataset
    again = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(again[0, 3].views, dataset[0, 3].views)


def test_the_shorter_side_is_that_of_the_field():
    assert clip_format_of(DataConfig(size=224)).resize == 256
    assert clip_format_of(DataConfig(size=112)).resize == 128
    assert clip_format_of(DataConfig(size=112, resize=120)).resize == 120
    with pytest.raises(ConfigError, match=r"data\.resize is 100 but data\.size is 112"):
        clip_format_of(DataConfig(size=112, resize=100))


@pytest.mark.parametrize("sampling", SAMPLERS)
@pytest.mark.parametrize("num_frames", [1, 30, 63, 64, 200])
def test_a_clip_of_64_frames_moves_however_short_the_video(sampling, num_frames):
    (indices,) = SAMPLERS[sampling](num_frames, num_segments=64, rng=np.random.default_rng(0))
    assert len(indices) == 64
    assert indices.min() >= 0
    assert indices.max() < num_frames
    assert len(np.unique(indices)) == min(num_frames, 64)
    assert sampling == "dense" or bool((np.diff(indices) >= 0).all())


def test_segments_are_random_where_the_video_has_frames_for_them():
    draws = [random_of_segments(40, num_segments=8, rng=np.random.default_rng(seed)) for seed in range(20)]
    assert len({tuple(draw[0]) for draw in draws}) > 15
    assert all(((draw >= np.arange(8) * 5) & (draw < np.arange(1, 9) * 5)).all() for draw in draws)


@pytest.mark.parametrize("flip", ["auto", "off", "plain"])
def test_flips_swap_labels_only_where_they_should(tabletop, flip):
    manifest = read_manifest(tabletop, split="train")
    flips = find_flip_pairs(manifest.classes)
    loader = training_loader(
        DataConfig(num_frames=2, size=32, flip=flip, num_workers=0),
        manifest,
        flips,
        batch_size=4,
        seed=0,
        rank=0,
        world_size=1,
        pin_memory=False,
        cache=None,
    )
    swapped = 0
    for epoch in range(4):
        for batch in loader(epoch, 0):
            assert batch.clips.shape == (4, 1, 3, 2, 32, 32)
            truth = torch.tensor([manifest.videos[i].label for i in batch.indices.tolist()])
            mirror = torch.tensor(np.array(flips.permutation)[truth.numpy()])
            assert bool(((batch.labels == truth) | (batch.labels == mirror)).all())
            swapped += int((batch.labels != truth).sum())
    assert (swapped > 0) == (flip == "auto")
