from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonolyte.dos import PhononDos, read_all, read_dos
from phonolyte.errors import DosError

ENERGIES = np.linspace(0.0, 60.0, 61)
DENSITY = np.exp(-(((ENERGIES - 25.0) / 8.0) ** 2)) * ENERGIES


@given(st.floats(1e-3, 1e3), st.floats(0.1, 10.0))
def test_the_center_ignores_the_scale_of_the_dos_and_follows_that_of_the_energies(scale: float, stretch: float):
    center = PhononDos(ENERGIES, DENSITY).band_center_mev
    assert PhononDos(ENERGIES * stretch, DENSITY * scale).band_center_mev == pytest.approx(center * stretch)


def test_the_total_center_is_the_weighted_mean_of_the_elements():
    light, heavy = DENSITY * (ENERGIES > 20), DENSITY * (ENERGIES <= 20)
    dos = PhononDos(ENERGIES, light + heavy, {"Li": light, "O": heavy})
    weights = {s: np.trapezoid(g, ENERGIES) for s, g in dos.per_element.items()}
    mean = sum(dos.element_centers_mev[s] * weights[s] for s in weights) / sum(weights.values())
    assert dos.band_center_mev == pytest.approx(mean)


def test_imaginary_weight_is_left_out_of_the_center_and_reported():
    energies = np.linspace(-10.0, 60.0, 141)
    density = np.where(energies < 0, 0.5, np.where(energies < 50, 1.0, 0.0))
    dos = PhononDos(energies, density)
    # the step from 0.5 to 1 crosses zero between two points of the grid
    assert dos.band_center_mev == pytest.approx(25.0, abs=0.3)
    assert dos.imaginary_share == pytest.approx(5 / 55, abs=0.01)


def test_a_grid_that_ends_while_the_density_is_high_is_cut():
    assert PhononDos(ENERGIES[:30], DENSITY[:30]).is_cut
    assert not PhononDos(ENERGIES, DENSITY).is_cut


def test_missing_states_are_cut():
    states = np.trapezoid(DENSITY, ENERGIES)
    assert not PhononDos(ENERGIES, DENSITY, n_atoms=states / 3).is_cut
    assert "2.40 states per atom" in PhononDos(ENERGIES, DENSITY, n_atoms=states / 2.4).cut_reason


@pytest.mark.parametrize(("per_atom", "is_cut"), [(2.84, True), (2.86, False)])
def test_a_whole_spectrum_lacks_up_to_five_percent_of_three_states_an_atom(per_atom: float, is_cut: bool):
    states = np.trapezoid(DENSITY, ENERGIES)
    assert PhononDos(ENERGIES, DENSITY, n_atoms=states / per_atom).is_cut == is_cut


@pytest.mark.parametrize(("share", "is_cut"), [(0.009, False), (0.011, True)])
def test_a_grid_may_end_at_one_percent_of_the_maximum(share: float, is_cut: bool):
    density = DENSITY.copy()
    density[-1] = share * density.max()
    assert PhononDos(ENERGIES, density).is_cut == is_cut


def test_ripples_down_to_two_percent_of_the_maximum_are_set_to_zero():
    density = DENSITY.copy()
    density[-3] = -0.019 * density.max()
    assert PhononDos(ENERGIES, density).total[-3] == 0.0
    density[-3] = -0.021 * density.max()
    with pytest.raises(DosError, match="negative"):
        PhononDos(ENERGIES, density)


def test_a_grid_that_steps_over_zero_is_interpolated_there():
    # constant between 0 and 3: the center is 1.5, and a quarter of the states between -1 and 3 is imaginary
    dos = PhononDos([-1.0, 1.0, 3.0], [1.0, 1.0, 1.0])
    assert dos.band_center_mev == pytest.approx(1.5)
    assert dos.imaginary_share == pytest.approx(0.25)


def test_an_element_without_density_has_no_center():
    dos = PhononDos([0.0, 1.0, 2.0], [1.0, 1.0, 1.0], {"Li": [1.0, 1.0, 1.0], "O": [0.0, 0.0, 0.0]})
    assert dos.element_centers_mev == {"Li": pytest.approx(1.0)}


@pytest.mark.parametrize(("highest_mev", "reason"), [(60.0, ""), (61.0, "the grid ends at 60 meV, and bonds vibrate")])
def test_a_grid_that_ends_below_the_highest_bond_is_cut(highest_mev: float, reason: str):
    assert PhononDos(ENERGIES, DENSITY, highest_bond_mode_mev=highest_mev).cut_reason.startswith(reason)
    assert PhononDos(ENERGIES, DENSITY, highest_bond_mode_mev=highest_mev).is_cut == bool(reason)


