"""One function a figure: data in, matplotlib figure out, nothing computed beyond bins and scores; one style for all.

The ``_figures`` functions return those of a run by the stem of their file; :data:`CAPTIONS` says what each shows.
"""

from phonolyte.figures.captions import CAPTIONS, caption_of
from phonolyte.figures.compounds import (
    center_against_volume,
    center_histogram,
    conductivity_against_barrier,
    family_centers,
    hull_against_center,
    kinds,
)
from phonolyte.figures.migration import (
    center_against_barrier,
    center_against_energy,
    diffusion_arrhenius,
    neb_profile,
    site_energy_map,
)
from phonolyte.figures.periodic_table import element_counts, periodic_table
from phonolyte.figures.phonons import phonon_bands, phonon_dos
from phonolyte.figures.scores import importance_bars, interval_parity, parity, score_bars
from phonolyte.figures.screen import followed_figures, funnel, screen_figures
from phonolyte.figures.style import save, save_all
from phonolyte.figures.training import cross_validated_parity, data_figures, score_figures
from phonolyte.figures.virtual import center_histograms, row_trend, substitution_table, virtual_figures

__all__ = [
    "CAPTIONS",
    "caption_of",
    "center_against_barrier",
    "center_against_energy",
    "center_against_volume",
    "center_histogram",
    "center_histograms",
    "conductivity_against_barrier",
    "cross_validated_parity",
    "data_figures",
    "diffusion_arrhenius",
    "element_counts",
    "family_centers",
    "followed_figures",
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
    "save_all",
    "score_bars",
    "score_figures",
    "screen_figures",
    "site_energy_map",
    "substitution_table",
    "virtual_figures",
]
