"""Physical columns of a crystal: springs, masses, packing, valences and estimates of frequencies.

Unlike Magpie's attributes they have units and change with the volume. Each site has the quantities of
:data:`QUANTITIES`; columns are their mean, spread (standard deviation over mean), minimum and maximum over the sites,
and numbers of the crystal as a whole (:data:`WHOLE`). They are equal for every cell, supercell, orientation, origin
and order of one crystal.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

import numpy as np

from phonolyte.arrays import Flags, Floats, Ints
from phonolyte.chemistry.elements import require_elemental_data
from phonolyte.compiling import kernel
from phonolyte.dos.bonds import MEV
from phonolyte.errors import StructureError
from phonolyte.features.attributes import round_values
from phonolyte.features.elemental import ELEMENTAL, elemental_table
from phonolyte.features.springs import EV_PER_MDYN_A, LINDEMANN, N_QUANTITIES, REACH_A, site_quantities
from phonolyte.structures import Crystal
from phonolyte.structures.neighbors import cell_volume
from phonolyte.structures.sorting import count_elements
from phonolyte.units import G_CM3_PER_DALTON_A3, KB_EV_K

GPA_PER_MDYN_A2 = 1000.0
"""One mdyn/angstrom^2 in GPa."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A quantity of a site, or of a crystal as a whole.

    Attributes
    ----------
    name
        Name with unit.
    block
        Group of quantities that are used, or left out, together.
    equation
        Equation; i is the site, j runs over neighbors within 6.5 angstrom at distance d, m are masses, k springs.
    source
        DOI, or citation, of the equation or of its parameters; empty where it is a definition.
    positive
        Whether it is positive in every crystal, so that models use its logarithm.
    """

    name: str
    block: str
    equation: str
    source: str
    positive: bool = True


VALENCE, BADGER, GORDY = "10.1021/ja00009a002", "10.1063/1.1749581", "10.1063/1.1724138"
HOPPE, MELTING, MOMENTS = "10.1524/zkri.1979.150.14.23", "Phys. Z. 11, 609 (1910)", "10.1088/0022-3719/5/20/004"
RADII, LATTICES = "10.1039/b801115j", "10.1093/oso/9780192670083.001.0001"
STEINHARDT = "10.1103/PhysRevB.28.784"
NONE = ""

QUANTITIES = (
    Quantity("mass_u", "masses", "m_i", NONE),
    Quantity("valence_spring_mdyn_a", "springs", "sum_j s / d^2, s = exp((R0 - d) / 0.37), 1 mdyn angstrom for s = 1",
             VALENCE),
    Quantity("badger_spring_mdyn_a", "springs", "sum_j w 1.86 / (d - d_ij)^3, w as in coordination", BADGER),
    Quantity("gordy_spring_mdyn_a", "springs", "sum_j k, k = 1.67 s (x_i x_j / d^2)^(3/4), x electronegativity",
             GORDY),
    Quantity("valence_frequency_mev", "springs", "hbar sqrt(valence_spring / m_i)", VALENCE),
    Quantity("badger_frequency_mev", "springs", "hbar sqrt(badger_spring / m_i)", BADGER),
    Quantity("gordy_frequency_mev", "springs", "hbar sqrt(gordy_spring / m_i)", GORDY),
    Quantity("bond_frequency_mev", "bonds", "hbar max_j sqrt(k (1 / m_i + 1 / m_j)), k Gordy's", GORDY),
    Quantity("quartic_frequency_mev", "moments", "hbar mu4^(1/4), mu4 = (tr D_ii^2 + sum_j tr D_ij D_ji) / 3", MOMENTS),
    Quantity("moment_frequency_mev", "moments", "hbar sqrt(mu2) (mu4 / mu2^2)^(-1/8), mu2 = tr D_ii / 3: the mean "
             "frequency of a log-normal density of squared frequencies", MOMENTS),
    Quantity("axial_frequency_mev", "moments", "hbar mean of sqrt(eigenvalues of D_ii), D_ii = sum_j k (r r^T + 0.1) / "
             "m_i, r unit vectors, k Gordy's: the Einstein frequency", GORDY),
    Quantity("soft_frequency_mev", "moments", "hbar sqrt(lowest eigenvalue of D_ii)", GORDY),
    Quantity("neighbor_frequency_mev", "neighbors", "sum_j s gordy_frequency_j / sum_j s", GORDY),
    Quantity("lindemann_frequency_mev", "elastic", "hbar sqrt(3 k_B T_m / m_i) / (0.1 bond_length), T_m melting point "
             "of the element", MELTING),
    Quantity("valence_sum_vu", "valence", "sum_j s", VALENCE),
    Quantity("valence_asymmetry", "valence", "norm of sum_j s r / sum_j s, r unit vectors", "10.1107/S0108768106026553",
             positive=False),
    Quantity("bond_strength_vu", "bonds", "sum_j s^2 / sum_j s", VALENCE),
    Quantity("coordination", "coordination", "sum_j w, w = exp(1 - (l / l_mean)^6), l = d over the sum of covalent "
             "radii, l_mean weighted with exp(1 - (l / l_min)^6)", HOPPE),
    Quantity("bond_length_a", "coordination", "sum_j w d / sum_j w", HOPPE),
    Quantity("relative_length", "coordination", "sum_j w l / sum_j w", HOPPE),
    Quantity("shortest_relative_length", "coordination", "l_min", RADII),
    Quantity("reduced_mass_u", "neighbors", "sum_j s / sum_j s (1 / m_i + 1 / m_j)", NONE),
    Quantity("neighbor_mass_u", "neighbors", "exp(sum_j s ln m_j / sum_j s)", NONE),
    Quantity("bond_polarity", "neighbors", "sum_j s |x_i - x_j| / sum_j s", VALENCE, positive=False),
    Quantity("far_share", "coordination", "sum_j (1 - min(w, 1)) k / sum_j k, k Gordy's", HOPPE, positive=False),
    Quantity("stiffness_mdyn_a", "elastic", "sum_j k d^2, k Gordy's", GORDY),
    *(Quantity(f"bond_order_{order}", "angles", f"sum_jk w_j w_k P_{order}(cos angle) / sum_jk w_j w_k, w as in "
               "coordination, P Legendre polynomials: bond-orientational order, squared", STEINHARDT, positive=False)
      for order in (2, 3, 4, 6)),
)  # fmt: skip
"""Quantities of each site, in the order of :func:`phonolyte.features.springs.site_quantities`."""

WHOLE = (
    Quantity("volume_a3", "scale", "V / n: volume an atom", NONE),
    Quantity("density_g_cm3", "scale", "mean m / volume", NONE),
    Quantity("packing", "scale", "mean 4/3 pi r^3 / volume, r covalent radii", RADII),
    Quantity("geometric_mass_u", "masses", "exp(mean ln m)", NONE),
    Quantity("harmonic_mass_u", "masses", "1 / mean (1 / m)", NONE),
    Quantity("root_mass_u", "masses", "(mean m^(-1/2))^-2: the mass that has the mean frequency of one spring", NONE),
    Quantity("bulk_modulus_gpa", "elastic", "B = sum_ij k d^2 / (18 V): affine, k Gordy's", LATTICES),
    Quantity("debye_frequency_mev", "elastic", "hbar (6 pi^2 n / V)^(1/3) sqrt(B / density)", LATTICES),
    Quantity("melting_frequency_mev", "elastic", "hbar sqrt(3 k_B mean T_m / mean m) / (0.1 volume^(1/3))",
             MELTING),
)  # fmt: skip
"""Quantities of the crystal as a whole."""

STATISTICS = ("mean", "spread", "min", "max")
STIFFNESS = 25
"""Place of the stiffness among the quantities."""

N_PHYSICAL = len(STATISTICS) * N_QUANTITIES + len(WHOLE)

REFERENCE = "mean_axial_frequency_mev"
"""The column that follows the band center best (correlation of the logarithms 0.98): models learn the quotient."""

NEVER_ZERO = np.array([quantity.positive for quantity in QUANTITIES])
"""Whether the spread of each quantity of a site is relative to its mean."""


def physical_names() -> list[str]:
    """Names of the columns, in order; a spread has no unit."""
    names = [f"{s}_{_bare(q.name) if s == 'spread' else q.name}" for q in QUANTITIES for s in STATISTICS]
    return names + [quantity.name for quantity in WHOLE]


def physical_blocks() -> list[str]:
    """Block of each column."""
    return [q.block for q in QUANTITIES for _ in STATISTICS] + [q.block for q in WHOLE]


def logarithmic() -> Flags:
    """Whether models use the logarithm of each column."""
    of_sites = [q.positive and s != "spread" for q in QUANTITIES for s in STATISTICS]
    return np.array(of_sites + [q.positive for q in WHOLE])


def _bare(name: str) -> str:
    for unit in ("_mdyn_a", "_mev", "_vu", "_a", "_u"):
        if name.endswith(unit):
            return name.removesuffix(unit)
    return name


@kernel
def physical_values(
    lattice: Floats, frac_coords: Floats, numbers: Ints, elemental: Floats, never_zero: Flags
) -> Floats:
    """All columns of one ordered crystal, (N_PHYSICAL,), in the order of :func:`physical_names`.

    Parameters
    ----------
    lattice, frac_coords, numbers
        (3, 3) angstrom, (n, 3) and (n,) atomic numbers.
    elemental
        What :func:`phonolyte.features.elemental.elemental_table` gives.
    never_zero
        (N_QUANTITIES,) whether the spread of a quantity is relative to its mean.
    """
    elements, _, counts = count_elements(numbers)
    sites = site_quantities(lattice, frac_coords, numbers, elemental)
    values = np.empty(N_PHYSICAL)
    volume = cell_volume(lattice) / len(numbers)
    crystal_columns(sites, np.ones(len(numbers)), elemental, elements, counts, volume, never_zero, values)
    return values


@kernel
def crystal_columns(
    sites: Floats, copies: Floats, elemental: Floats, elements: Ints, counts: Ints, volume: float, never_zero: Flags,
    values: Floats,
) -> None:  # fmt: skip
    """All columns of a crystal with n atoms, into `values` (N_PHYSICAL,).

    Parameters
    ----------
    sites, copies
        (k, N_QUANTITIES) quantities of each kind of site, and (k,) how many there are of it.
    elemental
        What :func:`phonolyte.features.elemental.elemental_table` gives.
    elements, counts
        (s,) atomic numbers, and how many atoms there are of each; an element may stand there more than once.
    volume
        Volume an atom, angstrom^3.
    never_zero
        (N_QUANTITIES,) whether the spread of a quantity is relative to its mean.
    """
    n = copies.sum()
    _site_statistics(sites, copies / n, never_zero, values)
    mass = inverse_mass = root_mass = log_mass = radii = melting = 0.0
    for t in range(len(elements)):
        m, share = elemental[elements[t], 0], counts[t] / n
        mass += share * m
        inverse_mass += share / m
        root_mass += share / math.sqrt(m)
        log_mass += share * math.log(m)
        radii += share * elemental[elements[t], 3] ** 3
        melting += share * elemental[elements[t], 6]
    stiffness = values[4 * STIFFNESS]
    bulk = stiffness / (18.0 * volume)
    length = volume ** (1.0 / 3.0)
    of_cell = values[4 * N_QUANTITIES :]
    of_cell[0] = volume
    of_cell[1] = mass / volume * G_CM3_PER_DALTON_A3
    of_cell[2] = 4.0 / 3.0 * math.pi * radii / volume
    of_cell[3] = math.exp(log_mass)
    of_cell[4] = 1.0 / inverse_mass
    of_cell[5] = 1.0 / (root_mass * root_mass)
    of_cell[6] = bulk * GPA_PER_MDYN_A2
    of_cell[7] = MEV * (6.0 * math.pi**2) ** (1.0 / 3.0) / length * math.sqrt(bulk * volume / mass)
    thermal = 3.0 * KB_EV_K * melting / EV_PER_MDYN_A
    of_cell[8] = MEV * math.sqrt(thermal / mass) / (LINDEMANN * length)
    round_values(values)


@kernel
def _site_statistics(sites: Floats, weight: Floats, never_zero: Flags, values: Floats) -> None:
    """Mean, spread, minimum and maximum of quantities (k, m) of kinds of sites, into `values`; NaN stays NaN."""
    k, m = sites.shape
    mean, square = np.zeros(m), np.zeros(m)
    least, most = sites[0].copy(), sites[0].copy()
    for i in range(k):
        for q in range(m):
            x = sites[i, q]
            mean[q] += weight[i] * x
            least[q] = x if x < least[q] else least[q]
            most[q] = x if x > most[q] else most[q]
    for i in range(k):
        for q in range(m):
            difference = sites[i, q] - mean[q]
            square[q] += weight[i] * difference * difference
    for q in range(m):
        valid = mean[q] == mean[q]
        values[4 * q] = mean[q]
        values[4 * q + 1] = math.sqrt(square[q]) / (mean[q] if never_zero[q] else 1.0)
        values[4 * q + 2] = least[q] if valid else np.nan
        values[4 * q + 3] = most[q] if valid else np.nan


class _Latest(threading.local):
    """The crystal whose site quantities were computed last in a thread: several feature sets need them."""

    crystal: Crystal | None = None
    sites: Floats


_LATEST = _Latest()


def quantities_of_sites(crystal: Crystal) -> Floats:
    """Quantities (n, N_QUANTITIES) of each site of an ordered crystal; NaN of a site without neighbors."""
    if _LATEST.crystal is not crystal:
        _LATEST.sites = site_quantities(crystal.lattice, crystal.frac_coords, crystal.numbers, elemental_table())
        _LATEST.crystal = crystal
    return _LATEST.sites


def require_springs(crystal: Crystal) -> None:
    """Refuse a crystal with an element that lacks elemental data.

    Raises
    ------
    StructureError
        Names the element.
    """
    require_elemental_data(crystal.numbers, elemental_table(), ELEMENTAL, fix="Leave the compound out.")


class Physical:
    """The physical columns as a feature set."""

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return physical_names()

    def check(self, crystal: Crystal) -> None:
        """Refuse a crystal with an element that lacks elemental data.

        Raises
        ------
        StructureError
            Names the element.
        """
        require_springs(crystal)

    def values(self, ordered: Crystal, crystal: Crystal) -> Floats:
        """Columns (N_PHYSICAL,) of one ordering of a crystal.

        Raises
        ------
        StructureError
            When an atom has no neighbors.
        """
        elements, counts = np.unique(ordered.numbers, return_counts=True)
        sites, volume = quantities_of_sites(ordered), ordered.volume_a3 / len(ordered)
        row: Floats = np.empty(N_PHYSICAL)
        crystal_columns(sites, np.ones(len(sites)), elemental_table(), elements, counts, volume, NEVER_ZERO, row)
        if not np.isfinite(row).all():
            raise StructureError(
                "an atom has no neighbors",
                why=f"none is within {REACH_A} angstrom",
                fix="Check the lengths of the cell.",
                kind="IsolatedAtom",
            )
        return row
