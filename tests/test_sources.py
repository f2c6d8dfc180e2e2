"""Published sets, the user's folders, NCrystal and the cache, without reaching out of this machine."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import socket
import tarfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core.structure import Structure
from run_folder import read_content
from typer.testing import CliRunner

from phonolyte.cli import app
from phonolyte.dos import PhononDos
from phonolyte.dos.table import read_densities
from phonolyte.errors import DosError, Failure, SettingsError, SourceError
from phonolyte.sources import (
    Entry,
    Folder,
    MaterialsProject,
    NCrystal,
    Optimade,
    Page,
    Published,
    Source,
    cache,
    fetch,
    registry,
    web,
)  # fmt: skip
from phonolyte.sources.cache import RemoteFile, cache_folder, cached_files, clear_cache, obtain
from phonolyte.sources.published import parse_phonon_csv
from phonolyte.sources.registry import dataset, datasets, optimade_fields, providers
from phonolyte.sources.tables import write_tables
from phonolyte.structures import Crystal, read

SALT = Structure.from_spacegroup("Fm-3m", np.eye(3) * 5.64, ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
THZ = np.linspace(0.0, 10.0, 101)


class Files(BaseHTTPRequestHandler):
    """Files, and faults that are played one a request: a status, ``cut``, ``slow``, or nothing."""

    files: dict[str, bytes]
    faults: list[str]
    requests: list[str]
    retry_after = "0"

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.requests.append(self.path)
        fault = self.faults.pop(0) if self.faults else ""
        raw = self.files.get(self.path, b"")
        if fault == "slow":
            time.sleep(0.5)
        self.send_response(int(fault) if fault.isdigit() else 200 if self.path in self.files else 404)
        self.send_header("Content-Length", str(len(raw)))
        self.send_header("Retry-After", self.retry_after)
        self.end_headers()
        self.wfile.write(raw[: len(raw) // 2] if fault == "cut" else raw)


@pytest.fixture
def files() -> Iterator[type[Files]]:
    handler = type("Bound", (Files,), {"files": {}, "faults": [], "requests": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        handler.url = f"http://127.0.0.1:{server.server_port}"  # type: ignore[attr-defined]
        yield handler
        server.shutdown()


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHONOLYTE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(web, "BACKOFF_S", 0.0)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def make_remote(files: Any, *paths: str, raw: bytes = b"", **more: Any) -> RemoteFile:
    return RemoteFile(more.pop("name", "data.csv"), tuple(files.url + path for path in paths), **more)


class TestCache:
    def test_a_file_comes_once(self, files: Any):
        files.files["/a"] = b"content"
        file = make_remote(files, "/a", sha256=hashlib.sha256(b"content").hexdigest(), size_bytes=7)
        assert obtain("one", file).read_bytes() == b"content"
        assert obtain("one", file, offline=True).read_bytes() == b"content"
        assert files.requests == ["/a"]
        (cached,) = cached_files()
        assert (cached.dataset, cached.size_bytes, cached.sha256) == ("one", 7, file.sha256)

    def test_mirrors_are_tried_when_a_place_fails(self, files: Any):
        files.files["/b"] = b"content"
        obtain("one", make_remote(files, "/gone", "/b"))
        assert files.requests == ["/gone", "/b"]
        assert cached_files()[0].url.endswith("/b")

    def test_another_checksum_is_refused_and_a_mirror_may_have_the_right_one(self, files: Any):
        files.files |= {"/wrong": b"tampered", "/right": b"content"}
        sha256 = hashlib.sha256(b"content").hexdigest()
        tampered = hashlib.sha256(b"tampered").hexdigest()
        with pytest.raises(SourceError, match=f"/wrong: SHA256 .*expected {sha256} but got {tampered}") as caught:
            obtain("one", make_remote(files, "/wrong", sha256=sha256))
        assert caught.value.kind == "WrongChecksum"
        assert not cached_files()
        assert [path.name for path in cache_folder().rglob("*") if path.is_file()] in ([], [".data.csv.lock"])
        assert obtain("one", make_remote(files, "/wrong", "/right", sha256=sha256)).read_bytes() == b"content"

    def test_another_size_is_refused(self, files: Any):
        files.files["/a"] = b"content"
        with pytest.raises(SourceError, match="has 7 bytes, and should have 8"):
            obtain("one", make_remote(files, "/a", size_bytes=8))

    def test_the_first_checksum_is_kept_where_none_is_known(self, files: Any):
        files.files["/a"] = b"content"
        path = obtain("one", make_remote(files, "/a"))
        path.write_bytes(b"changed")
        with pytest.raises(SourceError, match="in the cache is not the file it should be") as caught:
            obtain("one", make_remote(files, "/a"), offline=True)
        assert caught.value.kind == "WrongChecksum"
        assert path.read_bytes() == b"changed"  # nothing is put in its place

    @pytest.mark.parametrize("faults", [["429"], ["503", "500", "502"], ["cut"], ["cut", "429"]])
    def test_a_busy_server_and_a_broken_connection_are_tried_again(self, files: Any, faults: list[str]):
        files.files["/a"] = b"content" * 1000
        files.faults.extend(faults)
        assert obtain("one", make_remote(files, "/a")).read_bytes() == b"content" * 1000

    def test_what_cannot_be_had_says_why(self, files: Any):
        files.faults.extend(["503"] * 10)
        with pytest.raises(SourceError, match=r"data.csv cannot be had: http.*/a: status 503"):
            obtain("one", make_remote(files, "/a"))
        assert not cached_files()
        files.faults[:] = ["429"] * 10
        with pytest.raises(SourceError, match=r"/a: it limits the rate of requests"):
            obtain("one", make_remote(files, "/a"))
        files.faults[:] = ["cut"] * 10
        files.files["/a"] = b"content" * 1000
        with pytest.raises(SourceError, match=r"/a: the connection broke"):
            obtain("one", make_remote(files, "/a"))

    def test_a_file_is_downloaded_once_for_all_who_want_it_now(self, files: Any):
        files.files["/a"] = b"content"
        files.faults.append("slow")
        with ThreadPoolExecutor(4) as pool:
            paths = {*pool.map(lambda _: obtain("one", make_remote(files, "/a")), range(4))}
        assert [path.read_bytes() for path in paths] == [b"content"]
        assert files.requests == ["/a"]

    def test_a_kill_before_the_note_is_written_leaves_no_file(self, files: Any, monkeypatch: pytest.MonkeyPatch):
        def die(*_: Any) -> None:
            raise KeyboardInterrupt

        files.files["/a"] = b"content"
        with monkeypatch.context() as patch:
            patch.setattr(cache, "write_json", die)
            with pytest.raises(KeyboardInterrupt):
                obtain("one", make_remote(files, "/a"))
        with pytest.raises(SourceError, match="not in the cache"):
            obtain("one", make_remote(files, "/a"), offline=True)
        assert obtain("one", make_remote(files, "/a")).read_bytes() == b"content"
        assert cached_files()[0].url.endswith("/a")

    def test_nothing_is_printed(self, files: Any, capfd: pytest.CaptureFixture[str]):
        files.files["/a"] = b"content"
        obtain("one", make_remote(files, "/a"))
        assert capfd.readouterr() == ("", "")

    def test_a_cache_that_cannot_be_is_reported(self, files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("PHONOLYTE_CACHE", str(tmp_path / "file"))
        with pytest.raises(SettingsError, match="PHONOLYTE_CACHE name another folder"):
            obtain("one", make_remote(files, "/a"))

    def test_a_file_put_there_by_hand_is_taken(self, no_network: None):
        (cache_folder() / "one").mkdir(parents=True)
        (cache_folder() / "one" / "data.csv").write_bytes(b"content")
        assert obtain("one", RemoteFile("data.csv", ("http://127.0.0.1:9/a",))).read_bytes() == b"content"
        assert cached_files()[0].url == "put there by hand"

    def test_offline_opens_no_connection(self, no_network: None):
        with pytest.raises(SourceError, match=r"not in the cache.*Run it once without --offline"):
            obtain("one", RemoteFile("a", ("http://127.0.0.1:9/a",)), offline=True)

    def test_it_is_listed_and_cleared(self, files: Any):
        files.files["/a"] = b"content"
        for name in ("one", "two"):
            obtain(name, make_remote(files, "/a"))
        listed = run("cache", "list")
        assert "one" in listed.output
        assert "2 files" in listed.output
        assert run("cache", "clear", "one").exit_code == 0
        assert [file.dataset for file in cached_files()] == ["two"]
        with pytest.raises(SettingsError, match="nothing of 'one'"):
            clear_cache("one")
        assert clear_cache() == 7
        assert not cached_files()

    def test_its_place_is_stated(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        assert run("cache", "path").output.strip() == str(tmp_path / "cache")
        monkeypatch.delenv("PHONOLYTE_CACHE")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
        assert cache_folder().name == "phonolyte"


@pytest.mark.parametrize(
    ("retry_after", "pauses"),
    [("7", [7, 7]), ("100000", [300, 300]), ("soon", [6]), ("Wed, 21 Oct 2015 07:28:00 GMT", [6])],
)
def test_a_server_is_waited_for_as_long_as_it_says_but_not_forever(
    files: Any, monkeypatch: pytest.MonkeyPatch, retry_after: str, pauses: list[float]
):
    slept: list[float] = []
    monkeypatch.setattr("urllib3.util.retry.time.sleep", slept.append)
    monkeypatch.setattr(web, "BACKOFF_S", 3.0)
    files.files["/a"] = b"content"
    files.faults.extend(["503", "503"])
    files.retry_after = retry_after
    assert obtain("one", make_remote(files, "/a")).read_bytes() == b"content"
    assert slept == pauses


class TestRegistry:
    def test_everything_has_a_place_a_license_and_a_title(self):
        for data in datasets().values():
            assert data.license
            assert data.title
            assert data.homepage.startswith("https://")
            assert data.files or data.extra or data.name == "centers"  # in the package
            for file in data.files:
                assert len(file.urls) > 1  # a mirror
                assert all(url.startswith("https://") for url in file.urls)
                assert len(file.sha256) in (0, 64)
        assert all(provider.base_url.startswith("https://") for provider in providers().values())
        assert set(optimade_fields()) == {"e_hull_ev", "band_gap_ev"}

    def test_it_is_shown(self):
        shown = run("fetch", "list").output
        assert all(name in shown for name in [*datasets(), *providers()])

    def test_an_unknown_set_is_reported(self):
        with pytest.raises(SettingsError, match="there is no set 'x'"):
            dataset("x")


class Answering:
    """A source that answers with the pages it was given."""

    name, online, phonons, license, citation = "test", False, False, "none", "@misc{test}"

    def __init__(self, pages: list[Page], fails_after: int = 99) -> None:
        self.given, self.fails_after = pages, fails_after
        self.question = {"number": len(pages)}

    def version(self) -> str:
        return "1"

    def pages(self, after: str) -> Iterator[Page]:
        for page in self.given[int(after or 0) :]:
            if self.fails_after == 0:
                raise SourceError("broken")
            self.fails_after -= 1
            yield page


def make_crystal(name: str) -> Crystal:
    return Crystal.from_pymatgen(SALT, material_id=name)


def make_pages(names: list[list[str]]) -> list[Page]:
    return [
        Page([Entry.from_crystal(make_crystal(name), {"band_gap_ev": 5.0}) for name in part],
             next=str(number) if number < len(names) else "", total=sum(map(len, names)))
        for number, part in enumerate(names, start=1)
    ]  # fmt: skip


class TestFetch:
    @settings(deadline=None, max_examples=25)
    @given(st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=4), min_size=1, max_size=4), st.data())
    def test_a_fetch_that_broke_ends_with_the_same_tables_and_counts(
        self, tmp_path_factory: pytest.TempPathFactory, names: list[list[str]], data: st.DataObject
    ):
        folder, pages = tmp_path_factory.mktemp("fetch"), make_pages(names)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SOURCE_DATE_EPOCH", "1790000000")
            whole = fetch(Answering(pages), folder / "whole").tables
            broken = data.draw(st.integers(0, len(pages) - 1))
            with pytest.raises(SourceError):
                fetch(Answering(pages, broken), folder / "broken")
            fetch(Answering(pages), folder / "broken")
        assert whole
        assert whole.n_crystals + len(whole.failures) == whole.n_materials == sum(map(len, names))
        assert whole.n_crystals == len({name for part in names for name in part})
        for path in (folder / "whole").iterdir():
            assert read_content(folder / "broken" / path.name) == read_content(path), path.name

    def test_a_table_says_where_it_comes_from(self, tmp_path: Path):
        fetch(Answering(make_pages([["a"]])), tmp_path)
        for name in ("crystals", "properties"):
            record = json.loads(pq.read_schema(tmp_path / f"{name}.parquet").metadata[b"phonolyte"])
            assert (record["source"], record["version"], record["question"]) == ("test", "1", {"number": 1})
            assert record["fetched"].endswith("Z")
        assert (tmp_path / "cite.bib").read_text().endswith("@misc{test}\n")

    def test_what_is_finished_is_not_requested_again(self, tmp_path: Path):
        fetch(Answering(make_pages([["a"]])), tmp_path)
        assert fetch(Answering(make_pages([["a"]]), 0), tmp_path).tables is None
        assert fetch(Answering(make_pages([["b"]])), tmp_path, anew=True).tables
        assert pd.read_parquet(tmp_path / "crystals.parquet")["material_id"].to_list() == ["b"]

    def test_another_question_does_not_overwrite_an_answer(self, tmp_path: Path):
        fetch(Answering(make_pages([["a"]])), tmp_path / "done")
        with pytest.raises(
            SettingsError, match=r"another run of phonolyte fetch, with other settings \(question\).*--anew"
        ):
            fetch(Answering(make_pages([["a"], ["b"]])), tmp_path / "done")
        with pytest.raises(SourceError):
            fetch(Answering(make_pages([["a"], ["b"]]), 1), tmp_path / "half")
        with pytest.raises(
            SettingsError, match=r"another run of phonolyte fetch, with other settings \(question\).*--anew"
        ):
            fetch(Answering(make_pages([["a"]])), tmp_path / "half")

    def test_offline_keeps_what_is_there(self, tmp_path: Path):
        online = Answering(make_pages([["a"]]))
        fetch(online, tmp_path)
        online.online = True  # type: ignore[misc]
        assert fetch(online, tmp_path, offline=True).tables is None
        with pytest.raises(SourceError, match="cannot be reached offline"):
            fetch(online, tmp_path, offline=True, anew=True)
        assert (tmp_path / "run.toml").is_file()

    def test_densities_on_uneven_grids_and_parts_of_other_scales_are_stored_soundly(self, tmp_path: Path):
        uneven = np.concatenate([np.linspace(0, 10, 50), np.linspace(11, 60, 40)])
        total = np.exp(-((uneven - 25) ** 2) / 50)
        scaled = {"Na": total * 7.0, "Cl": np.exp(-((uneven - 15) ** 2) / 20)}
        dos = PhononDos(uneven, total, scaled, material_id="a", formula="NaCl")
        page = Page([Entry.from_crystal(make_crystal("a"), {}, dos=dos)])
        write_tables([page], tmp_path, phonons=True, provenance={})
        (stored,) = read_densities(tmp_path / "dos.parquet")
        assert not stored.per_element
        assert stored.band_center_mev == pytest.approx(dos.band_center_mev, rel=5e-3)
        row = pd.read_parquet(tmp_path / "properties.parquet").iloc[0]
        assert row["Cl_center_mev"] == pytest.approx(dos.element_centers_mev["Cl"])
        again = Page.from_json(page.as_json()).entries[0].dos
        assert again
        assert again.band_center_mev == dos.band_center_mev


class TestFolder:
    def write(self, folder: Path) -> None:
        """Materials in all the ways that pair, and some that do not."""
        shape = THZ**2 * np.exp(-(THZ**2) / 8)
        columns = np.column_stack([THZ, shape])
        folder.mkdir()
        SALT.to(str(folder / "by_name.cif"))
        np.savetxt(folder / "by_name_dos.dat", columns)
        (folder / "phonopy").mkdir()
        SALT.get_primitive_structure().to(str(folder / "phonopy" / "POSCAR"))
        SALT.to(str(folder / "phonopy" / "SPOSCAR"), fmt="poscar")
        projected = np.column_stack([THZ, shape, np.exp(-((THZ - 7) ** 2))])
        np.savetxt(folder / "phonopy" / "projected_dos.dat", projected, header="Tetrahedron method")
        primitive = SALT.get_primitive_structure()
        data = {"frequencies": THZ.tolist(), "densities": shape.tolist(), "structure": primitive.as_dict(),
                "pdos": [shape.tolist(), (0 * shape).tolist()]}  # fmt: skip
        (folder / "both.json").write_text(json.dumps(data))
        SALT.to(str(folder / "lonely.cif"))
        np.savetxt(folder / "widow_dos.dat", columns)
        (folder / "broken.cif").write_text("data_x\n_cell_length_a 1\n")
        np.savetxt(folder / "broken.dat", columns)
        (folder / "notes.txt").write_text("nothing")

    def test_pairs_are_found_and_the_rest_is_reported(self, tmp_path: Path):
        self.write(tmp_path / "mine")
        result = run("fetch", "folder", tmp_path / "mine", "--unit", "THz", "-o", tmp_path / "run")
        assert result.exit_code == 1, result.output
        table = pd.read_parquet(tmp_path / "run" / "properties.parquet").set_index("material_id")
        assert set(table.index) == {"by_name", "phonopy", "both"}
        mean_mev = 32 / (np.sqrt(np.pi) / 4 * 8**1.5) * 4.135667696
        assert table["band_center_mev"][["by_name", "both"]].to_list() == pytest.approx([mean_mev] * 2, rel=1e-3)
        first = SALT.get_primitive_structure()[0].specie.symbol
        assert table.loc["phonopy", f"{first}_center_mev"] == pytest.approx(mean_mev, rel=1e-3)
        failures = pd.read_parquet(tmp_path / "run" / "failures.parquet").set_index("material_id")["error"]
        assert failures.to_dict() == {"lonely": "NoPhonons", "widow": "NoStructure", "broken": "NoStructure"}

    def test_a_density_of_another_formula_is_refused(self, tmp_path: Path):
        SALT.to(str(tmp_path / "one.cif"))
        other = bulk("MgO", "rocksalt", a=4.2)
        data = {"frequencies": THZ.tolist(), "densities": (THZ * (10 - THZ)).tolist(),
                "structure": Crystal.from_ase(other).to_pymatgen().as_dict()}  # fmt: skip
        (tmp_path / "one_dos.json").write_text(json.dumps(data))
        page = next(Folder(tmp_path).pages(""))
        assert {failure.error for failure in page.failures} == {"NoPhonons"}  # the file has both, one.cif has none
        assert [entry.formula for entry in page.entries] == ["MgO"]

    def test_two_densities_of_one_name_are_given_to_none(self, tmp_path: Path):
        shape = THZ * (10 - THZ)
        records = [{"material_id": name, "structure": SALT.as_dict(), "frequencies": (THZ * scale).tolist(),
                    "densities": shape.tolist()} for name, scale in (("a", 1.0), ("b", 1.0), ("a", 2.0))]  # fmt: skip
        (tmp_path / "some.jsonl").write_text("\n".join(map(json.dumps, records)))
        page = next(Folder(tmp_path).pages(""))
        assert [entry.material_id for entry in page.entries] == ["b"]
        assert [failure.material_id for failure in page.failures] == ["a", "a"]

    def test_a_damaged_file_is_a_failure_and_not_nothing(self, tmp_path: Path):
        SALT.to(str(tmp_path / "good.cif"))
        np.savetxt(tmp_path / "good_dos.dat", np.column_stack([THZ, THZ * (10 - THZ)]))
        raw = gzip.compress(json.dumps(SALT.as_dict()).encode())
        (tmp_path / "cut.json.gz").write_bytes(raw[: len(raw) // 2])
        (tmp_path / "other.bin.gz").write_bytes(b"rubbish")
        (tmp_path / "up").symlink_to(tmp_path)
        page = next(Folder(tmp_path, unit="THz").pages(""))
        assert [entry.material_id for entry in page.entries] == ["good"]
        assert [failure.material_id for failure in page.failures] == ["cut"]

    def test_a_folder_without_either_is_reported(self, tmp_path: Path):
        (tmp_path / "notes.txt").write_text("nothing")
        with pytest.raises(SourceError, match="neither crystals nor densities"):
            next(Folder(tmp_path).pages(""))
        with pytest.raises(SourceError, match="is not a folder"):
            next(Folder(tmp_path / "gone").pages(""))


class TestNCrystal:
    @pytest.fixture(scope="class")
    def library(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder = tmp_path_factory.mktemp("ncrystal")
        fetch(NCrystal(), folder)
        return folder

    def test_compounds_have_centers_of_each_element(self, library: Path):
        table = pd.read_parquet(library / "properties.parquet").set_index("material_id")
        assert len(table) > 100
        oxide = table.loc["Li2O_sg225_LithiumOxide"]
        assert 45 < oxide["O_center_mev"] < oxide["band_center_mev"] < oxide["Li_center_mev"] < 60
        failures = pd.read_parquet(library / "failures.parquet")
        assert len(table) + len(failures) == 134
        assert failures["error"].isin(["NotPeriodic", "NoPhonons", "UnknownElement"]).all()

    def test_the_total_is_the_mean_over_the_atoms(self, library: Path):
        table = pd.read_parquet(library / "properties.parquet").set_index("material_id")
        for entry in read(library / "crystals.parquet").crystals:
            n = {symbol: entry.symbols.count(symbol) for symbol in entry.composition}
            centers = table.loc[entry.material_id, [f"{symbol}_center_mev" for symbol in n]]
            mean = np.average(centers.to_numpy(float), weights=[*n.values()])
            assert table.loc[entry.material_id, "band_center_mev"] == pytest.approx(mean, rel=1e-6)

    def test_densities_have_three_states_an_atom(self, library: Path):
        for dos in read_densities(library / "dos.parquet"):
            assert dos.states_per_atom == pytest.approx(3.0, abs=0.01)

    def test_the_cell_is_that_of_its_space_group(self, library: Path):
        import spglib

        table = pd.read_parquet(library / "properties.parquet").set_index("material_id")
        for entry in read(library / "crystals.parquet").crystals[::5]:
            symmetry = spglib.get_symmetry_dataset((entry.lattice, entry.frac_coords, entry.numbers), symprec=1e-2)
            assert symmetry.number == table.loc[entry.material_id, "space_group_number"], entry.material_id

    def test_it_opens_no_connection(self, tmp_path: Path, no_network: None):
        result = run("fetch", "ncrystal", "--offline", "-o", tmp_path)
        assert result.exit_code == 1, result.output
        assert "106 crystals" in result.output


def serve(files: Any, name: str, contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a set of the registry come from a server of this machine."""
    records = {**registry._records()}
    parts = []
    for file, raw in contents.items():
        files.files[f"/{file}"] = raw
        parts.append({"name": file, "urls": [f"{files.url}/{file}"]})
    records["dataset"] = {**records["dataset"], name: {**records["dataset"][name], "files": parts}}
    monkeypatch.setattr(registry, "_records", lambda: records)


