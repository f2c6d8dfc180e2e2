"""Parts of a release agree: versions, dependencies, licenses, vendored files, workflows."""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from phonolyte import __version__
from phonolyte.report.libraries import PLOTLY, VIEWER

ROOT = Path(__file__).parents[1]
VENDOR = ROOT / "src" / "phonolyte" / "report" / "vendor"
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = SETTINGS["project"]
RECIPE = yaml.safe_load((ROOT / "packaging" / "conda" / "recipe.yaml").read_text())
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))

CONDA = {"matplotlib": "matplotlib-base", "xgboost": "py-xgboost", "xgboost-cpu": "py-xgboost"}
"""Names that differ on conda-forge."""


def test_the_last_release_is_the_same_everywhere():
    version, date = re.search(r"^## (\d\S+) \((.+)\)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE).groups()
    assert str(CITATION["version"]) == RECIPE["context"]["version"] == version
    assert str(CITATION["date-released"]) == date
    here = Version(__version__)
    assert here == Version(version) or (here.is_devrelease and here > Version(version))


def test_the_recipe_requires_what_the_package_requires():
    required = {}
    for requirement in map(Requirement, PROJECT["dependencies"]):
        required[CONDA.get(requirement.name, requirement.name)] = requirement.specifier
    run = dict(line.split(" ", 1) for line in RECIPE["requirements"]["run"])
    assert run.pop("python") == ">=${{ python_min }}"
    assert {name: SpecifierSet(bound) for name, bound in run.items()} == required
    build = {line.replace(" ", "") for line in RECIPE["requirements"]["host"]}
    assert build >= set(SETTINGS["build-system"]["requires"])
    assert f">={RECIPE['context']['python_min']}" == PROJECT["requires-python"]
    scripts = [f"{name} = {function}" for name, function in PROJECT["scripts"].items()]
    assert RECIPE["build"]["python"]["entry_points"] == scripts


def test_constraints_pin_what_the_package_requires():
    lines = (line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines())
    pinned = {canonicalize_name(name): version for name, version in lines}
    for requirement in map(Requirement, PROJECT["dependencies"]):
        if not requirement.marker or requirement.marker.evaluate({"platform_system": "Linux"}):
            assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), requirement


def test_licenses_of_what_is_shipped_are_in_wheel_and_recipe():
    files = {str(path.relative_to(ROOT)) for glob in PROJECT["license-files"] for path in ROOT.glob(glob)}
    licenses = {str(path.relative_to(ROOT)) for path in (ROOT / "src").rglob("LICENSE*")}
    assert files == licenses | {"LICENSE"} == set(RECIPE["about"]["license_file"])
    assert RECIPE["about"]["license"] == PROJECT["license"]
    assert len(licenses) == 5


def test_vendored_files_are_those_that_were_checked():
    page = (VENDOR / "README.md").read_text()
    stated = dict(line.split()[::-1] for line in re.findall(r"^[0-9a-f]{64}  \S+$", page, re.MULTILINE))
    assert stated == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDOR.glob("*.js")}
    assert set(stated) == {PLOTLY.file, VIEWER.file}
    assert f"plotly.js (gl2d - minified) v{PLOTLY.version}\n" in PLOTLY.read()[:200]
    for source, package in ((PLOTLY, "plotly.js-gl2d-dist-min"), (VIEWER, "3dmol")):
        assert re.search(rf"^\| `{source.file}` \| {package} {source.version} \|.*{source.license}", page, re.MULTILINE)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_pin_their_actions_and_call_scripts_that_are_there(path: Path):
    steps = [step for job in yaml.safe_load(path.read_text())["jobs"].values() for step in job["steps"]]
    used = [step["uses"] for step in steps if "uses" in step]
    assert used
    for action in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), action
        assert re.search(rf"{re.escape(action)} # v\d+\.\d+\.\d+$", path.read_text(), re.MULTILINE), action
    scripts = [name for step in steps for name in re.findall(r"\S*(?:scripts|\.ci)/\w+", step.get("run", ""))]
    assert scripts
    assert all((ROOT / name).is_file() for name in scripts)


def test_only_the_job_that_publishes_may_ask_for_a_token():
    jobs: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())["jobs"]
    assert [name for name, job in jobs.items() if "id-token" in job.get("permissions", {})] == ["publish"]
    assert jobs["publish"]["needs"] == "build"
    assert not any("run" in step for step in jobs["publish"]["steps"])
