"""The state of a run in one file, so that `kill -9` at any moment costs no more than the steps since the last save.

`state.safetensors` holds the network, the optimiser's moments and, in its header, the numbers of the run (JSON). It
is replaced in one piece. There is no random state in it: every random number of a run, those of dropout
included, is a function of (seed, step), so a resumed run draws what the killed one would have drawn.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from w3action.files import write_bytes
from w3action.models import ActionModel, WeightsError
from w3action.models.weights import check_fit


@dataclass
class Progress:
    """Where a run stands, in plain numbers."""

    epoch: int = 0  # epochs finished
    batch: int = 0  # batches finished in the current epoch
    step: int = 0  # batches finished in all
    best_top1: float = -1.0
    epoch_sums: dict[str, float] = field(default_factory=dict)  # of the current epoch
    history: list[dict[str, float]] = field(default_factory=list)  # a row per finished epoch
    bad_videos: dict[str, list[str]] = field(default_factory=dict)  # place in the set -> path, reason
    scaler: dict[str, Any] = field(default_factory=dict)  # of fp16 gradients


def save_state(path: Path, *, model: ActionModel, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
    """Write the whole state, or leave the last one as it is.

    Raises:
        OSError: it could not be written; the message says what to do.
    """
    tensors = {f"model.{key}": value for key, value in model.state_dict().items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": v for k, v in moments.items() if isinstance(v, Tensor)}
    content = safetensors.torch.save(
        {key: value.detach().cpu().contiguous() for key, value in tensors.items()},
        metadata={"progress": json.dumps(asdict(progress))},
    )
    write_bytes(path, content)


def load_state(path: Path, *, model: ActionModel, optimizer: torch.optim.Optimizer) -> Progress:
    """Put a saved state back into the network and the optimiser, and return where the run stood.

    Raises:
        WeightsError: the file is not a state, or is that of another network.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            progress = Progress(**json.loads(header["progress"]))
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (it is no dict)
    except (OSError, safetensors.SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise WeightsError(f"{path}: not the state of a run ({error!r}); remove it to start again") from error
    weights = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    check_fit(weights, model.state_dict(), origin=str(path), target="the network of this run's config")
    model.load_state_dict(weights)

    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".")
            if int(index) >= len(parameters):
                raise WeightsError(f"{path}: the state of an optimiser of other parameters; remove it to start again")
            moments.setdefault(int(index), {})[name] = _in_order_of(parameters[int(index)], value)
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    return progress


def _in_order_of(parameter: Tensor, moment: Tensor) -> Tensor:
    """Return the moment in its parameter's order of memory: where the two differ, an optimiser rounds differently."""
    return torch.empty_like(parameter, dtype=moment.dtype).copy_(moment) if moment.shape == parameter.shape else moment
