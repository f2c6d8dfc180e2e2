"""Tables and crystals as compact as a page needs them: typed columns behind a JSON header, compressed, in base64.

The text of names stands in the compressed part alone: nothing of it can be taken for markup.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from phonolyte.arrays import Floats, Ints
from phonolyte.chemistry.elements import ATOMIC_NUMBERS, SYMBOLS, electronegativity
from phonolyte.chemistry.ions import METALLOIDS, SIMPLE_ANIONS
from phonolyte.columns import Column
from phonolyte.errors import SettingsError
from phonolyte.structures.symmetry import find_conventional

Array = NDArray[Any]

LENGTH_STEP_A, ANGLE_STEP = 0.002, 0.003
"""Cells are kept in steps of these, in angstrom and degrees; coordinates in 65536ths of an edge."""

MOST_BYTES = 6_500_000
"""Compressed crystals of a page; more, and the last ones of the table have none."""

MOST_STANDARDIZED = 1000
"""Crystals of a page that are shown in their conventional cell, the first ones of the table; finding it takes
milliseconds each, and the page has up to tens of thousands."""

MOST_DIGITS = 6
"""Decimals of a number that are kept in 32 bits."""

LEVEL = 6
"""Level of gzip: 9 takes three times as long for two percent."""


def packed(header: Mapping[str, Any], arrays: Mapping[str, Array]) -> str:
    """A header and named arrays as base64 of gzip: the length of the header, the header, the arrays, each 8-aligned."""
    parts, places, end = [], {}, 0
    for name, array in arrays.items():
        data = np.ascontiguousarray(array)
        places[name] = [data.dtype.str[1:], end, data.size]
        parts.append(data.tobytes() + bytes(-data.nbytes % 8))
        end += len(parts[-1])
    text = json.dumps({**header, "arrays": places}, allow_nan=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    blob = b"".join([len(text).to_bytes(8, "little"), text, *parts])
    return base64.b64encode(gzip.compress(blob, LEVEL, mtime=0)).decode()


def packed_columns(table: pd.DataFrame, columns: Sequence[Column]) -> tuple[list[dict[str, Any]], dict[str, Array]]:
    """Columns as typed arrays (numbers, flags, codes of choices) and as lists in the header (text)."""
    described, arrays = [], {}
    for column in columns:
        values, record = table[column.key], asdict(column)
        if column.kind == "number":
            numbers = pd.to_numeric(values, errors="coerce").to_numpy(float, na_value=np.nan)
            rounded = np.round(numbers, column.digits + 2) if column.digits >= 0 else numbers
            arrays[column.key] = rounded.astype("<f8" if column.digits > MOST_DIGITS else "<f4")
        elif column.kind == "flag":
            known = values.notna().to_numpy()
            arrays[column.key] = np.where(known, values.astype("boolean").fillna(False).to_numpy(bool), 2).astype("u1")
        elif column.kind == "choice":
            codes, names = pd.factorize(values.astype(object).where(values.notna(), ""))
            arrays[column.key] = codes.astype("u1" if len(names) < 256 else "<u2" if len(names) < 65536 else "<u4")
            record["choices"] = [str(name) for name in names]
        else:
            record["values"] = ["" if pd.isna(value) else str(value) for value in values]
        described.append(record)
    return described, arrays


def packed_crystals(
    path: Path, names: Sequence[str], *, most_bytes: int = MOST_BYTES, standardize: bool = False
) -> tuple[str, int]:
    """The crystals of a crystal table in the order of `names`, as many as fit, and how many these are.

    Cells are lengths and angles, coordinates fractions of the edges; ``ends`` says where the atoms of each end,
    twice the same for one that is not there; ``shares`` are occupancies in 255ths, where some crystal is disordered.
    With `standardize`, ``standard`` has 12 numbers for each of the first crystals: vectors and origin of the
    conventional cell as :func:`find_conventional` gives them, zeros where it gives none.
    """
    crystals = _Crystals.read(path, names)
    if standardize:
        crystals.find_standard(MOST_STANDARDIZED)
    n = len(names)
    while True:
        text = packed(*crystals.first(n))
        if len(text) * 3 / 4 <= most_bytes or n < 2:
            return text, int((np.diff(crystals.ends[: n + 1]) > 0).sum())
        n = int(n * 0.95 * most_bytes / (len(text) * 3 / 4))


class _Crystals:
    """Crystals as flat arrays in the order of a table."""

    def __init__(self, ends: Array, cells: Array, numbers: Array, coords: Array, shares: Array | None) -> None:
        self.ends, self.cells, self.numbers, self.coords, self.shares = ends, cells, numbers, coords, shares
        self.standard: Array = np.zeros((0, 12), dtype="<f4")

    @classmethod
    def read(cls, path: Path, names: Sequence[str]) -> _Crystals:
        from pyarrow import parquet

        try:
            known = parquet.read_schema(path).names
            columns = ["material_id", "lattice", "species", "frac_coords", "occupancies"]
            table: Any = parquet.read_table(path, columns=[name for name in columns if name in known])
        except (OSError, ValueError, NotImplementedError) as error:  # those of Arrow are among them
            why, fix = str(error)[:200], "Run the command again."
            raise SettingsError(f"{path} cannot be read", why=why, fix=fix) from None
        lattice, species, coords = (table[name].combine_chunks() for name in ("lattice", "species", "frac_coords"))
        symbols = species.flatten().dictionary_encode()
        of_symbol = np.array([ATOMIC_NUMBERS[str(s)] for s in symbols.dictionary.to_pylist()] or [0], dtype=np.uint8)
        numbers = of_symbol[symbols.indices.to_numpy()]
        starts = np.concatenate([[0], np.cumsum(species.value_lengths().to_numpy())])
        place = {str(name): i for i, name in reversed(list(enumerate(table["material_id"].to_pylist())))}
        order = np.array([place.get(name, -1) for name in names], dtype=np.int64)
        cells = _cell_parameters(lattice.flatten().to_numpy().reshape(-1, 3, 3))
        fits = np.asarray((cells[:, :3] < 65535 * LENGTH_STEP_A).all(axis=1))
        has_crystal = (order >= 0) & fits[order]
        lengths = np.where(has_crystal, np.diff(starts)[order], 0)
        ends = np.concatenate([[0], np.cumsum(lengths)])
        rows = np.repeat(starts[order] - ends[:-1], lengths) + np.arange(ends[-1])
        frac = coords.flatten().to_numpy().reshape(-1, 3)[rows]
        steps = np.round((frac % 1.0) * 65536).astype(np.int64) % 65536
        scaled = np.round(cells[order] / ([LENGTH_STEP_A] * 3 + [ANGLE_STEP] * 3))
        shares = _shares(table, np.diff(starts))[rows] if "occupancies" in known else None
        return cls(
            ends, np.where(has_crystal[:, None], scaled, 0).astype("<u2"), numbers[rows], steps.astype("<u2"), shares
        )

    def find_standard(self, most: int) -> None:
        """Find the conventional cells of the first crystals, `most` at most."""
        from ase.geometry import cellpar_to_cell

        scale = np.array([LENGTH_STEP_A] * 3 + [ANGLE_STEP] * 3)
        self.standard = np.zeros((min(most, len(self.cells)), 12), dtype="<f4")
        for i in range(len(self.standard)):
            atoms = slice(self.ends[i], self.ends[i + 1])
            if atoms.start == atoms.stop:
                continue
            shares = np.full(atoms.stop - atoms.start, 255) if self.shares is None else self.shares[atoms]
            frac, cell = self.coords[atoms] / 65536, cellpar_to_cell(self.cells[i] * scale)
            found = find_conventional(cell, *_sites(frac, self.numbers[atoms], shares))
            if found is not None:
                self.standard[i] = np.concatenate([found[0].ravel(), found[1]])

    def first(self, n: int) -> tuple[dict[str, Any], dict[str, Array]]:
        """Header and arrays of the first n; bytes of the coordinates apart, as they then compress better."""
        atoms = int(self.ends[min(n, len(self.ends) - 1)])
        coords = self.coords[:atoms].ravel()
        ends = np.minimum(self.ends[1:], atoms)
        arrays = {
            "ends": ends.astype("<u4"),
            "cells": self.cells[:n].ravel(),
            "numbers": self.numbers[:atoms],
            "high": (coords >> 8).astype("u1"),
            "low": (coords & 255).astype("u1"),
        }
        if len(self.standard):
            arrays["standard"] = self.standard[:n].ravel()
        if self.shares is not None:
            arrays["shares"] = self.shares[:atoms]
        present = np.unique(self.numbers[:atoms]).tolist()
        steps = {"length": LENGTH_STEP_A, "angle": ANGLE_STEP}
        return {"steps": steps, "elements": {str(z): element(SYMBOLS[z]) for z in present}}, arrays


def _shares(table: Any, counts: Array) -> Array:
    """Occupancies of all ions in 255ths; those of an ordered crystal, whose list is null, are full."""
    column = table["occupancies"].combine_chunks()
    shares = np.full(int(counts.sum()), 255, dtype=np.uint8)
    is_given = np.repeat(column.is_valid().to_numpy(zero_copy_only=False), counts)
    shares[is_given] = np.round(255 * column.flatten().to_numpy()).clip(1, 255)
    return shares


def _sites(frac: Floats, numbers: Array, shares: Array) -> tuple[Floats, Ints]:
    """Positions (n, 3) and kinds (n,) of sites from ions (m), of which several may share one."""
    held: dict[tuple[float, ...], list[tuple[int, int]]] = {}
    for place, number, share in zip(frac.tolist(), numbers.tolist(), shares.tolist(), strict=True):
        held.setdefault(tuple(place), []).append((number, share))
    kinds: dict[tuple[tuple[int, int], ...], int] = {}
    codes = [kinds.setdefault(tuple(sorted(ions)), len(kinds) + 1) for ions in held.values()]
    return np.array(list(held)), np.array(codes)


def element(symbol: str) -> dict[str, Any]:
    """What drawing an atom needs: symbol, covalent radius (angstrom), color, electronegativity, what it bonds as.

    ``bonds`` is 2 for what forms anions, hydrogen and carbon, 1 for metalloids, and 0 for metals.
    """
    from ase.data import covalent_radii
    from ase.data.colors import jmol_colors

    z = ATOMIC_NUMBERS[symbol]
    red, green, blue = (round(255 * channel) for channel in jmol_colors[z])
    pull = electronegativity(symbol)
    return {
        "symbol": symbol,
        "radius": round(float(covalent_radii[z]), 2),
        "color": f"#{red:02x}{green:02x}{blue:02x}",
        "pull": pull if np.isfinite(pull) else 4.0,
        "bonds": 2 if symbol in (*SIMPLE_ANIONS, "H", "C") else 1 if symbol in METALLOIDS else 0,
    }


def _cell_parameters(lattices: Floats) -> Floats:
    """Edges in angstrom and angles in degrees (n, 6) of lattices (n, 3, 3) with vectors as rows."""
    edges = np.linalg.norm(lattices, axis=2)
    pairs = ((1, 2), (0, 2), (0, 1))
    cosines = [(lattices[:, i] * lattices[:, j]).sum(axis=1) / (edges[:, i] * edges[:, j]) for i, j in pairs]
    return np.concatenate([edges, np.degrees(np.arccos(np.clip(np.stack(cosines, axis=1), -1, 1)))], axis=1)
