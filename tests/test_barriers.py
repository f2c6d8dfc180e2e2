from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import add_adsorbate, bulk, fcc100, make_supercell
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.io import write
from typer.testing import CliRunner

from phonolyte.barriers import BarrierCalculation, NebSettings, calculation
from phonolyte.barriers.cluster import BarriersOnCluster, neb_script
from phonolyte.barriers.ends import Ends, relax_ends, vacancy_ends
from phonolyte.barriers.hops import Edge, Hop, Network, find_hops, percolation_threshold
from phonolyte.barriers.material import HOPS_TABLE, Material, site_energies
from phonolyte.barriers.neb import climb, remarks
from phonolyte.barriers.paths import first_path, lengths_a, read_path, write_path
from phonolyte.cli import app
from phonolyte.errors import EngineError, Failure, MigrationError, SettingsError
from phonolyte.forces import Engine, open_engine
from phonolyte.forces.cells import primitive_cell
from phonolyte.forces.espresso import PlaneWaves
from phonolyte.percolation.site_energies import empty_sites
from phonolyte.references import reference_compounds
from phonolyte.runs.campaign import Outcome, run_campaign
from phonolyte.runs.run import Run
from phonolyte.runs.slurm import write_jobs
from phonolyte.structures import Crystal

REFERENCES = {crystal.material_id: crystal for crystal in reference_compounds().crystals}
SULFIDE = REFERENCES["ref-Li2S"]
COPPER = Crystal.from_ase(bulk("Cu", cubic=True), material_id="copper")
FAST = NebSettings(images=3, min_length_a=6.0, fmax_ev_a=0.1)


@pytest.fixture(scope="module")
def emt() -> Engine:
    return open_engine("emt")


def compute_barriers(
    crystal: Crystal, engine: Engine, folder: Path, settings: NebSettings
) -> tuple[pd.DataFrame, list[Failure]]:
    """Table and failures of the hops of copper in a run folder that goes on under any settings."""
    with Run(folder, "barriers", identity="barriers") as run:
        outcome = run_campaign(BarrierCalculation("Cu", engine, settings), [crystal], run)
    return outcome.table, list(outcome.failures)


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
    hop = make_hop("Li-3.00", Edge(0, 0, (1, 0, 0)))
    assert [replace(hop, clearance_a=clearance).crosses for clearance in (0.49, 0.51)] == [True, False]


def test_settings_are_those_of_the_documentation_and_the_help():
    neb = NebSettings()
    assert (neb.min_length_a, neb.images, neb.fmax_ev_a, neb.ends_fmax_ev_a) == (8.0, 5, 0.05, 0.02)
    assert (neb.max_steps, neb.cutoff_a, neb.symprec_a, neb.relax, neb.charge) == (200, 5.0, 0.01, True, None)


def test_layers_percolate_in_two_dimensions():
    layers = Atoms("Li", cell=[3, 3, 9], pbc=True)
    network = find_hops(layers, "Li", cutoff_a=4.0)
    assert network.dimensions(network.hops) == 2
    assert [hop.name for hop in network.shortest()] == ["Li-3.00"]


def make_hop(name: str, *edges: Edge) -> Hop:
    return Hop(name, edges, 1.0, 9.0, "O")


def test_the_barrier_of_a_crystal_is_the_one_that_joins_hops_into_a_path():
    within = make_hop("within", Edge(0, 1, (0, 0, 0)))
    along = make_hop("along", Edge(1, 0, (1, 0, 0)))
    across = make_hop("across", Edge(0, 0, (0, 1, 0)))
    network = Network("Li", (0, 1), {0: 0, 1: 1}, (within, along, across))
    saddles = {"within": 0.1, "along": 0.5, "across": 0.9}
    sites = {0: 0.0, 1: -0.2}
    assert percolation_threshold(network, saddles, sites) == (pytest.approx(0.7), ("within", "along"))
    assert percolation_threshold(network, saddles, sites, 2)[0] == pytest.approx(1.1)
    assert percolation_threshold(network, saddles, sites, 3) == (float("inf"), ())
    assert percolation_threshold(network, {"within": 0.1}, sites) == (float("inf"), ())


def test_sites_have_the_lowest_energy_that_a_hop_found():
    hop = make_hop("hop", Edge(0, 1, (0, 0, 0)))
    network = Network("Li", (0, 1), {0: 0, 1: 1}, (hop,))
    rows = [
        {"hop": "hop", "start_ev": -1.0, "end_ev": -2.0, "lowest_ev": -1.0},
        {"hop": "hop", "start_ev": -1.5, "end_ev": -1.9, "lowest_ev": -1.7},
    ]
    assert site_energies(network, rows) == {1: -1.7, 0: -2.0}  # the second falls on its way


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


# Nudged elastic band


def build_gold_on_aluminum() -> Ends:
    """The example of ASE's documentation: a gold atom on Al(100)."""
    start = fcc100("Al", size=(2, 2, 3))
    add_adsorbate(start, "Au", 1.7, "hollow")
    start.center(axis=2, vacuum=4.0)
    start.set_constraint(FixAtoms(mask=[atom.tag > 1 for atom in start]))
    end = start.copy()
    end[-1].x += end.cell[0, 0] / 2
    return Ends(start, end, len(start) - 1)


def test_the_barrier_of_gold_on_aluminum_is_that_of_ase(emt: Engine):
    from ase.mep import NEB
    from ase.optimize import BFGS

    hop = make_hop("Au-2.86", Edge(0, 0, (1, 0, 0)))
    settings = NebSettings(images=5, fmax_ev_a=0.02)
    ends = relax_ends(build_gold_on_aluminum(), emt, fmax_ev_a=0.02, max_steps=200)
    path = climb(hop, ends, emt, settings)
    images = [ends.start.copy(), *(ends.start.copy() for _ in range(5)), ends.end.copy()]
    for image in images:
        image.calc = EMT()
    band = NEB(images, climb=True, method="improvedtangent")
    band.interpolate()
    BFGS(band, logfile=None).run(fmax=0.02)
    oracle = max(image.get_potential_energy() for image in images) - images[0].get_potential_energy()
    assert path.converged
    assert path.barrier_ev == pytest.approx(oracle, abs=2e-3)
    assert path.barrier_ev == pytest.approx(0.374, abs=5e-3)  # as ASE's documentation has it
    assert path.reverse_ev == pytest.approx(path.barrier_ev, abs=1e-3)
    assert path.saddle == 3


def test_a_vacancy_in_copper_hops_over_the_barrier_of_its_potential(emt: Engine, tmp_path: Path):
    table, failures = compute_barriers(COPPER, emt, tmp_path, FAST)
    assert not failures
    row = table.iloc[0]
    assert row["barrier_ev"] == pytest.approx(0.7, abs=0.15)  # experiment: 0.7
    assert row["dimensions"] == 3
    assert row["path"] == "Cu-2.54"
    assert row["carrier"] == "vacancy"
    assert row["defect_charge"] == "neutral cell"
    hops = pd.read_parquet(tmp_path / HOPS_TABLE)
    images = read_path(tmp_path / "copper" / "Cu-2.54.xyz")
    assert len(images) == 5
    assert {len(image) for image in images} == {int(row["supercell_atoms"])}
    energies = [image.get_potential_energy() for image in images]
    assert max(energies) - energies[0] == pytest.approx(hops["barrier_ev"][0], abs=1e-6)


