import json

from pyarrow import parquet

from w3action.data import read_manifest
from w3action.data.mirror import CLASS_LISTS_KEY
from w3action.datasets.parquet_manifest import to_table, write_parquet


def test_a_manifest_comes_back_with_its_classes_by_column(tmp_path):
    rows = [
        {"path": "a.mp4", "verb": "open", "noun": "door", "start_seconds": 1, "other": "not asked for"},
        {"path": "b.mp4", "verb": "shut", "noun": "door", "end_frame": 7},
    ]
    table = to_table(rows, ["path", "verb", "noun", "start_seconds", "end_frame"])
    class_lists = {"verb": ["shut", "open"], "noun": ["cup", "door"], "label": []}
    path = write_parquet(tmp_path / "new" / "list.parquet", table, class_lists=class_lists)
    assert {file.name for file in path.parent.iterdir()} == {"list.parquet", "classes_verb.txt", "classes_noun.txt"}
    manifest = read_manifest(path, label_column="verb,noun")
    assert [video.labels for video in manifest.videos] == [(1, 3), (0, 3)]
    assert [(video.start_seconds, video.num_frames) for video in manifest.videos] == [(1.0, None), (None, 7)]
    named = parquet.read_schema(path).metadata[CLASS_LISTS_KEY.encode()]
    assert json.loads(named) == ["classes_verb.txt", "classes_noun.txt"]  # what a copy elsewhere fetches


def test_a_column_has_its_type_though_it_is_empty(tmp_path):
    table = to_table([{"path": "a.mp4"}], ["path", "label", "fps", "byte_offset"])
    assert [str(kind) for kind in table.schema.types] == ["string", "string", "double", "int64"]
