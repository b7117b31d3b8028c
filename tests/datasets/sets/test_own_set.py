import pytest
from drawn_sets import DRAW, touch, write
from pyarrow import parquet

from w3action.data import ManifestError, read_manifest
from w3action.datasets.sets import prepare
from w3action.datasets.sets.own_set import prepare_csv, prepare_folder


def test_classes_in_an_order_of_one_s_own(tmp_path):
    root, options, _ = DRAW["csv"](tmp_path)
    classes = write(tmp_path / "order.txt", "wave", "sit", "nod")
    assert prepare_csv(root, **options).classes == ("nod", "wave")
    assert prepare_csv(root, **options, classes=classes).classes == ("wave", "sit", "nod")
    root, options, _ = DRAW["folder"](tmp_path / "folder")
    assert prepare_folder(root, classes=classes).classes == ("wave", "sit", "nod")


@pytest.mark.parametrize("path", ["../1.mp4", "/etc/1.mp4"])
def test_paths_out_of_the_root_are_refused(tmp_path, path):
    touch(tmp_path, "1.mp4", "media/2.mp4")
    table = write(tmp_path / "lists/table.csv", "path,label", f"{path},wave")
    with pytest.raises(ManifestError, match="leads out of"):
        prepare_csv(tmp_path / "media", annotations=table)
    listing = prepare_csv(tmp_path / "media", annotations=table, allow_outside=True)
    assert len(listing.videos) == (0 if path.startswith("/") else 1)


def test_what_is_no_table(tmp_path):
    with pytest.raises(ManifestError, match="csv needs a table with the columns path and label as annotations"):
        prepare_csv(tmp_path)
    table = write(tmp_path / "table.csv", "path,label,byte_offset,num_bytes", "1.tar,wave,512,9")
    with pytest.raises(ManifestError, match="packed videos have their manifest already"):
        prepare_csv(tmp_path, annotations=table)


def test_the_rate_of_a_table_is_kept(tmp_path):
    touch(tmp_path, "1.mp4")
    table = write(tmp_path / "table.csv", "path,label,fps", "1.mp4,wave,12")
    assert prepare_csv(tmp_path, annotations=table).videos[0].fps == 12


def test_further_columns_of_a_table_train_as_labellings(tmp_path):
    touch(tmp_path, "1.mp4", "2.mp4", "3.mp4")
    table = write(
        tmp_path / "lists/table.csv",
        "path,label,split,verb,noun,take,twice,twice",
        "1.mp4,a,train,open,door,007,1,2",
        "2.mp4,b,val,close,door,,1,2",
        "3.mp4,b,train,close,box,008,1,2",
    )
    write(tmp_path / "lists/classes_verb.txt", "open", "close")
    prepare("csv", tmp_path, tmp_path / "out/m.parquet", annotations=table)
    manifest = read_manifest(tmp_path / "out/m.parquet", label_column="verb,noun")
    assert manifest.labellings == {"verb": 2, "noun": 2}
    assert manifest.classes == ("verb: open", "verb: close", "noun: box", "noun: door")
    assert [video.labels for video in manifest.videos] == [(0, 3), (1, 3), (1, 2)]
    assert parquet.read_table(tmp_path / "out/m.parquet")["take"].to_pylist() == ["007", None, "008"]
    one = prepare_csv(tmp_path, annotations=table, split="train")
    assert [video.more["verb"] for video in one.videos] == ["open", "close"]
    same = prepare_csv(tmp_path, annotations=table, split="validation")  # another name of "val"
    assert [video.more["verb"] for video in same.videos] == ["close"]
