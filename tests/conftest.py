"""The one door to the reference data, which may not be redistributed and so is not part of the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of reference data: PHONOLYTE_SHARED, else `shared` beside the checkout."""
    folder = Path(os.environ.get("PHONOLYTE_SHARED", Path(__file__).parents[2] / "shared"))
    if not folder.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"{folder} must be there in CI (set PHONOLYTE_SHARED)")
        pytest.skip(f"reference data is not at {folder} (set PHONOLYTE_SHARED)")
    return folder
