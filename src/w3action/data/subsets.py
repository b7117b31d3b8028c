"""Parts of a manifest: videos held out for validation, and fewer of each class for learning curves."""

from dataclasses import replace

import numpy as np

from w3action.data.manifest import Manifest
from w3action.data.video import ManifestError


def hold_out(manifest: Manifest, *, fraction: float = 0.2, seed: int = 0) -> tuple[Manifest, Manifest]:
    """Part a manifest into (train, val): about `fraction` of each class's files for val, chosen by `seed`.

    Spans of one file stay together (the file counts for the class of its first span). A class of at least two
    files gives at least one to each part; the order of the videos is kept.
    """
    if not 0 < fraction < 1:
        raise ManifestError(f"fraction is {fraction} but must lie between 0 and 1: give for example 0.2")
    files: dict[int, list[tuple]] = {}
    for file, label in {video.file: video.label for video in reversed(manifest.videos)}.items():
        files.setdefault(label, []).append(file)
    held: set[tuple] = set()
    for label, found in files.items():
        count = min(max(1, round(fraction * len(found))), len(found) - 1)
        order = np.random.default_rng((seed, label)).permutation(len(found))
        found.sort(key=lambda file: (file[0], file[1] or 0))
        held.update(found[place] for place in order[:count])
    parts = (
        [v for v in manifest.videos if v.file not in held],
        [v for v in manifest.videos if v.file in held],
    )
    train, val = (replace(manifest, videos=tuple(part)) for part in parts)
    return train, val


def keep_fraction(manifest: Manifest, *, fraction: float, seed: int = 0) -> Manifest:
    """Keep about `fraction` of each class's videos, at least one, in their order: for learning curves.

    Of one seed, a smaller fraction's videos are among those of every larger one.

    Raises:
        ManifestError: the fraction is not in (0, 1].
    """
    if not 0 < fraction <= 1:
        raise ManifestError(f"fraction is {fraction} but must lie in (0, 1]: give for example 0.25")
    kept: set[int] = set()
    for label in range(len(manifest.classes)):
        places = [place for place, video in enumerate(manifest.videos) if video.label == label]
        count = max(1, round(fraction * len(places)))
        kept.update(np.random.default_rng((seed, label)).permutation(places)[:count].tolist())
    return replace(manifest, videos=tuple(v for place, v in enumerate(manifest.videos) if place in kept))
