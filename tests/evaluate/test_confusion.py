import pytest
import torch
from PIL import Image

from w3action.evaluate import compute_metrics
from w3action.evaluate.confusion import draw_confusion


@pytest.mark.parametrize("num_classes", [1, 3, 16, 60])
def test_the_confusion_matrix_is_drawn_for_any_number_of_classes(num_classes, tmp_path):
    labels = torch.arange(num_classes).repeat(3)
    metrics = compute_metrics(torch.nn.functional.one_hot(labels, num_classes).float(), labels)
    path = tmp_path / "new" / "confusion.png"
    draw_confusion(metrics, [f"class {i}" for i in range(num_classes)], path, title="a run")
    with Image.open(path) as image:
        assert min(image.size) > 300
        assert len(image.convert("RGB").getcolors(1 << 24) or []) > 10
