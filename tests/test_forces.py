from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes

from phonolyte.errors import EngineError, MissingExtraError, SettingsError
from phonolyte.forces import ENGINES, open_engine


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
