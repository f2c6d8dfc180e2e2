"""Phonolyte: find solid electrolytes by the phonon band center of crystals.

The modules, in the order in which data flows: :mod:`phonolyte.structures`, :mod:`phonolyte.dos`,
:mod:`phonolyte.features`, :mod:`phonolyte.models`, :mod:`phonolyte.screen`; the command line is
:mod:`phonolyte.cli`. Nothing heavy is imported before it is used.
"""

__version__ = "0.1.0.dev0"
