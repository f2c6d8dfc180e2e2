"""How often the intervals of steady currents, electronic conductivities and transference numbers contain the truth.

Simulated with noise; for docs/polarization.md. Usage: python benchmarks/polarization.py [N [PART ...]]

N curves (default: 100) for each line of output; parts are currents, slopes and numbers.
"""

from __future__ import annotations

import sys

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.errors import PhonolyteError
from phonolyte.impedance import Spectrum, analyze_spectrum
from phonolyte.polarization import Curve, bruce_vincent, fit_conductance, fit_decay, measure_transference

LENGTHS, NOISES = (8.0, 5.0, 3.5, 1.5), (0.002, 0.02)
"""Duration of a hold in slowest time constants, and noise of a point as a share of the steady current."""


def diffuse(t: Floats) -> Floats:
    """Compute the current of a mixed conductor between blocking electrodes from its diffusion equation."""
    total: Floats = 1 + 2 * sum(np.exp(-(n**2) * (t + 0.003)) for n in range(1, 60))
    return total


SHAPES = {"one exponential": lambda t: 1 + 3 * np.exp(-t), "diffusion": diffuse,
          "two exponentials": lambda t: 1 + 2 * np.exp(-10 * t) + np.exp(-t)}  # fmt: skip


def count_currents(n: int, rng: np.random.Generator) -> None:
    for name, shape in SHAPES.items():
        for length in LENGTHS:
            for noise in NOISES:
                t = np.linspace(0, length, 1000)
                fits = [fit_decay(3600 * t, 1e-9 * (shape(t) + noise * rng.normal(size=len(t)))) for _ in range(n)]
                settled = [fit for fit in fits if fit.settled]
                held = sum(fit.low_a <= 1e-9 <= fit.high_a for fit in settled)
                width = np.mean([(fit.high_a - fit.low_a) / 2e-9 for fit in settled]) if settled else np.nan
                bound = sum(fit.bound_a >= 1e-9 for fit in fits)
                print(f"{name:17} {length:4} tau, noise {noise:.1%}: settled {len(settled)}/{n}, truth inside {held}, "
                      f"half width {width:.2%}, bound above it {bound}", flush=True)  # fmt: skip


def count_slopes(n: int, rng: np.random.Generator) -> None:
    for volts in ((0.2,), (0.1, 0.2), (0.1, 0.2, 0.3), (-0.2, -0.1, 0.1, 0.2)):
        offset = 0.0 if len(volts) == 1 else 2e-10
        held = known = 0
        for _ in range(n):
            t = np.linspace(0, 6, 600)
            decays = [fit_decay(3600 * t, 1e-8 * v * diffuse(t) + offset + 3e-11 * rng.normal(size=600)) for v in volts]
            line = fit_conductance(volts, decays)
            known += not line.upper_bound
            held += line.low_siemens <= 1e-8 <= line.high_siemens
        print(f"slope of {len(volts)} voltages: {known}/{n} known, truth inside {held}", flush=True)


def count_numbers(n: int, rng: np.random.Generator) -> None:
    f = np.logspace(6, -1, 50)
    for number, noise in ((0.2, 0.002), (0.2, 0.01), (0.8, 0.01)):
        results = [simulate_number(number, noise, f, rng) for _ in range(n)]
        measured = [result for result in results if result is not None]
        widths = [(high - low) / 2 for low, high, _, _ in measured]
        held = sum(low <= number <= high for low, high, _, _ in measured)
        other = sum(low <= number <= high for _, _, low, high in measured)
        print(f"t+ {number}, noise {noise:.1%}: {len(measured)}/{n} measured, truth inside {held}, "
              f"by Watanabe {other}, half width {np.median(widths):.3f}", flush=True)  # fmt: skip


def simulate_number(number: float, noise: float, f: Floats, rng: np.random.Generator) -> tuple[float, ...] | None:
    """Return both intervals of a transference number of a simulated cell; None where it cannot be measured."""
    volts, bulk, before, after = 0.01, 100.0, 150.0, 180.0
    initial = volts / (bulk + before)
    steady = number * initial * volts / (volts - initial * before + number * initial * after)
    assert abs(bruce_vincent(volts, initial, steady, before, after) - number) < 1e-12
    t = np.linspace(0, 8 * 7200, 2000)
    current = steady + (initial - steady) * np.exp(-t / 7200) + noise * initial * rng.normal(size=len(t))
    try:
        spectra = []
        for name, ohm in (("before", before), ("after", after)):
            z = bulk + ohm / (1 + (2j * np.pi * f * ohm * 3e-6) ** 0.9)
            z = z * (1 + noise * (rng.normal(size=len(f)) + 1j * rng.normal(size=len(f))))
            spectra.append(analyze_spectrum(Spectrum.from_arrays(name, f, z), "R0-p(R1,CPE1)"))
        result = measure_transference(Curve.from_arrays("curve", t, current, volts), *spectra)
    except PhonolyteError:
        return None
    return (*result.t_plus[1:], *result.t_plus_watanabe[1:])


PARTS = {"currents": count_currents, "slopes": count_slopes, "numbers": count_numbers}

if __name__ == "__main__":
    n_curves = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    for kind in sys.argv[2:] or PARTS:
        PARTS[kind](n_curves, np.random.default_rng(1))
