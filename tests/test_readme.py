"""Commands and code of the README print what it shows; its links lead to files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pytest
from test_docs import examples

from phonolyte.cli import COMMANDS
from phonolyte.forces.registry import CPU_TORCH, ENGINES

README = Path(__file__).parents[1] / "README.md"
FIRST = "phonolyte screen"


def find_output(kind: str, text: str) -> str:
    """The output that is shown below a block."""
    blocks = examples.read_blocks(README.read_text())
    (at,) = [n for n, block in enumerate(blocks) if block.kind == kind and text in block.body]
    assert blocks[at + 1].kind == "text"
    return blocks[at + 1].body


def run(words: list[str], folder: Path) -> str:
    """Output of a program in a folder, in a terminal as wide as the page."""
    wide = {**os.environ, "COLUMNS": str(examples.WIDTH), "PHONOLYTE_JOBS": "1", "PHONOLYTE_FIGURES": "false"}
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True, env=wide).stdout


def test_the_first_command_prints_what_is_shown(tmp_path: Path):
    printed = run([sys.executable, "-m", *FIRST.split()], tmp_path)
    assert not examples.compare(find_output("console", FIRST), printed)
    assert (tmp_path / "out" / "report.html").is_file()


def test_the_example_prints_what_is_shown(tmp_path: Path):
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    printed = run([sys.executable, "-c", example], tmp_path)
    assert not examples.compare(find_output("python", example), printed)
    assert (tmp_path / "run" / "report.html").is_file()
    ranked = pd.read_parquet(tmp_path / "run" / "ranked.parquet")
    assert ranked[ranked["passes"]]["rank"].tolist() == list(range(1, ranked["passes"].sum() + 1))
    coarse = ranked.set_index("material_id").loc["ref-Na3PS4-cubic", "barrier_3d_ev"]
    (fine,) = pd.read_parquet(tmp_path / "paths" / "percolation.parquet")["barrier_3d_ev"]
    assert fine == pytest.approx(coarse, abs=0.1)


def test_the_map_has_every_command():
    (table,) = re.findall(r"## Commands\n(.*?)\n## ", README.read_text(), re.DOTALL)
    named = [name for row in table.splitlines() if row.startswith("| ") for name in re.findall(r"`(\w+)`", row)]
    assert sorted(named) == sorted(COMMANDS)


def test_links_lead_to_files_and_headings():
    links = re.findall(r"\]\((?!https?://)([^)\s]+)\)", README.read_text())
    assert any(link.endswith(".png") for link in links)
    for link in links:
        path, _, anchor = link.partition("#")
        assert (README.parent / path).is_file(), link
        if anchor:
            titles = re.findall(r"^#+ (.+)$", (README.parent / path).read_text(), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w-]", "", title.lower().replace(" ", "-")) for title in titles], link


def test_what_is_installed_exists():
    extras = tomllib.loads((README.parent / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    text = README.read_text()
    named = re.findall(r"'\.\[(\w+)\]'", text)
    assert {"phonons", "mp", "dask"} <= set(named) <= set(extras)
    assert CPU_TORCH in text
    for engine in ("dpa4", "nequix", "sevennet"):
        assert f"`{ENGINES[engine].install.removeprefix(f'{CPU_TORCH} && ')}`" in text
