"""One function a figure: data in, matplotlib figure out, nothing computed beyond bins and scores; one style for all.

The ``draw_`` functions write those of a run folder; :data:`CAPTIONS` says what each file shows.
"""

from phonolyte.figures.captions import CAPTIONS, caption_of
from phonolyte.figures.compounds import (
    center_against_volume,
    center_histogram,
    family_centers,
    hull_against_center,
    kinds,
)
from phonolyte.figures.migration import (
    center_against_barrier,
    center_against_energy,
    diffusion_arrhenius,
    draw_migration,
    neb_profile,
    site_energy_map,
)
from phonolyte.figures.periodic_table import element_counts, periodic_table
from phonolyte.figures.phonons import draw_campaign, phonon_bands, phonon_dos
from phonolyte.figures.scores import importance_bars, interval_parity, parity, score_bars
from phonolyte.figures.screen import draw_followed, draw_screen, funnel
from phonolyte.figures.style import save
from phonolyte.figures.training import cross_validated_parity, draw_training
from phonolyte.figures.virtual import center_histograms, draw_virtual, row_trend, substitution_table

__all__ = [
    "CAPTIONS",
    "caption_of",
    "center_against_barrier",
    "center_against_energy",
    "center_against_volume",
    "center_histogram",
    "center_histograms",
    "cross_validated_parity",
    "diffusion_arrhenius",
    "draw_campaign",
    "draw_followed",
    "draw_migration",
    "draw_screen",
    "draw_training",
    "draw_virtual",
    "element_counts",
    "family_centers",
    "funnel",
    "hull_against_center",
    "importance_bars",
    "interval_parity",
    "kinds",
    "neb_profile",
    "parity",
    "periodic_table",
    "phonon_bands",
    "phonon_dos",
    "row_trend",
    "save",
    "score_bars",
    "site_energy_map",
    "substitution_table",
]
