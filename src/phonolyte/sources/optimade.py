"""Databases that speak OPTIMADE, through the client of the package ``optimade``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cached_property, partial
from typing import Any, ClassVar

from phonolyte.errors import MissingExtraError, SettingsError, SourceError, first_line
from phonolyte.runs.citations import bibtex
from phonolyte.sources.entry import Entry, Page
from phonolyte.sources.registry import optimade_fields, providers
from phonolyte.structures.dictionaries import crystal_from_optimade

STRUCTURE_FIELDS = (
    "lattice_vectors", "cartesian_site_positions", "species", "species_at_sites", "nperiodic_dimensions",
    "structure_features",
)  # fmt: skip

NOT_COMPUTED = -99999.0
"""What JARVIS has where a value was not computed."""


@dataclass(frozen=True)
class Optimade:
    """A database, and a filter of the OPTIMADE language.

    Attributes
    ----------
    provider
        Short name of the registry, or of the official list of providers; or a name of your own with `base_url`.
    filter
        Criteria in OPTIMADE's language, such as ``elements HAS "Li" AND nelements<=3``. Default: all materials.
    base_url
        Address of the server, less the version. Default: the one of the provider.
    page_size
        Materials requested at once. Default: the server's.
    """

    provider: str
    filter: str = ""
    _: KW_ONLY
    base_url: str = ""
    page_size: int | None = field(default=None, compare=False)

    online: ClassVar[bool] = True
    phonons: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """What it is called."""
        return f"optimade:{self.provider}"

    @property
    def question(self) -> Mapping[str, Any]:
        """Server and filter."""
        return {"provider": self.provider, "base_url": self.base_url, "filter": self.filter}

    @property
    def license(self) -> str:
        """License of the database."""
        known = providers().get(self.provider)
        return known.license if known else "see the provider"

    @property
    def citation(self) -> str:
        """BibTeX citation of OPTIMADE, and of the database."""
        known = providers().get(self.provider)
        return bibtex("evans2024") + (known.citation if known else "")

    def version(self) -> str:
        """Version of the protocol and of the server."""
        meta = self._request("info").meta
        implementation = meta.get("implementation") or {}
        server = f"{implementation.get('name', 'unknown server')} {implementation.get('version', '')}".strip()
        return f"OPTIMADE {meta.get('api_version', 'of unknown version')}, {server}"

    def pages(self, after: str) -> Iterator[Page]:
        """One page a request; `next` is the address of the following one, as the server gives it.

        Raises
        ------
        SourceError
            When the server cannot be reached or refuses.
        SettingsError
            When the filter is not one.
        """
        self._check_filter()
        fields = self._mapped_fields()
        wanted = [*STRUCTURE_FIELDS, *sorted({name.partition(".")[0] for names in fields.values() for name in names})]
        following = after
        while True:
            answer = self._request("structures", fields=wanted, url=following)
            following = _next_url(answer.links)
            yield self._page(answer, fields, following)
            if not following:
                return

    @cached_property
    def _server(self) -> str:
        return self.base_url or _base_url(self.provider)

    @cached_property
    def _client(self) -> Any:
        """The package's client; its own sessions stop at the first broken connection, and do not heed Retry-After."""
        from phonolyte.sources.web import PatientSession

        return _package().OptimadeClient(
            base_urls=[self._server], max_results_per_provider=0, silent=True, use_async=False,
            http_client=PatientSession,
        )  # fmt: skip

    def _request(self, endpoint: str, *, fields: list[str] | None = None, url: str = "") -> Any:
        """One answer. Pages are requested one by one, as the client allows, since its own loop cannot be resumed."""
        answer = self._client.get_one(
            endpoint, self.filter if endpoint == "structures" else "", self._server,
            response_fields=fields, page_limit=self.page_size, paginate=False, override_url=url or None,
        )[self._server]  # fmt: skip
        if answer.errors:
            raise SourceError(
                f"{self.name} gives no answer",
                why=f"{self._server}, endpoint {endpoint}: {_first(answer.errors)}",
                fix="Check filter and address, or give the same command again later: it goes on where it is.",
            )
        return answer

    def _page(self, answer: Any, fields: Mapping[str, list[str]], following: str) -> Page:
        items = ((str(entry.get("id", "")), entry.get("attributes") or {}) for entry in answer.data)
        page = Page.from_items(items, partial(_entry, fields=fields), source=self.name)
        return replace(page, next=following, total=answer.meta.get("data_returned"))

    def _mapped_fields(self) -> dict[str, list[str]]:
        """Property -> names under which this server has it."""
        answer = self._request("info/structures")
        described = (answer.data if isinstance(answer.data, dict) else {}).get("properties") or {}
        return {
            name: [known for known in names if known.partition(".")[0] in described]
            for name, names in optimade_fields().items()
        }

    def _check_filter(self) -> None:
        from optimade.exceptions import BadRequest
        from optimade.filterparser import LarkParser

        try:
            if self.filter:
                LarkParser().parse(self.filter)
        except BadRequest as error:
            raise SettingsError(
                f"{self.filter!r} is not a filter of OPTIMADE",
                why=_first([error.detail or error.title]),
                fix="""Write it as in 'elements HAS "Li" AND nelements<=3'.""",
            ) from None


def _package() -> Any:
    try:
        import optimade.client
    except ImportError:
        raise MissingExtraError("optimade is not installed", fix="pip install 'phonolyte[optimade]'") from None
    return optimade.client


def _base_url(provider: str) -> str:
    """Address of a provider: from the registry, else from the official list."""
    known = providers()
    if provider in known:
        return known[provider].base_url
    _package()
    from optimade.utils import get_all_databases

    try:
        addresses = [str(url) for url in get_all_databases(include_providers=[provider], skip_ssl=False)]
    except Exception as error:  # whatever a foreign list does
        raise SourceError(
            f"the address of {provider!r} is not known",
            why=f"the official list of databases cannot be read: {first_line(error)}",
            fix="Give it with --base-url.",
        ) from error
    if len(addresses) == 1:
        return addresses[0]
    raise SettingsError(
        f"the database {provider!r} is not known" if not addresses else f"{provider} has {len(addresses)} databases",
        why=", ".join(addresses) or f"it is neither in the official list nor one of {', '.join(known)}",
        fix="Give its address with --base-url.",
    )


def _next_url(links: Mapping[str, Any]) -> str:
    link = links.get("next")
    return str((link.get("href") if isinstance(link, dict) else link) or "")


def _entry(name: str, attributes: Mapping[str, Any], *, fields: Mapping[str, list[str]]) -> Entry:
    properties = {target: _first_number(attributes, names) for target, names in fields.items() if names}
    return Entry.from_crystal(crystal_from_optimade(attributes, material_id=name), properties)


def _first_number(attributes: Mapping[str, Any], names: list[str]) -> float | None:
    """The first of the named values that is one."""
    for name in names:
        value: Any = attributes
        for key in name.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, (int, float)) and value != NOT_COMPUTED:
            return float(value)
    return None


def _first(messages: list[Any]) -> str:
    text = str(messages[0]).strip().removeprefix("UnreachableError: ")  # which the client puts before it
    return (text.splitlines() or [""])[0][:300]
