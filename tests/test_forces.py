from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes

from phonolyte.errors import EngineError, MissingExtraError, SettingsError
from phonolyte.forces import ENGINES, open_engine
from phonolyte.forces.espresso import density_cutoff_ry, k_mesh, pseudopotential

DEBIAN_PSEUDO = Path("/usr/share/espresso/pseudo")


class Broken(Calculator):
    """A calculator that gives what it is told to give."""

    implemented_properties = ("energy", "forces")

    def __init__(self, value: float = float("nan"), *, fails: bool = False) -> None:
        super().__init__()
        self.value, self.fails = value, fails

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):  # type: ignore[no-untyped-def]
        super().calculate(atoms, properties, system_changes)
        if self.fails:
            raise RuntimeError("no memory left")
        self.results = {"energy": 0.0, "forces": np.full((len(self.atoms), 3), self.value)}


def test_an_engine_gives_forces_on_many_cells_and_says_what_it_is():
    engine = open_engine("emt")
    cells = [bulk("Cu", cubic=True) for _ in range(3)]
    for number, cell in enumerate(cells):
        cell.rattle(0.05, seed=number)
    forces = engine.forces(cells)
    assert [f.shape for f in forces] == [(4, 3)] * 3
    assert all(np.abs(f.sum(axis=0)).max() < 1e-10 for f in forces)
    assert not np.allclose(forces[0], forces[1])
    assert cells[0].calc is None
    assert set(engine.provenance) == {"ase"}


def test_a_file_among_the_options_is_told_by_its_content(tmp_path: Path):
    weights = tmp_path / "weights.txt"
    weights.write_text("1 2 3")
    told = open_engine("ase.calculators.lj:LennardJones", epsilon=0.01, label=str(weights)).provenance
    assert told["label"].startswith("weights.txt sha256:")
    assert told["epsilon"] == "0.01"
    weights.write_text("1 2 4")
    assert open_engine("ase.calculators.lj:LennardJones", epsilon=0.01, label=str(weights)).provenance != told


def test_any_ase_calculator_will_do_by_its_path():
    engine = open_engine("ase.calculators.lj:LennardJones", epsilon=0.01, sigma=2.5)
    (forces,) = engine.forces([bulk("Ar", a=5.3)])
    assert forces.shape == (1, 3)
    assert engine.provenance["sigma"] == "2.5"
    assert "ase" in engine.provenance


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("magic", {}, SettingsError, "there is no engine 'magic'"),
        ("emt", {"colour": 1}, SettingsError, "no option 'colour'"),
        ("espresso", {}, SettingsError, "needs pseudo_dir"),
        ("no_such_package.calculator:X", {}, MissingExtraError, "pip install no_such_package"),
        ("ase.calculators.lj:Nothing", {}, SettingsError, "has no 'Nothing'"),
        ("ase.calculators.lj:LennardJones", {"smooth": 1, "rc": "x"}, EngineError, "."),
        ("json:JSONDecoder", {}, SettingsError, "no ASE calculator"),
    ],
)
def test_what_is_no_engine_is_told(name: str, options: dict[str, object], error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        open_engine(name, **options).forces([bulk("Ar", a=5.3)])


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "sevenn.calculator", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'phonolyte\[sevennet\]'"):
        open_engine("sevennet")
    assert "sevennet" in ENGINES


def test_failing_engines_and_forces_that_are_no_numbers_are_errors():
    for options, message in (({}, "not finite"), ({"fails": True}, "no memory left")):
        engine = open_engine("test_forces:Broken", **options)
        with pytest.raises(EngineError, match=message):
            engine.forces([bulk("Cu")])


def test_a_pseudopotential_is_found_or_its_lack_is_told(tmp_path: Path):
    for name in ("Si.pbe-nl.UPF", "Si.pbesol-nl.UPF", "S.pbe.upf", "Li.pbe.UPF", "Cu.upf"):
        (tmp_path / name).touch()
    assert pseudopotential(tmp_path, "S").name == "S.pbe.upf"
    assert pseudopotential(tmp_path, "Cu").name == "Cu.upf"
    assert pseudopotential(tmp_path, "Si", "pbesol").name == "Si.pbesol-nl.UPF"
    assert pseudopotential(tmp_path, "Si", "pbe").name == "Si.pbe-nl.UPF"
    with pytest.raises(EngineError, match="2 pseudopotentials of Si"):
        pseudopotential(tmp_path, "Si")
    with pytest.raises(EngineError, match="no pseudopotential of O"):
        pseudopotential(tmp_path, "O")


def test_the_density_cutoff_follows_the_kind_of_the_potentials(tmp_path: Path):
    (tmp_path / "nc.upf").write_text('<PP_HEADER pseudo_type="NC" />')
    (tmp_path / "paw.upf").write_text('<PP_HEADER pseudo_type="PAW" />')
    assert density_cutoff_ry(50, None, [tmp_path / "nc.upf"]) == 200
    assert density_cutoff_ry(50, None, [tmp_path / "nc.upf", tmp_path / "paw.upf"]) == 400
    assert density_cutoff_ry(50, 300, [tmp_path / "paw.upf"]) == 300


def test_the_k_mesh_is_no_coarser_than_asked_for():
    assert k_mesh(np.diag([5.0, 10.0, 20.0]), 0.25) == (6, 3, 2)
    assert k_mesh(np.eye(3) * 100, 0.25) == (1, 1, 1)


def test_espresso_without_its_program_or_folder_is_told(tmp_path: Path):
    with pytest.raises(SettingsError, match="no folder"):
        open_engine("espresso", pseudo_dir=str(tmp_path / "none"))
    with pytest.raises(SettingsError, match="no_pw is not installed"):
        open_engine("espresso", pseudo_dir=str(tmp_path), command="no_pw")


@pytest.mark.skipif(
    shutil.which("pw.x") is None or not DEBIAN_PSEUDO.is_dir(), reason="Quantum ESPRESSO is not installed"
)
def test_pw_gives_the_forces_on_silicon(tmp_path: Path):
    shutil.copy(DEBIAN_PSEUDO / "Si.pbe-rrkj.UPF", tmp_path)
    engine = open_engine("espresso", pseudo_dir=str(tmp_path), ecutwfc_ry=16, k_spacing_inv_a=0.7, conv_thr_ry=1e-9)
    cell = bulk("Si", a=5.43)
    cell.positions[0, 0] += 0.05
    (forces,) = engine.forces([cell])
    np.testing.assert_allclose(forces.sum(axis=0), 0.0, atol=5e-3)
    # the zone-centre optic mode: 15.5 THz, reduced mass 14 u, so 13.9 eV/angstrom^2
    assert -forces[0, 0] / 0.05 == pytest.approx(13.9, rel=0.1)
    assert engine.provenance["ecutwfc_ry"] == "16"
