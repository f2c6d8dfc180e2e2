"""Feed damaged files to the functions that read them, and report what they do other than read or refuse.

Usage: python scripts/fuzz.py [N] [--seed SEED] [--kind KIND ...] [--keep FOLDER]

Small valid files are made, then changed: bytes, words, numbers and lines are replaced, repeated, moved and removed.
Each changed file is read in a process with a time limit and a limit on memory. Reported are exceptions that are not
Phonolyte's, ends of the process, time limits, and materials that are lost silently. The same seed gives the same
files; the number of a file is enough to reproduce it.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import random
import re
import resource
import shutil
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

LIMIT_S = 20.0
MEMORY_BYTES = 12 * 1024**3
N_PROCESSES = 2
WORDS = (
    "NaN", "Infinity", "-1", "0", "1e999", "99999999999", "-99999999999999999999", "1" * 5000, "", "null", "true", "[]",
    "{}", "[" * 5000, '{"a":' * 3000,
    "../../x", "\u2028", "\x85", "\ud800", "é", '"', "'", ",", ";", "\t", "\n", "\0", "²",
    "1,5", "1_000", "0x10", "__class__", "@module", "Li", "Xx", "D", "1979-05-27", "0.5",
)  # fmt: skip

Outcome = str | None
"""None if all is well, otherwise a description of the error."""


@dataclass(frozen=True)
class Seed:
    """A valid file: its name, its bytes, the function that reads it, and the folder of files beside it."""

    name: str
    raw: bytes
    read: Callable[[Path], Outcome]
    beside: Path | None = None


# Functions that read the files; each returns None, or a sentence on what is lost.


def as_crystals(path: Path) -> Outcome:
    from phonolyte.structures import read

    result = read(path)
    raw = path.read_bytes()
    n_lines = sum(bool(line.strip()) for line in raw.decode(errors="replace").split("\n"))
    least = n_lines if path.suffix == ".jsonl" and b"\0" not in raw else 1
    n = len(result.crystals) + len(result.failures) + len(result.skipped)
    whole = any("cannot be read" in failure.message for failure in result.failures)
    return None if n >= least or whole or b"[]" in raw else f"{n} crystals and failures, {least} records"


def as_densities(path: Path) -> Outcome:
    from phonolyte.dos import read_all

    densities, failures = read_all(path, unit=None if path.suffix != ".dat" else "THz", symbols=None)
    bad = [dos for dos in densities if not 0.0 < dos.band_center_mev < 1e300]
    if bad:
        return f"a center of {bad[0].band_center_mev}"
    return None if densities or failures or path.read_bytes().strip() in (b"[]", b"") else "nothing at all"


def as_folder(path: Path) -> Outcome:
    from phonolyte.sources import Folder

    page = next(Folder(path.parent, unit="THz").pages(""))
    return None if page.n_materials else "nothing at all"


def as_phonon_csv(path: Path) -> Outcome:
    from phonolyte.sources.published import parse_phonon_csv

    page = parse_phonon_csv({"data.csv": path})
    return None if page.total == len(page.entries) + len(page.failures) else "counts that do not add up"


def as_model(path: Path) -> Outcome:
    import numpy as np
    import pandas as pd

    from phonolyte.models import BandCenterModel
    from phonolyte.models.nearest import Learned

    model = BandCenterModel.load(path.parent)
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(50, len(model.features))), columns=list(model.features))
    table = table.assign(**dict.fromkeys(set(model.domain.features) - set(model.features), 0.0))
    predictions = model.predict(table, [{"Li", "O"}] * 50)
    learned = Learned.beside(path.parent, model.domain)
    if learned:
        learned.named([str(i) for i in table.index], *learned.nearest(table))
    return None if np.isfinite(predictions[["band_center_mev", "lower_mev"]]).all(axis=None) else "a prediction of NaN"


def as_properties(path: Path) -> Outcome:
    from phonolyte.screen import read_properties

    read_properties(path)
    return None


def as_learning_set(path: Path) -> Outcome:
    from phonolyte.models.compounds import read_learning_set

    read_learning_set(path)
    return None


def as_calibration(path: Path) -> Outcome:
    from phonolyte.phonons.calibration import Calibration

    return None if 0.0 < Calibration.load(path).apply(30.0, {"Li": 0.5, "O": 0.5}) < 1e300 else "a center of NaN"


def as_spectrum(path: Path) -> Outcome:
    from phonolyte.impedance import read_spectrum

    read_spectrum(path)
    return None


def as_settings(path: Path) -> Outcome:
    from phonolyte.study import read_study

    read_study(path).screen.criteria  # noqa: B018 (made of the settings on request)
    return None


def as_rules(path: Path) -> Outcome:
    from phonolyte.virtual import Space, read_rules

    Space.from_rules(read_rules(path))
    return None


def as_run(path: Path) -> Outcome:
    from phonolyte.report import read_run, write_report

    read_run(path.parent)
    write_report(path.parent)
    return None


def make_seeds(folder: Path) -> list[Seed]:
    """Make the valid files."""
    import numpy as np
    import pandas as pd
    from pymatgen.core.structure import Structure
    from typer.testing import CliRunner

    from phonolyte.cli import app
    from phonolyte.features import featurize
    from phonolyte.models import BandCenterModel, Domain, Intervals, TreeEnsemble
    from phonolyte.models.nearest import Learned
    from phonolyte.structures import Crystal

    salts = [Structure.from_spacegroup("Fm-3m", np.eye(3) * a, pair, [[0, 0, 0], [0.5] * 3])
             for a, pair in ((5.64, ["Na", "Cl"]), (4.62, ["Li", "O"]), (4.2, ["Mg", "O"]))]  # fmt: skip
    crystals = [Crystal.from_pymatgen(s, material_id=f"m-{i}", properties={"e_hull_ev": 0.01 * i, "band_gap_ev": 2.0,
                "band_center_mev": 20.0 + i}) for i, s in enumerate(salts)]  # fmt: skip
    records = [{"material_id": c.material_id, "structure": s.as_dict(), **c.properties}
               for c, s in zip(crystals, salts, strict=True)]  # fmt: skip
    grid = np.arange(0.0, 10.0, 0.25)
    shape = np.sin(np.pi * grid / 10.0).round(6)
    dos = {"frequencies": grid.tolist(), "densities": shape.tolist(), "structure": salts[0].as_dict(),
           "pdos": [(shape / 8).tolist()] * 8}  # fmt: skip
    petretto = pd.DataFrame(
        [
            {
                "mp_id": r["material_id"],
                "structure": json.dumps(r["structure"]),
                "phfreq": str((33.3 * grid).tolist()),
                "phdos": str(shape.tolist()),
            }
            for r in records
        ]
    )
    features, _ = featurize(crystals)
    table = features.reset_index().assign(formula=[c.formula for c in crystals], band_center_mev=[20.0, 30.0, 40.0])
    rows = pd.concat([table.assign(material_id=[f"n{i}-{j}" for j in range(3)]) for i in range(4)])
    hertz = np.logspace(6, 0, 25)
    z = 20.0 + 300.0 / (1 + 2j * np.pi * hertz * 1e-6 * 300.0)
    spectrum = pd.DataFrame({"freq/Hz": hertz, "Re(Z)/Ohm": z.real, "-Im(Z)/Ohm": -z.imag})

    def save_bytes(name: str, write: Callable[[Path], object]) -> bytes:
        write(folder / name)
        return (folder / name).read_bytes()

    model = folder / "model"
    numbers = features[features.columns[:12]]
    noise = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 12)), columns=numbers.columns)
    from sklearn.ensemble import ExtraTreesRegressor

    trees = TreeEnsemble.from_estimator(
        ExtraTreesRegressor(n_estimators=4, random_state=0).fit(noise, noise.iloc[:, 0] + 40)
    )
    domain = Domain.fit(noise, [{"Li", "O"}] * 30)
    BandCenterModel(trees, tuple(noise.columns), Intervals(1.0, 1.0), domain).save(model)
    Learned.from_features(domain, noise, ["Li2O"] * 30, np.full(30, 40.0)).save(model)
    pair = folder / "pair"
    pair.mkdir()
    (pair / "salt_dos.dat").write_text("\n".join(f"{x} {g}" for x, g in zip(grid, shape, strict=True)))
    cif = save_bytes("salt.cif", lambda path: salts[0].to(str(path), fmt="cif"))
    (pair / "salt.cif").write_bytes(cif)
    run = folder / "run"
    result = CliRunner().invoke(app, ["screen", str(folder / "salt.cif"), "-o", str(run)])
    assert result.exit_code == 0, result.output
    atoms = "\n".join(f"{site.specie.symbol} {' '.join(f'{x:.4f}' for x in site.coords)}" for site in salts[0])
    frame = (
        f'8\nLattice="5.64 0 0 0 5.64 0 0 0 5.64" Properties=species:S:1:pos:R:3 material_id=a pbc="T T T"\n{atoms}\n'
    )
    jsonl = "\n".join(map(json.dumps, records)).encode()
    dos_lines = "\n".join(json.dumps({"material_id": f"d{i}", **dos}) for i in range(3)).encode()
    table_rows = pd.DataFrame([{**r, "structure": json.dumps(r["structure"])} for r in records])
    crystal_rows = pd.DataFrame([c.row() | dict(c.properties) for c in crystals])
    matdyn = "\n".join(f"{33 * x:.2f} {g:.4f} {g / 2:.4f} {g / 2:.4f}" for x, g in zip(grid, shape, strict=True))
    some_properties = pd.DataFrame({"material_id": ["a", "b"], "e_hull_ev": [0.1, None], "band_gap_ev": [1, 2]})
    calibration = {"factor": 1.05, "elements": {"Li": 0.1, "O": -0.05}, "provenance": {"engine": "emt"}}
    study = 'ion = "Li"\nmax_center_mev = 40.0\nmin_gap_ev = 1\nwithout = ["e_hull"]\n[executor]\njobs = 2\n'
    rules = 'prototype = "li3ps4"\ncharge = "free"\nexclude = ["Tl"]\nradius_window = 1.2\n[slots.Li]\nmobile = true\n'
    seeds = [
        *make_foreign_seeds(folder),
        Seed("salt.cif", cif, as_crystals),
        Seed("POSCAR", save_bytes("POSCAR", lambda path: salts[0].to(str(path), fmt="poscar")), as_crystals),
        Seed("some.extxyz", (frame * 3).encode(), as_crystals),
        Seed("one.json", json.dumps(salts[0].as_dict()).encode(), as_crystals),
        Seed("several.json", json.dumps({r["material_id"]: r for r in records}).encode(), as_crystals),
        Seed("some.jsonl", jsonl, as_crystals),
        Seed("packed.jsonl.gz", gzip.compress(jsonl, mtime=0), as_crystals),
        Seed("table.csv", table_rows.to_csv().encode(), as_crystals),
        Seed("table.parquet", save_bytes("c.parquet", crystal_rows.to_parquet), as_crystals),
        Seed("one_dos.json", json.dumps(dos).encode(), as_densities),
        Seed("dos.jsonl", dos_lines, as_densities),
        Seed("petretto.csv", petretto.to_csv(index=False).encode(), as_densities),
        Seed("total_dos.dat", (pair / "salt_dos.dat").read_bytes(), as_densities),
        Seed("matdyn.dos", f"# Frequency[cm^-1] DOS PDOS\n{matdyn}".encode(), as_densities),
        Seed("data.csv", petretto.to_csv(index=False).encode(), as_phonon_csv),
        *(Seed(name, (pair / name).read_bytes(), as_folder, pair) for name in ("salt.cif", "salt_dos.dat")),
        *(Seed(path.name, path.read_bytes(), as_model, model) for path in sorted(model.iterdir())),
        Seed("properties.csv", b"material_id,e_hull_ev,band_gap_ev\nNaN,0.1,2\n0012,0.2,\nm-1,0,1e-3\n", as_properties),
        Seed("properties.parquet", save_bytes("p.parquet", some_properties.to_parquet), as_properties),
        Seed("features.csv", rows.to_csv(index=False).encode(), as_learning_set),
        Seed("features.parquet", save_bytes("f.parquet", rows.to_parquet), as_learning_set),
        Seed("calibration.json", json.dumps(calibration).encode(), as_calibration),
        Seed("spectrum.csv", spectrum.to_csv(index=False).encode(), as_spectrum),
        Seed("spectrum.txt", spectrum.to_csv(index=False, sep="\t", decimal=",").encode(), as_spectrum),
        Seed("study.toml", f"[screen]\n{study}".encode(), as_settings),
        Seed("rules.toml", f'{rules}elements = ["Li", "Na"]\n[slots.P]\nelements = ["P", "As"]\n'.encode(), as_rules),
        *(Seed(path.name, path.read_bytes(), as_run, run) for path in sorted(run.iterdir()) if path.suffix in
          (".parquet", ".csv", ".json", ".toml")),
    ]  # fmt: skip
    return [seed for seed in seeds if seed.raw]


def make_foreign_seeds(folder: Path) -> list[Seed]:
    """Make files of other programs, and packed ones."""
    import bz2
    import zipfile

    import numpy as np
    from ase.build import bulk
    from ase.db import connect
    from ase.io import write
    from scipy.io import netcdf_file

    salt = bulk("NaCl", "rocksalt", a=5.64)
    names = {"salt.xsf": "xsf", "geometry.in": "aims", "salt.cell": "castep-cell", "salt.abi": "abinit-in",
             "pw.in": "espresso-in", "salt.traj": "traj", "XDATCAR": "vasp-xdatcar"}  # fmt: skip
    for name, kind in names.items():
        more = {"pseudopotentials": {"Na": "Na.upf", "Cl": "Cl.upf"}} if kind == "espresso-in" else {}
        write(folder / name, [salt, salt] if kind in ("traj", "vasp-xdatcar") else salt, format=kind, **more)
    connect(folder / "salt.db").write(salt, material_id="salt", e_hull_ev=0.1)
    with zipfile.ZipFile(folder / "two.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("salt.xsf", "pw.in"):
            archive.write(folder / name, name)
    with netcdf_file(folder / "PHDOS.nc", "w") as file:
        for name, values in (("wmesh", np.linspace(0, 0.05, 21)), ("phdos", np.sin(np.linspace(0, np.pi, 21)))):
            file.createDimension(name, 21)
            file.createVariable(name, "d", [name])[:] = values
    points = "\n".join(f"  - symbol: {s}\n    coordinates: {x}\n    mass: 1.0"
                       for s, x in zip(salt.symbols, salt.get_scaled_positions().tolist(), strict=True))  # fmt: skip
    rows = "\n".join(f"  - {row}" for row in salt.cell.array.tolist())
    phonopy = f"phonopy:\n  version: 2.7.0\nunit_cell:\n  lattice:\n{rows}\n  points:\n{points}\n"
    castep = " BEGIN header\n Number of ions  2\n END header\n BEGIN DOS   Freq (cm-1)  g(f)  Na  Cl\n" + "".join(
        f" {25 * i} {i * (9 - i)} {i} {i * (8 - i)}\n" for i in range(9)
    )
    attributes = {
        "lattice_vectors": salt.cell.array.tolist(), "cartesian_site_positions": salt.positions.tolist(),
        "species_at_sites": ["Na", "Cl"],
        "species": [{"name": s, "chemical_symbols": [s], "concentration": [1.0]} for s in ("Na", "Cl")],
    }  # fmt: skip
    answer = {"data": [{"id": "x", "type": "structures", "attributes": attributes}], "meta": {}}
    return [
        *(Seed(name, (folder / name).read_bytes(), as_crystals) for name in (*names, "salt.db", "two.zip")),
        Seed("salt.xsf.bz2", bz2.compress((folder / "salt.xsf").read_bytes()), as_crystals),
        Seed("phonopy.yaml", phonopy.encode(), as_crystals),
        Seed("optimade.json", json.dumps(answer).encode(), as_crystals),
        Seed("salt.phonon_dos", f"{castep} END DOS\n".encode(), as_densities),
        Seed("PHDOS.nc", (folder / "PHDOS.nc").read_bytes(), as_densities),
    ]


# Changes of files.


def change(raw: bytes, chance: random.Random) -> bytes:
    """Return a changed copy; of packed files the content or the bytes are changed."""
    if raw.startswith(b"\x1f\x8b") and chance.random() < 0.5:
        return gzip.compress(change(gzip.decompress(raw), chance), mtime=0)
    is_text = b"\0" not in raw and not raw.startswith((b"\x1f\x8b", b"PAR1", b"PK"))
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        raw = (change_words if is_text and chance.random() < 0.7 else change_bytes)(raw, chance)
    return raw


def change_bytes(raw: bytes, chance: random.Random) -> bytes:
    start, end = sorted(chance.randrange(len(raw) + 1) for _ in range(2))
    near_end = min(end, start + chance.randrange(1, 64))
    return chance.choice((
        lambda: raw[:start],
        lambda: raw[:start] + bytes(b ^ (1 << chance.randrange(8)) for b in raw[start : start + 1]) + raw[start + 1 :],
        lambda: raw[:start] + chance.randbytes(chance.randrange(1, 9)) + raw[start:],
        lambda: raw[:start] + raw[near_end:],
        lambda: raw[:start] + raw[start:near_end] * chance.randrange(2, 5) + raw[near_end:],
        lambda: raw[start:end] + raw[:start] + raw[end:],
        lambda: b"",
    ))()  # fmt: skip


def change_words(raw: bytes, chance: random.Random) -> bytes:
    text = raw.decode(errors="surrogateescape")
    lines, words = text.split("\n"), re.split(r"([A-Za-z_]+|-?[0-9]+(?:\.[0-9]+)?(?:e-?[0-9]+)?|\s)", text)
    line, other, index = chance.randrange(len(lines)), chance.randrange(len(lines)), chance.randrange(len(words))

    def replace_line(*new_lines: str) -> str:
        return "\n".join([*lines[:line], *new_lines, *lines[line + 1 :]])

    def replace_word(new_word: str) -> str:
        return "".join([*words[:index], new_word, *words[index + 1 :]])

    changed = chance.choice((
        lambda: replace_word(chance.choice(WORDS)), lambda: replace_word(chance.choice(WORDS)),
        lambda: replace_word(chance.choice(words)),
        lambda: replace_word(words[index] * 2), lambda: replace_word(""),
        lambda: replace_line(), lambda: replace_line(lines[line], lines[line]), lambda: replace_line(lines[other]),
        lambda: replace_line(lines[line].replace(".", ",")), lambda: text.replace(".", ","),
        lambda: text.replace(words[index], chance.choice(WORDS)) if words[index] else text,
    ))()  # fmt: skip
    return changed.encode(errors="surrogatepass") if "\ud800" in changed else changed.encode(errors="surrogateescape")


# Processes that read, and the process that waits for them.


def read_changed(seed: Seed, raw: bytes, folder: Path) -> Outcome:
    """Read a changed file beside its unchanged neighbors; None where it is read or refused."""
    from phonolyte.errors import PhonolyteError

    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(seed.beside, folder) if seed.beside else folder.mkdir()
    (folder / seed.name).write_bytes(raw)
    try:
        return seed.read(folder / seed.name)
    except PhonolyteError:
        return None
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)
        own_frames = [frame for frame in frames if "/phonolyte/" in frame.filename]
        line = f"{Path(own_frames[-1].filename).name} {own_frames[-1].lineno}" if own_frames else "?"
        return f"{type(error).__name__} at {line}: {str(error)[:90]}"


def serve(seeds: list[Seed], folder: Path, pipe: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    warnings.simplefilter("ignore")
    for seed in seeds:  # so that kernels are compiled before the clock runs
        outcome = read_changed(seed, seed.raw, folder)
        assert outcome is None, f"{seed.name}: {outcome}"
    pipe.send("ready")
    while (task := pipe.recv()) is not None:
        index, raw = task
        pipe.send(read_changed(seeds[index], raw, folder))


class Reader:
    """A process that reads one file after the other, and is replaced when it ends or hangs."""

    def __init__(self, seeds: list[Seed], folder: Path) -> None:
        self.seeds, self.folder = seeds, folder
        self.start()

    def start(self) -> None:
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=serve, args=(self.seeds, self.folder, theirs), daemon=True)
        self.process.start()
        theirs.close()
        self.number, self.since = -1, time.monotonic()
        assert self.pipe.recv() == "ready"

    def send_file(self, number: int, index: int, raw: bytes) -> None:
        self.number, self.since = number, time.monotonic()
        self.pipe.send((index, raw))

    def wait_for_outcome(self) -> Outcome:
        """Wait until the file is read, and return the outcome."""
        try:
            if self.pipe.poll(max(0.0, self.since + LIMIT_S - time.monotonic())):
                outcome: Outcome = self.pipe.recv()
                return outcome
            outcome = f"no end after {LIMIT_S:g} s"
        except EOFError:
            self.process.join()
            outcome = f"the process ended with {self.process.exitcode}"
        self.process.kill()
        self.start()
        return outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("n", type=int, nargs="?", default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", nargs="*", help="names of seeds, or of what reads them")
    parser.add_argument("--keep", type=Path, help="where files that were not read or refused are kept")
    options = parser.parse_args()
    multiprocessing.set_start_method("spawn")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "seeds").mkdir()
        seeds = make_seeds(folder / "seeds")
        if options.kind:
            seeds = [seed for seed in seeds if {seed.name, seed.read.__name__} & set(options.kind)]
        readers = [Reader(seeds, folder / f"reader-{number}") for number in range(N_PROCESSES)]
        counts: Counter[str] = Counter()

        def take_outcome(reader: Reader) -> None:
            number = reader.number  # a new process has none
            outcome = reader.wait_for_outcome() if number >= 0 else None
            if outcome:
                kind = seeds[number % len(seeds)]
                counts[f"{kind.read.__name__} of {kind.name}: {outcome.partition(':')[0]}"] += 1
                print(f"{number}: {kind.read.__name__} of {kind.name}: {outcome}", flush=True)
                if options.keep:
                    options.keep.mkdir(parents=True, exist_ok=True)
                    raw = change(kind.raw, random.Random(f"{options.seed}-{number}"))
                    (options.keep / f"{number}-{kind.name}").write_bytes(raw)

        for number in range(options.n):
            reader = readers[number % N_PROCESSES]
            take_outcome(reader)
            index: Any = number % len(seeds)
            reader.send_file(number, index, change(seeds[index].raw, random.Random(f"{options.seed}-{number}")))
        for reader in readers:
            take_outcome(reader)
            reader.pipe.send(None)
    print(
        f"{options.n} files of {len(seeds)} kinds, seed {options.seed}: {sum(counts.values())} were not read or refused"
    )
    for text, count in counts.most_common():
        print(f"{count:6}  {text}")
    raise SystemExit(bool(counts))


if __name__ == "__main__":
    main()
