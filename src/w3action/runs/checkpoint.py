"""Our own checkpoints: `model.safetensors` with the weights, `model.json` with everything needed to use them.

The JSON says how to build the network, its classes by name, and the clips it was trained on (frames, size). No
pickle, nothing guessed from a file's name.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from jaxtyping import Float
from torch import Tensor, nn

from w3action.clip_format import ClipFormat, modality_of
from w3action.files import write_bytes, write_json
from w3action.labellings import outcome_log_probabilities, outcome_name
from w3action.models.action_model import ActionModel
from w3action.models.create import create_model
from w3action.models.for_inference import for_inference
from w3action.models.weights import WeightsError, check_fit, read_state_dict
from w3action.runs.folder import DESCRIPTION_FILE, WEIGHTS_FILE

FORMAT = 1


@dataclass(frozen=True)
class Checkpoint:
    """A network ready to use."""

    model: ActionModel  # in evaluation mode
    classes: tuple[str, ...]
    clip_format: ClipFormat
    path: Path
    sha256: str  # of the weights file
    labellings: Mapping[str, int] = field(default_factory=dict)  # how many of the classes are of each, if several

    @cached_property
    def fast(self) -> nn.Module:
        """The network for inference alone: equal logits to within rounding, in less time.

        It is made at first use; later changes of `model` are not in it.
        """
        return for_inference(self.model)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many classes each labelling has; empty where there is but one."""
        return tuple(self.labellings.values())

    def probabilities(self, logits: Float[Tensor, "*b k"]) -> Float[Tensor, "*b outcomes"]:
        """Return how probable each outcome is: a class, or with several labellings one class of each."""
        return outcome_log_probabilities(logits.float(), self.sizes).exp()

    def name_of(self, outcome: int) -> str:
        """Return an outcome's name."""
        return outcome_name(outcome, self.classes, self.sizes)


def save_description(
    folder: Path,
    model: ActionModel,
    *,
    classes: Sequence[str],
    clip_format: ClipFormat,
    labellings: Mapping[str, int] | None = None,
) -> None:
    """Write `model.json`: all of a checkpoint but its weights."""
    description = {
        "format": FORMAT,
        "model": model.arguments,
        "classes": list(classes),
        **({"labellings": dict(labellings)} if labellings else {}),
        "clip": {"num_frames": clip_format.num_frames, "size": clip_format.size, "resize": clip_format.resize},
    }
    write_json(folder / DESCRIPTION_FILE, description)


def save_weights(path: Path, model: ActionModel) -> None:
    """Write the weights alone, whole or not at all."""
    state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    write_bytes(path, safetensors.torch.save(state))


def load_checkpoint(
    path: str | Path, *, device: str | torch.device | None = None, weights: str = WEIGHTS_FILE
) -> Checkpoint:
    """Load a run's network.

    Args:
        path: a run's folder, or a weights file inside one.
        device: where the network goes; None is a GPU if there is one.
        weights: which file of the folder: `model.safetensors` (the last epoch) or `best.safetensors`.

    Raises:
        WeightsError: no checkpoint there, or one that does not fit its description.
    """
    path = Path(path)
    folder, weights_path = (path, path / weights) if path.is_dir() else (path.parent, path)
    description_path = folder / DESCRIPTION_FILE
    for needed in (description_path, weights_path):
        if not needed.is_file():
            raise WeightsError(
                f"{path}: no checkpoint here ({needed.name} is missing); give the folder of a finished run"
            )
    description = _read_description(description_path)
    try:
        arguments = dict(description["model"])
        model = create_model(arguments.pop("name"), **arguments)
        classes = tuple(description["classes"])
        clip_format = ClipFormat(**description["clip"], modality=modality_of(model.arguments["in_channels"]))
        labellings = dict(description.get("labellings", {}))
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{description_path}: not a checkpoint's description of this version ({error})") from error
    if len(classes) != model.arguments["num_classes"]:
        raise WeightsError(
            f"{description_path}: names {len(classes)} classes for {model.arguments['num_classes']} scores"
        )
    if labellings and sum(labellings.values()) != len(classes):
        raise WeightsError(f"{description_path}: {labellings} are not {len(classes)} classes in all")
    state = read_state_dict(weights_path)
    check_fit(state, model.state_dict(), origin=str(weights_path), target=f"the network of {description_path.name}")
    model.load_state_dict(state)
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    digest = hashlib.sha256(weights_path.read_bytes()).hexdigest()
    return Checkpoint(model.to(device).eval(), classes, clip_format, weights_path, digest, labellings)


def _read_description(path: Path) -> dict[str, Any]:
    try:
        description = json.loads(path.read_text())
        found = description["format"]
    except (json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise WeightsError(f"{path}: not a checkpoint's description ({error!r})") from error
    if found != FORMAT:
        raise WeightsError(f"{path}: format {found} was written by another version; this one reads format {FORMAT}")
    return description
