"""The verbs of `w3`. Each parses, calls one function, prints; an error for the user is one line and exit code 2.

PyTorch is imported inside the verbs, so that `w3 --help` answers at once.
"""

import dataclasses
import json
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

import w3action

app = tyro.extras.SubcommandApp()
data_app = tyro.extras.SubcommandApp()
bench_app = tyro.extras.SubcommandApp()
app.command(data_app, name="data", help="Make and look after data sets.")
app.command(bench_app, name="bench", help="Measure what a network costs.")

Settings = Annotated[
    tyro.conf.UseAppendAction[list[tuple[str, ...]]], tyro.conf.arg(name="set", metavar="KEY=VALUE ...")
]
AsJson = Annotated[bool, tyro.conf.arg(name="json", help="Print JSON instead of text.")]
PositionalPath = Annotated[Path, tyro.conf.Positional]
PositionalName = Annotated[str, tyro.conf.Positional]


@app.command(name="train")
def train_verb(
    recipe: Annotated[str | None, tyro.conf.Positional] = None,
    /,
    *,
    out: Path,
    data: Path | None = None,
    val: Path | None = None,
    settings: Settings = [],  # noqa: B006 (tyro reads the default; nothing writes to it)
    resume: bool = False,
) -> None:
    """Train a network on labelled videos.

    Args:
        recipe: A recipe of `w3 recipes`; without one, the default for your own clips.
        out: The folder of the run.
        data: Training videos: a folder class/video.mp4, or a CSV or Parquet manifest (path,label,...).
        val: Validation videos; without it, the manifest's split column or a fifth of the videos.
        settings: Settings to change, such as model.attention=none optim.lr=0.02 mfr=true.
        resume: Go on from the last state in --out; without --data, with the settings found there.
    """
    from w3action import config, recipes
    from w3action.train import train
    from w3action.train.clips import where_to_measure
    from w3action.train.folder import read_run

    if data is None:
        if not resume:
            raise config.ConfigError("give the training videos with --data (only --resume can do without)")
        if recipe is not None or val is not None:
            raise config.ConfigError("--resume without --data takes the recipe and --val of the run; leave them out")
        chosen, data, val = read_run(out)
    else:
        chosen = recipes.recipe(recipe or "default")
    chosen = config.override(chosen, [setting for group in settings for setting in group])
    train(chosen, data=data, val=val, out=out, resume=resume)
    column = chosen.data.label_column
    measuring = shlex.join(["w3", "eval", str(out), *where_to_measure(data, val, out, label_column=column)])
    print(f"{out}: finished; next: {measuring}, {shlex.join(['w3', 'predict', str(out)])} VIDEO")


