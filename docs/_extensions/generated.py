"""Writes the reference pages from the code before each build: commands, settings, engines, files, Python.

They go to ``reference/generated`` and are not kept, so that they cannot get out of step. Equations become MathML, which
browsers draw themselves: pages need no network.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from dataclasses import is_dataclass
from importlib import import_module
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import typer
from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx

import phonolyte
from phonolyte.cli import COMMANDS
from phonolyte.forces.registry import ENGINES
from phonolyte.loop.settings import LoopSettings
from phonolyte.runs.settings import ExecutorSettings, OutputSettings
from phonolyte.screen import ScreenSettings
from phonolyte.settings import Setting, settings_of
from phonolyte.study import FollowSettings
from phonolyte.tiers import all_tiers
from phonolyte.train import TrainSettings

DATA = Path(phonolyte.__file__).parent / "data"
CARDS = "conductivity_model", "ion_model", "learning_set", "model", "relaxed_model", "study_model", "virtual_model"

MODULES = {
    "Verbs": ("verbs",),
    "Crystals and densities of states": ("structures", "dos"),
    "Features and models": ("features", "models", "train", "prototypes"),
    "Screens and virtual compounds": ("screen", "virtual", "study"),
    "Engines": ("forces",),
    "Tiers": ("tiers", "percolation", "stability", "phonons", "elastic", "barriers", "dynamics"),
    "Impedance": ("impedance",),
    "Sources": ("sources",),
    "Runs": ("runs.run", "runs.calculation", "runs.campaign", "runs.executors", "runs.settings"),
    "Figures and pages": ("figures", "report"),
    "Foundations": ("settings", "columns", "errors"),
}
"""Modules for other people's code, by the page that documents them."""


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to the build."""
    from pygments.lexers import BashLexer, TextLexer

    app.add_lexer("console", BashLexer)  # commands without a prompt, so that they can be copied
    for plain in ("csv", "cif"):
        app.add_lexer(plain, TextLexer)
    app.add_html_math_renderer("mathml", (_inline_math, None), (_display_math, None))
    app.connect("builder-inited", write_pages)
    app.connect("source-read", link_cards)
    app.connect("autodoc-skip-member", skip_fields)
    return {"parallel_read_safe": True}


def _inline_math(translator: Any, node: Any) -> None:
    translator.body.append(tex2mathml(node.astext()))
    raise SkipNode


def _display_math(translator: Any, node: Any) -> None:
    translator.body.append(f'<div class="math">{tex2mathml(node.astext(), as_block=True)}</div>')
    raise SkipNode


def skip_fields(app: Sphinx, what: str, name: str, member: object, skip: bool, options: object) -> bool | None:
    """Leave out the fields of named tuples, which the docstring of the class describes."""
    return True if type(member).__name__ == "_tuplegetter" else None


def link_cards(app: Sphinx, page: str, source: list[str]) -> None:
    """Let links to model cards in the package lead to their copies on the site."""
    source[0] = re.sub(r"\.\./src/phonolyte/data/(\w+)/card\.md", r"/reference/generated/cards/\1.md", source[0])


def write_pages(app: Sphinx) -> None:
    """Write all generated pages; those that have not changed keep their time, so that builds are quick."""
    folder = Path(app.srcdir) / "reference" / "generated"
    pages = {
        "cli.md": cli_page(),
        "settings.md": settings_page(),
        "engines.md": engines_page(),
        "tiers.md": tiers_page(),
    }
    pages |= {f"api/{_stem(title)}.md": api_page(title, modules) for title, modules in MODULES.items()}
    pages["api/index.md"] = api_index()
    pages |= {
        f"cards/{name}.md": f"---\norphan: true\n---\n\n{(DATA / name / 'card.md').read_text()}" for name in CARDS
    }
    for old in folder.rglob("*.md"):
        if str(old.relative_to(folder)) not in pages:
            old.unlink()
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)


def _stem(title: str) -> str:
    return title.lower().replace(" ", "-")


def cell(text: object) -> str:
    """A text as it can stand in a cell of a table."""
    plain = " ".join(str(text or "").split()).replace("``", "`")
    plain = re.sub(r"(?<![`\w-])(--[a-z][\w-]*)", r"`\1`", plain)
    parts = re.split(r"(`[^`]+`)", plain)
    return "".join(part if part.startswith("`") else re.sub(r"([|<>*\[\]_$\\])", r"\\\1", part) for part in parts)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; the first column is code."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join([f'`{row[0]}`', *map(cell, row[1:])])} |" for row in rows]
    return "\n".join(lines) + "\n"


# Commands


def cli_page() -> str:
    """Return the page of the command line."""
    return "# Commands\n\n" + INTRO + "\n".join(part for name in COMMANDS for part in _command(name))


INTRO = """\
Each command with its options, as `phonolyte COMMAND --help` has them. What an option sets can also come from the
environment (`--min-gap-ev` from `PHONOLYTE_MIN_GAP_EV`) or from a [TOML table](settings.md) given with `--settings`.
The command line counts first, then the environment, then the file. Exit codes: 0 done, 1 done but some materials
failed, 2 bad usage or nothing could be done.

