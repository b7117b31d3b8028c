"""Hand tracks for `w3 reproduce figure3` from the recordings of the hand_motion set.

    python benchmarks/hand_motion_tracks.py HAND_MOTION_FOLDER tracks.parquet

The recordings' tracks give a point in the hand's upper part and the hand's top, frame by frame. The box is five times
as high as the point lies below the top and four times as wide: the fingers and, of most hand shapes, half the palm. The
hand acts in a frame when the point moves by at least one pixel (of 200) to the next.
"""

import csv
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

MOVES_PIXELS = 1.0  # per frame


def read_recording(path: Path) -> np.ndarray:
    """Read (frames, 3): x and y of the tracked point, y of the hand's top."""
    with path.open(newline="") as file:
        return np.array([[float(row[key]) for key in ("x", "y", "top")] for row in csv.DictReader(file)])


def main(folder: Path, out: Path) -> None:
    rows = []
    with (folder / "all_train_val.csv").open(newline="") as file:
        clips = list(csv.DictReader(file))
    for clip in clips:
        recording = read_recording(folder / "recordings" / f"{clip['subject']}_{clip['handshape']}_track.csv")
        first, count = int(clip["first_frame"]), int(clip["num_frames"])
        x, y, top = recording[first : first + count].T
        unit = y - top
        step = np.hypot(np.gradient(x), np.gradient(y))
        boxes = np.stack([x - 2 * unit, top, x + 2 * unit, top + 5 * unit], axis=1)
        for frame, (box, moved) in enumerate(zip(boxes.tolist(), step, strict=True)):
            path = str((folder / clip["path"]).resolve())
            rows.append((path, frame, *box, bool(moved >= MOVES_PIXELS)))
    names = ("path", "frame", "x0", "y0", "x1", "y1", "acting")
    pq.write_table(pa.table(dict(zip(names, zip(*rows, strict=True), strict=True))), out)
    print(f"{len(clips)} clips, {len(rows)} frames, acting in {np.mean([row[-1] for row in rows]):.0%} of them: {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
