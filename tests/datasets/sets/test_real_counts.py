"""The published numbers of rows and classes, read from the real annotation files over a root without videos.

In a process of its own: here every call's types are checked, which takes minutes for half a million rows.
"""

import json
import subprocess
import sys

import pytest

COUNTS = {  # (name of the set, folder of its files, split): (rows, classes)
    ("something_v2", "ssv2_official_json", "val"): (24_777, 174),
    ("something_v2", "ssv2_official_json", "test"): (27_157, 174),
    ("jester", "jester", "train"): (118_562, 27),
    ("jester", "jester", "val"): (14_787, 27),
    ("jester", "jester", "test"): (14_743, 27),
    ("egogesture", "egogesture", "train"): (14_416, 83),
    ("egogesture", "egogesture", "val"): (4_768, 83),
    ("egogesture", "egogesture", "test"): (4_977, 83),
    ("epic55", "epic55", "train"): (28_472, 2_513),
    ("epic55", "epic55", "test_s1"): (8_047, 2_513),
    ("epic100", "epic100", "val"): (9_668, 1_352),
    ("epic100", "epic100", "uda_source_train"): (16_115, 2_179),
    ("tsm", "ssv2_trn_lists", "train"): (168_913, 174),
    ("tsm", "ssv2_trn_lists", "val"): (24_777, 174),
    ("ucf101", "ucf101_official", None): (13_320, 101),
}
SCRIPT = """
import json, sys
from pathlib import Path
from w3action.datasets.sets import SETS
for name, folder, split in json.loads(sys.argv[3]):
    annotations = Path(sys.argv[1]) / folder
    listing = SETS[name](Path(sys.argv[2]), annotations=annotations, split=split)
    print(json.dumps([len(listing.videos), len(listing.missing), len(listing.classes)]))
"""


@pytest.fixture(scope="module")
def counted(shared_dir, tmp_path_factory) -> dict[tuple, list[int]]:
    arguments = (str(shared_dir / "annotations"), str(tmp_path_factory.mktemp("root")), json.dumps(list(COUNTS)))
    run = subprocess.run([sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return dict(zip(COUNTS, map(json.loads, run.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("asked", COUNTS, ids=lambda asked: "-".join(map(str, asked)))
def test_rows_and_classes(counted, asked):
    num_rows, num_classes = COUNTS[asked]
    assert counted[asked] == [0, num_rows, num_classes]
