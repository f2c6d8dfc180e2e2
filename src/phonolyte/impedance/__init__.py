"""From a measured impedance spectrum to a conductivity and an activation energy; stands alone."""

import phonolyte.impedance.columns  # noqa: F401 (registers them)
from phonolyte import make_callable
from phonolyte.impedance.analysis import Analysis, analyze_spectrum
from phonolyte.impedance.arrhenius import ArrheniusFit, fit_arrhenius, fit_regimes
from phonolyte.impedance.batch import Reading, analyze, find_files
from phonolyte.impedance.conductivity import Intercept, Resistance, list_resistances, read_intercept
from phonolyte.impedance.drawing import Drawings, draw, plot_arrhenius, plot_spectrum
from phonolyte.impedance.drt import Distribution, Peak, compute_distribution
from phonolyte.impedance.drt_drawing import plot_distribution
from phonolyte.impedance.fitting import CORES, choose_circuit, fit_circuit
from phonolyte.impedance.geometry import Geometry
from phonolyte.impedance.overview import summarize_spectra
from phonolyte.impedance.problem import Fit
from phonolyte.impedance.readers import read_spectra, read_spectrum
from phonolyte.impedance.series import Series
from phonolyte.impedance.spectrum import Spectrum
from phonolyte.impedance.validation import KramersKronig, check_kramers_kronig

__all__ = [
    "CORES",
    "Analysis",
    "ArrheniusFit",
    "Distribution",
    "Drawings",
    "Fit",
    "Geometry",
    "Intercept",
    "KramersKronig",
    "Peak",
    "Reading",
    "Resistance",
    "Series",
    "Spectrum",
    "analyze",
    "analyze_spectrum",
    "check_kramers_kronig",
    "choose_circuit",
    "compute_distribution",
    "draw",
    "find_files",
    "fit_arrhenius",
    "fit_circuit",
    "fit_regimes",
    "list_resistances",
    "plot_arrhenius",
    "plot_distribution",
    "plot_spectrum",
    "read_intercept",
    "read_spectra",
    "read_spectrum",
    "summarize_spectra",
]

make_callable(__name__)
