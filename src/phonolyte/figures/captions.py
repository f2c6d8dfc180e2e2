"""What the figures of a run folder show, in a sentence each."""

from __future__ import annotations

from pathlib import Path

CAPTIONS: dict[str, str] = {
    # screen
    "funnel": "What each step of the screen keeps, rejects, and cannot judge for want of a property.",
    "screen_centers": "Predicted band centers of all compounds, and of those with the mobile ion; the dashed line is "
    "the limit of the screen.",
    "screen_families": "Predicted band centers of each family, the softest on top: every compound, with the median and "
    "the middle half as a box, and their number on the right.",
    "hull_center": "Energy above the hull against the predicted band center, for all compounds and for those near the "
    "hull; candidates lie below and left of the dashed limits.",
    "screen_volumes": "Predicted band center against the volume per atom: within a family, wider cells are softer.",
    "screen_conductivity": "Predicted conductivity of the candidates against their barrier of percolation in three "
    "dimensions; rings are measured values, with a line to what is predicted, the dashed line 1e-4 S/cm.",
    "candidates_kinds": "Families and crystal systems of the candidates.",
    "candidates_elements": "How many candidates hold each element.",
    # tiers
    "reactions": "Energy that mixtures of the crystal with cathodes and water gain, against the share of the crystal.",
    "windows": "Electrochemical windows of the first crystals, with the 90 % intervals of both ends.",
    # followed
    "followed_percolation": "Percolation barriers of bond-valence site energies against the band centers of the "
    "candidates that were followed.",
    "followed_barriers": "Barriers by nudged elastic band against the band centers of the candidates that came this "
    "far.",
    # training
    "parity": "Band centers that cross-validation predicts, at random folds, against the known ones, for each "
    "algorithm.",
    "intervals": "Predictions of the model that is kept with their intervals, the composition of each compound left "
    "out of the learning, against the known band centers.",
    "scores": "Scores of cross-validation with random folds, for each algorithm and feature set; lines are the "
    "standard deviation over the folds.",
    "scores_composition": "The same scores with all polymorphs of one composition in one fold: what to expect for a "
    "new composition.",
    "importances": "The features that the model rests on: their share in the splits of its trees, and the error that "
    "shuffling one adds.",
    "learning_centers": "Band centers of the compounds that the model learned from, and of those with the most "
    "frequent mobile ion.",
    "learning_elements": "How many of the compounds that the model learned from hold each element.",
    "learning_kinds": "Families and crystal systems of the compounds that the model learned from.",
    "learning_volumes": "Band center against the volume per atom, for the compounds that the model learned from.",
    # virtual
    "histogram": "Predicted band centers of the virtual compounds of each prototype; the shaded part is soft.",
    "substitutions": "Which elements may take which slot of each prototype, with their number.",
    "row_trend": "Predicted band centers of all virtual compounds against the mean row of their elements in the "
    "periodic table: heavier compounds are softer.",
    # impedance
    "arrhenius": "Conductivities times temperature against the inverse temperature, with the lines of each process and "
    "their activation energies.",
    "transference": "Spectra before and after a polarization with their fits, and its current with the initial and the "
    "steady one.",
    "pressure": "Conductivities against the pressure on the sample at each temperature that has three pressures, with "
    "the activation volume of each line.",
    "drt": "Distributions of relaxation times, each over its largest peak, the coldest below; a peak is an arc.",
    # of one crystal
    "bands": "Phonon bands and density of states, in total and of each element, with the band center marked.",
    "site_energy": "Lowest site energy of the mobile ion along each axis, with the outline of its paths.",
    "diffusivity": "Diffusivities from molecular dynamics against the inverse temperature, with their intervals.",
}
"""Stem of a file in ``figures/``, or in the folder of a crystal -> what it shows."""

HOP = "Energy of the mobile ion along the path of one hop, with the barriers of both directions."


def caption_of(path: str | Path) -> str:
    """What the figure in a file shows; hops are named for the ion and their length. Empty for other files."""
    stem = Path(path).stem
    element, _, length = stem.partition("-")
    hop = element.isalpha() and length[:1].isdigit()
    return CAPTIONS.get(stem, HOP if hop else "")
