"""Computed band centers that come with the package, and their place in a screen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from phonolyte import verbs
from phonolyte.centers import BY, CENTERS, COMPUTED, PREDICTED, ComputedCenters, computed_centers
from phonolyte.runs.settings import ExecutorSettings, OutputSettings
from phonolyte.screen import ScreenSettings
from phonolyte.sources import Centers, fetch
from phonolyte.structures import Crystal
from phonolyte.structures.duplicates import fingerprint

HERE, TABLES_ALONE = ExecutorSettings(jobs=1), OutputSettings(figures=False, report=False)
KNOWN = computed_centers()


def make_crystal(row: int) -> Crystal:
    return Crystal.from_row({str(key): value for key, value in KNOWN.table.iloc[row].items()})


def find_first_stable() -> int:
    return int(np.flatnonzero(KNOWN.table["stable"])[0])


def find(crystal: Crystal) -> dict[str, object] | None:
    return KNOWN.find(crystal.formula, fingerprint(crystal), lambda: crystal)


def test_the_table_is_whole_and_physical():
    table = KNOWN.table
    assert table["material_id"].is_unique
    assert (table["lower_mev"] < table["band_center_mev"]).all()
    assert (table["band_center_mev"] < table["upper_mev"]).all()
    is_ammine = table["material_id"] == "mp-866667"  # Li3(NH3)12AsSe4, with 162 meV
    assert table.loc[~is_ammine, "band_center_mev"].between(5.0, 150.0).all()
    assert table["ion_center_mev"].between(5.0, 100.0).all()
    assert (table["raw_mev"] < table["band_center_mev"]).all()  # potentials soften
    assert (table.loc[table["stable"], "lowest_mode_mev"] > -1.5).all()
    assert all("Li" in row["species"] for row in table.to_dict("records"))


def test_centers_are_near_density_functional_theory(shared: Path):
    known = pd.read_json(shared / "data" / "learning_set_1272.jsonl.gz", lines=True).set_index("material_id")
    table = KNOWN.table[KNOWN.table["material_id"].isin(known.index)]
    reference = known.loc[table["material_id"], "band_center_mev"].to_numpy(float)
    off = np.abs(table["band_center_mev"].to_numpy(float) - reference) / reference
    assert len(off) >= 3
    assert np.median(off) < 0.03
    assert off.max() < 0.15


def test_a_crystal_finds_its_row_in_any_cell_and_no_other_crystal_does():
    row = find_first_stable()
    crystal = make_crystal(row)
    turned = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    doubled = crystal.to_pymatgen()
    doubled.make_supercell([2, 1, 1])
    for same in (
        replace(crystal, lattice=crystal.lattice @ turned),
        Crystal.from_pymatgen(doubled, material_id="doubled"),
        replace(crystal, frac_coords=crystal.frac_coords + 0.3),
    ):
        match = find(same)
        assert match is not None
        assert match["material_id"] == KNOWN.table["material_id"].iloc[row]
    assert find(replace(crystal, lattice=1.03 * crystal.lattice)) is None


def test_unstable_crystals_keep_their_row_and_replace_nothing():
    assert not KNOWN.table["stable"].all()
    rows = [row for rows in KNOWN.by_formula.values() for row in rows]
    assert KNOWN.table["stable"].iloc[rows].all()
    assert len(rows) == KNOWN.table["stable"].sum()


def test_a_screen_takes_the_computed_center_and_says_so(tmp_path: Path):
    crystal = make_crystal(find_first_stable())
    other = replace(crystal, lattice=1.02 * crystal.lattice, material_id="stretched")
    options = {"executor": HERE, "output": TABLES_ALONE}
    screening = verbs.screen([crystal, other], folder=tmp_path / "with", **options)
    table = screening.table.set_index("material_id")
    row = KNOWN.table.iloc[find_first_stable()]
    assert table.loc[crystal.material_id, list(CENTERS)].tolist() == pytest.approx(row[list(CENTERS)].tolist())
    assert table[BY].to_dict() == {crystal.material_id: COMPUTED, "stretched": PREDICTED}
    assert any("1 center is not predicted but computed" in note for note in screening.notes)
    without = verbs.screen([crystal], folder=tmp_path / "without", settings=ScreenSettings(computed=False), **options)
    assert without.table["band_center_mev"].item() != pytest.approx(row["band_center_mev"], abs=1e-6)
    study = verbs.screen([crystal], folder=tmp_path / "study", model="study", **options)
    assert BY not in study.table


def test_they_can_be_fetched(tmp_path: Path):
    result = fetch(Centers(), tmp_path)
    assert result.tables is not None
    assert result.tables.n_crystals == len(KNOWN.table)
    properties = pd.read_parquet(tmp_path / "properties.parquet").set_index("material_id")
    assert properties["band_center_mev"].notna().all()
    assert "koker2025" in (tmp_path / "cite.bib").read_text()


def test_no_table_no_match():
    empty = ComputedCenters.from_table(KNOWN.table.head(0))
    assert empty.find("LiF", np.zeros(3), lambda: make_crystal(0)) is None
