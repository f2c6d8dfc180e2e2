"""The README's example runs as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pymatgen.core.structure import Structure

from phonolyte.study import read_study
from phonolyte.virtual import Space, read_rules

README = Path(__file__).parents[1] / "README.md"


def test_the_example_runs(tmp_path: Path):
    salt = Structure.from_spacegroup("Fm-3m", np.eye(3) * 5.64, ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    (tmp_path / "my_cifs").mkdir()
    salt.to(str(tmp_path / "my_cifs" / "salt.cif"))
    row = {"material_id": "again", "lattice": salt.lattice.matrix.ravel(),
           "species": [site.specie.symbol for site in salt], "frac_coords": salt.frac_coords.ravel()}  # fmt: skip
    pd.DataFrame([row]).to_parquet(tmp_path / "table.parquet")
    thz = np.linspace(0, 10, 101)
    np.savetxt(tmp_path / "total_dos.dat", np.column_stack([thz, thz**2 * np.exp(-(thz**2) / 8)]), header="Tetrahedron")
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    shown = subprocess.run([sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "the same crystal as salt" in shown.stdout
    assert (tmp_path / "run" / "report.html").is_file()
    assert pd.read_parquet(tmp_path / "features.parquet").shape == (2, 2 + 271)
    center_thz = 32 / (np.sqrt(np.pi) / 4 * 8**1.5)  # the mean of that density
    assert float(shown.stdout.splitlines()[-1].split()[0]) == pytest.approx(center_thz * 4.135667696, rel=1e-3)


def toml_examples() -> list[str]:
    return re.findall(r"```toml\n(.*?)```", README.read_text(), re.DOTALL)


def test_the_settings_are_settings(tmp_path: Path):
    (text,) = [text for text in toml_examples() if "[follow]" in text]
    (tmp_path / "study.toml").write_text(text)
    study = read_study(tmp_path / "study.toml")
    assert study.follow is not None
    assert study.follow.budget_h == 8
    tops = {"percolation": 200, "stability": 100, "phonons": 30, "barriers": 5}
    assert {plan.name: plan.top for plan in study.plans} == tops
    assert study.plans[0].limits.max_barrier_ev == 0.5
    assert study.plans[3].settings.images == 7


def test_the_rules_are_rules(tmp_path: Path):
    (rules,) = [text for text in toml_examples() if "[slots" in text]
    (tmp_path / "rules.toml").write_text(rules)
    space = Space.from_rules(read_rules(tmp_path / "rules.toml"))
    assert len(space) == 3 * 2 * 3
    assert [slot.name for slot in space.parent.slots][:3] == ["Li", "bridge", "Cl"]
