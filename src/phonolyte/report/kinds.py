"""How the page shows the results of each command: its names, columns, axes and cards, in one record each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd

from phonolyte.columns import have_values
from phonolyte.counts import count
from phonolyte.report import measured_sentences, sentences
from phonolyte.report.contents import Contents, arrived, names_of
from phonolyte.report.funnel import Bar, list_computed, list_criteria, list_stable, list_virtual
from phonolyte.report.measurements import Listing, cut
from phonolyte.report.packing import Array
from phonolyte.report.polarizations import (
    DECAYS,
    list_cell,
    list_samples,
    make_cell_card,
    make_sample_cards,
    name_sample_figures,
)
from phonolyte.report.spectra import describe_spectra, list_lines
from phonolyte.tiers import find_tier

FIGURE = "figure-"
"""What the name of an image element on the page begins with, before the stem of its file."""

BEST = 6
"""Rows that stand under the best ones."""

FEWEST = 3
"""Samples at different temperatures that make a scatter."""

MOST_RESULTS = 6
"""Rows of the results at the head of a page of measurements."""

ELECTRONIC = (
    "sigma_electronic_s_cm", "sigma_electronic_low_s_cm", "sigma_electronic_high_s_cm", "resistance_electronic_ohm",
    "resistance_electronic_low_ohm", "resistance_electronic_high_ohm",
)  # fmt: skip
"""Conductivities of samples, and the resistances that the table shows where no size of a pellet is known."""

CENTER = "band_center_mev"
"""Column that orders a tier which computes centers: of its crystals the unstable ones are counted, too."""

Cards = tuple[dict[str, Any], dict[str, Array]]
"""What cards are made from: entries of the page's data, and its arrays."""


