"""Fixtures that tests share: the one door to the reference data, which is not part of the project, and a browser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import CHROMIUM, FLAGS, WAIT_MS

from phonolyte.figures import style


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of reference data: PHONOLYTE_SHARED, else `shared` beside the checkout."""
    folder = Path(os.environ.get("PHONOLYTE_SHARED", Path(__file__).parents[2] / "shared"))
    if not folder.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"{folder} must be there in CI (set PHONOLYTE_SHARED)")
        pytest.skip(f"reference data is not at {folder} (set PHONOLYTE_SHARED)")
    return folder


USUAL, DPI = style.USUAL, style.STYLE["savefig.dpi"]


@pytest.fixture(scope="session", autouse=True)
def small_figures() -> Iterator[None]:
    """Draw figures as small PNG alone, for most of the time of many tests would be their PDF."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "USUAL", ("png",))
        patch.setitem(style.STYLE, "savefig.dpi", 60.0)
        yield


@pytest.fixture(autouse=True)
def usual_figures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw them as commands do where they are what is tested."""
    if request.node.get_closest_marker("figures"):
        monkeypatch.setattr(style, "USUAL", USUAL)
        monkeypatch.setitem(style.STYLE, "savefig.dpi", DPI)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("chromium must be there in CI")
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=WAIT_MS)
        yield browser
        browser.close()
