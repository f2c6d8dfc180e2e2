from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.calculators.emt import EMT
from ase.optimize import BFGS
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

import phonolyte
from phonolyte.cli import app
from phonolyte.columns import column, columns_of
from phonolyte.elastic import (
    METALS_GPA,
    ElasticCalculation,
    ElasticLimits,
    ElasticResult,
    ElasticSettings,
    Stiffness,
    compute_elastic,
    workflow,
)
from phonolyte.elastic.metals import meets_criterion, shear_ratio
from phonolyte.elastic.stiffness import MODULI, fit_stiffness
from phonolyte.errors import ElasticError, EngineError, SettingsError
from phonolyte.forces import Engine, open_engine
from phonolyte.forces.cells import Clock
from phonolyte.report.card import card_of
from phonolyte.report.contents import read_run
from phonolyte.runs.executors import ExecutorSettings
from phonolyte.runs.settings import OutputSettings
from phonolyte.structures import Crystal
from phonolyte.tiers import TIERS, deciding_column

HERE = ExecutorSettings(jobs=1)
TABLES_ALONE = OutputSettings(figures=False, report=False)
GPA = 160.21766  # eV/angstrom^3
COPPER = Crystal.from_ase(bulk("Cu", cubic=True), material_id="copper")
HEXAGONAL = Crystal.from_ase(bulk("Cu", "hcp", a=2.55, covera=1.63), material_id="hexagonal")
UNSTABLE = Crystal.from_ase(bulk("Cu", "bcc", a=2.87), material_id="squeezed")
LITHIUM = Crystal.from_ase(bulk("Li", "bcc", a=3.5), material_id="lithium")
ORDERED = Crystal.from_arrays("AuCu3", np.eye(3) * 3.8, ["Au", "Cu", "Cu", "Cu"],
                     [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])  # fmt: skip
TRIGONAL = Crystal.from_arrays(
    "CuPt", 3.85 * (np.ones((3, 3)) + np.eye(3)) / 2, ["Cu", "Pt"], [[0, 0, 0], [0.5, 0.5, 0.5]]
)
N_STRAINS = {"copper": 6, "AuCu3": 6, "hexagonal": 10, "CuPt": 12}


@pytest.fixture(scope="module")
def emt() -> Engine:
    return open_engine("emt")


@pytest.fixture(scope="module")
def copper(emt: Engine) -> ElasticResult:
    return compute_elastic(COPPER, emt)


@pytest.fixture(scope="module")
def hexagonal(emt: Engine) -> ElasticResult:
    return compute_elastic(HEXAGONAL, emt)


def compute_energy(atoms: Atoms, strain: np.ndarray, *, relaxed: bool) -> float:
    """Energy under a strain that is added to the identity: what no part of the package has a hand in."""
    atoms = atoms.copy()
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    atoms.calc = EMT()
    if relaxed:
        BFGS(atoms, logfile=None).run(fmax=1e-5)
    return float(atoms.get_potential_energy())


def compute_curvature_gpa(result: ElasticResult, strain: np.ndarray, *, relaxed: bool = False) -> float:
    """Second derivative of the energy by the size of a strain, over the volume."""
    atoms, step = result.crystal.to_ase(), 2e-3
    low, rest, high = (compute_energy(atoms, share * step * strain, relaxed=relaxed) for share in (-1, 0, 1))
    return (low - 2 * rest + high) / step**2 / atoms.get_volume() * GPA


def make_stiffness(**entries: float) -> np.ndarray:
    """Symmetric stiffness in Voigt's notation from c11=... and the like."""
    voigt = np.zeros((6, 6))
    for name, value in entries.items():
        i, j = int(name[1]) - 1, int(name[2]) - 1
        voigt[i, j] = voigt[j, i] = value
    return voigt


def make_cubic_stiffness(c11: float, c12: float, c44: float) -> np.ndarray:
    return make_stiffness(c11=c11, c22=c11, c33=c11, c12=c12, c13=c12, c23=c12, c44=c44, c55=c44, c66=c44)


# The tensor


