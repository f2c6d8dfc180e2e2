"""One page for a run folder: self-contained, so that it opens from a disk, in ten years, without a network."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from phonolyte import __version__
from phonolyte.columns import column, format_cell, format_value
from phonolyte.counts import count
from phonolyte.errors import PhonolyteError, SettingsError
from phonolyte.figures.captions import CAPTIONS
from phonolyte.report import payload
from phonolyte.report.contents import Contents, read_run
from phonolyte.report.funnel import Bar, list_followed
from phonolyte.report.kinds import FIGURE, kind_of, summarize
from phonolyte.report.libraries import PLOTLY, VIEWER, Library, digest, libraries
from phonolyte.report.measured_sentences import list_remarks
from phonolyte.report.packing import packed_crystals
from phonolyte.report.provenance import list_record
from phonolyte.runs import citations
from phonolyte.runs.records import in_one_step

PAGE = "report.html"

SCRIPTS = (
    "data.js", "filters.js", "grid.js", "scatter.js", "colors.js", "crystal.js", "measured.js", "spectrum.js",
    "card.js", "main.js",
)  # fmt: skip

FIGURE_BYTES = 3_000_000
"""Figures of a page; more stay in their folder."""

LEAST_ASPECT, MOST_ASPECT = 4 / 3, 2.2
"""Width over height of the frames of figures."""

FIRST = 40
"""Rows that stand on the page itself: for print, and where no script runs."""

MOST_FAILURES = 500


def write_report(folder: str | Path) -> Path:
    """Write ``report.html`` of a run folder, from nothing but the folder.

    Raises
    ------
    SettingsError
        When it is not a run folder that a report can be made of, or its files are damaged.
    """
    contents = read_run(folder)
    path = contents.folder / PAGE
    try:
        text = page(contents)
    except PhonolyteError:
        raise
    except Exception as error:  # files of a run that were changed can lack anything
        why = f"{type(error).__name__}: {error}"[:200]
        raise SettingsError(f"the files of {folder} are damaged", why=why, fix="Run the command again.") from error
    with in_one_step(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return path


def page(contents: Contents) -> str:
    """The page as HTML."""
    kind, scatter = kind_of(contents.kind), payload.has_scatter(contents)
    used = libraries(crystals=contents.crystals_file is not None, plots=scatter)
    blocks, notes = _blocks(contents, used)
    drawn, left = figures(contents.folder / "figures", captions=kind.captions(contents))
    columns, first = _first(contents)
    failed = contents.failures.head(MOST_FAILURES)
    cite = _read(contents.folder / citations.FILE)
    text: str = _template().render(
        version=__version__,
        title=contents.folder.resolve().name,
        folder=str(contents.folder),
        scripts=" ".join([digest(_script()), *(library.digest for library in used)]),
        headline=kind.headline(contents),
        summary=summarize(contents),
        remarks=list_remarks(contents),
        results=kind.results(contents),
        caveat=kind.caveat,
        funnel=_shares(kind.funnel(contents)),
        followed=_shares(list_followed(contents)),
        rows=len(contents.table),
        nouns=kind.rows,
        heading=kind.head_table(len(contents.table)),
        funnel_title=kind.funnel_title,
        search="Search a name" if contents.is_measured else "Search: Li3PS4, mp-985583, sulfide …",
        scatter=scatter,
        figure_name=FIGURE,
        failed=kind.row,
        **_rounds(contents),
        first=first,
        first_columns=columns,
        figures=drawn,
        figure_columns=count_columns(len(drawn)),
        figure_aspect=choose_aspect([figure.aspect for figure in drawn]),
        figures_left=left,
        failures=failed.fillna("").to_dict("records"),
        failures_total=len(contents.failures),
        settings=list_record(contents.settings),
        model=_model(contents),
        versions=list_record({"phonolyte": contents.run.get("phonolyte", ""), "python": contents.run.get("python", "")}
                         | dict(contents.run.get("versions", {}))),
        inputs=list(contents.run.get("inputs", {}).items()),
        cite=cite,
        references=count(cite.count("\n@") + cite.startswith("@"), "reference"),
        libraries=[library.source for library in used],
        notes=notes,
        blocks=blocks,
    )  # fmt: skip
    return text


def _rounds(contents: Contents) -> dict[str, Any]:
    """What each round of a loop did, as cells; empty where there was none."""
    record = contents.records["rounds"]
    rows = record.get("rounds", [])
    columns = [column(key) for key in rows[0]] if rows else []
    cells = [[format_value(row[each.key], each).removesuffix(f" {each.unit}") for each in columns] for row in rows]
    note = (
        f"Decision at {record['decision_mev']:.1f} meV; there was no further round: {record['stopped']}. Predictions "
        "were written before their phonons were computed; rounds.csv and the folder rounds have all of it."
    ) if rows else ""  # fmt: skip
    return {"rounds": cells, "round_columns": columns, "rounds_note": note}


@dataclass(frozen=True, slots=True)
class Block:
    """A part of the page that only its script reads."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """A figure as it stands in the page."""

    stem: str
    data: str
    caption: str
    aspect: float


def figures(
    folder: Path, *, captions: Mapping[str, str] | None = None, most_bytes: int = FIGURE_BYTES
) -> tuple[list[Drawn], int]:
    """The PNG figures of a folder with their captions, as many as fit, and how many are left out."""
    paths, known = sorted(folder.glob("*.png")), {**CAPTIONS, **(captions or {})}
    place = {stem: i for i, stem in enumerate(known)}
    paths.sort(key=lambda path: (place.get(path.stem, len(place)), path.name))
    drawn, size = [], 0
    for path in paths:
        size += path.stat().st_size
        if size <= most_bytes:
            caption = known.get(path.stem, path.stem.replace("_", " ").replace("-", " ").capitalize())
            drawn.append(Drawn(path.stem, payload.image(path), caption, _read_aspect(path)))
    return drawn, len(paths) - len(drawn)


def count_columns(n: int) -> int:
    """Return how many of n figures stand beside each other on a wide screen: the fewest gaps in the last row."""
    return n if n < 3 else min((3, 4), key=lambda columns: -n % columns)


def choose_aspect(aspects: Sequence[float]) -> float:
    """Return width over height of the frames of all figures: those of the highest, within limits."""
    return min(max(min(aspects, default=0.0), LEAST_ASPECT), MOST_ASPECT)


def _read_aspect(path: Path) -> float:
    """Width over height of a PNG file."""
    with path.open("rb") as stream:
        width, height = struct.unpack(">II", stream.read(24)[16:])
    return float(width / height)


def _blocks(contents: Contents, used: Sequence[Library]) -> tuple[list[Block], list[str]]:
    """The data of the page, and what to say of what it lacks."""
    notes = []
    names = {PLOTLY: "lib-plotly", VIEWER: "lib-3dmol"}
    blocks = []
    if len(contents.table):
        file = contents.crystals_file
        ids = [str(name) for name in contents.table["material_id"]]
        text, n = packed_crystals(file, ids, standardize=True) if file else ("", 0)
        blocks.append(Block("data", payload.data(contents, n)))
        if n:
            blocks.append(Block("crystals", text))
        if n and contents.orderings_file:
            blocks.append(Block("orderings", packed_crystals(contents.orderings_file, ids)[0]))
        if 0 < n < len(ids):
            notes.append(f"{n:,} of {len(ids):,} crystals are in this page, the first ones; {file} has all.")
        blocks += [Block(names[library.source], library.data) for library in used]
    return blocks, notes


def _shares(bars: Sequence[Bar]) -> list[dict[str, Any]]:
    most = max((bar.count for bar in bars), default=0)
    return [{**asdict(bar), "share": 100 * bar.count / most if most else 0.0} for bar in bars]


def _first(contents: Contents) -> tuple[list[Any], list[list[str]]]:
    columns = [column for column in payload.columns_of_run(contents) if column.shown]
    plain = [replace(column, unit="") for column in columns]
    records = contents.table.head(FIRST).to_dict("records")
    return columns, [[format_cell(row, column) for column in plain] for row in records]  # type: ignore[arg-type]


def _model(contents: Contents) -> list[tuple[str, str]]:
    labels = {"algorithm": "algorithm", "feature_set": "features", "n": "compounds", "description": "learned from"}
    values = {name: contents.model[key] for key, name in labels.items() if contents.model.get(key)}
    scores = {row["split"]: row for row in contents.model.get("scores", ())}
    for split, row in scores.items():
        values[f"cross-validated, {split.replace('_', ' ')}"] = f"R² {row['r2']:.3f}, MAE {row['mae_mev']:.2f} meV"
    return list_record(values)


@cache
def _script() -> str:
    parts = "\n".join(_text(name) for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}}})();'


def _text(name: str) -> str:
    return (files("phonolyte.report") / name).read_text(encoding="utf-8")


def _template() -> Any:
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["formulas"] = _with_formulas
    environment.globals["style"] = Markup(_text("page.css"))
    environment.globals["script"] = Markup(_script())
    return environment.from_string(_text("page.html"))


def _with_formulas(sentence: str) -> Any:
    """A sentence whose formulas have their numbers set low; everything in it is text."""
    from markupsafe import Markup, escape

    def lowered(match: re.Match[str]) -> str:
        return re.sub(r"(\d+(?:\.\d+)?)", r"<sub>\1</sub>", match.group())

    return Markup(re.sub(r"(?<![\w-])(?:[A-Z][a-z]?(?:\d+(?:\.\d+)?)?){2,}(?![\w-])", lowered, str(escape(sentence))))


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
