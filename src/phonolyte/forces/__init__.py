"""One door to energies and forces: ML potentials, Quantum ESPRESSO, EMT for tests, any ASE calculator.

The registry of engines comes without the rest, which is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from phonolyte.forces.registry import DEFAULT_ENGINE, ENGINES

if TYPE_CHECKING:
    from phonolyte.forces.engines import Engine, engine_options, open_engine

__all__ = ["DEFAULT_ENGINE", "ENGINES", "Engine", "engine_options", "open_engine"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("phonolyte.forces.engines"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
