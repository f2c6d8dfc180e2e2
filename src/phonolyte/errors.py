"""What can go wrong, and how Phonolyte says so.

Every error says what happened, why, and what to do about it::

    PhonolyteError
    ├── StructureError     one crystal cannot be used
    │   └── ReadError      a file or a record in it cannot be read
    ├── DosError           a phonon density of states cannot be used
    ├── TableError         a table lacks a column or holds values that make no sense
    ├── ModelError         a model cannot be fitted, loaded or applied
    ├── EngineError        an engine fails, or gives no usable energies and forces
    │   ├── PhononError    phonons of one crystal cannot be computed
    │   ├── ElasticError   elastic moduli of one crystal cannot be computed
    │   └── MigrationError paths of the mobile ion of one crystal cannot be found or computed
    ├── StabilityError     competing phases of a crystal are not at hand, or make no sense
    ├── SpectrumError      an impedance spectrum cannot be read or used
    ├── CurveError         a polarization curve cannot be read or used
    ├── SourceError        a source of data cannot be reached, or gives what cannot be used
    ├── SettingsError      an option or a settings file makes no sense
    └── MissingExtraError  an optional dependency is not installed

In a batch an error about one material is data: it becomes a :class:`Failure`, and the batch goes on.
"""

from __future__ import annotations

from dataclasses import dataclass


class PhonolyteError(Exception):
    """Base of all errors Phonolyte raises on purpose.

    Parameters
    ----------
    what
        What happened, naming the file or the material.
    why
        The reason, as far as it is known.
    fix
        What the reader can do about it.
    """

    def __init__(self, what: str, *, why: str = "", fix: str = "") -> None:
        self.what, self.why, self.fix = what, why, fix
        super().__init__(what, why, fix)

    def __str__(self) -> str:
        sentence = f"{self.what}: {self.why}" if self.why else self.what
        return f"{sentence.rstrip('.')}. {self.fix}".strip()


class StructureError(PhonolyteError):
    """One crystal cannot be used; `kind` names the reason in one word."""

    def __init__(self, what: str, *, why: str = "", fix: str = "", kind: str = "") -> None:
        super().__init__(what, why=why, fix=fix)
        self.kind = kind or type(self).__name__


class ReadError(StructureError):
    """A file, or a record in it, cannot be read."""


class DosError(PhonolyteError):
    """A phonon density of states cannot be used."""


class TableError(PhonolyteError):
    """A table lacks a column, or holds values that make no sense."""


class ModelError(PhonolyteError):
    """A model cannot be fitted, loaded or applied."""


class EngineError(PhonolyteError):
    """An engine fails, or gives no usable energies and forces."""


class PhononError(EngineError):
    """Phonons of one crystal cannot be computed."""


class ElasticError(EngineError):
    """Elastic moduli of one crystal cannot be computed."""


class MigrationError(EngineError):
    """Paths of the mobile ion of one crystal cannot be found or computed; `kind` names the reason in one word."""

    def __init__(self, what: str, *, why: str = "", fix: str = "", kind: str = "") -> None:
        super().__init__(what, why=why, fix=fix)
        self.kind = kind or type(self).__name__


class StabilityError(PhonolyteError):
    """Competing phases of a crystal are not at hand, or make no sense; `kind` names the reason in one word."""

    def __init__(self, what: str, *, why: str = "", fix: str = "", kind: str = "") -> None:
        super().__init__(what, why=why, fix=fix)
        self.kind = kind or type(self).__name__


class SpectrumError(PhonolyteError):
    """An impedance spectrum cannot be read or used."""


class CurveError(PhonolyteError):
    """A polarization curve cannot be read or used."""


class SourceError(PhonolyteError):
    """A source of data cannot be reached, or gives what cannot be used; `kind` names the reason in one word."""

    def __init__(self, what: str, *, why: str = "", fix: str = "", kind: str = "") -> None:
        super().__init__(what, why=why, fix=fix)
        self.kind = kind or type(self).__name__


class SettingsError(PhonolyteError):
    """An option or a settings file makes no sense."""


class MissingExtraError(PhonolyteError):
    """An optional dependency is not installed."""


def first_line(error: BaseException) -> str:
    """Return the first line of the message of a foreign exception, its kind where it has none."""
    return next(iter(str(error).splitlines()), type(error).__name__)


@dataclass(frozen=True, slots=True)
class Failure:
    """One material that dropped out, as data: a row of ``failures.parquet``."""

    material_id: str
    stage: str
    error: str
    message: str
    source: str = ""

    @classmethod
    def from_error(cls, error: Exception, *, material_id: str, stage: str, source: str = "") -> Failure:
        """Turn an exception into a row; foreign exceptions keep their class name."""
        kind = getattr(error, "kind", type(error).__name__)
        return cls(material_id, stage, kind, str(error) or type(error).__name__, source)
