import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from w3action.evaluate.metrics import compute_metrics, cross_entropy, most_confused


@given(st.integers(1, 60), st.integers(1, 9), st.integers(0, 10_000))
def test_metrics_match_their_definitions(n, k, seed):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(n, k, generator=generator)
    labels = torch.randint(k, (n,), generator=generator)
    metrics = compute_metrics(scores, labels)

    ranking = scores.argsort(dim=1, descending=True)
    top5 = [label in row[:5] for label, row in zip(labels.tolist(), ranking.tolist(), strict=True)]
    right = [label == row[0] for label, row in zip(labels.tolist(), ranking.tolist(), strict=True)]
    assert metrics.top1 == pytest.approx(100 * sum(right) / n, abs=1e-3)
    assert metrics.top5 == pytest.approx(100 * sum(top5) / n, abs=1e-3)
    recalls = []
    for c in range(k):
        mine = [r for r, label in zip(right, labels.tolist(), strict=True) if label == c]
        recall = 100 * sum(mine) / len(mine) if mine else None
        assert metrics.per_class[c] == pytest.approx(recall, abs=1e-3)
        recalls += [recall] if recall is not None else []
    assert metrics.mean_class_accuracy == pytest.approx(sum(recalls) / len(recalls), abs=1e-3)
    assert int(metrics.confusion.sum()) == n


def test_confusion_rows_are_the_truth():
    metrics = compute_metrics(torch.tensor([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]), torch.tensor([0, 1, 0]))
    assert metrics.confusion.tolist() == [[1, 1], [0, 1]]
    assert most_confused(metrics.confusion, count=3) == [(0, 1, 1)]


def test_no_videos_is_an_error():
    with pytest.raises(ValueError, match="no videos"):
        compute_metrics(torch.empty(0, 3), torch.empty(0).long())


def test_cross_entropy_of_a_sure_network_is_small():
    assert cross_entropy(torch.tensor([[9.0, 0.0]]), torch.tensor([0])) < 1e-3
    assert cross_entropy(torch.tensor([[0.0, 0.0]]), torch.tensor([0])) == pytest.approx(0.6931, abs=1e-4)
