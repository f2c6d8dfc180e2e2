"""What a run stands on, as BibTeX."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from pathlib import Path

FILE = "cite.bib"

_MODEL = ("jaafreh2024", "muy2018", "petretto2018", "jain2013", "ward2016", "ward2017")

CITED = {
    # commands
    "screen": _MODEL,
    "train": _MODEL,
    "virtual": (*_MODEL, "hautier2011"),
    "phonons": ("jaafreh2024", "muy2018", "togo2023", "larsen2017"),
    "cutoffs": ("giannozzi2017", "larsen2017"),
    "impedance": ("schonleber2014", "murbach2020"),
    # methods of migrate
    "bvse": ("chen2019",),
    "neb": ("henkelman2000", "smidstrup2014", "larsen2017"),
    "md": ("mccluskey2024", "larsen2017"),
    # engines
    "dpa4": ("wang2018",),
    "sevennet": ("park2024",),
    "espresso": ("giannozzi2017", "larsen2017"),
}
"""Keys of ``data/cite.bib`` by command, method or engine."""


def cite(folder: Path, *used: object) -> None:
    """Write ``cite.bib`` of a run folder: what its command, method and engine want cited.

    Parameters
    ----------
    folder
        The run folder.
    used
        Names of commands, methods and engines; others cite nothing.
    """
    keys = dict.fromkeys(key for name in used for key in CITED.get(str(name), ()))
    (folder / FILE).write_text(bibtex(*keys), encoding="utf-8")


def bibtex(*keys: str) -> str:
    """Entries of ``data/cite.bib``."""
    entries = _entries()
    return "".join(entries[key] for key in keys)


@cache
def _entries() -> dict[str, str]:
    text = (files("phonolyte") / "data" / FILE).read_text(encoding="utf-8")
    parts = re.split(r"(?m)^(?=@)", text)
    return {part[part.index("{") + 1 : part.index(",")]: part for part in parts if part.strip()}
