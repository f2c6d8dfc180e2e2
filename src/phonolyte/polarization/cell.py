"""The three files of a transference number: spectrum before, polarization curve, spectrum after."""

from __future__ import annotations

from pathlib import Path

from phonolyte.errors import CurveError, SettingsError, SpectrumError
from phonolyte.impedance.analysis import Analysis, analyze_spectrum
from phonolyte.impedance.readers import list_sweeps
from phonolyte.polarization.curve import Curve
from phonolyte.polarization.readers import list_holds
from phonolyte.polarization.settings import TransferenceSettings
from phonolyte.polarization.transference import Transference, measure_transference


def measure_cell(
    before: str | Path, after: str | Path, curve: str | Path, settings: TransferenceSettings | None = None
) -> tuple[Transference, Analysis, Analysis]:
    """Measure a transference number from three files; also returns the analyses of both spectra.

    Parameters
    ----------
    before, after
        Files of the spectra; ``FILE#2`` is the second sweep of a file.
    curve
        File of the polarization; ``FILE#2`` is its second voltage.
    settings
        How it is measured.

    Raises
    ------
    SettingsError
        For files that are not there.
    SpectrumError
        For spectra that cannot be used.
    CurveError
        For a curve that cannot be used.
    """
    settings = settings or TransferenceSettings()
    old, new = (_analyze(each, settings) for each in (before, after))
    result = measure_transference(
        _read_curve(curve, settings), old, new, interfaces=settings.interface, initial=settings.initial
    )
    return result, old, new


def split_name(name: str | Path) -> tuple[Path, int]:
    """Return the file and the number of ``FILE#2``; 0 where it names none.

    Raises
    ------
    SettingsError
        For a file that is not there.
    """
    text, number = str(name), 0
    stem, mark, end = text.rpartition("#")
    if mark and end.isdigit() and not Path(text).is_file():
        text, number = stem, int(end)
    if not Path(text).is_file():
        raise SettingsError(f"{text} is not a file", fix="Check the path.")
    return Path(text), number


def _analyze(name: str | Path, settings: TransferenceSettings) -> Analysis:
    path, number = split_name(name)
    reading = settings.reading
    sweeps = list_sweeps(path, frequency_unit=reading.frequency_unit, impedance_unit=reading.impedance_unit)
    if not number and len(sweeps) > 1:
        raise SpectrumError(f"{path.name} holds {len(sweeps)} spectra", fix=f"Name one, as {path.name}#1.")
    if number > len(sweeps):
        raise SpectrumError(f"{path.name} holds {len(sweeps)} spectra, and not number {number}", fix="Number from 1.")
    return analyze_spectrum(sweeps[max(number, 1) - 1].to_spectrum(), reading.circuit)


def _read_curve(name: str | Path, settings: TransferenceSettings) -> Curve:
    path, number = split_name(name)
    holds = list_holds(path, voltage_v=settings.voltage_v, current_unit=settings.current_unit)
    if not number and len(holds) > 1:
        volts = ", ".join(f"{hold.voltage_v:g}" for hold in holds[:5])
        raise CurveError(f"{path.name} holds {len(holds)} voltages: {volts} V", fix=f"Name one, as {path.name}#1.")
    if number > len(holds):
        raise CurveError(f"{path.name} holds {len(holds)} voltages, and not number {number}", fix="Number from 1.")
    return holds[max(number, 1) - 1].to_curve()
