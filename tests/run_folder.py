"""Contents that two runs must have in common, one of which was killed and went on."""

from __future__ import annotations

import re
from pathlib import Path


def read_content(path: Path) -> object:
    """The content of a file of a run folder, less how long the run took and how often its files were opened."""
    if path.name == "run.toml":
        return re.sub(r"(?m)^seconds = [\d.e-]+$", "", path.read_text(encoding="utf-8"))
    if path.name == ".written":
        return set(path.read_text(encoding="utf-8").split())
    return path.read_bytes()
