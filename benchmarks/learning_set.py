"""How good a model of the package's learning set is on crystals whose centers are of another origin.

Usage: python benchmarks/learning_set.py [CRYSTALS.jsonl.gz]

Beside it, in the same run, a model that learned from those crystals themselves, by cross-validation: with all
polymorphs of one composition in one fold, so that neither model has seen the composition it is tested on.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from record import SHARED, keep

from phonolyte.chemistry.formulas import shares_of
from phonolyte.learning_set import crystals_file
from phonolyte.models.algorithms import Fit, pipeline
from phonolyte.models.compounds import LearningSet, read_learning_set
from phonolyte.models.validation import folds
from phonolyte.phonons.calibration import Calibration, cross_validated, scores

SEED = 0
FIT = Fit("extra_trees", "all")


def main() -> None:
    path = sys.argv[1] if len(sys.argv) > 1 else SHARED / "data" / "learning_set_1272.jsonl.gz"
    own, _ = read_learning_set(crystals_file())
    other, _ = read_learning_set(Path(path))
    predicted = fit_model(own, np.arange(len(own.target))).predict(other.table)
    shares = [shares_of(formula) for formula in other.formulas]
    corrected = cross_validated(predicted, other.target, shares, "factor", seed=SEED)
    cross_validated_mev = np.empty_like(other.target)
    for known, new in folds("composition", other.target, other.groups, seed=SEED):
        cross_validated_mev[new] = fit_model(other, known).predict(other.table.iloc[new])
    unseen = ~np.isin(other.formulas, own.formulas)
    known_elements = frozenset.union(*own.elements)
    within = np.array([symbols <= known_elements for symbols in other.elements])
    parts = {"all": np.ones_like(unseen), "unseen_composition": unseen, "known_elements": within}
    keep(
        "learning_set",
        {
            "n_learned": len(own.target),
            "n_tested": {name: int(mask.sum()) for name, mask in parts.items()},
            "factor": round(Calibration.learn(predicted, other.target, shares, "factor").factor, 4),
            **{
                label: {name: round_values(scores(values[mask], other.target[mask])) for name, mask in parts.items()}
                for label, values in (
                    ("own", predicted),
                    ("own_with_factor", corrected),
                    ("itself", cross_validated_mev),
                )
            },
        },
        "scikit-learn",
    )


def fit_model(data: LearningSet, rows: np.ndarray) -> object:
    model = pipeline(FIT, data.table, seed=SEED)
    return model.fit(data.table.iloc[rows], data.target[rows])


def round_values(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in values.items()}


if __name__ == "__main__":
    main()
