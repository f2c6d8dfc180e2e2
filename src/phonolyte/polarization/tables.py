"""Rows of the tables of polarizations: voltages, samples, and transference numbers."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from phonolyte.polarization.batch import Sample
    from phonolyte.polarization.curve import Curve
    from phonolyte.polarization.decay import Decay
    from phonolyte.polarization.transference import Transference

UA = 1e6
"""Microampere in an ampere."""


@dataclass(frozen=True, slots=True)
class CurveRow:
    """Row of ``curves.parquet``: the current at one voltage."""

    sample: str
    measurement: int
    curve: str
    temperature_k: float
    voltage_v: float
    duration_s: float
    n: int
    current_steady_ua: float
    current_steady_low_ua: float
    current_steady_high_ua: float
    current_start_ua: float
    current_end_ua: float
    tau_s: float
    settled: bool
    why: str
    notes: str


@dataclass(frozen=True, slots=True)
class ElectronicRow:
    """Row of ``electronic.parquet``: one sample at one temperature; NaN where a value is not known."""

    sample: str
    temperature_k: float
    n: int
    resistance_electronic_ohm: float
    resistance_electronic_low_ohm: float
    resistance_electronic_high_ohm: float
    sigma_electronic_s_cm: float
    sigma_electronic_low_s_cm: float
    sigma_electronic_high_s_cm: float
    upper_bound: bool
    ohmic: str
    offset_ua: float
    offset_low_ua: float
    offset_high_ua: float
    sigma_s_cm: float
    t_ion: float
    t_ion_low: float
    t_ion_high: float
    notes: str


@dataclass(frozen=True, slots=True)
class TransferenceRow:
    """Row of ``transference.parquet``: one cell."""

    curve: str
    voltage_v: float
    t_plus: float
    t_plus_low: float
    t_plus_high: float
    t_plus_watanabe: float
    t_plus_watanabe_low: float
    t_plus_watanabe_high: float
    upper_bound: bool
    why: str
    initial_by: str
    current_initial_ua: float
    current_initial_low_ua: float
    current_initial_high_ua: float
    current_ohm_ua: float
    current_steady_ua: float
    current_steady_low_ua: float
    current_steady_high_ua: float
    settled: bool
    interface_before_ohm: float
    interface_before_low_ohm: float
    interface_before_high_ohm: float
    interface_after_ohm: float
    interface_after_low_ohm: float
    interface_after_high_ohm: float
    electrolyte_before_ohm: float
    electrolyte_after_ohm: float
    circuit: str
    circuit_after: str
    notes: str


def make_curve_row(sample: str, measurement: int, curve: Curve, decay: Decay) -> CurveRow:
    """Make the row of a voltage; `measurement` is the row of its sample in ``electronic.parquet``, from 1."""
    return CurveRow(
        sample, measurement, curve.label, nan if curve.temperature_k is None else curve.temperature_k, curve.voltage_v,
        decay.duration_s, len(curve), decay.steady_a * UA, decay.low_a * UA, decay.high_a * UA, decay.start_a * UA,
        decay.end_a * UA, float(decay.taus_s[-1]) if len(decay.taus_s) else nan, decay.settled, decay.fault,
        "; ".join(curve.notes),
    )  # fmt: skip


def make_electronic_row(sample: Sample) -> ElectronicRow:
    """Make the row of a sample."""
    conductance, (middle, low, high) = sample.conductance, sample.sigma_s_cm
    ohm = conductance.ohm()
    share = sample.ionic_share
    ohmic = "not tested" if conductance.ohmic is None else "yes" if conductance.ohmic else "no"
    return ElectronicRow(
        sample.name, nan if sample.temperature_k is None else sample.temperature_k, conductance.n, *ohm, middle, low,
        high, conductance.upper_bound, ohmic, conductance.offset_a * UA, conductance.offset_low_a * UA,
        conductance.offset_high_a * UA, sample.total.sigma_s_cm if sample.total else nan, *share[:3],
        "; ".join(sample.notes),
    )  # fmt: skip


def make_transference_row(result: Transference) -> TransferenceRow:
    """Make the row of a cell."""
    old, new = result.before, result.after
    initial, steady = result.initial_a, result.steady_a
    before, after = old.interval(old.interfaces), new.interval(new.interfaces)
    return TransferenceRow(
        result.curve.label, result.curve.voltage_v, *result.t_plus, *result.t_plus_watanabe, result.upper_bound,
        result.fault, result.initial_by, initial.value * UA, initial.low * UA, initial.high * UA,
        result.ohm_a.value * UA, steady.value * UA, steady.low * UA, steady.high * UA, result.decay.settled,
        old.interface_ohm, before[0], before[1], new.interface_ohm, after[0], after[1], old.electrolyte_ohm,
        new.electrolyte_ohm, old.fit.circuit, new.fit.circuit, "; ".join(result.notes),
    )  # fmt: skip
