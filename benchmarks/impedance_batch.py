"""A batch of spectra: seconds and memory of each stage, and size and speed of its page.

Usage: python benchmarks/impedance_batch.py [N]

N (default: 500) synthetic spectra of two arcs and blocking electrodes, 60 points with 0.5 % of noise, as files of
25 pellets at 20 temperatures, read, tested and fitted with one process per core, and their page; the memory is that
of the largest process. Figures are timed on the first few. Processor time hardly depends on the other work of
the machine. The page is opened in headless Chromium.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from record import BARE, keep
from report import FLAGS, WAIT_MS

from phonolyte.impedance import analyze_spectrum, read_spectrum
from phonolyte.impedance.circuits import parse_circuit
from phonolyte.impedance.drawing import draw_spectrum
from phonolyte.report import PAGE
from phonolyte.units import KB_EV_K, ZERO_C_K

F = np.logspace(6, -1, 60)
CIRCUIT = parse_circuit("p(R1,CPE1)-p(R2,CPE2)-CPE0")
TEMPERATURES_C = np.linspace(25, 120, 20).round().astype(int)
FIGURES = 11
SIZE = ("--thickness-mm", "1", "--diameter-mm", "10")


def main(n: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder, run = Path(scratch) / "measured", Path(scratch) / "run"
        write_spectra(folder, n)
        tables = measure("impedance", folder, *SIZE, *BARE, "-o", run)
        page = measure("report", run)
        result = {
            "n": n,
            "tables": tables,
            "page": page,
            "cpu_seconds_a_spectrum": round(tables["cpu_s"] / n, 3),
            "cpu_seconds_a_figure": time_figures(folder, Path(scratch) / "figures"),
            "page_megabytes": round((run / PAGE).stat().st_size / 1e6, 2),
            "browser": open_page(run / PAGE),
            "load": round(os.getloadavg()[0], 1),
        }
    keep("impedance_batch", result, "playwright", "matplotlib")


def write_spectra(folder: Path, n: int) -> None:
    """Write files of pellets at several temperatures, with activation energies of 0.3 and 0.4 eV."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(n):
        celsius = TEMPERATURES_C[number % len(TEMPERATURES_C)]
        delta_inverse_kt = 1 / (KB_EV_K * (celsius + ZERO_C_K)) - 1 / (KB_EV_K * (25 + ZERO_C_K))
        bulk, boundary = 1e5 * np.exp(0.3 * delta_inverse_kt), 4e5 * np.exp(0.4 * delta_inverse_kt)
        spread = rng.normal(1.0, 0.05, 2)
        values = [bulk * spread[0], 1e-10, 0.92, boundary * spread[1], 1e-8, 0.85, 5e-6, 0.8]
        z = CIRCUIT.impedance_ohm(values, F)
        z = z + 0.005 * np.abs(z) * (rng.normal(size=len(F)) + 1j * rng.normal(size=len(F)))
        rows = [f"{f:.6e},{value.real:.6e},{value.imag:.6e}" for f, value in zip(F, z, strict=True)]
        path = folder / f"pellet{number // len(TEMPERATURES_C):03d}_{celsius}C.csv"
        path.write_text("\n".join(["freq (Hz),Re(Z) (ohm),Im(Z) (ohm)", *rows]) + "\n", encoding="utf-8")


def measure(*arguments: object) -> dict[str, float]:
    """Measure the seconds of a command, including the start of Python, and the memory of its largest process."""
    program, start = Path(sys.executable).with_name("phonolyte"), time.perf_counter()
    command = [sys.executable, "-c", BETWEEN, str(program), *map(str, arguments)]
    finished = subprocess.run(command, check=True, capture_output=True, text=True)
    cpu_s, peak_mb = map(float, finished.stdout.split())
    return {"cpu_s": cpu_s, "wall_s": round(time.perf_counter() - start, 1), "peak_mb": peak_mb}


BETWEEN = """
import resource, subprocess, sys
done = subprocess.run([sys.executable, *sys.argv[1:]], stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(round(used.ru_utime + used.ru_stime, 1), round(used.ru_maxrss / 1024))
sys.exit(done.returncode)
"""
"""Program whose only child is the command, so that the resources of its children are those of the command."""


def time_figures(folder: Path, out: Path) -> float:
    """Return the processor time of the PNG of a spectrum, without the first, s."""
    first, *others = (analyze_spectrum(read_spectrum(path)) for path in sorted(folder.iterdir())[:FIGURES])
    draw_spectrum(first, out, ("png",))
    start = time.process_time()
    for analysis in others:
        draw_spectrum(analysis, out, ("png",))
    return round((time.process_time() - start) / len(others), 3)


def open_page(path: Path) -> dict[str, Any]:
    """Measure seconds until the table and the whole page are loaded, and milliseconds until a card is drawn."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(WAIT_MS)
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        start = time.perf_counter()
        page.goto(path.resolve().as_uri(), wait_until="commit")
        page.wait_for_selector("#window .row", state="attached")
        table = time.perf_counter() - start
        page.wait_for_selector("html[data-ready]", state="attached")
        page_loaded = time.perf_counter() - start
        loaded = _read_processor_s(session)
        cards = [float(page.evaluate(DRAW, row)) for row in range(8)]
        drawn = _read_processor_s(session)
        timings = {
            "table_there_s": round(table, 2),
            "all_there_s": round(page_loaded, 2),
            "all_there_cpu_s": round(loaded, 2),
            "card_drawn_ms": round(float(np.median(cards))),
            "card_drawn_cpu_ms": round(1000 * (drawn - loaded) / len(cards)),
            "chromium": browser.version,
        }
        browser.close()
    return timings


def _read_processor_s(session: Any) -> float:
    """Return the processor time of the main thread of a page, s."""
    metrics = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
    return float(metrics["TaskDuration"])


DRAW = """async (row) => {
  const start = performance.now();
  document.querySelectorAll('#window .row')[row].click();
  while (!document.querySelector('#card .plots')?.data) await new Promise((done) => setTimeout(done, 5));
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  return performance.now() - start;
}"""


if __name__ == "__main__":
    main(int((sys.argv[1:] or ["500"])[0]))
