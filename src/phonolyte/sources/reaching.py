"""Whether a server can be reached at all, which is known within seconds."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.utils import get_environ_proxies, select_proxy

REACH_S = 8.0
"""Longest time until a name is looked up and one of its addresses answers."""

PORTS = {"https": 443, "socks4": 1080, "socks5": 1080, "socks5h": 1080}
"""Ports of schemes; that of any other is 80."""


class UnreachableError(requests.exceptions.ConnectionError):  # type: ignore[misc]
    """A server, or the proxy before it, cannot be reached; the text names it and says how."""


def first_stop(url: str, proxies: Mapping[str, str] | None = None) -> tuple[str, int]:
    """Host and port that a request goes to: those of the proxy where there is one.

    Parameters
    ----------
    url
        Address of the request.
    proxies
        Proxies by scheme; default: those of the environment.
    """
    proxies = get_environ_proxies(url) if proxies is None else proxies
    parts = urlsplit(select_proxy(url, proxies) or url)
    return parts.hostname or "", parts.port or PORTS.get(parts.scheme, 80)


def check_reachable(host: str, port: int) -> None:
    """Open and close a connection; the addresses of a name are tried at once, since some may be dead.

    Raises
    ------
    UnreachableError
        When the name has no address, no address takes the connection, or :data:`REACH_S` are over.
    """
    until = time.monotonic() + REACH_S
    try:
        addresses = _results([lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)], until)
        _results([_opens(family, address) for family, _, _, _, address in addresses], until)
    except (Empty, TimeoutError):
        raise UnreachableError(f"{host} does not answer within {REACH_S:g} s") from None
    except socket.gaierror:
        raise UnreachableError(f"{host} has no address here: the network is off, or the name is wrong") from None
    except ConnectionRefusedError:
        raise UnreachableError(f"{host} refuses connections at port {port}") from None
    except (OSError, UnicodeError) as error:  # the latter for a name that cannot be one
        raise UnreachableError(f"{host} cannot be reached: {getattr(error, 'strerror', None) or error}") from None


def _opens(family: int, address: Any) -> Callable[[], bool]:
    def open_and_close() -> bool:
        with socket.socket(family, socket.SOCK_STREAM) as connection:
            connection.settimeout(REACH_S)
            connection.connect(address)
        return True

    return open_and_close


def _results(calls: list[Callable[[], Any]], until: float) -> Any:
    """Return what the first call to succeed gives; threads, since a lookup of a name cannot be given a time limit.

    Raises
    ------
    Empty
        When the time is over.
    Exception
        The first error, when all fail.
    """
    results: SimpleQueue[tuple[Any, Exception | None]] = SimpleQueue()

    def run(call: Callable[[], Any]) -> None:
        try:
            results.put((call(), None))
        except Exception as error:
            results.put((None, error))

    for call in calls:
        Thread(target=run, args=(call,), daemon=True).start()
    errors = []
    for _ in calls:
        value, error = results.get(timeout=max(0.0, until - time.monotonic()))
        if error is None:
            return value
        errors.append(error)
    raise errors[0]
