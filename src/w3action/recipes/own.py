"""Recipes for one's own clips, and for the drawn set."""

from w3action.config import DataConfig, ModelConfig, OptimConfig, RunConfig


def default() -> RunConfig:
    """Your own clips on one GPU: TSM-ResNet-50 with W3, from ImageNet weights, 8 frames of 224 pixels."""
    return RunConfig(
        recipe="default",
        model=ModelConfig(name="tsm_resnet50", attention="w3", pretrained="imagenet"),
        optim=OptimConfig(schedule="cosine", warmup=0.05),
        batch_size=16,
        epochs=30,
    )


def edge() -> RunConfig:
    """Your own clips for a small device, trainable on a CPU: TSM-MobileNetV2 with W3, 8 frames of 112 pixels."""
    return RunConfig(
        recipe="edge",
        model=ModelConfig(name="tsm_mobilenetv2", attention="w3", pretrained="imagenet"),
        data=DataConfig(size=112),
        # 0.03 costs TSM and W3 seven points or more across persons (docs/evidence.md).
        optim=OptimConfig(lr=0.01, lr_batch_size=16, group_rates=False, schedule="cosine", warmup=0.2),
        batch_size=16,
        epochs=16,
    )


def demo() -> RunConfig:
    """Learn the drawn tabletop set on a CPU in minutes: a small TSM from random weights, 8 frames of 48 pixels."""
    return RunConfig(
        recipe="demo",
        model=ModelConfig(name="tsm_small", dropout=0.2),
        # Whole frames: a hand that works at the table's edge must not be cropped away.
        data=DataConfig(size=48, resize=48, scales=(1.0,), sampling="middle", num_workers=0, cache_gib=2.0),
        optim=OptimConfig(
            name="adamw",
            lr=0.004,
            lr_batch_size=16,
            schedule="cosine",
            warmup=0.2,
            weight_decay=0.02,
            clip_norm=5.0,
            group_rates=False,
        ),
        batch_size=16,
        epochs=14,
        eval_every=7,
    )
