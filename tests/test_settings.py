"""Settings: where they come from, what values they take, and the options that are made from them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import typer
from typer.testing import CliRunner

from phonolyte.barriers import NebSettings
from phonolyte.cli import app
from phonolyte.cli.options import with_settings
from phonolyte.dynamics import DynamicsSettings
from phonolyte.errors import SettingsError
from phonolyte.forces.cutoffs import Ladder
from phonolyte.impedance.settings import ImpedanceSettings
from phonolyte.percolation import PercolationSettings
from phonolyte.phonons import PhononSettings
from phonolyte.polarization import PolarizationSettings, TransferenceSettings
from phonolyte.runs.settings import ExecutorSettings, OutputSettings
from phonolyte.screen import ScreenSettings
from phonolyte.settings import read_toml, resolve, resolve_all, section, settings_of
from phonolyte.train import TrainSettings


@dataclass(frozen=True, slots=True)
class Every:
    """A field of every type that settings have."""

    number: Annotated[float, "A number."] = 1.5
    whole: Annotated[int, "A whole number."] = 2
    text: Annotated[str, "A text."] = "plain"
    flag: Annotated[bool, "A flag."] = True
    path: Annotated[Path | None, "A path."] = None
    choice: Annotated[Literal["one", "two"], "A choice."] = "one"
    either: Annotated[float | Literal["auto"], "A number or auto."] = "auto"
    row: Annotated[tuple[int, int, int] | None, "Three numbers."] = None
    many: Annotated[tuple[float, ...], "Any number of numbers."] = (1.0,)
    names: Annotated[tuple[str, ...] | None, "Any number of names.", "Panel", "--name"] = None
    pairs: Annotated[tuple[tuple[str, float], ...], "Any number of pairs."] = ()
    table: Mapping[str, Any] | tuple[str, ...] = ()


CASES: dict[str, tuple[object, str, object, object, object, object]] = {
    # field: argument, environment, TOML, and what each of them becomes
    "number": (3, "4e-1", 5, 3.0, 0.4, 5.0),
    "whole": (3, "4", 5.0, 3, 4, 5),
    "text": ("a", "b", "c", "a", "b", "c"),
    "flag": (False, "false", False, False, False, False),
    "path": (Path("a"), "b/c", "d", Path("a"), Path("b/c"), Path("d")),
    "choice": ("two", "two", "two", "two", "two", "two"),
    "either": (2, "3", 4.5, 2.0, 3.0, 4.5),
    "row": ((1, 2, 3), "4,5, 6", [7, 8, 9], (1, 2, 3), (4, 5, 6), (7, 8, 9)),
    "many": ([1, 2], "3, 4.5", [6], (1.0, 2.0), (3.0, 4.5), (6.0,)),
    "names": (["a", "b"], "c,d", ["e"], ("a", "b"), ("c", "d"), ("e",)),
    "pairs": (
        ["a=1", "b=2"], "c=3,d=4", [["e", 5]], (("a", 1.0), ("b", 2.0)), (("c", 3.0), ("d", 4.0)), (("e", 5.0),),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_argument_environment_file_and_default_come_in_this_order(name: str, monkeypatch: pytest.MonkeyPatch):
    argument, environment, in_file, *expected = CASES[name]

    def resolve_value(**given: Any) -> object:
        made = getattr(resolve(Every, **given), name)
        assert isinstance(made, (type(expected[0]), type(getattr(Every(), name))))  # 3 is 3.0, but not of its type
        return made

    assert resolve_value() == getattr(Every(), name)
    assert resolve_value(arguments={name: None}, table={}) == getattr(Every(), name)
    assert resolve_value(table={name: in_file}) == expected[2]
    monkeypatch.setenv(f"PHONOLYTE_{name.upper()}", environment)
    assert resolve_value(table={name: in_file}) == expected[1]
    assert resolve_value(arguments={name: argument}, table={name: in_file}) == expected[0]
    monkeypatch.setenv(f"PHONOLYTE_{name.upper()}", "")  # empty is not set
    assert resolve_value(table={name: in_file}) == expected[2]


def test_a_table_of_options_stays_as_it_is():
    assert resolve(Every, table={"table": {"pseudo_dir": "sssp", "n": 3}}).table == {"pseudo_dir": "sssp", "n": 3}
    assert resolve(Every, table={"table": ["a=1"]}).table == ("a=1",)


@pytest.mark.parametrize(
    ("name", "value", "fix"),
    [
        ("number", "soft", "Give a number"),
        ("number", True, "Give a number"),
        ("number", [1], "Give a number"),
        ("whole", 2.5, "Give a whole number"),
        ("whole", "2.5", "Give a whole number"),
        ("whole", True, "Give a whole number"),
        ("text", 3, "Give a text"),
        ("flag", "perhaps", "Give true or false"),
        ("flag", 1, "Give true or false"),
        ("choice", "three", "Give one or two"),
        ("either", "manual", "Give a number or auto"),
        ("row", [1, 2], "Give 3 numbers"),
        ("row", [1, 2, 2.5], "Give 3 numbers"),
        ("row", 3, "Give 3 numbers"),
        ("many", [1, "x"], "Give a list"),
        ("many", 3, "Give a list"),
        ("pairs", ["a"], "Give NAME=VALUE"),
        ("pairs", ["a=b"], "Give NAME=VALUE"),
        ("pairs", [3], "Give NAME=VALUE"),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_name(name: str, value: object, fix: str):
    with pytest.raises(SettingsError, match=re.escape(f"{name} is {value!r}")) as refused:
        resolve(Every, table={name: value})
    assert fix in str(refused.value)


def test_a_list_in_the_environment_that_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PHONOLYTE_MANY", "1,x")
    with pytest.raises(SettingsError, match="many is '1,x'"):
        resolve(Every)


def test_a_name_that_is_not_a_setting_is_refused():
    with pytest.raises(SettingsError, match=r"there is no setting 'color'. Choose among number, whole"):
        resolve(Every, table={"color": "red"})
    with pytest.raises(SettingsError, match=r"\[screen\] has no setting 'color'"):
        resolve(ScreenSettings, table={"color": "red"}, where="screen")


def test_several_settings_share_arguments_and_a_table():
    phonons, where = resolve_all([PhononSettings, ExecutorSettings], {"jobs": 3}, {"relax": False, "jobs": 2})
    assert (phonons.relax, where.jobs) == (False, 3)
    with pytest.raises(SettingsError, match=r"\[phonons\] has no setting 'image'"):
        resolve_all([PhononSettings, ExecutorSettings], {}, {"image": 3}, where="phonons")
    with pytest.raises(SettingsError, match=r"jobs is -1"):
        resolve_all([PhononSettings, ExecutorSettings], {"jobs": -1})


def test_what_is_not_a_settings_file_is_refused(tmp_path: Path):
    with pytest.raises(SettingsError, match="cannot be read"):
        read_toml(tmp_path / "missing.toml")
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="is not TOML"):
        read_toml(tmp_path / "bad.toml")
    with pytest.raises(SettingsError, match=r"Write it as a table: \[screen\]"):
        section({"screen": 5}, "screen")
    assert section({}, "screen") == {}


def test_settings_know_their_help_panel_and_flag():
    names = next(setting for setting in settings_of(Every) if setting.name == "names")
    assert (names.help, names.panel, names.flag, names.item) == ("Any number of names.", "Panel", "--name", str)
    assert next(setting for setting in settings_of(Every) if setting.name == "row").item is None


def parse_options(arguments: list[str]) -> Every:
    """Settings that a command with an option for each field makes of its arguments."""
    made: list[Every] = []

    def probe(settings: Every) -> None:
        """Take settings."""
        made.append(settings)

    probe.__annotations__["settings"] = Every
    single = typer.Typer()
    single.command()(with_settings(probe))
    result = CliRunner().invoke(single, arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return made[0]


def test_options_give_every_type(tmp_path: Path):
    assert parse_options([]) == Every()
    given = parse_options(
        ["--number", "3", "--whole", "4", "--no-flag", "--path", "a", "--choice", "two", "--either", "2", "--row", "1",
         "2", "3", "--many", "1", "--many", "2", "--name", "a", "--name", "b", "--pairs", "a=1", "--pairs", "b=2"]
    )  # fmt: skip
    assert given == Every(
        3.0, 4, "plain", False, Path("a"), "two", 2.0, (1, 2, 3), (1.0, 2.0), ("a", "b"), (("a", 1.0), ("b", 2.0))
    )
    (tmp_path / "s.toml").write_text("[probe]\nnumber = 7\nflag = false\nwhole = 9\n")
    assert parse_options(["--settings", str(tmp_path / "s.toml"), "--whole", "8", "--flag"]) == Every(7.0, 8, flag=True)


COMMANDS: dict[str, list[type]] = {
    "screen": [ScreenSettings, ExecutorSettings, OutputSettings],
    "train": [TrainSettings, ExecutorSettings, OutputSettings],
    "virtual": [ExecutorSettings, OutputSettings],
    "features": [ExecutorSettings],
    "phonons": [PhononSettings, ExecutorSettings, OutputSettings],
    "migrate": [PercolationSettings, NebSettings, DynamicsSettings, ExecutorSettings, OutputSettings],
    "impedance": [ImpedanceSettings, ExecutorSettings, OutputSettings],
    "polarization": [PolarizationSettings],
    "transference": [TransferenceSettings],
    "cutoffs": [Ladder],
}


def show_default(value: object) -> str:
    """A default as a reader expects it in a help."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(f"{part:g}" if isinstance(part, float) else str(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_generated_option_states_the_default_of_its_dataclass(command: str):
    result = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "300", "TERM": "dumb"})
    assert result.exit_code == 0
    lines = [line for line in result.output.splitlines() if "--" in line]
    for kind in COMMANDS[command]:
        defaults = {each.name: each.default for each in fields(kind) if each.init}
        for setting in settings_of(kind):
            if not setting.help:
                continue
            flag = setting.flag or f"--{setting.name.replace('_', '-')}"
            (line,) = [line for line in lines if re.search(rf"{flag}(?![\w-])", line)]
            assert setting.help in line
            if defaults[setting.name] not in (None, (), ""):
                assert re.search(rf"Default: {re.escape(show_default(defaults[setting.name]))}\.( |$)", line), line


def test_helps_fit_eighty_columns_and_have_one_style():
    for command in COMMANDS:
        result = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "80", "TERM": "dumb"})
        assert max(map(len, result.output.splitlines())) <= 80
        assert "[default:" not in result.output
        assert "…" not in result.output
