"""How often the Kramers-Kronig test doubts a clean spectrum, and how often it passes one that drifts or is not linear.

Usage: python benchmarks/kramers_kronig.py [CLEAN [FAULTY [SEED]]]

CLEAN (default: 500) random circuits of one to three arcs with exponents of 0.7 to 1.0, one arc in three an ideal
one, with and without a resistor, leads, blocking electrodes and Warburg's tail, 40 to 70 points from 1 MHz to 0.1 Hz,
noise of 0.1 to 1 % of the modulus on both parts. FAULTY (default: 200) circuits of the same kinds with one fault each:

- drift: all resistances grow or fall by 20 to 60 % in the time of the sweep, three periods and 0.3 s a point
- steady: they do so in equal steps from point to point
- step: a contact changes at a random point, and with it the impedance from there on by 10 to 50 %
- amplitude: a resistance falls with the voltage over it, by up to 20 to 60 % where all of the voltage lies there
"""

from __future__ import annotations

import re
import sys
import time
from collections import Counter

import numpy as np
from record import keep
from spectra import Values, draw_frequencies

from phonolyte.impedance import Spectrum, check_kramers_kronig
from phonolyte.impedance.circuits import parse_circuit

HEADS, TAILS = ("", "R0-", "L0-R0-"), ("", "-CPE0", "-W0")
FAULTS = ("drift", "steady", "step", "amplitude")


def main(clean: int, faulty: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    verdicts, missed, seconds = Counter[str](), Counter[str](), list[float]()
    alarms = Counter[str]()
    for _ in range(clean):
        circuit, spectrum = make_clean(rng)
        start = time.process_time()
        verdict = check_kramers_kronig(spectrum).verdict
        seconds.append(time.process_time() - start)
        verdicts[verdict] += 1
        alarms[circuit] += verdict != "good"
    for number in range(faulty):
        fault = FAULTS[number % len(FAULTS)]
        missed[fault] += check_kramers_kronig(make_faulty(fault, rng)).verdict == "good"
    n_each = len(range(0, faulty, len(FAULTS)))
    keep(
        "kramers_kronig" if seed == 0 else f"kramers_kronig-seed-{seed}",
        {
            "clean": clean,
            "faulty": faulty,
            "seed": seed,
            "cpu_seconds_median": round(float(np.median(seconds)), 4),
            "verdicts_on_clean": dict(verdicts),
            "false_alarms": round(1 - verdicts["good"] / clean, 4),
            "false_alarms_by_circuit": {name: count for name, count in alarms.most_common() if count},
            "missed": round(sum(missed.values()) / faulty, 4),
            "missed_by_fault": {fault: f"{missed[fault]} of {n_each}" for fault in FAULTS},
        },
    )


def make_circuit(rng: np.random.Generator) -> tuple[str, Values]:
    """Draw a circuit and its parameters; arcs within the frequencies, at least 0.7 decades apart in time."""
    arcs = int(rng.integers(1, 4))
    head, tail = HEADS[rng.integers(len(HEADS))], TAILS[rng.integers(len(TAILS))]
    tau, values = 10 ** rng.uniform(-6.5, -5), Values()
    for number in range(1, arcs + 1):
        r, alpha = 10 ** rng.uniform(2.5, 5), 1.0 if rng.random() < 1 / 3 else rng.uniform(0.7, 1.0)
        values |= {f"R{number}": r, f"CPE{number}_0": tau**alpha / r, f"CPE{number}_1": alpha}
        tau *= 10 ** rng.uniform(0.7, 2.0)
    total = sum(values[f"R{number}"] for number in range(1, arcs + 1))
    values |= {"R0": values["R1"] * 10 ** rng.uniform(-1.5, 0), "L0": 10 ** rng.uniform(-7, -6)}
    alpha = rng.uniform(0.7, 1.0)
    values |= {"CPE0_0": 1 / (total * (2 * np.pi * 10 ** rng.uniform(-1, 1)) ** alpha), "CPE0_1": alpha}
    values["W0"] = total * np.sqrt(2 * np.pi * 10 ** rng.uniform(-1, 1))
    return head + "-".join(f"p(R{number},CPE{number})" for number in range(1, arcs + 1)) + tail, values


def make_clean(rng: np.random.Generator) -> tuple[str, Spectrum]:
    """Draw a circuit, and simulate its spectrum with noise."""
    circuit, values = make_circuit(rng)
    f = draw_frequencies(rng)
    return circuit, add_noise(circuit, f, respond(circuit, values, f), rng)


def make_faulty(fault: str, rng: np.random.Generator) -> Spectrum:
    """Simulate the spectrum of a random circuit that has a fault."""
    circuit, values = make_circuit(rng)
    f, size = draw_frequencies(rng), rng.uniform(0.2, 0.6) * rng.choice((-1, 1))
    if fault == "step":
        size = rng.uniform(0.1, 0.5)
        jump = np.arange(len(f)) >= rng.integers(len(f) // 4, 3 * len(f) // 4)
        return add_noise(circuit, f, respond(circuit, values, f) * (1 + size * jump), rng)
    if fault == "amplitude":
        share = np.abs(respond("p(R1,CPE1)", values, f) / respond(circuit, values, f))
        scale, pattern = 1 - abs(size) * share**2, r"R1"
    else:
        elapsed = np.cumsum(3 / f + 0.3) if fault == "drift" else np.arange(len(f))
        scale, pattern = 1 + size * elapsed / elapsed[-1], r"R\d+"
    z = [
        respond(
            circuit,
            {k: v * factor if re.fullmatch(pattern, k) else v for k, v in values.items()},
            np.array([frequency]),
        )[0]
        for frequency, factor in zip(f, scale, strict=True)
    ]
    return add_noise(circuit, f, np.array(z), rng)


def respond(circuit: str, values: Values, f: np.ndarray) -> np.ndarray:
    parsed = parse_circuit(circuit)
    return parsed.impedance_ohm([values[name] for name in parsed.names], f)


def add_noise(circuit: str, f: np.ndarray, z: np.ndarray, rng: np.random.Generator) -> Spectrum:
    noise = 10 ** rng.uniform(-3, -2)
    z = z + np.abs(z) * noise * (rng.normal(size=len(f)) + 1j * rng.normal(size=len(f)))
    return Spectrum.from_arrays(circuit, f, z)


if __name__ == "__main__":
    main(*(int(argument) for argument in (sys.argv[1:] + ["500", "200", "0"][len(sys.argv) - 1 :])))