def test_the_first_point_that_does_not_increase_is_named():
    with pytest.raises(DosError, match="point 4 is not above point 3"):
        PhononDos([0.0, 1.0, 2.0, 2.0, 1.0], np.ones(5))


def test_published_dos_give_the_learning_set_s_centers(shared: Path):
    with gzip.open(shared / "data" / "learning_set_1272.jsonl.gz", "rt") as stream:
        records = [json.loads(line) for line in stream]
    known = {record["material_id"]: record["band_center_mev"] for record in records}
    densities, failures = read_all(shared / "data" / "petretto2018_phonon_dos.csv.gz")
    assert not failures
    assert len(densities) == 1258
    whole = [dos for dos in densities if dos.material_id in known and not dos.is_cut]
    difference = np.array([abs(dos.band_center_mev - known[dos.material_id]) for dos in whole])
    assert len(densities) - len(whole) < 200
    assert difference.mean() <= 0.4
    assert (difference > 3).sum() <= 5


def test_pymatgen_s_complete_dos_is_read(tmp_path: Path):
    from pymatgen.core.structure import Structure
    from pymatgen.phonon.dos import CompletePhononDos
    from pymatgen.phonon.dos import PhononDos as PymatgenDos

    rocksalt = Structure.from_spacegroup("Fm-3m", np.eye(3) * 4.2, ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    thz = np.linspace(0.0, 20.0, 101)
    per_site = [np.exp(-((thz - 8 - i % 3) ** 2)) for i in range(len(rocksalt))]
    total = PymatgenDos(thz, np.sum(per_site, axis=0))
    complete = CompletePhononDos(rocksalt, total, dict(zip(rocksalt, per_site, strict=True)))
    path = tmp_path / "mgo.json"
    path.write_text(json.dumps(complete.as_dict(), default=lambda x: x.tolist()))
    (dos,) = read_dos(path)
    assert dos.formula == "MgO"
    assert set(dos.per_element) == {"Mg", "O"}
    assert np.trapezoid(dos.total, dos.energies_mev) == pytest.approx(np.trapezoid(total.densities, thz))
    mean_thz = np.trapezoid(thz * total.densities, thz) / np.trapezoid(total.densities, thz)
    assert dos.band_center_mev == pytest.approx(mean_thz * 4.135667696)


@pytest.mark.parametrize(
    ("name", "header", "unit", "scale"),
    [
        ("total_dos.dat", "# Tetrahedron method", None, 4.135667696),
        ("matdyn.dos", "# Frequency[cm^-1] DOS PDOS", None, 0.1239841984),
        ("any.txt", "# frequency (THz)  density", None, 4.135667696),
        ("any.txt", "", "meV", 1.0),
        ("any.txt", "", "cm^-1", 0.1239841984),
    ],
)
def test_text_with_a_stated_unit_is_read(tmp_path: Path, name: str, header: str, unit: str | None, scale: float):
    rows = "\n".join(f"{w:.6f} {g:.8f}" for w, g in zip(ENERGIES, DENSITY, strict=True))
    (tmp_path / name).write_text(f"{header}\n{rows}\n")
    (dos,) = read_dos(tmp_path / name, unit=unit)
    assert dos.band_center_mev == pytest.approx(PhononDos(ENERGIES, DENSITY).band_center_mev * scale, rel=1e-5)


def test_phonopy_s_projected_dos_is_summed_by_element(tmp_path: Path):
    rows = "\n".join(f"{w} {g} {2 * g} {g}" for w, g in zip(ENERGIES, DENSITY, strict=True))
    (tmp_path / "projected_dos.dat").write_text(f"# Tetrahedron method\n{rows}\n")
    (dos,) = read_dos(tmp_path / "projected_dos.dat", symbols=["Li", "O", "Li"])
    assert dos.per_element["Li"].sum() == pytest.approx(dos.per_element["O"].sum())
    with pytest.raises(DosError, match="name its atoms"):
        read_dos(tmp_path / "projected_dos.dat")


def write_columns(*parts: np.ndarray) -> str:
    return "\n".join(" ".join(f"{x:.8g}" for x in row) for row in zip(ENERGIES, *parts, strict=True)) + "\n"


@pytest.mark.parametrize(
    ("name", "header", "scale"),
    [
        ("total_dos_cm1.dat", "# Frequency (cm^-1) DOS", 0.1239841984),
        ("dos.txt", "# smearing 0.1 THz\n# energy (meV) density", 1.0),
        ("dos.txt", "# omega [1/cm]", 0.1239841984),
    ],
)
def test_the_unit_stated_for_the_frequency_wins(tmp_path: Path, name: str, header: str, scale: float):
    (tmp_path / name).write_text(f"{header}\n{write_columns(DENSITY)}")
    (dos,) = read_dos(tmp_path / name)
    assert dos.band_center_mev == pytest.approx(PhononDos(ENERGIES, DENSITY).band_center_mev * scale, rel=1e-5)


def test_two_units_are_not_a_unit(tmp_path: Path):
    (tmp_path / "dos.txt").write_text(f"# THz or meV\n{write_columns(DENSITY)}")
    with pytest.raises(DosError, match="several units"):
        read_dos(tmp_path / "dos.txt")


def test_an_integrated_density_is_not_an_atom(tmp_path: Path):
    integral = np.cumsum(DENSITY) / DENSITY.sum()
    (tmp_path / "dos.txt").write_text(f"# meV\n{write_columns(DENSITY, integral)}")
    (dos,) = read_dos(tmp_path / "dos.txt")
    assert dos.n_atoms is None
    assert dos.band_center_mev == pytest.approx(PhononDos(ENERGIES, DENSITY).band_center_mev, rel=1e-5)


def test_phonopy_s_projected_dos_is_known_by_its_columns(tmp_path: Path):
    (tmp_path / "NaCl.dat").write_text(f"# Tetrahedron method\n{write_columns(DENSITY * (ENERGIES < 25), DENSITY)}")
    (dos,) = read_dos(tmp_path / "NaCl.dat", symbols=["Na", "Cl"])
    assert set(dos.per_element) == {"Na", "Cl"}
    assert dos.n_atoms == 2


def test_one_bad_record_or_archive_costs_one_row(tmp_path: Path):
    good = {"frequencies": ENERGIES.tolist(), "densities": DENSITY.tolist()}
    (tmp_path / "some.json").write_text(json.dumps([good, {**good, "structure": {"foo": 1}}]))
    (tmp_path / "bad.dat.gz").write_bytes(gzip.compress(b"0 1\n" * 99)[:25] + bytes(40))
    densities, failures = read_all([tmp_path / "some.json", tmp_path / "bad.dat.gz"])
    assert len(densities) == 1
    assert len(failures) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 1\n1 2\n2 3\n", "does not state its unit"),
        ("# THz\n0 1\n2 2\n1 3\n", "do not increase"),
        ("# THz\n0 0\n1 0\n2 0\n", "no density at positive energies"),
        ("# THz\n-3 1\n-2 1\n-1 1\n", "imaginary"),
        ("# THz\n0 1\n1 nan\n2 1\n", "NaN"),
        ("# THz\n0 1\n1 -2\n2 1\n", "negative"),
        ("# THz\n0 1\n", "points"),
        ("# THz\n0\n1\n2\n", "two columns"),
        ("# THz\n0 1\n1 2 3\n", "inhomogeneous|no table"),
        ("# THz\nphonon dos\n", "not a table of numbers"),
        ("", "empty"),
        ("\0\1\2", "binary"),
        ('{"frequencies": [0, 1', "not complete JSON"),
        ('{"energy": 3}', "no 'frequencies'"),
        ('{"frequencies": [0, 1, 2], "densities": [1, 2]}', "3 energies but 2 densities"),
    ],
)
def test_bad_files_are_reported_clearly(tmp_path: Path, text: str, message: str):
    path = tmp_path / "bad.dat"
    path.write_text(text)
    with pytest.raises(DosError, match=message):
        read_dos(path)
    densities, failures = read_all([path, tmp_path / "missing.dat"])
    assert not densities
    assert [failure.material_id[:3] for failure in failures] == ["bad", "mis"]


