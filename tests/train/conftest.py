"""A run small enough for a test: 32 pixels, 4 frames, a few drawn videos."""

import pytest

from w3action.config import DataConfig, ModelConfig, OptimConfig, RunConfig


@pytest.fixture
def tiny() -> RunConfig:
    return RunConfig(
        recipe="tiny",
        model=ModelConfig(name="tsm_small", attention="w3", dropout=0.5),
        data=DataConfig(num_frames=4, size=32, num_workers=0, cache_gib=0.1),
        optim=OptimConfig(lr=0.02, lr_batch_size=8, schedule="cosine", warmup=0.1),
        batch_size=8,
        epochs=2,
    )
