"""The learning set that comes with the package, and what learns from it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from phonolyte.cli import app
from phonolyte.dos import PhononDos
from phonolyte.dos.table import read_densities, write_densities
from phonolyte.learning_set import crystals, densities, folder
from phonolyte.structures import Crystal
from phonolyte.structures.duplicates import find_duplicates
from phonolyte.structures.families import FAMILY_OF_ANION, family


@pytest.fixture(scope="module")
def learned() -> list[Crystal]:
    reading = crystals()
    assert not reading.failures
    return reading.crystals


def test_it_is_large_and_covers_elements_and_families(learned: list[Crystal]):
    elements = Counter(symbol for crystal in learned for symbol in crystal.composition)
    assert len(learned) >= 1500
    assert elements["Li"] >= 400
    assert len(elements) >= 70
    assert set(map(family, learned)) == {*FAMILY_OF_ANION.values(), "mixed", "hydride", "pnictide", "intermetallic"}
    assert sum(path.stat().st_size for path in folder().iterdir()) < 15e6


def test_each_crystal_is_stable_bound_and_there_once(learned: list[Crystal]):
    assert len({crystal.material_id for crystal in learned}) == len(learned)
    assert not any(find_duplicates(learned))
    for crystal in learned:
        assert crystal.properties["lowest_mode_mev"] >= -1.0
        assert crystal.properties["highest_mode_mev"] > 2.0
        assert 0.0 < crystal.properties["band_center_mev"] < crystal.properties["highest_mode_mev"]


def test_the_densities_have_three_states_an_atom_and_the_band_centers(learned: list[Crystal]):
    by_name = {crystal.material_id: crystal for crystal in learned}
    seen = set()
    for dos in densities():
        crystal = by_name[dos.material_id]
        assert set(dos.per_element) == set(crystal.composition)
        assert dos.states_per_atom == pytest.approx(3.0, abs=0.03)
        assert dos.band_center_mev == pytest.approx(crystal.properties["band_center_mev"], rel=1e-3)
        seen.add(dos.material_id)
    assert seen == set(by_name)


def test_densities_are_read_back_to_a_65535th_of_their_maximum(tmp_path: Path):
    energies = np.linspace(0.0, 60.0, 301)
    parts = {"Li": np.exp(-((energies - 40) ** 2) / 30), "O": 2 * np.exp(-((energies - 20) ** 2) / 50)}
    dos = PhononDos(energies, sum(parts.values()), parts, n_atoms=3.0, material_id="one", formula="Li2O")  # type: ignore[arg-type]
    undivided = replace(dos, per_element={}, material_id="two")
    write_densities([dos, undivided], tmp_path / "dos.parquet")
    again, total = read_densities(tmp_path / "dos.parquet")
    assert not total.per_element
    np.testing.assert_allclose(total.total, dos.total, atol=dos.total.max() / 65_535)
    for element, density in parts.items():
        np.testing.assert_allclose(again.per_element[element], density, atol=density.max() / 65_535)
    np.testing.assert_allclose(again.energies_mev, energies, atol=1e-9)
    assert (again.material_id, again.formula, again.n_atoms) == ("one", "Li2O", 3.0)


@pytest.mark.long
def test_a_study_without_data_learns_from_it(tmp_path: Path, learned: list[Crystal]):
    (tmp_path / "s.toml").write_text(
        "[train]\nalgorithm = 'decision_tree'\ncompare = false\n[screen]\npercolation = 'none'\n"
    )
    result = CliRunner().invoke(app, ["study", str(tmp_path / "s.toml"), "-o", str(tmp_path / "run"), "--no-figures"])
    assert result.exit_code == 0, result.output
    scores = json.loads((tmp_path / "run" / "model" / "metrics.json").read_text())
    assert {(row["algorithm"], row["features"]) for row in scores} == {("decision_tree", "all")}
    assert {row["split"]: row["n"] for row in scores}["composition"] == len(learned)
    assert "whose phonons Phonolyte computed" in (tmp_path / "run" / "model" / "card.md").read_text().replace("\n", " ")
    assert (tmp_path / "run" / "ranked.csv").is_file()
