"""Diffusion by molecular dynamics: runs at several temperatures, diffusivities with honest intervals, conductivity."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from phonolyte.arrays import Floats, Ints
from phonolyte.chemistry.charges import mobile_charge
from phonolyte.errors import EngineError, Failure, MigrationError, MissingExtraError, SettingsError
from phonolyte.forces.cells import primitive_cell, relax, supercell_matrix
from phonolyte.runs.campaign import ITEMS, Item, attempt, complete
from phonolyte.runs.tables import collected
from phonolyte.structures import Crystal
from phonolyte.units import CM2_S_PER_A2_PS, E_C, KB_EV_K, ROOM_K

if TYPE_CHECKING:
    from ase import Atoms

    from phonolyte.forces import Engine

STAGE = "md"
METHOD = "md"
DIFFUSIVITIES = "diffusivities.parquet"

FEWEST_HOPS = 20
"""With fewer hops a diffusivity would be a guess: its interval would reach from half to twice the value."""

SMOOTHED_PS = 0.2
"""Positions are averaged over this time before hops are counted, so that vibrations are not."""

HOP_SHARE = 0.7
"""An ion has hopped when it is this share of the shortest distance between its sites away from where it was."""

REACHES_A = (5.0, 8.0, 12.0)
"""Distances within which sites are looked for, one after the other, until hops percolate."""

MELTED_A = 1.5
"""Where every other element has moved as far as this (root mean square), the crystal is none any more."""

DIFFUSIVE_SHARE = 0.1
"""Share of a run after which displacements are taken as diffusive."""

INTERVALS = 100
"""Of time, over which displacements are looked at."""

INTERVAL = (2.5, 97.5)
"""Percentiles of every interval."""


@dataclass(frozen=True, slots=True)
class DynamicsSettings:
    """How molecular dynamics is run.

    Attributes
    ----------
    temperatures_k
        One run each.
    time_ps
        Of each run, after `settle_ps`, which are left out.
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
        Of the first velocities and the thermostat.
    """

    temperatures_k: tuple[float, ...] = (600.0, 800.0, 1000.0)
    time_ps: float = 20.0
    settle_ps: float = 2.0
    timestep_fs: float = 2.0
    sample_fs: float = 20.0
    supercell: tuple[int, int, int] | None = None
    min_length_a: float = 8.0
    relax: bool = True
    symprec_a: float = 0.01
    seed: int = 0

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


class Diffusivity(NamedTuple):
    """Of one run.

    Attributes
    ----------
    hops
        Counted in the run.
    msd_a2
        Mean square displacement over the whole run, angstrom^2.
    samples_cm2_s
        Of the posterior distribution, (n,); empty where hops are too few.
    below_cm2_s
        What the diffusivity lies below with 95 % confidence, from the number of hops.
    framework_a
        How far the other atoms have moved, as :func:`framework_displacement` has it.
    """

    hops: int
    msd_a2: float
    samples_cm2_s: Floats
    below_cm2_s: float
    framework_a: float


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


def _thermal(atoms: Atoms, temperature_k: float, rng: np.random.Generator) -> Floats:
    """Velocities drawn from Maxwell and Boltzmann's distribution, in ASE's units, the crystal as a whole at rest."""
    masses = atoms.get_masses()[:, None]
    momenta = rng.normal(size=(len(atoms), 3)) * np.sqrt(masses * KB_EV_K * temperature_k)
    return np.asarray((momenta - momenta.sum(axis=0) * masses / masses.sum()) / masses)


def diffusivity(
    frames: Sequence[Atoms], ion: str, settings: DynamicsSettings, shortest_hop_a: float, longest_hop_a: float
) -> Diffusivity:
    """The self-diffusivity of an ion from the frames of a run, its distribution by kinisi (10.1021/acs.jctc.4c01249).

    Hops are counted by the shortest distance of sites; the bound where there are too few takes each for the longest
    one that a path through the crystal needs.

    Raises
    ------
    MissingExtraError
        Without kinisi.
    """
    _require_kinisi()
    every_ps = settings.every * settings.timestep_fs / 1000
    kept = list(frames)[round(settings.settle_ps / every_ps) :]
    paths = unwrapped(kept, ion)
    hops = count_hops(paths, HOP_SHARE * shortest_hop_a, max(1, round(SMOOTHED_PS / every_ps)))
    msd = float(((paths[-1] - paths[0]) ** 2).sum(axis=1).mean())
    length_ps = (len(kept) - 1) * every_ps
    moved = framework_displacement(kept, ion)
    below = _most_likely_below(hops) * longest_hop_a**2 / (6 * paths.shape[1] * length_ps) * CM2_S_PER_A2_PS
    known = hops >= FEWEST_HOPS and moved < MELTED_A
    samples = _posterior(kept, ion, settings, length_ps) if known else np.array([])
    return Diffusivity(hops, msd, samples, below, moved)


def framework_displacement(frames: Sequence[Atoms], ion: str) -> float:
    """How far the element that moved least, the ion apart, has come in angstrom (root mean square); 0 without others.

    The least, because groups may turn about an atom that stays.
    """
    others = [symbol for symbol in dict.fromkeys(frames[0].symbols) if symbol != ion]
    coords = _without_drift(frames, ion)
    moved = (coords[-max(1, len(coords) // 20) :].mean(axis=0) - coords[0]) @ frames[0].cell.array
    squares = (moved**2).sum(axis=1)
    return float(np.sqrt(min((squares[frames[0].symbols == symbol].mean() for symbol in others), default=0.0)))


def unwrapped(frames: Sequence[Atoms], ion: str) -> Floats:
    """Positions of the ions, (frames, ions, 3) in angstrom, without jumps over borders and drift of the rest."""
    ions = frames[0].symbols == ion
    return np.asarray(_without_drift(frames, ion)[:, ions] @ frames[0].cell.array, dtype=float)


def _without_drift(frames: Sequence[Atoms], ion: str) -> Floats:
    """Fractional coordinates of all atoms, continuous over borders, with all but the ions at rest as a whole."""
    coords = np.array([frame.get_scaled_positions(wrap=False) for frame in frames])
    steps = np.diff(coords, axis=0)
    coords = coords[0] + np.concatenate((np.zeros_like(coords[:1]), np.cumsum(steps - np.rint(steps), axis=0)))
    others = ~(frames[0].symbols == ion)
    if others.any():
        rest = np.average(coords[:, others], axis=1, weights=frames[0].get_masses()[others])
        coords = coords - (rest - rest[0])[:, None]
    return np.asarray(coords, dtype=float)


def count_hops(paths: Floats, far_a: float, window: int) -> int:
    """How often an ion has come farther than a distance from where it was, its vibrations averaged out."""
    kernel = np.ones(window) / window
    smooth = np.apply_along_axis(lambda x: np.convolve(x, kernel, mode="valid"), 0, paths)
    here, hops = smooth[0].copy(), 0
    for now in smooth[1:]:
        gone = np.linalg.norm(now - here, axis=1) > far_a
        hops += int(gone.sum())
        here[gone] = now[gone]
    return hops


def conductivity_s_cm(diffusivity_cm2_s: Floats, n_ions: int, charge: int, volume_a3: float, t_k: float) -> Floats:
    """Ionic conductivity in S/cm by the Nernst-Einstein equation: ions that move one by one, Haven ratio 1."""
    per_cm3 = n_ions / (volume_a3 * 1e-24)
    return np.asarray(per_cm3 * charge**2 * E_C * diffusivity_cm2_s / (KB_EV_K * t_k))


class Arrhenius(NamedTuple):
    """Activation energies (eV) and conductivities at room temperature (S/cm), (n,) each, of the draws."""

    energies_ev: Floats
    sigma_25c_s_cm: Floats


def arrhenius(
    samples: Mapping[float, Floats], n_ions: int, charge: int, volume_a3: float, *, draws: int = 2000, seed: int = 0
) -> Arrhenius:
    """Fit ln D against 1/T, weighted by the spread of each, for draws from the distributions of the diffusivities.

    Raises
    ------
    MigrationError
        With fewer than two temperatures.
    """
    if len(samples) < 2:
        raise MigrationError(
            "an activation energy needs diffusivities at two temperatures",
            why=f"there are {len(samples)}",
            fix="Run longer or hotter.",
            kind="TooFewHops",
        )
    rng = np.random.default_rng(seed)
    temperatures = np.array(sorted(samples))
    logs = np.array([rng.choice(np.log(samples[t]), draws) for t in temperatures])
    spread = np.maximum(logs.std(axis=1), 1e-6)
    slope, intercept = np.polyfit(1 / temperatures, logs, 1, w=1 / spread)
    at_room = np.exp(intercept + slope / ROOM_K)
    return Arrhenius(-slope * KB_EV_K, conductivity_s_cm(at_room, n_ions, charge, volume_a3, ROOM_K))


def dynamics_campaign(
    crystals: Sequence[Crystal],
    ion: str,
    engine: Engine,
    folder: Path,
    settings: DynamicsSettings | None = None,
    *,
    progress: Callable[[int], None] | None = None,
) -> tuple[pd.DataFrame, list[Failure]]:
    """Run the molecular dynamics of many crystals into a run folder, temperature by temperature.

    Parameters
    ----------
    crystals
        With a `material_id` each of its own.
    ion
        Symbol of the mobile element.
    engine
        Source of energies and forces.
    folder
        The run folder; ``ID/md-600K-DIGEST.traj`` has the frames of a run, and is where a killed one goes on.
    settings
        The defaults unless given.
    progress
        Called with the number of atoms done since the last call.

    Returns
    -------
    tuple
        The table of ``barriers.parquet``, with the activation energies, and the failures; together one row a crystal.
        ``diffusivities.parquet`` has one row a temperature.
    """
    settings = settings or DynamicsSettings()
    _require_kinisi()
    (folder / ITEMS).mkdir(parents=True, exist_ok=True)
    source = (METHOD, ion, engine.name, sorted(engine.provenance.items()))
    known = asdict(settings)
    items = [Item.of(crystal, folder, (*source, sorted(known.items()))) for crystal in crystals]
    of_run = sorted((name, value) for name, value in known.items() if name not in ("time_ps", "temperatures_k"))

    def begun(item: Item) -> str:
        """What a run that a longer time, or another temperature, goes on from must have been made with."""
        return Item.of(item.crystal, folder, (*source, of_run)).digest

    def compute(item: Item) -> dict[str, Any]:
        return _material(item.crystal, ion, engine, settings, folder / item.name, begun(item))

    complete(items, partial(attempt, compute=compute, stage=STAGE), progress=progress)
    return collected(items, folder, {DIFFUSIVITIES: "runs"})


def _material(
    crystal: Crystal, ion: str, engine: Engine, settings: DynamicsSettings, folder: Path, digest: str
) -> dict[str, Any]:
    from ase.build import make_supercell

    start = time.perf_counter()
    primitive = primitive_cell(crystal, symprec_a=settings.symprec_a)
    shortest, longest = _hop_lengths(primitive, ion, settings)
    if settings.relax:
        primitive = relax(primitive, engine, symprec_a=settings.symprec_a)
    cell = make_supercell(primitive, settings.supercell_of(primitive))
    folder.mkdir(exist_ok=True)
    charge, n_ions, volume = mobile_charge(ion), list(cell.symbols).count(ion), float(cell.get_volume())
    rows, known = [], {}
    for temperature in settings.temperatures_k:
        file = folder / f"md-{temperature:g}K-{digest[:8]}.traj"
        run_dynamics(cell, engine, temperature, settings, file)
        found = diffusivity(_frames(file, settings), ion, settings, shortest, longest)
        if len(found.samples_cm2_s):
            known[temperature] = found.samples_cm2_s
        rows.append({"material_id": crystal.material_id, **_run_row(found, temperature, n_ions, charge, volume)})
    row: dict[str, Any] = {
        "material_id": crystal.material_id,
        "formula": crystal.formula,
        "method": METHOD,
        "engine": engine.name,
        "ion": ion,
        "hops": sum(row["hops"] for row in rows),
        "supercell_atoms": len(cell),
        "time_ps": settings.time_ps,
        "ion_charge": charge,
        **_activation(known, rows, n_ions, charge, volume),
        "seconds": time.perf_counter() - start,
    }
    return {"row": row, "runs": rows}


def _activation(
    samples: Mapping[float, Floats], runs: Sequence[Mapping[str, Any]], n_ions: int, charge: int, volume_a3: float
) -> dict[str, Any]:
    names = (
        "barrier_ev",
        "barrier_low_ev",
        "barrier_high_ev",
        "sigma_25c_s_cm",
        "sigma_25c_low_s_cm",
        "sigma_25c_high_s_cm",
    )
    try:
        fit = arrhenius(samples, n_ions, charge, volume_a3)
    except MigrationError as error:
        reasons = [f"{run['temperature_k']:g} K: {run['why']}" for run in runs if run["why"]]
        return {**dict.fromkeys(names), "why": "; ".join(reasons) or str(error)}
    values = [value for column in fit for value in (np.median(column), *np.percentile(column, INTERVAL))]
    return {**dict(zip(names, map(float, values), strict=True)), "why": ""}


def _run_row(found: Diffusivity, temperature: float, n_ions: int, charge: int, volume_a3: float) -> dict[str, Any]:
    row: dict[str, Any] = {"temperature_k": temperature, "hops": found.hops, "msd_a2": found.msd_a2}
    columns = ("diffusivity_cm2_s", "diffusivity_low_cm2_s", "diffusivity_high_cm2_s")
    if not len(found.samples_cm2_s):
        melted = found.framework_a >= MELTED_A
        why = (
            f"the crystal melts: all other atoms have moved by {found.framework_a:.1f} angstrom; run cooler"
            if melted
            else f"{found.hops} hops, fewer than {FEWEST_HOPS}: run longer or hotter"
        )
        return {
            **row,
            **dict.fromkeys(columns),
            "sigma_s_cm": None,
            "below_cm2_s": None if melted else found.below_cm2_s,
            "why": why,
        }
    middle = float(np.median(found.samples_cm2_s))
    values = (middle, *map(float, np.percentile(found.samples_cm2_s, INTERVAL)))
    sigma = float(conductivity_s_cm(np.array(middle), n_ions, charge, volume_a3, temperature))
    return {
        **row,
        **dict(zip(columns, values, strict=True)),
        "sigma_s_cm": sigma,
        "below_cm2_s": None,
        "why": "",
    }


def _posterior(frames: Sequence[Atoms], ion: str, settings: DynamicsSettings, length_ps: float) -> Floats:
    import scipp as sc
    from kinisi.analyze import DiffusionAnalyzer

    every_ps = settings.every * settings.timestep_fs / 1000
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        analyzer = DiffusionAnalyzer.from_ase(
            list(frames),
            specie=ion,
            time_step=sc.scalar(settings.timestep_fs / 1000, unit="ps"),
            step_skip=sc.scalar(settings.every, unit=sc.units.dimensionless),
            dt=sc.array(dims=["time interval"], values=_intervals(len(frames)) * every_ps, unit="ps"),
            progress=False,
        )
        analyzer.diffusion(
            sc.scalar(DIFFUSIVE_SHARE * length_ps, unit="ps"),
            progress=False,
            random_state=np.random.RandomState(settings.seed),
        )
    samples = sc.to_unit(analyzer.D, "cm2/s").values
    return np.asarray(samples[samples > 0], dtype=float)


def _intervals(frames: int) -> Ints:
    """Time intervals in frames: the time that the covariance takes grows with the cube of their number."""
    return np.unique(np.linspace(1, frames - 1, min(INTERVALS, frames - 1)).astype(int))


def _most_likely_below(hops: int) -> float:
    """The number of hops that is exceeded with 95 % confidence by no process with this many counted (Poisson)."""
    from scipy.stats import chi2

    return float(chi2.ppf(0.95, 2 * (hops + 1)) / 2)


def _hop_lengths(primitive: Atoms, ion: str, settings: DynamicsSettings) -> tuple[float, float]:
    """The shortest distance of sites in angstrom, and the longest that a path through the crystal needs."""
    from phonolyte.barriers.hops import find_hops, percolation_threshold

    for reach in REACHES_A:
        try:
            network = find_hops(primitive, ion, cutoff_a=reach, symprec_a=settings.symprec_a)
        except MigrationError:
            if reach == REACHES_A[-1]:
                raise
            continue
        lengths = {hop.name: hop.length_a for hop in network.hops}
        needed, _ = percolation_threshold(network, lengths, dict.fromkeys(network.kinds.values(), 0.0))
        if np.isfinite(needed):
            return min(lengths.values()), needed
    return min(lengths.values()), max(lengths.values())


def _frames(file: Path, settings: DynamicsSettings) -> list[Atoms]:
    from ase.io import read

    return list(read(file, index=f":{settings.steps // settings.every}"))


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


def _require_kinisi() -> None:
    if find_spec("kinisi") is None:
        raise MissingExtraError("kinisi is not installed", fix="pip install 'phonolyte[migration]'")
