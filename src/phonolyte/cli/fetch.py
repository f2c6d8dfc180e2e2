"""``phonolyte fetch`` and ``phonolyte cache``: crystals and phonons from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from phonolyte.chemistry.ions import check_ion
from phonolyte.cli.terminal import console, escape, finish, say
from phonolyte.counts import are, count
from phonolyte.errors import SettingsError

if TYPE_CHECKING:
    from phonolyte.sources import Source

fetch = typer.Typer(
    add_completion=False,
    name="fetch",
    no_args_is_help=True,
    help="Get crystals and phonons from databases, published sets or a folder.",
)
cache = typer.Typer(
    add_completion=False,
    name="cache",
    no_args_is_help=True,
    help="Files that were downloaded: where they are, and removing them.",
)

Output = Annotated[Path, typer.Option("--output", "-o", help="Run folder for the tables.")]
Offline = Annotated[bool, typer.Option("--offline", help="Open no connection: use what is there.")]
Anew = Annotated[bool, typer.Option("--anew", help="Ask again, though the folder has the answer.")]


@fetch.command()
def mp(
    ion: Annotated[str, typer.Option(help="Element that the materials contain, or any.")] = "Li",
    what: Annotated[
        Literal["structures", "phonons", "entries"],
        typer.Option(
            help="All structures, those with phonons and their densities of states, or the energies of all phases of "
            "chemical systems, for hulls."
        ),
    ] = "structures",
    chemical_systems: Annotated[
        str, typer.Option(help="Of entries: Li-P-S-Cl,Li-La-Zr-O, each with all its subsystems.")
    ] = "",
    systems_of: Annotated[
        str, typer.Option(help="Of entries: crystals, or a table of formulas, whose systems with the ion are fetched.")
    ] = "",
    thermo_type: Annotated[
        Literal["GGA_GGA+U", "R2SCAN", "GGA_GGA+U_R2SCAN"],
        typer.Option(help="Of entries: type of the energies. The last one, mixed, is for one chemical system."),
    ] = "GGA_GGA+U",
    gnome: Annotated[
        bool, typer.Option("--gnome", help="Materials of GNoME, too (CC BY-NC 4.0: not for commercial use).")
    ] = False,
    output: Output = Path("fetched"),
    offline: Offline = False,
    anew: Anew = False,
) -> None:
    """From the Materials Project; the key is MP_API_KEY or pymatgen's setting."""
    from phonolyte.sources import MaterialsProject, MaterialsProjectPhases

    if ion != "any":
        check_ion(ion)
    source: Source
    if what == "entries":
        systems = (*filter(None, chemical_systems.split(",")), *_systems_of(systems_of, ion))
        source = MaterialsProjectPhases(systems=systems, thermo_type=thermo_type, gnome=gnome)
    elif chemical_systems or systems_of:
        raise SettingsError(
            f"chemical systems do not apply to {what}",
            why=f"--what {what} takes all materials with the ion",
            fix="Add --what entries.",
        )
    else:
        source = MaterialsProject(ion=ion, what=what, gnome=gnome)
    fetch_source(source, output, offline=offline, anew=anew)


def _systems_of(source: str, ion: str) -> tuple[str, ...]:
    """Chemical systems of the materials of an input, with a note on those that cannot be used."""
    from phonolyte.sources.systems import systems_of

    if not source:
        return ()
    systems, failures = systems_of(source, ion=ion)
    if failures:
        left = count(len(failures), "material")
        say(f"{left} of {source} {are(len(failures))} left out. {failures[0].material_id}: {failures[0].message}")
    return systems


@fetch.command()
def optimade(
    provider: Annotated[str, typer.Option(help="mp, alexandria, oqmd, cod, jarvis, odbx, gnome, or any other.")] = "",
    base_url: Annotated[str, typer.Option(help="Address of a server, less the version; for one of your own.")] = "",
    ion: Annotated[str, typer.Option(help="Element that the materials contain.")] = "",
    filter_: Annotated[str, typer.Option("--filter", help="In OPTIMADE's language: 'nelements<=3'.")] = "",
    page_size: Annotated[int | None, typer.Option(help="Materials in one request. Default: the server's.")] = None,
    output: Output = Path("fetched"),
    offline: Offline = False,
    anew: Anew = False,
) -> None:
    """From any database that speaks OPTIMADE; no key is needed."""
    from phonolyte.sources import Optimade

    if not provider and not base_url:
        raise SettingsError("no database was named", fix="Give --provider or --base-url.")
    if ion:
        check_ion(ion)
    clauses = [f'elements HAS "{ion}"' if ion else "", filter_]
    joined = " AND ".join(f"({clause})" if clause and all(clauses) else clause for clause in clauses if clause)
    source = Optimade(provider or base_url, joined, base_url=base_url, page_size=page_size)
    fetch_source(source, output, offline=offline, anew=anew)


