"""The command line as a newcomer meets it: completion, and failures in a few lines."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import typer

from phonolyte.cli.failures import failure_lines
from phonolyte.cli.terminal import finish
from phonolyte.errors import Failure
from phonolyte.forces import ENGINES

HEAVY = ("numpy", "pandas", "numba", "sklearn", "rich", "pymatgen", "ase", "torch")
COMPLETE = "import sys; from phonolyte.cli import main; sys.argv = ['phonolyte']; main()"


def complete(line: str) -> tuple[set[str], set[str]]:
    """Completions at the end of a line, and the modules that were loaded for them."""
    words = line.split(" ")
    variables = {"_PHONOLYTE_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    code = f"import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); {COMPLETE}"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **variables}, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split()), set(done.stderr.split())


def test_commands_are_completed_without_importing_them():
    offered, loaded = complete("phonolyte s")
    assert offered == {"screen", "study", "stability", "show"}
    assert not loaded & set(HEAVY)


def test_engines_are_completed():
    offered, loaded = complete("phonolyte phonons --engine m")
    assert offered == {name for name in ENGINES if name.startswith("m")} == {"mace", "mattersim", "matgl"}
    assert not loaded & {"numba", "sklearn", "rich", "pymatgen", "ase", "torch"}


def test_options_are_completed():
    assert complete("phonolyte fetch obelix --of")[0] == {"--offline"}


def make_failures(message: str, *names: str) -> list[Failure]:
    return [Failure(name, "reading", "Kind", message.replace("NAME", name), f"in/{name}.cif") for name in names]


def test_failures_that_say_the_same_are_one_line():
    names = [f"mp-{i}" for i in range(1, 8)]
    failures = [
        *make_failures("another reason", "mp-99"),
        *make_failures("in/NAME.cif: an atom has no neighbors. Check it.", *names),
    ]
    assert list(failure_lines(failures)) == [
        "7 materials: it: an atom has no neighbors. Check it. (mp-1, mp-2, mp-3 and 4 more)",
        "mp-99: another reason",
    ]


@pytest.mark.parametrize(("n", "said"), [(1, "1 spectrum failed"), (2, "2 spectra failed")])
def test_one_is_not_a_plural(n: int, said: str, capsys: pytest.CaptureFixture[str]):
    names = [f"mp-{i}" for i in range(n)]
    with pytest.raises(typer.Exit):
        finish(make_failures("no points", *names), nothing=False, what="spectrum", plural="spectra")
    assert capsys.readouterr().err.startswith(said)


def test_failures_that_begin_alike_share_a_line():
    failures = [
        *make_failures("atoms overlap: 0.3 A apart", "mp-1"),
        *make_failures("atoms overlap: 0.4 A apart", "mp-2", "mp-3"),
    ]
    assert list(failure_lines(failures)) == ["mp-1: atoms overlap: 0.3 A apart (2 more begin like this: mp-2, mp-3)"]


def test_an_element_in_a_message_is_not_the_material_of_its_name():
    failures = [Failure(name, "reading", "Kind", f"{name} has no ion", "") for name in ("Na", "Cl")]
    assert list(failure_lines(failures)) == ["Na: Na has no ion", "Cl: Cl has no ion"]


@pytest.mark.parametrize("n", [5, 6, 1000])
def test_every_failure_is_counted(n: int):
    failures = [Failure(f"m{i}", "reading", f"Kind{i}", f"reason {i}") for i in range(n)]
    lines = list(failure_lines(failures))
    assert len(lines) == min(n, 6)
    assert (lines[-1] == f"and {n - 5:,} more") == (n > 5)
