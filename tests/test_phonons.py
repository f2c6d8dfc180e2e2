from __future__ import annotations

import copy
import io
import json
import tomllib
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk
from rich.console import Console
from typer.testing import CliRunner

from phonolyte.chemistry.formulas import shares_of
from phonolyte.cli import app
from phonolyte.errors import Failure, MissingExtraError, ModelError, PhononError, SettingsError, TableError
from phonolyte.forces import Engine, open_engine
from phonolyte.forces.cells import supercell_matrix
from phonolyte.phonons import PhononCalculation, PhononResult, PhononSettings, compute_phonons, workflow
from phonolyte.phonons.calibration import (
    IDENTITY,
    Calibration,
    cross_validated,
    learn_from_run,
    scores,
    shipped_folder,
)
from phonolyte.phonons.convergence import convergence
from phonolyte.phonons.workflow import Spectrum, element_shares, spectrum
from phonolyte.runs.campaign import Outcome, run_campaign
from phonolyte.runs.run import Run
from phonolyte.structures import Crystal, read
from phonolyte.summary import calculation_table

COPPER = Crystal.from_ase(bulk("Cu", cubic=True), material_id="copper")
GOLD = Crystal.from_ase(bulk("Au", cubic=True), material_id="gold/soft")
ORDERED = Crystal.from_arrays("AuCu3", np.eye(3) * 3.8, ["Au", "Cu", "Cu", "Cu"],
                     [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])  # fmt: skip
LITHIUM = Crystal.from_ase(bulk("Li", "bcc", a=3.5), material_id="lithium")
FAST = PhononSettings(min_length_a=7.0, mesh=(13, 13, 13))


@pytest.fixture(scope="module")
def emt() -> Engine:
    return open_engine("emt")


def run_phonons(
    crystals: list[Crystal], engine: Engine, folder: Path, settings: PhononSettings, **more: Any
) -> Outcome:
    """Phonons of crystals in a run folder that goes on under any settings, as that of a tier in a study."""
    with Run(folder, "phonons", identity="phonons") as run:
        return run_campaign(PhononCalculation(engine, settings, **more), crystals, run)


def split_outcome(outcome: Outcome) -> tuple[pd.DataFrame, list[Failure]]:
    """Table and failures."""
    return outcome.table, list(outcome.failures)


@pytest.fixture(scope="module")
def ordered(emt: Engine) -> PhononResult:
    return compute_phonons(ORDERED, emt, FAST)


def test_copper_has_the_phonons_of_a_metal(emt: Engine):
    result = compute_phonons(COPPER, emt, FAST)
    assert len(result.crystal) == 1
    assert result.n_displacements == 1
    assert result.stable
    assert abs(result.lowest_mode_mev) < 0.05
    assert result.lowest_at == (0.0, 0.0, 0.0)
    assert result.highest_mode_mev == pytest.approx(30, rel=0.2)  # neutron scattering: 30 meV


def test_every_atom_has_three_states_and_the_elements_make_up_the_total(ordered: PhononResult):
    assert ordered.dos.states_per_atom == pytest.approx(3.0, abs=0.02)
    assert not ordered.dos.is_cut
    total = sum(ordered.dos.per_element.values())
    np.testing.assert_allclose(total, ordered.dos.total)
    of_gold = np.trapezoid(ordered.dos.per_element["Au"], ordered.dos.energies_mev)
    assert of_gold == pytest.approx(3.0, abs=0.05)
    assert ordered.dos.element_centers_mev["Au"] < ordered.dos.element_centers_mev["Cu"]


def test_elements_on_the_irreducible_mesh_are_those_on_the_whole_mesh(ordered: PhononResult):
    phonon, means = ordered.phonopy, []
    for symmetric in (True, False):
        phonon.run_mesh(FAST.mesh, with_eigenvectors=True, is_mesh_symmetry=symmetric, is_gamma_center=True)
        mesh = phonon.mesh
        shares = element_shares(mesh.eigenvectors, phonon.primitive.symbols)
        weights = mesh.weights[:, None] * shares["Au"]
        means.append(np.average(np.maximum(mesh.frequencies, 0.0), weights=weights) * 4.135667696)
    assert means[0] == pytest.approx(means[1], rel=1e-9)
    assert ordered.dos.element_centers_mev["Au"] == pytest.approx(means[1], rel=5e-3)


