"""One function a figure: data in, matplotlib figure out, nothing computed; one style for all."""

from phonolyte.figures.phonons import draw_campaign, phonon_bands
from phonolyte.figures.scores import parity
from phonolyte.figures.style import save

__all__ = ["draw_campaign", "parity", "phonon_bands", "save"]
