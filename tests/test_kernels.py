"""Compiled functions of a screen: compiled by two processes where they are not there, left alone where they are."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from phonolyte import kernels
from phonolyte.cli.terminal import load_kernels
from phonolyte.features import attributes, springs
from phonolyte.models import covariance
from phonolyte.percolation import thresholds
from phonolyte.structures import arrangement, duplicates


def test_what_is_there_starts_no_process(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(kernels, "ProcessPoolExecutor", refuse)
    monkeypatch.setattr(kernels, "is_compiled", lambda source: True)
    kernels.compile_screen()
    monkeypatch.setattr(kernels, "is_compiled", lambda source: False)
    monkeypatch.setattr(kernels, "cores", lambda: 1)
    kernels.compile_screen()
    monkeypatch.setattr(kernels, "cores", lambda: 2)
    with pytest.raises(AssertionError, match="a process was started"):
        kernels.compile_screen()


def test_a_process_that_dies_costs_nothing(monkeypatch: pytest.MonkeyPatch):
    class Dying(ProcessPoolExecutor):
        def submit(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError("a process died")

    monkeypatch.setattr(kernels, "ProcessPoolExecutor", Dying)
    monkeypatch.setattr(kernels, "is_compiled", lambda source: False)
    monkeypatch.setattr(kernels, "cores", lambda: 2)
    kernels.compile_screen()


def test_the_parts_compile_what_a_screen_needs():
    kernels._find_neighbors()
    kernels._compute_attributes()
    kernels._predict()
    kernels._percolate()
    kernels._describe()
    kernels._order()
    for kernel in (
        attributes.attributes, springs.site_quantities, duplicates._fingerprint, duplicates._average_nearness,
        covariance.means, thresholds._levels, arrangement.anneal,
    ):  # fmt: skip
        assert kernel.signatures, kernel


def test_the_cache_of_the_user_is_that_of_numba():
    from numba.misc.appdirs import AppDirs

    assert str(kernels.user_cache()) == AppDirs(appname="numba", appauthor=False).user_cache_dir


def test_the_cache_of_the_environment_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import sys

    source = tmp_path / "package" / "module.py"
    source.parent.mkdir()
    source.write_text("@kernel\ndef f(): ...\n")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    assert not kernels.is_compiled(source)
    folder = tmp_path / "cache" / "package_0123"
    folder.mkdir(parents=True)
    (folder / f"module.f-1.py{sys.version_info.major}{sys.version_info.minor}.nbi").touch()
    assert kernels.is_compiled(source)
    assert kernels.compiled_sources(source.parent) == [source]


def test_a_line_says_that_functions_are_compiled_where_nobody_sees_the_spinner(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    compiled = {"features": True, "virtual": False}
    monkeypatch.setattr(kernels, "is_compiled", lambda source: compiled.get(source.parent.name, True))
    load_kernels()
    assert not capsys.readouterr().err
    load_kernels(packages=("features", "virtual"))
    assert capsys.readouterr().err.startswith("Compiling (once after installation")
