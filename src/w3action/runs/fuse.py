"""Score fusion: several networks judge the same videos, and their scores are averaged with weights.

    fused row of a video = sum_i w_i * softmax(scores_i) / sum_i w_i            ("probabilities")
    fused row of a video = sum_i w_i * scores_i / sum_i w_i                     ("logits")

Two-stream systems (RGB and flow) and ensembles (8 and 16 frames) of the paper's Tables 1 and 2 are made so. Videos are
aligned by their identity and classes by their name: what one network has scored and another has not is an error.

Source: "Two-Stream Convolutional Networks for Action Recognition in Videos" (Simonyan & Zisserman, NIPS 2014), section
2; weights of 1 to RGB and 1.5 to flow: "Temporal Segment Networks" (Wang et al., ECCV 2016), section 5.1.
"""

import json
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from w3action.evaluate.confusion import draw_confusion
from w3action.evaluate.metrics import Metrics, compute_metrics
from w3action.evaluate.protocols import Fusion
from w3action.files import write_bytes, write_json
from w3action.runs.figures import metrics_as_json
from w3action.runs.folder import CONFUSION_FILE, FUSED_REPORT_FILE, REPORT_FILE, SCORES_FILE
from w3action.runs.score_file import ScoreFileError, VideoScores, read_scores, to_bytes

Match = Literal["path", "name"]


@dataclass(frozen=True)
class Fused:
    """What several networks say together."""

    metrics: Metrics
    single: tuple[Metrics, ...]  # of each by itself, on the same videos
    sources: tuple[Path, ...]  # their files of scores
    weights: tuple[float, ...]  # that sum to 1
    scored: VideoScores
    report: Path  # JSON
    picture: Path  # the confusion matrix


def fuse(
    reports: Sequence[str | Path],
    *,
    out: str | Path,
    weights: Sequence[float] | None = None,
    domain: Fusion = "probabilities",
    match: Match = "path",
) -> Fused:
    """Fuse the scores of evaluations and write `fused.json`, `scores_fused.safetensors` and `confusion_fused.png`.

    Args:
        reports: of each evaluation its `eval_<protocol>.json`, its `scores_<protocol>.safetensors`, or the folder that
            holds a single one.
        out: the folder for what is written; it is made.
        weights: of each evaluation, in their order; None gives all the same.
        domain: average probabilities (the softmax of each), or logits as they are.
        match: videos are the same if their paths below their manifests' folders are, or already if their names are
            (the last part of the path).

    Raises:
        ScoreFileError: a report without scores; videos, classes or labels that differ, with the first that does;
            logits asked for where probabilities were kept.
        ValueError: fewer than two reports, or weights that do not fit them.
    """
    out, files = Path(out), tuple(find_scores(Path(report)) for report in reports)
    if len(files) < 2:
        raise ValueError(f"{len(files)} evaluation is given; fusion takes at least 2")
    shares = _shares(weights, len(files))
    _check("domain", domain, get_args(Fusion))
    _check("match", match, get_args(Match))
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; give a folder for the report")
    scores_path = out / SCORES_FILE.format("fused")
    if any(file.resolve() == scores_path.resolve() for file in files):
        raise ValueError(f"{out} holds scores that are to be fused; give another folder with --out")
    aligned = align([read_scores(file) for file in files], names=[str(file) for file in files], match=match)
    first = aligned[0]
    rows = [to_domain(scored, domain, name=str(file)) for scored, file in zip(aligned, files, strict=True)]
    scores = torch.stack([share * row for share, row in zip(shares, rows, strict=True)]).sum(dim=0)
    about = {**_costs(aligned), "fused": [str(file) for file in files]}
    fused = Fused(
        metrics=compute_metrics(scores, first.labels),
        single=tuple(compute_metrics(row, first.labels) for row in rows),
        sources=files,
        weights=shares,
        scored=replace(first, scores=scores, domain=domain, about=about),
        report=out / FUSED_REPORT_FILE,
        picture=out / CONFUSION_FILE.format("fused"),
    )
    write_bytes(scores_path, to_bytes(fused.scored))
    content = {**_as_json(fused, aligned), "scores": scores_path.name}
    write_json(fused.report, content)
    draw_confusion(fused.metrics, first.classes, fused.picture, title=f"fused: {fused.metrics.top1:.1f} % top-1")
    return fused


