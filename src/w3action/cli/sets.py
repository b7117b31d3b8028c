"""Verbs that make and look after data sets: data prepare, check, pack, index, flow and tabletop."""

from pathlib import Path

from w3action.cli.app import AsJson, PositionalName, PositionalPath, PositionalVideos, data_app, progress_bar, show


@data_app.command(name="prepare")
def prepare_verb(
    name: PositionalName,
    /,
    *,
    root: Path,
    out: Path,
    annotations: Path | None = None,
    split: str | None = None,
    fold: int | None = None,
    classes: Path | None = None,
    allow_outside: bool = False,
    allow_missing: bool = False,
) -> None:
    """Write the manifest of a data set as it is downloaded, or of a list as other projects write them.

    Args:
        name: something_v1, something_v2, jester, egogesture, epic55, epic100, kinetics, ucf101, hmdb51, folder, csv;
            or a list: tsm, mmaction2, slowfast, ibm.
        root: The folder of its videos.
        out: The manifest to write, a .parquet; its classes.txt goes beside it.
        annotations: Its annotation file or folder, where that does not lie in the root.
        split: One split alone.
        fold: Of a set with several official splits, which.
        classes: A file of class names, one a line, where a list holds numbers.
        allow_outside: Take videos that lie outside the root.
        allow_missing: Leave out videos that are not there.
    """
    from w3action.datasets.sets import prepare

    options = {"annotations": annotations, "split": split, "fold": fold, "classes": classes}
    print(prepare(name, root, out, allow_missing=allow_missing, allow_outside=allow_outside or None, **options))


@data_app.command(name="check")
def check_verb(
    manifest: PositionalVideos,
    /,
    *,
    split: str | None = None,
    deep: bool = False,
    out: Path | None = None,
    label_column: str = "label",
    workers: int | None = None,
    limit_seconds: float = 30.0,
    as_json: AsJson = False,
) -> int:
    """Find what is wrong with a data set before it is trained on. The exit code is 1 if there are errors.

    Args:
        manifest: Labelled videos: a folder or a manifest.
        split: One split alone; what is in two splits is then not seen.
        deep: Decode every frame, and look for clips of two splits that look the same.
        out: Folder for a page with frames of every class and all findings.
        label_column: The column that holds the labels; several, as in verb,noun, are checked one by one.
        workers: Processes; without it, one per core.
        limit_seconds: For one file; then it is given up, which is a finding.
        as_json: Print JSON instead of text.
    """
    from w3action.datasets.doctor import check_videos, write_page

    with progress_bar("checking", hidden=as_json) as update:
        report = check_videos(
            manifest,
            split=split,
            deep=deep,
            label_column=label_column,
            num_workers=workers,
            limit_seconds=limit_seconds,
            on_file=lambda done, total: update(completed=done, total=total),
        )
    show(report.as_dict(), "\n".join(report.lines()), as_json=as_json)
    if out is not None:
        page = write_page(report, out, num_workers=workers, limit_seconds=limit_seconds)
        if not as_json:
            print(page)
    return report.exit_code


@data_app.command(name="pack")
def pack_verb(
    manifest: PositionalVideos,
    /,
    *,
    out: Path,
    short_side: int = 256,
    gop: int = 8,
    crf: int = 21,
    copy: bool = False,
    shard_mb: float = 256.0,
    label_column: str = "label",
    workers: int | None = None,
) -> None:
    """Pack videos for fast reading: scaled, in short groups of pictures, in WebDataset shards with an index.

    The index is a manifest like any other: train with --data OUT/index.parquet. A run that was stopped goes on.

    Args:
        manifest: Labelled videos: a folder or a manifest.
        out: Folder of the packed set.
        short_side: Larger frames are scaled down to this shorter side in pixels; 0 never does.
        gop: Frames in a group of pictures; any frame is reached by decoding at most so many.
        crf: Quality of the video, from 0 (lossless) to 51.
        copy: Pack the files as they are.
        shard_mb: Size of a shard in megabytes, about.
        label_column: The column that holds the labels.
        workers: Processes; without it, one per core.
    """
    from w3action.data import read_manifest
    from w3action.datasets.pack import PackOptions, pack_manifest

    options = PackOptions(short_side=short_side or None, gop=gop, crf=crf, copy=copy, shard_mb=shard_mb)
    total = len(read_manifest(manifest, label_column=label_column))
    with progress_bar("packing", total=total) as update:
        packed = pack_manifest(
            manifest,
            out,
            options=options,
            label_column=label_column,
            num_workers=workers,
            on_video=lambda: update(advance=1),
        )
    print(f"{packed.num_packed} videos, {packed.num_shards} shards, {packed.num_bytes / 1e6:.0f} MB: {packed.index}")
    if packed.num_failed:
        print(f"{packed.num_failed} could not be packed: {out / 'failed.csv'}")


@data_app.command(name="index")
def index_verb(folder: PositionalPath, /, *, label_key: str = "label", workers: int | None = None) -> None:
    """Write the index of somebody else's WebDataset shards, so that they can be trained on.

    Args:
        folder: Uncompressed .tar files of videos with .json or .cls beside them.
        label_key: The key of a .json that holds the label.
        workers: Processes; without it, one per core.
    """
    from w3action.data import read_manifest
    from w3action.datasets.pack import index_shards

    with progress_bar("indexing") as update:
        index = index_shards(folder, label_key=label_key, num_workers=workers, on_video=lambda: update(advance=1))
    print(f"{index}: {len(read_manifest(index))} videos; what was left out: {folder / 'failed.csv'}")


@data_app.command(name="tabletop")
def tabletop_verb(*, out: Path, num_videos: int = 1500, seed: int = 0, workers: int | None = None) -> None:
    """Draw the tabletop set: real MP4 files of a hand at work, 16 classes that no single frame tells apart.

    Args:
        out: Folder of the set.
        num_videos: Videos in all; 70 % train, 10 % val, 20 % test.
        seed: The same seed draws the same frames.
        workers: Processes that draw; without it, one per core.
    """
    from w3action.tabletop import write_tabletop

    with progress_bar("drawing", total=num_videos) as update:
        manifest = write_tabletop(
            out, num_videos=num_videos, seed=seed, num_workers=workers, on_video=lambda: update(advance=1)
        )
    print(manifest)


@data_app.command(name="flow")
def flow_verb(
    manifest: PositionalVideos,
    /,
    *,
    out: Path,
    short_side: int = 256,
    label_column: str = "label",
    workers: int | None = None,
) -> None:
    """Compute the optical flow of every video once, as a data set of its own: training on it then reads images.

    Args:
        manifest: Labelled videos: a folder or a manifest.
        out: Folder of the set of flows.
        short_side: What frames' shorter sides are scaled to before, in pixels.
        label_column: The column that holds the labels; several, as in verb,noun, are kept.
        workers: Processes; without it, one per core.
    """
    from w3action.data import read_manifest
    from w3action.datasets.precompute_flow import write_flow

    videos = read_manifest(manifest, label_column=label_column)
    with progress_bar("flow", total=len(videos)) as update:
        written = write_flow(
            videos, out, short_side=short_side, num_workers=workers, on_video=lambda: update(advance=1)
        )
    print(written.manifest)
    if written.num_failed:
        print(f"{written.num_failed} videos could not be read: {out / 'failed.csv'}")
