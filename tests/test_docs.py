"""Examples of the documentation run and print what the pages show; their commands have the options that they name."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import pytest

from phonolyte import tiers
from phonolyte.study import read_study
from phonolyte.virtual import Space, read_rules

ROOT = Path(__file__).parents[1]

_SPEC = importlib.util.spec_from_file_location("examples", ROOT / "scripts" / "examples.py")
assert _SPEC is not None
assert _SPEC.loader is not None
examples = importlib.util.module_from_spec(_SPEC)
sys.modules["examples"] = examples
_SPEC.loader.exec_module(examples)

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
OWN = {"generated", "notebooks"}  # made from the code; run by the build of the site
RUN = [page for page in PAGES if page.parent.name == "howto" or page.stem in ("tutorial", "troubleshooting")]


LONG = ("python", "other-ions", "materials-project")  # several screens each, or waits for a network


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder and one process; what examples add to the program is taken away again."""
    monkeypatch.setenv("PHONOLYTE_JOBS", "1")
    monkeypatch.setenv("PHONOLYTE_FIGURES", "false")
    monkeypatch.setenv("COLUMNS", str(examples.WIDTH))
    monkeypatch.setattr(tiers, "TIERS", dict(tiers.TIERS))
    before = set(sys.modules)
    with mpl.rc_context():
        yield tmp_path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


def mark_long(page: Path) -> object:
    return pytest.param(page, marks=pytest.mark.long) if page.stem in LONG else page


@pytest.mark.parametrize("page", map(mark_long, RUN), ids=lambda page: page.stem)
def test_examples_print_what_the_page_shows(page: Path, alone: Path):
    blocks = examples.read_blocks(page.read_text())
    assert any(block.kind in ("console", "python") for block in blocks) or page.stem == "index"
    wrong = list(examples.run_page(page.read_text(), alone))
    assert not wrong, "\n".join(f"{page.name}:{each.line}: {each.message}" for each in wrong)


@pytest.mark.parametrize("page", [page for page in PAGES if OWN.isdisjoint(page.parts)], ids=lambda page: page.stem)
def test_commands_have_the_options_that_pages_name(page: Path):
    blocks = examples.read_blocks(page.read_text())
    commands = [c for block in blocks if block.kind in ("console", "bash") for c in examples.split_commands(block.body)]
    assert not [why for command in commands if (why := examples.check_command(command))]


def read_toml_block(page: str) -> str:
    """The TOML file that a page shows."""
    (text,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)
    return str(text)


def test_the_file_of_a_study_is_one(tmp_path: Path):
    (tmp_path / "study.toml").write_text(read_toml_block("study.md"))
    study = read_study(tmp_path / "study.toml")
    assert study.follow is not None
    assert study.follow.budget_h == 8
    tops = {"percolation": 200, "stability": 100, "phonons": 30, "barriers": 5}
    assert {plan.name: plan.top for plan in study.plans} == tops
    assert study.plans[0].limits.max_barrier_ev == 0.5
    assert study.plans[3].settings.images == 7


def test_the_rules_of_virtual_compounds_are_rules(tmp_path: Path):
    (tmp_path / "rules.toml").write_text(read_toml_block("virtual.md"))
    space = Space.from_rules(read_rules(tmp_path / "rules.toml"))
    assert len(space) == 3 * 2 * 3
    assert [slot.name for slot in space.parent.slots][:3] == ["Li", "bridge", "Cl"]


def test_a_wrong_option_is_seen():
    assert "No such option: --grid" in examples.check_command("phonolyte migrate a.cif --grid 3")
    assert "not one of" in examples.check_command("phonolyte fetch mp --what crystals -o mp/")
    assert not examples.check_command("cd mp && phonolyte fetch mp --what phonons -o mp/")


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("a 1.00 eV\n", "a 1.01 eV\n"),
        ("first\n...\nlast 3\n", "first\nanything\nat all\nlast   3\n"),
        ("a\n...\n", "a\nb\n"),
    ],
)
def test_output_is_compared_by_its_lines(shown: str, printed: str):
    assert examples.compare(shown, printed) == ""


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("a 1.00 eV\n", "a 1.05 eV\n"),
        ("a\nc\n", "a\nb\nc\n"),
        ("a\n", "a\nb\n"),
        ("a\nb\n", "a\n"),
        ("...\nc\n", "a\n"),
    ],
)
def test_other_output_is_seen(shown: str, printed: str):
    assert examples.compare(shown, printed)


def test_examples_that_fail_or_are_not_run(tmp_path: Path):
    page = """
```python
# made.py
VALUE = 7
```

```python
import made
print(made.VALUE)
```

```text
8
```

<!-- not run: takes a key -->
```console
phonolyte fetch mp --what crystals
```

<!-- fails -->
```console
echo fine
```

```python
raise ValueError
```
"""
    wrong = list(examples.run_page(page, tmp_path))
    sys.modules.pop("made", None)
    assert [each.line for each in wrong] == [12, 17, 22, 26]
    assert "8\nbut it printed\n  7" in wrong[0].message
    assert "7\n" in examples.rewrite(page, wrong)
