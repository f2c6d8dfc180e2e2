"""The reference compounds are what they say: symmetry, multiplicities, distances."""

from __future__ import annotations

import re

import numpy as np
import pytest
import spglib
from pymatgen.core.composition import Composition
from pymatgen.core.structure import Structure

from phonolyte.chemistry.elements import ATOMIC_NUMBERS, PROPERTIES, property_table
from phonolyte.references import (
    DISORDERED,
    ORDERED,
    conventional_cell,
    ordered_model,
    records,
    reference_compound,
    reference_compounds,
)
from phonolyte.structures.duplicates import find_duplicates
from phonolyte.structures.ordering import order
from phonolyte.structures.sites import sites_of
from phonolyte.structures.supercells import OrderingSettings

RECORDS = {f"{record['id']} of {file}": record for file in (ORDERED, DISORDERED) for record in records(file)}
RADIUS_A = property_table()[:, PROPERTIES.index("CovalentRadius")] / 100

OF_THE_STUDY = (
    "Li3PO4", "Li3PS4", "Li4GeO4", "Li4GeS4", "Li4SnS4", "Li3VO4", "LiYO3", "LiNiO3", "LiGeO3", "LiSiO3", "Li4CO4",
    "LiAgF6", "LiSbF6", "Li2CO3", "Li6PS5Cl", "LiGe2P3O12", "Li7La3Zr2O12", "Li2TiO3", "Li10GeP2S12", "LiBiO2",
)  # fmt: skip

BOND_A = {
    ("O", "P"): (1.45, 1.65), ("P", "S"): (1.95, 2.15), ("P", "Se"): (2.15, 2.35), ("O", "S"): (1.40, 1.55),
    ("C", "O"): (1.22, 1.45), ("N", "O"): (1.18, 1.30), ("O", "Si"): (1.55, 1.95), ("Ge", "S"): (2.10, 2.35),
    ("S", "Sn"): (2.25, 2.65), ("Ge", "O"): (1.68, 2.00), ("B", "H"): (1.10, 1.25), ("O", "Zr"): (1.95, 2.35),
    ("Li", "O"): (1.75, 2.45), ("Li", "S"): (2.25, 2.85), ("F", "Li"): (1.75, 2.25), ("Cl", "Li"): (2.20, 3.60),
}  # fmt: skip
"""Where the shortest distance between two elements lies that are bonded; a hypothetical crystal may differ."""


def test_there_are_enough_and_of_every_kind():
    reading = reference_compounds()
    assert not reading.failures
    assert len(reading.crystals) >= 60
    ions = {record["ion"] for record in RECORDS.values()}
    assert {"Li", "Na", "Mg", "Zn", "Ag"} <= ions
    formulas = {record["formula"] for record in RECORDS.values()}
    assert set(OF_THE_STUDY) <= formulas


def test_no_compound_is_there_twice():
    crystals = reference_compounds().crystals
    assert len({crystal.material_id for crystal in crystals}) == len(crystals)
    assert not [name for name in find_duplicates(crystals) if name]


@pytest.mark.parametrize("name", RECORDS)
def test_a_compound_has_the_symmetry_and_the_distances_it_says(name: str):
    record = RECORDS[name]
    crystal = conventional_cell(record)
    formula = Composition(record["formula"]).fractional_composition
    assert Composition(crystal.amounts).fractional_composition.almost_equals(formula, rtol=0.01, atol=0.002)
    assert record["citation"]
    for site in record["sites"]:
        assert len(conventional_cell(record | {"sites": [site | {"occupancy": 0.5}]})) == int(
            re.match(r"\d+", site["wyckoff"])[0]  # type: ignore[index]
        )
    sites = sites_of(crystal)
    symmetry = spglib.get_symmetry_dataset((sites.lattice, sites.positions, sites.kinds + 1), symprec=0.01)
    assert symmetry.number == spglib.get_spacegroup_type(record["hall"]).number
    assert spglib.get_spacegroup_type(record["hall"]).international_short == record["space_group"]

    full = [place for place, share in enumerate(sites.shares) if sum(share.values()) > 0.99]
    present = np.array([max(sites.shares[place], key=sites.shares[place].__getitem__) for place in full])
    distance = Structure(sites.lattice, present, sites.positions[full]).distance_matrix
    np.fill_diagonal(distance, np.linalg.norm(sites.lattice, axis=1).min())
    numbers = np.array([ATOMIC_NUMBERS[symbol] for symbol in present])
    assert (distance > 0.7 * (RADIUS_A[numbers][:, None] + RADIUS_A[numbers])).all()
    present = np.array([next(iter(sites.shares[place])) if len(sites.shares[place]) == 1 else "" for place in full])
    for (one, other), (shortest, longest) in BOND_A.items():
        if one in present and other in present and "hypothetical" not in record.get("note", ""):
            nearest = distance[present == one][:, present == other].min()
            assert shortest < nearest < longest, (one, other)


@pytest.mark.parametrize("share", [4, pytest.param(1, marks=pytest.mark.long)])  # every fourth, or all of them
def test_disordered_compounds_are_near_neutral_and_have_orderings(share: int):
    for record in records(DISORDERED)[::share]:
        crystal = reference_compound(record["id"])
        assert not crystal.is_ordered
        first = order(crystal, OrderingSettings(arrangements=1))[0]
        assert abs(first.charge) < 0.5, record["id"]
        assert first.deviation < 0.03
        assert ordered_model("ref-Li6PS5Cl").formula == reference_compound("ref-Li6PS5Cl").formula