def test_a_cubic_metal_has_the_constants_that_its_energy_under_strain_has(copper: ElasticResult):
    voigt = copper.stiffness.voigt_gpa
    assert voigt[0, 0] == pytest.approx(compute_curvature_gpa(copper, np.diag([1.0, 0, 0])), rel=0.01)
    both = compute_curvature_gpa(copper, np.diag([1.0, -1.0, 0]))  # 2 (C11 - C12)
    assert voigt[0, 0] - voigt[0, 1] == pytest.approx(both / 2, rel=0.01)
    shear = np.array([[0, 0.5, 0], [0.5, 0, 0], [0, 0, 0]])
    assert voigt[3, 3] == pytest.approx(compute_curvature_gpa(copper, shear), rel=0.01)
    assert copper.row()["bulk_modulus_gpa"] == pytest.approx(compute_curvature_gpa(copper, np.eye(3)) / 9, rel=0.01)
    assert copper.row()["bulk_modulus_gpa"] == pytest.approx(138, rel=0.05)  # measured, which EMT was fitted to
    assert np.abs(voigt[:3, 3:]).max() < 1e-6 * voigt[0, 0]


def test_ions_relax_in_the_strained_cell(emt: Engine, hexagonal: ElasticResult):
    clamped = compute_elastic(HEXAGONAL, emt, ElasticSettings(relax_ions=False))
    across = np.diag([1.0, -1.0, 0])  # 2 (C11 - C12), the strain that moves one plane against the other
    expected = [
        compute_curvature_gpa(result, across, relaxed=result is hexagonal) / 2 for result in (hexagonal, clamped)
    ]
    differences = [
        result.stiffness.voigt_gpa[0, 0] - result.stiffness.voigt_gpa[0, 1] for result in (hexagonal, clamped)
    ]
    assert differences == pytest.approx(expected, rel=0.015)
    assert differences[1] > 1.03 * differences[0]
    along = compute_curvature_gpa(hexagonal, np.diag([0, 0, 1.0]), relaxed=True)
    assert hexagonal.stiffness.voigt_gpa[2, 2] == pytest.approx(along, rel=0.01)


@pytest.mark.parametrize("crystal", [COPPER, ORDERED, HEXAGONAL, TRIGONAL], ids=lambda crystal: crystal.material_id)
def test_strains_that_symmetry_leaves_out_would_change_nothing(emt: Engine, crystal: Crystal):
    reduced, settings = compute_elastic(crystal, emt), ElasticSettings()
    atoms = reduced.crystal.to_ase()
    directions = workflow.needed_strains(np.array([np.eye(3), -np.eye(3)]), settings.strain)
    assert [len(each) for each in directions] == [4] * 6
    assert len(reduced.strains) == N_STRAINS[crystal.material_id]
    clock = Clock(None, "all")
    stresses = workflow.strained_stresses_gpa(atoms, directions, emt, settings, clock)
    whole, residual = fit_stiffness(np.concatenate(directions), stresses, np.eye(3)[None])
    np.testing.assert_allclose(whole.voigt_gpa, reduced.stiffness.voigt_gpa, atol=0.005 * whole.voigt_gpa.max())
    assert residual == pytest.approx(reduced.residual, abs=0.03)


def test_moduli_do_not_depend_on_the_cell_that_is_given(emt: Engine, hexagonal: ElasticResult):
    wide = make_supercell(HEXAGONAL.to_ase(), [[2, 1, 0], [0, 1, 0], [0, 0, 2]])
    wide.rotate(40, (1, 2, 3), rotate_cell=True)
    again = compute_elastic(Crystal.from_ase(wide, material_id="wide"), emt)
    assert len(again.crystal) == len(hexagonal.crystal) == 2
    np.testing.assert_allclose(again.stiffness.voigt_gpa, hexagonal.stiffness.voigt_gpa, atol=0.5)
    assert [again.row()[key] for key in MODULI] == pytest.approx([hexagonal.row()[key] for key in MODULI], rel=0.01)


def test_a_fit_returns_the_tensor_that_made_the_stresses():
    rng = np.random.default_rng(1)
    made = rng.normal(size=(6, 6))
    made = 50 * (made @ made.T + 2 * np.eye(6))
    strains = rng.normal(size=(12, 3, 3)) * 0.01
    strains = strains + strains.transpose(0, 2, 1)
    rows, columns = [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]
    vectors = strains[:, rows, columns] * [1, 1, 1, 2, 2, 2]
    stresses = np.zeros_like(strains)
    stresses[:, rows, columns] = stresses[:, columns, rows] = vectors @ made
    stiffness, residual = fit_stiffness(strains, stresses, np.eye(3)[None])
    np.testing.assert_allclose(stiffness.voigt_gpa, made, rtol=1e-8)
    assert residual < 1e-10
    _, residual = fit_stiffness(strains, stresses * (1 + 0.1 * rng.choice([-1, 1], size=(12, 1, 1))), np.eye(3)[None])
    assert 0.01 < residual < 0.2


# The averages


