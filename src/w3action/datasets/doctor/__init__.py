"""The data doctor: what is wrong with a data set, found before it is trained on, with what to do about it.

`check_videos` gives a `Report` of findings; `write_page` shows it with pictures of every class.
"""

from w3action.datasets.doctor.check import check_videos
from w3action.datasets.doctor.findings import KINDS, SEVERITIES, Finding
from w3action.datasets.doctor.findings_page import write_page
from w3action.datasets.doctor.verdict import Report

__all__ = ["KINDS", "SEVERITIES", "Finding", "Report", "check_videos", "write_page"]
