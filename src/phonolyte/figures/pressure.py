"""Conductivities against pressure: tables in, a matplotlib figure out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phonolyte.figures.style import COLORS, STYLE, new_figure
from phonolyte.units import GAS_J_MOL_K, NORMAL_95, ZERO_C_K

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

MARKS = "os^vDPX"
"""Marks of temperatures, the coldest first."""


def pressure_figure(points: pd.DataFrame, lines: pd.DataFrame) -> Figure:
    """Conductivities against pressure with a line for each process and temperature, and its activation volume.

    Parameters
    ----------
    points
        Rows with `process`, `temperature_k`, `pressure_mpa`, `sigma_s_cm` and `sigma_std_s_cm`.
    lines
        Rows with `process`, `temperature_k` (as of its points), `from_mpa`, `to_mpa`, `sigma_0mpa_s_cm`,
        `activation_volume_cm3_mol` and `activation_volume_high_cm3_mol`.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure = new_figure(4.4, 3.8)
        axes = figure.subplots()
        colors = dict(zip(dict.fromkeys(lines["process"]), COLORS, strict=False))
        warmth = {kelvin: number for number, kelvin in enumerate(sorted(set(lines["temperature_k"])))}
        for line in lines.to_dict("records"):
            kelvin, volume = line["temperature_k"], line["activation_volume_cm3_mol"]
            isotherm = points[(points["process"] == line["process"]) & np.isclose(points["temperature_k"], kelvin)]
            label = (
                f"{line['process'].replace('_', ' ')}, {kelvin - ZERO_C_K:.0f} °C: "
                f"{volume:.2f} ± {line['activation_volume_high_cm3_mol'] - volume:.2f} cm³/mol"
            )
            color = colors[line["process"]]
            axes.errorbar(isotherm["pressure_mpa"], isotherm["sigma_s_cm"], yerr=NORMAL_95 * isotherm["sigma_std_s_cm"],
                          ms=4, lw=0.8, fmt=MARKS[warmth[kelvin] % len(MARKS)], color=color,
                          capsize=2, label=label)  # fmt: skip
            ends = np.array([line["from_mpa"], line["to_mpa"]])
            axes.plot(ends, line["sigma_0mpa_s_cm"] * np.exp(-volume * ends / (GAS_J_MOL_K * kelvin)), color=color)
        axes.set_yscale("log")
        axes.set_xlabel("Pressure (MPa)")
        axes.set_ylabel("σ (S/cm)")
        figure.legend(loc="outside lower center")
    return figure
