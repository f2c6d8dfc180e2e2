from __future__ import annotations

import io
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk
from rich.console import Console
from typer.testing import CliRunner

from phonolyte.cli import app
from phonolyte.columns import check_columns
from phonolyte.errors import EngineError, SettingsError
from phonolyte.forces import Engine, open_engine
from phonolyte.forces.cutoffs import Cutoffs, Ladder, cutoff_table
from phonolyte.summary import cutoffs_table

DEBIAN_PSEUDO = Path("/usr/share/espresso/pseudo")
needs_pw = pytest.mark.skipif(
    shutil.which("pw.x") is None or not DEBIAN_PSEUDO.is_dir(), reason="Quantum ESPRESSO is not installed"
)
ORDERED = Atoms("AuCu3", cell=np.eye(3) * 3.8, pbc=True,
                scaled_positions=[[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])  # fmt: skip


def make_engine(setting: Cutoffs) -> Engine:
    """EMT whose forces are off by what the cutoffs lack; its energy is not."""
    if setting.ecutrho_ry > 700:
        raise EngineError("no memory left")
    emt = open_engine("emt")
    factor = 1 + 30 / setting.ecutwfc_ry**2 + (0.1 if setting.ecutrho_ry < 5 * setting.ecutwfc_ry else 0.0)
    return replace(emt, batch=lambda cells: [factor * emt._forces(cell) for cell in cells])


def test_the_force_and_not_the_energy_tells_the_cutoffs():
    done: list[int] = []
    ladder = Ladder((40.0, 60.0, 80.0), (4.0, 8.0, 12.0))
    table = cutoff_table(ORDERED, make_engine, ladder, progress=done.append)
    assert len(table) == sum(done) == ladder.n_settings == 9
    assert table["ecutrho_ry"].tolist() == [160, 320, 480, 240, 480, 720, 320, 640, 960]
    failed = table[table["error"] != ""]
    assert failed["ecutrho_ry"].tolist() == [720, 960]
    assert failed["force_error"].isna().all()
    assert set(failed["error"]) == {"no memory left."}
    assert table["energy_error_mev_atom"].abs().max() == 0.0
    four = table[table["ecutrho_ry"] == 4 * table["ecutwfc_ry"]]
    assert (four["force_error"] > 0.09).all()
    best = 1 + 30 / 80**2
    np.testing.assert_allclose(table["force_error"][1], (1 + 30 / 40**2) / best - 1)
    (chosen,) = table[table["recommended"]].to_dict("records")
    assert (chosen["ecutwfc_ry"], chosen["ecutrho_ry"]) == (60, 480)  # 40 Ry is 1.4 % off
    check_columns(table, where="cutoffs.csv")


def test_a_setting_that_is_right_by_chance_is_not_recommended():
    errors = {40: 0.001, 60: 0.05, 80: 0.002, 100: 0.0}
    emt = open_engine("emt")

    def open_wobbling(setting: Cutoffs) -> Engine:
        factor = 1 + errors[int(setting.ecutwfc_ry)]
        return replace(emt, batch=lambda cells: [factor * emt._forces(cell) for cell in cells])

    table = cutoff_table(ORDERED, open_wobbling, Ladder((40, 60, 80, 100), (8,)))
    assert table["recommended"].tolist() == [False, False, True, False]
    assert not cutoff_table(ORDERED, open_wobbling, Ladder((60, 100), (8,)))["recommended"].any()


def test_k_points_are_compared_at_the_same_cutoffs():
    emt = open_engine("emt")

    def open_coarse(setting: Cutoffs) -> Engine:
        factor = 1 + 0.1 * setting.k_spacing_inv_a**4
        return replace(emt, batch=lambda cells: [factor * emt._forces(cell) for cell in cells])

    table = cutoff_table(ORDERED, open_coarse, Ladder((40, 60), (4, 8), (0.25, 1.0, 0.5)))
    assert table["varies"].tolist() == ["cutoffs"] * 4 + ["k_points"] * 3
    k_points = table[4:]
    assert k_points["k_spacing_inv_a"].tolist() == [1.0, 0.5, 0.25]
    assert k_points["ecutrho_ry"].tolist() == [320] * 3
    assert k_points["recommended"].tolist() == [False, True, False]


def test_a_cell_of_one_atom_is_doubled_because_it_cannot_be_pushed():
    table = cutoff_table(bulk("Cu"), make_engine, Ladder((40, 60), (8,)))
    assert (table["force_ev_a"] > 1e-3).all()


def test_ladders_that_make_no_sense_are_reported():
    for values, message in (
        (((40,), (4,)), "not a ladder"),
        (((40, 60), (2, 4)), "cannot be 2 times"),
        (((), (4,)), "ecutwfc_ry is"),
        (((40, 60), (4,), (-1,)), "k_spacings_inv_a is"),
    ):
        with pytest.raises(SettingsError, match=message):
            Ladder(*values)
    with pytest.raises(SettingsError, match="tolerance is 0"):
        cutoff_table(ORDERED, make_engine, tolerance=0)


def test_the_table_shows_what_failed_and_what_is_recommended():
    table = cutoff_table(ORDERED, make_engine, Ladder((40, 60, 80), (4, 8, 12)))
    out = io.StringIO()
    Console(file=out, width=80).print(cutoffs_table(table, "AuCu3", 0.01))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    (chosen,) = [line.split() for line in lines if "recommended" in line]
    assert chosen[:2] == ["60", "480"]
    assert sum("failed" in line for line in lines) == 2


@pytest.mark.long
@needs_pw
def test_a_density_cutoff_of_four_is_not_enough_for_li2o_though_its_energy_looks_so(tmp_path: Path):
    potentials = tmp_path / "pseudo"
    potentials.mkdir()
    for name in ("Li.pbesol-s-kjpaw_psl.0.2.1.UPF", "O.pbesol-n-kjpaw_psl.0.1.UPF"):
        shutil.copy(DEBIAN_PSEUDO / name, potentials)
    fcc = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) * 2.285
    oxide = Atoms("OLi2", cell=fcc, pbc=True, scaled_positions=[[0] * 3, [0.25] * 3, [0.75] * 3])
    oxide.write(tmp_path / "Li2O.vasp", format="vasp", direct=True)
    arguments = ["cutoffs", str(tmp_path / "Li2O.vasp"), "--option", f"pseudo_dir={potentials}", "--option",
                 "conv_thr_ry=1e-8", "--ecutwfc-ry", "60", "--ratio", "4", "--ratio", "8", "--k-spacing-inv-a", "2.5",
                 "-o", str(tmp_path / "run")]  # fmt: skip
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "no setting below the highest" in result.output
    table = pd.read_csv(tmp_path / "run" / "cutoffs.csv", keep_default_na=False)
    four, _ = table.to_dict("records")
    assert abs(four["energy_error_mev_atom"]) < 1.0
    assert four["force_error"] > 0.01
    assert "pseudopotentials" in (tmp_path / "run" / "run.toml").read_text()


def test_the_command_needs_one_crystal_and_options_that_make_sense(tmp_path: Path):
    (tmp_path / "empty.cif").write_text("data_x\n")
    (tmp_path / "Si.upf").write_text("nobody reads it")
    options = ["--option", f"pseudo_dir={tmp_path}", "--option", "command=echo", "-o", str(tmp_path / "run")]
    for arguments, message in (
        ([str(tmp_path / "empty.cif"), *options], "does not give one crystal"),
        ([str(tmp_path / "empty.cif")], "pseudo_dir"),
    ):
        result = CliRunner().invoke(app, ["cutoffs", *arguments])
        assert isinstance(result.exception, SettingsError)
        assert message in str(result.exception)
