"""From the fit of a spectrum to resistances by process, and with the pellet's size to conductivities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
from scipy.optimize import brentq
from scipy.special import stdtr, stdtrit

from phonolyte.impedance.circuits import parse_circuit
from phonolyte.impedance.geometry import Geometry as Geometry
from phonolyte.impedance.problem import CONFIDENCE, RESOLVED, Fit
from phonolyte.impedance.spectrum import Spectrum

BOUNDARY_F_CM, ELECTRODE_F_CM = 3e-11, 1e-7
"""Capacitances, times thickness over area, from which on an arc is of grain boundaries, and of electrodes (Irvine,
Sinclair and West, 10.1002/adma.19900020304: grains 1e-12, grain boundaries 1e-11 to 1e-8, electrodes 1e-7 to 1e-5)."""

BEGUN = 10.0
"""A slower arc than this many times the time of the lowest frequency has not begun: it could be anything."""

LEAST_WEIGHT = 0.005
"""Odds of a circuit below which it does not count."""

ANYTHING = 10.0
"""Standard deviation of the logarithm of a resistance from which on it is not known at all: a factor of 22,000."""

NEAR_AXIS = 0.05
"""A spectrum whose last point has a smaller share of its modulus off the real axis than this has met it."""

DEEP = 2.0
"""Degrees by which a minimum of the phase must be lower than what is on either side; noise of 2 % makes one."""

CONDUCT_ELSEWISE = frozenset({"Ws", "G", "Gs", "TLMQ", "T"})
"""Elements that a direct current passes, whose resistance is none of the processes: with them there is no total."""

COVERED = ("bulk", "grain_boundary", "total")
"""Processes whose intervals cover other circuits that explain the spectrum nearly as well."""

Process = Literal["bulk", "grain_boundary", "interface", "electrode", "series", "total"]


class Resistance(NamedTuple):
    """Resistance of one process.

    Attributes
    ----------
    process
        Which one.
    ohm, low_ohm, high_ohm
        The resistance, and the ends of its 95 % interval.
    relative_std
        Standard deviation of its logarithm.
    capacitance_f
        Capacitance of its arc; NaN where it has none.
    """

    process: Process
    ohm: float
    low_ohm: float
    high_ohm: float
    relative_std: float
    capacitance_f: float

    @property
    def is_known(self) -> bool:
        """Whether the spectrum says anything of it: a capacitor alone says nothing of the resistor beside it."""
        return self.relative_std < ANYTHING


class Intercept(NamedTuple):
    """Resistance that a spectrum shows without a fit.

    Attributes
    ----------
    ohm
        Where the spectrum is nearest to the real axis after its arcs.
    complete
        Whether it comes there; else the resistance is at least this.
    frequency_hz
        Frequency of the point.
    """

    ohm: float
    complete: bool
    frequency_hz: float

    @property
    def is_resistance(self) -> bool:
        """Whether the point has a real part above zero: a capacitor alone has none."""
        return self.ohm > 0


def list_resistances(
    fit: Fit,
    constant_per_cm: float | None = None,
    *,
    boundary_f_cm: float = BOUNDARY_F_CM,
    rivals: Sequence[Fit] = (),
) -> list[Resistance]:
    """Resistances of a circuit, by process.

    Of two arcs the faster one is of the bulk, the other of grain boundaries, as long as no capacitance speaks of
    electrodes. A single arc is what its capacitance says; where that is grain boundaries, a resistor before it is the
    bulk, whose arc is too fast to be seen. The total is all but electrodes. Without the size of the pellet a
    capacitance says nothing: then arcs are bulk and grain boundaries in their order.

    Parameters
    ----------
    fit
        Fit of a spectrum.
    constant_per_cm
        Thickness over area, where it is known.
    boundary_f_cm
        Capacitance times that, from which on a single arc is of grain boundaries.
    rivals
        Other circuits that were fitted. The intervals of the total, of the bulk and of grain boundaries cover those
        that explain the spectrum nearly as well: where it ends too early, circuits differ in what they expect beyond
        its end, and what is one depressed arc to one of them is two arcs to another.
    """
    resistances = _list_parts(fit, constant_per_cm, boundary_f_cm)
    others = [(rival, _list_parts(rival, constant_per_cm, boundary_f_cm)) for rival in rivals if _is_rival(rival, fit)]
    return [
        _cover(resistance, fit, others) if resistance.process in COVERED else resistance for resistance in resistances
    ]


def _list_parts(fit: Fit, constant_per_cm: float | None, boundary_f_cm: float) -> list[Resistance]:
    """Resistances of one circuit, the total last."""
    parts = _processes(fit, constant_per_cm, boundary_f_cm)
    resistances = [_sum(fit, [name], process, capacitance) for name, process, capacitance in parts]
    total = _total(fit, constant_per_cm, boundary_f_cm)
    return [*resistances, total] if total else resistances


def _cover(resistance: Resistance, fit: Fit, others: Sequence[tuple[Fit, Sequence[Resistance]]]) -> Resistance:
    """A resistance whose interval covers what other circuits have for the same process.

    A circuit that does not determine its resistances counts where it is the same but for the number of its arcs: then
    nothing says whether there is one arc or two.
    """
    alike = [
        (_weight(rival, fit), _bound(other))
        for rival, parts in others
        for other in parts
        if other.process == resistance.process and _counts(rival, other, fit)
    ]
    return _covering(resistance, fit.freedom, alike)


def _counts(rival: Fit, resistance: Resistance, fit: Fit) -> bool:
    """Whether what another circuit has for a process counts beside what the one that was chosen has."""
    if rival.resolved:
        return resistance.relative_std < RESOLVED
    return resistance.process != "total" and _is_same_but_arcs(rival, fit)


def _bound(resistance: Resistance) -> Resistance:
    """A resistance whose standard deviation is that of one that is resolved, at most."""
    return resistance._replace(relative_std=min(resistance.relative_std, RESOLVED))


def _is_same_but_arcs(first: Fit, second: Fit) -> bool:
    """Whether two circuits have the same elements outside their arcs."""
    alone = [
        {name for name in fit.names if name.partition("_")[0].lstrip("RCPE") not in parse_circuit(fit.circuit).arcs}
        for fit in (first, second)
    ]
    return alone[0] == alone[1]


def _total(fit: Fit, constant_per_cm: float | None, boundary_f_cm: float) -> Resistance | None:
    if list_conducting(fit):
        return None
    parts = _processes(fit, constant_per_cm, boundary_f_cm)
    ionic = [name for name, process, _ in parts if process != "electrode"]
    return _sum(fit, ionic, "total", float("nan")) if ionic else None


def list_conducting(fit: Fit) -> list[str]:
    """Return the elements of a circuit that conduct besides resistors and arcs, as ``Gs1``."""
    elements = dict.fromkeys(name.partition("_")[0] for name in fit.names)
    return [name for name in elements if name.rstrip("0123456789") in CONDUCT_ELSEWISE]


def _is_rival(rival: Fit, fit: Fit) -> bool:
    """Whether another circuit counts: its slowest arc must have begun within the spectrum, else it is a tail."""
    slowest = max((ohm * capacitance for _, ohm, capacitance in rival.arcs), default=0.0)
    return rival.circuit != fit.circuit and 2 * np.pi * rival.lowest_hz * slowest < BEGUN


def _weight(rival: Fit, fit: Fit) -> float:
    """Odds of a circuit against the one that was chosen, at most even (Kass and Raftery, 10.2307/2291091)."""
    return float(np.exp(min((fit.bic - rival.bic) / 2, 0.0)))


def _covering(resistance: Resistance, freedom: int, others: Sequence[tuple[float, Resistance]]) -> Resistance:
    """A resistance whose interval is that of the mixture of all circuits, each by its odds."""
    counted = [(weight, other) for weight, other in others if weight > LEAST_WEIGHT]
    if not counted:
        return resistance
    weights = np.array([1.0, *(weight for weight, _ in counted)])
    centers = np.log([resistance.ohm, *(other.ohm for _, other in counted)])
    spreads = np.maximum([resistance.relative_std, *(other.relative_std for _, other in counted)], 1e-9)

    def below(x: float) -> float:
        return float(weights @ stdtr(freedom, (x - centers) / spreads) / weights.sum())

    def quantile(share: float) -> float:
        far = 100 * float(spreads.max())
        return float(np.exp(brentq(lambda x: below(x) - share, centers.min() - far, centers.max() + far)))

    low, high = quantile(0.5 - CONFIDENCE / 2), quantile(0.5 + CONFIDENCE / 2)
    low, high = min(low, resistance.low_ohm), max(high, resistance.high_ohm)
    return resistance._replace(low_ohm=low, high_ohm=high, relative_std=float(np.log(high / low)) / 4)


def _processes(fit: Fit, constant_per_cm: float | None, boundary_f_cm: float) -> list[tuple[str, Process, float]]:
    """Name of a resistor, what it is of, and the capacitance beside it: arcs, then what is alone."""
    constant = constant_per_cm or 0.0
    arcs = [(name, capacitance) for name, _, capacitance in fit.arcs]
    ionic = [arc for arc in arcs if arc[1] * constant < ELECTRODE_F_CM]
    alone = [name for name in fit.names if name.startswith("R") and name not in {arc[0] for arc in arcs}]
    slow = bool(ionic) and ionic[0][1] * constant >= boundary_f_cm and (bool(alone) or len(ionic) == 1)
    order: list[Process] = ["grain_boundary"] if slow else ["bulk", "grain_boundary"]
    order += ["interface"] * len(ionic)
    processes: list[tuple[str, Process, float]]
    processes = [(name, process, capacitance) for (name, capacitance), process in zip(ionic, order, strict=False)]
    processes += [(name, "electrode", capacitance) for name, capacitance in arcs if (name, capacitance) not in ionic]
    first: Process = "bulk" if slow else "series"
    processes += [(name, first if at == 0 else "series", float("nan")) for at, name in enumerate(alone)]
    return sorted(processes, key=lambda entry: get_args(Process).index(entry[1]))


def _sum(fit: Fit, names: Sequence[str], process: Process, capacitance_f: float) -> Resistance:
    """Resistors in series, with the interval of their sum."""
    at = np.array([fit.names.index(name) for name in names], dtype=int)
    ohm = float(fit.values[at].sum())
    slope = fit.values[at] / ohm
    spread = float(np.sqrt(max(slope @ fit.covariance[np.ix_(at, at)] @ slope, 0.0)))
    wide = float(np.exp(min(stdtrit(fit.freedom, 0.5 + CONFIDENCE / 2) * spread, 50.0)))
    return Resistance(process, ohm, ohm / wide, ohm * wide, spread, capacitance_f)


def read_intercept(spectrum: Spectrum) -> Intercept:
    """Resistance without a fit: where the spectrum is nearest to the real axis between arcs and what blocks.

    That is its end, where that meets the axis; else the last minimum of the phase, unless the phase falls again
    behind it, toward an axis that is not reached. A spectrum that only rises like a blocking electrode, its arc too
    fast to be seen, has it at its beginning.
    """
    z, f = spectrum.impedance_ohm, spectrum.frequency_hz
    phase = -np.angle(z, deg=True)
    smooth = phase.copy()
    smooth[1:-1] = np.median([phase[:-2], phase[1:-1], phase[2:]], axis=0)
    lows = [
        i
        for i in range(1, len(z) - 1)
        if smooth[i] == smooth[i - 1 : i + 2].min()
        and smooth[:i].max() > smooth[i] + DEEP
        and smooth[i + 1 :].max() > smooth[i] + DEEP
    ]
    last = len(z) - 1
    falls = smooth[lows[-1] if lows else 0 :].max() > smooth[-1] + DEEP
    if smooth[-1] <= np.rad2deg(NEAR_AXIS):
        at, complete = last, True
    elif lows and not falls:
        at, complete = lows[-1], True
    elif not falls and smooth[-1] > smooth[0] + DEEP:
        at, complete = 0, True  # a tail alone
    else:
        at, complete = last, False
    return Intercept(float(z[at].real), complete, float(f[at]))