"""


def _command(name: str) -> Iterator[str]:
    entry = COMMANDS[name]
    verb = getattr(import_module(f"phonolyte.cli.{entry.module}"), entry.attribute)
    if isinstance(verb, typer.Typer):
        group: Any = typer.main.get_command(verb)
        yield f"## phonolyte {name}\n\n{group.help}\n"
        for each in group.commands.values():
            yield from _described(f"phonolyte {name} {each.name}", each, each.callback, "###")
        return
    single = typer.Typer(add_completion=False)
    single.command(name)(verb)
    yield from _described(f"phonolyte {name}", typer.main.get_command(single), verb, "##")


def _described(title: str, command: Any, function: Any, heading: str) -> Iterator[str]:
    hints = get_type_hints(function)
    options = [
        each for each in command.params if each.param_type_name == "option" and not each.hidden and each.name != "help"
    ]
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    usage = [title, "[OPTIONS]", *(_usage(each) for each in arguments)]
    yield f"{heading} {title}\n\n```text\n{' '.join(usage)}\n```\n"
    yield f"{inspect.cleandoc(command.help or '')}\n"
    if arguments:
        yield table(["argument", "meaning"], [(_usage(each).strip("[]."), each.help) for each in arguments])
    panels: dict[str, list[Any]] = {}
    for each in options:
        panels.setdefault(each.rich_help_panel or "", []).append(each)
    for panel, members in panels.items():
        if panel:
            yield f"**{panel}**\n"
        yield table(["option", "meaning"], [(_flags(each, hints), each.help) for each in members])


def _usage(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    name = f"{name}..." if argument.nargs == -1 else name
    return name if argument.required else f"[{name}]"


def _flags(option: Any, hints: dict[str, Any]) -> str:
    names = ", ".join([*option.opts, *option.secondary_opts])
    if option.is_flag:
        return names
    value = option.metavar or _value(hints[option.name])
    return f"{names} {value}".replace("|", "\\|")


def _value(hint: Any) -> str:
    """Placeholder for a value of a type."""
    kinds = [each for each in get_args(hint) if each is not NoneType]
    if get_origin(hint) is Literal:
        return "|".join(map(str, kinds))
    return _value(kinds[0]) if kinds else getattr(hint, "__name__", "value").upper()


# Settings


def settings_page() -> str:
    """Return the page of TOML tables."""
    parts = ["# Settings files\n", SETTINGS]
    parts += ["## [train]\n", _fields(TrainSettings)]
    parts += [
        "## [screen]\n",
        "Besides, `inputs` (a list of files, folders and globs) and `properties` (a file).\n",
        _fields(ScreenSettings),
    ]
    parts += ["## [executor]\n", _fields(ExecutorSettings)]
    parts += [
        "## [loop]\n",
        "Phonons of the rounds have `[loop.phonons]`, as `[follow.phonons]`.\n",
        _fields(LoopSettings),
    ]
    parts += ["## [follow]\n", _fields(FollowSettings)]
    parts += ["Each tier has its largest number of candidates, and what it requires of one that goes on:\n", _limits()]
    for name, tier in all_tiers().items():
        parts += [f"### [follow.{name}]\n", _fields(tier.settings_kind)]
    parts += ["## Tables of commands\n", COMMAND_TABLES, _command_tables()]
    return "\n".join(parts)


SETTINGS = """\
`phonolyte study FILE` takes the tables `train`, `screen`, `loop`, `follow` and `executor`; any other command takes its
own table, and `executor`, from the file given with `--settings`. A name that is not a setting is refused. Lists are
TOML lists; in the environment (`PHONOLYTE_NAME`) they are split at commas.

