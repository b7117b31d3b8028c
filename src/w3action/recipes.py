"""Recipes: one function per run that others may want to repeat, each returning a whole `RunConfig`.

`w3 train RECIPE --data ... --out ...` starts one; `--set key=value` changes it.
"""

from collections.abc import Callable

from w3action.config import ConfigError, DataConfig, ModelConfig, OptimConfig, RunConfig


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
        optim=OptimConfig(lr=0.03, lr_batch_size=16, group_rates=False, schedule="cosine", warmup=0.2),
        batch_size=16,
        epochs=16,
    )


def demo() -> RunConfig:
    """The drawn tabletop set on a CPU in minutes: a small TSM from random weights, 8 frames of 48 pixels."""
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


def ssv1_tsm_w3_8f() -> RunConfig:
    """Something-Something V1, Table 1: TSM + W3 at 8 frames, 49.0 % top-1 in the paper."""
    return _something_something("ssv1_tsm_w3_8f", num_frames=8)


def ssv1_tsm_w3_16f() -> RunConfig:
    """Something-Something V1, Table 1: TSM + W3 at 16 frames, 52.6 % top-1 in the paper."""
    return _something_something("ssv1_tsm_w3_16f", num_frames=16)


def _something_something(recipe: str, *, num_frames: int) -> RunConfig:
    return RunConfig(
        recipe=recipe,
        model=ModelConfig(name="tsm_resnet50", attention="w3", pretrained="imagenet"),
        data=DataConfig(num_frames=num_frames, num_workers=8),
        mfr=True,
        batch_size=64,
        epochs=50,
    )


RECIPES: dict[str, Callable[[], RunConfig]] = {
    "default": default,
    "edge": edge,
    "demo": demo,
    "ssv1_tsm_w3_8f": ssv1_tsm_w3_8f,
    "ssv1_tsm_w3_16f": ssv1_tsm_w3_16f,
}


def recipe(name: str) -> RunConfig:
    """Return the config of a recipe.

    Raises:
        ConfigError: there is none of that name; the message lists them.
    """
    if name not in RECIPES:
        raise ConfigError(f"unknown recipe {name!r}; choose one of {', '.join(RECIPES)}")
    return RECIPES[name]()
