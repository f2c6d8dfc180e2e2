"""HTTP with patience: connections break, and servers request pauses.

Patience is for servers that have answered. One that cannot be reached at the first request is reported at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import InvalidHeader, MaxRetryError, ReadTimeoutError
from urllib3.util.retry import Retry

from phonolyte.sources.reaching import UnreachableError, check_reachable, first_stop

T = TypeVar("T")

RETRIES = 4
"""Attempts after the first."""

BACKOFF_S = 2.5
"""Pauses where a server does not say how long to wait: none, then 2, 4, 8 times this."""

LONGEST_S = 300
"""Longest pause that a server may request."""

TIMEOUT_S = (20.0, 300.0)
"""To connect, and between two bytes."""

BUSY = frozenset({429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed."""

LIMITED = "it limits the rate of requests"


class _Policy(Retry):
    """A Retry-After that makes no sense counts as not given, where urllib3 would give up."""

    def parse_retry_after(self, retry_after: str) -> float:
        try:
            return super().parse_retry_after(retry_after)
        except InvalidHeader:
            return 0.0


def make_policy() -> Retry:
    """How often a request is repeated, after what, and with which pauses."""
    return _Policy(
        RETRIES, status_forcelist=BUSY, backoff_factor=BACKOFF_S, raise_on_status=False, retry_after_max=LONGEST_S
    )


def persist(ask: Callable[[], T], *, may_pass: Callable[[Exception], bool]) -> T:
    """The value of a call, which is repeated by the policy after errors that may pass; the last error is raised."""
    policy = make_policy()
    while True:
        try:
            return ask()
        except Exception as error:
            if not may_pass(error):
                raise
            policy = _pause(policy, error)


def _pause(policy: Retry, error: Exception) -> Retry:
    """Wait for the next attempt; what the policy then still allows."""
    try:
        policy = policy.increment(error=error)
    except MaxRetryError:
        raise error from None
    policy.sleep()
    return policy


class PatientAdapter(HTTPAdapter):  # type: ignore[misc]
    """Sends requests by the policy, and reads their bodies by it too.

    requests reads a body when urllib3 is done with its retries, so a body that breaks off has to be repeated here.
    """

    def __init__(self) -> None:
        super().__init__(max_retries=make_policy())
        self._reached: set[tuple[str, int]] = set()

    def send(self, request: Any, stream: bool = False, timeout: Any = None, **options: Any) -> requests.Response:
        """Send a request; the response has its body.

        Raises
        ------
        UnreachableError
            When the server cannot be reached at the first request to it.
        requests.exceptions.RetryError
            When the server goes on limiting the rate: clients that get such a response go on without end.
        """
        send = super().send
        self._reach(request.url, options.get("proxies"))

        def read() -> requests.Response:
            response = send(request, stream=stream, timeout=timeout or TIMEOUT_S, **options)
            len(response.content)
            return response

        response = persist(read, may_pass=_is_broken_body)
        if response.status_code == 429:
            raise requests.exceptions.RetryError(LIMITED, request=request, response=response)
        return response

    def _reach(self, url: str, proxies: Any) -> None:
        stop = first_stop(url, proxies)
        if stop not in self._reached:
            check_reachable(*stop)
            self._reached.add(stop)


def _is_broken_body(error: Exception) -> bool:
    broken = (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError)
    return isinstance(error, broken) or any(isinstance(cause, ReadTimeoutError) for cause in error.args)


class PatientSession(requests.Session):  # type: ignore[misc]
    """A session whose requests are repeated by the policy."""

    def __init__(self) -> None:
        super().__init__()
        make_patient(self)


def make_patient(session: requests.Session) -> None:
    """Give a session the policy."""
    for scheme in ("http://", "https://"):
        session.mount(scheme, PatientAdapter())


def in_words(error: Exception, *, secret: str = "") -> str:
    """A network error in one line of at most 300 characters, without memory addresses and without the secret."""
    text = " ".join(str(error).replace(secret or "\0", "(key)").split())
    if isinstance(error, (requests.exceptions.RetryError, UnreachableError)):
        return text
    if isinstance(error, requests.exceptions.Timeout):
        return "it does not answer in time"
    if isinstance(error, requests.exceptions.ConnectionError) or "Max retries exceeded" in text:
        return "no connection"
    if isinstance(error, requests.exceptions.InvalidJSONError):
        return "its answer is not JSON"
    if isinstance(error, requests.exceptions.RequestException):
        return "the connection broke"
    return text[:300] or type(error).__name__
