"""A small table from its name to its page: every row once, killed or not, and the paper's column beside it."""

import csv
import dataclasses
import json

import numpy as np
import pytest

from w3action.bench.turns import choose_device, describe_machine
from w3action.config import ConfigError, DataConfig, ModelConfig, OptimConfig, RunConfig
from w3action.models.weights import WeightsError
from w3action.study import reproduce as module
from w3action.study.jobs import Result, StudyError, exists, find_videos, finish_jobs, plan, read_result
from w3action.study.publish import show
from w3action.study.reproduce import reproduce
from w3action.study.tables import FIGURE3, VARIANTS

TINY = RunConfig(
    recipe="tiny",
    model=ModelConfig(name="tsm_small"),
    data=DataConfig(num_frames=2, size=32, num_workers=0, cache_gib=0.1),
    optim=OptimConfig(lr=0.02, lr_batch_size=8),
    batch_size=8,
    epochs=1,
)


PRINTED = ("cbam", "cbam_mfr", "w3", "w3_mfr")  # rows of the paper's table 7


def run(table, data, out, lines, *, num_seeds=1, recipe=TINY, rows=()):
    return reproduce(
        table,
        recipe,
        data=data,
        val=None,
        test=None,
        out=out,
        network=None,
        num_seeds=num_seeds,
        num_parallel=1,
        rows=rows,
        say=lines.append,
    )


@pytest.fixture(scope="module")
def study(tabletop, tmp_path_factory):
    """The paper's rows of table 7 and figure 3, one seed."""
    out, lines = tmp_path_factory.mktemp("study"), []
    pages = run("table7", tabletop, out, lines, rows=PRINTED) + run("figure3", tabletop, out, lines)
    return out, pages, lines


def test_every_row_is_run_once_and_told_of(study, tabletop):
    out, _, lines = study
    assert [line.split(":")[0] for line in lines[:4]] == [
        "table7  1/4  cbam, seed 0",
        "table7  2/4  cbam_mfr, seed 0",
        "table7  3/4  w3, seed 0",
        "table7  4/4  w3_mfr, seed 0",
    ]
    again = []
    run("table7", tabletop, out, again, rows=PRINTED)
    assert again == []


def test_some_rows_alone_can_be_run(study, tabletop):
    out, _, _ = study
    lines = []
    (page,) = run("table6", tabletop, out, lines, rows=("tsm", "w3"))
    assert [line.split(":")[0] for line in lines] == ["table6  1/1  tsm, seed 0"]  # W3 is there of table 7
    rows = json.loads(page.with_suffix(".json").read_text())["rows"]
    assert [row["variant"] for row in rows] == ["tsm", "w3"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("table6", r"table6 has no row 'w4'; choose of tsm, tsn"),
        ("figure3", r"figure3 has no row 'w4'; choose of cbam, w3"),
        ("all", "leave --rows out for all"),
    ],
)
def test_rows_that_there_are_not_are_refused(table, message, study, tabletop):
    out, _, _ = study
    with pytest.raises(StudyError, match=message):
        run(table, tabletop, out, [], rows=("w4",))


def test_finished_runs_of_other_settings_or_videos_are_not_taken_for_these(study, tabletop):
    out, _, _ = study
    with pytest.raises(ConfigError, match=r"seed_0 holds a run with other settings .*epochs is 1, not 2"):
        run("table7", tabletop, out, [], recipe=dataclasses.replace(TINY, epochs=2))
    videos = find_videos(tabletop, None, None)
    elsewhere = dataclasses.replace(videos, reported=videos.choosing)
    jobs = plan(["w3"], seeds=[0], recipe=TINY, network="tsm_small", rates={}, out=out)
    assert finish_jobs(jobs, videos, num_parallel=1, say=print).keys() == {("w3", 0)}
    with pytest.raises(StudyError, match=r"was tested on manifest\.csv, test, not manifest\.csv, val; give another"):
        finish_jobs(jobs, elsewhere, num_parallel=1, say=print)


def test_the_report_holds_the_papers_column_and_ours(study):
    out, pages, _ = study
    assert pages == [out / "table7.html", out / "figure3.html"]
    content = json.loads((out / "table7.json").read_text())
    assert [row["variant"] for row in content["rows"]] == ["cbam", "cbam_mfr", "w3", "w3_mfr"]
    assert [row["paper_top1"] for row in content["rows"]] == [49.1, 50.5, 50.2, 52.6]
    assert [row["against"] for row in content["rows"]] == [None, "TSM + CBAM", "TSM + CBAM", "TSM + W3, w/o MFR"]
    for row in content["rows"]:
        result = read_result(out / "runs" / row["variant"] / "seed_0")
        assert row["top1"]["values"] == [result.top1] == [pytest.approx(100 * result.correct.mean())]
    assert content["num_clips"] == 16
    assert content["about"]["tested on"] == "test videos"
    assert content["about"]["device"] == describe_machine(choose_device(None)).device
    with (out / "table7.csv").open() as file:
        assert [row["variant"] for row in csv.DictReader(file)] == ["cbam", "cbam_mfr", "w3", "w3_mfr"]
    assert (out / "table7.png").is_file()
    assert "TSM + CBAM, MFR" in pages[0].read_text()


