"""Engines by name behind ASE calculators, each with the provenance that goes into every result."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.errors import EngineError, MissingExtraError, PhonolyteError, SettingsError
from phonolyte.forces.importing import first_line, make_calculator
from phonolyte.forces.registry import ENGINES
from phonolyte.runs.records import checksum

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

Batch = Callable[[Sequence["Atoms"]], list[Floats]]

IDENTITY = ("weights_sha256", "model")
"""What of an engine's provenance makes it another engine."""

KEPT = 8
"""Engines of other processes that a worker keeps; each may hold weights of 100 MB."""

LOADED = ("calculator", "batch", "charged")
"""Fields of an engine that a worker fills when it first needs them."""


@dataclass(frozen=True, slots=True)
class Opening:
    """How an engine was opened, which is what travels to another process.

    Attributes
    ----------
    name
        As for :func:`open_engine`.
    options
        Options of the engine, paths absolute where the engine knows that they are paths.
    charge
        Charge of the cell, in elementary charges.
    folder
        Working folder in which a module was looked for; empty for an engine of the package.
    """

    name: str
    options: Mapping[str, object]
    charge: float = 0.0
    folder: str = ""

    def open(self) -> Engine:
        """Open the engine in this process.

        Raises
        ------
        PhonolyteError
            As :func:`open_engine`.
        """
        engine = _open(self.name, self.options, self.folder)
        return engine.with_charge(self.charge) if self.charge else engine


