"""How fast networks are: one file per question; what is compared takes turns in one process."""

from w3action.bench.attention import AttentionBench, bench_attention
from w3action.bench.latency import LatencyBench, bench_latency
from w3action.bench.training import TrainingBench, bench_training

__all__ = ["AttentionBench", "LatencyBench", "TrainingBench", "bench_attention", "bench_latency", "bench_training"]
