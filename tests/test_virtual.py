from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from phonolyte.chemistry.ions import Ion
from phonolyte.cli import app
from phonolyte.errors import PhonolyteError, SettingsError
from phonolyte.features import featurize
from phonolyte.models import BandCenterModel
from phonolyte.references import reference_compound
from phonolyte.runs.run import Run
from phonolyte.structures import Crystal, read
from phonolyte.virtual import (
    BUILT_IN,
    Evaluator,
    ParentFeatures,
    Rules,
    SlotRule,
    Space,
    VirtualResult,
    built_in,
    built_in_rules,
    default_rules,
    evaluate,
    parent_of,
    run_virtual,
)
from phonolyte.virtual.parents import orbit_labels
from phonolyte.virtual.plausibility import Plausibility, _of_ion
from phonolyte.virtual.rules import RuleFile
from phonolyte.virtual.stream import formulas

PEROVSKITE = Crystal.of("CaTiO3", np.eye(3) * 3.9, ["Ca", "Ti", "O", "O", "O"],
                        [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])  # fmt: skip


@pytest.fixture(scope="module")
def model() -> BandCenterModel:
    return BandCenterModel.embedded()


def space_of(rules: Rules, crystal: Crystal = PEROVSKITE) -> Space:
    return Space.of(RuleFile(crystal.material_id, crystal, rules))


def run_into(folder: Path, spaces: list[Space], model: BandCenterModel, **more: Any) -> VirtualResult:
    with Run(folder, "virtual") as run:
        return run_virtual(run, spaces, model, **more)


@pytest.mark.parametrize("name", BUILT_IN)
def test_features_are_those_of_the_built_structures(name: str):
    space = Space.of(built_in_rules(name))
    numbers = space.numbers(space.sample(40, seed=7))
    numbers[:8, 1] = numbers[:8, 0]  # one element on two slots
    numbers[4:12, -1] = numbers[4:12, -2]
    built, failures = featurize(
        [space.parent.substituted(row, material_id=str(i)) for i, row in enumerate(numbers.tolist())]
    )
    assert not failures
    np.testing.assert_allclose(ParentFeatures.of(space.parent)(numbers), built.to_numpy(), rtol=0, atol=1.01e-10)


def test_features_of_slots_by_orbit_and_of_pure_elements():
    crystal = reference_compound("ref-Li6PS5Cl")
    parent = parent_of(crystal, {"bridge": ["S 4d"], "rest": ["S 16e"]})
    assert [slot.name for slot in parent.slots] == ["bridge", "rest", "Li", "P", "Cl"]
    numbers = np.array([[8, 16, 3, 15, 17], [16, 16, 3, 15, 16], [16, 16, 16, 16, 16], [34, 16, 11, 51, 35]])
    built, _ = featurize([parent.substituted(row, material_id=str(i)) for i, row in enumerate(numbers)])
    np.testing.assert_allclose(ParentFeatures.of(parent)(numbers), built.to_numpy(), rtol=0, atol=1.01e-10)


def test_the_scheme_of_the_study_has_as_many_compounds():
    counts = {name: len(Space.of(built_in_rules(name))) for name in BUILT_IN}
    assert sum(counts.values()) >= 230_136
    assert max(counts, key=lambda name: counts[name]) == "nasicon"


def test_numbers_of_compounds_are_decoded_and_sampled():
    space = space_of(Rules((SlotRule("Ca", ("Ca", "Sr")), SlotRule("Ti", ("Ti", "Zr", "Hf")))))
    assert len(space) == 6
    found = [tuple(row) for row in space.numbers(np.arange(6)).tolist()]
    assert found == [(20, 22, 8), (20, 40, 8), (20, 72, 8), (38, 22, 8), (38, 40, 8), (38, 72, 8)]
    assert space.sample(4, seed=1).tolist() == space.sample(4, seed=1).tolist()
    assert len(set(space.sample(5, seed=2).tolist())) == 5
    assert len(space.sample(99)) == 6


def test_orbits_have_labels():
    labels = orbit_labels(reference_compound("ref-LiGe2P3O12"))
    assert sorted(set(labels)) == ["Ge 12c", "Li 6b", "O 36f", "O 36f 2", "P 18e"]
    assert labels.count("O 36f 2") == 12


