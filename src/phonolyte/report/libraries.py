"""The JavaScript of others that goes into a page: plotly.js and 3Dmol.js, from where they are installed."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

VIEWER_VARIABLE = "PHONOLYTE_3DMOL"
"""Names a file 3Dmol-min.js to use instead of the one that came with the installation."""

VIEWER_HINT = (
    "The crystals are drawn with plotly.js. For 3Dmol.js, which draws them better, install Phonolyte where npm is, or "
    f"run `npm pack 3dmol` and set {VIEWER_VARIABLE} to the 3Dmol-min.js in it; then `phonolyte report` this folder."
)


@dataclass(frozen=True, slots=True)
class Library:
    """A library, compressed in base64, with the hash by which a page lets it run, and what to say of it."""

    name: str
    version: str
    license: str
    data: str
    digest: str


def libraries(*, crystals: bool = True) -> list[Library]:
    """Those that a page needs and that are installed: plotly.js always, 3Dmol.js for crystals where its file is found.

    Of plotly.js the part with scatters is enough where 3Dmol.js draws the crystals, and where there are none.
    """
    viewer, cartesian = viewer_file() if crystals else None, _vendor("plotly-gl2d.min.js")
    plotly = (
        _library("plotly.js", str(cartesian), "MIT") if cartesian.is_file() and (viewer or not crystals) else _plotly()
    )
    return [plotly, *([_library("3Dmol.js", str(viewer), "BSD-3-Clause")] if viewer else [])]


def viewer_file() -> Path | None:
    """3Dmol.js as named by the environment, else as the installation brought it."""
    named = os.environ.get(VIEWER_VARIABLE)
    path = Path(named) if named else _vendor("3Dmol-min.js")
    return path if path.is_file() else None


def _plotly() -> Library:
    spec = find_spec("plotly")
    assert spec is not None  # a dependency
    assert spec.submodule_search_locations is not None
    path = Path(next(iter(spec.submodule_search_locations))) / "package_data" / "plotly.min.js"
    return _library("plotly.js", str(path), "MIT")


@cache
def _library(name: str, path: str, license_: str) -> Library:
    code = Path(path).read_text(encoding="utf-8").replace("\r\n", "\n")
    data = base64.b64encode(gzip.compress(code.encode(), 6, mtime=0)).decode()
    return Library(name, _version(code, Path(path)), license_, data, digest(code))


def _version(code: str, path: Path) -> str:
    """As the code says, else as the package it came from."""
    match = re.search(r"v(\d+\.\d+\.\d+)", code[:400])
    record = path.with_name("packages.json")
    packages = json.loads(record.read_text()) if record.is_file() else []
    return match.group(1) if match else next((name.split("@")[1] for name in packages if "3dmol" in name), "")


def _vendor(name: str) -> Path:
    """Where the build put a file."""
    return Path(str(files("phonolyte.report") / "vendor" / name))


def digest(code: str) -> str:
    """The source of a script as a content security policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"
