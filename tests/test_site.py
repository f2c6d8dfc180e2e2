"""The documentation builds without a warning, its notebooks run, and its reference names what the code has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from phonolyte.cli import COMMANDS
from phonolyte.forces.registry import ENGINES
from phonolyte.tiers import TIERS

ROOT = Path(__file__).parents[1]


def test_the_site_builds_with_all_its_pages(tmp_path: Path):
    site = build_site(tmp_path)  # once, since processes that share the tests would each build it
    check_pages(site)
    check_reference(site / "reference" / "generated")
    check_notebooks(site / "notebooks")


def build_site(folder: Path) -> Path:
    """Build the pages, warnings as errors."""
    if not os.environ.get("CI"):
        for package in ("sphinx", "myst_nb", "furo", "sphinx_copybutton", "sphinx_design"):
            pytest.importorskip(package, reason=f"{package} is not installed: pip install '.[docs]'")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-d", str(folder / "doctrees"), "docs"]
    built = subprocess.run([*command, str(folder / "html")], cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr[-5000:]
    return folder / "html"


def check_pages(site: Path) -> None:
    """Check that each page of the sources is there."""
    for path in (ROOT / "docs").rglob("*.md"):
        assert (site / path.relative_to(ROOT / "docs")).with_suffix(".html").is_file(), path


def check_reference(folder: Path) -> None:
    """Check that the reference names all there is."""
    pages = {
        name: (folder / f"{name}.html").read_text() for name in ("cli", "engines", "tiers", "settings", "api/verbs")
    }
    for name, prefix, names in (("cli", "phonolyte ", COMMANDS), ("engines", "", ENGINES), ("tiers", "", TIERS)):
        for each in names:
            assert f">{prefix}{each}<" in pages[name], each
    assert "--min-gap-ev" in pages["cli"]
    assert ">max_barrier_ev<" in pages["settings"]
    assert 'id="phonolyte.verbs.screen"' in pages["api/verbs"]


def check_notebooks(folder: Path) -> None:
    """Check that notebooks have run."""
    for path in sorted((ROOT / "docs" / "notebooks").glob("*.md")):
        if path.stem != "index":
            assert "cell_output" in (folder / f"{path.stem}.html").read_text(), path
