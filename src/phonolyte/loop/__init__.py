"""Learning by doing: which crystals to compute next, and rounds of choosing, computing and learning."""

from phonolyte.loop.choosing import Choice, choose_batch, choose_crystals, expected_loss_mev
from phonolyte.loop.rounds import Loop, Round, Rounds
from phonolyte.loop.settings import LoopSettings

__all__ = [
    "Choice",
    "Loop",
    "LoopSettings",
    "Round",
    "Rounds",
    "choose_batch",
    "choose_crystals",
    "expected_loss_mev",
]
