from pathlib import Path

import pytest

from w3action.data import Manifest, ManifestError, Video, hold_out, keep_fraction


class TestHoldOut:
    MANIFEST = Manifest(
        videos=tuple(
            Video(path=Path(f"{label}_{number}.mp4"), label=label)
            for label, count in enumerate((50, 10, 3, 1))
            for number in range(count)
        ),
        classes=("a", "b", "c", "d"),
        source=Path("x"),
    )

    def test_share_of_every_class(self):
        train, val = hold_out(self.MANIFEST, fraction=0.2, seed=0)
        assert [sum(v.label == label for v in val.videos) for label in range(4)] == [10, 2, 1, 0]
        assert sorted(train.videos + val.videos, key=str) == sorted(self.MANIFEST.videos, key=str)
        assert train.classes == val.classes == self.MANIFEST.classes
        assert [v for v in self.MANIFEST.videos if v in train.videos] == list(train.videos)

    def test_depends_on_the_seed_alone(self):
        assert hold_out(self.MANIFEST, seed=3) == hold_out(self.MANIFEST, seed=3)
        assert hold_out(self.MANIFEST, seed=3) != hold_out(self.MANIFEST, seed=4)
        backwards = Manifest(self.MANIFEST.videos[::-1], self.MANIFEST.classes, Path("x"))
        assert set(hold_out(backwards)[1].videos) == set(hold_out(self.MANIFEST)[1].videos)

    def test_spans_of_a_file_stay_together(self):
        videos = tuple(
            Video(path=Path(f"{number}.mp4"), label=number % 2, start_seconds=float(start))
            for number in range(20)
            for start in range(3)
        )
        train, val = hold_out(Manifest(videos, ("a", "b"), Path("x")), fraction=0.3)
        assert not {v.path for v in train.videos} & {v.path for v in val.videos}
        assert len(val.videos) == 18

    def test_videos_of_one_tar_are_parted(self):
        videos = tuple(
            Video(path=Path("shard.tar"), label=number % 2, byte_offset=512 * number, num_bytes=9)
            for number in range(20)
        )
        train, val = hold_out(Manifest(videos, ("a", "b"), Path("x")), fraction=0.3)
        assert (len(train), len(val)) == (14, 6)

    @pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5])
    def test_fraction_must_be_a_share(self, fraction):
        with pytest.raises(ManifestError, match="must lie between 0 and 1"):
            hold_out(self.MANIFEST, fraction=fraction)


class TestKeepFraction:
    VIDEOS = tuple(Video(path=Path(f"{n}.mp4"), label=int(n >= 40)) for n in range(43))  # 40 of one class, 3 of another
    MANIFEST = Manifest(VIDEOS, ("often", "seldom", "never"), Path("list.csv"))

    def kept(self, fraction: float, seed: int = 0) -> list[Video]:
        return list(keep_fraction(self.MANIFEST, fraction=fraction, seed=seed).videos)

    @pytest.mark.parametrize(("fraction", "counts"), [(1.0, [40, 3]), (0.5, [20, 2]), (0.25, [10, 1]), (0.01, [1, 1])])
    def test_each_class_keeps_its_share_and_at_least_one(self, fraction, counts):
        kept = self.kept(fraction)
        assert [sum(video.label == label for video in kept) for label in (0, 1)] == counts
        assert kept == [video for video in self.VIDEOS if video in kept]  # in their order

    def test_a_smaller_part_lies_in_a_larger_one_and_seeds_differ(self):
        parts = [set(self.kept(fraction)) for fraction in (0.1, 0.3, 0.8)]
        assert parts[0] < parts[1] < parts[2]
        assert self.kept(0.5) == self.kept(0.5) != self.kept(0.5, seed=1)

    @pytest.mark.parametrize("fraction", [0.0, 1.1])
    def test_fraction_must_be_a_share(self, fraction):
        with pytest.raises(ManifestError, match=r"must lie in \(0, 1\]"):
            keep_fraction(self.MANIFEST, fraction=fraction)