class TestPublished:
    def test_bytes_that_are_not_text_cost_one_row(self, tmp_path: Path):
        row = f'mp-{{}},"{{}}","{(THZ * 33).tolist()}","{(THZ * (10 - THZ)).tolist()}"\n'
        structure = json.dumps(SALT.as_dict()).replace('"', '""')
        text = "mp_id,structure,phfreq,phdos\n" + "".join(row.format(i, structure) for i in range(3))
        raw = text.encode().replace(b"mp-1", b"mp-\xff").replace(b'""Na""', b'""N\xff""', 1)
        (tmp_path / "data.csv").write_bytes(raw)
        page = parse_phonon_csv({"data.csv": tmp_path / "data.csv"})
        assert [entry.material_id for entry in page.entries] == ["mp-\ufffd", "mp-2"]
        assert [failure.material_id for failure in page.failures] == ["mp-0"]

    def test_petretto_in_both_forms_of_structure(self, files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        cm = np.arange(0.0, 1020.0, 20.0)
        shape = np.exp(-((cm - 200) ** 2) / 5000)
        part = np.exp(-((cm - 300) ** 2) / 5000)
        ase = {"numbers": [11, 17], "positions": [[0, 0, 0], [2.82, 2.82, 2.82]],
               "cell": [[0, 2.82, 2.82], [2.82, 0, 2.82], [2.82, 2.82, 0]], "pbc": [True, True, True]}  # fmt: skip
        rows = [
            {"mp_id": "mp-1", "structure": str(ase), "pdos": str({"Na": part.tolist(), "Cl": shape.tolist()})},
            {"mp_id": "mp-2", "structure": json.dumps(SALT.as_dict()), "pdos": "{}"},
            {"mp_id": "mp-3", "structure": "__import__('os').abort()", "pdos": "{}"},
        ]
        table = pd.DataFrame([{**row, "phfreq": str(cm.tolist()), "phdos": str(shape.tolist())} for row in rows])
        serve(files, "petretto2018", {"data.csv": table.to_csv(index=False).encode()}, monkeypatch)
        result = run("fetch", "petretto2018", "-o", tmp_path / "run")
        assert result.exit_code == 1, result.output
        properties = pd.read_parquet(tmp_path / "run" / "properties.parquet").set_index("material_id")
        assert properties["band_center_mev"].to_list() == pytest.approx([200 * 0.1239841984] * 2, rel=1e-3)
        assert properties.loc["mp-1", "Na_center_mev"] == pytest.approx(300 * 0.1239841984, rel=1e-3)
        assert pd.read_parquet(tmp_path / "run" / "failures.parquet")["material_id"].to_list() == ["mp-3"]
        assert read_citations(tmp_path / "run") == {"petretto2018", "chen2021"}

    def test_the_set_of_the_study_comes_through(
        self, files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: Path
    ):
        raw = gzip.decompress((shared / "data" / "petretto2018_phonon_dos.csv.gz").read_bytes())
        serve(files, "petretto2018", {"data.csv": raw}, monkeypatch)
        tables = fetch(Published("petretto2018"), tmp_path).tables
        assert tables
        assert tables.n_materials == 1258
        assert tables.n_crystals + len(tables.failures) == 1258
        centers = pd.read_parquet(tmp_path / "crystals.parquet").set_index("material_id")["band_center_mev"]
        known = {c.material_id: c.properties["band_center_mev"] for c in
                 read(shared / "data" / "learning_set_1272.jsonl.gz").crystals}  # fmt: skip
        both = centers[centers.index.isin(known)]
        assert len(both) > 1000
        assert np.abs(both - [known[name] for name in both.index]).median() < 0.5

    def test_obelix_has_conductivities_of_all_and_the_crystals_of_some(
        self, files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        disordered = Structure(SALT.lattice, [{"Li": 0.5, "Na": 0.5}, "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
        for name, structure in (("abc", SALT), ("xyz", disordered)):
            (tmp_path / "all_randomized_cifs").mkdir(exist_ok=True)
            structure.to(str(tmp_path / "all_randomized_cifs" / f"{name}.cif"))
        with tarfile.open(tmp_path / "all_cifs.tar.gz", "w:gz") as archive:
            archive.add(tmp_path / "all_randomized_cifs", "all_randomized_cifs")
        columns = ("ID", "Reduced Composition", "Ionic conductivity (S cm-1)", "IC (Total)", "IC (Bulk)",
                   "Space group #", "Family", "DOI", "Cif ID", "ICSD ID")  # fmt: skip
        rows = [
            ("abc", "Na Cl", "1.5E-3", "1.5E-3", "", "225", "salt", "10.1/x", "done", "1234.0"),
            ("xyz", "Li0.5Na0.5Cl", "<1E-10", "", "", "225", "salt", "10.1/y", "done", ""),
            ("none", "Li3N", "2e-4", "", "2e-4", "191", "nitride", "10.1/z", "", ""),
        ]
        table = pd.DataFrame(rows, columns=list(columns)).to_csv(index=False).encode()
        archive_raw = (tmp_path / "all_cifs.tar.gz").read_bytes()
        serve(files, "obelix", {"all.csv": table, "all_cifs.tar.gz": archive_raw}, monkeypatch)
        assert run("fetch", "obelix", "-o", tmp_path / "run").exit_code == 1
        properties = pd.read_parquet(tmp_path / "run" / "properties.parquet").set_index("material_id")
        assert properties["sigma_s_cm"].fillna(-1).to_dict() == {"abc": 1.5e-3, "xyz": -1, "none": 2e-4}
        assert properties.loc["xyz", "sigma_below_s_cm"] == 1e-10
        assert properties.loc["abc", "icsd_ids"] == "1234"
        assert pd.read_parquet(tmp_path / "run" / "crystals.parquet")["formula"].to_list() == ["NaCl", "Na0.5Li0.5Cl"]
        failures = pd.read_parquet(tmp_path / "run" / "failures.parquet").set_index("material_id")["error"]
        assert failures.to_dict() == {"none": "NoStructure"}

    def test_a_file_with_other_columns_is_reported(self, files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        serve(files, "petretto2018", {"data.csv": b"mp_id,structure\n"}, monkeypatch)
        with pytest.raises(SourceError, match=r"data.csv has changed: it lacks the columns phdos, phfreq"):
            fetch(Published("petretto2018"), tmp_path)

    def test_offline_uses_the_cache_alone(
        self, files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
    ):
        row = {"mp_id": "mp-2", "structure": json.dumps(SALT.as_dict()), "phfreq": "[0, 20, 40, 60]",
               "phdos": "[0, 1, 1, 0]"}  # fmt: skip
        serve(files, "petretto2018", {"data.csv": pd.DataFrame([row]).to_csv(index=False).encode()}, monkeypatch)
        fetch(Published("petretto2018"), tmp_path / "one")
        request.getfixturevalue("no_network")
        assert fetch(Published("petretto2018", offline=True), tmp_path / "two", offline=True).tables
        with pytest.raises(SourceError, match="not in the cache"):
            fetch(Published("obelix", offline=True), tmp_path / "three", offline=True)


def test_a_page_survives_json():
    dos = PhononDos(np.linspace(0, 40, 81), np.linspace(0, 1, 81) ** 2, material_id="a", formula="NaCl")
    entry = Entry.from_crystal(make_crystal("a"), {"x": 0.1 + 0.2}, dos=dos)
    page = Page([entry, Entry("c", "NaCl")], [Failure("b", "fetch", "E", "m")], "2", 9)
    again = Page.from_json(json.loads(json.dumps(page.as_json())))
    assert again.as_json() == page.as_json()
    assert (again.failures, again.next, again.total) == (page.failures, "2", 9)
    assert page.n_materials == again.n_materials == 3
    for array in ("lattice", "numbers", "frac_coords"):
        restored, expected = (getattr(page.entries[0].crystal, array) for page in (again, page))
        assert (restored.dtype, restored.tolist()) == (expected.dtype, expected.tolist())
    assert again.entries[0].dos.total.tolist() == dos.total.tolist()  # type: ignore[union-attr]
    assert (again.entries[0].properties, again.entries[1].crystal) == ({"x": 0.1 + 0.2}, None)


def test_a_density_goes_by_the_name_of_its_crystal():
    dos = PhononDos(np.linspace(0, 40, 81), np.linspace(0, 1, 81) ** 2, formula="NaCl")
    named = Entry.from_crystal(make_crystal("a"), {}, dos=dos).dos
    assert named
    assert (named.material_id, named.formula) == ("a", "NaCl")
    with pytest.raises(DosError, match="a is NaCl, and its density of states is of MgO"):
        Entry.from_crystal(make_crystal("a"), {}, dos=replace(dos, formula="MgO"))


def read_citations(run: Path) -> set[str]:
    return set(re.findall(r"@\w+\{(\w+),", (run / "cite.bib").read_text()))


class TestCitations:
    """A fetch cites its source, and no other one."""

    def test_ncrystal(self, tmp_path: Path):
        fetch(NCrystal(), tmp_path)
        assert read_citations(tmp_path) == {"cai2020"}

    def test_the_files_of_the_user(self, tmp_path: Path):
        SALT.to(str(tmp_path / "a.cif"))
        np.savetxt(tmp_path / "a_dos.dat", np.column_stack([THZ, THZ * (10 - THZ)]))
        fetch(Folder(tmp_path, "THz"), tmp_path / "run")
        assert read_citations(tmp_path / "run") == set()

    @pytest.mark.parametrize(
        ("source", "keys"),
        [
            (MaterialsProject(), ["jain2013"]),
            (MaterialsProject(what="phonons"), ["jain2013", "petretto2018"]),
            (MaterialsProject(gnome=True), ["jain2013", "merchant2023"]),
            (Optimade("cod"), ["evans2024", "grazulis2009"]),
            (Optimade("mp"), ["evans2024", "jain2013"]),
            (Optimade("mine", base_url="http://127.0.0.1:9"), ["evans2024"]),
            (Published("obelix"), ["therrien2025"]),
            (Published("petretto2018"), ["petretto2018", "chen2021"]),
        ],
    )
    def test_the_others(self, source: Source, keys: list[str]):
        assert re.findall(r"@\w+\{(\w+),", source.citation) == keys

    def test_every_source_of_the_registry_has_one(self):
        assert all(source.citation.startswith("@") for source in [*datasets().values(), *providers().values()])


@pytest.mark.parametrize("source", [Folder, MaterialsProject, NCrystal, Optimade, Published])
def test_a_source_is_its_settings_and_each_is_described(source: type[Source]):
    """Options of a command can be made of them."""
    assert is_dataclass(source)
    assert source.__dataclass_params__.frozen  # type: ignore[attr-defined]
    described = re.findall(r"(?m)^    (\w+)\n        \S", (source.__doc__ or "").partition("Attributes")[2])
    assert described == [field.name for field in fields(source)]
    assert not {"online", "phonons", "license", "citation"} & {*described}
