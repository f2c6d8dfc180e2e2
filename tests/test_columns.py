"""The registry of columns, and that every column of every table that is written has a meaning in it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk

from phonolyte import verbs
from phonolyte.columns import Column, check_columns, column, columns_of, describe_columns, format_value, register
from phonolyte.errors import TableError
from phonolyte.impedance.settings import ImpedanceSettings
from phonolyte.phonons import PhononSettings
from phonolyte.polarization import PolarizationSettings
from phonolyte.references import reference_compounds
from phonolyte.runs.executors import ExecutorSettings
from phonolyte.runs.run import Run
from phonolyte.runs.settings import OutputSettings
from phonolyte.structures import Crystal
from phonolyte.tiers import all_tiers
from phonolyte.train import TrainSettings
from phonolyte.virtual import Space, built_in_rules

TABLES_ALONE = OutputSettings(figures=False, report=False)
HERE = ExecutorSettings("threads", 2)
ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "columns.md"
REFERENCES = reference_compounds().crystals


def test_a_key_for_two_columns_is_refused():
    known = column("band_center_mev")
    register(known)  # the same one may be registered again
    with pytest.raises(TableError, match="two columns are called 'band_center_mev'"):
        register(Column("band_center_mev", "center", "THz", 1, hint="Mean frequency."))
    assert column("band_center_mev") == known


def test_an_unknown_column_is_refused():
    with pytest.raises(TableError, match="'color' is not a registered column"):
        column("color")
    table = pd.DataFrame({"material_id": ["a"], "Li_center_mev": [1.0], "color": ["red"]})
    with pytest.raises(TableError, match=r"a.parquet has an unknown column 'color'"):
        check_columns(table, where="a.parquet")
    check_columns(table, where="a.parquet", free=["color"])


def test_a_run_writes_no_table_with_an_unknown_column(tmp_path: Path):
    with Run(tmp_path / "run", "screen") as run:
        with pytest.raises(TableError, match="unknown column 'color'"):
            run.write_table("t.parquet", pd.DataFrame({"color": ["red"]}))
        with pytest.raises(TableError, match="unknown column 'color'"):
            run.write_rows("t.parquet", [{"material_id": "a", "color": "red"}])
        assert not (tmp_path / "run" / "t.parquet").exists()
        run.write_table("t.parquet", pd.DataFrame({"rank": [1], "color": ["red"]}), csv=True, free=["color"])
    described = pd.read_csv(tmp_path / "run" / "columns.csv")
    assert described[["table", "column"]].to_numpy().tolist() == [["t.parquet", "rank"]]
    assert (tmp_path / "run" / "t.csv").read_text() == "rank,color\n1,red\n"


def test_the_band_center_of_an_element_is_a_column_of_its_own():
    assert column("Li_center_mev").unit == "meV"
    assert "Li" in column("Li_center_mev").hint
    for key in ("Xx_center_mev", "li_center_mev", "Li_center_ev"):
        with pytest.raises(TableError):
            column(key)


def test_every_column_has_a_label_and_a_meaning_and_the_unit_of_its_name():
    all_tiers()
    endings = {"_mev": "meV", "_ev": "eV", "_s_cm": "S/cm", "_k": "K", "_a": "Å", "_ohm": "Ω", "_hz": "Hz", "_ps": "ps"}
    listed = re.findall(r"(?m)^\| `(\w+)`", PAGE.read_text(encoding="utf-8"))
    assert len(listed) > 100
    for each in map(column, listed):
        assert each.label, each.key
        assert each.hint.endswith("."), each.key
        assert each.hint[0].isupper() or not each.hint[0].isalpha(), each.key
        for ending, unit in endings.items():
            if each.key.endswith(ending) and not each.key.endswith(("_ev_a", "_inv_a")):
                assert each.unit.startswith(unit), each.key


def test_values_are_shown_with_their_unit():
    assert format_value(12.345, column("band_center_mev")) == "12.3 meV"
    assert format_value(-0.001, column("band_center_mev")) == "0.0 meV"
    assert format_value(3.21e-5, column("sigma_25c_s_cm")) == "3.2e-05 S/cm"
    assert format_value(True, column("stable")) == "yes"
    assert format_value(np.nan, column("band_center_mev")) == "–"
    assert format_value(None, column("formula")) == "–"


def test_columns_of_a_table_from_elsewhere_are_guessed_by_the_unit_in_their_name():
    table = pd.DataFrame(
        {"material_id": ["a"], "gap_ev": [1.0], "big": [True], "note": ["x"], "n": [3], "nothing": [np.nan]}
    )
    guessed = {each.key: (each.unit, each.kind) for each in columns_of(table)}
    assert guessed == {"material_id": ("", "text"), "gap_ev": ("eV", "number"), "big": ("", "flag"),
                       "note": ("", "choice"), "n": ("", "number")}  # fmt: skip


def test_columns_are_described_by_table():
    described = describe_columns({"a.parquet": ["rank", "color"], "b.parquet": ["Li_center_mev"]})
    assert described.to_dict("list") == {
        "table": ["a.parquet", "b.parquet"],
        "column": ["rank", "Li_center_mev"],
        "unit": ["", "meV"],
        "meaning": [
            "Place among the candidates; empty where a criterion rejects.", "Band center of Li alone.",
        ],
    }  # fmt: skip


def run_screen(folder: Path) -> Collection[str]:
    verbs.screen(REFERENCES[:8], folder=folder, output=TABLES_ALONE, executor=HERE)
    return ()


def run_virtual(folder: Path) -> Collection[str]:
    space = Space.from_rules(built_in_rules("li3ps4"))
    verbs.virtual([space], folder=folder, sample=20, output=TABLES_ALONE, known=REFERENCES[:3], structures="table")
    return {"Li", "P", "S"}  # its slots


def run_train(folder: Path) -> Collection[str]:
    data = folder.parent / "data.jsonl"
    records = [
        {"material_id": c.material_id, "structure": c.to_pymatgen().as_dict(), "band_center_mev": 20.0 + i}
        for i, c in enumerate(REFERENCES[:24])
    ]
    data.write_text("\n".join(map(json.dumps, records)))
    settings = TrainSettings(str(data), "decision_tree", compare=False)
    verbs.train(settings, folder=folder, output=TABLES_ALONE, executor=ExecutorSettings(jobs=1))
    return {f"x{i}" for i in range(99)}  # axes of the space in which the nearest compounds are found


def run_phonons(folder: Path) -> Collection[str]:
    copper = Crystal.from_ase(bulk("Cu", cubic=True), material_id="copper")
    settings = PhononSettings(min_length_a=5.0)
    verbs.phonons([copper], engine="emt", ion="Cu", converge=True, settings=settings, folder=folder,
                  output=TABLES_ALONE, executor=ExecutorSettings(jobs=1))  # fmt: skip
    return {"Cu"}  # density of states of an element


def run_impedance(folder: Path) -> Collection[str]:
    omega = 2 * np.pi * np.logspace(6, 0, 40)
    spectrum = 100 + 1000 / (1 + 1j * omega * 1e-6) + 1 / (1j * omega * 1e-6)
    files = []
    for celsius in (25, 50, 75):
        z = spectrum * 25 / celsius
        files.append(folder.parent / f"pellet_{celsius}C.csv")
        table = {"freq/Hz": omega / (2 * np.pi), "Re(Z)/Ohm": z.real, "Im(Z)/Ohm": z.imag}
        pd.DataFrame(table).to_csv(files[-1], index=False)
    settings = ImpedanceSettings(thickness_mm=1.0, diameter_mm=10.0)
    verbs.impedance(files, folder=folder, settings=settings, output=TABLES_ALONE, executor=ExecutorSettings(jobs=1))
    return ()


def run_polarization(folder: Path) -> Collection[str]:
    t = np.arange(0.0, 4000.0, 20.0)
    table = {"time/s": t, "Ewe/V": 0.1, "I/mA": 1e-6 * (1 + np.exp(-t / 500))}
    pd.DataFrame(table).to_csv(folder.parent / "pellet_25C.csv", index=False)
    settings = PolarizationSettings(thickness_mm=1.0, diameter_mm=10.0, sigma_s_cm=1e-4)
    verbs.polarization(folder.parent / "pellet_25C.csv", folder=folder, settings=settings, output=TABLES_ALONE)
    return ()


RUNS = {"screen": run_screen, "virtual": run_virtual, "train": run_train, "phonons": run_phonons,
        "impedance": run_impedance, "polarization": run_polarization}  # fmt: skip


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=pytest.mark.long) if each == "virtual" else each for each in RUNS]
)
def test_every_column_that_a_run_writes_has_a_meaning(tmp_path: Path, name: str):
    folder = tmp_path / name
    free = RUNS[name](folder)
    described = pd.read_csv(folder / "columns.csv")
    assert list(described) == ["table", "column", "unit", "meaning"]
    assert described["meaning"].notna().all()
    files = [path for path in folder.rglob("*") if path.suffix in (".parquet", ".csv") and path.name != "columns.csv"]
    assert len(files) > 2
    for path in files:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
        check_columns(table, where=path.name, free=free)
        assert all(column(key).hint for key in table if key not in free)
        own = path.name in (*described["table"], "failures.parquet", "learned.parquet")
        beside = path.with_suffix(".parquet").name in set(described["table"])  # the same table as CSV
        of_crystal = path.parent != folder
        assert own or beside or of_crystal, f"columns.csv does not describe {path.name}"
    for table, keys in described.groupby("table")["column"]:
        path = next(folder.glob(str(table)))
        written = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
        assert set(keys) == set(written) - set(free)


def test_the_page_of_all_columns_is_the_registry():
    # in a process of its own: other tests may have columns of theirs
    script = f"import runpy; print(runpy.run_path({str(ROOT / 'scripts' / 'columns.py')!r})['render_page'](), end='')"
    shown = subprocess.run([sys.executable, "-X", "utf8", "-c", script], capture_output=True, check=True)
    assert PAGE.read_bytes() == shown.stdout
