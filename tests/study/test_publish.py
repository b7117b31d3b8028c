"""What is written of a report: that the files are there and hold what they should."""

import pytest

from w3action.study.comparison import Difference, compile_report, summarize
from w3action.study.publish import cell, gap, write_report
from w3action.study.tables import STUDY_TABLES


@pytest.mark.parametrize("name", ["table6", "curves"])
def test_the_files_are_written_and_drawn(name, made_up, tmp_path):
    runs = made_up(*((row.variant, seed, [seed, 3]) for row in STUDY_TABLES[name].rows for seed in (0, 1)))
    page = write_report(compile_report(STUDY_TABLES[name], runs, about={"network": "tsm_small"}), tmp_path)
    assert page == tmp_path / f"{name}.html"
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.{kind}" for kind in ("json", "csv", "png", "html")}
    text = page.read_text()
    assert f'src="{name}.png"' in text
    assert ("paper" in text) == (name == "table6")
    assert "<p>2 seeds a row" in text
    assert "<th>seeds</th>" not in text
    assert (tmp_path / f"{name}.csv").read_text().count("\n") == len(STUDY_TABLES[name].rows) + 1
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000


def test_rows_of_unlike_numbers_of_seeds_say_theirs(made_up, tmp_path):
    runs = made_up(("tsm", 0, [1]), ("tsm", 1, [1]), ("tsm", 2, [1]), ("w3", 0, [2]))
    text = write_report(compile_report(STUDY_TABLES["table6"], runs, about={}), tmp_path).read_text()
    assert "<p>1 to 3 seeds a row" in text
    assert text.index("<th>seeds</th>") < text.index("<td>3</td>") < text.index("<td>1</td>")


def test_figures_are_said_with_their_spread():
    assert cell(summarize([50.0, 54.0])) == "52.0 ± 2.8"
    assert cell(summarize([50.0])) == "50.0"
    assert gap(Difference(1.25, -0.5, 3.0)) == "+1.2 [-0.5, +3.0]"
    assert gap(None) == ""
