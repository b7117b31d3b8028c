"""Evaluation: protocols as data, scores of videos, pure metrics. A model is any callable from clips to logits."""

from w3action.evaluate.metrics import Metrics, compute_metrics
from w3action.evaluate.protocols import PROTOCOLS, Protocol
from w3action.evaluate.scoring import Scores, UnreadableVideosError, evaluate_videos, score_videos

__all__ = [
    "PROTOCOLS",
    "Metrics",
    "Protocol",
    "Scores",
    "UnreadableVideosError",
    "compute_metrics",
    "evaluate_videos",
    "score_videos",
]
