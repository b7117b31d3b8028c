"""Clips a second from file to network input on one core: our loader, FFmpeg's bare decode, torchcodec, decord.

Draws the videos itself (scenes of the tabletop set, scaled to 426x240, 4 s, with the noise of a sensor), encodes
them as data sets come, and writes ratios and rates:

    python benchmarks/decode.py [--rounds 9] [--out benchmarks/results/cpu-2-cores/decode.json]

torchcodec needs FFmpeg's shared libraries. Where PyAV's wheel carries them, the script links to those under the
names that torchcodec asks for and starts itself again, so that all run on the same FFmpeg.
"""

import argparse
import datetime
import json
import os
import platform
import sys
import tempfile
from pathlib import Path

import av
import numpy as np
import torch

from w3action.bench.decode import BOUND, bench_decode
from w3action.data import Video
from w3action.tabletop import render_video

SECONDS, SIZE = 4, (426, 240)

# Kinetics and most of the web; Something-Something V2; a set packed for training.
ENCODINGS = {
    "H.264, key frames 250 apart": ("mp4", "libx264", 25, {"preset": "medium", "crf": "23"}),
    "VP9, 12 fps": ("webm", "libvpx-vp9", 12, {"crf": "33", "b": "0", "deadline": "good", "cpu-used": "4"}),
    "H.264, key frames 8 apart": (
        "mp4",
        "libx264",
        25,
        {"preset": "medium", "crf": "23", "bf": "0", "x264-params": "keyint=8:min-keyint=8:scenecut=0"},
    ),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    _offer_ffmpeg_to_torchcodec()
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        scenes = [draw_scene(number) for number in range(args.clips)]
        for name, (suffix, codec, fps, options) in ENCODINGS.items():
            paths = [Path(folder) / f"{codec}_{len(results)}_{number}.{suffix}" for number in range(args.clips)]
            for path, scene in zip(paths, scenes, strict=True):
                encode(path, scene[:: 25 // fps][: SECONDS * fps], codec=codec, fps=fps, options=options)
            bench = bench_decode(
                [Video(path=path, label=0) for path in paths], num_clips=args.clips, num_rounds=args.rounds
            )
            print(f"{name}\n{bench}\n", flush=True)
            others = {way: rate for way, rate in bench.rates.items() if "w3action" not in way and way != BOUND}
            ours = bench.rates["w3action, files"].of_bound
            results[name] = {
                "clips_per_second": {way: round(rate.clips_per_second, 1) for way, rate in bench.rates.items()},
                "of_bound": {way: round(rate.of_bound, 3) for way, rate in bench.rates.items()},
                "of_best_other": round(ours / max(rate.of_bound for rate in others.values()), 3) if others else None,
                "missing": bench.missing,
            }
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(describe(args) | {"results": results}, indent=2) + "\n")


def describe(args: argparse.Namespace) -> dict:
    return {
        "what": f"{SIZE[0]}x{SIZE[1]}, {SECONDS} s, 8 segments, shorter side 256, centre 224, normalised; one thread",
        "note": "Clips a second of processor time. The machine may have been shared with other work: heed the "
        "ratios, which were taken round by round, not the rates.",
        "date": datetime.date.today().isoformat(),
        "cores": os.cpu_count(),
        "processor": _processor(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "av": av.__version__,
        "rounds": args.rounds,
        "clips": args.clips,
    }


def draw_scene(number: int) -> np.ndarray:
    """Draw (t, h, w, 3) frames at 25 a second: a tabletop scene, its frames blended in time, with noise."""
    drawn = render_video(0, "train", number).frames
    at = np.linspace(0, len(drawn) - 1.001, SECONDS * 25)
    width, height = SIZE
    rng, frames = np.random.default_rng(number), []
    for time in at:
        before, share = int(time), time % 1
        blended = ((1 - share) * drawn[before] + share * drawn[before + 1]).astype(np.uint8)
        frame = av.VideoFrame.from_ndarray(blended, format="rgb24")
        large = frame.reformat(width=width, height=height, interpolation="BICUBIC").to_ndarray()
        noise = rng.normal(0, 2, (height, width, 1))
        frames.append((large + noise).round().clip(0, 255).astype(np.uint8))
    return np.stack(frames)


def encode(path: Path, frames: np.ndarray, *, codec: str, fps: int, options: dict[str, str]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


def _offer_ffmpeg_to_torchcodec() -> None:
    carried = Path(av.__file__).parent.parent / "av.libs"
    if sys.platform != "linux" or not carried.is_dir() or "W3_BENCH_FFMPEG" in os.environ:
        return
    folder = Path(tempfile.mkdtemp())
    for library in (*carried.glob("libav*.so.*"), *carried.glob("libsw*.so.*")):
        kind, major = library.name.split("-")[0], library.name.split(".so.")[1].split(".")[0]
        (folder / f"{kind}.so.{major}").symlink_to(library)
    searched = [str(folder), str(carried), os.environ.get("LD_LIBRARY_PATH", "")]
    os.environ |= {"W3_BENCH_FFMPEG": str(folder), "LD_LIBRARY_PATH": ":".join(filter(None, searched))}
    os.execv(sys.executable, [sys.executable, *sys.argv])


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    main()
