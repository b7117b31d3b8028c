"""Verbs that make a run and use it: train, eval, predict, explain, import."""

import json
import shlex
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.table import Table

from w3action.cli.app import AsJson, PositionalPath, Settings, VideosPath, app, complain, progress_bar, show


@app.command(name="train")
def train_verb(
    recipe: Annotated[str | None, tyro.conf.Positional] = None,
    /,
    *,
    out: Path,
    data: VideosPath | None = None,
    val: VideosPath | None = None,
    settings: Settings = [],  # noqa: B006 (tyro reads the default; nothing writes to it)
    resume: bool = False,
) -> None:
    """Train a network on labelled videos.

    Args:
        recipe: A recipe of `w3 recipes`; without one, the default for your own clips.
        out: The folder of the run.
        data: Training videos: a folder class/video.mp4, or a CSV or Parquet manifest (path,label,...).
        val: Validation videos; without it, the manifest's split column or a fifth of the videos.
        settings: Settings to change, such as model.attention=none optim.lr=0.02 mfr=true; `w3 settings` lists them all.
        resume: Go on from the last state in --out; without --data, with the settings found there.
    """
    from w3action import config, recipes
    from w3action.runs.folder import read_run
    from w3action.train import train
    from w3action.train.clips import where_to_measure

    if data is None:
        if not resume:
            raise config.ConfigError("give the training videos with --data (only --resume can do without)")
        if recipe is not None or val is not None:
            raise config.ConfigError("--resume without --data takes the recipe and --val of the run; leave them out")
        chosen, data, val = read_run(out)
    else:
        chosen = recipes.recipe(recipe or "default")
    chosen = config.override(chosen, [*chain(*settings)])
    train(chosen, data=data, val=val, out=out, resume=resume)
    column = chosen.data.label_column
    measuring = shlex.join(["w3", "eval", str(out), *where_to_measure(data, val, out, label_column=column)])
    print(f"{out}: finished; next: {measuring}, {shlex.join(['w3', 'predict', str(out)])} VIDEO")


