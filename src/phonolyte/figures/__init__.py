"""One function a figure: data in, matplotlib figure out, nothing computed; one style for all."""

from phonolyte.figures.phonons import draw_campaign, phonon_bands
from phonolyte.figures.scores import parity
from phonolyte.figures.style import save
from phonolyte.figures.virtual import center_histograms, draw_virtual, row_trend

__all__ = ["center_histograms", "draw_campaign", "draw_virtual", "parity", "phonon_bands", "row_trend", "save"]
