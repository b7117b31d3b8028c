"""What reading tells of drawn, broken and real files."""

import multiprocessing
import os
import shutil
import tempfile
from pathlib import Path

import av
import numpy as np
import pytest
from drawn_videos import VP9_FAST, X264_GOP, remux
from PIL import Image

from w3action.data.video import Video
from w3action.datasets.doctor.facts import FileFacts, group_by_file
from w3action.datasets.doctor.read_file import read_file

DEEP_OR_NOT = pytest.mark.parametrize("deep", [False, True])


def read(path: Path, *, deep: bool = False, **place) -> FileFacts:
    (file,) = group_by_file((Video(path, 0, **place),))
    return read_file(file, deep=deep)


def kinds(facts: FileFacts) -> list[str]:
    return [problem.kind for problem in facts.problems]


def with_gap(path: Path, target: Path, *, every: int) -> Path:
    """A copy that lacks every so-manieth packet: of a codec without B-frames, a frame that is shown longer."""
    return remux(path, target, keep=lambda position: position % every or position == 0)


class TestDrawn:
    @DEEP_OR_NOT
    @pytest.mark.parametrize(
        ("name", "settings", "codec"),
        [
            ("x264.mp4", {"options": X264_GOP}, "h264"),
            ("vp9.webm", {"codec": "libvpx-vp9", "options": VP9_FAST}, "vp9"),
            ("mpeg4_b_frames.avi", {"codec": "mpeg4", "max_b_frames": 2}, "mpeg4"),
            ("mpeg2.ts", {"codec": "mpeg2video", "max_b_frames": 2}, "mpeg2video"),
        ],
    )
    def test_sound_files(self, draw_video, name, settings, codec, deep):
        facts = read(draw_video(name, **settings), deep=deep)
        assert not facts.problems
        video = facts.video
        assert (video.num_frames, video.width, video.height, video.codec) == (60, 128, 96, codec)
        assert video.fps == pytest.approx(25, rel=1e-3)
        assert (video.rotation_degrees, video.uneven_share) == (0, 0)
        assert facts.spans[0].num_frames == 60
        assert (facts.spans[0].fingerprint is not None) == deep

    @pytest.mark.parametrize(
        ("place", "num_frames", "beyond"),
        [
            ({"start_seconds": 0.4, "end_seconds": 0.8}, 10, 0),
            ({"start_seconds": 2.0, "end_seconds": 3.0}, 10, 0.6),
            ({"start_seconds": 9.0}, 0, 0),
            ({"start_seconds": 1.0, "end_seconds": 0.5}, 0, 0),
            ({"first_frame": 50, "num_frames": 8}, 8, 0),
            ({"first_frame": 50, "num_frames": 25}, 10, 15),
        ],
    )
    def test_spans(self, draw_video, place, num_frames, beyond):
        facts = read(draw_video("x264.mp4", options=X264_GOP), **place)
        assert facts.spans[0].num_frames == num_frames
        assert facts.spans[0].beyond_end == pytest.approx(beyond, abs=1e-3)

    def test_uneven_times(self, draw_video, tmp_path):
        source = draw_video("mpeg4_no_b_frames.avi", codec="mpeg4", max_b_frames=0)
        video = read(with_gap(source, tmp_path / "gaps.mp4", every=5)).video
        assert video.uneven_share == pytest.approx(11 / 48, abs=0.03)
        assert video.largest_gap == pytest.approx(2)

    def test_folder_of_images(self, tmp_path):
        for number in range(1, 13):
            Image.fromarray(np.full((24, 40, 3), 20 * number, np.uint8)).save(tmp_path / f"{number}.jpg")
        facts = read(tmp_path, deep=True, first_frame=10, num_frames=5)
        assert (facts.video.num_frames, facts.video.width, facts.video.height) == (12, 40, 24)
        assert (facts.spans[0].num_frames, facts.spans[0].beyond_end) == (2, 3)
        (tmp_path / "7.jpg").write_bytes(b"no image")
        assert kinds(read(tmp_path)) == []
        (problem,) = read(tmp_path, deep=True).problems
        assert problem.kind == "damaged"
        assert "1 of 12 images" in problem.message
        assert kinds(read(tmp_path, start_seconds=1.0)) == ["span_in_seconds"]

    def test_member_of_a_shard(self, draw_video, tmp_path):
        content = draw_video("x264.mp4", options=X264_GOP).read_bytes()
        shard = tmp_path / "shard.tar"
        shard.write_bytes(bytes(512) + content + bytes(512))
        facts = read(shard, deep=True, byte_offset=512, num_bytes=len(content))
        assert (facts.problems, facts.video.num_frames) == ((), 60)
        assert kinds(read(shard, byte_offset=1024, num_bytes=len(content))) == ["unreadable"]
        assert kinds(read(shard, byte_offset=2048, num_bytes=len(content))) == ["truncated"]
        assert kinds(read(tmp_path / "gone.tar", byte_offset=0, num_bytes=9)) == ["missing"]


