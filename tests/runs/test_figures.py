"""Reports in a folder, found as what the paper's columns call them."""

import json
import os

import pytest

from w3action.recipes import PAPER_TABLES
from w3action.runs.figures import Ours, find_results, ours_of

TABLE_1, EGOGESTURE, EPIC = PAPER_TABLES[0], PAPER_TABLES[2], PAPER_TABLES[3]


def write(folder, name, **report):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps({"changed": []} | report))


def ours(table, folder):
    return {row.system: ours_of(table, row, find_results(folder)).figures for row in table.rows if row.frames != "16"}


def test_a_report_stands_beside_the_row_of_its_recipe_and_protocol(tmp_path):
    about = {"recipe": "ssv1_tsn_8f", "split": None}
    write(tmp_path / "a", "eval_center.json", top1=20.5, top5=47.5, protocol="center", **about)
    write(tmp_path / "a", "eval_twice.json", top1=99.0, top5=99.0, protocol="twice", **about)
    rows = {row.runs: ours_of(TABLE_1, row, find_results(tmp_path)).figures for row in TABLE_1.rows}
    assert rows[("ssv1_tsn_8f",)] == (20.5, 47.5)
    assert all(found == (None, None) for runs, found in rows.items() if runs != ("ssv1_tsn_8f",))


def test_a_fusion_stands_beside_the_row_of_all_its_recipes(tmp_path):
    parts = [{"recipe": f"ssv1_tsm_{t}f", "changed": [], "protocol": "center", "split": None} for t in (16, 8)]
    write(tmp_path, "fused.json", top1=50.0, top5=80.0, fused=parts)
    assert ours(TABLE_1, tmp_path)["TSM, ensemble"] == (50.0, 80.0)
    assert ours(TABLE_1, tmp_path)["TSM"] == (None, None)


def test_splits_and_labellings_find_their_columns(tmp_path):
    for split, top1 in (("val", 80.0), ("test", 81.0)):
        about = {"recipe": "egogesture_tsm_8f", "protocol": "center", "split": split}
        write(tmp_path / split, "eval_center.json", top1=top1, top5=97.0, **about)
    assert ours(EGOGESTURE, tmp_path)["TSM"] == (80.0, 97.0, 81.0, 97.0)
    tasks = {"verb": {"top1": 60.0, "top5": 90.0}, "noun": {"top1": 40.0, "top5": 70.0}}
    about = {"recipe": "epic55_tsm_8f", "protocol": "ten_crop", "split": "S2"}
    write(tmp_path, "eval_ten_crop.json", top1=30.0, top5=50.0, tasks=tasks, **about)
    none = None
    expected = (none, 60.0, none, 90.0, none, 40.0, none, 70.0, none, 30.0, none, 50.0)
    assert ours(EPIC, tmp_path)["TSM"] == expected


def test_the_newest_counts_and_what_is_no_report_is_passed_over(tmp_path):
    about = {"recipe": "ssv1_tsm_8f", "protocol": "center", "split": None}
    for number, (name, top1) in enumerate((("old", 1.0), ("new", 2.0))):
        write(tmp_path / name, "eval_center.json", top1=top1, top5=3.0, **about)
        os.utime(tmp_path / name / "eval_center.json", (number, number))
    (tmp_path / "eval_x.json").write_text("no JSON")
    (tmp_path / "fused.json").write_text("[]")
    assert ours(TABLE_1, tmp_path)["TSM"] == (2.0, 3.0)


@pytest.mark.parametrize("wrong", [{"recipe": None}, {"protocol": "twice"}, {"split": "val"}])
def test_a_fusion_of_what_is_no_row_is_passed_over(tmp_path, wrong):
    part = {"recipe": "ssv1_tsm_8f", "changed": [], "protocol": "center", "split": None}
    write(tmp_path, "fused.json", top1=50.0, top5=80.0, fused=[{**part, "recipe": "ssv1_tsm_16f"}, {**part, **wrong}])
    assert find_results(tmp_path) == []
    assert ours(TABLE_1, tmp_path)["TSM, ensemble"] == (None, None)


def test_other_settings_are_named_and_give_way_to_the_recipe_s_own(tmp_path):
    (row,) = (row for row in TABLE_1.rows if row.runs == ("ssv1_tsm_8f",))
    about = {"recipe": "ssv1_tsm_8f", "protocol": "center", "split": None}
    write(tmp_path / "own", "eval_center.json", top1=45.0, top5=74.0, **about)
    write(tmp_path / "short", "eval_center.json", top1=30.0, top5=60.0, changed=["epochs"], **about)
    assert ours_of(TABLE_1, row, find_results(tmp_path / "short")) == Ours((30.0, 60.0), ("epochs",))
    assert ours_of(TABLE_1, row, find_results(tmp_path)) == Ours((45.0, 74.0), ())
