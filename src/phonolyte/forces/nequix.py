"""Nequix through its torch back end, which needs neither a GPU nor a compilation for each number of atoms."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.data import chemical_symbols
from ase.stress import full_3x3_to_voigt_6_stress
from filelock import FileLock

from phonolyte.errors import EngineError, PhonolyteError, first_line
from phonolyte.forces.engines import Engine, Opening, check_device, provenance_of
from phonolyte.runs.records import checksum, in_one_step

CHECKPOINT = "nequix-oam-1-pft"
"""The checkpoint that is downloaded unless another is named: fine-tuned on the Hessians of computed phonons."""

SUFFIX = ".nqx"

THEIR_CACHE = Path("~/.cache/nequix/models")
"""Where the package nequix keeps the checkpoints that it has downloaded."""


def nequix(checkpoint: str = CHECKPOINT, threads: int = 1, device: str = "cpu") -> Engine:
    """Nequix, a graph potential for 89 elements under the MIT license.

    Parameters
    ----------
    checkpoint
        Path of a ``.nqx`` file, or a name that the package nequix knows (downloaded once).
    threads
        Threads of torch.
    device
        ``cpu`` or ``cuda``; the latter is untested.

    Raises
    ------
    SettingsError
        For another device, and for ``cuda`` where torch has no CUDA.
    EngineError
        When there is no such checkpoint, or it cannot be downloaded or read.
    """
    check_device("nequix", device)
    import torch

    torch.set_num_threads(threads)
    weights = path_of(checkpoint)
    calculator = NequixCalculator(convert(weights), device)
    is_file = Path(checkpoint).expanduser().is_file()
    name, named = (weights.name, str(weights.absolute())) if is_file else (checkpoint, checkpoint)
    provenance = {**provenance_of("nequix", "torch", weights=weights), "checkpoint": name, "device": device}
    options = {"checkpoint": named, "threads": threads, "device": device}
    return Engine("nequix", calculator, provenance).opened_by(Opening("nequix", options))


class NequixCalculator(Calculator):  # type: ignore[misc]
    """Energies, forces and stresses of a converted checkpoint.

    The calculator of the package nequix would take a GPU wherever it sees one, cuts the bonds across the borders of a
    cell that is periodic in one or two directions only, and adds up energies in single precision. On a CPU the
    convolutions are those of :mod:`phonolyte.forces.convolution`, and the radial networks tables of
    :mod:`phonolyte.forces.radial`: a ninth to a fourteenth of the time, the same forces.

    Parameters
    ----------
    weights
        File that :func:`convert` has written.
    device
        ``cpu`` or ``cuda``.
    """

    implemented_properties = ("energy", "free_energy", "forces", "stress")

    def __init__(self, weights: Path, device: str) -> None:
        super().__init__()
        from nequix.data import atomic_numbers_to_indices
        from nequix.torch_impl.model import load_model

        model, settings = load_model(weights, use_kernel=False)
        if device == "cpu":
            _speed_up(model)
        self.model, self.device = model.eval().requires_grad_(False).to(device), device
        self.indices = atomic_numbers_to_indices(settings["atomic_numbers"])
        self.cutoff_a = float(settings["cutoff"])

    def calculate(
        self, atoms: Atoms | None = None, properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:  # fmt: skip
        """Compute all properties of a cell: energy in eV, forces in eV/angstrom, stress in eV/angstrom^3.

        Raises
        ------
        EngineError
            For an element that the checkpoint does not have, and a cell that is periodic in some directions only.
        """
        super().calculate(atoms, properties, system_changes)
        self._check(self.atoms)
        energies, forces, stress = self.model(*self._graph(self.atoms))
        energy = float(energies.detach().double().sum())
        self.results = {"energy": energy, "free_energy": energy, "forces": _array(forces)}
        if stress is not None:
            self.results["stress"] = full_3x3_to_voigt_6_stress(_array(stress)[0])

    def _check(self, atoms: Atoms) -> None:
        unknown = sorted(set(atoms.numbers.tolist()) - set(self.indices))
        if unknown:
            names = ", ".join(chemical_symbols[number] for number in unknown)
            raise EngineError(f"this checkpoint of Nequix does not know {names}", fix="Choose another engine.")
        if atoms.pbc.any() and not atoms.pbc.all():
            raise EngineError(
                "Nequix does not compute a cell that is periodic in some directions only",
                fix="Make it periodic in all, with vacuum where it ends.",
            )

    def _graph(self, atoms: Atoms) -> list[Any]:
        """What the model takes: species, positions, shifts, bonds, cell, and counts of a batch of one cell."""
        import torch
        from nequix.data import preprocess_graph

        graph = preprocess_graph(atoms, self.indices, self.cutoff_a, False)
        bonds = np.stack([graph["senders"], graph["receivers"]]).astype(np.int64)
        cell = None if graph["cell"] is None else graph["cell"][None]
        batch = np.zeros(len(atoms), dtype=np.int64)
        species = graph["species"].astype(np.int64)
        arrays = (species, graph["positions"], graph["shifts"], bonds, cell, graph["n_node"], graph["n_edge"], batch)
        return [None if array is None else torch.from_numpy(array).to(self.device) for array in arrays]


def _speed_up(model: Any) -> None:
    """Replace convolutions and radial networks of a model by compiled loops, which take distances for radial bases."""
    from torch.nn import Identity

    from phonolyte.forces.convolution import Convolution, can_convolve
    from phonolyte.forces.radial import RadialTable

    if not all(can_convolve(layer.tp) for layer in model.layers):
        return  # the loops of its package are slower, and take every irrep
    for layer in model.layers:
        columns = np.concatenate([np.arange(part.start, part.stop) for part in layer.sort.slices_sorted])
        radial = RadialTable.from_function(_radial_function(model, layer.radial_mlp), model.cutoff)
        layer.tp_conv, layer.kernel = Convolution(layer.tp, radial, columns), True
        layer.radial_mlp, layer.sort = Identity(), Identity()
    model.node_energies = partial(_node_energies, model)


def _radial_function(model: Any, network: Any) -> Callable[[Any], Any]:
    """The weights of a convolution as a function of distances, in double precision."""
    from nequix.torch_impl.model import bessel_basis, polynomial_cutoff

    exact = copy.deepcopy(network).double()

    def compute_weights(distances: Any) -> Any:
        basis = bessel_basis(distances, model.radial_basis_size, model.cutoff)
        return exact(basis * polynomial_cutoff(distances, model.cutoff, model.radial_polynomial_p)[:, None])

    return compute_weights


def _node_energies(model: Any, displacements: Any, species: Any, senders: Any, receivers: Any) -> Any:
    """Energies of atoms (n, 1), eV, as the model's own method computes them, with distances for radial bases."""
    import torch
    from e3nn import o3

    features = torch.nn.functional.one_hot(species, model.n_species).to(displacements.dtype)
    distances = torch.linalg.norm(displacements, dim=-1)
    harmonics = o3.spherical_harmonics(
        o3.Irreps.spherical_harmonics(model.lmax), displacements, normalize=True, normalization="component"
    )
    for layer in model.layers:
        features = layer(features, species, harmonics, distances, senders, receivers)
    return model.readout(features) * model.scale + model.shift + model.atom_energies[species, None]


