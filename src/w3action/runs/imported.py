"""Import another project's checkpoint: a file and its list of classes -> a run's folder that `load_checkpoint` reads.

The file is opened without running any code in it, every name and shape must fit, and what the tensors tell is checked
against what was asked for. Modules that the file cannot hold (W3, say) keep their own start; `import.json` names them.
Networks here see frames normalised by ImageNet's mean and deviation, as all these projects train them; a file trained
with others (as a few of timm's are) sees frames of a false tint, and scores worse.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from w3action.clip_format import ClipFormat
from w3action.files import write_json
from w3action.models.action_model import ActionModel
from w3action.models.create import create_model
from w3action.models.importing import look_up_layout
from w3action.models.importing.classes import class_order, read_classes
from w3action.models.importing.layout import Layout, classifier_name, tensor_names
from w3action.models.importing.recognise import Told, choose_network, recognise
from w3action.models.weights import WeightsError, check_fit, read_state_dict
from w3action.runs.checkpoint import save_description, save_weights
from w3action.runs.folder import IMPORT_FILE, WEIGHTS_FILE

NEW = {  # what a file may lack, by our names, and as `import.json` calls it
    ".slots.temporal.": "temporal operation",
    ".slots.attention.": "attention",
    ".refine.": "refinement",
    ".head.": "classifier",
}


def import_checkpoint(
    file: str | Path,
    *,
    layout: str,
    classes: str | Path,
    out: str | Path,
    network: str | None = None,
    temporal: str | None = None,
    attention: str | None = None,
    num_frames: int,
    size: int = 224,
    order_like: str | Path | None = None,
    head: str | None = None,
) -> Path:
    """Make a run's folder of another project's weights.

    Args:
        file: .pt, .pth or .safetensors.
        layout: one of `LAYOUTS`.
        classes: the file's classes, in the order of its classifier's rows; see `read_classes`.
        out: the folder of the new run; it must not exist, or be empty.
        network: one of `list_models()`; None finds the one that the tensors are of.
        temporal: "shift" or "none", where the tensors do not tell.
        attention: one of `ATTENTIONS` to build in; it starts as in a new network unless the file holds it.
        num_frames: of the clips it was trained on.
        size: of its frames, in pixels.
        order_like: a list of the same classes in the order that they should have here.
        head: "verb" or "noun", where the file has two classifiers.

    Returns:
        The folder of the run.

    Raises:
        WeightsError: the file cannot be read or does not fit; it lists missing, unexpected and mis-shaped keys.
        ValueError: arguments that the file contradicts, lists of classes that do not match, a folder in use.
    """
    file, out = Path(file), Path(out)
    for given, value in (("num_frames", num_frames), ("size", size)):
        if value < 1:
            raise ValueError(f"{given} is {value}; it must be at least 1")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} is already in use; give another folder with --out")
    names = read_classes(classes)
    order = None
    if order_like is not None:
        wanted = read_classes(order_like)
        order = class_order(names, wanted, given_in=str(classes), wanted_in=str(order_like))
    chosen = look_up_layout(layout)
    state = chosen.tidy(read_state_dict(file))
    told = recognise(state, chosen, origin=str(file))
    name = choose_network(told, chosen, network=network, temporal=temporal, origin=str(file))
    if told.has_non_local and attention != "non_local":
        raise ValueError(f"{file} holds non-local blocks, and attention is {attention}; give --attention non_local")
    model = create_model(name, num_classes=len(names), attention=attention)
    new = load_foreign(model, state, chosen, told, classes=names, head=head, origin=str(file))
    if order is not None:
        reorder_classes_(model, order)
        names = tuple(names[index] for index in order)

    save_description(out, model, classes=names, clip_format=ClipFormat(num_frames, size, round(size * 8 / 7)))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    about = {"file": file.name, "sha256": digest, "layout": layout, "head": head, "new": new}
    write_json(out / IMPORT_FILE, about)
    save_weights(out / WEIGHTS_FILE, model)  # last: a folder with weights is whole
    return out


def load_foreign(
    model: ActionModel,
    state: Mapping[str, Tensor],
    layout: Layout,
    told: Told,
    *,
    classes: Sequence[str],
    head: str | None,
    origin: str,
) -> list[str]:
    """Load another project's tensors, in place.

    Returns:
        What the file does not hold and so keeps its own start, of the values of `NEW`.

    Raises:
        WeightsError: a tensor is missing, left over or of another shape.
        ValueError: another number of classes than the classifier's rows, or a head that the layout does not have.
    """
    classifier: str | None = classifier_name(layout, told.family, head, what=layout.summary)
    rows = state.get(f"{classifier}.weight")
    if rows is None and not layout.needs_classifier:
        classifier = None
    if rows is not None and rows.ndim == 2 and len(rows) != len(classes):
        raise WeightsError(
            f"{origin}: its classifier scores {len(rows)} classes, and {len(classes)} are listed; import it with the "
            "list it was trained on, and for other classes train on with --set model.pretrained=RUN/model.safetensors"
        )
    ours = model.state_dict()
    names = tensor_names(model, layout, classifier=classifier, with_attention=told.has_non_local)
    others = tuple(f"{other}." for other in layout.classifiers[told.family].values() if other != classifier)
    given = {key: value for key, value in state.items() if classifier is None or not key.startswith(others)}
    check_fit(given, {names[key]: ours[key] for key in names}, origin=origin, target=model.arguments["name"])
    # Old files have no num_batches_tracked; the network keeps its own, on which no output depends.
    model.load_state_dict({key: state.get(theirs, ours[key]) for key, theirs in names.items()}, strict=False)
    return sorted({what for key in ours if key not in names for mark, what in NEW.items() if mark in f".{key}"})


def reorder_classes_(model: ActionModel, order: Sequence[int]) -> None:
    """Put the classifier's rows into another order, in place: row i becomes what row `order[i]` was."""
    with torch.no_grad():
        for value in model.head.state_dict().values():
            value.copy_(value[list(order)])
