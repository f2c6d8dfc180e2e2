"""Potentials of machine learning behind the ASE calculators of their packages."""

from __future__ import annotations

import io
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phonolyte.errors import EngineError, PhonolyteError, first_line
from phonolyte.forces.engines import Engine, Opening, check_device, provenance_of
from phonolyte.forces.registry import ENGINES

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator


def sevennet(model: str = "7net-l3i5", device: str = "cpu") -> Engine:
    """SevenNet, whose weights come with its package (MIT license).

    On a CPU its convolutions are those of :mod:`phonolyte.forces.convolution`.

    Parameters
    ----------
    model
        A name of the package (``7net-l3i5``, ``7net-0``, ...) or the path of a checkpoint.
    device
        ``cpu`` or ``cuda``; the latter is untested.

    Raises
    ------
    SettingsError
        For another device, and for ``cuda`` where torch has no CUDA.
    """
    check_device("sevennet", device)
    from sevenn.calculator import SevenNetCalculator

    file = _file(model)
    with _loading("sevennet", model, file), warnings.catch_warnings():
        if device == "cpu":
            warnings.filterwarnings("ignore", "No tensor product accelerator")  # it has one, see below
        calculator = SevenNetCalculator(model=str(file or model), device=device)
        if device == "cpu":
            from phonolyte.forces.sevennet import speed_up

            speed_up(calculator.model, calculator.cutoff)
    return _engine("sevennet", calculator, model, file, {"device": device})


def mace(model: str = "medium-mpa-0", device: str = "cpu", dtype: str = "float64") -> Engine:
    """MACE. Loading a file runs code that it may hold, so take none from a stranger.

    Parameters
    ----------
    model
        A name of the package (``medium-mpa-0``, ``medium-omat-0``, ...; downloaded once) or the path of a ``.model``.
    device
        ``cpu`` or ``cuda``; the latter is untested.
    dtype
        ``float64`` or ``float32``.

    Raises
    ------
    SettingsError
        For another device, and for ``cuda`` where torch has no CUDA.
    EngineError
        When there is no such model.
    """
    check_device("mace", device)
    from mace.calculators import MACECalculator
    from mace.calculators.foundations_models import download_mace_mp_checkpoint, mace_mp_urls

    file = _file(model)
    _require_name("mace", model, file, mace_mp_urls)
    with _loading("mace", model, file), redirect_stdout(io.StringIO()):  # it speaks of what it downloads
        weights = file or Path(download_mace_mp_checkpoint(model))
        calculator = MACECalculator(model_paths=[str(weights)], device=device, default_dtype=dtype)
    return _engine("mace", calculator, model, file, {"device": device, "dtype": dtype}, weights)


def orb(
    model: str = "orb-v3-conservative-inf-omat", device: str = "cpu", precision: str = "float32-highest",
    weights: str = "",
) -> Engine:  # fmt: skip
    """Orb.

    Parameters
    ----------
    model
        A name of the package. Those with `direct` in it predict forces that are the gradient of no energy.
    device
        ``cpu`` or ``cuda``; the latter is untested.
    precision
        ``float32-highest``, ``float32-high`` (of which the package advises against for phonons) or ``float64``.
    weights
        Path of a checkpoint for `model`; default: that of the package, which is downloaded once.

    Raises
    ------
    SettingsError
        For another device, and for ``cuda`` where torch has no CUDA.
    EngineError
        When there is no such model or file.
    """
    check_device("orb", device)
    from orb_models.forcefield.calculator import ORBCalculator
    from orb_models.forcefield.pretrained import ORB_PRETRAINED_MODELS

    _require_name("orb", model, None, ORB_PRETRAINED_MODELS)
    file = _file(weights)
    if weights and file is None:
        raise EngineError(f"there is no file {weights}", fix="Give the path of a checkpoint, or leave weights out.")
    path = {"weights_path": str(file)} if file else {}
    with _loading("orb", model, file):
        potential = ORB_PRETRAINED_MODELS[model](device=device, precision=precision, compile=False, **path)
    settings = {"device": device, "precision": precision}
    named = f"{model} ({file.name})" if file else model
    engine = _engine("orb", ORBCalculator(potential, device=device), named, None, settings, file)
    return engine.opened_by(Opening("orb", {"model": model, **settings, "weights": str(file or "")}))


