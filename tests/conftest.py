"""For all tests: shapes are checked, Triton is interpreted, and the shared real data is found where there is any."""

import os
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before PyTorch: the test processes share the cores as they are

import hypothesis
import pytest
import torch
from jaxtyping import install_import_hook

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # before anything imports Triton: its kernels are then run on the CPU

# Before anything imports w3action: its annotations are then checked at every call. An int passes for a float.
install_import_hook("w3action", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")

from drawn_videos import draw_video  # noqa: E402
from settled_networks import scramble, settle  # noqa: E402

__all__ = ["draw_video", "scramble", "settle"]

hypothesis.settings.register_profile("busy", deadline=None)  # other work on the machine must not fail a test
hypothesis.settings.load_profile("busy")


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of real media, data sets and annotations beside the checkout."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "assets").is_dir():
        pytest.skip("no folder of shared real data beside this checkout")
    return folder


@pytest.fixture(scope="session")
def tabletop(tmp_path_factory) -> Path:
    """A drawn set's manifest: 80 videos of 16 classes, 56 train, 8 val, 16 test."""
    from w3action.tabletop import write_tabletop

    return write_tabletop(tmp_path_factory.mktemp("tabletop"), num_videos=80, seed=0)