@fetch.command()
def folder(
    path: Annotated[Path, typer.Argument(help="Folder with crystals and phonon densities of states.")],
    unit: Annotated[str | None, typer.Option(help="Of frequencies in plain text: THz, cm-1 or meV.")] = None,
    output: Output = Path("fetched"),
    offline: Offline = False,
) -> None:
    """From your own files: crystals and densities of states, paired by name or by sub-folder."""
    from phonolyte.sources import Folder

    fetch_source(Folder(path, unit), output, offline=offline, anew=True)


@fetch.command()
def ncrystal(output: Output = Path("fetched"), offline: Offline = False) -> None:
    """From the library of NCrystal: phonons of each element in about 100 compounds, without a network."""
    from phonolyte.sources import NCrystal

    fetch_source(NCrystal(), output, offline=offline, anew=True)


@fetch.command()
def centers(output: Output = Path("fetched"), offline: Offline = False) -> None:
    """Computed band centers of stable insulating lithium compounds, which come with Phonolyte; no network."""
    from phonolyte.sources import Centers

    fetch_source(Centers(), output, offline=offline, anew=True)


def _published(name: str, title: str) -> Callable[..., None]:
    """The command that fetches a set of the registry."""

    def command(output: Output = Path("fetched"), offline: Offline = False, anew: Anew = False) -> None:
        from phonolyte.sources import Published

        fetch_source(Published(name, offline), output, offline=offline, anew=anew)

    command.__doc__ = f"{title}."
    return command


for _name, _title in (
    ("petretto2018", "Calculated phonons of 1,521 compounds"),
    ("obelix", "Measured conductivities of 599 lithium electrolytes, with structures"),
):
    fetch.command(_name)(_published(_name, _title))


@fetch.command("list")
def list_sources() -> None:
    """What there is to fetch, with licenses."""
    from phonolyte.summary import sources_tables

    for table in sources_tables():
        console().print(table)


@cache.command("list")
def list_files() -> None:
    """Files in the cache."""
    from phonolyte.sources.cache import cache_folder, cached_files
    from phonolyte.summary import cache_table

    files = cached_files()
    if files:
        console().print(cache_table(files))
    console().print(f"{count(len(files), 'file')} in {cache_folder()}")


@cache.command()
def clear(dataset: Annotated[str, typer.Argument(help="Only what belongs to this set.")] = "") -> None:
    """Remove downloaded files."""
    from phonolyte.sources.cache import cache_folder, clear_cache

    console().print(f"{clear_cache(dataset) / 1e6:.1f} MB removed from {cache_folder()}")


@cache.command()
def path() -> None:
    """Where the cache is; PHONOLYTE_CACHE moves it."""
    from phonolyte.sources.cache import cache_folder

    typer.echo(cache_folder())


def fetch_source(source: Source, output: Path, *, offline: bool = False, anew: bool = False) -> None:
    """Fetch, show what came, and end with the exit code that fits."""
    from phonolyte.sources import fetch as run_fetch
    from phonolyte.structures import Crystal

    with console(stderr=True).status("Loading compiled code (the first run after installation compiles)"):
        Crystal.from_arrays("Li", [3.51, 0, 0, 0, 3.51, 0, 0, 0, 3.51], ["Li"] * 2, [0, 0, 0, 0.5, 0.5, 0.5])
    with _counted(f"Fetching {source.name}") as progress:
        result = run_fetch(source, output, offline=offline, anew=anew, progress=progress)
    title = f"{source.name} {result.version}".strip()
    if result.tables is None:
        console().print(f"{escape(output)} has it already: {title}, fetched {result.fetched}. --anew fetches again.")
        return
    tables = result.tables
    console().print(f"{title}, {result.fetched}; license: {source.license}", highlight=False)
    console().print(f"[bold]{tables.n_crystals:,}[/] crystals -> {escape(output)}/crystals.parquet", highlight=False)
    if source.phonons:
        console().print(
            f"[bold]{tables.n_densities:,}[/] densities of states -> {escape(output)}/dos.parquet", highlight=False
        )
    console().print(
        f"Properties -> {escape(output)}/properties.parquet and .csv: {_known(tables.known)}", highlight=False
    )
    nothing = not (tables.n_crystals or tables.known.get("energy_ev_atom"))
    finish(tables.failures, nothing=nothing, folder=output, notes=result.notes)


def _known(known: dict[str, int]) -> str:
    shown = ("energy_ev_atom", "e_hull_ev", "band_gap_ev", "icsd_ids", "band_center_mev", "sigma_s_cm")
    return ", ".join(f"{name} of {known[name]:,}" for name in shown if known.get(name)) or "formulas only"


@contextmanager
def _counted(label: str) -> Iterator[Callable[[int, int | None], None]]:
    """A progress bar whose length is known once the first answer is there."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=None)
        yield lambda n, total: progress.update(task, advance=n, total=total)