def test_a_hop_that_was_killed_goes_on_from_its_path(emt: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    slow = replace(FAST, fmax_ev_a=0.01)
    whole, _ = compute_barriers(COPPER, emt, tmp_path / "whole", slow)
    saved: list[int] = []

    def write_and_die(images: Any, file: Path, info: Any) -> None:
        write_path(images, file, info)
        saved.append(1)
        if len(saved) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("phonolyte.barriers.calculation.write_path", write_and_die)
        with pytest.raises(KeyboardInterrupt):
            compute_barriers(COPPER, emt, tmp_path / "killed", slow)
    monkeypatch.setattr("phonolyte.barriers.calculation.relax_ends", None)  # they are in the path
    again, failures = compute_barriers(COPPER, emt, tmp_path / "killed", slow)
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
    _, failures = compute_barriers(COPPER, broken, tmp_path, replace(FAST, relax=False))
    assert "not finite" in failures[0].message


def test_a_single_site_in_a_small_cell_cannot_hop_onto_its_own_image(emt: Engine):
    cell = bulk("Cu")
    with pytest.raises(MigrationError) as error:
        vacancy_ends(cell, np.eye(3, dtype=int), find_hops(cell, "Cu").hops[0].edge)
    assert error.value.kind == "SmallSupercell"


def test_a_hop_through_an_atom_is_refused_unless_a_path_around_it_is_given(emt: Engine):
    blocked = replace(make_hop("Cu-5", Edge(0, 0, (1, 0, 0))), clearance_a=0.1, nearest="Au")
    cell = bulk("Cu", cubic=True)
    ends = vacancy_ends(cell, np.diag([2, 2, 2]), find_hops(cell, "Cu").hops[0].edge)
    with pytest.raises(MigrationError) as error:
        climb(blocked, ends, emt, FAST)
    assert error.value.kind == "CrossesAtom"
    free = climb(replace(blocked, clearance_a=1.5), ends, emt, FAST)
    assert climb(blocked, ends, emt, FAST, path=free.images).converged


def test_a_path_of_the_users_is_where_a_hop_begins(emt: Engine, tmp_path: Path):
    first, _ = compute_barriers(COPPER, emt, tmp_path / "first", FAST)
    (file,) = (tmp_path / "first").rglob("Cu-2.54.xyz")
    known = replace(FAST, paths=(("Cu-2.54", str(file)),))
    again, failures = compute_barriers(COPPER, emt, tmp_path / "again", known)
    assert not failures
    assert again["barrier_ev"][0] == pytest.approx(first["barrier_ev"][0], abs=2e-3)
    steps = [pd.read_parquet(tmp_path / run / HOPS_TABLE)["steps"][0] for run in ("first", "again")]
    assert steps[1] < steps[0]
    assert known.deciding != FAST.deciding
    with pytest.raises(SettingsError, match="not a file"):
        replace(FAST, paths=(("Cu-2.54", str(tmp_path / "none.xyz")),))


def test_images_of_the_users_do_not_jump_over_borders(emt: Engine, tmp_path: Path):
    cell = bulk("Cu", cubic=True)
    hop = find_hops(cell, "Cu").hops[0]
    ends = vacancy_ends(cell, np.diag([2, 2, 2]), hop.edge)
    images = first_path(hop, ends, 3, {})
    for image in images:
        image.wrap()
    write(tmp_path / "wrapped.xyz", images)
    given = first_path(hop, ends, 3, {hop.name: str(tmp_path / "wrapped.xyz")})
    assert lengths_a(given) == pytest.approx(lengths_a(first_path(hop, ends, 3, {})), abs=1e-4)
    write(tmp_path / "cell.xyz", [Atoms(image, cell=1.1 * image.cell) for image in images])
    with pytest.raises(MigrationError, match="cell of an image"):
        first_path(hop, ends, 3, {hop.name: str(tmp_path / "cell.xyz")})
    write(tmp_path / "atoms.xyz", [image[:-1] for image in images])
    with pytest.raises(MigrationError, match="other atoms"):
        first_path(hop, ends, 3, {hop.name: str(tmp_path / "atoms.xyz")})


def test_ends_that_slip_into_one_another_are_reported(emt: Engine):
    cell = bulk("Cu", cubic=True) * (2, 2, 2)
    del cell[0]
    near = int(np.linalg.norm(cell.positions, axis=1).argmin())
    start, end = cell.copy(), cell.copy()
    start.positions[near] *= 0.6  # not a site: it rolls to one
    with pytest.raises(MigrationError) as error:
        relax_ends(Ends(start, end, near), emt, fmax_ev_a=0.02, max_steps=200)
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
    table, failures = compute_barriers(COPPER, emt, tmp_path, replace(FAST, limit_s=1e-9))
    assert table.empty
    assert failures[0].error == "TimeLimit"
    table, failures = compute_barriers(COPPER, emt, tmp_path, FAST)
    assert len(table) == 1
    assert not failures


def test_a_hop_that_took_too_long_beside_others_is_tried_again_under_another_limit(
    emt: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    ordered = Crystal.from_arrays("AuCu3", np.eye(3) * 3.8, ["Au", "Cu", "Cu", "Cu"],
                         [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])  # fmt: skip
    settings = replace(FAST, hops=("Cu-2.69", "Cu-3.80b"), relax=False, max_steps=40, limit_s=100.0)
    names = [hop.name for hop in find_hops(primitive_cell(ordered), "Cu").hops]
    assert {"Cu-2.69", "Cu-3.80b"} <= set(names)
    tried: list[str] = []

    def compute_slowly(hop: Hop, *_: Any) -> Any:
        tried.append(hop.name)
        if hop.name == "Cu-3.80b":
            raise MigrationError("takes longer than the limit", kind="TimeLimit")
        return computed(hop, *_)

    computed = calculation._compute_hop
    monkeypatch.setattr(calculation, "_compute_hop", compute_slowly)
    for limit in (100.0, 100.0, 200.0):
        table, _ = compute_barriers(ordered, emt, tmp_path, replace(settings, limit_s=limit))
        assert table["n_hops"].tolist() == [1]
    assert tried == ["Cu-2.69", "Cu-3.80b", "Cu-3.80b"]


def test_an_unconverged_band_says_so(emt: Engine):
    cell = bulk("Cu", cubic=True)
    hop = find_hops(cell, "Cu").hops[0]
    ends = vacancy_ends(cell, np.diag([2, 2, 2]), hop.edge)
    path = climb(hop, ends, emt, replace(FAST, max_steps=2, fmax_ev_a=1e-4))
    assert not path.converged
    assert "forces are at" in path.why


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
    assert material["defect_charge"] == "-1 over a uniform background"
    assert (tmp_path / "out" / "hydride" / f"{row['hop']}.png").is_file()


def call(crystal: Crystal, options: list[str], folder: Path, settings: NebSettings) -> tuple[Outcome, list[Path]]:
    """Outcome of one call on a cluster, and the folders that are to be run."""
    waves = PlaneWaves.from_options(dict(option.split("=", 1) for option in options[:1]))
    barriers = BarriersOnCluster("Li", waves.engine("neb.x"), settings, waves=waves)
    with Run(folder, "barriers", identity="barriers") as run:
        outcome = run_campaign(barriers, [crystal], run)
        write_jobs(folder, outcome.waiting, neb_script("neb.x", ""))
    return outcome, [folder / "jobs" / line for line in (folder / "jobs" / "tasks.txt").read_text().split()]


def test_a_run_that_was_stopped_is_a_failure_that_says_where(tmp_path: Path, hydride: tuple[Crystal, list[str]]):
    settings = NebSettings(relax=False, images=3, min_length_a=5.0)
    outcome, tasks = call(*hydride, tmp_path / "out", settings)
    assert list(outcome.waiting) == ["hydride"]
    output = tasks[0] / "neb.out"
    output.write_text("     image        energy (eV)")
    outcome, tasks = call(*hydride, tmp_path / "out", settings)
    assert "there is no JOB DONE" in outcome.failures[0].message
    assert str(output.parent) in outcome.failures[0].message
    assert not outcome.waiting
    assert not tasks
    output.unlink()
    outcome, _ = call(*hydride, tmp_path / "out", settings)
    assert list(outcome.waiting) == ["hydride"]
    assert not outcome.failures


def test_what_neb_x_cannot_do_is_refused(tmp_path: Path, hydride: tuple[Crystal, list[str]]):
    with pytest.raises(SettingsError, match="does not relax"):
        call(*hydride, tmp_path / "out", NebSettings())
    with pytest.raises(SettingsError, match="limit_s"):
        call(*hydride, tmp_path / "out", NebSettings(relax=False, limit_s=1.0))


@pytest.mark.parametrize(("dip_ev", "remark"), [(0.049, ""), (0.051, "a site lies on the way, lower than both ends")])
def test_an_image_far_below_both_ends_is_a_site_of_its_own(dip_ev: float, remark: str):
    energies = np.array([0.0, 0.3, -dip_ev, 0.3, 0.1])
    assert remarks(energies, 0.01, NebSettings(), converged=True) == remark


def test_an_engine_without_charges_refuses_one(emt: Engine, tmp_path: Path):
    with pytest.raises(SettingsError, match="knows no charges"):
        compute_barriers(COPPER, emt, tmp_path, replace(FAST, charge=-1.0))


def test_the_command_computes_tabulates_and_draws(tmp_path: Path):
    write(tmp_path / "copper.cif", bulk("Cu", cubic=True))
    arguments = ["migrate", str(tmp_path / "copper.cif"), "--method", "neb", "--engine", "emt", "--ion", "Cu",
                 "--min-length-a", "6", "--images", "3", "-o", str(tmp_path / "out")]  # fmt: skip
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "copper" in result.output
    assert (tmp_path / "out" / "copper" / "Cu-2.54.png").stat().st_size > 5000
    assert len(pd.read_parquet(tmp_path / "out" / "barriers.parquet")) == 1


def test_errors_of_an_engine_keep_their_kind():
    assert issubclass(MigrationError, EngineError)
    assert MigrationError("a").kind == "MigrationError"