def test_the_density_is_phonopy_s(ordered: PhononResult):
    phonon, step = ordered.phonopy, np.diff(ordered.dos.energies_mev)[0] / 4.135667696
    phonon.run_mesh(FAST.mesh, is_gamma_center=True)
    first_edge, finer = ordered.dos.energies_mev[0] / 4.135667696 - step / 2, step / 20
    phonon.run_total_dos(freq_min=first_edge + finer / 2, freq_max=first_edge + 501 * step, freq_pitch=finer)
    averaged = phonon.total_dos.dos[: 501 * 20].reshape(501, 20).mean(axis=1) / 4.135667696
    np.testing.assert_allclose(averaged, ordered.dos.total, atol=0.03 * ordered.dos.total.max())
    assert averaged.sum() == pytest.approx(ordered.dos.total.sum(), rel=1e-3)


def test_the_center_is_the_mean_of_the_modes(ordered: PhononResult):
    mesh = ordered.phonopy.mesh
    weights = np.repeat(mesh.weights[:, None], mesh.frequencies.shape[1], axis=1)
    mean = np.average(np.maximum(mesh.frequencies, 0.0), weights=weights) * 4.135667696
    assert ordered.band_center_mev == pytest.approx(mean, rel=0.005)


def test_bands_that_are_narrower_than_the_grid_count_in_full(ordered: PhononResult):
    phonon = copy.deepcopy(ordered.phonopy)
    springs = np.where(np.array(phonon.supercell.symbols) == "Au", 1.0, 300.0)
    phonon.force_constants = np.einsum("i,ij,xy->ijxy", springs, np.eye(len(springs)), np.eye(3))
    dos = spectrum(phonon, FAST).dos
    assert dos.states_per_atom == pytest.approx(3.0, abs=1e-6)
    modes = phonon.mesh.frequencies[0] * 4.135667696
    assert dos.band_center_mev == pytest.approx(modes.mean(), rel=1e-3)


def test_a_larger_supercell_and_symfc_give_the_same(emt: Engine, ordered: PhononResult):
    larger = compute_phonons(ORDERED, emt, replace(FAST, min_length_a=11.0))
    assert larger.supercell_atoms > ordered.supercell_atoms
    assert larger.band_center_mev == pytest.approx(ordered.band_center_mev, rel=0.01)
    fitted = compute_phonons(ORDERED, emt, replace(FAST, force_constants="symfc"))
    assert fitted.band_center_mev == pytest.approx(ordered.band_center_mev, rel=0.005)


def test_forces_that_are_there_before_any_displacement_leave_no_trace(emt: Engine, ordered: PhononResult):
    settings = replace(FAST, relax=False)
    relaxed = Crystal.from_ase(ordered.crystal.to_ase(), material_id="AuCu3")
    crooked = replace(
        emt, batch=lambda cells: [emt._forces(cell) + 0.05 * (cell.numbers == 29)[:, None] for cell in cells]
    )
    straight = compute_phonons(relaxed, emt, settings)
    assert compute_phonons(relaxed, crooked, settings).lowest_mode_mev == pytest.approx(
        straight.lowest_mode_mev, abs=1e-6
    )
    assert compute_phonons(relaxed, crooked, settings).band_center_mev == pytest.approx(straight.band_center_mev)


def test_an_interpolated_instability_is_looked_at_in_a_wider_supercell(emt: Engine, monkeypatch: pytest.MonkeyPatch):
    seen = []

    def record_spectrum(phonon: Any, settings: PhononSettings) -> Spectrum:
        seen.append(settings.min_length_a)
        result = spectrum(phonon, settings)
        assert result.lowest_commensurate_mev >= result.lowest_mode_mev - 0.05
        return result._replace(lowest_mode_mev=-5.0) if len(seen) == 1 else result

    monkeypatch.setattr(workflow, "spectrum", record_spectrum)
    assert compute_phonons(COPPER, emt, FAST).stable
    assert seen == [7.0, pytest.approx(9.8)]
    seen.clear()
    assert not compute_phonons(COPPER, emt, replace(FAST, confirm=False)).stable
    assert seen == [7.0]


