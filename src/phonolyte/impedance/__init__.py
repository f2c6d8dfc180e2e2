"""From a measured impedance spectrum to a conductivity and an activation energy; stands alone."""

from phonolyte.impedance.arrhenius import ArrheniusFit, arrhenius, regimes
from phonolyte.impedance.conductivity import Geometry, Resistance, intercept, resistances
from phonolyte.impedance.fitting import CORES, Fit, best_fit, fit
from phonolyte.impedance.readers import read_spectrum
from phonolyte.impedance.run import Analysis, Reading, analyse, analyse_files, tables
from phonolyte.impedance.spectrum import Spectrum
from phonolyte.impedance.validation import KramersKronig, kramers_kronig

__all__ = [
    "CORES",
    "Analysis",
    "ArrheniusFit",
    "Fit",
    "Geometry",
    "KramersKronig",
    "Reading",
    "Resistance",
    "Spectrum",
    "analyse",
    "analyse_files",
    "arrhenius",
    "best_fit",
    "fit",
    "intercept",
    "kramers_kronig",
    "read_spectrum",
    "regimes",
    "resistances",
    "tables",
]
