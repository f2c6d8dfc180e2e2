"""What depends on what: the light parts must not drag in the heavy ones."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIGHT = {
    "phonolyte": ("numpy", "pandas", "numba", "sklearn", "pymatgen", "ase"),
    "phonolyte.cli": ("numpy", "pandas", "numba", "sklearn", "pymatgen", "ase"),
    "phonolyte.structures": ("pandas", "sklearn", "pymatgen", "ase", "torch"),
    "phonolyte.features": ("pymatgen", "ase", "xgboost", "torch"),
    "phonolyte.dos": ("pandas", "sklearn", "pymatgen", "ase"),
    "phonolyte.models": ("pymatgen", "ase", "xgboost", "torch"),
}


@pytest.mark.parametrize("module", LIGHT)
def test_importing_a_part_leaves_heavy_packages_alone(module: str):
    code = f"import {module}, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not set(LIGHT[module]) & set(loaded)
