"""Many files to a series: each is read and analyzed by itself; what cannot be is a failure, and the batch goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from glob import glob
from pathlib import Path

from phonolyte.errors import Failure, SettingsError
from phonolyte.impedance.analysis import Analysis, analyze_spectrum
from phonolyte.impedance.conductivity import Geometry
from phonolyte.impedance.problem import Weighting
from phonolyte.impedance.readers import read_spectrum
from phonolyte.impedance.series import STAGE, Series
from phonolyte.impedance.spectrum import Spectrum
from phonolyte.units import ZERO_C_K


@dataclass(frozen=True, slots=True)
class Reading:
    """How files are read.

    Attributes
    ----------
    temperatures_c
        By the name of the spectrum, or one for all under ``""``; default: what files say.
    frequency_unit, impedance_unit
        Where files do not say them.
    circuit
        The one to fit; default: the simplest adequate one.
    weighting
        Residuals as shares of the modulus, or in ohm (``"unit"``).
    fixed, start
        Values of parameters of the circuit that are not fitted, and those to start from, by name.
    """

    temperatures_c: tuple[tuple[str, float], ...] = ()
    frequency_unit: str = ""
    impedance_unit: str = ""
    circuit: str = ""
    weighting: Weighting = "modulus"
    fixed: tuple[tuple[str, float], ...] = ()
    start: tuple[tuple[str, float], ...] = ()


def analyze(
    files: Sequence[str | Path],
    *,
    geometry: Geometry | None = None,
    reading: Reading | None = None,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> Series:
    """Analyze many files; no file ends the batch.

    Parameters
    ----------
    files
        One spectrum in each.
    geometry
        Size of the pellet; without it there are resistances, and no conductivities.
    reading
        How files are read.
    executor
        Where spectra are analyzed; default: one after another in this process.
    progress
        Called with 1 after each file.
    """
    analyses: list[Analysis] = []
    failures: list[Failure] = []
    work = partial(_analyze_file, reading=reading or Reading())
    paths = [Path(file) for file in files]
    for result in _map(work, paths, executor):
        if isinstance(result, Failure):
            failures.append(result)
        else:
            analyses.append(result)
        if progress:
            progress(1)
    return Series.from_analyses(analyses, geometry, failures)


def find_files(inputs: Sequence[str]) -> list[Path]:
    """Files from paths, folders and globs, in the order of their names in each.

    Raises
    ------
    SettingsError
        When one of them names nothing.
    """
    files: dict[Path, None] = {}
    for text in inputs:
        path = Path(text)
        if path.is_dir():
            matches = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
        elif path.is_file():
            matches = [path]
        else:
            matches = [Path(name) for name in sorted(glob(text)) if Path(name).is_file()]
        if not matches:
            raise SettingsError(f"{text} names no file", fix="Check the path.")
        files |= dict.fromkeys(matches)
    return list(files)


def _map(
    work: Callable[[Path], Analysis | Failure], paths: Sequence[Path], executor: Executor | None
) -> Iterable[Analysis | Failure]:
    return executor.map(work, paths) if executor else map(work, paths)


def _analyze_file(file: Path, reading: Reading) -> Analysis | Failure:
    try:
        spectrum = read_spectrum(file, frequency_unit=reading.frequency_unit, impedance_unit=reading.impedance_unit)
        return analyze_spectrum(
            _set_temperature(spectrum, file, reading),
            reading.circuit,
            weighting=reading.weighting,
            fixed=dict(reading.fixed),
            start=dict(reading.start),
        )
    except Exception as error:  # a foreign library can raise anything, and the batch goes on
        return Failure.of(error, material_id=file.stem, stage=STAGE, source=str(file))


def _set_temperature(spectrum: Spectrum, file: Path, reading: Reading) -> Spectrum:
    """The spectrum at the temperature that was given for it, if one was."""
    given = dict(reading.temperatures_c)
    celsius = given.get(spectrum.name, given.get(file.name, given.get("")))
    if celsius is None:
        return spectrum
    notes = tuple(note for note in spectrum.notes if "temperature" not in note)
    return replace(spectrum, temperature_k=celsius + ZERO_C_K, notes=notes)