def test_no_atom_is_near_its_image_in_the_supercell():
    flat = bulk("Sb", "rhombohedral", a=9.0, alpha=30.0)  # long edges with a small angle: images at 4.7 angstrom
    for cell in (bulk("Cu"), bulk("Li", "bcc", a=3.5), bulk("Mg"), flat):
        matrix = supercell_matrix(cell, min_length_a=8.0)
        lattice = matrix @ cell.cell.array
        vectors = np.array([n for n in np.ndindex(7, 7, 7) if n != (3, 3, 3)]) - 3
        assert np.linalg.norm(vectors @ lattice, axis=1).min() > 7.85
    assert abs(np.linalg.det(supercell_matrix(bulk("Cu"), min_length_a=7.2))) == pytest.approx(27, abs=5)
    with pytest.raises(PhononError, match="no supercell keeps atoms 40 angstrom from their images"):
        supercell_matrix(bulk("Cu"), min_length_a=40.0)  # 8 conventional cells are 29 angstrom


def test_conventional_supercells_are_symmetric_matrices_of_the_same_lattice():
    for cell, conventional in ((bulk("Cu"), 4), (bulk("Li", "bcc", a=3.5), 2)):
        edge = np.cbrt(conventional * cell.get_volume())
        cell.set_cell(cell.cell.array[[1, 2, 0]])
        matrix = supercell_matrix(cell, min_length_a=edge)
        np.testing.assert_array_equal(matrix, matrix.T)
        assert np.linalg.det(matrix) == pytest.approx(conventional)
        np.testing.assert_allclose(np.sort(np.abs(matrix @ cell.cell.array), axis=1)[:, -1], edge, atol=1e-6)


def test_the_cell_is_relaxed_and_keeps_its_symmetry(emt: Engine, ordered: PhononResult):
    lattice = ordered.crystal.lattice
    np.testing.assert_allclose(lattice, np.eye(3) * lattice[0, 0], atol=1e-6)
    assert lattice[0, 0] != pytest.approx(3.8, abs=0.01)
    fixed = compute_phonons(ORDERED, emt, replace(FAST, relax=False))
    assert fixed.crystal.lattice[0, 0] == pytest.approx(3.8)


def test_a_squeezed_lattice_is_called_unstable(emt: Engine):
    stretched = Crystal.from_arrays("stretched", np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) * 2.3, ["Cu"], [[0, 0, 0]])
    result = compute_phonons(stretched, emt, replace(FAST, relax=False))
    assert not result.stable
    assert result.lowest_mode_mev < -1.0
    assert result.dos.imaginary_share > 0.0


def test_results_open_in_phonopy(ordered: PhononResult, tmp_path: Path):
    import phonopy

    ordered.save(tmp_path)
    again = phonopy.load(tmp_path / "phonopy_params.yaml", log_level=0)
    assert again.force_constants.shape[:2] == (4, len(again.supercell))  # what repeats is not in the file
    again.run_mesh(FAST.mesh, is_gamma_center=True)
    ordered.phonopy.run_mesh(FAST.mesh, is_gamma_center=True)
    np.testing.assert_allclose(again.mesh.frequencies, ordered.phonopy.mesh.frequencies, atol=2e-3)


def test_limits_and_bad_settings_are_reported(emt: Engine):
    with pytest.raises(PhononError, match="longer than the limit"):
        compute_phonons(ORDERED, emt, replace(FAST, limit_s=1e-6))
    with pytest.raises(PhononError, match="does not converge"):
        compute_phonons(ORDERED, emt, replace(FAST, max_steps=1))
    with pytest.raises(SettingsError, match="displacement_a is -1"):
        PhononSettings(displacement_a=-1)


