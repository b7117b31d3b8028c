"""A run as data: frozen dataclasses with a default for everything, and typed overrides `key=value`.

A recipe is a function that returns a `RunConfig`; a run writes the one it was made from to `run.json`, and that file
builds it again. Nothing in `layers`, `models` or `data` sees these classes: they are taken apart where a
run is put together.
"""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

_STRICT = pydantic.ConfigDict(extra="forbid")  # an unknown setting is an error
Share = Annotated[float, Field(ge=0, lt=1)]  # of a whole


class ConfigError(ValueError):
    """A setting that does not exist or does not fit its type."""


@pydantic.with_config(_STRICT)
@dataclass(frozen=True)
class ModelConfig:
    """The arguments of `create_model`, which knows the names of networks, attentions and places and checks them."""

    name: str = "tsm_resnet50"
    attention: str | None = None
    attention_options: dict[str, Any] = field(default_factory=dict)
    place: str | None = None
    refine: bool | None = None  # attention-guided feature refinement; None: where the attention asks for it
    refine_from: str = "last"
    head_options: dict[str, Any] = field(default_factory=dict)
    dropout: Share = 0.5
    pretrained: str | None = None  # "imagenet", a file, or None for random weights
    proposer: str | None = None  # of a region graph's detector: "coco", a file, or None for random weights


@pydantic.with_config(_STRICT)
@dataclass(frozen=True)
class DataConfig:
    """Which clips, how they are cut and varied."""

    modality: Literal["rgb", "flow"] = "rgb"  # flow: stacks of five optical flows instead of frames
    num_frames: PositiveInt = 8
    size: PositiveInt = 224  # pixels, the side of the square crop
    resize: PositiveInt | None = None  # pixels, the shorter side when decoded; None: 8/7 of `size`
    # Frames of a training clip. segments: one from a random place of each segment; middle: from its middle, as in
    # tests (for sets too small to learn through the jitter); dense: a window of 64 frames.
    sampling: Literal["segments", "middle", "dense"] = "segments"
    scales: tuple[float, ...] = (1.0, 0.875, 0.75, 0.66)  # of the multi-scale crop
    # auto: flip, and swap the labels that speak of a side; off if a class has no mirror. plain: flip, keep labels.
    flip: Literal["auto", "off", "plain"] = "auto"
    color_jitter: Share = 0.0
    label_column: str = "label"  # several, as in "verb,noun", train a classifier each
    train_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0  # of each class's training clips, for learning curves
    num_workers: NonNegativeInt = 2
    cache_gib: NonNegativeFloat = 0.0  # decoded frames kept in memory; for small sets with num_workers=0
    decode_on: Literal["cpu", "cuda"] = "cpu"  # cuda: training videos by torchcodec on a GPU, where it is installed


@pydantic.with_config(_STRICT)
@dataclass(frozen=True)
class OptimConfig:
    """How the weights move."""

    name: Literal["sgd", "adamw"] = "sgd"
    lr: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.01  # at a batch of `lr_batch_size` clips
    lr_batch_size: PositiveInt = 64
    scale_lr: bool = True  # in proportion to the batch that is really used
    schedule: Literal["step", "cosine"] = "step"
    milestones: tuple[Share, ...] = (0.4, 0.8)  # shares of the run at which the rate falls to a tenth (step)
    warmup: Share = 0.0  # share of the run during which the rate rises from zero
    group_rates: bool = True  # biases at twice the rate, the classifier at five times, its bias at ten
    momentum: Share = 0.9  # of adamw: its first beta
    weight_decay: NonNegativeFloat = 5e-4
    clip_norm: PositiveFloat = 20.0
    freeze_batch_norm: bool = False  # all but the first: "partial BN"


@pydantic.with_config(_STRICT)
@dataclass(frozen=True)
class RunConfig:
    """Everything that makes a run what it is."""

    recipe: str = "default"
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    optim: OptimConfig = OptimConfig()
    mfr: bool = False  # mature feature-guided regularization: train a teacher, then the student
    mfr_weight: NonNegativeFloat = 0.1  # of equation 9; the paper adds it as it is
    mfr_reduction: Literal["mean", "sum"] = "mean"  # over frames, of equation 9
    mfr_teacher: str | None = None  # a finished run to learn from; None trains one first
    mfr_teacher_weights: Literal["last", "best"] = "last"
    batch_size: PositiveInt = 64  # clips over all devices
    epochs: PositiveInt = 50
    label_smoothing: Share = 0.0
    mixed_precision: Literal["no", "bf16", "fp16"] = "no"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    eval_every: PositiveInt = 1  # epochs
    checkpoint_every_steps: PositiveInt | None = None  # besides the end of every epoch


_ADAPTER = pydantic.TypeAdapter(RunConfig)


def override(config: RunConfig, settings: Sequence[str]) -> RunConfig:
    """Return the config with `key=value` settings applied, e.g. `optim.lr=0.02`, `mfr=true`, `data.scales=1,0.9`.

    Raises:
        ConfigError: an unknown key (the message lists the known ones) or a value that is not of its type.
    """
    content = dataclasses.asdict(config)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set {setting}: write it as key=value")
        parts = key.strip().removeprefix("recipe.").split(".")
        place = content
        for depth, part in enumerate(parts):
            free = depth > 0 and parts[depth - 1].endswith("_options")  # the layer itself knows its options
            if not isinstance(place, dict):
                raise ConfigError(f"--set {setting}: {'.'.join(parts[:depth])} is one value, without settings below it")
            if part not in place and not (free and depth == len(parts) - 1):
                raise ConfigError(f"--set {setting}: there is no {key.strip()!r}; choose one of {', '.join(place)}")
            if depth == len(parts) - 1:
                place[part] = _value(text.strip(), place.get(part))
            else:
                place = place[part]
    return from_dict(content, origin="--set " + " ".join(settings))


def from_dict(content: dict[str, Any], *, origin: str) -> RunConfig:
    """Build a RunConfig from plain data.

    Raises:
        ConfigError: naming the first setting that does not fit.
    """
    try:
        return _ADAPTER.validate_python(content)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{origin}: {key} is {first['input']!r}: {first['msg'].lower()}") from error


def _value(text: str, current: Any) -> Any:
    """Read a value: JSON where it is JSON, a comma-separated list where a list stands, else the text itself."""
    if text.lower() in {"none", "null"}:
        return None
    if isinstance(current, tuple | list) and not text.startswith("["):
        return [_value(part, None) for part in text.split(",")]
    try:
        return json.loads(text.lower() if text.lower() in {"true", "false"} else text)
    except json.JSONDecodeError:
        return text
