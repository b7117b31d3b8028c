import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from w3action.evaluate.metrics import compute_joint_metrics, compute_metrics, most_confused


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


@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 5), st.integers(0, 99))
def test_joint_metrics_rank_every_outcome(n, verbs, nouns, seed):
    generator = torch.Generator().manual_seed(seed)
    verb, noun = torch.randn(n, verbs, generator=generator), torch.randn(n, nouns, generator=generator)
    labels = torch.stack(
        [torch.randint(verbs, (n,), generator=generator), torch.randint(nouns, (n,), generator=generator)], dim=1
    )
    right = {1: [], 5: []}
    for i in range(n):
        pairs = {
            (v, m): verb[i].softmax(0)[v].item() * noun[i].softmax(0)[m].item()
            for v in range(verbs)
            for m in range(nouns)
        }
        ranked = sorted(pairs, key=pairs.__getitem__, reverse=True)
        for top, found in right.items():
            found.append(tuple(labels[i].tolist()) in ranked[:top])
    through = labels + torch.tensor([0, verbs])
    joint, single = compute_joint_metrics(torch.cat([verb, noun], dim=1), through, (verbs, nouns), at_once=2)
    assert joint.top1 == pytest.approx(100 * sum(right[1]) / n)
    assert joint.top5 == pytest.approx(100 * sum(right[5]) / n)
    by_pair = {}
    for pair, hit in zip(map(tuple, labels.tolist()), right[1], strict=True):
        by_pair.setdefault(pair, []).append(hit)
    mean = sum(sum(hits) / len(hits) for hits in by_pair.values()) / len(by_pair)
    assert joint.mean_class_accuracy == pytest.approx(100 * mean)
    assert [s.top1 for s in single] == [
        compute_metrics(verb, labels[:, 0]).top1,
        compute_metrics(noun, labels[:, 1]).top1,
    ]