def _first_rows(contents: Contents) -> list[int]:
    return list(range(min(BEST, len(contents.table))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How the page shows one kind of results.

    Attributes
    ----------
    rows, row, rank
        What the rows are, what one of them is, and what their rank counts.
    heading
        Heading of the table.
    headline, summarize
        Return the result in one line, and what came out, the best ones, how sure, in sentences.
    caveat
        What must be known of the numbers.
    funnel, funnel_title
        Returns the steps from what came in to what is left, and the heading of these.
    axes
        Columns that the scatter may show at first, x and y; of each the first that is there.
    sorted_by
        Columns that may order the table at first.
    best_by
        Column whose values stand under the best ones; empty for none.
    labels
        Headings of columns that mean something special here.
    hidden
        Columns that the table leaves to the card, though the registry shows them.
    center
        What the band center of a row is, where it is not a prediction.
    choose_columns
        Returns which columns of the table are shown, where the registry does not decide.
    has_scatter
        Returns whether the scatter is worth drawing, of its columns x and y.
    view
        Returns where the scatter looks at first, by column: what matters, without the far tails.
    best
        Returns the places of the best few rows.
    results
        Returns the results at the head of the page; None for none.
    cards
        Returns what the cards of measurements are made from.
    captions
        Returns captions of figures that have the name of a sample, by their stems.
    pictures
        Returns figures of the page that cards show again, by the name of the row: captions and links; None where
        cards have figures of their own.
    """

    rows: str
    row: str = "material"
    rank: str = "number"
    heading: str = ""
    headline: Callable[[Contents], str]
    summarize: Callable[[Contents], list[str]]
    caveat: str
    funnel: Callable[[Contents], list[Bar]] = lambda contents: []
    funnel_title: str = "What is left, step by step"
    axes: Sequence[Sequence[str]]
    sorted_by: tuple[str, ...]
    best_by: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    center: str = ""
    choose_columns: Callable[[pd.DataFrame], dict[str, bool]] = lambda table: {}
    has_scatter: Callable[[pd.DataFrame, str, str], bool] = lambda table, x, y: True
    view: Callable[[Contents], dict[str, list[float]]] = lambda contents: {}
    best: Callable[[Contents], list[int]] = _first_rows
    results: Callable[[Contents], Listing | None] = lambda contents: None
    cards: Callable[[Contents], Cards] = lambda contents: ({}, {})
    captions: Callable[[Contents], dict[str, str]] = lambda contents: {}
    pictures: Callable[[Contents], dict[str, list[tuple[str, str]]] | None] = lambda contents: None

    def head_table(self, n: int) -> str:
        """Return the heading of a table of n rows."""
        if n == 1 and self.row != "material":
            return f"The {self.row}"
        return self.heading or f"All {self.rows}"


def kind_of(name: str) -> Kind:
    """Return how results are shown, by the kind of :func:`phonolyte.report.contents.main_tables`."""
    return KINDS[name] if name in KINDS else _of_tier(name)


def summarize(contents: Contents) -> list[str]:
    """Return what came out, the best ones, how sure, and how many failed, in sentences."""
    kind = kind_of(contents.kind)
    lines = kind.summarize(contents)
    if n := len(contents.failures):
        failed = count(n, kind.row, kind.rows) if contents.is_measured else count(n, "material")
        lines.append(f"{failed} failed: {'its row' if n == 1 else 'each row'} under “What failed” says why.")
    return [line for line in lines if line]


def _of_tier(name: str) -> Kind:
    tier = find_tier(name)

    def best(contents: Contents) -> list[int]:
        return list(range(min(BEST, int(contents.table[tier.sort_by].notna().sum()))))

    computed = tier.sort_by == CENTER
    return Kind(
        headline=lambda contents: tier.headline(contents.table), caveat=sentences.OF_TIERS,
        summarize=lambda contents: tier.summarize(contents.table), funnel=list_stable if computed else list_computed,
        rows="crystals", axes=[(key,) for key in tier.axes], sorted_by=(tier.sort_by,), best=best,
        best_by="" if computed else tier.sort_by, center="band center, computed from phonons" if computed else "",
    )  # fmt: skip


def _view_candidates(contents: Contents) -> dict[str, list[float]]:
    limits, view = contents.limits, {"barrier_3d_ev": [0.0, 2.0], "p_conductor": [0.0, 1.0]}
    if "band_center_mev" in limits:
        view["band_center_mev"] = [0.0, max(2.5 * limits["band_center_mev"], 10.0)]
    if limits.get("e_hull_ev", 0.0) > 0:
        view["e_hull_ev"] = [-0.08 * limits["e_hull_ev"], 5 * limits["e_hull_ev"]]
    return view


def _best_candidates(contents: Contents) -> list[int]:
    """Those that a study followed to the end, then by rank."""
    places = [*arrived(contents.table).index, *range(int(contents.table["passes"].sum()))]
    return list(dict.fromkeys(map(int, places)))[:BEST]


def _none(contents: Contents) -> list[int]:
    return []


def _list_lines(contents: Contents) -> Listing | None:
    lines = contents.records["arrhenius"]
    return list_lines(lines) if lines else None


def _show_conductivities(table: pd.DataFrame) -> dict[str, bool]:
    sized = bool(table["sigma_electronic_high_s_cm"].notna().any())
    return {key: ("sigma" in key) == sized for key in ELECTRONIC}


def _has_temperatures(table: pd.DataFrame, x: str, y: str) -> bool:
    return bool(table.loc[have_values(table, y), x].round(3).nunique() >= FEWEST)


def _make_sample_cards(contents: Contents) -> Cards:
    cards = make_sample_cards(contents.table, contents.records["curves"])
    return ({"measured": [asdict(card) for card in cards]} if cards else {}), {}


def _show_sample_figures(contents: Contents) -> dict[str, list[tuple[str, str]]]:
    stems = name_sample_figures(contents.table)
    return {name: [("Currents against time and voltage", f"#{FIGURE}{stem}")] for name, stem in stems.items()}


def _caption_samples(contents: Contents) -> dict[str, str]:
    return {stem: f"{name}. {DECAYS}" for name, stem in name_sample_figures(contents.table).items()}


def _make_cell_cards(contents: Contents) -> Cards:
    return {"measured": [asdict(make_cell_card(row)) for row in contents.table.to_dict("records")]}, {}


def _show_cell_figure(contents: Contents) -> dict[str, list[tuple[str, str]]]:
    return {name: [("Spectra and current", f"#{FIGURE}transference")] for name in names_of(contents)}


KINDS = {
    "ranked": Kind(
        headline=sentences.headline_screen, summarize=sentences.summarize_screen,
        caveat=sentences.OF_PROBABILITIES, funnel=list_criteria,
        rows="compounds", rank="candidate", sorted_by=("rank",), view=_view_candidates, best=_best_candidates,
        axes=(("barrier_3d_ev", "band_center_mev"),
              ("p_conductor", "e_hull_ev", "band_gap_ev", "volume_per_atom_a3")),
    ),
    "best": Kind(
        headline=sentences.headline_virtual, summarize=sentences.summarize_virtual,
        caveat=sentences.OF_PROBABILITIES, funnel=list_virtual,
        funnel_title="How many there are",
        rows="virtual compounds", rank="rank", heading="The best, prototype by prototype", sorted_by=("rank",),
        axes=(("mean_Row",), ("band_center_mev",)),
    ),
    "known": Kind(
        headline=sentences.headline_training, summarize=sentences.summarize_training,
        caveat=sentences.OF_CENTERS,
        rows="compounds", heading="Known and predicted", sorted_by=("error_mev",), center="known band center",
        axes=(("band_center_mev",), ("predicted_mev",)), best=_none,
    ),
    "spectra": Kind(
        headline=measured_sentences.headline_spectra, summarize=measured_sentences.summarize_spectra,
        caveat=measured_sentences.OF_SPECTRA,
        rows="spectra", row="spectrum", sorted_by=("temperature_k",), labels={"material_id": "spectrum"},
        axes=(("inverse_temperature_1000",), ("sigma_s_cm", "resistance_ohm")), best=_none, results=_list_lines,
        cards=lambda contents: describe_spectra(names_of(contents), contents.records),
    ),
    "electronic": Kind(
        headline=measured_sentences.headline_samples, summarize=measured_sentences.summarize_samples,
        caveat=measured_sentences.OF_POLARIZATIONS,
        rows="measurements", row="measurement", sorted_by=("material_id",),
        axes=(("inverse_temperature_1000",), ("sigma_electronic_s_cm", "resistance_electronic_ohm")),
        labels={"material_id": "sample", "n": "voltages", "sigma_s_cm": "σ total"},
        hidden=("sample", "n", "upper_bound", "ohmic", "sigma_s_cm"), choose_columns=_show_conductivities,
        has_scatter=_has_temperatures, best=_none, cards=_make_sample_cards, captions=_caption_samples,
        results=lambda contents: cut(list_samples(contents.table), MOST_RESULTS) if len(contents.table) else None,
        pictures=_show_sample_figures,
    ),
    "transference": Kind(
        headline=measured_sentences.headline_cell, summarize=measured_sentences.summarize_cell,
        caveat=measured_sentences.OF_TRANSFERENCE,
        rows="cells", row="cell", sorted_by=("material_id",), axes=(("voltage_v",), ("t_plus",)),
        labels={"material_id": "cell", "voltage_v": "voltage"}, hidden=("upper_bound", "initial_by", "settled"),
        has_scatter=_has_temperatures, best=_none, cards=_make_cell_cards, pictures=_show_cell_figure,
        results=lambda contents: list_cell(contents.table),
    ),
}  # fmt: skip
"""Kinds besides tiers; how a tier is shown follows from its own record."""