class TestFaults:
    @DEEP_OR_NOT
    def test_what_is_no_video(self, tmp_path, deep):
        (tmp_path / "empty.mp4").touch()
        (tmp_path / "text.mp4").write_text("this is no video\n" * 40)
        (tmp_path / "folder.mp4").mkdir()
        os.mkfifo(tmp_path / "pipe.mp4")
        (tmp_path / "link.mp4").symlink_to("nowhere.mp4")
        expected = {
            "empty.mp4": "empty",
            "text.mp4": "unreadable",
            "folder.mp4": "not_a_file",
            "pipe.mp4": "not_a_file",
            "link.mp4": "missing",
            "gone.mp4": "missing",
            "text.mp4/inside.mp4": "missing",
            "zero\0byte.mp4": "missing",
        }
        assert {name: kinds(read(tmp_path / name, deep=deep)) for name in expected} == {
            name: [kind] for name, kind in expected.items()
        }

    def test_a_file_that_may_not_be_read(self, draw_video):
        if not hasattr(os, "setuid") or os.geteuid() != 0:
            folder, nobody = Path(tempfile.mkdtemp()), None
        else:
            folder, nobody = Path(tempfile.mkdtemp()), 65534
        try:
            folder.chmod(0o755)
            path = folder / "secret.mp4"
            shutil.copy(draw_video("x264.mp4", options=X264_GOP), path)
            path.chmod(0)
            (file,) = group_by_file((Video(path, 0),))
            ours, theirs = multiprocessing.Pipe()

            def try_it() -> None:
                if nobody is not None:
                    os.setuid(nobody)
                theirs.send(kinds(read_file(file, deep=False)))

            process = multiprocessing.get_context("fork").Process(target=try_it)
            process.start()
            assert ours.poll(20)
            assert ours.recv() == ["no_permission"]
            process.join()
        finally:
            shutil.rmtree(folder)

    @pytest.mark.parametrize(
        ("name", "settings", "kind"),
        [
            ("x264_fast.mp4", {"options": X264_GOP, "container_options": {"movflags": "faststart"}}, "truncated"),
            ("x264.mp4", {"options": X264_GOP}, "unreadable"),  # its index stands at its end
            ("vp9.webm", {"codec": "libvpx-vp9", "options": VP9_FAST, "num_frames": 120}, "truncated"),
            ("mpeg4_no_b_frames.avi", {"codec": "mpeg4", "max_b_frames": 0}, "truncated"),
        ],
    )
    def test_files_that_lack_a_third(self, draw_video, tmp_path, name, settings, kind):
        content = draw_video(f"cut_{name}", **settings).read_bytes()
        path = tmp_path / name
        path.write_bytes(content[: len(content) * 2 // 3])
        assert kind in kinds(read(path))

    def test_damage_within_is_found_by_decoding(self, draw_video, tmp_path):
        source = draw_video("x264.mp4", options=X264_GOP)
        broken = remux(
            source, tmp_path / "broken.mp4", change=lambda at, data: b"\xff" * len(data) if 24 <= at < 36 else data
        )
        assert kinds(read(broken)) == []
        assert kinds(read(broken, deep=True)) == ["damaged"]
        no_key = remux(source, tmp_path / "no_key.mkv", keep=lambda position: 0 < position < 8)
        assert kinds(read(no_key)) == ["damaged"]

    def test_what_stands_in_place_of_a_video_is_said(self, tmp_path):
        path = tmp_path / "sound.wav"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
            frame.rate = 8000
            container.mux(stream.encode(frame))
        (tmp_path / "text.mp4").write_text("this is no video\n" * 40)
        assert read(path).problems == (("no_video_stream", "holds only audio"),)
        (problem,) = read(tmp_path / "text.mp4").problems
        assert problem.message == "cannot be opened as a video (Invalid data found when processing input)"


class TestRealMedia:
    EXPECTED = {  # noqa: RUF012
        "decord/corrupted.mp4": {"damaged"},
        "made_empty.mp4": {"empty"},
        "made_random_bytes.mp4": {"unreadable"},
        "made_truncated.avi": {"truncated"},
        "made_truncated_head.mp4": {"unreadable"},
        "moviepy/crunching.mp3": {"no_video_stream"},
        "moviepy/result.webm": {"empty"},
        "moviepy/with-attached-pic.mp3": {"no_video_stream"},
        "torchcodec/nasa_13013.mp4.audio.mp3": {"no_video_stream"},
        "torchcodec/sine_mono_s16.wav": {"no_video_stream"},
    }
    ROTATED = {"decord/video_90.mov", "decord/video_180.mov", "decord/video_270.mov"}  # noqa: RUF012
    SUFFIXES = {".mp4", ".avi", ".webm", ".mov", ".mkv", ".gif", ".mp3", ".wav"}  # noqa: RUF012

    def test_every_file_has_the_problem_that_it_has(self, shared_dir):
        folder = shared_dir / "assets"
        paths = sorted(path for path in folder.rglob("*") if path.suffix in self.SUFFIXES)
        assert len(paths) > 60
        for path in paths:
            name = str(path.relative_to(folder))
            facts = read(path)
            expected = self.EXPECTED.get(name, set()) - ({"damaged"} if name == "decord/corrupted.mp4" else set())
            assert set(kinds(facts)) == expected, name
            assert bool(facts.video and facts.video.rotation_degrees) == (name in self.ROTATED), name

    @pytest.mark.parametrize("name", ["decord/corrupted.mp4", "torchvision/RATRACE_wave_f_nm_np1_fr_goo_37.avi"])
    def test_decoding_tells_the_rest(self, shared_dir, name):
        facts = read(shared_dir / "assets" / name, deep=True)
        assert set(kinds(facts)) == self.EXPECTED.get(name, set())
        assert (facts.spans[0].fingerprint is None) == (name in self.EXPECTED)


class TestStoredFlow:
    @pytest.fixture
    def folder(self, tmp_path) -> Path:
        for number in range(1, 12):
            for axis in "xy":
                Image.new("L", (48, 36), 100 + number).save(tmp_path / f"flow_{axis}_{number:05d}.jpg")
        return tmp_path

    @DEEP_OR_NOT
    def test_it_is_a_video_of_one_frame_more(self, folder, deep):
        facts = read(folder, deep=deep)
        assert not facts.problems
        assert (facts.video.num_frames, facts.video.width, facts.video.height) == (12, 48, 36)
        assert facts.spans[0].num_frames == 12
        span = read(folder, deep=deep, first_frame=4, num_frames=9).spans[0]
        assert (span.num_frames, span.beyond_end) == (8, 1)

    def test_a_broken_image_is_found_by_reading_all(self, folder):
        (folder / "flow_y_00007.jpg").write_bytes(b"no image")
        assert kinds(read(folder)) == []
        assert kinds(read(folder, deep=True)) == ["damaged"]

    def test_its_content_tells_it_from_another(self, folder, tmp_path_factory):
        copies = [shutil.copytree(folder, tmp_path_factory.mktemp("copy") / "flow") for _ in range(2)]
        images = sorted(copies[1].iterdir())
        other = images[0].read_bytes().replace(b"\x10", b"\x11", 1)
        images[0].write_bytes(other)
        first, second, changed = (
            read_file(file, deep=False) for file in group_by_file(tuple(Video(p, 0) for p in (folder, *copies)))
        )
        assert first.digest == second.digest != changed.digest