"""

COMMAND_TABLES = """\
What stands in the table of a command; the meaning is that of [its option](cli.md), defaults too.
"""


def _fields(kind: type) -> str:
    rows = [
        (each.name, _kind(each), _default(each), each.help or _attribute(kind, each.name))
        for each in settings_of(kind)
        if not is_dataclass(each.kind)
    ]
    return table(["setting", "type", "default", "meaning"], rows)


def _kind(setting: Setting) -> str:
    text = getattr(setting.kind, "__name__", "") if isinstance(setting.kind, type) else str(setting.kind)
    if get_origin(setting.kind) is Literal:
        return " or ".join(map(str, get_args(setting.kind)))
    text = {"tuple[tuple[str, float], ...]": "list of NAME=VALUE"}.get(text, text)
    if "Mapping" in text:
        return "table of NAME = VALUE"
    text = text.replace("typing.", "").replace("collections.abc.", "").replace("pathlib.", "")
    return re.sub(r"tuple\[(\w+), \.\.\.\]", r"list of \1", text)


def _default(setting: Setting) -> str:
    value = setting.default
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value in (None, (), "") else str(list(value) if isinstance(value, tuple) else value)


def _attribute(kind: type, name: str) -> str:
    """Meaning of a field from the docstring of its class."""
    doc = inspect.getdoc(kind) or ""
    match = re.search(rf"^(?:\w+, )*{name}(?:, \w+)*\n((?:    .*\n?)+)", doc, re.MULTILINE)
    return " ".join(match[1].split()) if match else ""


def _limits() -> str:
    rows = []
    for name, tier in all_tiers().items():
        rows.append((f"{name}_top", name, str(tier.top), "Largest number of candidates."))
        limits = settings_of(tier.limits_kind) if tier.limits_kind else ()
        rows += [(each.name, name, _default(each), each.help) for each in limits]
    return table(["setting", "tier", "default", "meaning"], rows)


def _command_tables() -> str:
    lines = []
    for name, entry in COMMANDS.items():
        verb = getattr(import_module(f"phonolyte.cli.{entry.module}"), entry.attribute)
        inner = getattr(verb, "__wrapped__", None)
        if inner is None:
            continue
        kinds = [hint for hint in get_type_hints(inner, include_extras=True).values() if is_dataclass(hint)]
        names = dict.fromkeys(each.name for kind in kinds for each in settings_of(kind) if each.help)
        shared = {each.name for kind in (ExecutorSettings, OutputSettings) for each in settings_of(kind)}
        own = [f"`{each}`" for each in names if each not in shared]
        lines.append(f"- `[{name}]`: {', '.join(own) or 'nothing of its own'}")
    both = ", ".join(f"`{each.name}`" for each in settings_of(OutputSettings))
    return "\n".join(lines) + f"\n\nEach also takes {both}.\n"


# Engines


def engines_page() -> str:
    """Return the page of engines and their options."""
    parts = ["# Options of engines\n", ENGINES_INTRO]
    for name, entry in ENGINES.items():
        module, _, maker = entry.loader.partition(":")
        function = getattr(import_module(module), maker)
        parts.append(f"## {name}\n\n{entry.title}. Code: {entry.code_license}.")
        if entry.install:
            parts.append(f"\n```console\n{' && '.join(entry.install.split(' && '))}\n```\n".replace(" && ", "\n"))
        else:
            parts.append("")
        rows = [
            (option, str(each.default) if each.default is not each.empty else "required", _parameter(function, option))
            for option, each in inspect.signature(function).parameters.items()
        ]
        parts.append(table(["option", "default", "meaning"], rows) if rows else "It has no options.\n")
        if entry.weights:
            weights = [
                (key if len(key) < 64 else f"sha256 {key[:12]}...", value) for key, value in entry.weights.items()
            ]
            parts.append(table(["weights", "license"], weights))
    return "\n".join(parts)


ENGINES_INTRO = """\
`--engine NAME --option NAME=VALUE`, in Python `open_engine(NAME, option=value)`. Any ASE calculator serves as
`package.module:Class`, its options being its keyword arguments. [Which to take](../../engines.md), licenses and
citations.

"""


def _parameter(function: Any, name: str) -> str:
    """Meaning of a parameter from the docstring."""
    doc = inspect.getdoc(function) or ""
    match = re.search(rf"^(?:\w+, )*{name}(?:, \w+)*\n((?:    .*\n?)+)", doc, re.MULTILINE)
    return " ".join(match[1].split()) if match else ""


# Tiers


def tiers_page() -> str:
    """Return the page of what tiers write."""
    parts = [
        "# Files of the tiers\n",
        "What each tier writes into its run folder besides the files that every run has.\n",
    ]
    for name, tier in all_tiers().items():
        rows = [(tier.table, "one row a crystal")]
        rows += [(each, "several rows a crystal") for each in tier.tables]
        rows += [(f"{each}/", "a file of each crystal") for each in tier.folders]
        rows += [(f"ID/{stem}.png, .pdf, .svg", caption) for stem, caption in tier.images.items()]
        facts = ", ".join(f"`{each}`" for each in tier.facts)
        parts += [f"## {name}\n\n{tier.title}.\n", table(["file", "content"], rows), f"A card shows {facts}.\n"]
    return "\n".join(parts)


# Python


def api_page(title: str, modules: Sequence[str]) -> str:
    """Return a page of the Python reference."""
    parts = [f"# {title}\n"]
    parts += [
        f"## phonolyte.{name}\n\n```{{eval-rst}}\n.. automodule:: phonolyte.{name}\n   :members:\n```\n"
        for name in modules
    ]
    return "\n".join(parts)


def api_index() -> str:
    """Return the list of the pages of the Python reference."""
    links = "\n".join(_stem(title) for title in MODULES)
    return f"# Python\n\n{API}\n```{{toctree}}\n:maxdepth: 2\n\n{links}\n```\n"


API = """\
`import phonolyte` gives [the verbs](verbs.md): `phonolyte.screen(...)` and the others do what the commands of the same
names do, with typed settings and results. `phonolyte.screen` is a package, too, with the parts of a screen. What is
listed here is public; everything else may change without notice.
"""
