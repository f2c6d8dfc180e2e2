"""The figure of conductivities against pressure as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from phonolyte.errors import Failure
from phonolyte.impedance.drawing import STAGE
from phonolyte.impedance.pressure import split_isotherms
from phonolyte.impedance.tables import ON_LINES
from phonolyte.runs.settings import AS_USUAL, FigureFiles

if TYPE_CHECKING:
    from phonolyte.impedance.series import Series


def draw_pressures(series: Series, folder: Path, *, files: FigureFiles = AS_USUAL) -> list[Failure]:
    """Draw conductivities against pressure, where any temperature has three pressures; failures of it."""
    from phonolyte.figures.pressure import pressure_figure
    from phonolyte.figures.style import save

    if series.volumes.empty:
        return []
    try:
        points = pd.concat([
            isotherm.assign(temperature_k=float(isotherm["temperature_k"].mean()))
            for _, isotherm in split_isotherms(series.spectra, ON_LINES)
        ])  # fmt: skip
        save(pressure_figure(points, series.volumes), folder / "pressure", files=files)
    except Exception as error:  # matplotlib can raise anything, and the other results stand
        return [Failure.from_error(error, material_id="pressure", stage=STAGE)]
    return []
