"""Barriers of hops between sites of the mobile ion, by the nudged elastic band method (NEB)."""

from phonolyte import make_callable
from phonolyte.barriers.calculation import BarrierCalculation
from phonolyte.barriers.neb import NebSettings

__all__ = ["BarrierCalculation", "NebSettings"]

make_callable(__name__)
