"""A run as data: frozen dataclasses with a default for everything, and typed overrides `key=value`.

A recipe is a function that returns a `RunConfig`; a run writes the one it was made from to `run.json`, and that file
builds it again. Nothing in `layers`, `models` or `data` sees these classes: they are taken apart where a
run is put together.
"""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

# A setting that does not exist is an error, not a wish. The line below a field is what `w3 settings` says of it.
_STRICT = pydantic.ConfigDict(extra="forbid", use_attribute_docstrings=True)
Share = Annotated[float, Field(ge=0, lt=1)]  # of a whole


class ConfigError(ValueError):
    """A setting that does not exist or does not fit its type."""


@pydantic.with_config(_STRICT)
@dataclass(frozen=True)
class ModelConfig:
    """The arguments of `create_model`, which knows the names of networks, attentions and places and checks them."""

    name: str = "tsm_resnet50"
    """A network of `w3 list`."""
    attention: str | None = None
    """An attention of `w3 list`."""
    attention_options: dict[str, Any] = field(default_factory=dict)
    """Options of the attention layer, as in model.attention_options.temporal=false."""
    place: str | None = None
    """Where in a block the attention stands, residual or output; none: its own usual place."""
    refine: bool | None = None
    """Attention-guided feature refinement (AFR); none: where the attention asks for it."""
    refine_from: str = "last"
    """Blocks of each stage whose masks guide AFR: last or every."""
    head_options: dict[str, Any] = field(default_factory=dict)
    """Options of the head, as in model.head_options.NAME=VALUE."""
    dropout: Share = 0.5
    """Share of the features that the classifier does not see in a step of training."""
    pretrained: str | None = None
    """imagenet, or a file of weights; none: random weights."""
    proposer: str | None = None
    """Weights of a region graph's detector: coco, or a file; none: random weights."""


@pydantic.with_config(_STRICT)
@dataclass(frozen=True)
class DataConfig:
    """Which clips, how they are cut and varied."""

    modality: Literal["rgb", "flow"] = "rgb"
    """rgb: frames; flow: stacks of five optical flows instead."""
    num_frames: PositiveInt = 8
    """Frames of a clip, or stacks of flows."""
    size: PositiveInt = 224
    """Side of the square crop in pixels."""
    resize: PositiveInt | None = None
    """Shorter side in pixels to which videos are decoded; none: 8/7 of data.size."""
    sampling: Literal["segments", "middle", "dense"] = "segments"
    """Frames of a training clip. segments: one from a random place of each segment; middle: from its middle, as in
    tests (for sets too small to learn through the jitter); dense: a window of 64 frames."""
    scales: tuple[float, ...] = (1.0, 0.875, 0.75, 0.66)
    """Sides of the multi-scale crop, as shares of the shorter side."""
    flip: Literal["auto", "off", "plain"] = "auto"
    """auto: flip, and swap the labels that speak of a side; off if a class has no mirror. plain: flip, keep labels."""
    color_jitter: Share = 0.0
    """Strength of random changes of brightness, contrast and saturation."""
    label_column: str = "label"
    """The manifest's column of labels; several, as in verb,noun, train a classifier each."""
    train_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of each class's training clips that is used, for learning curves."""
    num_workers: NonNegativeInt = 2
    """Processes that decode."""
    cache_gib: NonNegativeFloat = 0.0
    """Decoded frames kept in memory, in GiB; for small sets, which are then read without processes of their own."""
    decode_on: Literal["cpu", "cuda"] = "cpu"
    """cuda: training videos are decoded by torchcodec on a GPU, where it is installed."""


