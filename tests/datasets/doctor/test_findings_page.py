"""The page holds what the report says and a picture of every class; strange names stay text."""

import base64
import io
import json
import re
from pathlib import Path

import pytest
from drawn_videos import X264_GOP
from PIL import Image

from w3action.data import Manifest
from w3action.data.video import Video
from w3action.datasets.doctor import check_videos, write_page
from w3action.datasets.doctor.findings_page import choose_rows
from w3action.datasets.doctor.verdict import take_histograms

NAMES = ("cut", "<b>pour</b> & stir", "never")


@pytest.fixture(scope="module")
def page(draw_video, tmp_path_factory) -> Path:
    path = draw_video("x264.mp4", options=X264_GOP)
    again = draw_video("again.mp4", codec="mpeg4", fps=25, max_b_frames=0)
    small = draw_video("small.mp4", options=X264_GOP, size=(64, 64), num_frames=20)
    videos = (
        Video(path, 0, split="train"),
        Video(again, 0, split="val"),
        Video(small, 1, split="train"),
        Video(Path("gone.mp4"), 1, split="val"),
    )
    report = check_videos(Manifest(videos, NAMES, Path("set.csv")), deep=True, num_workers=1)
    return write_page(report, tmp_path_factory.mktemp("page"), num_workers=1)


def test_page_and_findings(page):
    text = page.read_text()
    assert "Near duplicate in two splits (1)" in text
    assert "gone.mp4: there is no such file" in text
    assert "64x64" in text
    assert "<b>pour" not in text
    assert "&lt;b&gt;pour&lt;/b&gt; &amp; stir" in text
    assert "1 of 3 classes have no clip at all: never" in text
    content = json.loads((page.parent / "findings.json").read_text())
    assert content["findings"][0]["kind"] == "missing"
    assert {child.name for child in page.parent.iterdir()} == {"index.html", "findings.json"}


def test_pictures_are_in_the_page(page):
    text = page.read_text()
    pictures = [
        Image.open(io.BytesIO(base64.b64decode(data)))
        for data in re.findall(r'src="data:image/jpeg;base64,([^"]+)"', text)
    ]
    assert len(pictures) == 2 + 3  # the pair; two clips of the first class, the only one of the second that opens
    assert {picture.height for picture in pictures} == {96}
    assert {picture.width for picture in pictures} == {4 * 128, 4 * 96}
    assert "http" not in re.sub(r"base64,[^\"]+", "", text)


@pytest.mark.parametrize(("number", "expected"), [(1, [5]), (2, [2, 7]), (3, [1, 5, 8]), (20, list(range(10)))])
def test_rows_are_spread(number, expected):
    assert choose_rows(list(range(10)), number) == expected


def test_nothing_to_show():
    assert list(take_histograms([]).values()) == [{}] * 5
