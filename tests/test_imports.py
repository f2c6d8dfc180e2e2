"""What depends on what: the light parts must not drag in the heavy ones."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import phonolyte

PACKAGE = Path(phonolyte.__file__).parent
ORDER = (
    "errors", "arrays", "units", "chemistry", "settings", "columns", "structures", "dos", "features", "runs",
    "sources", "models", "references", "learning_set", "prototypes", "virtual", "screen", "forces",
    "percolation", "phonons", "barriers", "dynamics", "study", "figures", "impedance", "report", "summary", "cli",
)  # fmt: skip
"""The modules; each may import those before it."""

LIGHT = {
    "phonolyte": ("numpy", "pandas", "numba", "sklearn", "pymatgen", "ase"),
    "phonolyte.cli": ("numpy", "pandas", "numba", "sklearn", "pymatgen", "ase"),
    "phonolyte.structures": ("pandas", "sklearn", "pymatgen", "ase", "torch"),
    "phonolyte.features": ("pymatgen", "ase", "xgboost", "torch"),
    "phonolyte.dos": ("pandas", "sklearn", "pymatgen", "ase"),
    "phonolyte.forces": ("pymatgen", "sklearn", "ase", "torch", "deepmd"),
    "phonolyte.phonons": ("pymatgen", "sklearn", "ase", "phonopy", "torch"),
    "phonolyte.figures": ("sklearn", "matplotlib", "phonopy", "ase"),
    "phonolyte.barriers": ("pymatgen", "sklearn", "ase", "phonopy", "torch", "bvlain", "kinisi", "matplotlib"),
    "phonolyte.sources": ("pymatgen", "ase", "sklearn", "requests", "mp_api", "optimade", "NCrystal", "torch"),
    "phonolyte.impedance": ("pymatgen", "sklearn", "ase", "impedance", "matplotlib"),
    "phonolyte.models": ("pymatgen", "ase", "xgboost", "torch"),
}


@pytest.mark.parametrize("module", LIGHT)
def test_importing_a_part_leaves_heavy_packages_alone(module: str):
    code = f"import {module}, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not set(LIGHT[module]) & set(loaded)


def imported(path: Path) -> set[str]:
    """Modules of this package that a file imports, at its top or inside a function."""
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    return {node.module.split(".")[1] for node in nodes if node.module and node.module.startswith("phonolyte.")}


@pytest.mark.parametrize("module", ORDER)
def test_imports_point_back_along_the_way_of_the_data(module: str):
    files = (PACKAGE / module).rglob("*.py") if (PACKAGE / module).is_dir() else [PACKAGE / f"{module}.py"]
    for path in files:
        later = imported(path) - set(ORDER[: ORDER.index(module) + 1])
        assert not later, path


def test_every_module_has_its_place():
    names = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert names - {"__init__"} == set(ORDER)
