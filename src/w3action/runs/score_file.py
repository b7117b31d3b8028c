"""The scores of an evaluation on disk, so that several runs can be fused: one safetensors file beside the report.

It holds `scores` (n, K), float32, and `labels` (n), int64; its metadata say, as JSON, what the rows and columns are:
`videos` (what each is called, see `data/video.py`), `classes`, `domain` (logits or probabilities) and `about` (the
run, what it cost).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import safetensors
import safetensors.torch
import torch
from jaxtyping import Float, Int
from torch import Tensor

from w3action.evaluate.protocols import Fusion

FORMAT = "1"


class ScoreFileError(ValueError):
    """Scores that cannot be read, or that do not fit together: what was given and what to try, in one line."""


@dataclass(frozen=True)
class VideoScores:
    """One row of scores for each video, and what the rows and columns are."""

    scores: Float[Tensor, "n k"]
    labels: Int[Tensor, "n"]
    videos: tuple[str, ...]
    classes: tuple[str, ...]
    domain: Fusion  # whether the scores are logits or probabilities
    about: Mapping[str, Any] = field(default_factory=dict)  # what may be said of them in a report

    def __post_init__(self):
        n, k = self.scores.shape
        assert (n, n, k) == (len(self.labels), len(self.videos), len(self.classes)), "rows and columns have names"


def to_bytes(scored: VideoScores) -> bytes:
    """Return the content of the file."""
    metadata = {
        "format": FORMAT,
        "videos": json.dumps(scored.videos, ensure_ascii=False),
        "classes": json.dumps(scored.classes, ensure_ascii=False),
        "domain": scored.domain,
        "about": json.dumps(dict(scored.about), ensure_ascii=False),
    }
    tensors = {"scores": scored.scores.float().contiguous(), "labels": scored.labels.long().contiguous()}
    return safetensors.torch.save(tensors, metadata)


def read_scores(path: Path) -> VideoScores:
    """Read a file of scores.

    Raises:
        ScoreFileError: there is none, or it holds something else.
    """
    if not path.is_file():
        raise ScoreFileError(f"{path}: no such file of scores; make it with w3 eval")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            scores, labels = file.get_tensor("scores"), file.get_tensor("labels")
        videos, classes = tuple(json.loads(metadata["videos"])), tuple(json.loads(metadata["classes"]))
        domain, about, found = metadata["domain"], json.loads(metadata["about"]), metadata["format"]
    except (safetensors.SafetensorError, KeyError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ScoreFileError(f"{path}: no file of scores ({reason}); make it with w3 eval") from error
    if found != FORMAT:
        raise ScoreFileError(f"{path}: format {found} was written by another version; this one reads {FORMAT}")
    fits = scores.shape == (len(videos), len(classes)) and labels.shape == (len(videos),)
    inside = fits and (not len(labels) or (int(labels.min()) >= 0 and int(labels.max()) < len(classes)))
    if not inside or domain not in get_args(Fusion) or not bool(torch.isfinite(scores).all()):
        raise ScoreFileError(
            f"{path}: {tuple(scores.shape)} {domain} and {len(labels)} labels for {len(videos)} videos and "
            f"{len(classes)} classes do not fit together, or some are no numbers; make it again with w3 eval"
        )
    return VideoScores(scores, labels, videos, classes, domain, about)
