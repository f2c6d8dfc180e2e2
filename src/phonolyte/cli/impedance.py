"""``phonolyte impedance``: measured spectra to conductivities and activation energies."""

from __future__ import annotations

from contextlib import nullcontext
from math import inf, nan
from pathlib import Path
from typing import Annotated, Literal

import typer

from phonolyte.cli.terminal import Jobs, bar, console, finish, processes
from phonolyte.errors import SettingsError, SpectrumError

SHOWN = 5
"""Files that an error names."""

FEW = 8
"""Spectra that are done sooner than further processes start."""


def impedance(
    files: Annotated[list[str] | None, typer.Argument(help="Files of instruments, folders or globs.")] = None,
    thickness_mm: Annotated[float | None, typer.Option(help="Of the pellet, mm.")] = None,
    diameter_mm: Annotated[float | None, typer.Option(help="Of the electrodes, mm.")] = None,
    area_cm2: Annotated[float | None, typer.Option(help="Of the electrodes, cm2, instead of the diameter.")] = None,
    thickness_std_mm: Annotated[float, typer.Option(help="Standard deviation of the thickness, mm.")] = 0.0,
    diameter_std_mm: Annotated[float, typer.Option(help="Standard deviation of the diameter, mm.")] = 0.0,
    temperature_c: Annotated[
        list[str] | None,
        typer.Option(help="Temperature, C, of all files, or NAME=VALUE of one. Default: what files and names say."),
    ] = None,
    circuit: Annotated[
        str, typer.Option(help="Circuit to fit, as R0-p(R1,CPE1)-CPE2. Default: the simplest adequate one.")
    ] = "",
    weighting: Annotated[
        Literal["modulus", "unit"], typer.Option(help="Residuals as shares of the modulus, or in ohm.")
    ] = "modulus",
    frequency_unit: Annotated[str, typer.Option(help="Hz, kHz or MHz, where files do not say it.")] = "",
    impedance_unit: Annotated[str, typer.Option(help="ohm, kohm or Mohm, where files do not say it.")] = "",
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path("out"),
    jobs: Jobs = None,
) -> None:
    """Turn measured spectra into conductivities and activation energies: tables, figures, one HTML page."""
    from phonolyte.impedance import Geometry, Reading, analyze, draw, find_files, write_page
    from phonolyte.runs.records import open_run, write_failures, write_parquet, write_run
    from phonolyte.summary import arrhenius_table, conductivity_table

    if thickness_mm is None and (diameter_mm is not None or area_cm2 is not None):
        raise SettingsError("the thickness of the pellet is missing", fix="Give --thickness-mm.")
    geometry = None
    if thickness_mm is not None:
        geometry = Geometry.from_mm(
            thickness_mm, diameter_mm=diameter_mm, area_cm2=area_cm2, thickness_std_mm=thickness_std_mm,
            diameter_std_mm=diameter_std_mm,
        )  # fmt: skip
    reading = Reading(_temperatures(temperature_c or []), frequency_unit, impedance_unit, circuit, weighting)
    if not files:
        raise SettingsError("no spectrum was given", fix="Name files of instruments, or a folder of them.")
    paths = find_files(files)
    _refuse_circuit(circuit)
    _refuse_unknown(reading.temperatures_c, paths)
    folder = open_run(output, "impedance")
    with processes(jobs) if len(paths) > FEW else nullcontext() as executor:
        with bar("Spectra", len(paths)) as progress:
            series = analyze(paths, geometry=geometry, reading=reading, executor=executor, progress=progress)
        for name, table in (
            ("spectra", series.spectra), ("parameters", series.parameters), ("arrhenius", series.arrhenius)
        ):  # fmt: skip
            write_parquet(table, folder / f"{name}.parquet")
            table.to_csv(folder / f"{name}.csv", index=False)
        series.points.to_csv(folder / "points.csv", index=False)
        write_failures(folder, series.failures)
        record = {
            "command": "impedance", "thickness_mm": thickness_mm, "diameter_mm": diameter_mm, "area_cm2": area_cm2,
            "thickness_std_mm": thickness_std_mm, "diameter_std_mm": diameter_std_mm, "circuit": circuit,
            "weighting": weighting, "temperature_c": temperature_c, "frequency_unit": frequency_unit or None,
            "impedance_unit": impedance_unit or None,
        }  # fmt: skip
        write_run(folder, record, paths)
        with bar("Figures", len(series.analyses)) as progress:
            drawings = draw(series, folder / "figures", executor=executor, progress=progress)
    failures = [*series.failures, *drawings.failures]
    if drawings.failures:
        write_failures(folder, failures)
    write_page(series, drawings, folder / "impedance.html")
    if series.analyses:
        console().print(conductivity_table(series.spectra, known=geometry is not None))
    if len(series.arrhenius):
        console().print(arrhenius_table(series.arrhenius))
    console().print(f"{len(series.analyses)} of {len(paths)} spectra -> {folder}/impedance.html")
    finish(failures, nothing=not series.analyses, notes=[*series.notes, *series.remarks], what="spectra")


def _temperatures(given: list[str]) -> tuple[tuple[str, float], ...]:
    found = []
    for pair in given:
        name, _, value = pair.rpartition("=")
        try:
            celsius = float(value)
        except ValueError:
            celsius = nan
        if not -273.15 < celsius < inf:
            raise SettingsError(f"{pair!r} is not a temperature", fix="Write 25, or NAME=25, in Celsius.")
        found.append((name, celsius))
    return tuple(found)


def _refuse_unknown(temperatures_c: tuple[tuple[str, float], ...], paths: list[Path]) -> None:
    """A temperature that is given for no file is a name that was mistyped."""
    names = {name for path in paths for name in (path.stem, path.name)}
    for name, celsius in temperatures_c:
        if name and name not in names:
            there = ", ".join(path.name for path in paths[:SHOWN]) + (", ..." if len(paths) > SHOWN else "")
            raise SettingsError(f"--temperature-c {name}={celsius:g} names no file", fix=f"There are {there}.")


def _refuse_circuit(circuit: str) -> None:
    """What is not a circuit fails once, and not once for every spectrum."""
    from phonolyte.impedance.circuits import parse_circuit

    if not circuit:
        return
    try:
        parse_circuit(circuit)
    except SpectrumError as error:
        raise SettingsError(f"--circuit: {error.what}", why=error.why, fix=error.fix) from None