@pydantic.with_config(_STRICT)
@dataclass(frozen=True)
class OptimConfig:
    """How the weights move."""

    name: Literal["sgd", "adamw"] = "sgd"
    """The optimiser."""
    lr: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.01
    """Learning rate, for a batch of optim.lr_batch_size clips."""
    lr_batch_size: PositiveInt = 64
    """The batch that optim.lr belongs to."""
    scale_lr: bool = True
    """Scale the rate in proportion to the batch that is really used."""
    schedule: Literal["step", "cosine"] = "step"
    """How the rate falls."""
    milestones: tuple[Share, ...] = (0.4, 0.8)
    """Shares of the run at which the rate falls to a tenth (step)."""
    warmup: Share = 0.0
    """Share of the run during which the rate rises from zero."""
    group_rates: bool = True
    """Biases learn at twice the rate, the classifier at five times, its bias at ten."""
    momentum: Share = 0.9
    """Of sgd; of adamw the first beta."""
    weight_decay: NonNegativeFloat = 5e-4
    """Of weights alone: biases and norms have none."""
    clip_norm: PositiveFloat = 20.0
    """Longer gradients are cut to this norm."""
    freeze_batch_norm: bool = False
    """Keep all batch norms but the first as they are ("partial BN")."""


@pydantic.with_config(_STRICT)
@dataclass(frozen=True)
class RunConfig:
    """Everything that makes a run what it is."""

    recipe: str = "default"
    """The recipe that the settings come from."""
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    optim: OptimConfig = OptimConfig()
    mfr: bool = False
    """Mature feature-guided regularization (MFR): train a teacher, then the student."""
    mfr_weight: NonNegativeFloat = 0.1
    """Weight of MFR's loss (equation 9); the paper adds it as it is."""
    mfr_reduction: Literal["mean", "sum"] = "mean"
    """How MFR's loss is reduced over frames."""
    mfr_teacher: str | None = None
    """A finished run to learn from; none: train one first."""
    mfr_teacher_weights: Literal["last", "best"] = "last"
    """The teacher's weights: after its last epoch, or after its best validation."""
    batch_size: PositiveInt = 64
    """Clips of a step, over all devices."""
    epochs: PositiveInt = 50
    """How often every training video is seen."""
    label_smoothing: Share = 0.0
    """Share of the target that is spread over all classes."""
    mixed_precision: Literal["no", "bf16", "fp16"] = "no"
    """Types to compute in."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """All that is random in a run comes from it."""
    eval_every: PositiveInt = 1
    """Epochs between validations."""
    checkpoint_every_steps: PositiveInt | None = None
    """Steps between saved states, besides the end of every epoch."""


_ADAPTER = pydantic.TypeAdapter(RunConfig)
_TYPES = {  # a type in JSON -> how a person writes such a value
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true | false",
    "array": "numbers with commas between",
    "object": "options",
    "null": "none",
}
_BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}


@dataclass(frozen=True)
class Setting:
    """A key of `--set`, in words."""

    key: str  # "optim.lr"
    type: str  # "number > 0"
    default: str  # as it would be given: "0.01"
    about: str  # what it does, in a line


def list_settings() -> list[Setting]:
    """Return every key of `--set`, in the order of the fields."""
    schema, defaults = _ADAPTER.json_schema(), dataclasses.asdict(RunConfig())

    def below(properties: dict[str, dict[str, Any]], defaults: dict[str, Any], prefix: str) -> Iterator[Setting]:
        for name, described in properties.items():
            if "$ref" in described:
                group = schema["$defs"][described["$ref"].rpartition("/")[2]]
                yield from below(group["properties"], defaults[name], f"{prefix}{name}.")
            else:
                about = " ".join(described.get("description", "").split())
                yield Setting(prefix + name, _type_in_words(described), _as_given(defaults[name]), about)

    return list(below(schema["properties"], defaults, ""))


def _type_in_words(described: dict[str, Any]) -> str:
    if "anyOf" in described:
        return " | ".join(map(_type_in_words, described["anyOf"]))
    if "enum" in described:
        return " | ".join(described["enum"])
    bounds = [f"{sign} {described[bound]}" for bound, sign in _BOUNDS.items() if bound in described]
    return " ".join([_TYPES[described["type"]], ", ".join(bounds)]).strip()


def _as_given(value: Any) -> str:
    """Write a value as `--set` reads it."""
    if isinstance(value, tuple):
        return ",".join(map(_as_given, value))
    return value if isinstance(value, str) else json.dumps(value).replace("null", "none")


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
