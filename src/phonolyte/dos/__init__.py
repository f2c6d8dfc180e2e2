"""The phonon density of states: total and per-element band centers, from the files that people have."""

from phonolyte.dos.density import PhononDos
from phonolyte.dos.frequency import mev_per
from phonolyte.dos.readers import Unit, read_all, read_dos

__all__ = ["PhononDos", "Unit", "mev_per", "read_all", "read_dos"]
