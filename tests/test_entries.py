"""Phases of chemical systems with their energies: fetched whole, in pieces, wrongly, and read for a hull."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import mp_server
import numpy as np
import pandas as pd
import pytest
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition, Lattice, Structure
from run_folder import read_content
from typer.testing import CliRunner

from phonolyte import verbs
from phonolyte.chemistry.systems import largest_systems, parse_system, subsystems
from phonolyte.cli import app
from phonolyte.errors import SettingsError, SourceError, TableError
from phonolyte.forces import open_engine
from phonolyte.runs.executors import ExecutorSettings
from phonolyte.runs.settings import OutputSettings
from phonolyte.sources import MaterialsProjectPhases, fetch, phases, read_entries, web
from phonolyte.sources.entries import Entries
from phonolyte.sources.systems import systems_of
from phonolyte.stability import StabilitySettings
from phonolyte.structures import Crystal

KEY = "S3cretS3cretS3cretS3cretS3cret42"
SYSTEM = "Cl-Li-P-S"
CORRECTIONS = {"S": -0.503, "Cl": -0.614, "N": -0.361}
"""MP2020 corrections of anions in compounds, eV an atom of the element (doi 10.1038/s41598-021-94550-5)."""

GGA = {
    "mp-135": ("Li", -1.91), "mp-157": ("P4", -5.41), "mp-77": ("S8", -4.13), "mp-22848": ("Cl2", -1.84),
    "mp-1153": ("Li2S", -4.0), "mp-22905": ("LiCl", -3.4), "mp-736": ("Li3P", -3.47), "mp-541788": ("P4S10", -4.75),
    "mp-985583": ("Li3PS4", -4.4), "mp-1097036": ("Li3PS4", -4.38), "mp-985592": ("Li6PS5Cl", -4.15),
    "mp-23186": ("PCl3", -3.2), "mp-10172": ("Na", -1.31), "mp-648": ("Na2S", -3.6), "mp-2251": ("Li3N", -3.9),
    "mp-154": ("N2", -8.3),
}  # fmt: skip
"""Material -> cell, and energy without corrections, eV/atom; near those of GGA, and made for these tests."""

R2SCAN = {"mp-135": ("Li", -2.33), "mp-77": ("S8", -8.1), "mp-1153": ("Li2S", -6.2), "mp-3000001": ("Li2S2", -6.9)}
OF_GNOME = "mp-3000001"
WITHOUT_CRYSTAL = "mp-23186"


def line_up_atoms(formula: str) -> Structure:
    """The atoms of a cell in a row, 3 angstrom apart."""
    symbols = [element.symbol for element, n in Composition(formula).items() for _ in range(int(n))]
    coords = [[0, 0, i / len(symbols)] for i in range(len(symbols))]
    return Structure(Lattice.orthorhombic(3, 3, 3 * len(symbols)), symbols, coords)


def make_entries(table: Mapping[str, tuple[str, float]], run_type: str) -> list[Any]:
    """Entries as the Materials Project builds its thermo documents from, corrected where they are of GGA."""
    from pymatgen.entries.computed_entries import CompositionEnergyAdjustment, ComputedStructureEntry

    entries = []
    for name, (formula, energy) in table.items():
        structure = line_up_atoms(formula)
        corrected = CORRECTIONS if run_type == "GGA" and len(structure.composition) > 1 else {}
        adjustments = [
            CompositionEnergyAdjustment(value, structure.composition[symbol], name=f"MP2020 correction ({symbol})")
            for symbol, value in corrected.items()
            if symbol in structure.composition
        ]
        data = {"material_id": name, "task_id": name, "run_type": run_type,
                "license": "BY-NC" if name == OF_GNOME else "BY-C"}  # fmt: skip
        entries.append(
            ComputedStructureEntry(
                structure, energy * len(structure), energy_adjustments=adjustments, data=data, entry_id=name,
                parameters={"run_type": run_type},
            )
        )  # fmt: skip
    return entries


def write_thermo(folder: Path) -> None:
    """Documents as emmet makes them of such entries, with the hull of pymatgen."""
    from emmet.core.thermo import ThermoDoc
    from emmet.core.types.enums import ThermoType
    from emmet.core.vasp.calc_types.enums import RunType

    documents = []
    for table, run_type, kind in ((GGA, "GGA", ThermoType.GGA_GGA_U), (R2SCAN, "r2SCAN", RunType.r2SCAN)):
        entries = make_entries(table, run_type)
        names = [entry.data["material_id"] for entry in entries]
        for name, document in zip(names, ThermoDoc.from_entries(entries, kind), strict=True):
            documents.append(document.model_dump(mode="json") | {"material_id": name})
    for document in documents:
        if document["material_id"] == WITHOUT_CRYSTAL:
            document["entries"]["GGA"]["structure"] = None
    (folder / "thermo.json").write_text(json.dumps(documents))


def convert_to_arrow(value: Any, kind: Any) -> Any:
    """A value whose dictionaries are pairs where Arrow has a map."""
    import pyarrow as pa

    if value is None:
        return None
    if pa.types.is_map(kind):
        return [(key, convert_to_arrow(part, kind.item_type)) for key, part in value.items()]
    if pa.types.is_struct(kind):
        return {field.name: convert_to_arrow(value.get(field.name), field.type) for field in kind}
    return [convert_to_arrow(part, kind.value_type) for part in value] if pa.types.is_list(kind) else value


def write_diagram(folder: Path) -> None:
    """A Delta table with the mixed phase diagram of Li-S, whose scale is one of its own."""
    import pyarrow as pa
    from deltalake import write_deltalake
    from emmet.core.arrow import arrowize
    from emmet.core.types.pymatgen_types.phase_diagram_adapter import PhaseDiagramType
    from pydantic import TypeAdapter

    entries = make_entries(R2SCAN, "r2SCAN")
    for entry in entries:
        entry.entry_id = {"identifier": entry.entry_id, "suffix": "r2SCAN", "separator": "-"}
    diagram = PhaseDiagram(entries)
    kind = arrowize(PhaseDiagramType)
    dumped = TypeAdapter(PhaseDiagramType).dump_python(
        diagram, mode="json", context={"format": "arrow"}, fallback=lambda value: value.tolist()
    )
    row = {"chemsys": "Li-S", "version": mp_server.VERSION.replace(".", "-"), "thermo_type": "GGA_GGA+U_R2SCAN",
           "phase_diagram": convert_to_arrow(dumped, kind)}  # fmt: skip
    columns = [(name, pa.string()) for name in ("chemsys", "version", "thermo_type")]
    schema = pa.schema([*columns, ("phase_diagram", kind)])
    write_deltalake(folder / "store" / mp_server.DIAGRAMS, pa.Table.from_pylist([row], schema=schema))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mp_server.Server]:
    folder = tmp_path_factory.mktemp("thermo")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of foreign models about each other
        write_thermo(folder)
        write_diagram(folder)
    with mp_server.serving(folder) as running:
        yield running


@pytest.fixture(autouse=True)
def environment(server: mp_server.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"MP_API_KEY": KEY, "AWS_ENDPOINT_URL": server.url, "AWS_ALLOW_HTTP": "true",
                        "MPRESTER_ENDPOINT": server.url, "SOURCE_DATE_EPOCH": "1790000000"}.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(web, "BACKOFF_S", 0.0)
    server.control([], mp_server.VERSION)


def make_source(server: mp_server.Server, *systems: str, **more: Any) -> MaterialsProjectPhases:
    return MaterialsProjectPhases(systems=systems or ("Li-P-S-Cl",), endpoint=server.url, **more)


def test_a_chemical_system_comes_with_all_its_subsystems(server: mp_server.Server, tmp_path: Path):
    result = fetch(make_source(server), tmp_path)
    assert result.tables
    table = pd.read_parquet(tmp_path / "properties.parquet").set_index("material_id")
    assert set(table.index) == set(GGA) - {"mp-10172", "mp-648", "mp-2251", "mp-154"}
    row = table.loc["mp-1153"]
    assert row[["formula", "chemical_system", "thermo_type"]].to_list() == ["Li2S", "Li-S", "GGA_GGA+U"]
    assert row["uncorrected_energy_ev_atom"] == pytest.approx(-4.0)
    assert row["energy_ev_atom"] == pytest.approx(-4.0 - 0.503 / 3)
    assert row["formation_ev_atom"] == pytest.approx(-4.0 - 0.503 / 3 + (2 * 1.91 + 4.13) / 3)
    assert table.loc["mp-1097036", "e_hull_ev"] == pytest.approx(0.02)  # above the other Li3PS4, which is stable
    systems = pd.read_csv(tmp_path / "systems.csv")
    assert systems.to_dict("records") == [{"chemical_system": SYSTEM, "n_phases": 12}]
    assert 'thermo_type = "GGA_GGA+U"' in (tmp_path / "run.toml").read_text()
    assert "10.1038/s41598-021-94550-5" in (tmp_path / "cite.bib").read_text()  # of the corrections
    units = pd.read_csv(tmp_path / "columns.csv").set_index("column")["unit"]
    assert units[["energy_ev_atom", "uncorrected_energy_ev_atom", "formation_ev_atom"]].to_list() == ["eV/atom"] * 3


def test_a_phase_without_a_crystal_keeps_its_energy(server: mp_server.Server, tmp_path: Path):
    result = fetch(make_source(server), tmp_path)
    assert result.tables
    (failure,) = result.tables.failures
    assert (failure.material_id, failure.error) == (WITHOUT_CRYSTAL, "NoStructure")
    assert (result.tables.n_crystals, result.tables.n_materials) == (11, 12)
    assert WITHOUT_CRYSTAL in set(read_entries(tmp_path).table["material_id"])
    assert WITHOUT_CRYSTAL not in set(pd.read_parquet(tmp_path / "crystals.parquet")["material_id"])


def test_the_table_gives_the_hull_of_the_database(server: mp_server.Server, tmp_path: Path):
    fetch(make_source(server), tmp_path)
    entries = read_entries(tmp_path)
    diagram = PhaseDiagram(make_hull_entries(entries.table))
    recomputed = [diagram.get_e_above_hull(entry) for entry in make_hull_entries(entries.table)]
    assert np.abs(np.array(recomputed) - entries.table["e_hull_ev"].to_numpy()).max() < 1e-9
    assert np.count_nonzero(entries.table["e_hull_ev"] > 1e-3) > 0


def make_hull_entries(table: pd.DataFrame) -> list[PDEntry]:
    rows = zip(table["material_id"], table["formula"], table["energy_ev_atom"], strict=True)
    return [PDEntry(formula, Composition(formula).num_atoms * energy, name) for name, formula, energy in rows]


def test_stability_takes_the_energies_of_a_fetch(server: mp_server.Server, tmp_path: Path):
    fetch(make_source(server), tmp_path / "mp")
    engine = open_engine("ase.calculators.lj:LennardJones", epsilon=0.1, sigma=2.0)
    crystal = Crystal.from_pymatgen(line_up_atoms("Li2S"), material_id="own")
    outcome = verbs.stability(
        [crystal], engine=engine, settings=StabilitySettings(static=True, competing=str(tmp_path / "mp")),
        folder=tmp_path / "run", output=OutputSettings(figures=False, report=False), executor=ExecutorSettings(jobs=1),
    )  # fmt: skip
    (row,) = outcome.table.to_dict("records")

    def compute_energy(formula: str) -> float:
        atoms = line_up_atoms(formula).to_ase_atoms()
        atoms.calc = engine.calculator
        return atoms.get_potential_energy() / len(atoms)

    own = compute_energy("Li2S") - (2 * compute_energy("Li") + compute_energy("S8")) / 3 + CORRECTIONS["S"] / 3
    assert row["formation_ev_atom"] == pytest.approx(own, abs=1e-6)
    # Li2S of the database: -4.0 with its correction, from elements at -1.91 and -4.13 eV/atom
    known = -4.0 + CORRECTIONS["S"] / 3 - (2 * -1.91 - 4.13) / 3
    assert row["decomposition_ev"] == pytest.approx(own - known, abs=1e-6)
    assert row["not_covered"] != ""  # cathodes and water are not in the fetch


def test_several_systems_share_their_elements(server: mp_server.Server, tmp_path: Path):
    fetch(make_source(server, "N-Li", "Na-S-Li", "Li-S"), tmp_path)
    entries = read_entries(tmp_path)
    assert entries.systems == ("Li-N", "Li-Na-S")  # Li-S is part of the second
    names = {"mp-135", "mp-77", "mp-1153", "mp-10172", "mp-648", "mp-2251", "mp-154"}
    assert set(entries.table["material_id"]) == names
    assert pd.read_csv(tmp_path / "systems.csv")["n_phases"].to_list() == [3, 5]
    assert entries.covers(["Na", "S"])
    assert not entries.covers(["Na", "N"])


def test_small_pages_give_the_same_tables_and_go_on_after_a_fault(
    server: mp_server.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    fetch(make_source(server), tmp_path / "whole")
    monkeypatch.setattr(phases, "BATCH", 3)
    monkeypatch.setattr(phases, "PAGE_SIZE", 2)
    server.control([*[""] * 8, *["server"] * 20])
    with pytest.raises(SourceError, match=r"endpoint materials/thermo, database version 2026.09.15.*status code 500"):
        fetch(make_source(server), tmp_path / "pieces")
    n_pages = len([*(tmp_path / "pieces" / ".fetch").glob("0*.json.gz")])
    assert n_pages > 0
    server.control(["rate", "null", "no json", "cut"])
    fetch(make_source(server), tmp_path / "pieces")
    requests = [path for path in server.control()["requests"] if "thermo" in path]
    assert not any("chemsys=Cl%2CLi%2CP%2CS&" in path for path in requests)  # the elements are there already
    assert any("chemsys=Li-S%2CP-S&" in path for path in requests)  # the last ones were not
    whole, pieces = (read_entries(tmp_path / name).table.sort_values("material_id") for name in ("whole", "pieces"))
    pd.testing.assert_frame_equal(whole.reset_index(drop=True), pieces.reset_index(drop=True))
    assert read_content(tmp_path / "whole" / "systems.csv") == read_content(tmp_path / "pieces" / "systems.csv")


def test_energies_of_another_type_are_a_table_of_their_own(server: mp_server.Server, tmp_path: Path):
    fetch(make_source(server, "Li-S", thermo_type="R2SCAN"), tmp_path / "r2scan")
    table = read_entries(tmp_path / "r2scan").table.set_index("material_id")
    assert table["energy_ev_atom"].to_dict() == pytest.approx({"mp-135": -2.33, "mp-77": -8.1, "mp-1153": -6.2})
    assert set(table["thermo_type"]) == {"R2SCAN"}  # and not r2SCAN
    fetch(make_source(server, "Li-S", thermo_type="R2SCAN", gnome=True), tmp_path / "gnome")
    assert OF_GNOME in set(read_entries(tmp_path / "gnome").table["material_id"])
    assert "BY-NC" in (tmp_path / "gnome" / "run.toml").read_text()
    fetch(make_source(server, "Li-S"), tmp_path / "gga")
    mixed = pd.concat([pd.read_parquet(tmp_path / name / "properties.parquet") for name in ("gga", "gnome")])
    mixed.assign(material_id=[f"m-{i}" for i in range(len(mixed))]).to_parquet(tmp_path / "mixed.parquet")
    with pytest.raises(TableError, match=r"several types: they are GGA_GGA\+U, R2SCAN"):
        read_entries(tmp_path / "mixed.parquet")


def test_mixed_energies_are_those_of_the_phase_diagram_of_one_system(server: mp_server.Server, tmp_path: Path):
    fetch(make_source(server, "S-Li", thermo_type="GGA_GGA+U_R2SCAN"), tmp_path)
    table = read_entries(tmp_path).table.set_index("material_id")
    assert table["energy_ev_atom"].to_dict() == pytest.approx({"mp-135": -2.33, "mp-77": -8.1, "mp-1153": -6.2})
    assert table.loc["mp-1153", "formation_ev_atom"] == pytest.approx(-6.2 + (2 * 2.33 + 8.1) / 3)
    with pytest.raises(SettingsError, match="mixed energies can be fetched of one chemical system, not of 2"):
        make_source(server, "Li-S", "Li-N", thermo_type="GGA_GGA+U_R2SCAN")
    with pytest.raises(SourceError, match="it has no mixed phase diagram of Li-N"):
        fetch(make_source(server, "Li-N", thermo_type="GGA_GGA+U_R2SCAN"), tmp_path / "none")


def test_a_system_without_the_energy_of_an_element_is_named(server: mp_server.Server, tmp_path: Path):
    result = fetch(make_source(server, "Li-S", "Lr-S", "Li-N"), tmp_path / "some")
    assert result.tables
    (failure,) = result.tables.failures
    assert (failure.material_id, failure.error) == ("Lr-S", "NoElement")
    assert read_entries(tmp_path / "some").systems == ("Li-N", "Li-S")
    with pytest.raises(SourceError, match=r"Lr-S has no hull: .* 2026.09.15, has no GGA_GGA\+U energy of Lr. Leave"):
        fetch(make_source(server, "Lr-S"), tmp_path / "none")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"energy_per_atom": None}, r"mp-\d+ has no field 'energy_per_atom': its schema has changed"),
        ({"energy_per_atom": "low"}, "is 'low'"),
        ({"thermo_type": "R2SCAN"}, r"has an energy of type R2SCAN, and GGA_GGA\+U was requested"),
        ({"formula_pretty": "NaCl"}, "is NaCl, which is not of the requested chemical systems"),
    ],
)
def test_documents_that_are_not_what_was_requested_are_refused(
    server: mp_server.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], message: str
):
    search = MaterialsProjectPhases._search

    def search_and_change(self: MaterialsProjectPhases, systems: Sequence[str]) -> list[dict[str, Any]]:
        first, *rest = search(self, systems)
        return [{**first, **change}, *rest]

    monkeypatch.setattr(MaterialsProjectPhases, "_search", search_and_change)
    with pytest.raises(SourceError, match=f"materials/thermo, database version 2026.09.15: .*{message}"):
        fetch(make_source(server), tmp_path)


def test_phases_that_do_not_come_are_reported(server: mp_server.Server, tmp_path: Path):
    server.control(["", "empty"])
    with pytest.raises(SourceError, match=r"0 phases came, and 4 were announced"):
        fetch(make_source(server), tmp_path)


def test_a_hull_needs_chemical_systems():
    with pytest.raises(SettingsError, match=r"compounds without the ion included. Give --chemical-systems"):
        MaterialsProjectPhases(systems=())
    with pytest.raises(SettingsError, match="'Xx' is not an element"):
        MaterialsProjectPhases(systems=("Li-Xx",))
    with pytest.raises(SettingsError, match="11 elements, thus 2,047 subsystems"):
        parse_system("Li-Na-K-Rb-Cs-O-S-P-F-Cl-Br")


def test_systems_have_all_their_parts_once():
    assert subsystems(parse_system("S-Li-P")) == ["Li", "P", "S", "Li-P", "Li-S", "P-S", "Li-P-S"]
    assert len(subsystems(parse_system("Li-P-S-Cl-O"))) == 31
    assert largest_systems(["Li-S", "Li-P-S", "Li-P-S", "Li", "Li-N"]) == ("Li-N", "Li-P-S")


def test_the_systems_of_a_table_are_fetched(server: mp_server.Server, tmp_path: Path):
    pd.DataFrame({"formula": ["Li3PS4", "Li7P3S11", "NaCl", "nothing", "Li6PS5Cl"]}).to_csv(tmp_path / "t.csv")
    systems, failures = systems_of(tmp_path / "t.csv", ion="Li")
    assert systems == (SYSTEM,)
    assert [failure.material_id for failure in failures] == ["t.csv, row 4"]
    line_up_atoms("Li3N").to_file(str(tmp_path / "nitride.cif"))
    assert systems_of(tmp_path / "nitride.cif", ion="Li")[0] == ("Li-N",)
    with pytest.raises(SettingsError, match="none of its 1 materials contains Na"):
        systems_of(tmp_path / "nitride.cif", ion="Na")
    run = CliRunner().invoke(
        app, ["fetch", "mp", "--what", "entries", "--systems-of", str(tmp_path / "t.csv"), "--chemical-systems", "N-Li",
              "-o", str(tmp_path / "run")],
    )  # fmt: skip
    assert not isinstance(run.exception, Exception), run.exception
    assert run.exit_code == 1, run.output  # a phase has no crystal
    assert "row 4" in run.output
    assert read_entries(tmp_path / "run").systems == (SYSTEM, "Li-N")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--chemical-systems", "Li-S"], "chemical systems do not apply to structures"),
        (["--what", "entries"], "no chemical system is given"),
        (["--what", "entries", "--chemical-systems", "Li-S"], "there is no key for the Materials Project"),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
):
    monkeypatch.delenv("MP_API_KEY")
    monkeypatch.setattr("pymatgen.core.SETTINGS", {})
    with pytest.raises(SettingsError, match=message):
        CliRunner().invoke(app, ["fetch", "mp", *options, "-o", str(tmp_path)], catch_exceptions=False)


def write_own_table(tmp_path: Path, **columns: Sequence[Any]) -> Path:
    table = {"material_id": ["a", "b"], "formula": ["Li", "Li2S"], "energy_per_atom": [-1.9, -4.2], **columns}
    pd.DataFrame(table).to_csv(tmp_path / "own.csv", index=False)
    return tmp_path / "own.csv"


def test_a_table_of_ones_own_says_nothing_of_systems(tmp_path: Path):
    entries = read_entries(write_own_table(tmp_path))  # with the name of the energy as mp-api has it
    assert entries.table["energy_ev_atom"].to_list() == [-1.9, -4.2]
    assert entries.table["chemical_system"].to_list() == ["Li", "Li-S"]
    assert entries.systems == ()
    assert not entries.covers(["Li"])
    assert Entries(entries.table, ("Li-S",)).covers(["Li"])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"energy_per_atom": [-1.9, np.nan]}, "1 phases without a usable energy: that of b is nan"),
        ({"energy_per_atom": [-1.9, "low"]}, "that of b is low"),
        ({"material_id": ["a", "a"]}, "a more than once"),
        ({"material_id": ["a", ""]}, "1 rows without a material_id"),
        ({"formula": ["Li", "Lithium"]}, "'Lithium' is not a formula"),
    ],
)
def test_a_table_that_would_give_a_wrong_hull_is_refused(tmp_path: Path, columns: dict[str, Any], message: str):
    with pytest.raises(TableError, match=message):
        read_entries(write_own_table(tmp_path, **columns))


def test_a_table_that_lacks_what_its_systems_need_is_refused(tmp_path: Path):
    path = write_own_table(tmp_path)
    pd.DataFrame({"chemical_system": ["Li-S"], "n_phases": [2]}).to_csv(tmp_path / "systems.csv", index=False)
    with pytest.raises(TableError, match="do not cover Li-S: there is none of S"):
        read_entries(path)
    pd.DataFrame({"material_id": ["a"], "formula": ["Li"]}).to_parquet(tmp_path / "properties.parquet")
    with pytest.raises(TableError, match="has no column 'energy_ev_atom'"):
        read_entries(tmp_path)
