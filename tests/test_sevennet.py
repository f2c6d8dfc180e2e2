"""SevenNet as an engine, beside the calculator of its package; skipped where that is missing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from ase.calculators.calculator import Calculator
from crystals import make_sheared_salt

from phonolyte.forces import open_engine

for package in ("torch", "sevenn", "e3nn"):
    pytest.importorskip(package, reason=f"sevennet needs {package}: pip install '.[sevennet]'")

pytestmark = pytest.mark.filterwarnings("ignore:No tensor product accelerator")

MODELS = ("7net-0", "7net-l3i5")


@pytest.fixture(scope="module", params=MODELS)
def calculators(request: pytest.FixtureRequest) -> Iterator[tuple[Calculator, Calculator]]:
    """Ours, and that of the package."""
    from sevenn.calculator import SevenNetCalculator

    ours = open_engine("sevennet", model=request.param).calculator
    return ours, SevenNetCalculator(model=request.param, device="cpu")


def test_compiled_loops_change_no_energy_force_or_stress(calculators: tuple[Calculator, Calculator]):
    salt, computed = make_sheared_salt(), []
    for calculator in calculators:
        salt.calc = calculator
        computed.append((salt.get_potential_energy(), salt.get_forces(), salt.get_stress()))
    (energy, forces, stress), (their_energy, their_forces, their_stress) = computed
    assert energy == pytest.approx(their_energy, abs=1e-4)
    np.testing.assert_allclose(forces, their_forces, atol=2e-5)
    np.testing.assert_allclose(stress, their_stress, atol=2e-6)


def test_every_convolution_is_compiled(calculators: tuple[Calculator, Calculator]):
    from phonolyte.forces.sevennet import CompiledLayer

    ours, theirs = (
        [type(layer).__name__ for name, layer in calculator.model.named_children() if name.endswith("convolution")]
        for calculator in calculators
    )
    assert len(ours) == len(theirs) >= 5
    assert set(ours) == {CompiledLayer.__name__}
