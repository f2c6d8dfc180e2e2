"""What results look like in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from phonolyte.columns import Column, column, format_value
from phonolyte.layout import FittedTable
from phonolyte.tiers import all_tiers
from phonolyte.units import CONDUCTOR_S_CM, ZERO_C_K

if TYPE_CHECKING:
    from phonolyte.loop import Rounds
    from phonolyte.polarization import Transference
    from phonolyte.report import Card
    from phonolyte.runs.calculation import Calculation
    from phonolyte.screen import Screening
    from phonolyte.sources.cache import Cached
    from phonolyte.study import Followed
    from phonolyte.train import Training
    from phonolyte.virtual import VirtualResult

SHOWN = 20
SHOWN_ROWS = 60
YARDSTICKS = 5
"""Known conductors below the candidates."""

FEWEST_OF_ION = 3
"""Candidates of each mobile ion that are shown at least."""


def _table(title: str = "", *, caption: str | None = None, tight: bool = False) -> Table:
    """A table as all of them look; a tight one has less space between its columns."""
    return FittedTable(title=title or None, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False,
                       collapse_padding=tight, caption=caption, caption_justify="left")  # fmt: skip


def funnel_table(result: Screening) -> Table:
    """The funnel: the criterion of each step, and how many it rejects, misses a property of, and keeps."""
    table = _table("Funnel")
    table.add_column("step")
    for name in ("rejected", "unknown", "kept"):
        table.add_column(name, justify="right", no_wrap=True)
    for step in result.funnel:
        if step.applied:
            table.add_row(step.rule, _count(step.rejected), _count(step.missing), f"{step.kept:,}")
        else:
            table.add_row(f"{step.rule}*", "", "", f"{step.kept:,}", style="dim")
    if notes := dict.fromkeys(step.note for step in result.funnel if not step.applied):
        table.caption = f"* not applied: {', '.join(notes)}"
    return table


def candidates_table(result: Screening) -> Table:
    """The first candidates of each ion with what ranks them and what else is known."""
    passed = result.table[result.table["passes"].astype(bool)]
    ions = passed["ion"].nunique()
    shown = passed.groupby("ion", sort=False).head(max(SHOWN // ions, FEWEST_OF_ION))
    title = f"First {len(shown)} candidates" if ions < 2 else f"First candidates of each of {ions} mobile ions"
    table = _table(title, tight=True)
    if not shown["in_domain"].astype(bool).all():
        table.caption = "* center unlike those that the model learned from"
    keys = [key for key in OF_CANDIDATES if key in shown and shown[key].notna().any()]
    keys = [key for key in keys if key not in OF_TABLES or "p_conductor" not in keys]
    columns = [replace(column(key), label=SHORT.get(key, column(key).label)) for key in keys]
    rows = shown.to_dict("records")
    cells = [[_cell(row[each.key], each) + _mark(row, each) for row in rows] for each in columns]
    table.add_column("rank", justify="right", width=max(4, len(str(len(passed)))))
    for name in ("material", "formula"):
        table.add_column(name, overflow="ellipsis", max_width=16)  # names are cut, numbers are not
    if ions > 1:
        table.add_column("ion", width=3)
    for each, own in zip(columns, cells, strict=True):
        table.add_column(each.label, justify="right", width=max(map(len, (each.label, each.unit, *own))))
    table.add_row(*[""] * (4 if ions > 1 else 3), *(each.unit for each in columns), style="dim")
    for row, *own in zip(rows, *cells, strict=True):
        names = [Text(str(row[key])) for key in ("material_id", "formula", "ion")[: 3 if ions > 1 else 2]]
        table.add_row(str(row["rank"]), *names, *own)
    return table


def yardsticks_table(result: Screening) -> Table:
    """The best known conductors, and the rank that each would have among the candidates."""
    known = result.yardsticks
    shown = known[known["measured_sigma_s_cm"] >= CONDUCTOR_S_CM].head(YARDSTICKS)
    table = _table("Known conductors, whether or not they are in the input", tight=True)
    table.add_column("would be", justify="right")
    table.add_column("formula", overflow="ellipsis", max_width=24)
    columns = [column(key) for key in OF_CANDIDATES if key in shown and shown[key].notna().any()]
    for each in columns:
        table.add_column(SHORT.get(each.key, each.label), justify="right", no_wrap=True)
    table.add_row("", "", *(each.unit for each in columns), style="dim")
    for row in shown.to_dict("records"):
        place = "–" if pd.isna(row["would_rank"]) else f"{row['would_rank']:,}"
        table.add_row(place, Text(str(row["formula"])), *(_cell(row[each.key], each) for each in columns))
    if len(known) > len(shown):
        table.caption = f"the first {len(shown)}; yardsticks.csv has {len(known)}, poor conductors among them"
    return table


def _mark(row: Mapping[Any, Any], column: Column) -> str:
    """A star behind a center outside of the domain of the model."""
    return "" if column.key != "band_center_mev" else " " if row["in_domain"] else "*"


OF_CANDIDATES = (
    "score", "p_conductor", "sigma_predicted_s_cm", "measured_sigma_s_cm", "barrier_3d_ev", "band_center_mev",
    "e_hull_ev", "band_gap_ev",
)  # fmt: skip
"""Columns of candidates in a terminal."""

OF_TABLES = ("e_hull_ev", "band_gap_ev")
"""Those that leave no room for names beside a probability; every candidate meets their criteria."""

SHORT = {
    "p_conductor": "P", "sigma_predicted_s_cm": "σ", "measured_sigma_s_cm": "measured", "barrier_3d_ev": "3D",
    "band_gap_ev": "gap",
}  # fmt: skip
"""Headings of columns in a narrow table."""


def orderings_table(table: pd.DataFrame) -> Table:
    """The first arrangements of disordered crystals: size, energy, charge, deviation and shortest contact."""
    shown = table.head(SHOWN)
    keys = ("n_atoms", "ordering_ev", "engine_ev", "ordering_charge", "deviation", "shortest_a")
    columns = [column(key) for key in keys if key in table]
    drawn = _table(f"First {len(shown)} of {len(table)} arrangements", tight=True)
    drawn.add_column("material", no_wrap=True, max_width=20)
    for each in columns:
        drawn.add_column(each.label, justify="right", no_wrap=True)
    drawn.add_row("", *(each.unit for each in columns), style="dim")
    for row in shown.to_dict("records"):
        drawn.add_row(Text(str(row["material_id"])), *(_cell(row[each.key], each) for each in columns))
    return drawn


def calculation_table(calculation: type[Calculation], results: pd.DataFrame) -> Table:
    """The results of a tier, the lowest first, from the columns that it shows in a terminal."""
    shown = results.sort_values(calculation.sort_by, na_position="last").head(SHOWN)
    table = _table(f"{calculation.title} of {len(results)} crystal{'s' * (len(results) != 1)}", tight=True)
    keys = [key for key in calculation.terminal if key in shown and shown[key].notna().any()]
    columns = [column(key) for key in keys]
    wide = len(columns) < 6
    rows = shown.to_dict("records")
    cells = [[_cell(row[each.key], each) for row in rows] for each in columns]
    for name in ("material", "formula"):
        table.add_column(name, overflow="ellipsis", max_width=18 if wide else 11)  # names are cut, numbers are not
    for each, width in zip(columns, _widths(columns, cells, names=36 if wide else 22), strict=True):
        is_text = each.kind in ("text", "choice")
        table.add_column(each.label, justify="left" if is_text else "right", width=None if is_text else width)
    table.add_row("", "", *(each.unit for each in columns), style="dim")
    for row, *texts in zip(rows, *cells, strict=True):
        table.add_row(Text(str(row["material_id"])), Text(str(row["formula"])), *map(Text, texts))
    notes = [f"{row['material_id']}: {row['why']}" for row in rows if row.get("why")]
    if len(results) > len(shown):
        notes.append(f"the first {len(shown)}; {calculation.table} has all")
    table.caption = "\n".join(notes[:SHOWN]) or None
    return table


LINE = 80
"""Characters of a line in which a table has its headings on one line, if it can."""


def _widths(columns: Sequence[Column], cells: Sequence[Sequence[str]], *, names: int) -> list[int]:
    """Widths of columns in which no number is cut: headings take one line where there is room, else several."""
    least = [max(map(len, [each.unit, *texts])) for each, texts in zip(columns, cells, strict=True)]
    whole = [max(n, len(each.label)) for n, each in zip(least, columns, strict=True)]
    split = [max(n, *map(len, each.label.split())) for n, each in zip(least, columns, strict=True)]
    return whole if names + sum(whole) + 2 * len(columns) <= LINE else split


def _cell(value: Any, known: Column) -> str:
    text = format_value(value, known)
    return text.removesuffix(f" {known.unit}") if known.unit else text


def scores_table(training: Training) -> Table:
    """Scores of the cross-validation with random folds."""
    table = _table(f"Ten-fold cross-validation of {training.n} compounds, random folds")
    for name in ("algorithm", "features", "R2", "MAE (meV)", "RMSE (meV)"):
        table.add_column(name, justify="left" if name in ("algorithm", "features") else "right")
    for row in training.scores.to_dict("records"):
        if row["split"] == "random":
            table.add_row(
                str(row["algorithm"]), str(row["features"]), f"{row['r2']:.3f}", f"{row['mae_mev']:.2f}",
                f"{row['rmse_mev']:.2f}",
            )  # fmt: skip
    return table


def rounds_table(rounds: Rounds) -> Table:
    """What each round of a loop did."""
    caption = f"decision at {rounds.decision_mev:.1f} meV; stopped: {rounds.stopped}\nfailed or not reached: rounds.csv"
    table = _table("Rounds", caption=caption, tight=True)
    keys = ("round", "chosen", "computed", "unstable", "mae_mev", "learned", "width_mev", "straddling", "crossed")
    columns = [column(key) for key in keys]
    for each in columns:
        table.add_column(each.label, justify="right")
    table.add_row(*(each.unit for each in columns), style="dim")
    for row in rounds.table.to_dict("records"):
        table.add_row(*(_cell(row[each.key], each) for each in columns))
    return table


def followed_tables(followed: Followed) -> Iterator[Table]:
    """What each tier did, and how far the first candidates came."""
    steps = _table("Followed", tight=True)
    steps.add_column("tier", min_width=30)
    for name in ("came", "kept", "rejected", "failed", "not reached", "min"):
        steps.add_column(name, justify="right", no_wrap=True)
    for step in followed.steps:
        counts = (step.came, step.kept, step.rejected, step.failed, step.not_reached)
        tier = Text.assemble(step.tier, "\n", (step.criterion, "dim"))
        steps.add_row(tier, *map(_count, counts), f"{step.seconds / 60:.1f}")
    yield steps
    table = _table(tight=True)
    for name in ("material", "formula"):
        table.add_column(name, no_wrap=True, max_width=14)
    firsts = [next(iter(tier.followed)) for tier in all_tiers().values() if tier.followed]
    keys = [key for key in followed.table.columns if key in (*_FOLLOWED, *firsts)]
    columns = [column(key) for key in keys]
    for each in columns:
        table.add_column(_FOLLOWED.get(each.key, each.label), justify="right", no_wrap=True)
    table.add_column("how far", min_width=24)
    table.add_row("", "", *(each.unit for each in columns), "", style="dim")
    computed = [key for key in keys if key != "predicted_mev"]
    shown = followed.table[followed.table[computed].notna().any(axis=1)] if computed else followed.table
    for row in shown.head(SHOWN).to_dict("records"):
        cells = (Text(_cell(row[each.key], each)) for each in columns)
        how_far = str(row["stopped"]).split(",")[0].replace("a barrier of ", "")
        table.add_row(Text(str(row["material_id"])), Text(str(row["formula"])), *cells, Text(how_far))
    yield table


_FOLLOWED = {
    "predicted_mev": "center", "percolation_ev": "sites", "band_center_mev": "phonons", "calibrated_mev": "calibrated",
    "barrier_ev": "NEB", "sigma_25c_s_cm": "σ",
}  # fmt: skip
"""Short headings of columns that a terminal has room for; of a tier that has none here, the first column is shown."""


def conductivity_table(spectra: pd.DataFrame, *, known: bool) -> Table:
    """Resistances of each spectrum by process, and conductivities where the pellet is known."""
    from phonolyte.impedance.spectrum import name_sweep
    from phonolyte.impedance.tables import BOUNDS

    table = _table("Spectra")
    table.add_column("spectrum", no_wrap=True, max_width=24)
    table.add_column("T", justify="right", no_wrap=True)
    table.add_column("process", no_wrap=True)
    for name in ("R", "C", "σ" if known else ""):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row("", "°C", "", "Ω", "F", "S/cm" if known else "", style="dim")
    last = None
    for row in spectra.head(SHOWN_ROWS).to_dict("records"):
        name = name_sweep(row["file"], row["sweep"])
        same, last = name == last, name
        warmth = "" if pd.isna(row["temperature_k"]) else f"{row['temperature_k'] - ZERO_C_K:.0f}"
        signs = BOUNDS if row["process"] == "at_least" else {}
        values = [
            f"{signs.get(key, '')}{_significant(row[key])}" if pd.notna(row[key]) else ""
            for key in ("resistance_ohm", "capacitance_f", "sigma_s_cm")
        ]
        table.add_row(
            "" if same else Text(name),
            "" if same else warmth,
            str(row["process"]).replace("_", " "),
            *values,
        )
    return table


def arrhenius_table(lines: pd.DataFrame) -> Table:
    """Activation energies from ln(sigma T), with intervals."""
    from phonolyte.impedance.pressure import name_pressures

    if "pressure_mpa" in lines:
        lines = name_pressures(lines, lines["pressure_mpa"].to_numpy(float))
    table = _table("Arrhenius, ln(σT), 95 % intervals")
    for name, side in (("process", "left"), ("Ea", "right"), ("", "left"), ("σ at 25 °C", "right"), ("", "left")):
        table.add_column(name, justify="left" if side == "left" else "right", no_wrap=True)
    table.add_row("", "eV", "", "S/cm", "", style="dim")
    for row in lines.to_dict("records"):
        regime = (
            "" if row["regime"] == "1 of 1" else f", {row['from_k'] - ZERO_C_K:.0f} to {row['to_k'] - ZERO_C_K:.0f} °C"
        )
        name = str(row["process"]).replace("_", " ") + regime
        if row["fault"]:
            table.add_row(name, "none", "no Arrhenius line", "", "")
            continue
        low, high = (_significant(row[f"sigma_25c_{end}_s_cm"], 2) for end in ("low", "high"))
        table.add_row(
            name, f"{row['ea_ev']:.3f}", f"{row['ea_low_ev']:.3f} to {row['ea_high_ev']:.3f}",
            _significant(row["sigma_25c_s_cm"], 2), f"{low} to {high}",
        )  # fmt: skip
    return table


def steady_table(curves: pd.DataFrame) -> Table:
    """Steady current at each voltage with its interval, or why there is none."""
    table = _table("Steady currents, 95 % intervals", tight=True)
    table.add_column("sample", no_wrap=True, max_width=22)
    for name in ("T", "V", "time", "I"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    factor, unit = _find_unit(curves["current_end_ua"].abs().median())
    table.add_row("", "°C", "V", "h", unit, "", style="dim")
    last = None
    for row in curves.head(SHOWN_ROWS).to_dict("records"):
        warmth = "" if pd.isna(row["temperature_k"]) else f"{row['temperature_k'] - ZERO_C_K:.0f}"
        same, last = (row["sample"], warmth) == last, (row["sample"], warmth)
        low, high = (_significant(row[f"current_steady_{end}_ua"] * factor, 4) for end in ("low", "high"))
        shown = ("steady", f"{low} to {high}") if row["settled"] else ("end", "at the end: not settled")
        table.add_row(
            "" if same else Text(str(row["sample"])), "" if same else warmth, f"{row['voltage_v']:.4g}",
            f"{row['duration_s'] / 3600:.3g}", _significant(row[f"current_{shown[0]}_ua"] * factor, 4),
            shown[1],
        )  # fmt: skip
    return table


def _find_unit(microampere: float) -> tuple[float, str]:
    """Factor from microampere to the unit in which a current is easy to read, and its name."""
    units = ((1e-3, "mA"), (1.0, "µA"), (1e3, "nA"), (1e6, "pA"))
    return next((unit for unit in units if microampere * unit[0] >= 1), units[-1])


def electronic_table(electronic: pd.DataFrame, *, sized: bool) -> Table:
    """Electronic conductivities of samples, resistances where no pellet is known, and ionic transference numbers."""
    kind, key = "R electronic", "resistance_electronic_{}ohm"
    if sized:
        kind, key = "σ electronic", "sigma_electronic_{}s_cm"
    table = _table(f"{kind}, 95 % intervals", tight=True)
    table.add_column("sample", no_wrap=True, max_width=22)
    ionic = electronic["t_ion_low"].notna().any()
    for name in ("T", "voltages", kind.split()[0], "", "ohmic", *(["t ion"] if ionic else [])):
        table.add_column(name, justify="left" if name in ("", "ohmic", "t ion") else "right", no_wrap=True)
    table.add_row("", "°C", "", "S/cm" if sized else "Ω", "", "", *([""] if ionic else []), style="dim")
    for row in electronic.head(SHOWN_ROWS).to_dict("records"):
        middle, low, high = (row[key.format(end)] for end in ("", "low_", "high_"))
        bound = f"≤ {_significant(high, 2)}" if sized else f"≥ {_significant(low, 2)}"
        value = "" if pd.isna(high) else bound if row["upper_bound"] else _significant(middle, 2)
        interval = "" if pd.isna(low) or row["upper_bound"] else f"{_significant(low, 2)} to {_significant(high, 2)}"
        table.add_row(
            Text(str(row["sample"])), "" if pd.isna(row["temperature_k"]) else f"{row['temperature_k'] - ZERO_C_K:.0f}",
            str(row["n"]), value, interval, "" if row["ohmic"] == "not tested" else row["ohmic"],
            *([_format_ionic(row)] if ionic else []),
        )  # fmt: skip
    return table


def _format_ionic(row: Mapping[Any, Any]) -> str:
    """An ionic transference number; a bound from below where the electronic conductivity is one from above."""
    if pd.isna(row["t_ion_low"]):
        return ""
    digits = int(min(max(1 - np.floor(np.log10(max(1 - row["t_ion_low"], 1e-12))), 2), 9))
    if pd.isna(row["t_ion"]):
        return f"≥ {np.floor(row['t_ion_low'] * 10**digits) / 10**digits:.{digits}f}"
    return f"{row['t_ion']:.{digits}f}"


def transference_table(result: Transference) -> Table:
    """A transference number with what it is made of."""
    table = _table(f"Transference number, {abs(result.curve.voltage_v) * 1e3:.3g} mV", tight=True, caption=result.fault)
    for name, side in (("", "left"), ("value", "right"), ("95 % interval", "left"), ("unit", "left")):
        table.add_column(name, justify="left" if side == "left" else "right", no_wrap=True)
    for name, number in (("t+, Bruce and Vincent", result.t_plus), ("t+, Watanabe", result.t_plus_watanabe)):
        value, interval = f"{number.value:.3f}", f"{number.low:.3f} to {number.high:.3f}"
        if result.upper_bound:
            value, interval = f"≤ {number.high:.3f}", "the current has not settled"
        table.add_row(name, value, interval, "")
    by = "extrapolated" if result.initial_by == "extrapolated" else "Ohm's law"
    for name, each in ((f"initial current, {by}", result.initial_a), ("steady current", result.steady_a)):
        value, low, high = (_significant(ampere * 1e6, 4) for ampere in each)
        table.add_row(name, value, f"{low} to {high}", "µA")
    for when, cell in (("before", result.before), ("after", result.after)):
        low, high = (_significant(end, 4) for end in cell.interval(cell.interfaces))
        table.add_row(f"interfaces {when}", _significant(cell.interface_ohm, 4), f"{low} to {high}", "Ω")
        low, high = (_significant(end, 4) for end in cell.interval(cell.electrolyte))
        table.add_row(f"electrolyte {when}", _significant(cell.electrolyte_ohm, 4), f"{low} to {high}", "Ω")
    return table


def _significant(value: float, digits: int = 3) -> str:
    """A number with as many digits as any other, zeros at its end too."""
    return f"{value:#.{digits}g}".rstrip(".") if value else "0"


def cutoffs_table(results: pd.DataFrame, formula: str, tolerance: float) -> Table:
    """Settings of ``pw.x`` with the errors of force and energy, and which is recommended."""
    table = _table(f"Cutoffs for {formula}", tight=True)
    units = {
        "wfc": "Ry", "rho": "Ry", "k": "1/A", "force": "eV/A", "error": "%", "of": "", "energy error": "meV/atom",
        "time": "s", "": "",
    }  # fmt: skip
    for name in units:
        table.add_column(name, justify="left" if name in ("of", "") else "right", no_wrap=True)
    table.add_row(*units.values(), style="dim")
    for row in results.to_dict("records"):
        setting = [f"{row[name]:g}" for name in ("ecutwfc_ry", "ecutrho_ry", "k_spacing_inv_a")]
        if row["error"]:
            table.add_row(*setting, "failed", *[""] * 5)
            continue
        force, error = f"{row['force_ev_a']:.4f}", f"{100 * row['force_error']:.2f}"
        energy, seconds = f"{row['energy_error_mev_atom']:.2f}", f"{row['seconds']:.0f}"
        note = "recommended" if row["recommended"] else ""
        table.add_row(*setting, force, error, str(row["element"]), energy, seconds, note)
    caption = f"errors against the highest setting; the force of a displacement is to be right to {100 * tolerance:g} %"
    cutoffs = results[results["varies"] == "cutoffs"]
    if not cutoffs["recommended"].any():
        caption += "\nno setting below the highest is: give higher ones"
    table.caption = caption
    return table


def card_parts(card: Card) -> Iterator[RenderableType]:
    """One candidate: what is known, how sure, the nearest compounds, what was computed, what next."""
    name = "" if card.material_id == card.formula else f"  {card.material_id}"
    yield Text.assemble((card.formula, "bold"), name, "\n", (card.place, "dim"))
    yield _facts(card.facts)
    if card.level:
        yield Text.assemble("\n", (f"Confidence {card.level}. ", "bold"), card.sure)
    if card.nearest:
        yield ""
        table = _table("Nearest compounds with known phonons", caption=card.nearest_of)
        table.add_column("compound", no_wrap=True, max_width=22)
        table.add_column("name", no_wrap=True, max_width=30)
        table.add_column("center", justify="right", no_wrap=True)
        table.add_column("distance", justify="right", no_wrap=True)
        table.add_row("", "", "meV", "", style="dim")
        for formula, name, center, distance in card.nearest:
            table.add_row(Text(formula), Text(name), f"{center:.1f}", f"{distance:.1f}")
        yield table
    for title, facts in card.computed.items():
        yield Text(f"\n{title}", style="bold")
        yield _facts(facts)
    yield Text("\nWhat to do next", style="bold")
    for why, command in card.steps:
        yield Text(why)
        if command:
            yield Text(f"  {command}", style="cyan")


def _facts(facts: list[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, value in facts:
        table.add_row(Text(label), Text(value))
    return table


def virtual_tables(result: VirtualResult) -> Iterator[Table]:
    """Counts for each prototype, and the best compounds."""
    counts = _table("Virtual compounds")
    counts.add_column("prototype")
    for name in ("compounds", "charges\nbalanced", "below\n40 meV", "mean\nmeV", "r with\nmean row"):
        counts.add_column(name, justify="right")
    for name, of in result.summary["prototypes"].items():
        r = of["correlation_with_mean_row"]
        counts.add_row(
            Text(name), f"{of['compounds']:,}", f"{of['charge_balanced']:,}", f"{of['soft_share']:.0%}",
            f"{of['mean_center_mev']:.1f}", "-" if r is None else f"{r:.2f}",
        )  # fmt: skip
    yield counts
    yield _best_conductors(result.best) if result.summary["recipe"] == "conductors" else _best_of_study(result.best)


def _best_conductors(best: pd.DataFrame) -> Table:
    """The best virtual compounds by probability and plausibility; those not followed have an estimate alone."""
    table = _table(
        "The best by probability that they conduct, times plausibility",
        caption="P: of 1e-4 S/cm or more at room temperature; ~ by the parent's percolation\n"
        "* unlike what the model of the center knows",
    )
    _add_columns(table, "", "formula", "prototype", "P", "S/cm", "center", "plausible")
    for row in best.head(SHOWN).to_dict("records"):
        followed = pd.notna(row.get("p_conductor"))
        sigma = row["sigma_predicted_s_cm"] if followed else row["sigma_estimate_s_cm"]
        table.add_row(
            str(row["rank"]), Text(row["formula"]), Text(row["prototype"]),
            f"{row['p_conductor']:.2f}" if followed else "-",
            "-" if pd.isna(sigma) else f"{'' if followed else '~'}{sigma:.1e}", _center(row),
            f"{row['plausibility']:.1e}",
        )  # fmt: skip
    return table


def _best_of_study(best: pd.DataFrame) -> Table:
    """The best virtual compounds by band center and plausibility."""
    table = _table(
        "The best by score",
        caption="score: upper end of the interval + 5 meV a power of ten less plausible\n* unlike what the model knows",
    )
    _add_columns(table, "", "formula", "prototype", "center", "90 %", "plausible", "score")
    for row in best.head(SHOWN).to_dict("records"):
        interval = f"{row['lower_mev']:.0f} - {row['upper_mev']:.0f}"
        table.add_row(str(row["rank"]), Text(row["formula"]), Text(row["prototype"]), _center(row), interval,
                      f"{row['plausibility']:.1e}", f"{row['score_mev']:.1f}")  # fmt: skip
    return table


def _add_columns(table: Table, *names: str) -> None:
    for name in names:
        table.add_column(name, justify="left" if name in ("formula", "prototype") else "right", no_wrap=True)


def _center(row: Mapping[Any, Any]) -> str:
    return f"{row['band_center_mev']:.1f}" + (" " if row["in_domain"] else "*")


def sources_tables() -> Iterator[Table]:
    """What can be fetched, and under which license."""
    from phonolyte.sources.registry import datasets, providers

    sets = _table("phonolyte fetch NAME")
    databases = _table("phonolyte fetch optimade --provider NAME")
    for table in (sets, databases):
        table.add_column("name", no_wrap=True)
        table.add_column("what")
        table.add_column("license")
    sets.add_row("mp", "Materials Project: structures, phonons, entries (with a key)", "CC BY 4.0; GNoME: CC BY-NC 4.0")
    for name, data in datasets().items():
        sets.add_row(name, data.title, data.license)
    sets.add_row("folder PATH", "your own crystals and densities of states", "yours")
    for name, provider in providers().items():
        databases.add_row(name, provider.title, provider.license)
    databases.add_row("any other", "of the official list, or with --base-url", "see the provider")
    return iter((sets, databases))


def cache_table(files: Sequence[Cached]) -> Table:
    """Files in the cache."""
    table = _table("Cache")
    for name, side in (("set", "left"), ("file", "left"), ("MB", "right"), ("fetched", "left"), ("sha256", "left")):
        table.add_column(name, justify="right" if side == "right" else "left", no_wrap=True)
    for file in files:
        table.add_row(file.dataset, file.path.name, f"{file.size_bytes / 1e6:.1f}", file.fetched[:10], file.sha256[:12])
    return table


def _decimal(value: float) -> str:
    return "-" if value != value else f"{round(value, 1) + 0.0:.1f}"


def _count(number: int) -> str:
    return f"{number:,}" if number else "-"
