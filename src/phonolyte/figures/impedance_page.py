"""One page for a series of impedance spectra, that opens without a network."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phonolyte import __version__
from phonolyte.errors import Failure
from phonolyte.figures.impedance import NAMES, arrhenius_figure, draw
from phonolyte.figures.style import save
from phonolyte.impedance.conductivity import Geometry
from phonolyte.impedance.notes import line_notes, series_notes
from phonolyte.impedance.run import BOUNDS, Analysis, arrhenius_of, series
from phonolyte.units import ROOM_K, ZERO_C_K

if TYPE_CHECKING:
    import pandas as pd


MOST_PDF = 50
"""Spectra that are drawn as PDF too; it takes longer than the rest together."""

MOST_OPEN = 30
"""Spectra whose figures are shown at once; those of further ones open on a click."""


def write_page(
    folder: Path,
    analyses: Sequence[Analysis],
    spectra: pd.DataFrame,
    lines: pd.DataFrame,
    geometry: Geometry | None,
    failures: Sequence[Failure],
    *,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Draw all figures, and write one page that opens without a network.

    Parameters
    ----------
    folder
        Where ``impedance.html`` goes, and ``figures/``.
    analyses, failures
        What could be analysed, and what could not.
    spectra, lines
        The tables of both.
    geometry
        Of the pellet, where it is known.
    executor
        Of processes that draw; a drawing that is there from an earlier run is kept.
    progress
        Called with 1 after each spectrum.
    """
    drawn = []
    formats = ("pdf", "png") if len(analyses) <= MOST_PDF else ("png",)
    work = partial(draw, folder=folder / "figures", formats=formats)
    pictures = executor.map(work, analyses) if executor else map(work, analyses)
    for analysis, png in zip(analyses, pictures, strict=True):
        drawn.append((analysis, png))
        if progress:
            progress(1)
    parts = series(spectra)
    line = None
    if parts:
        figure = arrhenius_figure(parts, {name: arrhenius_of(part, "ln_sigma_t") for name, part in parts.items()})
        line, _ = save(figure, folder / "figures" / "arrhenius", ("png", "pdf"))
    body = [
        f"<h1>Impedance: {_count(len(analyses), len(failures))}</h1>",
        f"<div class=facts>{_words(analyses, spectra, lines, geometry, len(failures))}</div>",
    ]
    if line:
        body += ["<h2>Arrhenius</h2>", _image(line, "Conductivities against the inverse temperature", "narrow"),
                 _lines_table(lines)]  # fmt: skip
    places = {analysis.spectrum.name: f"s{number}" for number, analysis in enumerate(analyses)}
    body += ["<h2>Conductivities</h2>", _WORDS, _table(spectra, ROW_COLUMNS, places)]
    if failures:
        body += [f"<h2>Not analysed: {len(failures)}</h2>", _failed(failures)]
    body.append("<h2>Spectra</h2>")
    many = len(drawn) > MOST_OPEN
    body += [
        _section(analysis, png, f"s{number}", folded=many, shown=number < MOST_OPEN)
        for number, (analysis, png) in enumerate(drawn)
    ]
    page = folder / "impedance.html"
    page.write_text(_PAGE.format(body="\n".join(body), version=__version__), encoding="utf-8")
    return page


def _section(analysis: Analysis, png: Path, place: str, *, folded: bool, shown: bool) -> str:
    """One spectrum; its figure folds where there are many."""
    name = analysis.spectrum.name
    figure = _image(png, f"Spectrum {name}", lazy=folded)
    if folded:
        figure = f"<details{' open' if shown else ''}><summary>Figure</summary>{figure}</details>"
    notes = "".join(f"<li>{escape(note)}</li>" for note in analysis.notes)
    return (
        f'<section id="{place}"><h3>{escape(name)}</h3>{figure}'
        f"<p>Kramers-Kronig test: {analysis.test.verdict} ({analysis.test.rms:.2%} of the modulus left over). "
        f"Circuit <code>{escape(analysis.fit.circuit)}</code>, {analysis.fit.rms:.2%} left over.</p>"
        f"<ul>{notes}</ul></section>"
    )


def _failed(failures: Sequence[Failure]) -> str:
    """Files that could not be analysed, by reason."""
    reasons: dict[str, list[str]] = {}
    for one in failures:
        reasons.setdefault(_reason(one), []).append(one.material_id)
    items = (
        f"<li>{escape(reason)}<br>{', '.join(f'<b>{escape(name)}</b>' for name in names)}</li>"
        for reason, names in reasons.items()
    )
    return f"<ul>{''.join(items)}</ul>"


def _reason(failure: Failure) -> str:
    """A message without the name it begins with, so that alike ones are equal."""
    text = failure.message
    for name in (failure.source, Path(failure.source).name, failure.material_id):
        text = text.removeprefix(f"{name} ") if name else text
    return text[:1].upper() + text[1:]


