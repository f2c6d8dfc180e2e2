"""Many files to electronic conductivities: each voltage by itself, then one line a sample and temperature."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING

from phonolyte.counts import count
from phonolyte.errors import CurveError, Failure
from phonolyte.impedance.geometry import Geometry
from phonolyte.impedance.notes import merge_alike
from phonolyte.impedance.pellets import Pellet
from phonolyte.impedance.tables import make_table
from phonolyte.polarization.curve import Curve
from phonolyte.polarization.decay import Decay, fit_decay
from phonolyte.polarization.ionic import Total, choose_total, find_ionic_share
from phonolyte.polarization.line import Conductance, fit_conductance
from phonolyte.polarization.readers import Hold, list_holds
from phonolyte.polarization.tables import CurveRow, ElectronicRow, make_curve_row, make_electronic_row
from phonolyte.units import ZERO_C_K

if TYPE_CHECKING:
    import pandas as pd

STAGE = "polarization"

ROUNDED_K = 0.5
"""Temperatures that are nearer than this are one."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How files of polarization are read.

    Attributes
    ----------
    voltages_v, temperatures_c
        By the name of the file, or one for all under ``""``; default: what files say.
    current_unit
        Where files do not say it.
    sample
        Sample that all files are of; default: what their names have in common beside voltages.
    floor_a
        Current that the instrument cannot distinguish from zero.
    pellets
        Sizes, temperatures and notes of single files or holds, as a table gives them.
    totals
        Conductivities by impedance.
    """

    voltages_v: tuple[tuple[str, float], ...] = ()
    temperatures_c: tuple[tuple[str, float], ...] = ()
    current_unit: str = ""
    sample: str = ""
    floor_a: float = 0.0
    pellets: tuple[Pellet, ...] = ()
    totals: tuple[Total, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Electronic conductance of one sample at one temperature.

    Attributes
    ----------
    name
        Name of the sample.
    temperature_k
        Temperature, None where it is not known.
    curves, decays
        Its curves, and the fit of each.
    conductance
        Slope of their steady currents.
    geometry
        Size of the pellet, None where it is not known.
    total
        Conductivity by impedance, None where there is none.
    notes
        What is to be known, in sentences.
    """

    name: str
    temperature_k: float | None
    curves: tuple[Curve, ...]
    decays: tuple[Decay, ...]
    conductance: Conductance
    geometry: Geometry | None = None
    total: Total | None = None
    notes: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Name with the temperature, where it is known."""
        return name_sample(self.name, self.temperature_k)

    @property
    def sigma_s_cm(self) -> tuple[float, float, float]:
        """Electronic conductivity and the ends of its interval, S/cm; NaN without the size of the pellet."""
        return self.conductance.conductivity_s_cm(self.geometry) if self.geometry else (nan, nan, nan)

    @property
    def ionic_share(self) -> tuple[float, float, float, str]:
        """Ionic transference number with the ends of its interval, and why it is not one; NaN where not known."""
        if self.total is None or self.geometry is None:
            return nan, nan, nan, ""
        return find_ionic_share(self.sigma_s_cm, self.total)


def name_sample(name: str, temperature_k: float | None) -> str:
    """Return the name of a sample with its temperature, where it is known."""
    return name if temperature_k is None else f"{name} {temperature_k - ZERO_C_K:.0f}C"


@dataclass(frozen=True, eq=False)
class Polarizations:
    """Electronic conductances of all samples of some files.

    Attributes
    ----------
    samples
        Those that could be measured.
    failures
        Files, curves and samples that could not be used.
    """

    samples: tuple[Sample, ...]
    failures: tuple[Failure, ...] = ()

    @property
    def is_sized(self) -> bool:
        """Whether the size of any pellet is known."""
        return any(sample.geometry is not None for sample in self.samples)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """Table of ``curves.parquet``: a row a voltage."""
        rows = (
            make_curve_row(sample.name, number, curve, decay)
            for number, sample in enumerate(self.samples, start=1)
            for curve, decay in zip(sample.curves, sample.decays, strict=True)
        )
        return make_table(rows, CurveRow)

    @cached_property
    def electronic(self) -> pd.DataFrame:
        """Table of ``electronic.parquet``: a row a sample and temperature."""
        return make_table(map(make_electronic_row, self.samples), ElectronicRow)

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What is to be known of the results, each thing once."""
        bare = [sample.label for sample in self.samples if sample.geometry is None]
        missing = ", ".join(bare[:3]) + (f" and {len(bare) - 3} more" if len(bare) > 3 else "")
        notes = [f"without the size of the pellet there is no conductivity of {missing}"] if bare else []
        of_curves = ((curve.label, note) for s in self.samples for curve in s.curves for note in curve.notes)
        results = ((sample.label, note) for sample in self.samples for note in sample.notes)
        return (*notes, *merge_alike(results), *merge_alike(of_curves))


