"""From files to batches: manifests, decoding, sampling, transforms and loading of labelled videos.

The way of a sample: `read_manifest` lists videos, `open_frames` opens one and reads the frames that a function of
`sampling` picks, a transform makes float views of them, and `collate` stacks samples to a `ClipBatch`. Data sets are
made, packed and checked one floor above, in `w3action.datasets`.
"""

from w3action.data.cache import FrameCache
from w3action.data.clip import BadVideo, Clip, ClipBatch, Frames, Sample, collate
from w3action.data.flips import FlipMap, find_flip_pairs, mirror_name
from w3action.data.loading import EpochBatchSampler, VideoDataset, make_loader
from w3action.data.manifest import Manifest, hold_out, keep_fraction, read_manifest, write_manifest
from w3action.data.mirror import FetchError, mirror_index
from w3action.data.open_frames import VideoInfo, open_frames, probe
from w3action.data.sampling import test_dense, test_segments, train_dense, train_segments, twice_segments
from w3action.data.source import DecodeError
from w3action.data.transforms import TestTransform, TrainTransform, Transform, denormalize, normalize
from w3action.data.video import ManifestError, Video

__all__ = [
    "BadVideo",
    "Clip",
    "ClipBatch",
    "DecodeError",
    "EpochBatchSampler",
    "FetchError",
    "FlipMap",
    "FrameCache",
    "Frames",
    "Manifest",
    "ManifestError",
    "Sample",
    "TestTransform",
    "TrainTransform",
    "Transform",
    "Video",
    "VideoDataset",
    "VideoInfo",
    "collate",
    "denormalize",
    "find_flip_pairs",
    "hold_out",
    "keep_fraction",
    "make_loader",
    "mirror_index",
    "mirror_name",
    "normalize",
    "open_frames",
    "probe",
    "read_manifest",
    "test_dense",
    "test_segments",
    "train_dense",
    "train_segments",
    "twice_segments",
    "write_manifest",
]