def test_charges_radii_and_electronegativities_leave_compounds_out():
    slots = (SlotRule("Ca", ("Ca", "K", "La")), SlotRule("Ti", ("Ti", "Nb", "Al", "S")))
    space = space_of(Rules(slots))
    numbers = space.numbers(np.arange(len(space)))
    allowed = space.allowed(numbers, space.balanced(numbers))
    made = dict(zip(formulas(numbers, space.parent.counts), allowed.tolist(), strict=True))
    assert made["CaTiO3"]
    assert made["KNbO3"]
    assert made["LaAlO3"]
    assert not made["KAlO3"]
    narrow = space_of(Rules(slots, charge="free", radius_window=1.2))
    kept = narrow.allowed(numbers, narrow.balanced(numbers))
    assert kept[0]
    assert not kept.all()
    swapped = space_of(Rules((SlotRule("Ti", ("Ti", "F")),), charge="free", electronegativity_order=True))
    numbers = swapped.numbers(np.arange(2))
    assert swapped.allowed(numbers, swapped.balanced(numbers)).tolist() == [True, False]


def test_formulas_are_those_of_crystals():
    space = Space.of(built_in_rules("argyrodite"))
    indices = space.sample(60, seed=3)
    assert formulas(space.numbers(indices), space.parent.counts) == [space.crystal(i).formula for i in indices.tolist()]


def test_the_parent_is_most_plausible_and_substitutions_are_pymatgen_s():
    from pymatgen.analysis.structure_prediction.substitution_probability import SubstitutionProbability
    from pymatgen.core.periodic_table import Species

    table, lithium = SubstitutionProbability(), Species("Li", 1)
    own = table.cond_prob(lithium, lithium)
    for symbol, z in (("Na", 11), ("Ag", 47), ("Cs", 55)):
        ratio = table.cond_prob(Species(symbol, 1), lithium) / own
        assert np.exp(_of_ion(Ion("Li", 1, 0.76))[z]) == pytest.approx(ratio)
    space = Space.of(built_in_rules("nasicon"))
    numbers = np.array([[3, 32, 15, 8], [11, 40, 15, 8], [56, 82, 17, 53]])
    plausibility = Plausibility(space)(numbers, space.balanced(numbers))
    assert plausibility[0] == pytest.approx(1.0)
    assert 1.0 > plausibility[1] > 0.05 > plausibility[2]


def test_streaming_is_in_order_and_the_same_with_threads(model: BandCenterModel):
    evaluator = Evaluator(Space.of(built_in_rules("li2tio3")), model)
    indices = range(0, 5616, 3)
    plain = list(evaluate(evaluator, indices))
    with ThreadPoolExecutor(3) as executor:
        threaded = list(evaluate(evaluator, indices, executor=executor))
    assert [n for n, _ in plain] == [n for n, _ in threaded]
    for (_, one), (_, other) in zip(plain, threaded, strict=True):
        np.testing.assert_array_equal(one.center_mev, other.center_mev)
        np.testing.assert_array_equal(one.index, other.index)
    predicted = model.predict_crystals([evaluator.space.crystal(i) for i in (0, 3, 6)])
    np.testing.assert_allclose(plain[0][1].center_mev[:3], predicted["band_center_mev"], atol=0.05)
    np.testing.assert_array_equal(plain[0][1].in_domain[:3], predicted["in_domain"])


def test_the_best_are_those_of_the_whole_list(model: BandCenterModel, tmp_path: Path):
    spaces = [Space.of(built_in_rules(name)) for name in ("li3ps4", "li2tio3")]
    everything = run_into(tmp_path / "all", spaces, model)
    best = run_into(tmp_path / "best", spaces, model, top=25)
    whole = pd.concat(pd.read_parquet(path) for path in sorted((tmp_path / "all" / "virtual").glob("*.parquet")))
    assert len(whole) == 3920 + 5616 == everything.summary["total"]["compounds"]
    for space in spaces:
        of_space = whole[whole["prototype"] == space.parent.name].sort_values("score_mev", kind="stable").head(25)
        kept = best.best[best.best["prototype"] == space.parent.name]
        assert kept["material_id"].tolist() == of_space["material_id"].tolist()
    assert best.summary["total"] == everything.summary["total"]
    assert best.best["rank"].tolist() == list(range(1, 51))
    counted = whole["band_center_mev"] <= 40
    assert everything.summary["total"]["soft"] == int(counted.sum())
    by_hand = whole[whole["prototype"] == "li3ps4"][["band_center_mev", "mean_Row"]].corr().iloc[0, 1]
    assert everything.summary["prototypes"]["li3ps4"]["correlation_with_mean_row"] == pytest.approx(by_hand)


