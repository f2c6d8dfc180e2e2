"""Molecular dynamics at constant volume: positions into a trajectory, from which a killed run goes on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.errors import EngineError, SettingsError
from phonolyte.forces.cells import supercell_matrix
from phonolyte.units import KB_EV_K

if TYPE_CHECKING:
    from ase import Atoms

    from phonolyte.forces import Engine

MD = "Molecular dynamics"
"""Heading of the options of this method."""


@dataclass(frozen=True, slots=True)
class DynamicsSettings:
    """How molecular dynamics is run.

    Attributes
    ----------
    temperatures_k
        One run each.
    time_ps
        Length of each run, after `settle_ps`, which are left out.
    timestep_fs
        2 serves Li and what is heavier; crystals with H need 0.5.
    sample_fs
        Time between kept positions.
    supercell, min_length_a
        As of the other methods.
    relax
        Whether the primitive cell is relaxed first.
    symprec_a
        Tolerance in angstrom within which symmetry is found.
    seed
        Seed of the first velocities and the thermostat.
    """

    temperatures_k: Annotated[tuple[float, ...], "Temperature of a run, K; repeat it.", MD, "--temperature-k"] = (
        600.0,
        800.0,
        1000.0,
    )
    time_ps: Annotated[float, "Time of each run, ps.", MD] = 20.0
    settle_ps: Annotated[float, "Time that is left out at the beginning of a run, ps.", MD] = 2.0
    timestep_fs: Annotated[float, "Time step, fs; 0.5 with H.", MD] = 2.0
    sample_fs: Annotated[float, "Time between kept positions, fs.", MD] = 20.0
    supercell: Annotated[tuple[int, int, int] | None, "Multiples of the primitive cell. Default: by length.", MD] = None
    min_length_a: Annotated[float, "Least distance of an atom from its image, angstrom.", MD] = 8.0
    relax: Annotated[bool, "Relax cell and positions first, the symmetry kept.", MD] = True
    symprec_a: Annotated[float, "Tolerance of the symmetry, angstrom.", MD] = 0.01
    seed: Annotated[int, "Seed for the first velocities and the thermostat.", MD] = 0

    def __post_init__(self) -> None:
        for name in ("time_ps", "timestep_fs", "sample_fs", "min_length_a", "symprec_a"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"{name} is {getattr(self, name)}", fix="Give a positive number.")
        if not self.temperatures_k or not all(t > 0 for t in self.temperatures_k):
            raise SettingsError("temperatures are kelvins above zero", fix="Give --temperature-k 600, for instance.")
        if len(set(self.temperatures_k)) < len(self.temperatures_k):
            raise SettingsError("a temperature is given twice", fix="Give each once.")
        if self.sample_fs < self.timestep_fs:
            raise SettingsError("sample_fs is shorter than timestep_fs", fix="Keep positions after whole steps.")

    def shorten(self) -> Self:
        """The same for a quick look: 5 ps at 1000 K.

        Displacements then separate frames with empty sites from full ones, such as LiTi2(PO4)3 from its doped forms.
        They did not rank 47 measured conductors better than percolation does, and are not diffusivities.
        """
        return replace(self, temperatures_k=(1000.0,), time_ps=5.0, settle_ps=1.0)

    def supercell_of(self, primitive: Atoms) -> Ints:
        """Supercell (3, 3) of a primitive cell, rows in units of its vectors."""
        return supercell_matrix(
            primitive, supercell=self.supercell, min_length_a=self.min_length_a, symprec_a=self.symprec_a
        )

    @property
    def steps(self) -> int:
        """Steps of a run, settling included."""
        return round(1000 * (self.settle_ps + self.time_ps) / self.timestep_fs)

    @property
    def every(self) -> int:
        """Steps between kept positions."""
        return max(1, round(self.sample_fs / self.timestep_fs))


def run_dynamics(cell: Atoms, engine: Engine, temperature_k: float, settings: DynamicsSettings, file: Path) -> None:
    """Run at one temperature and constant volume, positions going into an ASE trajectory; a killed run goes on.

    The thermostat is that of Bussi, Donadio and Parrinello (10.1063/1.2408420), which leaves diffusion alone.

    Raises
    ------
    EngineError
        When the engine fails, or the crystal flies apart.
    """
    from ase import units
    from ase.io import Trajectory
    from ase.md.bussi import Bussi

    last = _last_frame(file)
    atoms = last.copy() if last is not None else cell.copy()
    done = int(last.info["step"]) if last is not None else 0
    rng = np.random.default_rng((settings.seed, round(temperature_k), done))
    if last is None:
        atoms.set_velocities(_thermal(atoms, temperature_k, rng))
    atoms.calc = engine.calculator
    dynamics = Bussi(atoms, settings.timestep_fs * units.fs, temperature_k, taut=100 * units.fs, rng=rng)
    with Trajectory(file, "a" if done else "w") as frames:
        try:
            for step in range(done + settings.every, settings.steps + 1, settings.every):
                dynamics.run(settings.every)
                _check(atoms, temperature_k)
                still = atoms.copy()
                still.info["step"] = step
                frames.write(still)
        except EngineError:
            raise
        except Exception as error:  # a foreign engine can raise anything
            raise EngineError(f"{engine.name} failed", why=str(error).split("\n")[0]) from error


def read_frames(file: Path, settings: DynamicsSettings) -> list[Atoms]:
    """Return the frames of a run, settling included."""
    from ase.io import read

    return list(read(file, index=f":{settings.steps // settings.every}"))


def _thermal(atoms: Atoms, temperature_k: float, rng: np.random.Generator) -> Floats:
    """Velocities drawn from Maxwell and Boltzmann's distribution, in ASE's units, the crystal as a whole at rest."""
    masses = atoms.get_masses()[:, None]
    momenta = rng.normal(size=(len(atoms), 3)) * np.sqrt(masses * KB_EV_K * temperature_k)
    return np.asarray((momenta - momenta.sum(axis=0) * masses / masses.sum()) / masses)


def _last_frame(file: Path) -> Atoms | None:
    from ase.io import read

    try:
        return read(file, index=-1)
    except Exception:  # nothing there, or a first frame that was killed
        return None


def _check(atoms: Atoms, temperature_k: float) -> None:
    now = atoms.get_temperature()
    if not np.isfinite(now) or now > 10 * temperature_k + 1000:
        raise EngineError(
            "the crystal flies apart",
            why=f"its temperature is {now:.0f} K in a run at {temperature_k:g} K",
            fix="Shorten the time step, or try another engine.",
        )
