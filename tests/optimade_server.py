"""The reference server of OPTIMADE, started on this machine with crystals of ours and its own test data."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

PREFIX = "alexandria"
FIELDS = {"hull_distance": "eV", "band_gap": "eV"}
ANIONS = ("F", "Cl", "Br", "I", "O", "S", "Se", "Te")
CATIONS = ("Li", "Na", "K", "Rb", "Cs", "Mg", "Ca", "Sr", "Ba", "Zn")


def find_free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def salt(number: int) -> dict[str, object]:
    """An entry of OPTIMADE: rock salt of some cation and anion, each a little larger than the one before."""
    cation, anion = CATIONS[number % len(CATIONS)], ANIONS[number // len(CATIONS) % len(ANIONS)]
    a = 4.0 + 0.0003 * number
    symbols = sorted((cation, anion))
    return {
        "id": f"salt-{number}",
        "type": "structures",
        "attributes": {
            "last_modified": {"$date": "2026-01-01T00:00:00.000Z"},
            "elements": symbols,
            "nelements": 2,
            "elements_ratios": [0.5, 0.5],
            "chemical_formula_descriptive": "".join(symbols),
            "chemical_formula_reduced": "".join(symbols),
            "chemical_formula_anonymous": "AB",
            "dimension_types": [1, 1, 1],
            "nperiodic_dimensions": 3,
            "lattice_vectors": [[0, a / 2, a / 2], [a / 2, 0, a / 2], [a / 2, a / 2, 0]],
            "cartesian_site_positions": [[0, 0, 0], [a / 2, a / 2, a / 2]],
            "nsites": 2,
            "species": [{"name": s, "chemical_symbols": [s], "concentration": [1.0]} for s in (cation, anion)],
            "species_at_sites": [cation, anion],
            "structure_features": [],
            "hull_distance": round(0.001 * (number % 200), 3),
            "band_gap": float(number % 9),
        },
    }


def of_the_package() -> list[dict[str, object]]:
    """The test data that the server comes with, some of it disordered."""
    import optimade.server

    path = Path(optimade.server.__file__).parent / "data" / "test_structures.json"
    names = {"task_id": "id", "chemsys": "", "_id": "", "formula_anonymous": "chemical_formula_anonymous",
             "pretty_formula": "chemical_formula_reduced", "relationships": ""}  # fmt: skip
    entries = []
    for document in json.loads(path.read_text()):
        attributes = {names.get(key, key): value for key, value in document.items() if names.get(key, key)}
        attributes["chemical_formula_descriptive"] = attributes["chemical_formula_reduced"]
        entries.append({"id": attributes.pop("id"), "type": "structures", "attributes": attributes})
    return entries


@contextmanager
def serving(folder: Path, entries: list[dict[str, object]], *, page_limit: int = 20) -> Iterator[str]:
    """Start the server and yield its base URL."""
    lines = [{"x-optimade": {"api_version": "1.2.0"}}, *entries]
    (folder / "entries.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    port = find_free_port()
    config = {
        "database_backend": "mongomock",
        "insert_test_data": False,
        "insert_from_jsonl": str(folder / "entries.jsonl"),
        "page_limit": page_limit,
        "page_limit_max": 1000,
        "base_url": f"http://127.0.0.1:{port}",
        "provider": {"prefix": PREFIX, "name": "Test", "description": "A server of the tests"},
        "provider_fields": {
            "structures": [
                {"name": name, "type": "float", "unit": unit, "description": name} for name, unit in FIELDS.items()
            ]
        },
    }
    (folder / "config.json").write_text(json.dumps(config))
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "optimade.server.main:app",
        "--port",
        str(port),
        "--log-level",
        "warning",
    ]
    environment = {**os.environ, "OPTIMADE_CONFIG_FILE": str(folder / "config.json"), "PYTHONWARNINGS": "ignore"}
    with (
        (folder / "server.log").open("wb") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder) as process,
    ):
        try:
            _wait(f"http://127.0.0.1:{port}/v1/info", process, folder / "server.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(1200):
        assert process.poll() is None, log.read_text()[-3000:]
        try:
            with urlopen(url, timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(log.read_text()[-3000:])
