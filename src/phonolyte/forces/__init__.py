"""One door to energies and forces: ML potentials, Quantum ESPRESSO, EMT for tests, any ASE calculator."""

from phonolyte.forces.engines import ENGINES, Engine, engine_options, open_engine

__all__ = ["ENGINES", "Engine", "engine_options", "open_engine"]
