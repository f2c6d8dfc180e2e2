"""Brings the JavaScript of reports from npm packages into a wheel or an editable installation.

These are 3Dmol.js (BSD-3-Clause) and the part of plotly.js (MIT) that draws scatters, a third of the whole. They are
no part of the source tree. Where npm is missing, or has no network, everything is built all the same: reports then take
the whole of plotly.js from its Python package, and draw crystals with it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

TARGET = Path(__file__).parent / "src" / "phonolyte" / "report" / "vendor"


class Package(NamedTuple):
    """A package of npm, its sha512 in base64 (another file is refused), and which files of it become which."""

    name: str
    sha512: str
    files: dict[str, str]


PACKAGES = (
    Package(
        "3dmol@2.5.5",
        "kqNHouGqq3YfW58174tdERvm0XYTmP0tavQKOqIw1ouc2OJ7epkXEFrtEkVXV0clBZT2Ze2xHRC/qxX0u0qCdw==",
        {"build/3Dmol-min.js": "3Dmol-min.js", "LICENSE": "LICENSE-3Dmol.txt"},
    ),
    Package(
        "plotly.js-gl2d-dist-min@3.7.0",
        "3vR+89HBYkuLNIx/DmIQbIG6JW+4Ok6MMuWVNYO4OsghZR2n0fB+XL241buc0YsvNWKtLV1YtRrPUiZmOdvBsw==",
        {"plotly-gl2d.min.js": "plotly-gl2d.min.js", "LICENSE": "LICENSE-plotly.txt"},
    ),
)


class LibrariesHook(BuildHookInterface):  # type: ignore[type-arg]
    """Fetches the libraries before files are collected."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fetch what is not there already."""
        if self.target_name != "wheel":
            return
        stated = TARGET / "packages.json"
        there = json.loads(stated.read_text()) if stated.is_file() else []
        for package in PACKAGES:
            if package.name in there:
                continue
            try:
                _fetch(package)
                there.append(package.name)
            except (OSError, subprocess.SubprocessError, ValueError, KeyError, tarfile.TarError) as error:
                self.app.display_warning(f"{package.name} could not be fetched with npm ({error}); built without it")
        if there:
            stated.write_text(json.dumps(there))


def _fetch(package: Package) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise OSError("npm is not installed")
    with tempfile.TemporaryDirectory() as scratch:
        command = [npm, "pack", package.name, "--ignore-scripts"]
        subprocess.run(command, cwd=scratch, capture_output=True, check=True, timeout=120)
        (file,) = Path(scratch).glob("*.tgz")
        if base64.b64encode(hashlib.sha512(file.read_bytes()).digest()).decode() != package.sha512:
            raise ValueError(f"{file.name} is not the file that was checked")
        TARGET.mkdir(parents=True, exist_ok=True)
        with tarfile.open(file) as archive:
            for member, name in package.files.items():
                stream = archive.extractfile(f"package/{member}")
                if stream is None:
                    raise ValueError(f"{member} is missing")
                (TARGET / name).write_bytes(stream.read())
