"""What is installed here, seen without importing it: libraries, engines, extras, caches, machine and key."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from pathlib import Path
from shutil import which

from phonolyte import __version__
from phonolyte.errors import first_line
from phonolyte.forces.registry import CPU_TORCH, ENGINES, EngineEntry
from phonolyte.kernels import compiled_sources, cores, is_compiled, user_cache

PACKAGE = Path(__file__).parent

SHOWN = ("numpy", "pandas", "pyarrow", "numba", "scikit-learn", "pymatgen", "ase", "spglib", "gemmi", "matplotlib")
"""Libraries whose versions matter most in a question to the developers."""

EXTRAS = {
    "phonons": "phonons by finite displacements, elastic moduli",
    "migration": "barriers, and diffusivities with intervals",
    "impedance": "every element of impedance.py",
    "sheets": "spectra in .xlsx and .ods",
    "dask": "work on many machines",
    "mp": "data of the Materials Project",
    "optimade": "data of every other database",
    "ncrystal": "phonons of 100 compounds, without a network",
}
"""Extras that are not those of an engine, and what each brings."""

IMPORT_S = 300
"""Time limit in seconds for the import of an engine."""

KEY_SETTING = "PMG_MAPI_KEY"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes
    ----------
    name
        What it is about.
    state
        What is so, in a few words.
    remedy
        Commands that would change it.
    broken
        Whether nothing works as it is.
    """

    name: str
    state: str
    remedy: Sequence[str] = ()
    broken: bool = False


def examine(*, engines: bool = False) -> dict[str, list[Finding]]:
    """Return what was found, by heading.

    Parameters
    ----------
    engines
        Whether the packages of installed engines are imported, each in a process of its own.
    """
    return {
        "Installation": [*_installation()],
        "Engines": [_engine(name, entry, load=engines) for name, entry in ENGINES.items()],
        "Extras": [_extra(name, what) for name, what in EXTRAS.items()],
        "Machine": [*_machine()],
    }


def _installation() -> Iterator[Finding]:
    yield Finding("phonolyte", f"{__version__} in {PACKAGE}")
    yield Finding("python", f"{sys.version.split()[0]} ({sys.executable})")
    try:
        faults = missing_of("")
    except PackageNotFoundError:
        why = "not installed as a package, so that its libraries cannot be checked"
        yield Finding("libraries", why, ("pip install -c constraints.txt .",), broken=True)
        return
    if faults:
        yield Finding("libraries", "; ".join(faults), ("pip install -c constraints.txt .",), broken=True)
    else:
        yield Finding("libraries", "complete: " + ", ".join(f"{name} {version(name)}" for name in SHOWN))


def missing_of(extra: str) -> list[str]:
    """Return the requirements of an extra (empty: of the package itself) that are not met, each with what is there.

    Raises
    ------
    PackageNotFoundError
        When Phonolyte is not installed.
    """
    return [
        fault
        for line in requires("phonolyte") or ()
        if (fault := _fault(line, extra)) and bool(extra) == ("extra ==" in line)
    ]


def _fault(line: str, extra: str) -> str:
    """Return why a requirement is not met; empty where it is, or does not apply."""
    from packaging.requirements import Requirement

    requirement = Requirement(line)
    if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
        return ""
    wanted = f"{requirement.name}{requirement.specifier}"
    try:
        installed = version(requirement.name)
    except PackageNotFoundError:
        return f"{wanted} is missing"
    if requirement.specifier.contains(installed, prereleases=True):
        return ""
    return f"{requirement.name} is {installed}, and should be {requirement.specifier}"


def _engine(name: str, entry: EngineEntry, *, load: bool) -> Finding:
    if name == "espresso":
        program = which("pw.x")
        elsewhere = "pw.x is not found; give --option command=PATH, or --cluster"
        return Finding(name, f"pw.x is {program}" if program else elsewhere)
    if not entry.extra:
        return Finding(name, "built in: a toy for some metals, for tests")
    faults = _faults(entry)
    if faults:
        remedy = (f"pip install '.[{entry.extra}]'", *([entry.also] if entry.also else []))
        return Finding(name, _shortly(faults), remedy)
    versions = ", ".join(f"{package} {version(package)}" for package in entry.packages)
    return Finding(name, f"installed: {versions}{_import(entry.packages) if load else ''}")


def _faults(entry: EngineEntry) -> list[str]:
    faults = [] if entry.packages and all(map(_is_installed, entry.packages)) else ["not installed"]
    try:
        return faults or missing_of(entry.extra)
    except PackageNotFoundError:
        return faults