def test_a_killed_run_goes_on(model: BandCenterModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("phonolyte.virtual.run.PORTION", 1024)
    spaces = [Space.of(built_in_rules("li3ps4"))]
    run_into(tmp_path / "whole", spaces, model, top=50)
    calls = 0

    def dies(n: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_into(tmp_path / "killed", spaces, model, top=50, progress=dies)
    done: list[int] = []
    run_into(tmp_path / "killed", spaces, model, top=50, progress=done.append)
    assert done[0] == 2048
    assert sum(done) == 3920
    for name in ("best.csv", "summary.json", "virtual/li3ps4-00000.parquet"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes()


def test_known_compounds_are_marked(model: BandCenterModel, tmp_path: Path):
    rules = Rules((SlotRule("Ca", ("Ca", "Sr")), SlotRule("Ti", ("Ti", "Zr"))))
    other_structure = Crystal.of("spread", np.eye(3) * 9, ["Sr", "Zr", "O", "O", "O"], np.arange(15).reshape(5, 3) / 17)
    strontium = space_of(rules).parent.substituted([38, 22, 8], material_id="known-SrTiO3", scale=1.05)
    best = run_into(tmp_path, [space_of(rules)], model, known=[strontium, other_structure]).best
    marked = best.set_index("formula")["known_as"]
    assert marked["SrTiO3"] == "known-SrTiO3"
    assert marked.drop("SrTiO3").isna().all()


def test_perovskites_have_the_tolerance_factor_of_shannon_s_radii(model: BandCenterModel, tmp_path: Path):
    space = space_of(Rules((SlotRule("Ca", ("Ca", "Sr", "Ba", "Mg")), SlotRule("Ti", ("Ti", "Zr")))))
    run_into(tmp_path, [space], model)
    table = pd.concat(map(pd.read_parquet, (tmp_path / "virtual").glob("*.parquet"))).set_index("formula")
    factors = table["tolerance_factor"]
    assert factors["CaTiO3"] == pytest.approx((1.34 + 1.40) / (2**0.5 * (0.605 + 1.40)))
    assert factors["SrTiO3"] == pytest.approx((1.44 + 1.40) / (2**0.5 * (0.605 + 1.40)))
    assert factors["MgZrO3"] < 0.8
    assert table["plausibility"]["MgZrO3"] < 0.1 * table["plausibility"]["SrTiO3"]
    of_others = (
        "ref-MgTiO3",
        "ref-LiNbO3",
        "ref-Li6PS5Cl",
        "ref-LiCoO2",
    )  # ilmenite has octahedra, but they share edges
    assert all(Space.of(default_rules(reference_compound(name))).tolerance_factor(np.zeros((0, 1))) is None
               for name in of_others)  # fmt: skip
    anti = Space.of(default_rules(reference_compound("ref-Li3OCl")))
    lithium, oxygen, chlorine = ([slot.name for slot in anti.parent.slots].index(name) for name in ("Li", "O", "Cl"))
    numbers = np.zeros((1, 3), dtype=int)
    numbers[0, [lithium, oxygen, chlorine]] = 3, 8, 17
    assert anti.tolerance_factor(numbers) == pytest.approx((1.81 + 0.76) / (2**0.5 * (1.40 + 0.76)))


def test_bad_rules_are_told(model: BandCenterModel, tmp_path: Path):
    with pytest.raises(SettingsError, match="no element"):
        Rules((SlotRule("Ca", ("Xx",)),))
    with pytest.raises(SettingsError, match="which CaTiO3 does not have"):
        space_of(Rules((SlotRule("Fe", ("Fe",)),)))
    with pytest.raises(SettingsError, match="nothing may take slot Ca"):
        space_of(Rules((SlotRule("Ca", ("Sr",)),), exclude=frozenset({"Sr"})))
    with pytest.raises(SettingsError, match="no compound at all"):
        run_into(tmp_path, [space_of(Rules((SlotRule("Ca", ("F", "Cl")),)))], model)
    with pytest.raises(SettingsError, match="in the slots"):
        parent_of(PEROVSKITE, {"one": ["O"], "two": [2]})
    with pytest.raises(SettingsError, match="gaps"):
        space_of(Rules((SlotRule("Ca", ("Pm", "At")),), charge="free"))
    with pytest.raises(SettingsError, match="there is no prototype"):
        built_in("olivine")


def test_defaults_for_any_parent_keep_charges_and_know_the_mobile_ion():
    file = default_rules(reference_compound("ref-Li6PS5Cl"))
    space = Space.of(file)
    names = [slot.name for slot in space.parent.slots]
    candidates = dict(zip(names, space.candidates, strict=True))
    assert {11, 12} <= set(candidates["Li"].tolist())
    assert set(candidates["Cl"].tolist()) >= {17, 35}
    fixed = Space.of(RuleFile(file.name, file.crystal, file.rules.with_ion("Na")))
    assert fixed.candidates[names.index("Li")].tolist() == [11]


RULES = """
prototype = "li3ps4"
charge = "balanced"
exclude = ["Tl"]
[slots.Li]
mobile = true
elements = ["Li", "Na"]
[slots.P]
elements = ["P", "As", "Sb"]
"""


def test_the_command_takes_rules_and_writes_structures(tmp_path: Path):
    (tmp_path / "rules.toml").write_text(RULES)
    arguments = ["virtual", "--rules", str(tmp_path / "rules.toml"), "-o", str(tmp_path / "run"), "--structures", "cif"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    best = pd.read_csv(tmp_path / "run" / "best.csv")
    assert len(best) == 6
    assert set(best["Li"]) == {"Li", "Na"}
    assert (tmp_path / "run" / "figures" / "histogram.png").stat().st_size > 5_000
    assert (tmp_path / "run" / "figures" / "row_trend.pdf").stat().st_size > 5_000
    crystals = read(tmp_path / "run" / "structures").crystals
    assert {crystal.formula for crystal in crystals} == set(best["formula"])
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["total"]["compounds"] == 6
    again = [*arguments, "--ion", "K", "--top", "2"]
    refused = CliRunner().invoke(app, again).exception
    assert isinstance(refused, SettingsError)
    assert "another run of phonolyte virtual, with other settings (top)" in str(refused)
    assert len(pd.read_csv(tmp_path / "run" / "best.csv")) == 6
    result = CliRunner().invoke(app, [*again, "--overwrite"])
    assert result.exit_code == 0, result.output
    assert set(pd.read_csv(tmp_path / "run" / "best.csv")["Li"]) == {"K"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prototype = 'nasicom'", "there is no prototype"),
        ("charge = 'free'", "need one of prototype and parent"),
        ("prototype = 'nasicon'\n[slots.Li]\nelements = []", "has no elements"),
        ("prototype = 'nasicon'\n[slots.Li]\nelements = ['Lithium']", "no element"),
        ("prototype = 'nasicon'\n[slots.Li]\nelement = ['Li']", "means nothing"),
        ("prototype = 'nasicon'\ncharges = 'free'", "means nothing"),
        ("prototype = 'nasicon'\ncharge = 'odd'", "balanced or free"),
        ("prototype = 'nasicon'\n[slots.A]\nsites = ['Li 7z']", "does not have"),
        ("prototype = 'nasicon'\nslots = 3", "Write a table"),
        ("prototype = 'nasicon'\nradius_window = 0.5", "factor above 1"),
        ("prototype = 'nasicon'\nradius_window = 'wide'", "Give a number"),
        ("prototype = 'nasicon'\nelectronegativity_order = 'no'", "Give true or false"),
        ("prototype = 'nasicon'\nexclude = 3", "Give a list"),
        ("prototype = 'nasicon'\n[slots.Li]\nmobile = 'perhaps'", "mobile of slot Li is 'perhaps'"),
    ],
)
def test_bad_files_of_rules_get_a_message(text: str, message: str, tmp_path: Path):
    (tmp_path / "rules.toml").write_text(text)
    result = CliRunner().invoke(app, ["virtual", "--rules", str(tmp_path / "rules.toml"), "-o", str(tmp_path / "run")])
    assert isinstance(result.exception, PhonolyteError)
    assert message in str(result.exception)
    assert not (tmp_path / "run" / "best.csv").exists()
