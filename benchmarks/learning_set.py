"""How good a model is that learned from the learning set of the package, on crystals with centers of another origin.

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
    given = sys.argv[1] if len(sys.argv) > 1 else SHARED / "data" / "learning_set_1272.jsonl.gz"
    own, _ = read_learning_set(crystals_file())
    other, _ = read_learning_set(Path(given))
    predicted = fitted(own, np.arange(len(own.target))).predict(other.table)
    shares = [shares_of(formula) for formula in other.formulas]
    corrected = cross_validated(predicted, other.target, shares, "factor", seed=SEED)
    by_itself = np.empty_like(other.target)
    for known, new in folds("composition", other.target, other.groups, seed=SEED):
        by_itself[new] = fitted(other, known).predict(other.table.iloc[new])
    unseen = ~np.isin(other.formulas, own.formulas)
    known_elements = frozenset.union(*own.elements)
    within = np.array([symbols <= known_elements for symbols in other.elements])
    parts = {"all": np.ones_like(unseen), "unseen_composition": unseen, "known_elements": within}
    keep(
        "learning_set",
        {
            "n_learned": len(own.target),
            "n_tested": {name: int(part.sum()) for name, part in parts.items()},
            "factor": round(Calibration.learn(predicted, other.target, shares, "factor").factor, 4),
            **{
                label: {name: rounded(scores(values[part], other.target[part])) for name, part in parts.items()}
                for label, values in (("own", predicted), ("own_with_factor", corrected), ("itself", by_itself))
            },
        },
        "scikit-learn",
    )


def fitted(data: LearningSet, rows: np.ndarray) -> object:
    model = pipeline(FIT, data.table, seed=SEED)
    return model.fit(data.table.iloc[rows], data.target[rows])


def rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in values.items()}


if __name__ == "__main__":
    main()
