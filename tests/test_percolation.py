from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk, make_supercell
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erfc
from typer.testing import CliRunner

from phonolyte.chemistry.elements import ATOMIC_NUMBERS
from phonolyte.cli import app
from phonolyte.errors import StructureError
from phonolyte.forces.cells import primitive_cell
from phonolyte.percolation import (
    COARSE,
    PercolationCalculation,
    PercolationSettings,
    compute_percolation,
)
from phonolyte.percolation.bond_valence import Framework, free_radii, parameters, site_energies
from phonolyte.percolation.calculation import read_map
from phonolyte.percolation.framework import framework_of
from phonolyte.percolation.site_energies import empty_sites
from phonolyte.percolation.thresholds import thresholds
from phonolyte.references import reference_compounds
from phonolyte.runs.campaign import run_campaign
from phonolyte.runs.executors import ExecutorSettings, open_executor
from phonolyte.runs.run import Run
from phonolyte.structures import Crystal

REFERENCES = {crystal.material_id: crystal for crystal in reference_compounds().crystals}
SULFIDE = REFERENCES["ref-Li2S"]
COPPER = Crystal.from_ase(bulk("Cu", cubic=True), material_id="copper")


def test_lithium_percolates_through_its_sulfide_in_three_dimensions():
    percolation = compute_percolation(SULFIDE, "Li")
    assert percolation.charge == 1
    assert percolation.dimensions == 3
    assert percolation.barrier_ev == pytest.approx(0.38, abs=0.03)
    assert percolation.radii_a is not None
    assert 0.1 < percolation.radii_a[0] < 0.6
    assert percolation.energies_ev.min() == 0.0


def test_a_path_has_dimensions_of_one_network_up_to_two_hundredths_of_an_electronvolt():
    percolation = compute_percolation(SULFIDE, "Li", PercolationSettings(resolution_a=0.6))
    for levels_ev, dimensions in (((0.3, 0.319, 0.321), 2), ((0.3, 0.31, 0.319), 3), ((0.3, np.inf, np.inf), 1)):
        assert replace(percolation, barriers_ev=levels_ev).dimensions == dimensions


def test_settings_are_those_of_the_documentation_and_the_help():
    bvse = PercolationSettings()
    assert (bvse.resolution_a, bvse.cutoff_a, bvse.highest_ev, bvse.limit_atoms) == (0.2, 10.0, 5.0, 200)


def test_a_layered_crystal_conducts_in_its_layers_only():
    percolation = compute_percolation(REFERENCES["ref-LiCoO2"], "Li")
    assert percolation.dimensions == 2
    assert not np.isfinite(percolation.barriers_ev[2])
    assert np.isnan(percolation.row()["barrier_3d_ev"])


def test_percolation_does_not_depend_on_the_choice_of_the_cell():
    wide = Crystal.from_ase(make_supercell(SULFIDE.to_ase(), [[1, 1, 0], [0, 1, 0], [0, 0, 2]]), material_id="wide")
    assert compute_percolation(wide, "Li").barriers_ev == pytest.approx(
        compute_percolation(SULFIDE, "Li").barriers_ev, abs=0.02
    )


@pytest.mark.parametrize(
    ("crystal", "ion", "settings", "kind"),
    [
        (COPPER, "Li", PercolationSettings(), "NoMobileIon"),
        (COPPER, "Cu", PercolationSettings(), "NoParameters"),
        (REFERENCES["ref-Li3P"], "Li", PercolationSettings(), "NoParameters"),
        (SULFIDE, "Li", PercolationSettings(limit_atoms=2), "TooLarge"),
    ],
)
def test_what_cannot_percolate_says_why(crystal: Crystal, ion: str, settings: PercolationSettings, kind: str):
    with pytest.raises(StructureError) as error:
        compute_percolation(crystal, ion, settings)
    assert error.value.kind == kind
    assert error.value.fix