def measure_polarizations(
    files: Sequence[str | Path], *, geometry: Geometry | None = None, reading: Reading | None = None,
    progress: Callable[[int], None] | None = None,
) -> Polarizations:  # fmt: skip
    """Measure the electronic conductances of many files; no file and no curve ends the batch.

    Parameters
    ----------
    files
        Files of instruments, with one voltage or many; those of one sample and temperature make one line.
    geometry
        Size of the pellets that have none of their own; without it there are resistances, and no conductivities.
    reading
        How files are read.
    progress
        Called with 1 after each file.
    """
    reading = reading or Reading()
    fitted: list[tuple[Curve, Decay]] = []
    failures: list[Failure] = []
    for path in map(Path, files):
        for result in _fit_file(path, reading, geometry):
            if isinstance(result, Failure):
                failures.append(result)
            else:
                fitted.append(result)
        if progress:
            progress(1)
    samples = []
    for name, kelvin, pairs in _group(fitted):
        try:
            samples.append(_measure_sample(name, kelvin, pairs, reading))
        except CurveError as error:
            failures.append(Failure.from_error(error, material_id=name, stage=STAGE, source=pairs[0][0].source))
    return Polarizations(tuple(samples), tuple(failures))


def _fit_file(path: Path, reading: Reading, geometry: Geometry | None) -> list[tuple[Curve, Decay] | Failure]:
    """Curves of a file with their decays, or failures of them."""
    try:
        pellets = {pellet.sweep: pellet for pellet in reading.pellets if pellet.names(path)}
        holds = list_holds(path, voltage_v=_given(reading.voltages_v, path), current_unit=reading.current_unit)
        if beyond := [number for number in pellets if number > len(holds)]:
            raise CurveError(
                f"{path.name} has {len(holds)} voltages, and not the one of {path.name}#{beyond[0]}",
                fix="Number them from 1 in --table.",
            )
    except Exception as error:  # a foreign reader can raise anything, and the batch goes on
        return [Failure.from_error(error, material_id=path.stem, stage=STAGE, source=str(path))]
    return [_fit_hold(hold, path, reading, pellets.get(hold.number, pellets.get(0)), geometry) for hold in holds]


def _fit_hold(
    hold: Hold, path: Path, reading: Reading, pellet: Pellet | None, geometry: Geometry | None
) -> tuple[Curve, Decay] | Failure:
    try:
        curve = hold.to_curve((pellet.geometry if pellet else None) or geometry)
        celsius = _given(reading.temperatures_c, path)
        celsius = pellet.temperature_c if celsius is None and pellet else celsius
        kelvin = curve.temperature_k if celsius is None else celsius + ZERO_C_K
        notes = (*curve.notes, pellet.note) if pellet and pellet.note else curve.notes
        curve = replace(curve, temperature_k=kelvin, sample=reading.sample or curve.sample, notes=notes)
        return curve, fit_decay(curve.time_s, curve.current_a)
    except Exception as error:  # as above
        return Failure.from_error(error, material_id=hold.label, stage=STAGE, source=str(path))


def _given(values: Sequence[tuple[str, float]], path: Path) -> float | None:
    """What was given for a file, or for all."""
    named = dict(values)
    return next((named[name] for name in (path.name, path.stem, "") if name in named), None)


def _group(fitted: Sequence[tuple[Curve, Decay]]) -> list[tuple[str, float | None, list[tuple[Curve, Decay]]]]:
    """Curves by sample, temperature and size of the pellet, in the order of the first of each."""
    groups: list[tuple[str, float | None, list[tuple[Curve, Decay]]]] = []
    for curve, decay in fitted:
        for name, kelvin, pairs in groups:
            other = pairs[0][0]
            near = abs((kelvin or 0.0) - (curve.temperature_k or 0.0)) < ROUNDED_K  # not known is like itself only
            if name == curve.sample and near and other.geometry == curve.geometry:
                pairs.append((curve, decay))
                break
        else:
            groups.append((curve.sample, curve.temperature_k, [(curve, decay)]))
    return groups


def _measure_sample(name: str, kelvin: float | None, pairs: Sequence[tuple[Curve, Decay]], reading: Reading) -> Sample:
    curves, decays = zip(*pairs, strict=True)
    conductance = fit_conductance([curve.voltage_v for curve in curves], decays, floor_a=reading.floor_a)
    total, notes_on_total = choose_total(reading.totals, name, kelvin)
    spikes = sum(decay.spikes for decay in decays)
    lost = [f"{count(spikes, 'spike')} of the current left out"] if spikes else []
    sample = Sample(name, kelvin, curves, decays, conductance, curves[0].geometry, total)
    fault = sample.ionic_share[3]
    wrong = [f"there is no ionic transference number: {fault}"] if fault else []
    return replace(sample, notes=(*lost, *conductance.notes, *notes_on_total, *wrong))
