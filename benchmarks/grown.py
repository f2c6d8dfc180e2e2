"""What the crystals added to the learning set of the package are worth for compounds that it has never seen.

Usage: python benchmarks/grown.py

One model learns the crystals from prototypes (DPA4), another also all that was computed later: the chosen crystals of
``grown.parquet`` and the table of computed centers (Nequix). Both are the process of the quotient model with the same
hyperparameters, as in loop.py, and both predict the compounds of density functional perturbation theory whose chemical
systems are in nothing that was computed later. The share of imaginary modes of unstable crystals is noise of their
centers, as in a loop (`after`); or no noise is added; or they are left out.

What was computed later is tested, too, by class and in folds of chemical systems: by a model that has learned the
crystals from prototypes, and by one that has also learned the other folds. Their references are centers by Nequix, and
stable ones count.
"""

from __future__ import annotations

import numpy as np
from loop import Data, Process
from record import SHARED, keep

from phonolyte.chemistry.ions import most_electronegative
from phonolyte.chemistry.systems import system_of
from phonolyte.features import featurize
from phonolyte.features.feature_sets import PHYSICAL
from phonolyte.loop.choosing import Pool
from phonolyte.loop.learning import Known, read_given, read_known
from phonolyte.structures import Crystal
from phonolyte.structures.families import HALOGENS, is_elpasolite

ELPASOLITES = "elpasolites"
CLASS_OF_ANION = {"H": "hydrides", "C": "carbides", "N": "nitrides", "O": "oxides", "S": "sulfides"} | dict.fromkeys(
    HALOGENS, "other halides"
)
N_FOLDS, FEWEST = 5, 5

TESTED = SHARED / "data" / "learning_set_1265_current_geometry.parquet"


def main() -> None:
    learned = read_given("")[0]
    compounds = [*learned, *read_known(TESTED)[0]]
    crystals = [rename_crystal(each, number) for number, each in enumerate(compounds)]
    table, _ = featurize(crystals, sets=PHYSICAL)
    pool = Pool.describe(crystals, table, {crystal.material_id: crystal for crystal in crystals})
    rows = pool.table["material_id"].astype(int).to_numpy()
    systems = np.array([system_of(crystals[row].symbols) for row in rows])
    later = (rows < len(learned)) & np.array([bool(compounds[row].engine) for row in rows])
    made = (rows < len(learned)) & ~later
    tested = (rows >= len(learned)) & ~np.isin(systems, systems[later])
    no_rows = np.empty(0, dtype=np.int64)
    center = np.array([compounds[row].center_mev for row in rows])
    data = Data(pool, center, tested, np.flatnonzero(made), np.flatnonzero(tested), no_rows, no_rows)
    before = Process(data, data.start)
    error, stable = (np.array([getattr(compounds[row], name) for row in rows]) for name in ("error", "stable"))
    models = {
        "before": before,
        "after": Process(data, np.flatnonzero(made | later), before, error),
        "without_noise": Process(data, np.flatnonzero(made | later), before),
        "without_unstable": Process(data, np.flatnonzero(made | (later & stable)), before),
    }
    unseen = tested & ~np.isin(systems, systems[made])
    parts = {
        "all": tested, "unseen_system": unseen, "Li": tested & has_element("Li", pool),
        "H": tested & has_element("H", pool), "C": tested & has_element("C", pool),
        "N": tested & has_element("N", pool),
    }  # fmt: skip
    errors = {
        name: np.abs(model.predict(data)["band_center_mev"].to_numpy() - center) for name, model in models.items()
    }
    classes = np.array([class_of(crystals[row]) for row in rows])
    of_fold = predict_folds(data, before, made, later, systems, error)
    keep(
        "grown",
        {
            "n_before": int(made.sum()), "n_added": int(later.sum()), "n_added_unstable": int((later & ~stable).sum()),
            "parts": {name: compare({key: each[mask] for key, each in errors.items()}) for name, mask in parts.items()},
            "classes": {
                name: compare({key: np.abs(each - center)[mask] for key, each in of_fold.items()})
                | {"n_unstable": int((later & ~stable & (classes == name)).sum())}
                for name in (ELPASOLITES, *dict.fromkeys(CLASS_OF_ANION.values()))
                if (mask := later & stable & (classes == name)).sum() >= FEWEST
            },
        },
        "scikit-learn",
    )  # fmt: skip


def predict_folds(
    data: Data, first: Process, made: np.ndarray, later: np.ndarray, systems: np.ndarray, error: np.ndarray
) -> dict[str, np.ndarray]:
    """Predict what was computed later, each chemical system by models that know none of its compounds."""
    names = np.random.default_rng(0).permutation(np.unique(systems[later]))
    fold_of = {name: place % N_FOLDS for place, name in enumerate(names)}
    fold = np.array([fold_of.get(system, -1) for system in systems])
    predicted = {name: np.full(len(systems), np.nan) for name in ("before", "after")}
    for number in range(N_FOLDS):
        left_out = fold == number
        for name, learned in (("before", made), ("after", made | later)):
            model = Process(data, np.flatnonzero(learned & ~left_out), first, error)
            predicted[name][left_out] = model.predict(data)["band_center_mev"].to_numpy()[left_out]
    return predicted


def class_of(crystal: Crystal) -> str:
    """Class of a crystal: by its most electronegative element, and elpasolites A2BMX6 apart."""
    if is_elpasolite(crystal):
        return ELPASOLITES
    return CLASS_OF_ANION.get(most_electronegative(crystal.symbols), "others")


def rename_crystal(known: Known, number: int) -> Crystal:
    """Return the crystal with a number for its name, since sets share names."""
    row = known.crystal.row() | {"material_id": str(number)}
    return Crystal.from_row(row)


def has_element(symbol: str, pool: Pool) -> np.ndarray:
    return np.array([symbol in elements for elements in pool.elements(pool.table["material_id"])])


def compare(errors: dict[str, np.ndarray]) -> dict[str, float | int | list[float]]:
    """Compute mean errors, and the gain with its 95 % interval by resampling compounds."""
    rng = np.random.default_rng(0)
    gain = errors["before"] - errors["after"]
    means = gain[rng.integers(0, len(gain), (2000, len(gain)))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return {
        "n": len(gain), **{f"{name}_mae_mev": round(float(each.mean()), 3) for name, each in errors.items()},
        "gain_mev": round(float(gain.mean()), 3), "gain_95_mev": [round(float(low), 3), round(float(high), 3)],
    }  # fmt: skip


if __name__ == "__main__":
    main()
