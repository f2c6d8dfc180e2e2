"""Checks of what is installed and runs here, without importing it, and never with a key."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from typer.testing import CliRunner

from phonolyte import doctor
from phonolyte.cli import app
from phonolyte.forces import ENGINES
from phonolyte.sources.cache import cache_folder

KEY = "abcdefghijklmnopqrstuvwxyz012345"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Versions of an installation that is made up, and what Phonolyte requires."""
    versions = {"phonolyte": "1.0", "numpy": "2.1.0", "torch": "2.11.0", "mace-torch": "0.3.16", "phonopy": "4.1"}

    def get_version(name: str) -> str:
        if name not in versions:
            raise PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(doctor, "version", get_version)
    monkeypatch.setattr(
        doctor,
        "requires",
        lambda name: [
            "numpy>=2.0",
            "notthere>=9; platform_system == 'Nowhere'",
            "phonopy>=4.10; extra == 'phonons'",
            "mace-torch<0.4,>=0.3.16; extra == 'mace'",
            "openpyxl>=3.1; extra == 'sheets'",
            "odfpy>=1.4.1; extra == 'sheets'",
        ],
    )
    monkeypatch.setattr(doctor, "SHOWN", ("numpy",))
    return versions


def examine_group(group: str) -> dict[str, doctor.Finding]:
    return {finding.name: finding for finding in doctor.examine()[group]}


def test_what_is_complete_is_not_broken(installed: dict[str, str]):
    assert examine_group("Installation")["libraries"].state == "complete: numpy 2.1.0"
    assert not doctor.is_broken(doctor.examine())


@pytest.mark.parametrize(
    ("version", "state"), [("1.26.4", "numpy is 1.26.4, and should be >=2.0"), (None, "numpy>=2.0 is missing")]
)
def test_a_library_that_is_old_or_missing_breaks_it(installed: dict[str, str], version: str | None, state: str):
    del installed["numpy"]
    if version:
        installed["numpy"] = version
    assert examine_group("Installation")["libraries"].state == state
    assert doctor.is_broken(doctor.examine())
    assert CliRunner().invoke(app, ["doctor"]).exit_code == 2


def test_extras_say_what_is_missing_and_the_command(installed: dict[str, str]):
    extras = examine_group("Extras")
    assert extras["phonons"].state.startswith("phonopy is 4.1, and should be >=4.10")
    assert extras["sheets"].state == "openpyxl>=3.1 is missing, 1 more (spectra in .xlsx and .ods)"
    assert extras["sheets"].remedy == ("pip install '.[sheets]'",)


def test_engines_say_what_is_installed_and_the_command(installed: dict[str, str]):
    engines = examine_group("Engines")
    assert set(engines) == set(ENGINES)
    assert engines["mace"].state == "installed: mace-torch 0.3.16, torch 2.11.0"
    assert engines["nequix"].state == "not installed"
    assert engines["nequix"].remedy == ("pip install '.[nequix]'", "pip install --no-deps 'nequix>=0.4.5,<0.5'")
    assert not engines["emt"].remedy
    assert not doctor.needs_torch(doctor.examine())
    del installed["torch"]
    assert "pip install torch --index-url" in doctor.needs_torch(doctor.examine())


def test_every_extra_is_one_of_the_project():
    from importlib.metadata import metadata

    extras = metadata("phonolyte").get_all("Provides-Extra") or []
    named = {*doctor.EXTRAS, *(entry.extra for entry in ENGINES.values() if entry.extra)}
    assert named == {*extras} - {"test", "dev", "docs"}  # of developers


def test_loading_says_what_an_import_raises():
    assert doctor._import(("ase",)).startswith("; imported in ")
    assert doctor._import(()).startswith(", but cannot be imported: SyntaxError: ")


@pytest.mark.parametrize(
    ("variables", "state"),
    [
        ({"MP_API_KEY": KEY}, "MP_API_KEY is set"),
        ({"PMG_MAPI_KEY": KEY}, "PMG_MAPI_KEY is set"),
        ({"MP_API_KEY": KEY[:29]}, "MP_API_KEY is set, but is not a key: 29 characters, not 32"),
    ],
)
def test_the_key_is_never_shown(variables: dict[str, str], state: str, tmp_path: Path):
    assert doctor._key(variables, tmp_path) == state
    assert KEY[:29] not in doctor._key(variables, tmp_path)


def test_a_key_in_the_settings_of_pymatgen_is_seen(tmp_path: Path):
    assert doctor._key({}, tmp_path).startswith("none; only phonolyte fetch mp needs one")
    (tmp_path / ".pmgrc.yaml").write_text(f"PMG_MAPI_KEY: {KEY}\n")
    assert doctor._key({}, tmp_path) == f"PMG_MAPI_KEY is set in {tmp_path / '.pmgrc.yaml'}"


def test_downloads_are_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("PHONOLYTE_CACHE", raising=False)
    assert str(cache_folder()) in doctor._downloads().state
    monkeypatch.setenv("PHONOLYTE_CACHE", str(tmp_path / "some" / "where"))
    assert doctor._downloads().state == f"{tmp_path}/some/where can be written"
    (tmp_path / "file").touch()
    monkeypatch.setenv("PHONOLYTE_CACHE", str(tmp_path / "file" / "below"))
    assert doctor._downloads().state == f"{tmp_path}/file/below cannot be written"
    assert doctor._downloads().remedy == ("export PHONOLYTE_CACHE=FOLDER",)


def test_compiled_functions_are_counted_where_they_are_newer_than_their_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    package = tmp_path / "package"
    cache = package / "__pycache__"
    cache.mkdir(parents=True)
    for name in ("one", "two"):
        (package / f"{name}.py").write_text("@kernel\ndef f(): ...\n")
    (package / "plain.py").write_text("# kernel\n")
    version = f"py{sys.version_info.major}{sys.version_info.minor}"
    for name in ("one", "two"):
        (cache / f"{name}.f-1.{version}.nbi").touch()
    os.utime(cache / f"two.f-1.{version}.nbi", (0, 0))
    monkeypatch.setattr(doctor, "PACKAGE", package)
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    assert doctor._kernels().state.startswith("1 of 2 modules are compiled")


def test_the_command_is_light_and_fits_eighty_columns():
    code = "import sys; from phonolyte.cli import app; app(['doctor'], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *lines, modules = done.stdout.splitlines()
    heavy = {"numpy", "pandas", "numba", "sklearn", "pymatgen", "ase", "torch", "matplotlib"}
    assert not heavy & set(modules.split())
    assert [line for line in lines if len(line) > 80] == []
    headings = [line for line in lines if line and line[0].isalpha()]
    assert headings[:4] == ["Installation", "Engines", "Extras", "Machine"]
