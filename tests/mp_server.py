"""A server shaped like the Materials Project's, made of mp-api's own document models, and like its public store.

The REST part answers ``heartbeat``, ``materials/summary``, ``materials/phonon`` and ``materials/thermo`` with paging as
the real one has it; the store speaks as much of S3 as reading Delta tables needs. It is a process of its own, since
deltalake keeps the interpreter to itself while it reads. ``/control`` sets faults, one a request, and returns the
requests so far.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit
from urllib.request import urlopen

VERSION = "2026.09.15"
DENSITIES = "materialsproject-parsed/phonon/electronic-structure/dos"
DIAGRAMS = "materialsproject-build/objects/phase-diagrams"
"""Delta tables in the store: bucket and prefix."""

KINDS = ("summary", "phonon", "thermo")


class State:
    """Data of the server, the faults it is to play, and the requests it got."""

    def __init__(self, folder: Path) -> None:
        self.documents = {f"/materials/{kind}/": _read_documents(folder / f"{kind}.json") for kind in KINDS}
        self.store = folder / "store"
        self.version = VERSION
        self.faults: list[str] = []
        self.requests: list[str] = []
        self.keys: set[str] = set()


def _read_documents(file: Path) -> list[dict[str, Any]]:
    return json.loads(file.read_text()) if file.is_file() else []  # type: ignore[no-any-return]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: State

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._serve_store(body=False)

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path.startswith("/materialsproject-"):
            self._serve_store(body=True)
            return
        query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        if url.path == "/control":
            self._control(query)
            return
        self.state.requests.append(self.path)
        if url.path == "/heartbeat":
            self._send_json({"status": "OK", "version": "0.87.3", "db_version": self.state.version,
                             "access_controlled_batch_ids": ["gnome_r2scan_statics"]})  # fmt: skip
            return
        if url.path in self.state.documents:
            self.state.keys.add(self.headers.get("x-api-key", ""))
            fault = self.state.faults.pop(0) if self.state.faults else ""
            if not self._play_fault(fault):
                self._send_documents(self.state.documents[url.path], query, cut=fault == "cut")
            return
        self._send_json({"detail": "Not Found"}, status=404)

    def _control(self, query: dict[str, str]) -> None:
        state = self.state
        state.version = query.get("version", state.version)
        if "faults" in query:
            state.faults, state.requests = query["faults"].split(",") if query["faults"] else [], []
        self._send_json({"requests": state.requests, "keys": sorted(state.keys), "faults": state.faults})

    def _play_fault(self, fault: str) -> bool:
        """Answer with a fault if one is due, and return whether one was."""
        if fault == "rate":
            self._send_json({"detail": "Too many requests"}, status=429, **{"Retry-After": "0"})
        elif fault == "server":
            self._send_json({"detail": "Internal error"}, status=500)
        elif fault == "forbidden":
            self._send_json({"detail": f"the key {self.headers.get('x-api-key')} is not valid"}, status=403)
        elif fault == "null":
            self._send_json({"data": None, "meta": {"total_doc": 1}})
        elif fault == "no json":
            self._send_bytes(b"<html>maintenance</html>")
        elif fault == "empty":
            self._send_json({"data": [], "meta": {"total_doc": 0}})
        else:
            return False
        return True

    def _send_documents(self, documents: list[dict[str, Any]], query: dict[str, str], *, cut: bool) -> None:
        matches = [document for document in documents if _fits(document, query)]
        if query.get("_sort_fields"):
            matches.sort(key=lambda document: str(document[query["_sort_fields"]]))
        limit = int(query.get("_per_page") or query.get("_limit") or 100)
        start = (int(query["_page"]) - 1) * limit if "_page" in query else int(query.get("_skip", 0))
        names = query.get("_fields", "material_id,last_updated").split(",")
        page = [{name: d[name] for name in names if name in d} for d in matches[start : start + limit]]
        raw = json.dumps({"data": page, "meta": {"total_doc": len(matches), "api_version": "0.87.3"}}).encode()
        self._send_bytes(raw, cut=cut)

    def _send_json(self, data: Any, *, status: int = 200, **headers: str) -> None:
        self._send_bytes(json.dumps(data).encode(), status=status, **headers)

    def _send_bytes(
        self, raw: bytes, *, status: int = 200, cut: bool = False, body: bool = True, **headers: str
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(raw[: len(raw) // 2] if cut else raw)
        if cut:
            self.close_connection = True

    def _serve_store(self, *, body: bool) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        name = unquote(url.path).strip("/")
        if "list-type" in query:
            self._list_bucket(name, query)
            return
        path = self.state.store / name
        if not path.is_file():
            raw = b"<Error><Code>NoSuchKey</Code></Error>"
            self._send_bytes(raw, status=404, body=body, **{"Content-Type": "application/xml"})
            return
        raw, headers = path.read_bytes(), _make_object_headers(path)
        range_header = self.headers.get("Range", "")
        if not range_header:
            self._send_bytes(raw, body=body, **headers)
            return
        first, _, last = range_header.removeprefix("bytes=").partition("-")
        start = int(first) if first else len(raw) - int(last)
        end = min(int(last), len(raw) - 1) if first and last else len(raw) - 1
        headers["Content-Range"] = f"bytes {start}-{end}/{len(raw)}"
        self._send_bytes(raw[start : end + 1], status=206, body=body, **headers)

    def _list_bucket(self, bucket: str, query: dict[str, str]) -> None:
        root = self.state.store / bucket
        files = sorted(path for path in root.rglob("*") if path.is_file())
        keys = [(path.relative_to(root).as_posix(), path) for path in files]
        wanted = [(key, path) for key, path in keys if key.startswith(query.get("prefix", ""))]
        wanted = [(key, path) for key, path in wanted if key > query.get("start-after", "")]
        contents = "".join(
            f"<Contents><Key>{key}</Key><LastModified>2026-09-15T00:00:00.000Z</LastModified>"
            f'<ETag>"{abs(hash(key))}"</ETag><Size>{path.stat().st_size}</Size></Contents>'
            for key, path in wanted
        )
        self._send_bytes(
            f"<ListBucketResult><Name>{bucket}</Name><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>".encode(),
            **{"Content-Type": "application/xml"},
        )


def _make_object_headers(path: Path) -> dict[str, str]:
    return {"ETag": f'"{abs(hash(str(path)))}"', "Last-Modified": "Tue, 15 Sep 2026 00:00:00 GMT",
            "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}  # fmt: skip


def _format_id(identifier: str) -> str:
    """An identifier as the documents have it: numbers are written with letters."""
    number, letters = identifier.rpartition("-")[2], ""
    if not number.isdigit():
        return number.rjust(8, "a")
    rest = int(number)
    while rest:
        rest, digit = divmod(rest, 26)
        letters = chr(ord("a") + digit) + letters
    return letters.rjust(8, "a")


def _fits(document: dict[str, Any], query: dict[str, str]) -> bool:
    elements = set(filter(None, query.get("elements", "").split(",")))
    identifiers = set(map(_format_id, filter(None, query.get("identifiers", "").split(","))))
    systems = set(filter(None, query.get("chemsys", "").split(",")))
    types = set(filter(None, query.get("thermo_types", "").split(",")))
    return (
        elements <= set(document.get("elements") or elements)
        and (not systems or document.get("chemsys") in systems)
        and (not types or document.get("thermo_type") in types)
        and (not identifiers or document.get("identifier") in identifiers)
        and ("has_props" not in query or document.get("has_props", {}).get(query["has_props"], False))
        and ("batch_id_not_eq" not in query or document.get("batch_id") != query["batch_id_not_eq"])
    )


class Server:
    """A running server: its address, and the way to control it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def control(self, faults: Sequence[str] | None = None, version: str = "") -> dict[str, Any]:
        """Set the faults of the coming requests, or the version of the database; return the requests since."""
        query = {} if faults is None else {"faults": ",".join(faults)}
        with urlopen(f"{self.url}/control?{urlencode(query | ({'version': version} if version else {}))}") as answer:
            return dict(json.load(answer))


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Start the server with the documents of a folder."""
    command = [sys.executable, __file__, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield Server(process.stdout.readline().strip())
        finally:
            process.kill()


def main() -> None:
    handler = type("Bound", (Handler,), {"state": State(Path(sys.argv[1]))})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        print(f"http://127.0.0.1:{server.server_port}", flush=True)  # noqa: T201
        server.serve_forever()


if __name__ == "__main__":
    main()
