"""Tables of what can be fetched, and of what has been."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from phonolyte.summary.tables import make_table

if TYPE_CHECKING:
    from phonolyte.sources.cache import Cached


def sources_tables() -> Iterator[Table]:
    """What can be fetched, and under which license."""
    from phonolyte.sources.registry import datasets, providers

    sets = make_table("phonolyte fetch NAME")
    databases = make_table("phonolyte fetch optimade --provider NAME")
    for table in (sets, databases):
        table.add_column("name", no_wrap=True)
        table.add_column("what")
        table.add_column("license")
    sets.add_row("mp", "Materials Project: structures, phonons, entries (with a key)", "CC BY 4.0; GNoME: CC BY-NC 4.0")
    for name, data in datasets().items():
        sets.add_row(name, data.title, data.license)
    sets.add_row("folder PATH", "your own crystals and densities of states", "yours")
    for name, provider in providers().items():
        databases.add_row(name, provider.title, provider.license)
    databases.add_row("any other", "of the official list, or with --base-url", "see the provider")
    return iter((sets, databases))


def cache_table(files: Sequence[Cached]) -> Table:
    """Files in the cache."""
    table = make_table("Cache")
    for name, side in (("set", "left"), ("file", "left"), ("MB", "right"), ("fetched", "left"), ("sha256", "left")):
        table.add_column(name, justify="right" if side == "right" else "left", no_wrap=True)
    for file in files:
        table.add_row(file.dataset, file.path.name, f"{file.size_bytes / 1e6:.1f}", file.fetched[:10], file.sha256[:12])
    return table
