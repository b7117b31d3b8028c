"""What an adapter gives: the videos of a data set, found on disk, and the class names in their official order.

A `Lister` is filled video by video. It looks for each one below the data set's root, as a file with any video
suffix (annotations say .avi where a copy is .mp4) or as a folder of images, and keeps account of those that are not
there. Folders are listed once, so that 200,000 videos cost no 200,000 questions to the disk.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from w3action.data.frame_folder import list_images
from w3action.data.video import VIDEO_SUFFIXES, ManifestError, Span


@dataclass(frozen=True)
class ListedVideo:
    """One row of a manifest.

    Attributes:
        path: a video file or a folder of images; it exists.
        label: class name; None in a split whose labels are not published.
        split: "train", "val", "test", or a split's own name.
        span: which part of it; of a folder in frames.
        fps: frames per second, where the data set says so.
        total_frames: images in the folder; None for a file.
        more: further columns, for example {"verb": "take"}.
    """

    path: Path
    label: str | None
    split: str | None
    span: Span = field(default_factory=Span)
    fps: float | None = None
    total_frames: int | None = None
    more: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Listing:
    """A data set: its videos, its classes in the order of their ids, and what was listed but not found.

    Attributes:
        videos: what was found.
        classes: names of the labels.
        missing: one line for each video that was not found, or not whole.
        more_classes: names for further label columns, for example {"verb": ("take", "put")}.
    """

    videos: tuple[ListedVideo, ...]
    classes: tuple[str, ...]
    missing: tuple[str, ...] = ()
    more_classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Lister:
    """Collect the videos of one data set.

    Args:
        root: the folder below which videos lie.
        allow_outside: whether listed paths may lead out of it (`../`, absolute paths).

    Raises:
        ManifestError: the root is no folder.
    """

    def __init__(self, root: Path, *, allow_outside: bool = False):
        if not root.is_dir():
            raise ManifestError(f"{root}: no such folder; give the folder that holds the videos")
        self.root, self.allow_outside = root, allow_outside
        self._base = os.path.abspath(root)
        self.videos: list[ListedVideo] = []
        self.missing: list[str] = []
        self._found: dict[tuple[str, ...], Path | None] = {}
        self._folders: dict[str, tuple[set[str], dict[str, str]]] = {}

    def add(
        self,
        *places: str,
        label: str | None,
        split: str | None,
        seconds: tuple[float | None, float | None] = (None, None),
        frames: tuple[int, int | None] | None = None,
        total_frames: int | None = None,
        fps: float | None = None,
        more: Mapping[str, str] | None = None,
    ) -> None:
        """Look for one video, or a span of one, and note it down.

        Args:
            places: where the video may lie, relative to the root; the first that exists counts.
            label: class name, or None.
            split: name of the split.
            seconds: (start, end) of its span in a file; a folder knows no times and takes `frames`.
            frames: (first frame from 0, number of frames, None to the end): its span in a folder, and in a file that
                has none in seconds.
            total_frames: where it is a folder, the video is its first so many images.
            fps: frames per second.
            more: further columns.

        Raises:
            ManifestError: a place leads out of the root.
        """
        if places not in self._found:  # segments of a long video ask for the same
            self._found[places] = next((path for place in places if (path := self._find(place)) is not None), None)
        path = self._found[places]
        if path is None:
            self.missing.append(places[0])
            return
        span, num_images = Span(), None
        if not _is_video(path.name):
            num_images = len(list_images(path))
            first, count = frames if frames is not None else (0, total_frames)
            last = first + (count or 1)  # at least one frame of a span without an end
            if last > num_images:
                held = f"of {num_images} images, {last} are listed" if num_images else "without images"
                self.missing.append(f"{places[0]} (a folder {held})")
                return
            if first or count not in (None, num_images):
                span = Span(first_frame=first, num_frames=count)
        elif seconds != (None, None):
            span = Span(*seconds)
        elif frames is not None:
            span = Span(None, None, *frames)
        self.videos.append(ListedVideo(path, label, split, span, fps=fps, total_frames=num_images, more=more or {}))

    def finish(self, classes: Sequence[str], *, more_classes: Mapping[str, tuple[str, ...]] | None = None) -> Listing:
        """Return everything that was added.

        Raises:
            ManifestError: a label is not among the classes.
        """
        known = set(classes)
        strange = next((e for e in self.videos if e.label is not None and e.label not in known), None)
        if strange is not None:
            remedy = "the annotation files are of different data sets or versions, fetch them again"
            said = f"its label {strange.label!r} is not among the {len(known)} classes"
            raise ManifestError(f"{strange.path}: {said}; {remedy}")
        return Listing(tuple(self.videos), tuple(classes), tuple(self.missing), more_classes or {})

    def _find(self, place: str) -> Path | None:
        # Strings, not Paths: a data set lists some hundred thousand places.
        path = os.path.normpath(os.path.join(self._base, place))
        if not self.allow_outside and not path.startswith(self._base.rstrip(os.sep) + os.sep):
            remedy = "give a root that holds all videos, or allow outside paths"
            raise ManifestError(f"{place!r} leads out of {self.root}; {remedy}")
        folder, name = os.path.split(path)
        names, name_of_stem = self._folders.get(folder) or self._list(folder)
        if name in names:
            return Path(path)
        stem = os.path.splitext(name)[0] if _is_video(name) else name
        found = name_of_stem.get(stem, stem if stem in names else None)
        return None if found is None else Path(folder, found)

    def _list(self, folder: str) -> tuple[set[str], dict[str, str]]:
        """Return (names of videos and folders, names of videos by stem) in a folder; none if it is not there."""
        names: set[str] = set()
        try:
            with os.scandir(folder) as children:
                names = {child.name for child in children if _is_video(child.name) or child.is_dir()}
        except OSError:  # not there, or a file: what is listed in it is missing
            pass
        videos = sorted((name for name in names if _is_video(name)), reverse=True)
        self._folders[folder] = names, {os.path.splitext(name)[0]: name for name in videos}
        return self._folders[folder]


def _is_video(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES
