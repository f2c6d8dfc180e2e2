from __future__ import annotations

import os
import subprocess
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import add_adsorbate, bulk, fcc100, make_supercell
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.constraints import FixAtoms
from typer.testing import CliRunner

from phonolyte.barriers import NebSettings, barrier_campaign
from phonolyte.barriers import calculation as barriers
from phonolyte.barriers.calculation import HOPS_TABLE, Material, site_energies
from phonolyte.barriers.cluster import neb_cluster_campaign
from phonolyte.barriers.hops import Edge, Hop, Network, find_hops, percolation_threshold
from phonolyte.barriers.neb import Ends, climb, read_path, relax_ends, remarks, vacancy_ends, write_path
from phonolyte.chemistry.charges import mobile_charge
from phonolyte.cli import app
from phonolyte.dynamics import DynamicsSettings, dynamics_campaign
from phonolyte.dynamics.calculation import (
    DIFFUSIVITIES,
    FEWEST_HOPS,
    MELTED_A,
    Diffusivity,
    _run_row,
    arrhenius,
    conductivity_s_cm,
    count_hops,
    diffusivity,
    unwrapped,
)
from phonolyte.errors import EngineError, MigrationError, SettingsError, StructureError
from phonolyte.figures import diffusion_arrhenius, neb_profile, site_energy_map
from phonolyte.forces import Engine, open_engine
from phonolyte.forces.cells import primitive_cell
from phonolyte.percolation import PercolationSettings, percolation, percolation_campaign
from phonolyte.percolation.site_energies import empty_sites, read_map
from phonolyte.percolation.thresholds import thresholds
from phonolyte.phonons.cluster import Cluster
from phonolyte.references import reference_compounds
from phonolyte.structures import Crystal
from phonolyte.units import KB_EV_K

REFERENCES = {crystal.material_id: crystal for crystal in reference_compounds().crystals}
SULFIDE = REFERENCES["ref-Li2S"]
COPPER = Crystal.from_ase(bulk("Cu", cubic=True), material_id="copper")
FAST = NebSettings(images=3, min_length_a=6.0, fmax_ev_a=0.1)


@pytest.fixture(scope="module")
def emt() -> Engine:
    return open_engine("emt")


# Percolation


def test_lithium_percolates_through_its_sulfide_in_three_dimensions():
    found = percolation(SULFIDE, "Li")
    assert found.charge == 1
    assert found.dimensions == 3
    assert found.barrier_ev == pytest.approx(0.38, abs=0.03)
    assert found.radii_a is not None
    assert 0.1 < found.radii_a[0] < 0.6
    assert found.energies_ev.min() == 0.0


def test_a_layered_crystal_conducts_in_its_layers_only():
    found = percolation(REFERENCES["ref-LiCoO2"], "Li")
    assert found.dimensions == 2
    assert not np.isfinite(found.barriers_ev[2])
    assert found.row()["barrier_3d_ev"] is None


def test_percolation_does_not_depend_on_the_choice_of_the_cell():
    wide = Crystal.from_ase(make_supercell(SULFIDE.to_ase(), [[1, 1, 0], [0, 1, 0], [0, 0, 2]]), material_id="wide")
    assert percolation(wide, "Li").barriers_ev == pytest.approx(percolation(SULFIDE, "Li").barriers_ev, abs=0.02)


@pytest.mark.parametrize(
    ("crystal", "ion", "settings", "kind"),
    [
        (COPPER, "Li", PercolationSettings(), "NoMobileIon"),
        (COPPER, "Cu", PercolationSettings(), "NoOxidationStates"),
        (REFERENCES["ref-Li3P"], "Li", PercolationSettings(), "NoParameters"),
        (SULFIDE, "Li", PercolationSettings(limit_atoms=2), "TooLarge"),
    ],
)
def test_what_cannot_percolate_says_why(crystal: Crystal, ion: str, settings: PercolationSettings, kind: str):
    with pytest.raises(StructureError) as error:
        percolation(crystal, ion, settings)
    assert error.value.kind == kind
    assert error.value.fix


def test_a_campaign_of_percolation_keeps_failures_as_rows_and_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    crystals = [SULFIDE, COPPER, REFERENCES["ref-LiF"]]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        table, failures = percolation_campaign(crystals, "Li", tmp_path, maps=True, executor=executor)
    assert table["material_id"].tolist() == ["ref-Li2S", "ref-LiF"]
    assert [failure.error for failure in failures] == ["NoMobileIon"]
    energies, lattice = read_map(tmp_path, "ref-Li2S")
    assert energies.ndim == 3
    assert abs(np.linalg.det(lattice)) == pytest.approx(SULFIDE.volume_a3)
    monkeypatch.setattr("phonolyte.percolation.site_energies.percolation", None)
    again, _ = percolation_campaign(crystals, "Li", tmp_path, maps=True)
    assert again.equals(table)


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


@pytest.mark.parametrize("name", ["ref-Li2CO3", "ref-LiFePO4", "ref-LiCoO2"])
def test_levels_of_percolation_are_those_that_bvlain_finds(name: str):
    from bvlain import Lain

    crystal = REFERENCES[name]
    found = percolation(crystal, "Li")
    lain = Lain(verbose=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lain.read_structure(found.crystal.to_pymatgen())
        lain.bvse_distribution(mobile_ion="Li1+", r_cut=10.0, resolution=0.2, k=100)
        oracle = lain.percolation_barriers(encut=5.0)
    assert found.barriers_ev == pytest.approx(tuple(oracle.values()), abs=0.011)  # a bisection to 0.01 eV


@pytest.mark.parametrize(("name", "n", "place"), [("ref-Li2S", 1, 0.5), ("ref-LiF", 2, 0.25)])
def test_interstitial_sites_are_the_holes_of_the_lattice(name: str, n: int, place: float):
    sites = empty_sites(primitive_cell(REFERENCES[name]), "Li")
    assert len(sites) == n
    assert np.abs(np.minimum(sites, 1 - sites) - place).max() < 0.02


# Hops


def test_hops_of_the_antifluorite_are_those_known():
    network = find_hops(SULFIDE.to_ase(), "Li", cutoff_a=4.5)
    assert [(hop.name, len(hop.edges)) for hop in network.hops] == [("Li-2.85", 6), ("Li-4.04", 12)]
    assert network.dimensions(network.hops[:1]) == 3
    assert set(network.kinds.values()) == {min(network.kinds)}


@pytest.mark.parametrize("name", ["ref-Li2CO3", "ref-LiBiO2", "ref-Li3PS4-Pmn2_1"])
def test_hops_have_the_same_names_in_any_order_of_atoms_and_in_any_cell(name: str):
    cell = REFERENCES[name].to_ase()
    expected = [(hop.name, len(hop.edges)) for hop in find_hops(cell, "Li").hops]
    shuffled = cell[np.random.default_rng(1).permutation(len(cell))]
    shuffled.positions += 0.37
    sheared = make_supercell(shuffled, [[1, 0, 0], [1, 1, 0], [0, -1, 1]])
    for other in (shuffled, sheared):
        assert [(hop.name, len(hop.edges)) for hop in find_hops(other, "Li").hops] == expected


def test_a_hop_past_another_site_is_left_out():
    chain = Atoms("Li", cell=[3, 8, 8], pbc=True)
    assert [hop.name for hop in find_hops(chain, "Li", cutoff_a=7.0).hops] == ["Li-3.00"]


@pytest.mark.parametrize(("aside_a", "direct"), [(0.68, False), (0.72, True)])
def test_a_hop_passes_a_site_that_is_nearer_to_it_than_seven_tenths_of_an_angstrom(aside_a: float, direct: bool):
    zigzag = Atoms("Li2", positions=[[0, 0, 0], [aside_a, 2, 0]], cell=[12, 4, 12], pbc=True)
    names = [hop.name for hop in find_hops(zigzag, "Li", cutoff_a=4.5).hops]
    assert any(name.startswith("Li-4.00") for name in names) == direct


@pytest.mark.parametrize(("b_a", "names"), [(3.008, ["Li-3.00a", "Li-3.00b"]), (3.012, ["Li-3.00", "Li-3.01"])])
def test_lengths_that_differ_by_less_than_a_hundredth_of_an_angstrom_have_one_name(b_a: float, names: list[str]):
    layers = Atoms("Li", cell=[3.0, b_a, 9.0], pbc=True)
    assert [hop.name for hop in find_hops(layers, "Li", cutoff_a=4.0, symprec_a=1e-4).hops] == names


def test_a_hop_crosses_an_atom_nearer_than_half_an_angstrom():
    hop = line("Li-3.00", Edge(0, 0, (1, 0, 0)))
    assert [replace(hop, clearance_a=clearance).crosses for clearance in (0.49, 0.51)] == [True, False]


def test_a_path_has_dimensions_of_one_network_up_to_two_hundredths_of_an_electronvolt():
    found = percolation(SULFIDE, "Li", PercolationSettings(resolution_a=0.6))
    for levels_ev, dimensions in (((0.3, 0.319, 0.321), 2), ((0.3, 0.31, 0.319), 3), ((0.3, np.inf, np.inf), 1)):
        assert replace(found, barriers_ev=levels_ev).dimensions == dimensions


def test_settings_are_those_of_the_documentation_and_the_help():
    neb, md, bvse = NebSettings(), DynamicsSettings(), PercolationSettings()
    assert (neb.min_length_a, neb.images, neb.fmax_ev_a, neb.ends_fmax_ev_a) == (8.0, 5, 0.05, 0.02)
    assert (neb.max_steps, neb.cutoff_a, neb.symprec_a, neb.relax, neb.charge) == (200, 5.0, 0.01, True, None)
    assert (md.temperatures_k, md.time_ps, md.settle_ps) == ((600.0, 800.0, 1000.0), 20.0, 2.0)
    assert (md.timestep_fs, md.sample_fs, md.min_length_a, md.symprec_a, md.seed) == (2.0, 20.0, 8.0, 0.01, 0)
    assert (bvse.resolution_a, bvse.cutoff_a, bvse.highest_ev, bvse.limit_atoms) == (0.2, 10.0, 5.0, 200)


def test_layers_percolate_in_two_dimensions():
    layers = Atoms("Li", cell=[3, 3, 9], pbc=True)
    network = find_hops(layers, "Li", cutoff_a=4.0)
    assert network.dimensions(network.hops) == 2
    assert [hop.name for hop in network.shortest()] == ["Li-3.00"]


def line(name: str, *edges: Edge) -> Hop:
    return Hop(name, edges, 1.0, 9.0, "O")


def test_the_barrier_of_a_crystal_is_the_one_that_joins_hops_into_a_path():
    within = line("within", Edge(0, 1, (0, 0, 0)))
    along = line("along", Edge(1, 0, (1, 0, 0)))
    across = line("across", Edge(0, 0, (0, 1, 0)))
    network = Network("Li", (0, 1), {0: 0, 1: 1}, (within, along, across))
    saddles = {"within": 0.1, "along": 0.5, "across": 0.9}
    sites = {0: 0.0, 1: -0.2}
    assert percolation_threshold(network, saddles, sites) == (pytest.approx(0.7), ("within", "along"))
    assert percolation_threshold(network, saddles, sites, 2)[0] == pytest.approx(1.1)
    assert percolation_threshold(network, saddles, sites, 3) == (float("inf"), ())
    assert percolation_threshold(network, {"within": 0.1}, sites) == (float("inf"), ())


def test_sites_have_the_lowest_energy_that_a_hop_found():
    hop = line("hop", Edge(0, 1, (0, 0, 0)))
    network = Network("Li", (0, 1), {0: 0, 1: 1}, (hop,))
    rows = [
        {"hop": "hop", "start_ev": -1.0, "end_ev": -2.0, "lowest_ev": -1.0},
        {"hop": "hop", "start_ev": -1.5, "end_ev": -1.9, "lowest_ev": -1.7},
    ]
    assert site_energies(network, rows) == {1: -1.7, 0: -2.0}  # the second falls on its way


def test_interstitial_sites_are_those_of_the_cell_that_was_given():
    from pymatgen.core import Lattice, Structure

    sites = {"Li": [0.125] * 3, "Mn": [0.5] * 3, "O": [0.263] * 3}
    spinel = Structure.from_spacegroup("Fd-3m:2", Lattice.cubic(8.2), list(sites), list(sites.values()))
    cell = primitive_cell(Crystal.from_pymatgen(spinel, material_id="spinel"))
    found = empty_sites(cell, "Li")
    apart = found[:, None] - cell.get_scaled_positions()[None]
    distances = np.linalg.norm((apart - np.rint(apart)) @ cell.cell.array, axis=-1)
    assert distances.min() > 1.7  # the empty octahedron 16c is 1.94 A from oxygen; the shifted cell gave 1.59


def test_the_path_has_the_hop_that_decides_whichever_network_is_looked_at():
    site = {"Li": [(0, 0.1, 0.05), (0, 0.55, 0.10)], "O": [(0.5, 0.3, 0.2)]}
    from pymatgen.core import Lattice, Structure

    species = [name for name, coords in site.items() for _ in coords]
    coords = [place for places in site.values() for place in places]
    layers = Structure.from_spacegroup("Pmc2_1", Lattice.orthorhombic(3.2, 6.2, 18), species, coords).to_ase_atoms()
    for order in ([0, 1, 3, 2], [0, 2, 1, 3]):
        cell = layers[[*order, *range(4, len(layers))]]
        network = find_hops(cell, "Li")
        names = [hop.name for hop in network.hops]
        saddles = {names[0]: -99.8, names[1]: -99.5}
        barrier, path = percolation_threshold(network, saddles, dict.fromkeys(network.kinds.values(), -100.0))
        assert np.isfinite(barrier)
        assert barrier == pytest.approx(max(saddles[name] for name in path) + 100)


def test_an_interstitial_hops_between_the_holes():
    cell = primitive_cell(REFERENCES["ref-LiF"])
    holes = empty_sites(cell, "Li")
    network = find_hops(cell, "Li", interstitials=holes)
    assert network.carrier == "interstitial"
    assert network.hops[0].name == "Lii-2.01"
    assert network.dimensions(network.hops[:1]) == 3
    ends = Material(REFERENCES["ref-LiF"], cell, np.diag([3, 3, 3]), network, holes).ends(network.hops[0])
    assert len(ends.start) == 27 * len(cell) + 1
    moved = np.linalg.norm(ends.end.positions - ends.start.positions, axis=1)
    assert moved[ends.ion] == pytest.approx(network.hops[0].length_a)
    assert np.count_nonzero(moved) == 1
    rows = [{"hop": "Lii-2.01", "start_ev": -1.0, "end_ev": -2.0, "lowest_ev": -1.0}]
    edge = network.hops[0].edge
    expected = {network.kinds[edge.start]: -1.0, network.kinds[edge.end]: -2.0}
    assert site_energies(network, rows) == {kind: min(-2.0, energy) if len(expected) == 1 else energy
                                            for kind, energy in expected.items()}  # fmt: skip


@pytest.mark.parametrize(("ion", "cutoff_a", "kind"), [("Na", 5.0, "NoMobileIon"), ("Li", 2.0, "NoHop")])
def test_a_crystal_without_hops_says_so(ion: str, cutoff_a: float, kind: str):
    with pytest.raises(MigrationError) as error:
        find_hops(SULFIDE.to_ase(), ion, cutoff_a=cutoff_a)
    assert error.value.kind == kind


# Nudged elastic bands


def gold_on_aluminium() -> Ends:
    """The example of ASE's documentation: a gold atom on Al(100)."""
    start = fcc100("Al", size=(2, 2, 3))
    add_adsorbate(start, "Au", 1.7, "hollow")
    start.center(axis=2, vacuum=4.0)
    start.set_constraint(FixAtoms(mask=[atom.tag > 1 for atom in start]))
    end = start.copy()
    end[-1].x += end.cell[0, 0] / 2
    return Ends(start, end, len(start) - 1)


def test_the_barrier_of_gold_on_aluminium_is_that_of_ase(emt: Engine):
    from ase.mep import NEB
    from ase.optimize import BFGS

    hop = line("Au-2.86", Edge(0, 0, (1, 0, 0)))
    settings = NebSettings(images=5, fmax_ev_a=0.02)
    ends = relax_ends(gold_on_aluminium(), emt, settings)
    found = climb(hop, ends, emt, settings)
    images = [ends.start.copy(), *(ends.start.copy() for _ in range(5)), ends.end.copy()]
    for image in images:
        image.calc = EMT()
    band = NEB(images, climb=True, method="improvedtangent")
    band.interpolate()
    BFGS(band, logfile=None).run(fmax=0.02)
    oracle = max(image.get_potential_energy() for image in images) - images[0].get_potential_energy()
    assert found.converged
    assert found.barrier_ev == pytest.approx(oracle, abs=2e-3)
    assert found.barrier_ev == pytest.approx(0.374, abs=5e-3)  # as ASE's documentation has it
    assert found.reverse_ev == pytest.approx(found.barrier_ev, abs=1e-3)
    assert found.saddle == 3


def test_a_vacancy_in_copper_hops_over_the_barrier_of_its_potential(emt: Engine, tmp_path: Path):
    table, failures = barrier_campaign([COPPER], "Cu", emt, tmp_path, FAST)
    assert not failures
    row = table.iloc[0]
    assert row["barrier_ev"] == pytest.approx(0.7, abs=0.15)  # experiment: 0.7
    assert row["dimensions"] == 3
    assert row["path"] == "Cu-2.54"
    assert row["carrier"] == "vacancy"
    assert row["charge"] == "neutral cell"
    hops = pd.read_parquet(tmp_path / HOPS_TABLE)
    images = read_path(tmp_path / "copper" / "Cu-2.54.xyz")
    assert len(images) == 5
    assert {len(image) for image in images} == {int(row["supercell_atoms"])}
    energies = [image.get_potential_energy() for image in images]
    assert max(energies) - energies[0] == pytest.approx(hops["barrier_ev"][0], abs=1e-6)


def test_a_hop_that_was_killed_goes_on_from_its_path(emt: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    slow = replace(FAST, fmax_ev_a=0.01)
    whole, _ = barrier_campaign([COPPER], "Cu", emt, tmp_path / "whole", slow)
    saved: list[int] = []

    def killed(images: Any, file: Path, info: Any) -> None:
        write_path(images, file, info)
        saved.append(1)
        if len(saved) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("phonolyte.barriers.calculation.write_path", killed)
        with pytest.raises(KeyboardInterrupt):
            barrier_campaign([COPPER], "Cu", emt, tmp_path / "killed", slow)
    monkeypatch.setattr("phonolyte.barriers.calculation.relax_ends", None)  # they are in the path
    again, failures = barrier_campaign([COPPER], "Cu", emt, tmp_path / "killed", slow)
    assert not failures
    assert again["barrier_ev"][0] == pytest.approx(whole["barrier_ev"][0], abs=2e-3)
    steps = [pd.read_parquet(tmp_path / run / HOPS_TABLE)["steps"][0] for run in ("killed", "whole")]
    assert steps[0] < steps[1]


class NotANumber(EMT):  # type: ignore[misc]
    def calculate(self, *args: Any, **kwargs: Any) -> None:
        super().calculate(*args, **kwargs)
        self.results["forces"] = self.results["forces"] * np.nan


def test_an_engine_that_gives_no_numbers_is_named(tmp_path: Path):
    broken = Engine("broken", NotANumber())
    _, failures = barrier_campaign([COPPER], "Cu", broken, tmp_path, replace(FAST, relax=False))
    assert "not finite" in failures[0].message


def test_a_single_site_in_a_small_cell_cannot_hop_onto_its_own_image(emt: Engine):
    cell = bulk("Cu")
    with pytest.raises(MigrationError) as error:
        vacancy_ends(cell, np.eye(3, dtype=int), find_hops(cell, "Cu").hops[0].edge)
    assert error.value.kind == "SmallSupercell"


def test_a_hop_through_an_atom_is_refused_unless_a_path_around_it_is_given(emt: Engine):
    blocked = replace(line("Cu-5", Edge(0, 0, (1, 0, 0))), clearance_a=0.1, nearest="Au")
    cell = bulk("Cu", cubic=True)
    ends = vacancy_ends(cell, np.diag([2, 2, 2]), find_hops(cell, "Cu").hops[0].edge)
    with pytest.raises(MigrationError) as error:
        climb(blocked, ends, emt, FAST)
    assert error.value.kind == "CrossesAtom"
    free = climb(replace(blocked, clearance_a=1.5), ends, emt, FAST)
    assert climb(blocked, ends, emt, FAST, path=free.images).converged


def test_a_path_of_the_users_is_where_a_hop_begins(emt: Engine, tmp_path: Path):
    first, _ = barrier_campaign([COPPER], "Cu", emt, tmp_path / "first", FAST)
    (file,) = (tmp_path / "first").rglob("Cu-2.54.xyz")
    known = replace(FAST, paths=(("Cu-2.54", str(file)),))
    again, failures = barrier_campaign([COPPER], "Cu", emt, tmp_path / "again", known)
    assert not failures
    assert again["barrier_ev"][0] == pytest.approx(first["barrier_ev"][0], abs=2e-3)
    steps = [pd.read_parquet(tmp_path / run / HOPS_TABLE)["steps"][0] for run in ("first", "again")]
    assert steps[1] < steps[0]
    assert known.deciding != FAST.deciding
    with pytest.raises(SettingsError, match="no file"):
        replace(FAST, paths=(("Cu-2.54", str(tmp_path / "none.xyz")),))


def test_ends_that_slip_into_one_another_are_told(emt: Engine):
    cell = bulk("Cu", cubic=True) * (2, 2, 2)
    del cell[0]
    near = int(np.linalg.norm(cell.positions, axis=1).argmin())
    start, end = cell.copy(), cell.copy()
    start.positions[near] *= 0.6  # not a site: it rolls to one
    with pytest.raises(MigrationError) as error:
        relax_ends(Ends(start, end, near), emt, NebSettings())
    assert error.value.kind == "LeftBasin"
    assert "start" in str(error.value)


def test_a_path_with_other_atoms_is_refused(emt: Engine):
    cell = bulk("Cu", cubic=True)
    hop = find_hops(cell, "Cu").hops[0]
    ends = vacancy_ends(cell, np.diag([2, 2, 2]), hop.edge)
    wrong = [ends.start, ends.start[:-1], ends.end]
    with pytest.raises(MigrationError, match="other atoms"):
        climb(hop, ends, emt, FAST, path=wrong)


def test_a_hop_over_its_time_limit_is_a_row_and_is_tried_again_under_another(emt: Engine, tmp_path: Path):
    table, failures = barrier_campaign([COPPER], "Cu", emt, tmp_path, replace(FAST, limit_s=1e-9))
    assert table.empty
    assert failures[0].error == "TimeLimit"
    table, failures = barrier_campaign([COPPER], "Cu", emt, tmp_path, FAST)
    assert len(table) == 1
    assert not failures


def test_a_hop_that_took_too_long_beside_others_is_tried_again_under_another_limit(
    emt: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    ordered = Crystal.of("AuCu3", np.eye(3) * 3.8, ["Au", "Cu", "Cu", "Cu"],
                         [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])  # fmt: skip
    asked = replace(FAST, hops=("Cu-2.69", "Cu-3.80b"), relax=False, max_steps=40, limit_s=100.0)
    names = [hop.name for hop in find_hops(primitive_cell(ordered), "Cu").hops]
    assert {"Cu-2.69", "Cu-3.80b"} <= set(names)
    tried: list[str] = []

    def slow(hop: Hop, *_: Any) -> Any:
        tried.append(hop.name)
        if hop.name == "Cu-3.80b":
            raise MigrationError("takes longer than the limit", kind="TimeLimit")
        return computed(hop, *_)

    computed = barriers._computed
    monkeypatch.setattr(barriers, "_computed", slow)
    for limit in (100.0, 100.0, 200.0):
        table, _ = barrier_campaign([ordered], "Cu", emt, tmp_path, replace(asked, limit_s=limit))
        assert table["n_hops"].tolist() == [1]
    assert tried == ["Cu-2.69", "Cu-3.80b", "Cu-3.80b"]


def test_an_unconverged_band_says_so(emt: Engine):
    cell = bulk("Cu", cubic=True)
    hop = find_hops(cell, "Cu").hops[0]
    ends = vacancy_ends(cell, np.diag([2, 2, 2]), hop.edge)
    found = climb(hop, ends, emt, replace(FAST, max_steps=2, fmax_ev_a=1e-4))
    assert not found.converged
    assert "forces are at" in found.why


# neb.x on a cluster

NEB_X = """
import sys
from ase.io import read, write
images = read("start.xyz", index=":")
write("hop.xyz", images, format="xyz")
print("     ------------------------------ iteration   2 ------------------------------")
print("     image        energy (eV)        error (eV/A)        frozen")
for n, energy in enumerate([-9.0, -8.9, -8.5, -8.8, -9.1], start=1):
    print(f"         {n}     {energy:.7f}            0.0123450            T")
print("     neb: convergence achieved in   2 iterations")
print("     NEB          :     1m30.00s CPU     2m 5.00s WALL")
print("   JOB DONE.")
"""


@pytest.fixture
def hydride(tmp_path: Path) -> tuple[Crystal, list[str]]:
    """A crystal, and the options of plane waves for it, with pseudopotentials that only have their names."""
    folder = tmp_path / "pseudo"
    folder.mkdir()
    for symbol in ("Li", "H"):
        (folder / f"{symbol}.upf").write_text('<UPF pseudo_type="NC">')
    cell = bulk("LiH", "rocksalt", a=4.08)
    return Crystal.from_ase(cell, material_id="hydride"), [f"pseudo_dir={folder}", "ecutwfc_ry=30"]


def test_hops_run_on_a_cluster_and_are_read_again(tmp_path: Path, hydride: tuple[Crystal, list[str]]):
    crystal, options = hydride
    (tmp_path / "neb.py").write_text(NEB_X)
    pd.DataFrame([crystal.row()]).to_parquet(tmp_path / "in.parquet")
    command = f"command={sys.executable} {tmp_path / 'neb.py'}"
    arguments = ["migrate", str(tmp_path / "in.parquet"), "--method", "neb", "--engine", "espresso", "--cluster"]
    arguments += ["--no-relax", "--charge", "-1", "--images", "3", "--min-length-a", "5", "-o", str(tmp_path / "out")]
    for option in (*options, command):
        arguments += ["--option", option]
    first = CliRunner().invoke(app, arguments)
    assert first.exit_code == 0, first.output
    assert "waiting for neb.x in 1 folder" in " ".join(first.output.split())
    jobs = tmp_path / "out" / "jobs"
    (task,) = (jobs / line for line in (jobs / "tasks.txt").read_text().split())
    text = (task / "neb.in").read_text()
    assert text.count("INTERMEDIATE_IMAGE") == 3
    assert "tot_charge       = -1.0" in text
    assert "num_of_images = 5" in text
    environment = {**os.environ, "SLURM_ARRAY_TASK_ID": "1"}
    subprocess.run(["bash", "submit.sh"], cwd=jobs, check=True, env=environment)
    second = CliRunner().invoke(app, arguments)
    assert second.exit_code == 0, second.output
    row = pd.read_parquet(tmp_path / "out" / HOPS_TABLE).iloc[0]
    assert row["barrier_ev"] == pytest.approx(0.5)
    assert row["reverse_ev"] == pytest.approx(0.6)
    assert row["seconds"] == 125.0
    assert row["converged"]
    material = pd.read_parquet(tmp_path / "out" / "barriers.parquet").iloc[0]
    assert material["barrier_ev"] == pytest.approx(0.6)  # above the lower of both ends
    assert material["charge"] == "-1 over a uniform background"
    assert (tmp_path / "out" / "hydride" / f"{row['hop']}.png").is_file()


def test_a_run_that_was_stopped_is_a_failure_that_says_where(tmp_path: Path, hydride: tuple[Crystal, list[str]]):
    crystal, options = hydride
    settings = NebSettings(relax=False, images=3, min_length_a=5.0)
    cluster = Cluster.of("espresso", dict(option.split("=", 1) for option in options[:1]), command="neb.x")
    run = neb_cluster_campaign([crystal], "Li", cluster, tmp_path / "out", settings)
    assert run.waiting == ["hydride"]
    output = run.jobs / run.tasks[0] / "neb.out"
    output.write_text("     image        energy (eV)")
    run = neb_cluster_campaign([crystal], "Li", cluster, tmp_path / "out", settings)
    assert "there is no JOB DONE" in run.failures[0].message
    assert run.waiting == []
    output.unlink()
    run = neb_cluster_campaign([crystal], "Li", cluster, tmp_path / "out", settings)
    assert run.waiting == ["hydride"]
    assert not run.failures


def test_what_neb_x_cannot_do_is_refused(tmp_path: Path, hydride: tuple[Crystal, list[str]]):
    crystal, options = hydride
    cluster = Cluster.of("espresso", dict(option.split("=", 1) for option in options[:1]), command="neb.x")
    with pytest.raises(SettingsError, match="does not relax"):
        neb_cluster_campaign([crystal], "Li", cluster, tmp_path / "out", NebSettings())
    with pytest.raises(SettingsError, match="limit_s"):
        neb_cluster_campaign([crystal], "Li", cluster, tmp_path / "out", NebSettings(relax=False, limit_s=1.0))


@pytest.mark.parametrize(("dip_ev", "remark"), [(0.049, ""), (0.051, "a site lies on the way, lower than both ends")])
def test_an_image_far_below_both_ends_is_a_site_of_its_own(dip_ev: float, remark: str):
    energies = np.array([0.0, 0.3, -dip_ev, 0.3, 0.1])
    assert remarks(energies, 0.01, NebSettings(), converged=True) == remark


def test_an_engine_without_charges_refuses_one(emt: Engine, tmp_path: Path):
    with pytest.raises(SettingsError, match="knows no charges"):
        barrier_campaign([COPPER], "Cu", emt, tmp_path, replace(FAST, charge=-1.0))


# Molecular dynamics


def walk(n_ions: int, n_frames: int, step_a: float, seed: int = 0) -> list[Atoms]:
    """Ions that walk at random in a framework that stands still."""
    rng = np.random.default_rng(seed)
    cell = Atoms(f"Li{n_ions}O2", positions=rng.random((n_ions + 2, 3)) * 10, cell=[10, 10, 10], pbc=True)
    moves = rng.normal(0, step_a, (n_frames, n_ions, 3)).cumsum(axis=0)
    frames = []
    for move in moves:
        frame = cell.copy()
        frame.positions[:n_ions] += move
        frame.wrap()
        frames.append(frame)
    return frames


def test_the_diffusivity_of_a_random_walk_lies_in_its_interval():
    settings = DynamicsSettings(settle_ps=0.02, time_ps=20.0)
    step = 0.35
    exact = 3 * step**2 / (6 * 0.02) * 1e-4  # cm2/s
    inside = 0
    for seed in range(5):
        found = diffusivity(walk(24, 1000, step, seed), "Li", settings, 2.0, 2.0)
        low, high = np.percentile(found.samples_cm2_s, (2.5, 97.5))
        assert low < np.median(found.samples_cm2_s) < high
        assert np.median(found.samples_cm2_s) == pytest.approx(exact, rel=0.5)
        inside += low < exact < high
    assert inside >= 3


def test_too_few_hops_are_refused_with_a_bound():
    settings = DynamicsSettings(settle_ps=0.02, time_ps=20.0)
    found = diffusivity(walk(24, 1000, 1e-4), "Li", settings, 1.0, 2.0)
    assert found.hops == 0
    assert len(found.samples_cm2_s) == 0
    assert found.below_cm2_s == pytest.approx(2.9957 * 4 / (6 * 24 * 19.98) * 1e-4, rel=0.01)


def test_a_melt_gives_no_diffusivity():
    settings = DynamicsSettings(settle_ps=0.02, time_ps=20.0)
    frames = walk(24, 1000, 0.35)
    for frame in frames:
        frame.symbols[12:] = "Na"
    found = diffusivity(frames, "Li", settings, 2.0, 2.0)
    assert found.framework_a > MELTED_A
    assert found.hops > FEWEST_HOPS
    assert len(found.samples_cm2_s) == 0


def moved(distance_a: float, frames: int | None = None) -> list[Atoms]:
    """One ion that goes over a distance, and comes back after a number of frames of 20 fs."""
    still = walk(2, 200, 1e-6)
    for frame in still[100 : None if frames is None else 100 + frames]:
        frame.positions[0, 1] += distance_a
    return still


@pytest.mark.parametrize(
    ("distance_a", "frames", "hops"),
    [
        (1.38, None, 0),  # 0.7 of the 2 angstrom between sites are 1.4
        (1.42, None, 1),
        (3.0, 4, 0),  # over 10 frames, 0.2 ps, the mean of four is 1.2 angstrom
        (3.0, 5, 2),  # and that of five 1.5
    ],
)
def test_an_ion_hops_seven_tenths_of_the_way_for_a_fifth_of_a_picosecond(
    distance_a: float, frames: int | None, hops: int
):
    settings = DynamicsSettings(settle_ps=0.02, time_ps=4.0)
    assert diffusivity(moved(distance_a, frames), "Li", settings, 2.0, 2.0).hops == hops


def test_an_interval_leaves_out_two_and_a_half_percent_on_either_side():
    found = Diffusivity(50, 1.0, np.arange(1001.0), 1e-7, 0.2)
    row = _run_row(found, 600.0, 24, 1, 1000.0)
    interval = [row[name] for name in ("diffusivity_cm2_s", "diffusivity_low_cm2_s", "diffusivity_high_cm2_s")]
    assert interval == pytest.approx([500.0, 25.0, 975.0])


def strained(apart_a: float) -> list[Atoms]:
    """Ions that walk at random while two atoms of the framework go apart, each by so many angstrom, at once."""
    frames = walk(24, 1000, 0.35)
    for frame in frames[2:]:
        frame.positions[24:, 0] += apart_a, -apart_a
        frame.wrap()
    return frames


@pytest.mark.parametrize(("apart_a", "melts"), [(1.45, False), (1.55, True)])
def test_a_crystal_melts_where_all_other_atoms_have_moved_by_more_than_one_and_a_half_angstrom(
    apart_a: float, melts: bool
):
    settings = DynamicsSettings(settle_ps=0.02, time_ps=20.0)
    found = diffusivity(strained(apart_a), "Li", settings, 2.0, 2.0)
    assert found.framework_a == pytest.approx(apart_a)
    assert (len(found.samples_cm2_s) == 0) == melts
    row = _run_row(found, 600.0, 24, 1, 1000.0)
    assert ("the crystal melts" in row["why"]) == melts
    assert (row["sigma_s_cm"] is None) == melts
    assert row["below_cm2_s"] is None


def test_a_crystal_without_hops_that_melts_has_no_bound_of_its_diffusivity():
    """Whether a bound is given, which is the other place that the limit of a melt decides."""
    for moved_a, has_bound in ((1.45, True), (1.55, False)):
        row = _run_row(Diffusivity(3, 0.1, np.array([]), 1e-7, moved_a), 600.0, 24, 1, 1000.0)
        assert (row["below_cm2_s"] == 1e-7) == has_bound


@pytest.mark.parametrize(("n_hops", "known"), [(19, False), (20, True)])
def test_a_diffusivity_takes_twenty_hops(n_hops: int, known: bool):
    settings = DynamicsSettings(settle_ps=0.02, time_ps=20.0)
    frames = walk(24, 1000, 1e-3)
    for hop in range(n_hops):
        for frame in frames[100 + 40 * hop :]:
            frame.positions[hop, 1] += 2.0
    found = diffusivity(frames, "Li", settings, 2.0, 2.0)
    assert found.hops == n_hops
    assert (len(found.samples_cm2_s) > 0) == known


def test_a_conductor_of_copper_is_one_of_single_charges():
    assert mobile_charge("Cu") == 1
    assert mobile_charge("Mg") == 2


def test_hops_are_counted_and_vibrations_are_not():
    rng = np.random.default_rng(0)
    paths = rng.normal(0, 0.3, (1000, 3, 3))
    paths[300:, 0, 0] += 3.0
    paths[600:, 0, 0] -= 3.0
    paths[500:, 2, 1] += 3.0
    assert count_hops(paths, 2.0, 10) == 3


def test_paths_go_on_over_borders_and_leave_the_drift_out():
    frames = []
    for i in range(30):
        frame = Atoms("LiO", positions=[[1, 1, 1], [5, 5, 5]], cell=[10, 10, 10], pbc=True)
        frame.positions += [0.5 * i, 0, 0]
        frame.positions[0, 1] += i
        frame.wrap()
        frames.append(frame)
    paths = unwrapped(frames, "Li")
    assert paths[-1, 0] - paths[0, 0] == pytest.approx([0, 29, 0])


def test_conductivity_follows_nernst_and_einstein():
    sigma = conductivity_s_cm(np.array(1e-7), 24, 1, 1000.0, 300.0)
    assert float(sigma) == pytest.approx(24 / 1e-21 * 1.602e-19 * 1e-7 / (8.617e-5 * 300), rel=1e-3)


def test_an_activation_energy_comes_back_with_its_interval():
    rng = np.random.default_rng(0)
    samples = {t: 1e-3 * np.exp(-0.3 / (KB_EV_K * t)) * rng.lognormal(0, 0.1, 500) for t in (600.0, 800.0, 1000.0)}
    fit = arrhenius(samples, 24, 1, 1000.0)
    low, high = np.percentile(fit.energies_ev, (2.5, 97.5))
    assert low < 0.3 < high
    assert high - low < 0.15
    assert np.percentile(fit.sigma_25c_s_cm, 97.5) > np.percentile(fit.sigma_25c_s_cm, 2.5) > 0
    with pytest.raises(MigrationError, match="two temperatures"):
        arrhenius({600.0: samples[600.0]}, 24, 1, 1000.0)


SHORT = DynamicsSettings(temperatures_k=(600.0,), time_ps=0.2, settle_ps=0.1, timestep_fs=2.0, min_length_a=6.0)


def test_a_crystal_that_stands_still_is_refused_and_a_longer_run_goes_on(emt: Engine, tmp_path: Path):
    table, failures = dynamics_campaign([COPPER], "Cu", emt, tmp_path, SHORT)
    assert not failures
    assert table["barrier_ev"].isna().all()
    runs = pd.read_parquet(tmp_path / DIFFUSIVITIES)
    assert "fewer than" in runs["why"][0]
    (file,) = (tmp_path / "copper").glob("*.traj")
    first = read_path(file)
    dynamics_campaign([COPPER], "Cu", emt, tmp_path, replace(SHORT, time_ps=0.4))
    longer = read_path(file)
    assert len(longer) == len(first) + 10
    assert np.array_equal(longer[len(first) - 1].positions, first[-1].positions)
    assert longer[-1].info["step"] == 250


def test_a_crystal_that_flies_apart_is_told(tmp_path: Path):
    hot = Engine("lj", LennardJones(sigma=2.3, epsilon=0.4, rc=6.0))
    wild = replace(SHORT, timestep_fs=80.0, sample_fs=80.0, time_ps=40.0, relax=False)
    _, failures = dynamics_campaign([COPPER], "Cu", hot, tmp_path, wild)
    assert "flies apart" in failures[0].message


@pytest.mark.parametrize(
    "settings",
    [{"temperatures_k": ()}, {"temperatures_k": (600.0, 600.0)}, {"time_ps": 0.0}, {"sample_fs": 1.0}],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]):
    with pytest.raises(SettingsError):
        DynamicsSettings(**settings)


# The command


@pytest.mark.parametrize("method", ["neb", "md"])
def test_the_command_computes_tabulates_and_draws(tmp_path: Path, method: str):
    from ase.io import write

    write(tmp_path / "copper.cif", bulk("Cu", cubic=True))
    more = ["--images", "3"] if method == "neb" else ["--temperature-k", "500", "--time-ps", "0.5", "--no-relax"]
    arguments = ["migrate", str(tmp_path / "copper.cif"), "--method", method, "--engine", "emt", "--ion", "Cu",
                 "--min-length-a", "6", *more, "-o", str(tmp_path / "out")]  # fmt: skip
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "copper" in result.output
    figure = "Cu-2.54.png" if method == "neb" else "diffusivity.png"
    assert (tmp_path / "out" / "copper" / figure).stat().st_size > 5000
    assert len(pd.read_parquet(tmp_path / "out" / "barriers.parquet")) == 1


def test_the_command_maps_site_energies_and_counts_what_failed(tmp_path: Path):
    from ase.io import write

    write(tmp_path / "copper.cif", bulk("Cu", cubic=True))
    write(tmp_path / "sulfide.cif", SULFIDE.to_ase())
    result = CliRunner().invoke(app, ["migrate", str(tmp_path), "-o", str(tmp_path / "out")])
    assert result.exit_code == 1, result.output
    assert "1 of 2 crystals" in result.output
    assert (tmp_path / "out" / "sulfide" / "site_energy.png").stat().st_size > 5000


# Figures


def test_a_profile_marks_both_barriers():
    figure = neb_profile(np.array([0.0, 1.0, 2.0]), np.array([-1.0, -0.5, -1.1]), note="not converged")
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["0.50 eV", "0.60 eV", "not converged"]


def test_a_map_without_a_path_says_so():
    figure = site_energy_map(np.random.default_rng(0).random((5, 6, 7)), np.eye(3) * 5, [None, None, None], title="LiF")
    assert figure.get_suptitle() == "LiF   no path"


def test_diffusivities_and_bounds_are_drawn_apart():
    runs = pd.DataFrame(
        {
            "temperature_k": [600.0, 800.0, 1000.0],
            "diffusivity_cm2_s": [None, 1e-6, 1e-5],
            "diffusivity_low_cm2_s": [None, 5e-7, 8e-6],
            "diffusivity_high_cm2_s": [None, 2e-6, 2e-5],
            "below_cm2_s": [1e-7, None, None],
        }
    )
    axes = diffusion_arrhenius(runs, title="x", energy_ev=(0.3, 0.2, 0.4)).axes[0]
    assert axes.get_yscale() == "log"
    assert axes.get_legend().get_texts()[0].get_text() == "below (too few hops)"


def test_errors_of_an_engine_keep_their_kind():
    assert issubclass(MigrationError, EngineError)
    assert MigrationError("a").kind == "MigrationError"
