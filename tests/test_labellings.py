"""Several labellings side by side: splitting, outcomes and their names, against loops."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from w3action.labellings import (
    are_right,
    count_from_zero,
    cross_entropy,
    first_classes,
    outcome_log_probabilities,
    outcome_name,
    outcome_of,
)

SIZES = st.lists(st.integers(1, 4), min_size=2, max_size=3).map(tuple)


def draw(sizes, seed, n=3):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, sum(sizes), generator=generator)
    offsets = [sum(sizes[:i]) for i in range(len(sizes))]
    columns = [torch.randint(k, (n,), generator=generator) + o for k, o in zip(sizes, offsets, strict=True)]
    return logits, torch.stack(columns, dim=1)


@given(SIZES, st.integers(0, 99))
def test_outcomes_are_every_combination_the_last_labelling_fastest(sizes, seed):
    logits, labels = draw(sizes, seed)
    names = [[f"{letter}{i}" for i in range(size)] for letter, size in zip("abc", sizes, strict=False)]
    flat = [name for part in names for name in part]
    combinations = list(itertools.product(*names))
    logs = outcome_log_probabilities(logits, sizes)
    assert logs.shape == (3, len(combinations)) == (3, math.prod(sizes))
    for place, combination in enumerate(combinations):
        assert outcome_name(place, flat, sizes) == ", ".join(combination)
        by_hand = 0.0
        for part, name in zip(logits[0].split(sizes), combination, strict=True):
            by_hand += part.log_softmax(0)[int(name[1:])].item()
        assert logs[0, place].item() == pytest.approx(by_hand, abs=1e-4)
    for row, place in zip(labels.tolist(), outcome_of(labels, sizes).tolist(), strict=True):
        assert outcome_name(place, flat, sizes) == ", ".join(flat[label] for label in row)


@given(SIZES, st.integers(0, 99))
def test_losses_are_added_and_all_must_be_right(sizes, seed):
    logits, labels = draw(sizes, seed)
    parts = list(zip(logits.split(sizes, dim=1), count_from_zero(labels, sizes), strict=True))
    torch.testing.assert_close(cross_entropy(logits, labels, sizes), sum(F.cross_entropy(p, y) for p, y in parts))
    expected = [all(p[i].argmax() == y[i] for p, y in parts) for i in range(3)]
    assert are_right(logits, labels, sizes).tolist() == expected


def test_one_labelling_is_as_if_there_were_none():
    logits, labels = torch.randn(4, 5), torch.tensor([0, 4, 2, 2])
    torch.testing.assert_close(cross_entropy(logits, labels, ()), F.cross_entropy(logits, labels))
    torch.testing.assert_close(outcome_log_probabilities(logits, ()), logits.log_softmax(1))
    assert are_right(logits, labels, ()).tolist() == (logits.argmax(1) == labels).tolist()
    assert outcome_name(2, ["a", "b", "c"], ()) == "c"


@pytest.mark.parametrize("sizes", [(), (2, 3), (4, 1, 2)])
def test_first_classes_are_labels(sizes):
    labels = first_classes(sizes)
    assert [int(label) for label in count_from_zero(labels, sizes)] == [0] * max(1, len(sizes))


@pytest.mark.parametrize(("shape", "sizes"), [((2,), (1, 1)), ((2, 2), ()), ((2, 3), (1, 1))])
def test_labels_of_other_labellings_are_refused(shape, sizes):
    with pytest.raises(ValueError, match="labellings"):
        count_from_zero(torch.zeros(shape, dtype=torch.long), sizes)
