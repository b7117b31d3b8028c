"""Weights from elsewhere into a backbone: torchvision's ImageNet weights, or a local file. Strict, and never a pickle.

Foreign files are opened with `weights_only=True` alone. Every missing, unexpected and mis-shaped key is reported;
nothing is passed over in silence except what a backbone has no place for: the ImageNet classifier.
"""

import pickle
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torchvision.models import WeightsEnum

from w3action.models.backbone import RGB_CHANNELS

MOST_KEYS_SHOWN = 6
CLASSIFIERS = ("fc.", "classifier.")
OURS = "backbone."  # of a checkpoint of ours, beside `head.` and `refine.`
SLOTS = ".slots."


class WeightsError(ValueError):
    """A weights file that cannot be read or does not fit."""


Converter = Callable[[Mapping[str, Tensor], Mapping[str, Tensor]], dict[str, Tensor]]  # (theirs, expected) -> ours


def load_backbone(
    backbone: nn.Module,
    source: WeightsEnum | Path | None,
    *,
    name: str,
    convert: Converter | None = None,
    inputs: Sequence[str] = (),
) -> None:
    """Load backbone weights, in place.

    Layers in slots (attention, temporal operations) keep their own start, unless the file is a checkpoint of ours that
    has such layers too. A classifier or a refinement in the file is left aside.

    Args:
        backbone: the network without its head.
        source: torchvision's weights, which are downloaded and checked by their hash, or a local file: a checkpoint
            of ours, torchvision's layout, or the published MobileNetV2's (`features.1.conv.0.weight`).
        name: the model's name, for messages.
        convert: makes a foreign state dict one of this backbone's layout, such as inflation to 3D.
        inputs: weights that see clips of other channels than RGB; those of RGB are made to fit (`widen_weights`).

    Raises:
        WeightsError: the file cannot be fetched or read, or does not fit; then the message lists the keys.
    """
    if source is None:
        raise WeightsError(f"{name} has no ImageNet weights; leave pretrained out or give a file")
    if isinstance(source, Path):
        state, origin = read_state_dict(source), str(source)
    else:
        without = "start from random weights with --set model.pretrained=none"
        advice = f"give a file with --set model.pretrained=FILE, or {without}"
        state, origin = download(source, what="the ImageNet weights", advice=advice), str(source)
    is_ours = any(key.startswith(OURS) for key in state)
    if is_ours:
        state = {key.removeprefix(OURS): value for key, value in state.items() if key.startswith(OURS)}
    else:
        state = {key: value for key, value in state.items() if not key.startswith(CLASSIFIERS)}
        state = nest_mobilenet(state)
    filled = {_slot_of(key) for key in state}
    expected = {key: value for key, value in backbone.state_dict().items() if _slot_of(key) in {None, *filled}}
    if convert is not None and not is_ours:
        state = convert(state, as_of_rgb(expected, inputs))
    state = widen_weights(state, expected, inputs)
    check_fit(state, expected, origin=origin, target=f"the backbone of {name}")
    backbone.load_state_dict(state, strict=False)  # its keys were just compared; slots are missing by design


def _slot_of(key: str) -> str | None:
    """Return the kind of slot, "attention" or "temporal", that a key lies in, or None."""
    _, _, within = key.partition(SLOTS)
    return within.partition(".")[0] or None


