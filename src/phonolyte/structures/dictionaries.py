"""Crystals from the dictionaries of pymatgen and ASE, taken as plain data.

The decoders of those packages import whatever module a dictionary names with ``@module``, and make arrays of whatever
size it states. Here a cell, species and coordinates are taken from it, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.errors import ReadError, StructureError
from phonolyte.structures.crystal import Crystal, mean_states, plain

_CELL = ("a", "b", "c", "alpha", "beta", "gamma")


def crystal_from_pymatgen(data: Any, *, material_id: str = "", properties: Mapping[str, Any] | None = None) -> Crystal:
    """The crystal of ``Structure.as_dict()``, which may be disordered; properties of sites are dropped.

    Raises
    ------
    StructureError
        When it is not such a dictionary, or cannot be used as a crystal.
    """
    if not isinstance(data, Mapping) or "lattice" not in data or "sites" not in data:
        raise ReadError(
            "the structure is not a pymatgen dictionary",
            why="it has no 'lattice' and 'sites'",
            fix="Write it with Structure.as_dict().",
        )
    sites = data["sites"]
    if not isinstance(sites, list) or not sites:
        raise _incomplete("it needs a list of at least 1 site")
    shares = [_species(site, number) for number, site in enumerate(sites, start=1)]
    coords = np.array([_numbers(site.get("abc"), f"'abc' of site {n}", (3,)) for n, site in enumerate(sites, start=1)])
    lattice = _lattice(data["lattice"])
    if properties is None:
        of_structure = data.get("properties")
        properties = plain(of_structure) if isinstance(of_structure, Mapping) else {}
    states = mean_states((str(species["element"]), _state_of(species)) for site in sites for species in _held(site))
    symbols, places, occupancies = _ions(shares)
    return Crystal.from_arrays(
        material_id, lattice, symbols, coords[places], properties=properties, oxidation_states=states,
        occupancies=occupancies,
    )  # fmt: skip


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
        When it lacks a cell or sites, is not periodic in three directions, has sites that depend on each other, or
        cannot be used.
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
    _refuse_hidden(attributes.get("structure_features") or ())
    species = {str(kind.get("name")): _shares(kind) for kind in kinds}
    unknown = [str(name) for name in attributes["species_at_sites"] if str(name) not in species]
    if unknown:
        raise _incomplete(f"the species {unknown[0]!r:.40} of a site is not among its species")
    lattice = _numbers(attributes["lattice_vectors"], "'lattice_vectors'", (3, 3))
    positions = _numbers(attributes["cartesian_site_positions"], "'cartesian_site_positions'", (-1, 3))
    if abs(np.linalg.det(lattice)) < 1e-9:
        raise _incomplete("its cell has no volume")
    coords = positions @ np.linalg.inv(lattice)
    shares = [species[str(name)] for name in attributes["species_at_sites"]]
    if len(shares) != len(coords):
        raise _incomplete(f"it has {len(shares)} species and {len(coords)} positions")
    symbols, places, occupancies = _ions(shares)
    crystal = Crystal.from_arrays(material_id, lattice, symbols, coords[places], occupancies=occupancies)
    if "disorder" in (attributes.get("structure_features") or ()) and crystal.is_ordered:
        why = "it says that it is disordered, and its sites do not"
        raise StructureError("the occupancies of the entry are missing", why=why, kind="PartialOccupancy")
    return crystal


def _ions(shares: Sequence[Sequence[tuple[str, float]]]) -> tuple[list[str], list[int], list[float]]:
    """Element, site and occupancy of each ion of sites."""
    ions = [(element, place, amount) for place, share in enumerate(shares) for element, amount in share]
    return [ion[0] for ion in ions], [ion[1] for ion in ions], [ion[2] for ion in ions]


def _shares(kind: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Elements of a species of OPTIMADE and their shares, less vacancies."""
    symbols = kind.get("chemical_symbols")
    if not isinstance(symbols, list) or not symbols or kind.get("attached"):
        raise _incomplete("a species has no elements, or has atoms attached to it")
    concentration = kind.get("concentration") or [1.0] * len(symbols)
    shares = _numbers(concentration, "the concentration of a species", (len(symbols),)).tolist()
    held = [
        (str(symbol), share) for symbol, share in zip(symbols, shares, strict=True) if symbol != "vacancy" and share
    ]
    if not held:
        raise _incomplete("a species holds nothing")
    return held


def _refuse_hidden(features: Iterable[str]) -> None:
    """Refuse atoms that have no positions, and sites that depend on each other."""
    hidden = sorted({"implicit_atoms", "site_attachments", "assemblies"}.intersection(features))
    if hidden:
        raise StructureError("the entry is not whole", why=f"it has {hidden[0]}", kind="PartialOccupancy")


def _lattice(data: Any) -> Floats:
    if isinstance(data, Mapping) and "matrix" in data:
        return _numbers(data["matrix"], "the matrix of the lattice", (3, 3))
    if not isinstance(data, Mapping) or not all(name in data for name in _CELL):
        raise _incomplete("its lattice has neither a matrix nor edges and angles")
    from pymatgen.core.lattice import Lattice

    values = _numbers([data[name] for name in _CELL], "the lattice", (6,))
    return np.array(Lattice.from_parameters(*values.tolist()).matrix)


def _species(site: Any, number: int) -> list[tuple[str, float]]:
    """Elements of a site and their shares.

    Raises
    ------
    StructureError
        When it has none.
    """
    species = site.get("species") if isinstance(site, Mapping) else None
    if not isinstance(species, list) or not all(isinstance(entry, Mapping) for entry in species):
        raise _incomplete(f"site {number} has no list of species")
    shares = _numbers([entry.get("occu", 1.0) for entry in species], f"the occupancy of site {number}", (len(species),))
    held = [
        (entry.get("element"), share) for entry, share in zip(species, shares.tolist(), strict=True) if share != 0.0
    ]
    if not held:
        raise _incomplete(f"site {number} holds nothing")
    wrong = next((element for element, _ in held if not isinstance(element, str)), None)
    if wrong is not None or held[0][0] is None:
        raise _incomplete(f"the element of site {number} is {str(wrong)[:20]!r}")
    return [(str(element), share) for element, share in held]


def _held(site: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Records of the species that a site holds."""
    return [entry for entry in site["species"] if entry.get("occu", 1.0) != 0.0]


def _state_of(species: Mapping[str, Any]) -> float | None:
    """Oxidation state of a species; None where the dictionary has none."""
    state = species.get("oxidation_state")
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
        lengths = _numbers(packed[0], f"the shape of {name!r}", (-1,))
        if (lengths < 0).any() or prod(lengths.tolist()) != len(values):
            raise _incomplete(f"{name!r} has {len(values)} values, which is not its shape")
        value = values.reshape([int(length) for length in lengths])
    array = _numbers(value, f"{name!r}", None)
    return array if shape is None else _numbers(array, f"{name!r}", shape)


def _numbers(values: Any, name: str, shape: tuple[int, ...] | None) -> Floats:
    """The values as an array of that shape, whose lengths of -1 may be any.

    Raises
    ------
    ReadError
        When they are not numbers, or of another shape.
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
