"""Candidates are sound crystals of known prototypes, each once, with every kind from the beginning."""

from __future__ import annotations

import tomllib
from collections import Counter
from importlib.resources import files
from itertools import islice

import numpy as np
import pytest

from phonolyte.chemistry.elements import ATOMIC_NUMBERS
from phonolyte.chemistry.formulas import composition_of
from phonolyte.chemistry.ions import EXCLUDED
from phonolyte.chemistry.neutrality import neutral_ions
from phonolyte.features import featurize
from phonolyte.prototypes import Prototype, candidates, prototypes
from phonolyte.prototypes.candidates import FAMILY_SHARES, LITHIUM_SHARE, LONGEST, SHORTEST, shortest_bond
from phonolyte.prototypes.library import MOST_ATOMS
from phonolyte.prototypes.substitution import substitutions
from phonolyte.references import reference_compounds
from phonolyte.structures import Crystal
from phonolyte.structures.duplicates import find_duplicates
from phonolyte.structures.families import family

pytest.importorskip("pymatgen.analysis.prototypes", reason="the AFLOW prototypes come with pymatgen")

RECORD = tomllib.loads((files("phonolyte") / "data" / "prototypes.toml").read_text(encoding="utf-8"))
N = 400


@pytest.fixture(scope="module")
def crystals() -> list[Crystal]:
    return list(islice(candidates(), N))


def find_prototype(name: str) -> Prototype:
    return next(prototype for prototype in prototypes() if prototype.name == name)


@pytest.mark.parametrize("entry", RECORD["prototype"], ids=lambda entry: entry["name"])
def test_the_known_compounds_of_a_prototype_have_its_number_of_elements(entry: dict[str, object]):
    for formula in str(entry["real"]).split():
        elements = list(composition_of(formula))
        assert "".join(elements) == formula
        assert len(set(elements)) == len(entry["species"])  # type: ignore[arg-type]
        assert set(elements) <= set(ATOMIC_NUMBERS) - EXCLUDED


@pytest.mark.long
def test_the_named_prototypes_have_the_elements_they_say_and_come_once():
    names = [entry["name"] for entry in RECORD["prototype"]]
    assert len(set(names)) == len(names)
    for prototype in prototypes():
        assert set(prototype.species) == set(prototype.crystal.symbols)
        assert len(prototype.crystal) <= MOST_ATOMS


@pytest.mark.parametrize(
    ("name", "elements", "edge_a", "cells"),
    [
        ("rocksalt", "Mg O", 4.21, 4),
        ("rocksalt", "La Sb", 6.49, 4),
        ("zincblende", "Ga As", 5.65, 4),
        ("fluorite", "Ba F", 6.20, 4),
        ("half-heusler", "Li Zn P", 5.78, 4),
        ("half-heusler-18", "Ti Ni Sn", 5.93, 4),
        ("cesium-chloride", "Ti Ni", 3.01, 1),
        ("auricupride", "La Sn", 4.77, 1),
        ("perovskite", "Cs Pb I", 6.28, 1),
        ("elpasolite", "Cs Na Y Cl", 10.73, 4),
        ("potassium-hexachloridoplatinate", "Cs Sn I", 11.65, 4),
    ],
)
def test_a_substituted_cell_has_about_the_edge_it_is_known_to_have(name: str, elements: str, edge_a: float, cells: int):
    crystal = find_prototype(name).substituted(elements.split())
    assert (crystal.volume_a3 * cells) ** (1 / 3) == pytest.approx(edge_a, rel=0.05)


def test_what_replaces_the_ions_of_a_prototype_is_neutral_and_keeps_the_sites():
    prototype = find_prototype("perovskite")
    made = [s.elements for s in substitutions(prototype, np.random.default_rng(0))[len(prototype.real) + 1 :]]
    assert len(made) > 100
    for elements in made:
        ions = neutral_ions(elements, prototype.counts, [True, True, False])
        assert sum(ion.charge * n for ion, n in zip(ions, prototype.counts, strict=True)) == 0
        assert ions


@pytest.mark.long
def test_candidates_are_sound(crystals: list[Crystal]):
    table, failures = featurize(crystals)
    assert len(table) == N
    assert not failures
    for crystal in crystals:
        assert len(crystal) <= MOST_ATOMS
        assert crystal.material_id == f"proto-{crystal.formula}-{crystal.properties['prototype']}"
        assert SHORTEST < shortest_bond(crystal) < LONGEST


@pytest.mark.long
def test_no_candidate_comes_twice(crystals: list[Crystal]):
    assert len({crystal.material_id for crystal in crystals}) == N
    assert not any(find_duplicates(crystals))


def test_candidates_are_of_every_kind_from_the_beginning(crystals: list[Crystal]):
    assert len({symbol for crystal in crystals for symbol in crystal.symbols}) >= 70
    assert {family(crystal) for crystal in crystals} == set(FAMILY_SHARES)
    assert sum("Li" in crystal.symbols for crystal in crystals) == pytest.approx(LITHIUM_SHARE * N, abs=10)
    shapes = Counter(crystal.properties["prototype"] for crystal in crystals)
    assert len(shapes) > 80
    assert max(shapes.values()) < 0.1 * N
    assert np.median([len(crystal) for crystal in crystals]) <= 8


@pytest.mark.long
def test_equal_seeds_give_equal_candidates_and_others_do_not(crystals: list[Crystal]):
    again, other = list(islice(candidates(), 30)), list(islice(candidates(seed=1), 30))
    for crystal, same in zip(crystals, again, strict=False):
        assert crystal.material_id == same.material_id
        assert np.array_equal(crystal.lattice, same.lattice)
    assert [crystal.material_id for crystal in again] != [crystal.material_id for crystal in other]


def test_a_cap_limits_a_prototype():
    shapes = Counter(crystal.properties["prototype"] for crystal in islice(candidates(cap=2), 150))
    assert max(shapes.values()) == 2


def test_the_reference_compounds_come_with_their_own_cells(crystals: list[Crystal]):
    own = {round(c.volume_a3, 6) for c in reference_compounds().crystals}
    assert sum(round(c.volume_a3, 6) in own for c in crystals) > 60
