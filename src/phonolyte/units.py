"""Constants and unit conversions, each stated once (CODATA, through :mod:`scipy.constants`).

Inside Phonolyte phonon energies are meV, other energies eV, lengths angstrom, temperatures K, conductivities S/cm.
"""

from __future__ import annotations

from scipy import constants

KB_EV_K: float = constants.value("Boltzmann constant in eV/K")
"""Boltzmann constant, eV/K."""

E_C: float = constants.e
"""Elementary charge, C."""

VACUUM_F_CM: float = constants.epsilon_0 / 100
"""Vacuum permittivity, F/cm."""

BOHR_A: float = constants.value("Bohr radius") * 1e10
"""Bohr radius, angstrom."""

RY_EV: float = constants.value("Rydberg constant times hc in eV")
"""Rydberg energy, eV."""

KBAR_EV_A3: float = 1e8 * 1e-30 / constants.e
"""One kbar in eV/angstrom^3."""

GPA_PER_EV_A3 = 0.1 / KBAR_EV_A3
"""One eV/angstrom^3 in GPa."""

G_CM3_PER_DALTON_A3: float = constants.value("atomic mass constant") * 1e27
"""Density of one dalton in a cubic angstrom, g/cm^3."""

KJ_MOL_PER_EV: float = constants.e * constants.N_A / 1e3
"""One eV for each of a mole of formula units, kJ/mol."""

MEV_PER_THZ: float = constants.h * 1e12 / constants.e * 1e3
"""Energy of a phonon of 1 THz, meV."""

MEV_PER_RAD_PS: float = constants.hbar * 1e12 / constants.e * 1e3
"""Energy of a phonon of 1 rad/ps, meV."""

MEV_PER_INVERSE_CM: float = constants.h * constants.c * 100 / constants.e * 1e3
"""Energy of a phonon of 1 cm^-1, meV."""

CM2_S_PER_A2_PS = 1e-4
"""One angstrom^2/ps in cm^2/s."""

GAS_J_MOL_K: float = constants.R
"""Gas constant, J/(mol K)."""

ZERO_C_K: float = constants.zero_Celsius
"""0 degrees Celsius, K."""

ROOM_K = ZERO_C_K + 25.0
"""The one room temperature of all results: 25 C, 298.15 K."""

NORMAL_95 = 1.96
"""Standard deviations about the mean within which 95 % of a normal distribution lie."""

CONDUCTOR_S_CM = 1e-4
"""Conductivity at room temperature from which on a compound counts as a conductor, S/cm."""
