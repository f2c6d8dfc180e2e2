"""Nequix as an engine: derivatives, an oracle, its weights; skipped where the package or the checkpoint is missing."""

from __future__ import annotations

import copy
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from crystals import make_sheared_salt

from phonolyte.errors import EngineError
from phonolyte.forces import Engine, open_engine
from phonolyte.runs.records import checksum

for package in ("torch", "nequix", "e3nn", "jax", "equinox", "e3nn_jax", "jraph", "matscipy"):
    pytest.importorskip(package, reason=f"nequix needs {package}: pip install '.[nequix]', then --no-deps nequix")

NAME = "nequix-oam-1-pft.nqx"


@pytest.fixture(scope="module")
def weights(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkpoint, alone in its folder."""
    file = shared / "potentials" / NAME
    if not file.is_file():
        pytest.skip(f"{file} is not there")
    return Path(shutil.copy(file, tmp_path_factory.mktemp("weights") / "mine.nqx"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def engine(weights: Path, cache: Path) -> Engine:
    """The engine, its weights converted into an empty cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PHONOLYTE_CACHE", str(cache))
        return open_engine("nequix", checkpoint=str(weights))


@pytest.fixture
def salt(engine: Engine) -> Atoms:
    cell = make_sheared_salt()
    cell.calc = engine.calculator
    return cell


def test_its_provenance_is_that_of_the_file_that_was_given(engine: Engine, weights: Path, cache: Path):
    assert engine.provenance["weights_sha256"] == checksum(weights)
    assert (engine.provenance["weights"], engine.provenance["checkpoint"]) == ("mine.nqx", "mine.nqx")
    assert set(engine.provenance) >= {"nequix", "torch", "device"}
    assert (engine.license, engine.notes) == ("MIT", ())  # known by its content, whatever it is called
    assert engine.is_known_by({"engine": "nequix", "weights_sha256": checksum(weights)})
    assert not engine.is_known_by({"engine": "nequix", "weights_sha256": "0" * 64})
    assert [file.name for file in weights.parent.iterdir()] == ["mine.nqx"]  # nothing was written beside it
    (converted,) = (cache / "nequix").glob("*.pt")
    assert converted.name.startswith(checksum(weights))


def test_forces_are_the_gradient_of_the_energy(salt: Atoms):
    forces, step = salt.get_forces(), 0.01
    np.testing.assert_allclose(forces.sum(axis=0), 0.0, atol=1e-4)
    assert np.abs(forces).max() > 0.1
    for atom, axis in ((0, 0), (5, 1), (11, 2)):
        energies = []
        for sign in (1, -1):
            moved = salt.copy()
            moved.calc = salt.calc
            moved.positions[atom, axis] += sign * step
            energies.append(moved.get_potential_energy())
        assert -(energies[0] - energies[1]) / (2 * step) == pytest.approx(forces[atom, axis], abs=3e-3)


def test_stresses_are_the_derivative_of_the_energy_by_strain(salt: Atoms):
    stress, step = salt.get_stress(voigt=False), 2e-3
    np.testing.assert_array_equal(stress, stress.T)
    assert np.abs(stress).max() > 1e-3
    for i, j in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)):
        energies = []
        for sign in (1, -1):
            strain = np.zeros((3, 3))
            strain[i, j] += sign * step / 2
            strain[j, i] += sign * step / 2
            strained = salt.copy()
            strained.set_cell(salt.cell.array @ (np.eye(3) + strain), scale_atoms=True)
            strained.calc = salt.calc
            energies.append(strained.get_potential_energy())
        numeric = (energies[0] - energies[1]) / (2 * step * salt.get_volume())
        assert numeric == pytest.approx(stress[i, j], abs=1e-4)


def test_energies_grow_with_the_cell(salt: Atoms):
    twice = salt.repeat((2, 1, 1))
    twice.calc = salt.calc
    assert twice.get_potential_energy() == pytest.approx(2 * salt.get_potential_energy(), rel=1e-6)


def test_the_back_end_of_jax_gives_the_same(salt: Atoms, weights: Path):
    from nequix.calculator import NequixCalculator

    other = salt.copy()
    other.calc = NequixCalculator(model_path=weights, backend="jax", use_kernel=False)
    assert salt.get_potential_energy() == pytest.approx(other.get_potential_energy(), abs=1e-3)
    np.testing.assert_allclose(salt.get_forces(), other.get_forces(), atol=2e-4)
    np.testing.assert_allclose(salt.get_stress(), other.get_stress(), atol=2e-5)


def make_radial(n: int) -> tuple[Any, Any]:
    """A radial function of n values, and its table up to 6 angstrom."""
    import torch

    from phonolyte.forces.radial import RadialTable

    def compute(distances: torch.Tensor) -> torch.Tensor:
        waves = torch.sin(torch.linspace(1, 8, n) * torch.pi * distances[:, None] / 6.0) / distances[:, None]
        return torch.nn.functional.silu(3.0 * waves)

    return compute, RadialTable.from_function(compute, 6.0)


