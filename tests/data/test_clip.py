import pytest
import torch

from w3action.data import BadVideo, ClipBatch, Sample, collate


def sample(index: int, *, label: int = 0, shape: tuple[int, ...] = (2, 3, 4, 5, 6)) -> Sample:
    return Sample(views=torch.full(shape, float(index)), label=label, index=index)


def test_samples_are_stacked_in_order():
    batch = collate([sample(7, label=1), sample(2, label=0)])
    assert tuple(batch.clips.shape) == (2, 2, 3, 4, 5, 6)
    assert batch.clips[:, 0, 0, 0, 0, 0].tolist() == [7, 2]
    assert batch.labels.tolist() == [1, 0]
    assert batch.indices.tolist() == [7, 2]
    assert batch.labels.dtype == torch.int64
    assert batch.bad == ()
    assert len(batch) == 2


def test_bad_videos_are_set_aside():
    bad = BadVideo(index=3, path="a.mp4", reason="a.mp4: no such file")
    batch = collate([sample(1), bad, sample(2)])
    assert batch.indices.tolist() == [1, 2]
    assert batch.bad == (bad,)


def test_nothing_but_bad_videos():
    bad = BadVideo(index=3, path="a.mp4", reason="a.mp4: no such file")
    batch = collate([bad, bad])
    assert tuple(batch.clips.shape) == (0, 0, 0, 0, 0, 0)
    assert len(batch) == 0
    assert batch.labels.dtype == torch.int64
    assert len(batch.bad) == 2


def test_views_of_different_shapes_are_an_error():
    with pytest.raises(ValueError, match=r"cannot stack views of the shapes \[\(1, 3, 4, 5, 6\), \(2,.*batch_size=1"):
        collate([sample(0), sample(1, shape=(1, 3, 4, 5, 6))])


def test_to_moves_every_tensor_and_keeps_the_rest():
    bad = BadVideo(index=3, path="a.mp4", reason="r")
    moved = collate([sample(1), bad]).to("meta")
    assert isinstance(moved, ClipBatch)
    assert {tensor.device.type for tensor in (moved.clips, moved.labels, moved.indices)} == {"meta"}
    assert moved.bad == (bad,)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="page-locked memory needs a GPU")
def test_pin_memory():
    assert collate([sample(1)]).pin_memory().clips.is_pinned()


def test_shapes_are_checked():
    with pytest.raises(Exception, match=r"views|Float"):
        Sample(views=torch.zeros(3, 4, 5, 6), label=0, index=0)
