"""One page for a series of impedance spectra, that opens without a network."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phonolyte import __version__
from phonolyte.errors import Failure
from phonolyte.impedance.tables import BOUNDS
from phonolyte.units import ROOM_K, ZERO_C_K

if TYPE_CHECKING:
    import pandas as pd

    from phonolyte.impedance.analysis import Analysis
    from phonolyte.impedance.drawing import Drawings
    from phonolyte.impedance.series import Series

MOST_OPEN = 30
"""Spectra whose figures are shown at once; those of further ones open on a click."""


def write_page(series: Series, drawings: Drawings, path: Path) -> Path:
    """Write one page that opens without a network, from tables, notes and drawn figures of a series.

    Parameters
    ----------
    series
        What was analyzed, and what could not be.
    drawings
        Its figures.
    path
        The file, such as ``impedance.html``.
    """
    n, failed = len(series.analyses), len(series.failures)
    body = [f"<h1>Impedance: {_count(n, failed)}</h1>", f"<div class=facts>{_words(series)}</div>"]
    if len(series.arrhenius):
        body.append("<h2>Arrhenius</h2>")
        if drawings.arrhenius:
            body.append(_image(drawings.arrhenius, "Conductivities against the inverse temperature", "narrow"))
        body.append(_lines_table(series.arrhenius))
    places = {analysis.name: f"s{number}" for number, analysis in enumerate(series.analyses)}
    body += ["<h2>Conductivities</h2>", _WORDS, _table(series.spectra, ROW_COLUMNS, places)]
    if series.failures:
        body += [f"<h2>Not analyzed: {failed}</h2>", _failed(series.failures)]
    if drawings.failures:
        body += [f"<h2>Not drawn: {len(drawings.failures)}</h2>", _failed(drawings.failures)]
    body.append("<h2>Spectra</h2>")
    body += [
        _section(analysis, png, f"s{number}", folded=n > MOST_OPEN, shown=number < MOST_OPEN)
        for number, (analysis, png) in enumerate(zip(series.analyses, drawings.spectra, strict=True))
    ]
    path.write_text(_PAGE.format(body="\n".join(body), version=__version__), encoding="utf-8")
    return path


def _section(analysis: Analysis, png: Path | None, place: str, *, folded: bool, shown: bool) -> str:
    """One spectrum; its figure folds where there are many."""
    name = analysis.name
    figure = _image(png, f"Spectrum {name}", lazy=folded) if png else "<p>The figure could not be drawn.</p>"
    if png and folded:
        figure = f"<details{' open' if shown else ''}><summary>Figure</summary>{figure}</details>"
    notes = "".join(f"<li>{escape(note)}</li>" for note in analysis.notes)
    return (
        f'<section id="{place}"><h3>{escape(name)}</h3>{figure}'
        f"<p>Kramers-Kronig test: {analysis.test.verdict} ({analysis.test.rms:.2%} of the modulus left over). "
        f"Circuit <code>{escape(analysis.fit.circuit)}</code>, {analysis.fit.rms:.2%} left over.</p>"
        f"<ul>{notes}</ul></section>"
    )


def _failed(failures: Sequence[Failure]) -> str:
    """What could not be analyzed or drawn, by reason."""
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
    "process": ("process", "word"), "regime": ("regime", "word"), "from_k": ("from (°C)", "celsius"),
    "to_k": ("to", "celsius"),
    "ea_ev": ("Ea, ln(σT) (eV)", "f"), "ea_low_ev": ("95 % from", "f"), "ea_high_ev": ("to", "f"),
    "sigma_25c_s_cm": ("σ at 25 °C (S/cm)", "g"), "sigma_25c_low_s_cm": ("95 % from", "g"),
    "sigma_25c_high_s_cm": ("to", "g"),
    "ea_ln_sigma_ev": ("Ea, ln σ (eV)", "f"), "ea_ln_sigma_low_ev": ("95 % from", "f"),
    "ea_ln_sigma_high_ev": ("to", "f"),
    "outliers": ("off the line", ""), "fault": ("no Arrhenius line, as", "text"),
}  # fmt: skip


def _words(series: Series) -> str:
    """Facts of the series, a paragraph each."""
    geometry, failed = series.geometry, len(series.failures)
    sentences = [f"{_count(len(series.analyses), failed)}."] if failed else []
    if geometry:
        sentences.append(
            f"Pellet: {10 * geometry.thickness_cm:g} mm thick, electrodes of {geometry.area_cm2:.4g} cm². "
            "σ = thickness / (area × resistance)."
        )
    sentences += [f"{note[0].upper()}{note[1:]}." for note in map(escape, series.notes)]
    sentences += [_energy(row) for row in series.arrhenius.to_dict("records") if not row["fault"]]
    bad = [analysis.name for analysis in series.analyses if analysis.test.verdict != "good"]
    if bad:
        sentences.append(f"The Kramers-Kronig test warns of {', '.join(map(escape, bad))}.")
    return "".join(f"<p>{sentence}</p>" for sentence in sentences)


def _energy(row: Mapping[Any, Any]) -> str:
    """An Arrhenius line in words."""
    low, high = (_number(row[f"sigma_25c_{end}_s_cm"]) for end in ("low", "high"))
    far = "" if row["from_k"] <= ROOM_K <= row["to_k"] else ", extrapolated"
    return (
        f"{row['process'].replace('_', ' ').capitalize()}: activation energy {row['ea_ev']:.3f} eV "
        f"({row['ea_low_ev']:.3f} to {row['ea_high_ev']:.3f}), at 25 °C {_number(row['sigma_25c_s_cm'])} S/cm "
        f"({low} to {high}){far}."
    )


def _lines_table(lines: pd.DataFrame) -> str:
    """Activation energies in both forms."""
    table = lines.assign(regime=lines["regime"].where(lines["regime"] != "1 of 1"))
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