def test_where_masks_look_is_measured_for_each_stage(study):
    out, _, _ = study
    rows = json.loads((out / "figure3.json").read_text())["rows"]
    assert [(row["variant"], row["stage"]) for row in rows] == [
        (name, stage) for name in FIGURE3 for stage in (1, 2, 3)
    ]
    for row in rows:
        assert row["num_frames"] > 0
        assert 0.3 < row["acting"]["mean"] < 3  # a network of one epoch cares little


def test_some_networks_alone_can_be_looked_at(study, tabletop, tmp_path):
    out, _, _ = study
    (tmp_path / "runs").symlink_to(out / "runs")
    lines = []
    (page,) = run("figure3", tabletop, tmp_path, lines, rows=("w3", "cbam"))
    assert len(lines) == 2  # both were there
    rows = json.loads(page.with_suffix(".json").read_text())["rows"]
    assert list(dict.fromkeys(row["variant"] for row in rows)) == ["cbam", "w3"]


def test_a_student_alone_is_looked_at_after_its_teacher(tabletop, tmp_path, monkeypatch):
    planned = []
    monkeypatch.setattr(module, "finish_jobs", lambda jobs, *_, **__: planned.extend(job.variant for job in jobs) or {})
    with pytest.raises(WeightsError, match="no checkpoint here"):  # nothing was run
        run("figure3", tabletop, tmp_path, [], rows=("w3_mfr",))
    assert planned == ["w3", "w3_mfr"]


def test_a_table_can_be_shown(study, capsys, monkeypatch):
    out, _, _ = study
    monkeypatch.setenv("COLUMNS", "200")
    show(out / "table7.json")
    show(out / "figure3.json")
    said = capsys.readouterr().out
    assert "TSM + W3, w/o MFR" in said
    assert str(out / "figure3.html") in said


def test_rows_are_what_they_say_whatever_network_the_recipe_has(tmp_path):
    model = dataclasses.replace(
        TINY.model, attention="w3", attention_options={"temporal": False}, place="output", refine=False
    )
    recipe = dataclasses.replace(TINY, model=model, mfr=True)
    names = [name for name in VARIANTS if exists(name, "tsm_small")]
    theirs = plan(names, seeds=[0], recipe=recipe, network="tsm_small", rates={}, out=tmp_path)
    plain = plan(names, seeds=[0], recipe=TINY, network="tsm_small", rates={}, out=tmp_path)
    assert [job.config for job in theirs] == [job.config for job in plain]


def test_a_student_whose_teacher_is_nowhere_is_not_waited_for(tabletop, tmp_path):
    jobs = plan(["w3_mfr"], seeds=[0], recipe=TINY, network="tsm_small", rates={}, out=tmp_path)
    with pytest.raises(StudyError, match=r"w3_mfr.seed_0: its teacher .*w3.seed_0 is neither done nor to be run"):
        finish_jobs(jobs, find_videos(tabletop, None, None), num_parallel=1, say=print)


def test_a_failed_row_is_named_and_the_others_are_done(tabletop, tmp_path):
    jobs = plan(["w3", "w3_mfr", "tsm"], seeds=[0], recipe=TINY, network="tsm_small", rates={}, out=tmp_path)
    wild = dataclasses.replace(TINY.optim, lr=1e12, clip_norm=1e12)
    jobs[0] = dataclasses.replace(jobs[0], config=dataclasses.replace(jobs[0].config, optim=wild, epochs=5))
    lines = []
    with pytest.raises(StudyError, match=r"2 of 3 runs failed, first .*w3.seed_0: failed: the loss is"):
        finish_jobs(jobs, find_videos(tabletop, None, None), num_parallel=1, say=lines.append)
    assert read_result(jobs[2].folder) is not None
    assert len(lines) == 2  # a student without a teacher is not even tried


