"""Learning by doing: which crystals to compute next, and rounds of choosing, computing and learning."""

from phonolyte.loop.choosing import Choice, choose_batch, choose_crystals, expected_loss_mev

__all__ = ["Choice", "choose_batch", "choose_crystals", "expected_loss_mev"]
