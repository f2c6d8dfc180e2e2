"""Virtual compounds: other elements on the sites of known crystals, in any number."""

from phonolyte import make_callable
from phonolyte.virtual.features import ParentFeatures
from phonolyte.virtual.parents import BUILT_IN, Parent, Slot, built_in, parent_of
from phonolyte.virtual.physical import PhysicalOfParent
from phonolyte.virtual.rules import RuleFile, Rules, SlotRule, built_in_rules, default_rules, one_crystal, read_rules
from phonolyte.virtual.run import VirtualResult, best_crystals, run_virtual, write_structures
from phonolyte.virtual.space import Space, choose_spaces
from phonolyte.virtual.stream import Evaluator, Recipe, evaluate

__all__ = [
    "BUILT_IN", "Evaluator", "Parent", "ParentFeatures", "PhysicalOfParent", "Recipe", "RuleFile", "Rules", "Slot",
    "SlotRule", "Space", "VirtualResult", "best_crystals", "built_in", "built_in_rules", "choose_spaces",
    "default_rules", "evaluate", "one_crystal", "parent_of", "read_rules", "run_virtual", "write_structures",
]  # fmt: skip

make_callable(__name__)
