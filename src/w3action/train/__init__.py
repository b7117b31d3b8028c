"""Training: tasks turn a batch into losses, one loop steps, a run's state survives `kill -9`."""

from w3action.train.run import train

__all__ = ["train"]