@pytest.mark.parametrize("mark", [" ", "\t", ";", " ; "])
def test_decimal_commas_are_read_as_such(tmp_path: Path, mark: str):
    rows = [f"{x:.2f}{mark}{np.exp(-((x - 15) ** 2) / 8):.6f}".replace(".", ",") for x in np.arange(0.5, 40.0, 0.5)]
    (tmp_path / "comma.dat").write_text("\n".join(rows))
    (dos,) = read_dos(tmp_path / "comma.dat", unit="meV")
    assert dos.band_center_mev == pytest.approx(15.0, abs=0.01)


@pytest.mark.parametrize("rows", ["1,5,0,2\n2,0,0,3\n3,5,0,1", "1,0,5\n2,0,6\n3,0,1", "1,000.5 0.2\n2,000.5 0.3\n3,1 1",
                                  "1,5 0.2\n2,5 0.3\n3,5 0.1", "1,5,0 2\n2,5,0 3\n3,5,0 2"])  # fmt: skip
def test_commas_that_can_be_either_are_refused(tmp_path: Path, rows: str):
    (tmp_path / "comma.dat").write_text(rows)
    with pytest.raises(DosError, match=r"decimal marks or stand between"):
        read_dos(tmp_path / "comma.dat", unit="meV")


@pytest.mark.parametrize("rows", ["0,0.0\n10,1.0\n20,0.0", "0, 0\n10, 1\n20, 0", "0 , 0 ,\n10 , 1 ,\n20 , 0 ,",
                                  "0,0\n10,1\n20,0", "0 0D0\n10 1d0\n20 0E0"])  # fmt: skip
