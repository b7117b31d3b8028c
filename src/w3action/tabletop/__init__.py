"""The embedded video data set: hands on a table, drawn by code, that only the order of frames tells apart.

Sixteen actions in the spirit of Something-Something (Goyal et al., 2017), as eight pairs. Six pairs are the same paths
played forwards and backwards; two part by what becomes of the object in the end. Other things move by themselves, the
camera shakes, light, hands, objects and tables vary. A model that looks at frames one by one must guess within pairs.

    write_tabletop(Path("data/tabletop"), num_videos=1600, seed=0)   # real H.264 files with a manifest
    render_video(seed=0, split="train", index=3).frames              # (T, 112, 112, 3) uint8

How a clip comes about: `catalogue` (random numbers and label) -> `scene` (who is there), with `actions`, `motion`
and `bystanders` (who moves how) -> `render` (what it looks like), with `stage` (perspective and light), `backdrop`,
`things` of `mesh`, `hand` and `sprite` -> `write` (files).
"""

from w3action.tabletop.catalogue import CLASSES, FLIPPED, OUTCOME_PAIRS, PAIRS, REVERSE_OF, SPLITS, video_label
from w3action.tabletop.render import RenderedVideo, render_video
from w3action.tabletop.scene import MAX_FRAMES, MIN_FRAMES
from w3action.tabletop.stage import SIZE
from w3action.tabletop.write import FPS, split_sizes, write_tabletop

__all__ = [
    "CLASSES",
    "FLIPPED",
    "FPS",
    "MAX_FRAMES",
    "MIN_FRAMES",
    "OUTCOME_PAIRS",
    "PAIRS",
    "REVERSE_OF",
    "SIZE",
    "SPLITS",
    "RenderedVideo",
    "render_video",
    "split_sizes",
    "video_label",
    "write_tabletop",
]
