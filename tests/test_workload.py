from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from phonolyte.barriers import BarrierCalculation, NebSettings
from phonolyte.dynamics import DynamicsCalculation, DynamicsSettings
from phonolyte.forces import open_engine
from phonolyte.phonons import PhononCalculation, PhononSettings
from phonolyte.references import reference_compounds
from phonolyte.runs.campaign import estimate_time, run_campaign
from phonolyte.runs.run import Run
from phonolyte.runs.workload import Workload, describe_workloads, say_time
from phonolyte.structures import Crystal

CRYSTALS = {crystal.material_id: crystal for crystal in reference_compounds().crystals}


def make_copper() -> Crystal:
    atoms = bulk("Cu", cubic=True)
    return Crystal.from_arrays("Cu", atoms.cell.array, atoms.get_chemical_symbols(), atoms.get_scaled_positions())


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.004, "0.004 s"), (89, "89 s"), (100, "1.7 min"), (5400, "1.5 h"), (1e6, "12 days")]
)
def test_times_have_two_digits_and_the_unit_that_fits(seconds: float, text: str):
    assert say_time(seconds) == text


def test_time_is_that_of_all_atoms_over_the_processes_that_have_a_crystal():
    each = [Workload(10, 640, other_s=2.0), Workload(30, 1920, other_s=2.0), None]
    text = describe_workloads(each, engine="nequix", seconds_per_atom=0.01, workers=8)
    assert text == (
        "3 crystals to compute, some 60 force calculations of 64 atoms: about 15 s with nequix on 3 cores."
    )  # (3840 atoms x 0.01 s + 6 s) / 3


def test_an_engine_of_unknown_speed_has_no_time():
    text = describe_workloads([Workload(10, 640)], engine="mine", seconds_per_atom=None, workers=1)
    assert text == "1 crystal to compute, some 10 force calculations of 64 atoms."
    assert describe_workloads([None], engine="mine", seconds_per_atom=1.0, workers=1) == ""


def test_molecular_dynamics_takes_its_steps_at_each_temperature():
    settings = DynamicsSettings(temperatures_k=(600.0, 800.0), time_ps=2.0, settle_ps=1.0, supercell=(2, 2, 2))
    calculation = DynamicsCalculation("Li", open_engine("emt"), settings)
    crystal = CRYSTALS["ref-Li2S"]
    assert calculation.workload(crystal) == Workload(3000, 3000 * 24)


def test_a_hop_takes_its_ends_and_images():
    calculation = BarrierCalculation("Li", open_engine("emt"), NebSettings(images=3, supercell=(2, 2, 2)))
    workload = calculation.workload(CRYSTALS["ref-Li2S"])  # one hop, as computed with a potential
    assert workload is not None
    assert workload.atoms == workload.forces * 24
    longer = BarrierCalculation("Li", open_engine("emt"), NebSettings(images=5, supercell=(2, 2, 2)))
    assert longer.workload(CRYSTALS["ref-Li2S"]).forces > workload.forces


def test_phonons_take_displaced_supercells_and_a_relaxation():
    fixed = PhononCalculation(open_engine("emt"), PhononSettings(relax=False, supercell=(3, 3, 3)))
    assert fixed.workload(make_copper())[:2] == (1, 27)
    relaxed = PhononCalculation(open_engine("emt"), PhononSettings(supercell=(3, 3, 3)))
    assert relaxed.workload(make_copper()).forces > 1


def test_a_campaign_says_what_is_left_before_it_computes(tmp_path: Path):
    calculation = PhononCalculation(open_engine("emt"), PhononSettings(relax=False, supercell=(2, 2, 2)))
    other = Crystal.from_arrays("Ni", bulk("Ni").cell.array, ["Ni"], np.zeros(3))
    sentences = list[str]()
    with Run(tmp_path, "phonons", settings={}, inputs=[]) as run:
        run_campaign(calculation, [make_copper()], run, announce=sentences.append)
        run_campaign(calculation, [make_copper(), other], run, announce=sentences.append)
        run_campaign(calculation, [make_copper(), other], run, announce=sentences.append)
    assert sentences == ["1 crystal to compute, 1 force calculation of 8 atoms."] * 2


def test_crystals_that_cannot_be_computed_do_not_stop_an_estimate():
    calculation = BarrierCalculation("Li", open_engine("emt"), NebSettings())
    text = estimate_time(calculation, [make_copper(), CRYSTALS["ref-Li2S"]])  # copper has no lithium
    assert text.startswith("2 crystals to compute, some ")
