"""Measured ionic conductivities at room temperature that come with Phonolyte, and which of them a crystal has.

The table is the training split of OBELiX: F. Therrien et al., Digital Discovery (2025), 10.1039/D5DD00441A, CC BY 4.0.
Each row names the paper that it is from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from phonolyte.arrays import Floats, Ints
from phonolyte.chemistry.formulas import composition_of, shares_of
from phonolyte.chemistry.ions import simple_anions
from phonolyte.chemistry.systems import system_of
from phonolyte.features.conduction import ionic_descriptors, root_fractions
from phonolyte.models.conductivity import HIGHEST_EV
from phonolyte.structures import Crystal
from phonolyte.structures.symmetry import crystal_group, framework_group

ION = "Li"
"""Mobile ion of the measured compounds."""

SAME_SHARE = 0.01
"""Largest difference in the share of an element between a crystal and a compound that it may be."""

SAME_VOLUME = 0.15
"""Largest relative difference of their volumes an anion: density functional theory and ordering change them."""

TOLERANCES_A = (0.15, 0.5)
"""Tolerances at which the space group of a crystal's framework is compared with that of the compound: the first for
crystals as they were refined, the other for ordered models of them, whose atoms have moved."""


def folder() -> Path:
    """Where the table is."""
    return Path(str(files("phonolyte") / "data" / "measured"))


@dataclass(frozen=True, slots=True)
class Match:
    """Measurement of a crystal.

    Attributes
    ----------
    sigma_s_cm
        Conductivity at room temperature, S/cm; of several measurements the middle one.
    at_most
        Whether it is an upper bound.
    doi
        Paper that it is from.
    n
        Number of measurements.
    """

    sigma_s_cm: float
    at_most: bool
    doi: str
    n: int


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Measured compounds.

    Attributes
    ----------
    table
        One row a measurement: ``id``, ``formula``, ``sigma_s_cm``, ``at_most``, ``space_group``,
        ``volume_per_anion_a3``, ``family``, ``doi``, and what a model learns from.
    by_elements
        Rows of each set of elements, with their shares.
    """

    table: pd.DataFrame
    by_elements: Mapping[frozenset[str], list[tuple[int, Mapping[str, float]]]] = field(repr=False)

    @classmethod
    def from_table(cls, table: pd.DataFrame) -> Self:
        """Measured compounds of a table."""
        groups: dict[frozenset[str], list[tuple[int, Mapping[str, float]]]] = defaultdict(list)
        for row, formula in enumerate(table["formula"]):
            shares = shares_of(str(formula))
            groups[frozenset(shares)].append((row, shares))
        return cls(table, dict(groups))

    def match(self, crystal: Crystal) -> Match | None:
        """The measurement of a crystal, None where there is none.

        A compound is the crystal's where the composition agrees, the volume an anion nearly, and the space group is
        that of the crystal or of its average framework.
        """
        rows = self._alike(crystal)
        groups = {crystal_group(crystal, tolerance_a=TOLERANCES_A[0])} if len(rows) else set()
        for tolerance in TOLERANCES_A:
            if len(rows) and not rows["space_group"].isin(groups).any():
                groups.add(framework_group(crystal, ION, tolerance_a=tolerance))
        rows = rows[rows["space_group"].isin(groups)].sort_values("sigma_s_cm")
        if not len(rows):
            return None
        middle = rows.iloc[len(rows) // 2]
        doi, *_ = str(middle["doi"]).split("|")
        return Match(float(middle["sigma_s_cm"]), bool(middle["at_most"]), doi, len(rows))

    def _alike(self, crystal: Crystal) -> pd.DataFrame:
        """Rows whose composition and volume are those of a crystal."""
        amounts = crystal.amounts
        total = sum(amounts.values())
        places = [
            row
            for row, shares in self.by_elements.get(frozenset(amounts), ())
            if all(abs(amounts[symbol] / total - share) <= SAME_SHARE for symbol, share in shares.items())
        ]
        rows: pd.DataFrame = self.table.iloc[places]
        anions = sum(amounts[symbol] for symbol in simple_anions(amounts))
        ratio = crystal.volume_a3 / anions / rows["volume_per_anion_a3"].to_numpy(float)
        return rows.take(np.flatnonzero(np.abs(ratio - 1.0) <= SAME_VOLUME))


@cache
def load_measured() -> Measured:
    """The measured compounds that come with Phonolyte."""
    return Measured.from_table(pd.read_csv(folder() / "measured.csv", comment="#"))


ALIKE = 5
"""Compounds with a crystal from whose values those without one borrow barrier and share of open sites."""


def learning_columns(table: pd.DataFrame) -> dict[str, Any]:
    """What :meth:`phonolyte.models.conductivity.ConductivityModel.fit` takes, from the table of measurements.

    Compounds without a crystal have the barrier and the share of open sites of the most alike compositions that have
    one; conductivities are never borrowed.
    """
    amounts = [dict(composition_of(str(formula))) for formula in table["formula"]]
    anions = [sum(compound[symbol] for symbol in simple_anions(compound)) for compound in amounts]
    volumes = table["volume_per_anion_a3"].to_numpy(float) * np.array(anions)
    descriptors = np.array(
        [ionic_descriptors(compound, volume, ION) for compound, volume in zip(amounts, volumes, strict=True)]
    )
    roots = np.array([root_fractions(compound) for compound in amounts])
    apart = _dissimilarity(descriptors, roots, table["space_group"].to_numpy(int))
    barriers = np.minimum(table["barrier_3d_ev"].to_numpy(float), HIGHEST_EV)
    elements = [system_of(compound) for compound in amounts]
    return {
        "numbers": {
            "barrier_3d_ev": _borrow(barriers, apart), "anion_radius_a": descriptors[:, 0],
            "open_share": _borrow(table["open_share"].to_numpy(float), apart),
        },
        "descriptors": descriptors,
        "roots": roots,
        "log_sigma": np.log10(table["sigma_s_cm"].to_numpy(float)),
        "bounds": table["at_most"].to_numpy(bool),
        "groups": np.unique(elements, return_inverse=True)[1],
    }  # fmt: skip


def _dissimilarity(descriptors: Floats, roots: Floats, space_groups: Ints) -> Floats:
    """How unlike compounds are (n, n): by their ions without the volume, fractions of elements and space group."""
    ions = descriptors[:, :-2]
    ions = (ions - ions.mean(axis=0)) / ions.std(axis=0)
    apart = ((ions[:, None] - ions) ** 2).mean(axis=2) + ((roots[:, None] - roots) ** 2).sum(axis=2)
    return np.asarray(apart + (space_groups[:, None] != space_groups))


def _borrow(values: Floats, apart: Floats) -> Floats:
    """Values (n,) in which unknown ones are means over the most alike compounds."""
    known, filled = np.flatnonzero(~np.isnan(values)), values.copy()
    for row in np.flatnonzero(np.isnan(values)):
        nearest = known[np.argsort(apart[row, known], kind="stable")[:ALIKE]]
        filled[row] = np.average(values[nearest], weights=1.0 / (0.02 + apart[row, nearest]))
    return filled
