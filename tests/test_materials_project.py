"""The Materials Project, as a server shaped like it answers: whole, in pieces, wrongly, and not at all."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mp_server
import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure
from run_folder import read_content
from typer.testing import CliRunner

from phonolyte.cli import app
from phonolyte.dos.table import read_densities
from phonolyte.errors import SettingsError, SourceError
from phonolyte.sources import MaterialsProject, fetch, materials_project, web
from phonolyte.sources.connection import api_key

KEY = "S3cretS3cretS3cretS3cretS3cret42"
COMMAND = [sys.executable, "-c", "from phonolyte.cli import main; main()"]
ANIONS = ("F", "Cl", "Br", "I")
N_SALTS = 1100
"""Two pages."""

N_PHONONS = 30
"""Materials, the first ones, that have phonons."""

THZ = np.linspace(-0.4, 20.0, 205)


def make_salt(number: int) -> Structure:
    """Rock salt in its primitive cell, each a little larger than the one before."""
    a = 4.0 + 0.0005 * number
    lattice = Lattice(np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) * a / 2)
    return Structure(lattice, ["Li", ANIONS[number % 4]], [[0, 0, 0], [0.5, 0.5, 0.5]])


def make_density(center: float) -> np.ndarray:
    return np.exp(-((THZ - center) ** 2) / 2) * (THZ > 0)


def write_documents(folder: Path) -> None:
    """Documents as emmet's models have them; the first have phonons."""
    from emmet.core.phonon import PhononBSDOSTask
    from emmet.core.summary import SummaryDoc

    summary = []
    for number in range(N_SALTS):
        identifier = f"mp-{number + 1}"
        document = SummaryDoc(
            structure=make_salt(number), material_id=identifier, energy_above_hull=0.001 * (number % 100),
            band_gap=float(number % 7), is_metal=number % 7 == 0, elements=["Li", ANIONS[number % 4]],
            database_IDs={"icsd": ["icsd-41409", "icsd-53819"]} if number % 2 else None,
            phonon_IDs={"pheasy": [identifier]} if number < N_PHONONS else None,
            has_props={"phonon": number < N_PHONONS},
        )  # fmt: skip
        summary.append(
            {k: v for k, v in document.model_dump(mode="json").items() if v is not None} | {"material_id": identifier}
        )
    magnesia = make_salt(0).copy()
    magnesia.replace(0, "Mg")
    summary.append({**summary[-1], "material_id": "mp-9001", "elements": ["Mg", "F"], "structure": magnesia.as_dict()})
    overlapping = Structure(Lattice.cubic(3), ["Li", "F"], [[0, 0, 0], [0, 0, 0.01]])
    summary.append({**summary[-2], "material_id": "mp-9002", "structure": overlapping.as_dict()})
    summary.append({**summary[-3], "material_id": "mp-9003", "batch_id": "gnome_r2scan_statics"})
    (folder / "summary.json").write_text(json.dumps(summary))
    task = PhononBSDOSTask(identifier="mp-2", structure=make_salt(1), last_updated="2026-01-01T00:00:00")
    (folder / "phonon.json").write_text(json.dumps([task.model_dump(mode="json") | {"identifier": "aaaaaaac"}]))


def write_store(folder: Path) -> None:
    """A Delta table of densities; that of mp-2 has no structure, mp-3 has none at all, mp-4 is null."""
    import pyarrow as pa
    from deltalake import write_deltalake
    from emmet.core.arrow import arrowize
    from emmet.core.mpid import AlphaID
    from emmet.core.phonon import PhononDOS

    schema = pa.schema([("identifier", pa.string()), ("phonon_method", pa.string()), ("dos", arrowize(PhononDOS))])
    rows = []
    for number in [n for n in range(N_PHONONS) if n != 2]:
        parts = [make_density(10.0 + 0.2 * number), make_density(5.0)]
        dos = PhononDOS(
            frequencies=THZ.tolist(), densities=np.sum(parts, axis=0).tolist(),
            projected_densities=[part.tolist() for part in parts], structure=None if number == 1 else make_salt(number),
        )  # fmt: skip
        data = dos.model_dump(mode="json") if number != 3 else None
        rows.append({"identifier": str(AlphaID(number + 1, padlen=8)), "phonon_method": "pheasy", "dos": data})
    write_deltalake(folder / "store" / mp_server.DENSITIES, pa.Table.from_pylist(rows, schema=schema))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mp_server.Server]:
    folder = tmp_path_factory.mktemp("mp")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of foreign models about each other
        write_documents(folder)
        write_store(folder)
    with mp_server.serving(folder) as running:
        yield running


