"""Run the examples of a page of documentation, and compare what they print with what the page shows.

``python scripts/examples.py docs/tutorial.md`` prints where they differ; ``--write`` puts what was printed into the
page.

Blocks of a page run in their order, in one empty folder. A `console` block holds commands; a `python` block is run. A
block whose first line is a comment with a file name (``# study.toml``) is written to that file instead. A `text` block
after one that has run shows its output: a line ``...`` stands for any lines, ``...`` at the end of a line for the rest
of it; numbers may be off by 2 %. Comments before a block change this: ``<!-- not run: WHY -->`` has the commands
checked and not run, ``<!-- fails -->`` expects an exit code other than 0.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WIDTH = 88
"""Columns of the terminal, as many as fit a page."""

TOLERANCE = 0.02
"""Largest relative difference of numbers that count as equal."""

_FENCE = re.compile(r"^(?P<indent> *)```(?P<kind>\w+)\n(?P<body>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_REMARK = re.compile(r"<!-- (not run: .+?|fails) -->\s*\Z")
_FILE = re.compile(r"# ([\w./-]+\.(?:py|toml|csv|cif))$")
_NUMBER = re.compile(r"[-+]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its kind and body, the line it begins at, the span of the body in the page, and its remark."""

    kind: str
    body: str
    line: int
    span: tuple[int, int]
    remark: str = ""

    @property
    def file(self) -> str:
        """Name of the file that the block is written to; empty for one that runs."""
        match = _FILE.match(self.body.partition("\n")[0])
        return match[1] if match else ""


@dataclass(frozen=True, slots=True)
class Difference:
    """Error at a line of a page, the block that shows another output, and the true output."""

    line: int
    message: str
    block: Block | None = None
    output: str = ""


def read_blocks(page: str) -> list[Block]:
    """Return the fenced blocks of a page."""
    blocks = []
    for match in _FENCE.finditer(page):
        remark = _REMARK.search(page[: match.start()])
        body = re.sub(rf"^{match['indent']}", "", match["body"], flags=re.MULTILINE)
        line = page.count("\n", 0, match.start()) + 1
        blocks.append(Block(match["kind"], body, line, match.span("body"), remark[1] if remark else ""))
    return blocks


def split_commands(body: str) -> list[str]:
    """Return the commands of a console block: lines joined at a backslash, without comments."""
    lines = body.replace("\\\n", " ").splitlines()
    commands = (re.sub(r"(?:^|\s+)#\s.*$", "", line).strip() for line in lines)
    return [command for command in commands if command]


def check_command(command: str) -> str:
    """Return why a command of Phonolyte cannot be parsed; empty where it can, and for other commands."""
    from typer import Exit
    from typer.main import get_command

    from phonolyte.cli import app

    words = next(
        (command_words[1:] for command_words in _split_pipeline(command) if Path(command_words[0]).name == "phonolyte"),
        None,
    )
    if words is None:
        return ""
    group: Any = get_command(app)
    try:
        context = group.make_context("phonolyte", list(words), resilient_parsing=False)
        while hasattr(group, "commands") or hasattr(group, "listing"):
            name, group, words = group.resolve_command(context, [*context._protected_args, *context.args])
            context = group.make_context(name, words, parent=context)
    except Exit:  # --help
        return ""
    except Exception as error:
        if not hasattr(error, "format_message"):  # of click, which typer may have in itself
            raise
        return f"{command}: {error.format_message()}"
    return ""


def _split_pipeline(command: str) -> list[list[str]]:
    """Split a line into the words of each of its commands, which && and | join."""
    commands: list[list[str]] = [[]]
    for token in shlex.split(command):
        if token in ("&&", "|", ";"):
            commands.append([])
        else:
            commands[-1].append(token)
    return [words for words in commands if words]


