"""How often circuits and conductivities are recovered from synthetic noisy spectra, and intervals contain the truth.

Usage: python benchmarks/spectra.py [N [SEED]]
       python benchmarks/spectra.py merged [N [SEED]]

N (default: 500) random circuits, *plain*: one arc, two arcs, with and without blocking electrodes, 40 to 70 points
from 1 MHz to 0.1 Hz, noise of 0.1 to 2 % of the modulus on both parts. Arcs of a spectrum are at least a decade apart
in time, and within the frequencies. Then a tenth of N of each hard kind:

- leads: a resistor and an inductor in series, resistances of 10 to 1000 ohm, as good conductors have them
- overlapping: two arcs 0.3 to 1 decade apart in time, blocking electrodes
- cut: two arcs, the last frequency 0.3 to 3 times that of the slower arc's peak
- warburg: one or two arcs and a Warburg tail
- outliers: two arcs, blocking electrodes, one to three points off by 10 to 30 %

With "merged" instead a fifth of N for each factor of MERGED between the time constants of two arcs, with and without
blocking electrodes: how often one depressed arc is chosen for them, and how often the intervals of bulk, grain
boundaries and total contain the truth, the total in all spectra, the others by the circuit that was chosen.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections import Counter, defaultdict
from typing import Any

import numpy as np
from record import keep

from phonolyte.impedance import Analysis, Fit, Spectrum, analyze_spectrum, fit_circuit, list_resistances
from phonolyte.impedance.circuits import parse_circuit

PLAIN = ("p(R1,CPE1)", "p(R1,CPE1)-CPE0", "p(R1,CPE1)-p(R2,CPE2)", "p(R1,CPE1)-p(R2,CPE2)-CPE0")
LEADS = ("L0-R0-p(R1,CPE1)-CPE0", "L0-R0-p(R1,CPE1)-p(R2,CPE2)-CPE0")
WARBURG = ("p(R1,CPE1)-W0", "p(R1,CPE1)-p(R2,CPE2)-W0")
MERGED = (3, 10, 30)
HARD = ("leads", "overlapping", "cut", "warburg", "outliers")

Values = dict[str, float]


def main(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    kinds = {"plain": Score(), **{kind: Score() for kind in HARD}}
    for number in range(n):
        circuit = PLAIN[number % len(PLAIN)]
        kinds["plain"].add(
            circuit, *simulate(circuit, draw_parameters(circuit, rng), draw_frequencies(rng), rng), every=True
        )
    for kind in HARD:
        for number in range(n // 10):
            kinds[kind].add(*simulate_hard(kind, number, rng), every=False)
    plain = kinds["plain"]
    seconds = [value for score in kinds.values() for value in score.seconds]
    cpu = [value for score in kinds.values() for value in score.cpu]
    keep(
        "spectra" if seed == 0 else f"spectra-seed-{seed}",
        {
            "n": n,
            "seed": seed,
            "seconds_median": round(float(np.median(seconds)), 3),
            "seconds_95": round(float(np.quantile(seconds, 0.95)), 3),
            "cpu_seconds_median": round(float(np.median(cpu)), 3),
            "cpu_seconds_95": round(float(np.quantile(cpu, 0.95)), 3),
            "load": round(os.getloadavg()[0], 1),
            "right_circuit": {name: f"{plain.right[name]} of {plain.n[name]}" for name in PLAIN},
            "chosen": dict(plain.chosen.most_common()),
            "inside_95_percent_interval": {
                key: round(plain.inside[key] / plain.tested[key], 3) for key in plain.tested
            },
            "total_resistance_error": plain.errors,
            "kramers_kronig": dict(plain.verdicts),
            "hard": {kind: kinds[kind].summary for kind in HARD},
        },
    )


def main_merged(n: int, seed: int) -> None:
    """Score spectra of two arcs near each other in time."""
    merged = {factor: Merged() for factor in MERGED}
    for factor, score in merged.items():
        rng = np.random.default_rng((seed, factor))
        for number in range(n // 5):
            circuit = PLAIN[2 + number % 2]
            values = draw_parameters(circuit, rng, apart=(np.log10(factor), np.log10(factor)))
            score.add(*simulate(circuit, values, draw_frequencies(rng), rng))
    summaries = {f"factor {factor}": merged[factor].summary for factor in MERGED}
    keep("spectra_merged" if seed == 0 else f"spectra_merged-seed-{seed}", {"n": n // 5, "seed": seed, **summaries})


class Score:
    """Counts and errors over the spectra of one kind."""

    def __init__(self) -> None:
        self.n, self.right, self.chosen, self.verdicts = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
        self.inside, self.tested = Counter[str](), Counter[str]()
        self.log_errors: list[float] = []
        self.seconds: list[float] = []
        self.cpu: list[float] = []
        self.arcs = self.bounds = self.open = 0

    def add(self, circuit: str, spectrum: Spectrum, values: Values, *, every: bool) -> None:
        start, cpu = time.perf_counter(), time.process_time()
        analysis = analyze_spectrum(spectrum)
        self.seconds.append(time.perf_counter() - start)
        self.cpu.append(time.process_time() - cpu)
        self.n[circuit] += 1
        self.chosen[analysis.fit.circuit] += 1
        self.right[circuit] += analysis.fit.circuit == circuit
        self.arcs += len(parse_circuit(analysis.fit.circuit).arcs) == len(parse_circuit(circuit).arcs)
        self.verdicts[analysis.test.verdict] += 1
        self.count_total(analysis, sum(value for name, value in values.items() if re.fullmatch(r"R\d+", name)))
        if every:
            self.count_parameters(circuit, spectrum, values, analysis)

    def count_total(self, analysis: Analysis, true: float) -> None:
        total = {
            resistance.process: resistance for resistance in list_resistances(analysis.fit, rivals=analysis.tried)
        }["total"]
        self.log_errors.append(abs(float(np.log(total.ohm / true))))
        self.tested["total, circuit chosen"] += 1
        self.inside["total, circuit chosen"] += total.low_ohm <= true <= total.high_ohm
        if not analysis.intercept.complete:
            self.open += 1
            self.bounds += analysis.intercept.ohm <= true

    def count_parameters(self, circuit: str, spectrum: Spectrum, values: Values, analysis: Analysis) -> None:
        fit = analysis.fit if analysis.fit.circuit == circuit else fit_circuit(spectrum, circuit)
        names = parse_circuit(circuit).names
        for name, fitted_name in zip(names, align_names(fit, names), strict=True):
            kind = re.sub(r"\d", "", name.replace("_0", " Q").replace("_1", " alpha"))
            index = fit.names.index(fitted_name)
            self.tested[kind] += 1
            self.inside[kind] += fit.low[index] <= values[name] <= fit.high[index]

    @property
    def errors(self) -> Values:
        return {
            "median": round(float(np.median(self.log_errors)), 4),
            "95%": round(float(np.quantile(self.log_errors, 0.95)), 4),
        }

    @property
    def summary(self) -> dict[str, Any]:
        n, key = sum(self.n.values()), "total, circuit chosen"
        record: dict[str, Any] = {
            "right_circuit": f"{sum(self.right.values())} of {n}",
            "right_number_of_arcs": f"{self.arcs} of {n}",
            "total_inside_95_percent_interval": round(self.inside[key] / n, 3),
            "total_resistance_error": self.errors,
            "kramers_kronig": dict(self.verdicts),
        }
        if self.open:
            record["resistance_at_least"] = f"{self.open} have a lower bound, {self.bounds} of them rightly"
        return record


class Merged:
    """Counts over spectra of two arcs whose time constants are near each other."""

    def __init__(self) -> None:
        self.chosen: Counter[int] = Counter()
        self.inside: dict[tuple[str, int], list[bool]] = defaultdict(list)

    def add(self, spectrum: Spectrum, values: Values) -> None:
        analysis = analyze_spectrum(spectrum)
        arcs = len(parse_circuit(analysis.fit.circuit).arcs)
        self.chosen[arcs] += 1
        true = {"bulk": values["R1"], "grain_boundary": values["R2"], "total": values["R1"] + values["R2"]}
        for resistance in list_resistances(analysis.fit, rivals=analysis.tried):
            if resistance.process in true:
                self.inside[resistance.process, arcs].append(
                    resistance.low_ohm <= true[resistance.process] <= resistance.high_ohm
                )

    @property
    def summary(self) -> dict[str, Any]:
        def count(process: str, arcs: tuple[int, ...]) -> str:
            flags = [inside for number in arcs for inside in self.inside[process, number]]
            return f"{sum(flags)} of {len(flags)}"

        counts = tuple(sorted(self.chosen))
        return {
            "one_depressed_arc_chosen": f"{self.chosen[1]} of {sum(self.chosen.values())}",
            "total_inside": count("total", counts),
            "two_arcs_bulk_inside": count("bulk", (2,)),
            "two_arcs_grain_boundary_inside": count("grain_boundary", (2,)),
            "one_arc_bulk_inside": count("bulk", (1,)),
        }


def simulate_hard(kind: str, number: int, rng: np.random.Generator) -> tuple[str, Spectrum, Values]:
    """Simulate a spectrum of a hard kind, and return its circuit, the spectrum and its parameters."""
    f = draw_frequencies(rng)
    if kind == "leads":
        circuit = LEADS[number % len(LEADS)]
        values = draw_parameters(circuit, rng, ohm=(1, 3))
        return circuit, *simulate(circuit, values, f, rng)
    if kind == "warburg":
        circuit = WARBURG[number % len(WARBURG)]
        return circuit, *simulate(circuit, draw_parameters(circuit, rng), f, rng)
    circuit = PLAIN[2] if kind == "cut" else PLAIN[3]
    values = draw_parameters(circuit, rng, apart=(0.3, 1.0) if kind == "overlapping" else (1.0, 2.5))
    if kind == "cut":
        tau = (values["CPE2_0"] * values["R2"]) ** (1 / values["CPE2_1"])
        last = 10 ** rng.uniform(np.log10(0.3), np.log10(3)) / (2 * np.pi * tau)
        f = np.logspace(6, np.log10(last), len(f))
    spectrum, values = simulate(circuit, values, f, rng)
    if kind == "outliers":
        z = spectrum.impedance_ohm.copy()
        points = rng.choice(len(z), size=int(rng.integers(1, 4)), replace=False)
        z[points] *= 1 + rng.uniform(0.1, 0.3, len(points)) * np.exp(2j * np.pi * rng.random(len(points)))
        spectrum = Spectrum.from_arrays(spectrum.name, spectrum.frequency_hz, z)
    return circuit, spectrum, values


def simulate(circuit: str, values: Values, f: np.ndarray, rng: np.random.Generator) -> tuple[Spectrum, Values]:
    """Simulate a spectrum with noise, and return it with its parameters."""
    parsed = parse_circuit(circuit)
    noise = 10 ** rng.uniform(-3, np.log10(0.02))
    z = parsed.impedance_ohm([values[name] for name in parsed.names], f)
    z = z + np.abs(z) * noise * (rng.normal(size=len(f)) + 1j * rng.normal(size=len(f)))
    return Spectrum.from_arrays(circuit, f, z), values


def draw_frequencies(rng: np.random.Generator) -> np.ndarray:
    return np.logspace(6, -1, int(rng.integers(40, 71)))


def draw_parameters(
    circuit: str,
    rng: np.random.Generator,
    *,
    ohm: tuple[float, float] = (3, 6),
    apart: tuple[float, float] = (1.0, 2.5),
) -> Values:
    """Draw parameters; ranges are of the logarithm of a resistance, and of decades of time between arcs."""
    values: Values = {}
    tau = 10 ** rng.uniform(-6.0, -4.5)
    for number in re.findall(r"p\(R(\d+)", circuit):
        r, alpha = 10 ** rng.uniform(*ohm), rng.uniform(0.75, 1.0)
        values |= {f"R{number}": r, f"CPE{number}_0": tau**alpha / r, f"CPE{number}_1": alpha}
        tau *= 10 ** rng.uniform(*apart)
        if number == "1":
            first = r
    if "R2" in values:  # a second arc that can be seen beside the first
        r, alpha = first * 10 ** rng.uniform(-0.7, 0.7), values["CPE2_1"]
        values |= {"CPE2_0": values["CPE2_0"] * values["R2"] / r, "R2": r}
    if "R0" in circuit:
        values |= {"R0": first * 10 ** rng.uniform(-1, 0), "L0": 10 ** rng.uniform(-7, -6)}
    total = sum(value for name, value in values.items() if re.fullmatch(r"R\d+", name))
    if "CPE0" in circuit:
        alpha = rng.uniform(0.6, 0.95)
        values |= {"CPE0_0": 1 / (total * (2 * np.pi * 10 ** rng.uniform(-1, 1)) ** alpha), "CPE0_1": alpha}
    if "W0" in circuit:
        values["W0"] = total * np.sqrt(2 * np.pi * 10 ** rng.uniform(-1, 1))
    return values


def align_names(fit: Fit, names: tuple[str, ...]) -> list[str]:
    """Return the names in the fit for the true ones: the fastest arc is the first."""
    order = [name[1:] for name, _, _ in fit.arcs]
    return [re.sub(r"(R|CPE)([12])", lambda m: m.group(1) + order[int(m.group(2)) - 1], name) for name in names]


if __name__ == "__main__":
    arguments = sys.argv[1:]
    run, arguments = (main_merged, arguments[1:]) if arguments[:1] == ["merged"] else (main, arguments)
    run(*(int(argument) for argument in [*arguments, *("500", "0")[len(arguments) :]]))
