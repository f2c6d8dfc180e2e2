"""Volume of a crystal from its elements and its geometry without size: the scale at which bond valences add up.

The sum of all bond valences of a crystal is that of the valences of its sites::

    sum_ij s_ij = sum_i v_i,   s_ij = exp((R_ij - x d_ij) / 0.37 A),   V / n = c x^3

with distances d in units of (V / n)^(1/3), so that the size of the given cell cancels; x follows by Newton's method.
R_ij is O'Keeffe's and Brese's length (10.1021/ja00009a002) plus a learned shift of each of both elements, v_i a learned
valence. Both have a value for the element as cation and one as anion. Site i is an anion toward j by the share
a_ij = 1 / (1 + exp((x_j - x_i) / 0.3)), x Pauling's electronegativities, and altogether by a_i, the mean of a_ij
weighted with s_ij: v_i = (1 - a_i) v_cation + a_i v_anion.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from phonolyte.arrays import Floats, Ints
from phonolyte.chemistry.elements import PROPERTIES, SYMBOLS, property_table
from phonolyte.compiling import kernel
from phonolyte.errors import StructureError
from phonolyte.features import FeatureSet
from phonolyte.features.elemental import SOFTNESS_A, bond_valence_length, elemental_table
from phonolyte.models.trees import damaged
from phonolyte.structures import Crystal
from phonolyte.structures.neighbors import Distances, bin_atoms, cell_volume, list_distances, list_pairs

REACH = 2.4
"""How far contacts reach, in units of (V / n)^(1/3); farther ones have next to no valence."""

POLARITY = 0.3
"""Difference of electronegativities over which an atom turns from cation to anion."""

RADIUS_SD_A, VALENCE_SD, NOISE = 0.158, 0.474, 0.03
"""Prior deviations of a shift (angstrom) and of the logarithm of a valence; unexplained deviation of ln V."""

OUTLIER = 2.0
"""Residuals beyond so many times the median one count less (Huber)."""

PREDICTED = "predicted_volume_a3"
"""Column of the predicted volume an atom."""

FIT_STEPS = 6
START_A, LONGEST_STEP_A, TOLERANCE_A, MOST_STEPS = 2.2, 0.5, 1e-7, 60

_VALENCES = {
    1: (1, 1), 2: (2, 2), 3: (3, 3), 4: (4, 4), 5: (5, 5), 6: (4, 4), 7: (3, 3), 8: (3, 2), 9: (3, 2), 10: (3, 2),
    11: (1, 1), 12: (2, 2), 13: (3, 3), 14: (4, 4), 15: (5, 3), 16: (6, 2), 17: (7, 1), 18: (2, 2),
}  # fmt: skip
"""Valences of a group as cation and as anion, where learning starts."""


class Contacts(NamedTuple):
    """Contacts of k kinds of sites in compressed-row form, without size.

    `start` (k + 1,), `distance` (m,) in units of (V / n)^(1/3), `weight` (m,) contacts of one site at that distance,
    `partner` (m,) and `owner` (k,) slots of the contact and of the kind, `share` (k,) sites of the kind.
    """

    start: Ints
    distance: Floats
    weight: Floats
    partner: Ints
    owner: Ints
    share: Floats


def contacts_of(crystal: Crystal) -> Contacts:
    """Contacts of an ordered crystal: each site is a kind, and a slot."""
    start, distance, partner = _contacts(crystal.lattice, crystal.frac_coords)
    n = len(crystal)
    return Contacts(start, distance, np.ones(len(distance)), partner, np.arange(n), np.ones(n))


@dataclass(frozen=True, eq=False)
class VolumeModel:
    """Learned volumes.

    Attributes
    ----------
    shift_a
        (Z + 1, 2) shift of the bond valence length of each element as cation and as anion, angstrom.
    valence
        (Z + 1, 2) valence of each as cation and as anion.
    log_factor
        ln c: c corrects the volume of all crystals alike.
    """

    shift_a: Floats
    valence: Floats
    log_factor: float

    @classmethod
    def fit(cls, crystals: Sequence[Crystal]) -> Self:
        """Learn from ordered crystals, by Gauss-Newton steps with Gaussian priors around valences of the groups."""
        contacts, slots = [contacts_of(crystal) for crystal in crystals], [crystal.numbers for crystal in crystals]
        model = cls(np.zeros((len(SYMBOLS), 2)), _group_valences(), 0.0)
        target = np.log([crystal.volume_a3 / len(crystal) for crystal in crystals])
        for _ in range(FIT_STEPS):
            model = model._step(contacts, slots, target)
        return model

    def _step(self, contacts: Sequence[Contacts], slots: Sequence[Ints], target: Floats) -> Self:
        pairs, polarity, width = self.pairs, self.polarity, 4 * len(SYMBOLS)
        lengths = np.empty(len(target))
        slope = np.ones((len(target), width + 1))
        for row, (contact, numbers) in enumerate(zip(contacts, slots, strict=True)):
            lengths[row] = _solve(contact, numbers, pairs, polarity, self.valence)
            slope[row, :-1] = _slopes(contact, numbers, lengths[row], pairs, polarity, self.valence)
        error = target - 3.0 * np.log(lengths) - self.log_factor
        typical = np.median(np.abs(error))
        weight = 1.0 / np.maximum(1.0, np.abs(error) / (OUTLIER * typical + 1e-6))
        prior = np.repeat([RADIUS_SD_A**-2.0, VALENCE_SD**-2.0, 0.0], [width // 2, width // 2, 1]) * NOISE**2
        prior[-1] = 1e-8
        old = np.concatenate(
            [self.shift_a.ravel(), np.log(self.valence / _group_valences()).ravel(), [self.log_factor]]
        )
        weighted = slope * weight[:, None]
        new = np.linalg.solve(weighted.T @ slope + np.diag(prior), weighted.T @ (error + slope @ old))
        shift, valence = new[:-1].reshape(2, -1, 2)
        return type(self)(shift, _group_valences() * np.exp(valence), float(new[-1]))

    @cached_property
    def pairs(self) -> Floats:
        """Bond valence length of each pair of elements, (Z + 1, Z + 1), angstrom; NaN where there is no data."""
        shift = self.shift_a[:, :1] * (1.0 - self.polarity) + self.shift_a[:, 1:] * self.polarity
        return np.asarray(_lengths(elemental_table()) + shift + shift.T)

    @cached_property
    def polarity(self) -> Floats:
        """Share by which the first of a pair is the anion, (Z + 1, Z + 1); one without electronegativity never is."""
        electronegativity = np.nan_to_num(elemental_table()[:, 4])
        return np.asarray(1.0 / (1.0 + np.exp(-(electronegativity[:, None] - electronegativity) / POLARITY)))

    def volume_a3(self, crystal: Crystal) -> float:
        """Volume an atom of an ordered crystal, cubic angstrom; NaN for elements without data."""
        length = _solve(contacts_of(crystal), crystal.numbers, self.pairs, self.polarity, self.valence)
        return math.exp(self.log_factor) * float(length) ** 3

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything as arrays, for ``numpy.savez``."""
        return {
            "volume_shift_a": self.shift_a,
            "volume_valence": self.valence,
            "volume_log_factor": np.array(self.log_factor),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of :meth:`arrays`.

        Raises
        ------
        ModelError
            When one is missing, of another type or shape, not finite, or a valence is not positive.
        """
        shapes = {"volume_shift_a": (len(SYMBOLS), 2), "volume_valence": (len(SYMBOLS), 2), "volume_log_factor": ()}
        for name, shape in shapes.items():
            array = arrays.get(name)
            if array is None or array.dtype.kind != "f" or array.shape != shape or not np.isfinite(array).all():
                raise damaged(f"the {name.replace('_', ' ')}", f"it is not an array of shape {shape} of finite numbers")
        if not (arrays["volume_valence"] > 0).all():
            raise damaged("the volume valence", "a valence is not positive")
        shift, valence, factor = (arrays[name].astype(np.float64) for name in shapes)
        return cls(shift, valence, float(factor))


def scale_to_volume(crystal: Crystal, volume_a3: float) -> Crystal:
    """The crystal with another volume an atom, cubic angstrom."""
    return replace(crystal, lattice=crystal.lattice * (volume_a3 * len(crystal) / crystal.volume_a3) ** (1.0 / 3.0))


class PredictedVolume:
    """The predicted volume an atom, cubic angstrom, as a feature set of one column."""

    def __init__(self, volumes: VolumeModel) -> None:
        self.volumes = volumes

    @property
    def names(self) -> list[str]:
        """Name of the column."""
        return [PREDICTED]

    def check(self, crystal: Crystal) -> None:
        """Accept every crystal: where there is no data the column is NaN."""

    def values(self, ordered: Crystal, crystal: Crystal) -> Floats:
        """Column (1,) of one ordering of a crystal."""
        return np.array([self.volumes.volume_a3(ordered)])


class AtPredictedVolume:
    """Another feature set, of a crystal that is scaled to its predicted volume."""

    def __init__(self, volumes: VolumeModel, other: FeatureSet) -> None:
        self.volumes, self.other = volumes, other

    @property
    def names(self) -> list[str]:
        """Names of the columns, those of the other set."""
        return self.other.names

    def check(self, crystal: Crystal) -> None:
        """Refuse what the other set refuses."""
        self.other.check(crystal)

    def values(self, ordered: Crystal, crystal: Crystal) -> Floats:
        """Columns of one ordering of a crystal.

        Raises
        ------
        StructureError
            When there is no volume to predict, or the other set has no features.
        """
        volume = self.volumes.volume_a3(ordered)
        if not math.isfinite(volume):
            raise StructureError("its volume cannot be predicted", fix="Leave the compound out.", kind="NoVolume")
        return self.other.values(scale_to_volume(ordered, volume), crystal)


def _group_valences() -> Floats:
    column, number = (property_table()[:, PROPERTIES.index(name)] for name in ("Column", "Number"))
    valence = np.array([_VALENCES.get(int(group), (3, 3)) for group in np.nan_to_num(column)], dtype=float)
    valence[((number >= 57) & (number <= 71)) | (number >= 89)] = 3.0
    return valence


@kernel
def _lengths(elemental: Floats) -> Floats:
    n = len(elemental)
    values = np.full((n, n), np.nan)
    for a in range(1, n):
        for b in range(1, n):
            x, y = elemental[a], elemental[b]
            values[a, b] = bond_valence_length(x[1], x[2], y[1], y[2])
    return values


@kernel
def _contacts(lattice: Floats, frac_coords: Floats) -> Distances:
    n = len(frac_coords)
    length, reduced = (cell_volume(lattice) / n) ** (1.0 / 3.0), np.empty((3, 3))
    for i in range(3):
        for axis in range(3):
            reduced[i, axis] = lattice[i, axis] / length
    bins = bin_atoms(reduced, frac_coords)
    return list_distances(list_pairs(bins, REACH), n)


@kernel
def site_valence(valence: Floats, s: float, ds: float, a: float, da: float) -> tuple[float, float]:
    """Valence of a site, and its derivative by x, from those of its element (2,) as cation and as anion.

    `s` is the sum of its bond valences, `a` the part as anion, `ds` and `da` are their derivatives.
    """
    anion = a / max(s, 1e-300)
    value = valence[0] * (1.0 - anion) + valence[1] * anion
    return value, (valence[1] - valence[0]) * (da - anion * ds) / max(s, 1e-300)


@kernel
def newton_step(total: float, slope: float, wanted: float, wanted_slope: float) -> float:
    """Newton's step of x, angstrom, toward equal logarithms of both sums."""
    return -math.log(total / wanted) / (slope / total - wanted_slope / wanted)


@kernel
def _sums(c: Contacts, numbers: Ints, x: float, pairs: Floats, polarity: Floats, valence: Floats) -> tuple[
    float, float, float, float
]:  # fmt: skip
    """Sum of bond valences and of site valences, and their derivatives by x."""
    total = slope = wanted = wanted_slope = 0.0
    for kind in range(len(c.owner)):
        element = numbers[c.owner[kind]]
        s = ds = a = da = 0.0
        for f in range(c.start[kind], c.start[kind + 1]):
            other = numbers[c.partner[f]]
            bond = c.weight[f] * math.exp((pairs[element, other] - x * c.distance[f]) / SOFTNESS_A)
            change = -bond * c.distance[f] / SOFTNESS_A
            s += bond
            ds += change
            a += bond * polarity[element, other]
            da += change * polarity[element, other]
        v, dv = site_valence(valence[element], s, ds, a, da)
        total += c.share[kind] * s
        slope += c.share[kind] * ds
        wanted += c.share[kind] * v
        wanted_slope += c.share[kind] * dv
    return total, slope, wanted, wanted_slope


@kernel
def _solve(c: Contacts, numbers: Ints, pairs: Floats, polarity: Floats, valence: Floats) -> float:
    """Length x of the cube of an atom at which the sums agree, angstrom; NaN where it is not found."""
    x = START_A
    for _ in range(MOST_STEPS):
        total, slope, wanted, wanted_slope = _sums(c, numbers, x, pairs, polarity, valence)
        if not (total > 0.0 and wanted > 0.0):
            return np.nan
        step = newton_step(total, slope, wanted, wanted_slope)
        x = max(x + min(max(step, -LONGEST_STEP_A), LONGEST_STEP_A), 0.1)
        if abs(step) < TOLERANCE_A:
            return x
    return np.nan


@kernel
def _slopes(c: Contacts, numbers: Ints, x: float, pairs: Floats, polarity: Floats, valence: Floats) -> Floats:
    """Derivatives of ln V by shifts and by logarithms of valences, (4 (Z + 1),); that of a_i is left out."""
    total, slope, wanted, wanted_slope = _sums(c, numbers, x, pairs, polarity, valence)
    by_shift, by_valence = np.zeros((len(pairs), 2)), np.zeros((len(pairs), 2))
    for kind in range(len(c.owner)):
        element = numbers[c.owner[kind]]
        s = a = 0.0
        for f in range(c.start[kind], c.start[kind + 1]):
            other = numbers[c.partner[f]]
            bond = c.weight[f] * math.exp((pairs[element, other] - x * c.distance[f]) / SOFTNESS_A)
            s += bond
            a += bond * polarity[element, other]
        anion = a / max(s, 1e-300)
        by_shift[element, 0] += 2.0 * c.share[kind] * (s - a) / (SOFTNESS_A * total)
        by_shift[element, 1] += 2.0 * c.share[kind] * a / (SOFTNESS_A * total)
        by_valence[element, 0] -= c.share[kind] * (1.0 - anion) * valence[element, 0] / wanted
        by_valence[element, 1] -= c.share[kind] * anion * valence[element, 1] / wanted
    factor = 3.0 / (x * (wanted_slope / wanted - slope / total))
    return np.concatenate((by_shift.ravel(), by_valence.ravel())) * factor
