"""A report of made-up runs: what it computes, and that its pictures hold what they should."""

import numpy as np
import pytest

from w3action.study.report import cell, compile_report, gap, write_report
from w3action.study.runs import Result
from w3action.study.statistics import Difference, summarize
from w3action.study.tables import TABLES


def result(variant: str, seed: int, right: list[int]) -> Result:
    correct = np.isin(np.arange(10), right)
    top1 = 100 * float(correct.mean())
    return Result(variant, seed, top1, 90.0, top1, 99.0, 0.5, 1000, 100.0 + seed, 300.0, 9.0, "a.csv, test", correct)


def results_of(*results: Result) -> dict[tuple[str, int], Result]:
    return {(found.variant, found.seed): found for found in results}


def test_rows_are_joined_with_the_paper_and_compared_over_shared_seeds():
    report = compile_report(
        TABLES["table6"],
        results_of(
            result("tsm", 0, [0, 1, 2]),
            result("tsm", 1, [0, 1]),
            result("cbam", 1, [0, 1, 2, 3]),
            result("w3", 5, [0]),
        ),
        about={},
    )
    tsm, cbam, w3 = report.lines
    assert [line.label for line in report.lines] == ["TSM", "TSM + CBAM", "TSM + W3, w/o MFR"]
    assert (tsm.paper_top1, tsm.top1.mean, tsm.seeds, tsm.difference) == (47.2, 25.0, (0, 1), None)
    assert tsm.train_clips_per_second == 100.5
    assert cbam.difference is not None
    assert cbam.difference.mean == pytest.approx(20)  # seed 1 alone is shared
    assert cbam.against == "TSM"
    assert w3.difference is None
    assert report.num_clips == 10


@pytest.mark.parametrize("name", ["table6", "curves"])
def test_the_files_are_written_and_drawn(name, tmp_path):
    rows = [result(row.variant, seed, [seed, 3]) for row in TABLES[name].rows for seed in (0, 1)]
    page = write_report(compile_report(TABLES[name], results_of(*rows), about={"network": "tsm_small"}), tmp_path)
    assert page == tmp_path / f"{name}.html"
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.{kind}" for kind in ("json", "csv", "png", "html")}
    text = page.read_text()
    assert f'src="{name}.png"' in text
    assert ("paper" in text) == (name == "table6")
    assert (tmp_path / f"{name}.csv").read_text().count("\n") == len(TABLES[name].rows) + 1
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000


def test_figures_are_said_with_their_spread():
    assert cell(summarize([50.0, 54.0])) == "52.0 ± 2.8"
    assert cell(summarize([50.0])) == "50.0"
    assert gap(Difference(1.25, -0.5, 3.0)) == "+1.2 [-0.5, +3.0]"
    assert gap(None) == ""
