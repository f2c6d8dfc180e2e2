"""Engines by name behind ASE calculators, each with the provenance that goes into every result."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.errors import EngineError, MissingExtraError, SettingsError

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

Batch = Callable[[Sequence["Atoms"]], list[Floats]]


@dataclass(frozen=True, slots=True, eq=False)
class Engine:
    """A source of energies and forces.

    Attributes
    ----------
    name
        As it was asked for.
    calculator
        The ASE calculator: energies in eV, forces in eV/angstrom, stresses in eV/angstrom^3.
    provenance
        What decides its numbers: versions, the checksum of the weights, settings.
    batch
        Forces of many cells of one composition and order of atoms at once, where the engine can.
    charged
        The same engine for cells with a charge in elementary charges, where it knows charges.
    """

    name: str
    calculator: Calculator
    provenance: Mapping[str, str] = field(default_factory=dict)
    batch: Batch | None = None
    charged: Callable[[float], Engine] | None = None

    def with_charge(self, charge: float) -> Engine:
        """The same engine for cells with a charge, in elementary charges.

        Raises
        ------
        SettingsError
            When it knows no charges.
        """
        if self.charged is None:
            raise SettingsError(f"engine {self.name} knows no charges", fix="Leave the charge out.")
        return self.charged(charge)

    def forces(self, cells: Sequence[Atoms]) -> list[Floats]:
        """Forces (n, 3) in eV/angstrom on each of the cells.

        Raises
        ------
        EngineError
            When the engine fails, or gives forces that are not finite.
        """
        found = self.batch(cells) if self.batch else [self._forces(cell) for cell in cells]
        if not all(np.isfinite(forces).all() for forces in found):
            raise EngineError(
                f"{self.name} gives forces that are not finite", fix="Look at the structure, or try another engine."
            )
        return found

    def _forces(self, cell: Atoms) -> Floats:
        cell = cell.copy()
        cell.calc = self.calculator
        try:
            return np.asarray(cell.get_forces(), dtype=float)
        except Exception as error:  # a foreign engine can raise anything
            raise EngineError(f"{self.name} failed", why=_first_line(error)) from error


def open_engine(name: str, **options: Any) -> Engine:
    """An engine by name, or any ASE calculator by import path.

    Parameters
    ----------
    name
        One of :data:`ENGINES`, or ``package.module:Class`` of an ASE calculator.
    options
        Of the engine; of a calculator its keyword arguments.

    Raises
    ------
    SettingsError
        For a name that is neither, options that the engine does not have, and one that it needs and is not given.
    MissingExtraError
        When its package is not installed; the message has the command.
    """
    if ":" in name:
        return _by_path(name, options)
    if name not in ENGINES:
        raise SettingsError(
            f"there is no engine {name!r}", fix=f"Choose among {', '.join(ENGINES)}, or give package.module:Class."
        )
    module, _, maker = ENGINES[name].partition(":")
    try:
        make = getattr(import_module(module), maker)
        _check_options(name, inspect.signature(make), options)
        engine: Engine = make(**options)
    except ImportError as error:
        raise MissingExtraError(
            f"engine {name} is not installed", why=_first_line(error), fix=f"pip install 'phonolyte[{name}]'"
        ) from error
    return engine


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


ENGINES = {
    "dpa4": "phonolyte.forces.dpa:dpa4",
    "sevennet": "phonolyte.forces.engines:sevennet",
    "espresso": "phonolyte.forces.espresso:espresso",
    "emt": "phonolyte.forces.engines:emt",
}
"""Engines and where they are made: potentials near DFT first."""


def emt() -> Engine:
    """Effective medium theory of ASE: a toy for a few metals, fast enough for tests."""
    from ase.calculators.emt import EMT

    return Engine("emt", EMT(), provenance_of("ase"))


def sevennet(model: str = "7net-l3i5") -> Engine:
    """SevenNet, whose weights come with its package (MIT licence).

    Parameters
    ----------
    model
        A name of the package (``7net-l3i5``, ``7net-0``, ...) or the path of a checkpoint.
    """
    from sevenn.calculator import SevenNetCalculator

    calculator = SevenNetCalculator(model=model, device="cpu")
    return Engine("sevennet", calculator, {**provenance_of("sevenn", "torch"), "model": model})


def provenance_of(*packages: str, weights: Path | None = None) -> dict[str, str]:
    """Versions of packages, and the sha256 of a file of weights."""
    found = {package: version(package) for package in packages}
    if weights is not None:
        found["weights"] = weights.name
        found["weights_sha256"] = checksum([weights])
    return found


def checksum(files: Sequence[Path]) -> str:
    """sha256 over the content of files, in their order."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _by_path(name: str, options: Mapping[str, Any]) -> Engine:
    module, _, attribute = name.partition(":")
    try:
        maker = getattr(import_module(module), attribute)
    except ImportError as error:
        raise MissingExtraError(
            f"{module} cannot be imported", why=_first_line(error), fix=f"pip install {module.partition('.')[0]}"
        ) from error
    except AttributeError:
        raise SettingsError(f"{module} has no {attribute!r}", fix="Give package.module:Class.") from None
    try:
        calculator = maker(**options)
    except Exception as error:  # a foreign constructor can raise anything
        raise EngineError(f"{name} cannot be made", why=_first_line(error), fix="Check its options.") from error
    if not hasattr(calculator, "get_forces"):
        raise SettingsError(f"{name} is no ASE calculator", fix="Give a class with get_forces.")
    package = module.partition(".")[0]
    try:
        owner = packages_distributions().get(package, [package])[0]
        provenance = provenance_of(owner)
    except PackageNotFoundError:
        provenance = {}
    return Engine(name, calculator, {**provenance, **{key: _stated(value) for key, value in options.items()}})


def _stated(value: Any) -> str:
    """An option as provenance tells it: a file, such as one of weights, by its name and content."""
    path = Path(str(value))
    return f"{path.name} sha256:{checksum([path])}" if path.is_file() else str(value)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
