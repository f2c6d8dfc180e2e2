"""Settings of a screen, as commands and files give them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from phonolyte.errors import SettingsError
from phonolyte.screen.criteria import CRITERIA, Criteria
from phonolyte.screen.ranking import Ranking


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a screen requires and ranks by, unless it is given.

    Attributes
    ----------
    max_center_mev, max_e_hull_ev, min_gap_ev
        As :class:`Criteria` has them.
    no_likely_metal
        Whether intermetallic compounds without a known gap are ruled out.
    rank_by
        Column that orders the candidates.
    """

    max_center_mev: float | None
    max_e_hull_ev: float
    min_gap_ev: float | None
    no_likely_metal: bool
    rank_by: str


RECIPES = {
    "conductors": Recipe(None, 0.05, 1.0, True, "p_conductor"),
    "study": Recipe(40.0, 0.05, None, False, "band_center_mev"),
}
"""Recipes by name: stable insulators by the probability that they conduct, and the funnel of the founding study."""


@dataclass(frozen=True, slots=True)
class ScreenSettings:
    """Criteria of a screen, and what it ranks by.

    Attributes
    ----------
    recipe
        ``conductors``, or ``study``: defaults of the rest.
    ion
        Mobile ion, an element symbol, or ``any``.
    max_center_mev
        Largest band center, meV.
    max_e_hull_ev
        Largest energy above the hull, eV/atom.
    min_gap_ev
        Smallest band gap, eV.
    max_reduction_v, min_oxidation_v
        Highest reduction and lowest oxidation voltage, V, of a table of ``phonolyte stability``.
    max_price_usd_kg
        Largest price of the elements, USD per kg of the compound.
    without
        Names of criteria that are left out.
    percolation
        Crystals whose percolation is computed: ``candidates``, ``all`` or ``none``.
    rank_by
        Column that orders the candidates, the good values first.
    computed
        Whether computed centers stand in the place of those that the embedded model predicts.
    weights
        Columns and weights, whose weighted sum of ranks orders the candidates instead.
    """

    recipe: Annotated[
        Literal["conductors", "study"],
        "conductors: stable insulators, by the probability that they conduct; study: the founding study's funnel, "
        "soft crystals by band center.",
    ] = "conductors"
    ion: Annotated[str, "Mobile ion: Li, Na, K, Mg, Ca, Zn, Ag, ... or any."] = "any"
    max_center_mev: Annotated[float | None, "Largest band center, meV. Default: 40 in the study's recipe."] = None
    max_e_hull_ev: Annotated[float | None, "Largest energy above the hull, eV/atom. Default: 0.05."] = None
    min_gap_ev: Annotated[float | None, "Smallest band gap, eV. Default: 1, but in the study's recipe."] = None
    max_reduction_v: Annotated[
        float | None, "Highest reduction voltage, V, known from --properties. Default: no limit."
    ] = None
    min_oxidation_v: Annotated[
        float | None, "Lowest oxidation voltage, V, known from --properties. Default: no limit."
    ] = None
    max_price_usd_kg: Annotated[
        float | None, "Largest price of the elements, USD/kg. Default: no limit.", "--max-usd-kg"
    ] = None
    without: Annotated[tuple[str, ...], f"Criterion to leave out: {', '.join(CRITERIA)}."] = ()
    percolation: Annotated[
        Literal["candidates", "all", "none"], "Crystals whose percolation is computed (about 15 ms each)."
    ] = "candidates"
    rank_by: Annotated[str, "Column that orders the candidates. Default: p_conductor; study: band_center_mev."] = ""
    computed: Annotated[
        bool,
        "Take computed centers that come with Phonolyte in place of predicted ones (with the embedded model only).",
    ] = True
    weights: Annotated[
        tuple[tuple[str, float], ...], "Weight of a column: candidates are ordered by the weighted sum of ranks."
    ] = ()

    def __post_init__(self) -> None:
        _ = self.criteria, self.ranking  # which refuse what makes no sense

    @property
    def criteria(self) -> Criteria:
        """Criteria that these settings mean.

        Raises
        ------
        SettingsError
            For a criterion that does not exist, and values that make no sense.
        """
        unknown = set(self.without) - set(CRITERIA)
        if unknown:
            raise SettingsError(
                f"there is no criterion {sorted(unknown)[0]!r}", fix=f"Choose among {', '.join(CRITERIA)}."
            )
        recipe = RECIPES[self.recipe]

        def bound(name: str, value: float | None, default: float | None) -> float | None:
            return None if name in self.without else default if value is None else value

        return Criteria(
            ion=None if "ion" in self.without else self.ion,
            max_center_mev=bound("band_center", self.max_center_mev, recipe.max_center_mev),
            max_e_hull_ev=bound("e_hull", self.max_e_hull_ev, recipe.max_e_hull_ev),
            min_gap_ev=bound("band_gap", self.min_gap_ev, recipe.min_gap_ev),
            max_reduction_v=bound("reduction", self.max_reduction_v, None),
            min_oxidation_v=bound("oxidation", self.min_oxidation_v, None),
            max_price_usd_kg=bound("price", self.max_price_usd_kg, None),
            no_likely_metal=recipe.no_likely_metal and "likely_metal" not in self.without,
            no_radioactive="stable_elements" not in self.without,
            unique="unique" not in self.without,
        )

    @property
    def ranking(self) -> Ranking:
        """What orders the candidates.

        Raises
        ------
        SettingsError
            For a column that is not a number.
        """
        usual = "band_center_mev" if self.percolation == "none" else RECIPES[self.recipe].rank_by
        return Ranking(self.rank_by or usual, self.weights)
