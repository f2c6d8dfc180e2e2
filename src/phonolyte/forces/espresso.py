"""Quantum ESPRESSO through ASE, with the two traps of phonons closed: the density cutoff and the k mesh.

Forces of a displacement of 0.01 angstrom are small differences. With the default density cutoff of four times that
of the wave functions they can be 10 % off for ultrasoft and PAW potentials although the energy looks converged;
and a k mesh that misses the zone center breaks the symmetry that the displacements rely on.
"""

from __future__ import annotations

import hashlib
import math
import re
import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from multiprocessing.util import Finalize
from numbers import Real
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from phonolyte.chemistry.elements import ATOMIC_NUMBERS
from phonolyte.errors import EngineError, SettingsError
from phonolyte.forces.engines import Engine, Opening, provenance_of
from phonolyte.runs.records import checksum

if TYPE_CHECKING:
    from ase import Atoms

AUGMENTED = 8
CONSERVING = 4
"""Density cutoff over that of the wave functions: for ultrasoft and PAW potentials, and for norm-conserving ones."""

NUMBERS = ("ecutwfc_ry", "ecutrho_ry", "k_spacing_inv_a", "smearing_ry", "conv_thr_ry", "charge")
"""Settings that are numbers."""


def espresso(
    pseudo_dir: str,
    ecutwfc_ry: float = 60.0,
    ecutrho_ry: float | None = None,
    k_spacing_inv_a: float = 0.25,
    functional: str = "",
    command: str = "pw.x",
    smearing_ry: float = 0.0,
    conv_thr_ry: float = 1e-10,
    scratch: str = "",
) -> Engine:
    """Density functional theory by ``pw.x``.

    Parameters
    ----------
    pseudo_dir
        Folder of pseudopotentials (UPF), one for each element, their names beginning with its symbol.
    ecutwfc_ry, ecutrho_ry
        Cutoffs of wave functions and density in rydberg. Without `ecutrho_ry` it is 8 times `ecutwfc_ry`, or 4 times
        when all potentials conserve the norm.
    k_spacing_inv_a
        Distance between k points in 1/angstrom (with the factor 2 pi); the mesh holds the zone center.
    functional
        Word in the name of the pseudopotentials that are meant, such as ``pbesol``, where the folder has several.
    command
        How to run ``pw.x``, such as ``mpirun -n 4 pw.x -nk 4``.
    smearing_ry
        Width of Marzari-Vanderbilt smearing in rydberg, for metals; 0 for fixed occupations.
    conv_thr_ry
        Convergence of the energy in rydberg.
    scratch
        Folder in which each process makes one for its files of ``pw.x``, which is kept. Default: a temporary folder,
        removed with the engine.

    Raises
    ------
    SettingsError
        When the folder, its pseudopotentials, or a program of the command is not there; for a number that is not one.
    """
    waves = PlaneWaves(
        Path(pseudo_dir), ecutwfc_ry, ecutrho_ry, k_spacing_inv_a, functional, smearing_ry, conv_thr_ry
    )  # fmt: skip
    check_command(command)
    return waves.engine(command, scratch)