def test_commas_between_columns_stay_such(tmp_path: Path, rows: str):
    (tmp_path / "comma.dat").write_text(rows)
    assert read_dos(tmp_path / "comma.dat", unit="meV")[0].band_center_mev == pytest.approx(10.0)


@pytest.mark.parametrize("record", ["1" * 5000, "[" * 9999, '{"frequencies": [1], "frequencies": [2]}',
    '{"phonon_dos": []}',
    '{"frequencies": [0, 1' + "0" * 400 + '], "densities": [1, 2]}', '{"frequencies": {}, "densities": {}}',
    '{"frequencies": [0, 1, 2], "densities": [0, 1, 0], "structure": [3]}',
    '{"frequencies": [0, 1, 2], "densities": [0, NaN, 0]}'])  # fmt: skip
def test_a_bad_line_costs_one_density(tmp_path: Path, record: str):
    good = json.dumps({"material_id": "salt", "frequencies": ENERGIES.tolist(), "densities": DENSITY.tolist()})
    (tmp_path / "some.jsonl").write_text(f"{good}\n{record}\n{good}\n")
    densities, failures = read_all(tmp_path / "some.jsonl")
    assert [dos.material_id for dos in densities] == ["salt", "salt"]
    assert len(failures) == 1


ROWS = "\n".join(f"{energy:g} {100 - (energy - 10) ** 2:g}" for energy in range(21))
"""A parabola about 10 in whatever unit."""


@pytest.mark.parametrize(
    ("unit", "mev"),
    [("eV", 1000.0), ("meV", 1.0), ("THz", 4.135667696), ("cm-1", 0.1239841984), ("K", 0.08617333262),
     ("Ha", 27211.386246), ("rad/ps", 0.6582119569)],
)  # fmt: skip
def test_units_of_frequency(tmp_path: Path, unit: str, mev: float):
    scale = 5.0 / mev  # so that the highest energy is 100 meV in any unit
    rows = "\n".join(f"{energy * scale:.9g} {100 - (energy - 10) ** 2:g}" for energy in range(21))
    (tmp_path / "a.dat").write_text(f"# Frequency ({unit})  DOS\n{rows}\n")
    (tmp_path / "b.dat").write_text(f"{rows}\n")
    for path, stated in ((tmp_path / "a.dat", None), (tmp_path / "b.dat", unit)):
        (dos,) = read_dos(path, unit=stated)
        assert dos.band_center_mev == pytest.approx(50.0, rel=1e-6)


def test_a_number_whose_exponent_has_no_letter(tmp_path: Path):
    (tmp_path / "a.dos").write_text(f"# Frequency[cm^-1] DOS\n{ROWS}\n 2.1E+01 1.0-101\n")
    (dos,) = read_dos(tmp_path / "a.dos")
    assert dos.total[-1] == pytest.approx(0.0, abs=1e-90)


def test_what_cannot_be_phonons_is_refused(tmp_path: Path):
    rows = "\n".join(f"{energy:g} 1.0" for energy in np.linspace(-8, 8, 81))
    (tmp_path / "total_dos.dat").write_text(f"# energy dos\n{rows}\n")
    with pytest.raises(DosError, match="as those of electrons do"):
        read_dos(tmp_path / "total_dos.dat")
    (tmp_path / "total_dos.dat").write_text("# Tetrahedron method\n0 0\n100 1\n134 1\n140 0\n")
    with pytest.raises(DosError, match="no phonon lies above 550 meV"):
        read_dos(tmp_path / "total_dos.dat")
    (tmp_path / "total_dos.dat").write_text("# Tetrahedron method\n0 0\n100 1\n132 1\n132.5 0\n")
    assert read_dos(tmp_path / "total_dos.dat")[0].energies_mev[-1] < 550


