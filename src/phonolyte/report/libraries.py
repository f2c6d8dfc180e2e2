"""JavaScript of others that goes into a page: plotly.js and 3Dmol.js, which come with the package."""

from __future__ import annotations

import base64
import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Source:
    """A library as it comes with the package: the file in `vendor`, and what a page says of it."""

    name: str
    version: str
    license: str
    file: str

    def read(self) -> str:
        """Return its code."""
        return (files("phonolyte.report") / "vendor" / self.file).read_text(encoding="utf-8").replace("\r\n", "\n")


PLOTLY = Source("plotly.js", "3.7.0", "MIT", "plotly-gl2d.min.js")
"""The part of plotly.js with two-dimensional scatters, a third of the whole."""

VIEWER = Source("3Dmol.js", "2.5.5", "BSD-3-Clause", "3Dmol-min.js")


@dataclass(frozen=True, slots=True)
class Library:
    """A library, compressed in base64, with the hash by which a page lets it run."""

    source: Source
    data: str
    digest: str


def libraries(*, crystals: bool = True, plots: bool = True) -> list[Library]:
    """Return those that a page needs: plotly.js where it has plots, 3Dmol.js where it has crystals."""
    return [*([_compress(PLOTLY)] if plots else []), *([_compress(VIEWER)] if crystals else [])]


@cache
def _compress(source: Source) -> Library:
    code = source.read()
    data = base64.b64encode(gzip.compress(code.encode(), 6, mtime=0)).decode()
    return Library(source, data, digest(code))


def digest(code: str) -> str:
    """The source of a script as a content security policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"
