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


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages, built with warnings as errors."""
    if not os.environ.get("CI"):
        for package in ("sphinx", "myst_nb", "furo", "sphinx_copybutton", "sphinx_design"):
            pytest.importorskip(package, reason=f"{package} is not installed: pip install '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-d", str(folder / "doctrees"), "docs"]
    built = subprocess.run([*command, str(folder / "html")], cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr[-5000:]
    return folder / "html"


def test_every_page_of_the_sources_is_there(site: Path):
    for path in (ROOT / "docs").rglob("*.md"):
        assert (site / path.relative_to(ROOT / "docs")).with_suffix(".html").is_file()


def test_the_reference_names_all_there_is(site: Path):
    pages = {
        name: (site / "reference" / "generated" / f"{name}.html").read_text() for name in ("cli", "engines", "tiers")
    }
    for name, names in (("cli", COMMANDS), ("engines", ENGINES), ("tiers", TIERS)):
        for each in names:
            assert f">{'phonolyte ' if name == 'cli' else ''}{each}<" in pages[name], each
    assert "--min-gap-ev" in pages["cli"]
    settings = (site / "reference" / "generated" / "settings.html").read_text()
    assert ">max_barrier_ev<" in settings
    verbs = (site / "reference" / "generated" / "api" / "verbs.html").read_text()
    assert 'id="phonolyte.verbs.screen"' in verbs


def test_notebooks_have_run(site: Path):
    for path in sorted((ROOT / "docs" / "notebooks").glob("*.md")):
        if path.stem != "index":
            assert "cell_output" in (site / "notebooks" / f"{path.stem}.html").read_text()
