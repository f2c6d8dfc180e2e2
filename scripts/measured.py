"""Make the table of measured conductivities, and fit the model of the conductivity that comes with the package.

Usage: python scripts/measured.py OBELIX

OBELIX is a folder with ``train.csv`` and ``train_cifs.tar.gz`` of OBELiX (F. Therrien et al., 10.1039/D5DD00441A, CC BY
4.0). The table has values of its rows and of its crystals; the crystals themselves stay where they are.
"""

from __future__ import annotations

import sys
import tarfile
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from phonolyte.chemistry.formulas import composition_of
from phonolyte.chemistry.ions import simple_anions
from phonolyte.errors import PhonolyteError
from phonolyte.features.conduction import open_share
from phonolyte.measured import ION, folder, learning_columns
from phonolyte.models import BandCenterModel
from phonolyte.models.conductivity import ConductivityModel
from phonolyte.percolation import COARSE, compute_percolation
from phonolyte.structures import Crystal, read

HEAD = """\
# Lithium conductivities at room temperature: the training split of OBELiX, F. Therrien et al., Digital Discovery
# (2025), https://doi.org/10.1039/D5DD00441A, CC BY 4.0. Changes: bounds have a column of their own, names of families
# are made one and blanks filled from the nearest composition, volumes are an anion, and barriers of percolation, the
# share of partly empty lithium sites and band centers were computed from its crystals.
"""

CARD = """\
# Model card: conductivity of lithium ions at room temperature

- **Predicts** log10 of the conductivity (S/cm), a 90 % interval, and the probability of 1e-4 S/cm or more.
- **Algorithm**: a score, linear in the barrier of percolation in three dimensions, the radius of the anions and, for
  crystals with refined occupancies, the share of partly empty lithium sites; a Gaussian process with that score as its
  mean, over descriptors of ions and cell and the composition; the distance to measured compounds decides between them.
  Hyperparameters are fixed. Intervals and probabilities are residuals of left-out compounds.
- **Learned from** {n} measurements, {bounds} of them upper bounds: the training split of OBELiX, F. Therrien et al.,
  Digital Discovery (2025), https://doi.org/10.1039/D5DD00441A, CC BY 4.0. 254 have a crystal; the others borrow barrier
  and occupancies from alike compositions. The model holds descriptors and logarithms of these measurements.
- **How good it is**: `docs/conductivity.md` has every split and how reliable the probabilities are.
- **What it is not**: a measurement. Far from measured compounds it is percolation and the size of the anions; it does
  not know the disorder of ordered crystals; defects, grain boundaries and electrons are not in it.
"""

FAMILIES = {
    "argyrodite": "argyrodites", "cholorides": "halides", "chlorides": "halides", "fluorides": "halides",
    "nitride": "nitrides", "boron nitride": "nitrides", "nitridosilicates": "nitrides", "LIPON": "nitrides",
    "garnet-like": "garnet", "thio-phosphate": "thio-LISICON", "Chalcogenidotetrelates": "thio-LISICON",
    "pyrophosphate": "phosphates", "diphosphate": "phosphates", "Tavorite": "phosphates",
    "fluorophosphates": "phosphates", "layered": "sulfides",
}  # fmt: skip
"""Names of families in OBELiX, and the family that each counts as."""


def main() -> None:
    source = Path(sys.argv[1])
    rows = pd.read_csv(source / "train.csv")
    with tempfile.TemporaryDirectory() as scratch:
        with tarfile.open(source / "train_cifs.tar.gz") as archive:
            archive.extractall(scratch, filter="data")
        crystals = {Path(crystal.source).stem: crystal for crystal in read(scratch).crystals}
    table = pd.DataFrame([_make_row(row, crystals.get(str(row["ID"]))) for row in rows.to_dict("records")])
    table["family"] = _fill_families(table)
    centers = BandCenterModel.embedded().predict_crystals(
        [replace(c, material_id=name) for name, c in crystals.items()]
    )
    table["band_center_mev"] = table["id"].map(centers["band_center_mev"])
    folder().mkdir(exist_ok=True)
    with (folder() / "measured.csv").open("w", encoding="utf-8") as stream:
        stream.write(HEAD)
        table.to_csv(stream, index=False, float_format="%.6g")
    print(table.describe().T.to_string())
    model = ConductivityModel.fit(ION, **learning_columns(pd.read_csv(folder() / "measured.csv", comment="#")))
    target = folder().parent / "conductivity_model"
    model.save(target)
    (target / "card.md").write_text(CARD.format(n=len(table), bounds=int(table["at_most"].sum())), encoding="utf-8")


def _make_row(row: dict[str, object], crystal: Crystal | None) -> dict[str, object]:
    formula, text = str(row["Reduced Composition"]).replace(" ", ""), str(row["Ionic conductivity (S cm-1)"])
    whole = dict(composition_of(str(row["True Composition"])))
    anions = simple_anions(composition_of(formula))
    n_anions = sum(whole.get(symbol, 0.0) for symbol in anions)
    volume = _compute_volume_a3(row) / n_anions if n_anions else np.nan
    if crystal is not None:  # some cells of the table have another number of formula units
        volume = crystal.volume_a3 / sum(crystal.amounts.get(symbol, 0.0) for symbol in anions)
    return {
        "id": row["ID"],
        "formula": formula,
        "sigma_s_cm": float(text.strip().lstrip("<")),
        "at_most": text.strip().startswith("<"),
        "space_group": row["Space group #"],
        "volume_per_anion_a3": volume,
        "family": row["Family"],
        "doi": row["DOI"],
        **dict(zip(("barrier_1d_ev", "barrier_3d_ev"), _compute_barriers_ev(crystal), strict=True)),
        "open_share": np.nan
        if crystal is None or ION not in crystal.symbols
        else np.nan_to_num(open_share(crystal, ION)),
        "disordered": None if crystal is None else not crystal.is_ordered,
    }


def _compute_barriers_ev(crystal: Crystal | None) -> tuple[float, float]:
    """Compute barriers of percolation in one and three dimensions, eV; NaN without a crystal or where it fails."""
    if crystal is None:
        return np.nan, np.nan
    try:
        one_dimension, _, three_dimensions = compute_percolation(crystal, ION, COARSE).barriers_ev
        return one_dimension, three_dimensions
    except PhonolyteError as error:
        print(crystal.material_id, crystal.formula, str(error)[:100])
        return np.nan, np.nan


def _compute_volume_a3(row: dict[str, object]) -> float:
    from ase.geometry import cellpar_to_cell

    return float(abs(np.linalg.det(cellpar_to_cell([row[name] for name in ("a", "b", "c", "alpha", "beta", "gamma")]))))


def _fill_families(table: pd.DataFrame) -> list[str]:
    """Return the families, blanks filled from the nearest composition that has one."""
    from phonolyte.features.conduction import root_fractions

    names = table["family"].str.strip().replace(FAMILIES)
    roots = np.array([root_fractions(composition_of(formula)) for formula in table["formula"]])
    known = np.flatnonzero(names.notna())
    for row in np.flatnonzero(names.isna()):
        names[row] = names[known[((roots[known] - roots[row]) ** 2).sum(axis=1).argmin()]]
    return names.tolist()


if __name__ == "__main__":
    main()