def find_scores(report: Path) -> Path:
    """Return a report's file of scores, or the only one in a folder.

    Raises:
        ScoreFileError: there is none, or a folder holds several.
    """
    if report.is_dir():
        found = sorted(report.glob(SCORES_FILE.format("*")))
        if len(found) == 1:
            return found[0]
        if found:
            raise ScoreFileError(f"{report}: holds {', '.join(file.name for file in found)}; give one of them")
        reports = sorted(report.glob(REPORT_FILE.format("*")))
        if len(reports) == 1:  # it says why it has none
            return find_scores(reports[0])
        raise ScoreFileError(f"{report}: holds no scores; make them with w3 eval")
    if report.suffix != ".json":
        return report
    try:
        scores = json.loads(report.read_text(encoding="utf-8"))["scores"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ScoreFileError(f"{report}: no report that names its scores; make it again with w3 eval") from error
    if scores is None:
        raise ScoreFileError(f"{report}: is of a network with several labellings, which cannot be fused; give others")
    return report.parent / scores


def align(given: Sequence[VideoScores], *, names: Sequence[str], match: Match) -> list[VideoScores]:
    """Bring all to the first one's order of videos and of classes.

    Raises:
        ScoreFileError: the videos, the classes or a video's label are not the same, or a video is listed twice.
    """
    first = given[0]
    keys = _keys(first, names[0], match)
    aligned = [first]
    for scored, name in zip(given[1:], names[1:], strict=True):
        both = (names[0], name)
        _same(first.classes, scored.classes, what="class", names=both, remedy="evaluate on the same classes")
        theirs = _keys(scored, name, match)
        remedy = "evaluate both on the same videos"
        if match == "path" and sorted(map(_last, keys)) == sorted(map(_last, theirs)):
            remedy = 'their names agree, so match="name" takes them for the same'
        _same(keys, theirs, what="video", names=both, remedy=remedy)
        rows = [theirs[key] for key in keys]
        columns = [scored.classes.index(label) for label in first.classes]
        for video, ours, other in zip(first.videos, first.labels.tolist(), scored.labels[rows].tolist(), strict=True):
            if first.classes[ours] != scored.classes[other]:
                raise ScoreFileError(
                    f"the video {video} is of {first.classes[ours]!r} in {names[0]} but of {scored.classes[other]!r} "
                    f"in {name}; evaluate both on the same labels"
                )
        aligned.append(replace(first, scores=scored.scores[rows][:, columns], domain=scored.domain, about=scored.about))
    return aligned


def to_domain(scored: VideoScores, domain: Fusion, *, name: str) -> Float[Tensor, "n k"]:
    """Return the scores as logits or as probabilities.

    Raises:
        ScoreFileError: logits are asked for, but only probabilities were kept.
    """
    if domain == scored.domain:
        return scored.scores
    if domain == "logits":
        raise ScoreFileError(f"{name}: holds probabilities, not logits; fuse probabilities")
    return scored.scores.softmax(dim=1)


def _keys(scored: VideoScores, name: str, match: Match) -> dict[str, int]:
    """Map the key that each video is matched by to its row."""
    keys: dict[str, int] = {}
    for row, video in enumerate(scored.videos):
        key = _last(video) if match == "name" else video
        if key in keys:
            raise ScoreFileError(
                f"{name}: the video {key} is listed twice; list each once"
                + (', or use match="path"' if match == "name" else "")
            )
        keys[key] = row
    return keys


def _last(video: str) -> str:
    return video.rpartition("/")[2]


def _same(ours: Collection[str], theirs: Collection[str], *, what: str, names: tuple[str, str], remedy: str) -> None:
    for have, lack, (here, there) in ((ours, theirs, names), (theirs, ours, names[::-1])):
        known = set(lack)
        missing = [key for key in have if key not in known]
        if missing:
            raise ScoreFileError(
                f"the {what} {missing[0]} is in {here} but not in {there} ({len(missing)} such of {len(have)}); "
                f"{remedy}"
            )


def _shares(weights: Sequence[float] | None, count: int) -> tuple[float, ...]:
    chosen = (1.0,) * count if weights is None else tuple(float(weight) for weight in weights)
    if len(chosen) != count:
        raise ValueError(f"{len(chosen)} weights are given for {count} evaluations; give one for each")
    if not all(math.isfinite(weight) and weight >= 0 for weight in chosen) or not sum(chosen) > 0:
        raise ValueError(f"the weights are {chosen}; give numbers of at least 0, not all 0, such as 1 1.5")
    return tuple(weight / sum(chosen) for weight in chosen)


def _check(what: str, given: str, allowed: Sequence[str]) -> None:
    if given not in allowed:
        raise ValueError(f"{what} is {given!r}; choose one of {', '.join(allowed)}")


def _costs(aligned: Sequence[VideoScores]) -> dict[str, Any]:
    """Sum what the networks cost, where all of them say so."""
    told: dict[str, list[Any]] = {key: [scored.about.get(key) for scored in aligned] for key in ("gflops", "params")}
    return {key: sum(values) for key, values in told.items() if all(isinstance(v, int | float) for v in values)}


def _as_json(fused: Fused, aligned: Sequence[VideoScores]) -> dict[str, Any]:
    return {
        "num_videos": fused.metrics.num_videos,
        **metrics_as_json(fused.metrics, fused.scored.classes),
        **_costs(aligned),
        "domain": fused.scored.domain,
        "fused": [
            {"scores": str(path), "weight": weight, "top1": alone.top1, "top5": alone.top5, **scored.about}
            for path, weight, alone, scored in zip(fused.sources, fused.weights, fused.single, aligned, strict=True)
        ],
    }
