import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from w3action.data import Manifest, Video
from w3action.datasets.pack.options import PackOptions, check_same, fingerprint, plan_shards

VIDEOS = tuple(Video(path=Path(f"set/a/{number}.mp4"), label=number % 2, split="train") for number in range(4))
MANIFEST = Manifest(videos=VIDEOS, classes=("a", "b"), source=Path("set/list.csv"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"short_side": 1}, "short_side is 1"),
        ({"gop": 0}, "gop is 0"),
        ({"crf": 52}, "crf is 52"),
        ({"codec": "mjpeg"}, "codec is 'mjpeg' but must be one of h264"),
        ({"shard_mb": 0.0}, "shard_mb is 0"),
        ({"shard_mb": float("nan")}, "shard_mb is nan"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        PackOptions(**options)


@settings(deadline=None)
@given(
    splits=st.lists(st.sampled_from(["train", "val", None, "my split/1"]), min_size=1, max_size=60),
    samples_per_shard=st.integers(1, 20),
)
def test_every_row_is_in_one_shard_of_its_split(splits, samples_per_shard):
    shards = plan_shards(splits, samples_per_shard=samples_per_shard)
    assert sorted(row for shard in shards for row in shard.rows) == list(range(len(splits)))
    assert len({shard.name for shard in shards}) == len(shards)
    prefixes = {"train": "train", "val": "val", None: "all", "my split/1": "my_split_1"}
    for split, prefix in prefixes.items():
        of_split = [shard for shard in shards if shard.name.startswith(f"{prefix}-")]
        sizes = [len(shard.rows) for shard in of_split]
        assert all(splits[row] == split for shard in of_split for row in shard.rows)
        assert not sizes or (max(sizes) <= samples_per_shard and max(sizes) - min(sizes) <= 1 and min(sizes) > 0)
    assert shards == plan_shards(splits, samples_per_shard=samples_per_shard)


def test_classes_are_mixed_in_the_shards():
    rows = [row for shard in plan_shards([None] * 100, samples_per_shard=50) for row in shard.rows]
    assert rows != sorted(rows)


def test_a_fingerprint_knows_rows_and_not_where_they_are():
    moved = replace(
        MANIFEST,
        videos=tuple(replace(video, path=Path("/else") / video.path) for video in VIDEOS),
        source=Path("/else/set/list.csv"),
    )
    assert fingerprint(moved) == fingerprint(MANIFEST)
    for change in ({"label": 1}, {"split": "val"}, {"first_frame": 3}, {"path": Path("set/a/9.mp4")}):
        videos = (replace(VIDEOS[0], **change), *VIDEOS[1:])
        assert fingerprint(replace(MANIFEST, videos=videos)) != fingerprint(MANIFEST)
    assert fingerprint(replace(MANIFEST, videos=VIDEOS[::-1])) != fingerprint(MANIFEST)
    assert fingerprint(replace(MANIFEST, classes=("b", "a"))) != fingerprint(MANIFEST)


def test_only_options_with_an_effect_count():
    assert PackOptions(copy=True, gop=3).known() == PackOptions(copy=True).known()
    assert PackOptions(gop=3).known() != PackOptions().known()


class TestTheRecord:
    wanted = {"format": 1, "manifest": "abc", "options": PackOptions().known()}  # noqa: RUF012

    def test_is_given_back_when_all_is_the_same(self, tmp_path):
        record = tmp_path / "pack.json"
        assert check_same(record, self.wanted) is None
        record.write_text(json.dumps({**self.wanted, "samples_per_shard": 7}))
        assert check_same(record, self.wanted) == {**self.wanted, "samples_per_shard": 7}

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"format": 0}, "another version"),
            ({"manifest": "def"}, "a manifest of other rows"),
            ({"options": PackOptions(gop=4, crf=30).known()}, "begun with gop=4, crf=30, given now gop=8, crf=21"),
            ({"options": PackOptions(copy=True).known()}, "copy=True"),
        ],
    )
    def test_names_what_changed(self, tmp_path, change, message):
        record = tmp_path / "pack.json"
        record.write_text(json.dumps({**self.wanted, **change}))
        with pytest.raises(ValueError, match=message):
            check_same(record, self.wanted)

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"options": 3}'])
    def test_of_something_else_is_refused(self, tmp_path, text):
        record = tmp_path / "pack.json"
        record.write_text(text)
        with pytest.raises(ValueError, match="no record of a packed set"):
            check_same(record, self.wanted)