@pytest.mark.parametrize("features", ["5x0e", "40x0e + 4x1o + 64x2e + 2x3o"])
def test_compiled_convolution_is_that_of_e3nn(features: str):
    import torch
    from e3nn import o3

    from phonolyte.forces.convolution import Convolution

    irreps, harmonics = o3.Irreps(features), o3.Irreps("1x0e + 1x1o + 1x2e + 1x3o")
    steps = [
        (first, second, output)
        for first, (_, left) in enumerate(irreps)
        for second, (_, right) in enumerate(harmonics)
        for output in left * right
        if output.l <= 3
    ]
    product = o3.TensorProduct(
        irreps, harmonics, [(irreps[first].mul, output) for first, _, output in steps],
        [(first, second, place, "uvu", True) for place, (first, second, _) in reversed(list(enumerate(steps)))],
        shared_weights=False, internal_weights=False,
    )  # fmt: skip
    seed = torch.Generator().manual_seed(0)
    atoms, bonds = 4, 24
    given = [
        torch.randn(atoms, irreps.dim, generator=seed, requires_grad=True),
        torch.randn(bonds, harmonics.dim, generator=seed, requires_grad=True),
        (0.5 + 5.5 * torch.rand(bonds, generator=seed)).requires_grad_(True),
    ]
    receivers, senders = torch.randint(atoms, (2, bonds), generator=seed)
    _, table = make_radial(product.weight_numel)
    place = given[2].double() * table.per_a
    interval = place.detach().long().clamp(max=len(table.cubics) - 1)
    powers = (place - interval)[:, None] ** torch.arange(4)
    weights = torch.einsum("bp,bpw->bw", powers, torch.from_numpy(table.cubics).double()[interval]).float()
    messages = product(given[0][senders], given[1], weights)
    expected = torch.zeros(atoms, product.irreps_out.dim).index_add(0, receivers, messages)
    columns = np.random.default_rng(0).permutation(product.irreps_out.dim)
    for order in (None, columns):
        wanted = expected if order is None else expected[:, order]
        computed = Convolution(product, table, order)(*given, receivers, senders)
        torch.testing.assert_close(computed, wanted)
        weights = torch.randn(expected.shape, generator=seed)
        gradients = [
            torch.autograd.grad((sums * weights).sum(), given, retain_graph=True) for sums in (computed, wanted)
        ]
        torch.testing.assert_close(gradients[0], gradients[1])


def test_products_with_larger_irreps_are_left_to_e3nn():
    from e3nn import o3

    from phonolyte.forces.convolution import can_convolve

    def make_product(irrep: str) -> o3.TensorProduct:
        return o3.TensorProduct(
            irrep, "1x0e", irrep, [(0, 0, 0, "uvu", True)], shared_weights=False, internal_weights=False
        )

    assert can_convolve(make_product("2x3o"))
    assert not can_convolve(make_product("2x4e"))


def test_a_radial_table_has_values_and_slopes_of_its_function():
    import torch

    from phonolyte.forces.radial import find_cubic, slope_of, value_of

    compute, table = make_radial(9)
    distances = torch.tensor([0.5, 1.234567, 2.5, 3.999, 5.9999, 6.0], dtype=torch.float64)
    values, slopes = torch.func.jvp(compute, (distances,), (torch.ones_like(distances),))
    for at, distance in enumerate(distances.numpy()):
        interval, share = find_cubic(distance, len(table.cubics), table.per_a)
        cubic = table.cubics[interval]
        np.testing.assert_allclose(value_of(*cubic, share), values[at], atol=1e-6, rtol=1e-6)
        np.testing.assert_allclose(slope_of(*cubic[1:], share) * table.per_a, slopes[at], atol=5e-5, rtol=1e-5)


def test_tables_and_compiled_loops_change_no_force(engine: Engine, salt: Atoms, cache: Path):
    from nequix.torch_impl.model import load_model

    calculator = engine.calculator
    ours = salt.get_forces(), salt.get_potential_energy(), salt.get_stress()
    (file,) = (cache / "nequix").glob("*.pt")
    theirs = copy.copy(calculator)
    theirs.model = load_model(file, use_kernel=False)[0].eval().requires_grad_(False)
    again = salt.copy()
    again.calc = theirs
    np.testing.assert_allclose(again.get_forces(), ours[0], atol=1e-5)
    assert again.get_potential_energy() == pytest.approx(ours[1], abs=1e-4)
    np.testing.assert_allclose(again.get_stress(), ours[2], atol=1e-6)


def test_it_travels(engine: Engine, salt: Atoms, cache: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PHONOLYTE_CACHE", str(cache))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(engine)).forces([salt])[0], engine.forces([salt])[0])


def test_what_it_does_not_know_is_an_error_and_never_a_number(engine: Engine):
    with pytest.raises(EngineError, match="does not know Po"):
        engine.forces([bulk("Po", "sc", a=3.3)])
    slab = bulk("Cu", cubic=True)
    slab.pbc = (True, True, False)
    with pytest.raises(EngineError, match="periodic in some directions only"):
        engine.forces([slab])
    (forces,) = engine.forces([molecule("H2O")])  # one that is periodic in none is computed
    np.testing.assert_allclose(forces.sum(axis=0), 0.0, atol=1e-4)


def test_a_file_that_is_none_of_its_checkpoints_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PHONOLYTE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "broken.nqx").write_text("{}\n")
    with pytest.raises(EngineError, match=r"broken\.nqx cannot be read as a checkpoint of Nequix"):
        open_engine("nequix", checkpoint=str(tmp_path / "broken.nqx"))
    assert not list((tmp_path / "cache").rglob("*.pt*"))
