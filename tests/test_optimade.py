"""OPTIMADE, by its reference server: five thousand crystals, killed fetches, faults on the way."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import optimade_server
import pandas as pd
import pytest
from run_folder import read_content
from typer.testing import CliRunner

from phonolyte.cli import app
from phonolyte.errors import SettingsError, SourceError, StructureError
from phonolyte.sources import Optimade, fetch, web
from phonolyte.sources.optimade import _first_number
from phonolyte.structures.dictionaries import crystal_from_optimade

COMMAND = [sys.executable, "-c", "from phonolyte.cli import main; main()"]
N_SALTS = 5000
IODIDES = sum({"I", "Na"} == set(optimade_server.salt(number)["attributes"]["elements"]) for number in range(N_SALTS))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    entries = [optimade_server.salt(number) for number in range(N_SALTS)] + optimade_server.of_the_package()
    with optimade_server.serving(tmp_path_factory.mktemp("optimade"), entries) as url:
        yield url


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "BACKOFF_S", 0.0)


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_a_fetch_of_five_thousand_killed_and_resumed_gives_the_same_table(server: str, tmp_path: Path):
    run = [*COMMAND, "fetch", "optimade", "--base-url", server, "--page-size", "500", "-o"]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1790000000"}
    assert subprocess.run([*run, tmp_path / "whole"], env=environment, capture_output=True).returncode == 1
    pages = tmp_path / "killed" / ".fetch"
    for n in (2, 6):
        with subprocess.Popen([*run, tmp_path / "killed"], env=environment, stderr=subprocess.DEVNULL) as process:
            while len([*pages.glob("0*.json.gz")]) < n:
                assert process.poll() is None
                time.sleep(0.01)
            os.kill(process.pid, signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        assert 'state = "running"' in (tmp_path / "killed" / "run.toml").read_text()
    assert subprocess.run([*run, tmp_path / "killed"], env=environment, capture_output=True).returncode == 1
    for path in (tmp_path / "whole").iterdir():
        assert read_content(tmp_path / "killed" / path.name) == read_content(path), path.name
    crystals = pd.read_parquet(tmp_path / "killed" / "crystals.parquet")
    failures = pd.read_parquet(tmp_path / "killed" / "failures.parquet")
    assert len(crystals) >= N_SALTS
    assert len(crystals) + len(failures) == N_SALTS + 17


def test_fields_of_the_provider_become_properties(server: str, tmp_path: Path):
    fetch(Optimade("alexandria", 'elements HAS ALL "Li","F" AND nelements=2', base_url=server, page_size=100), tmp_path)
    table = pd.read_parquet(tmp_path / "properties.parquet").set_index("material_id")
    assert len(table) == N_SALTS // 80 + 1
    assert table.loc["salt-160", ["formula", "e_hull_ev", "band_gap_ev"]].to_list() == ["LiF", 0.16, 7.0]
    text = (tmp_path / "run.toml").read_text()
    assert "OPTIMADE 1.2.0, OPTIMADE Python Tools" in text
    assert "CC BY 4.0" in text
    assert re.findall(r"@\w+\{(\w+),", (tmp_path / "cite.bib").read_text()) == ["evans2024", "schmidt2023"]


def test_disordered_crystals_of_the_package_come_with_their_occupancies(server: str, tmp_path: Path):
    tables = fetch(Optimade("test", 'NOT id STARTS WITH "salt"', base_url=server), tmp_path).tables
    assert tables
    assert tables.n_materials == 17
    assert tables.n_crystals + len(tables.failures) == 17
    assert {"mpf_1", "mpf_23"} <= {failure.material_id for failure in tables.failures}


def test_features_and_screen_take_what_came(server: str, tmp_path: Path):
    run = CliRunner().invoke(
        app, ["fetch", "optimade", "--base-url", server, "--ion", "Li",
              "--filter", 'elements HAS "Te" OR elements HAS "Se"', "-o", str(tmp_path / "got")],
    )  # fmt: skip
    assert run.exit_code == 0, run.output
    table = pd.read_parquet(tmp_path / "got" / "properties.parquet")
    assert set(table["formula"]) == {"LiSe", "LiTe"}
    screened = CliRunner().invoke(
        app, ["screen", str(tmp_path / "got" / "crystals.parquet"), "--properties",
              str(tmp_path / "got" / "properties.csv"), "-o", str(tmp_path / "run")],
    )  # fmt: skip
    assert screened.exit_code == 0, screened.output
    assert pd.read_csv(tmp_path / "run" / "ranked.csv")["e_hull_ev"].notna().all()


def test_a_bad_filter_is_reported_before_anything_is_fetched(server: str, tmp_path: Path):
    with pytest.raises(SettingsError, match="is not a filter of OPTIMADE"):
        fetch(Optimade("test", "elements HAS", base_url=server), tmp_path)
    with pytest.raises(SourceError, match=r"no answer: .*endpoint structures: .*400"):
        fetch(Optimade("test", "_alexandria_unheard_of > 3 AND elements.x = 2", base_url=server), tmp_path / "other")


def test_nothing_that_fits_is_reported(server: str, tmp_path: Path):
    with pytest.raises(SourceError, match=r"has nothing that fits: .*Og.* version OPTIMADE 1"):
        fetch(Optimade("test", 'elements HAS "Og"', base_url=server), tmp_path)


def test_no_server_is_reported(tmp_path: Path):
    address = f"http://127.0.0.1:{optimade_server.find_free_port()}"
    with pytest.raises(SourceError, match=rf"{address}, endpoint info"):
        fetch(Optimade("test", "", base_url=address), tmp_path)


def test_an_unknown_provider_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("optimade.utils.get_all_databases", lambda **_: [])
    with pytest.raises(SettingsError, match="'nobody' is not known"):
        fetch(Optimade("nobody"), tmp_path)
    monkeypatch.setattr("optimade.utils.get_all_databases", lambda **_: ["http://a", "http://b"])
    with pytest.raises(SettingsError, match="nobody has 2 databases: http://a, http://b"):
        fetch(Optimade("nobody"), tmp_path)

    def fail(**_: object) -> list[str]:
        raise RuntimeError("no route to host")

    monkeypatch.setattr("optimade.utils.get_all_databases", fail)
    with pytest.raises(SourceError, match=r"official list of databases cannot be read: .*no route to host"):
        fetch(Optimade("nobody"), tmp_path)


class Proxy(BaseHTTPRequestHandler):
    """A proxy that passes requests on, but plays faults before: a status, or ``cut`` in the middle of the answer."""

    upstream: str
    faults: list[str]

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        fault = self.faults.pop(0) if self.faults else ""
        if fault.isdigit():
            self.send_response(int(fault))
            self.send_header("Retry-After", "0")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        with urlopen(self.upstream + self.path) as answer:
            raw = answer.read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw[: len(raw) // 2] if fault == "cut" else raw)


@pytest.fixture
def proxy(server: str) -> Iterator[type[Proxy]]:
    handler = type("Bound", (Proxy,), {"upstream": server, "faults": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        handler.url = f"http://127.0.0.1:{running.server_port}"  # type: ignore[attr-defined]
        yield handler
        running.shutdown()


def test_faults_that_pass_change_nothing(proxy: Any, tmp_path: Path):
    proxy.faults.extend(["429", "cut", "", "503", "", "500", "cut"])
    tables = fetch(Optimade("test", 'elements HAS ALL "Na","I"', base_url=proxy.url), tmp_path).tables
    assert tables
    assert tables.n_crystals == IODIDES
    assert not proxy.faults


def test_a_fault_that_stays_is_reported_and_the_fetch_goes_on_later(proxy: Any, tmp_path: Path):
    source = Optimade("test", 'elements HAS ALL "Na","I"', base_url=proxy.url, page_size=20)
    proxy.faults.extend(["", "", *["503"] * 10])
    with pytest.raises(SourceError, match="endpoint structures: RuntimeError: 503"):
        fetch(source, tmp_path)
    proxy.faults.clear()
    tables = fetch(source, tmp_path).tables
    assert tables
    assert tables.n_crystals == IODIDES


def test_a_server_that_goes_on_limiting_the_rate_is_not_retried_forever(proxy: Any, tmp_path: Path):
    """The client by itself begins again at each such answer, without end."""
    proxy.faults.extend(["429"] * 1000)
    with pytest.raises(SourceError, match="endpoint info: RetryError: it limits the rate of requests"):
        fetch(Optimade("test", "", base_url=proxy.url), tmp_path)
    assert len(proxy.faults) > 900


def make_attributes(**more: Any) -> dict[str, Any]:
    return {**optimade_server.salt(0)["attributes"], **more}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"structure_features": ["disorder"]}, "PartialOccupancy"),
        ({"structure_features": ["implicit_atoms"]}, "PartialOccupancy"),
        ({"nperiodic_dimensions": 2}, "NotPeriodic"),
        ({"lattice_vectors": None}, "NoStructure"),
        ({"species": [{"name": "Li", "chemical_symbols": ["X"]}, {"name": "F", "chemical_symbols": ["F"]}]},
         "UnknownElement"),
    ],
)  # fmt: skip
def test_what_is_not_a_whole_crystal_is_refused_with_a_reason(wrong: dict[str, Any], kind: str):
    with pytest.raises(StructureError) as caught:
        crystal_from_optimade(make_attributes(**wrong), material_id="x")
    assert caught.value.kind == kind


def test_positions_are_those_of_the_entry():
    crystal = crystal_from_optimade(make_attributes(), material_id="x")
    assert crystal.formula == "LiF"
    assert crystal.frac_coords[1].tolist() == pytest.approx([0.5, 0.5, 0.5])
    assert crystal.volume_a3 == pytest.approx(16.0)


def test_the_first_name_that_has_a_value_counts():
    names = ["_mp_stability.gga_gga+u_r2scan.energy_above_hull", "_jarvis_ehull", "_oqmd_stability"]
    nested = {"_mp_stability": {"gga_gga+u_r2scan": {"energy_above_hull": 0.25}}, "_oqmd_stability": 3.0}
    assert _first_number(nested, names) == 0.25
    assert _first_number({"_jarvis_ehull": -99999, "_oqmd_stability": 3}, names) == 3.0
    assert _first_number({"_mp_stability": None}, names) is None