def download(source: WeightsEnum, *, what: str, advice: str) -> Mapping[str, Tensor]:
    """Download torchvision's weights, checked by their hash; the rest are words for the message.

    Raises:
        WeightsError: they cannot be fetched.
    """
    try:
        return source.get_state_dict(progress=True, check_hash=True)
    except (OSError, RuntimeError) as error:  # no network; a hash that does not fit
        raise WeightsError(f"{what} {source} cannot be downloaded ({first_line(error)}); {advice}") from error


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a .safetensors, .pt or .pth file, without a `state_dict` or `module.` around them.

    Raises:
        WeightsError: there is no such file, it holds code, or it holds something other than named tensors.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file")
    try:
        if path.suffix == ".safetensors":
            loaded = safetensors.torch.load_file(path)
        else:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path}: no plain weights file; if it holds Python objects, save its state dict alone (objects could run "
            "code, so they are not opened)"
        ) from error
    except Exception as error:  # torch.load answers bytes that are no weights with a dozen kinds of error
        raise WeightsError(f"{path}: not a weights file ({type(error).__name__}: {first_line(error)})") from error
    for wrapper in ("state_dict", "model_state", "model"):
        if isinstance(loaded, Mapping) and isinstance(loaded.get(wrapper), Mapping):
            loaded = loaded[wrapper]
    if not isinstance(loaded, Mapping) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise WeightsError(f"{path}: holds no state dict of named tensors")
    return {str(key).removeprefix("module."): value for key, value in loaded.items()}


def first_line(error: Exception) -> str:
    """Return an error's message, cut to a line; its type where it has none."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def nest_mobilenet(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Bring the flat names of the published MobileNetV2 to torchvision's nested ones; other networks' stay.

    There each block is one flat Sequential; torchvision nests convolution, norm and activation:
    `features.N.conv.{0,1,3,4,6,7}` -> `{0.0,0.1,1.0,1.1,2,3}`, in the first block `{0,1,3,4}` -> `{0.0,0.1,1,2}`.
    """
    if "features.1.conv.0.weight" not in state:
        return dict(state)
    nested = {"0": "0.0", "1": "0.1", "3": "1.0", "4": "1.1", "6": "2", "7": "3"}

    def nest(found: re.Match[str]) -> str:
        block, place, leaf = found.groups()
        inner = {**nested, "3": "1", "4": "2"} if block == "features.1.conv" else nested
        return f"{block}.{inner.get(place, place)}.{leaf}"

    return {re.sub(r"^(features\.[^.]+\.conv)\.([^.]+)\.(.+)", nest, key): value for key, value in state.items()}


def as_of_rgb(expected: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    """Return the state dict that a widened backbone would have for RGB; the weights in `names` hold no numbers."""
    return {
        key: value.new_empty(value.shape[0], RGB_CHANNELS, *value.shape[2:]) if key in names else value
        for key, value in expected.items()
    }


def widen_weights(
    given: Mapping[str, Tensor], expected: Mapping[str, Tensor], names: Sequence[str]
) -> dict[str, Tensor]:
    """Repeat the mean over RGB of the weights in `names` for all of `expected`'s channels; all else stays.

    This is the "cross modality pre-training" of "Temporal Segment Networks", section 3.2. Weights that are not of
    three input channels stay too, so that those of the same channels load as they are.
    """
    widened = dict(given)
    for name in names:
        weight = given.get(name)
        if weight is not None and weight.ndim > 2 and weight.shape[1] == RGB_CHANNELS:
            num_channels = expected[name].shape[1]
            widened[name] = weight.mean(dim=1, keepdim=True).repeat_interleave(num_channels, dim=1)
    return widened


def check_fit(given: Mapping[str, Tensor], expected: Mapping[str, Tensor], *, origin: str, target: str) -> None:
    """Compare two state dicts key by key and shape by shape.

    `num_batches_tracked` may be missing: files from before PyTorch 0.4.1 have none, and no output depends on it.

    Raises:
        WeightsError: naming every kind of difference, with the first few keys of each.
    """
    missing = [k for k in expected if k not in given and not k.endswith("num_batches_tracked")]
    unexpected = [k for k in given if k not in expected]
    shapes = [
        f"{k} {tuple(given[k].shape)} instead of {tuple(expected[k].shape)}"
        for k in given
        if k in expected and given[k].shape != expected[k].shape
    ]
    found = [
        f"{len(keys)} {kind}: {', '.join(keys[:MOST_KEYS_SHOWN])}{', ...' if len(keys) > MOST_KEYS_SHOWN else ''}"
        for kind, keys in (("missing", missing), ("unexpected", unexpected), ("mis-shaped", shapes))
        if keys
    ]
    if found:
        raise WeightsError(f"{origin} does not fit {target}: {'; '.join(found)}")