def run_page(page: str, folder: Path) -> Iterator[Difference]:
    """Run the blocks of a page in a folder, and yield what differs from what it shows."""
    output: str | None = None
    names: dict[str, Any] = {"__name__": "__main__"}  # dataclasses look their module up
    for block in read_blocks(page):
        if block.kind == "text":
            if output is not None and (wrong := compare(block.body, output)):
                yield Difference(block.line, wrong, block, output)
            output = None
            continue
        output = None
        if block.remark.startswith("not run"):
            errors = [
                error
                for command in split_commands(block.body)
                if block.kind == "console"
                if (error := check_command(command))
            ]
            yield from (Difference(block.line, error) for error in errors)
        elif block.file:
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(
                block.body.partition("\n")[2] if path.suffix == ".csv" else block.body
            )  # a table has no comments
        elif block.kind in ("console", "python"):
            code, output = run_block(block, folder, names)
            if bool(code) != (block.remark == "fails"):
                yield Difference(block.line, f"exit code {code}:\n{output}")


def run_block(block: Block, folder: Path, names: dict[str, Any]) -> tuple[int, str]:
    """Run a block, and return its exit code and what it printed."""
    printed = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        if block.kind == "python":
            return _run_python(block, names), printed.getvalue()
        for command in split_commands(block.body):
            if code := _run_command(command):
                return code, printed.getvalue()
    return 0, printed.getvalue()


def _run_python(block: Block, names: dict[str, Any]) -> int:
    sys.path.insert(0, os.getcwd())
    try:
        exec(compile(block.body, f"line {block.line}", "exec"), names)
    except Exception:
        traceback.print_exc()
        return 1
    finally:
        sys.path.pop(0)
    return 0


def _run_command(command: str) -> int:
    """Run a command: Phonolyte's in this process, which has it loaded, any other in a shell."""
    from phonolyte.cli import main

    words = shlex.split(command)
    if words[0] != "phonolyte" or {"|", "&&", ">"} & set(words):
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"  # of this environment
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env={**os.environ, "PATH": path})
        print(done.stdout + done.stderr, end="")
        return done.returncode
    before, sys.argv = sys.argv, words
    try:
        main()
    except SystemExit as error:
        return int(error.code or 0)
    finally:
        sys.argv = before
    return 0


def compare(shown: str, printed: str) -> str:
    """Return the first line of a page that was not printed, with what was printed instead; empty where all were."""
    lines = [line for line in map(_squeeze, printed.splitlines()) if line]
    position, skip = 0, False
    for line in filter(None, map(_squeeze, shown.splitlines())):
        if line == "...":
            skip = True
            continue
        hits = [n for n in range(position, len(lines)) if _is_alike(line, lines[n])]
        if not hits or (not skip and hits[0] != position):
            return f"the page shows\n  {line}\nbut it printed\n  " + "\n  ".join(lines[position : position + 40])
        position, skip = hits[0] + 1, False
    return "" if skip or position == len(lines) else "the page lacks\n  " + "\n  ".join(lines[position:])


def _squeeze(line: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"[─-╿]+", "", line)).strip()


def _is_alike(shown: str, printed: str) -> bool:
    """Whether two lines are equal, but for the last digits of numbers."""
    if shown.endswith(" ..."):
        words = shown.split()[:-1]
        shown, printed = " ".join(words), " ".join(printed.split()[: len(words)])
    if _NUMBER.sub("#", shown) != _NUMBER.sub("#", printed):
        return False
    pairs = zip(_NUMBER.findall(shown), _NUMBER.findall(printed), strict=True)
    return all(_is_near(*(float(text.replace(",", "")) for text in pair)) for pair in pairs)


def _is_near(a: float, b: float) -> bool:
    return abs(a - b) <= TOLERANCE * max(abs(a), abs(b))


def rewrite(page: str, differences: list[Difference]) -> str:
    """Return a page with what was printed in its blocks; those with a line ``...`` stay."""
    for difference in reversed(differences):
        if difference.block is not None and "..." not in difference.block.body.split("\n"):
            start, end = difference.block.span
            lines = [line.rstrip() for line in difference.output.strip("\n").splitlines()]
            page = page[:start] + re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n") + "\n" + page[end:]
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    os.environ |= {"COLUMNS": str(WIDTH), "PHONOLYTE_JOBS": "1", "PHONOLYTE_FIGURES": "false"}
    for path in options.pages:
        page = path.read_text()
        with tempfile.TemporaryDirectory() as folder:
            differences = list(run_page(page, Path(folder)))
        for difference in differences:
            print(f"{path}:{difference.line}: {difference.message}")
        if options.write:
            path.write_text(rewrite(page, differences))


if __name__ == "__main__":
    main()
