"""The connection to the Materials Project: the only module that knows the client ``mp-api``, its key and its faults."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from phonolyte.errors import MissingExtraError, PhonolyteError, SettingsError, SourceError

T = TypeVar("T")

HEARTBEAT = "heartbeat"


@dataclass(frozen=True)
class Connection:
    """Connection to the server of the Materials Project, opened at the first request.

    Attributes
    ----------
    endpoint
        Address of the server. Default: the one of mp-api.
    """

    endpoint: str | None = None

    def version(self) -> str:
        """Version of the database.

        Raises
        ------
        SourceError
            When the server does not report it.
        """
        version = str(self.rester.db_version or "")
        if not version:
            raise self.error(HEARTBEAT, "it does not report the version of its database")
        return version

    @cached_property
    def _key(self) -> str:
        return api_key()

    @cached_property
    def rester(self) -> Any:
        """Client of mp-api, whose requests are repeated by the policy of :mod:`phonolyte.sources.web`."""
        from phonolyte.sources.reaching import check_reachable, first_stop
        from phonolyte.sources.web import make_patient

        client = _import_client().MPRester

        def connect() -> Any:
            check_reachable(*first_stop(self.endpoint or _default_endpoint()))  # the heartbeat has no time limit
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about deprecated attributes, and about an experimental version
                return client(self._key, endpoint=self.endpoint, use_document_model=False, mute_progress_bars=True)

        rester = self.ask(HEARTBEAT, connect)
        make_patient(rester.session)  # which all endpoints share; of its own it gives up at 500 and at a broken body
        return rester

    def ask(self, endpoint: str, request: Callable[[], T]) -> T:
        """What the server answers; what remains after the patience of the session is repeated here.

        That is an answer that cannot be understood, the public store, and the heartbeat, which goes past the session.
        """
        from requests.exceptions import RequestException

        from phonolyte.sources.reaching import UnreachableError
        from phonolyte.sources.web import in_words, persist

        final: tuple[type[Exception], ...] = (PhonolyteError, UnreachableError, _import_client().core.MPRestError)
        if endpoint != HEARTBEAT:
            final += (RequestException,)
        try:
            return persist(request, may_pass=lambda error: not isinstance(error, final))
        except PhonolyteError:
            raise
        except Exception as error:  # mp-api lets through whatever its libraries raise
            why = in_words(error, secret=self._key)
            why = "it answers with null instead of data" if "NoneType" in why else why
            raise self.error(endpoint, why) from None

    def error(self, endpoint: str, why: str) -> SourceError:
        """An error that says which endpoint of which version of the database it was."""
        rester = self.__dict__.get("rester")
        version = getattr(rester, "db_version", "") or "unknown"
        fix = "Give the same command again later: it goes on where it is."
        if "status code 401" in why or "status code 403" in why:
            fix = "Check the key (MP_API_KEY): materialsproject.org/api shows it."
        elif "limits the rate" in why:
            fix = "Wait some minutes; the same command goes on where it is."
        return SourceError(
            "the Materials Project gives no usable answer",
            why=f"endpoint {endpoint}, database version {version}: {why}", fix=fix,
        )  # fmt: skip


def api_key() -> str:
    """The key: ``MP_API_KEY``, else pymatgen's setting ``PMG_MAPI_KEY``. It is handed to mp-api and to nobody else.

    Raises
    ------
    SettingsError
        When there is none, or it cannot be one.
    """
    from pymatgen.core import SETTINGS

    key = str(os.environ.get("MP_API_KEY") or SETTINGS.get("PMG_MAPI_KEY") or "").strip()
    if not key:
        raise SettingsError(
            "there is no key for the Materials Project",
            why="neither MP_API_KEY nor PMG_MAPI_KEY in pymatgen's settings is set",
            fix="Get one at materialsproject.org/api, and set MP_API_KEY. Without a key: phonolyte fetch optimade.",
        )
    if not re.fullmatch(r"[A-Za-z0-9]{32}", key):  # anything else would be refused, and shown, by the HTTP library
        raise SettingsError(
            "the key for the Materials Project cannot be one",
            why=f"it has {len(key)} characters, and must have 32 letters and digits",
            fix="Copy it again from materialsproject.org/api.",
        )
    return key


def _import_client() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of libraries about each other
            import mp_api.client.core
    except ImportError:
        raise MissingExtraError("mp-api is not installed", fix="pip install 'phonolyte[mp]'") from None
    return mp_api.client


def _default_endpoint() -> str:
    from mp_api.client.core.settings import MAPIClientSettings

    return str(MAPIClientSettings().ENDPOINT)
