"""Every variant is a network that can be built, and every row one that can be compared."""

import dataclasses

import pytest
import torch

from w3action.config import override
from w3action.recipes import demo
from w3action.study.jobs import exists
from w3action.study.tables import (
    CURVES,
    FAMILIES,
    FRACTIONS,
    RATE_FACTORS,
    STUDY_TABLES,
    VARIANTS,
    Variant,
    rate_factor_of,
    with_teachers,
)
from w3action.train.run import build_model


def config_of(name: str):
    return override(demo(), [setting.format(backbone="small") for setting in VARIANTS[name].settings])


@pytest.mark.parametrize("name", [name for name in VARIANTS if exists(name, "tsm_small")])
def test_every_variant_builds_its_network(name):
    with torch.device("meta"):
        model = build_model(config_of(name), num_classes=4)
        assert model.eval()(torch.empty(1, 3, 8, 32, 32)).shape == (1, 4)


@pytest.mark.parametrize("name", [name for name, variant in VARIANTS.items() if variant.teacher])
def test_a_student_differs_from_its_teacher_in_mfr_alone(name):
    student, teacher = config_of(name), config_of(VARIANTS[name].teacher)
    assert student.model == teacher.model
    assert student.mfr
    assert not teacher.mfr
    assert VARIANTS[name].family == VARIANTS[VARIANTS[name].teacher].family


@pytest.mark.parametrize("table", STUDY_TABLES.values(), ids=lambda table: table.name)
def test_every_row_is_compared_with_a_row_of_its_table(table):
    variants = [row.variant for row in table.rows]
    assert len(set(variants)) == len(variants)
    assert {row.against for row in table.rows} <= {None, *variants}
    assert bool(table.paper) == any(row.paper_top1 for row in table.rows)


def test_the_papers_column_is_the_papers():
    """Tables 5 and 7 of the paper with what we add to it, and the W3 rows of Table 8."""
    printed = {
        name: {row.variant: row.paper_top1 for row in STUDY_TABLES[name].rows}
        for name in ("table5", "table7", "table8")
    }
    assert list(printed["table5"].values()) == [52.6, 50.3, 50.1, 49.8, 47.2]
    assert list(printed["table7"].values()) == [49.1, 50.5, None, 50.2, 52.6, None, 47.2, None, None]
    assert (printed["table8"]["tam_w3"], printed["table8"]["i3d_w3"]) == (50.1, 35.3)


def test_a_student_is_compared_with_its_teacher_and_with_a_training_as_long_as_both():
    rows = {row.variant: row for row in STUDY_TABLES["table7"].rows}
    students = {name: VARIANTS[name].teacher for name in rows if VARIANTS[name].teacher}
    assert set(students.values()) == {"cbam", "w3", "tsm"}
    for student, teacher in students.items():
        assert (rows[student].against or "cbam") == teacher
        longer = next(row.variant for row in rows.values() if row.against == student)
        assert VARIANTS[longer] == dataclasses.replace(VARIANTS[teacher], epochs_factor=2.0)


def test_teachers_come_before_their_students_and_each_comes_once():
    for table in STUDY_TABLES.values():
        needed = with_teachers(row.variant for row in table.rows)
        assert len(set(needed)) == len(needed)
        for place, name in enumerate(needed):
            teacher = VARIANTS[name].teacher
            assert teacher is None or teacher in needed[:place]


def test_every_attention_gets_the_same_trials():
    trials = {}
    for row in STUDY_TABLES["sweep"].rows:
        family, _, factor = VARIANTS[row.variant].family.partition("*")
        trials.setdefault(family, []).append(float(factor))
    assert set(map(tuple, trials.values())) == {RATE_FACTORS}
    assert {VARIANTS[row.variant].family for row in STUDY_TABLES["table6"].rows} == trials.keys()


def test_a_learning_curve_has_every_share_of_every_network():
    points = [row.curve for row in STUDY_TABLES["curves"].rows]
    assert sorted(points) == sorted((FAMILIES[name], 100 * share) for name in CURVES for share in FRACTIONS)
    variant_of = {label: name for name, label in FAMILIES.items()}
    for row in STUDY_TABLES["curves"].rows:
        label, percent = row.curve
        assert VARIANTS[row.variant].settings == VARIANTS[variant_of[label]].settings
        assert 100 * VARIANTS[row.variant].fraction == percent


def test_a_variant_takes_the_rate_of_its_family():
    assert rate_factor_of(Variant((), "w3"), {"w3": 2.0}) == 2.0
    assert rate_factor_of(Variant((), "tam"), {"w3": 2.0}) == 1.0
    assert rate_factor_of(Variant((), "w3*0.5"), {"w3": 2.0}) == 0.5


def test_a_table_of_networks_that_do_not_exist_says_so():
    assert exists("tsn", "tsm_small")
    assert not exists("tsn", "tsm_lenet")