def _array(tensor: Any) -> Any:
    return np.asarray(tensor.detach().cpu().numpy(), dtype=float)


def convert(weights: Path) -> Path:
    """Convert a checkpoint for torch, once, into the cache of Phonolyte, under its checksum.

    Parameters
    ----------
    weights
        A ``.nqx`` file.

    Raises
    ------
    EngineError
        When it cannot be read.
    """
    from phonolyte.sources.cache import cache_folder

    version = provenance_of("nequix")["nequix"]
    file = cache_folder() / "nequix" / f"{checksum(weights)}-{version}.pt"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_suffix(".lock")):
            if not file.is_file():  # of another process, meanwhile
                _convert(weights, file)
    return file


def _convert(weights: Path, file: Path) -> None:
    from nequix.model import load_model
    from nequix.torch_impl.model import save_model
    from nequix.torch_impl.utils import convert_model_jax_to_torch

    try:
        with redirect_stdout(io.StringIO()), in_one_step(file) as partial:
            model, settings = convert_model_jax_to_torch(*load_model(weights, False), False)
            save_model(partial, model, settings)
    except Exception as error:  # whatever a file that is not a checkpoint makes the packages raise
        raise EngineError(
            f"{weights} cannot be read as a checkpoint of Nequix",
            why=first_line(error),
            fix="Give the path of another .nqx file, or remove this one and let it be downloaded again.",
        ) from error


def path_of(checkpoint: str) -> Path:
    """Path of a checkpoint, downloaded where it is the name of one that is not here.

    Parameters
    ----------
    checkpoint
        Path of a ``.nqx`` file, or a name that the package nequix knows.

    Raises
    ------
    EngineError
        When it is neither, or cannot be downloaded.
    """
    path = Path(checkpoint).expanduser()
    if path.is_file() and path.suffix == SUFFIX:
        return path
    import nequix.calculator

    addresses = nequix.calculator.NequixCalculator.URLS
    if checkpoint not in addresses:
        raise EngineError(
            f"there is no checkpoint {checkpoint!r}",
            why=f"it is neither a {SUFFIX} file nor a name that nequix knows",
            fix=f"Give a path, or one of {', '.join(addresses)}.",
        )
    theirs = THEIR_CACHE.expanduser() / f"{checkpoint}{SUFFIX}"
    return theirs if theirs.is_file() else _download(checkpoint, addresses[checkpoint])


def _download(checkpoint: str, address: str) -> Path:
    from phonolyte.sources.cache import RemoteFile, obtain

    try:
        return obtain("nequix", RemoteFile(f"{checkpoint}{SUFFIX}", (address,)))
    except PhonolyteError as error:
        raise EngineError(
            f"{checkpoint} cannot be downloaded",
            why=error.why or error.what,
            fix="Download the file elsewhere and give its path as checkpoint.",
        ) from error
