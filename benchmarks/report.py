"""The page in headless Chromium: how fast it loads, how fast it responds, how large it is.

Usage: python benchmarks/report.py [SCREEN_RUN VIRTUAL_RUN]

Without arguments it makes both runs first: 21,755 Li structures, and the six prototypes of the study.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright
from record import SHARED, keep, time_command

from phonolyte.report import PAGE, write_report
from phonolyte.report.libraries import PLOTLY

REPEATS = 3
WAIT_MS = 240_000
FLAGS = [
    "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist",
]  # fmt: skip

ANSWER = """async ([selector, act, value]) => {
  const node = document.querySelector(selector), start = performance.now();
  if (act === 'click') node.click();
  else { node.value = value; node.dispatchEvent(new Event('input', { bubbles: true })); }
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));  // the next frame has been painted
  return performance.now() - start;
}"""


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        runs = [Path(argument) for argument in sys.argv[1:]] or _make_runs(Path(scratch))
        with sync_playwright() as playwright:
            path = shutil.which("chromium")
            browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
            measured = {name: _measure(browser, run) for name, run in zip(("screen", "virtual"), runs, strict=True)}
            measured["chromium"] = browser.version
            browser.close()
    keep("report", measured, "playwright")


def _make_runs(scratch: Path) -> list[Path]:
    data = SHARED / "data"
    screen = ["screen", str(data / "mp_li_structures.parquet"), "--properties", str(data / "mp_li_table.csv.gz")]
    for name, command in (("screen", [*screen, "--ion", "Li"]), ("virtual", ["virtual"])):
        time_command(*command, "-o", scratch / name)
    return [scratch / "screen", scratch / "virtual"]


def _measure(browser: Browser, run: Path) -> dict[str, Any]:
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        write_report(run)
        seconds.append(round(time.perf_counter() - start, 2))
    loads = [_time_load(browser, run) for _ in range(REPEATS)]
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(WAIT_MS)
    page.goto((run / PAGE).resolve().as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")
    page.click("#clear")
    rows = int(page.locator("#grid").get_attribute("aria-rowcount") or 1) - 1
    sorts = [_time_answer(page, f"#head .cell:nth-child({i}) button", "click") for i in (3, 5, 2, 5, 3)]
    searches = [_time_answer(page, "#search", "type", "sulfide"[:n]) for n in range(1, 8)]
    searches += [_time_answer(page, "#search", "type", text) for text in ("Se", "I", "1", "")]
    return {
        "rows": rows,
        "megabytes": round((run / PAGE).stat().st_size / 1e6, 2),
        "write_s": seconds,
        "table_there_s": [round(load[0], 2) for load in loads],
        "all_there_s": [round(load[1], 2) for load in loads],
        "all_there_cpu_s": [round(load[2], 2) for load in loads],
        "load_average": round(os.getloadavg()[0], 1),
        "sort_ms": _summarize(sorts),
        "search_ms": _summarize(searches),
        "plotly_js": PLOTLY.version,
    }


def _time_load(browser: Browser, run: Path) -> tuple[float, float, float]:
    """Return seconds until the table and until everything is loaded, and the processor time of the page's main thread.

    On a machine with more work than cores only the last one is comparable.
    """
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(WAIT_MS)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    start = time.perf_counter()
    page.goto((run / PAGE).resolve().as_uri(), wait_until="commit")
    page.wait_for_selector("#window .row", state="attached")
    table = time.perf_counter() - start
    page.wait_for_selector("html[data-ready]", state="attached")
    whole = time.perf_counter() - start
    metrics = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
    page.close()
    return table, whole, metrics["TaskDuration"]


def _time_answer(page: Page, selector: str, act: str, value: str = "") -> float:
    page.wait_for_timeout(600)  # the previous scatter plot is drawn
    return float(page.evaluate(ANSWER, [selector, act, value]))


def _summarize(values: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(values), 1), "most": round(max(values), 1)}


if __name__ == "__main__":
    main()
