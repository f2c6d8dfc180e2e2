"""From currents against time to electronic conductivities and transference numbers, beside impedance."""

import phonolyte.polarization.columns  # noqa: F401 (registers them)
from phonolyte import make_callable
from phonolyte.polarization.batch import Polarizations, Reading, Sample, measure_polarizations
from phonolyte.polarization.cell import measure_cell
from phonolyte.polarization.curve import Curve
from phonolyte.polarization.decay import Decay, fit_decay
from phonolyte.polarization.drawing import plot_polarization, plot_transference
from phonolyte.polarization.interfaces import CellResistances, find_resistances
from phonolyte.polarization.ionic import Total, find_ionic_share, read_totals
from phonolyte.polarization.line import Conductance, fit_conductance
from phonolyte.polarization.readers import read_curves
from phonolyte.polarization.settings import PolarizationSettings, TransferenceSettings
from phonolyte.polarization.transference import Transference, bruce_vincent, measure_transference, watanabe

__all__ = [
    "CellResistances",
    "Conductance",
    "Curve",
    "Decay",
    "PolarizationSettings",
    "Polarizations",
    "Reading",
    "Sample",
    "Total",
    "Transference",
    "TransferenceSettings",
    "bruce_vincent",
    "find_ionic_share",
    "find_resistances",
    "fit_conductance",
    "fit_decay",
    "measure_cell",
    "measure_polarizations",
    "measure_transference",
    "plot_polarization",
    "plot_transference",
    "read_curves",
    "read_totals",
    "watanabe",
]

make_callable(__name__)