ROW_COLUMNS = {
    "file": ("spectrum", ""), "temperature_k": ("T (°C)", "celsius"), "process": ("process", "word"),
    "resistance_ohm": ("R (Ω)", "g"), "resistance_low_ohm": ("95 % from", "g"), "resistance_high_ohm": ("to", "g"),
    "capacitance_f": ("C (F)", "g"), "sigma_s_cm": ("σ (S/cm)", "g"), "sigma_std_s_cm": ("± (1 std)", "g"),
    "kramers_kronig": ("KK test", "word"),
}  # fmt: skip
LINE_COLUMNS = {
    "process": ("process", "word"), "form": ("form", "word"), "regime": ("regime", "word"),
    "from_k": ("from (°C)", "celsius"), "to_k": ("to", "celsius"),
    "ea_ev": ("Ea (eV)", "f"), "ea_low_ev": ("95 % from", "f"), "ea_high_ev": ("to", "f"),
    "room_s_cm": ("σ at 25 °C (S/cm)", "g"), "room_low_s_cm": ("95 % from", "g"), "room_high_s_cm": ("to", "g"),
    "outliers": ("off the line", ""), "fault": ("no Arrhenius line, as", "text"),
}  # fmt: skip


def _words(
    analyses: Sequence[Analysis], spectra: pd.DataFrame, lines: pd.DataFrame, geometry: Geometry | None, failed: int
) -> str:
    said = [f"{_count(len(analyses), failed)}."] if failed else []
    if geometry:
        said.append(
            f"Pellet: {10 * geometry.thickness_cm:g} mm thick, electrodes of {geometry.area_cm2:.4g} cm². "
            "σ = thickness / (area × resistance)."
        )
    notes = [*series_notes(analyses, geometry), *line_notes(spectra, lines)]
    said += [f"{note[0].upper()}{note[1:]}." for note in map(escape, notes)]
    said += [
        f"{NAMES[row['process']].capitalize()}: activation energy {row['ea_ev']:.3f} eV "
        f"({row['ea_low_ev']:.3f} to {row['ea_high_ev']:.3f}), at 25 °C {_number(row['room_s_cm'])} S/cm "
        f"({_number(row['room_low_s_cm'])} to {_number(row['room_high_s_cm'])})"
        f"{'' if row['from_k'] <= ROOM_K <= row['to_k'] else ', extrapolated'}."
        for row in (lines[lines["form"] == "ln_sigma_t"].to_dict("records") if len(lines) else ())
        if not row["fault"]
    ]
    bad = [analysis.spectrum.name for analysis in analyses if analysis.test.verdict != "good"]
    if bad:
        said.append(f"The Kramers-Kronig test warns of {', '.join(map(escape, bad))}.")
    return "".join(f"<p>{sentence}</p>" for sentence in said)


def _lines_table(lines: pd.DataFrame) -> str:
    """Activation energies in both forms."""
    table = lines.assign(form=lines["form"].map({"ln_sigma_t": "ln(σT)", "ln_sigma": "ln σ"}))
    table["regime"] = table["regime"].where(table["regime"] != "1 of 1")
    for name in ("outliers", "fault"):
        table[name] = table[name].where(table[name] != "")
    return _table(table, LINE_COLUMNS)


def _table(table: pd.DataFrame, columns: Mapping[str, tuple[str, str]], places: Mapping[str, str] | None = None) -> str:
    """A table; names of spectra lead to their places on the page."""
    shown = {key: column for key, column in columns.items() if key in table and table[key].notna().any()}
    head = "".join(f"<th{_side(key, kind)}>{escape(name)}</th>" for key, (name, kind) in shown.items())
    rows, last = [], None
    for row in table.to_dict("records"):
        first, last = row.get("file") != last or last is None, row.get("file")
        cells = "".join(
            f"<td{_side(key, kind)}>{_shown(row, key, kind, places or {}) if first or key not in ONCE else ''}</td>"
            for key, (_, kind) in shown.items()
        )
        rows.append(f"<tr{' class=first' if first else ''}>{cells}</tr>")
    return f"<div class=wide><table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"


ONCE = ("file", "temperature_k", "kramers_kronig")
"""What stands in the first of the rows of a spectrum only."""


def _shown(row: Mapping[Any, Any], key: str, kind: str, places: Mapping[str, str]) -> str:
    text = escape(_bounded(row, key, kind))
    place = places.get(row[key]) if key == "file" else None
    return f'<a href="#{place}">{text}</a>' if place else text


def _side(key: str, kind: str) -> str:
    if kind == "text":
        return ' class="text long"'
    return " class=text" if kind == "word" or key in ("file", "outliers") else ""


