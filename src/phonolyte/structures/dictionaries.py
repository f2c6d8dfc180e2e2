"""Crystals from the dictionaries of pymatgen and ASE, taken as plain data.

The decoders of those packages import whatever module a dictionary names with ``@module``, and make arrays of whatever
size it states. Here a cell, species and coordinates are taken from it, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.errors import ReadError, StructureError
from phonolyte.structures.crystal import Crystal, mean_states, plain

PARTLY = 1e-8
"""An occupancy that misses 1 by more than this is partial."""

_CELL = ("a", "b", "c", "alpha", "beta", "gamma")


def crystal_from_pymatgen(data: Any, *, material_id: str = "", properties: Mapping[str, Any] | None = None) -> Crystal:
    """The crystal of ``Structure.as_dict()``; properties of sites are dropped.

    Raises
    ------
    StructureError
        When it is not such a dictionary, has partial occupancies, or cannot be used as a crystal.
    """
    if not isinstance(data, Mapping) or "lattice" not in data or "sites" not in data:
        raise ReadError(
            "the structure is no pymatgen dictionary",
            why="it has no 'lattice' and 'sites'",
            fix="Write it with Structure.as_dict().",
        )
    sites = data["sites"]
    if not isinstance(sites, list) or not sites:
        raise _incomplete("it needs a list of at least 1 site")
    symbols = [_symbol(site, number) for number, site in enumerate(sites, start=1)]
    coords = [_numbers(site.get("abc"), f"'abc' of site {n}", (3,)) for n, site in enumerate(sites, start=1)]
    if properties is None:
        own = data.get("properties")
        properties = plain(own) if isinstance(own, Mapping) else {}
    states = mean_states(zip(symbols, map(_oxidation_state, sites), strict=True))
    return Crystal.of(
        material_id,
        _lattice(data["lattice"]),
        symbols,
        np.array(coords),
        properties=properties,
        oxidation_states=states,
    )


def crystal_from_ase(data: Mapping[str, Any], *, material_id: str = "", **more: Any) -> Crystal:
    """The crystal of ``Atoms.todict()``, or of a row of ASE's database in JSON.

    Raises
    ------
    StructureError
        When it is not such a dictionary, is not periodic, or cannot be used as a crystal.
    """
    from ase import Atoms

    numbers = _ase_array(data, "numbers", (-1,))
    cell = _ase_array(data, "cell", None)
    if cell.shape not in ((3, 3), (3,), (6,)) or (numbers != np.rint(numbers)).any() or (np.abs(numbers) > 200).any():
        raise _incomplete("'cell' or 'numbers' is not what ASE writes")
    positions = _ase_array(data, "positions", (-1, 3))
    pbc = np.ravel(_ase_array(data, "pbc", None) if "pbc" in data else np.ones(3)).astype(bool)
    if len(pbc) not in (1, 3) or len(positions) != len(numbers):
        raise _incomplete(f"it has {len(numbers)} numbers and {len(positions)} positions")
    atoms = Atoms(numbers=numbers.astype(int), positions=positions, cell=cell, pbc=pbc if len(pbc) == 3 else pbc[0])
    return Crystal.from_ase(atoms, material_id=material_id, **more)


def crystal_from_optimade(attributes: Any, *, material_id: str = "") -> Crystal:
    """The crystal of the attributes of an entry of OPTIMADE.

    Raises
    ------
    StructureError
        When it lacks a cell or sites, is not periodic in three directions, is disordered, or cannot be used.
    """
    needed = ("lattice_vectors", "cartesian_site_positions", "species", "species_at_sites")
    missing = [key for key in needed if not isinstance(attributes, Mapping) or not attributes.get(key)]
    if missing:
        raise StructureError(f"the entry has no {missing[0]}", why="the database gives none", kind="NoStructure")
    if attributes.get("nperiodic_dimensions", 3) not in (3, None):
        dimensions = attributes["nperiodic_dimensions"]
        raise StructureError(f"the entry is periodic in {dimensions} dimensions", kind="NotPeriodic")
    kinds = attributes["species"]
    if not isinstance(kinds, list) or not all(isinstance(kind, Mapping) for kind in kinds):
        raise _incomplete("'species' is not a list of records")
    species = {str(kind.get("name")): kind for kind in kinds}
    _check_order(species, attributes.get("structure_features") or ())
    unknown = [str(name) for name in attributes["species_at_sites"] if str(name) not in species]
    if unknown:
        raise _incomplete(f"the species {unknown[0]!r:.40} of a site is not among its species")
    lattice = _numbers(attributes["lattice_vectors"], "'lattice_vectors'", (3, 3))
    positions = _numbers(attributes["cartesian_site_positions"], "'cartesian_site_positions'", (-1, 3))
    symbols = [species[str(name)]["chemical_symbols"][0] for name in attributes["species_at_sites"]]
    if abs(np.linalg.det(lattice)) < 1e-9:
        raise _incomplete("its cell has no volume")
    return Crystal.of(material_id, lattice, symbols, positions @ np.linalg.inv(lattice))


def _check_order(species: Mapping[str, Any], features: Iterable[str]) -> None:
    """Refuse sites that hold several elements, or one only partly, and atoms that have no positions."""
    for kind in species.values():
        symbols, shares = kind.get("chemical_symbols"), kind.get("concentration") or [1.0]
        if not isinstance(symbols, list) or not symbols or kind.get("attached"):
            raise _incomplete("a species has no elements, or has atoms attached to it")
        if len(symbols) != 1 or min(shares) < 1.0 - PARTLY:
            why = f"a site holds {', '.join(map(str, symbols))}"
            fix = "Choose an ordered arrangement first."
            raise StructureError("partial occupancy", why=why, fix=fix, kind="PartialOccupancy")
    hidden = sorted({"disorder", "implicit_atoms", "site_attachments", "assemblies"}.intersection(features))
    if hidden:
        raise StructureError("the entry is not an ordered crystal", why=f"it has {hidden[0]}", kind="PartialOccupancy")


def _lattice(data: Any) -> Floats:
    if isinstance(data, Mapping) and "matrix" in data:
        return _numbers(data["matrix"], "the matrix of the lattice", (3, 3))
    if not isinstance(data, Mapping) or not all(name in data for name in _CELL):
        raise _incomplete("its lattice has neither a matrix nor edges and angles")
    from pymatgen.core.lattice import Lattice

    values = _numbers([data[name] for name in _CELL], "the lattice", (6,))
    return np.array(Lattice.from_parameters(*values.tolist()).matrix)


def _symbol(site: Any, number: int) -> str:
    """Element of a site.

    Raises
    ------
    StructureError
        When it has none, or more than one.
    """
    species = site.get("species") if isinstance(site, Mapping) else None
    if not isinstance(species, list) or not all(isinstance(part, Mapping) for part in species):
        raise _incomplete(f"site {number} has no list of species")
    shares = _numbers([part.get("occu", 1.0) for part in species], f"the occupancy of site {number}", (len(species),))
    names = [part.get("element") for part, share in zip(species, shares, strict=True) if share != 0.0]
    shares = shares[shares != 0.0]
    if len(names) != 1 or abs(float(shares[0]) - 1.0) > PARTLY:
        parts = ", ".join(f"{name}:{share:g}" for name, share in zip(names, shares, strict=True))[:80]
        raise StructureError(
            "partial occupancy",
            why=f"site {number} holds {parts or 'nothing'}",
            fix="Order it first; phonolyte order does so for CIFs.",
            kind="PartialOccupancy",
        )
    if not isinstance(names[0], str):
        raise _incomplete(f"the element of site {number} is {str(names[0])[:20]!r}")
    return names[0]


def _oxidation_state(site: Mapping[str, Any]) -> float | None:
    """State of the one species of a site; None where the dictionary has none."""
    state = next((part.get("oxidation_state") for part in site["species"] if part.get("occu", 1.0) != 0.0), None)
    return float(state) if isinstance(state, (int, float)) else None


def _ase_array(data: Mapping[str, Any], name: str, shape: tuple[int, ...] | None) -> Floats:
    """An array of ASE: a list, a cell, or ``{"__ndarray__": [shape, type, values]}``."""
    value = data.get(name)
    if isinstance(value, Mapping) and "array" in value:
        value = value["array"]
    if isinstance(value, Mapping):
        packed = value.get("__ndarray__")
        if not isinstance(packed, list) or len(packed) != 3:
            raise _incomplete(f"{name!r} is not an array")
        values = _numbers(packed[2], f"{name!r}", (-1,))
        stated = _numbers(packed[0], f"the shape of {name!r}", (-1,))
        if (stated < 0).any() or prod(stated.tolist()) != len(values):
            raise _incomplete(f"{name!r} has {len(values)} values, which is not its shape")
        value = values.reshape([int(length) for length in stated])
    array = _numbers(value, f"{name!r}", None)
    return array if shape is None else _numbers(array, f"{name!r}", shape)


def _numbers(values: Any, name: str, shape: tuple[int, ...] | None) -> Floats:
    """The values as an array of that shape, whose lengths of -1 may be any.

    Raises
    ------
    ReadError
        When they are no numbers, or of another shape.
    """
    try:
        array = np.array(values, dtype=float)
    except (TypeError, ValueError, OverflowError):
        raise _incomplete(f"{name} is not made of numbers") from None
    if values is None or (shape is not None and not _fits(array.shape, shape)):
        raise _incomplete(f"{name} is missing" if values is None else f"{name} has the shape {array.shape}")
    return array


def _fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return len(shape) == len(wanted) and all(b in (-1, a) for a, b in zip(shape, wanted, strict=True))


def _incomplete(why: str) -> ReadError:
    return ReadError("the structure cannot be read", why=why, fix="Write it again with pymatgen or ASE.")
