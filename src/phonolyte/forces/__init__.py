"""One door to energies and forces: ML potentials, Quantum ESPRESSO, EMT for tests, any ASE calculator."""

from phonolyte.forces.engines import Engine, engine_options, open_engine
from phonolyte.forces.registry import ENGINES

__all__ = ["ENGINES", "Engine", "engine_options", "open_engine"]
