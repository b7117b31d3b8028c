"""Evaluation: protocols as data, pure metrics, reports. A model is any callable from clips to logits."""

from w3action.evaluate.fusion import Fused, fuse
from w3action.evaluate.metrics import Metrics, compute_metrics
from w3action.evaluate.protocols import PROTOCOLS, Protocol
from w3action.evaluate.run import UnreadableVideosError, evaluate_videos
from w3action.evaluate.score_file import ScoreFileError, VideoScores, read_scores
from w3action.evaluate.scoring import Scores, score_videos

__all__ = [
    "PROTOCOLS",
    "Fused",
    "Metrics",
    "Protocol",
    "ScoreFileError",
    "Scores",
    "UnreadableVideosError",
    "VideoScores",
    "compute_metrics",
    "evaluate_videos",
    "fuse",
    "read_scores",
    "score_videos",
]
