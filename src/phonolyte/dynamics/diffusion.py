"""Diffusivity and conductivity from the frames of molecular dynamics, with honest intervals."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.dynamics.trajectory import DynamicsSettings
from phonolyte.errors import MigrationError, MissingExtraError
from phonolyte.units import CM2_S_PER_A2_PS, E_C, KB_EV_K, ROOM_K

if TYPE_CHECKING:
    from ase import Atoms

FEWEST_HOPS = 20
"""With fewer hops a diffusivity would be a guess: its interval would reach from half to twice the value."""

SMOOTHED_PS = 0.2
"""Positions are averaged over this time before hops are counted, so that vibrations are not."""

HOP_SHARE = 0.7
"""An ion has hopped when it is this share of the shortest distance between its sites away from where it was."""

MELTED_A = 1.5
"""Where every other element has moved as far as this (root mean square), the crystal has melted."""

DIFFUSIVE_SHARE = 0.1
"""Share of a run after which displacements are taken as diffusive."""

INTERVALS = 100
"""Number of time intervals over which displacements are taken."""

INTERVAL = (2.5, 97.5)
"""Percentiles of every interval."""


class Diffusivity(NamedTuple):
    """Diffusivity of the mobile ion in one run.

    Attributes
    ----------
    hops
        Counted in the run.
    msd_a2
        Mean square displacement over the whole run, angstrom^2.
    samples_cm2_s
        Samples of the posterior distribution, (n,); empty where hops are too few.
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
    require_kinisi()
    every_ps = settings.every * settings.timestep_fs / 1000
    settled = list(frames)[round(settings.settle_ps / every_ps) :]
    paths = unwrap_positions(settled, ion)
    hops = count_hops(paths, HOP_SHARE * shortest_hop_a, max(1, round(SMOOTHED_PS / every_ps)))
    msd = float(((paths[-1] - paths[0]) ** 2).sum(axis=1).mean())
    length_ps = (len(settled) - 1) * every_ps
    moved = framework_displacement(settled, ion)
    below = _most_likely_below(hops) * longest_hop_a**2 / (6 * paths.shape[1] * length_ps) * CM2_S_PER_A2_PS
    known = hops >= FEWEST_HOPS and moved < MELTED_A
    samples = _posterior(settled, ion, settings, length_ps) if known else np.array([])
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


def unwrap_positions(frames: Sequence[Atoms], ion: str) -> Floats:
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


def require_kinisi() -> None:
    """Say how to install kinisi where it is missing."""
    if find_spec("kinisi") is None:
        raise MissingExtraError("kinisi is not installed", fix="pip install 'phonolyte[migration]'")