def test_the_sweeps_choice_is_used_by_the_tables(tmp_path):
    (tmp_path / "rates.json").write_text('{"w3": 2.0}')
    jobs = plan(["tsm", "w3"], seeds=[3], recipe=TINY, network="tsm_small", rates={"w3": 2.0}, out=tmp_path)
    assert [job.config.optim.lr for job in jobs] == [0.02, 0.04]
    assert {job.config.seed for job in jobs} == {3}
    trials = plan(["w3_rate0.5"], seeds=[3], recipe=TINY, network="tsm_small", rates={"w3": 2.0}, out=tmp_path)
    assert trials[0].config.optim.lr == 0.01
    assert trials[0].is_trial


def test_fewer_clips_get_more_epochs(tmp_path):
    half = dataclasses.replace(TINY.data, train_fraction=0.5)
    recipe = dataclasses.replace(TINY, epochs=6, eval_every=2, data=half)
    (job,) = plan(["w3_25pct"], seeds=[0], recipe=recipe, network="tsm_small", rates={}, out=tmp_path)
    assert (job.config.epochs, job.config.eval_every, job.config.data.train_fraction) == (12, 4, 0.125)


def test_a_student_learns_from_the_teacher_of_its_seed(tmp_path):
    jobs = plan(["w3", "w3_mfr"], seeds=[0, 1], recipe=TINY, network="tsm_small", rates={}, out=tmp_path)
    assert [(job.variant, job.seed) for job in jobs] == [("w3", 0), ("w3_mfr", 0), ("w3", 1), ("w3_mfr", 1)]
    assert jobs[3].teacher == jobs[2].folder
    assert jobs[3].config.mfr_teacher == str(jobs[2].folder)


def test_videos_to_choose_by_are_not_those_that_are_reported(tabletop, tmp_path):
    found = find_videos(tabletop, None, None)
    assert (found.reported.split, found.choosing.split) == ("test", "val")
    (tmp_path / "plain.csv").write_text("path,label\na.mp4,x\n")
    with pytest.raises(StudyError, match=r"plain\.csv has no val split; give the validation videos with --val"):
        find_videos(tmp_path / "plain.csv", None, None)
    alone = find_videos(tmp_path / "plain.csv", tmp_path / "plain.csv", None)
    assert alone.reported == alone.choosing == (tmp_path / "plain.csv", None)


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        ("table9", {}, r"unknown table 'table9'; choose one of table5, .*figure3 or all"),
        ("table7", {"num_seeds": 0}, "--seeds is 0"),
        ("table7", {"recipe": dataclasses.replace(TINY, model=ModelConfig(name="tsm_lenet"))}, "unknown network"),
    ],
)
def test_wrong_input_is_named(table, options, message, tabletop, tmp_path):
    if "recipe" in options:
        with pytest.raises(StudyError, match=message):
            plan(["tsm"], seeds=[0], recipe=TINY, network="tsm_lenet", rates={}, out=tmp_path)
        return
    with pytest.raises(StudyError, match=message):
        run(table, tabletop, tmp_path, [], **options)


def test_of_equal_rates_the_recipes_own_is_chosen():
    def found(top1):
        return Result("", 1000, top1, 90.0, 50.0, 99.0, 0.1, 9, 100.0, 200.0, 3.0, "a.csv, val", np.ones(4, bool))

    def trials(family, first, second):
        by_seed = zip(module.SWEEP_SEEDS, (first, second), strict=True)
        pairs = [(seed, zip(module.RATE_FACTORS, tops, strict=True)) for seed, tops in by_seed]
        return {(f"{family}_rate{factor:g}", seed): found(top1) for seed, tops in pairs for factor, top1 in tops}

    results = trials("tsm", [50] * 5, [40] * 5)
    results |= trials("w3", [50, 51, 52, 49, 48], [50] * 5)
    results |= trials("cbam", [50, 51, 52, 53, 54], [50] * 5)
    assert module._best_rates(results) == {"tsm": 1.0, "w3": 2.0, "cbam": 8.0}
    del results["w3_rate0.5", module.SWEEP_SEEDS[0]]
    assert "w3" not in module._best_rates(results)


def test_a_sweep_of_some_rows_leaves_the_choice_of_the_others(tabletop, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SWEEP_SEEDS", (1000,))
    (tmp_path / "rates.json").write_text('{"w3": 2.0}')
    lines = []
    rows = tuple(f"tsm_rate{factor:g}" for factor in module.RATE_FACTORS)
    run("sweep", tabletop, tmp_path, lines, rows=rows[:1])
    assert json.loads((tmp_path / "rates.json").read_text()) == {"w3": 2.0}
    run("sweep", tabletop, tmp_path, lines, rows=rows)
    rates = json.loads((tmp_path / "rates.json").read_text())
    assert rates.keys() == {"w3", "tsm"}
    is_last = rates["tsm"] in (module.RATE_FACTORS[0], module.RATE_FACTORS[-1])
    assert any("is the last one tried" in line for line in lines) == is_last
