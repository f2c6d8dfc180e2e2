"""Servers that cannot be reached: reported at once and in one sentence, while servers that answered have patience."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from typer.testing import CliRunner
from urllib3.util.retry import Retry

from phonolyte.cli import app
from phonolyte.errors import SourceError
from phonolyte.sources import MaterialsProject, reaching
from phonolyte.sources.cache import RemoteFile, obtain
from phonolyte.sources.reaching import UnreachableError, check_reachable, first_stop
from phonolyte.sources.web import PatientSession


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[Retry]:
    """The pauses between attempts, none of which is slept."""
    made: list[Retry] = []
    monkeypatch.setattr(Retry, "sleep", lambda self, response=None: made.append(self))
    return made


@pytest.fixture
def closed() -> int:
    """A port that nobody listens at."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that does not answer, as behind a firewall: its queue of connections is full."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listening.getsockname())
        yield int(listening.getsockname()[1])
        for each in waiting:
            each.close()


def test_a_closed_port_is_refused_without_a_pause(closed: int, pauses: list[Retry]):
    with PatientSession() as session, pytest.raises(UnreachableError, match=f"refuses connections at port {closed}"):
        session.get(f"http://127.0.0.1:{closed}/file")
    assert not pauses


def test_a_name_that_does_not_exist_is_noted_without_a_pause(pauses: list[Retry]):
    with PatientSession() as session, pytest.raises(UnreachableError, match=r"no-such-server\.invalid has no address"):
        session.get("http://no-such-server.invalid/file")  # RFC 2606: never a server
    assert not pauses


def test_a_name_that_cannot_be_one_is_an_error_of_the_same_kind():
    with pytest.raises(UnreachableError, match="cannot be reached"):
        check_reachable("a" * 64 + ".example", 80)


def test_silence_ends_after_the_limit(silent: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reaching, "REACH_S", 0.2)
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1 does not answer within 0\.2 s"):
        check_reachable("127.0.0.1", silent)


def test_a_lookup_that_does_not_end_ends_after_the_limit(monkeypatch: pytest.MonkeyPatch):
    lock = socket.socketpair()
    monkeypatch.setattr(reaching, "REACH_S", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: lock[0].recv(1))
    with pytest.raises(UnreachableError, match="does not answer"):
        check_reachable("server.example", 80)
    for end in lock:
        end.close()


def test_one_address_that_answers_is_enough(closed: int, monkeypatch: pytest.MonkeyPatch):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        ports = (closed, listening.getsockname()[1])
        addresses = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)) for port in ports]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
        check_reachable("server.example", 80)


def test_a_server_that_was_reached_has_patience(pauses: list[Retry]):
    with socket.socket() as listening, PatientSession() as session:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        host, port = listening.getsockname()
        session.get_adapter("http://").__dict__["_reached"].add((host, port))
        listening.close()
        with pytest.raises(requests.exceptions.ConnectionError):
            session.get(f"http://{host}:{port}/")
    assert len(pauses) == 4


@pytest.mark.parametrize(
    ("url", "proxies", "stop"),
    [
        ("https://api.example/x", {}, ("api.example", 443)),
        ("http://api.example/x", {}, ("api.example", 80)),
        ("http://api.example:81/x", {}, ("api.example", 81)),
        ("https://api.example/x", {"https": "http://proxy.example:3128"}, ("proxy.example", 3128)),
        ("https://api.example/x", {"all": "socks5h://proxy.example"}, ("proxy.example", 1080)),
    ],
)
def test_the_first_stop_is_the_proxy_where_there_is_one(url: str, proxies: dict[str, str], stop: tuple[str, int]):
    assert first_stop(url, proxies) == stop


def test_a_proxy_of_the_environment_counts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("https_proxy", "http://proxy.example:8080")
    monkeypatch.setenv("no_proxy", "inside.example")
    assert first_stop("https://api.example/") == ("proxy.example", 8080)
    assert first_stop("https://inside.example/") == ("inside.example", 443)


def test_a_download_says_it_in_one_sentence(
    closed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[Retry]
):
    monkeypatch.setenv("PHONOLYTE_CACHE", str(tmp_path))
    with pytest.raises(SourceError) as caught:
        obtain("set", RemoteFile("file", (f"http://127.0.0.1:{closed}/file",)))
    assert str(caught.value).split(". Try")[0] == (
        f"file cannot be had: http://127.0.0.1:{closed}/file: 127.0.0.1 refuses connections at port {closed}"
    )
    assert not pauses


def test_the_materials_project_says_it_in_one_sentence(
    closed: int, monkeypatch: pytest.MonkeyPatch, pauses: list[Retry]
):
    monkeypatch.setenv("MP_API_KEY", "k" * 32)
    with pytest.raises(SourceError, match=f"endpoint heartbeat.*127.0.0.1 refuses connections at port {closed}"):
        MaterialsProject(endpoint=f"http://127.0.0.1:{closed}/").version()
    assert not pauses


def test_optimade_says_it_in_one_sentence(closed: int, tmp_path: Path, pauses: list[Retry]):
    url = f"http://127.0.0.1:{closed}/"
    done = CliRunner().invoke(app, ["fetch", "optimade", "--base-url", url, "-o", str(tmp_path / "out")])
    assert isinstance(done.exception, SourceError)
    assert f"endpoint info: 127.0.0.1 refuses connections at port {closed}. Check" in str(done.exception)
    assert not pauses