def test_without_phonopy_the_command_names_the_extra(emt: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("phonolyte.phonons.workflow.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'phonolyte\[phonons\]'"):
        run_phonons([COPPER], emt, tmp_path, FAST)


def test_a_campaign_goes_on_after_a_kill_and_a_bad_crystal_is_a_row(
    emt: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import phonolyte.phonons.calculation as module

    crystals = [COPPER, LITHIUM, GOLD, ORDERED]
    whole, failures = split_outcome(run_phonons(crystals, emt, tmp_path / "whole", FAST, ion="Cu"))
    assert [failure.material_id for failure in failures] == ["lithium"]
    assert len(whole) == 3
    real, calls = module.compute_phonons, []

    def die_at_the_third(crystal: Crystal, *rest: object) -> PhononResult:
        calls.append(crystal.material_id)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(crystal, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "compute_phonons", die_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        run_phonons(crystals, emt, tmp_path / "killed", FAST, ion="Cu")
    resumed, again = split_outcome(run_phonons(crystals, emt, tmp_path / "killed", FAST, ion="Cu"))
    assert calls == ["copper", "lithium", "gold/soft", "gold/soft", "AuCu3"]
    pd.testing.assert_frame_equal(resumed.drop(columns="seconds"), whole.drop(columns="seconds"))
    assert again == failures
    assert (tmp_path / "killed" / "copper" / "phonopy_params.yaml").is_file()
    dos = pd.read_parquet(tmp_path / "killed" / "dos" / "AuCu3.parquet")
    assert list(dos.columns) == ["energy_mev", "total", "Au", "Cu"]


def test_other_settings_are_computed_anew(emt: Engine, tmp_path: Path):
    first, _ = split_outcome(run_phonons([ORDERED], emt, tmp_path, FAST))
    second, _ = split_outcome(run_phonons([ORDERED], emt, tmp_path, replace(FAST, relax=False)))
    assert first["band_center_mev"][0] != pytest.approx(second["band_center_mev"][0], rel=1e-3)


def count_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the crystals whose phonons are computed from now on."""
    import phonolyte.phonons.calculation as module

    real, calls = module.compute_phonons, []

    def count_call(crystal: Crystal, *rest: object) -> PhononResult:
        calls.append(crystal.material_id)
        return real(crystal, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "compute_phonons", count_call)
    return calls


def test_another_ion_and_calibration_need_no_new_phonons(emt: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    calls = count_calls(monkeypatch)
    first, _ = split_outcome(run_phonons([COPPER, ORDERED], emt, tmp_path, FAST, ion="Cu"))
    second, _ = split_outcome(
        run_phonons([COPPER, ORDERED], emt, tmp_path, FAST, ion="Au", calibration=Calibration(1.1))
    )
    assert calls == ["copper", "AuCu3"]
    assert first["calibrated_mev"].isna().all()
    assert first["ion_center_mev"].notna().all()
    assert second["ion"].tolist() == [None, "Au"]
    assert second["ion_center_mev"][1] < second["band_center_mev"][1] < first["ion_center_mev"][1]
    np.testing.assert_allclose(second["calibrated_mev"], second["band_center_mev"] * 1.1)


def test_a_new_time_limit_tries_again_what_failed_and_only_that(
    emt: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    calls = count_calls(monkeypatch)
    run_phonons([COPPER], emt, tmp_path, FAST)
    table, failures = split_outcome(run_phonons([COPPER, ORDERED], emt, tmp_path, replace(FAST, limit_s=1e-6)))
    assert table["material_id"].tolist() == ["copper"]
    assert [failure.error for failure in failures] == ["PhononError"]
    run_phonons([COPPER, ORDERED], emt, tmp_path, replace(FAST, limit_s=1e-6))
    table, failures = split_outcome(run_phonons([COPPER, ORDERED], emt, tmp_path, replace(FAST, limit_s=1e6)))
    assert calls == ["copper", "AuCu3", "AuCu3"]
    assert len(table) == 2
    assert not failures


def test_convergence_is_found_on_request_without_computing_again(
    emt: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    plain, _ = split_outcome(run_phonons([COPPER], emt, tmp_path, FAST))
    assert plain["mesh_change_mev"].isna().all()
    computed: list[str] = []
    monkeypatch.setattr(
        "phonolyte.phonons.calculation.compute_phonons", lambda crystal, *_: computed.append(crystal.material_id)
    )
    table, _ = split_outcome(run_phonons([COPPER], emt, tmp_path, FAST, converge=True))
    assert not computed
    assert table["band_center_mev"].equals(plain["band_center_mev"])
    assert 0.0 < abs(table["mesh_change_mev"][0]) < 0.1
    assert 0.0 < abs(table["supercell_change_mev"][0]) < 0.5
    changes = pd.read_csv(tmp_path / "copper" / "convergence.csv")
    assert changes["of"].tolist() == ["mesh", "supercell"]
    monkeypatch.undo()
    fixed, _ = split_outcome(
        run_phonons([COPPER], emt, tmp_path / "fixed", replace(FAST, supercell=(3, 3, 3)), converge=True)
    )
    assert fixed["supercell_atoms"][0] == 27
    assert 0.0 < abs(fixed["supercell_change_mev"][0]) < 0.5


@pytest.mark.long
@pytest.mark.long
def test_a_kill_during_convergence_keeps_the_phonons(emt: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    calls = count_calls(monkeypatch)
    with monkeypatch.context() as patched:
        patched.setattr("phonolyte.phonons.calculation.convergence", die)
        with pytest.raises(KeyboardInterrupt):
            run_phonons([COPPER], emt, tmp_path, FAST, converge=True)
    table, _ = split_outcome(run_phonons([COPPER], emt, tmp_path, FAST, converge=True))
    assert calls == ["copper"]
    assert table["supercell_change_mev"].notna().all()
    run_phonons([COPPER], emt, tmp_path, replace(FAST, relax=False))
    assert not (tmp_path / "copper" / "convergence.csv").exists()  # it was of other settings


@pytest.mark.long
def test_a_convergence_that_fails_says_why_and_is_tried_again_under_another_limit(emt: Engine, tmp_path: Path):
    run_phonons([COPPER], emt, tmp_path, FAST)
    table, failures = split_outcome(run_phonons([COPPER], emt, tmp_path, replace(FAST, limit_s=1e-6), converge=True))
    assert not failures
    assert table["mesh_change_mev"].isna().all()
    assert "longer than the limit" in table["change_error"][0]
    table, _ = split_outcome(run_phonons([COPPER], emt, tmp_path, FAST, converge=True))
    assert table["mesh_change_mev"].notna().all()
    assert table["change_error"].tolist() == [""]


def test_where_no_supercell_is_larger_convergence_says_so(emt: Engine, ordered: PhononResult):
    with pytest.raises(PhononError, match="no supercell larger than 1000000 atoms"):
        convergence(ordered.crystal, emt, FAST, 1_000_000, ordered.phonopy)


def test_the_command_writes_its_run_folder(tmp_path: Path):
    for crystal in (COPPER, ORDERED, LITHIUM):
        crystal.to_pymatgen().to(str(tmp_path / f"{crystal.material_id}.cif"), fmt="cif")
    arguments = ["phonons", str(tmp_path), "--engine", "emt", "--ion", "Cu", "--min-length-a", "7", "--mesh", "9", "9",
                 "9", "-o", str(tmp_path / "run")]  # fmt: skip
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1, result.output
    table = pd.read_parquet(tmp_path / "run" / "phonons.parquet").set_index("material_id")
    (line,) = (line.split() for line in result.output.splitlines() if "AuCu3" in line)
    assert line[2:4] == [f"{table.loc['AuCu3', key]:.1f}" for key in ("band_center_mev", "ion_center_mev")]
    assert table.loc["AuCu3", "ion_center_mev"] > table.loc["AuCu3", "band_center_mev"]
    assert set(table["engine"]) == {"emt"}
    assert pd.read_parquet(tmp_path / "run" / "failures.parquet")["material_id"].tolist() == ["lithium"]
    record = tomllib.loads((tmp_path / "run" / "run.toml").read_text())
    assert record["engine"] == {"name": "emt", "ase": version("ase")}
    assert (tmp_path / "run" / "AuCu3" / "bands.png").stat().st_size > 10_000
    relaxed = read(tmp_path / "run" / "relaxed.parquet").crystals
    assert sorted(crystal.material_id for crystal in relaxed) == ["AuCu3", "copper"]


def test_the_table_cuts_names_rather_than_numbers():
    row = {
        "material_id": "a-long-name-of-a-material", "formula": "Li10GeP2S12Cl3Br2O4", "band_center_mev": 34.52,
        "ion": "Li", "ion_center_mev": 44.0, "calibrated_mev": 36.1, "lowest_mode_mev": -11.26,
        "highest_mode_mev": 120.9, "stable": False, "seconds": 12345.6,
    }  # fmt: skip
    other = {**row, "ion": None, "ion_center_mev": float("nan"), "lowest_mode_mev": -1e-6, "stable": True}
    out = io.StringIO()
    Console(file=out, width=80).print(calculation_table(PhononCalculation, pd.DataFrame([row, other])))
    lines = out.getvalue().splitlines()
    first, second = (line.split() for line in lines if "a-long" in line)
    assert first[2:] == ["34.5", "36.1", "44.0", "-11.3", "120.9", "no", "12,346"]  # no: not stable
    assert second[2:] == ["34.5", "36.1", "–", "0.0", "120.9", "yes", "12,346"]
    assert max(map(len, lines)) <= 80


def test_a_calibration_finds_the_factor_and_the_elements():
    random = np.random.default_rng(0)
    symbols = np.array(["Li", "O", "S", "Cl", "Na"])
    shares = [dict(zip(symbols, random.dirichlet(np.ones(5)), strict=True)) for _ in range(200)]
    raw = random.uniform(10, 80, 200)
    true = np.array(
        [r * 1.06 * np.exp(0.1 * share["O"] - 0.05 * share["S"]) for r, share in zip(raw, shares, strict=True)]
    )
    raw_scores = scores(raw, true)
    by_factor = scores(cross_validated(raw, true, shares, "factor"), true)
    by_element = scores(cross_validated(raw, true, shares, "elements"), true)
    assert raw_scores["bias_percent"] < -5
    assert by_element["mae_mev"] < 0.2 * by_factor["mae_mev"] < 0.2 * raw_scores["mae_mev"]
    rule = Calibration.learn(raw, true, shares, "elements")
    assert rule.elements["O"] > rule.elements["S"]


def write_run_folder(folder: Path, factor: float, **provenance: str) -> Path:
    """Twenty compounds whose centers times `factor` are those in `reference.csv`; the last is unstable."""
    folder.mkdir()
    raw = np.linspace(10.0, 60.0, 20)
    formulas = [f"Li{n}O" if n % 2 else f"Li{n}S" for n in range(1, 21)]
    names = [f"m{n}" for n in range(20)]
    results = pd.DataFrame({"material_id": names, "formula": formulas, "band_center_mev": raw, "stable": True})
    results.loc[19, ["band_center_mev", "stable"]] = (1.0, False)
    results.to_parquet(folder / "phonons.parquet")
    pd.DataFrame({"material_id": names, "band_center_mev": raw * factor}).to_csv(folder / "reference.csv")
    engine = "\n".join(f'{name} = "{value}"' for name, value in {"name": "emt", **provenance}.items())
    (folder / "run.toml").write_text(f'format = 2\ncommand = "phonons"\n[engine]\n{engine}\n')
    return folder


def test_a_calibration_is_learned_from_a_run_and_says_from_what(emt: Engine, tmp_path: Path):
    folder = write_run_folder(tmp_path / "run", 1.06, ase="3.29")
    rule = learn_from_run(folder, folder / "reference.csv")
    assert rule.factor == pytest.approx(1.06)
    assert rule.provenance["engine"] == "emt"
    assert rule.provenance["n"] == 19
    assert len(rule.provenance["data_sha256"]) == 64
    assert rule.provenance["raw"]["bias_percent"] == pytest.approx(100 * (1 / 1.06 - 1))
    assert rule.provenance["calibrated"]["mae_mev"] == pytest.approx(0.0, abs=1e-9)
    rule.check(emt)
    (folder / "reference.csv").write_text("name,center\n")
    with pytest.raises(TableError, match="no column 'band_center_mev'"):
        learn_from_run(folder, folder / "reference.csv")
    with pytest.raises(TableError, match="cannot be read"):
        learn_from_run(folder, folder / "nothing.csv")


def test_a_calibration_of_another_engine_is_refused(emt: Engine, tmp_path: Path):
    folder = write_run_folder(tmp_path / "run", 1.06, weights_sha256="abc")
    rule = learn_from_run(folder, folder / "reference.csv", "elements")
    with pytest.raises(ModelError, match="its weights_sha256 is abc, here it is None"):
        run_phonons([COPPER], emt, tmp_path / "new", FAST, calibration=rule)


def test_the_shipped_calibrations_serve_their_own_weights_only(emt: Engine):
    for path in shipped_folder().glob("*.json"):
        rule = Calibration.load(path)
        assert rule.provenance["calibrated"]["mae_mev"] < rule.provenance["raw"]["mae_mev"]
        known = {name: str(rule.provenance[name]) for name in IDENTITY if name in rule.provenance}
        engine = Engine(str(rule.provenance["engine"]), emt.calculator, known)
        assert Calibration.shipped(engine) == rule
        assert Calibration.shipped(replace(engine, provenance={**known, "weights_sha256": "other"})) is None
    assert Calibration.shipped(emt) is None


def test_a_calibration_is_read_back(tmp_path: Path):
    rule = Calibration(1.05, {"Li": 0.1}, {"engine": "emt"})
    rule.save(tmp_path / "c.json")
    again = Calibration.load(tmp_path / "c.json")
    share = shares_of("LiO")
    assert again.apply(20.0, share) == rule.apply(20.0, share) == pytest.approx(21 * np.exp(0.05))
    (tmp_path / "c.json").write_text(json.dumps({"color": 1}))
    with pytest.raises(ModelError, match="not a calibration"):
        Calibration.load(tmp_path / "c.json")
    with pytest.raises(TableError, match="too few"):
        Calibration.learn(np.ones(3), np.ones(3), [{}] * 3, "factor")


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "[" * 99_999, '{"factor": "1"', '{"factor": -1}', '{"factor": NaN}', '{"factor": true}',
     '{"factor": 1, "elements": []}', '{"factor": 1, "elements": {"Qq": 0.1}}',
     '{"factor": 1, "elements": {"Li": "a"}}',
     '{"factor": 1, "luck": 3}', '{"factor": 1, "factor": 2}', '{"factor": 1, "provenance": 3}', "1" * 5000],
)  # fmt: skip
def test_what_is_not_a_calibration_is_refused(tmp_path: Path, text: str):
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(ModelError, match=r"is not a calibration: .+Learn it again"):
        Calibration.load(tmp_path / "c.json")


def test_reference_centers_keep_their_names_and_may_not_contradict_each_other(tmp_path: Path):
    run = write_run_folder(tmp_path / "run", 1.1)
    reference = pd.read_csv(run / "reference.csv")
    renamed = [f"00{number}" for number in range(len(reference))]
    table = pd.read_parquet(run / "phonons.parquet").assign(material_id=renamed)
    table.to_parquet(run / "phonons.parquet")
    reference.assign(material_id=renamed).to_csv(run / "reference.csv", index=False)
    assert learn_from_run(run, run / "reference.csv").factor == pytest.approx(1.1)
    twice = pd.concat(
        [reference.assign(material_id=renamed), pd.DataFrame([{"material_id": "000", "band_center_mev": 1}])]
    )
    twice.to_csv(run / "reference.csv", index=False)
    with pytest.raises(TableError, match="two different rows"):
        learn_from_run(run, run / "reference.csv")
