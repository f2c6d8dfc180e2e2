"""Dependencies of modules: the light parts must not drag in the heavy ones."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest

import phonolyte

PACKAGE = Path(phonolyte.__file__).parent
ORDER = (
    "errors", "counts", "arrays", "compiling", "units", "chemistry", "files", "settings", "columns", "notebooks",
    "structures", "dos", "features", "runs", "figures", "drawing", "impedance", "polarization", "centers",
    "sources", "percolation", "models", "measured", "references", "learning_set", "train", "prototypes",
    "conduction", "virtual", "screen", "forces", "phonons", "elastic", "relaxation", "stability", "barriers",
    "dynamics", "loop", "tiers", "study", "report", "layout", "summary", "verbs", "kernels", "doctor", "cli",
    "__main__",
)  # fmt: skip
"""The modules; each may import those before it."""

CHEMISTRY = ("pymatgen", "ase", "phonopy", "spglib", "torch", "deepmd")
LIGHT = {
    "phonolyte": ("numpy", "pandas", "numba", "sklearn", "typer", "rich", *CHEMISTRY),
    "phonolyte.cli": ("numpy", "pandas", "numba", "sklearn", "rich", *CHEMISTRY),
    "phonolyte.cli.doctor": ("numpy", "pandas", "numba", "sklearn", "rich", *CHEMISTRY),
    "phonolyte.forces.registry": ("numpy", "pandas", "numba", "sklearn", *CHEMISTRY),
    "phonolyte.cli.phonons": ("numba", "sklearn", "matplotlib", *CHEMISTRY),
    "phonolyte.cli.stability": ("numba", "sklearn", "matplotlib", *CHEMISTRY),
    "phonolyte.cli.elastic": ("numba", "sklearn", "matplotlib", *CHEMISTRY),
    "phonolyte.cli.migrate": ("sklearn", "bvlain", "kinisi", "matplotlib", *CHEMISTRY),
    "phonolyte.structures": ("pandas", "sklearn", "pymatgen", "ase", "torch"),
    "phonolyte.features": ("pymatgen", "ase", "xgboost", "torch"),
    "phonolyte.dos": ("pandas", "sklearn", "pymatgen", "ase"),
    "phonolyte.runs.run": ("sklearn", "numba", "matplotlib", "dask", *CHEMISTRY),
    "phonolyte.runs.executors": ("numpy", "pandas", "dask"),
    "phonolyte.tiers": ("sklearn", "numba", "matplotlib", *CHEMISTRY),
    "phonolyte.forces": ("pymatgen", "sklearn", "ase", "torch", "deepmd"),
    "phonolyte.percolation": ("sklearn", "bvlain", "matplotlib", *CHEMISTRY),
    "phonolyte.phonons": ("pymatgen", "sklearn", "ase", "phonopy", "torch"),
    "phonolyte.stability": ("sklearn", "phonopy", "torch", "matplotlib", "pymatgen", "ase"),
    "phonolyte.elastic": ("sklearn", "matplotlib", *CHEMISTRY),
    "phonolyte.figures": ("sklearn", "matplotlib", "phonopy", "ase"),
    "phonolyte.barriers": ("pymatgen", "sklearn", "ase", "phonopy", "torch", "bvlain", "kinisi", "matplotlib"),
    "phonolyte.dynamics": ("sklearn", "bvlain", "kinisi", "matplotlib", *CHEMISTRY),
    "phonolyte.sources": ("pymatgen", "ase", "sklearn", "requests", "mp_api", "optimade", "NCrystal", "torch"),
    "phonolyte.impedance": ("pymatgen", "sklearn", "ase", "impedance", "matplotlib"),
    "phonolyte.polarization": ("pymatgen", "sklearn", "ase", "impedance", "matplotlib"),
    "phonolyte.models": ("pymatgen", "ase", "xgboost", "torch"),
    "phonolyte.verbs": ("sklearn", "xgboost", "typer", "bvlain", "kinisi", "matplotlib", *CHEMISTRY),
}


COMMON = ("numpy", "pandas", "numba")
"""What most modules may import; importing it once for all of those saves most of the time."""

IMPORT_EACH = """
import importlib, os, sys
allowed, modules = (argument.split() for argument in sys.argv[1:])
for name in allowed:
    importlib.import_module(name)
for module in modules:
    if not os.fork():
        importlib.import_module(module)
        print(module, *sys.modules, flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.fixture(scope="module")
def loaded() -> dict[str, set[str]]:
    """What is loaded after the import of each module, in a process of its own."""
    groups: dict[str, list[str]] = {}
    for module, heavy in LIGHT.items():
        allowed = [name for name in COMMON if not {"numpy", name} & set(heavy)]  # all of them import numpy
        groups.setdefault(" ".join(allowed), []).append(module)
    lines: list[str] = []
    for allowed, modules in groups.items():
        command = [sys.executable, "-c", IMPORT_EACH, allowed, " ".join(modules)]
        lines += subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return {module: set(names) for module, *names in map(str.split, lines)}


@pytest.mark.parametrize("module", LIGHT)
def test_importing_a_part_leaves_heavy_packages_alone(module: str, loaded: dict[str, set[str]]):
    assert module in loaded[module]
    assert not set(LIGHT[module]) & loaded[module]


def list_imports(path: Path) -> set[str]:
    """Modules of this package that a file imports, at its top or inside a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {parts[1] for name in names if (parts := name.split("."))[0] == "phonolyte" and len(parts) > 1} & set(ORDER)


def list_files(module: str) -> list[Path]:
    return [*(PACKAGE / module).rglob("*.py")] if (PACKAGE / module).is_dir() else [PACKAGE / f"{module}.py"]


@pytest.mark.parametrize("module", ORDER)
def test_imports_point_back_along_the_way_of_the_data(module: str):
    for path in list_files(module):
        later = list_imports(path) - set(ORDER[: ORDER.index(module) + 1])
        assert not later, path


def test_figures_know_nothing_of_what_computes_their_tables():
    foreign = {
        "forces",
        "screen",
        "models",
        "impedance",
        "polarization",
        "percolation",
        "phonons",
        "elastic",
        "stability",
        "barriers",
        "dynamics",
    }
    for path in list_files("figures"):
        assert not list_imports(path) & foreign, path


def test_every_module_has_its_place():
    names = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert names - {"__init__"} == set(ORDER)


def test_what_pymatgen_gives_comes_with_the_base_installation():
    """Distributions of pymatgen: each module that is imported must be in one that is required."""
    required = tomllib.loads((PACKAGE.parents[1] / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.match(r"[\w.-]+", requirement).group() for requirement in required}
    names |= {"pymatgen-core"} if "pymatgen" in names else set()  # which it requires
    owners = {str(file): name for name in ("pymatgen", "pymatgen-core") for file in distribution(name).files or ()}
    modules = {
        node.module
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pymatgen.")
    }
    assert len(modules) > 5
    for module in modules:
        path = module.replace(".", "/")
        owner = owners.get(f"{path}.py") or owners.get(f"{path}/__init__.py")
        assert owner in names, module
