"""What a run stands on, as BibTeX."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

FILE = "cite.bib"

MODEL = ("jaafreh2024", "muy2018", "petretto2018", "jain2013", "ward2016", "ward2017")
"""Keys of the band center, its features and its learning set."""

CONDUCTION = ("therrien2025", "chen2019")
"""Keys of measured conductivities, and of percolation."""


def bibtex(*cites: str) -> str:
    """Return BibTeX entries, each once.

    Parameters
    ----------
    cites
        Keys of ``data/cite.bib``, and entries themselves (which begin with ``@``).
    """
    entries = known_entries()
    texts = [cite if cite.startswith("@") else entries.get(cite, "") for cite in cites]
    return "\n".join(dict.fromkeys(text.strip() + "\n" for text in texts if text.strip()))


@cache
def known_entries() -> dict[str, str]:
    """Return the entries of ``data/cite.bib`` by key."""
    text = (files("phonolyte") / "data" / FILE).read_text(encoding="utf-8")
    entries = re.split(r"(?m)^(?=@)", text)
    return {entry[entry.index("{") + 1 : entry.index(",")]: entry for entry in entries if entry.strip()}