def _shortly(faults: Sequence[str]) -> str:
    return faults[0] + (f", {len(faults) - 1} more" if len(faults) > 1 else "")


def _is_installed(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


def _import(packages: Sequence[str]) -> str:
    """Import packages in another process, which a crash or a wait does not take along."""
    modules = [module for module, names in packages_distributions().items() if {*names} & {*packages}]
    code = "import " + ", ".join(module for module in modules if module.isidentifier() and module[0] != "_")
    start = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=IMPORT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f", but is not imported within {IMPORT_S} s"
    if done.returncode:
        why = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return f", but cannot be imported: {why[:160]}"
    return f"; imported in {time.monotonic() - start:.0f} s"


def _extra(name: str, what: str) -> Finding:
    try:
        faults = missing_of(name)
    except PackageNotFoundError:
        return Finding(name, f"not known ({what})")
    if faults:
        return Finding(name, f"{_shortly(faults)} ({what})", (f"pip install '.[{name}]'",))
    return Finding(name, f"installed ({what})")


def _machine() -> Iterator[Finding]:
    yield Finding("cores", f"{cores()} of {os.cpu_count()} can be used here")
    yield Finding("memory", _memory())
    yield _downloads()
    yield _kernels()
    yield Finding("MP key", _key())
    yield Finding("report", "a page for any browser; no Chromium is needed")


def _memory() -> str:
    try:
        page, total = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # on Windows
        return "not known"
    return f"{page * total / 1e9:.1f} GB"


def _downloads() -> Finding:
    """The folder of :func:`phonolyte.sources.cache.cache_folder`, whose package takes seconds to import."""
    named = os.environ.get("PHONOLYTE_CACHE", "")
    try:
        import pooch
    except ImportError as error:  # of a broken installation
        return Finding("downloads", f"not known: {first_line(error)}")
    return _place("downloads", Path(named or pooch.os_cache("phonolyte")).expanduser(), "PHONOLYTE_CACHE")


def _place(name: str, folder: Path, variable: str) -> Finding:
    """Whether a folder can be written, or made."""
    existing = next((place for place in (folder, *folder.parents) if place.exists()), folder)
    if existing.is_dir() and os.access(existing, os.W_OK):
        return Finding(name, f"{folder} can be written")
    return Finding(name, f"{folder} cannot be written", (f"export {variable}=FOLDER",))


def _kernels() -> Finding:
    """How many modules have their compiled functions in the cache of numba, newer than their source."""
    named = os.environ.get("NUMBA_CACHE_DIR", "")
    sources = compiled_sources(PACKAGE)
    compiled = sum(map(is_compiled, sources))
    state = f"{compiled} of {len(sources)} modules are compiled; the others are when they are first used"
    if compiled < len(sources):
        place = _place("", Path(named) if named else PACKAGE / "__pycache__", "NUMBA_CACHE_DIR")
        if place.remedy and not named:  # numba then takes the user's own cache, if it can
            place = _place("", user_cache(), "NUMBA_CACHE_DIR")
        if place.remedy:
            return Finding("kernels", f"{state}, each time, as {place.state}", place.remedy)
    return Finding("kernels", state)


def _key(environment: Mapping[str, str] | None = None, home: Path | None = None) -> str:
    """Where a key for the Materials Project is, never the key."""
    environment = os.environ if environment is None else environment
    for name in ("MP_API_KEY", KEY_SETTING):
        key = environment.get(name, "").strip()
        if key:
            usable = re.fullmatch(r"[A-Za-z0-9]{32}", key)
            return f"{name} is set" if usable else f"{name} is set, but is not a key: {len(key)} characters, not 32"
    home = home or Path.home()
    for file in (home / ".config" / ".pmgrc.yaml", home / ".pmgrc.yaml"):
        if file.is_file() and KEY_SETTING in file.read_text(encoding="utf-8", errors="replace"):
            return f"{KEY_SETTING} is set in {file}"
    return "none; only phonolyte fetch mp needs one (materialsproject.org/api)"


def is_broken(findings: Mapping[str, Sequence[Finding]]) -> bool:
    """Whether Phonolyte cannot work as it is installed."""
    return any(finding.broken for group in findings.values() for finding in group)


def needs_torch(findings: Mapping[str, Sequence[Finding]]) -> str:
    """Return the command that comes before that of an engine; empty where torch is there, or no engine is missing."""
    missing = any(finding.remedy for finding in findings["Engines"])
    return CPU_TORCH if missing and not _is_installed("torch") else ""
