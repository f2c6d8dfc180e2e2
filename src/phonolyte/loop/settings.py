"""Settings of a loop, as files and commands give them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from phonolyte.errors import SettingsError
from phonolyte.forces import DEFAULT_ENGINE
from phonolyte.loop.choosing import THRIFT
from phonolyte.phonons import PhononSettings
from phonolyte.settings import resolve, section


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """Rounds of choosing crystals, computing their phonons, and learning them.

    Attributes
    ----------
    rounds
        Largest number of rounds; 0 for none.
    crystals
        Largest number of crystals in each.
    budget_h
        Hours for the phonons of all rounds together; each round may take an equal share of what is left when it
        begins. A crystal that has begun is finished.
    decision_mev
        Band center at which a decision is made, meV; None for the limit of the screen, or, where it has none, the
        center of the candidate at the place `cut`, the softest first.
    cut
        Place of the last candidate that would be followed.
    thrift
        Power of the cost by which gains are divided.
    engine
        Engine of the phonons; empty: that of ``[follow]``, or the default one.
    options
        Options of the engine.
    phonons
        How phonons are computed.
    """

    rounds: Annotated[int, "Rounds at most."] = 3
    crystals: Annotated[int, "Crystals of a round at most."] = 20
    budget_h: Annotated[float, "Hours for the phonons of all rounds."] = 1.0
    decision_mev: Annotated[float | None, "Band center at which a decision is made, meV."] = None
    cut: Annotated[int, "Place of the last candidate that would be followed, the softest first."] = 50
    thrift: Annotated[float, "Power of the cost by which gains are divided: 0 ignores it, 1 is gain per second."] = (
        THRIFT
    )
    engine: Annotated[str, f"Engine of the phonons. Default: that of follow, or {DEFAULT_ENGINE}."] = ""
    options: Mapping[str, Any] | tuple[str, ...] = ()
    phonons: PhononSettings = field(default_factory=PhononSettings)

    def __post_init__(self) -> None:
        for name, least in (("rounds", 0), ("crystals", 1), ("cut", 1)):
            if getattr(self, name) < least:
                raise SettingsError(f"{name} is {getattr(self, name)}", fix=f"Give a whole number of at least {least}.")
        if not self.budget_h > 0:
            raise SettingsError(f"budget_h is {self.budget_h}", fix="Give a positive number.")
        if not self.thrift >= 0:
            raise SettingsError(f"thrift is {self.thrift}", fix="Give a number that is not negative.")


def read_loop(table: Mapping[str, Any]) -> LoopSettings:
    """Settings of the table ``[loop]`` of a file, with those of its phonons in ``[loop.phonons]``.

    Raises
    ------
    SettingsError
        For what is not a setting, and values that make no sense.
    """
    phonons = resolve(PhononSettings, table=section(table, "phonons"), where="loop.phonons")
    settings = {name: value for name, value in table.items() if name != "phonons"}
    return replace(resolve(LoopSettings, table=settings, where="loop"), phonons=phonons)