@pytest.fixture(autouse=True)
def environment(server: mp_server.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in make_environment(server).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(web, "BACKOFF_S", 0.0)
    server.control([], mp_server.VERSION)


def make_environment(server: mp_server.Server) -> dict[str, str]:
    return {"MP_API_KEY": KEY, "AWS_ENDPOINT_URL": server.url, "AWS_ALLOW_HTTP": "true",
            "MPRESTER_ENDPOINT": server.url, "SOURCE_DATE_EPOCH": "1790000000"}  # fmt: skip


def make_source(server: mp_server.Server, **more: Any) -> MaterialsProject:
    return MaterialsProject(endpoint=server.url, **more)


def test_structures_come_with_their_properties(server: mp_server.Server, tmp_path: Path):
    result = fetch(make_source(server), tmp_path)
    assert result.tables
    assert (result.version, result.fetched) == (mp_server.VERSION, "2026-09-21T14:13:20Z")
    assert (result.tables.n_crystals, result.tables.n_materials) == (N_SALTS, N_SALTS + 1)
    (failure,) = result.tables.failures
    assert (failure.material_id, failure.error) == ("mp-9002", "OverlappingAtoms")
    table = pd.read_parquet(tmp_path / "properties.parquet").set_index("material_id")
    row = table.loc["mp-4"]
    assert row[["formula", "e_hull_ev", "band_gap_ev", "is_metal", "icsd_ids"]].to_list() == [
        "LiI", 0.003, 3.0, False, "41409 53819",
    ]  # fmt: skip
    assert table["icsd_ids"].isna().sum() == N_SALTS // 2
    assert "mp-9001" not in table.index
    assert "mp-9003" not in table.index  # of GNoME
    text = (tmp_path / "run.toml").read_text()
    assert mp_server.VERSION in text
    assert 'ion = "Li"' in text
    pages = [path for path in server.control()["requests"] if "_page=" in path]
    assert len(pages) == 2


def test_gnome_takes_part_on_request(server: mp_server.Server, tmp_path: Path):
    result = fetch(make_source(server, gnome=True), tmp_path)
    assert "mp-9003" in set(pd.read_parquet(tmp_path / "properties.parquet")["material_id"])
    assert "BY-NC" in (tmp_path / "run.toml").read_text()
    assert result.tables


def test_phonons_become_band_centers_of_elements(server: mp_server.Server, tmp_path: Path):
    result = fetch(make_source(server, what="phonons", page_size=5), tmp_path)
    assert result.tables
    assert (result.tables.n_crystals, result.tables.n_densities) == (N_PHONONS - 2, N_PHONONS - 2), (
        result.tables.failures
    )
    assert {(f.material_id, f.error) for f in result.tables.failures} == {("mp-3", "NoPhonons"), ("mp-4", "NoPhonons")}
    assert mp_server.VERSION in result.tables.failures[0].message
    table = pd.read_parquet(tmp_path / "properties.parquet").set_index("material_id")
    mev = 4.135667696
    assert table.loc["mp-1", "Li_center_mev"] == pytest.approx(10.0 * mev, rel=1e-6)
    assert table.loc["mp-1", "F_center_mev"] == pytest.approx(5.0 * mev, rel=1e-4)
    assert table.loc["mp-1", "band_center_mev"] == pytest.approx(7.5 * mev, rel=1e-4)
    assert table.loc["mp-2", "Li_center_mev"] == pytest.approx(10.2 * mev, rel=1e-6)  # structure of another endpoint
    assert (table["phonon_method"] == "pheasy").all()
    stored = {dos.material_id: dos for dos in read_densities(tmp_path / "dos.parquet")}
    assert stored["mp-1"].band_center_mev == pytest.approx(table.loc["mp-1", "band_center_mev"], rel=1e-3)
    assert pd.read_parquet(tmp_path / "crystals.parquet")["band_center_mev"].notna().all()


def test_mp_api_itself_reads_that_store(server: mp_server.Server):
    """The table is the one that mp-api expects."""
    from mp_api.client import MPRester

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dos = MPRester(KEY, endpoint=server.url).materials.phonon.get_dos_from_phonon_id("mp-1", "pheasy")
    assert dos.densities == pytest.approx((make_density(10.0) + make_density(5.0)).tolist())


def test_faults_that_pass_change_nothing(server: mp_server.Server, tmp_path: Path):
    fetch(make_source(server), tmp_path / "whole")
    faults = ["rate", "", "server", "null", "", "no json", "cut"]
    server.control(faults)
    fetch(make_source(server), tmp_path / "broken")
    assert server.control()["faults"] == []
    for name in ("crystals.parquet", "properties.parquet", "properties.csv", "failures.parquet"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


SAID = {
    "rate": "limits the rate",
    "server": "status code 500",
    "forbidden": "Check the key",
    "null": "null instead of data",
    "no json": "materials/summary",
    "cut": "materials/summary",
    "empty": "page 2 is empty",
}


@pytest.mark.parametrize("fault", SAID)
def test_a_lasting_fault_is_reported_and_the_fetch_goes_on_later(server: mp_server.Server, tmp_path: Path, fault: str):
    server.control(["", "", *[fault] * 20])
    with pytest.raises(SourceError) as caught:
        fetch(make_source(server), tmp_path)
    said = str(caught.value)
    assert SAID[fault] in said
    assert f"endpoint materials/summary, database version {mp_server.VERSION}" in said
    assert KEY not in said
    server.control([])
    result = fetch(make_source(server), tmp_path)
    assert result.tables
    assert result.tables.n_crystals == N_SALTS
    requests = [path for path in server.control()["requests"] if "_page=" in path]
    assert not any("_page=1&" in path or path.endswith("_page=1") for path in requests)  # it is there already


def test_a_field_that_is_gone_is_reported(server: mp_server.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    documents = MaterialsProject._documents

    def request_symmetry(self: MaterialsProject, number: int, size: int) -> Any:
        monkeypatch.setattr(materials_project, "FIELDS", ("material_id", "symmetry"))
        return documents(self, number, size)

    monkeypatch.setattr(MaterialsProject, "_documents", request_symmetry)
    with pytest.raises(
        SourceError, match=r"materials/summary, database version .* 'structure': its schema has changed"
    ):
        fetch(make_source(server), tmp_path)


def test_properties_that_no_material_has_are_noted(
    server: mp_server.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(materials_project, "FIELDS", ("material_id", "structure", "is_metal"))
    result = fetch(make_source(server), tmp_path)
    assert result.notes == ["no material has e_hull_ev or band_gap_ev: a screen counts them as unknown"]


def test_another_version_is_not_mixed_in(server: mp_server.Server, tmp_path: Path):
    server.control(["", "", *["server"] * 20])
    with pytest.raises(SourceError):
        fetch(make_source(server), tmp_path)
    server.control([], "2027.01.01")
    forget_heartbeat()
    with pytest.raises(SourceError, match=r"its version was 2026.09.15, and now is 2027.01.01"):
        fetch(make_source(server), tmp_path)
    result = fetch(make_source(server), tmp_path, anew=True)
    assert result.version == "2027.01.01"
    forget_heartbeat()


def forget_heartbeat() -> None:
    """Forget the version, for which mp-api asks once a process."""
    from mp_api.client.core.client import _Rester

    _Rester._get_heartbeat_info.cache_clear()


def test_nothing_that_fits_is_reported(server: mp_server.Server, tmp_path: Path):
    with pytest.raises(SourceError, match=r'mp has nothing that fits: .*"ion": "Og".* version 2026.09.15'):
        fetch(make_source(server, ion="Og"), tmp_path)


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_a_killed_fetch_ends_with_the_same_tables(server: mp_server.Server, tmp_path: Path):
    run = [*COMMAND, "fetch", "mp", "-o"]
    environment = {**os.environ, **make_environment(server)}
    assert subprocess.run([*run, tmp_path / "whole"], env=environment, capture_output=True).returncode == 1
    server.control(["", "", *["server"] * 50])  # which keeps the command busy after its first page
    with subprocess.Popen([*run, tmp_path / "killed"], env=environment, stderr=subprocess.DEVNULL) as process:
        while not [*(tmp_path / "killed" / ".fetch").glob("0*.json.gz")]:
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    server.control([])
    assert subprocess.run([*run, tmp_path / "killed"], env=environment, capture_output=True).returncode == 1
    for name in ("crystals.parquet", "properties.parquet", "properties.csv", "failures.parquet", "run.toml"):
        assert read_content(tmp_path / "killed" / name) == read_content(tmp_path / "whole" / name), name
    assert not (tmp_path / "killed" / ".fetch").exists()


def test_screen_and_features_take_what_came(server: mp_server.Server, tmp_path: Path):
    fetch(make_source(server, what="phonons"), tmp_path / "mp")
    run = CliRunner().invoke(
        app,
        ["screen", str(tmp_path / "mp" / "crystals.parquet"), "--properties",
         str(tmp_path / "mp" / "properties.parquet"), "-o", str(tmp_path / "run")],
    )  # fmt: skip
    assert run.exit_code == 0, run.output
    ranked = pd.read_csv(tmp_path / "run" / "ranked.csv")
    assert ranked["e_hull_ev"].notna().all()
    assert set(ranked["formula"]) == {"LiF", "LiCl", "LiBr", "LiI"}


@pytest.mark.long
def test_train_learns_from_what_came(server: mp_server.Server, tmp_path: Path):
    fetch(make_source(server, what="phonons"), tmp_path / "mp")
    run = CliRunner().invoke(
        app,
        ["train", "--data", str(tmp_path / "mp" / "crystals.parquet"), "--algorithm", "decision_tree", "--no-compare",
         "-o", str(tmp_path / "model")],
    )  # fmt: skip
    assert run.exit_code == 0, run.output
    assert json.loads((tmp_path / "model" / "metrics.json").read_text())[0]["n"] == N_PHONONS - 2


def test_the_key_is_requested_where_there_is_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("MP_API_KEY")
    monkeypatch.setattr("pymatgen.core.SETTINGS", {})
    with pytest.raises(SettingsError, match="MP_API_KEY"):
        api_key()
    monkeypatch.setattr("pymatgen.core.SETTINGS", {"PMG_MAPI_KEY": KEY})
    assert api_key() == KEY
    monkeypatch.setenv("MP_API_KEY", f"{KEY[:-1]}\n")
    with pytest.raises(SettingsError, match="31 characters") as caught:
        api_key()
    assert KEY[:-1] not in str(caught.value)


def read_everything(folder: Path) -> bytes:
    """Names and contents of all files; packed ones unpacked."""
    import gzip

    parts = [str(path).encode() for path in folder.rglob("*")]
    for path in (path for path in folder.rglob("*") if path.is_file()):
        raw = path.read_bytes()
        parts.append(gzip.decompress(raw) if path.suffix == ".gz" else raw)
        if path.suffix == ".parquet":
            parts.append(pd.read_parquet(path).to_csv().encode())
    return b"\0".join(parts)


@pytest.mark.parametrize("faults", [pytest.param([], marks=pytest.mark.long), ["forbidden"]])
def test_the_key_is_in_no_file_log_traceback_or_progress_line(
    server: mp_server.Server, tmp_path: Path, faults: list[str]
):
    """Everything a command leaves behind, with all warnings and the logs of all libraries on."""
    home = tmp_path / "home"
    home.mkdir()
    code = (
        "import logging; logging.basicConfig(level=1)\n"
        "from phonolyte.sources import web; web.BACKOFF_S = 0.0\n"
        "from phonolyte.cli import main; main()"
    )
    server.control(faults)
    environment = {**os.environ, **make_environment(server), "HOME": str(home), "PYTHONWARNINGS": "always",
                   "PHONOLYTE_CACHE": str(tmp_path / "cache"), "RUST_LOG": "debug"}  # fmt: skip
    run = subprocess.run(
        [sys.executable, "-c", code, "fetch", "mp", "--what", "phonons", "-o", str(tmp_path / "run")],
        env=environment, capture_output=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert KEY in server.control()["keys"]  # it was used
    assert run.returncode == (2 if faults else 1), run.stderr
    assert len(run.stderr) > 1000  # the logs are there
    left = run.stdout + run.stderr + read_everything(tmp_path)
    assert KEY.encode() not in left
    assert KEY[:12].encode() not in left


def test_a_traceback_does_not_have_the_key(server: mp_server.Server, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    import traceback

    caplog.set_level(logging.DEBUG)
    server.control(["forbidden"])
    with pytest.raises(SourceError) as caught:
        fetch(make_source(server), tmp_path)
    text = "".join(traceback.format_exception(caught.value))
    assert "(key) is not valid" in text
    assert KEY not in text + caplog.text
    assert KEY not in repr(make_source(server))
