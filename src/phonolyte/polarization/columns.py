"""Columns of the tables of polarizations, as the registry describes them."""

from __future__ import annotations

import phonolyte.impedance.columns  # noqa: F401 (registers those that both have)
from phonolyte.columns import Column, register

LOW, HIGH = "Lower end of the 95 % interval.", "Upper end of the 95 % interval."
BOUND = "Upper end of the 95 % interval, or the upper bound."
R_BOUND, SIGMA_BOUND = ("≥", "resistance_electronic_low_ohm"), ("≤", "sigma_electronic_high_s_cm")

register(
    Column("sample", "sample", kind="text", hint="Name of the sample: its files without their voltages."),
    Column("measurement", "row", shown=False, hint="Row of electronic.csv, from 1, that the voltage belongs to."),
    Column("curve", "curve", kind="text", hint="Name of the polarization curve: its file, with a number from 2 on."),
    Column("voltage_v", "V", "V", 4, hint="Voltage that is held."),
    Column("duration_s", "time", "s", 0, hint="Time for which the voltage is held."),
    Column("current_steady_ua", "I steady", "µA", -3, hint="Constant that the current decays to."),
    Column("current_steady_low_ua", "I from", "µA", -3, shown=False, hint=LOW),
    Column("current_steady_high_ua", "I to", "µA", -3, shown=False, hint=HIGH),
    Column("current_start_ua", "I start", "µA", -3, shown=False, hint="Current of the fit at time zero."),
    Column("current_end_ua", "I end", "µA", -3, shown=False, hint="Mean current of the last tenth of the time."),
    Column("tau_s", "τ", "s", -3, shown=False, hint="Slowest time constant of the decay."),
    Column("settled", "settled", kind="flag", hint="Whether the current has come to its constant."),
    Column("resistance_electronic_ohm", "R electronic", "Ω", -3, hint="Voltage over steady current, from the slope.",
           bound=R_BOUND),
    Column("resistance_electronic_low_ohm", "R from", "Ω", -3, shown=False, hint=LOW),
    Column("resistance_electronic_high_ohm", "R to", "Ω", -3, shown=False, hint=HIGH),
    Column("sigma_electronic_s_cm", "σ electronic", "S/cm", -2, hint="Electronic conductivity; empty for a bound.",
           bound=SIGMA_BOUND),
    Column("sigma_electronic_low_s_cm", "σ from", "S/cm", -2, shown=False, hint=LOW),
    Column("sigma_electronic_high_s_cm", "σ to", "S/cm", -2, shown=False, hint=BOUND),
    Column("upper_bound", "bound", kind="flag", hint="Whether only an upper bound is known."),
    Column("ohmic", "ohmic", kind="choice", hint="Whether the currents are on a line; three voltages show it."),
    Column("offset_ua", "offset", "µA", -2, shown=False, hint="Current of the line at zero voltage."),
    Column("offset_low_ua", "offset from", "µA", -2, shown=False, hint=LOW),
    Column("offset_high_ua", "offset to", "µA", -2, shown=False, hint=HIGH),
    Column("t_ion", "t ion", digits=9, hint="Ionic transference number, 1 less the electronic share.",
           bound=("≥", "t_ion_low")),
    Column("t_ion_low", "t from", digits=9, shown=False, hint="Lower end of the 95 % interval, or the lower bound."),
    Column("t_ion_high", "t to", digits=9, shown=False, hint=HIGH),
    # transference numbers
    Column("t_plus", "t+", digits=3, hint="Transference number by Bruce and Vincent; empty for a bound.",
           bound=("≤", "t_plus_high")),
    Column("t_plus_low", "t+ from", digits=3, hint=LOW),
    Column("t_plus_high", "t+ to", digits=3, hint=BOUND),
    Column("t_plus_watanabe", "t+ Watanabe", digits=3, hint="The same with the initial current of Ohm's law.",
           bound=("≤", "t_plus_watanabe_high")),
    Column("t_plus_watanabe_low", "its from", digits=3, shown=False, hint=LOW),
    Column("t_plus_watanabe_high", "its to", digits=3, shown=False, hint=HIGH),
    Column("initial_by", "I initial by", kind="choice", hint="Extrapolated to time zero, or by Ohm's law."),
    Column("current_initial_ua", "I initial", "µA", -3, hint="Initial current."),
    Column("current_initial_low_ua", "I initial from", "µA", -3, shown=False, hint=LOW),
    Column("current_initial_high_ua", "I initial to", "µA", -3, shown=False, hint=HIGH),
    Column("current_ohm_ua", "I by Ohm", "µA", -3, shown=False, hint="Voltage over all resistances before."),
    Column("interface_before_ohm", "R interfaces before", "Ω", -3, hint="Resistance of both interfaces before."),
    Column("interface_before_low_ohm", "its from", "Ω", -3, shown=False, hint=LOW),
    Column("interface_before_high_ohm", "its to", "Ω", -3, shown=False, hint=HIGH),
    Column("interface_after_ohm", "R interfaces after", "Ω", -3, hint="The same in the steady state."),
    Column("interface_after_low_ohm", "its from", "Ω", -3, shown=False, hint=LOW),
    Column("interface_after_high_ohm", "its to", "Ω", -3, shown=False, hint=HIGH),
    Column("electrolyte_before_ohm", "R electrolyte before", "Ω", -3, hint="Resistance of the electrolyte before."),
    Column("electrolyte_after_ohm", "R electrolyte after", "Ω", -3, hint="The same in the steady state."),
    Column("circuit_after", "circuit after", kind="text", shown=False, hint="Circuit of the spectrum after."),
)  # fmt: skip
