"""The house's own promises (docs/decisions/house.md): rooms of a size, names that tell apart, short ways."""

import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from drawn_videos import X264_GOP

import w3action
from w3action.clip_format import ClipFormat
from w3action.data import TrainTransform, Video, VideoDataset, collate, train_segments
from w3action.evaluate.protocols import center_clip
from w3action.models import create_model
from w3action.models.for_inference import for_inference
from w3action.train.tasks import PlainTask

HOUSE = Path(w3action.__file__).parent
MODULES = sorted(path for path in HOUSE.rglob("*.py") if path.name not in ("__init__.py", "__main__.py"))
# One thing seen from two rooms.
SAME_SUBJECT = {
    "attention": {"models/attention.py", "bench/attention.py"},
    "decode": {"data/decode.py", "bench/decode.py"},
    "pooling": {"kernels/pooling.py", "kernels/triton/pooling.py"},
    "slowfast": {"models/slowfast.py", "models/importing/slowfast.py"},
}

# Of a TSM, and of one with W3, which goes through its own layers and kernels. Beside them stand the loop (24 files from
# the file to the loss), and the verb, `predict`, the checkpoint and the labellings (25 to a prediction).
MOST_FILES_TO_THE_LOSS = {None: 23, "w3": 30}
MOST_FILES_TO_A_PREDICTION = {None: 21, "w3": 28}
LARGEST_SHARE = 0.22


def num_lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_no_two_modules_of_one_name_do_different_work():
    by_name: dict[str, set[str]] = {}
    for path in MODULES:
        by_name.setdefault(path.stem, set()).add(path.relative_to(HOUSE).as_posix())
    assert {name: files for name, files in by_name.items() if len(files) > 1} == SAME_SUBJECT


def test_no_room_is_much_larger_than_the_others():
    lines = Counter()
    for path in MODULES:
        lines[path.relative_to(HOUSE).parts[0]] += num_lines(path)
    room, largest = lines.most_common(1)[0]
    assert largest <= LARGEST_SHARE * lines.total(), f"{room} holds {largest / lines.total():.0%} of the lines"


def files_entered(work: Callable[[], object]) -> list[str]:
    """Files of the house whose functions run, in the order of the first call."""
    entered: dict[str, None] = {}

    def note(frame, event, argument):
        path = Path(frame.f_code.co_filename)
        if event == "call" and HOUSE in path.parents:
            entered.setdefault(path.relative_to(HOUSE).as_posix())

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return list(entered)


@pytest.fixture
def video(draw_video) -> Video:
    return Video(path=draw_video("x264.mp4", options=X264_GOP), label=1)


@pytest.mark.parametrize("attention", [None, "w3"])
def test_the_way_of_a_sample_from_the_file_to_the_loss_is_short(video, attention):
    sample = partial(train_segments, num_segments=4)
    dataset = VideoDataset([video], sample=sample, transform=TrainTransform(size=32), short_side=48)
    task = PlainTask(create_model("tsm_small", num_classes=3, attention=attention))

    def go() -> None:
        batch = collate([dataset[0, 0]])
        task(batch.clips.flatten(0, 1), batch.labels)

    go()  # what is compiled and looked up once is no part of a sample's way
    files = files_entered(go)
    assert len(files) <= MOST_FILES_TO_THE_LOSS[attention], "\n".join(files)


@pytest.mark.parametrize("attention", [None, "w3"])
@torch.no_grad()
def test_the_way_of_a_video_to_its_prediction_is_short(video, attention):
    network = for_inference(create_model("tsm_small", num_classes=3, attention=attention).eval())

    def go() -> None:
        network(center_clip(video, ClipFormat(num_frames=4, size=32, resize=36)).view)

    go()
    files = files_entered(go)
    assert len(files) <= MOST_FILES_TO_A_PREDICTION[attention], "\n".join(files)
