"""Make the gallery: every figure of Phonolyte from results that it computes here, and the page that shows them.

Usage: python scripts/gallery.py RUNS/ [--page]

The commands write their run folders into RUNS/; what exists already is not computed again, so a second call only
draws. Input is part of the package, or made here by arithmetic: the learning set, prototypes, metals with the effective
medium theory (EMT) of ASE, and simulated impedance spectra. Only the pictures of a screen need a screen of the
Materials Project as RUNS/lithium; without it they stay as they are:

    phonolyte fetch mp --ion Li -o mp/
    phonolyte screen mp/crystals.parquet --properties mp/properties.parquet --ion Li -o RUNS/lithium

With --page only the page is written anew. Twenty minutes on two cores.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from phonolyte import figures, learning_set
from phonolyte.chemistry.formulas import composition_of
from phonolyte.figures.style import save
from phonolyte.screen.yardsticks import known_conductors
from phonolyte.structures import read
from phonolyte.structures.symmetry import crystal_system

if TYPE_CHECKING:
    from matplotlib.figure import Figure


DOCS = Path(__file__).parents[1] / "docs"
LARGEST = 150_000
"""Bytes of a picture; a larger one gets fewer colors."""

LITHIUM = "lithium"
"""Folder of RUNS/ with a screen of the Materials Project."""

METALS = ("Al", "Ni", "Cu", "Pd", "Ag", "Pt", "Au")
"""Metals that EMT describes."""

HOPPING = ("Al", "Ni", "Cu")
"""Metals whose vacancies hop."""

EA_EV, SIGMA_0 = 0.35, 1.2e5
"""Activation energy and prefactor (S K/cm) of the simulated spectra."""

THICKNESS_MM, DIAMETER_MM = 1.0, 10.0


@dataclass(frozen=True, slots=True)
class Picture:
    """One figure: its file, the function that draws it, its caption, and how it is drawn (None: it exists already)."""

    stem: str
    function: str
    caption: str
    draw: Callable[[Path], Figure] | None = None


def main(runs: Path, *, page_only: bool) -> None:
    """Run, draw and write the page."""
    if not page_only:
        compute_runs(runs)
        for picture in list_pictures():
            if picture.draw and (picture.draw not in SCREEN_PICTURES or (runs / LITHIUM).is_dir()):
                save_picture(picture.draw(runs), picture.stem)
                print(picture.stem)
    (DOCS / "gallery.md").write_text(render_page(), encoding="utf-8")


def compute_runs(runs: Path) -> None:
    """Compute the runs that are missing."""
    runs.mkdir(parents=True, exist_ok=True)
    metals = [str(write_metal(runs, symbol)) for symbol in METALS]
    ordered = str(write_alloy(runs))
    vacancy = str(write_vacancy(runs))
    for name, *arguments in (
        ("virtual", "virtual"),
        ("model", "train"),
        ("phonons", "phonons", ordered, *metals, "--engine", "emt", "--mesh", "31", "31", "31"),
        ("sites", "migrate", str(write_reference(runs, "ref-Li3PS4-Pnma")), "--method", "bvse"),
        *(
            (f"hop-{symbol}", "migrate", file, "--method", "neb", "--engine", "emt", "--ion", symbol, "--images", "3",
             "--min-length-a", "7")
            for symbol, file in zip(METALS, metals, strict=True)
            if symbol in HOPPING
        ),
        ("vacancy", "migrate", vacancy, "--method", "md", "--engine", "emt", "--ion", "Al", "--temperature-k", "800",
         "--temperature-k", "900", "--time-ps", "100", "--timestep-fs", "4", "--sample-fs", "40", "--min-length-a",
         "6"),
        ("spectra", "impedance", *map(str, write_spectra(runs)), "--thickness-mm", str(THICKNESS_MM), "--diameter-mm",
         str(DIAMETER_MM)),
    ):  # fmt: skip
        run_command(runs / name, *arguments)


def run_command(folder: Path, *arguments: str) -> None:
    """Run a command into a run folder, unless that is complete."""
    marker = folder / ".done"
    if marker.is_file():
        return
    print("phonolyte", *arguments, flush=True)
    result = subprocess.run([Path(sys.executable).parent / "phonolyte", *arguments, "-o", folder], check=False)
    if result.returncode > 1:
        sys.exit(f"phonolyte {arguments[0]} ended with {result.returncode}")
    marker.touch()


def list_pictures() -> Iterator[Picture]:
    """Yield all figures, in the order of the page."""
    yield Picture(
        "gallery-funnel",
        "funnel",
        "The funnel of 21,755 lithium compounds (structures, energies above the hull and gaps of the Materials "
        "Project, CC BY 4.0).",
        draw_funnel,
    )
    yield Picture("gallery-centers", "center_histogram", "Their predicted band centers.", draw_centers)
    yield Picture("gallery-families", "family_centers", "The same by family, the softest on top.", draw_families)
    yield Picture(
        "gallery-hull",
        "hull_against_center",
        "Their energies above the hull against their centers; candidates of --recipe study lie below and left of the "
        "dashed lines.",
        draw_hull,
    )
    yield Picture(
        "gallery-conductivity",
        "conductivity_against_barrier",
        "Conductivities of candidates, predicted and measured, and known conductors, against the percolation barrier.",
        draw_conductivity,
    )
    yield Picture("gallery-volumes", "center_against_volume", "Center against volume per atom.", draw_volumes)
    yield Picture("gallery-kinds", "kinds", "Families and crystal systems of the candidates.", draw_kinds)
    yield Picture(
        "gallery-elements", "periodic_table", "How many compounds of the learning set hold each element.", draw_elements
    )
    yield Picture(
        "gallery-parity",
        "cross_validated_parity",
        "Ten-fold cross-validation of the recommended algorithms on the learning set, at random folds.",
        draw_models,
    )
    yield Picture(
        "gallery-intervals",
        "interval_parity",
        "Predictions of the learning set with the cluster of each compound left out, and their 90 % intervals.",
        draw_intervals,
    )
    yield Picture(
        "gallery-scores",
        "score_bars",
        "Scores of that cross-validation; lines are the standard deviation over the folds.",
        draw_scores,
    )
    yield Picture("gallery-importances", "importance_bars", "What the model rests on.", draw_importances)
    yield Picture(
        "phonons-dpa4-parity",
        "parity",
        "DPA4 against density functional perturbation theory, raw and calibrated (400 compounds).",
    )
    yield Picture(
        "gallery-substitutions",
        "substitution_table",
        "Virtual compounds: which elements may take which slot.",
        draw_substitutions,
    )
    yield Picture("gallery-histogram", "center_histograms", "Their predicted band centers by prototype.", draw_virtual)
    yield Picture("gallery-row-trend", "row_trend", "The heavier the elements, the softer.", draw_trend)
    yield Picture("gallery-dos", "phonon_dos", "Density of states of Li2S in the learning set (DPA4).", draw_dos)
    yield Picture("gallery-bands", "phonon_bands", "Bands and density of states of ordered Cu3Au, by EMT.", draw_bands)
    yield Picture("gallery-sites", "site_energy_map", "Site energies of lithium in Li3PS4 (bond valences).", draw_sites)
    yield Picture("neb-Li3PS4-Pnma", "neb_profile", "The highest hop on the path through Li3PS4, by DPA4.")
    yield Picture("barriers-centers", "center_against_barrier", "Barriers of lithium against centers, both by DPA4.")
    yield Picture(
        "gallery-energies",
        "center_against_energy",
        "Activation energies of the vacancy hop in three metals against their centers, both by EMT.",
        draw_energies,
    )
    yield Picture(
        "gallery-diffusivity",
        "diffusion_arrhenius",
        "Aluminum with one vacancy in 32 sites by 100 ps of molecular dynamics with EMT.",
        draw_diffusion,
    )
    yield Picture(
        "gallery-spectrum",
        "spectrum_figure",
        "Nyquist, Bode and residuals of a simulated spectrum: grains, grain boundaries and electrodes.",
        draw_spectrum,
    )
    yield Picture(
        "gallery-arrhenius",
        "arrhenius_figure",
        f"Arrhenius lines of simulated spectra made with {EA_EV} eV.",
        draw_arrhenius,
    )


SECTIONS = (
    ("A screen", "gallery-funnel", "`phonolyte screen`"),
    ("A model", "gallery-parity", "`phonolyte train`"),
    ("Virtual compounds", "gallery-substitutions", "`phonolyte virtual`"),
    ("Phonons", "gallery-dos", "`phonolyte phonons`"),
    ("Moving ions", "gallery-sites", "`phonolyte migrate`"),
    ("Impedance", "gallery-spectrum", "`phonolyte impedance`"),
)
"""Heading, the picture that it begins with, and the command that draws such figures."""


def render_page() -> str:
    """Return the page as Markdown."""
    lines = [
        "# Gallery",
        "",
        "Every figure that Phonolyte draws, from results of its own (`python scripts/gallery.py RUNS/` makes them and",
        "this page). Commands write them as PDF, SVG and PNG, or as `--figure-format` and `--dpi` have it; in Python",
        "each is a function of `phonolyte.figures` that takes a table and gives a matplotlib figure (those of",
        "impedance are in `phonolyte.figures.impedance`).",
    ]
    headings = {stem: (title, command) for title, stem, command in SECTIONS}
    existing = (picture for picture in list_pictures() if (DOCS / "figures" / f"{picture.stem}.png").is_file())
    for picture in existing:
        if picture.stem in headings:
            title, command = headings[picture.stem]
            lines += ["", f"## {title}", "", f"Drawn by {command}."]
        lines += [
            "",
            f"`{picture.function}`: {picture.caption}",
            "",
            f"![{picture.caption}](figures/{picture.stem}.png)",
        ]
    return "\n".join(lines) + "\n"


def save_picture(figure: Figure, stem: str) -> None:
    """Save a picture of the page, with fewer colors where it would be large."""
    from PIL import Image

    (path,) = save(figure, DOCS / "figures" / stem, ("png",))
    if path.stat().st_size > LARGEST:
        with Image.open(path) as image:
            quantized = image.convert("RGB").quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
            quantized.save(path, optimize=True)


# The screen of lithium compounds


def read_ranked(runs: Path) -> pd.DataFrame:
    """Read the table of the screen, with the elements of each compound."""
    table = pd.read_parquet(runs / LITHIUM / "ranked.parquet")
    return table.assign(elements=[frozenset(composition_of(formula)) for formula in table["formula"]])


def draw_funnel(runs: Path) -> Figure:
    return figures.funnel(json.loads((runs / LITHIUM / "funnel.json").read_text())["steps"])


def draw_centers(runs: Path) -> Figure:
    centers = read_ranked(runs)["band_center_mev"].to_numpy(float)
    return figures.center_histogram(centers, max_center_mev=40.0, x_label="Predicted band center (meV)")


def draw_families(runs: Path) -> Figure:
    return figures.family_centers(read_ranked(runs), max_center_mev=40.0)


def draw_hull(runs: Path) -> Figure:
    return figures.hull_against_center(read_ranked(runs), max_center_mev=40.0, max_e_hull_ev=0.05)


def draw_volumes(runs: Path) -> Figure:
    return figures.center_against_volume(read_ranked(runs), max_center_mev=40.0)


def draw_conductivity(runs: Path) -> Figure:
    table = read_ranked(runs)
    return figures.conductivity_against_barrier(table[table["passes"]], known_conductors())


def draw_kinds(runs: Path) -> Figure:
    table = read_ranked(runs)
    candidates = table[table["passes"]]
    names = set(candidates["material_id"])
    crystals = read([runs / LITHIUM / "crystals.parquet"]).crystals
    systems = {crystal.material_id: crystal_system(crystal) for crystal in crystals if crystal.material_id in names}
    return figures.kinds(candidates.assign(crystal_system=candidates["material_id"].map(systems)))


SCREEN_PICTURES = (draw_funnel, draw_centers, draw_families, draw_hull, draw_conductivity, draw_volumes, draw_kinds)
"""Functions that need the screen of the Materials Project."""


def draw_elements(runs: Path) -> Figure:
    formulas = pd.read_parquet(learning_set.crystals_file(), columns=["formula"])["formula"]
    return figures.periodic_table(figures.element_counts(composition_of(formula) for formula in formulas))


# The model


def draw_models(runs: Path) -> Figure:
    return figures.cross_validated_parity(
        pd.read_parquet(runs / "model" / "cv_predictions.parquet"), ("quotient", "physical")
    )


def draw_intervals(runs: Path) -> Figure:
    table = pd.read_parquet(runs / "model" / "held_out.parquet")
    columns = ("band_center_mev", "predicted_mev", "lower_mev", "upper_mev")
    return figures.interval_parity(*(table[name].to_numpy(float) for name in columns))


def draw_scores(runs: Path) -> Figure:
    return figures.score_bars(json.loads((runs / "model" / "metrics.json").read_text()))


def draw_importances(runs: Path) -> Figure:
    return figures.importance_bars(pd.read_csv(runs / "model" / "importances.csv"))


# Virtual compounds


def draw_substitutions(runs: Path) -> Figure:
    from phonolyte.virtual import choose_spaces

    return figures.substitution_table({space.parent.name: space.slots for space in choose_spaces()})


def draw_virtual(runs: Path) -> Figure:
    return figures.center_histograms(json.loads((runs / "virtual" / "summary.json").read_text()))


def draw_trend(runs: Path) -> Figure:
    files = sorted((runs / "virtual" / "virtual").glob("*.parquet"))
    columns = ["mean_Row", "band_center_mev"]
    return figures.row_trend(pd.concat([pd.read_parquet(file, columns=columns) for file in files]))


# Phonons


def draw_dos(runs: Path) -> Figure:
    return figures.phonon_dos(next(dos for dos in learning_set.densities() if dos.formula == "Li2S"), ion="Li")


def draw_bands(runs: Path) -> Figure:
    from phonolyte.phonons.bands import band_structure, load_phonons
    from phonolyte.phonons.calculation import read_density
    from phonolyte.runs.records import folder_of

    folder = runs / "phonons"
    bands = band_structure(load_phonons(folder_of(folder, "Cu3Au")))
    return figures.phonon_bands(bands, read_density(folder, "Cu3Au", "Cu3Au"))


# Moving ions


def draw_sites(runs: Path) -> Figure:
    from phonolyte.figures.style import with_subscripts
    from phonolyte.percolation.calculation import read_map

    folder = runs / "sites"
    (row,) = pd.read_parquet(folder / "percolation.parquet").to_dict("records")
    energies, lattice = read_map(folder, row["material_id"])
    barriers = [None if pd.isna(row[f"barrier_{n}d_ev"]) else row[f"barrier_{n}d_ev"] for n in (1, 2, 3)]
    return figures.site_energy_map(energies, lattice, barriers, title=with_subscripts(row["formula"]))


def draw_energies(runs: Path) -> Figure:
    barriers = pd.concat([pd.read_parquet(runs / f"hop-{symbol}" / "barriers.parquet") for symbol in HOPPING])
    centers = pd.read_parquet(runs / "phonons" / "phonons.parquet").set_index("material_id")["band_center_mev"]
    table = barriers.assign(ea_ev=barriers["barrier_ev"], band_center_mev=barriers["material_id"].map(centers))
    return figures.center_against_energy(table)


def draw_diffusion(runs: Path) -> Figure:
    folder = runs / "vacancy"
    (row,) = pd.read_parquet(folder / "dynamics.parquet").to_dict("records")
    has_barrier = not pd.isna(row["barrier_ev"])
    energy = [row[f"barrier{end}_ev"] for end in ("", "_low", "_high")] if has_barrier else None
    return figures.diffusion_arrhenius(
        pd.read_parquet(folder / "diffusivities.parquet"), title="Al with a vacancy", energy_ev=energy
    )


def write_metal(runs: Path, symbol: str) -> Path:
    """Write a metal to a file."""
    from ase.build import bulk

    return write_once(bulk(symbol), runs / f"{symbol}.cif")


def write_alloy(runs: Path) -> Path:
    """Write ordered Cu3Au to a file."""
    from ase.build import bulk

    atoms = bulk("Cu", cubic=True, a=3.75)
    atoms.symbols[0] = "Au"
    return write_once(atoms, runs / "Cu3Au.cif")


def write_vacancy(runs: Path) -> Path:
    """Write aluminum without one of 32 atoms to a file."""
    from ase.build import bulk

    atoms = bulk("Al", cubic=True) * (2, 2, 2)
    del atoms[0]
    return write_once(atoms, runs / "Al31.cif")


def write_reference(runs: Path, name: str) -> Path:
    """Write an ordered reference compound, or an ordered model, to a file."""
    from phonolyte.references import ordered_model

    return write_once(ordered_model(name).to_ase(), runs / f"{name}.cif")


def write_once(atoms: object, path: Path) -> Path:
    """Write a crystal to a file unless it exists: run folders identify their input by its bytes."""
    from ase.io import write

    if not path.is_file():
        write(path, atoms)
    return path


# Impedance


def write_spectra(runs: Path) -> list[Path]:
    """Write simulated spectra of a pellet at seven temperatures: two arcs and electrodes, 0.3 % noise."""
    rng = np.random.default_rng(0)
    f = np.logspace(6.5, -1, 60)
    w = 2j * np.pi * f
    length_per_area = 0.1 * THICKNESS_MM / (np.pi * (0.05 * DIAMETER_MM) ** 2)
    paths = []
    for celsius in (0, 15, 30, 45, 60, 75, 90):
        kelvin = celsius + 273.15
        r = length_per_area * kelvin / (SIGMA_0 * np.exp(-EA_EV / (8.617333e-5 * kelvin)))
        arcs = r / (1 + r * 2e-11 * w**1.0) + 2 * r / (1 + 2 * r * 8e-9 * w**0.9)
        z = arcs + 1 / (4e-6 * w**0.85)
        z = z * (1 + 0.003 * (rng.normal(size=len(f)) + 1j * rng.normal(size=len(f))))
        path = runs / f"simulated_{celsius}C.csv"
        table = pd.DataFrame({"Frequency (Hz)": f, "Z' (ohm)": z.real, "Z'' (ohm)": z.imag})
        if not path.is_file():
            table.to_csv(path, index=False)
        paths.append(path)
    return paths


def draw_spectrum(runs: Path) -> Figure:
    from phonolyte.impedance import analyze, plot_spectrum

    return plot_spectrum(analyze([runs / "simulated_30C.csv"]).analyses[0])


def draw_arrhenius(runs: Path) -> Figure:
    from phonolyte.figures.impedance import arrhenius_figure

    points = pd.read_csv(runs / "spectra" / "points.csv")
    return arrhenius_figure(points, pd.read_parquet(runs / "spectra" / "arrhenius.parquet"), title="Simulated pellet")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), page_only="--page" in sys.argv)