def test_a_unit_that_the_bonds_of_the_crystal_rule_out(tmp_path: Path):
    lattice = {"matrix": (np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) * 2.1).tolist()}
    sites = [{"species": [{"element": s, "occu": 1}], "abc": x} for s, x in (("Mg", [0, 0, 0]), ("O", [0.5, 0.5, 0.5]))]
    record = {"densities": [0, 1, 1, 0], "structure": {"lattice": lattice, "sites": sites}}
    (tmp_path / "mgo.json").write_text(json.dumps({"frequencies": [0, 5, 20, 21], **record}))
    assert read_dos(tmp_path / "mgo.json")[0].energies_mev[-1] == pytest.approx(21 * 4.135667696)
    (tmp_path / "mgo.json").write_text(json.dumps({"frequencies": [0, 20, 80, 84], **record}))  # meV
    with pytest.raises(DosError, match="no mode of this crystal can lie above"):
        read_dos(tmp_path / "mgo.json")
    assert read_dos(tmp_path / "mgo.json", unit="meV")[0].energies_mev[-1] == pytest.approx(84)


def test_records_of_the_materials_project_have_element_centers(shared: Path):
    for name in ("24-mp-ph_dos.json", "24b-projected_densities.json"):
        (dos,) = read_dos(shared / "cases" / "crystals" / name)
        assert dos.band_center_mev == pytest.approx(22.46, abs=0.01)
        assert set(dos.element_centers_mev) == {"Li", "Cl"}


CASTEP = """ BEGIN header
 Number of ions         2
 Number of branches     6
 END header
 BEGIN GRADIENTS
 END GRADIENTS
 BEGIN DOS   Freq (cm-1)       g(f)       Na      Cl
      0.0  0.0  0.0  0.0
    100.0  1.0  0.75 0.25
    200.0  1.0  0.25 0.75
    300.0  0.0  0.0  0.0
 END DOS
"""


def test_castep_s_density_is_read(tmp_path: Path):
    (tmp_path / "salt.phonon_dos").write_text(CASTEP)
    (dos,) = read_dos(tmp_path / "salt.phonon_dos")
    assert dos.band_center_mev == pytest.approx(150 * 0.1239841984)
    assert dos.element_centers_mev["Na"] < dos.band_center_mev < dos.element_centers_mev["Cl"]
    assert dos.n_atoms == 2
    (tmp_path / "salt.phonon_dos").write_text(CASTEP.replace(" END DOS\n", ""))
    with pytest.raises(DosError, match="does not end"):
        read_dos(tmp_path / "salt.phonon_dos")


@pytest.mark.parametrize("version", [3, 4])
def test_abinit_s_density_is_read(tmp_path: Path, version: int):
    energies = np.linspace(0, 0.06, 61)
    total = np.maximum(0, 0.03**2 - (energies - 0.03) ** 2)
    variables = {
        "wmesh": energies, "phdos": total, "pjdos_type": np.array([0.25 * total, 0.75 * total]),
        "atomic_numbers": np.array([11.0, 17.0]), "atom_species": np.array([1.0, 2.0]),
    }  # fmt: skip
    path = tmp_path / "run_PHDOS.nc"
    if version == 4:
        import h5py

        with h5py.File(path, "w") as file:
            for name, values in variables.items():
                file[name] = values
    else:
        from scipy.io import netcdf_file

        with netcdf_file(path, "w") as file:
            for name, values in variables.items():
                shape = [f"{name}_{i}" for i in range(values.ndim)]
                for dimension, size in zip(shape, values.shape, strict=True):
                    file.createDimension(dimension, size)
                file.createVariable(name, "d", shape)[:] = values
    (dos,) = read_dos(path)
    assert dos.band_center_mev == pytest.approx(30.0)
    assert dos.element_centers_mev == pytest.approx({"Na": 30.0, "Cl": 30.0})
    path.write_bytes(b"CDF\x01" + bytes(40))
    assert len(read_all(path)[1]) == 1


def test_gpumd_s_density_is_the_sum_of_its_directions(tmp_path: Path):
    (tmp_path / "dos.out").write_text("0 0 0 0\n50 1 0 0\n100 0 1 1\n150 0 0 0\n")
    (dos,) = read_dos(tmp_path / "dos.out")
    assert dos.total[1:3].tolist() == pytest.approx([1 / 0.6582119569, 2 / 0.6582119569])
