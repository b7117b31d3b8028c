"""A report of made-up runs: what it computes."""

import pytest

from w3action.study.report import compile_report
from w3action.study.tables import TABLES


def test_rows_are_joined_with_the_paper_and_compared_over_shared_seeds(made_up):
    report = compile_report(
        TABLES["table6"],
        made_up(
            ("tsm", 0, [0, 1, 2]),
            ("tsm", 1, [0, 1]),
            ("cbam", 1, [0, 1, 2, 3]),
            ("w3", 5, [0]),
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
