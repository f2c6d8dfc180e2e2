"""HTTP with patience: connections break, and servers ask to be left alone for a while."""

from __future__ import annotations

import time
from typing import Any

import requests

PAUSES_S = [1.0, 5.0, 20.0]
"""Before each further attempt, where a server does not say how long to wait."""

LONGEST_S = 300.0
"""No server is waited for longer."""

TIMEOUT_S = (20.0, 300.0)
"""To connect, and between two bytes."""

BROKEN = (
    requests.exceptions.ConnectionError,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
    requests.exceptions.Timeout,
)
"""What a connection dies of."""

BUSY = frozenset({429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed."""


class PatientSession(requests.Session):  # type: ignore[misc]
    """A session that asks again when a connection breaks or the server is busy, and waits as long as it is told."""

    def request(self, method: str, url: str, **options: Any) -> requests.Response:
        """Send a request, up to four times."""
        for pause in PAUSES_S:
            try:
                response = super().request(method, url, **options)
            except BROKEN:
                time.sleep(pause)
                continue
            if response.status_code not in BUSY:
                return response
            time.sleep(min(asked_pause(response.headers.get("Retry-After"), pause), LONGEST_S))
        return super().request(method, url, **options)


def asked_pause(header: str | None, otherwise: float) -> float:
    """Seconds that a Retry-After header asks for; a date in it counts as not given."""
    try:
        return max(float(header or ""), 0.0)
    except ValueError:
        return otherwise


def in_words(error: Exception) -> str:
    """A network error in few words, without the memory addresses that requests prints."""
    if isinstance(error, requests.exceptions.Timeout):
        return "it does not answer in time"
    if isinstance(error, requests.exceptions.ConnectionError):
        return "no connection"
    if isinstance(error, requests.exceptions.RequestException):
        return "the connection broke"
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__
