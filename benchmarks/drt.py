"""How well distributions of relaxation times show the arcs of synthetic spectra with noise, beside those of pyimpspec.

Usage: python benchmarks/drt.py [N [SEED]]

N (default: 60) random circuits of one and two arcs, as benchmarks/spectra.py draws them: 40 to 70 points, 1 MHz to
0.1 Hz, noise of 0.1 to 2 % of the modulus on both parts, arcs a decade apart at least. Half of them have blocking
electrodes, and a third of those leads too: chains of relaxations alone, which pyimpspec fits, are not made for these.
*number* is how often there are as many peaks as arcs; tau and resistance are those of the peak nearest to each arc.
Peaks of pyimpspec are those above 5 % of the highest, all within the frequencies, by its methods `tr-nnls` and `tr-rbf`
with their own settings; it gives no resistances of peaks. Without pyimpspec (and kvxopt for `tr-rbf`) it is left out.
Seconds are of the processor, without the fit of the circuit that gives Phonolyte the shape of what blocks.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from record import keep
from spectra import LEADS, PLAIN, Values, draw_frequencies, draw_parameters, simulate

from phonolyte.impedance import Spectrum, choose_circuit, compute_distribution

CIRCUITS = {
    "arcs": (PLAIN[0], PLAIN[2]),
    "blocked": (PLAIN[1], PLAIN[3], *LEADS[:1], PLAIN[1], PLAIN[3], *LEADS[1:]),
}
METHODS = ("tr-nnls", "tr-rbf")
LEAST_HEIGHT = 0.05

Arcs = list[tuple[float, float]]
Peaks = list[tuple[float, float, float, float]]


def main(n: int, seed: int) -> None:
    methods: dict[str, Callable[[Spectrum], Peaks]] = {"phonolyte": find_peaks}
    if find_spec("pyimpspec"):
        methods |= {f"pyimpspec {method}": make_peak_finder(method) for method in METHODS}
    else:
        print("pyimpspec is not installed: pip install pyimpspec")
    scores = {(name, kind): Score() for name in methods for kind in CIRCUITS}
    rng = np.random.default_rng(seed)
    for kind, circuits in CIRCUITS.items():
        for number in range(n // 2):
            circuit = circuits[number % len(circuits)]
            values = draw_parameters(circuit, rng, ohm=(1, 3) if "L0" in circuit else (3, 6))
            spectrum, values = simulate(circuit, values, draw_frequencies(rng), rng)
            for name, method in methods.items():
                scores[name, kind].add(method, spectrum, list_arcs(circuit, values))
    packages = ("scipy", "pyimpspec") if len(methods) > 1 else ("scipy",)
    keep(
        "drt" if seed == 0 else f"drt-seed-{seed}",
        {
            "n": n,
            "seed": seed,
            **{name: {kind: scores[name, kind].summary for kind in CIRCUITS} for name in methods},
        },
        *packages,
    )


class Score:
    """Peaks of one method compared with the true arcs."""

    def __init__(self) -> None:
        self.extra: list[int] = []
        self.tau: list[float] = []
        self.ohm: list[float] = []
        self.inside: list[bool] = []
        self.seconds: list[float] = []

    def add(self, method: Callable[[Spectrum], Peaks], spectrum: Spectrum, arcs: Arcs) -> None:
        fit = choose_circuit(spectrum)[0] if method is find_peaks else None
        start = time.process_time()
        peaks = method(spectrum, fit) if method is find_peaks else method(spectrum)
        self.seconds.append(time.process_time() - start)
        self.extra.append(len(peaks) - len(arcs))
        for tau, ohm in arcs if peaks else []:
            peak = min(peaks, key=lambda candidate: abs(np.log(candidate[0] / tau)))
            self.tau.append(abs(float(np.log10(peak[0] / tau))))
            if self.extra[-1] == 0:
                self.ohm.append(abs(float(np.log(peak[1] / ohm))))
                self.inside.append(peak[2] <= ohm <= peak[3])

    @property
    def summary(self) -> dict[str, Any]:
        extra, known = np.array(self.extra), not np.isnan(self.ohm).all()
        record: dict[str, Any] = {
            "number": f"{np.count_nonzero(extra == 0)} of {len(extra)}",
            "too_few": int(np.count_nonzero(extra < 0)),
            "too_many": int(np.count_nonzero(extra > 0)),
            "tau_error_decades": {"median": compute_median(self.tau), "90%": compute_quantile(self.tau)},
            "seconds_median": round(float(np.median(self.seconds)), 4),
        }
        if known:
            record["resistance_error"] = {"median": compute_median(self.ohm), "90%": compute_quantile(self.ohm)}
            record["resistance_inside_interval"] = round(float(np.mean(self.inside)), 3)
        return record


def compute_median(values: list[float]) -> float:
    return round(float(np.median(values)), 4)


def compute_quantile(values: list[float]) -> float:
    return round(float(np.quantile(values, 0.9)), 4)


def list_arcs(circuit: str, values: Values) -> Arcs:
    """Return relaxation time and resistance of each arc."""
    return [
        ((values[f"CPE{n}_0"] * values[f"R{n}"]) ** (1 / values[f"CPE{n}_1"]), values[f"R{n}"])
        for n in re.findall(r"p\(R(\d+)", circuit)
    ]


def find_peaks(spectrum: Spectrum, fit: Any = None) -> Peaks:
    peaks = compute_distribution(spectrum, fit).peaks
    return [(peak.tau_s, peak.resistance_ohm, peak.low_ohm, peak.high_ohm) for peak in peaks]


def make_peak_finder(method: str) -> Callable[[Spectrum], Peaks]:
    import pyimpspec

    def find(spectrum: Spectrum) -> Peaks:
        data = pyimpspec.DataSet(spectrum.frequency_hz, spectrum.impedance_ohm)
        result = pyimpspec.calculate_drt(data, method=method, num_procs=1)
        taus = np.asarray(result.get_peaks(threshold=LEAST_HEIGHT)[0], float)
        omega = 2 * np.pi * spectrum.frequency_hz
        return [(float(tau), np.nan, np.nan, np.nan) for tau in taus if 1 / omega[0] <= tau <= 1 / omega[-1]]

    return find


if __name__ == "__main__":
    main(*(int(argument) for argument in (sys.argv[1:] + ["60", "0"][len(sys.argv) - 1 :])))