@app.command(name="eval")
def eval_verb(
    run: PositionalPath,
    /,
    *,
    data: Path,
    protocol: str = "center",
    split: str | None = None,
    weights: Literal["last", "best"] = "last",
    out: Path | None = None,
    skip_bad: bool = False,
    batch_size: int = 16,
    num_workers: int = 2,
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
        as_json: Print JSON instead of text.
    """
    from w3action.evaluate.metrics import most_confused
    from w3action.measure import measure
    from w3action.models.checkpoint import BEST_WEIGHTS_FILE, WEIGHTS_FILE

    with _bar(f"{run.name}  {protocol}", hidden=as_json) as (progress, task):
        measured = measure(
            run,
            data=data,
            protocol=protocol,
            split=split,
            out=out,
            weights={"last": WEIGHTS_FILE, "best": BEST_WEIGHTS_FILE}[weights],
            skip_bad=skip_bad,
            batch_size=batch_size,
            num_workers=num_workers,
            on_start=lambda count: progress.update(task, total=count),
            on_videos=lambda count: progress.advance(task, count),
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
        "mean class accuracy": f"{metrics.mean_class_accuracy:.2f} %",
        "GFLOPs x views": f"{measured.cost.gflops:.2f} x {measured.num_views}",
        "parameters": f"{measured.cost.params / 1e6:.2f} M",
        "clips/s": f"{measured.clips_per_second:.0f}",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    Console().print(table)
    for true, predicted, count in most_confused(metrics.confusion, count=3):
        print(f"{count} of {measured.classes[true]!r} taken for {measured.classes[predicted]!r}")
    print(f"{measured.report}\n{measured.picture}")


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
    from w3action.infer.predict import predict
    from w3action.models import load_checkpoint

    if not videos:
        raise ValueError("give at least one video")
    checkpoint = load_checkpoint(run)
    rows, failures = [], 0
    for video in videos:
        try:
            found = predict(checkpoint, video, top=top)
        except DecodeError as error:
            _complain(error)
            failures += 1
            continue
        ranked = list(zip(found.classes, found.probabilities, strict=True))
        rows.append({"path": str(video), "predictions": [{"class": c, "probability": p} for c, p in ranked]})
        if not as_json:
            print(video)
            print("\n".join(f"  {100 * p:5.1f} %  {c}" for c, p in ranked))
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
    from w3action.infer.explain import explain
    from w3action.models import load_checkpoint

    explained = explain(load_checkpoint(run), video, out=out, stage=stage)
    best, probability = explained.prediction[0]
    if as_json:
        print(json.dumps({"class": best, "probability": probability, "page": str(out / "index.html")}, indent=2))
    else:
        print(f"{best} ({100 * probability:.1f} %)\n{out / 'index.html'}")


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
        layout: Whose it is: torchvision, timm, tsm, tsm-online, mmaction2 or epic55.
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
    from w3action.models.importing import IMPORT_FILE, import_checkpoint

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


@app.command(name="list")
def list_verb(*, as_json: AsJson = False) -> None:
    """List the networks and the attentions, with what they cost on their usual clips and 174 classes."""
    from w3action.models import ATTENTIONS
    from w3action.models.listing import describe_models

    described = describe_models()
    if as_json:
        print(json.dumps([dataclasses.asdict(row) for row in described], indent=2))
        return
    table = Table("model", "GFLOPs", "paper", "parameters", "clip", "ImageNet")
    table.columns[0].no_wrap = True
    for row in described:
        paper = "" if row.paper_gflops is None else f"{row.paper_gflops:g}"
        clip, weights = f"{row.num_frames} x {row.size} px", "yes" if row.imagenet else ""
        table.add_row(row.name, f"{row.gflops:.2f}", paper, f"{row.params / 1e6:.2f} M", clip, weights)
    attentions = Table("attention", "looks at")
    for name, attention in ATTENTIONS.items():
        attentions.add_row(name, attention.summary)
    console = Console()
    console.print(table, *(f"{row.name}: {row.differs}" for row in described if row.differs), attentions)
    print("any model takes any attention: w3 train --set model.name=MODEL model.attention=ATTENTION ...")


@app.command(name="recipes")
def recipes_verb(*, as_json: AsJson = False) -> None:
    """List the recipes of `w3 train`."""
    from w3action.recipes import RECIPES

    if as_json:
        print(json.dumps({name: dataclasses.asdict(make()) for name, make in RECIPES.items()}, indent=2))
        return
    for name, make in RECIPES.items():
        print(f"{name:18}{(make.__doc__ or '').splitlines()[0]}")


@bench_app.command(name="flops")
def flops_verb(
    model: PositionalName,
    /,
    *,
    attention: str | None = None,
    frames: int | None = None,
    size: int | None = None,
    num_classes: int = 174,
    as_json: AsJson = False,
) -> None:
    """Count the multiply-adds (GFLOPs) of one clip, and the parameters.

    Args:
        model: A model of `w3 list`.
        attention: An attention of `w3 list`.
        frames: Frames in the clip; without it, the model's own.
        size: Side of the frames in pixels; without it, the model's own.
        num_classes: Classes of the classifier.
        as_json: Print JSON instead of text.
    """
    from w3action.models.listing import describe_model

    row = describe_model(model, attention=attention, num_frames=frames, size=size, num_classes=num_classes)
    if as_json:
        print(json.dumps(dataclasses.asdict(row), indent=2))
    else:
        with_attention = f" + {attention}" if attention else ""
        print(f"{model}{with_attention}, {row.num_frames} frames of {row.size} px, {num_classes} classes")
        print(f"{row.gflops:.2f} GFLOPs (multiply-adds)\n{row.params / 1e6:.2f} M parameters")


@data_app.command(name="tabletop")
def tabletop_verb(*, out: Path, num_videos: int = 1500, seed: int = 0, num_workers: int | None = None) -> None:
    """Draw the tabletop set: real MP4 files of a hand at work, 16 classes that no single frame tells apart.

    Args:
        out: Folder of the set.
        num_videos: Videos in all; 70 % train, 10 % val, 20 % test.
        seed: The same seed draws the same frames.
        num_workers: Processes that draw; without it, one per CPU.
    """
    from w3action.data.tabletop import write_tabletop

    with _bar("drawing", total=num_videos) as (progress, task):
        manifest = write_tabletop(
            out,
            num_videos=num_videos,
            seed=seed,
            num_workers=num_workers,
            on_video=lambda: progress.advance(task),
        )
    print(manifest)


@app.command(name="demo")
def demo_verb(*, out: Path = Path("runs/demo"), num_videos: int = 1500, seed: int = 0) -> None:
    """Draw the tabletop set, train TSN, TSM and TSM+W3 on it, compare them and show where they look.

    Args:
        out: Folder for all of it.
        num_videos: Videos in all.
        seed: Of the set and of the runs.
    """
    from w3action.demo import run_demo

    print(run_demo(out, num_videos=num_videos, seed=seed))


@app.command(name="reproduce")
def reproduce_verb(
    table: PositionalName,
    /,
    *,
    data: Path,
    val: Path | None = None,
    test: Path | None = None,
    out: Path = Path("runs/study"),
    recipe: str = "demo",
    network: str | None = None,
    settings: Settings = [],  # noqa: B006 (tyro reads the default; nothing writes to it)
    seeds: int = 3,
    jobs: int | None = None,
    tracks: Path | None = None,
    as_json: AsJson = False,
) -> None:
    """Run a table of the paper on your data: the same trainer for every row, several seeds, the paper's column beside.

    Args:
        table: sanity, sweep, table5, table6, table7, table8, readings, curves, lengths, figure3, or
            all of them.
        data: Training videos: a folder or a manifest; its splits train, val and test are used.
        val: Validation videos, where the manifest has no such split.
        test: Test videos; without them, the test split, else the validation videos.
        out: Folder of the study. Runs that are finished there are not run again.
        recipe: What all rows have in common, of `w3 recipes`.
        network: A network of `w3 list`, for its backbone; without it, the recipe's.
        settings: Changes to the recipe, such as epochs=20 mixed_precision=bf16.
        seeds: Seeds of each row.
        jobs: Runs at once; without it, one for each GPU or CPU core.
        tracks: Where hands are (Parquet), for figure3; without it, tracks.parquet beside the test videos' list.
        as_json: Print JSON instead of text.
    """
    from w3action import config, recipes
    from w3action.study.reproduce import reproduce

    chosen = config.override(recipes.recipe(recipe), [setting for group in settings for setting in group])
    pages = reproduce(
        table,
        chosen,
        data=data,
        val=val,
        test=test,
        out=out,
        network=network,
        num_seeds=seeds,
        num_parallel=jobs,
        tracks=tracks,
    )
    if as_json:
        print(json.dumps([json.loads(page.with_suffix(".json").read_text()) for page in pages], indent=2))
        return
    from w3action.study.show import show

    for page in pages:
        show(page.with_suffix(".json"))


@contextmanager
def _bar(what: str, *, total: int | None = None, hidden: bool = False) -> Iterator[tuple[Progress, TaskID]]:
    """Show a progress bar on standard error."""
    columns = (TextColumn(what), BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn(compact=True))
    console = Console(stderr=True)
    hidden = hidden or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as progress:
        yield progress, progress.add_task("", total=total)


def _complain(error: Exception) -> None:
    print(f"w3: {' '.join(str(error).split())}", file=sys.stderr)


def main() -> None:
    """Run `w3`. With W3_TRACEBACK=1 an error shows where it was raised."""
    # Threads that wait for each other by spinning make a busy machine ten times slower (docs/decisions/threads.md).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        code = app.cli(prog="w3", description=w3action.__doc__, config=(tyro.conf.FlagCreatePairsOff,))
    except (ValueError, OSError) as error:
        if os.environ.get("W3_TRACEBACK"):
            raise
        _complain(error)
        code = 2
    except KeyboardInterrupt:
        print("w3: stopped" + ("; go on with --resume" if "train" in sys.argv[1:2] else ""), file=sys.stderr)
        code = 130
    sys.exit(code or 0)
