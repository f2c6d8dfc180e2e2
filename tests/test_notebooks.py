"""Values at a prompt and in a notebook: counts and units in a line, and nothing that a page would run."""

from __future__ import annotations

import pickle
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from phonolyte.dos import PhononDos
from phonolyte.errors import Failure
from phonolyte.impedance import Geometry, Series, Spectrum, analyze_spectrum
from phonolyte.models import BandCenterModel
from phonolyte.runs.campaign import Outcome
from phonolyte.screen import Screening
from phonolyte.structures import Crystal, Reading
from phonolyte.structures.reading import Skipped
from phonolyte.train import Training

HOSTILE = "<img src=x onerror=alert(1)>\x1b[31m\n"
SALT = Crystal.from_arrays(
    "mp-1", np.eye(3) * 4.0, ["Na", "Cl"], [0, 0, 0, 0.5, 0.5, 0.5], properties={"e_hull_ev": 0.0}
)
MODEL = BandCenterModel.embedded()


class Cells(HTMLParser):
    """Tags and texts of a table."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def make_series() -> Series:
    f = np.logspace(6, 1, 40)
    z = 100 + 1000 / (1 + 2j * np.pi * f * 1000 * 1e-9)
    return Series.from_analyses(
        [analyze_spectrum(Spectrum.from_arrays(f"at {t} K", f, z, temperature_k=t)) for t in (298.15, 348.15)],
        Geometry(thickness_cm=0.1, area_cm2=1.0),
    )


SCREENED = pd.DataFrame(
    {"passes": [True, True, False], "formula": ["Li3PS4", "LiCl", "CO"], "band_center_mev": [31.24, 27.5, 90.0]}
)
SHOWN = {
    "reading": (
        Reading([SALT], [Failure("a", "reading", "X", "y")], [], [Skipped("f", "g"), Skipped("h", "i")]),
        "<Reading: crystals 1, failures 1, skipped files 2>",
    ),
    "crystal": (SALT, "<Crystal: name mp-1, formula NaCl, atoms 2, volume 64.0 Å³, properties 1>"),
    "disordered crystal": (
        Crystal.from_arrays("d", np.eye(3) * 4.0, ["Li", "Cl"], [0, 0, 0, 0.5, 0.5, 0.5], occupancies=[0.5, 1.0]),
        "<Crystal: name d, formula Li0.5Cl, atoms 1.5, ions 2 partly filled, volume 64.0 Å³>",
    ),
    "screen": (
        Screening(SCREENED, [], [Failure("a", "reading", "X", "y")] * 1200),
        "<Screening: candidates 2 of 3 materials, failures 1,200, first Li3PS4, LiCl, band centers 27.5 to 31.2 meV>",
    ),
    "empty screen": (Screening(SCREENED.iloc[:0], []), "<Screening: candidates 0 of 0 materials>"),
    "phonons": (
        Outcome(pd.DataFrame({"band_center_mev": [31.24]}), not_reached=["x"]),
        "<Outcome: crystals 1, not reached 1, center 31.2 meV>",
    ),
    "barriers": (
        Outcome(pd.DataFrame({"barrier_ev": [0.2512, np.nan, 0.4]})),
        "<Outcome: crystals 3, barrier 0.25 to 0.40 eV>",
    ),
    "density of states": (
        PhononDos(np.array([0.0, 10.0, 20.0]), np.array([0.0, 1.0, 0.0]), {"Li": np.ones(3)}, formula="Li"),
        "<PhononDos: formula Li, energies 3, up to 20.0 meV, elements Li, band center 10.0 meV, imaginary 0.0%>",
    ),
    "training": (
        Training(replace(MODEL, provenance={"algorithm": "trees", "scores": [{"split": "random", "mae_mev": 1.234}]}),
                 pd.DataFrame(), 1272),
        "<Training: compounds 1,272, model trees, mean error, random folds 1.23 meV>",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SHOWN)
def test_values_show_what_they_hold(name: str):
    value, text = SHOWN[name]
    assert repr(value) == text


@pytest.mark.parametrize("name", SHOWN)
def test_tables_of_notebooks_say_the_same(name: str):
    value, text = SHOWN[name]
    cells = Cells(value._repr_html_())
    assert set(cells.tags) == {"table", "caption", "tr", "th", "td"}
    caption, *texts = cells.texts
    pairs = zip(texts[::2], texts[1::2], strict=True)
    assert f"<{caption}: {', '.join(f'{label} {value}' for label, value in pairs)}>" == text


def test_a_series_of_spectra_shows_its_temperatures():
    series = make_series()
    assert repr(series) == "<Series: spectra 2, temperatures 25 to 75 °C, pellet known>"
    assert repr(Series(())) == "<Series: spectra 0, pellet not known>"


def test_the_model_that_comes_along_shows_its_error():
    known = MODEL.provenance["scores"][0]
    assert f"compounds learned {known['n']:,}, mean error, random folds {known['mae_mev']:.2f} meV" in repr(MODEL)
    assert len(repr(MODEL)) < 200


@pytest.mark.parametrize("scores", [None, 3, ["x"], [{"split": "random", "mae_mev": "0.7"}], [{"mae_mev": 1.0}]])
def test_a_provenance_of_a_stranger_is_not_an_error(scores: object):
    model = replace(MODEL, provenance={"scores": scores, "interval": [], "algorithm": HOSTILE})
    assert "mean error" not in repr(model)
    assert "\x1b" not in repr(model)


def test_names_from_outside_are_text_on_pages_and_terminals():
    crystal = replace(SALT, material_id=HOSTILE)
    cells = Cells(crystal._repr_html_())
    assert "img" not in cells.tags
    assert "<img" not in crystal._repr_html_()
    assert repr(crystal).isprintable()
    assert len(repr(replace(SALT, material_id="x" * 10_000))) < 200


def test_shown_values_travel():
    again = pickle.loads(pickle.dumps(SALT))
    assert repr(again) == repr(SALT)
    assert not hasattr(again, "__dict__")
