"""For all tests: shapes in signatures are checked, and the shared real data is found where there is any."""

from pathlib import Path

import pytest
from jaxtyping import install_import_hook

# Before anything imports w3action: jaxtyping annotations are then checked by beartype at every call.
install_import_hook("w3action", "beartype.beartype")


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of real media, data sets and annotations beside the checkout."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "assets").is_dir():
        pytest.skip("no folder of shared real data beside this checkout")
    return folder