@pytest.mark.parametrize(
    ("voigt", "bulk", "shear", "young", "poisson"),
    [
        (make_cubic_stiffness(208.7, 21.5, 61.1), 83.9, 72.5, 169.0, 0.16),
        (make_cubic_stiffness(39.9, 23.1, 7.8), 28.7, 8.1, 22.1, 0.37),
        (
            make_stiffness(c11=196.9, c22=196.9, c33=224.2, c12=92.7, c13=86.2, c23=86.2, c44=80.1, c55=80.1, c66=71.0),
            127.4, 68.9, 175.1, 0.27,
        ),
        (
            make_stiffness(c11=116.5, c22=123.9, c33=127.4, c12=45.4, c13=36.5, c23=62.5, c44=38.9, c55=41.1, c66=53.9),
            72.5, 40.9, 103.4, 0.26,
        ),
    ],
    ids=["Li2O", "Li6PS5Cl", "Li7La3Zr2O12", "Li3PO4"],
)  # fmt: skip
def test_averages_are_those_that_are_published(voigt: np.ndarray, bulk: float, shear: float, young: float, poisson):
    """Tensors and averages of Deng et al. (10.1149/2.0061602jes), which have one decimal."""
    averages = Stiffness(voigt).averages()
    assert averages["bulk_modulus_gpa"] == pytest.approx(bulk, abs=0.15)
    assert averages["shear_modulus_gpa"] == pytest.approx(shear, abs=0.15)
    assert averages["young_modulus_gpa"] == pytest.approx(young, abs=0.3)
    assert averages["poisson_ratio"] == pytest.approx(poisson, abs=0.006)
    assert averages["pugh_ratio"] == pytest.approx(bulk / shear, rel=0.01)


def test_the_anisotropy_of_a_cubic_crystal_is_that_of_its_zener_ratio():
    zener = 2 * 75.0 / (168.0 - 121.0)
    expected = 6 / 5 * (math.sqrt(zener) - 1 / math.sqrt(zener)) ** 2  # 10.1103/PhysRevLett.101.055504
    assert Stiffness(make_cubic_stiffness(168.0, 121.0, 75.0)).averages()["universal_anisotropy"] == pytest.approx(
        expected
    )
    assert Stiffness(make_cubic_stiffness(100.0, 40.0, 30.0)).averages()["universal_anisotropy"] == pytest.approx(
        0.0, abs=1e-9
    )


def test_a_rotation_changes_neither_averages_nor_the_lowest_eigenvalue(hexagonal: ElasticResult):
    from pymatgen.analysis.elasticity.elastic import ElasticTensor

    turned = ElasticTensor.from_voigt(hexagonal.stiffness.voigt_gpa).rotate(
        Rotation.random(rng=3).as_matrix(), tol=1e-6
    )
    other = Stiffness(np.asarray(turned.voigt))
    assert not np.allclose(other.voigt_gpa, hexagonal.stiffness.voigt_gpa, atol=1)
    assert other.lowest_gpa == pytest.approx(hexagonal.stiffness.lowest_gpa)
    assert other.averages() == pytest.approx(hexagonal.stiffness.averages())


def test_an_unstable_tensor_has_no_moduli():
    assert Stiffness(make_cubic_stiffness(100.0, 40.0, 30.0)).lowest_gpa == pytest.approx(60.0)  # 2 C44 = C11 - C12
    assert Stiffness(make_cubic_stiffness(100.0, 99.0, 30.0)).is_stable
    unstable = Stiffness(make_cubic_stiffness(100.0, 101.0, 30.0))
    assert unstable.lowest_gpa == pytest.approx(-1.0)
    assert not unstable.is_stable
    assert set(unstable.averages()) == set(MODULI)
    assert all(math.isnan(value) for value in unstable.averages().values())


# The criterion


def test_a_separator_is_stiff_enough_from_twice_the_modulus_of_the_metal_on():
    assert METALS_GPA == {"Li": 4.2, "Na": 3.3, "K": 1.3, "Mg": 17.0}
    assert shear_ratio(8.4, "Li") == pytest.approx(2.0)
    assert meets_criterion(shear_ratio(8.41, "Li")) is True
    assert meets_criterion(shear_ratio(8.39, "Li")) is False
    assert meets_criterion(shear_ratio(8.39, "Na")) is True
    assert meets_criterion(shear_ratio(60.0, "Ag")) is None
    assert meets_criterion(shear_ratio(float("nan"), "Li")) is None


# Many crystals


