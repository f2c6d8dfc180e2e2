"""Known conductors beside the candidates of a screen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from phonolyte import verbs
from phonolyte.conduction import describe_conduction
from phonolyte.measured import load_measured
from phonolyte.percolation import COARSE
from phonolyte.references import reference_compound
from phonolyte.runs.settings import ExecutorSettings, OutputSettings
from phonolyte.screen import ScreenSettings
from phonolyte.screen.ranking import Ranking
from phonolyte.screen.yardsticks import CENTERS, known_conductors, place_conductors

HERE, TABLES_ALONE = ExecutorSettings(jobs=1), OutputSettings(figures=False, report=False)


@pytest.fixture
def candidates() -> pd.DataFrame:
    known = known_conductors("physical")
    rows = known.iloc[[5, 9, 20]].assign(passes=True)
    probability = rows["p_conductor"].to_numpy()
    return rows.assign(p_conductor=probability, volume_per_atom_a3=[20.0, 30.0, 10.0])


def test_every_known_conductor_is_a_measured_reference_compound():
    known = known_conductors()
    assert len(known) > 30
    assert known["measured_sigma_s_cm"].is_monotonic_decreasing
    for row in known.to_dict("records"):
        match = load_measured().match(reference_compound(row["material_id"]))
        assert match is not None
        assert match.sigma_s_cm == row["measured_sigma_s_cm"]


@pytest.mark.parametrize("name", ["ref-Li6PS5I", "ref-Li4GeS4", "ref-Li3N"])
def test_what_comes_with_the_package_is_what_is_computed_today(name: str):
    crystal = reference_compound(name)
    today = describe_conduction([crystal], ["Li"], COARSE).iloc[0]
    shipped = known_conductors("physical").set_index("material_id").loc[name]
    for column in ("barrier_3d_ev", "p_conductor", "sigma_predicted_s_cm"):
        assert today[column] == pytest.approx(shipped[column], rel=1e-6)


def test_the_center_is_that_of_the_model_that_screens(tmp_path: Path):
    for model in CENTERS:
        screening = verbs.screen(
            [reference_compound("ref-Li3N")], folder=tmp_path / model, model=model, executor=HERE, output=TABLES_ALONE,
            settings=ScreenSettings(percolation="none"),
        )  # fmt: skip
        (center,) = screening.table["band_center_mev"]
        shipped = screening.yardsticks.set_index("material_id")["band_center_mev"]
        assert shipped["ref-Li3N"] == pytest.approx(center, rel=1e-6)
    assert known_conductors("another")["band_center_mev"].isna().all()


def test_a_conductor_stands_where_it_stands_as_a_candidate(candidates: pd.DataFrame):
    ranking = Ranking("p_conductor")
    placed = place_conductors(candidates, ranking, "physical").set_index("material_id")["would_rank"]
    order = candidates.iloc[ranking.places(candidates)]["material_id"]
    assert [placed[name] for name in order] == [1, 2, 3]
    assert placed.between(1, 4).sum() == placed.notna().sum()
    best = known_conductors()["p_conductor"].max()
    assert best > candidates["p_conductor"].max()
    assert placed.min() == 1


def test_what_cannot_be_judged_has_no_place(candidates: pd.DataFrame):
    by_volume = place_conductors(candidates, Ranking("volume_per_atom_a3"))
    assert by_volume["would_rank"].isna().all()
    by_center = place_conductors(candidates, Ranking("band_center_mev"), "relaxed")
    assert by_center["would_rank"].isna().all()
    weighted = place_conductors(candidates, Ranking("p_conductor", (("p_conductor", 1.0), ("barrier_3d_ev", 0.5))))
    known = known_conductors()
    judged = known["p_conductor"].notna() & known["barrier_3d_ev"].notna()
    np.testing.assert_array_equal(weighted["would_rank"].notna(), judged)


def test_screens_without_candidates_of_the_ion_have_none(candidates: pd.DataFrame, tmp_path: Path):
    assert place_conductors(candidates.assign(ion="Na"), Ranking("p_conductor")).empty
    assert place_conductors(candidates.assign(passes=False), Ranking("p_conductor")).empty
    verbs.screen([reference_compound("ref-NaCl")], folder=tmp_path / "na", executor=HERE, output=TABLES_ALONE)
    assert not (tmp_path / "na" / "yardsticks.csv").exists()


def test_a_screen_writes_them_with_their_ranks(tmp_path: Path):
    verbs.screen([reference_compound("ref-Li2Te")], folder=tmp_path, executor=HERE, output=TABLES_ALONE)
    written = pd.read_csv(tmp_path / "yardsticks.csv")
    assert set(written["would_rank"].dropna()) <= {1, 2}
    assert written.loc[written["material_id"] == "ref-Li10GeP2S12", "would_rank"].item() == 1
    described = pd.read_csv(tmp_path / "columns.csv")
    assert "would_rank" in set(described.loc[described["table"] == "yardsticks.csv", "column"])
