"""Compiled functions: whether they are in the cache of numba, and those of a screen compiled in two processes."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from phonolyte.screen.describe import Models
    from phonolyte.structures import Crystal

PACKAGE = Path(__file__).parent

LONGEST = PACKAGE / "features" / "attributes.py"
"""Source of the function that takes longest to compile; without it in the cache, nothing is."""

_DECORATED = re.compile(r"^@kernel\b", re.MULTILINE)


def compiled_sources(package: Path = PACKAGE) -> list[Path]:
    """Return the modules that have functions which numba compiles and keeps."""
    return [path for path in sorted(package.rglob("*.py")) if _DECORATED.search(path.read_text(encoding="utf-8"))]


def sources_of(packages: Iterable[str]) -> list[Path]:
    """Return those of some packages of Phonolyte."""
    return [path for name in packages for path in compiled_sources(PACKAGE / name)]


def user_cache() -> Path:
    """Return the folder in which numba keeps functions of packages whose own folder cannot be written."""
    from platformdirs import user_cache_path

    return user_cache_path("numba", appauthor=False)


def is_compiled(source: Path) -> bool:
    """Whether the cache of numba has a function of a module, newer than its source.

    The cache is ``NUMBA_CACHE_DIR``, else beside the module, else the user's own.
    """
    named = os.environ.get("NUMBA_CACHE_DIR", "")
    folders = [] if named else [source.parent / "__pycache__"]
    if named or not os.access(source.parent, os.W_OK):
        folders += Path(named or user_cache()).glob(f"{source.parent.name}_*")
    pattern = f"{source.stem}.*.py{sys.version_info.major}{sys.version_info.minor}.nbi"
    changed = source.stat().st_mtime
    return any(index.stat().st_mtime >= changed for folder in folders for index in folder.glob(pattern))


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def compile_screen() -> None:
    """Compile what a screen needs into the cache of numba, in two processes, unless it is there.

    One process alone compiles one function after the other, whatever its threads. Where another one cannot be started,
    what it would compile is compiled when it is first used. It is still busy with percolation, which a screen needs
    last, when this returns.
    """
    if is_compiled(LONGEST) or cores() < 2:
        return
    other = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
    with suppress(RuntimeError, OSError):
        needed_first = [other.submit(part) for part in (_predict, _describe)]  # the latter calls the neighbors
        other.submit(_percolate)
        _find_neighbors()
        _compute_attributes()
        _order()
        for part in needed_first:
            part.exception()
    other.shutdown(wait=False)


def _make_salt() -> Crystal:
    from phonolyte.structures import Crystal

    return Crystal.from_arrays(
        "LiCl", [0, 2.57, 2.57, 2.57, 0, 2.57, 2.57, 2.57, 0], ["Li", "Cl"], [0, 0, 0, 0.5, 0.5, 0.5]
    )


def _make_disordered_salt() -> Crystal:
    """Chloride and bromide on the sites of a cell with so many that their orderings are sampled."""
    import numpy as np

    from phonolyte.structures import Crystal

    places = np.stack(np.meshgrid(*[np.arange(4) / 4] * 3), axis=-1).reshape(-1, 3)
    n = len(places)
    species = ["Li"] * n + ["Cl"] * n + ["Br"] * n
    sites = np.concatenate([places, places + 0.125, places + 0.125])
    filled = [1.0] * n + [0.5] * 2 * n
    return Crystal.from_arrays("LiCl0.5Br0.5", np.eye(3) * 12.8, species, sites, occupancies=filled)


@cache
def _load_models() -> Models:
    """Models without the compounds that they have learned from, whose features take :func:`_compute_attributes`."""
    from phonolyte.models.center import BandCenterModel
    from phonolyte.models.ion import IonCenterModel
    from phonolyte.screen.describe import Models, ModelSource

    return Models(BandCenterModel.embedded(ModelSource().name), ion=IonCenterModel.embedded())


def _find_neighbors() -> None:
    """Compile the search for neighbors, which most others call."""
    from phonolyte.structures.checks import check

    check(_make_salt())


def _compute_attributes() -> None:
    """Compile what takes the tessellation, the longest of all."""
    from phonolyte.features import featurize
    from phonolyte.features.feature_sets import MAGPIE

    featurize([_make_salt()], sets=MAGPIE)


def _predict() -> None:
    """Compile what models predict with, for which any features will do."""
    import numpy as np
    import pandas as pd

    models = _load_models()
    names = [name for each in models.sets for name in each.names]
    table = pd.DataFrame(np.ones((1, len(names))), index=["LiCl"], columns=names)
    models.center.predict_orderings(table, [{"Li", "Cl"}])


def _percolate() -> None:
    """Compile percolation."""
    from phonolyte.conduction import describe_conduction
    from phonolyte.percolation.site_energies import PercolationSettings

    describe_conduction([_make_salt()], ["Li"], PercolationSettings())


def _describe() -> None:
    """Compile physical features and fingerprints."""
    from phonolyte.features import featurize
    from phonolyte.features.feature_sets import MAGPIE
    from phonolyte.structures.duplicates import fingerprint

    salt = _make_salt()
    featurize([salt], sets=[each for each in _load_models().sets if each not in MAGPIE])
    fingerprint(salt)
    fingerprint(_make_disordered_salt())


def _order() -> None:
    """Compile the orderings of disordered crystals."""
    from phonolyte.structures.ordering import order

    order(_make_disordered_salt())