def test_a_campaign_of_percolation_keeps_failures_as_rows_and_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    crystals = [SULFIDE, COPPER, REFERENCES["ref-LiF"]]
    calculation = PercolationCalculation("Li", maps=True)
    with Run(tmp_path, "percolation") as run, open_executor(ExecutorSettings(jobs=2)) as executor:
        first = run_campaign(calculation, crystals, run, executor=executor)
    assert first.table["material_id"].tolist() == ["ref-Li2S", "ref-LiF"]
    assert [failure.error for failure in first.failures] == ["NoMobileIon"]
    energies, lattice = read_map(tmp_path, "ref-Li2S")
    assert energies.ndim == 3
    assert abs(np.linalg.det(lattice)) == pytest.approx(SULFIDE.volume_a3)
    monkeypatch.setattr("phonolyte.percolation.calculation.compute_percolation", None)
    with Run(tmp_path, "percolation") as run:
        again = run_campaign(calculation, crystals, run)
    assert again.table.equals(first.table)
    assert again.failures == first.failures


def test_levels_of_percolation_are_those_of_channels_and_layers():
    field = np.ones((6, 5, 4))
    field[:, 2, 1] = 0.3
    assert thresholds(field).tolist() == [0.3, 1.0, 1.0]
    field[1, :, 1] = np.maximum(field[1, :, 1] * 0.5, 0.3)
    assert thresholds(field).tolist() == [0.3, 0.5, 1.0]
    field[1, 2, 2:] = 0.7
    field[1, 2, 0] = 0.8
    assert thresholds(field).tolist() == [0.3, 0.5, 0.8]


def test_a_path_that_comes_back_two_cells_on_percolates():
    field = np.ones((8, 8, 8))
    for x in range(8):  # two strands that change places at the border: a cell has to be crossed twice
        field[x, 2 if x < 4 else 6, 3] = 0.2
        field[x, 6 if x < 4 else 2, 5] = 0.2
    field[3:5, 2:7, 3] = 0.2
    field[3:5, 2:7, 5] = 0.2
    assert thresholds(field)[0] == 1.0
    field[0, 2:7, 3:6] = 0.4
    assert thresholds(field)[0] == 0.4


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.tuples(*[st.integers(1, 7)] * 3), st.floats(0.0, 1.0))
def test_levels_do_not_depend_on_origin_and_axes_and_those_above_a_limit_are_infinite(
    seed: int, shape: tuple[int, int, int], highest: float
):
    field = np.random.default_rng(seed).random(shape)
    levels = thresholds(field)
    assert (np.diff(levels) >= 0).all()
    assert thresholds(np.roll(field, (1, 2, 3), (0, 1, 2))).tolist() == levels.tolist()
    assert thresholds(field.transpose(2, 0, 1)[::-1]).tolist() == levels.tolist()
    assert thresholds(np.tile(field, (2, 1, 1))).tolist() == levels.tolist()
    assert thresholds(field, highest).tolist() == np.where(levels <= highest, levels, np.inf).tolist()