def test_what_fails_and_what_is_unstable_are_rows_that_say_so(tmp_path: Path):
    given = [COPPER, UNSTABLE, LITHIUM]
    outcome = phonolyte.elastic(
        given, engine="emt", folder=tmp_path, output=OutputSettings(figures=False), executor=HERE
    )
    table = outcome.table.set_index("material_id")
    assert list(table.index) == ["copper", "squeezed"]
    assert table.loc["copper", "mechanically_stable"]
    assert table.loc["copper", "monroe_newman"]
    assert table.loc["copper", "why"] == ""
    assert not table.loc["squeezed", "mechanically_stable"]
    assert table.loc["squeezed", "lowest_stiffness_gpa"] < 0
    assert table.loc["squeezed", [*MODULI, "monroe_newman"]].isna().all()
    assert "mechanically unstable" in table.loc["squeezed", "why"]
    (failure,) = outcome.failures
    assert (failure.material_id, failure.stage) == ("lithium", "elastic")
    assert "No EMT-potential for Li" in failure.message
    item = json.loads((tmp_path / "items" / "copper.json").read_text())
    assert np.shape(item["details"]["stresses_gpa"]) == (6, 3, 3)
    written = pd.read_parquet(tmp_path / "elastic.parquet")
    tensor = np.array(written["stiffness_gpa"][0]).reshape(6, 6)
    assert tensor[:3, :3].mean() == pytest.approx(table.loc["copper", "bulk_modulus_gpa"])
    page = (tmp_path / "report.html").read_text()
    assert "1 of 2 crystals is mechanically stable" in page
    card = card_of(read_run(tmp_path), "squeezed")
    assert ("mechanically stable", "no") in card.computed["Elastic moduli"]


def test_lists_are_on_no_page():
    assert column("stiffness_gpa").kind == "list"
    table = pd.DataFrame({"material_id": ["a"], "stiffness_gpa": [[1.0] * 36], "fit_residual": [0.1]})
    assert [each.key for each in columns_of(table)] == ["material_id", "fit_residual"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (ElasticSettings(limit_s=1e-6), "longer than the limit"),
        (ElasticSettings(max_steps=1), "does not converge"),
    ],
)
def test_a_crystal_that_is_not_done_is_a_failure(tmp_path: Path, settings: ElasticSettings, message: str):
    outcome = phonolyte.elastic(
        [HEXAGONAL], engine="emt", settings=settings, folder=tmp_path, output=TABLES_ALONE, executor=HERE
    )
    assert outcome.table.empty
    assert message in outcome.failures[0].message


def test_positions_that_do_not_converge_under_strain_are_a_failure(emt: Engine, hexagonal: ElasticResult):
    atoms, strict = hexagonal.crystal.to_ase(), ElasticSettings(max_steps=1, fmax_ev_a=1e-6)
    with pytest.raises(EngineError, match="does not converge"):
        workflow.strained_stresses_gpa(atoms, [0.01 * np.diag([1.0, 0, 0])[None]], emt, strict, Clock(None, "x"))


class Endless(EMT):
    """A calculator that gives stresses that are not numbers."""

    def calculate(self, *arguments, **more):
        super().calculate(*arguments, **more)
        self.results["stress"] = np.full(6, np.nan)


class Stressless(EMT):
    implemented_properties = ("energy", "forces")


def test_an_engine_without_stresses_is_refused(hexagonal: ElasticResult):
    with pytest.raises(SettingsError, match="engine without gives no stresses"):
        ElasticCalculation(Engine("without", Stressless())).check()
    with pytest.raises(EngineError, match="broken gives a stress that is not finite"):
        workflow._stress_gpa(hexagonal.crystal.to_ase(), Engine("broken", Endless()))


def test_stress_that_is_not_linear_is_remarked(emt: Engine, copper: ElasticResult):
    far = compute_elastic(COPPER, emt, ElasticSettings(strain=0.06))
    assert far.residual > 0.2 > 3 * copper.residual
    assert far.stiffness.is_stable
    assert "stress is not linear in the strain" in far.why


class Jumping(EMT):
    """A calculator that gives the stress of another crystal as soon as the cell is strained."""

    def calculate(self, *arguments, **more):
        super().calculate(*arguments, **more)
        self.results["stress"] = self.results["stress"] + 0.02 * (self.results["stress"][0] > 1e-3)


def test_stress_that_jumps_is_a_failure_and_not_an_instability():
    with pytest.raises(ElasticError, match="ions leave their sites"):
        compute_elastic(COPPER, Engine("jumping", Jumping()), ElasticSettings(strain=0.002))


@pytest.mark.parametrize("wrong", [{"strain": 0.0}, {"strain": 0.2}, {"fmax_ev_a": -1.0}, {"max_steps": 0}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float]):
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        ElasticSettings(**wrong)