@app.command(name="eval")
def eval_verb(
    run: PositionalPath,
    /,
    *,
    data: VideosPath,
    protocol: str = "center",
    split: str | None = None,
    weights: Literal["last", "best"] = "last",
    out: Path | None = None,
    skip_bad: bool = False,
    batch_size: int = 16,
    num_workers: int = 2,
    bf16: bool = False,
    as_json: AsJson = False,
) -> None:
    """Measure a run on labelled videos.

    Args:
        run: The folder of a run.
        data: Labelled videos: a folder or a manifest.
        protocol: center, twice, full, ten_crop or dense.
        split: Rows of the manifest to use; without it, all.
        weights: Those after the last epoch, or after the best validation.
        out: Folder for the report; without it, the run's.
        skip_bad: Leave out videos that cannot be read, and count them.
        batch_size: Views at once.
        num_workers: Processes that decode.
        bf16: Compute in bfloat16 where PyTorch's autocast does.
        as_json: Print JSON instead of text.
    """
    from w3action.evaluate.metrics import most_confused
    from w3action.runs.folder import WEIGHTS_FILES
    from w3action.runs.measure import measure

    with progress_bar(f"{run.name}  {protocol}", hidden=as_json) as update:
        measured = measure(
            run,
            data=data,
            protocol=protocol,
            split=split,
            out=out,
            weights=WEIGHTS_FILES[weights],
            skip_bad=skip_bad,
            batch_size=batch_size,
            num_workers=num_workers,
            bf16=bf16,
            on_start=lambda count: update(total=count),
            on_videos=lambda count: update(advance=count),
        )
    if as_json:
        print(measured.report.read_text(), end="")
        return
    metrics = measured.metrics
    table = Table("", f"{run.name}, {protocol}", title_justify="left")
    rows = {
        "videos": f"{metrics.num_videos}" + (f" ({measured.num_skipped} skipped)" if measured.num_skipped else ""),
        "top-1": f"{metrics.top1:.2f} %",
        "top-5": f"{metrics.top5:.2f} %",
        **{f"top-1, top-5 of {name}": f"{p.top1:.2f} %, {p.top5:.2f} %" for name, p in measured.parts.items()},
        "mean class accuracy": f"{metrics.mean_class_accuracy:.2f} %",
        "GFLOPs x views": f"{measured.cost.gflops:.2f} x {measured.num_views}",
        "parameters": f"{measured.cost.params / 1e6:.2f} M",
        "clips/s": f"{measured.clips_per_second:.0f}",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    Console().print(table)
    if metrics.confusion is not None:
        for true, predicted, count in most_confused(metrics.confusion, count=3):
            print(f"{count} of {measured.classes[true]!r} taken for {measured.classes[predicted]!r}")
    print(measured.report, *measured.pictures, sep="\n")


@app.command(name="fuse")
def fuse_verb(
    runs: Annotated[tuple[Path, ...], tyro.conf.Positional],
    /,
    *,
    out: Path,
    weights: tuple[float, ...] | None = None,
    domain: Literal["probabilities", "logits"] = "probabilities",
    match: Literal["path", "name"] = "path",
    as_json: AsJson = False,
) -> None:
    """Let several evaluated runs judge together: two streams (RGB and flow), or an ensemble.

    Args:
        runs: What `w3 eval` has measured: folders of runs, or eval_*.json files, on the same videos.
        out: Folder for the report.
        weights: Of each run; without them, all the same.
        domain: Average probabilities, or logits.
        match: Videos are the same if their paths in their sets are, or already if their names are.
        as_json: Print JSON instead of text.
    """
    from w3action.runs.fuse import fuse

    fused = fuse(runs, out=out, weights=weights, domain=domain, match=match)
    if as_json:
        print(fused.report.read_text(), end="")
        return
    for run, weight, alone in zip(runs, fused.weights, fused.single, strict=True):
        print(f"{run}  weight {weight:.2f}  top-1 {alone.top1:.2f} %")
    together = fused.metrics
    print(f"fused  top-1 {together.top1:.2f} %  top-5 {together.top5:.2f} %  of {together.num_videos} videos")
    print(f"{fused.report}\n{fused.picture}")


@app.command(name="predict")
def predict_verb(
    run: PositionalPath,
    videos: Annotated[tuple[Path, ...], tyro.conf.Positional],
    /,
    *,
    top: int = 5,
    as_json: AsJson = False,
) -> int:
    """Predict what is done in videos. A video that cannot be read is named; the others are predicted all the same.

    Args:
        run: The folder of a run.
        videos: Video files.
        top: How many classes to show.
        as_json: Print JSON instead of text.
    """
    from w3action.data import DecodeError
    from w3action.runs.checkpoint import load_checkpoint
    from w3action.use.predict import predict

    if not videos:
        raise ValueError("give at least one video")
    checkpoint = load_checkpoint(run)
    rows, failures = [], 0
    for video in videos:
        try:
            found = predict(checkpoint, video, top=top)
        except DecodeError as error:
            complain(error)
            failures += 1
            continue
        ranked = list(zip(found.classes, found.probabilities, strict=True))
        rows.append({"path": str(video), "predictions": [{"class": c, "probability": p} for c, p in ranked]})
        if not as_json:
            print(video, *(f"  {100 * p:5.1f} %  {c}" for c, p in ranked), sep="\n")
    if as_json:
        print(json.dumps(rows, indent=2))
    return 2 if failures else 0


@app.command(name="explain")
def explain_verb(
    run: PositionalPath,
    video: PositionalPath,
    /,
    *,
    out: Path,
    stage: int | None = None,
    as_json: AsJson = False,
) -> None:
    """Show where, when and at what a network looked: pictures, a video and a page.

    Args:
        run: The folder of a run with attention.
        video: A video file.
        out: Folder for the pictures.
        stage: The stage whose masks are shown, from 1; without it, their mean over the stages.
        as_json: Print JSON instead of text.
    """
    from w3action.runs.checkpoint import load_checkpoint
    from w3action.use.explain import explain

    explained = explain(load_checkpoint(run), video, out=out, stage=stage)
    best, probability = explained.prediction[0]
    page = out / "index.html"
    content = {"class": best, "probability": probability, "page": str(page)}
    show(content, f"{best} ({100 * probability:.1f} %)\n{page}", as_json=as_json)


@app.command(name="import")
def import_verb(
    file: PositionalPath,
    /,
    *,
    layout: Annotated[str, tyro.conf.arg(name="from")],
    classes: Path,
    out: Path,
    network: str | None = None,
    temporal: str | None = None,
    attention: str | None = None,
    num_frames: int = 8,
    size: int = 224,
    order_like: Path | None = None,
    head: Literal["verb", "noun"] | None = None,
) -> None:
    """Make a run of another project's weights, opened without running any code in the file.

    Args:
        file: A weights file: .pt, .pth or .safetensors.
        layout: Whose it is: torchvision, timm, tsm, tsm-online, mmaction2, epic55 or slowfast.
        classes: Its classes in its own order: a text file, a CSV or a JSON.
        out: The folder of the new run.
        network: A network of `w3 list`; without it, the one that the tensors are of.
        temporal: shift or none, where the tensors do not tell.
        attention: An attention of `w3 list` to build in, new.
        num_frames: Frames of the clips it was trained on.
        size: Side of its frames in pixels.
        order_like: A list of the same classes in the order wanted here.
        head: Which classifier to take, where the file has two.
    """
    from w3action.runs.folder import IMPORT_FILE
    from w3action.runs.imported import import_checkpoint

    run = import_checkpoint(
        file,
        layout=layout,
        classes=classes,
        out=out,
        network=network,
        temporal=temporal,
        attention=attention,
        num_frames=num_frames,
        size=size,
        order_like=order_like,
        head=head,
    )
    new = json.loads((run / IMPORT_FILE).read_text())["new"]
    if new:
        print(f"{run}: new, not from {file}, and still to be trained: {', '.join(new)}")
    measuring, predicting = shlex.join(["w3", "eval", str(run)]), shlex.join(["w3", "predict", str(run)])
    print(f"{run}: imported; next: {measuring} --data VIDEOS, {predicting} VIDEO")