def check_command(command: str) -> None:
    """Refuse a command whose programs, a launcher such as ``mpirun`` and ``pw.x``, are not on this machine.

    Raises
    ------
    SettingsError
        When one is not, or the command cannot be split into words.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise SettingsError(f"the command {command!r} cannot be read", why=str(error), fix="Close the quote.") from None
    if not words:
        raise SettingsError("the command of pw.x is empty", fix="Give one such as: mpirun -n 4 pw.x")
    for program in [words[0], *(word for word in words[1:] if word.endswith("pw.x"))]:
        if shutil.which(program) is None:
            raise SettingsError(
                f"{program} is not installed",
                why=f"it is a program of the command {command!r}" if len(words) > 1 else "",
                fix="apt install quantum-espresso, or give its command; for pw.x in a container, that of a script.",
            )


@dataclass(frozen=True, slots=True)
class PlaneWaves:
    """What decides the numbers of ``pw.x``; the program need not be on this machine.

    Attributes
    ----------
    pseudo_dir
        Folder of pseudopotentials.
    ecutwfc_ry, ecutrho_ry
        Cutoffs of wave functions and density in rydberg; None for a density cutoff by the kind of the potentials.
    k_spacing_inv_a
        Distance between k points in 1/angstrom (with the factor 2 pi).
    functional
        Word in the name of the pseudopotentials that are meant.
    smearing_ry
        Width of Marzari-Vanderbilt smearing in rydberg; 0 for fixed occupations.
    conv_thr_ry
        Convergence of the energy in rydberg.
    charge
        Charge of the cell, in elementary charges, over a uniform background.

    Raises
    ------
    SettingsError
        When the folder is not there, and for numbers that are not numbers or not positive.
    """

    pseudo_dir: Path
    ecutwfc_ry: float = 60.0
    ecutrho_ry: float | None = None
    k_spacing_inv_a: float = 0.25
    functional: str = ""
    smearing_ry: float = 0.0
    conv_thr_ry: float = 1e-10
    charge: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "pseudo_dir", self.pseudo_dir.expanduser().absolute())
        if not self.pseudo_dir.is_dir():
            raise SettingsError(
                f"{self.pseudo_dir} is not a folder", fix="Give the folder of the pseudopotentials (SSSP, PseudoDojo)."
            )
        if not isinstance(self.functional, str):
            raise SettingsError(f"functional is {self.functional!r}", fix="Give a word such as pbesol.")
        for name in NUMBERS:
            if name != "ecutrho_ry" or self.ecutrho_ry is not None:
                object.__setattr__(self, name, _number(name, getattr(self, name)))

    @classmethod
    def from_options(cls, options: Mapping[str, object]) -> Self:
        """From the options of the engine ``espresso``, those that only say how to run it left out.

        Raises
        ------
        SettingsError
            For an option that there is not, a missing `pseudo_dir`, and a folder that is not there.
        """
        names = [each.name for each in fields(cls) if each.name != "charge"]  # of a defect, not of every cell
        unknown = set(options) - set(names)
        if unknown:
            raise SettingsError(
                f"engine espresso has no option {sorted(unknown)[0]!r} here", fix=f"It has: {', '.join(names)}."
            )
        if "pseudo_dir" not in options:
            raise SettingsError("engine espresso needs pseudo_dir", fix="Add --option pseudo_dir=FOLDER.")
        settings: dict[str, Any] = {**options, "pseudo_dir": Path(str(options["pseudo_dir"]))}
        return cls(**settings)

    @property
    def provenance(self) -> dict[str, str]:
        """What goes into every result: versions, settings, a checksum of the pseudopotentials.

        Raises
        ------
        SettingsError
            When the folder has no pseudopotential, or none for the functional.
        """
        settings = {name: _format_value(value) for name, value in self.numbers.items() if value is not None}
        return {**provenance_of("ase"), **settings, "pseudopotentials": _fingerprint(self.pseudo_dir, self.functional)}

    @property
    def numbers(self) -> dict[str, float | str | None]:
        """The settings by name, without the folder, and without a charge where there is none."""
        left_out = {"pseudo_dir"} if self.charge else {"pseudo_dir", "charge"}
        return {name: value for name, value in asdict(self).items() if name not in left_out}

    def with_charge(self, charge: float | None) -> Self:
        """The same with a charge of the cell, in elementary charges."""
        return replace(self, charge=charge or 0.0)

    def potentials(self, symbols: Iterable[str]) -> dict[str, Path]:
        """The pseudopotential of each element.

        Raises
        ------
        EngineError
            When one is missing, or there are several.
        """
        return {symbol: pseudopotential(self.pseudo_dir, symbol, self.functional) for symbol in sorted(set(symbols))}

    def parameters(self, atoms: Atoms) -> dict[str, Any]:
        """What ASE writes into the input of a crystal, besides its atoms."""
        potentials = self.potentials(atoms.symbols)
        return {
            "input_data": input_data(self, potentials.values()),
            "pseudopotentials": {symbol: path.name for symbol, path in potentials.items()},
            "kpts": k_mesh(atoms.cell.array, self.k_spacing_inv_a),
            "koffset": (0, 0, 0),
        }

    def engine(self, command: str, scratch: str = "") -> Engine:
        """The engine that runs this with a command, in a temporary folder unless one is given."""
        settings = {name: value for name, value in asdict(self).items() if name not in ("pseudo_dir", "charge")}
        scratch = str(Path(scratch).expanduser().absolute()) if scratch else ""
        options = {**settings, "pseudo_dir": str(self.pseudo_dir), "command": command, "scratch": scratch}
        return Engine(
            "espresso",
            _PerComposition(self, command, scratch),
            self.provenance,
            charged=lambda charge: self.with_charge(charge).engine(command, scratch),
            max_workers=1,  # pw.x runs on many cores by itself
        ).opened_by(Opening("espresso", options, self.charge))


def pseudopotential(folder: Path, symbol: str, functional: str = "") -> Path:
    """The pseudopotential of an element in a folder.

    Raises
    ------
    EngineError
        When there is none, or more than one.
    """
    files = _pseudopotentials(folder, [symbol], functional)
    if not files:
        what = f"pseudopotential of {symbol}" + (f" for {functional}" if functional else "")
        raise EngineError(f"there is no {what} in {folder}", fix="Add one, its name beginning with the symbol.")
    if len(files) > 1:
        raise EngineError(
            f"there are {len(files)} pseudopotentials of {symbol} in {folder}",
            why=", ".join(path.name for path in files[:4]),
            fix="Keep one of each element in a folder, or name the functional.",
        )
    return files[0]


def _pseudopotentials(folder: Path, symbols: Iterable[str], functional: str) -> list[Path]:
    """Files of a folder that are pseudopotentials of elements, for a functional where one is named, by name."""
    name = re.compile(rf"({'|'.join(symbols)})([._-].*)?\.upf$", re.IGNORECASE)
    word = re.compile(rf"(?<![a-z]){re.escape(functional)}(?![a-z])", re.IGNORECASE)
    return sorted(
        path for path in folder.iterdir() if name.match(path.name) and (not functional or word.search(path.name))
    )


def density_cutoff_ry(ecutwfc_ry: float, ecutrho_ry: float | None, potentials: Iterable[Path]) -> float:
    """The cutoff of the density in rydberg: as given, else by the kind of the potentials."""
    if ecutrho_ry is not None:
        return ecutrho_ry
    return ecutwfc_ry * (CONSERVING if all(map(_conserves_the_norm, potentials)) else AUGMENTED)


def k_mesh(lattice: Any, spacing_inv_a: float) -> tuple[int, int, int]:
    """Divisions of a mesh through the zone center, no coarser than the spacing in 1/angstrom (with 2 pi)."""
    lengths = 2 * math.pi * np.linalg.norm(np.linalg.inv(np.asarray(lattice)).T, axis=1)
    x, y, z = (max(1, math.ceil(length / spacing_inv_a - 1e-6)) for length in lengths)
    return x, y, z


class _PerComposition:
    """An ASE calculator that sets up ``pw.x`` for the elements and the cell it is given."""

    def __init__(self, waves: PlaneWaves, command: str, scratch: str) -> None:
        self.waves, self.command, self.scratch = waves, command, scratch
        self.folder: Path | None = None
        self.calculator: Any = None

    def get_forces(self, atoms: Atoms) -> Any:
        return self._for(atoms).get_forces(atoms)

    def get_stress(self, atoms: Atoms) -> Any:
        return self._for(atoms).get_stress(atoms)

    def get_potential_energy(self, atoms: Atoms, force_consistent: bool = False) -> Any:
        return self._for(atoms).get_potential_energy(atoms, force_consistent=force_consistent)

    def calculation_required(self, atoms: Atoms, properties: Sequence[str]) -> bool:
        return self.calculator is None or self.calculator.calculation_required(atoms, properties)

    def _for(self, atoms: Atoms) -> Any:
        from ase.calculators.espresso import Espresso, EspressoProfile

        parameters = self.waves.parameters(atoms)
        if (
            self.calculator is None
            or self.calculator.parameters["kpts"] != parameters["kpts"]
            or set(self.calculator.parameters["pseudopotentials"]) != set(parameters["pseudopotentials"])
        ):
            profile = EspressoProfile(command=self.command, pseudo_dir=str(self.waves.pseudo_dir.resolve()))
            self.calculator = Espresso(profile=profile, directory=self._own_folder(), **parameters)
        return self.calculator

    def _own_folder(self) -> Path:
        """A folder that no other process and no other engine writes into."""
        if self.folder is None:
            if self.scratch:
                Path(self.scratch).mkdir(parents=True, exist_ok=True)
            self.folder = Path(mkdtemp(prefix="phonolyte-pw-", dir=self.scratch or None))
            if not self.scratch:
                # unlike TemporaryDirectory, also at the end of a forked worker, and never in a fork of the owner
                Finalize(self, shutil.rmtree, (str(self.folder),), {"ignore_errors": True}, exitpriority=0)
        return self.folder


def input_data(waves: PlaneWaves, potentials: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """The namelists of ``pw.x``."""
    system: dict[str, Any] = {
        "ecutwfc": waves.ecutwfc_ry,
        "ecutrho": density_cutoff_ry(waves.ecutwfc_ry, waves.ecutrho_ry, potentials),
        "occupations": "smearing" if waves.smearing_ry else "fixed",
    }
    if waves.charge:
        system["tot_charge"] = waves.charge
    if waves.smearing_ry:
        system |= {"smearing": "mv", "degauss": waves.smearing_ry}
    return {
        "control": {"calculation": "scf", "tprnfor": True, "tstress": True, "disk_io": "none"},
        "system": system,
        "electrons": {"conv_thr": waves.conv_thr_ry, "mixing_beta": 0.5},
    }


def _conserves_the_norm(path: Path) -> bool:
    head = path.read_text(encoding="utf-8", errors="replace")[:8000]
    return bool(re.search(r'pseudo_type\s*=\s*"\s*(NC|SL)|^\s*NC\s+Norm', head, re.IGNORECASE | re.MULTILINE))


def _fingerprint(folder: Path, functional: str) -> str:
    """Checksum over the pseudopotentials of a folder that the functional leaves to choose from."""
    files = _pseudopotentials(folder, ATOMIC_NUMBERS, functional)
    if not files:
        raise SettingsError(
            f"there are no pseudopotentials{f' for {functional}' if functional else ''} in {folder}",
            why="their names begin with the symbol of an element and end with .upf",
            fix="Give the folder that has them, and a functional that is a word in their names.",
        )
    listed = "".join(f"{path.name} {checksum(path)}\n" for path in files)
    return hashlib.sha256(listed.encode()).hexdigest()


def _number(name: str, value: object) -> float:
    """A setting as a number, so that 60 and 60.0 are the same setting."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise SettingsError(f"{name} is {value!r}", why="it is not a number", fix="Give a number.")
    number = float(value)
    positive = number > 0 or (number == 0 and name == "smearing_ry")
    if not math.isfinite(number) or not (positive or name == "charge"):
        raise SettingsError(f"{name} is {number:g}", fix="Give a positive number.")
    return number


def _format_value(value: float | str) -> str:
    """A setting as provenance states it."""
    return value if isinstance(value, str) else f"{value:.15g}"