def test_the_metal_and_the_time_limit_decide_no_moduli(tmp_path: Path, emt: Engine):
    calculation = ElasticCalculation(emt)
    assert replace(calculation, ion="Na").key == calculation.key
    assert replace(calculation, settings=ElasticSettings(limit_s=9.0)).key == calculation.key
    for other in (ElasticSettings(strain=0.005), ElasticSettings(relax_ions=False), ElasticSettings(fmax_ev_a=1e-2)):
        assert replace(calculation, settings=other).key != calculation.key
    tables = [
        phonolyte.elastic([COPPER], engine="emt", ion=ion, folder=tmp_path, output=TABLES_ALONE, executor=HERE).table
        for ion in ("Li", "Mg", "Ag")
    ]
    ratios = [float(table["shear_ratio_to_metal"][0]) for table in tables]
    assert ratios[0] / ratios[1] == pytest.approx(17.0 / 4.2)
    assert math.isnan(ratios[2])
    assert len({float(table["seconds"][0]) for table in tables}) == 1  # computed once
    with pytest.raises(SettingsError, match="'Xx' is not an element"):
        phonolyte.elastic([COPPER], engine="emt", ion="Xx", folder=tmp_path / "new")


def test_a_study_goes_by_limits():
    row = {
        "mechanically_stable": True,
        "lowest_stiffness_gpa": 9.0,
        "shear_modulus_gpa": 8.0,
        "young_modulus_gpa": 22.0,
    }
    unstable = {**row, "mechanically_stable": False, "lowest_stiffness_gpa": -2.0}
    judge = ElasticCalculation.judge
    assert judge(row, ElasticLimits()) == ""
    assert judge(row, ElasticLimits(min_shear_gpa=8.4)) == "a shear modulus of 8.0 GPa"
    assert judge(row, ElasticLimits(max_young_gpa=20.0)) == "a Young's modulus of 22 GPa"
    assert judge(unstable, ElasticLimits()) == "mechanically unstable, an eigenvalue of -2.0 GPa"
    assert judge(unstable, ElasticLimits(mechanically_stable=False)) == ""
    assert judge(unstable, ElasticLimits(min_shear_gpa=1.0, mechanically_stable=False)).startswith("mechanically")


def test_the_tier_follows_phonons_and_orders_no_candidates():
    names = list(TIERS)
    assert names.index("elastic") == names.index("phonons") + 1
    assert deciding_column(["rank", "shear_modulus_gpa", "monroe_newman"]) == "rank"


@pytest.mark.long
def test_a_study_follows_candidates_through_their_moduli(tmp_path: Path):
    for crystal in (COPPER, ORDERED):
        crystal.to_pymatgen().to(str(tmp_path / f"{crystal.material_id}.cif"), fmt="cif")
    (tmp_path / "study.toml").write_text(
        '[screen]\ninputs = ["copper.cif", "AuCu3.cif"]\nion = "Cu"\nmax_center_mev = 200\n'
        'without = ["e_hull", "band_gap", "likely_metal"]\n'
        '[follow]\nion = "Cu"\nengine = "emt"\ntiers = ["elastic"]\nmin_shear_gpa = 54\n'
        "[follow.elastic]\nstrain = 0.005\n"
    )
    result = CliRunner().invoke(app, ["study", str(tmp_path / "study.toml"), "-o", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "a shear modulus of at least 54 GPa" in " ".join(result.output.split())
    followed = pd.read_csv(tmp_path / "out" / "followed.csv").set_index("material_id")
    assert followed.loc["copper", "stopped"] == "followed to the end"
    assert followed.loc["AuCu3", "stopped"].startswith("elastic: a shear modulus of 5")
    assert followed["mechanically_stable"].all()
    assert followed["monroe_newman"].isna().all()  # the shear modulus of the metal is not listed


def test_the_command_shows_moduli(tmp_path: Path):
    bulk("Cu", cubic=True).write(tmp_path / "copper.cif")
    arguments = ["elastic", str(tmp_path / "copper.cif"), "--engine", "emt", "--strain", "0.005", "--no-figures"]
    result = CliRunner().invoke(app, [*arguments, "-o", str(tmp_path / "out"), "-j", "1"])
    assert result.exit_code == 0, result.output
    assert "Elastic moduli of 1 crystal" in result.output
    assert "134." in result.output
    assert "metal: Li, G = 4.2 GPa" in result.output
    page = (tmp_path / "out" / "report.html").read_text()
    assert "at least 2 times the shear modulus of Li metal (4.2 GPa)" in page
    assert "monroe2005" in (tmp_path / "out" / "cite.bib").read_text()
