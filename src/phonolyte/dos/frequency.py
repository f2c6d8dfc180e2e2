"""Units of phonon frequencies: how files spell them, which one a comment states, and what cannot be a phonon."""

from __future__ import annotations

import re

from phonolyte.dos.density import PhononDos
from phonolyte.errors import DosError
from phonolyte.units import KB_EV_K, MEV_PER_INVERSE_CM, MEV_PER_RAD_PS, MEV_PER_THZ, RY_EV

UNITS = "THz, cm-1, meV, eV, K, Ha or rad/ps"

MEV_PER_UNIT: dict[str, float] = {
    "meV": 1.0, "THz": MEV_PER_THZ, "cm-1": MEV_PER_INVERSE_CM, "eV": 1e3, "K": 1e3 * KB_EV_K, "Ha": 2e3 * RY_EV,
    "rad/ps": MEV_PER_RAD_PS,
}  # fmt: skip
_SPELLINGS = {
    "mev": "meV", "thz": "THz", "cm-1": "cm-1", "cm^-1": "cm-1", "1/cm": "cm-1", "cm**-1": "cm-1", "ev": "eV", "k": "K",
    "kelvin": "K", "ha": "Ha", "hartree": "Ha", "rad/ps": "rad/ps", "radthz": "rad/ps",
}  # fmt: skip

HIGHEST_MEV = 550.0
"""Energy above which no phonon lies: the stretch of H2 has 545 meV."""

MOST_OVER_BONDS = 2.2
"""Most by which the highest mode exceeds the estimate from the bonds; 1.84 is the most among the 1,174 crystals of
10.1038/sdata.2018.65."""

SOFT_BONDS_MEV = 50.0
"""Estimate from the bonds below which it says little, since none may be short enough to count."""

MOST_IMAGINARY = 1.0 / 3.0
"""Share of states at negative energies above which a density of states is not one of phonons."""

FAINT = 1e-3
"""Share of its maximum below which a density is the tail of a smearing."""

_WITH_FREQUENCY = r"(thz|mev|cm\s*(?:\^|\*\*)?\s*-\s*1|1/cm|ev|kelvin|k|hartree|ha|rad\s*/\s*ps)"
_ALONE = r"(thz|mev|cm\s*(?:\^|\*\*)?\s*-\s*1|1/cm)"


def mev_per(unit: str | None, *, source: str = "the file") -> float:
    """MeV per unit of frequency.

    Raises
    ------
    DosError
        Without a unit, or for one that is not in :data:`MEV_PER_UNIT`.
    """
    if unit is None:
        raise DosError(f"{source} does not state its unit of frequency", fix=f"Give unit={UNITS}.")
    spelled = _SPELLINGS.get(re.sub(r"[\s.]", "", unit).lower())
    if spelled is None:
        raise DosError(f"unknown unit of frequency {unit!r}", fix=f"Use {UNITS}.")
    return MEV_PER_UNIT[spelled]


def find_unit(comment: str, source: str) -> str | None:
    """The unit that comments give for the frequency; one of another quantity does not count.

    Raises
    ------
    DosError
        When they name several and none stands with the frequency.
    """
    with_frequency = re.findall(rf"(?i)(?:freq\w*|energ\w*|omega|\bE)(?:\s+in)?\W{{0,3}}{_WITH_FREQUENCY}\b", comment)
    spelled = {re.sub(r"\s", "", unit).lower() for unit in with_frequency or re.findall(rf"(?i)\b{_ALONE}", comment)}
    if len({MEV_PER_UNIT[_SPELLINGS[unit]] for unit in spelled}) > 1:
        raise DosError(f"{source} names several units", why=", ".join(sorted(spelled)), fix=f"Give unit={UNITS}.")
    return next(iter(spelled), None)


def check_phonons(dos: PhononDos) -> PhononDos:
    """Return a density of states that can be one of phonons.

    Raises
    ------
    DosError
        For states above :data:`HIGHEST_MEV` or far above what the bonds of the crystal allow, which shows another unit,
        and for as many negative energies as electrons have below their Fermi level.
    """
    name = dos.material_id or "the density of states"
    highest = float(dos.energies_mev[dos.total > FAINT * dos.total.max()][-1])
    bonds = dos.highest_bond_mode_mev
    if dos.imaginary_share > MOST_IMAGINARY:
        raise DosError(
            f"{name} is not a phonon DOS",
            why=f"{dos.imaginary_share:.0%} of its states lie below zero, as those of electrons do",
            fix="Give the density of states of the phonons.",
        )
    allowed = min(HIGHEST_MEV, HIGHEST_MEV if bonds is None else MOST_OVER_BONDS * max(bonds, SOFT_BONDS_MEV))
    if highest > allowed:
        limit = "no phonon lies" if allowed == HIGHEST_MEV else "no mode of this crystal can lie"
        raise DosError(
            f"the energies of {name} have another unit",
            why=f"its states reach {highest:.0f} meV, and {limit} above {allowed:.0f} meV",
            fix=f"Give unit={UNITS}.",
        )
    return dos
