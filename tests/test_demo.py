import dataclasses
import json

import w3action.demo
from w3action.demo import run_demo
from w3action.recipes import demo


def test_a_tiny_demo_runs_to_its_report_and_does_nothing_twice(tmp_path, monkeypatch, capsys):
    tiny = dataclasses.replace(
        demo(), epochs=1, batch_size=8, data=dataclasses.replace(demo().data, size=32, num_frames=4)
    )
    monkeypatch.setattr(w3action.demo, "demo_recipe", lambda: tiny)
    report = run_demo(tmp_path, num_videos=80, seed=0)

    rows = json.loads((tmp_path / "report.json").read_text())
    assert [row["name"] for row in rows] == ["tsn", "tsm", "tsm_w3", "tsm_w3_mfr"]
    assert rows[0].keys() == {"name", "top1", "top5", "gflops", "params", "train_clips_per_second"}
    assert rows[0]["params"] == rows[1]["params"] < rows[2]["params"] == rows[3]["params"]
    page = report.read_text()
    for row in rows:
        assert (tmp_path / row["name"] / "model.safetensors").is_file()
        assert f'src="{row["name"]}/confusion_center.png"' in page
    strips = list((tmp_path / "examples").glob("*/strip.png"))
    assert len(strips) == w3action.demo.NUM_EXAMPLES
    assert all(f"examples/{strip.parent.name}/strip.png" in page for strip in strips)

    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("model.safetensors")}
    run_demo(tmp_path, num_videos=80, seed=0)
    assert {path: path.stat().st_mtime_ns for path in written} == written
