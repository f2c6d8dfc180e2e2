"""The report: what a run folder holds, on one page that opens without a network, and one candidate in a terminal."""

from phonolyte.report.card import Card, card_of
from phonolyte.report.contents import Contents, read_run
from phonolyte.report.page import PAGE, write_report

__all__ = ["PAGE", "Card", "Contents", "card_of", "read_run", "write_report"]
