"""Whether a lower band center goes with a higher conductivity within families of measured lithium conductors.

Usage: python benchmarks/center_families.py

Predicted centers of the measured compounds that come with the package, in families of at least four with a crystal:
Spearman's rank correlation of softness (the negative center) with the conductivity at room temperature, with the 90 %
interval of a bootstrap over compounds. It is clear where the interval is on one side of zero.
"""

from __future__ import annotations

import numpy as np
from record import keep
from scipy.stats import spearmanr

from phonolyte.measured import load_measured

FEWEST, RESAMPLED = 4, 2000


def main() -> None:
    table = load_measured().table.dropna(subset=["band_center_mev", "sigma_s_cm"])
    families = {}
    for name, rows in table.groupby("family"):
        if len(rows) >= FEWEST:
            families[str(name)] = correlate(-rows["band_center_mev"].to_numpy(), rows["sigma_s_cm"].to_numpy())
    whole = correlate(-table["band_center_mev"].to_numpy(), table["sigma_s_cm"].to_numpy())
    clear = {sign: [name for name, each in families.items() if sign * each["rho_90"][sign < 0] > 0] for sign in (1, -1)}
    keep(
        "center_families",
        {"all": whole, "families": families, "softer_conducts_better": clear[1], "stiffer_conducts_better": clear[-1]},
    )


def correlate(softness: np.ndarray, sigma: np.ndarray) -> dict[str, float | int | list[float]]:
    """Compute the rank correlation with its interval."""
    rng, n = np.random.default_rng(0), len(softness)
    drawn = rng.integers(0, n, (RESAMPLED, n))
    samples = [spearmanr(softness[rows], sigma[rows]).statistic for rows in drawn if len(np.unique(rows)) > 2]
    low, high = np.nanquantile(samples, (0.05, 0.95))
    rho = float(spearmanr(softness, sigma).statistic)
    return {"n": n, "rho": round(rho, 2), "rho_90": [round(float(low), 2), round(float(high), 2)]}


if __name__ == "__main__":
    main()
