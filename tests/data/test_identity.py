from pathlib import Path

import pytest

from w3action.data import Video
from w3action.data.identity import identity


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"path": "/sets/rgb/val/0012.mp4"}, "val/0012"),
        ({"path": "/sets/rgb/val/0012.WEBM"}, "val/0012"),
        ({"path": "/sets/rgb/val/0012"}, "val/0012"),
        ({"path": "/sets/rgb/v_1.5fps"}, "v_1.5fps"),
        ({"path": "/elsewhere/0012.mp4"}, "/elsewhere/0012"),
        ({"path": "/sets/rgb/a.mp4", "start_seconds": 1.5, "end_seconds": 3.0}, "a [1.5, 3)"),
        ({"path": "/sets/rgb/a.mp4", "end_seconds": 3.25}, "a [0, 3.25)"),
        ({"path": "/sets/rgb/a.mp4", "start_seconds": 0.0}, "a [0, end)"),
        ({"path": "/sets/rgb/a", "first_frame": 30, "num_frames": 32}, "a frames [30, 62)"),
        ({"path": "/sets/rgb/a", "first_frame": 30}, "a frames [30, end)"),
        ({"path": "/sets/rgb/000.tar", "byte_offset": 512, "num_bytes": 9}, "000.tar at byte 512"),
    ],
)
def test_identities(fields, name):
    assert (
        identity(Video(label=0, **{**fields, "path": Path(fields["path"])}), source=Path("/sets/rgb/val.csv")) == name
    )


def test_the_folder_is_the_source_or_holds_it(tmp_path):
    (tmp_path / "val.csv").write_text("")
    for source in (tmp_path, tmp_path / "val.csv"):
        assert identity(Video(path=tmp_path / "videos" / "a.mp4", label=0), source=source) == "videos/a"