def _bounded(row: Mapping[Any, Any], key: str, kind: str) -> str:
    text = _cell(row[key], kind)
    return BOUNDS.get(key, "") + text if text and row.get("process") == "at_least" else text


def _cell(value: Any, kind: str) -> str:
    if value is None or value != value:
        return ""
    if kind == "celsius":
        return f"{value - ZERO_C_K:.0f}"
    if kind == "f":
        return f"{value:.3f}"
    if kind == "g":
        return _number(value)
    return str(value).replace("_", " ") if kind == "word" else str(value)


def _number(value: float) -> str:
    """Three digits; powers of ten as people write them."""
    text = f"{value:#.3g}".rstrip(".") if value else "0"
    mantissa, _, power = text.partition("e")
    return f"{mantissa}\u00a0×\u00a010{str(int(power)).translate(RAISED)}" if power else text


RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _image(path: Path, text: str, style: str = "", *, lazy: bool = False) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    late = ' loading="lazy"' if lazy else ""
    return f'<img class="{style}"{late} alt="{escape(text, quote=True)}" src="data:image/png;base64,{data}">'


_WORDS = """<p>Bulk, grain boundary and electrode are arcs, told apart by their capacitance; an interface is a further
arc of less capacitance than an electrode's. The total is all but electrodes. The intercept is read off the real axis
without a fit, a check of the total; "at least" says that the spectrum ends before it meets that axis. Intervals cover
noise and the choice of a circuit, not errors of the temperature, nor those of thickness and diameter unless they were
given.</p>"""


def _count(n: int, failed: int) -> str:
    if failed:
        return f"{n} of {n + failed} files, {failed} failed"
    return f"{n} spectr{'um' if n == 1 else 'a'}"


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>Impedance</title><style>
:root {{ color-scheme: light dark; --ink: #22272e; --soft: #59636e; --paper: #fff; --line: #d9dde3;
  --wash: #f4f6f8; --mark: #0072b2; }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #e3e7ec; --soft: #9aa4af; --paper: #16191d; --line: #3a414a;
  --wash: #1f242a; --mark: #56b4e9; }} }}
body {{ font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 72rem;
  margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.7rem; line-height: 1.2; }} h2 {{ font-size: 1.25rem; margin-top: 2.5rem; }}
h3 {{ font-size: 1.05rem; margin: 1.2rem 0 .3rem; overflow-wrap: anywhere; }}
img {{ max-width: 100%; height: auto; background: #fff; border-radius: 4px; display: block; }}
img.narrow {{ max-width: min(100%, 30rem); }}
.wide {{ overflow-x: auto; background: linear-gradient(to left, var(--paper) 1.2rem, transparent) right / 2.4rem 100%
  no-repeat local, linear-gradient(to left, var(--line), transparent 1.2rem) right / 1.2rem 100% no-repeat scroll; }}
table {{ border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }}
th, td {{ text-align: right; padding: .2rem .6rem; white-space: nowrap; }}
th {{ color: var(--soft); font-weight: 600; border-bottom: 1px solid var(--ink); }}
tr.first td {{ border-top: 1px solid var(--line); }}
.text {{ text-align: left; }}
td.long {{ white-space: normal; min-width: 11rem; }}
th:first-child, td:first-child {{ padding-left: 0; }}
.facts {{ background: var(--wash); border-left: 3px solid var(--mark); padding: .6rem 1rem; }}
.facts p {{ margin: .3rem 0; }}
section {{ break-inside: avoid; border-top: 1px solid var(--line); margin-top: 1.5rem; }}
section p, section ul {{ font-size: .9rem; color: var(--soft); margin: .4rem 0; }}
a {{ color: inherit; text-decoration-color: var(--mark); text-underline-offset: .15em; }}
summary {{ cursor: pointer; color: var(--soft); font-size: .9rem; }}
@media (max-width: 60rem) {{ .wide::before {{ content: "The table scrolls sideways."; display: block; position: sticky;
  left: 0; width: max-content; font-size: .8rem; color: var(--soft); }} }}
code {{ overflow-wrap: anywhere; }}
footer {{ margin-top: 3rem; font-size: .8rem; color: var(--soft); }}
@media print {{ body {{ margin: 0; max-width: none; font-size: 11pt; }} .wide {{ overflow: visible; }}
  .wide::before {{ content: none; }}
  table {{ font-size: 7.5pt; }} th, td {{ padding: .1rem .35rem; }} }}
</style></head><body>
{body}
<footer>Phonolyte {version}. Kramers-Kronig test: Schönleber et al., 10.1016/j.electacta.2014.01.034. Notation of
circuits: impedance.py, 10.21105/joss.02349.</footer>
</body></html>
"""
