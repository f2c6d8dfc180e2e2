"""Phonons by Quantum ESPRESSO on a cluster: folders of input to run there, and results from their output.

Nothing is computed here, and ``pw.x`` need not be on this machine (:mod:`phonolyte.runs.slurm` has the script)::

    OUT/jobs/ID-DIGEST/relax/          pw.in, and pw.out after the run; relax-2, ... where the cell moved much
    OUT/jobs/ID-DIGEST/rest/           the relaxed cell, before any atom is displaced
    OUT/jobs/ID-DIGEST/disp-001/ ...   the displaced supercells; wide-001, ... where an instability is confirmed

The digest is that of crystal, settings and pseudopotentials: other settings have folders of their own. It is also the
title of each input, which ``pw.x`` repeats in its output.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from phonolyte.errors import SettingsError
from phonolyte.forces.espresso import PlaneWaves
from phonolyte.phonons.calculation import PhononCalculation, save_result
from phonolyte.phonons.jobs import INPUT, OUTPUT, Job
from phonolyte.runs.records import Record
from phonolyte.runs.slurm import JOBS, PSEUDO, Script
from phonolyte.structures import Crystal

COMMAND = "srun pw.x"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhononsOnCluster(PhononCalculation):
    """Phonons whose forces are computed elsewhere, taken one step on at each call.

    Results are those of :class:`PhononCalculation`, in the same files, except that cells are relaxed by ``pw.x`` itself
    and `seconds` are the wall time of its runs.

    Attributes
    ----------
    waves
        Settings of ``pw.x``.
    """

    waves: PlaneWaves

    def check(self) -> None:
        """Refuse a time limit, which is Slurm's business, besides what :class:`PhononCalculation` refuses."""
        PhononCalculation.check(self)
        if self.settings.limit_s is not None:
            raise SettingsError("limit_s does not bound jobs of a cluster", fix="Put #SBATCH --time into the header.")
        if self.converge:
            raise SettingsError(
                "--converge computes here", fix="Leave it out with --cluster, and vary the settings instead."
            )

    @property
    def retries_failures(self) -> bool:
        """Whether what failed is tried again: its output may have been mended since."""
        return True

    def compute(self, crystal: Crystal, folder: Path, earlier: Record | None = None) -> Record:
        """Read what has been run of one crystal, and write the input that comes next."""
        jobs = folder.parent / JOBS
        (jobs / PSEUDO).mkdir(parents=True, exist_ok=True)
        result = Job.from_crystal(crystal, self.waves, self.settings, jobs, folder.name).result()
        return save_result(result, "espresso", folder)


def pw_script(command: str, header: str) -> Script:
    """Return the script that runs ``pw.x`` in each folder."""
    return Script(command, INPUT, OUTPUT, "pw.x", header)
