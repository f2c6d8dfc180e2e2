"""Many files to a series: each is read and analyzed by itself; what cannot be is a failure, and the batch goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import partial
from glob import glob
from pathlib import Path

from phonolyte.errors import Failure, SettingsError, SpectrumError
from phonolyte.impedance.analysis import Analysis, analyze_spectrum
from phonolyte.impedance.corrections import Corrections
from phonolyte.impedance.geometry import Geometry
from phonolyte.impedance.pellets import Pellet
from phonolyte.impedance.problem import Weighting
from phonolyte.impedance.readers import Sweep, list_sweeps
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
    pellets
        Sizes, temperatures and notes of single files or sweeps, as a table gives them.
    corrections
        What is left out of every spectrum, and subtracted from it.
    """

    temperatures_c: tuple[tuple[str, float], ...] = ()
    frequency_unit: str = ""
    impedance_unit: str = ""
    circuit: str = ""
    weighting: Weighting = "modulus"
    fixed: tuple[tuple[str, float], ...] = ()
    start: tuple[tuple[str, float], ...] = ()
    pellets: tuple[Pellet, ...] = ()
    corrections: Corrections = field(default_factory=Corrections)

    def pellets_of(self, file: Path) -> dict[int, Pellet]:
        """Rows of the table that are of a file, by the number of the sweep; 0 for all sweeps."""
        return {pellet.sweep: pellet for pellet in self.pellets if pellet.names(file)}


def analyze(
    files: Sequence[str | Path],
    *,
    geometry: Geometry | None = None,
    reading: Reading | None = None,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> Series:
    """Analyze all spectra of many files; no file and no spectrum ends the batch.

    Parameters
    ----------
    files
        Files of instruments, with one spectrum or many.
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
    work = partial(_analyze_file, reading=reading or Reading(), geometry=geometry)
    paths = [Path(file) for file in files]
    for results in _map(work, paths, executor):
        for result in results:
            if isinstance(result, Failure):
                failures.append(result)
            else:
                analyses.append(result)
        if progress:
            progress(1)
    return Series.from_analyses(analyses, geometry, failures)


def find_files(inputs: Sequence[str | Path] | str | Path) -> list[Path]:
    """Files from paths, folders and globs, or one of these, in the order of their names in each.

    Raises
    ------
    SettingsError
        When one of them names nothing.
    """
    files: dict[Path, None] = {}
    for text in [str(inputs)] if isinstance(inputs, (str, Path)) else map(str, inputs):
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
    work: Callable[[Path], list[Analysis | Failure]], paths: Sequence[Path], executor: Executor | None
) -> Iterable[list[Analysis | Failure]]:
    return executor.map(work, paths) if executor else map(work, paths)


def _analyze_file(file: Path, reading: Reading, geometry: Geometry | None) -> list[Analysis | Failure]:
    """Analyses of all sweeps of a file, or failures of them; one failure for a file that cannot be read."""
    try:
        pellets = reading.pellets_of(file)
        for_all = pellets.get(0)
        pellets = {number: pellet.filled(for_all) for number, pellet in pellets.items()}
        sizes = {number: pellet.geometry or geometry for number, pellet in pellets.items()}
        sweeps = _list_sweeps(file, reading, sizes.get(0, geometry))
        _check_sweeps(file, len(sweeps), reading, pellets)
        for number in filter(None, pellets):  # what is per area is so by the size of its own pellet
            sweeps[number - 1] = _list_sweeps(file, reading, sizes[number])[number - 1]
    except Exception as error:  # a foreign library can raise anything, and the batch goes on
        return [Failure.from_error(error, material_id=file.stem, stage=STAGE, source=str(file))]
    return [_analyze_sweep(sweep, file, reading, pellets.get(sweep.number, for_all)) for sweep in sweeps]


def _list_sweeps(file: Path, reading: Reading, geometry: Geometry | None) -> list[Sweep]:
    units = (reading.frequency_unit, reading.impedance_unit)
    return list_sweeps(file, frequency_unit=units[0], impedance_unit=units[1], geometry=geometry)


def _check_sweeps(file: Path, n: int, reading: Reading, pellets: dict[int, Pellet]) -> None:
    """Refuse a temperature or a row of a sweep that the file does not have."""
    named = {number for number in pellets if number}
    for name, _ in reading.temperatures_c:
        stem, mark, number = name.rpartition("#")
        if mark and number.isdigit() and stem in (file.stem, file.name):
            named.add(int(number))
    beyond = sorted(number for number in named if not 1 <= number <= n)
    if beyond:
        raise SpectrumError(
            f"{file.name} has {n} sweeps, and not the sweep {beyond[0]} that is named", fix="Number sweeps from 1."
        )


def _analyze_sweep(sweep: Sweep, file: Path, reading: Reading, pellet: Pellet | None) -> Analysis | Failure:
    try:
        measured = reading.corrections.apply(sweep.to_spectrum())
        spectrum = _set_temperature(_set_pellet(measured, pellet), file, reading, pellet)
        return analyze_spectrum(
            spectrum, reading.circuit, weighting=reading.weighting, fixed=dict(reading.fixed),
            start=dict(reading.start),
        )  # fmt: skip
    except Exception as error:  # as above
        return Failure.from_error(error, material_id=sweep.label, stage=STAGE, source=str(file))


def _set_pellet(spectrum: Spectrum, pellet: Pellet | None) -> Spectrum:
    """The spectrum with the size, the pressure and the note of its row of the table."""
    if pellet is None:
        return spectrum
    notes = (*spectrum.notes, pellet.note) if pellet.note else spectrum.notes
    spectrum = replace(spectrum, geometry=pellet.geometry, notes=notes)
    if pellet.pressure_mpa is None:
        return spectrum
    notes = tuple(note for note in notes if not note.startswith("the pressure"))
    return replace(spectrum, pressure_mpa=pellet.pressure_mpa, notes=notes)


def _set_temperature(spectrum: Spectrum, file: Path, reading: Reading, pellet: Pellet | None) -> Spectrum:
    """The spectrum at the temperature that was given for it, if one was."""
    by_name = dict(reading.temperatures_c)
    names = (spectrum.label, f"{file.name}#{spectrum.sweep}", f"{file.stem}#{spectrum.sweep}", file.stem, file.name)
    celsius = next((by_name[name] for name in names if name in by_name), None)
    if celsius is None and pellet is not None:
        celsius = pellet.temperature_c
    if celsius is None:
        celsius = by_name.get("")
    if celsius is None:
        return spectrum
    notes = tuple(note for note in spectrum.notes if "temperature" not in note)
    return replace(spectrum, temperature_k=celsius + ZERO_C_K, notes=notes)