@pytest.mark.parametrize("name", ["ref-Li2CO3", "ref-LiFePO4", "ref-LiCoO2"])
def test_energies_and_levels_are_those_that_bvlain_finds(name: str):
    from bvlain import Lain

    cell = compute_percolation(REFERENCES[name], "Li").crystal
    charged = cell.to_pymatgen()
    framework, _, states, _ = framework_of(cell, "Li")
    charged.add_oxidation_state_by_element(states)
    lain = Lain(verbose=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lain.read_structure(charged, oxi_check=False)
        energies = lain.bvse_distribution(mobile_ion="Li1+", r_cut=6.0, resolution=0.3, k=250)
        oracle = lain.percolation_barriers(encut=5.0)
    inside = energies[:-1, :-1, :-1]  # its far faces repeat the near ones
    computed = site_energies(framework, ("Li", 1), inside.shape, 6.0)
    low = inside < inside.min() + 5.0
    assert computed[low] == pytest.approx(inside[low], abs=1e-3)
    levels = thresholds(computed - computed.min())
    assert [level if level < 5.0 else np.inf for level in levels] == pytest.approx(tuple(oracle.values()), abs=0.011)


def make_random_framework(seed: int) -> Framework:
    """Oxide and phosphorus ions anywhere in an oblique cell smaller than the distance at which they are felt."""
    chance = np.random.default_rng(seed)
    lattice = np.diag([4.0, 5.0, 6.0]) + chance.uniform(-1.0, 1.0, (3, 3))
    ions = [("O", -2.0), ("P", 5.0), ("O", -2.0)]
    return Framework(lattice, chance.random((3, 3)), ions, np.array([1.0, 0.5, 0.25]))


def measure_distances(framework: Framework, point: tuple[int, int, int], shape: tuple[int, int, int]) -> np.ndarray:
    """Distances (n, images) of a point of the grid from all images of each ion."""
    steps = np.array(list(np.ndindex(9, 9, 9))) - 4
    apart = np.array(point) / shape - framework.positions[:, None] - steps[None]
    return np.linalg.norm(apart @ framework.lattice, axis=-1)


@pytest.mark.parametrize("seed", range(4))
def test_energies_are_the_sum_over_all_images(seed: int):
    """Li+ and O2-: parameters of softBV; Li+ and P5+: screened repulsion with 14.4 eV A, periods 2 and 3."""
    framework, shape, cutoff_a = make_random_framework(seed), (5, 6, 7), 7.0
    energies = site_energies(framework, ("Li", 1), shape, cutoff_a)
    r_min, alpha, depth = parameters()["Li", 1, "O", -2]
    length = 0.74 * (1.28 + 1.07)
    for point in ((0, 0, 0), (4, 5, 6), (2, 1, 3)):
        r = measure_distances(framework, point, shape)
        morse = 0.5 * depth * ((np.exp(alpha * (r_min - r)) - 1.0) ** 2 - 1.0)
        pairs = np.where([[True], [False], [True]], morse, 14.4 * 5 / np.sqrt(6) / r * erfc(r / length))
        expected = framework.weights @ np.where(r <= cutoff_a, pairs, 0.0).sum(axis=1)
        assert energies[point] == pytest.approx(expected, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_free_radii_are_the_distance_from_the_nearest_sphere_of_all_images(seed: int):
    framework, shape = make_random_framework(seed), (5, 6, 7)
    free = free_radii(framework, shape)
    assert free is not None
    for point in ((0, 0, 0), (4, 5, 6), (2, 1, 3)):
        radii = np.array([1.38, 0.32, 1.38])[:, None]  # means of Shannon's over coordination numbers
        assert free[point] == pytest.approx((measure_distances(framework, point, shape) - radii).min(), abs=0.01)


def test_free_radii_reach_as_far_as_there_is_room():
    """One ion in a wide cell: its sphere is 5 A from the points that are farthest, more than is looked at first."""
    free = free_radii(Framework(np.eye(3) * 7.0, np.zeros((1, 3)), [("F", -1.0)], np.ones(1)), (4, 4, 4))
    assert free is not None
    assert free[2, 2, 0] == pytest.approx(7.0 / np.sqrt(2) - 1.3, abs=0.02)


def test_every_element_has_radii_of_its_charges_or_none():
    positions, weights = np.zeros((1, 3)), np.ones(1)
    known = {
        symbol
        for symbol in ATOMIC_NUMBERS
        if free_radii(Framework(np.eye(3) * 5, positions, [(symbol, 3.0)], weights), (2, 2, 2)) is not None
    }
    assert {"Eu", "Fe", "Al", "Sb"} <= known  # pymatgen's entry of Eu has a line without a charge
    assert known.isdisjoint({"Li", "He", "Sn", "Lr"})


def test_radii_are_distances_from_spheres():
    """Points halfway between two chloride ions of rock salt."""
    framework = Framework(np.eye(3) * 5.64, np.array([[0.0, 0, 0], [0.5, 0.5, 0]]), [("Cl", -1.0)] * 2, np.ones(2))
    free = free_radii(framework, (8, 8, 8))
    assert free is not None
    assert free[2, 2, 0] == pytest.approx(5.64 * np.sqrt(2) / 4 - 1.81, abs=1e-3)
    assert free.max() < 6.0


def test_a_disordered_framework_is_its_average():
    """Energies of Li among S and Cl that share a site are the mean of those among S and among Cl."""
    lattice, positions = np.eye(3) * 4.0, np.zeros((1, 3))
    sulfur, chlorine = (
        site_energies(Framework(lattice, positions, [ion], np.ones(1)), ("Li", 1), (12, 12, 12), 8.0)
        for ion in (("S", -2.0), ("Cl", -1.0))
    )
    both = Framework(lattice, np.zeros((2, 3)), [("S", -2.0), ("Cl", -1.0)], np.array([0.25, 0.75]))
    mean = site_energies(both, ("Li", 1), (12, 12, 12), 8.0)
    assert mean == pytest.approx(0.25 * sulfur + 0.75 * chlorine)


def test_occupancies_of_the_mobile_ion_do_not_matter():
    sites = ["S", "Li", "Li"]
    positions = [[0, 0, 0], [0.25] * 3, [0.75] * 3]
    lattice = SULFIDE.lattice if len(SULFIDE) == 3 else np.eye(3)
    full = compute_percolation(Crystal.from_arrays("full", lattice, sites, positions), "Li")
    split = [[0, 0, 0], [0.25] * 3, [0.75] * 3, [0.75, 0.75, 0.74]]
    half = Crystal.from_arrays("half", lattice, [*sites, "Li"], split, occupancies=[1.0, 1.0, 0.5, 0.5])
    percolation = compute_percolation(half, "Li")
    assert percolation.oxidation == "composition"
    assert percolation.barriers_ev == pytest.approx(full.barriers_ev, abs=0.02)


def test_percolation_does_not_depend_on_the_origin():
    phosphate = REFERENCES["ref-LiFePO4"]
    moved = replace(phosphate, frac_coords=(phosphate.frac_coords + np.array([0.14, 0.29, 0.41])) % 1.0)
    levels = [compute_percolation(each, "Li", primitive=True).barriers_ev for each in (phosphate, moved)]
    assert levels[0] == pytest.approx(levels[1], abs=0.02, rel=0.02)


def test_mean_charges_repel_as_the_mean_and_attract_by_the_parameters_that_there_are():
    iron, shape = [("Fe", charge) for charge in (2.0, 3.0, 2.5)], (6, 6, 6)
    two, three, mean = (
        site_energies(Framework(np.eye(3) * 4.0, np.zeros((1, 3)), [ion], np.ones(1)), ("Li", 1), shape, 8.0)
        for ion in iron
    )
    assert mean == pytest.approx((two + three) / 2)
    oxide, nearly = (
        site_energies(Framework(np.eye(3) * 4.0, np.zeros((1, 3)), [("O", q)], np.ones(1)), ("Li", 1), shape, 8.0)
        for q in (-2.0, -1.8)
    )
    assert nearly.tolist() == oxide.tolist()
    for charge in (-1.0, -1.4, -3.0):
        oxygen = Framework(np.eye(3) * 4.0, np.zeros((1, 3)), [("O", charge)], np.ones(1))
        with pytest.raises(StructureError, match="no bond-valence parameters for Li1\\+ beside O"):
            site_energies(oxygen, ("Li", 1), shape, 8.0)


def test_states_of_the_file_come_before_those_of_the_composition():
    places, settings = [[0, 0, 0], [0.25] * 3, [0.5] * 3], PercolationSettings(resolution_a=1.0)
    for copper, (source, state) in ((1.0, ("file", 1.0)), (2.0, ("composition", 1.0))):  # with 2+ it is not neutral
        states = {"Li": 1.0, "S": -2.0, "Cu": copper}
        crystal = Crystal.from_arrays("salt", np.eye(3) * 5.0, ["S", "Li", "Cu"], places, oxidation_states=states)
        path = compute_percolation(crystal, "Li", settings)
        assert (path.oxidation, path.states["Cu"], path.row()["mean_charges"]) == (source, state, "")


def test_elements_with_several_charges_are_named():
    spinel = REFERENCES["ref-LiMn2O4"]
    framework, charge, states, source = framework_of(spinel, "Li")
    assert (charge, states["Mn"], source) == (1, 3.5, "composition")
    assert ("Mn", 3.5) in framework.ions
    assert compute_percolation(spinel, "Li", COARSE).row()["mean_charges"] == "Mn +3.5"


@pytest.mark.parametrize("name", ["ref-LiBH4", "ref-Li3Sb-Fm-3m"])
def test_what_softbv_has_nothing_for_is_a_kind_of_its_own(name: str):
    with pytest.raises(StructureError, match="softBV has Li with Br, Cl, F, I, N, O, S, Se, Te") as error:
        compute_percolation(REFERENCES[name], "Li")
    assert error.value.kind == "NoParameters"


@pytest.mark.parametrize(("lithium", "is_open"), [(0.6, True), (0.9, False), (0.1, False)])
def test_ions_pass_sites_that_they_share_where_some_are_empty(lithium: float, is_open: bool):
    """Aluminum on a tenth of the sites of lithium; on all that lithium leaves; on most of them."""
    aluminum, rest = (0.1, 0.8) if lithium > 0.5 else (0.8, 0.3)
    positions = [[0, 0, 0], *([[0.25] * 3] * 2), [0.75] * 3]
    crystal = Crystal.from_arrays("shared", SULFIDE.lattice, ["S", "Li", "Al", "Li"], positions,
                         occupancies=[1.0, lithium, aluminum, rest])  # fmt: skip
    framework, _, _, _ = framework_of(crystal, "Li")
    assert ("Al" in {symbol for symbol, _ in framework.ions}) != is_open


def test_a_disordered_crystal_is_computed_as_it_is(tmp_path: Path):
    """Sulfur and selenium on one site: the saddle is at the same place in both, and its energy the mean of the two."""
    lithium, anion = [[0.25] * 3, [0.75] * 3], [0.0, 0.0, 0.0]
    half = Crystal.from_arrays("half", SULFIDE.lattice, ["S", "Se", "Li", "Li"], [anion, anion, *lithium],
                      occupancies=[0.5, 0.5, 1.0, 1.0])  # fmt: skip
    ends = [
        Crystal.from_arrays(symbol, SULFIDE.lattice, [symbol, "Li", "Li"], [anion, *lithium]) for symbol in ("S", "Se")
    ]
    with Run(tmp_path, "percolation") as run:
        table = run_campaign(PercolationCalculation("Li", maps=False), [half], run).table
    assert table["formula"].tolist() == ["Li2Se0.5S0.5"]
    assert "ordered_as" not in table
    barriers = [compute_percolation(end, "Li").barrier_ev for end in ends]
    assert table["barrier_ev"][0] == pytest.approx(np.mean(barriers), abs=1e-3)


@pytest.mark.parametrize(("name", "n", "place"), [("ref-Li2S", 1, 0.5), ("ref-LiF", 2, 0.25)])
def test_interstitial_sites_are_the_holes_of_the_lattice(name: str, n: int, place: float):
    sites = empty_sites(primitive_cell(REFERENCES[name]), "Li")
    assert len(sites) == n
    assert np.abs(np.minimum(sites, 1 - sites) - place).max() < 0.02


def test_interstitial_sites_are_those_of_the_cell_that_was_given():
    from pymatgen.core import Lattice, Structure

    sites = {"Li": [0.125] * 3, "Mn": [0.5] * 3, "O": [0.263] * 3}
    spinel = Structure.from_spacegroup("Fd-3m:2", Lattice.cubic(8.2), list(sites), list(sites.values()))
    cell = primitive_cell(Crystal.from_pymatgen(spinel, material_id="spinel"))
    interstitials = empty_sites(cell, "Li")
    apart = interstitials[:, None] - cell.get_scaled_positions()[None]
    distances = np.linalg.norm((apart - np.rint(apart)) @ cell.cell.array, axis=-1)
    assert distances.min() > 1.7  # the empty octahedron 16c is 1.94 A from oxygen; the shifted cell gave 1.59


def test_the_command_maps_site_energies_and_counts_what_failed(tmp_path: Path):
    from ase.io import write

    write(tmp_path / "copper.cif", bulk("Cu", cubic=True))
    write(tmp_path / "sulfide.cif", SULFIDE.to_ase())
    result = CliRunner().invoke(app, ["migrate", str(tmp_path), "-o", str(tmp_path / "out")])
    assert result.exit_code == 1, result.output
    assert "1 of 2 crystals" in result.output
    assert (tmp_path / "out" / "sulfide" / "site_energy.png").stat().st_size > 5000
