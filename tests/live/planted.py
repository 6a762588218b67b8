"""Secrets that can be recognised anywhere, and a provider that tells all that it is told.

Each secret has a core of its own, which is looked for as it is and as base64 and percent encoding would have it.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, quote_plus

from tests import samples
from tests.answering import Answering

_CORE = re.compile(r"[0-9a-f]{16}")


@dataclass
class Planted:
    """Secrets by name. `new` makes one around a random core; `found_in` says which are in a text."""

    values: dict[str, str] = field(default_factory=dict)

    def new(self, name: str, shape: str = "{}", between: str = "/+") -> str:
        # Two cores, with characters between them that percent encoding changes.
        self.values[name] = shape.format(f"{secrets.token_hex(8)}{between}{secrets.token_hex(8)}")
        return self.values[name]

    def found_in(self, text: str) -> list[str]:
        return [
            f"{name} {kind}: …{text[max(0, at - 160) : at + 40]}…"
            for name, value in self.values.items()
            for kind, form in forms(value)
            if (at := text.find(form)) >= 0
        ]


def forms(value: str) -> Iterator[tuple[str, str]]:
    """`value` in every form in which it could be written; of base64 what doesn't depend on its neighbours."""
    yield "as it is", value
    for core in _CORE.findall(value):
        yield "in part", core
    yield "as bytes", repr(value.encode())[2:-1]
    yield "percent-encoded", quote(value, safe="")
    yield "as a form", quote_plus(value)
    for shift in range(3):
        whole = base64.b64encode(b"x" * shift + value.encode()).decode()
        yield "in base64", whole[4 if shift else 0 : len(whole) // 4 * 4 - 4]


class _Provider(Answering):
    """Does what the question says: `ok`, `status 429`, `garbage`, `cut`, `reset`, `hang`; tells what it was told."""

    cookie = ""
    hints: Mapping[str, str] = {}

    def do_GET(self) -> None:
        self._send(404, b"{}")

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        asked = json.loads(self.rfile.read(length) or b"{}")
        if self.path.endswith("/v4/profile"):
            self._profile(asked)
            return
        question = json.dumps(asked.get("messages", asked))
        order = question.partition("do: ")[2].partition(".")[0].split()
        match order:
            case ["status", status]:
                self._send(int(status), json.dumps(self._error()).encode())
            case ["garbage"]:
                self._send(200, f"<html>{self._told()}</html>".encode(), "text/html")
            case ["page"]:
                self._send(502, f"<html>{self._told()}</html>".encode(), "text/html")
            case ["reset"]:
                self.close_connection = True
            case ["hang"]:
                threading.Event().wait(3)
                self.close_connection = True
            case _:
                self._answer(asked, order)

    def _answer(self, asked: Any, order: list[str]) -> None:
        if "messages" not in asked:
            self._send(200, json.dumps({"object": "list", "data": [], "model": "m"}).encode())
        elif not asked.get("stream"):
            whole = samples.message("Hi.") if self.path.endswith("/messages") else samples.completion("Hi.")
            self._send(200, json.dumps(whole).encode())
        else:
            of_anthropic = self.path.endswith("/messages")
            events = samples.message_events("Hi.") if of_anthropic else samples.chunks("H", "i")
            body = samples.as_events(events)
            if order in (["cut"], ["late"]):
                body = samples.as_events(events[:2]).removesuffix(samples.DONE)
            if order == ["late"]:
                body += f"event: error\ndata: {json.dumps(self._error())}\n\n"
            self._send(200, body.encode(), "text/event-stream")

    def _profile(self, asked: Any) -> None:
        if "forget" in asked["q"]:
            self._send(500, json.dumps({"error": self._told()}).encode())
        else:
            self._send(200, json.dumps({"profile": {"static": ["Likes tea."]}}).encode())

    def _error(self) -> dict[str, Any]:
        return {
            "type": "error",
            "error": {
                "type": "invalid_request_error",
                "message": self._told(),
                "param": None,
                "code": "told",
            },
        }

    def _told(self) -> str:
        """Everything that a careless server might put into its sentence."""
        key = self.headers.get("authorization") or f"x-api-key: {self.headers.get('x-api-key')}"
        secret = key.rpartition(" ")[2]
        return (
            f"Incorrect API key provided: {secret}. Your request had Authorization: {key}, "
            f"{json.dumps(dict(self.headers))}, {dict(self.headers)!r}, cookie: {self.headers.get('cookie')}; "
            f"see http://somebody:{self.hints['password']}@example.com/?key={quote(self.hints['query'])} "
            f"and use {self.hints['token']} or Bearer {self.hints['bearer']}. "
            f"Encoded: {base64.b64encode(secret.encode()).decode()}, {quote(secret, safe='')}"
        )

    def _send(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.send_header("set-cookie", f"cf_clearance={self.cookie}; Path=/")
        self.send_header("x-request-id", "req_1")
        self.send_header("www-authenticate", f"Bearer token={self.hints['bearer']}")
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def provider(cookie: str, hints: Mapping[str, str]) -> Iterator[str]:
    """`http://127.0.0.1:PORT` of a server that is both provider and memory store.

    `cookie` is what it sets; `hints` (password, query, token, bearer) what its errors give away.
    """
    handler = type("Provider", (_Provider,), {"cookie": cookie, "hints": dict(hints)})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