def mattersim(model: str = "MatterSim-v1.0.0-1M", device: str = "cpu") -> Engine:
    """MatterSim.

    Parameters
    ----------
    model
        ``MatterSim-v1.0.0-1M`` or ``MatterSim-v1.0.0-5M`` (downloaded once), or the path of a checkpoint.
    device
        ``cpu`` or ``cuda``; the latter is untested.

    Raises
    ------
    SettingsError
        For another device, and for ``cuda`` where torch has no CUDA.
    EngineError
        When there is no such model.
    """
    check_device("mattersim", device)
    from mattersim.forcefield.potential import MatterSimCalculator, Potential

    file = _file(model)
    name = model if file else model.lower().removesuffix(".pth")
    _require_name("mattersim", name, file, ENGINES["mattersim"].weights)
    with _loading("mattersim", name, file):
        potential = Potential.from_checkpoint(str(file or name), device=device, load_training_state=False)
    calculator = MatterSimCalculator(potential=potential, device=device)
    return _engine("mattersim", calculator, name, file, {"device": device})


def matgl(model: str = "TensorNet-PES-MatPES-PBE-2025.2", device: str = "cpu") -> Engine:
    """Potentials of MatGL: TensorNet, CHGNet, M3GNet and others.

    Parameters
    ----------
    model
        A model of Hugging Face's materialyze (downloaded once), or the path of the folder of one.
    device
        ``cpu`` or ``cuda``; the latter is untested.

    Raises
    ------
    SettingsError
        For another device, and for ``cuda`` where torch has no CUDA.
    """
    check_device("matgl", device)
    import matgl as package
    from matgl.ext.ase import PESCalculator

    folder = Path(model).expanduser()
    file = (folder / "state.pt").absolute() if (folder / "state.pt").is_file() else None
    with _loading("matgl", model, file):
        potential = package.load_model(str(folder.absolute() if file else model)).to(device)
    calculator = PESCalculator(potential, stress_unit="eV/A3")  # else its stresses are in GPa
    engine = _engine("matgl", calculator, f"{folder.name}/" if file else model, None, {"device": device}, file)
    return engine.opened_by(Opening("matgl", {"model": str(folder.absolute() if file else model), "device": device}))


def upet(model: str = "pet-omat-s", version: str = "1.0.0", device: str = "cpu", dtype: str = "float64") -> Engine:
    """UPET: the point-edge transformers PET-OMat, PET-OAM, PET-MAD.

    Parameters
    ----------
    model
        A name of the package (downloaded once) or the path of a checkpoint.
    version
        Version of a named model. There is no *latest* here: the numbers of a run must not change with the day.
    device
        ``cpu`` or ``cuda``; the latter is untested.
    dtype
        ``float64`` or ``float32``.

    Raises
    ------
    SettingsError
        For another device, and for ``cuda`` where torch has no CUDA.
    """
    check_device("upet", device)
    from upet.ase import UPETCalculator

    file = _file(model)
    chosen = {"checkpoint_path": str(file)} if file else {"model": model, "version": version}
    with _loading("upet", model, file):
        calculator = UPETCalculator(**chosen, device=device, dtype=dtype)
    settings = {"device": device, "dtype": dtype}
    engine = _engine("upet", calculator, model if file else f"{model}-v{version}", file, settings)
    return engine.opened_by(Opening("upet", {"model": str(file or model), "version": version, **settings}))


def _file(model: str) -> Path | None:
    path = Path(model).expanduser()
    return path.absolute() if model and path.is_file() else None


@contextmanager
def _loading(engine: str, model: str, file: Path | None) -> Iterator[None]:
    """Say of weights that cannot be loaded what was at the bottom of it: packages hide a failed download."""
    try:
        yield
    except (ImportError, PhonolyteError):
        raise
    except Exception as error:  # a foreign package can raise anything
        origin: BaseException = error
        while origin.__cause__ or origin.__context__:
            origin = origin.__cause__ or origin.__context__ or origin
        raise EngineError(
            f"weights {model} of {engine} cannot be loaded",
            why=f"{type(origin).__name__}: {first_line(origin)[:200]}",
            fix="Give another file."
            if file
            else "They are downloaded when they are first used, which takes a connection.",
        ) from error


def _require_name(engine: str, model: str, file: Path | None, names: Collection[str]) -> None:
    if file is None and model not in names:
        raise EngineError(
            f"{engine} has no model {model!r}",
            why="it is neither a file nor a name that its package knows",
            fix=f"Choose among {', '.join(sorted(names))}.",
        )


def _engine(
    name: str, calculator: Calculator, model: str, file: Path | None, settings: Mapping[str, Any],
    weights: Path | None = None,
) -> Engine:  # fmt: skip
    """The engine around a calculator.

    Parameters
    ----------
    model
        Name of the model, or the path of its file as it was given.
    file
        That file; None for a named model.
    settings
        Further options, which are part of the provenance.
    weights
        File of the weights of a named model, where it is known.
    """
    versions = provenance_of(*ENGINES[name].packages, weights=file or weights)
    provenance = {**versions, "model": file.name if file else model, **settings}
    options = {"model": str(file or model), **settings}
    return Engine(name, calculator, provenance).opened_by(Opening(name, options))
