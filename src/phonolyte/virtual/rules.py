"""Rules: which elements may take which slot of a parent, and which combinations are left out."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import numpy as np

from phonolyte.chemistry.elements import ATOMIC_NUMBERS, property_table
from phonolyte.chemistry.ions import EXCLUDED, MOBILE_IONS, anions, cations
from phonolyte.errors import SettingsError
from phonolyte.settings import read_toml, value_as
from phonolyte.structures import Crystal, read
from phonolyte.virtual.parents import Parent, Slot, built_in, parent_of

Charge = Literal["balanced", "free"]

WIDEST = 1.45
"""Without a list, a slot takes ions whose radius differs from the parent's by this factor at most."""

KEYS = (
    "prototype", "parent", "name", "ion", "charge", "exclude", "radius_window", "electronegativity_order", "lists",
    "slots",
)  # fmt: skip
SLOT_KEYS = ("sites", "elements", "mobile")


@dataclass(frozen=True, slots=True)
class SlotRule:
    """Candidates of one slot.

    Attributes
    ----------
    name
        Name of the slot.
    elements
        Symbols that may take it; empty for all ions that are like the parent's in sign and, within
        :data:`WIDEST`, in radius.
    sites
        What of the parent belongs to it, as :func:`phonolyte.virtual.parent_of` has it; empty for the element of its
        name.
    mobile
        Whether it holds the mobile ion.
    """

    name: str
    elements: tuple[str, ...] = ()
    sites: tuple[str | int, ...] = ()
    mobile: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules for one parent.

    Attributes
    ----------
    slots
        In the order of the columns; elements of the parent without a rule keep their place.
    charge
        ``"balanced"``: only compounds in which one charge for each slot, of the parent's sign, adds up to zero;
        ``"free"``: all.
    exclude
        Elements left out everywhere.
    radius_window
        Largest factor by which the ratio of the radii of two slots may differ from the parent's; 0 for any.
    electronegativity_order
        Whether every anion must be more electronegative than every cation (Pauling).
    """

    slots: tuple[SlotRule, ...] = ()
    charge: Charge = "balanced"
    exclude: frozenset[str] = frozenset()
    radius_window: float = 0.0
    electronegativity_order: bool = False

    def __post_init__(self) -> None:
        if self.charge not in ("balanced", "free"):
            raise SettingsError(f"charge is {self.charge!r}", fix="Choose balanced or free.")
        if self.radius_window and not 1.0 <= self.radius_window < np.inf:
            raise SettingsError(f"radius_window is {self.radius_window}", fix="Give a factor above 1, or 0 for any.")
        names = [slot.name for slot in self.slots]
        for name in names:
            if names.count(name) > 1:
                raise SettingsError(f"there are two slots named {name}", fix="Give each a name of its own.")
        for slot in self.slots:
            _check_elements(slot.elements, f"slot {slot.name}")
        _check_elements(self.exclude, "exclude")

    def parent(self, crystal: Crystal, *, name: str = "") -> Parent:
        """The parent with its slots, those of the rules first.

        Raises
        ------
        SettingsError
            When a slot is not in the crystal.
        """
        return parent_of(crystal, {slot.name: slot.sites or (slot.name,) for slot in self.slots}, name=name)

    def with_ion(self, symbol: str) -> Rules:
        """The same with one mobile ion alone.

        Raises
        ------
        SettingsError
            When no slot holds the mobile ion.
        """
        _check_elements([symbol], "ion")
        if not any(slot.mobile for slot in self.slots):
            raise SettingsError("no slot is mobile", why="an ion is given", fix="Set mobile = true in its slot.")
        return replace(
            self, slots=tuple(replace(slot, elements=(symbol,)) if slot.mobile else slot for slot in self.slots)
        )

    def candidates(self, slot: Slot) -> tuple[int, ...]:
        """Atomic numbers that may take a slot of the parent, in the order of the rule.

        Raises
        ------
        SettingsError
            When nothing is left.
        """
        rule = next((rule for rule in self.slots if rule.name == slot.name), None)
        symbols = (slot.element,) if rule is None else rule.elements or _alike(slot)
        allowed = tuple(dict.fromkeys(s for s in symbols if s not in self.exclude))
        if not allowed:
            raise SettingsError(
                f"nothing may take slot {slot.name}",
                why="every candidate is excluded" if symbols else "it has no candidates",
                fix="Name elements for it.",
            )
        numbers = [ATOMIC_NUMBERS[symbol] for symbol in allowed]
        unknown = [s for s, z in zip(allowed, numbers, strict=True) if np.isnan(property_table()[z]).any()]
        if unknown:
            raise SettingsError(
                f"slot {slot.name} names {unknown[0]}",
                why="the table of elemental properties has gaps there, and no features",
                fix="Leave it out.",
            )
        return tuple(numbers)


@dataclass(frozen=True, slots=True)
class RuleFile:
    """A parent crystal by name, and its rules."""

    name: str
    crystal: Crystal = field(repr=False)
    rules: Rules = field(repr=False)


def default_rules(crystal: Crystal) -> RuleFile:
    """Rules for any parent: each element a slot that takes ions like its own, charges balanced."""
    symbols = list(crystal.composition)
    mobile = next((ion for ion in MOBILE_IONS if ion in symbols), None)
    slots = tuple(SlotRule(symbol, mobile=symbol == mobile) for symbol in symbols)
    return RuleFile(crystal.material_id, crystal, Rules(slots))


def read_rules(path: str | Path, *, crystal: Crystal | None = None) -> RuleFile:
    """Read rules from a TOML file, with its ``prototype`` or ``parent`` (a crystal file) unless a crystal is given.

    Raises
    ------
    SettingsError
        For anything that makes no sense in it.
    """
    return _rule_file(read_toml(path), Path(path).parent, crystal)


@cache
def built_in_rules(name: str) -> RuleFile:
    """Rules of the study's kind for one of its prototypes: long lists, charges free.

    Raises
    ------
    SettingsError
        For another prototype.
    """
    crystal = built_in(name)
    text = (files("phonolyte") / "data" / "virtual.toml").read_text(encoding="utf-8")
    record = tomllib.loads(text)
    rules = {"charge": "free", "lists": record["lists"], **record[name.lower()], "name": name.lower()}
    return _rule_file(rules, Path(), crystal)


def _rule_file(record: Mapping[str, Any], base: Path, crystal: Crystal | None) -> RuleFile:
    _check_keys(record, KEYS, "the rules")
    name = value_as(str, record.get("name", ""), "name")
    if crystal is None:
        crystal, name = _crystal_of(record, base, name)
    slots = record.get("slots", {})
    if not isinstance(slots, Mapping):
        raise SettingsError(f"slots is {slots!r}", fix="Write a table for each slot: [slots.NAME].")
    lists = record.get("lists", {})
    if not isinstance(lists, Mapping):
        raise SettingsError(f"lists is {lists!r}", fix="Write a table of lists of elements: [lists].")
    lists = {name: _words(elements, f"list {name}") for name, elements in lists.items()}
    rules = Rules(
        slots=tuple(_slot_rule(slot, table, lists) for slot, table in slots.items()),
        charge=record.get("charge", "balanced"),
        exclude=frozenset(_words(record.get("exclude", []), "exclude")),
        radius_window=value_as(float, record.get("radius_window", 0.0), "radius_window"),
        electronegativity_order=value_as(bool, record.get("electronegativity_order", False), "electronegativity_order"),
    )
    if "ion" in record:
        rules = rules.with_ion(str(record["ion"]))
    return RuleFile(name or crystal.material_id, crystal, rules)


def _crystal_of(record: Mapping[str, Any], base: Path, name: str) -> tuple[Crystal, str]:
    if ("prototype" in record) == ("parent" in record):
        raise SettingsError("the rules need one of prototype and parent", fix="Add: prototype = 'nasicon'.")
    if "prototype" in record:
        return built_in(str(record["prototype"])), name or str(record["prototype"]).lower()
    return one_crystal(base / str(record["parent"])), name


def one_crystal(path: Path) -> Crystal:
    """The one crystal of a file.

    Raises
    ------
    SettingsError
        When the file has none, or more than one.
    """
    reading = read([path])
    if len(reading.crystals) != 1:
        why = reading.failures[0].message if reading.failures else f"it has {len(reading.crystals)} crystals"
        raise SettingsError(f"{path} is not a parent", why=why, fix="Give a file with one ordered crystal.")
    return reading.crystals[0]


def _slot_rule(name: str, table: Any, lists: Mapping[str, Sequence[str]]) -> SlotRule:
    if isinstance(table, list):
        table = {"elements": table}
    if not isinstance(table, Mapping):
        raise SettingsError(f"slot {name} is {table!r}", fix="Give a list of elements, or a table with elements.")
    _check_keys(table, SLOT_KEYS, f"slot {name}")
    if table.get("elements") == []:
        raise SettingsError(f"slot {name} has no elements", fix="Name some, or leave the key out for all that fit.")
    sites = table.get("sites", ())
    words = _words(table.get("elements", []), f"elements of slot {name}")
    return SlotRule(
        name,
        tuple(element for word in words for element in lists.get(word, (word,))),
        tuple(_words([sites] if isinstance(sites, (str, int)) else sites, f"sites of slot {name}", numbers=True)),
        value_as(bool, table.get("mobile", False), f"mobile of slot {name}"),
    )


def _words(value: Any, name: str, *, numbers: bool = False) -> list[Any]:
    """A list of words, and of whole numbers where these may be among them.

    Raises
    ------
    SettingsError
        For anything else.
    """
    words: list[Any] = value_as(list, value, name)
    for word in words:
        if not isinstance(word, (str, int) if numbers else str) or isinstance(word, bool):
            raise SettingsError(f"{name} has {str(word)[:40]!r}", fix="Give a list of words.")
    return words


def _alike(slot: Slot) -> tuple[str, ...]:
    """Ions of the sign of the parent's and of about its radius."""
    if slot.ion is None:
        raise SettingsError(
            f"slot {slot.name} has no list of elements",
            why="the charges of the parent are not known, so what is like its ions is not",
            fix="Name the elements of each slot.",
        )
    ion_of_slot, pool = slot.ion, anions() if slot.ion.charge < 0 else cations(hard=True)
    near = [
        ion for ion in pool if 1 / WIDEST < ion.radius_a / ion_of_slot.radius_a < WIDEST and ion.symbol not in EXCLUDED
    ]
    return tuple(dict.fromkeys(ion.symbol for ion in near))


def _check_elements(symbols: Sequence[str] | frozenset[str], where: str) -> None:
    for symbol in symbols:
        if symbol not in ATOMIC_NUMBERS:
            near = difflib.get_close_matches(str(symbol), ATOMIC_NUMBERS, n=1)
            raise SettingsError(
                f"{where} names {symbol!r}, which is not an element",
                fix=f"Did you mean {near[0]}?" if near else "Use symbols.",
            )


def _check_keys(record: Mapping[str, Any], allowed: Sequence[str], where: str) -> None:
    for key in record:
        if key not in allowed:
            raise SettingsError(f"the key {key!r} of {where} means nothing", fix=f"Use {', '.join(allowed)}.")
