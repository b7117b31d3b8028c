"""Resident memory of a worker that decodes thousands of clips: it must not grow.

One process does a worker's job (`VideoDataset`: decode, sample, transform) on drawn videos of several codecs and
sizes and on damaged copies of them. After the first 500 clips, which fill FFmpeg's and the allocators' pools, its
resident memory is noted; the promise is that 20,000 further clips add less than 2 %.

    python benchmarks/decode_memory.py [--clips 20000] [--seconds 600] [--out RESULT.json]

Linux only (reads /proc/self/statm).
"""

import argparse
import datetime
import json
import os
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from decode import draw_scene, encode

from w3action.data import TrainTransform, Video, VideoDataset, train_segments
from w3action.data.clip import BadVideo

NUM_WARM = 500
ENCODINGS = (
    ("mp4", "libx264", {"preset": "veryfast"}),
    ("webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
    ("avi", "mpeg4", {}),
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long, with fewer clips")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        videos = draw_videos(Path(folder))
        dataset = VideoDataset(
            videos,
            sample=partial(train_segments, num_segments=8),
            transform=TrainTransform(size=112),
            short_side=128,
        )
        num_bad, start, rng = 0, time.monotonic(), np.random.default_rng(0)
        history = []
        for number in range(NUM_WARM + args.clips + 1):
            if number >= NUM_WARM and (number - NUM_WARM) % max(1, args.clips // 20) == 0:
                history.append((number - NUM_WARM, resident_mib()))
            if number > NUM_WARM and time.monotonic() - start > args.seconds:
                history.append((number - NUM_WARM, resident_mib()))
                break
            num_bad += isinstance(dataset[number, int(rng.integers(len(videos)))], BadVideo)
    first, last, peak = history[0][1], history[-1][1], max(mib for _, mib in history)
    result = {
        "what": "resident memory of a process that decodes, samples and transforms clips, after "
        f"{NUM_WARM} clips and after {history[-1][0]} more; bad_videos of them could not be decoded",
        "date": datetime.date.today().isoformat(),
        "cores": os.cpu_count(),
        "clips": history[-1][0],
        "bad_videos": num_bad,
        "seconds": round(time.monotonic() - start),
        "resident_mib_after_warming": round(first, 1),
        "resident_mib_at_the_end": round(last, 1),
        "resident_mib_at_most": round(peak, 1),
        "growth_percent": round(100 * (last / first - 1), 2),
        "history_mib": [[clips, round(mib, 1)] for clips, mib in history],
    }
    print(json.dumps(result, indent=2))
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(result, indent=2) + "\n")


def draw_videos(folder: Path) -> list[Video]:
    """Draw two scenes in each encoding, and a damaged copy of each mp4."""
    videos = []
    for scene in range(2):
        frames = draw_scene(scene)[::4, ::2, ::2]  # 25 frames of 213x120
        frames = frames[:, :, : frames.shape[2] // 2 * 2]
        for suffix, codec, options in ENCODINGS:
            path = folder / f"{scene}.{suffix}"
            encode(path, frames, codec=codec, fps=12, options=options)
            videos.append(Video(path=path, label=scene))
        damaged = folder / f"damaged_{scene}.mp4"
        data = bytearray((folder / f"{scene}.mp4").read_bytes())
        data[100 : len(data) // 2 : 50] = bytes(len(range(100, len(data) // 2, 50)))
        damaged.write_bytes(data)
        videos.append(Video(path=damaged, label=scene))
    return videos


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


if __name__ == "__main__":
    main()