@dataclass(frozen=True, slots=True, eq=False)
class Engine:
    """A source of energies and forces, which can be pickled.

    One that was opened by name or import path travels as name and options. The other process opens it when it first
    needs it, checks that it is the same, and keeps it. Any other travels with its calculator, if that can be pickled.

    Attributes
    ----------
    name
        Name or import path.
    calculator
        The ASE calculator: energies in eV, forces in eV/angstrom, stresses in eV/angstrom^3.
    provenance
        What decides its numbers: versions, the checksum of the weights, settings.
    batch
        Forces of many cells of one composition and order of atoms at once, where the engine can.
    charged
        The same engine for cells with a charge in elementary charges, where it knows charges.
    max_workers
        Most processes that may run it at once on one machine; None for one a core.
    opening
        How it was opened; None for one that was built around a calculator, or changed afterwards.
    """

    name: str
    calculator: Calculator
    provenance: Mapping[str, str] = field(default_factory=dict)
    batch: Batch | None = None
    charged: Callable[[float], Engine] | None = None
    max_workers: int | None = None
    # not an argument, so that `dataclasses.replace` drops it: a changed engine is not the one that would be opened
    opening: Opening | None = field(default=None, init=False)

    @property
    def options(self) -> Mapping[str, object] | None:
        """Options it was opened with; None when it was not opened by name or import path."""
        return self.opening.options if self.opening else None

    @property
    def license(self) -> str:
        """License of its weights; empty where it has none, or is not of the registry."""
        entry = ENGINES.get(self.name)
        return entry.license_of(self.provenance) if entry else ""

    @property
    def seconds_per_atom(self) -> float | None:
        """Seconds for the force on an atom on one core of a server; None where it was not measured."""
        entry = ENGINES.get(self.name)
        return entry.seconds_per_atom if entry else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a run has to say about it: the license of weights that does not allow every use, or is not known."""
        entry = ENGINES.get(self.name)
        return entry.notes(self.name, self.provenance) if entry else ()

    @property
    def cites(self) -> tuple[str, ...]:
        """Keys of ``data/cite.bib``."""
        return cites_of(self.name)

    def is_known_by(self, record: Mapping[str, Any]) -> bool:
        """Whether a record (`engine`, and what of :data:`IDENTITY` it has) was made with this engine and weights."""
        return record.get("engine") == self.name and all(
            record.get(name) == self.provenance.get(name) for name in IDENTITY
        )

    def opened_by(self, opening: Opening) -> Engine:
        """The same engine, which travels by how it was opened."""
        engine = replace(self)
        object.__setattr__(engine, "opening", opening)
        return engine

    def with_charge(self, charge: float) -> Engine:
        """The same engine for cells with a charge, in elementary charges.

        Raises
        ------
        SettingsError
            When it knows no charges.
        """
        if self.charged is None:
            raise SettingsError(f"engine {self.name} knows no charges", fix="Leave the charge out.")
        engine = self.charged(charge)
        return engine.opened_by(replace(self.opening, charge=charge)) if self.opening else engine

    def forces(self, cells: Sequence[Atoms]) -> list[Floats]:
        """Forces (n, 3) in eV/angstrom on each of the cells.

        Raises
        ------
        EngineError
            When the engine fails, or gives forces that are not finite.
        """
        all_forces = self._compute_batch(cells) if self.batch else [self._forces(cell) for cell in cells]
        if not all(np.isfinite(forces).all() for forces in all_forces):
            raise EngineError(
                f"{self.name} gives forces that are not finite", fix="Look at the structure, or try another engine."
            )
        return all_forces

    def _compute_batch(self, cells: Sequence[Atoms]) -> list[Floats]:
        assert self.batch is not None
        try:
            return self.batch(cells)
        except PhonolyteError:
            raise
        except Exception as error:  # a foreign engine can raise anything
            raise EngineError(f"{self.name} failed", why=first_line(error)) from error

    def _forces(self, cell: Atoms) -> Floats:
        cell = cell.copy()
        cell.calc = self.calculator
        try:
            return np.asarray(cell.get_forces(), dtype=float)
        except PhonolyteError:
            raise
        except Exception as error:  # a foreign engine can raise anything
            raise EngineError(f"{self.name} failed", why=first_line(error)) from error

    def __reduce__(self) -> tuple[Callable[[bytes], Engine], tuple[bytes]]:
        if self.opening is None:
            values = (self.name, self.calculator, dict(self.provenance), self.batch, self.charged, self.max_workers)
            return _built, (_pickle(self.name, values),)
        return receive_engine, (_pickle(self.name, (self.opening, dict(self.provenance), self.max_workers)),)

    if not TYPE_CHECKING:  # else every misspelled attribute would pass the type checker

        def __getattr__(self, name: str) -> Any:
            if name not in LOADED:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            _load(self)
            return object.__getattribute__(self, name)


def open_engine(name: str, **options: Any) -> Engine:
    """An engine by name, or any ASE calculator by import path.

    Parameters
    ----------
    name
        One of :data:`ENGINES`, or ``package.module:Class`` of an ASE calculator, whose module may be a file in the
        working folder.
    options
        Options of the engine; of a calculator its keyword arguments.

    Raises
    ------
    SettingsError
        For a name that is neither, options that the engine does not have, and one that it needs and is not given.
    EngineError
        When the engine or the module fails as it is opened.
    MissingExtraError
        When its package is not installed, or a module is not importable.
    """
    return _open(name, options, str(Path.cwd()) if ":" in name else "")


def engine_options(pairs: Sequence[str] | Mapping[str, object]) -> dict[str, object]:
    """Options of an engine from NAME=VALUE pairs, or from a table of a settings file.

    Parameters
    ----------
    pairs
        Pairs, in which a value that reads as a number, true or false becomes that; or a table, whose values stay as
        they are.

    Raises
    ------
    SettingsError
        For a pair that is not NAME=VALUE, and a name that is given twice.
    """
    if isinstance(pairs, Mapping):
        return dict(pairs)
    options: dict[str, object] = {}
    for pair in [pairs] if isinstance(pairs, str) else pairs:
        name, equals, value = str(pair).partition("=")
        if not (name and equals):
            raise SettingsError(f"{pair!r} is not an option of an engine", fix="Write NAME=VALUE.")
        if name in options:
            raise SettingsError(f"option {name} of the engine is given twice", fix="Give it once.")
        options[name] = _number_or_text(value)
    return options


def emt() -> Engine:
    """Effective medium theory of ASE: a toy for a few metals, fast enough for tests."""
    from ase.calculators.emt import EMT

    return Engine("emt", EMT(), provenance_of("ase"))


def cites_of(name: str) -> tuple[str, ...]:
    """Keys of ``data/cite.bib`` of an engine; none for one that is not of the registry."""
    return ENGINES[name].cites if name in ENGINES else ()


def check_device(name: str, device: str) -> None:
    """Refuse a device that an engine does not have, or torch does not have here.

    Raises
    ------
    SettingsError
        For a device that the registry does not have for the engine, and for ``cuda`` where torch has no CUDA.
    """
    if device not in ENGINES[name].devices:
        raise SettingsError(f"device is {device!r}", fix=f"Choose {' or '.join(ENGINES[name].devices)}.")
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise SettingsError(
                "device=cuda is not possible here",
                why=f"torch {torch.__version__} finds no CUDA",
                fix="Install a torch with CUDA and the driver of the GPU, or leave device out.",
            )


def provenance_of(*packages: str, weights: Path | None = None) -> dict[str, str]:
    """Versions of packages, and the sha256 of a file of weights."""
    provenance = {package: version(package) for package in packages}
    if weights is not None:
        provenance["weights"] = weights.name
        provenance["weights_sha256"] = checksum(weights)
    return provenance


def _open(name: str, options: Mapping[str, Any], folder: str) -> Engine:
    if ":" in name:
        calculator, provenance = make_calculator(name, options, folder)
        return Engine(name, calculator, provenance).opened_by(Opening(name, dict(options), folder=folder))
    if name not in ENGINES:
        raise SettingsError(
            f"there is no engine {name!r}", fix=f"Choose among {', '.join(ENGINES)}, or give package.module:Class."
        )
    try:
        engine = _make(name, options)
    except PhonolyteError:
        raise
    except ImportError as error:
        raise MissingExtraError(
            f"engine {name} is not installed", why=first_line(error), fix=_how_to_install(name)
        ) from error
    except Exception as error:  # weights and settings that a foreign engine does not take
        raise EngineError(f"engine {name} cannot be opened", why=first_line(error), fix="Check its options.") from error
    return engine if engine.opening else engine.opened_by(Opening(name, dict(options)))


def _make(name: str, options: Mapping[str, Any]) -> Engine:
    module, _, maker = ENGINES[name].loader.partition(":")
    make: Callable[..., Engine] = getattr(import_module(module), maker)
    _check_options(name, inspect.signature(make), options)
    return make(**options)


def _how_to_install(name: str) -> str:
    return f"In a clone of Phonolyte: {ENGINES[name].install}" if ENGINES[name].install else ""


def _check_options(name: str, signature: inspect.Signature, options: Mapping[str, Any]) -> None:
    unknown = set(options) - set(signature.parameters)
    if unknown:
        raise SettingsError(
            f"engine {name} has no option {sorted(unknown)[0]!r}",
            fix=f"It has: {', '.join(signature.parameters) or 'none'}.",
        )
    for option, parameter in signature.parameters.items():
        if parameter.default is parameter.empty and option not in options:
            raise SettingsError(f"engine {name} needs {option}", fix=f"Add --option {option}=VALUE.")


def _number_or_text(text: str) -> bool | int | float | str:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


# Engines in other processes


def _pickle(name: str, values: tuple[object, ...]) -> bytes:
    """Bytes of what makes an engine: pickled here so that an error names the engine, and as a key for what is kept."""
    try:
        return pickle.dumps(values)
    except Exception as error:  # pickle raises whatever the objects in it raise
        raise EngineError(
            f"engine {name} cannot be sent to another process",
            why=first_line(error),
            fix="Name its class as module:Class with options of plain values, or compute in one process.",
        ) from error


def _built(packed: bytes) -> Engine:
    return Engine(*pickle.loads(packed))


@lru_cache(maxsize=KEPT)
def receive_engine(packed: bytes) -> Engine:
    """An engine that another process sent; it is opened when it is first needed, once a process.

    An error on opening is thus raised where the engine is used, as of any engine, and not where a pool unpickles its
    tasks, which would break the pool.
    """
    opening, provenance, max_workers = pickle.loads(packed)
    engine = object.__new__(Engine)
    sent = {"name": opening.name, "provenance": provenance, "max_workers": max_workers, "opening": opening}
    for each in fields(Engine):
        if each.name not in LOADED:
            object.__setattr__(engine, each.name, sent[each.name])
    return engine


_LOADING = RLock()


def _load(engine: Engine) -> None:
    """Open an engine that was received, and fill in what does not travel."""
    assert engine.opening is not None
    with _LOADING:
        if _is_loaded(engine):  # by another thread, meanwhile
            return
        opened = engine.opening.open()
        _refuse_another(engine.name, engine.provenance, opened.provenance)
        for name in LOADED:
            object.__setattr__(engine, name, getattr(opened, name))


def _is_loaded(engine: Engine) -> bool:
    try:
        object.__getattribute__(engine, LOADED[-1])
    except AttributeError:
        return False
    return True


def _refuse_another(name: str, of_sender: Mapping[str, str], of_worker: Mapping[str, str]) -> None:
    differing = [key for key in sorted({*of_sender, *of_worker}) if of_sender.get(key) != of_worker.get(key)]
    if differing:
        differences = (f"{key} is {of_worker.get(key)} here and {of_sender.get(key)} there" for key in differing)
        raise EngineError(
            f"engine {name} of this worker is not that of the process which sent it",
            why="; ".join(differences),
            fix="Install the same version, and have the same files, where the workers run; then start them anew.",
        )
